//! Data for stdout, and the exit code of several inputs.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rayon::prelude::*;

use crate::error::{Error, Kind, Problem};

/// Nobody will see the data.
#[derive(Debug, thiserror::Error)]
#[error("cannot write")]
struct StdoutError {
    #[source]
    source: io::Error,
}

impl Problem for StdoutError {
    fn kind(&self) -> Kind {
        Kind::Fault
    }

    fn place(&self) -> Option<String> {
        Some("stdout".to_owned())
    }
}

/// Writes data. Whoever closed stdout does not want more of it; what is done and exit codes count all the same.
pub(super) fn print(text: &str) -> Result<(), Error> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(StdoutError { source }.into())
        }
        _ => Ok(()),
    }
}

/// Reports each error among `outcomes` as it comes and gives back the gravest kind; `None` when all went well.
pub(super) fn worst(outcomes: impl Iterator<Item = Result<(), Error>>) -> Option<Kind> {
    outcomes
        .filter_map(|outcome| {
            let error = outcome.err()?;
            super::report(&error);
            Some(error.kind())
        })
        .max()
}

/// Lets `work` at each of `files`, in parallel, and prints what it gives back in the order of the files; its gravest problem is the
/// exit code.
pub(super) fn each(
    files: &[PathBuf],
    work: impl Fn(&Path) -> Result<String, Error> + Sync,
) -> ExitCode {
    let done: Vec<Result<String, Error>> = match files {
        // To start threads takes longer than most edits.
        [file] => vec![work(file)],
        _ => files.par_iter().map(|file| work(file)).collect(),
    };
    exit_code(worst(done.into_iter().map(|text| print(&text?))))
}

/// The exit code of several inputs, from their gravest problem.
pub(super) fn exit_code(gravest: Option<Kind>) -> ExitCode {
    gravest.map_or(ExitCode::SUCCESS, |kind| ExitCode::from(kind.exit_code()))
}
