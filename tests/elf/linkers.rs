//! Files of other compilers and linkers, and of unusual layouts.

use std::path::Path;

use cuda_redist::elf::{self, Edit, ElfKind, Rung, SearchPath, Writing};
use cuda_redist::fatbin;

use super::built::{FAR, MAIN, MIDDLE, edit_all_ways, far, runs, without_sections};
use super::{Target, edit, modified, patch};
use crate::support;

/// The dynamic loader of musl, from Debian's `musl`.
pub(super) const MUSL_LOADER: &str = "/lib/ld-musl-x86_64.so.1";

#[test]
fn files_of_every_linker_run_after_every_edit() {
    let test = "elf::linkers::files_of_every_linker_run_after_every_edit";
    let glibc = "/lib64/ld-linux-x86-64.so.2";
    let linkers: [(&str, &str, &str, &[&str]); 8] = [
        ("clang-bfd", "clang", glibc, &[]),
        ("clang-lld", "clang", glibc, &["-fuse-ld=lld"]),
        // No spare entry in the dynamic section, and none that is old.
        (
            "clang-lld-now",
            "clang",
            glibc,
            &["-fuse-ld=lld", "-Wl,-z,now,-z,separate-code"],
        ),
        ("gcc-mold", "gcc", glibc, &["-fuse-ld=mold"]),
        (
            "gcc-64k-pages",
            "gcc",
            glibc,
            &["-Wl,-z,max-page-size=0x10000", "-Wl,-z,now"],
        ),
        (
            "gcc-64k-separate",
            "gcc",
            glibc,
            &["-Wl,-z,max-page-size=0x10000,-z,separate-code"],
        ),
        ("musl", "musl-gcc", MUSL_LOADER, &[]),
        (
            "musl-no-pie",
            "musl-gcc",
            MUSL_LOADER,
            &["-no-pie", "-fno-pie"],
        ),
    ];
    for (name, cc, loader, flags) in linkers {
        if flags.contains(&"-fuse-ld=lld") && support::tool(test, "ld.lld").is_none()
            || flags.contains(&"-fuse-ld=mold") && support::tool(test, "mold").is_none()
        {
            continue;
        }
        let Some(target) = Target::host_by(test, cc, loader) else {
            continue;
        };
        let dir = support::dir();
        let far = far(&target, dir.path());
        let program = dir.path().join(name);
        let source = format!("{MIDDLE}{}", MAIN.replace("int middle_value(void);", ""));
        let link = format!("-L{}", far.display());
        let all: Vec<&str> = flags.iter().copied().chain([&*link, "-lfar"]).collect();
        target.compile(&source, &all, &program);
        assert_eq!(
            elf::read(&program).unwrap().unwrap().kind,
            ElfKind::Executable,
            "{name}"
        );
        let rungs = edit_all_ways(test, &target, &program, &program, &far, name);
        assert!(rungs.first > Rung::Grow, "{name}: {rungs:?}");

        // A library by the same linker, needed by a program.
        let library = dir.path().join("libmiddle.so");
        let shared = ["-shared", "-fPIC", "-Wl,-soname,libmiddle.so"];
        let kept = flags.iter().copied().filter(|flag| !flag.contains("pie"));
        let all: Vec<&str> = kept.chain(shared).chain([&*link, "-lfar"]).collect();
        target.compile(MIDDLE, &all, &library);
        let program = dir.path().join("needs-library");
        let home = format!("-L{}", dir.path().display());
        let own = format!("-Wl,--enable-new-dtags,-rpath,{}", dir.path().display());
        let lax = "-Wl,--allow-shlib-undefined";
        target.compile(MAIN, &[&home, "-lmiddle", &own, lax], &program);
        let what = format!("{name}-library");
        edit_all_ways(test, &target, &library, &program, &far, &what);
    }
}

