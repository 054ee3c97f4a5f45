//! `nix-support`: what each output tells those who build with it.
//!
//! | file | what it is for |
//! |---|---|
//! | `propagated-build-inputs` in `dev` and `out` | who builds with one of these gets `bin`, `include` and `lib`, too: what nixpkgs' `multiple-outputs.sh` does |
//! | `include-in-cudatoolkit-root` | nixpkgs' `setupCudaHook` puts the output on `CUDAToolkit_ROOT` |
//! | `cuda-stubs` | the folders of stubs, one per line: for linking only, no RUNPATH may lead there |
//!
//! Source: nixpkgs `buildRedist` and `markForCudatoolkitRootHook`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::error::RealiseError;
use super::references::References;
use super::split::{PieceKind, Split};
use super::stage::Stage;
use crate::error::Error;
use crate::plan::{OutputName, Plan};
use crate::resolve::is_stubs_folder;

/// Where all of it lies in each output.
pub(super) const FOLDER: &str = "nix-support";

/// Those that `dev` and `out` bring along. Not `static`, which is large, nor `stubs`, which must be asked for.
const PROPAGATED: [OutputName; 3] = [OutputName::Bin, OutputName::Include, OutputName::Lib];

/// The outputs that `output` brings along.
fn propagated(plan: &Plan, output: OutputName) -> Vec<OutputName> {
    match output {
        OutputName::Dev | OutputName::Out => PROPAGATED
            .into_iter()
            .filter(|name| plan.outputs.contains_key(name))
            .collect(),
        _ => Vec::new(),
    }
}

/// Adds what the files of this module refer to.
pub(super) fn refer(plan: &Plan, references: &mut References) {
    for output in plan.outputs.keys() {
        for other in propagated(plan, *output) {
            references.add(
                *output,
                other,
                "nix-support/propagated-build-inputs",
                other.as_str(),
            );
        }
    }
}

/// Writes the files.
///
/// # Errors
/// The file system refuses.
pub(super) fn write(plan: &Plan, split: &Split, stage: &Stage) -> Result<(), Error> {
    for output in plan.outputs.keys() {
        let folder = stage.dir(*output)?.join(FOLDER);
        fs::create_dir_all(&folder)
            .map_err(|source| RealiseError::io("make the directory", &folder, source))?;
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|source| RealiseError::io("write", &path, source))
        };
        write_mark(&folder, &plan.package, *output)?;
        let mut paths = Vec::new();
        for other in propagated(plan, *output) {
            let path = plan.outputs.get(&other).and_then(|path| path.to_str());
            paths.push(path.ok_or(RealiseError::NoOutput { output: other })?);
        }
        if !paths.is_empty() {
            put("propagated-build-inputs", format!("{}\n", paths.join(" ")))?;
        }
        let stubs: BTreeSet<&str> = split
            .pieces()
            .iter()
            .filter(|piece| piece.to.output == *output && piece.kind != PieceKind::EmptyDirectory)
            .filter_map(|piece| piece.to.path.as_str().rsplit_once('/'))
            .map(|(folder, _)| folder)
            .filter(|folder| is_stubs_folder(folder))
            .collect();
        write_stubs(&folder, stubs)?;
    }
    Ok(())
}

/// Writes into `folder` that its output is a part of the toolkit.
///
/// # Errors
/// The file system refuses.
pub(super) fn write_mark(folder: &Path, package: &str, output: OutputName) -> Result<(), Error> {
    let path = folder.join("include-in-cudatoolkit-root");
    fs::write(&path, format!("{package}-{output}\n"))
        .map_err(|source| RealiseError::io("write", &path, source).into())
}

/// Writes which folders are stubs into `folder`, if any are.
///
/// # Errors
/// The file system refuses.
pub(super) fn write_stubs<'a>(
    folder: &Path,
    stubs: impl IntoIterator<Item = &'a str>,
) -> Result<(), Error> {
    let stubs: BTreeSet<&str> = stubs.into_iter().collect();
    if stubs.is_empty() {
        return Ok(());
    }
    let path = folder.join("cuda-stubs");
    let lines: String = stubs.iter().map(|folder| format!("{folder}\n")).collect();
    fs::write(&path, lines).map_err(|source| RealiseError::io("write", &path, source).into())
}
