//! What an edit costs: bytes read and written, and memory, whatever the size of the file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::elf::{self, Rung};

use super::Target;
use super::built::without_sections;
use crate::support;

const RUNPATH: &str = "/run/opengl-driver/lib:/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-libcublas-12.9.1-lib/lib:$ORIGIN";
/// Most memory that an edit takes, the program itself included.
const MEMORY_KB_MAX: u64 = 20 << 10;

/// Runs its arguments and prints the most memory (kB) that they had.
const MEASURE: &str = r#"
    #include <fcntl.h>
    #include <stdio.h>
    #include <sys/resource.h>
    #include <sys/wait.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
        if (!fork()) { dup2(open("/dev/null", O_WRONLY), 1); execv(argv[1], argv + 1); _exit(127); }
        int status; struct rusage usage;
        if (wait4(-1, &status, 0, &usage) < 0 || status) return 1;
        printf("%ld\n", usage.ru_maxrss);
        return argc < 2;
    }
"#;

/// The kilobytes of memory that the program under test takes for `words` and `file`.
fn memory_kb(measure: &Path, words: &[&str], file: &Path) -> u64 {
    let mut command = Command::new(measure);
    command.arg(support::program()).args(words).arg(file);
    let ran = support::run(&mut command).expect(0);
    ran.stdout.trim().parse().unwrap()
}

fn measure(target: &Target, dir: &Path) -> PathBuf {
    let program = dir.join("measure");
    target.compile(MEASURE, &[], &program);
    program
}

/// Unpacks the file `name` of a wheel, by a tool that is fast in a debug build too.
pub(super) fn unpack(test: &str, wheel: &Path, name: &str, dir: &Path) -> Option<PathBuf> {
    let mut command = Command::new(support::tool(test, "unzip")?);
    command.args(["-q", "-o", "-j"]).arg(wheel);
    support::run(command.arg(format!("*/{name}")).arg("-d").arg(dir)).expect(0);
    Some(dir.join(name))
}

/// Edits `library`, which is as it came, and holds all against the limits; gives back the rungs of the first and the second edit.
#[track_caller]
fn edits_are_cheap(measure: &Path, library: &Path, read_max: u64, written_max: u64) -> [Rung; 2] {
    let edit = |runpath: &str| {
        let patched = elf::set_runpath(library, runpath).unwrap();
        assert!(
            patched.bytes_read <= read_max && patched.bytes_written <= written_max,
            "{library:?}: {patched:?}"
        );
        eprintln!("{library:?}: {patched:?}");
        patched.rung
    };
    let first = edit(RUNPATH);
    // Who refers to an old value that names directories is looked up among the symbols.
    let second = edit(&format!("{RUNPATH}:/and/more"));
    assert_eq!(edit(&format!("{RUNPATH}:/and/more")), Rung::Same);
    let longest = format!("{RUNPATH}{}", ":/and/more".repeat(9));
    let memory = memory_kb(measure, &["elf", "set-runpath", &longest], library);
    assert!(memory <= MEMORY_KB_MAX, "{library:?}: {memory} kB");
    eprintln!("{library:?}: {memory} kB of memory");
    [first, second]
}

#[test]
fn libraries_of_wheels_are_edited_by_few_bytes() {
    let test = "elf::cost::libraries_of_wheels_are_edited_by_few_bytes";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let measure = measure(&target, dir.path());
    for (wheel, name) in [
        ("nvidia_curand_cu12-10.3.7.77-", "libcurand.so.10"),
        ("nvidia_nvjitlink_cu12-12.6.85-", "libnvJitLink.so.12"),
        (
            "nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64",
            "libcudart.so.12",
        ),
    ] {
        let Some(wheel) = support::wheels(test, wheel) else {
            continue;
        };
        let Some(library) = unpack(test, &wheel[0], name, dir.path()) else {
            continue;
        };
        let rungs = edits_are_cheap(&measure, &library, 64_000, 64_000);
        assert_eq!(rungs, [Rung::NewSegment, Rung::Grow], "{name}");
    }
}

