//! The RUNPATH of a program that others linked against packages of a set: what linkers leave there is where they looked, and
//! that is not always where the libraries are.
//!
//! | in the RUNPATH | becomes |
//! |---|---|
//! | a folder of stubs, which must never be loaded | the driver's folders |
//! | a folder of links to libraries, as a merged toolkit and nvcc have | the folders of those that the program needs |
//! | nothing, where CMake took a folder for one that is always searched | the folder of what is needed, of those that the caller names |
//! | all else | itself |
//!
//! The driver's folders come first where the program needs CUDA: the driver itself, by NEEDED or by name, or a package of a set.

use std::fs;
use std::path::{Path, PathBuf};

use super::host::{Host, host};
use super::{Abi, Names, is_stubs_folder};
use crate::elf::Facts;

/// In `nix-support` of each output of a package of a set.
const MARK: &str = "nix-support/include-in-cudatoolkit-root";

/// The RUNPATH that the file with these `facts`, which may open `names`, should have: entries in the order they had. `driver_paths`
/// are where the driver is at run time, `library_paths` where to look for what no entry has.
pub fn consumer_runpath(
    facts: &Facts,
    names: &Names,
    driver_paths: &[String],
    library_paths: &[PathBuf],
) -> String {
    let old = facts.runpath.as_deref().or(facts.rpath.as_deref());
    let is_driver = |name: &String| {
        Abi::of(facts).is_some_and(|machine| host(machine, name) == Some(Host::Driver))
    };
    let mut needs_driver = facts.needed.iter().chain(&names.libraries).any(is_driver);
    let mut entries: Vec<String> = Vec::new();
    let mut satisfied: Vec<&String> = Vec::new();
    let mut add = |entry: String| {
        if !entries.contains(&entry) && !driver_paths.contains(&entry) {
            entries.push(entry);
        }
    };
    let old = old.unwrap_or_default().split(':');
    for entry in old.filter(|entry| !entry.is_empty()) {
        let folder = Path::new(entry);
        if entry.starts_with('/') && is_stubs_folder(entry) {
            needs_driver = true;
            continue;
        }
        if driver_paths.iter().any(|path| path == entry) {
            needs_driver = true;
            continue;
        }
        if !folder.is_absolute() {
            add(entry.to_owned());
            continue;
        }
        let here: Vec<&String> = facts
            .needed
            .iter()
            .filter(|name| folder.join(name).exists())
            .collect();
        match is_of_links(folder) {
            true => here
                .iter()
                .filter_map(|name| real_folder(folder, name))
                .for_each(&mut add),
            false => add(entry.to_owned()),
        }
        satisfied.extend(here);
    }
    for name in facts.needed.iter().filter(|name| !is_driver(name)) {
        if satisfied.contains(&name) {
            continue;
        }
        let mut folders = library_paths.iter();
        let found = folders.find(|folder| {
            !is_stubs_folder(&folder.to_string_lossy()) && folder.join(name).exists()
        });
        if let Some(folder) = found {
            real_folder(folder, name).into_iter().for_each(&mut add);
        }
    }
    needs_driver |= entries.iter().any(|entry| is_of_a_set(Path::new(entry)));
    let driver_paths = driver_paths.iter().filter(|_| needs_driver);
    let all: Vec<&str> = driver_paths.chain(&entries).map(String::as_str).collect();
    all.join(":")
}

/// Where the library `name` of `folder` really lies; `None` where its path is no text.
fn real_folder(folder: &Path, name: &str) -> Option<String> {
    let real = fs::canonicalize(folder.join(name)).ok()?;
    Some(real.parent()?.to_str()?.to_owned())
}

/// Is `folder` of an output of a package, or of a merged view?
fn is_of_a_set(folder: &Path) -> bool {
    folder
        .ancestors()
        .take(3)
        .any(|above| above.join(MARK).is_file())
}

