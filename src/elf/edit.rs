//! What can be asked for, and how it is carried out: read, lay out, write, check.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::check::{self, Image};
use super::error::ElfError;
use super::layout::{self, Plan};
use super::read::{ElfKind, Facts, INTERPRETER_BYTES_MAX};
use super::source::Source;
use super::strings::STRING_BYTES_MAX;
use super::write;
use crate::error::Error;
use crate::text;

/// What becomes of the directories that the loader searches for a file's libraries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SearchPath {
    /// They stay as they are.
    #[default]
    Keep,
    /// These, joined by `:`, as the one `DT_RUNPATH`; a `DT_RPATH` goes.
    Runpath(String),
    /// These, joined by `:`, as the one `DT_RPATH`, which the loader also searches for the libraries' own needs, and before
    /// `LD_LIBRARY_PATH`; a `DT_RUNPATH` goes.
    Rpath(String),
    /// Neither `DT_RUNPATH` nor `DT_RPATH` remains.
    Remove,
}

/// What to change in a file, all in one pass. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Where the loader searches.
    pub search_path: SearchPath,
    /// The new program interpreter (`PT_INTERP`); `None` leaves it. Only for files that have one.
    pub interpreter: Option<String>,
    /// Libraries that the file shall need too, behind those it needs; names that it needs already are left out.
    pub add_needed: Vec<String>,
}

impl Edit {
    /// The edit that makes `runpath` the RUNPATH.
    pub fn runpath(runpath: &str) -> Edit {
        Edit {
            search_path: SearchPath::Runpath(runpath.to_owned()),
            ..Edit::default()
        }
    }

    /// The edit that makes `path` the program interpreter.
    pub fn interpreter(path: &str) -> Edit {
        Edit {
            interpreter: Some(path.to_owned()),
            ..Edit::default()
        }
    }

    /// Does it touch the dynamic section?
    fn is_dynamic(&self) -> bool {
        self.search_path != SearchPath::Keep || !self.add_needed.is_empty()
    }

    /// What is done, for messages: `cannot TASK: ...`.
    fn task(&self) -> &'static str {
        match (&self.search_path, &self.interpreter) {
            (SearchPath::Keep, Some(_)) if self.add_needed.is_empty() => "set the interpreter",
            (SearchPath::Runpath(_), None) if self.add_needed.is_empty() => "set RUNPATH",
            (SearchPath::Rpath(_), None) if self.add_needed.is_empty() => "set RPATH",
            (SearchPath::Remove, None) if self.add_needed.is_empty() => "remove RUNPATH",
            (SearchPath::Keep, None) => "add NEEDED",
            _ => "edit the file",
        }
    }

    /// Can its values be stored, and read again?
    fn check(&self, place: &str) -> Result<(), ElfError> {
        let refuse = |expected: String, value: &str| {
            Err(ElfError::Value {
                place: place.to_owned(),
                task: self.task(),
                expected,
                found: text::quote(value),
            })
        };
        let search_path = match &self.search_path {
            SearchPath::Runpath(value) | SearchPath::Rpath(value) => Some(value),
            SearchPath::Keep | SearchPath::Remove => None,
        };
        let names = self.add_needed.iter().chain(&self.interpreter);
        for value in search_path.into_iter().chain(names.clone()) {
            if value.contains('\0') {
                return refuse("a text without NUL".to_owned(), value);
            }
            if value.len() as u64 >= STRING_BYTES_MAX {
                return refuse(format!("less than {STRING_BYTES_MAX} bytes"), value);
            }
        }
        for value in names {
            if value.is_empty() {
                return refuse("a name".to_owned(), value);
            }
        }
        if let Some(value) = &self.interpreter
            && value.len() as u64 >= INTERPRETER_BYTES_MAX
        {
            return refuse(format!("less than {INTERPRETER_BYTES_MAX} bytes"), value);
        }
        Ok(())
    }

    /// The names to add to those that `facts` has, each once.
    pub(super) fn new_needed(&self, facts: &Facts) -> Vec<&str> {
        let mut new: Vec<&str> = Vec::new();
        for name in &self.add_needed {
            if !facts.needed.contains(name) && !new.contains(&&**name) {
                new.push(name);
            }
        }
        new
    }

    /// What a file that says `facts` must say afterwards.
    fn applied_to(&self, facts: &Facts) -> Facts {
        let mut wanted = facts.clone();
        match &self.search_path {
            SearchPath::Keep => {}
            SearchPath::Runpath(value) => {
                (wanted.rpath, wanted.runpath) = (None, Some(value.clone()));
            }
            SearchPath::Rpath(value) => {
                (wanted.rpath, wanted.runpath) = (Some(value.clone()), None);
            }
            SearchPath::Remove => (wanted.rpath, wanted.runpath) = (None, None),
        }
        if self.interpreter.is_some() {
            wanted.interpreter.clone_from(&self.interpreter);
        }
        let new = self.new_needed(facts).into_iter().map(str::to_owned);
        wanted.needed.extend(new);
        wanted
    }
}

