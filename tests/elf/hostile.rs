//! Files that are refused: unchanged to the byte and to the time, with a message that says what is wrong.

use std::path::Path;
use std::process::Command;

use cuda_redist::elf::{self, Edit, Writing};
use cuda_redist::fatbin;

use super::{Target, modified};
use crate::support;

/// A 64-byte ELF header without tables, all numbers in the byte order asked for.
fn header(class: u8, order: u8, kind: u16, machine: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.extend([class, order, 1]);
    bytes.resize(16, 0);
    for number in [kind, machine] {
        bytes.extend(if order == 1 {
            number.to_le_bytes()
        } else {
            number.to_be_bytes()
        });
    }
    bytes.resize(64, 0);
    bytes
}

/// Tries an edit that must fail, and gives back its message without the file's name.
#[track_caller]
fn refused(file: &Path) -> String {
    let (bytes, time) = (std::fs::read(file).unwrap(), modified(file));
    let error = elf::set_runpath(file, "/a:$ORIGIN").unwrap_err();
    assert!(error.is_rejected(), "{error}");
    assert!(
        std::fs::read(file).unwrap() == bytes && modified(file) == time,
        "{file:?} was changed: {error}"
    );
    error.render().replace(&file.display().to_string(), "FILE")
}

#[test]
fn foreign_files_are_refused() {
    let dir = support::dir();
    let file = dir.path().join("file");
    for (bytes, found) in [
        (Vec::new(), "no ELF file"),
        (b"\x7fEL".to_vec(), "no ELF file"),
        (b"#!/bin/sh\nexit 0\n".to_vec(), "no ELF file"),
        (
            header(1, 1, 3, 3),
            "not 64-bit little-endian (shared library, i386)",
        ),
        (
            header(2, 2, 3, 21),
            "not 64-bit little-endian (shared library, ppc64)",
        ),
        (
            header(1, 2, 2, 8),
            "not 64-bit little-endian (executable, machine 8)",
        ),
        (
            header(2, 1, 3, 243),
            "not for x86_64, aarch64 or ppc64le (shared library, riscv64)",
        ),
        (
            header(2, 1, 2, 190),
            "not for x86_64, aarch64 or ppc64le (executable, cuda)",
        ),
        (
            header(2, 1, 1, 62),
            "neither executable nor shared library (object file, x86_64)",
        ),
        (
            header(2, 1, 2, 183),
            "no dynamic section (executable, aarch64)",
        ),
    ] {
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(
            refused(&file),
            format!(
                "FILE: cannot set RUNPATH: expected a dynamic 64-bit little-endian ELF program or library for x86_64, \
                 aarch64 or ppc64le, found {found}; file left unchanged"
            )
        );
        // Reading is for all sorts.
        assert_eq!(
            elf::read(&file).unwrap().is_some(),
            found != "no ELF file",
            "{found}"
        );
        assert_eq!(fatbin::architectures(&file).unwrap(), [], "{found}");
    }
}

#[test]
fn damaged_headers_are_refused() {
    let dir = support::dir();
    let file = dir.path().join("file");
    let with = |at: usize, value: u64, len: usize| {
        let mut bytes = header(2, 1, 3, 62);
        bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        bytes
    };
    let mut many = with(32, 64, 8);
    many[54..58].copy_from_slice(&[56, 0, 1, 0]);
    for (bytes, message) in [
        (
            b"\x7fELF".to_vec(),
            "FILE: ELF header: expected class 1 or 2, found the end of the file",
        ),
        (
            header(3, 1, 3, 62),
            "FILE: ELF header: expected class 1 or 2, found 3",
        ),
        (
            header(2, 0, 3, 62),
            "FILE: ELF header: expected byte order 1 or 2, found 0",
        ),
        (
            header(2, 1, 3, 62)[..63].to_vec(),
            "FILE: ELF header: expected 64 bytes, found 63 bytes",
        ),
        (
            with(56, 0xffff, 2),
            "FILE: ELF header: expected fewer than 65535 program headers, found 65535",
        ),
        (
            with(56, 3, 2),
            "FILE: ELF header: expected program headers of 56 bytes, found 0 bytes",
        ),
        (
            many,
            "FILE: ELF header: expected tables inside the 64 bytes of the file, found 1 program headers of 56 bytes at offset 0x40",
        ),
        (
            with(40, u64::MAX, 8),
            "FILE: ELF header: expected tables inside the 64 bytes of the file, found 1 section headers of 64 bytes at \
             offset 0xffffffffffffffff",
        ),
    ] {
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(refused(&file), message);
        assert!(elf::read(&file).unwrap_err().is_rejected(), "{message}");
    }
}

