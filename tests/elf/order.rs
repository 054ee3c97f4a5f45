//! The order of writes: a file whose edit stops after any of them still loads, with its old or its new values; an edit that
//! fails at any of them leaves the file as it was.

use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::elf;

use super::built::{MAIN, MIDDLE, known};
use super::{Target, modified};
use crate::support;

/// Preloaded into the program under test: of its writes to files only the first `WRITES` happen. Then it ends at once with exit
/// code 99, or, with `FAIL` in the environment, the next write fails once for want of room.
const STOP: &str = r#"
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <stdlib.h>
    #include <sys/types.h>
    #include <unistd.h>
    static long count;
    ssize_t pwrite64(int file, const void *bytes, size_t len, off64_t offset) {
        ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
        long limit = atol(getenv("WRITES")), number = count++;
        if (number >= limit && !getenv("FAIL")) _exit(99);
        if (number == limit) { errno = ENOSPC; return -1; }
        return real(file, bytes, len, offset);
    }
"#;

/// A file that is edited, and the program that is it or needs it.
struct Case {
    name: &'static str,
    flags: &'static [&'static str],
    is_program: bool,
    /// Has it an RPATH, so that it runs before the edit too, and the new one needs no entry of its own?
    has_old: bool,
    /// What the edits are, one after the other, as words of the command `patchelf`; `NEW` is the folder of the new library, `LOADER` a
    /// long name of the loader.
    edits: &'static [&'static [&'static str]],
    /// Is it edited in its place?
    is_in_place: bool,
}

const PLAIN: &[&str] = &["--set-rpath", "/run/opengl-driver/lib:NEW"];
const LONGER: &[&str] = &[
    "--set-rpath",
    "NEW:/and/some/more/that/makes/it/longer/than/before",
];
const SHORT: &[&str] = &["--set-rpath", "NEW"];
const BOTH: &[&str] = &["--set-interpreter", "LOADER", "--set-rpath", "/run:NEW"];
const FORCE: &[&str] = &["--force-rpath", "--set-rpath", "NEW"];

const CASES: [Case; 11] = [
    Case {
        name: "plain",
        flags: &[],
        is_program: false,
        has_old: true,
        edits: &[PLAIN, LONGER, SHORT, FORCE],
        is_in_place: true,
    },
    Case {
        // The hash table follows the program headers; meanwhile the entry of the unwind table gives way.
        name: "hash-first",
        flags: &[
            "-Wl,--build-id=none,--hash-style=sysv",
            "-fcf-protection=none",
        ],
        is_program: false,
        has_old: true,
        edits: &[PLAIN, LONGER],
        is_in_place: true,
    },
    Case {
        // The same, and no entry that could give way.
        name: "hash-alone",
        flags: &[
            "-Wl,--build-id=none,--hash-style=sysv,-z,norelro,--no-eh-frame-hdr",
            "-fcf-protection=none",
        ],
        is_program: false,
        has_old: true,
        edits: &[PLAIN],
        is_in_place: false,
    },
    Case {
        name: "both-hashes",
        flags: &["-Wl,--hash-style=both"],
        is_program: false,
        has_old: true,
        edits: &[PLAIN],
        is_in_place: true,
    },
    Case {
        name: "extend",
        flags: &[
            "-Wl,--build-id=none,--hash-style=gnu",
            "-fcf-protection=none",
        ],
        is_program: false,
        has_old: true,
        edits: &[PLAIN, LONGER],
        is_in_place: true,
    },
    Case {
        name: "rpath-and-debug",
        flags: &["-g", "-Wl,--spare-dynamic-tags=1"],
        is_program: false,
        has_old: true,
        edits: &[PLAIN],
        is_in_place: true,
    },
    Case {
        name: "program",
        flags: &["-pie", "-fPIE"],
        is_program: true,
        has_old: true,
        edits: &[BOTH, LONGER, PLAIN],
        is_in_place: true,
    },
    Case {
        name: "program-no-pie",
        flags: &["-no-pie", "-fno-pie", "-g"],
        is_program: true,
        has_old: true,
        edits: &[PLAIN, BOTH],
        is_in_place: true,
    },
    // The dynamic section has no entry left and moves: into a new segment, ...
    Case {
        name: "no-entry-program",
        flags: &["-no-pie", "-fno-pie", "-Wl,--spare-dynamic-tags=0"],
        is_program: true,
        has_old: false,
        edits: &[PLAIN, LONGER, BOTH],
        is_in_place: true,
    },
    Case {
        // ... into one that is made by way of another, ...
        name: "no-entry-hash-first",
        flags: &[
            "-Wl,--build-id=none,--hash-style=sysv,-z,nocombreloc,--spare-dynamic-tags=0",
            "-fcf-protection=none",
        ],
        is_program: false,
        has_old: false,
        edits: &[PLAIN, LONGER],
        is_in_place: true,
    },
    Case {
        // ... into the last one.
        name: "no-entry-extend",
        flags: &[
            "-Wl,--build-id=none,--hash-style=gnu,-z,nocombreloc,--spare-dynamic-tags=0",
            "-fcf-protection=none",
        ],
        is_program: false,
        has_old: false,
        edits: &[PLAIN, LONGER],
        is_in_place: true,
    },
];