/// How an edit found its place, cheapest first. `Display` gives the short name that the log and the tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// `S0`: the file is as asked already; nothing was written.
    Same,
    /// `S1`: what is new took the place of what was old.
    Slot,
    /// `S2`: the string table ends the file, and grew.
    Grow,
    /// `P3`: a new read-only segment at the end of the file holds what is new and a copy of the string table.
    NewSegment,
    /// `P2`: the last segment was extended over its zero-initialised bytes and holds what is new and a copy of the string table.
    ExtendSegment,
}

impl Rung {
    /// What it is, in a few words.
    pub fn description(self) -> &'static str {
        match self {
            Rung::Same => "nothing to do",
            Rung::Slot => "in place of the old value",
            Rung::Grow => "grow the string table at the end",
            Rung::NewSegment => "new segment at the end",
            Rung::ExtendSegment => "extend the last segment",
        }
    }
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

/// How the edited bytes get into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Into the file itself, always: for files that nobody else sees yet.
    InPlace,
    /// Into the file itself if it can be loaded at every moment in between, with its old or its new values; else into a
    /// copy that then takes the file's name (other hard links keep the old file; access control lists and file capabilities are
    /// lost, and where the owner cannot be kept, setuid and setgid are too).
    Safely,
}

/// Edits the ELF file `path`, in place.
///
/// No code and no data get another address, and every other byte that is loaded stays as it was, except notes, hash
/// tables and the interpreter's name, which may move as a whole, and the dynamic section, which does where it has no entry left: the
/// first word of the global offset table follows it. An old value that names absolute directories is blanked where the section headers
/// tell that nothing else refers to it; a second one (an RPATH beside another RUNPATH) is not, nor is any in a file without section
/// headers.
///
/// A dynamic section that would have to move stays, and the edit is refused, where a relocation yields its address, or a word of writable
/// data of a program that is not position independent holds it. Code that computes the address for itself, and constants in read-only
/// data of such programs, are not seen: they lead to the section as it was linked. What they find there is out of date (`DT_DEBUG` is 0,
/// the addresses are those in the file, to which nobody adds where it was loaded, and that of a hash table which moved leads to something
/// else), so code that follows it may crash; after `strip` it finds an empty section.
///
/// Writes are ordered: new bytes at the end of the file (a dynamic section that moves among them, with all its new values), program
/// headers, the string table of a dynamic section that stays, then the entries asked for there, the global offset table's word for one
/// that moved, old values blanked, symbols, section headers last, so that the file can be loaded after any of them, with old or new
/// values.
/// A file that is as asked already is not written to and keeps its times: the edit is idempotent. Edits of one file wait for each other,
/// those of other processes too (an advisory lock, `flock`, on file systems that have it). After writing, the file's
/// tables are read again and judged; should they break a rule, the file is put back as it was.
///
/// # Errors
/// The file cannot be read or written; a value holds a NUL or is too long; the file is not a 64-bit little-endian ELF program or
/// library for x86_64, aarch64 or ppc64le, it has no dynamic section (no interpreter) to change, it is a static program or glibc's own
/// loader, which stop at a RUNPATH, its tables contradict each other, or it has no room of any sort. It is then unchanged, its times
/// included (unless the system refuses even to put it back, which the message says).
pub fn edit(path: &Path, edit: &Edit, writing: Writing) -> Result<Patched, Error> {
    let place = text::printable(&path.display().to_string());
    let (source, read_only) = open(path, place)?;
    let mut job = Job::new(source, edit)?;
    if job.plan.rung == Rung::Same {
        return Ok(job.nothing_done());
    }
    if let Some(error) = read_only {
        return Err(error.into());
    }
    if writing == Writing::InPlace || job.plan.is_ordered {
        return Ok(job.carry_out()?);
    }
    Ok(write::replace(path, job.source.place(), |copy| {
        let source = Source::new(copy, job.source.place().to_owned())?;
        Job::new(source, edit)?.carry_out()
    })?)
}

/// Makes `runpath` the RUNPATH of the ELF file `path`, in place: [`edit()`] with [`Edit::runpath`] and [`Writing::InPlace`].
///
/// # Errors
/// As [`edit()`].
pub fn set_runpath(path: &Path, runpath: &str) -> Result<Patched, Error> {
    edit(path, &Edit::runpath(runpath), Writing::InPlace)
}

/// How [`edit()`] would find its place in the file `path`, which is only read.
///
/// # Errors
/// As [`edit()`], as far as can be known without writing.
pub fn rung(path: &Path, edit: &Edit) -> Result<Rung, Error> {
    Ok(Job::new(Source::open(path)?, edit)?.plan.rung)
}

/// An edit of an open file, laid out.
struct Job<'a> {
    source: Source,
    edit: &'a Edit,
    before: Image,
    facts: Facts,
    plan: Plan,
}

