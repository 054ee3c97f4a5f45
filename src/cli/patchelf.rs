//! The command `patchelf`: patchelf's own flags and output, as far as they are ours.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::PatchelfArgs;
use super::stdout::{each, print};
use crate::elf::{self, Edit, ElfKind, Facts, SearchPath, Writing};
use crate::error::{Error, Kind, Problem};
use crate::text;

/// Printed by `--version`; scripts look for the number.
const VERSION: &str = concat!(
    "patchelf 0.19.3 (as far as cuda-redist ",
    env!("CARGO_PKG_VERSION"),
    " takes it over)\n"
);

const HELP: &str = "\
syntax: patchelf
  [--set-interpreter FILENAME]
  [--print-interpreter]
  [--print-soname]
  [--set-rpath RPATH]
  [--add-rpath RPATH]
  [--remove-rpath]
  [--shrink-rpath]
  [--allowed-rpath-prefixes PREFIXES]   with --shrink-rpath: directories that start with none of these go; an empty
                                        one allows all
  [--print-rpath]
  [--force-rpath]                       DT_RPATH in place of DT_RUNPATH
  [--print-needed]
  [--output FILE]                       leave FILENAME; what it becomes is written to FILE, through a link if it is one
  [--version]
  FILENAME...

These are patchelf's flags, with its output and meaning; @FILE in place of an argument is the content of FILE.
Unlike there, several files all have their turn when one of them fails, a word in `--` that is no flag is refused
rather than taken for a file, a static program never gets a RUNPATH: it would no longer start, and an old RUNPATH is
written over with `X` only if it names absolute directories.
Files are edited in place by a few kilobytes, for x86_64, aarch64 and ppc64le. Exit codes: 0 fine, 1 content
rejected, 2 usage, 3 unreadable input, I/O or an internal fault.
";

/// Flags of patchelf that are not taken over.
const OTHER_FLAGS: &[&str] = &[
    "--add-debug-tag",
    "--add-needed",
    "--build-resolution-cache",
    "--clear-execstack",
    "--clear-symbol-version",
    "--debug",
    "--no-clobber-old-sections",
    "--no-default-lib",
    "--no-sort",
    "--page-size",
    "--print-execstack",
    "--print-os-abi",
    "--remove-needed",
    "--rename-dynamic-symbols",
    "--replace-needed",
    "--set-execstack",
    "--set-os-abi",
    "--set-soname",
];

/// Longest `@FILE` that is read.
const ARGUMENT_BYTES_MAX: u64 = 1 << 20;
/// Longest library file name that is looked for in a directory.
const NAME_BYTES_MAX: usize = 255;

/// What is wrong with the command line, or with a file for what was asked.
#[derive(Debug, thiserror::Error)]
enum PatchelfError {
    #[error("cannot do `{flag}`: a flag of patchelf that is not taken over")]
    NotOurs { flag: String },
    #[error("expected a flag of patchelf, found {found}")]
    UnknownFlag { found: String },
    #[error("expected an argument behind `{flag}`, found the end")]
    NoArgument { flag: String },
    #[error("expected UTF-8 text behind `{flag}`, found {found}")]
    NotText { flag: String, found: String },
    #[error("expected a file name, found none")]
    NoFile,
    #[error("expected one of `--set-rpath` and `--add-rpath`, found both")]
    SetAndAdd,
    #[error("expected one file with `--output`, found {count}")]
    ManyFiles { count: usize },
    #[error("getting info about {file}")]
    ArgumentFile {
        file: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {task}: the file has no {table}; it is most likely statically linked")]
    Absent {
        place: String,
        task: &'static str,
        table: &'static str,
    },
    #[error("expected an ELF file, found another kind of file")]
    NotElf { place: String },
    #[error("expected a program or a shared library, found an ELF file of another sort ({found})")]
    Kind { place: String, found: ElfKind },
    #[error("cannot write the output")]
    Output {
        place: String,
        #[source]
        source: std::io::Error,
    },
}

impl Problem for PatchelfError {
    fn kind(&self) -> Kind {
        match self {
            PatchelfError::Absent { .. }
            | PatchelfError::NotElf { .. }
            | PatchelfError::Kind { .. } => Kind::Rejected,
            PatchelfError::ArgumentFile { .. } | PatchelfError::Output { .. } => Kind::Fault,
            _ => Kind::Usage,
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            PatchelfError::Absent { place, .. }
            | PatchelfError::NotElf { place }
            | PatchelfError::Kind { place, .. }
            | PatchelfError::Output { place, .. } => Some(place.clone()),
            _ => Some("patchelf".to_owned()),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            PatchelfError::NotOurs { .. } => {
                Some("`cuda-redist patchelf --help` lists those that are".to_owned())
            }
            _ => None,
        }
    }
}

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    print_interpreter: bool,
    print_soname: bool,
    print_rpath: bool,
    print_needed: bool,
    interpreter: Option<String>,
    set_rpath: Option<String>,
    add_rpath: Option<String>,
    remove_rpath: bool,
    shrink_rpath: bool,
    force_rpath: bool,
    allowed_prefixes: Vec<String>,
    output: Option<PathBuf>,
    files: Vec<PathBuf>,
}

