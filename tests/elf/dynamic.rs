//! Files whose dynamic section has no entry left: it moves, and everything still finds it.

use std::path::Path;
use std::process::Command;

use cuda_redist::elf::{self, Edit, Rung, Writing};
use object::LittleEndian;
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};

use super::built::{FAR, MAIN, MIDDLE, POINTED_TO, edit_all_ways, far, runs};
use super::linkers::MUSL_LOADER;
use super::patchelf::patchelf_0_19_3;
use super::{Target, edit, patch};
use crate::support;

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";

/// Address and size of the dynamic section, by its program header.
fn dynamic(file: &Path) -> (u64, u64) {
    let data = std::fs::read(file).unwrap();
    let elf = ElfFile64::<LittleEndian>::parse(&*data).unwrap();
    let segments = elf
        .elf_header()
        .program_headers(LittleEndian, &*data)
        .unwrap();
    let found = segments
        .iter()
        .find(|segment| segment.p_type(LittleEndian) == object::elf::PT_DYNAMIC)
        .unwrap();
    (found.p_vaddr(LittleEndian), found.p_filesz(LittleEndian))
}

/// A debugger finds the libraries of the running program by what the loader wrote into its dynamic section (`DT_DEBUG`).
fn debugger_finds_libraries(gdb: &Path, program: &Path, name: &str) {
    let mut command = Command::new(gdb);
    let words = ["-nx", "-batch", "-ex", "break main", "-ex", "run"];
    command.args(words).args(["-ex", "info sharedlibrary"]);
    let ran = support::run(command.arg(program)).expect(0);
    assert!(
        ran.stdout.contains("libfar.so"),
        "{name}: {}{}",
        ran.stdout,
        ran.stderr
    );
}

const PROGRAMS: [(&str, &str, &str, &[&str]); 8] = [
    (
        "lld",
        "clang",
        GLIBC,
        &["-fuse-ld=lld", "-no-pie", "-fno-pie"],
    ),
    (
        "lld-now",
        "clang",
        GLIBC,
        &["-fuse-ld=lld", "-no-pie", "-fno-pie", "-Wl,-z,now"],
    ),
    (
        "lld-norelro",
        "clang",
        GLIBC,
        &["-fuse-ld=lld", "-no-pie", "-fno-pie", "-Wl,-z,norelro"],
    ),
    // The loader must not write to it, so it need not be writable.
    (
        "lld-read-only",
        "clang",
        GLIBC,
        &["-fuse-ld=lld", "-no-pie", "-fno-pie", "-Wl,-z,rodynamic"],
    ),
    // No note and no hash table makes room for a program header.
    (
        "lld-musl",
        "musl-gcc",
        MUSL_LOADER,
        &["-fuse-ld=lld", "-no-pie", "-fno-pie"],
    ),
    (
        "bfd-musl",
        "musl-gcc",
        MUSL_LOADER,
        &["-no-pie", "-fno-pie", "-Wl,--spare-dynamic-tags=0"],
    ),
    (
        "bfd",
        "gcc",
        GLIBC,
        &["-no-pie", "-fno-pie", "-Wl,--spare-dynamic-tags=0"],
    ),
    (
        "bfd-packed",
        "gcc",
        GLIBC,
        &["-Wl,-z,pack-relative-relocs,--spare-dynamic-tags=0"],
    ),
];

#[test]
fn programs_run_with_a_dynamic_section_elsewhere() {
    let test = "elf::dynamic::programs_run_with_a_dynamic_section_elsewhere";
    let (Some(gdb), Some(_)) = (support::tool(test, "gdb"), support::tool(test, "ld.lld")) else {
        return;
    };
    for (name, cc, loader, flags) in PROGRAMS {
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
        let (was, len) = dynamic(&program);
        assert_eq!(
            elf::read(&program).unwrap().unwrap().spare_dynamic_slots,
            0,
            "{name}"
        );
        let rungs = edit_all_ways(test, &target, &program, &program, &far, name);
        let expected = if name == "lld-musl" {
            Rung::ExtendSegment
        } else {
            Rung::NewSegment
        };
        assert_eq!(rungs.first, expected, "{name}: {rungs:?}");
        assert!(rungs.bare.is_some(), "{name}: {rungs:?}");
        let (is, longer) = dynamic(&program);
        assert!(
            is != was && longer > len,
            "{name}: 0x{is:x}, {longer} bytes"
        );
        assert_eq!(
            elf::read(&program).unwrap().unwrap().spare_dynamic_slots,
            4,
            "{name}"
        );
        if loader == GLIBC && name != "lld-read-only" {
            debugger_finds_libraries(&gdb, &program, name);
        }
    }
}

