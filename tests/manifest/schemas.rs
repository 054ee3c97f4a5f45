//! `schema`: what a public validator says of values, by our schemas, against what the judge says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cuda_redist::error::Severity;
use cuda_redist::manifest::json::Tape;
use cuda_redist::manifest::{self, Judging, Kind, TABLE};
use cuda_redist::shape::{Rule, Shape, schema};
use jsonschema::{Draft, Validator};
use proptest::prelude::*;
use serde_json::Value;

use super::cases;
use crate::support::{self, Ran};

/// Codes of problems that a schema does not see: what is lost when JSON is parsed, and what distant parts say of each other.
/// `duplicate-key` is another: see [`compare`].
const BEYOND_SCHEMAS: [&str; 6] = ["hash-reuse", "integer", "nul", "order", "pool", "variant"];

fn validator(shape: &Shape) -> Validator {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .build(&schema(shape))
        .unwrap_or_else(|error| panic!("{}: {error}", shape.name))
}

/// The codes of what is wrong with `text` by the rule of `shape` and what else holds for it, with what was found.
fn errors(shape: &Shape, text: &[u8]) -> Vec<(&'static str, String)> {
    if let Ok(kind) = shape.name.parse::<Kind>() {
        let judging = Judging {
            kind: Some(kind),
            ..Judging::default()
        };
        let mut found = manifest::inspect(text, "x.json", judging).diagnostics;
        found.retain(|found| found.severity == Severity::Error);
        return found
            .into_iter()
            .map(|found| (found.code, found.found))
            .collect();
    }
    let tape = Tape::parse(text, "x.json").unwrap();
    let Ok(findings) = manifest::errors(&shape.rule, tape.root());
    let (findings, _) = findings.into_parts();
    findings
        .into_iter()
        .map(|finding| (finding.code, finding.found))
        .collect()
}

/// Holds what the validator says of `text` against what the judge says.
fn compare(shape: &Shape, validator: &Validator, name: &str, text: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        return;
    };
    let mut errors = errors(shape, text);
    if errors.iter().any(|(code, _)| *code == "duplicate-key") {
        // The validator sees one of the values only; the other may be wrong, too.
        return;
    }
    errors.retain(|(code, found)| {
        // A pattern for numbers below 2^64 would be too long to read.
        let is_large_size = *code == "value" && found.ends_with("more than 64 bits can hold");
        !BEYOND_SCHEMAS.contains(code) && !is_large_size
    });
    let refusal = validator.validate(&value).err();
    assert_eq!(
        refusal.is_none(),
        errors.is_empty(),
        "{} {name}: {errors:?}, {refusal:?}",
        shape.name
    );
}

#[test]
fn every_schema_is_valid_and_judges_examples_as_the_table_says() {
    for shape in TABLE {
        let schema = schema(shape);
        jsonschema::draft202012::meta::validate(&schema)
            .unwrap_or_else(|error| panic!("{}: {error}", shape.name));
        let validator = validator(shape);
        for text in shape.fitting {
            assert!(
                validator.is_valid(&serde_json::from_str(text).unwrap()),
                "{}: {text}",
                shape.name
            );
            compare(shape, &validator, text, text.as_bytes());
        }
        for text in shape.refused {
            compare(shape, &validator, text, text.as_bytes());
        }
    }
}

#[test]
fn cases_are_judged_alike() {
    let mut refused = 0;
    for kind in Kind::ALL {
        let shape = manifest::shape(kind.name()).unwrap();
        let validator = validator(shape);
        for name in cases::names() {
            let text = fs::read(cases::folder().join(&name)).unwrap();
            compare(shape, &validator, &name, &text);
            refused += usize::from(!errors(shape, &text).is_empty());
        }
    }
    assert!(refused > 100, "{refused}");
}

/// All JSON files below `folder` that `shape` is for.
fn files(folder: PathBuf) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => out.extend(files(path)),
            false => out.push(path),
        }
    }
    out
}

#[test]
fn real_files_are_valid() {
    let Some(shared) = support::shared("real_files_are_valid") else {
        return;
    };
    for (kind, folder, least) in [
        (Kind::Redistrib, "manifests", 152),
        (Kind::Feature, "feature-manifests", 20),
        (Kind::Releases, "releases", 2),
    ] {
        let validator = validator(manifest::shape(kind.name()).unwrap());
        let files = files(shared.join(folder));
        assert!(files.len() >= least, "{folder}: {}", files.len());
        for file in files {
            let value: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            if let Err(error) = validator.validate(&value) {
                panic!("{}: {error}", file.display());
            }
        }
    }
}