/// What the words ask for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Help,
    Version,
    Files(Box<Request>),
}

/// Runs the command. Every file has its turn; the gravest problem decides the exit code.
pub(super) fn run(args: &PatchelfArgs) -> Result<ExitCode, Error> {
    if args.words.is_empty() {
        eprint!("{HELP}");
        return Ok(ExitCode::from(Kind::Usage.exit_code()));
    }
    match parse(&args.words)? {
        Command::Help => print(HELP).map(|()| ExitCode::SUCCESS),
        Command::Version => print(VERSION).map(|()| ExitCode::SUCCESS),
        Command::Files(request) => Ok(each(&request.files, |file, out| one(&request, file, out))),
    }
}

/// Reads the words: flags may stand before and behind files.
fn parse(words: &[OsString]) -> Result<Command, PatchelfError> {
    let mut request = Request::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let flag = word.to_string_lossy();
        if flag == "-h" {
            return Ok(Command::Help);
        }
        if !flag.starts_with("--") {
            request.files.push(PathBuf::from(word));
            continue;
        }
        let mut argument = || {
            let flag = flag.clone().into_owned();
            words.next().ok_or(PatchelfError::NoArgument { flag })
        };
        match &*flag {
            "--help" => return Ok(Command::Help),
            "--version" => return Ok(Command::Version),
            "--print-interpreter" => request.print_interpreter = true,
            "--print-soname" => request.print_soname = true,
            "--print-rpath" => request.print_rpath = true,
            "--print-needed" => request.print_needed = true,
            "--remove-rpath" => request.remove_rpath = true,
            "--shrink-rpath" => request.shrink_rpath = true,
            "--force-rpath" => request.force_rpath = true,
            "--set-interpreter" | "--interpreter" => {
                // An empty name leaves the interpreter.
                let path = text_of(&flag, resolve(argument()?)?)?;
                request.interpreter = Some(path).filter(|path| !path.is_empty());
            }
            "--set-rpath" => request.set_rpath = Some(text_of(&flag, resolve(argument()?)?)?),
            "--add-rpath" => request.add_rpath = Some(text_of(&flag, resolve(argument()?)?)?),
            "--output" => request.output = Some(PathBuf::from(resolve(argument()?)?)),
            "--allowed-rpath-prefixes" => {
                let prefixes = text_of(&flag, argument()?.clone())?;
                // An empty one allows everything; behind the last `:` there is none.
                let prefixes = prefixes.split_terminator(':');
                request.allowed_prefixes = prefixes.map(str::to_owned).collect();
            }
            known if OTHER_FLAGS.contains(&known) => {
                let flag = flag.into_owned();
                return Err(PatchelfError::NotOurs { flag });
            }
            unknown => {
                let found = text::quote(unknown);
                return Err(PatchelfError::UnknownFlag { found });
            }
        }
    }
    if request.set_rpath.is_some() && request.add_rpath.is_some() {
        return Err(PatchelfError::SetAndAdd);
    }
    match request.files.len() {
        0 => Err(PatchelfError::NoFile),
        count if count > 1 && request.output.is_some() => Err(PatchelfError::ManyFiles { count }),
        _ => Ok(Command::Files(Box::new(request))),
    }
}

