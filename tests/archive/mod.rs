//! `archive::unpack` on good archives of every kind, on attacks, on real wheels and on a bad day; the commands `unpack` and `verify`.

pub mod make;

mod attacks;
mod commands;
mod good;
mod robust;
mod wheels;

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cuda_redist::archive;

use crate::support;

/// Writes `bytes` to a file called `name` in `folder` and unpacks it to `folder/out`.
fn unpack_bytes(
    folder: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<PathBuf, cuda_redist::error::Error> {
    let file = folder.join(name);
    std::fs::write(&file, bytes).expect("the archive is written");
    unpack_file(&file, &folder.join("out"))
}

fn unpack_file(file: &Path, target: &Path) -> Result<PathBuf, cuda_redist::error::Error> {
    let name = file
        .file_name()
        .expect("a file")
        .to_string_lossy()
        .into_owned();
    archive::unpack(&File::open(file).expect("the archive opens"), &name, target)?;
    Ok(target.to_owned())
}

/// One line per file, directory and link below `root`, sorted: type and mode, path, size or target.
fn listing(root: &Path) -> String {
    let mut lines = Vec::new();
    list(root, "", &mut lines);
    lines.join("\n")
}

fn list(root: &Path, below: &str, lines: &mut Vec<String>) {
    let mut names: Vec<String> = std::fs::read_dir(root.join(below))
        .expect("the directory opens")
        .map(|entry| {
            entry
                .expect("it is read")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    for name in names {
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let metadata = root.join(&path).symlink_metadata().expect("it exists");
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_symlink() {
            let target = std::fs::read_link(root.join(&path)).expect("a link");
            lines.push(format!("link {path} -> {}", target.display()));
        } else if metadata.is_dir() {
            lines.push(format!("{mode:04o} {path}/"));
            list(root, &path, lines);
        } else {
            lines.push(format!("{mode:04o} {path} {}", metadata.size()));
        }
    }
}

/// The names in `folder`, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder opens")
        .map(|entry| {
            entry
                .expect("it is read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// An empty folder for one case.
fn folder() -> tempfile::TempDir {
    support::dir()
}
