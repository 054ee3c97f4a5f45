//! Every file and link of a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Problem};
use crate::text;

/// A folder and what is below it. Links are not followed while looking.
#[derive(Debug)]
pub struct Tree {
    /// The folder, as it was named.
    pub root: PathBuf,
    /// The same without links in it.
    pub real_root: PathBuf,
    /// Everything below it that is no folder, sorted by path.
    pub entries: Vec<Entry>,
    /// The folders below it that could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// A file or link of a tree.
#[derive(Debug)]
pub struct Entry {
    /// Where it is below the root; empty when the root itself is a file.
    pub path: PathBuf,
    /// What it is.
    pub found: Found,
}

/// What an entry of a tree is. Devices, sockets and the like are no entries.
#[derive(Debug)]
pub enum Found {
    /// A regular file.
    File,
    /// A symbolic link.
    Link {
        /// What is written in it.
        target: PathBuf,
        /// The file or folder it leads to in the end, without links; `None` when there is none, or a circle.
        real: Option<PathBuf>,
    },
}

/// A part of a tree that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot look at it")]
pub struct Unreadable {
    place: String,
    #[source]
    source: io::Error,
}

impl Problem for Unreadable {
    fn kind(&self) -> Kind {
        Kind::Fault
    }

    fn place(&self) -> Option<String> {
        Some(self.place.clone())
    }
}

impl Tree {
    /// Looks at everything below `root`, which may also be a single file.
    ///
    /// # Errors
    /// `root` itself cannot be read. What cannot be read below it is in the result.
    pub fn read(root: &Path) -> Result<Tree, Error> {
        let unreadable = |path: &Path, source| Unreadable {
            place: text::printable(&path.display().to_string()),
            source,
        };
        let real_root = root
            .canonicalize()
            .map_err(|source| unreadable(root, source))?;
        let mut tree = Tree {
            root: root.to_owned(),
            real_root,
            entries: Vec::new(),
            unreadable: Vec::new(),
        };
        let kind = fs::metadata(&tree.real_root).map_err(|source| unreadable(root, source))?;
        if !kind.is_dir() && !kind.is_file() {
            let source = io::Error::other("a device, a socket or a pipe");
            return Err(unreadable(root, source).into());
        }
        if !kind.is_dir() {
            tree.entries.push(Entry {
                path: PathBuf::new(),
                found: Found::File,
            });
            return Ok(tree);
        }
        // Folders still to be read. Without links there is no circle, and the depth is bounded by the longest path.
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            let real = tree.real_root.join(&folder);
            let listed = fs::read_dir(&real).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let listed = match listed {
                Ok(listed) => listed,
                Err(source) => {
                    tree.unreadable
                        .push(unreadable(&tree.shown(&folder), source));
                    continue;
                }
            };
            for entry in listed {
                let path = folder.join(entry.file_name());
                let kind = match entry.file_type() {
                    Ok(kind) => kind,
                    Err(source) => {
                        tree.unreadable.push(unreadable(&tree.shown(&path), source));
                        continue;
                    }
                };
                if kind.is_dir() {
                    open.push(path);
                } else if kind.is_file() {
                    tree.entries.push(Entry {
                        path,
                        found: Found::File,
                    });
                } else if kind.is_symlink() {
                    let link = real.join(entry.file_name());
                    let found = Found::Link {
                        target: fs::read_link(&link).unwrap_or_default(),
                        real: link.canonicalize().ok(),
                    };
                    tree.entries.push(Entry { path, found });
                }
            }
        }
        tree.entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// Where the entry at `path` is for whoever named the root.
    pub fn shown(&self, path: &Path) -> PathBuf {
        if path.as_os_str().is_empty() {
            self.root.clone()
        } else {
            self.root.join(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_and_links_are_found_and_circles_end() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tree");
        fs::create_dir_all(root.join("lib/deep")).unwrap();
        fs::write(root.join("lib/libx.so.1"), "").unwrap();
        fs::write(root.join("lib/deep/file"), "").unwrap();
        symlink("libx.so.1", root.join("lib/libx.so")).unwrap();
        symlink("..", root.join("lib/deep/up")).unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        symlink("/nowhere", root.join("gone")).unwrap();
        symlink("tree", dir.path().join("link")).unwrap();

        let tree = Tree::read(&dir.path().join("link")).unwrap();
        let real = root.canonicalize().unwrap();
        assert_eq!(tree.real_root, real);
        let found: Vec<String> = tree
            .entries
            .iter()
            .map(|entry| match &entry.found {
                Found::File => entry.path.display().to_string(),
                Found::Link { target, real: end } => {
                    let end = end
                        .as_ref()
                        .map(|end| end.strip_prefix(&real).unwrap().display().to_string());
                    format!("{} -> {} = {end:?}", entry.path.display(), target.display())
                }
            })
            .collect();
        assert_eq!(
            found,
            [
                "a -> b = None",
                "b -> a = None",
                "gone -> /nowhere = None",
                "lib/deep/file",
                "lib/deep/up -> .. = Some(\"lib\")",
                "lib/libx.so -> libx.so.1 = Some(\"lib/libx.so.1\")",
                "lib/libx.so.1",
            ]
        );
        let file = Tree::read(&root.join("lib/libx.so")).unwrap();
        assert_eq!(file.entries.len(), 1);
        assert_eq!(file.shown(&file.entries[0].path), root.join("lib/libx.so"));
        assert!(
            Tree::read(&root.join("gone"))
                .unwrap_err()
                .render()
                .contains("cannot look at it")
        );
    }

    #[test]
    fn paths_deeper_than_the_system_allows_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        let name = "d".repeat(200);
        // Made from the inside out by renaming, since no such path can be named.
        let mut top = dir.path().join("top");
        fs::create_dir(&top).unwrap();
        for round in 0..30 {
            let next = dir.path().join(format!("next{round}"));
            fs::create_dir(&next).unwrap();
            fs::rename(&top, next.join(&name)).unwrap();
            top = next;
        }
        let tree = Tree::read(&top).unwrap();
        assert_eq!(tree.unreadable.len(), 1, "{:?}", tree.unreadable);
    }
}
