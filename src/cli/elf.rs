//! The command `elf`: looks at ELF files and edits them in place.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Value, json};

use super::args::{ElfArgs, ElfCommand, ShowFormat};
use super::stdout::{exit_code, print, worst};
use crate::elf::{self, Facts};
use crate::error::{Error, Kind, Problem};
use crate::fatbin::{self, Architecture};
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

/// Runs the command. Every file has its turn; the gravest problem decides the exit code.
pub(super) fn run(args: &ElfArgs) -> Result<ExitCode, Error> {
    let gravest = match &args.command {
        ElfCommand::Show { format, files } => show(*format, files),
        ElfCommand::SetRunpath { runpath, files } => {
            worst(files.iter().map(|file| print(&set_runpath(file, runpath)?)))
        }
    };
    Ok(exit_code(gravest))
}

/// Edits one file and says in one line what was done: rung, bytes read and written, microseconds, name.
fn set_runpath(file: &Path, runpath: &str) -> Result<String, Error> {
    let start = Instant::now();
    let patched = elf::set_runpath(file, runpath)?;
    Ok(format!(
        "{} read {} written {} us {} {}\n",
        patched.rung,
        patched.bytes_read,
        patched.bytes_written,
        start.elapsed().as_micros(),
        text::printable(&file.display().to_string())
    ))
}

fn show(format: ShowFormat, files: &[PathBuf]) -> Option<Kind> {
    let mut objects = Vec::new();
    let gravest = worst(files.iter().map(|file| {
        let place = text::printable(&file.display().to_string());
        let facts = elf::read(file)?.ok_or_else(|| NotElf {
            place: place.clone(),
        })?;
        let architectures = fatbin::architectures(file)?;
        match format {
            ShowFormat::Human => print(&human(&place, &facts, &architectures))?,
            ShowFormat::Json => objects.push(object(file, &facts, &architectures)),
        }
        Ok(())
    }));
    let list =
        (format == ShowFormat::Json).then(|| print(&format!("{:#}\n", Value::Array(objects))));
    gravest.max(worst(list.into_iter()))
}

/// The names of architectures, in their order.
fn names(architectures: &[Architecture]) -> Vec<String> {
    architectures.iter().map(Architecture::to_string).collect()
}

fn human(place: &str, facts: &Facts, architectures: &[Architecture]) -> String {
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
    line(
        "cuda",
        (!architectures.is_empty())
            .then(|| names(architectures).join(" "))
            .as_deref(),
    );
    line(
        "spare slots",
        facts
            .is_dynamic
            .then(|| facts.spare_dynamic_slots.to_string())
            .as_deref(),
    );
    out
}

fn object(file: &Path, facts: &Facts, architectures: &[Architecture]) -> Value {
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
        "cudaArchitectures": names(architectures),
        "spareDynamicSlots": facts.spare_dynamic_slots,
    })
}
