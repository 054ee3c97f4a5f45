//! Writes a tree through a directory handle, so that no name in an archive can lead outside it.
//!
//! Two walls: a table of everything that exists in the tree refuses duplicates and paths through links before any
//! system call, and every component is opened relative to its parent without following links. Symbolic links are
//! made last, when all files are written and it is known where each leads.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::entry::Refusal;
use super::limits;
use crate::relpath::RelPath;

/// A tree while it grows, in a private folder beside its target; removed when dropped before [`Tree::finish`].
pub(super) struct Tree {
    /// The private folder.
    folder: tempfile::TempDir,
    root: OwnedFd,
    /// Everything in the tree, by path.
    nodes: HashMap<String, Node>,
    /// The bytes of all keys of `nodes`.
    paths_bytes: usize,
    /// The directory that was used last, to spare walking to it again.
    last: Option<(String, OwnedFd)>,
    /// Bytes that may still come out of the archive.
    left_bytes: u64,
    limit_bytes: u64,
    buffer: Vec<u8>,
}

/// One thing in the tree.
#[derive(Debug)]
struct Node {
    kind: Kind,
    /// The number of the entry that made it.
    entry: u64,
}

#[derive(Debug)]
enum Kind {
    /// A directory that only the paths of other entries name.
    Implied,
    Directory,
    File,
    Link {
        target: String,
    },
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::Implied | Kind::Directory => "a directory",
            Kind::File => "a file",
            Kind::Link { .. } => "a symbolic link",
        }
    }
}

/// May a file be executed? All other mode bits are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Executable {
    /// Mode 0755.
    Yes,
    /// Mode 0644.
    No,
}

impl Executable {
    /// From the mode of an entry: any of the three execute bits.
    pub(super) fn of_mode(mode: u32) -> Executable {
        if mode & 0o111 != 0 {
            Executable::Yes
        } else {
            Executable::No
        }
    }
}

impl Tree {
    /// An empty tree that becomes `target`; at most `limit_bytes` are written into it.
    pub(super) fn beside(target: &Path, limit_bytes: u64) -> Result<Tree, Refusal> {
        let place = target.to_string_lossy();
        if std::fs::symlink_metadata(target).is_ok() {
            return Err(Refusal::write(&place)(Errno::EXIST));
        }
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = tempfile::Builder::new()
            .prefix(".cuda-redist-unpack-")
            .tempdir_in(parent)
            .map_err(|source| Refusal::Write {
                path: place.clone().into_owned(),
                source,
            })?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = fs::open(folder.path(), flags, Mode::empty()).map_err(Refusal::write(&place))?;
        Ok(Tree {
            folder,
            root,
            nodes: HashMap::new(),
            paths_bytes: 0,
            last: None,
            left_bytes: limit_bytes,
            limit_bytes,
            buffer: vec![0; limits::COPY_BYTES],
        })
    }

    /// Notes that `path` exists now; refuses it where something else is in the way.
    fn admit(&mut self, path: &RelPath, kind: Kind, entry: u64) -> Result<(), Refusal> {
        let text = path.as_str();
        for (end, _) in text.match_indices('/') {
            let Some(parent) = text.get(..end) else {
                continue;
            };
            match self.nodes.get(parent) {
                None => self.note(
                    parent,
                    Node {
                        kind: Kind::Implied,
                        entry,
                    },
                )?,
                Some(Node {
                    kind: Kind::Implied | Kind::Directory,
                    ..
                }) => {}
                Some(Node { kind, entry: first }) => {
                    return Err(Refusal::Parent {
                        parent: parent.to_owned(),
                        kind: kind.name(),
                        first: *first,
                    });
                }
            }
        }
        match (self.nodes.get(text), &kind) {
            (None, _)
            | (
                Some(Node {
                    kind: Kind::Implied,
                    ..
                }),
                Kind::Directory,
            ) => {}
            (Some(Node { entry: first, .. }), _) => {
                return Err(Refusal::Duplicate { first: *first });
            }
        }
        self.note(text, Node { kind, entry })
    }

    fn note(&mut self, path: &str, node: Node) -> Result<(), Refusal> {
        if self.nodes.insert(path.to_owned(), node).is_none() {
            self.paths_bytes = self.paths_bytes.saturating_add(path.len());
        }
        super::entry::limit(
            "all paths together (bytes)",
            limits::ALL_PATHS_BYTES,
            self.paths_bytes,
        )
    }

