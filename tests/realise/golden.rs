//! The tree of every output of the archive that has content for all ten. `UPDATE_GOLDEN=1` writes the files anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{OUTPUTS, Package, tree};
use crate::support::nvidia_archive::{PLATFORM, members};
use crate::support::{dir, program, root, run};

/// Are the golden files being written anew?
fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1")
}

fn folder() -> PathBuf {
    root().join("tests/realise/golden")
}

/// Writes `found` (file name to content) as the golden files, and nothing else.
fn update(found: &BTreeMap<String, String>) {
    let _ = std::fs::remove_dir_all(folder());
    std::fs::create_dir_all(folder()).expect("a folder");
    for (name, content) in found {
        std::fs::write(folder().join(name), content).expect("a file");
    }
}

/// Compares `found` (file name to content) with the golden files; every difference in content or in the set of files
/// is a failure. While they are written anew there is nothing to compare with.
pub(super) fn compare(found: &BTreeMap<String, String>) {
    if is_update() {
        return;
    }
    let folder = folder();
    let names = |path: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(path).expect("the golden files are there");
        entries
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect()
    };
    let expected: BTreeSet<String> = found.keys().cloned().collect();
    assert_eq!(
        names(&folder),
        expected,
        "the files of {} against those this test makes",
        folder.display()
    );
    for (name, content) in found {
        let golden = std::fs::read_to_string(folder.join(name)).expect("UTF-8");
        assert_eq!(&golden, content, "{name}; UPDATE_GOLDEN=1 writes it anew");
    }
}

/// The golden files of a package whose outputs are at `outputs`.
pub(super) fn files(outputs: &BTreeMap<String, PathBuf>) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = outputs
        .iter()
        .map(|(name, path)| (format!("{name}.tree"), tree(path, outputs)))
        .collect();
    let report = std::fs::read_to_string(outputs["out"].join("nix-support/cuda-redist.json"))
        .expect("the report");
    // Which rung an edit takes depends on the linker that made the file.
    let mut report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    for file in report["patched"].as_array_mut().expect("a list") {
        assert!(file["rung"].is_string(), "{file}");
        file["rung"] = "(any)".into();
    }
    files.insert("report.json".to_owned(), format!("{report:#}\n"));
    files
}

#[test]
fn every_output_has_its_tree() {
    let Some(members) = members("every_output_has_its_tree") else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    let ran = package.realise().expect(0);
    let mut made: Vec<&str> = OUTPUTS.to_vec();
    made.sort_unstable();
    assert_eq!(package.made(), made);
    let outputs: BTreeMap<String, PathBuf> = OUTPUTS
        .iter()
        .map(|name| ((*name).to_owned(), package.output(name)))
        .collect();
    let report =
        std::fs::read_to_string(package.output("out").join("nix-support/cuda-redist.json"))
            .expect("the report");
    assert_eq!(ran.stdout, report, "stdout is the report");
    let found = files(&outputs);
    if is_update() {
        update(&found);
    }
    compare(&found);

    // The proof of the pudding: the tool finds its library through the RUNPATH, with nothing in the environment.
    run(Command::new(package.output("bin").join("bin/foo-tool")).env_clear()).expect(0);
}

#[test]
fn outputs_may_be_named_on_the_command_line_and_be_fewer() {
    let Some(members) = members("outputs_may_be_named_on_the_command_line_and_be_fewer") else {
        return;
    };
    let mut package = Package::new("cuda_foo", PLATFORM, &members);
    package
        .plan
        .as_object_mut()
        .expect("an object")
        .remove("outputs");
    let plan = package.folder.path().join("plan.json");
    std::fs::write(&plan, package.plan.to_string()).expect("the plan is written");
    let place = dir();
    let realise = |outputs: &[&str]| {
        run(Command::new(program())
            .current_dir(place.path())
            .arg("realise")
            .arg("--plan")
            .arg(&plan)
            .args(outputs.iter().map(|output| format!("--out={output}"))))
    };
    realise(&["out=all", "lib=libraries"]).expect(0);
    for file in [
        "all/bin/foo-tool",
        "all/include/foo.h",
        "all/share/pkgconfig/foo-12.9.pc",
        "libraries/lib/libfoo_static.a",
    ] {
        assert!(place.path().join(file).is_file(), "{file}");
    }
    run(&mut Command::new(place.path().join("all/bin/foo-tool"))).expect(0);

    // Again: what is there is not touched.
    let again = realise(&["out=all", "lib=other"]).expect(2);
    assert!(
        again
            .stderr
            .contains("expected a path that does not exist yet"),
        "{}",
        again.stderr
    );
    assert!(place.path().join("all/bin/foo-tool").is_file());
    assert!(!place.path().join("other").exists());
}

#[test]
fn nothing_of_where_it_was_made_is_left_in_the_outputs() {
    let Some(members) = members("nothing_of_where_it_was_made_is_left_in_the_outputs") else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    package.realise().expect(0);
    for output in OUTPUTS {
        let found = run(Command::new("grep")
            .args(["-rlaF", ".cuda-redist-"])
            .arg(package.output(output)));
        assert_eq!(found.stdout, "", "{output} names a private folder");
    }
}