/// The library of 356 MB, NVIDIA's largest; its wheel is only there when it was asked for.
#[test]
fn cutensor_is_edited_by_few_bytes() {
    let test = "elf::cost::cutensor_is_edited_by_few_bytes";
    let Some(target) = Target::host(test) else {
        return;
    };
    let Some(wheel) = support::large_wheels(test, "cutensor_cu12-2.2.0-") else {
        return;
    };
    let dir = support::dir();
    let Some(library) = unpack(test, &wheel[0], "libcutensor.so.2", dir.path()) else {
        return;
    };
    assert!(library.metadata().unwrap().len() > 356_000_000);
    let measure = measure(&target, dir.path());
    let rungs = edits_are_cheap(&measure, &library, 16_000, 20_000);
    assert_eq!(rungs, [Rung::Grow, Rung::Grow]);
}

/// What is large is moved and filled in pieces: bss, debug sections, and the string table.
#[test]
fn memory_does_not_grow_with_the_file() {
    let test = "elf::cost::memory_does_not_grow_with_the_file";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let measure = measure(&target, dir.path());
    let library = dir.path().join("large.so");
    // 40 MB each: zeros, data, and what no segment has.
    let source = r#"
        char zeros[40000000];
        __asm__(".section .data_x,\"a\"\n.fill 5000000, 8, 1\n.section .debug_x,\"\"\n.fill 5000000, 8, 2\n.text\n");
    "#;
    let flags = [
        "-shared",
        "-fPIC",
        "-Wl,--build-id=none,--hash-style=gnu",
        "-fcf-protection=none",
    ];
    target.compile(source, &flags, &library);
    for (what, bare) in [("with sections", false), ("without sections", true)] {
        let edited = dir.path().join("edited.so");
        std::fs::copy(&library, &edited).unwrap();
        if bare {
            std::fs::write(&edited, without_sections(std::fs::read(&edited).unwrap())).unwrap();
        }
        let expected = elf::rung(&edited, &elf::Edit::runpath(RUNPATH)).unwrap();
        assert_eq!(expected, Rung::ExtendSegment, "{what}");
        let memory = memory_kb(&measure, &["elf", "set-runpath", RUNPATH], &edited);
        assert!(memory <= MEMORY_KB_MAX, "{what}: {memory} kB");
        eprintln!("{what}: {memory} kB");
        let facts = elf::read(&edited).unwrap().unwrap();
        assert_eq!(facts.runpath.as_deref(), Some(RUNPATH));
        let memory = memory_kb(&measure, &["elf", "show"], &edited);
        assert!(memory <= MEMORY_KB_MAX, "show {what}: {memory} kB");
    }
}

/// A library of its tables alone, at addresses that are its offsets: `segments` PT_NOTEs over the same bytes behind the program headers,
/// `sections` sections of notes, each over the next.
fn crafted(segments: u64, sections: u64) -> Vec<u8> {
    let notes = 64 + 56 * (2 + segments);
    let strings = notes
        + if segments > 0 {
            1 << 16
        } else {
            8 * sections + 64
        };
    let dynamic = strings + 16;
    let headers = dynamic + 16 * 5;
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    let mut put = |at: u64, numbers: &[u64], len: usize| {
        let at = usize::try_from(at).unwrap();
        bytes.resize(bytes.len().max(at + numbers.len() * len), 0);
        for (i, number) in numbers.iter().enumerate() {
            bytes[at + i * len..at + (i + 1) * len].copy_from_slice(&number.to_le_bytes()[..len]);
        }
    };
    put(16, &[3, 62, 1, 0], 2);
    put(32, &[64, headers], 8);
    put(52, &[64, 56, 2 + segments, 64, 2 + sections, 0], 2);
    let mut segment = |index: u64, kind: u64, flags: u64, offset: u64, len: u64, align: u64| {
        let at = 64 + 56 * index;
        put(
            at,
            &[kind | flags << 32, offset, offset, offset, len, len, align],
            8,
        );
    };
    segment(0, 1, 6, 0, headers, 0x1000);
    segment(1, 2, 6, dynamic, 16 * 5, 8);
    for index in 0..segments {
        segment(2 + index, 4, 4, notes, strings - notes, 4);
    }
    put(dynamic, &[5, strings, 10, 16], 8);
    let mut section = |index: u64, kind: u64, offset: u64, len: u64| {
        let at = headers + 64 * index;
        put(at, &[kind << 32, 2, offset, offset, len, 0, 8, 0], 8);
    };
    section(0, 0, 0, 0);
    section(1, 3, strings, 16);
    for index in 0..sections {
        section(2 + index, 7, notes + 8 * index, 16);
    }
    bytes
}

