//! What was typed, as close to the command line as possible; nothing is opened or derived here.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Checks, verifies, unpacks, splits and patches NVIDIA's CUDA redistributables for Nix.
///
/// Exit codes: 0 fine, 1 content rejected, 2 usage, 3 unreadable input, I/O or an internal fault.
/// With several inputs the highest wins. Data goes to stdout, messages to stderr.
#[derive(Debug, Parser)]
#[command(name = "cuda-redist", version, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge redistrib manifests: every problem, with file, line, column and attribute path
    Check(CheckArgs),
    /// Print sha256 (hex, SRI, nix32), md5 and size of files, or the NAR hash of trees
    Hash(HashArgs),
    /// Look at ELF files and set their RUNPATH and interpreter, in place
    ///
    /// Files are edited where they are, by a few kilobytes whatever their size: no code or data gets another address, segments stay
    /// aligned, and a file that is as asked already is not touched. `show` names the rung of the ladder that a longer RUNPATH
    /// would take: S1 in place of the old value, S2 at the end of the string table that ends the file, P3 in a new segment at the
    /// end, P2 in the last segment, made longer.
    ///
    /// The file can be loaded at every moment of an edit, with old or new values; where a file has no room for that, an edited
    /// copy takes its name. What cannot be edited (32-bit, big-endian, another machine, damage, no room) is refused and unchanged.
    Elf(ElfArgs),
    /// Do what patchelf does, with its own flags: print and set RUNPATH and interpreter
    ///
    /// Also under the name `patchelf`, by a link to this program. `cuda-redist patchelf --help` lists the flags.
    #[command(disable_help_flag = true)]
    Patchelf(PatchelfArgs),
    /// Write a redistrib manifest for a folder of archives and NVIDIA wheels
    Index(IndexArgs),
    /// Carry out a plan: verify, unpack, split into outputs, patch (a derivation's builder)
    Realise(RealiseArgs),
}

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Redistrib manifests (JSON)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Arguments of `hash`.
#[derive(Debug, clap::Args)]
pub struct HashArgs {
    /// Hash the NAR serialisation of each path, as Nix does for store paths; trees are allowed
    #[arg(long)]
    pub nar: bool,
    /// Files, or with --nar files and directories
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Arguments of `elf`.
#[derive(Debug, clap::Args)]
pub struct ElfArgs {
    /// What to do with the files.
    #[command(subcommand)]
    pub command: ElfCommand,
}

/// The commands below `elf`.
#[derive(Debug, Subcommand)]
pub enum ElfCommand {
    /// Print machine, interpreter, soname, NEEDED, RUNPATH, CUDA architectures, and how an edit would find room
    Show {
        /// `human` for people, `json` for machines
        #[arg(long, value_enum, default_value_t = ShowFormat::Human)]
        format: ShowFormat,
        /// ELF files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Set the RUNPATH of ELF files, in place; a file that has it already is not touched
    SetRunpath {
        /// Directories joined by `:`
        #[arg(value_name = "RUNPATH")]
        runpath: String,
        /// ELF files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Set the program interpreter of ELF files that have one, in place
    SetInterpreter {
        /// The dynamic loader, an absolute path
        #[arg(value_name = "PATH")]
        interpreter: String,
        /// ELF files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Arguments of `patchelf`.
#[derive(Debug, clap::Args)]
pub struct PatchelfArgs {
    /// patchelf's flags, and files
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "WORD"
    )]
    pub words: Vec<OsString>,
}

/// How `elf show` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ShowFormat {
    /// Aligned lines for people.
    Human,
    /// One JSON array, one object per file.
    Json,
}

/// Arguments of `index`.
#[derive(Debug, clap::Args)]
pub struct IndexArgs {
    /// The folder; every archive and wheel below it is listed
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The manifest's `release_product`, for example `cuda`
    #[arg(long, value_name = "NAME")]
    pub product: String,
    /// The manifest's `release_label`, for example `12.9.1`
    #[arg(long, value_name = "VERSION")]
    pub label: String,
    /// The manifest to write; an existing file is replaced only when all went well
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Arguments of `realise`.
#[derive(Debug, clap::Args)]
pub struct RealiseArgs {
    /// The plan (JSON); inside a derivation Nix's structured attributes are read
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Where each output goes; inside a derivation Nix's structured attributes say it
    #[arg(long = "out", value_name = "NAME=DIR")]
    pub outputs: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }
}
