//! `check --format json|sarif|github`: all problems, for machines.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cuda_redist::manifest::{self, Judging};
use cuda_redist::text;
use serde_json::Value;

use super::cases;
use crate::support::{self, Ran};

fn check(format: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(support::program());
    let command = command
        .current_dir(cases::folder())
        .args(["check", "--format", format]);
    support::run(command.args(arguments))
}

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.stderr, "");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
}

#[test]
fn nothing_steers_a_terminal_in_any_format() {
    let folder = support::dir();
    let odd = folder.path().join("\u{1b}[31m\u{202e}\u{9b}a,b:c%\n.json");
    fs::write(&odd, "[]").unwrap();
    let (absent, odd) = (
        folder.path().join("\u{1b}c\u{200b}"),
        odd.to_str().unwrap().to_owned(),
    );
    let absent = absent.to_str().unwrap();
    use std::os::unix::ffi::OsStrExt as _;
    fs::write(
        folder
            .path()
            .join(std::ffi::OsStr::from_bytes(b"\xff.json")),
        "[]",
    )
    .unwrap();
    let folder = folder.path().to_str().unwrap();
    for format in ["human", "json", "sarif", "github"] {
        let ran = check(format, &[".", folder, &odd, absent]).expect(3);
        for c in ran.stdout.chars().chain(ran.stderr.chars()) {
            assert!(c == '\n' || !text::is_unsafe(c), "{format}: {c:?}");
        }
    }
    let ran = check("json", &[&odd, absent]);
    let value = json(&ran);
    assert_eq!(value["files"][0]["file"], Value::from(odd.as_str()));
    assert_eq!(
        value["files"][1]["problems"][0]["file"],
        Value::from(absent)
    );
}