    /// Adds a directory.
    pub(super) fn directory(&mut self, path: &RelPath, entry: u64) -> Result<(), Refusal> {
        self.admit(path, Kind::Directory, entry)?;
        self.open_directory(path.as_str())
            .map_err(Refusal::write(path.as_str()))
    }

    /// Adds a file with all bytes of `content` and says how many there were.
    pub(super) fn file(
        &mut self,
        path: &RelPath,
        entry: u64,
        executable: Executable,
        content: &mut dyn Read,
    ) -> Result<u64, Refusal> {
        self.admit(path, Kind::File, entry)?;
        let wrap = || Refusal::write(path.as_str());
        let (parent, name) = self.parent_of(path).map_err(wrap())?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)).map_err(wrap())?;
        let mut file = File::from(file);
        let mut written: u64 = 0;
        loop {
            let count = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Refusal::read(error)),
            };
            written = written.saturating_add(self.spend(count)?);
            let chunk = self.buffer.get(..count).unwrap_or_default();
            file.write_all(chunk).map_err(|source| Refusal::Write {
                path: path.as_str().to_owned(),
                source,
            })?;
        }
        // Set on the open file and last: the process' umask does not apply, set-id bits cannot appear.
        let mode = match executable {
            Executable::Yes => 0o755,
            Executable::No => 0o644,
        };
        fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(wrap())?;
        Ok(written)
    }

    /// Reads all bytes of `content`, which goes nowhere, and says how many there were. They count as if written.
    pub(super) fn skip(&mut self, content: &mut dyn Read) -> Result<u64, Refusal> {
        let mut skipped: u64 = 0;
        loop {
            match content.read(&mut self.buffer) {
                Ok(0) => return Ok(skipped),
                Ok(count) => skipped = skipped.saturating_add(self.spend(count)?),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Refusal::read(error)),
            }
        }
    }

    /// Takes `count` bytes off what may still come out of the archive.
    fn spend(&mut self, count: usize) -> Result<u64, Refusal> {
        let count_bytes = u64::try_from(count).unwrap_or(u64::MAX);
        let over = Refusal::Output {
            limit: self.limit_bytes,
        };
        self.left_bytes = self.left_bytes.checked_sub(count_bytes).ok_or(over)?;
        Ok(count_bytes)
    }

    /// Adds a symbolic link; it is made by [`Tree::finish`].
    pub(super) fn link(
        &mut self,
        path: &RelPath,
        entry: u64,
        target: String,
    ) -> Result<(), Refusal> {
        self.admit(path, Kind::Link { target }, entry)
    }

    /// Adds a copy of the file `target`, which must have been written before.
    ///
    /// A copy, not a second name of the same file: both may go to different outputs and be edited there.
    pub(super) fn hard_link(
        &mut self,
        path: &RelPath,
        entry: u64,
        target: &RelPath,
    ) -> Result<(), Refusal> {
        if !matches!(
            self.nodes.get(target.as_str()),
            Some(Node {
                kind: Kind::File,
                ..
            })
        ) {
            return Err(Refusal::HardLink {
                target: target.as_str().to_owned(),
            });
        }
        let wrap = || Refusal::write(target.as_str());
        let (parent, name) = self.parent_of(target).map_err(wrap())?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut original =
            File::from(fs::openat(parent, name, flags, Mode::empty()).map_err(wrap())?);
        let mode = fs::fstat(&original).map_err(wrap())?.st_mode;
        self.file(path, entry, Executable::of_mode(mode), &mut original)
            .map(|_| ())
    }

    /// Is there something at `path`?
    pub(super) fn contains(&self, path: &RelPath) -> bool {
        self.nodes.contains_key(path.as_str())
    }

    /// Makes the symbolic links and moves the tree to `target`.
    ///
    /// # Errors
    /// The refusal, with the entry's number and path when one link is at fault.
    pub(super) fn finish(mut self, target: &Path) -> Result<(), (Option<(u64, String)>, Refusal)> {
        let mut links: Vec<(u64, String, String)> = self
            .nodes
            .iter()
            .filter_map(|(path, node)| match &node.kind {
                Kind::Link { target } => Some((node.entry, path.clone(), target.clone())),
                _ => None,
            })
            .collect();
        links.sort();
        for (entry, path, to) in links {
            self.make_link(&path, &to)
                .map_err(|refusal| (Some((entry, path)), refusal))?;
        }
        let place = target.to_string_lossy().into_owned();
        let fault = |errno| (None, Refusal::write(&place)(errno));
        fs::fchmod(&self.root, Mode::from_raw_mode(0o755)).map_err(fault)?;
        let folder = self.folder.keep();
        rename_new(&folder, target).map_err(|errno| {
            // The tree is ours and complete but has no place to go: nothing may stay behind.
            let _ = std::fs::remove_dir_all(&folder);
            fault(errno)
        })
    }

    fn make_link(&mut self, path: &str, target: &str) -> Result<(), Refusal> {
        self.check_target(path, target)?;
        let wrap = || Refusal::write(path);
        let checked = RelPath::new(path).map_err(|_| Refusal::Empty)?;
        let (parent, name) = self.parent_of(&checked).map_err(wrap())?;
        fs::symlinkat(target, parent, name).map_err(wrap())
    }

    /// Refuses the link at `path` if following its `target` through the whole tree leaves it.
    ///
    /// The targets of other links on the way are followed as the kernel would. Looking at the text alone is not
    /// enough: with `here -> .` in the root, `here/..` stays inside as text and is outside in fact.
    fn check_target(&self, path: &str, target: &str) -> Result<(), Refusal> {
        let leaves = || Refusal::LinkLeaves {
            target: target.to_owned(),
        };
        let mut at: Vec<&str> = path.split('/').collect();
        at.pop();
        let mut todo: Vec<&str> = target.split('/').rev().collect();
        let mut hops: u32 = 0;
        while let Some(component) = todo.pop() {
            match component {
                "" | "." => continue,
                ".." => {
                    at.pop().ok_or_else(leaves)?;
                    continue;
                }
                name => at.push(name),
            }
            if let Some(Node {
                kind: Kind::Link { target: next },
                ..
            }) = self.nodes.get(&at.join("/"))
            {
                hops = hops.saturating_add(1);
                if hops > limits::LINK_HOPS {
                    return Err(Refusal::LinkLoop {
                        target: target.to_owned(),
                    });
                }
                at.pop();
                todo.extend(next.split('/').rev());
            }
        }
        Ok(())
    }

    /// The opened directory that `path` lies in, made where it is missing, and the last component of `path`.
    fn parent_of<'p>(&mut self, path: &'p RelPath) -> Result<(&OwnedFd, &'p str), Errno> {
        match path.as_str().rsplit_once('/') {
            None => Ok((&self.root, path.as_str())),
            Some((parent, name)) => {
                if self.last.as_ref().is_none_or(|(last, _)| last != parent) {
                    self.open_directory(parent)?;
                }
                // `open_directory` has just filled it.
                let opened = self
                    .last
                    .as_ref()
                    .map(|(_, opened)| opened)
                    .ok_or(Errno::NOENT)?;
                Ok((opened, name))
            }
        }
    }

    /// Opens the directory `path` component by component, making what is missing, and remembers it.
    fn open_directory(&mut self, path: &str) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut opened: Option<OwnedFd> = None;
        for component in path.split('/') {
            let parent = opened.as_ref().unwrap_or(&self.root);
            let next = match fs::openat(parent, component, flags, Mode::empty()) {
                Err(Errno::NOENT) => {
                    fs::mkdirat(parent, component, Mode::from_raw_mode(0o700))?;
                    let made = fs::openat(parent, component, flags, Mode::empty())?;
                    fs::fchmod(&made, Mode::from_raw_mode(0o755))?;
                    made
                }
                other => other?,
            };
            opened = Some(next);
        }
        self.last = opened.map(|opened| (path.to_owned(), opened));
        Ok(())
    }
}

/// Renames `from` to `to`, which must not exist.
fn rename_new(from: &PathBuf, to: &Path) -> Result<(), Errno> {
    match fs::renameat_with(fs::CWD, from, fs::CWD, to, fs::RenameFlags::NOREPLACE) {
        // File systems and kernels without the flag: look first. Only an empty directory could be replaced.
        Err(Errno::INVAL | Errno::NOSYS) => {
            match fs::statat(fs::CWD, to, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => fs::rename(from, to),
                Ok(_) => Err(Errno::EXIST),
                Err(errno) => Err(errno),
            }
        }
        other => other,
    }
}
