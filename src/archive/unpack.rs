//! Writes a tree through a directory handle, so that no name in an archive can lead outside it.
//!
//! Two walls: a table of everything that exists in the tree refuses duplicates and paths through links before any
//! system call, and every component is opened relative to its parent without following links. Symbolic links are
//! made last, when all files are written and it is known where each leads.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::entry::Refusal;
use super::limits;
use crate::relpath::RelPath;

/// How directories are opened: to be read, and never through a symbolic link.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A tree while it grows.
pub(super) struct Tree {
    /// Where it grows; `None` when it is only judged and counted.
    place: Option<Place>,
    /// Everything in the tree, by path.
    nodes: HashMap<String, Node>,
    /// The entry that made each path, by the path in lowercase.
    folded: HashMap<String, u64>,
    /// The bytes of all keys of `nodes`.
    paths_bytes: usize,
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

#[derive(Clone, Debug)]
enum Kind {
    /// A directory that only the paths of other entries name.
    Implied,
    Directory,
    File {
        size_bytes: u64,
        executable: Executable,
    },
    Link {
        target: String,
    },
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::Implied | Kind::Directory => "a directory",
            Kind::File { .. } => "a file",
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
    fn mode(self) -> u32 {
        match self {
            Executable::Yes => 0o755,
            Executable::No => 0o644,
        }
    }

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
    /// An empty tree that becomes `target`, or is only judged where there is none; at most `limit_bytes` come out.
    pub(super) fn new(target: Option<&Path>, limit_bytes: u64) -> Result<Tree, Refusal> {
        Ok(Tree {
            place: target.map(Place::beside).transpose()?,
            nodes: HashMap::new(),
            folded: HashMap::new(),
            paths_bytes: 0,
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
        let entry = node.entry;
        if self.nodes.insert(path.to_owned(), node).is_some() {
            return Ok(());
        }
        if let Some(first) = self.folded.insert(path.to_lowercase(), entry) {
            return Err(Refusal::Case { first });
        }
        let count = self.nodes.len();
        super::entry::limit("a number of paths", limits::PATHS, count)?;
        self.paths_bytes = self.paths_bytes.saturating_add(path.len());
        let what = "all paths together (bytes)";
        super::entry::limit(what, limits::ALL_PATHS_BYTES, self.paths_bytes)
    }

    /// Adds a directory.
    pub(super) fn directory(&mut self, path: &RelPath, entry: u64) -> Result<(), Refusal> {
        self.admit(path, Kind::Directory, entry)?;
        let made = self
            .place
            .as_mut()
            .map(|place| place.directory(path.as_str()));
        made.transpose().map_err(Refusal::write(path.as_str()))?;
        Ok(())
    }

    /// Adds a file with all bytes of `content` and says how many there were.
    pub(super) fn file(
        &mut self,
        path: &RelPath,
        entry: u64,
        executable: Executable,
        content: &mut dyn Read,
    ) -> Result<u64, Refusal> {
        let kind = |size_bytes| Kind::File {
            size_bytes,
            executable,
        };
        self.admit(path, kind(0), entry)?;
        let file = self.place.as_mut().map(|place| place.create(path));
        let mut file = file.transpose().map_err(Refusal::write(path.as_str()))?;
        let mut written: u64 = 0;
        loop {
            let count = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Refusal::read(error)),
            };
            written = written.saturating_add(self.spend(count)?);
            if let Some(file) = &mut file {
                let chunk = self.buffer.get(..count).unwrap_or_default();
                file.write_all(chunk).map_err(|source| Refusal::Write {
                    path: path.as_str().to_owned(),
                    source,
                })?;
            }
        }
        if let Some(file) = file {
            // Set on the open file and last: the process' umask does not apply, set-id bits cannot appear.
            let mode = Mode::from_raw_mode(executable.mode());
            fs::fchmod(&file, mode).map_err(Refusal::write(path.as_str()))?;
        }
        if let Some(node) = self.nodes.get_mut(path.as_str()) {
            node.kind = kind(written);
        }
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
        let Some(Node {
            kind: Kind::File {
                size_bytes,
                executable,
            },
            ..
        }) = self.nodes.get(target.as_str())
        else {
            return Err(Refusal::HardLink {
                target: target.as_str().to_owned(),
            });
        };
        let (size_bytes, executable) = (*size_bytes, *executable);
        let original = self.place.as_mut().map(|place| place.open(target));
        let original = original
            .transpose()
            .map_err(Refusal::write(target.as_str()))?;
        let mut content: Box<dyn Read> = match original {
            Some(original) => Box::new(original),
            // As many bytes of nothing count as much.
            None => Box::new(io::repeat(0).take(size_bytes)),
        };
        self.file(path, entry, executable, &mut content).map(|_| ())
    }