/// The pieces that all cases share.
struct Bench {
    target: Target,
    dir: tempfile::TempDir,
    stop: PathBuf,
    new: PathBuf,
    loader: PathBuf,
}

impl Bench {
    /// For files of `target`; the editor runs on the machine itself.
    fn new(test: &str, target: Target) -> Option<Bench> {
        let host = Target::host(test)?;
        let dir = support::dir();
        let stop = dir.path().join("stop.so");
        host.compile(STOP, &["-shared", "-fPIC", "-ldl"], &stop);
        // The old and the new RUNPATH lead to libraries that differ.
        for (name, value) in [("old", 40), ("new-and-with-a-longer-name", 50)] {
            let folder = dir.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let source = format!("int far_value(void) {{ return {value}; }}\n");
            let flags = ["-shared", "-fPIC", "-Wl,-soname,libfar.so"];
            target.compile(&source, &flags, &folder.join("libfar.so"));
        }
        let loader = dir
            .path()
            .join("a-loader-whose-name-is-longer-than-the-usual-one");
        std::os::unix::fs::symlink(&target.loader, &loader).unwrap();
        Some(Bench {
            new: dir.path().join("new-and-with-a-longer-name"),
            target,
            dir,
            stop,
            loader,
        })
    }

    /// Builds the file of `case` and the program to run.
    fn build(&self, case: &Case) -> (PathBuf, PathBuf) {
        let home = self.dir.path().join(case.name);
        std::fs::create_dir(&home).unwrap();
        let old = self.dir.path().join("old");
        let link = format!("-L{}", old.display());
        let rpath = format!("-Wl,--disable-new-dtags,-rpath,{}", old.display());
        let program = home.join("program");
        let rpath = Some(&*rpath).filter(|_| case.has_old);
        let flags = known(&self.target, case.flags).into_iter();
        if case.is_program {
            let source = format!("{MIDDLE}{}", MAIN.replace("int middle_value(void);", ""));
            let all: Vec<&str> = flags.chain([&*link, "-lfar"]).chain(rpath).collect();
            self.target.compile(&source, &all, &program);
            return (program.clone(), program);
        }
        let library = home.join("libmiddle.so");
        let shared = [
            "-shared",
            "-fPIC",
            "-Wl,-soname,libmiddle.so",
            &link,
            "-lfar",
        ];
        let all: Vec<&str> = flags.chain(shared).chain(rpath).collect();
        self.target.compile(MIDDLE, &all, &library);
        let near = format!("-L{}", home.display());
        let own = format!("-Wl,--enable-new-dtags,-rpath,{}", home.display());
        let lax = "-Wl,--allow-shlib-undefined";
        self.target
            .compile(MAIN, &[&near, "-lmiddle", &own, lax], &program);
        (library, program)
    }

    /// The program under test, which edits `file` and is stopped.
    fn editor(&self, words: &[&str], file: &Path, writes: u32) -> Command {
        let mut command = Command::new(support::program());
        command.arg("patchelf");
        for word in words {
            let word = word.replace("NEW", self.new.to_str().unwrap());
            command.arg(word.replace("LOADER", self.loader.to_str().unwrap()));
        }
        command
            .arg(file)
            .env("LD_PRELOAD", &self.stop)
            .env("WRITES", writes.to_string());
        command
    }
}