/// The shapes of strings, with their validators.
fn texts() -> Vec<(&'static Shape, Validator)> {
    let is_text = |shape: &&Shape| matches!(shape.rule, Rule::Text(_));
    let texts: Vec<_> = TABLE
        .iter()
        .filter(is_text)
        .map(|shape| (shape, validator(shape)))
        .collect();
    assert!(texts.len() > 20);
    texts
}

/// A string with some characters put in, taken out or replaced.
fn changed(text: &str, changes: &[(prop::sample::Index, u8, char)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, what, c) in changes {
        let at = at.index(chars.len() + 1);
        match what % 3 {
            0 => chars.insert(at, *c),
            _ if at == chars.len() => {}
            1 => chars[at] = *c,
            _ => {
                chars.remove(at);
            }
        }
    }
    chars.into_iter().collect()
}

#[test]
fn strings_near_a_pattern_are_judged_alike() {
    let texts = texts();
    let c = prop_oneof![
        prop::sample::select(
            "0123456789abfgzAFZ._-+/\\:= \n\t\u{7f}\u{85}\u{a0}\u{2028}\u{feff}é日so"
                .chars()
                .collect::<Vec<_>>()
        ),
        any::<char>(),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), c), 0..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: if cfg!(debug_assertions) {
            1_000
        } else {
            10_000
        },
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let example = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        changes,
    );
    runner
        .run(&example, |(shape, example, changes)| {
            let (shape, _) = &texts[shape.index(texts.len())];
            let example: String =
                serde_json::from_str(shape.fitting[example.index(shape.fitting.len())]).unwrap();
            let text = changed(&example, &changes);
            // By its own shape and by all others: what fits one is near another.
            for (shape, validator) in &texts {
                let Rule::Text(rule) = &shape.rule else {
                    continue;
                };
                let judged = rule.judge(&text);
                let is_too_large = shape.name == "size"
                    && judged
                        .as_ref()
                        .is_err_and(|found| found.contains("more than 64 bits"));
                let is_valid = validator.is_valid(&text.clone().into());
                prop_assert_eq!(
                    judged.is_ok() || is_too_large,
                    is_valid,
                    "{} {:?}",
                    shape.name,
                    text
                );
            }
            Ok(())
        })
        .unwrap();
}

fn run(arguments: &[&str]) -> Ran {
    support::run(
        Command::new(support::program())
            .arg("schema")
            .args(arguments),
    )
}

#[test]
fn the_command_prints_schemas_and_names() {
    for shape in TABLE {
        let ran = run(&[shape.name]).expect(0);
        let value: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(value, schema(shape));
    }
    let names = run(&[]).expect(0).stdout;
    assert_eq!(names.lines().count(), TABLE.len());
    insta::assert_snapshot!(names.lines().take(4).collect::<Vec<_>>().join("\n"), @"
    redistrib             A redistrib manifest: for one product and label, a release per package
    feature               A feature manifest: what the archives of a redistrib manifest hold, by package and platform
    releases              A release expression: archives that no manifest lists, by platform, below `releases` or below a product's `releases`
    redistribRelease      A release: what a redistrib manifest says of one package
    ");
    insta::assert_snapshot!(run(&["redistib"]).expect(2).stderr, @"
    expected the name of a shape, found `redistib`
    hint: did you mean `redistrib`
    ");
    insta::assert_snapshot!(run(&["\u{1b}[31m"]).expect(2).stderr, @r"
    expected the name of a shape, found `\u{1b}[31m`
    hint: `cuda-redist schema` lists them
    ");
    insta::assert_snapshot!(run(&["size"]).expect(0).stdout, @r#"
    {
      "$comment": "source: `size` in manifests",
      "$schema": "https://json-schema.org/draft/2020-12/schema",
      "description": "A size in bytes, as a string of decimal digits.",
      "examples": [
        "1545764"
      ],
      "pattern": "^[0-9]+$",
      "title": "size",
      "type": "string"
    }
    "#);
}
