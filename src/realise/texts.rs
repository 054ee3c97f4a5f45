//! The files that build systems read, with the paths that things are found at after the split.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::cmake;
use super::error::RealiseError;
use super::links::{self, Target};
use super::pkg_config;
use super::references::References;
use super::split::{Homes, Piece, PieceKind, Split};
use super::stage::Stage;
use super::tree::Tree;
use super::variables::Meaning;
use super::{Event, Progress};
use crate::error::Error;
use crate::plan::outputs::Placement;
use crate::plan::{OutputName, Pattern, Plan};
use crate::relpath::RelPath;
use crate::text;

/// The largest of NVIDIA's own has 30 kB; what is larger was not written for build systems.
pub(super) const TEXT_BYTES_MAX: u64 = 1 << 20;

/// NVIDIA's files name their package some dozens of times. One that asks for more is no such file, and stays as it is.
const LOOKUPS_MAX: usize = 20_000;

/// Rewrites the files of pkg-config and CMake in `stage` and says which ones. What they refer to is added to `references`.
///
/// # Errors
/// The file system refuses.
pub(super) fn rewrite(
    plan: &Plan,
    tree: &Tree,
    homes: &Homes<'_>,
    split: &Split,
    stage: &Stage,
    references: &mut References,
    progress: Progress<'_>,
) -> Result<Vec<Placement>, Error> {
    let mut rewritten = Vec::new();
    for piece in split.pieces() {
        if piece.kind != PieceKind::File {
            continue;
        }
        let is_pkg_config = piece.from.as_str().ends_with(".pc");
        if !is_pkg_config && !piece.from.as_str().ends_with(".cmake") {
            continue;
        }
        let path = stage.dir(piece.to.output)?.join(&piece.to.path);
        let Ok(text) = read(&path)? else {
            continue;
        };
        let mut finder = Finder {
            plan,
            tree,
            homes,
            piece,
            references: References::default(),
            lookups: 0,
        };
        let mut find = |path: &str| finder.place(path);
        let Placement { output, path: file } = &piece.to;
        let top = plan.outputs.get(output).and_then(|path| path.to_str());
        let top = top.ok_or(RealiseError::NoOutput { output: *output })?;
        let itself = Meaning {
            path: piece.from.to_string(),
            now: format!("{top}/{file}"),
        };
        let new = if is_pkg_config {
            pkg_config::rewrite(&text, &itself, &mut find)
        } else {
            cmake::rewrite(&text, &itself, top, &mut find)
        };
        if finder.lookups > LOOKUPS_MAX || new.len() as u64 > TEXT_BYTES_MAX {
            progress(Event::Warning(&format!(
                "{output}: {file}: names its package more often than any file for build systems: left as it is"
            )));
            continue;
        }
        references.add_all(finder.references);
        if new != text {
            fs::write(&path, new).map_err(|source| RealiseError::io("rewrite", &path, source))?;
            progress(Event::Detail(&format!("{output}: {file}: paths rewritten")));
            rewritten.push(piece.to.clone());
        }
    }
    Ok(rewritten)
}

/// Replaces texts in the files that a glob matches, as laid out: everywhere, longer ones first.
///
/// # Errors
/// A file that is matched is no text or too large, or does not have what is to be replaced; the file system refuses.
pub(super) fn replace(
    replacements: &[(Pattern, Vec<(String, String)>)],
    split: &Split,
    stage: &Stage,
    progress: Progress<'_>,
) -> Result<(), Error> {
    for (pattern, texts) in replacements {
        let mut is_there = false;
        for piece in split.pieces() {
            let Placement { output, path: file } = &piece.to;
            if piece.kind != PieceKind::File || !pattern.matches(file) {
                continue;
            }
            is_there = true;
            if texts.is_empty() {
                continue;
            }
            let path = stage.dir(*output)?.join(file);
            let shown = || format!("{output}:{file}");
            let text = read(&path)?.map_err(|found| RealiseError::NoText {
                file: shown(),
                found,
            })?;
            let new = replaced(&text, texts).map_err(|absent| RealiseError::NothingToReplace {
                file: shown(),
                text: absent,
            })?;
            if new == text {
                continue;
            }
            fs::write(&path, new).map_err(|source| RealiseError::io("rewrite", &path, source))?;
            progress(Event::Detail(&format!("{output}: {file}: texts replaced")));
        }
        if !is_there {
            let glob = pattern.as_str();
            progress(Event::Warning(&text::printable(&format!(
                "`replaceTexts`: `{glob}` matches no file"
            ))));
        }
    }
    Ok(())
}

