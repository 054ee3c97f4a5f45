//! Where outputs grow before they are complete, and what happens to them when something fails.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, RenameFlags, Timespec, Timestamps, renameat_with, utimensat};
use tempfile::TempDir;

use super::error::RealiseError;
use crate::error::Error;
use crate::plan::OutputName;
use crate::text;

/// The one modification time of everything: what Nix sets in its store.
const MTIME_SECONDS: i64 = 1;

/// Where outputs grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staging {
    /// At their final paths. For builders of derivations: the paths are the build's own, and a directory with another
    /// name in the store could be taken for garbage and collected while it is being filled.
    InPlace,
    /// In hidden directories beside their final paths, renamed at the end: whoever sees an output sees all of it.
    Beside,
    /// In a hidden directory among the temporary ones, removed at the end: to see what would be made.
    Discard,
}

/// The outputs of a plan while they are being made. Dropped without [`Stage::commit`] it removes all of them.
pub(super) struct Stage {
    outputs: BTreeMap<OutputName, Output>,
    staging: Staging,
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
            staging,
            is_complete: false,
        };
        for (output, path) in outputs {
            if staging != Staging::Discard && path.symlink_metadata().is_ok() {
                return Err(RealiseError::OutputExists {
                    output: *output,
                    path: path.clone(),
                }
                .into());
            }
            let hidden = match staging {
                Staging::InPlace => None,
                Staging::Beside => Some(hidden_in(path.parent().unwrap_or(path))?),
                Staging::Discard => Some(hidden_in(&std::env::temp_dir())?),
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

    /// Where each output grows, and where it will be.
    pub(super) fn dirs(&self) -> impl Iterator<Item = (OutputName, &Path, &Path)> {
        self.outputs
            .iter()
            .map(|(name, output)| (*name, output.dir.as_path(), output.path.as_path()))
    }

    /// `error` with `OUTPUT:PATH` for files in directories that are gone when it is read.
    pub(super) fn named(&self, error: Error) -> Error {
        error.with_places(|place| {
            self.outputs
                .iter()
                .fold(place.to_owned(), |place, (name, output)| {
                    let dir = text::printable(&output.dir.to_string_lossy());
                    place.replace(&format!("{dir}/"), &format!("{name}:"))
                })
        })
    }

    /// Gives everything the modes and the time that Nix gives to what is in its store, so that the same plan makes the same
    /// outputs whoever carries it out, and moves every output to its final path: `out`, which has the report, last.
    ///
    /// # Errors
    /// Something cannot be changed or moved; then no output is left.
    pub(super) fn commit(mut self) -> Result<(), Error> {
        if self.staging == Staging::Discard {
            return Ok(());
        }
        for output in self.outputs.values() {
            settle_below(&output.dir)?;
        }
        // A directory without the right to write cannot be moved, so the one at the top comes afterwards.
        for output in self.outputs.values_mut().rev() {
            if !output.is_in_place {
                renameat_with(CWD, &output.dir, CWD, &output.path, RenameFlags::NOREPLACE)
                    .map_err(|source| {
                        let action = "move the finished output to";
                        RealiseError::io(action, &output.path, source.into())
                    })?;
                output.is_in_place = true;
            }
            set_mode(&output.path, 0o555)?;
            set_time(&output.path)?;
        }
        self.is_complete = true;
        Ok(())
    }
}

/// Everything below `folder`: read-only, and from the epoch's first second.
fn settle_below(folder: &Path) -> Result<(), Error> {
    for entry in entries(folder)? {
        let path = entry.path();
        let metadata = look_at(&path)?;
        if metadata.is_dir() {
            settle_below(&path)?;
        }
        if !metadata.is_symlink() {
            let is_executable = metadata.permissions().mode() & 0o111 != 0;
            set_mode(&path, if is_executable { 0o555 } else { 0o444 })?;
        }
        set_time(&path)?;
    }
    Ok(())
}

/// What lies in `folder`, in no order.
pub(super) fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, Error> {
    let failed = |source| RealiseError::io("read the directory", folder, source);
    let entries = fs::read_dir(folder).map_err(failed)?;
    Ok(entries.collect::<Result<_, _>>().map_err(failed)?)
}

fn look_at(path: &Path) -> Result<fs::Metadata, Error> {
    let looked = path.symlink_metadata();
    looked.map_err(|source| RealiseError::io("look at", path, source).into())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|source| RealiseError::io("set the mode of", path, source).into())
}

fn set_time(path: &Path) -> Result<(), Error> {
    let time = Timespec {
        tv_sec: MTIME_SECONDS,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|source| RealiseError::io("set the time of", path, source.into()).into())
}

/// Removes `folder`, also where its directories are read-only already.
fn remove(folder: &Path) {
    // Nobody is left to tell: the error that brought us here is the one to report.
    let _ = make_writable(folder);
    let _ = fs::remove_dir_all(folder);
}

fn make_writable(folder: &Path) -> Result<(), Error> {
    set_mode(folder, 0o755)?;
    for entry in entries(folder)? {
        if look_at(&entry.path())?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        for output in self.outputs.values() {
            if !output.is_in_place {
                // The hidden directory removes itself, as far as it may.
                let _ = make_writable(&output.dir);
                continue;
            }
            remove(&output.path);
        }
    }
}

fn hidden_in(parent: &Path) -> Result<TempDir, Error> {
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
