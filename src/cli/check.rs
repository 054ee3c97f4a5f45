//! The command `check`.

use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

use rayon::prelude::*;

use super::args::CheckArgs;
use crate::error::{Error, Kind, Problem};
use crate::manifest;
use crate::text;

#[derive(Debug, thiserror::Error)]
enum CheckProblem {
    #[error("cannot {action}")]
    Io {
        place: String,
        action: &'static str,
        #[source]
        source: io::Error,
    },
}

impl Problem for CheckProblem {
    fn kind(&self) -> Kind {
        Kind::Fault
    }

    fn place(&self) -> Option<String> {
        let CheckProblem::Io { place, .. } = self;
        Some(place.clone())
    }
}

/// Judges the files in parallel and prints the verdicts in the order typed: good files on stdout, problems on stderr.
pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, Error> {
    let verdicts: Vec<Result<String, Error>> = args
        .files
        .par_iter()
        .map(|path| {
            let name = path.to_string_lossy();
            let io = |source| CheckProblem::Io {
                place: text::printable(&name),
                action: "read",
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
    let mut code = 0;
    let mut stdout = io::stdout().lock();
    for verdict in verdicts {
        match verdict {
            Ok(line) => match stdout.write_all(line.as_bytes()) {
                // Whoever closed stdout does not want the good news; the exit code still counts.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    let place = "stdout".to_owned();
                    return Err(CheckProblem::Io {
                        place,
                        action: "write",
                        source: error,
                    }
                    .into());
                }
                _ => {}
            },
            Err(error) => {
                super::report(&error);
                code = code.max(error.kind().exit_code());
            }
        }
    }
    Ok(ExitCode::from(code))
}