/// `text` with the second of each pair for the first, in one pass, so that nothing is replaced twice; the first that is
/// nowhere, as error.
fn replaced(text: &str, pairs: &[(String, String)]) -> Result<String, String> {
    let mut longest: Vec<&(String, String)> = pairs.iter().collect();
    longest.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    let mut used = BTreeSet::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = longest
            .iter()
            .find_map(|(from, to)| Some((from, to, rest.strip_prefix(from.as_str())?)));
        match found {
            Some((from, to, after)) => {
                used.insert(from);
                out.push_str(to);
                rest = after;
            }
            None => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    match pairs.iter().find(|(from, _)| !used.contains(from)) {
        Some((absent, _)) => Err(absent.clone()),
        None => Ok(out),
    }
}

/// The text; what the file is instead, when it is none or too large.
fn read(path: &Path) -> Result<Result<String, String>, Error> {
    let failed = |source| RealiseError::io("read", path, source);
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > TEXT_BYTES_MAX {
        return Ok(Err(format!("{size} bytes")));
    }
    let text = String::from_utf8(fs::read(path).map_err(failed)?);
    Ok(text.map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("other bytes from byte {at} on")
    }))
}

/// Finds things for one file.
struct Finder<'a> {
    plan: &'a Plan,
    tree: &'a Tree,
    homes: &'a Homes<'a>,
    piece: &'a Piece,
    /// What the file refers to.
    references: References,
    lookups: usize,
}

impl Finder<'_> {
    /// Where `path` of the archive (empty: the top) is: the output, and the path there (empty: its top).
    fn find(&self, path: &str) -> Option<(OutputName, String)> {
        let own = self.piece.to.output;
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Some((own, String::new()));
        }
        // As the archive has it, else as NVIDIA installs it, or names the folder of libraries elsewhere.
        let installed = path
            .strip_prefix("targets/")
            .map(|rest| rest.split_once('/').map_or("", |(_, rest)| rest));
        let renamed = |path: &str| path.strip_prefix("lib64").map(|rest| format!("lib{rest}"));
        let mut candidates = vec![path.to_owned()];
        candidates.extend(installed.map(str::to_owned));
        candidates.extend(renamed(installed.unwrap_or(path)));
        candidates.iter().find_map(|path| self.locate(path))
    }

    fn locate(&self, path: &str) -> Option<(OutputName, String)> {
        // Links to folders are followed, also where the last part is one that is left out.
        let top = RelPath::new("top").ok()?;
        let found = links::named(self.tree, &top, path)?;
        let path = match found {
            Target::Top => return Some((self.piece.to.output, String::new())),
            Target::Path(path) => path,
        };
        let found = self.homes.locate(self.tree, &path);
        let found = found.or_else(|| match links::end(self.tree, &top, path.as_str())? {
            Target::Top => None,
            Target::Path(path) => self.homes.locate(self.tree, &path),
        });
        found.map(|Placement { output, path }| (output, path.to_string()))
    }

    /// The final path of `path` of the archive; a reference when that is in another output.
    fn place(&mut self, path: &str) -> Option<String> {
        self.lookups = self.lookups.saturating_add(1);
        if self.lookups > LOOKUPS_MAX {
            return None;
        }
        let (output, location) = self.find(path)?;
        let root = self.plan.outputs.get(&output)?.to_str()?;
        let own = &self.piece.to;
        self.references
            .add(own.output, output, own.path.as_str(), path);
        Some(match location.as_str() {
            "" => root.to_owned(),
            location => format!("{root}/{location}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_replaced_once_and_longer_ones_first() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let pairs = pairs.iter();
            pairs
                .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
                .collect()
        };
        for (text, replacements, expected) in [
            ("-lcuda", &[("-lcuda", "-lcuda -x")][..], Ok("-lcuda -x")),
            ("aba", &[("a", "b"), ("b", "a")], Ok("bab")),
            ("abc", &[("a", "1"), ("abc", "2")], Err("a")),
            ("abc a", &[("a", "1"), ("abc", "2")], Ok("2 1")),
            ("é", &[("x", "")], Err("x")),
            ("éxé", &[("x", "")], Ok("éé")),
            ("", &[], Ok("")),
        ] {
            let found = replaced(text, &pairs(replacements));
            let found = found.as_deref().map_err(String::as_str);
            assert_eq!(found, expected, "{text}");
        }
    }
}
