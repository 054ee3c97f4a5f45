//! Data for stdout, and the exit code of several inputs.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
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

/// Lets `work` at each of `files`, in parallel, and prints the text it leaves, also where it fails, in the order of the files; its gravest
/// problem is the exit code. Names of one and the same file (links, a name given twice) have their turns one after the other, in their order.
pub(super) fn each(
    files: &[PathBuf],
    work: impl Fn(&Path, &mut String) -> Result<(), Error> + Sync,
) -> ExitCode {
    let groups = by_file(files);
    type Done = (usize, String, Result<(), Error>);
    let in_turn = |group: &Vec<usize>| -> Vec<Done> {
        let named = group.iter().copied();
        let named = named.filter_map(|index| Some((index, files.get(index)?)));
        let one = |(index, file): (usize, &PathBuf)| {
            let mut text = String::new();
            let outcome = work(file, &mut text);
            (index, text, outcome)
        };
        named.map(one).collect()
    };
    let mut done: Vec<Done> = match &*groups {
        // To start threads takes longer than most edits.
        [group] => in_turn(group),
        _ => groups.par_iter().flat_map_iter(in_turn).collect(),
    };
    done.sort_by_key(|(index, ..)| *index);
    let printed = done
        .into_iter()
        .flat_map(|(_, text, outcome)| [print(&text), outcome]);
    exit_code(worst(printed))
}

/// The places of `files` in their list, those of one file together. What cannot be looked at stands alone: `work` says why.
fn by_file(files: &[PathBuf]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<(u64, u64), usize> = HashMap::new();
    for (index, file) in files.iter().enumerate() {
        let id = file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        let group = id.map_or(groups.len(), |id| *known.entry(id).or_insert(groups.len()));
        match groups.get_mut(group) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

/// The exit code of several inputs, from their gravest problem.
pub(super) fn exit_code(gravest: Option<Kind>) -> ExitCode {
    gravest.map_or(ExitCode::SUCCESS, |kind| ExitCode::from(kind.exit_code()))
}
