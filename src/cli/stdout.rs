//! Data for stdout, and the exit code of several inputs.

use std::io::{self, Write as _};
use std::process::ExitCode;

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

/// The exit code of several inputs, from their gravest problem.
pub(super) fn exit_code(gravest: Option<Kind>) -> ExitCode {
    gravest.map_or(ExitCode::SUCCESS, |kind| ExitCode::from(kind.exit_code()))
}
