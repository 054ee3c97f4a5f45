//! What was typed, as close to the command line as possible; nothing is opened or derived here.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::hash::Sha256;
use crate::manifest::{CODES, Code, Kind};

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
    /// Judge manifests, feature manifests and release expressions: every problem, with its place
    Check(CheckArgs),
    /// Print the JSON Schema (2020-12) of a shape, or the names of all shapes
    Schema(SchemaArgs),
    /// Print sha256 (hex, SRI, nix32), md5 and size of files, or the NAR hash of trees
    Hash(HashArgs),
    /// Compare a file with its entry in a manifest: sha256, md5 and size
    ///
    /// The manifest is checked first, as by `check`. A file that is another archive of the same manifest (the wrong platform, say) is
    /// told so; a web page in place of an archive and a download that is cut short are recognised.
    Verify(VerifyArgs),
    /// Unpack an archive or wheel safely into a new directory, or list it
    ///
    /// .tar.xz, .tar.gz, .tar, .zip and .whl, recognised by their first bytes. The one folder at the top of an archive is stripped; wheels
    /// are laid out as NVIDIA's archives are (lib, include, bin) and held against their RECORD. Windows archives are unpacked as they are.
    /// Nothing is split or patched: that is `realise`.
    ///
    /// Archives are hostile until proven otherwise. Refused, with the number and the name of the entry: absolute names and `..`; links that
    /// leave the tree; anything but files, directories and links; paths that are there twice, or differ in case only; sparse files;
    /// encryption; contradictions between headers; damage; bytes behind the end; more than 64 GiB or 100 times the archive's size.
    /// Owners, times and mode bits other than "executable" are not kept, hard links become copies.
    ///
    /// All is written into a hidden folder beside DIR that becomes DIR at the end: after any error, nothing is left at DIR.
    #[command(after_long_help = UNPACK_EXAMPLES)]
    Unpack(UnpackArgs),
    /// Look at ELF files, set or remove their RUNPATH and set their interpreter, in place
    ///
    /// Files are edited where they are, by a few kilobytes whatever their size: no code or data gets another address, segments stay
    /// aligned, and a file that is as asked already is not touched. `show` names the rung of the ladder that a longer RUNPATH
    /// would take: S1 in place of the old value, S2 at the end of the string table that ends the file, P3 in a new segment at the
    /// end, P2 in the last segment, made longer over its zero-initialised data. The dynamic section goes along where it has no entry
    /// left. An edit says in one line what it did: rung (S0 is nothing to do), bytes read, bytes written, microseconds, file.
    ///
    /// The file can be loaded at every moment of an edit, with old or new values; where a file has no room for that, an edited
    /// copy takes its name (other hard links keep the old file). What cannot be edited (32-bit, big-endian, another machine,
    /// damage, no room) is refused and unchanged. Files are edited in parallel, each has its turn; the gravest problem is the exit code.
    Elf(ElfArgs),
    /// Do what patchelf does, with its own flags: print and set RUNPATH and interpreter
    ///
    /// Also under the name `patchelf`, by a link to this program. `cuda-redist patchelf --help` lists the flags.
    #[command(disable_help_flag = true)]
    Patchelf(PatchelfArgs),
    /// Look at what was made: missing and dlopen'd libraries, CUDA architectures, foreign paths
    ///
    /// The audit fails (exit code 1) when nobody has a library that a file needs (NEEDED); when a file has device code, but
    /// none for a capability asked about; when a RUNPATH leads into the current directory, the host (/usr, /opt), a build
    /// (/build, /tmp) or stubs; and when a file is damaged. All else is told and accepted: names of libraries that code may
    /// open by dlopen, RUNPATH entries and links that lead to nothing, files for another machine, paths of the host in
    /// links, programs, .pc and .cmake files.
    ///
    /// A library satisfies a file when it has the name and is for the same machine. Looked for first in the file's own folder,
    /// then in its own tree, the other trees, the dependencies in their order, and last among what every host has: glibc,
    /// libstdc++ and libgcc_s, the driver. Stubs never satisfy anything.
    ///
    /// Which code serves a device: sm_80 serves 8.0, 8.6 and 8.9 but not 9.0; sm_90a only 9.0; sm_100f the family of 10.0
    /// from 10.0 on; PTX serves its capability and all later ones, compute_90a and compute_100f like sm_90a and sm_100f.
    Audit(AuditArgs),
    /// Write a redistrib manifest for a folder of archives and NVIDIA wheels
    Index(IndexArgs),
    /// Carry out a plan: verify, unpack, split into outputs, patch (a derivation's builder)
    Realise(RealiseArgs),
    /// Merge folders into one, by links: `cudatoolkit` of a package set (a derivation's builder)
    ///
    /// The plan (JSON, or a derivation's structured attributes) has `viewVersion` (1) and `trees`, the folders; `leaveOut`, globs of
    /// paths that are left out, and `links`, single links to make, may be added. Every file of a tree becomes a link to it, and
    /// nothing is copied; `nix-support` is not taken. Two files for one place are an error, unless they have the same bytes.
    View(ViewArgs),
}

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = codes())]
pub struct CheckArgs {
    /// What the files are: `redistrib`, `feature` or `releases`; recognised by name and content when left out
    #[arg(long = "as", value_name = "KIND", value_parser = kind())]
    pub kind: Option<Kind>,
    /// The product that redistrib manifests must be of; when left out, that of their folder's name, if NVIDIA has it
    #[arg(long, value_name = "NAME")]
    pub product: Option<String>,
    /// A shape (JSON) to judge by in place of a kind: a name that `schema` lists, or an object that extends one
    #[arg(long, value_name = "FILE", conflicts_with = "kind")]
    pub shape: Option<PathBuf>,
    /// How to tell what was found
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub format: CheckFormat,
    /// Take warnings for errors
    #[arg(long)]
    pub strict: bool,
    /// JSON files, folders (all `*.json` below them), or `-` for stdin
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// How `check` tells what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckFormat {
    /// Problems on stderr, at most 20 a file; files that are fine on stdout
    Human,
    /// One object with all problems
    Json,
    /// SARIF 2.1.0, for code scanning and editors
    Sarif,
    /// Annotations of GitHub's workflows
    Github,
}