/// Are there libraries, and do all of them lie elsewhere?
fn is_of_links(folder: &Path) -> bool {
    let Ok(real) = fs::canonicalize(folder) else {
        return false;
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let libraries = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.ends_with(".so") || name.contains(".so.")
    });
    let mut places = libraries.map(|entry| {
        let found = fs::canonicalize(entry.path());
        found.is_ok_and(|found| found.parent() == Some(&real))
    });
    let mut count = 0;
    places.all(|is_here| {
        count += 1;
        !is_here
    }) && count > 0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::elf::{ByteOrder, Class, ElfKind, Machine};

    fn facts(needed: &[&str], runpath: Option<&str>) -> Facts {
        Facts {
            class: Class::Elf64,
            byte_order: ByteOrder::Little,
            machine: Machine::X86_64,
            kind: ElfKind::Executable,
            is_position_independent: true,
            is_dynamic: true,
            interpreter: None,
            soname: None,
            needed: needed.iter().map(|name| (*name).to_owned()).collect(),
            rpath: None,
            runpath: runpath.map(str::to_owned),
            build_id: None,
            spare_dynamic_slots: 0,
            misaligned_segments: 0,
        }
    }

    #[test]
    fn entries_lead_to_where_libraries_are() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for file in [
            "cudart/lib/libcudart.so.13",
            "cublas/lib/libcublas.so.13",
            "other/lib/libz.so.1",
            "nvcc/lib/stubs/libcuda.so",
        ] {
            fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            fs::write(at(file), "").unwrap();
        }
        symlink(
            at("cudart/lib/libcudart.so.13"),
            at("nvcc/lib/libcudart.so.13"),
        )
        .unwrap();
        symlink(
            at("cublas/lib/libcublas.so.13"),
            at("nvcc/lib/libcublas.so.13"),
        )
        .unwrap();
        for output in ["cudart", "nvcc"] {
            let mark = at(output).join(MARK);
            fs::create_dir_all(mark.parent().unwrap()).unwrap();
            fs::write(mark, "").unwrap();
        }
        let top = root.path().to_str().unwrap();
        let expand = |text: &str| text.replace('@', top);
        for (needed, opens, runpath, paths, expected) in [
            (&["libc.so.6"][..], "", None, &[][..], ""),
            (&["libc.so.6"], "", Some("/a::/b"), &[], "/a:/b"),
            (&["libcuda.so.1"], "", None, &[], "/drv"),
            (&[], "libcuda.so.1", Some("$ORIGIN"), &[], "/drv:$ORIGIN"),
            (
                &["libcudart.so.13"],
                "",
                Some("@/nvcc/lib"),
                &[],
                "/drv:@/cudart/lib",
            ),
            (
                &["libcublas.so.13", "libcudart.so.13"],
                "",
                Some("@/nvcc/lib:@/other/lib:@/nvcc/lib/stubs"),
                &[],
                "/drv:@/cublas/lib:@/cudart/lib:@/other/lib",
            ),
            (
                &["libz.so.1"],
                "",
                Some("@/nvcc/lib:@/other/lib"),
                &[],
                "@/other/lib",
            ),
            (
                &["libcudart.so.13", "libz.so.1"],
                "",
                None,
                &["@/nvcc/lib", "@/other/lib"],
                "/drv:@/cudart/lib:@/other/lib",
            ),
            (&["libz.so.1"], "", None, &["@/other/lib"], "@/other/lib"),
            (
                &["libcudart.so.13"],
                "",
                Some("@/cudart/lib:/drv"),
                &["@/nvcc/lib"],
                "/drv:@/cudart/lib",
            ),
        ] {
            let runpath = runpath.map(expand);
            let names = Names {
                libraries: BTreeSet::from([opens.to_owned()]),
                ..Names::default()
            };
            let paths: Vec<PathBuf> = paths.iter().map(|path| expand(path).into()).collect();
            let facts = facts(needed, runpath.as_deref());
            let driver = ["/drv".to_owned()];
            let found = consumer_runpath(&facts, &names, &driver, &paths);
            assert_eq!(found, expand(expected), "{needed:?} {runpath:?}");
            // What was set right stays as it is.
            let again = Facts {
                runpath: Some(found.clone()),
                ..facts
            };
            assert_eq!(consumer_runpath(&again, &names, &driver, &paths), found);
        }
    }
}
