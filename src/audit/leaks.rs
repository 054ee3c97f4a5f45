//! Paths that lead out of the package: links, and the files that build systems read.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::ReadError;
use super::report::{LinkReport, TextReport};
use crate::error::Error;
use crate::resolve::{Entry, Found, Tree, foreign};

/// What build systems read, by the end of the file name.
const READ_BY_BUILDS: &[&str] = &["cmake", "la", "pc", "profile"];
/// The largest of NVIDIA's own has 30 kB.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// What was found about one entry.
#[derive(Default)]
pub(super) struct Leaks {
    pub(super) link: Option<LinkReport>,
    pub(super) text: Option<TextReport>,
}

/// Looks at one entry of `tree`. Links may lead to any of `roots`, which are paths without links.
pub(super) fn look(tree: &Tree, entry: &Entry, roots: &[PathBuf]) -> Result<Leaks, Error> {
    let path = tree.shown(&entry.path);
    let mut leaks = Leaks::default();
    match &entry.found {
        Found::Link { target, real } => {
            let leads_out = match real {
                Some(real) => {
                    let is_foreign = real.to_str().is_some_and(|real| foreign(real).is_some());
                    is_foreign && !roots.iter().any(|root| real.starts_with(root))
                }
                None => true,
            };
            if leads_out {
                leaks.link = Some(LinkReport {
                    path,
                    target: target.clone(),
                    is_broken: real.is_none(),
                });
            }
        }
        Found::File => {
            let end = path.extension().and_then(|end| end.to_str());
            if end.is_some_and(|end| READ_BY_BUILDS.contains(&end)) {
                let paths = foreign_paths(&path)?;
                if !paths.is_empty() {
                    leaks.text = Some(TextReport { path, paths });
                }
            }
        }
    }
    Ok(leaks)
}

/// The paths of hosts and builds in the first megabyte of a text, sorted.
fn foreign_paths(path: &Path) -> Result<BTreeSet<String>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|source| ReadError {
            path: path.to_owned(),
            source,
        })?;
    let text = String::from_utf8_lossy(&bytes);
    let foreign = paths_in(&text).filter(|path| foreign(path).is_some());
    Ok(foreign.map(str::to_owned).collect())
}

/// The absolute paths in a text that build systems read, as they stand there: without the root itself.
pub fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    let is_end = |c: char| c.is_whitespace() || "\"'`;:,()<>|&=[]".contains(c);
    let words = text.split(is_end).map(|word| {
        let without = word.strip_prefix("-I").or_else(|| word.strip_prefix("-L"));
        without.unwrap_or(word)
    });
    words.filter(|word| {
        let path = Path::new(word);
        path.has_root() && path.components().nth(1).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_hosts_and_builds_are_found_in_texts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pc");
        let text = "cudaroot=/usr/local/cuda-12.6\nlibdir=${cudaroot}/usr/lib\nLibs: -L/opt/x/lib -Wl,-rpath,/dvs/p4/lib\n\
            Cflags: -I/usrlocal -I${prefix}/include\nset(X \"/home/me/x.so\")\nurl=https://example/usr/bin\n\u{fffd}";
        std::fs::write(&file, text).unwrap();
        let found: Vec<String> = foreign_paths(&file).unwrap().into_iter().collect();
        assert_eq!(
            found,
            [
                "/dvs/p4/lib",
                "/home/me/x.so",
                "/opt/x/lib",
                "/usr/local/cuda-12.6"
            ]
        );
    }
}
