//! The RUNPATH of a program that others linked against packages of a set: what linkers leave there is where they looked, and
//! that is not always where the libraries are.
//!
//! | in the RUNPATH | becomes |
//! |---|---|
//! | a folder of stubs, which must never be loaded | the driver's folders |
//! | a folder of links to libraries, as a merged toolkit and nvcc have | the folders of those that the program needs or may open |
//! | nothing, where CMake took a folder for one that is always searched | the folder of what is needed, of those that the caller names |
//! | all else | itself |
//!
//! The driver's folders come first where the program needs CUDA: the driver itself, by NEEDED or by name, or a package of a set.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::host::{Host, host};
use super::{Abi, Names, debug, is_like, is_loadable, is_stubs_folder};
use crate::elf::Facts;
use crate::error::{Error, Problem};
use crate::text;

/// In `nix-support` of each output of a package of a set.
const MARK: &str = "nix-support/include-in-cudatoolkit-root";

/// A needed library lies in a folder that no RUNPATH can name: the loader splits at `:` and replaces what begins with `$`.
#[derive(Debug, thiserror::Error)]
#[error("expected a folder whose path has neither `:` nor `$`, as it has to stand in a RUNPATH, found {}", text::quote(.place))]
struct Unspeakable {
    place: String,
}

impl Problem for Unspeakable {
    fn place(&self) -> Option<String> {
        Some(text::printable(&self.place))
    }
}

/// Where the libraries of programs are. Folders of links are looked at once, whatever the number of programs.
#[derive(Debug)]
pub struct Consumers<'a> {
    driver_paths: &'a [String],
    library_paths: &'a [PathBuf],
    linked: Mutex<HashMap<PathBuf, Arc<[String]>>>,
}

impl<'a> Consumers<'a> {
    /// `driver_paths` are where the driver is at run time, `library_paths` where to look for what no entry has.
    pub fn new(driver_paths: &'a [String], library_paths: &'a [PathBuf]) -> Consumers<'a> {
        Consumers {
            driver_paths,
            library_paths,
            linked: Mutex::default(),
        }
    }

    /// The RUNPATH that the file with these `facts`, which may open `names`, should have: entries in the order they had. The one it
    /// has, for machines that NVIDIA ships nothing for.
    ///
    /// # Errors
    /// A library that would count cannot be read, or lies where no RUNPATH leads.
    pub fn runpath(&self, facts: &Facts, names: &Names) -> Result<String, Error> {
        let old = facts.runpath.as_deref().or(facts.rpath.as_deref());
        let old = old.unwrap_or_default();
        let Some(machine) = Abi::of(facts) else {
            return Ok(old.to_owned());
        };
        let is_driver = |name: &String| host(machine, name) == Some(Host::Driver);
        let mut needs_driver = facts.needed.iter().chain(&names.libraries).any(is_driver);
        // One with a slash is a path, which no folder satisfies.
        let needed = || facts.needed.iter().filter(|name| !name.contains('/'));
        let mut entries: Vec<String> = Vec::new();
        let mut satisfied: Vec<&String> = Vec::new();
        let mut add = |entry: String| {
            if !entries.contains(&entry) && !self.driver_paths.contains(&entry) {
                entries.push(entry);
            }
        };
        for entry in old.split(':').filter(|entry| !entry.is_empty()) {
            let folder = Path::new(entry);
            if !folder.is_absolute() || entry.contains('$') {
                add(entry.to_owned());
                continue;
            }
            if is_of_stubs(folder) || self.driver_paths.iter().any(|path| path == entry) {
                needs_driver = true;
                continue;
            }
            let linked = self.linked(folder);
            if linked.is_empty() {
                add(entry.to_owned());
            }
            for name in needed() {
                if let Some(real) = library(folder, name, machine)? {
                    satisfied.push(name);
                    if !linked.is_empty() {
                        add(speakable(&real)?);
                    }
                }
            }
            for pattern in &names.libraries {
                for name in linked.iter().filter(|name| is_like(pattern, name)) {
                    if let Some(real) = library(folder, name, machine)? {
                        add(speakable(&real)?);
                    }
                }
            }
        }
        for name in needed().filter(|name| !is_driver(name)) {
            if satisfied.contains(&name) {
                continue;
            }
            for folder in self.library_paths {
                if let Some(real) = library(folder, name, machine)? {
                    add(speakable(&real)?);
                    break;
                }
            }
        }
        needs_driver |= entries.iter().any(|entry| is_of_a_set(Path::new(entry)));
        let driver_paths = self.driver_paths.iter().filter(|_| needs_driver);
        let all: Vec<&str> = driver_paths.chain(&entries).map(String::as_str).collect();
        Ok(all.join(":"))
    }

    /// The names of the libraries of `folder`, where all of them lie elsewhere; none where one is there itself.
    fn linked(&self, folder: &Path) -> Arc<[String]> {
        let mut known = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let linked = known.entry(folder.to_owned());
        Arc::clone(linked.or_insert_with(|| linked_libraries(folder).into()))
    }
}