/// lld drops a program header after it has counted them for `PT_PHDR`.
#[test]
fn program_headers_said_to_be_longer_get_their_length() {
    let test = "elf::linkers::program_headers_said_to_be_longer_get_their_length";
    let glibc = "/lib64/ld-linux-x86-64.so.2";
    let Some(target) = Target::host_by(test, "clang", glibc) else {
        return;
    };
    if support::tool(test, "ld.lld").is_none() {
        return;
    }
    let dir = support::dir();
    let library = dir.path().join("library.so");
    // A note as long as a program header: one more fits.
    let note = format!("-Wl,--build-id=0x{},-rpath,/b", "01".repeat(40));
    let flags = ["-fuse-ld=lld", "-shared", "-fPIC", "-nostdlib", &note];
    target.compile(FAR, &flags, &library);
    let lens = || {
        let bytes = std::fs::read(&library).unwrap();
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!(word(64) & 0xffff_ffff, 6, "PT_PHDR comes first");
        (u64::from(bytes[56]) * 56, word(64 + 32), word(64 + 40))
    };
    let (len, said, _) = lens();
    if said == len {
        // Another version of lld: have it so.
        let mut bytes = std::fs::read(&library).unwrap();
        for at in [64 + 32, 64 + 40] {
            bytes[at..at + 8].copy_from_slice(&(len + 56).to_le_bytes());
        }
        std::fs::write(&library, bytes).unwrap();
    }
    let original = library.with_extension("original");
    std::fs::copy(&library, &original).unwrap();
    assert_eq!(
        patch(test, &original, &library, "/a/value"),
        Rung::NewSegment
    );
    assert_eq!(lens(), (len + 56, len + 56, len + 56));
}

/// glibc's start-up code stops at a RUNPATH, whoever put it there.
#[test]
fn static_position_independent_programs_are_left_alone() {
    let test = "elf::linkers::static_position_independent_programs_are_left_alone";
    // glibc has no such programs for ppc64le.
    for (target, machine) in [
        (Target::host(test), "x86_64"),
        (Target::aarch64(test), "aarch64"),
    ] {
        if let Some(target) = target {
            leave_static_program_alone(test, &target, machine);
        }
    }
}

fn leave_static_program_alone(test: &str, target: &Target, machine: &str) {
    let dir = support::dir();
    let program = dir.path().join("static-pie");
    let source = format!(
        "{FAR}{MIDDLE}{}",
        MAIN.replace("int middle_value(void);", "")
    );
    target.compile(&source, &["-static-pie", "-fPIE"], &program);
    let time = modified(&program);
    let needed = Edit {
        add_needed: vec!["libfar.so".to_owned()],
        ..Edit::default()
    };
    for (edit, message) in [
        (
            Edit::runpath("/a"),
            "set RUNPATH: expected a library, or a program with an interpreter, found a static program",
        ),
        (
            needed,
            "add NEEDED: expected a library, or a program with an interpreter, found a static program",
        ),
        (
            Edit::interpreter("/ld.so"),
            "set the interpreter: expected a file with an interpreter, found none",
        ),
    ] {
        let error = elf::edit(&program, &edit, Writing::InPlace)
            .unwrap_err()
            .to_string();
        let (_, found) = error.rsplit_once(": cannot ").unwrap();
        let wanted = format!("{message} (executable, {machine}); file left unchanged");
        assert_eq!(found, wanted);
    }
    assert_eq!(modified(&program), time);
    runs(target, &program, "static-pie");
    // One that a linker put there can be removed: then the program runs.
    target.compile(
        &source,
        &["-static-pie", "-fPIE", "-Wl,-rpath,/a"],
        &program,
    );
    let original = program.with_extension("original");
    std::fs::copy(&program, &original).unwrap();
    let remove = Edit {
        search_path: SearchPath::Remove,
        ..Edit::default()
    };
    edit(test, &original, &program, &remove);
    runs(target, &program, "static-pie without its RUNPATH");
}

