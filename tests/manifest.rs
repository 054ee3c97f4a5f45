//! Redistrib manifests: NVIDIA's own through the program and the library, wrong ones with the text of their refusal.
//!
//! The cases lie in `tests/manifest/`: `X.json` is refused with exactly the text of `X.err`; one without an `.err`, whose
//! name starts with `fine-`, passes. `BLESS=1 cargo test` writes the `.err` files anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::hash::Sha256;
use cuda_redist::manifest::json::Token;
use cuda_redist::manifest::{self, Entries};
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
    let ran = support::run(Command::new(support::program()).arg("check").args(&files)).expect(0);
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
            format!(
                "{}: ok, {count} package{}\n",
                file.display(),
                if count == 1 { "" } else { "s" }
            )
        })
        .collect();
    assert_eq!(ran.stdout, expected);
    assert_eq!(ran.stderr, "");
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
fn cases_are_judged_as_their_files_say() {
    let dir = support::root().join("tests/manifest");
    let mut unused: BTreeSet<PathBuf> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let cases: Vec<PathBuf> = unused
        .iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .cloned()
        .collect();
    assert!(cases.len() > 5);
    for case in cases {
        unused.remove(&case);
        let name = case.file_name().unwrap().to_str().unwrap();
        let command = |program: &Path| {
            Command::new(program)
                .current_dir(&dir)
                .args(["check", name])
                .output()
                .unwrap()
        };
        let output = command(support::program());
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        if name.starts_with("fine-") {
            assert_eq!(
                (output.status.code(), &*stdout),
                (Some(0), &*format!("{name}: ok, 1 package\n")),
                "{stderr}"
            );
            continue;
        }
        let golden = case.with_extension("err");
        assert_eq!((output.status.code(), &*stdout), (Some(1), ""), "{name}");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &*stderr).unwrap();
        }
        let expected = fs::read_to_string(&golden)
            .unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        assert_eq!(stderr, expected, "{name}");
        unused.remove(&golden);
    }
    assert!(unused.is_empty(), "no case uses {unused:?}");
}

#[test]
fn the_highest_exit_code_wins_and_order_is_kept() {
    let dir = support::root().join("tests/manifest");
    let check = |files: &[&str]| {
        support::run(
            Command::new(support::program())
                .current_dir(&dir)
                .arg("check")
                .args(files),
        )
    };
    let (fine, wrong) = ("fine-flat.json", "trailing-text.json");
    let ran = check(&[fine, wrong, "absent.json", fine]).expect(3);
    assert_eq!(
        ran.stdout,
        "fine-flat.json: ok, 1 package\nfine-flat.json: ok, 1 package\n"
    );
    let places: Vec<_> = ran
        .stderr
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(places, ["trailing-text.json", "absent.json"]);
    assert_eq!(
        ran.stderr.lines().last().unwrap(),
        "absent.json: cannot read: No such file or directory (os error 2)"
    );
    check(&[wrong, fine]).expect(1);
    check(&[]).expect(2);
}