/// Of many thousand section headers only those that change are written; as many as may be take no more memory than others.
#[test]
fn long_tables_cost_little() {
    let test = "elf::cost::long_tables_cost_little";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let measure = measure(&target, dir.path());
    let library = dir.path().join("library.so");
    // Room for a program header, then only for more bytes at the end of the last segment. The sections are loaded, between the string table
    // and the dynamic section, which both move; or they are not loaded, and all move in the file.
    for (loaded, flags, rung, headers_max) in [
        (
            "a",
            "-Wl,--hash-style=both,--spare-dynamic-tags=0",
            Rung::NewSegment,
            10,
        ),
        (
            "",
            "-Wl,--build-id=none,--hash-style=gnu",
            Rung::ExtendSegment,
            20_000,
        ),
    ] {
        let mut source = String::from("__asm__(");
        for number in 0..16_000 {
            let _ = writeln!(
                source,
                "\".section .s{number},\\\"{loaded}\\\"\\n.byte 1\\n\""
            );
        }
        source.push_str(");\n");
        let flags = [
            "-shared",
            "-fPIC",
            "-nostdlib",
            "-fcf-protection=none",
            flags,
        ];
        target.compile(&source, &flags, &library);
        let copy = dir.path().join("copy.so");
        std::fs::copy(&library, &copy).unwrap();
        let patched = elf::set_runpath(&copy, "/a").unwrap();
        assert_eq!(patched.rung, rung);
        let rest = if rung == Rung::ExtendSegment {
            library.metadata().unwrap().len()
        } else {
            10_000
        };
        eprintln!("{patched:?}");
        assert!(
            patched.bytes_written < 64 * headers_max + rest,
            "{patched:?}"
        );
        std::fs::copy(&library, &copy).unwrap();
        for words in [&["elf", "show"][..], &["elf", "set-runpath", "/a"]] {
            let memory = memory_kb(&measure, words, &copy);
            eprintln!("{rung} {words:?}: {memory} kB of memory");
            assert!(memory <= MEMORY_KB_MAX, "{rung} {words:?}: {memory} kB");
        }
    }
    // All of a table changes.
    for (segments, sections) in [(0, 16_000), (8_000, 1)] {
        std::fs::write(&library, crafted(segments, sections)).unwrap();
        let memory = memory_kb(&measure, &["elf", "set-runpath", "/a"], &library);
        eprintln!("{segments} segments, {sections} sections: {memory} kB of memory");
        assert!(memory <= MEMORY_KB_MAX, "{memory} kB");
    }
    for (segments, sections, reason) in [
        (0, 20_000, "20002 sections, more than 16384"),
        (10_000, 1, "10002 program headers, more than 8192"),
    ] {
        std::fs::write(&library, crafted(segments, sections)).unwrap();
        let error = elf::set_runpath(&library, "/a").unwrap_err().render();
        let end = format!("{reason}; file left unchanged");
        assert!(error.ends_with(&end), "{error}");
    }
}

/// Tables are looked through once, however they lie over one another.
#[test]
fn tables_over_one_another_cost_no_more_than_others() {
    let dir = support::dir();
    let file = dir.path().join("file");
    for (segments, sections) in [(0, 16_000), (8_000, 1)] {
        let bytes = crafted(segments, sections);
        std::fs::write(&file, &bytes).unwrap();
        let start = std::time::Instant::now();
        let patched = elf::set_runpath(&file, "/a/value").unwrap();
        let took = start.elapsed();
        eprintln!("{segments} segments, {sections} sections: {took:?}, {patched:?}");
        assert_eq!(patched.rung, Rung::NewSegment);
        let facts = elf::read(&file).unwrap().unwrap();
        assert_eq!(facts.runpath.as_deref(), Some("/a/value"));
        // The tables, twice, and 64 kB of notes, not once for each segment; looked at pair by pair they would take hours.
        assert!(patched.bytes_read < 3 * bytes.len() as u64, "{patched:?}");
        assert!(took.as_secs() < 20, "{took:?}");
    }
}
