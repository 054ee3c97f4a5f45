//! What is said to Nix, to terminals and to programs.

use std::process::Command;

use serde_json::Value;

use super::Package;
use crate::support::nvidia_archive::{PLATFORM, members};
use crate::support::{run, tool};

#[test]
fn nix_is_told_of_phases_and_progress() {
    let Some(members) = members("nix_is_told_of_phases_and_progress") else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    let ran = run(package
        .command()
        .env("NIX_BUILD_TOP", package.folder.path())
        .env("NIX_LOG_FD", "2"))
    .expect(0);
    let lines = ran.stderr.lines();
    let messages: Vec<Value> = lines
        .clone()
        .filter_map(|line| line.strip_prefix("@nix "))
        .map(|message| serde_json::from_str(message).expect("JSON"))
        .collect();
    let phases: Vec<&Value> = messages
        .iter()
        .filter(|message| message["action"] == "setPhase")
        .map(|message| &message["phase"])
        .collect();
    assert_eq!(
        phases,
        ["verify", "unpack", "split", "patch", "audit", "install"]
    );
    let of = |action: &str| {
        messages
            .iter()
            .position(|message| message["action"] == action)
    };
    let (start, told, stop) = (of("start"), of("result"), of("stop"));
    assert!(
        start.is_some() && start < told && told < stop,
        "{messages:?}"
    );
    let size = package.archive().metadata().expect("it exists").len();
    for message in messages
        .iter()
        .filter(|message| message["action"] == "result")
    {
        let done = message["fields"][0].as_u64().expect("a number");
        assert!(done <= size, "{message}");
        assert_eq!(message["fields"][1], size, "{message}");
    }
    // The log has a line for each file.
    assert!(
        lines
            .clone()
            .any(|line| line.contains("lib/libfoo.so.12.9.79: RUNPATH "))
    );
}

#[test]
fn a_terminal_shows_what_is_made() {
    let test = "a_terminal_shows_what_is_made";
    let (Some(members), Some(script)) = (members(test), tool(test, "script")) else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    package.command();
    let line = format!(
        "{} realise --plan {} >/dev/null",
        crate::support::program().display(),
        package.folder.path().join("plan.json").display()
    );
    let ran = run(Command::new(script)
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .current_dir(package.folder.path()))
    .expect(0);
    assert!(
        ran.stdout.contains("output `lib`: 1 file, 2 links"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("RUNPATH"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("@nix"), "{}", ran.stdout);
}