/// The folder where the library `name` of `folder` really lies, if it is one for `machine` and no stub.
fn library(folder: &Path, name: &str, machine: Abi) -> Result<Option<PathBuf>, Error> {
    let path = folder.join(name);
    if is_of_stubs(folder) || !path.is_file() {
        return Ok(None);
    }
    let facts = debug::read(&path)?.filter(is_loadable);
    if facts.as_ref().and_then(Abi::of) != Some(machine) {
        return Ok(None);
    }
    let real = fs::canonicalize(&path).ok();
    let real = real.as_deref().and_then(Path::parent).unwrap_or(folder);
    // A link may have given the library the name by which it is asked for.
    let real = if real.join(name).is_file() {
        real
    } else {
        folder
    };
    Ok((!is_of_stubs(real)).then(|| real.to_owned()))
}

/// `folder` as an entry of a RUNPATH.
fn speakable(folder: &Path) -> Result<String, Unspeakable> {
    let path = folder.to_str().filter(|path| !path.contains([':', '$']));
    path.map(str::to_owned).ok_or_else(|| Unspeakable {
        place: folder.display().to_string(),
    })
}

/// Is `folder` one of stubs: by its own name, or by its path inside an output of a package? What lies above says nothing.
fn is_of_stubs(folder: &Path) -> bool {
    let output = folder.ancestors().find(|above| above.join(MARK).is_file());
    let inside = output.and_then(|output| folder.strip_prefix(output).ok());
    folder.ends_with("stubs")
        || inside.is_some_and(|inside| is_stubs_folder(&inside.to_string_lossy()))
}

/// Is `folder` of an output of a package, or of a merged view?
fn is_of_a_set(folder: &Path) -> bool {
    folder
        .ancestors()
        .take(3)
        .any(|above| above.join(MARK).is_file())
}

