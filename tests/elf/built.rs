//! Programs and libraries made by the host's and a cross compiler, edited, stripped and run.

use std::path::{Path, PathBuf};

use cuda_redist::elf::{self, Edit, ElfKind, Rung, SearchPath, Writing};

use super::{Target, edit, patch};
use crate::support;

/// The library that is found only through the RUNPATH under test.
pub(super) const FAR: &str = "int far_value(void) { return 40; }\n";

/// A library that needs it; every kind of data that an edit could break.
pub(super) const MIDDLE: &str = r#"
    int far_value(void);
    static char zeros[300000];
    static __thread int thread_value = 1;
    static __thread char thread_zeros[100];
    static int *pointer = &(int){1};
    static int constructed;
    __attribute__((constructor)) static void construct(void) { constructed = 1; }
    int middle_value(void) {
        for (unsigned long i = 0; i < sizeof zeros; i++) if (zeros[i]) return -1;
        for (unsigned long i = 0; i < sizeof thread_zeros; i++) if (thread_zeros[i]) return -2;
        if (!constructed) return -3;
        zeros[sizeof zeros - 1] = 1;
        return far_value() + thread_value + *pointer;
    }
"#;

pub(super) const MAIN: &str = r#"
    #include <stdio.h>
    int middle_value(void);
    int main(void) { printf("value %d\n", middle_value()); return 0; }
"#;

/// How linkers lay files out.
const FLAGS: [(&str, &[&str]); 12] = [
    ("plain", &[]),
    ("separate-code-now", &["-Wl,-z,separate-code", "-Wl,-z,now"]),
    ("noseparate-code", &["-Wl,-z,noseparate-code"]),
    (
        "old-rpath",
        &["-Wl,--disable-new-dtags", "-Wl,-rpath,/nowhere/at/all"],
    ),
    (
        "runpath",
        &["-Wl,--enable-new-dtags", "-Wl,-rpath,/nowhere"],
    ),
    ("debug", &["-g"]),
    ("large-pages", &["-Wl,-z,max-page-size=0x200000"]),
    ("sysv-hash", &["-Wl,--hash-style=sysv"]),
    (
        "both-hashes",
        &["-Wl,--hash-style=both", "-Wl,--build-id=none"],
    ),
    (
        "no-notes",
        &[
            "-Wl,--build-id=none",
            "-Wl,--hash-style=gnu",
            "-fcf-protection=none",
        ],
    ),
    ("norelro", &["-Wl,-z,norelro"]),
    (
        "no-slots",
        &["-Wl,--spare-dynamic-tags=1", "-Wl,-rpath,/nowhere"],
    ),
];