/// Reads the name of a kind.
fn kind() -> impl TypedValueParser<Value = Kind> {
    let names = Kind::ALL.map(Kind::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse().map_err(|()| "no kind"))
}

/// The codes of problems, for the long help.
fn codes() -> String {
    let width = CODES.iter().map(|code| code.name.len()).max().unwrap_or(0);
    let lines = CODES
        .iter()
        .map(|Code { name, doc }| format!("  {name:width$}  {doc}\n"));
    format!("Codes of problems:\n{}", lines.collect::<String>())
}

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// The name of a shape: `redistrib`, `feature`, `releases`, or a part of one; all are listed when left out
    #[arg(value_name = "KIND")]
    pub name: Option<String>,
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

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The redistrib manifest
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// The package, for example `cuda_cudart`
    #[arg(long, value_name = "NAME")]
    pub package: String,
    /// The platform, for example `linux-x86_64`
    #[arg(long, value_name = "NAME")]
    pub platform: String,
    /// The variant, for example `cuda12`, of packages that have them
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// The file to compare
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

const UNPACK_EXAMPLES: &str = "\
Examples:
  cuda-redist unpack cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz cudart
  cuda-redist unpack --sha256 sha256-HnC... nvidia_nvtx-13.2.75-....whl nvtx
  cuda-redist unpack --list --format json cuda_cudart-windows-x86_64-12.9.79-archive.zip
";

