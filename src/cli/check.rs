//! The command `check`.

use std::fs;
use std::io;
use std::process::ExitCode;

use rayon::prelude::*;

use super::args::CheckArgs;
use super::stdout::{exit_code, print, worst};
use crate::error::{Error, Kind, Problem};
use crate::manifest;
use crate::text;

#[derive(Debug, thiserror::Error)]
#[error("cannot read")]
struct ReadError {
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

/// Judges the files in parallel and prints the verdicts in the order typed: good files on stdout, problems on stderr.
pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, Error> {
    let verdicts: Vec<Result<String, Error>> = args
        .files
        .par_iter()
        .map(|path| {
            let name = path.to_string_lossy();
            let io = |source| ReadError {
                place: text::printable(&name),
                source,
            };
            let text = fs::read(path).map_err(io)?;
            let manifest = manifest::read(&text, &name)?;
            let (count, noun) = match manifest.packages().len() {
                1 => (1, "package"),
                count => (count, "packages"),
            };
            Ok(format!("{}: ok, {count} {noun}\n", text::printable(&name)))
        })
        .collect();
    let printed = verdicts.into_iter().map(|verdict| print(&verdict?));
    Ok(exit_code(worst(printed)))
}
