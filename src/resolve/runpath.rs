//! What is wrong with the entries of a RUNPATH.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::Abi;
use crate::elf;

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

/// Whose the absolute path `path` is; `None` for all others, relative ones too. `..` is taken for the folder above.
pub fn foreign(path: &str) -> Option<Foreign> {
    root_of(&without_dots(Path::new(path))).map(|(whose, _)| whose)
}

/// Whose `path` is, and below which of their folders it lies.
fn root_of(path: &Path) -> Option<(Foreign, &'static str)> {
    let below = |roots: &[&'static str]| roots.iter().copied().find(|root| path.starts_with(root));
    let host = below(HOST).map(|root| (Foreign::Host, root));
    host.or_else(|| below(BUILD).map(|root| (Foreign::Build, root)))
}

/// `path` without `.` and `..`, as text: what it means as long as there are no links in it.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // There is nothing above the root.
            Component::ParentDir if plain.has_root() => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Each entry of `runpath` that something is wrong with, in order.
///
/// `origin` is the folder of the file, a real path. `driver_paths` are entries that are right although they lead out of
/// every package, on this machine perhaps to nothing. Folders below `trees` (real paths) are right wherever they are.
/// Judged is where an entry leads, both as it is written and through the links of this machine. A relative one that
/// stays below the same folder of a host's or a build as its file tells only where the package lies now, and is right.
pub fn findings(
    runpath: &str,
    origin: &Path,
    driver_paths: &[String],
    trees: &[PathBuf],
) -> Vec<Finding> {
    let mut found = Vec::new();
    // The loader ignores a RUNPATH without any text; elsewhere an empty entry is the current directory.
    // Source: glibc, elf/dl-load.c, `decompose_rpath`.
    if runpath.is_empty() {
        return found;
    }
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

/// Does the loader find `answer`, a real path, when it looks along `runpath` for `name`, for a file of `machine`?
///
/// `origin` is the folder of the file. As the loader does, passes by libraries for other machines, and ends at the first
/// other thing of that name, also at a text or a folder. Source: glibc, elf/dl-load.c, `open_verify`.
pub fn reaches(runpath: &str, origin: &Path, name: &str, machine: Abi, answer: &Path) -> bool {
    let folders = runpath.split(':').filter_map(|entry| expand(entry, origin));
    for folder in folders.filter(|folder| folder.is_absolute()) {
        let Ok(real) = folder.join(name).canonicalize() else {
            continue;
        };
        if real == answer {
            return true;
        }
        let is_passed_by = real.is_file()
            && matches!(elf::read(&real), Ok(Some(facts)) if Abi::of(&facts) != Some(machine));
        if !is_passed_by {
            return false;
        }
    }
    false
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
    let Some(path) = expand(entry, origin) else {
        // What stands before the loader's own words still tells whose it is.
        return foreign(entry).map(Defect::Foreign);
    };
    let written = without_dots(&path);
    let real = path.canonicalize().ok();
    let tree_of = |path: &Path| trees.iter().find(|tree| path.starts_with(tree));
    let is_stubs = |path: &Path| {
        let inside = tree_of(path).and_then(|tree| path.strip_prefix(tree).ok());
        let mut parts = inside.unwrap_or(path).components();
        // Stubs may need each other.
        path != origin && parts.any(|part| part == Component::Normal("stubs".as_ref()))
    };
    if is_stubs(&written) || real.as_deref().is_some_and(is_stubs) {
        return Some(Defect::Stubs);
    }
    if real.as_deref().is_some_and(|real| tree_of(real).is_none()) || real.is_none() {
        let home = root_of(origin).filter(|_| is_own);
        let leads_out = |path: &Path| root_of(path).filter(|found| Some(*found) != home);
        let whose = leads_out(&written).or_else(|| leads_out(real.as_deref()?));
        if let Some((whose, _)) = whose {
            return Some(Defect::Foreign(whose));
        }
    }
    let is_there = real.is_some_and(|real| real.is_dir());
    (!is_there).then_some(Defect::Nothing)
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
        std::fs::create_dir_all(tree.join("lib/stubs")).unwrap();
        std::fs::write(tree.join("lib/file"), "").unwrap();
        for (target, link) in [
            ("stubs", "lib/alias"),
            ("/usr/lib", "lib/host"),
            ("../share", "lib/shared"),
        ] {
            std::os::unix::fs::symlink(target, tree.join(link)).unwrap();
        }
        let own = tree.join("lib").to_str().unwrap().to_owned();
        let up = format!("$ORIGIN/{}usr/lib", "../".repeat(own.matches('/').count()));
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
            ("$ORIGIN/alias", Some(Defect::Stubs)),
            ("$ORIGIN/stubs/../sub", None),
            ("/nix/store/x-stubs/lib", Some(Defect::Nothing)),
            // Ways into the host, and one that only looks so.
            (up.as_str(), Some(Defect::Foreign(Foreign::Host))),
            ("$ORIGIN/host", Some(Defect::Foreign(Foreign::Host))),
            ("/nix/../usr/lib", Some(Defect::Foreign(Foreign::Host))),
            ("/../usr/./lib", Some(Defect::Foreign(Foreign::Host))),
            ("/usr/$LIB", Some(Defect::Foreign(Foreign::Host))),
            ("/usr/../nix/store/gone", Some(Defect::Nothing)),
            ("$ORIGIN/shared", None),
            // Beside the tree, wherever the tree is.
            ("$ORIGIN/../../gone", Some(Defect::Nothing)),
            ("$ORIGIN/../..", None),
            // Nothing at all is no entry.
            ("", None),
            (":", Some(Defect::CurrentDirectory)),
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
            let mut found: Vec<_> = found.into_iter().map(|found| found.defect).collect();
            // `:` has two.
            found.dedup();
            assert_eq!(found, Vec::from_iter(expected), "{entry:?}");
        }
        let found = findings("$ORIGIN:", &tree.join("lib"), &driver, &[]);
        let expected = Finding {
            entry: String::new(),
            defect: Defect::CurrentDirectory,
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn stubs_may_name_their_own_folder() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().canonicalize().unwrap();
        let stubs = tree.join("lib/stubs");
        std::fs::create_dir_all(&stubs).unwrap();
        let trees = [tree];
        assert_eq!(findings("$ORIGIN", &stubs, &[], &trees), []);
        assert_eq!(findings("$ORIGIN/..", &stubs, &[], &trees), []);
    }

    #[test]
    fn dots_are_taken_out() {
        for (path, expected) in [
            ("/a/./b/../c/", "/a/c"),
            ("/../..", "/"),
            ("a/../..", "a/../.."),
            ("", ""),
        ] {
            assert_eq!(without_dots(Path::new(path)), Path::new(expected), "{path}");
        }
    }
}