/// Arguments of `unpack`.
#[derive(Debug, clap::Args)]
pub struct UnpackArgs {
    /// The SHA-256 that the archive must have: hex, SRI or Nix's base 32
    #[arg(long, value_name = "DIGEST", value_parser = super::unpack::sha256)]
    pub sha256: Option<Sha256>,
    /// Unpack nothing: read and judge all of the archive and print what would be made
    #[arg(long, conflicts_with = "dir")]
    pub list: bool,
    /// `json` prints what was made; `human` prints it with --list only
    #[arg(long, value_enum, default_value_t = ShowFormat::Human)]
    pub format: ShowFormat,
    /// The archive
    #[arg(value_name = "ARCHIVE")]
    pub archive: PathBuf,
    /// The directory to make; its parent must exist
    #[arg(value_name = "DIR", required_unless_present = "list")]
    pub dir: Option<PathBuf>,
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
    ///
    /// Segments are congruent when offset in the file and address agree modulo their alignment: glibc before 2.35 refuses files in
    /// which they do not. Spare slots are entries of the dynamic section that a RUNPATH may take; without one the section has to move.
    Show {
        /// `human` for people, `json` for machines
        #[arg(long, value_enum, default_value_t = ShowFormat::Human)]
        format: ShowFormat,
        /// ELF files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Set the RUNPATH of ELF files, in place; a file that has it already is not touched
    ///
    /// An RPATH becomes a RUNPATH. A static program is refused: it would no longer start.
    SetRunpath {
        /// Directories joined by `:`
        #[arg(value_name = "RUNPATH")]
        runpath: String,
        /// ELF files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Remove the RUNPATH of ELF files, and an RPATH, in place; a file that has neither is not touched
    RemoveRunpath {
        /// ELF files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Set right what linkers left in the RUNPATH of programs that use packages of a set, in place
    ///
    /// Folders of stubs give way to the driver's folders. Folders of links (a merged toolkit, nvcc's own) become those in which the
    /// libraries that the program needs, or may open, really are. Needed libraries that no entry has are looked for in the library
    /// paths. The driver's folders stand first where the program needs CUDA. All else stays, in its order; a file that is right
    /// already, a static program and what is no ELF file is not touched. Prints each file that was changed, with its new RUNPATH.
    FixRunpath {
        /// Where the driver's libraries are at run time; may be repeated
        #[arg(
            long = "driver-path",
            value_name = "DIR",
            default_value = "/run/opengl-driver/lib"
        )]
        driver_paths: Vec<String>,
        /// A folder with libraries that the files may need; may be repeated, the first ones are looked at first
        #[arg(long = "library-path", value_name = "DIR")]
        library_paths: Vec<PathBuf>,
        /// Files, or folders with all files below them
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
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

/// How `elf show`, `audit` and `unpack` print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ShowFormat {
    /// Aligned lines for people.
    Human,
    /// One JSON value.
    Json,
}

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// A compute capability that all device code must serve; may be repeated
    #[arg(long = "capability", value_name = "9.0")]
    pub capabilities: Vec<String>,
    /// A folder with libraries that the files may need; may be repeated, the first ones are looked at first
    #[arg(long = "dependency", value_name = "DIR")]
    pub dependencies: Vec<PathBuf>,
    /// Where the driver's libraries are at run time; may be repeated
    #[arg(
        long = "driver-path",
        value_name = "DIR",
        default_value = "/run/opengl-driver/lib"
    )]
    pub driver_paths: Vec<String>,
    /// A library that may be missing; may be repeated
    #[arg(long = "allow-missing", value_name = "SONAME")]
    pub allowed_missing: Vec<String>,
    /// `human` for people, `json` for machines
    #[arg(long, value_enum, default_value_t = ShowFormat::Human)]
    pub format: ShowFormat,
    /// Folders of packages, or single files
    #[arg(required = true, value_name = "DIR")]
    pub trees: Vec<PathBuf>,
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
    /// A feature manifest to write as well: which outputs the packages have, derived from what the archives hold
    ///
    /// Each archive is unpacked for that, one after the other, into the folder for temporary files (`TMPDIR`). `lib.mkCudaPackages`
    /// finds the file by its name beside the manifest: `feature_LABEL.json` beside `redistrib_LABEL.json`.
    #[arg(long, value_name = "FILE")]
    pub features: Option<PathBuf>,
}

/// Arguments of `realise`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = REALISE)]
pub struct RealiseArgs {
    /// The plan.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Arguments of `view`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = VIEW)]
pub struct ViewArgs {
    /// The plan.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// What is to be made, and where: the same for all builders.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The plan (JSON); inside a derivation Nix's structured attributes are read
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Where each output goes; inside a derivation Nix's structured attributes say it
    #[arg(long = "out", value_name = "NAME=DIR")]
    pub outputs: Vec<String>,
    /// Do all of it in a temporary folder, print the tree that would be made, and remove it
    #[arg(long, requires = "plan")]
    pub dry_run: bool,
    /// Say what is done to each file
    #[arg(long, short)]
    pub verbose: bool,
}

/// What else there is to know about `realise`.
const REALISE: &str = "\
Examples:
  cuda-redist realise --plan plan.json --out out=result --out lib=result-lib
  cuda-redist realise --plan plan.json --dry-run

The archive is compared with the digests and the size in the plan while it is unpacked, split into the outputs, its ELF files are patched in \
place, and what was made is audited; README.md has the keys of plans. Nothing is left of a plan that fails. Outputs appear when they are \
complete, `out` last, and are read-only as in Nix's store: `chmod -R u+w DIR` before you remove one. A build that is \
stopped (Ctrl-C) leaves nothing, one that is killed a hidden folder `.cuda-redist-*` beside its outputs, never a part of one.

stdout: the report as JSON, with --dry-run the tree that would be made. stderr: in a derivation lines for Nix, on a terminal what is made and \
how far it is, else warnings only.
Exit: 0 made, 1 the plan or the archive is refused, 2 usage, 3 the system failed.";

/// What else there is to know about `view`.
const VIEW: &str = "\
Examples:
  cuda-redist view --plan view.json --out out=result
  cuda-redist view --plan view.json --dry-run

A plan is, for example, {\"viewVersion\": 1, \"trees\": [\"/nix/store/...\"], \"links\": {\"lib64\": \"lib\"}}. The one output is `out`; it appears \
when it is complete, and nothing is left of a view that fails or is stopped (Ctrl-C).

stdout: how many trees and links there are, as JSON; with --dry-run the tree that would be made. stderr: in a derivation lines for Nix, \
on a terminal what is made, else warnings only.
Exit: 0 made, 1 the plan or a tree is refused, 2 usage, 3 the system failed.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }
}
