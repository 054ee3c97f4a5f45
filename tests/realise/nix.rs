//! The static program as builder of a derivation, in a private store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{OUTPUTS, Package, golden};
use crate::support::nvidia_archive::{PLATFORM, members};
use crate::support::{Ran, dir, root, run, skip, tool};

/// A store of its own, with its own configuration.
struct Store {
    folder: tempfile::TempDir,
    nix_build: PathBuf,
    sandbox: &'static str,
}

impl Store {
    fn new(nix_build: PathBuf, sandbox: &'static str) -> Store {
        let folder = dir();
        std::fs::create_dir(folder.path().join("conf")).expect("a folder");
        Store {
            folder,
            nix_build,
            sandbox,
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (variable, folder) in [
            ("NIX_STORE_DIR", "store"),
            ("NIX_STATE_DIR", "state"),
            ("NIX_LOG_DIR", "log"),
            ("NIX_CONF_DIR", "conf"),
            ("HOME", "home"),
            ("XDG_CACHE_HOME", "cache"),
        ] {
            command.env(variable, self.folder.path().join(folder));
        }
        command
            .env_remove("NIX_PATH")
            .env_remove("NIX_REMOTE")
            .env_remove("NIX_CONFIG");
        command
    }

    /// Builds the derivation of a Nix expression and gives the paths of its outputs in the order of [`OUTPUTS`].
    fn build(&self, expression: &Path) -> Ran {
        let mut command = self.command(&self.nix_build);
        command.arg("--no-out-link").arg(expression);
        for (option, value) in [
            ("sandbox", self.sandbox),
            ("sandbox-fallback", "false"),
            ("substituters", ""),
            ("build-users-group", ""),
        ] {
            command.args(["--option", option, value]);
        }
        run(&mut command)
    }

    /// The store paths that `path` refers to, by name after the hash.
    fn references(&self, path: &Path) -> Vec<String> {
        let nix_store = self.nix_build.with_file_name("nix-store");
        let ran = run(self
            .command(&nix_store)
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
}

impl Drop for Store {
    fn drop(&mut self) {
        // Store paths are read-only, for us too unless we are root.
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(self.folder.path())
            .status();
    }
}

/// The program without any shared library; `None` after a visible skip where it has not been built.
fn static_program(test: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CUDA_REDIST_STATIC").map(PathBuf::from) {
        assert!(
            named.is_file(),
            "CUDA_REDIST_STATIC names no file: {}",
            named.display()
        );
        return Some(named);
    }
    let target = root().join("target/static/x86_64-unknown-linux-gnu");
    let built = ["release", "debug"].map(|profile| target.join(profile).join("cuda-redist"));
    let found = built.into_iter().find(|file| file.is_file());
    if found.is_none() {
        skip(test, "the static program is not built (CUDA_REDIST_STATIC)");
    }
    found
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

fn builds(test: &str, sandbox: &'static str) {
    let (Some(nix_build), Some(program), Some(members)) =
        (tool(test, "nix-build"), static_program(test), members(test))
    else {
        return;
    };
    let store = Store::new(nix_build, sandbox);
    let mut package = Package::new("cuda_foo", PLATFORM, &members);
    let file = package.folder.path().join("foo.nix");
    std::fs::write(&file, expression(&package, &program)).expect("written");
    let ran = store.build(&file).expect(0);
    let paths: Vec<PathBuf> = ran.stdout.lines().map(PathBuf::from).collect();
    let outputs: BTreeMap<String, PathBuf> = OUTPUTS
        .iter()
        .map(|name| (*name).to_owned())
        .zip(paths)
        .collect();
    assert_eq!(outputs.len(), OUTPUTS.len(), "{}", ran.stdout);
    golden::compare(&golden::files(&outputs));
    run(Command::new(outputs["bin"].join("bin/foo-tool")).env_clear()).expect(0);
    // Only the tool refers to anything: the report is free of store paths, the libraries need only their neighbours.
    for (name, path) in &outputs {
        let expected: &[&str] = if name == "bin" { &["foo-lib"] } else { &[] };
        assert_eq!(store.references(path), expected, "{name}");
    }

    // A build that fails says why in its log, and no output is valid.
    package.plan["release"][PLATFORM]["sha256"] = "0".repeat(64).into();
    std::fs::write(&file, expression(&package, &program)).expect("written");
    let ran = store.build(&file);
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
