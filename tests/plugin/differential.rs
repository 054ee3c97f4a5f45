//! The same files through the program and the plugin: the same problems, word for word.

use std::process::Command;

use serde_json::Value;

use super::Nix;
use crate::support;

#[test]
fn program_and_plugin_give_the_same_problems_on_every_case() {
    let Some(nix) = Nix::new("plugin::program_and_plugin") else {
        return;
    };
    let cases = support::root()
        .join("tests/manifest/cases")
        .canonicalize()
        .unwrap();
    let ran = Command::new(support::program())
        .args(["check", "--format", "json"])
        .arg(&cases)
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let (mut refused, mut fine) = (0, 0);
    for file in report["files"].as_array().unwrap() {
        let path = file["file"].as_str().unwrap();
        let reader = match file["shape"].as_str().unwrap() {
            "redistrib" => "readManifest",
            "feature" => "readFeatures",
            "releases" => "readReleases",
            other => panic!("{path} was judged as {other}"),
        };
        let call = format!("builtins.cudaRedist.{reader} {path}");
        let problems = file["problems"].as_array().unwrap();
        let errors: Vec<&Value> = problems
            .iter()
            .filter(|problem| problem["severity"] == "error")
            .collect();
        if errors.is_empty() {
            nix.eval(&call).expect(0);
            fine += 1;
            continue;
        }
        let said = nix.eval(&call).expect(1).stderr;
        // Nix does not read what has NUL in it, or is no UTF-8, at all.
        if said.contains("is not allowed in Nix") || said.contains("contains the NUL byte") {
            continue;
        }
        let lines: Vec<&str> = said.lines().map(str::trim).collect();
        let words = |text: &Value| text.as_str().unwrap_or_default().to_owned();
        let mut expected = Vec::new();
        for error in errors.iter().take(20) {
            let path_of = words(&error["path"]);
            let place = match path_of.as_str() {
                "" => format!("{path}:{}:{}", error["line"], error["column"]),
                _ => format!("{path}:{}:{}: `{path_of}`", error["line"], error["column"]),
            };
            expected.push(format!(
                "{place}: expected {}, found {}",
                words(&error["expected"]),
                words(&error["found"])
            ));
            if let Some(hint) = error["hint"].as_str() {
                expected.push(format!("hint: {hint}"));
            }
        }
        if errors.len() > 20 {
            expected.push(format!("and {} more", errors.len() - 20));
        }
        // All of them, in this order, and then only where Nix was (newer ones say that first).
        let start = lines
            .iter()
            .position(|line| line.starts_with("error: "))
            .unwrap();
        let mut message: Vec<&str> = lines[start..].to_vec();
        message[0] = message[0].trim_start_matches("error: ");
        assert_eq!(message[..expected.len()], expected, "{path}");
        let next = message.get(expected.len());
        assert!(next.is_none_or(|line| line.is_empty()), "{path}: {said}");
        refused += 1;
    }
    assert!(refused > 20 && fine > 5, "{refused} refused, {fine} fine");
}