/// nixpkgs#434101: device code right behind the program headers was moved away from under its pointers.
#[test]
fn device_code_behind_the_headers_stays() {
    let test = "elf::linkers::device_code_behind_the_headers_stays";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let library = dir.path().join("libdevice.so");
    let script = dir.path().join("order.ld");
    let order = "SECTIONS { .nv_fatbin : { *(.nv_fatbin) } } INSERT BEFORE .gnu.hash;";
    std::fs::write(&script, order).unwrap();
    // One cubin for sm_90, empty but for its padding, and the pointer to it that the runtime follows.
    let source = r#"
        __attribute__((section(".nv_fatbin"), aligned(8)))
        const struct { unsigned magic; unsigned short version, len; unsigned long size;
                       unsigned short kind, one; unsigned header; unsigned long payload; unsigned packed, extra;
                       unsigned short minor, major; unsigned arch, name, name_len; unsigned long flags, zero, unpacked, code; }
        code = { 0xba55ed50, 1, 16, 72, 2, 0x101, 64, 8, 0, 0, 0, 1, 90, 0, 0, 0x11, 0, 0, 0x1234 };
        const void *segment[] __attribute__((section(".nvFatBinSegment"))) = { &code };
        int far_value(void);
        int middle_value(void) { return *(const unsigned *)segment[0] == 0xba55ed50 ? far_value() + 2 : -1; }
    "#;
    let far = far(&target, dir.path());
    let link = format!("-L{}", far.display());
    let order = format!("-Wl,-T,{}", script.display());
    let flags = [
        "-shared",
        "-fPIC",
        "-Wl,-soname,libdevice.so,--build-id=none,--hash-style=gnu",
        "-fcf-protection=none",
        &order,
        &link,
        "-lfar",
    ];
    target.compile(source, &flags, &library);
    let program = dir.path().join("program");
    let home = format!("-L{}", dir.path().display());
    let own = format!("-Wl,--enable-new-dtags,-rpath,{}", dir.path().display());
    let lax = "-Wl,--allow-shlib-undefined";
    target.compile(MAIN, &[&home, "-ldevice", &own, lax], &program);

    let original = library.with_extension("original");
    std::fs::copy(&library, &original).unwrap();
    let names = |file: &Path| -> Vec<String> {
        let found = fatbin::architectures(file).unwrap();
        found.iter().map(ToString::to_string).collect()
    };
    assert_eq!(names(&library), ["sm_90"]);
    let runpath = format!("/run/opengl-driver/lib:{}", far.display());
    // `patch` compares the addresses and bytes of all sections that may not move.
    let rung = patch(test, &original, &library, &runpath);
    assert_eq!(rung, Rung::ExtendSegment);
    assert_eq!(names(&library), ["sm_90"]);
    runs(&target, &program, "device code first");
    target.strip(&library);
    runs(&target, &program, "device code first, stripped");
}

/// Neither dynamic section nor section headers: the interpreter can be set all the same.
#[test]
fn interpreter_needs_no_other_tables() {
    let test = "elf::linkers::interpreter_needs_no_other_tables";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let program = dir.path().join("program");
    let source = format!(
        "{FAR}{MIDDLE}{}",
        MAIN.replace("int middle_value(void);", "")
    );
    target.compile(&source, &[], &program);
    let original = program.with_extension("original");
    // PT_DYNAMIC becomes PT_NULL: no tool sees a dynamic section there.
    let mut bytes = without_sections(std::fs::read(&program).unwrap());
    let count = usize::from(bytes[56]);
    let dynamic = (0..count)
        .map(|index| 64 + index * 56)
        .find(|at| bytes[*at] == 2)
        .unwrap();
    bytes[dynamic] = 0;
    std::fs::write(&original, &bytes).unwrap();
    for (path, rung) in [
        ("/x/ld.so", Rung::Slot),
        (&*"/long".repeat(50), Rung::ExtendSegment),
    ] {
        std::fs::copy(&original, &program).unwrap();
        let edit = Edit::interpreter(path);
        assert_eq!(
            elf::edit(&program, &edit, Writing::InPlace).unwrap().rung,
            rung
        );
        let facts = elf::read(&program).unwrap().unwrap();
        assert_eq!(
            (facts.interpreter.as_deref(), facts.is_dynamic),
            (Some(path), false)
        );
        let error = elf::set_runpath(&program, "/a").unwrap_err().render();
        assert!(error.contains("found no dynamic section"), "{error}");
    }
}

#[test]
fn libraries_are_needed_too() {
    let test = "elf::linkers::libraries_are_needed_too";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let far = far(&target, dir.path());
    let program = dir.path().join("program");
    // Nothing names the library at link time: only NEEDED brings it.
    let source = format!("__attribute__((weak)) {FAR}").replace("{ return 40; }", ";");
    let source = format!(
        "{source}\n#include <stdio.h>\nint main(void) {{ printf(\"value %d\\n\", far_value ? far_value() + 2 : 0); return 0; }}\n"
    );
    target.compile(&source, &["-fPIE", "-pie"], &program);
    let original = program.with_extension("original");
    std::fs::copy(&program, &original).unwrap();
    assert_eq!(target.run(&program, &[]).stdout, "value 0\n");
    let wanted = Edit {
        add_needed: vec![
            "libfar.so".to_owned(),
            "libc.so.6".to_owned(),
            "libfar.so".to_owned(),
        ],
        ..Edit::runpath(far.to_str().unwrap())
    };
    edit(test, &original, &program, &wanted);
    let facts = elf::read(&program).unwrap().unwrap();
    assert_eq!(facts.needed, ["libc.so.6", "libfar.so"]);
    runs(&target, &program, "with one more NEEDED");
}