/// `dir` gets a library without room in its dynamic section, and the program that needs it.
fn library(target: &Target, dir: &Path, far: &Path, flags: &[&str]) -> [std::path::PathBuf; 2] {
    let library = dir.join("libmiddle.so");
    let link = format!("-L{}", far.display());
    // Without nocombreloc DT_RELACOUNT would give way.
    let own = [
        "-shared",
        "-fPIC",
        "-Wl,-soname,libmiddle.so,-z,nocombreloc,--spare-dynamic-tags=0",
        &link,
        "-lfar",
    ];
    target.compile(MIDDLE, &[flags, &own].concat(), &library);
    assert_eq!(elf::read(&library).unwrap().unwrap().spare_dynamic_slots, 0);
    let program = dir.join("program");
    let home = format!("-L{}", dir.display());
    let own = format!("-Wl,--enable-new-dtags,-rpath,{}", dir.display());
    let lax = "-Wl,--allow-shlib-undefined";
    target.compile(MAIN, &[&home, "-lmiddle", &own, lax], &program);
    [library, program]
}

fn edit_libraries(test: &str, target: &Target) {
    let dir = support::dir();
    let far = far(target, dir.path());
    for (name, flags, rung) in [
        ("notes", &[][..], Rung::NewSegment),
        (
            "hash",
            &["-Wl,--build-id=none,--hash-style=sysv"],
            Rung::NewSegment,
        ),
        (
            "no-notes",
            &["-Wl,--build-id=none,--hash-style=gnu"],
            Rung::ExtendSegment,
        ),
    ] {
        let home = dir.path().join(name);
        std::fs::create_dir(&home).unwrap();
        let no_notes = if target.is_host() {
            &["-fcf-protection=none"][..]
        } else {
            &[]
        };
        let flags = [flags, no_notes].concat();
        let [library, program] = library(target, &home, &far, &flags);
        let was = dynamic(&library).0;
        let rungs = edit_all_ways(test, target, &library, &program, &far, name);
        assert_eq!(rungs.first, rung, "{name}");
        assert_ne!(dynamic(&library).0, was, "{name}");
    }
}

#[test]
fn libraries_load_with_a_dynamic_section_elsewhere() {
    let test = "elf::dynamic::libraries_load_with_a_dynamic_section_elsewhere";
    if let Some(target) = Target::host(test) {
        edit_libraries(test, &target);
    }
}

#[test]
fn emulated_files_run_with_a_dynamic_section_elsewhere() {
    let test = "elf::dynamic::emulated_files_run_with_a_dynamic_section_elsewhere";
    // On aarch64 only section headers tell of the global offset table that starts with the dynamic section's address.
    for (target, bare) in [
        (Target::aarch64(test), None),
        (Target::ppc64le(test), Some(Rung::ExtendSegment)),
    ] {
        let Some(target) = target else { continue };
        edit_libraries(test, &target);
        let dir = support::dir();
        let far = far(&target, dir.path());
        let program = dir.path().join("program");
        let source = format!("{MIDDLE}{}", MAIN.replace("int middle_value(void);", ""));
        let link = format!("-L{}", far.display());
        let flags = [
            "-no-pie",
            "-fno-pie",
            "-Wl,--spare-dynamic-tags=0",
            &link,
            "-lfar",
        ];
        target.compile(&source, &flags, &program);
        let was = dynamic(&program).0;
        let rungs = edit_all_ways(test, &target, &program, &program, &far, "emulated");
        assert_eq!((rungs.first, rungs.bare), (Rung::NewSegment, bare));
        assert_ne!(dynamic(&program).0, was);
    }
}

/// Several entries at once, a second time when there is room again, and patchelf itself in between.
#[test]
fn other_edits_follow_a_move() {
    let test = "elf::dynamic::other_edits_follow_a_move";
    let dir = support::dir();
    let (Some(target), Some(theirs)) = (
        Target::host_by(test, "clang", GLIBC),
        patchelf_0_19_3(test, dir.path()),
    ) else {
        return;
    };
    if support::tool(test, "ld.lld").is_none() {
        return;
    }
    let far = far(&target, dir.path());
    let program = dir.path().join("program");
    let source = format!("{MIDDLE}{}", MAIN.replace("int middle_value(void);", ""));
    let link = format!("-L{}", far.display());
    let flags = ["-fuse-ld=lld", "-no-pie", "-fno-pie", &link, "-lfar"];
    target.compile(&source, &flags, &program);
    let original = program.with_extension("original");
    std::fs::copy(&program, &original).unwrap();
    let many = Edit {
        add_needed: ["libm.so.6", "libdl.so.2", "libpthread.so.0"]
            .map(str::to_owned)
            .to_vec(),
        ..Edit::runpath(far.to_str().unwrap())
    };
    edit(test, &original, &program, &many);
    runs(&target, &program, "with three more NEEDED");
    let facts = elf::read(&program).unwrap().unwrap();
    assert_eq!((facts.needed.len(), facts.spare_dynamic_slots), (5, 4));
    let moved = dynamic(&program);
    let more = Edit {
        add_needed: vec!["librt.so.1".to_owned()],
        ..Edit::default()
    };
    assert_eq!(edit(test, &original, &program, &more), Rung::Grow);
    assert_eq!(dynamic(&program), moved);
    runs(&target, &program, "with another");
    // patchelf stops where the string table of a program that is not position independent is the last section.
    target.strip(&program);
    runs(&target, &program, "stripped");
    for runpath in [
        format!("{}:/x{}", far.display(), "/x".repeat(200)),
        far.display().to_string(),
    ] {
        let mut command = Command::new(&theirs);
        support::run(command.args(["--set-rpath", &runpath]).arg(&program)).expect(0);
        runs(&target, &program, "after patchelf");
        let longer = format!("{}:/ours{}", far.display(), "/x".repeat(400));
        elf::set_runpath(&program, &longer).unwrap();
        runs(&target, &program, "after ours");
    }
}

