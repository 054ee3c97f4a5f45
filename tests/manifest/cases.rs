//! The cases lie in `tests/manifest/cases/`.
//!
//! `fine-X.json` passes. `odd-X.json` passes with the warnings of `odd-X.err`, and fails with `--strict`. Any other `X.json` is
//! refused with exactly the text of `X.err`. `BLESS=1 cargo test` writes the `.err` files anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::manifest::{self, CODES, Judging};

use crate::support::{self, Ran};

/// Where the cases lie.
pub fn folder() -> PathBuf {
    support::root().join("tests/manifest/cases")
}

/// The names of all cases, sorted.
pub fn names() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    assert!(names.len() > 50, "{names:?}");
    names
}

fn check(arguments: &[&str]) -> Ran {
    let mut command = Command::new(support::program());
    support::run(command.current_dir(folder()).arg("check").args(arguments))
}

#[test]
fn cases_are_judged_as_their_files_say() {
    let mut unused: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut wrong = Vec::new();
    for name in names() {
        unused.remove(&name);
        let (lax, strict) = (check(&[&name]), check(&["--strict", &name]));
        assert_eq!(lax.stderr, strict.stderr, "{name}");
        let codes = match name.split_once('-') {
            Some(("fine", _)) => (0, 0),
            Some(("odd", _)) => (0, 1),
            _ => (1, 1),
        };
        assert_eq!((lax.code, strict.code), codes, "{name}: {}", lax.stderr);
        assert_eq!(
            lax.stdout.is_empty(),
            codes.0 == 1,
            "{name}: {}",
            lax.stdout
        );
        assert_eq!(
            strict.stdout.is_empty(),
            codes.1 == 1,
            "{name}: {}",
            strict.stdout
        );
        if codes == (0, 0) {
            assert_eq!(lax.stderr, "", "{name}");
            continue;
        }
        let golden = Path::new(&name).with_extension("err");
        let file = folder().join(&golden);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &lax.stderr).unwrap();
        }
        if fs::read_to_string(&file).unwrap_or_default() != lax.stderr {
            wrong.push(format!("{}, now:\n{}", golden.display(), lax.stderr));
        }
        unused.remove(golden.to_str().unwrap());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unused.is_empty(), "no case uses {unused:?}");
}

/// Codes that no case yields: of names and folders, of what cannot be read, of shapes from outside, of values that may be
/// anything, and of plans.
const ELSEWHERE: [&str; 8] = [
    "empty-folder",
    "integer",
    "label",
    "plan",
    "product",
    "shape",
    "size",
    "unreadable",
];

#[test]
fn the_cases_yield_the_codes_of_the_table() {
    let mut yielded = BTreeSet::new();
    for name in names() {
        let text = fs::read(folder().join(&name)).unwrap();
        let report = manifest::inspect(&text, &name, Judging::default());
        yielded.extend(report.diagnostics.iter().map(|found| found.code));
    }
    let known = CODES.iter().map(|code| code.name);
    let expected: BTreeSet<_> = known.filter(|code| !ELSEWHERE.contains(code)).collect();
    assert_eq!(yielded, expected);
}
