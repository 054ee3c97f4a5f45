//! The command `hash`.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use rayon::prelude::*;

use super::args::HashArgs;
use super::stdout::{exit_code, print, worst};
use crate::error::{Error, Kind, Problem};
use crate::hash::{self, Digests};
use crate::text;

#[derive(Debug, thiserror::Error)]
enum HashProblem {
    #[error("cannot {action}")]
    Io {
        place: String,
        action: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("expected a file, found a directory")]
    Directory { place: String },
}

impl Problem for HashProblem {
    fn kind(&self) -> Kind {
        Kind::Fault
    }

    fn place(&self) -> Option<String> {
        match self {
            HashProblem::Io { place, .. } | HashProblem::Directory { place } => Some(place.clone()),
        }
    }

    fn hint(&self) -> Option<String> {
        matches!(self, HashProblem::Directory { .. })
            .then(|| "add `--nar` to hash a tree as Nix does".to_owned())
    }
}

/// Hashes the paths in parallel and prints them in the order typed.
pub(super) fn run(args: &HashArgs) -> Result<ExitCode, Error> {
    let outcomes: Vec<Result<Digests, HashProblem>> = args
        .paths
        .par_iter()
        .map(|path| {
            if args.nar {
                digest_nar(path)
            } else {
                digest_file(path)
            }
        })
        .collect();
    let paths = args.paths.iter();
    let printed = paths
        .zip(outcomes)
        .map(|(path, digests)| print(&paragraph(path, &digests?)));
    Ok(exit_code(worst(printed)))
}

fn paragraph(path: &Path, digests: &Digests) -> String {
    let Digests {
        sha256,
        md5,
        size_bytes,
    } = digests;
    format!(
        "{}\n  sha256  {}\n  SRI     {}\n  nix32   {}\n  md5     {}\n  size    {size_bytes}\n",
        text::printable(&path.to_string_lossy()),
        sha256.to_hex(),
        sha256.to_sri(),
        sha256.to_nix32(),
        md5.to_hex(),
    )
}

fn digest_file(path: &Path) -> Result<Digests, HashProblem> {
    let place = || text::printable(&path.to_string_lossy());
    let io = |action| {
        move |source| HashProblem::Io {
            place: place(),
            action,
            source,
        }
    };
    let file = File::open(path).map_err(io("open"))?;
    if file.metadata().map_err(io("look at"))?.is_dir() {
        return Err(HashProblem::Directory { place: place() });
    }
    hash::digest(file).map_err(io("read"))
}

/// Digests of the NAR serialisation of `path`; its size is that of the serialisation.
fn digest_nar(path: &Path) -> Result<Digests, HashProblem> {
    let place = || text::printable(&path.to_string_lossy());
    let io = |source| HashProblem::Io {
        place: place(),
        action: "serialise",
        source,
    };
    hash::digest(hash::nar(path).map_err(io)?).map_err(io)
}