/// No table tells of code that computes the section's address: it finds there what the linker wrote, and after `strip` nothing.
#[test]
fn code_finds_the_section_as_it_was_linked() {
    let test = "elf::dynamic::code_finds_the_section_as_it_was_linked";
    let Some(target) = Target::host_by(test, "clang", GLIBC) else {
        return;
    };
    if support::tool(test, "ld.lld").is_none() {
        return;
    }
    let dir = support::dir();
    let far = far(&target, dir.path());
    let program = dir.path().join("program");
    let source = r#"
        #include <elf.h>
        #include <stdio.h>
        extern Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));
        int far_value(void);
        int main(void) {
            int entries = 0;
            for (Elf64_Dyn *entry = _DYNAMIC; entry->d_tag; entry++) entries++;
            printf("%d, %d\n", entries, far_value());
            return 0;
        }
    "#;
    let link = format!("-L{}", far.display());
    let flags = ["-fuse-ld=lld", "-no-pie", "-fno-pie", &link, "-lfar"];
    target.compile(source, &flags, &program);
    let linked = dynamic(&program).1 / 16 - 1;
    elf::set_runpath(&program, far.to_str().unwrap()).unwrap();
    assert_eq!(target.run(&program, &[]).stdout, format!("{linked}, 40\n"));
    target.strip(&program);
    assert_eq!(target.run(&program, &[]).stdout, "0, 40\n");
}

/// What such code finds there is as the linker left it, while the loader works elsewhere: nobody adds the load address, and a
/// debugger's entry stays empty. Known, and said in the documentation; no table tells which code does that.
#[test]
fn addresses_in_the_section_as_it_was_linked_are_out_of_date() {
    let test = "elf::dynamic::addresses_in_the_section_as_it_was_linked_are_out_of_date";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let library = dir.path().join("libown.so");
    let source = r#"
        #include <elf.h>
        extern Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));
        extern char __ehdr_start[] __attribute__((visibility("hidden")));
        int is_relocated(void) {
            for (Elf64_Dyn *entry = _DYNAMIC; entry->d_tag; entry++)
                if (entry->d_tag == DT_STRTAB) return entry->d_un.d_ptr > (Elf64_Addr)__ehdr_start;
            return 2;
        }
    "#;
    let own = "-Wl,-soname,libown.so,-z,nocombreloc,--spare-dynamic-tags=0";
    target.compile(source, &["-shared", "-fPIC", own], &library);
    let program = dir.path().join("program");
    let main = r#"
        #include <link.h>
        #include <stdio.h>
        int is_relocated(void);
        int main(void) {
            int is_set = 2;
            for (ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag; entry++)
                if (entry->d_tag == DT_DEBUG) is_set = entry->d_un.d_ptr != 0;
            printf("%d %d\n", is_relocated(), is_set);
            return 0;
        }
    "#;
    let home = format!("-L{}", dir.path().display());
    let found = format!("-Wl,--spare-dynamic-tags=0,-rpath,{}", dir.path().display());
    let flags = ["-no-pie", "-fno-pie", &*home, "-lown", &found];
    target.compile(main, &flags, &program);
    assert_eq!(target.run(&program, &[]).stdout, "1 1\n");
    elf::set_runpath(&library, "/a").unwrap();
    assert_eq!(target.run(&program, &[]).stdout, "0 1\n");
    let more = Edit {
        add_needed: vec!["libm.so.6".to_owned()],
        ..Edit::default()
    };
    elf::edit(&program, &more, Writing::InPlace).unwrap();
    assert_eq!(target.run(&program, &[]).stdout, "0 0\n");
}