/// Cuts every edit of `cases` after every write.
fn cut_everywhere<'a>(bench: &Bench, cases: impl Iterator<Item = &'a Case>) {
    for case in cases {
        let (file, program) = bench.build(case);
        for words in case.edits {
            let before = std::fs::read(&file).unwrap();
            let runs = || {
                let ran = bench.target.run(&program, &[]);
                ((ran.stdout, ran.code), ran.stderr)
            };
            let says = runs().0;
            let new = ("value 52\n".to_owned(), 0);
            let mut ran_with = Vec::new();
            for writes in 0.. {
                assert!(writes < 40, "{}: no end", case.name);
                std::fs::write(&file, &before).unwrap();
                let done = support::run(&mut bench.editor(words, &file, writes));
                assert!(
                    [0, 99].contains(&done.code),
                    "{}: {}",
                    case.name,
                    done.stderr
                );
                let (ran, errors) = runs();
                assert!(
                    [&says, &new].contains(&&ran),
                    "{} {words:?} after {writes} writes: {ran:?} {errors}",
                    case.name,
                );
                ran_with.push(ran);
                if done.code == 0 {
                    break;
                }
            }
            assert_eq!(ran_with.last().unwrap(), &new, "{}", case.name);
            // The old values until some write, the new ones from then on.
            assert!(ran_with.is_sorted(), "{}: {ran_with:?}", case.name);
            assert!(
                ran_with.len() > 1,
                "{} {words:?} in {} writes",
                case.name,
                ran_with.len()
            );
        }
        // Stopped edits of a copy leave that behind, and nothing else.
        let home = file.parent().unwrap();
        let is_copy = |entry: &std::fs::DirEntry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(".cuda-redist-")
        };
        let entries = std::fs::read_dir(home).unwrap().map(Result::unwrap);
        let copies = entries.filter(is_copy).count();
        assert_eq!(
            copies == 0,
            case.is_in_place,
            "{}: {copies} copies",
            case.name
        );
    }
}

#[test]
fn files_load_after_every_write() {
    let test = "elf::order::files_load_after_every_write";
    if let Some(bench) = Target::host(test).and_then(|target| Bench::new(test, target)) {
        cut_everywhere(&bench, CASES.iter());
    }
}

#[test]
fn emulated_files_load_after_every_write() {
    let test = "elf::order::emulated_files_load_after_every_write";
    for target in [Target::aarch64(test), Target::ppc64le(test)] {
        if let Some(bench) = target.and_then(|target| Bench::new(test, target)) {
            // Emulated programs are slow: one case for each way of an edit.
            let ways = CASES.iter().filter(|case| {
                !["hash-alone", "both-hashes", "rpath-and-debug"].contains(&case.name)
            });
            cut_everywhere(&bench, ways);
        }
    }
}

#[test]
fn files_are_put_back_when_a_write_fails() {
    let test = "elf::order::files_are_put_back_when_a_write_fails";
    let Some(bench) = Target::host(test).and_then(|target| Bench::new(test, target)) else {
        return;
    };
    for case in CASES.iter().filter(|case| case.is_in_place) {
        let (file, _) = bench.build(case);
        for words in case.edits {
            let before = std::fs::read(&file).unwrap();
            let time = modified(&file);
            for writes in 0.. {
                let mut editor = bench.editor(words, &file, writes);
                let ran = support::run(editor.env("FAIL", "1"));
                if ran.code == 0 {
                    assert!(writes > 0, "{}", case.name);
                    break;
                }
                assert_eq!(ran.code, 3, "{}: {}", case.name, ran.stderr);
                assert!(
                    ran.stderr.contains("cannot write the file: No space"),
                    "{}",
                    ran.stderr
                );
                assert!(
                    std::fs::read(&file).unwrap() == before && modified(&file) == time,
                    "{} {words:?}: changed by {writes} writes",
                    case.name
                );
            }
        }
    }
}

#[test]
fn copies_keep_the_mode_and_follow_links() {
    let test = "elf::order::copies_keep_the_mode_and_follow_links";
    let Some(bench) = Target::host(test).and_then(|target| Bench::new(test, target)) else {
        return;
    };
    let case = CASES.iter().find(|case| !case.is_in_place).unwrap();
    let (file, _) = bench.build(case);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o751);
    std::fs::set_permissions(&file, mode).unwrap();
    let link = file.with_file_name("link.so");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let mut command = Command::new(support::program());
    support::run(
        command
            .args(["elf", "set-runpath", "/new/value"])
            .arg(&link),
    )
    .expect(0);
    assert!(link.is_symlink());
    let facts = elf::read(&file).unwrap().unwrap();
    assert_eq!(facts.runpath.as_deref(), Some("/new/value"));
    let mode = file.metadata().unwrap().permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o751
    );
}