#[test]
fn json_holds_all_problems() {
    let ran = check("json", &[".", "absent.json"]).expect(3);
    let value = json(&ran);
    assert_eq!(value["version"], 1);
    let names = cases::names();
    let files = value["files"].as_array().unwrap();
    assert_eq!(files.len(), names.len() + 1);
    let mut most = 0;
    for (file, name) in files.iter().zip(&names) {
        assert_eq!(file["file"], Value::from(format!("./{name}")));
        let text = fs::read(cases::folder().join(name)).unwrap();
        let report = manifest::inspect(&text, name, Judging::default());
        assert_eq!(file["shape"], report.shape);
        let problems = file["problems"].as_array().unwrap();
        most = most.max(problems.len());
        assert_eq!(problems.len(), report.diagnostics.len(), "{name}");
        for (problem, found) in problems.iter().zip(&report.diagnostics) {
            let position = found.position.unwrap();
            for (key, expected) in [
                ("severity", Value::from(found.severity.name())),
                ("code", found.code.into()),
                ("file", format!("./{name}").into()),
                ("line", position.line.into()),
                ("column", position.column.into()),
                ("path", found.path.as_str().into()),
                ("expected", found.expected.as_str().into()),
                ("found", found.found.as_str().into()),
                ("hint", found.hint.as_deref().into()),
                ("message", found.sentence().into()),
            ] {
                assert_eq!(problem[key], expected, "{name} {key}");
            }
            assert_eq!(problem.as_object().unwrap().len(), 10);
        }
        let state = match name.split_once('-') {
            Some(("fine" | "odd", _)) => "ok",
            _ => "rejected",
        };
        assert_eq!(
            (&file["state"], &file["more"]),
            (&state.into(), &0.into()),
            "{name}"
        );
    }
    assert!(most > 20);
    insta::assert_snapshot!(serde_json::to_string_pretty(&files[names.len()]).unwrap(), @r#"
    {
      "file": "absent.json",
      "more": 0,
      "problems": [
        {
          "code": "unreadable",
          "column": null,
          "expected": null,
          "file": "absent.json",
          "found": null,
          "hint": null,
          "line": null,
          "message": "cannot read: No such file or directory (os error 2)",
          "path": "",
          "severity": "error"
        }
      ],
      "shape": null,
      "state": "unreadable"
    }
    "#);
    let summary = |ran: &Ran| json(ran)["summary"].to_string();
    insta::assert_snapshot!(summary(&check("json", &["odd-platform.json", "list.json", "fine-flat.json"]).expect(1)), @r#"{"errors":1,"files":3,"ok":2,"rejected":1,"unreadable":0,"warnings":1}"#);
    insta::assert_snapshot!(summary(&check("json", &["--strict", "odd-platform.json"]).expect(1)), @r#"{"errors":0,"files":1,"ok":0,"rejected":1,"unreadable":0,"warnings":1}"#);
}

/// The file `src/schema.json` of the crate `serde-sarif`: the schema of the standard's own repository.
fn sarif_schema() -> Value {
    let mut command = Command::new(env!("CARGO"));
    let command = command.current_dir(support::root());
    let ran =
        support::run(command.args(["metadata", "--format-version", "1", "--locked", "--offline"]))
            .expect(0);
    let metadata: Value = serde_json::from_str(&ran.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages
        .iter()
        .find(|package| package["name"] == "serde-sarif")
        .unwrap();
    let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
    let text = fs::read_to_string(manifest.with_file_name("src/schema.json")).unwrap();
    // No regular expression by ECMA 262: a bracket is closed that was never opened.
    let broken = "-[a-zA-Z]{2}]?$";
    assert_eq!(text.matches(broken).count(), 2);
    let schema: Value = serde_json::from_str(&text.replace(broken, "-[a-zA-Z]{2}$")).unwrap();
    assert!(
        schema["title"]
            .as_str()
            .unwrap()
            .contains("(SARIF) Version 2.1.0"),
        "{}",
        schema["title"]
    );
    schema
}

#[test]
fn sarif_is_what_its_standard_says() {
    let validator = jsonschema::validator_for(&sarif_schema()).unwrap();
    let mut ids = BTreeSet::new();
    for (arguments, code) in [
        (&["."][..], 1),
        (&["fine-flat.json", "absent.json"], 3),
        (&["fine-flat.json"], 0),
    ] {
        let value = json(&check("sarif", arguments).expect(code));
        let errors: Vec<_> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let run = &value["runs"][0];
        assert_eq!(run["invocations"][0]["executionSuccessful"], code != 3);
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let results = run["results"].as_array().unwrap();
        assert_eq!(rules.is_empty(), code == 0);
        for result in results {
            let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
            assert_eq!(rule["id"], result["ruleId"]);
            assert_ne!(rule["shortDescription"]["text"], "");
            ids.insert(rule["id"].as_str().unwrap().to_owned());
        }
    }
    assert!(ids.len() > 15 && ids.contains("unreadable"), "{ids:?}");
    // The validator refuses what is none.
    assert!(!validator.is_valid(&serde_json::json!({ "version": "2.1.0", "runs": [{}] })));

    let value = json(&check("sarif", &["odd-platform-misspelt.json"]).expect(0));
    insta::assert_snapshot!(serde_json::to_string_pretty(&value["runs"][0]["results"][0]).unwrap(), @r#"
    {
      "level": "warning",
      "locations": [
        {
          "logicalLocations": [
            {
              "fullyQualifiedName": "cuda_cudart.linux-x86-64"
            }
          ],
          "physicalLocation": {
            "artifactLocation": {
              "uri": "odd-platform-misspelt.json"
            },
            "region": {
              "startColumn": 5,
              "startLine": 16
            }
          }
        }
      ],
      "message": {
        "text": "expected a known platform (`linux-x86_64`, `linux-sbsa`, `linux-aarch64`, `linux-ppc64le`, `linux-all`, `windows-x86_64`, `source`), found `linux-x86-64`\nhint: did you mean `linux-x86_64`"
      },
      "ruleId": "platform",
      "ruleIndex": 1
    }
    "#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&value["runs"][0]["tool"]["driver"]["rules"]).unwrap(), @r#"
    [
      {
        "id": "path",
        "shortDescription": {
          "text": "a path or file name does not agree with package, platform, version and variant"
        }
      },
      {
        "id": "platform",
        "shortDescription": {
          "text": "a platform is none that NVIDIA is known to use"
        }
      }
    ]
    "#);
}

#[test]
fn github_gets_an_annotation_per_problem() {
    let arguments = [
        "tabs.json",
        "odd-platform-misspelt.json",
        "fine-flat.json",
        "absent.json",
    ];
    let ran = check("github", &arguments).expect(3);
    assert_eq!(ran.stderr, "");
    insta::assert_snapshot!(ran.stdout, @"
    ::error file=tabs.json,line=14,col=12,title=type::`cuda_cudart.linux-x86_64.size`: expected a string of decimal digits (bytes), found the number 1545765
    ::warning file=odd-platform-misspelt.json,line=16,col=5,title=platform::`cuda_cudart.linux-x86-64`: expected a known platform (`linux-x86_64`, `linux-sbsa`, `linux-aarch64`, `linux-ppc64le`, `linux-all`, `windows-x86_64`, `source`), found `linux-x86-64`%0Ahint: did you mean `linux-x86_64`
    ::warning file=odd-platform-misspelt.json,line=17,col=24,title=path::`cuda_cudart.linux-x86-64.relative_path`: expected `cuda_cudart/linux-x86-64/cuda_cudart-linux-x86-64-12.9.79-archive.tar.xz`, found `cuda_cudart/linux-x86_64/cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz`
    ::error file=absent.json,title=unreadable::cannot read: No such file or directory (os error 2)
    ");
    let all = check("github", &["."]).expect(1);
    let problems = json(&check("json", &["."]))["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["problems"].as_array().unwrap().len())
        .sum::<usize>();
    assert_eq!(all.stdout.lines().count(), problems);
}