/// The argument itself, or what the file holds that it names after an `@`.
fn resolve(argument: &OsStr) -> Result<OsString, PatchelfError> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let Some(file) = argument.as_bytes().strip_prefix(b"@") else {
        return Ok(argument.to_owned());
    };
    let path = Path::new(OsStr::from_bytes(file));
    let fault = |source| PatchelfError::ArgumentFile {
        file: text::quote_bytes(file),
        source,
    };
    let mut content = Vec::new();
    let file = File::open(path).map_err(fault)?;
    let read = file.take(ARGUMENT_BYTES_MAX).read_to_end(&mut content);
    read.map_err(fault)?;
    Ok(OsString::from_vec(content))
}

fn text_of(flag: &str, argument: OsString) -> Result<String, PatchelfError> {
    argument.into_string().map_err(|found| {
        let (flag, found) = (flag.to_owned(), text::quote_bytes(found.as_encoded_bytes()));
        PatchelfError::NotText { flag, found }
    })
}

/// The entries of a list joined by `:`; empty ones are dropped.
fn directories(list: &str) -> impl Iterator<Item = &str> {
    list.split(':').filter(|entry| !entry.is_empty())
}

/// Looks at one file and edits it. What is asked to be printed goes to `out`, in patchelf's order between its edits, which all fail or
/// happen at the end: where one cannot be, what comes before it is printed all the same.
fn one(request: &Request, file: &Path, out: &mut String) -> Result<(), Error> {
    let place = text::printable(&file.display().to_string());
    let facts = elf::read(file)?.ok_or_else(|| PatchelfError::NotElf {
        place: place.clone(),
    })?;
    if !matches!(facts.kind, ElfKind::Executable | ElfKind::SharedLibrary) {
        let found = facts.kind;
        return Err(PatchelfError::Kind { place, found }.into());
    }
    let mut line = |value: &str| {
        out.push_str(value);
        out.push('\n');
    };
    if request.print_interpreter {
        line(interpreter(&facts, &place, "print the interpreter")?);
    }
    // patchelf asks only what can be loaded at any address for one.
    if request.print_soname && facts.is_position_independent {
        dynamic(&facts, &place, "print the soname")?;
        facts.soname.iter().for_each(|soname| line(soname));
    }
    if request.interpreter.is_some() {
        interpreter(&facts, &place, "set the interpreter")?;
    }
    if request.print_rpath {
        dynamic(&facts, &place, "print the RUNPATH")?;
        line(current(&facts).unwrap_or_default());
    }
    let search_path = search_path(request, &facts, &place)?;
    if request.print_needed {
        dynamic(&facts, &place, "print NEEDED")?;
        facts.needed.iter().for_each(|needed| line(needed));
    }
    let edit = Edit {
        search_path,
        interpreter: request.interpreter.clone(),
        add_needed: Vec::new(),
    };
    match &request.output {
        Some(output) => edit_into(&edit, file, output)?,
        None if edit == Edit::default() => {}
        None => {
            elf::edit(file, &edit, Writing::Safely)?;
        }
    }
    Ok(())
}

/// `task` needs an interpreter; gives back the one that is there.
fn interpreter<'a>(
    facts: &'a Facts,
    place: &str,
    task: &'static str,
) -> Result<&'a str, PatchelfError> {
    let found = facts.interpreter.as_deref();
    found.ok_or_else(|| PatchelfError::Absent {
        place: place.to_owned(),
        task,
        table: "interpreter",
    })
}

/// `task` needs a dynamic section.
fn dynamic(facts: &Facts, place: &str, task: &'static str) -> Result<(), PatchelfError> {
    match facts.is_dynamic {
        true => Ok(()),
        false => Err(PatchelfError::Absent {
            place: place.to_owned(),
            task,
            table: "dynamic section",
        }),
    }
}

/// What the loader searches: the RUNPATH, and only without one the RPATH.
fn current(facts: &Facts) -> Option<&str> {
    facts.runpath.as_deref().or(facts.rpath.as_deref())
}

/// What becomes of the search path; patchelf's order when several flags ask: shrink, remove, set, add.
fn search_path(request: &Request, facts: &Facts, place: &str) -> Result<SearchPath, PatchelfError> {
    let is_asked = request.shrink_rpath
        || request.remove_rpath
        || request.set_rpath.is_some()
        || request.add_rpath.is_some();
    if is_asked {
        dynamic(facts, place, "edit the RUNPATH")?;
    }
    let old = current(facts);
    let value = if request.shrink_rpath {
        let Some(old) = old else {
            return Ok(SearchPath::Keep);
        };
        shrunk(old, &request.allowed_prefixes, facts)
    } else if request.remove_rpath {
        return Ok(SearchPath::Remove);
    } else if let Some(value) = &request.set_rpath {
        value.clone()
    } else if let Some(more) = &request.add_rpath {
        match old {
            Some(old) if !old.is_empty() => format!("{old}:{more}"),
            _ => more.clone(),
        }
    } else {
        return Ok(SearchPath::Keep);
    };
    Ok(match (old, request.force_rpath) {
        (None, _) if value.is_empty() => SearchPath::Keep,
        (_, false) => SearchPath::Runpath(value),
        (_, true) => SearchPath::Rpath(value),
    })
}