#[test]
fn directories_and_missing_files_are_errors() {
    let dir = support::dir();
    for (path, code) in [(dir.path().to_owned(), 1), (dir.path().join("missing"), 3)] {
        for error in [
            elf::read(&path).unwrap_err(),
            elf::set_runpath(&path, "/a").unwrap_err(),
        ] {
            assert_eq!(error.kind().exit_code(), code, "{error}");
            assert!(
                error.place().unwrap().starts_with(path.to_str().unwrap()),
                "{error}"
            );
        }
    }
}

#[test]
fn every_cut_file_is_refused_or_sound() {
    let test = "elf::hostile::every_cut_file_is_refused_or_sound";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let library = dir.path().join("library.so");
    target.compile("int value = 1;", &["-shared", "-fPIC"], &library);
    let whole = std::fs::read(&library).unwrap();
    let file = dir.path().join("cut");
    for len in (0..whole.len()).rev().step_by(7) {
        std::fs::write(&file, &whole[..len]).unwrap();
        // The section headers end the file: any cut is seen.
        refused(&file);
    }
}

/// A dynamic section without a free entry that cannot move, each for its reason; otherwise it would.
#[test]
fn dynamic_sections_that_cannot_move_are_refused() {
    let test = "elf::hostile::dynamic_sections_that_cannot_move_are_refused";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let library = dir.path().join("library.so");
    // No relocation, no count of relocations that could give way.
    let flags = [
        "-shared",
        "-fPIC",
        "-nostdlib",
        "-Wl,--spare-dynamic-tags=0",
    ];
    target.compile("int value = 1;", &flags, &library);
    assert_eq!(elf::read(&library).unwrap().unwrap().spare_dynamic_slots, 0);
    let bytes = std::fs::read(&library).unwrap();
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let segment = (0..usize::from(bytes[56]))
        .map(|index| 64 + 56 * index)
        .find(|header| bytes[*header] == 2)
        .unwrap();
    let section = (0..usize::from(bytes[60]))
        .map(|index| at(number(40)) + 64 * index)
        .find(|header| bytes[header + 4] == 6)
        .unwrap();
    for (patch, value, reason) in [
        (
            segment + 16,
            number(segment + 16) + 16,
            "the dynamic section's address does not follow from its offset",
        ),
        (
            section + 32,
            number(section + 32) - 16,
            "no single section header that describes the dynamic section",
        ),
    ] {
        let mut damaged = bytes.clone();
        damaged[patch..patch + 8].copy_from_slice(&value.to_le_bytes());
        std::fs::write(&library, &damaged).unwrap();
        assert_eq!(
            refused(&library),
            format!(
                "FILE: cannot set RUNPATH: no room for 11 bytes (P3: {reason}; P2: {reason}); file left unchanged"
            )
        );
    }
    std::fs::write(&library, &bytes).unwrap();
    elf::set_runpath(&library, "/a").unwrap();
}

