//! What users touch of the flake: what it shows, its checks, apps and template.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::checkout::Flake;
use crate::support::nix::{Nix, Plugin};
use crate::support::nvidia_archive::{self, PACKAGE};
use crate::support::{dir, golden, plugin, program, root, run, shared, static_program, tool};

/// `nix flake show` has a line for each thing and not the thousands of packages.
#[test]
fn flake_show_is_readable() {
    let Some(nix) = Nix::new("flake_show_is_readable") else {
        return;
    };
    let flake = Flake::unbuilt(&root().join("tests/nix/sets"));
    let ran = flake
        .nix(&nix, Plugin::Absent, &["flake", "show", "--json"], "")
        .expect(0);
    let shown: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    golden("tests/flake/golden/show.json", &format!("{shown:#}\n"));
}

/// The check of all package sets writes how many packages there are, per product and platform, and what is lacking, and why.
#[test]
fn the_check_of_package_sets_counts_them() {
    let test = "the_check_of_package_sets_counts_them";
    let (Some(nix), Some(shared), Some(program)) =
        (Nix::new(test), shared(test), static_program(test))
    else {
        return;
    };
    let flake = Flake::new(&program, &shared.join("manifests"));
    let ran = flake
        .nix(
            &nix,
            Plugin::Absent,
            &["build", "--no-link", "--json"],
            "checks.x86_64-linux.package-sets",
        )
        .expect(0);
    let built: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let table = built[0]["outputs"]["out"].as_str().expect("a path");
    let table = std::fs::read_to_string(table).expect("the table");
    golden("tests/flake/golden/package-sets.txt", &table);
}

/// With the plugin a wrong manifest stops the evaluation, and its place in the file is said.
#[test]
fn flake_check_with_the_plugin_says_the_line() {
    let test = "flake_check_with_the_plugin_says_the_line";
    let Some(nix) = Nix::new(test) else { return };
    if plugin(test).is_none() {
        return;
    }
    let manifests = nix.path("manifests");
    std::fs::create_dir_all(manifests.join("cuda")).expect("a folder");
    let text = std::fs::read_to_string(root().join("tests/nix/sets/cuda/redistrib_12.9.1.json"))
        .expect("a manifest");
    let wrong = text.replacen("\"sha256\": \"", "\"sha256\": \"X", 1);
    let line = 1 + wrong[..wrong.find("\"X").expect("the wrong digit")]
        .matches('\n')
        .count();
    std::fs::write(manifests.join("cuda/redistrib_12.9.1.json"), wrong)
        .expect("the manifest is written");
    let flake = Flake::unbuilt(&manifests);
    let ran = flake
        .nix(&nix, Plugin::Loaded, &["flake", "check"], "")
        .expect(1);
    let place = format!("/cuda/redistrib_12.9.1.json:{line}:");
    assert!(
        ran.stderr.contains(&place) && ran.stderr.contains(".sha256`: expected "),
        "{place}: {}",
        ran.stderr
    );
}

#[test]
fn apps_run() {
    let test = "apps_run";
    let (Some(nix), Some(program)) = (Nix::new(test), static_program(test)) else {
        return;
    };
    let flake = Flake::new(&program, &root().join("tests/nix/sets"));
    let ran = flake.nix(&nix, Plugin::Absent, &["run"], "check").expect(0);
    assert_eq!(ran.stdout.matches(": ok, ").count(), 3, "{}", ran.stdout);
    let mut check = flake.command(&nix, Plugin::Absent, &["run"], "check");
    let ran = run(check.arg("--").arg(root().join("tests/nix/broken"))).expect(1);
    assert!(ran.stderr.contains(": expected "), "{}", ran.stderr);
    let ran = flake.nix(&nix, Plugin::Absent, &["run"], "demo").expect(0);
    for text in [
        "manifests/example/redistrib_1.0.0.json: ok, 2 packages",
        "  runpath       /run/opengl-driver/lib:/",
        "  needs         libexample_base.so.1\n",
    ] {
        assert!(ran.stdout.contains(text), "{text}: {}", ran.stdout);
    }
}

/// The manifest and the feature manifest of the example are those of the archives that its script writes, whatever the shell.
#[test]
fn the_manifest_of_the_example_is_that_of_its_archives() {
    let test = "the_manifest_of_the_example_is_that_of_its_archives";
    let Some(busybox) = tool(test, "busybox") else {
        return;
    };
    let script = root().join("nix/example/archives.sh");
    let written = |shell: &mut Command| {
        let dir = dir();
        let archives = dir.path().join("archives");
        run(shell.arg(&script).arg(&archives)).expect(0);
        let file = |name: &str| dir.path().join(name);
        run(Command::new(program())
            .arg("index")
            .arg(&archives)
            .args(["--product", "example", "--label", "1.0.0", "--output"])
            .arg(file("redistrib_1.0.0.json"))
            .arg("--features")
            .arg(file("feature_1.0.0.json")))
        .expect(0);
        ["redistrib_1.0.0.json", "feature_1.0.0.json"]
            .map(|name| (name, std::fs::read_to_string(file(name)).expect("JSON")))
    };
    let found = written(&mut Command::new("sh"));
    assert_eq!(written(Command::new(busybox).arg("sh")), found);
    for (name, text) in found {
        golden(&format!("nix/example/manifests/example/{name}"), &text);
    }
}

