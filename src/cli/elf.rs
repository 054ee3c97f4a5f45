//! The command `elf`: looks at ELF files and edits them in place.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::args::{ElfArgs, ElfCommand, ShowFormat};
use super::stdout::{each, exit_code, print, worst};
use crate::elf::{self, Edit, ElfKind, Facts, Rung, SearchPath, Writing};
use crate::error::{Error, Problem};
use crate::fatbin::{self, Architecture, DeviceCode};
use crate::resolve::{self, Consumers, Entry, Found, Tree};
use crate::text;

/// A file that was named is no ELF file.
#[derive(Debug, thiserror::Error)]
#[error("expected an ELF file, found another kind of file")]
struct NotElf {
    place: String,
}

impl Problem for NotElf {
    fn place(&self) -> Option<String> {
        Some(self.place.clone())
    }
}

/// A RUNPATH as long as real ones, for the question how an edit would find room.
const LONG_RUNPATH: usize = 256;

/// Runs the command. Every file has its turn; the gravest problem decides the exit code.
pub(super) fn run(args: &ElfArgs) -> Result<ExitCode, Error> {
    Ok(match &args.command {
        ElfCommand::Show { format, files } => show(*format, files),
        ElfCommand::SetRunpath { runpath, files } => {
            let edit = Edit::runpath(runpath);
            each(files, |file, out| carry_out(&edit, file, out))
        }
        ElfCommand::RemoveRunpath { files } => {
            let edit = Edit {
                search_path: SearchPath::Remove,
                ..Edit::default()
            };
            each(files, |file, out| carry_out(&edit, file, out))
        }
        ElfCommand::FixRunpath {
            driver_paths,
            library_paths,
            paths,
        } => {
            let mut files = Vec::new();
            let listed = paths.iter().flat_map(|path| files_below(path, &mut files));
            let gravest = worst(listed.map(Err));
            let consumers = Consumers::new(driver_paths, library_paths);
            let fixed = each(&files, |file, out| fix(&consumers, file, out));
            match gravest {
                Some(gravest) => exit_code(Some(gravest)),
                None => fixed,
            }
        }
        ElfCommand::SetInterpreter { interpreter, files } => {
            let edit = Edit::interpreter(interpreter);
            each(files, |file, out| carry_out(&edit, file, out))
        }
    })
}

/// Edits one file and says in one line what was done: rung, bytes read and written, microseconds, name.
fn carry_out(edit: &Edit, file: &Path, out: &mut String) -> Result<(), Error> {
    let start = Instant::now();
    let patched = elf::edit(file, edit, Writing::Safely)?;
    *out = format!(
        "{} read {} written {} us {} {}\n",
        patched.rung,
        patched.bytes_read,
        patched.bytes_written,
        start.elapsed().as_micros(),
        text::printable(&file.display().to_string())
    );
    Ok(())
}

/// Adds the files in `path` to `files`; links are not followed. Returns what could not be looked at: the files beside it count all the same.
fn files_below(path: &Path, files: &mut Vec<PathBuf>) -> Vec<Error> {
    let tree = match Tree::read(path) {
        Ok(tree) => tree,
        Err(error) => return vec![error],
    };
    let is_file = |entry: &&Entry| matches!(entry.found, Found::File);
    let found = tree.entries.iter().filter(is_file);
    files.extend(found.map(|entry| tree.shown(&entry.path)));
    tree.unreadable.into_iter().map(Error::from).collect()
}

/// Sets the RUNPATH of one file right and says so; what the loader does not look at stays as it is.
fn fix(consumers: &Consumers<'_>, file: &Path, out: &mut String) -> Result<(), Error> {
    let Some(facts) = resolve::read(file)?.filter(resolve::is_loadable) else {
        return Ok(());
    };
    let names = resolve::names(file)?;
    let runpath = consumers.runpath(&facts, &names)?;
    let old = facts.runpath.as_deref().or(facts.rpath.as_deref());
    if old.unwrap_or_default() == runpath {
        return Ok(());
    }
    let edit = match runpath.as_str() {
        "" => Edit {
            search_path: SearchPath::Remove,
            ..Edit::default()
        },
        runpath => Edit::runpath(runpath),
    };
    elf::edit(file, &edit, Writing::Safely)?;
    *out = format!(
        "{}: RUNPATH {}\n",
        text::printable(&file.display().to_string()),
        text::printable(&runpath)
    );
    Ok(())
}

/// What is shown of one file.
struct Shown {
    facts: Facts,
    /// Why not, where the device code is not understood.
    architectures: Result<Vec<Architecture>, String>,
    /// How an edit would find room, or why not; `None` when there is nothing to edit.
    rung: Option<Result<Rung, String>>,
}