/// Flags that only the host's compiler knows.
pub(super) fn known(target: &Target, flags: &[&'static str]) -> Vec<&'static str> {
    flags
        .iter()
        .copied()
        .filter(|flag| target.is_host() || !flag.starts_with("-fcf-protection"))
        .collect()
}

/// The folder of the library that only the RUNPATH finds.
pub(super) fn far(target: &Target, dir: &Path) -> PathBuf {
    let far = dir.join("a-folder-with-a-rather-long-name-as-store-paths-have");
    std::fs::create_dir(&far).unwrap();
    target.compile(
        FAR,
        &["-shared", "-fPIC", "-Wl,-soname,libfar.so"],
        &far.join("libfar.so"),
    );
    far
}

/// Runs `program`, which must print what it does when everything is found and in order.
#[track_caller]
pub(super) fn runs(target: &Target, program: &Path, what: &str) {
    let ran = target.run(program, &[]);
    assert_eq!(
        (ran.code, &*ran.stdout),
        (0, "value 42\n"),
        "{what}: {}",
        ran.stderr
    );
}

/// Why the dynamic section of a program that is not position independent stays, and the program unedited.
pub(super) const POINTED_TO: &str = "a word of data holds the address of the dynamic section";

/// The rungs that [`edit_all_ways`] took.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rungs {
    /// One RUNPATH, then others, shorter and longer.
    pub(super) first: Rung,
    pub(super) others: Vec<Rung>,
    /// In the stripped file.
    pub(super) stripped: Rung,
    /// In the file without section headers; `None` where the dynamic section would have to move and is [pointed to](POINTED_TO).
    pub(super) bare: Option<Rung>,
}

/// Edits `file` in every way that matters and lets `program`, which is or needs it, run after each.
pub(super) fn edit_all_ways(
    test: &str,
    target: &Target,
    file: &Path,
    program: &Path,
    far: &Path,
    name: &str,
) -> Rungs {
    let original = file.with_extension("original");
    std::fs::copy(file, &original).unwrap();
    let found = far.to_str().unwrap();
    let good = format!("/run/opengl-driver/lib:{found}:$ORIGIN");
    assert_ne!(
        target.run(program, &[]).code,
        0,
        "{name}: found its library before the edit"
    );

    // One value, others, shorter and longer ones.
    let first = patch(test, &original, file, &good);
    runs(target, program, &format!("{name} after {first}"));
    let mut others = Vec::new();
    for other in ["/short", "", &"/x".repeat(300), "/y", &good] {
        others.push(patch(test, &original, file, other));
    }
    runs(target, program, &format!("{name} after {first} {others:?}"));
    let grown = file.metadata().unwrap().len() - original.metadata().unwrap().len();
    let zeros = if first == Rung::ExtendSegment {
        300_000
    } else {
        0
    };
    assert!(
        grown < zeros + 20_000,
        "{name}: {grown} bytes more after {first} {others:?}"
    );

    // None, and the old sort.
    let removed = Edit {
        search_path: SearchPath::Remove,
        ..Edit::default()
    };
    edit(test, &original, file, &removed);
    assert_ne!(target.run(program, &[]).code, 0, "{name} without RUNPATH");
    let old_sort = Edit {
        search_path: SearchPath::Rpath(good.clone()),
        ..Edit::default()
    };
    edit(test, &original, file, &old_sort);
    runs(target, program, &format!("{name} with RPATH"));
    patch(test, &original, file, &good);

    // Stripped after the edit, then edited again.
    let edited = std::fs::read(file).unwrap();
    target.strip(file);
    runs(target, program, &format!("{name} stripped after {first}"));
    let stripped = file.with_extension("stripped");
    std::fs::copy(file, &stripped).unwrap();
    let again = patch(
        test,
        &stripped,
        file,
        &format!("{good}{}", ":/and/more".repeat(100)),
    );
    assert!(again > Rung::Slot, "{name}: {again}");
    runs(
        target,
        program,
        &format!("{name} stripped and edited again by {again}"),
    );

    // Stripped before the edit.
    std::fs::copy(&original, file).unwrap();
    target.strip(file);
    std::fs::copy(file, &stripped).unwrap();
    let after_strip = patch(test, &stripped, file, &good);
    runs(
        target,
        program,
        &format!("{name} edited by {after_strip} after strip"),
    );

    // Without section headers.
    std::fs::write(file, without_sections(std::fs::read(&original).unwrap())).unwrap();
    let bare = match elf::set_runpath(file, &good) {
        Ok(patched) => {
            assert_eq!(
                elf::read(file).unwrap().unwrap().runpath.as_deref(),
                Some(&*good)
            );
            let what = format!("{name} without sections after {}", patched.rung);
            runs(target, program, &what);
            Some(patched.rung)
        }
        Err(error) => {
            let error = error.render();
            assert!(
                error.contains(POINTED_TO),
                "{name} without sections: {error}"
            );
            None
        }
    };

    if file == program {
        edit_interpreter(test, target, file, &original, &good, name);
    }
    std::fs::write(file, edited).unwrap();
    Rungs {
        first,
        others,
        stripped: after_strip,
        bare,
    }
}

/// Gives `program` other interpreters, alone and together with a RUNPATH; it runs after each edit, also stripped.
fn edit_interpreter(
    test: &str,
    target: &Target,
    program: &Path,
    original: &Path,
    good: &str,
    name: &str,
) {
    let long =
        program.with_file_name("a-loader-with-a-rather-long-name-as-those-of-store-paths-have");
    if !long.exists() {
        std::os::unix::fs::symlink(&target.loader, &long).unwrap();
    }
    let old = elf::read(original).unwrap().unwrap().interpreter.unwrap();
    let both = |interpreter: &str| Edit {
        search_path: SearchPath::Runpath(good.to_owned()),
        interpreter: Some(interpreter.to_owned()),
        ..Edit::default()
    };
    let long = long.to_str().unwrap();

    // Both in one pass, then the interpreter alone, shorter and longer.
    std::fs::copy(original, program).unwrap();
    let rung = edit(test, original, program, &both(long));
    runs(target, program, &format!("{name} with both by {rung}"));
    let shorter = edit(test, original, program, &Edit::interpreter(&old));
    assert_eq!(shorter, Rung::Slot, "{name}");
    runs(target, program, &format!("{name} with the old interpreter"));
    let longer = format!("{}/.{long}", "/.".repeat(40));
    let again = edit(test, original, program, &Edit::interpreter(&longer));
    runs(
        target,
        program,
        &format!("{name} with a longer one by {again}"),
    );
    target.strip(program);
    runs(
        target,
        program,
        &format!("{name} with a longer one, stripped"),
    );

    // The interpreter first, the RUNPATH after it.
    std::fs::copy(original, program).unwrap();
    let rung = edit(test, original, program, &Edit::interpreter(long));
    let then = edit(test, original, program, &both(long));
    runs(target, program, &format!("{name} by {rung}, then {then}"));

    // Without section headers.
    std::fs::write(program, without_sections(std::fs::read(original).unwrap())).unwrap();
    if let Err(error) = elf::edit(program, &both(long), Writing::InPlace) {
        let error = error.render();
        assert!(error.contains(POINTED_TO), "{name}: {error}");
        return;
    }
    let facts = elf::read(program).unwrap().unwrap();
    assert_eq!(facts.interpreter.as_deref(), Some(long), "{name}");
    runs(
        target,
        program,
        &format!("{name} with both, without sections"),
    );
}

/// Layouts of programs that gdb is asked about.
const DEBUGGED: [&str; 4] = ["debug", "separate-code-now", "large-pages", "sysv-hash"];

/// What gdb says about the program: its functions, and where they are.
fn functions(gdb: &Path, program: &Path) -> String {
    let mut command = std::process::Command::new(gdb);
    let words = [
        "-nx",
        "-batch",
        "-ex",
        "info functions",
        "-ex",
        "info symbol middle_value",
    ];
    let ran = support::run(command.args(words).arg(program)).expect(0);
    assert!(ran.stdout.contains("middle_value"), "{}", ran.stdout);
    ran.stdout
}

/// Removes what `sstrip` removes: section headers and all bytes behind the last segment.
pub(super) fn without_sections(mut file: Vec<u8>) -> Vec<u8> {
    let number = |at: usize, len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(&file[at..at + len]);
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    };
    let (start, count) = (number(32, 8), number(56, 2));
    let ends = (0..count)
        .map(|index| start + index * 56)
        .map(|at| number(at + 8, 8) + number(at + 32, 8));
    let end = ends.max().unwrap();
    file.truncate(end);
    file[40..48].fill(0);
    file[60..64].fill(0);
    file
}