/// A user with the archive of a product that nobody knows follows the template's README: a manifest, `nix build`, done.
#[test]
fn the_template_packages_an_unknown_product() {
    let test = "the_template_packages_an_unknown_product";
    let (Some(nix), Some(builder)) = (Nix::new(test), static_program(test)) else {
        return;
    };
    let flake = Flake::new(&builder, &root().join("tests/nix/sets"));
    let project = nix.path("project");
    std::fs::create_dir(&project).expect("a folder");
    let ran = run(nix
        .command("nix", Plugin::Absent)
        .current_dir(&project)
        .args(["flake", "init", "-t"])
        .arg(flake.attribute("")))
    .expect(0);
    assert!(ran.stderr.contains("README.md says what comes next"));

    let nix_in_project = |arguments: &[&str]| {
        run(nix
            .command("nix", Plugin::Absent)
            .current_dir(&project)
            .args(arguments)
            .args(["--override-input", "cuda-redist"])
            .arg(flake.attribute(""))
            .args(flake.inputs("cuda-redist/")))
    };
    // Without a manifest it says what is missing.
    let ran = nix_in_project(&["build", &format!("path:.#{PACKAGE}")]).expect(1);
    assert!(
        ran.stderr
            .contains("- add a manifest of it: `mine/redistrib_LABEL.json`"),
        "{}",
        ran.stderr
    );

    if nvidia_archive::write(test, &project.join("archives")).is_none() {
        return;
    }
    for command in commands_of_the_readme(&project) {
        run(Command::new(program())
            .current_dir(&project)
            .args(command.split_whitespace()))
        .expect(0);
    }
    let ran = nix_in_project(&["flake", "show", "path:.", "--json"]).expect(0);
    let shown: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        shown["packages"]["x86_64-linux"][PACKAGE]["name"],
        "cuda_foo-linux-x86_64-12.9.79"
    );
    nix_in_project(&["build", &format!("path:.#{PACKAGE}.lib")]).expect(0);
    assert!(project.join("result-lib/lib/libfoo.so.12").is_file());
    nix_in_project(&["flake", "check", "path:."]).expect(0);
}

/// The pieces of Nix in the pages about the flake and about scale.
fn nix_of_the_docs() -> Vec<String> {
    let mut found = Vec::new();
    for page in ["docs/flake.md", "docs/scale.md"] {
        let text = std::fs::read_to_string(root().join(page)).expect("a page");
        for piece in text.split("```nix\n").skip(1) {
            let piece = piece.split("```").next().expect("it ends");
            found.push(piece.to_owned());
        }
    }
    found
}

/// What the documentation shows in Nix is Nix.
#[test]
fn the_nix_of_the_docs_parses() {
    let Some(nix) = Nix::new("the_nix_of_the_docs_parses") else {
        return;
    };
    let pieces = nix_of_the_docs();
    assert!(pieces.len() >= 5, "{pieces:?}");
    for piece in pieces {
        let file = nix.path("piece.nix");
        // The names that a reader has around it may be anything.
        std::fs::write(&file, format!("with {{ }};\n{piece}")).expect("a file");
        run(nix
            .command("nix-instantiate", Plugin::Absent)
            .arg("--parse")
            .arg(&file))
        .expect(0);
    }
}

/// The flake for Hydra in `docs/scale.md` has a job for each package that a platform has.
#[test]
fn the_hydra_jobs_of_the_docs_evaluate() {
    let test = "the_hydra_jobs_of_the_docs_evaluate";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let project = nix.path("project");
    std::fs::create_dir(&project).expect("a folder");
    let pieces = nix_of_the_docs();
    let text = pieces
        .iter()
        .find(|text| text.contains("hydraJobs"))
        .expect("a flake for Hydra");
    std::fs::write(project.join("flake.nix"), text).expect("the flake");
    let flake = Flake::unbuilt(&shared.join("manifests"));
    let ran = run(nix
        .command("nix", Plugin::Absent)
        .args(["eval", "--json", "--apply"])
        .arg("builtins.mapAttrs (_: builtins.mapAttrs (_: jobs: map (job: job.drvPath) (builtins.attrValues jobs)))")
        .arg(format!("path:{}#hydraJobs", project.display()))
        .args(["--override-input", "cuda-redist"])
        .arg(flake.attribute(""))
        .args(flake.inputs("cuda-redist/")))
    .expect(0);
    let jobs: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    for set in ["cudaPackages_12_9", "cudaPackages_13_0"] {
        for platform in ["linux-x86_64", "linux-sbsa"] {
            let jobs = jobs[set][platform].as_array().map_or(0, Vec::len);
            assert!(jobs >= 30, "{set} {platform}: {jobs}");
        }
    }
}

/// What the template's README has `nix run` do: the arguments of each call of the program.
fn commands_of_the_readme(project: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(project.join("README.md")).expect("the README");
    let text = text.replace("\\\n", " ");
    let commands: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let line = line
                .trim()
                .strip_prefix("nix run github:OWNER/cuda-redist -- ")?;
            Some(line.to_owned())
        })
        .collect();
    assert_eq!(commands.len(), 2, "{text}");
    commands
}