/// What is behind the terminating entry is not looked at, nor written over where the section is.
#[test]
fn what_follows_the_last_entry_stays() {
    let test = "elf::dynamic::what_follows_the_last_entry_stays";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let library = dir.path().join("library.so");
    for spare in [4, 12] {
        let flags = format!("-Wl,--spare-dynamic-tags={spare}");
        let flags = ["-shared", "-fPIC", "-nostdlib", &flags];
        target.compile("int value = 1;", &flags, &library);
        let mut bytes = std::fs::read(&library).unwrap();
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let mut headers = (0..usize::from(bytes[56])).map(|index| 64 + 56 * index);
        let header = headers.find(|at| number(*at) & 0xffff_ffff == 2).unwrap();
        let start = usize::try_from(number(header + 8)).unwrap();
        let end = start + usize::try_from(number(header + 32)).unwrap();
        let null = (start..end)
            .step_by(16)
            .find(|at| number(*at) == 0)
            .unwrap();
        assert!(end - null > 16 * spare, "{spare}");
        bytes[null + 16..end].fill(0x6f);
        std::fs::write(&library, &bytes).unwrap();
        assert_eq!(elf::read(&library).unwrap().unwrap().spare_dynamic_slots, 0);
        let original = library.with_extension("original");
        std::fs::copy(&library, &original).unwrap();
        let was = dynamic(&library).0;
        patch(test, &original, &library, "/a");
        assert_ne!(dynamic(&library).0, was, "{spare}");
        let edited = std::fs::read(&library).unwrap();
        assert!(edited[start..end] == bytes[start..end], "{spare}");
    }
}

/// Whoever has the section's address by a relocation would look at the old one, and so would a program that is not position independent
/// whose data holds it.
#[test]
fn a_dynamic_section_that_is_pointed_to_stays() {
    let test = "elf::dynamic::a_dynamic_section_that_is_pointed_to_stays";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let file = dir.path().join("library.so");
    let pointer = "extern char _DYNAMIC[] __attribute__((visibility(\"hidden\"))); char *pointer = _DYNAMIC + 16;";
    let program = |data: &str| format!("{data} int main(void) {{ return 0; }}");
    let in_program = program(pointer);
    let others_in_program = program("int x; int *pointer = &x; char text[100] = { 1 };");
    let shared = ["-shared", "-fPIC"];
    let fixed = ["-no-pie", "-fno-pie"];
    let relocation = "a relocation yields the address of the dynamic section";
    for (name, source, kind, relocations, refusal) in [
        (
            "rela",
            pointer,
            shared,
            "-Wl,-z,nocombreloc",
            Some(relocation),
        ),
        (
            "relr",
            pointer,
            shared,
            "-Wl,-z,pack-relative-relocs,-z,nocombreloc",
            Some(relocation),
        ),
        (
            "fixed",
            &in_program,
            fixed,
            "-Wl,-z,relro",
            Some(POINTED_TO),
        ),
        (
            "others fixed",
            &others_in_program,
            fixed,
            "-Wl,-z,relro",
            None,
        ),
        // Pointers to others, far enough apart and near enough together for words and for bits.
        (
            "other relr",
            "int x; int *a[100] = { &x, &x, &x }; char gap[10000] = { 1 }; int *b[100] = { [7] = &x };",
            shared,
            "-Wl,-z,pack-relative-relocs,-z,nocombreloc",
            None,
        ),
        (
            "other rela",
            "int x; int *pointer = &x;",
            shared,
            "-Wl,-z,nocombreloc",
            None,
        ),
    ] {
        let flags = [kind[0], kind[1], relocations, "-Wl,--spare-dynamic-tags=0"];
        target.compile(source, &flags, &file);
        let original = file.with_extension("original");
        std::fs::copy(&file, &original).unwrap();
        let was = dynamic(&file);
        let Some(refusal) = refusal else {
            patch(test, &original, &file, "/a");
            assert_ne!(dynamic(&file), was, "{name}");
            continue;
        };
        let error = elf::edit(&file, &Edit::runpath("/a"), Writing::InPlace);
        let error = error.unwrap_err().render();
        assert!(error.contains(refusal), "{name}: {error}");
        assert!(std::fs::read(&file).unwrap() == std::fs::read(&original).unwrap());
    }
    // An edit that needs no entry is fine.
    target.compile(
        FAR,
        &[
            "-shared",
            "-fPIC",
            "-Wl,--spare-dynamic-tags=1,-rpath,/some/where",
        ],
        &file,
    );
    let original = file.with_extension("original");
    std::fs::copy(&file, &original).unwrap();
    let was = dynamic(&file);
    patch(test, &original, &file, &"/longer".repeat(20));
    assert_eq!(dynamic(&file), was);
}
