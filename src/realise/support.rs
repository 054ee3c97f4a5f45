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
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::error::RealiseError;
use super::references::References;
use super::split::{PieceKind, Split};
use super::stage::Stage;
use crate::error::Error;
use crate::plan::outputs::Placement;
use crate::plan::{self, OutputName, Plan};
use crate::relpath::RelPath;
use crate::resolve::is_stubs_folder;

/// Where all of it lies in each output.
pub(super) const FOLDER: &str = plan::SUPPORT;

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

/// Writes the files. `linked` are the places of the links into other packages.
///
/// # Errors
/// The file system refuses.
pub(super) fn write(
    plan: &Plan,
    split: &Split,
    linked: &[Placement],
    stage: &Stage,
) -> Result<(), Error> {
    for output in plan.outputs.keys() {
        let folder = make_folder(stage.dir(*output)?)?;
        write_mark(&folder, &plan.package, *output)?;
        let mut paths = Vec::new();
        for other in propagated(plan, *output) {
            let path = plan.outputs.get(&other).and_then(|path| path.to_str());
            paths.push(path.ok_or(RealiseError::NoOutput { output: other })?);
        }
        if !paths.is_empty() {
            let path = folder.join("propagated-build-inputs");
            put(&path, &format!("{}\n", paths.join(" ")))?;
        }
        let pieces = split.pieces().iter();
        let content = pieces.filter(|piece| piece.kind != PieceKind::EmptyDirectory);
        let places = content.map(|piece| &piece.to).chain(linked);
        let own = places.filter(|place| place.output == *output);
        write_stubs(&folder, own.map(|place| &place.path))?;
    }
    Ok(())
}

/// Makes the folder in an output that is at `dir` now.
///
/// # Errors
/// There is one already, or a link: plans and splits leave the place to us, so nobody else's is used.
pub(super) fn make_folder(dir: &Path) -> Result<PathBuf, Error> {
    let folder = dir.join(FOLDER);
    fs::create_dir(&folder)
        .map_err(|source| RealiseError::io("make the directory", &folder, source))?;
    Ok(folder)
}

/// Writes a file of ours: a new one, never what a link leads to.
///
/// # Errors
/// There is something at `path`; the file system refuses.
pub(super) fn put(path: &Path, text: &str) -> Result<(), Error> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| RealiseError::io("write", path, source).into())
}

/// Writes into `folder` that its output is a part of the toolkit.
///
/// # Errors
/// The file system refuses.
pub(super) fn write_mark(folder: &Path, package: &str, output: OutputName) -> Result<(), Error> {
    let path = folder.join("include-in-cudatoolkit-root");
    put(&path, &format!("{package}-{output}\n"))
}

/// Writes into `folder` which folders of these places are stubs, if any are.
///
/// # Errors
/// The file system refuses.
pub(super) fn write_stubs<'a>(
    folder: &Path,
    places: impl IntoIterator<Item = &'a RelPath>,
) -> Result<(), Error> {
    let places = places.into_iter().map(RelPath::as_str);
    let folders = places.filter_map(|place| Some(place.rsplit_once('/')?.0));
    let stubs: BTreeSet<&str> = folders.filter(|folder| is_stubs_folder(folder)).collect();
    if stubs.is_empty() {
        return Ok(());
    }
    let lines: String = stubs.iter().map(|folder| format!("{folder}\n")).collect();
    put(&folder.join("cuda-stubs"), &lines)
}