    /// Is there something at `path`?
    pub(super) fn contains(&self, path: &RelPath) -> bool {
        self.nodes.contains_key(path.as_str())
    }

    /// Makes the symbolic links: then the tree is complete, and has still to move to its target.
    ///
    /// # Errors
    /// The refusal, with number and path of the entry that is at fault.
    pub(super) fn finish(mut self) -> Result<(Option<Place>, Contents), (u64, String, Refusal)> {
        let mut links: Vec<(u64, &String, &String)> = self
            .nodes
            .iter()
            .filter_map(|(path, node)| match &node.kind {
                Kind::Link { target } => Some((node.entry, path, target)),
                _ => None,
            })
            .collect();
        links.sort();
        let mut place = self.place.take();
        for (entry, path, target) in links {
            self.check_target(path, target)
                .and_then(|()| match &mut place {
                    Some(place) => place.link(path, target).map_err(Refusal::write(path)),
                    None => Ok(()),
                })
                .map_err(|refusal| (entry, path.clone(), refusal))?;
        }
        Ok((place, Contents::of(self.nodes)))
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
}

/// The private folder beside a target in which a tree grows; removed when dropped before [`Place::keep`].
#[derive(Debug)]
pub(super) struct Place {
    target: PathBuf,
    folder: tempfile::TempDir,
    root: OwnedFd,
    /// The directory that was used last, to spare opening it again.
    last: Option<(String, OwnedFd)>,
    openat2: Openat2,
}

/// Can the system call `openat2` be used? Linux has it since 5.6; sandboxes may forbid it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Openat2 {
    Usable,
    /// It was refused once: directories are opened component by component.
    Unusable,
}

impl Place {
    fn beside(target: &Path) -> Result<Place, Refusal> {
        let name = target.to_string_lossy();
        if std::fs::symlink_metadata(target).is_ok() {
            return Err(Refusal::write(&name)(Errno::EXIST));
        }
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = tempfile::Builder::new()
            .prefix(".cuda-redist-unpack-")
            .tempdir_in(parent)
            .map_err(|source| Refusal::Write {
                path: name.clone().into_owned(),
                source,
            })?;
        let root = fs::open(folder.path(), DIRECTORY, Mode::empty());
        Ok(Place {
            root: root.map_err(Refusal::write(&name))?,
            target: target.to_owned(),
            folder,
            last: None,
            openat2: Openat2::Usable,
        })
    }

