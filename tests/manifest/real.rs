//! NVIDIA's own files.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cuda_redist::error::Severity;
use cuda_redist::hash::Sha256;
use cuda_redist::manifest::json::Token;
use cuda_redist::manifest::{self, Entries};
use proptest::prelude::*;
use serde_json::Value;

use crate::support;

/// How many manifests lie beside the checkout; all of them are NVIDIA's or pass NVIDIA's own tools.
const REAL: usize = 152;

fn real_manifests(test: &str) -> Option<Vec<PathBuf>> {
    let root = support::shared(test)?.join("manifests");
    let mut files = Vec::new();
    for product in fs::read_dir(root).unwrap() {
        files.extend(
            fs::read_dir(product.unwrap().path())
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    files.sort();
    assert_eq!(files.len(), REAL);
    Some(files)
}

#[test]
fn all_real_manifests_pass_the_program() {
    let Some(files) = real_manifests("all_real_manifests_pass_the_program") else {
        return;
    };
    let check = |options: &[&str]| {
        let mut command = Command::new(support::program());
        support::run(command.arg("check").args(options).args(&files))
    };
    let ran = check(&[]).expect(0);
    let expected: String = files
        .iter()
        .map(|file| {
            let value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            let count = value
                .as_object()
                .unwrap()
                .values()
                .filter(|value| value.is_object())
                .count();
            let odd = match file.ends_with("cublasmp/redistrib_0.1.0.json") {
                true => ", 1 warning",
                false => "",
            };
            format!(
                "{}: ok, {count} package{}{odd}\n",
                file.display(),
                if count == 1 { "" } else { "s" }
            )
        })
        .collect();
    assert_eq!(ran.stdout, expected);
    assert!(
        ran.stderr.ends_with("\n152 files: 152 ok (1 warning)\n"),
        "{}",
        ran.stderr
    );
}

/// The value that the tokens describe.
fn value<'a>(keys: &[&str], tokens: &mut impl Iterator<Item = Token<'a>>) -> Value {
    match tokens.next().unwrap() {
        Token::Null => Value::Null,
        Token::Bool(value) => value.into(),
        Token::Int(value) => value.into(),
        Token::Float(value) => value.into(),
        Token::String(text) => text.into(),
        Token::List(count) => (0..count).map(|_| value(keys, tokens)).collect(),
        Token::Attrs(count) => {
            let mut object = serde_json::Map::new();
            for _ in 0..count {
                let Some(Token::Key(key)) = tokens.next() else {
                    panic!("a key")
                };
                object.insert(keys[key as usize].to_owned(), value(keys, tokens));
            }
            object.into()
        }
        Token::Key(_) => panic!("a value"),
    }
}

/// Adds `hash` to each object that has a string `sha256`; returns how many there are.
fn add_hashes(value: &mut Value) -> usize {
    let Value::Object(object) = value else {
        return 0;
    };
    let count: usize = object.values_mut().map(add_hashes).sum();
    let Some(Value::String(sha256)) = object.get("sha256") else {
        return count;
    };
    let sri = Sha256::from_hex(sha256).unwrap().to_sri();
    object.insert("hash".to_owned(), sri.into());
    count + 1
}

#[test]
fn all_real_manifests_are_read_without_loss() {
    let Some(files) = real_manifests("all_real_manifests_are_read_without_loss") else {
        return;
    };
    let mut archives = 0;
    for file in files {
        let (text, name) = (fs::read(&file).unwrap(), file.display().to_string());
        let mut expected: Value = serde_json::from_slice(&text).unwrap();
        let count = add_hashes(&mut expected);
        let checked = manifest::check(manifest::Kind::Redistrib, &text, &name).unwrap();
        let keys: Vec<_> = checked.keys().collect();
        assert_eq!(value(&keys, &mut checked.tokens()), expected, "{name}");

        let manifest = manifest::read(&text, &name).unwrap();
        assert_eq!(
            manifest.release_label(),
            expected["release_label"].as_str(),
            "{name}"
        );
        let mut read = 0;
        for (package, release) in manifest.packages() {
            let json = &expected[package];
            assert_eq!(
                Some(release.version().as_str()),
                json["version"].as_str(),
                "{name} {package}"
            );
            for (platform, entries) in release.platforms() {
                assert!(platform.is_known(), "{name} {package} {platform}");
                let json = &json[platform.as_str()];
                let pairs: Vec<_> = match entries {
                    Entries::Flat(archive) => vec![(archive, json)],
                    Entries::Variants(variants) => variants
                        .iter()
                        .map(|(variant, archive)| (archive, &json[variant]))
                        .collect(),
                };
                for (archive, json) in pairs {
                    read += 1;
                    assert_eq!(
                        Some(archive.relative_path.as_str()),
                        json["relative_path"].as_str()
                    );
                    assert_eq!(
                        Some(archive.sha256.to_sri().as_str()),
                        json["hash"].as_str()
                    );
                    assert_eq!(
                        archive.md5.map(|md5| md5.to_hex()).as_deref(),
                        json["md5"].as_str()
                    );
                    assert_eq!(
                        archive.size_bytes.map(|size| size.to_string()).as_deref(),
                        json["size"].as_str()
                    );
                }
            }
        }
        assert_eq!(read, count, "{name}");
        archives += count;
    }
    assert!(archives > 5000, "{archives}");
}

#[test]
fn a_wrong_field_of_a_real_manifest_is_found_in_its_line() {
    let test = "a_wrong_field_of_a_real_manifest_is_found_in_its_line";
    let Some(shared) = support::shared(test) else {
        return;
    };
    let text = fs::read_to_string(shared.join("manifests/cuda/redistrib_12.9.1.json")).unwrap();
    // One digit less in every digest of the file, one at a time.
    let lines: Vec<&str> = text.lines().collect();
    let mut tried = 0;
    for (number, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("\"sha256\": \""))
    {
        let mut wrong = lines.clone();
        let mut shorter = (*line).to_owned();
        shorter.remove(line.rfind('"').unwrap() - 1);
        wrong[number] = &shorter;
        let error = manifest::check(
            manifest::Kind::Redistrib,
            wrong.join("\n").as_bytes(),
            "m.json",
        )
        .err()
        .unwrap();
        let column = line.find(": \"").unwrap() + 3;
        let place = error.place().unwrap();
        assert!(
            place.starts_with(&format!("m.json:{}:{column}: `", number + 1)),
            "{place}"
        );
        assert!(place.ends_with(".sha256`"), "{place}");
        tried += 1;
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn feature_manifests_and_releases_pass_strictly() {
    let test = "feature_manifests_and_releases_pass_strictly";
    let Some(shared) = support::shared(test) else {
        return;
    };
    let mut command = Command::new(support::program());
    let command = command.current_dir(&shared);
    let ran = support::run(command.args(["check", "--strict", "feature-manifests", "releases"]))
        .expect(0);
    assert!(ran.stderr.ends_with(" ok\n"), "{}", ran.stderr);
}

#[test]
fn warnings_of_real_manifests_are_true() {
    let test = "warnings_of_real_manifests_are_true";
    let Some(shared) = support::shared(test) else {
        return;
    };
    let mut command = Command::new(support::program());
    let ran = support::run(
        command
            .current_dir(&shared)
            .args(["check", "--strict", "manifests"]),
    )
    .expect(1);
    insta::assert_snapshot!(ran.stderr, @r#"
    manifests/cublasmp/redistrib_0.1.0.json:4:24: `release_product`: warning: expected `cublasmp` as asked for, or as the folder is named, found `cublasmp-v0-1`
      4 |     "release_product": "cublasmp-v0-1",
        |                        ^
    152 files: 151 ok, 1 with problems (1 warning)
    "#);
}

/// The strings of a text in NVIDIA's layout, a member or item a line: where each begins behind its quote and ends before it.
fn strings(text: &str) -> Vec<std::ops::Range<usize>> {
    let quotes: Vec<_> = text.match_indices('"').map(|(at, _)| at).collect();
    assert!(!text.contains('\\'));
    quotes
        .chunks_exact(2)
        .map(|pair| pair[0] + 1..pair[1])
        .collect()
}

#[test]
fn one_change_to_a_real_manifest_is_accepted_by_meaning_or_found_where_it_is() {
    let test = "one_change_to_a_real_manifest_is_accepted_by_meaning_or_found_where_it_is";
    let Some(files) = real_manifests(test) else {
        return;
    };
    let texts: Vec<_> = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let texts: Vec<_> = texts
        .iter()
        .filter(|text| text.len() < 60_000 && text.lines().count() > 5)
        .collect();
    assert!(texts.len() > 100, "{}", texts.len());
    let index = || any::<prop::sample::Index>();
    let c = prop::sample::select("0aZ._-/ \u{1f}\\\"{:,[é".chars().collect::<Vec<_>>());
    let config = ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let mut verdicts = std::cell::Cell::new([0, 0]);
    let outcome = runner.run(
        &(index(), index(), index(), 0..4_u8, c),
        |(text, string, at, what, c)| {
            let text = texts[text.index(texts.len())].as_str();
            let strings = strings(text);
            let range = strings[string.index(strings.len())].clone();
            let mut changed = text.to_owned();
            let inside = range.start + at.index(range.len() + 1);
            match what {
                0 => changed.insert(inside, c),
                1 if inside < range.end => {
                    changed.remove(inside);
                }
                2 if inside < range.end => changed.replace_range(inside..=inside, &c.to_string()),
                // The whole of it, quotes included.
                _ => changed.replace_range(range.start - 1..=range.end, "1"),
            }
            let line = text[..range.start].matches('\n').count() + 1;
            let report =
                manifest::inspect(changed.as_bytes(), "x.json", manifest::Judging::default());
            let errors: Vec<_> = report
                .diagnostics
                .iter()
                .filter(|found| found.severity == Severity::Error)
                .collect();
            let mut counts = verdicts.get();
            counts[usize::from(errors.is_empty())] += 1;
            verdicts.set(counts);
            if errors.is_empty() {
                // What was changed is read as it stands, and nothing else with it.
                let value: Value = serde_json::from_str(&changed).unwrap();
                let checked =
                    manifest::check(manifest::Kind::Redistrib, changed.as_bytes(), "x.json")
                        .unwrap();
                let keys: Vec<_> = checked.keys().collect();
                let mut expected = value;
                add_hashes(&mut expected);
                prop_assert_eq!(self::value(&keys, &mut checked.tokens()), expected);
                return Ok(());
            }
            // A list of variants decides about all platforms of its release.
            let is_marker = changed.lines().nth(line - 1).unwrap().contains("_variant")
                || errors
                    .iter()
                    .all(|found| matches!(found.code, "variant" | "nesting"));
            let is_here = |found: &&&cuda_redist::error::Diagnostic| {
                found.position.is_some_and(|position| position.line == line)
            };
            prop_assert!(
                is_marker || errors.iter().find(is_here).is_some(),
                "line {}: {:#?}\n{}",
                line,
                errors,
                changed.lines().nth(line - 1).unwrap()
            );
            Ok(())
        },
    );
    outcome.unwrap();
    let [refused, accepted] = *verdicts.get_mut();
    assert!(
        refused > 50 && accepted > 20,
        "{refused} refused, {accepted} accepted"
    );
}
