//! Random edits and random damage.

use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::elf::{self, Rung};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Target, loaded, modified};
use crate::support;

const SOURCE: &str = "extern int puts(const char *); static char zeros[5000]; __thread int thread_value = 3;\n\
    int value(void) { puts(zeros); return thread_value; }\n";

/// The libraries that the properties are tried on: one for each way to make room.
fn libraries(test: &str, dir: &Path) -> Vec<PathBuf> {
    let Some(target) = Target::host(test) else {
        return Vec::new();
    };
    let variants: [(&str, &[&str]); 4] = [
        ("new-segment.so", &[]),
        (
            "extend-segment.so",
            &[
                "-Wl,--build-id=none",
                "-Wl,--hash-style=gnu",
                "-fcf-protection=none",
            ],
        ),
        (
            "old-rpath.so",
            &["-g", "-Wl,--disable-new-dtags,-rpath,/some/where"],
        ),
        ("program", &["-e", "value", "-pie"]),
    ];
    let compile = |(name, flags): (&str, &[&str])| {
        let file = dir.join(name);
        let kind: &[&str] = if name == "program" {
            &["-nostartfiles", "-fPIC"]
        } else {
            &["-shared", "-fPIC"]
        };
        target.compile(SOURCE, &[kind, flags].concat(), &file);
        file
    };
    variants.into_iter().map(compile).collect()
}

fn runner(cases: u32) -> TestRunner {
    // Failures print the input in full; files with seeds beside the tests would be one more thing to keep.
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

#[test]
fn edits_are_read_back_and_idempotent_and_leave_the_rest_alone() {
    let test = "elf::property::edits_are_read_back_and_idempotent_and_leave_the_rest_alone";
    let dir = support::dir();
    let file = dir.path().join("edited");
    for original in libraries(test, dir.path()) {
        let before = loaded(&original);
        let facts = elf::read(&original).unwrap().unwrap();
        let values = prop::collection::vec("[ -~]{0,40}|(/[a-z$]{1,20}:?){0,40}|\\PC{0,10}", 1..6);
        runner(40)
            .run(&values, |values| {
                std::fs::copy(&original, &file).unwrap();
                for value in &values {
                    elf::set_runpath(&file, value).unwrap();
                    let after = elf::read(&file).unwrap().unwrap();
                    prop_assert_eq!(after.runpath.as_ref(), Some(value));
                    prop_assert_eq!(
                        (
                            &after.rpath,
                            &after.needed,
                            &after.soname,
                            &after.build_id,
                            &after.interpreter
                        ),
                        (
                            &None,
                            &facts.needed,
                            &facts.soname,
                            &facts.build_id,
                            &facts.interpreter
                        )
                    );
                    let time = modified(&file);
                    prop_assert_eq!(elf::set_runpath(&file, value).unwrap().rung, Rung::Same);
                    prop_assert_eq!(modified(&file), time);
                }
                prop_assert!(loaded(&file) == before, "loaded bytes changed");
                let ran = support::run(Command::new("readelf").args(["-aW", "--"]).arg(&file));
                prop_assert!(!ran.stderr.contains("rror"), "{}", ran.stderr);
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn damaged_files_are_refused_unchanged_or_edited_soundly() {
    let test = "elf::property::damaged_files_are_refused_unchanged_or_edited_soundly";
    let dir = support::dir();
    let file = dir.path().join("damaged");
    for original in libraries(test, dir.path()) {
        let bytes = std::fs::read(&original).unwrap();
        let tables = interesting(&bytes);
        let number = prop_oneof![
            Just(0),
            Just(u64::MAX),
            Just(1 << 63),
            any::<u64>(),
            0_u64..100_000
        ];
        let damage =
            prop::collection::vec((any::<prop::sample::Index>(), number, 1_usize..9), 1..4);
        runner(700)
            .run(&damage, |damage| {
                let mut bytes = bytes.clone();
                for (index, number, len) in damage {
                    let at = tables[index.index(tables.len())];
                    let end = (at + len).min(bytes.len());
                    bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
                }
                std::fs::write(&file, &bytes).unwrap();
                let time = modified(&file);
                let _ = cuda_redist::fatbin::architectures(&file);
                match elf::set_runpath(&file, "/a/new/value:$ORIGIN") {
                    Ok(_) => {
                        let facts = elf::read(&file).unwrap().unwrap();
                        prop_assert_eq!(facts.runpath.as_deref(), Some("/a/new/value:$ORIGIN"));
                    }
                    Err(error) => {
                        prop_assert!(error.is_rejected(), "written, then judged wrong: {error}");
                        prop_assert!(std::fs::read(&file).unwrap() == bytes, "changed: {error}");
                        prop_assert_eq!(modified(&file), time);
                    }
                }
                Ok(())
            })
            .unwrap();
    }
}

/// Offsets of the bytes whose damage an editor notices: file header, program headers, dynamic section, section headers.
fn interesting(bytes: &[u8]) -> Vec<usize> {
    let number = |at: usize, len: usize| {
        let mut word = [0; 8];
        word[..len].copy_from_slice(&bytes[at..at + len]);
        usize::try_from(u64::from_le_bytes(word)).unwrap()
    };
    let (segments, sections) = (number(32, 8), number(40, 8));
    let mut found: Vec<usize> = (4..64).collect();
    for at in (0..number(56, 2)).map(|index| segments + index * 56) {
        found.extend(at..at + 56);
        if number(at, 4) == 2 {
            found.extend(number(at + 8, 8)..number(at + 8, 8) + number(at + 32, 8));
        }
    }
    found.extend(sections..sections + number(60, 2) * 64);
    found
}