/// A library without section headers and without a free dynamic entry: one segment, loaded with `flags`, in which `words` lie at 0x2000.
fn crowded(flags: u64, dynamic: &[[u64; 2]], words: &[u64]) -> Vec<u8> {
    let len = 0x2000 + 8 * words.len() as u64;
    let strings = [[5, 0x400], [10, 16]];
    let entries = [&strings, dynamic, &[[0, 0]]].concat();
    let mut bytes = header(2, 1, 3, 62);
    let mut put = |at: usize, numbers: &[u64]| {
        bytes.resize(bytes.len().max(at + 8 * numbers.len()), 0);
        for (place, number) in bytes[at..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
    };
    put(32, &[64]);
    put(64, &[1 | flags << 32, 0, 0, 0, len, len, 0x1000]);
    let dynamic_len = 16 * entries.len() as u64;
    put(
        64 + 56,
        &[
            2 | 6 << 32,
            0x300,
            0x300,
            0x300,
            dynamic_len,
            dynamic_len,
            8,
        ],
    );
    put(0x300, entries.as_flattened());
    put(0x2000, words);
    bytes.resize(usize::try_from(len).unwrap(), 0);
    bytes[20] = 1;
    bytes[54..58].copy_from_slice(&[56, 0, 2, 0]);
    bytes
}

/// Tables that do not tell whether the dynamic section may move, or tell it at a price.
#[test]
fn relocations_that_make_no_sense_are_refused() {
    let dir = support::dir();
    let file = dir.path().join("file");
    let packed = |len: usize| [[36, 0x2000], [35, 8 * len as u64], [37, 8]];
    // Back and forth between two blocks; 64 words over and over.
    let far_apart: Vec<u64> = (0..100_000)
        .map(|i| if i % 2 == 0 { 0x1000 } else { 0x10000 })
        .collect();
    let many = [0x1000, u64::MAX].repeat((1 << 16) + 1);
    for (flags, dynamic, words, reason) in [
        (6, packed(1), vec![0x1000], None),
        (
            5,
            packed(1),
            vec![0x1000],
            Some("the dynamic section would have to move to where programs have code"),
        ),
        (
            6,
            packed(1),
            vec![0x7000_0000],
            Some("a packed relocation of no word of the file"),
        ),
        (
            6,
            packed(1),
            vec![0x2004],
            Some("a packed relocation of no word of the file"),
        ),
        (
            6,
            [[7, 0x7000_0000], [8, 24], [9, 24]],
            Vec::new(),
            Some("relocations that no segment brings from the file"),
        ),
        (
            6,
            packed(far_apart.len()),
            far_apart,
            Some("tables that lead to the same bytes again and again"),
        ),
        (
            6,
            packed(many.len()),
            many,
            Some("more than 4194304 packed relocations"),
        ),
    ] {
        std::fs::write(&file, crowded(flags, &dynamic, &words)).unwrap();
        match reason {
            Some(reason) => {
                let error = refused(&file);
                let end = format!("; P2: {reason}); file left unchanged");
                assert!(error.ends_with(&end), "{reason}: {error}");
            }
            None => {
                let patched = elf::set_runpath(&file, "/a").unwrap();
                assert_eq!(patched.rung, elf::Rung::ExtendSegment);
            }
        }
    }
}

/// glibc's loader stops at a RUNPATH of its own.
#[test]
fn the_loader_itself_is_refused() {
    let test = "elf::hostile::the_loader_itself_is_refused";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let loader = dir.path().join("loader");
    std::fs::copy(&target.loader, &loader).unwrap();
    assert_eq!(
        refused(&loader),
        "FILE: cannot set RUNPATH: expected a library that a loader loads, found the loader of glibc itself (shared library, x86_64); \
         file left unchanged"
    );
    let removed = Edit {
        search_path: elf::SearchPath::Remove,
        ..Edit::default()
    };
    let done = elf::edit(&loader, &removed, Writing::InPlace).unwrap();
    assert_eq!(done.rung, elf::Rung::Same);
}

#[test]
fn the_count_of_relocations_gives_way() {
    let test = "elf::hostile::the_count_of_relocations_gives_way";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let library = dir.path().join("library.so");
    let flags = ["-shared", "-fPIC", "-Wl,--spare-dynamic-tags=1"];
    target.compile("int value = 1; int *pointer = &value;", &flags, &library);
    assert_eq!(elf::read(&library).unwrap().unwrap().spare_dynamic_slots, 0);
    elf::set_runpath(&library, "/a").unwrap();
    let ran = support::run(Command::new("readelf").arg("-dW").arg(&library)).expect(0);
    assert!(
        !ran.stdout.contains("RELACOUNT") && ran.stdout.contains("[/a]"),
        "{}",
        ran.stdout
    );
}

#[test]
fn values_that_cannot_be_stored_are_refused() {
    let test = "elf::hostile::values_that_cannot_be_stored_are_refused";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let program = dir.path().join("program");
    target.compile("int main(void) { return 0; }", &[], &program);
    let bytes = std::fs::read(&program).unwrap();
    let needed = |name: &str| Edit {
        add_needed: vec![name.to_owned()],
        ..Edit::default()
    };
    for (edit, message) in [
        (
            Edit::runpath("/a\0b"),
            "cannot set RUNPATH: expected a text without NUL, found `/a\\u{0}b`",
        ),
        (
            Edit::runpath(&"x".repeat(1 << 20)),
            "cannot set RUNPATH: expected less than 1048576 bytes, found `xxx",
        ),
        (
            Edit::interpreter("a\0"),
            "cannot set the interpreter: expected a text without NUL",
        ),
        (
            Edit::interpreter(""),
            "cannot set the interpreter: expected a name, found ``",
        ),
        (
            Edit::interpreter(&"x".repeat(4096)),
            "cannot set the interpreter: expected less than 4096 bytes",
        ),
        (needed(""), "cannot add NEEDED: expected a name, found ``"),
    ] {
        let error = elf::edit(&program, &edit, Writing::InPlace).unwrap_err();
        assert!(
            error.is_rejected() && error.to_string().contains(message),
            "{error}"
        );
        assert!(std::fs::read(&program).unwrap() == bytes);
    }
    // The longest ones are fine.
    elf::edit(
        &program,
        &Edit::interpreter(&"x".repeat(4095)),
        Writing::InPlace,
    )
    .unwrap();
    elf::set_runpath(&program, &"x".repeat((1 << 20) - 1)).unwrap();
    let facts = elf::read(&program).unwrap().unwrap();
    assert_eq!(facts.interpreter.map(|path| path.len()), Some(4095));
    assert_eq!(facts.runpath.map(|path| path.len()), Some((1 << 20) - 1));
}

#[test]
fn what_is_there_already_needs_no_right_to_write() {
    let test = "elf::hostile::what_is_there_already_needs_no_right_to_write";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let library = dir.path().join("library.so");
    target.compile("int value = 1;", &["-shared", "-fPIC"], &library);
    elf::set_runpath(&library, "/a").unwrap();
    let mut mode = library.metadata().unwrap().permissions();
    mode.set_readonly(true);
    std::fs::set_permissions(&library, mode).unwrap();
    assert_eq!(elf::set_runpath(&library, "/a").unwrap().bytes_written, 0);
}

#[test]
fn command_reports_every_file_and_the_gravest_problem() {
    let test = "elf::hostile::command_reports_every_file_and_the_gravest_problem";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let (library, text, missing) = (
        dir.path().join("a.so"),
        dir.path().join("b.txt"),
        dir.path().join("c"),
    );
    target.compile(
        "int value = 1;",
        &["-shared", "-fPIC", "-Wl,-soname,libvalue.so"],
        &library,
    );
    std::fs::write(&text, "text").unwrap();
    let run = |words: &[&str], files: &[&Path]| {
        support::run(
            Command::new(support::program())
                .arg("elf")
                .args(words)
                .args(files),
        )
    };
    let ran = run(&["set-runpath", "/x:$ORIGIN"], &[&text, &library]).expect(1);
    assert!(
        ran.stdout.starts_with("P3 read ") && ran.stdout.lines().count() == 1,
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr
            .contains("b.txt: cannot set RUNPATH: expected a dynamic"),
        "{}",
        ran.stderr
    );
    let ran = run(&["set-runpath", "/x:$ORIGIN"], &[&missing, &text, &library]).expect(3);
    assert!(
        ran.stdout.starts_with("S0 read ") && ran.stdout.contains(" written 0 us "),
        "{}",
        ran.stdout
    );
    let ran = run(&["show", "--format", "json"], &[&library]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&json[0]["soname"], &json[0]["runpath"]),
        (&"libvalue.so".into(), &"/x:$ORIGIN".into())
    );
    assert_eq!(
        (
            &json[0]["rung"],
            &json[0]["refusal"],
            &json[0]["misalignedSegments"]
        ),
        (&"S2".into(), &serde_json::Value::Null, &0.into())
    );
    // Whoever reads the output may go away early, as `head` does.
    for words in [
        &["show"][..],
        &["show", "--format=json"],
        &["set-runpath", "/y"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(support::program());
        command.arg("elf").args(words).arg(&library).stdout(writer);
        assert!(command.status().unwrap().success(), "{words:?}");
    }
    let runpath = elf::read(&library).unwrap().unwrap().runpath;
    assert_eq!(runpath.as_deref(), Some("/y"));
    let ran = run(&["show"], &[&library, &text]).expect(1);
    assert!(
        ran.stdout.contains("  soname        libvalue.so\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr
            .contains("b.txt: expected an ELF file, found another kind of file"),
        "{}",
        ran.stderr
    );
}

#[test]
fn command_edits_many_files_at_once() {
    let test = "elf::hostile::command_edits_many_files_at_once";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let program = dir.path().join("program");
    target.compile("int main(void) { return 0; }", &[], &program);
    let mut files: Vec<_> = (0..40)
        .map(|i| dir.path().join(format!("copy-{i}")))
        .collect();
    for file in &files {
        std::fs::copy(&program, file).unwrap();
    }
    // One is no ELF file, another has no interpreter.
    std::fs::write(&files[20], "text").unwrap();
    target.compile("int value;", &["-shared", "-fPIC"], &files[30]);
    let mut command = Command::new(support::program());
    command.args([
        "elf",
        "set-interpreter",
        "/a/loader/with/a/longer/name/ld.so",
    ]);
    let ran = support::run(command.args(&files)).expect(1);
    for reason in [
        "copy-20: cannot set the interpreter: expected a dynamic",
        "copy-30: cannot set the interpreter: expected a file with an interpreter, found none",
    ] {
        assert!(ran.stderr.contains(reason), "{}", ran.stderr);
    }
    files.remove(30);
    files.remove(20);
    let named: Vec<_> = ran
        .stdout
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect();
    let wanted: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    assert_eq!(named, wanted, "the lines follow the files");
    for file in &files {
        let facts = elf::read(file).unwrap().unwrap();
        assert_eq!(
            facts.interpreter.as_deref(),
            Some("/a/loader/with/a/longer/name/ld.so")
        );
    }
}

#[test]
fn what_cannot_be_edited_is_shown() {
    let test = "elf::hostile::what_cannot_be_edited_is_shown";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let show = |file: &Path| {
        let mut command = Command::new(support::program());
        support::run(command.args(["elf", "show"]).arg(file))
            .expect(0)
            .stdout
    };
    let library = dir.path().join("library.so");
    let flags = [
        "-shared",
        "-fPIC",
        "-nostdlib",
        "-Wl,--spare-dynamic-tags=0,-z,nocombreloc",
    ];
    let pointer = "extern char here[] __asm__(\"_DYNAMIC\") __attribute__((visibility(\"hidden\"))); char *pointer = here;";
    target.compile(pointer, &flags, &library);
    let shown = show(&library);
    assert!(
        shown.contains("  rung          none: cannot set RUNPATH: no room for 257 bytes (P3: a relocation yields"),
        "{shown}"
    );
    // A segment that older loaders refuse: aligned to 2 MiB, congruent modulo 4 kB only.
    target.compile("int value = 1;", &["-shared", "-fPIC"], &library);
    let mut bytes = std::fs::read(&library).unwrap();
    let last_load = (0..usize::from(bytes[56]))
        .map(|i| 64 + 56 * i)
        .rfind(|at| bytes[*at] == 1)
        .unwrap();
    bytes[last_load + 48..last_load + 56].copy_from_slice(&(1_u64 << 21).to_le_bytes());
    std::fs::write(&library, &bytes).unwrap();
    let shown = show(&library);
    assert!(
        shown.contains("  segments      1 not congruent (glibc before 2.35 refuses the file)\n"),
        "{shown}"
    );
    let object = dir.path().join("object.o");
    target.compile("int value = 1;", &["-c"], &object);
    assert!(!show(&object).contains("rung"), "{}", show(&object));
}
