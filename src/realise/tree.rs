//! What an unpacked archive consists of.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::error::RealiseError;
use crate::error::Error;
use crate::relpath::RelPath;

/// Every path of an unpacked archive, directories included, the top one not.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<RelPath, Node>,
}

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A directory; `is_empty` when nothing lies in it.
    Directory {
        /// Nothing lies in it.
        is_empty: bool,
    },
    /// A regular file; the unpacker makes copies of hard links, so that each is a file of its own.
    File,
    /// A symbolic link.
    Link {
        /// Its text.
        target: String,
    },
}

impl Tree {
    /// Looks at everything below `root`; follows no links.
    ///
    /// # Errors
    /// A directory cannot be read; a name is no good path; something is neither file, directory nor link. The
    /// unpacker makes no such things, so this is about a directory that others write to.
    pub(super) fn read(root: &Path) -> Result<Tree, Error> {
        let mut tree = Tree::default();
        tree.read_below(root, None)?;
        Ok(tree)
    }

    /// Adds what lies in `directory`, which is `at` in the tree (`None`: the top), and says whether that is nothing.
    fn read_below(&mut self, directory: &Path, at: Option<&RelPath>) -> Result<bool, Error> {
        let unreadable = |source| RealiseError::io("read the directory", directory, source);
        let mut is_empty = true;
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            is_empty = false;
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let bad_name = || RealiseError::Name { path: path.clone() };
            let name = entry.file_name().into_string().map_err(|_| bad_name())?;
            let text = at.map_or(name.clone(), |at| format!("{at}/{name}"));
            let rel_path = RelPath::new(&text).map_err(|_| bad_name())?;
            let metadata = entry
                .metadata()
                .map_err(|source| RealiseError::io("look at", &path, source))?;
            let node = if metadata.is_dir() {
                Node::Directory {
                    is_empty: self.read_below(&path, Some(&rel_path))?,
                }
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path)
                    .map_err(|source| RealiseError::io("read the link", &path, source))?;
                Node::Link {
                    target: target
                        .into_os_string()
                        .into_string()
                        .map_err(|_| bad_name())?,
                }
            } else if metadata.is_file() {
                Node::File
            } else {
                return Err(RealiseError::FileType { path }.into());
            };
            self.nodes.insert(rel_path, node);
        }
        Ok(is_empty)
    }

    /// What is at `path`; `None` when nothing is.
    pub(super) fn node(&self, path: &RelPath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All paths, sorted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RelPath, &Node)> {
        self.nodes.iter()
    }
}

#[cfg(test)]
impl Tree {
    /// A tree for tests: `name/` is an empty directory, `name -> target` a link, all else a file.
    pub(super) fn sample(lines: &[&str]) -> Tree {
        let mut nodes = BTreeMap::new();
        for line in lines {
            let (path, node) = match (line.split_once(" -> "), line.strip_suffix('/')) {
                (Some((path, target)), _) => (
                    path,
                    Node::Link {
                        target: target.to_owned(),
                    },
                ),
                (None, Some(path)) => (path, Node::Directory { is_empty: true }),
                (None, None) => (*line, Node::File),
            };
            let mut parents = path;
            while let Some((parent, _)) = parents.rsplit_once('/') {
                nodes.insert(
                    RelPath::new(parent).unwrap(),
                    Node::Directory { is_empty: false },
                );
                parents = parent;
            }
            nodes.insert(RelPath::new(path).unwrap(), node);
        }
        Tree { nodes }
    }
}