impl Job<'_> {
    fn new(source: Source, edit: &Edit) -> Result<Job<'_>, ElfError> {
        edit.check(source.place())?;
        let source = source.with_task(edit.task());
        let (before, facts) = Image::read(&source)?;
        let foreign = |expected, what: &str| ElfError::Foreign {
            place: source.place().to_owned(),
            task: source.task(),
            expected,
            found: format!("{what} ({}, {})", facts.kind, facts.machine),
        };
        if edit.is_dynamic() && before.table.is_none() {
            return Err(foreign(check::EXPECTED, "no dynamic section"));
        }
        // glibc's start-up code of a static program stops at a RUNPATH, one that a linker put there too.
        let is_static = facts.kind == ElfKind::Executable && facts.interpreter.is_none();
        if is_static && edit.is_dynamic() && edit.search_path != SearchPath::Remove {
            return Err(foreign(
                "a library, or a program with an interpreter",
                "a static program",
            ));
        }
        // So does glibc's loader at one of its own.
        if is_glibc_loader(&facts) && edit.is_dynamic() && edit.search_path != SearchPath::Remove {
            let expected = "a library that a loader loads";
            return Err(foreign(expected, "the loader of glibc itself"));
        }
        if edit.interpreter.is_some() && facts.interpreter.is_none() {
            return Err(foreign("a file with an interpreter", "none"));
        }
        let plan = layout::plan(&source, &before, &facts, edit)?;
        Ok(Job {
            source,
            edit,
            before,
            facts,
            plan,
        })
    }

    fn nothing_done(&self) -> Patched {
        Patched {
            rung: self.plan.rung,
            bytes_read: self.source.bytes_read(),
            bytes_written: 0,
        }
    }

    fn carry_out(&mut self) -> Result<Patched, ElfError> {
        let wanted = self.edit.applied_to(&self.facts);
        let (before, plan) = (&self.before, &self.plan);
        check::writes(&self.source, before, plan).map_err(|(expected, found)| {
            ElfError::Broken {
                place: self.source.place().to_owned(),
                task: self.source.task(),
                expected,
                found,
                state: "left unchanged",
            }
        })?;
        let bytes_written = write::apply(&mut self.source, plan, |source| {
            judge(source, before, plan, &wanted)
        })?;
        Ok(Patched {
            bytes_written,
            ..self.nothing_done()
        })
    }
}

/// Is it the dynamic loader of glibc, by the names that it has on the machines whose files are edited?
fn is_glibc_loader(facts: &Facts) -> bool {
    let soname = facts.soname.as_deref().unwrap_or_default();
    soname.starts_with("ld-linux") || soname.starts_with("ld64.so.")
}

/// Opens `path` for writing and locks it against other edits; where writing is not allowed, opens it for reading, together with
/// the error: asking for what the file has already needs no right to write.
fn open(path: &Path, place: String) -> Result<(Source, Option<ElfError>), ElfError> {
    // Asking for the right to write would already fail on a directory or wait on a pipe.
    let io = |place, action, source| ElfError::Io {
        place,
        action,
        source,
    };
    loop {
        match path.metadata() {
            Ok(meta) if !meta.is_file() => return Source::open(path).map(|source| (source, None)),
            Ok(_) => {}
            Err(error) => return Err(io(place, "open the file", error)),
        }
        let file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PermissionDenied
                        | ErrorKind::ReadOnlyFilesystem
                        | ErrorKind::ExecutableFileBusy
                ) =>
            {
                let source = Source::open(path)?;
                return Ok((source, Some(io(place, "open the file for writing", error))));
            }
            Err(error) => return Err(io(place, "open the file for writing", error)),
        };
        match lock(&file, path) {
            Ok(true) => return Ok((Source::new(file, place)?, None)),
            Ok(false) => {}
            Err(error) => return Err(io(place, "lock the file", error)),
        }
    }
}

/// Waits until nobody else edits `file`, and keeps others waiting while it is open. `false` when `path` names another file by now:
/// an edited copy took its name.
fn lock(file: &File, path: &Path) -> std::io::Result<bool> {
    match rustix::io::retry_on_intr(|| flock(file, FlockOperation::LockExclusive)) {
        // A file system without locks, some network ones for example, is no reason not to edit.
        Ok(()) | Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK) => {}
        Err(error) => return Err(error.into()),
    }
    let (locked, named) = (file.metadata()?, path.metadata()?);
    Ok((locked.dev(), locked.ino()) == (named.dev(), named.ino()))
}

/// Is the written file what was asked for, and nothing else?
fn judge(
    source: &Source,
    before: &Image,
    plan: &Plan,
    wanted: &Facts,
) -> Result<(), check::Breach> {
    let (after, new) = Image::read(source).map_err(|error| {
        let found = Error::from(error).render();
        ("tables that can be read again".to_owned(), found)
    })?;
    check::compare(before, &after)?;
    check::symbols(source, &after, &plan.symbols)?;
    let wanted = Facts {
        spare_dynamic_slots: new.spare_dynamic_slots,
        ..wanted.clone()
    };
    if new != wanted {
        return Err((format!("{wanted:?}"), format!("{new:?}")));
    }
    Ok(())
}