/// A hash table too short to make room, and no note, leave only the last segment.
#[track_caller]
fn expect_rungs(rungs: &Rungs, is_crowded: bool, name: &str) {
    let (new, longer) = if is_crowded {
        (Rung::ExtendSegment, Rung::ExtendSegment)
    } else {
        (Rung::NewSegment, Rung::Grow)
    };
    let others = vec![Rung::Slot, Rung::Slot, longer, Rung::Slot, Rung::Slot];
    let expected = Rungs {
        first: new,
        others,
        stripped: new,
        bare: Some(Rung::ExtendSegment),
    };
    assert_eq!(*rungs, expected, "{name}");
}

fn programs(test: &str, target: &Target, layouts: &[(&'static str, &[&'static str])]) {
    let dir = support::dir();
    let gdb = support::tool(test, "gdb").filter(|_| target.is_host());
    let far = far(target, dir.path());
    let library = far.join("libmiddle.so");
    let link = format!("-L{}", far.display());
    target.compile(
        MIDDLE,
        &["-shared", "-fPIC", "-Wl,-soname,libmiddle.so"],
        &library,
    );
    for (pie, pie_flags) in [
        ("pie", ["-pie", "-fPIE"]),
        ("no-pie", ["-no-pie", "-fno-pie"]),
    ] {
        for (layout, flags) in layouts {
            let name = format!("{pie}-{layout}");
            let program = dir.path().join(&name);
            let mut all = known(target, flags);
            all.extend(pie_flags);
            let source = format!("{MIDDLE}{}", MAIN.replace("int middle_value(void);", ""));
            let all: Vec<&str> = all
                .into_iter()
                .chain([&*link, "-lfar", "-Wl,--no-as-needed"])
                .collect();
            target.compile(&source, &all, &program);
            assert_eq!(
                elf::read(&program).unwrap().unwrap().kind,
                ElfKind::Executable,
                "{name}"
            );
            let before = gdb.as_ref().filter(|_| DEBUGGED.contains(layout));
            let before = before.map(|gdb| (gdb, functions(gdb, &program)));
            let rungs = edit_all_ways(test, target, &program, &program, &far, &name);
            expect_rungs(&rungs, false, &name);
            if let Some((gdb, before)) = before {
                assert_eq!(functions(gdb, &program), before, "{name}");
            }
        }
    }
}

