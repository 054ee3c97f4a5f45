//! Where outputs grow before they are complete, and what happens to them when something fails.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::RealiseError;
use crate::error::Error;
use crate::plan::OutputName;

/// Where outputs grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staging {
    /// At their final paths. For builders of derivations: the paths are the build's own, and a directory with another
    /// name in the store could be taken for garbage and collected while it is being filled.
    InPlace,
    /// In hidden directories beside their final paths, renamed at the end: whoever sees an output sees all of it.
    Beside,
}

/// The outputs of a plan while they are being made. Dropped without [`Stage::commit`] it removes all of them.
pub(super) struct Stage {
    outputs: BTreeMap<OutputName, Output>,
    is_complete: bool,
}

struct Output {
    /// Where it grows.
    dir: PathBuf,
    /// Where it will be.
    path: PathBuf,
    /// The hidden directory around `dir`, which removes itself when dropped; `None` when it grows in place.
    _hidden: Option<TempDir>,
    /// Is there something of ours at `path`?
    is_in_place: bool,
}

impl Stage {
    /// Makes an empty directory for each of `outputs` (name and final path).
    ///
    /// # Errors
    /// There is something at a final path already; a directory cannot be made.
    pub(super) fn new(
        outputs: &BTreeMap<OutputName, PathBuf>,
        staging: Staging,
    ) -> Result<Stage, Error> {
        let mut stage = Stage {
            outputs: BTreeMap::new(),
            is_complete: false,
        };
        for (output, path) in outputs {
            if path.symlink_metadata().is_ok() {
                return Err(RealiseError::OutputExists {
                    output: *output,
                    path: path.clone(),
                }
                .into());
            }
            let hidden = match staging {
                Staging::InPlace => None,
                Staging::Beside => Some(hidden_beside(path)?),
            };
            let dir = hidden
                .as_ref()
                .map_or_else(|| path.clone(), |hidden| hidden.path().join("output"));
            make_dir(&dir)?;
            let is_in_place = hidden.is_none();
            stage.outputs.insert(
                *output,
                Output {
                    dir,
                    path: path.clone(),
                    _hidden: hidden,
                    is_in_place,
                },
            );
        }
        Ok(stage)
    }

    /// Where `output` grows.
    ///
    /// # Errors
    /// The plan has no such output.
    pub(super) fn dir(&self, output: OutputName) -> Result<&Path, Error> {
        match self.outputs.get(&output) {
            Some(found) => Ok(&found.dir),
            None => Err(RealiseError::NoOutput { output }.into()),
        }
    }

    /// Moves every output to its final path.
    ///
    /// # Errors
    /// One cannot be moved; then none is left.
    pub(super) fn commit(mut self) -> Result<(), Error> {
        for output in self
            .outputs
            .values_mut()
            .filter(|output| !output.is_in_place)
        {
            fs::rename(&output.dir, &output.path).map_err(|source| {
                RealiseError::io("move the finished output to", &output.path, source)
            })?;
            output.is_in_place = true;
        }
        self.is_complete = true;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        for output in self.outputs.values().filter(|output| output.is_in_place) {
            // Nobody is left to tell: the error that brought us here is the one to report.
            let _ = fs::remove_dir_all(&output.path);
        }
    }
}

fn hidden_beside(path: &Path) -> Result<TempDir, Error> {
    let parent = path.parent().unwrap_or(path);
    tempfile::Builder::new()
        .prefix(".cuda-redist-")
        .tempdir_in(parent)
        .map_err(|source| RealiseError::io("make a directory in", parent, source).into())
}

fn make_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir(path)
        .map_err(|source| RealiseError::io("make the directory", path, source).into())
}

/// Moves a file; copies where source and target are on different file systems.
pub(super) fn move_file(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |source| RealiseError::io("move a file to", to, source);
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(from, to).map_err(failed)?;
            fs::remove_file(from).map_err(failed)?;
            Ok(())
        }
        moved => moved.map_err(|source| failed(source).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(root: &Path) -> BTreeMap<OutputName, PathBuf> {
        BTreeMap::from([
            (OutputName::Out, root.join("out")),
            (OutputName::Lib, root.join("lib")),
        ])
    }

    fn entries(root: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn unfinished_outputs_disappear_and_finished_ones_stay() {
        for staging in [Staging::InPlace, Staging::Beside] {
            let root = tempfile::tempdir().unwrap();
            let stage = Stage::new(&outputs(root.path()), staging).unwrap();
            fs::write(stage.dir(OutputName::Lib).unwrap().join("x"), "x").unwrap();
            drop(stage);
            assert_eq!(entries(root.path()), [""; 0], "{staging:?}");

            let stage = Stage::new(&outputs(root.path()), staging).unwrap();
            fs::write(stage.dir(OutputName::Lib).unwrap().join("x"), "x").unwrap();
            stage.commit().unwrap();
            assert_eq!(entries(root.path()), ["lib", "out"], "{staging:?}");
            assert_eq!(entries(&root.path().join("lib")), ["x"], "{staging:?}");
        }
    }

    #[test]
    fn what_exists_is_not_touched() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("out")).unwrap();
        fs::write(root.path().join("out/mine"), "").unwrap();
        for staging in [Staging::InPlace, Staging::Beside] {
            let error = Stage::new(&outputs(root.path()), staging).err().unwrap();
            assert!(
                error
                    .render()
                    .contains("expected a path that does not exist yet"),
                "{error}"
            );
            assert_eq!(entries(root.path()), ["out"], "{staging:?}");
            assert_eq!(entries(&root.path().join("out")), ["mine"], "{staging:?}");
        }
    }
}
