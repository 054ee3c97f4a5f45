//! The static program as builder of a derivation, in a private store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{OUTPUTS, Package, golden};
use crate::support::nix::{Nix, Plugin};
use crate::support::nvidia_archive::{PLATFORM, members};
use crate::support::{Ran, run, static_program};

/// Builds the derivation of a Nix expression and prints the paths of its outputs in the order of [`OUTPUTS`].
fn build(nix: &Nix, expression: &Path) -> Ran {
    run(nix
        .command("nix-build", Plugin::Absent)
        .arg("--no-out-link")
        .arg(expression))
}

/// The store paths that `path` refers to, by name after the hash.
fn references(nix: &Nix, path: &Path) -> Vec<String> {
    let ran = run(nix
        .command("nix-store", Plugin::Absent)
        .args(["--query", "--references"])
        .arg(path))
    .expect(0);
    let mut names: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| {
            line.rsplit('/')
                .next()
                .and_then(|name| name.get(33..))
                .unwrap_or(line)
                .to_owned()
        })
        .collect();
    names.sort();
    names
}

/// The Nix expression of a package: one derivation, as a list of its outputs.
fn expression(package: &Package, program: &Path) -> String {
    let mut plan = package.plan.clone();
    let plan = plan.as_object_mut().expect("an object");
    let archive = package.archive();
    plan.remove("src");
    plan.remove("outputs");
    let file = package.folder.path().join("attributes.json");
    std::fs::write(&file, serde_json::to_string(plan).expect("JSON")).expect("written");
    format!(
        r#"let
  drv = derivation (builtins.fromJSON (builtins.readFile {attributes}) // {{
    name = "foo";
    system = "x86_64-linux";
    builder = builtins.path {{ name = "cuda-redist"; path = {program}; }};
    args = [ "realise" ];
    __structuredAttrs = true;
    src = builtins.path {{ name = "{archive_name}"; path = {archive}; }};
    outputs = [ {outputs} ];
  }});
in
map (name: builtins.getAttr name drv) [ {outputs} ]
"#,
        attributes = file.display(),
        program = program.display(),
        archive_name = archive.file_name().expect("a name").to_string_lossy(),
        archive = archive.display(),
        outputs = OUTPUTS.map(|name| format!("{name:?}")).join(" "),
    )
}

fn builds(test: &str, sandbox: &str) {
    let (Some(nix), Some(program), Some(members)) =
        (Nix::new(test), static_program(test), members(test))
    else {
        return;
    };
    let nix = nix.with(&format!("sandbox = {sandbox}"));
    let mut package = Package::new("cuda_foo", PLATFORM, &members);
    let file = package.folder.path().join("foo.nix");
    std::fs::write(&file, expression(&package, &program)).expect("written");
    let ran = build(&nix, &file).expect(0);
    let paths: Vec<PathBuf> = ran.stdout.lines().map(PathBuf::from).collect();
    let outputs: BTreeMap<String, PathBuf> = OUTPUTS
        .iter()
        .map(|name| (*name).to_owned())
        .zip(paths)
        .collect();
    assert_eq!(outputs.len(), OUTPUTS.len(), "{}", ran.stdout);
    golden::compare(&golden::files(&outputs));
    run(Command::new(outputs["bin"].join("bin/foo-tool")).env_clear()).expect(0);
    // The tool needs the library. `dev` and `out` bring along what builds need, and pkg-config's file in `dev` names `dev` itself.
    // Nothing else refers to anything: the report is free of store paths, the libraries need only their neighbours.
    for (name, path) in &outputs {
        let expected: &[&str] = match name.as_str() {
            "bin" => &["foo-lib"],
            "dev" => &["foo-bin", "foo-dev", "foo-include", "foo-lib"],
            "out" => &["foo-bin", "foo-include", "foo-lib"],
            _ => &[],
        };
        assert_eq!(references(&nix, path), expected, "{name}");
    }

    // A build that fails says why in its log, and no output is valid.
    package.plan["release"][PLATFORM]["sha256"] = "0".repeat(64).into();
    std::fs::write(&file, expression(&package, &program)).expect("written");
    let ran = build(&nix, &file);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("sha256 mismatch"), "{}", ran.stderr);
}

#[test]
fn a_derivation_is_built_in_the_sandbox() {
    builds("a_derivation_is_built_in_the_sandbox", "true");
}

#[test]
fn a_derivation_is_built_without_the_sandbox() {
    builds("a_derivation_is_built_without_the_sandbox", "false");
}
