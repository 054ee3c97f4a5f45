//! Carries out a plan: verify, unpack, split into outputs, patch. Sees all stages; each has a file of its own.
//!
//! ```text
//!  plan ── verify ── unpack ── tree (what is there) ── split (where it goes) ── patch (RUNPATH) ── report ──► outputs
//! ```
//!
//! Nothing of a failed plan stays behind: `stage.rs` removes every output it made unless all stages succeeded.

#![deny(clippy::indexing_slicing)]

mod error;
mod links;
mod patch;
mod references;
mod report;
mod split;
mod stage;
mod tree;

use std::fs::File;

pub use report::{LeftAlone, OutputReport, Patched, Report};
pub use stage::Staging;

use crate::archive;
use crate::error::Error;
use crate::hash;
use crate::manifest::Platform;
use crate::plan::{OutputName, Plan};
use crate::resolve::Abi;
use crate::text;
use error::RealiseError;
use references::References;
use split::Split;
use stage::Stage;
use tree::Tree;

/// Where the archive is unpacked, below the output `out`; gone when the outputs are complete.
const UNPACKED: &str = ".cuda-redist-unpacked";

/// The steps of [`realise`], in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Comparing the archive's digests with the manifest's.
    Verify,
    /// Unpacking it.
    Unpack,
    /// Moving each path to its output.
    Split,
    /// Setting RUNPATHs.
    Patch,
    /// Writing the report and moving the outputs to their places.
    Install,
}

impl Phase {
    /// A lowercase word, as Nix shows it beside the derivation's name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Verify => "verify",
            Phase::Unpack => "unpack",
            Phase::Split => "split",
            Phase::Patch => "patch",
            Phase::Install => "install",
        }
    }
}

/// What happens while a plan is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A step begins.
    Phase(Phase),
    /// Something worth a line in the log; safe to print, one line.
    Note(&'a str),
}

/// Carries out `plan` and says what was made. `progress` is told of each [`Event`] as it happens.
///
/// # Errors
/// The archive is not the one of the manifest, or is one that must not be unpacked; two paths land in one place; a
/// link dangles; an ELF file is damaged or cannot be edited; a NEEDED entry is satisfied by nothing; two outputs
/// would refer to each other; an output exists already; I/O fails. The outputs are then as they were before.
pub fn realise(
    plan: &Plan,
    staging: Staging,
    progress: &mut dyn FnMut(Event<'_>),
) -> Result<Report, Error> {
    let archive_name = file_name(&plan.archive.relative_path);
    progress(Event::Phase(Phase::Verify));
    let source = File::open(&plan.src)
        .map_err(|source| RealiseError::io("open", &plan.src, source))
        .map_err(Error::from)?;
    // Hashing hides behind decompressing; the stage goes, and all in it, unless the file turns out to be the right one.
    let expected = plan.archive.expected();
    let (_, stage) = hash::verify_beside(source, archive_name, &expected, |file, refuted| {
        let stage = Stage::new(&plan.outputs, staging)?;
        progress(Event::Phase(Phase::Unpack));
        let unpacked = stage.dir(OutputName::Out)?.join(UNPACKED);
        archive::unpack_watched(file, archive_name, &unpacked, &|_| refuted.check())?.keep()?;
        Ok(stage)
    })?;
    progress(Event::Note(&format!(
        "{}: sha256 and size are the manifest's",
        text::printable(archive_name)
    )));
    let unpacked = stage.dir(OutputName::Out)?.join(UNPACKED);

    progress(Event::Phase(Phase::Split));
    let tree = Tree::read(&unpacked)?;
    let mut references = References::default();
    let split = Split::new(&tree, &plan.outputs, &mut references)?;
    split.carry_out(&unpacked, &stage)?;
    let outputs = split.outputs(&plan.outputs);
    for output in &outputs {
        progress(Event::Note(&output.to_string()));
    }

    progress(Event::Phase(Phase::Patch));
    let (patched, left_alone) = match machine(&plan.platform) {
        Some(machine) => patch::patch(machine, plan, &tree, &split, &stage, references, progress)?,
        None => {
            references.check(&plan.package)?;
            progress(Event::Note(&format!(
                "{}: no RUNPATHs on this platform, nothing is patched",
                plan.platform
            )));
            (Vec::new(), Vec::new())
        }
    };

    progress(Event::Phase(Phase::Install));
    let report = Report::new(plan, outputs, patched, left_alone);
    report.write(stage.dir(OutputName::Out)?)?;
    stage.commit()?;
    Ok(report)
}

/// The machine whose ELF files a platform's packages consist of; `None` where there are no ELF files to patch.
///
/// Source: the platform names of NVIDIA's manifests; `linux-sbsa` is a server's aarch64, `linux-aarch64` a Jetson's.
fn machine(platform: &Platform) -> Option<Abi> {
    match platform.as_str() {
        "linux-x86_64" => Some(Abi::X86_64),
        "linux-sbsa" | "linux-aarch64" => Some(Abi::Aarch64),
        "linux-ppc64le" => Some(Abi::Ppc64le),
        _ => None,
    }
}

fn file_name(relative_path: &str) -> &str {
    relative_path.rsplit('/').next().unwrap_or(relative_path)
}
