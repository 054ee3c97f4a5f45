//! What is judged: files, what lies below folders, and stdin.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::{Diagnostic, Kind, Problem, Severity};
use crate::manifest::MOST_BYTES;
use crate::text;

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A file, or a folder that is none of these.
    File(PathBuf),
    /// A folder without files.
    EmptyFolder(PathBuf),
    /// The standard input.
    Stdin,
}

/// A file or folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read")]
pub(super) struct ReadError {
    place: String,
    #[source]
    source: io::Error,
}

impl Problem for ReadError {
    fn kind(&self) -> Kind {
        Kind::Fault
    }

    fn place(&self) -> Option<String> {
        Some(self.place.clone())
    }
}

impl Input {
    /// Its name, as typed; bytes that are not UTF-8 are lost.
    pub(super) fn name(&self) -> String {
        match self {
            Input::File(path) | Input::EmptyFolder(path) => path.to_string_lossy().into_owned(),
            Input::Stdin => "<stdin>".to_owned(),
        }
    }

    /// Its text, or what is wrong with it before it is looked at.
    pub(super) fn read(&self) -> Result<Result<Vec<u8>, Box<Diagnostic>>, ReadError> {
        let most = u64::from(MOST_BYTES);
        let mut text = Vec::new();
        let read = match self {
            Input::EmptyFolder(_) => {
                let expected = "files named `*.json` in the folder".to_owned();
                return Ok(Err(self.refuse("empty-folder", expected, "none")));
            }
            Input::Stdin => io::stdin().lock().take(most + 1).read_to_end(&mut text),
            Input::File(path) => {
                File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut text))
            }
        };
        read.map_err(|source| self.unreadable(source))?;
        if u64::try_from(text.len()).is_ok_and(|length| length <= most) {
            return Ok(Ok(text));
        }
        let expected = format!("a file of at most {MOST_BYTES} bytes");
        Ok(Err(self.refuse("size", expected, "more")))
    }

    fn unreadable(&self, source: io::Error) -> ReadError {
        let place = text::printable(&self.name());
        ReadError { place, source }
    }

    fn refuse(&self, code: &'static str, expected: String, found: &str) -> Box<Diagnostic> {
        Box::new(Diagnostic {
            severity: Severity::Error,
            code,
            file: text::printable(&self.name()),
            position: None,
            path: String::new(),
            expected,
            found: found.to_owned(),
            hint: None,
        })
    }
}

/// The inputs that `typed` stands for, in that order; folders that cannot be read are among them as such.
///
/// Of a folder that is all files `*.json` below it, sorted. Hidden entries, links to folders, and what is no file are left out.
pub(super) fn find(typed: &[PathBuf]) -> Vec<(Input, Result<(), ReadError>)> {
    let mut found = Vec::new();
    for path in typed {
        if path.as_os_str() == "-" {
            found.push((Input::Stdin, Ok(())));
        } else if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            let before = found.len();
            walk(path, &mut found);
            if found.len() == before {
                found.push((Input::EmptyFolder(path.clone()), Ok(())));
            }
        } else {
            found.push((Input::File(path.clone()), Ok(())));
        }
    }
    found
}

fn walk(dir: &Path, found: &mut Vec<(Input, Result<(), ReadError>)>) {
    let mut fail = |path: &Path, source| {
        let input = Input::File(path.to_owned());
        let error = input.unreadable(source);
        found.push((input, Err(error)));
    };
    let entries = fs::read_dir(dir).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()
    });
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(source) => return fail(dir, source),
    };
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.starts_with(b".") {
            continue;
        }
        let is_json = name.ends_with(b".json");
        let is_dir = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if is_dir {
            walk(&path, found);
        } else if is_json {
            // What cannot even be looked at is told by whoever reads it.
            if fs::metadata(&path).map_or(true, |metadata| metadata.is_file()) {
                found.push((Input::File(path), Ok(())));
            }
        }
    }
}