impl Shown {
    fn read(file: &Path) -> Result<Shown, Error> {
        let facts = elf::read(file)?.ok_or_else(|| NotElf {
            place: text::printable(&file.display().to_string()),
        })?;
        let long = "x".repeat(LONG_RUNPATH);
        let is_static = facts.kind == ElfKind::Executable && facts.interpreter.is_none();
        let edit = match (facts.is_dynamic && !is_static, &facts.interpreter) {
            (true, _) => Some(Edit::runpath(&long)),
            (false, Some(_)) => Some(Edit::interpreter(&long)),
            (false, None) => None,
        };
        let rung = edit.map(|edit| elf::rung(file, &edit));
        let reason = |error: Error| {
            let first = error.problems().next().map(ToString::to_string);
            first.unwrap_or_default()
        };
        Ok(Shown {
            architectures: match fatbin::read(file)? {
                DeviceCode::Understood(counts) => Ok(counts.into_keys().collect()),
                DeviceCode::NotUnderstood(error) => Err(reason(error)),
            },
            rung: rung.map(|rung| rung.map_err(reason)),
            facts,
        })
    }
}

fn show(format: ShowFormat, files: &[PathBuf]) -> ExitCode {
    if format == ShowFormat::Human {
        return each(files, |file, out| {
            let place = text::printable(&file.display().to_string());
            *out = human(&place, &Shown::read(file)?);
            Ok(())
        });
    }
    let shown: Vec<_> = files.par_iter().map(|file| Shown::read(file)).collect();
    let mut objects = Vec::new();
    let gravest = worst(files.iter().zip(shown).map(|(file, shown)| {
        objects.push(object(file, &shown?));
        Ok(())
    }));
    let list = print(&format!("{:#}\n", Value::Array(objects)));
    exit_code(gravest.max(worst(std::iter::once(list))))
}

/// The names of architectures, in their order.
fn names(architectures: &[Architecture]) -> Vec<String> {
    architectures.iter().map(Architecture::to_string).collect()
}

fn human(place: &str, shown: &Shown) -> String {
    let facts = &shown.facts;
    let mut out = format!("{place}\n");
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(out, "  {name:<14}{}", text::printable(value));
        }
    };
    line("machine", Some(&facts.machine.to_string()));
    line("kind", Some(&facts.kind.to_string()));
    line("interpreter", facts.interpreter.as_deref());
    line("soname", facts.soname.as_deref());
    for needed in &facts.needed {
        line("needed", Some(needed));
    }
    line("rpath", facts.rpath.as_deref());
    line("runpath", facts.runpath.as_deref());
    line("build id", facts.build_id.as_deref());
    let architectures = match &shown.architectures {
        Ok(architectures) => names(architectures).join(" "),
        Err(reason) => format!("not understood: {reason}"),
    };
    line(
        "cuda",
        Some(&*architectures).filter(|names| !names.is_empty()),
    );
    let segments = match facts.misaligned_segments {
        0 => "congruent".to_owned(),
        count => format!("{count} not congruent (glibc before 2.35 refuses the file)"),
    };
    line("segments", shown.rung.as_ref().map(|_| &*segments));
    let slots = facts.spare_dynamic_slots.to_string();
    line("spare slots", facts.is_dynamic.then_some(&*slots));
    let rung = shown.rung.as_ref().map(|rung| match rung {
        Ok(rung) => format!("{rung}, {}", rung.description()),
        Err(reason) => format!("none: {reason}"),
    });
    line("rung", rung.as_deref());
    out
}

fn object(file: &Path, shown: &Shown) -> Value {
    let facts = &shown.facts;
    let rung = shown.rung.as_ref().and_then(|rung| rung.as_ref().ok());
    let refusal = shown.rung.as_ref().and_then(|rung| rung.as_ref().err());
    json!({
        "file": file.display().to_string(),
        "machine": facts.machine.to_string(),
        "kind": facts.kind.to_string(),
        "dynamic": facts.is_dynamic,
        "interpreter": facts.interpreter,
        "soname": facts.soname,
        "needed": facts.needed,
        "rpath": facts.rpath,
        "runpath": facts.runpath,
        "buildId": facts.build_id,
        "cudaArchitectures": shown.architectures.as_deref().map(names).ok(),
        "cudaNotUnderstood": shown.architectures.as_ref().err(),
        "misalignedSegments": facts.misaligned_segments,
        "spareDynamicSlots": facts.spare_dynamic_slots,
        "rung": rung.map(Rung::to_string),
        "refusal": refusal,
    })
}