fn libraries(test: &str, target: &Target, layouts: &[(&'static str, &[&'static str])]) {
    let dir = support::dir();
    let far = far(target, dir.path());
    let link = format!("-L{}", far.display());
    for (name, flags) in layouts {
        let home = dir.path().join(name);
        std::fs::create_dir(&home).unwrap();
        let library = home.join("libmiddle.so");
        let own = [
            "-shared",
            "-fPIC",
            "-Wl,-soname,libmiddle.so",
            &link,
            "-lfar",
        ];
        let all: Vec<&str> = known(target, flags).into_iter().chain(own).collect();
        target.compile(MIDDLE, &all, &library);
        let program = home.join("program");
        let home_link = format!("-L{}", home.display());
        let own = format!("-Wl,--enable-new-dtags,-rpath,{}", home.display());
        let lax = "-Wl,--allow-shlib-undefined";
        target.compile(MAIN, &[&home_link, "-lmiddle", &own, lax], &program);
        let what = format!("library-{name}");
        let rungs = edit_all_ways(test, target, &library, &program, &far, &what);
        expect_rungs(&rungs, *name == "no-notes", &what);
    }
}

#[test]
fn shared_ends_of_strings_are_not_overwritten() {
    let test = "elf::built::shared_ends_of_strings_are_not_overwritten";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    for (runpath, rung) in [
        // A symbol's whole name, and the end of one: the linker stores them once.
        ("long_tail", Rung::NewSegment),
        ("tail", Rung::NewSegment),
        // A symbol's whole name that is the end of no other; and a symbol's name that is the end of it.
        ("alone", Rung::NewSegment),
        ("/dir_alone", Rung::NewSegment),
        ("a_tail", Rung::Slot),
        ("/own/string", Rung::Slot),
    ] {
        let file = dir.path().join(format!("{}.so", runpath.replace('/', "")));
        let flag = format!("-Wl,--enable-new-dtags,-rpath,{runpath}");
        let source = "int a_long_tail(void) { return 1; } int long_tail = 2; int alone = 3;";
        target.compile(source, &["-shared", "-fPIC", &flag], &file);
        let original = file.with_extension("original");
        std::fs::copy(&file, &original).unwrap();
        assert_eq!(patch(test, &original, &file, "/x"), rung, "{runpath}");
    }
}

/// Of symbols that are only asked for, and of all where none is exported, the hash table knows nothing.
#[test]
fn names_of_undefined_symbols_are_not_overwritten() {
    let test = "elf::built::names_of_undefined_symbols_are_not_overwritten";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let file = dir.path().join("library.so");
    let asks =
        "void long_tail(void); static void __attribute__((constructor)) ask(void) { long_tail(); }";
    for exports in ["", "int exported = 1;"] {
        for (runpath, rung) in [("long_tail", Rung::NewSegment), ("/own", Rung::Slot)] {
            let flag = format!("-Wl,--enable-new-dtags,-rpath,{runpath}");
            let source = format!("{asks} {exports}");
            target.compile(&source, &["-shared", "-fPIC", "-nostdlib", &flag], &file);
            let original = file.with_extension("original");
            std::fs::copy(&file, &original).unwrap();
            assert_eq!(
                patch(test, &original, &file, "/x"),
                rung,
                "{runpath} {exports}"
            );
        }
    }
}

