//! Texts that no file may contain: what the caller forbids, and paths of the store to things that it does not allow.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use memchr::memmem::Finder;
use rayon::prelude::*;

use super::ReadError;
use crate::error::Error;
use crate::resolve::{Found, Tree};

/// What to search for.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The folders to look at.
    pub trees: Vec<PathBuf>,
    /// These texts may stand in no file, licences excepted.
    pub forbidden: Vec<String>,
    /// Of the objects in a Nix store only those that one of these paths lies in may be named.
    pub allowed_references: Vec<PathBuf>,
}

/// A text that must not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundText {
    /// The file or link, as its tree was named.
    pub path: PathBuf,
    /// Where it is in the file, in bytes.
    pub offset: u64,
    /// The text.
    pub text: String,
    /// Is it the path of a store object?
    pub is_reference: bool,
}

/// Where Nix stores have their objects, all over the world.
const STORE: &[u8] = b"/nix/store/";
/// The hash of an object, in its name. Source: Nix, `HashPartLen`.
const HASH_BYTES: usize = 32;
/// The longest name of an object. Source: Nix, `StorePath::MaxPathLen`, the hash and its dash not counted.
const NAME_BYTES_MAX: usize = 211;
/// What is read at once, by each thread.
const BLOCK_BYTES: u64 = 1 << 20;
/// What one thread searches before it takes the next piece: files of 350 MB should keep all of them busy.
const PIECE_BYTES: u64 = 32 << 20;
/// What is told of one piece of a file: the rest would be more of the same.
const FOUND_MAX: usize = 20;
/// Files that quote how others are installed, and what they are written in.
const LICENCES: &[&str] = &[
    "license",
    "licence",
    "copying",
    "eula",
    "notice",
    "copyright",
];

const LICENCE_ENDS: &[&str] = &["htm", "html", "md", "pdf", "rst", "rtf", "txt"];

/// Searches every file and link, and tells the first of each text in each file, in order.
///
/// # Errors
/// A tree or a file cannot be read.
pub fn scan(scan: &Scan) -> Result<Vec<FoundText>, Error> {
    let allowed: BTreeSet<&[u8]> = scan
        .allowed_references
        .iter()
        .flat_map(|path| path.as_os_str().as_bytes().split(|byte| *byte == b'/'))
        // Wherever the store is: one at `/somewhere/nix/store` is found by the end of its own name.
        .filter_map(hash_of)
        .collect();
    let needles = Needles {
        store: Finder::new(STORE),
        allowed: &allowed,
        forbidden: scan
            .forbidden
            .iter()
            .map(|text| (text.as_str(), Finder::new(text)))
            .collect(),
    };
    let mut pieces = Vec::new();
    let mut found = Vec::new();
    for root in &scan.trees {
        let mut tree = Tree::read(root)?;
        if let Some(error) = tree.unreadable.pop() {
            return Err(error.into());
        }
        for entry in &tree.entries {
            let path = tree.shown(&entry.path);
            match &entry.found {
                Found::Link { target, .. } => {
                    needles.search(target.as_os_str().as_bytes(), 0, &path, &mut found);
                }
                Found::File => {
                    let size = fs::metadata(&path).map_err(failed(&path))?.len();
                    let starts = (0..size).step_by(PIECE_BYTES as usize);
                    pieces.extend(starts.map(|start| (path.clone(), start)));
                }
            }
        }
    }
    let in_files: Vec<Vec<FoundText>> = pieces
        .par_iter()
        .map(|(path, start)| needles.search_piece(path, *start))
        .collect::<Result<_, ReadError>>()?;
    let mut seen = BTreeSet::new();
    found.extend(in_files.into_iter().flatten());
    found.retain(|one| seen.insert((one.path.clone(), one.text.clone())));
    Ok(found)
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> ReadError {
    move |source| ReadError {
        path: path.to_owned(),
        source,
    }
}

/// The hash at the start of the name of a store object.
fn hash_of(name: &[u8]) -> Option<&[u8]> {
    let (hash, rest) = name.split_at_checked(HASH_BYTES)?;
    let is_hash = hash
        .iter()
        .all(|byte| b"0123456789abcdfghijklmnpqrsvwxyz".contains(byte));
    (is_hash && rest.first() == Some(&b'-')).then_some(hash)
}

/// The name of a store object at the start of `text`.
fn name_of(text: &[u8]) -> &[u8] {
    let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(byte);
    let longest = text.len().min(HASH_BYTES + 1 + NAME_BYTES_MAX);
    let text = text.get(..longest).unwrap_or(text);
    let end = text.iter().position(|byte| !is_in_name(byte));
    text.get(..end.unwrap_or(longest)).unwrap_or_default()
}

struct Needles<'a> {
    store: Finder<'static>,
    allowed: &'a BTreeSet<&'a [u8]>,
    forbidden: Vec<(&'a str, Finder<'a>)>,
}

