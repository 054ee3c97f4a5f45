//! The same plan makes the same bytes, whoever carries it out, and a dry run says beforehand what they are.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::Path;
use std::process::Command;

use super::{OUTPUTS, Package, tree};
use crate::support::nvidia_archive::{PLATFORM, members};
use crate::support::{dir, is_root, run, skip, tool};

/// The NAR hash of each output.
fn hashes(nix: &Path, package: &Package) -> Vec<String> {
    OUTPUTS
        .iter()
        .map(|output| {
            let ran = run(Command::new(nix)
                .args([
                    "--extra-experimental-features",
                    "nix-command",
                    "hash",
                    "path",
                ])
                .arg(package.output(output)));
            ran.expect(0).stdout
        })
        .collect()
}

/// `program`, a way to start the program, makes the same of the plan as the program itself.
fn same_again(nix: &Path, package: &Package, program: &mut Command) {
    package.realise().expect(0);
    let first = hashes(nix, package);
    remove(package);
    let plan = package.folder.path().join("plan.json");
    run(program.args(["realise", "--plan"]).arg(plan)).expect(0);
    assert_eq!(hashes(nix, package), first);
}

/// Removes the outputs, which are read-only.
fn remove(package: &Package) {
    for output in OUTPUTS {
        run(Command::new("chmod")
            .arg("-R")
            .arg("u+w")
            .arg(package.output(output)))
        .expect(0);
        std::fs::remove_dir_all(package.output(output)).expect("it can be removed");
    }
}

#[test]
fn two_builds_are_the_same_as_root_and_as_somebody_else() {
    let test = "two_builds_are_the_same_as_root_and_as_somebody_else";
    let (Some(members), Some(nix)) = (members(test), tool(test, "nix")) else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    package.realise().expect(0);
    let first = hashes(&nix, &package);
    for output in OUTPUTS {
        settled(&package.output(output));
    }
    remove(&package);

    // Another umask, other locale, one processor.
    let mut command = Command::new("sh");
    let plan = package.folder.path().join("plan.json");
    command
        .args([
            "-c",
            "umask 077; exec taskset -c 0 \"$0\" realise --plan \"$1\"",
        ])
        .arg(crate::support::program())
        .arg(&plan)
        .env("LC_ALL", "C");
    run(&mut command).expect(0);
    assert_eq!(hashes(&nix, &package), first);
    remove(&package);

    // Somebody else, if we can be.
    let Some(setpriv) = tool(test, "setpriv") else {
        return;
    };
    if !is_root() {
        skip(test, "only root can be somebody else");
        return;
    }
    let folder = package.folder.path();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).expect("ours");
    // The program as it is may lie where only root may look.
    let program = folder.join("program");
    std::fs::copy(crate::support::program(), &program).expect("copied");
    run(Command::new(setpriv)
        .args(["--reuid=12345", "--regid=12345", "--clear-groups"])
        .arg(&program)
        .args(["realise", "--plan"])
        .arg(&plan)
        .env_clear())
    .expect(0);
    assert_eq!(hashes(&nix, &package), first);
}

/// Modes and times are those of the store.
pub(super) fn settled(path: &Path) {
    let metadata = path.symlink_metadata().expect("it exists");
    assert_eq!(
        (metadata.mtime(), metadata.mtime_nsec()),
        (1, 0),
        "{path:?}"
    );
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_dir() {
        assert_eq!(mode, 0o555, "{path:?}");
        for entry in path.read_dir().expect("readable") {
            settled(&entry.expect("readable").path());
        }
    } else if metadata.is_file() {
        assert!(matches!(mode, 0o444 | 0o555), "{path:?}: {mode:o}");
    }
}

#[test]
fn two_machines_make_the_same() {
    let test = "two_machines_make_the_same";
    let other = std::env::var_os("CUDA_REDIST_AARCH64").map(std::path::PathBuf::from);
    let Some(other) = other.filter(|program| program.is_file()) else {
        skip(
            test,
            "the program for aarch64 is not built (`make program-aarch64`)",
        );
        return;
    };
    let (Some(members), Some(qemu), Some(nix)) =
        (members(test), tool(test, "qemu-aarch64"), tool(test, "nix"))
    else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    same_again(&nix, &package, Command::new(qemu).arg(other));
}

#[test]
fn the_clock_does_not_matter() {
    let test = "the_clock_does_not_matter";
    let (Some(members), Some(faketime), Some(nix)) =
        (members(test), tool(test, "faketime"), tool(test, "nix"))
    else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    let mut then = Command::new(faketime);
    then.args(["-f", "1970-01-01 00:00:00"])
        .arg(crate::support::program());
    same_again(&nix, &package, &mut then);
}

#[test]
fn a_dry_run_prints_the_tree_and_leaves_nothing() {
    let test = "a_dry_run_prints_the_tree_and_leaves_nothing";
    let Some(members) = members(test) else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    let work = dir();
    let dry = run(package
        .command()
        .arg("--dry-run")
        .env("TMPDIR", work.path()))
    .expect(0);
    assert_eq!(package.made(), [""; 0]);
    assert_eq!(std::fs::read_dir(work.path()).expect("a folder").count(), 0);
    assert_eq!(dry.stderr, "");

    package.realise().expect(0);
    let outputs: BTreeMap<String, _> = OUTPUTS
        .iter()
        .map(|name| ((*name).to_owned(), package.output(name)))
        .collect();
    let mut made: Vec<String> = Vec::new();
    for (name, path) in &outputs {
        for line in tree(path, &outputs).lines() {
            // `0644 PATH  RUNPATH ...`, `link PATH -> TARGET`
            match (&line[..4], line[5..].split("  ").next()) {
                ("dir ", _) => {}
                (_, Some(rest)) => made.push(format!("{name}: {rest}")),
                _ => panic!("{line}"),
            }
        }
    }
    let mut listed: Vec<String> = dry
        .stdout
        .lines()
        .map(|line| line.split(" (").next().expect("a path").to_owned())
        .map(|line| {
            outputs.iter().fold(line, |line, (name, path)| {
                line.replace(&*path.to_string_lossy(), &format!("{{{name}}}"))
            })
        })
        .collect();
    made.sort();
    listed.sort();
    assert_eq!(listed, made);
    // The sizes are those of the files as they will be.
    let size = package.output("lib").join("lib/libfoo.so.12.9.79");
    let size = size.metadata().expect("made").len();
    let line = format!("lib: lib/libfoo.so.12.9.79 ({size} bytes)\n");
    assert!(dry.stdout.contains(&line), "{}", dry.stdout);
    // What is there already is no reason to say less.
    assert_eq!(package.run(&["--dry-run"]).expect(0).stdout, dry.stdout);
}

#[test]
fn nothing_is_said_to_who_does_not_ask() {
    let Some(members) = members("nothing_is_said_to_who_does_not_ask") else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    assert_eq!(package.run(&[]).expect(0).stderr, "");
}
