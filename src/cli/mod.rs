//! The command line: what was typed, then one file per command.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use crate::error::Error;

pub mod args;
mod audit;
mod check;
mod elf;
mod hash;
mod index;
mod log;
mod patchelf;
mod realise;
mod schema;
mod stdout;
mod unpack;
mod verify;

use args::{Args, Command};

/// Runs the program with `argv` (its own name first) and says how it ended. Under the name `patchelf`, by a link, it is the command
/// of that name.
///
/// Exit codes: 0 fine, 1 content rejected, 2 usage, 3 unreadable input, I/O or our own fault; with several
/// inputs the highest wins. Data goes to stdout, messages to stderr.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut argv: Vec<OsString> = argv.into_iter().collect();
    let name = argv.first().map(Path::new).and_then(Path::file_name);
    if name == Some(OsStr::new("patchelf")) {
        argv.insert(1, OsString::from("patchelf"));
    }
    let args = match Args::try_parse_from(argv) {
        Ok(args) => args,
        Err(error) => {
            // clap's own exit codes are ours: 0 for --help and --version, 2 for usage.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match args.command {
        Command::Check(args) => check::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Hash(args) => hash::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Unpack(args) => unpack::run(&args),
        Command::Elf(args) => elf::run(&args),
        Command::Patchelf(args) => patchelf::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Index(args) => index::run(&args),
        Command::Realise(args) => realise::run(&args),
        Command::View(args) => realise::run_view(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Prints `error` on stderr, the way every command does.
fn report(error: &Error) {
    eprintln!("{}", error.render());
}