/// Of `list` the entries that are relative or hold a needed library (for the machine) that none before them holds.
fn shrunk(list: &str, allowed_prefixes: &[String], facts: &Facts) -> String {
    let mut missing: Vec<&str> = facts
        .needed
        .iter()
        .map(String::as_str)
        .filter(|name| name.len() <= NAME_BYTES_MAX)
        .collect();
    let is_kept = |entry: &&str| {
        // `$ORIGIN/...` for example.
        if !entry.starts_with('/') {
            return true;
        }
        let is_allowed = |prefix: &String| entry.starts_with(prefix);
        if !allowed_prefixes.is_empty() && !allowed_prefixes.iter().any(is_allowed) {
            return false;
        }
        let before = missing.len();
        missing.retain(|name| {
            let library = elf::read(&Path::new(entry).join(name)).ok().flatten();
            library.is_none_or(|library| library.machine != facts.machine)
        });
        missing.len() < before
    };
    let kept: Vec<&str> = directories(list).filter(is_kept).collect();
    kept.join(":")
}

/// Writes an edited copy of `file` to `output`, which is opened only once all is edited. What is there already keeps its mode and its
/// other names, and a link is followed; a new file gets the mode of a program made here, not that of `file`.
fn edit_into(edit: &Edit, file: &Path, output: &Path) -> Result<(), Error> {
    let place = text::printable(&output.display().to_string());
    let fault = |source| PatchelfError::Output {
        place: place.clone(),
        source,
    };
    if *edit != Edit::default() {
        // What cannot be done is said of `file`, not of its copy.
        elf::rung(file, edit)?;
    }
    // The copy is ours to write, whatever the mode of `file`.
    let copy = tempfile::Builder::new().prefix(".cuda-redist-").tempfile();
    let copy = copy.map_err(fault)?;
    let mut original = File::open(file).map_err(fault)?;
    std::io::copy(&mut original, &mut copy.as_file()).map_err(fault)?;
    if *edit != Edit::default() {
        elf::edit(copy.path(), edit, Writing::InPlace)?;
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o777);
    let mut written = options.open(output).map_err(fault)?;
    let mut edited = copy.reopen().map_err(fault)?;
    std::io::copy(&mut edited, &mut written).map_err(fault)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Command, String> {
        let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_stand_anywhere() {
        let expected = Request {
            set_rpath: Some("/a".to_owned()),
            force_rpath: true,
            allowed_prefixes: vec!["/x".to_owned(), String::new(), "/y".to_owned()],
            output: Some("o".into()),
            files: vec!["f".into()],
            ..Request::default()
        };
        assert_eq!(
            parsed("--set-rpath /a f --force-rpath --output o --allowed-rpath-prefixes /x::/y:"),
            Ok(Command::Files(Box::new(expected)))
        );
        assert_eq!(parsed("--version --bogus"), Ok(Command::Version));
        assert_eq!(parsed("f -h --bogus"), Ok(Command::Help));
    }

    #[test]
    fn wrong_words_are_refused_by_name() {
        for (words, message) in [
            (
                "--set-soname x f",
                "cannot do `--set-soname`: a flag of patchelf that is not taken over",
            ),
            ("f --bogus", "expected a flag of patchelf, found `--bogus`"),
            (
                "--set-rpath",
                "expected an argument behind `--set-rpath`, found the end",
            ),
            ("--print-rpath", "expected a file name, found none"),
            (
                "--set-rpath a --add-rpath b f",
                "expected one of `--set-rpath` and `--add-rpath`, found both",
            ),
            (
                "--output o f g",
                "expected one file with `--output`, found 2",
            ),
            (
                "--set-rpath @/no/such/file f",
                "getting info about `/no/such/file`",
            ),
        ] {
            assert_eq!(parsed(words), Err(message.to_owned()), "{words}");
        }
    }
}