    /// Makes the new file `path`, which only we may open until it is complete.
    fn create(&mut self, path: &RelPath) -> Result<File, Errno> {
        let (parent, name) = self.parent_of(path.as_str())?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)).map(File::from)
    }

    /// Opens the file `path`, which is in the tree, to read it.
    fn open(&mut self, path: &RelPath) -> Result<File, Errno> {
        let (parent, name) = self.parent_of(path.as_str())?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(parent, name, flags, Mode::empty()).map(File::from)
    }

    fn link(&mut self, path: &str, target: &str) -> Result<(), Errno> {
        let (parent, name) = self.parent_of(path)?;
        fs::symlinkat(target, parent, name)
    }

    /// Moves the tree to its target.
    pub(super) fn keep(self) -> Result<(), Refusal> {
        let name = self.target.to_string_lossy();
        fs::fchmod(&self.root, Mode::from_raw_mode(0o755)).map_err(Refusal::write(&name))?;
        let folder = self.folder.keep();
        rename_new(&folder, &self.target).map_err(|errno| {
            // The tree is ours and complete but has no place to go: nothing may stay behind.
            let _ = std::fs::remove_dir_all(&folder);
            Refusal::write(&name)(errno)
        })
    }

    /// The opened directory that `path` lies in, made where it is missing, and the last component of `path`.
    fn parent_of<'p>(&mut self, path: &'p str) -> Result<(&OwnedFd, &'p str), Errno> {
        match path.rsplit_once('/') {
            None => Ok((&self.root, path)),
            Some((parent, name)) => Ok((self.directory(parent)?, name)),
        }
    }

    /// The opened directory `path`, made where it is missing.
    fn directory(&mut self, path: &str) -> Result<&OwnedFd, Errno> {
        let opened = match self.last.take() {
            Some((last, opened)) if last == path => opened,
            _ => match self.open_beneath(path)? {
                Some(opened) => opened,
                None => self.walk(path)?,
            },
        };
        Ok(&self.last.insert((path.to_owned(), opened)).1)
    }

    /// The opened directory `path`; `None` where it is missing or the kernel cannot be asked in one call.
    fn open_beneath(&mut self, path: &str) -> Result<Option<OwnedFd>, Errno> {
        if self.openat2 == Openat2::Unusable {
            return Ok(None);
        }
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match fs::openat2(&self.root, path, DIRECTORY, Mode::empty(), resolve) {
            Ok(opened) => Ok(Some(opened)),
            Err(Errno::NOENT) => Ok(None),
            // An old kernel; a filter of system calls that does not know the call, or forbids it.
            Err(Errno::NOSYS | Errno::PERM) => {
                self.openat2 = Openat2::Unusable;
                Ok(None)
            }
            Err(errno) => Err(errno),
        }
    }

    /// Opens the directory `path` component by component, making what is missing.
    fn walk(&self, path: &str) -> Result<OwnedFd, Errno> {
        let mut opened: Option<OwnedFd> = None;
        for component in path.split('/') {
            let parent = opened.as_ref().unwrap_or(&self.root);
            let next = match fs::openat(parent, component, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT) => {
                    fs::mkdirat(parent, component, Mode::from_raw_mode(0o700))?;
                    let made = fs::openat(parent, component, DIRECTORY, Mode::empty())?;
                    fs::fchmod(&made, Mode::from_raw_mode(0o755))?;
                    made
                }
                other => other?,
            };
            opened = Some(next);
        }
        opened.ok_or(Errno::NOENT)
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

/// What is in an archive, as it is laid out in its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Everything, sorted by path; directories come before what is in them.
    pub entries: Vec<Entry>,
}

/// One file, directory or link of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path in the tree.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What is at a path of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory, mode 0755.
    Directory,
    /// A file.
    File {
        /// How many bytes are in it.
        size_bytes: u64,
        /// 0644 or 0755.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, from the directory it is in; inside the tree, perhaps to nothing.
        target: String,
    },
}

impl Contents {
    fn of(nodes: HashMap<String, Node>) -> Contents {
        let mut entries: Vec<Entry> = nodes
            .into_iter()
            .map(|(path, node)| {
                let kind = match node.kind {
                    Kind::Implied | Kind::Directory => EntryKind::Directory,
                    Kind::File {
                        size_bytes,
                        executable,
                    } => EntryKind::File {
                        size_bytes,
                        mode: executable.mode(),
                    },
                    Kind::Link { target } => EntryKind::Link { target },
                };
                Entry { path, kind }
            })
            .collect();
        entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        Contents { entries }
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        let kinds = self.entries.iter().map(|entry| &entry.kind);
        kinds
            .filter(|kind| matches!(kind, EntryKind::File { .. }))
            .count()
    }

    /// The bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        let sizes = self.entries.iter().map(|entry| match entry.kind {
            EntryKind::File { size_bytes, .. } => size_bytes,
            EntryKind::Directory | EntryKind::Link { .. } => 0,
        });
        sizes.fold(0, u64::saturating_add)
    }
}
