//! What is wrong with the entries of a RUNPATH.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// Whom a path belongs to that no package should name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Foreign {
    /// The host's own system: `/usr`, `/opt`, `/lib`.
    Host,
    /// Where something was built, or somebody's home: `/build`, `/tmp`, `/home`.
    Build,
}

/// What is wrong with an entry of a RUNPATH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defect {
    /// It is empty or relative: the loader looks into whatever folder the program is run from.
    CurrentDirectory,
    /// It is a folder of the host's or of a build.
    Foreign(Foreign),
    /// It is a folder of stubs, which are for linking and fail when they are called.
    Stubs,
    /// There is no such folder.
    Nothing,
}

impl Defect {
    /// One word for machines, which stays.
    pub fn name(self) -> &'static str {
        match self {
            Defect::CurrentDirectory => "current-directory",
            Defect::Foreign(Foreign::Host) => "host",
            Defect::Foreign(Foreign::Build) => "build",
            Defect::Stubs => "stubs",
            Defect::Nothing => "nothing",
        }
    }

    /// May the file work all the same, on this machine or another? Then it is worth a note only.
    pub fn is_harmless(self) -> bool {
        self == Defect::Nothing
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Defect::CurrentDirectory => "the current directory of whoever runs the program",
            Defect::Foreign(Foreign::Host) => "a folder of the host's",
            Defect::Foreign(Foreign::Build) => "a folder of a build",
            Defect::Stubs => "a folder of stubs",
            Defect::Nothing => "no folder",
        })
    }
}

/// An entry of a RUNPATH that something is wrong with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entry as it is written.
    pub entry: String,
    /// What is wrong.
    pub defect: Defect,
}

const HOST: &[&str] = &[
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/etc",
];
/// `/dvs` is NVIDIA's build farm; Nix builds in `/build`, newer ones below `/nix/var/nix/builds`.
const BUILD: &[&str] = &[
    "/build",
    "/dvs",
    "/home",
    "/mnt",
    "/nix/var/nix/builds",
    "/private",
    "/root",
    "/tmp",
    "/var/tmp",
];

/// Whose the absolute path `path` is; `None` for all others, relative ones too.
pub fn foreign(path: &str) -> Option<Foreign> {
    let is_below = |roots: &[&str]| roots.iter().any(|root| Path::new(path).starts_with(root));
    if is_below(HOST) {
        Some(Foreign::Host)
    } else if is_below(BUILD) {
        Some(Foreign::Build)
    } else {
        None
    }
}

/// Each entry of `runpath` that something is wrong with, in order.
///
/// `origin` is the folder of the file. `driver_paths` are entries that are right although they lead out of every package,
/// on this machine perhaps to nothing. Folders below `trees` (real paths) are right wherever they are.
pub fn findings(
    runpath: &str,
    origin: &Path,
    driver_paths: &[String],
    trees: &[PathBuf],
) -> Vec<Finding> {
    let mut found = Vec::new();
    for entry in runpath.split(':') {
        if let Some(defect) = defect(entry, origin, driver_paths, trees) {
            found.push(Finding {
                entry: entry.to_owned(),
                defect,
            });
        }
    }
    found
}

/// Does an entry of `runpath` lead to a folder with a file `name`? `origin` is the folder of the file that has it.
pub fn reaches(runpath: &str, origin: &Path, name: &str) -> bool {
    let mut folders = runpath.split(':').filter_map(|entry| expand(entry, origin));
    folders.any(|folder| folder.is_absolute() && folder.join(name).is_file())
}

/// The folder that the entry stands for; `None` when only the loader knows (`$LIB`, `$PLATFORM`).
fn expand(entry: &str, origin: &Path) -> Option<PathBuf> {
    let rest = entry
        .strip_prefix("$ORIGIN")
        .or_else(|| entry.strip_prefix("${ORIGIN}"));
    if rest.unwrap_or(entry).contains('$') {
        return None;
    }
    Some(match rest {
        Some("") => origin.to_owned(),
        Some(rest) => origin.join(rest.strip_prefix('/')?),
        None => PathBuf::from(entry),
    })
}

fn defect(
    entry: &str,
    origin: &Path,
    driver_paths: &[String],
    trees: &[PathBuf],
) -> Option<Defect> {
    if driver_paths.iter().any(|path| path == entry) {
        return None;
    }
    let is_own = entry.starts_with("$ORIGIN") || entry.starts_with("${ORIGIN}");
    if !is_own && !entry.starts_with('/') {
        return Some(Defect::CurrentDirectory);
    }
    if Path::new(entry)
        .components()
        .any(|part| part == Component::Normal("stubs".as_ref()))
    {
        return Some(Defect::Stubs);
    }
    let path = expand(entry, origin)?;
    let real = path.canonicalize().ok();
    let in_trees = real
        .as_ref()
        .is_some_and(|real| trees.iter().any(|tree| real.starts_with(tree)));
    match foreign(entry) {
        Some(whose) if !in_trees => Some(Defect::Foreign(whose)),
        _ if real.is_some_and(|real| real.is_dir()) => None,
        _ => Some(Defect::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_of_entry_is_judged() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(tree.join("lib/sub")).unwrap();
        std::fs::create_dir_all(tree.join("share")).unwrap();
        std::fs::write(tree.join("lib/file"), "").unwrap();
        let own = tree.join("lib").to_str().unwrap().to_owned();
        let driver = [
            "/run/opengl-driver/lib".to_owned(),
            "/usr/lib/wsl/lib".to_owned(),
        ];
        for (entry, expected) in [
            ("$ORIGIN", None),
            ("${ORIGIN}", None),
            ("$ORIGIN/sub", None),
            ("$ORIGIN/../share/.", None),
            ("$ORIGIN/gone", Some(Defect::Nothing)),
            ("$ORIGIN/file", Some(Defect::Nothing)),
            ("/run/opengl-driver/lib", None),
            ("/usr/lib/wsl/lib", None),
            ("/usr/lib/wsl/lib/", Some(Defect::Foreign(Foreign::Host))),
            (
                "/usr/local/cuda/lib64",
                Some(Defect::Foreign(Foreign::Host)),
            ),
            ("/usrlocal/lib", Some(Defect::Nothing)),
            ("/build/source/lib", Some(Defect::Foreign(Foreign::Build))),
            (
                "/tmp/nix-build-x.drv-0/lib",
                Some(Defect::Foreign(Foreign::Build)),
            ),
            (own.as_str(), None),
            ("/nix/store/x-cudart/lib/stubs", Some(Defect::Stubs)),
            ("$ORIGIN/stubs", Some(Defect::Stubs)),
            ("/nix/store/x-stubs/lib", Some(Defect::Nothing)),
            ("", Some(Defect::CurrentDirectory)),
            ("lib", Some(Defect::CurrentDirectory)),
            ("./lib", Some(Defect::CurrentDirectory)),
            ("/nix/$LIB/x", None),
        ] {
            let found = findings(
                entry,
                &tree.join("lib"),
                &driver,
                std::slice::from_ref(&tree),
            );
            let found: Vec<_> = found.into_iter().map(|found| found.defect).collect();
            assert_eq!(found, Vec::from_iter(expected), "{entry:?}");
        }
        let found = findings("$ORIGIN:", &tree.join("lib"), &driver, &[]);
        let expected = Finding {
            entry: String::new(),
            defect: Defect::CurrentDirectory,
        };
        assert_eq!(found, [expected]);
    }
}
