//! The examples of README.md, run as they stand there: the program, the plugin in a real Nix, and the flake.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::nix::{Nix, Plugin};
use crate::support::{plugin, program, root, run, static_program, wheels};

/// What of the checkout the flake is made of.
const FLAKE: [&str; 7] = [
    "Cargo.lock",
    "Cargo.toml",
    "build.rs",
    "flake.lock",
    "flake.nix",
    "nix",
    "src",
];

#[test]
fn the_examples_of_the_readme_run_as_they_stand() {
    const TEST: &str = "the_examples_of_the_readme_run_as_they_stand";
    let Some(wheels) = wheels(TEST, "nvidia_nvtx_cu12-12.6.77-") else {
        return;
    };
    let (Some(nix), Some(builder)) = (Nix::new(TEST), static_program(TEST)) else {
        return;
    };
    if plugin(TEST).is_none() {
        return;
    }

    // trycmd takes README.in beside README.md as the folder to run in, a copy of it.
    let readme = nix.path("README.md");
    fs::copy(root().join("README.md"), &readme).expect("README.md is copied");
    let folder = nix.path("README.in");
    for made in ["archives", "manifests/cuda", "target"] {
        fs::create_dir_all(folder.join(made)).expect("a folder");
    }
    for part in FLAKE {
        run(Command::new("cp")
            .arg("-r")
            .arg(root().join(part))
            .arg(&folder))
        .expect(0);
    }
    symlink(root().join("target/plugin"), folder.join("target/plugin")).expect("a link");
    for wheel in &wheels {
        let name = wheel.file_name().expect("a wheel is a file");
        fs::copy(wheel, folder.join("archives").join(name)).expect("the wheel is copied");
        nix.add_fixed(wheel);
    }
    let made = nix.path("made.json");
    run(Command::new(program())
        .arg("index")
        .arg(folder.join("archives"))
        .args(["--product", "cuda", "--label", "12.6.3", "--output"])
        .arg(&made))
    .expect(0);
    let text = fs::read_to_string(&made).expect("index wrote it");
    let wrong = text
        .replacen("\"relative_path\"", "\"relativ_path\"", 1)
        .replace("\"size\": \"89265\"", "\"size\": 89265");
    fs::write(folder.join("wrong.json"), wrong).expect("wrong.json is written");

    let stand_in = nix.path("nixpkgs");
    run(Command::new(root().join("scripts/stand-in"))
        .arg(&stand_in)
        .arg(&builder))
    .expect(0);
    let wrapper = nix.path("nix");
    write_wrapper(&nix, &wrapper, &stand_in);

    trycmd::TestCases::new()
        .register_bin("cuda-redist", program())
        .register_bin("nix", wrapper.as_path())
        .case(&readme);
}

/// A `nix` as the README means it: flakes on, nixpkgs replaced by the stand-in, the store that of this test. Without a network Nix
/// would warn about that; told to be offline it does not.
fn write_wrapper(nix: &Nix, wrapper: &Path, stand_in: &Path) {
    let command = nix.command("nix", Plugin::Absent);
    let mut script = "#!/bin/sh\n".to_owned();
    for (name, value) in command.get_envs() {
        let name = name.to_string_lossy();
        match value {
            Some(value) => {
                script.push_str(&format!("export {name}='{}'\n", value.to_string_lossy()))
            }
            None => script.push_str(&format!("unset {name}\n")),
        }
    }
    script.push_str(&format!(
        "case $1 in build) set -- \"$@\" --override-input nixpkgs path:{} ;; esac\nexec nix --offline \"$@\"\n",
        stand_in.display()
    ));
    fs::write(wrapper, script).expect("the wrapper is written");
    fs::set_permissions(wrapper, fs::Permissions::from_mode(0o755)).expect("its mode is set");
}