impl Needles<'_> {
    /// How far a text may reach behind the end of the block that it begins in: a store path with the longest name.
    fn overlap(&self) -> u64 {
        let longest = self.forbidden.iter().map(|(text, _)| text.len()).max();
        longest
            .unwrap_or(0)
            .max(STORE.len() + HASH_BYTES + 1 + NAME_BYTES_MAX) as u64
    }

    fn search_piece(&self, path: &Path, start: u64) -> Result<Vec<FoundText>, ReadError> {
        let file = File::open(path).map_err(failed(path))?;
        let mut found = Vec::new();
        let mut block = vec![0; (BLOCK_BYTES + self.overlap()) as usize];
        let end = start.saturating_add(PIECE_BYTES);
        let mut at = start;
        while at < end {
            let mut filled = 0;
            while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                let from = at.saturating_add(filled as u64);
                match file.read_at(rest, from).map_err(failed(path))? {
                    0 => break,
                    read => filled += read,
                }
            }
            self.search(
                block.get(..filled).unwrap_or_default(),
                at,
                path,
                &mut found,
            );
            if filled < block.len() {
                break;
            }
            at = at.saturating_add(BLOCK_BYTES);
        }
        Ok(found)
    }

    /// Searches `text`, which begins at `offset` of the file `path`, for what begins in its first block.
    fn search(&self, text: &[u8], offset: u64, path: &Path, found: &mut Vec<FoundText>) {
        let mut tell = |at: usize, text: String, is_reference| {
            let is_known = found
                .iter()
                .any(|one: &FoundText| one.text == text && one.path == path);
            if is_known || found.len() >= FOUND_MAX {
                return;
            }
            found.push(FoundText {
                path: path.to_owned(),
                offset: offset.saturating_add(at as u64),
                text,
                is_reference,
            });
        };
        let is_in_block = |at: &usize| (*at as u64) < BLOCK_BYTES;
        for at in self.store.find_iter(text).take_while(is_in_block) {
            let name = text
                .get(at.saturating_add(STORE.len())..)
                .unwrap_or_default();
            if hash_of(name).is_some_and(|hash| !self.allowed.contains(hash)) {
                let name = String::from_utf8_lossy(name_of(name));
                tell(at, format!("/nix/store/{name}"), true);
            }
        }
        if self.forbidden.is_empty() || is_licence(path) {
            return;
        }
        for (forbidden, finder) in &self.forbidden {
            if let Some(at) = finder.find(text).filter(is_in_block) {
                tell(at, (*forbidden).to_owned(), false);
            }
        }
    }
}

/// `LICENSE`, `license.txt`, `EULA-12.pdf`; not `license_server.h`.
fn is_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_lowercase();
    let is_text = match name.rsplit_once('.') {
        Some((_, end)) => LICENCE_ENDS.contains(&end) || end.bytes().all(|b| b.is_ascii_digit()),
        None => true,
    };
    let rest = LICENCES
        .iter()
        .find_map(|licence| name.strip_prefix(licence));
    let ends_word = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    is_text && rest.is_some_and(ends_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_texts_and_references_are_found_wherever_they_are() {
        let hash = |digit: &str| digit.repeat(HASH_BYTES);
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let mut large = vec![0; (PIECE_BYTES + BLOCK_BYTES + 5) as usize];
        // Across the ends of blocks and of pieces.
        for (at, text) in [
            (BLOCK_BYTES - 3, format!("/nix/store/{}-a/lib", hash("a"))),
            (PIECE_BYTES - 20, format!("/nix/store/{}-b", hash("b"))),
            (PIECE_BYTES + BLOCK_BYTES - 2, "/usr/".to_owned()),
        ] {
            let at = at as usize;
            large[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        std::fs::write(root.join("large"), large).unwrap();
        std::fs::write(root.join("LICENSE.txt"), "/usr/").unwrap();
        std::fs::write(
            root.join("fine"),
            format!(
                "/nix/store/{}-c /nix/store/x-y /nix/store/ /a/nix/store/{}-f",
                hash("c"),
                hash("f")
            ),
        )
        .unwrap();
        let target = format!("/nix/store/{}-d/x", hash("d"));
        std::os::unix::fs::symlink(&target, root.join("link")).unwrap();
        let found = scan(&Scan {
            trees: vec![root.clone()],
            forbidden: vec!["/usr/".to_owned()],
            allowed_references: vec![
                PathBuf::from(format!("/nix/store/{}-c/lib", hash("c"))),
                PathBuf::from(format!("/a/nix/store/{}-f", hash("f"))),
            ],
        })
        .unwrap();
        let found: Vec<String> = found
            .iter()
            .map(|found| {
                let file = found.path.strip_prefix(&root).unwrap().display();
                format!("{file}@{}: {}", found.offset, found.text)
            })
            .collect();
        assert_eq!(
            found,
            [
                format!("link@0: /nix/store/{}-d", hash("d")),
                format!("large@{}: /nix/store/{}-a", BLOCK_BYTES - 3, hash("a")),
                format!("large@{}: /nix/store/{}-b", PIECE_BYTES - 20, hash("b")),
                format!("large@{}: /usr/", PIECE_BYTES + BLOCK_BYTES - 2),
            ]
        );
    }

    #[test]
    fn licences_are_told_by_their_names() {
        for (name, expected) in [
            ("LICENSE", true),
            ("license.txt", true),
            ("EULA-12.9.pdf", true),
            ("NOTICE", true),
            ("LICENSE_cub.md", true),
            ("notices.h", false),
            ("license_server.so", false),
            ("licensed.txt", false),
        ] {
            assert_eq!(is_licence(Path::new(name)), expected, "{name}");
        }
    }
}
