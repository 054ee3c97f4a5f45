//! What can be asked for, and how it is carried out: read, lay out, write, check.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use super::check::{self, Image};
use super::error::ElfError;
use super::read::Facts;
use super::source::Source;
use super::{layout, write};
use crate::error::Error;
use crate::text;

/// How an edit found its place, cheapest first. `Display` gives the short name that the log and the tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// `S0`: the file has the value already; nothing was written.
    Same,
    /// `S1`: the new string took the place of the old one.
    Slot,
    /// `S2`: the string table ends the file, and grew.
    Grow,
    /// `P3`: a new read-only segment at the end of the file holds a longer copy of the string table.
    NewSegment,
    /// `P2`: the last segment was extended over its zero-initialised bytes and holds a longer copy of the string table.
    ExtendSegment,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rung::Same => "S0",
            Rung::Slot => "S1",
            Rung::Grow => "S2",
            Rung::NewSegment => "P3",
            Rung::ExtendSegment => "P2",
        })
    }
}

/// What an edit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patched {
    /// How it found its place.
    pub rung: Rung,
    /// Bytes read in all, for the edit and for the check behind it.
    pub bytes_read: u64,
    /// Bytes written; 0 for [`Rung::Same`], and only then.
    pub bytes_written: u64,
}

/// Makes `runpath` the RUNPATH of the ELF file `path`, in place. A `DT_RPATH` goes: the value becomes a RUNPATH.
///
/// No code and no data get another address, and every other byte that is loaded stays as it was, except notes, hash
/// tables and the interpreter's name, which may move as a whole. A file that has the value already is not written to
/// and keeps its times: the edit is idempotent. After writing, the file's tables are read again and judged; should
/// they break a rule, the file is put back as it was.
///
/// # Errors
/// The file cannot be read or written; `runpath` holds a NUL; the file is not a dynamic 64-bit little-endian ELF file for
/// x86_64, aarch64 or ppc64le, its tables contradict each other, or it has no room of any sort. It is then unchanged, its
/// times included (unless the system refuses even to put it back, which the message says).
pub fn set_runpath(path: &Path, runpath: &str) -> Result<Patched, Error> {
    let place = text::printable(&path.display().to_string());
    if runpath.contains('\0') {
        return Err(ElfError::Value {
            place,
            found: text::quote(runpath),
        }
        .into());
    }
    let (mut source, read_only) = open(path, place)?;
    let (before, facts) = Image::read(&source)?;
    let plan = layout::runpath(&source, &before, &facts, runpath)?;
    if plan.rung == Rung::Same {
        return Ok(Patched {
            rung: Rung::Same,
            bytes_read: source.bytes_read(),
            bytes_written: 0,
        });
    }
    if let Some(error) = read_only {
        return Err(error.into());
    }
    let bytes_written = write::apply(&mut source, &plan, |source| {
        judge(source, &before, &facts, runpath)
    })?;
    Ok(Patched {
        rung: plan.rung,
        bytes_read: source.bytes_read(),
        bytes_written,
    })
}

/// Opens `path` for writing; where that is not allowed, for reading, together with the error: asking for what the
/// file has already needs no right to write.
fn open(path: &Path, place: String) -> Result<(Source, Option<ElfError>), ElfError> {
    // Asking for the right to write would already fail on a directory or wait on a pipe.
    let io = |place, action, source| ElfError::Io {
        place,
        action,
        source,
    };
    match path.metadata() {
        Ok(meta) if !meta.is_file() => return Source::open(path).map(|source| (source, None)),
        Ok(_) => {}
        Err(error) => return Err(io(place, "open the file", error)),
    }
    match File::options().read(true).write(true).open(path) {
        Ok(file) => Ok((Source::new(file, place)?, None)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::ExecutableFileBusy
            ) =>
        {
            Ok((
                Source::open(path)?,
                Some(io(place, "open the file for writing", error)),
            ))
        }
        Err(error) => Err(io(place, "open the file for writing", error)),
    }
}

/// Is the written file what was asked for, and nothing else?
fn judge(source: &Source, before: &Image, old: &Facts, runpath: &str) -> Result<(), check::Breach> {
    let (after, new) = Image::read(source).map_err(|error| {
        let found = Error::from(error).render();
        ("tables that can be read again".to_owned(), found)
    })?;
    check::compare(before, &after)?;
    let wanted = Facts {
        rpath: None,
        runpath: Some(runpath.to_owned()),
        spare_dynamic_slots: new.spare_dynamic_slots,
        ..old.clone()
    };
    if new != wanted {
        return Err((format!("{wanted:?}"), format!("{new:?}")));
    }
    Ok(())
}