/// A shorter RUNPATH fits the old one's place; a new NEEDED needs a longer string table.
#[test]
fn a_shorter_runpath_comes_along_with_new_strings() {
    let test = "elf::built::a_shorter_runpath_comes_along_with_new_strings";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let file = dir.path().join("library.so");
    for (linked, rung) in [
        (&[][..], Rung::NewSegment),
        (
            &[
                "-Wl,--build-id=none,--hash-style=gnu",
                "-fcf-protection=none",
            ],
            Rung::ExtendSegment,
        ),
    ] {
        let flags = [
            "-shared",
            "-fPIC",
            "-Wl,--enable-new-dtags,-rpath,/some/where/quite/long",
        ];
        target.compile(FAR, &[&flags, linked].concat(), &file);
        let original = file.with_extension("original");
        std::fs::copy(&file, &original).unwrap();
        let mut needed = elf::read(&file).unwrap().unwrap().needed;
        // The second time the string table ends the file, where it can grow.
        for (value, name, expected) in [
            ("/x/x", "lib2.so", rung),
            (
                "/x",
                "lib3.so",
                if rung == Rung::NewSegment {
                    Rung::Grow
                } else {
                    rung
                },
            ),
        ] {
            let both = Edit {
                add_needed: vec![name.to_owned()],
                ..Edit::runpath(value)
            };
            assert_eq!(edit(test, &original, &file, &both), expected, "{name}");
            needed.push(name.to_owned());
            assert_eq!(elf::read(&file).unwrap().unwrap().needed, needed);
        }
        let bytes = std::fs::read(&file).unwrap();
        let old = b"/some/where/quite/long";
        assert!(!bytes.windows(old.len()).any(|window| window == old));
    }
}

#[test]
fn both_tags_become_one() {
    let test = "elf::built::both_tags_become_one";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let file = dir.path().join("libboth.so");
    target.compile(
        FAR,
        &[
            "-shared",
            "-fPIC",
            "-Wl,--enable-new-dtags,-rpath,/a,-soname,libboth.so",
        ],
        &file,
    );
    // An old RPATH beside the RUNPATH: made of the soname's entry.
    let mut bytes = std::fs::read(&file).unwrap();
    let soname = 14_u64.to_le_bytes();
    let at = bytes
        .chunks_exact(8)
        .position(|word| word == soname)
        .unwrap()
        * 8;
    bytes[at..at + 8].copy_from_slice(&15_u64.to_le_bytes());
    std::fs::write(&file, &bytes).unwrap();
    let before = elf::read(&file).unwrap().unwrap();
    assert_eq!(
        (before.rpath.as_deref(), before.runpath.as_deref()),
        (Some("libboth.so"), Some("/a"))
    );
    let original = file.with_extension("original");
    std::fs::copy(&file, &original).unwrap();
    // The value is there already, but an RPATH too.
    assert_eq!(patch(test, &original, &file, "/a"), Rung::Slot);
    let after = elf::read(&file).unwrap().unwrap();
    assert_eq!((after.rpath, after.runpath.as_deref()), (None, Some("/a")));
    assert_eq!(after.spare_dynamic_slots, before.spare_dynamic_slots + 1);
}

#[test]
fn host_programs_run_after_every_edit() {
    let test = "elf::built::host_programs_run_after_every_edit";
    let Some(target) = Target::host(test) else {
        return;
    };
    programs(test, &target, &FLAGS);
}

#[test]
fn host_libraries_load_after_every_edit() {
    let test = "elf::built::host_libraries_load_after_every_edit";
    let Some(target) = Target::host(test) else {
        return;
    };
    libraries(test, &target, &FLAGS);
}

/// Emulated programs are slow: the layouts that differ in segments and hash tables, without those that differ in tags.
const FEW: [(&str, &[&str]); 5] = [FLAGS[1], FLAGS[2], FLAGS[3], FLAGS[6], FLAGS[8]];

#[test]
fn aarch64_files_run_after_every_edit() {
    let test = "elf::built::aarch64_files_run_after_every_edit";
    let Some(target) = Target::aarch64(test) else {
        return;
    };
    programs(test, &target, &FEW);
    libraries(test, &target, &FEW);
}

#[test]
fn ppc64le_files_run_after_every_edit() {
    let test = "elf::built::ppc64le_files_run_after_every_edit";
    let Some(target) = Target::ppc64le(test) else {
        return;
    };
    programs(test, &target, &FEW);
    libraries(test, &target, &FEW);
}