/// The names of the libraries of `folder` if there are some, and all of them lie elsewhere. Sorted.
fn linked_libraries(folder: &Path) -> Vec<String> {
    let Ok(real) = fs::canonicalize(folder) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".so") && !name.contains(".so.") {
            continue;
        }
        if fs::canonicalize(entry.path()).is_ok_and(|found| found.parent() == Some(&real)) {
            return Vec::new();
        }
        names.push(name);
    }
    names.sort();
    names
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

    /// A shared library that says nothing but what it is for: `number` is the machine's, 62 for x86_64.
    fn library_for(number: u16) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([3, 0]);
        bytes.extend(number.to_le_bytes());
        bytes.extend([1, 0, 0, 0]);
        // No entry point, program headers behind this header, no sections.
        for field in [0_u64, 64, 0] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend([0; 4]);
        for field in [64_u16, 56, 2, 64, 0, 0] {
            bytes.extend(field.to_le_bytes());
        }
        // PT_LOAD with all of the file, PT_DYNAMIC with an empty string table.
        let (start, size) = (176, 48);
        for (kind, offset, size) in [(1_u32, 0, start + size), (2, start, size)] {
            bytes.extend(kind.to_le_bytes());
            bytes.extend([6, 0, 0, 0]);
            for field in [offset, offset, offset, size, size, 0x1000_u64] {
                bytes.extend(field.to_le_bytes());
            }
        }
        for field in [5, 0, 10, 1, 0, 0_u64] {
            bytes.extend(field.to_le_bytes());
        }
        bytes
    }

    /// Makes `path`, a library for x86_64, and the folders above it.
    fn put(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, library_for(62)).unwrap();
    }

    /// Makes `output` one of a package of a set.
    fn mark(output: &Path) {
        let mark = output.join(MARK);
        fs::create_dir_all(mark.parent().unwrap()).unwrap();
        fs::write(mark, "").unwrap();
    }

    /// Makes a link at `path` to `target`.
    fn link(target: &Path, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn opens(names: &[&str]) -> Names {
        Names {
            libraries: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Names::default()
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
            put(&at(file));
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
            mark(&at(output));
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
            let consumers = Consumers::new(&driver, &paths);
            let found = consumers.runpath(&facts, &names).unwrap();
            assert_eq!(found, expand(expected), "{needed:?} {runpath:?}");
            // What was set right stays as it is.
            let again = Facts {
                runpath: Some(found.clone()),
                ..facts
            };
            assert_eq!(consumers.runpath(&again, &names).unwrap(), found);
        }
    }

    #[test]
    fn what_a_program_opens_stays_within_reach() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for (package, name) in [
            ("nvrtc", "libnvrtc.so.13"),
            ("cudart", "libcudart.so.13"),
            ("nvjitlink", "libnvJitLink.so.13"),
        ] {
            let file = at(&format!("{package}/lib/{name}"));
            put(&file);
            link(&file, &at("toolkit/lib").join(name));
        }
        let toolkit = at("toolkit/lib").to_str().unwrap().to_owned();
        let runpath = |needed: &[&str], names: &[&str]| {
            let facts = facts(needed, Some(&toolkit));
            let found = Consumers::new(&[], &[]).runpath(&facts, &opens(names));
            found.unwrap().replace(root.path().to_str().unwrap(), "@")
        };
        assert_eq!(runpath(&[], &[]), "");
        assert_eq!(runpath(&[], &["libnvrtc.so.13"]), "@/nvrtc/lib");
        assert_eq!(
            runpath(&["libcudart.so.13"], &["libnvJitLink.so.%d", "libz.so"]),
            "@/cudart/lib:@/nvjitlink/lib"
        );
    }

    #[test]
    fn only_libraries_of_the_same_machine_count() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        put(&at("sub/libx.so.1"));
        put(&at("right/libx.so.1"));
        for (folder, bytes) in [
            ("arm", library_for(183)),
            ("script", b"INPUT(-lx)".to_vec()),
        ] {
            put(&at(folder).join("libx.so.1"));
            fs::write(at(folder).join("libx.so.1"), bytes).unwrap();
        }
        let paths = |folders: &[&str]| folders.iter().map(|name| at(name)).collect::<Vec<_>>();
        let runpath = |needed: &str, folders: &[&str]| {
            let found = Consumers::new(&[], &paths(folders))
                .runpath(&facts(&[needed], None), &Names::default());
            found.unwrap().replace(root.path().to_str().unwrap(), "@")
        };
        let all = ["arm", "script", "right"];
        assert_eq!(runpath("libx.so.1", &all), "@/right");
        assert_eq!(runpath("libx.so.1", &all[..2]), "");
        // A path is looked up from where the program runs.
        assert_eq!(runpath("sub/libx.so.1", &[""]), "");
        // Nothing of a set is for other machines.
        let mut other = facts(&["libx.so.1"], Some("/a/stubs"));
        other.machine = Machine::Other(3);
        let consumers = Consumers::new(&[], &[]);
        assert_eq!(consumers.runpath(&other, &opens(&[])).unwrap(), "/a/stubs");
    }

    #[test]
    fn a_folder_that_no_runpath_can_name_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a:b", "$a"] {
            let folder = root.path().join(name);
            put(&folder.join("libx.so.1"));
            let found = Consumers::new(&[], std::slice::from_ref(&folder))
                .runpath(&facts(&["libx.so.1"], None), &Names::default());
            let folder = folder.display();
            let expected = format!(
                "{folder}: expected a folder whose path has neither `:` nor `$`, as it has to stand in a RUNPATH, found `{folder}`"
            );
            assert_eq!(found.unwrap_err().to_string(), expected);
        }
        // What the loader replaces in an entry is its own affair.
        let runpath = "/a/$LIB:/b";
        let found = Consumers::new(&[], &[]).runpath(&facts(&[], Some(runpath)), &opens(&[]));
        assert_eq!(found.unwrap(), runpath);
    }

    #[test]
    fn stubs_are_told_by_the_end_of_a_path_or_inside_a_package() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        mark(&at("stubs/package"));
        for (folder, expected) in [
            ("stubs/app/lib", false),
            ("stubs/package/lib", false),
            ("stubs/package/lib/stubs", true),
            ("stubs/package/lib/stubs/x", true),
            ("app/lib/stubs", true),
            ("app/lib/stubs/", true),
        ] {
            assert_eq!(is_of_stubs(&at(folder)), expected, "{folder}");
        }
        // Nor does a stub count that a link leads to.
        put(&at("app/lib/stubs/libx.so.1"));
        link(&at("app/lib/stubs/libx.so.1"), &at("view/lib/libx.so.1"));
        let paths = [at("view/lib")];
        let found = Consumers::new(&[], &paths).runpath(&facts(&["libx.so.1"], None), &opens(&[]));
        assert_eq!(found.unwrap(), "");
    }

    #[test]
    fn a_folder_of_links_is_listed_once() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        put(&at("a/libx.so.1"));
        link(&at("a/libx.so.1"), &at("view/libx.so.1"));
        let view = at("view").to_str().unwrap().to_owned();
        let consumers = Consumers::new(&[], &[]);
        let runpath = || {
            let facts = facts(&["libx.so.1"], Some(&view));
            consumers.runpath(&facts, &opens(&[])).unwrap()
        };
        let first = runpath();
        assert_eq!(first, at("a").to_str().unwrap());
        // A second listing would find a library that lies here itself.
        put(&at("view/liby.so.1"));
        assert_eq!(runpath(), first);
    }
}
