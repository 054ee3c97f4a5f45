//! Texts made to break a reader: long, deep, large.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cuda_redist::manifest::{self, Judging, Report};
use serde_json::Value;

use super::cases;
use crate::support;

fn inspect(text: &[u8]) -> Report {
    let started = Instant::now();
    let report = manifest::inspect(text, "x.json", Judging::default());
    assert!(started.elapsed() < Duration::from_secs(20), "too slow");
    for found in &report.diagnostics {
        let length = found.sentence().len()
            + found.path.len()
            + found.hint.iter().map(String::len).sum::<usize>();
        assert!(length < 2_000, "{found:?}");
    }
    report
}

/// Calls `change` on each string of `value`, keys included, one at a time, and hands what came of the whole to `test`.
fn for_each_string(whole: &Value, change: &dyn Fn(&str) -> String, test: &mut dyn FnMut(&Value)) {
    fn below(
        value: &Value,
        rebuild: &dyn Fn(Value) -> Value,
        change: &dyn Fn(&str) -> String,
        test: &mut dyn FnMut(&Value),
    ) {
        match value {
            Value::String(text) => test(&rebuild(change(text).into())),
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    let rebuild = |part: Value| {
                        let mut items = items.clone();
                        items[number] = part;
                        rebuild(items.into())
                    };
                    below(item, &rebuild, change, test);
                }
            }
            Value::Object(object) => {
                for (key, item) in object {
                    let put = |key: String, part: Value| {
                        let mut object = object.clone();
                        object.insert(key, part);
                        rebuild(object.into())
                    };
                    test(&put(change(key), item.clone()));
                    below(item, &|part| put(key.clone(), part), change, test);
                }
            }
            _ => {}
        }
    }
    below(whole, &|value| value, change, test);
}

#[test]
fn strings_of_a_megabyte_are_judged_and_told_in_short() {
    let mut count = 0;
    for (name, package) in [
        ("fine-variants.json", "cudnn"),
        ("fine-features-lists.json", "libcutensor"),
        ("fine-releases-of-one-product.json", "releases"),
    ] {
        let text = fs::read(cases::folder().join(name)).unwrap();
        let mut whole: Value = serde_json::from_slice(&text).unwrap();
        // One archive is enough.
        whole[package].as_object_mut().unwrap().remove("linux-sbsa");
        if let Some(variants) = whole[package].pointer_mut("/linux-x86_64/cuda13.2") {
            *variants = Value::Null;
        }
        let long = |text: &str| format!("{text}{}", "9".repeat(1 << 20));
        for_each_string(&whole, &long, &mut |changed| {
            inspect(changed.to_string().as_bytes());
            count += 1;
        });
    }
    assert!(count > 50, "{count}");
    let long = "\u{202e}\\u0000\"".repeat(1 << 17);
    let report = inspect(format!("{{\"{}\": 1}}", long.replace('"', "\\\"")).as_bytes());
    assert!(!report.diagnostics.is_empty());
}

#[test]
fn deep_nesting_is_refused_where_it_begins() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let text = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        for text in [text.as_bytes(), open.repeat(10_000).as_bytes()] {
            let report = inspect(text);
            let [found] = report.diagnostics.as_slice() else {
                panic!("{report:?}")
            };
            assert_eq!(
                found.sentence(),
                "expected at most 127 levels of nesting, found more"
            );
            let column = found.position.unwrap().column;
            assert!(
                (127 * open.len()..=128 * open.len()).contains(&column),
                "{column}"
            );
        }
    }
}

#[test]
fn problems_beyond_some_thousand_are_counted() {
    let text = format!("[{}]", "{},".repeat(10_000).trim_end_matches(','));
    let text = format!("{{\"a\": {{\"outputs\": 1}}, \"releases\": {{\"linux-x86_64\": {text}}}}}");
    let report = inspect(text.as_bytes());
    assert_eq!(report.shape, "releases");
    assert_eq!(report.diagnostics.len(), 10_000);
    assert!(report.more.errors > 30_000, "{:?}", report.more);
}

/// Runs `check` on stdin or on a file with at most this much memory, and gives back its stderr.
fn check_within(
    megabytes: u32,
    argument: &Path,
    stdin: Stdio,
    write: impl FnOnce(std::process::ChildStdin),
) -> String {
    let script = format!("ulimit -v {} && exec \"$0\" check \"$1\"", megabytes * 1024);
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .arg(support::program())
        .arg(argument)
        // Each thread may reserve addresses that it never uses.
        .env("RAYON_NUM_THREADS", "2")
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let Some(stdin) = child.stdin.take() {
        write(stdin);
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    stderr
}

#[test]
fn two_hundred_megabytes_of_brackets_are_refused_at_once() {
    let started = Instant::now();
    let brackets = vec![b'['; 1 << 20];
    let stderr = check_within(200, Path::new("-"), Stdio::piped(), |mut stdin| {
        // The program need not read all of it.
        for _ in 0..200 {
            if stdin.write_all(&brackets).is_err() {
                break;
            }
        }
    });
    assert_eq!(
        stderr,
        "<stdin>: expected a file of at most 16777216 bytes, found more\n"
    );

    let folder = support::dir();
    let file = folder.path().join("x.json");
    let mut out = File::create(&file).unwrap();
    for _ in 0..200 {
        out.write_all(&brackets).unwrap();
    }
    let stderr = check_within(200, &file, Stdio::null(), drop);
    assert!(
        stderr.ends_with("x.json: expected a file of at most 16777216 bytes, found more\n"),
        "{stderr}"
    );

    // As large as it may be.
    out.set_len(16 << 20).unwrap();
    let stderr = check_within(200, &file, Stdio::null(), drop);
    assert!(
        stderr.contains("x.json:1:128: expected at most 127 levels of nesting, found more"),
        "{stderr}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn the_largest_files_are_judged_in_bounded_memory() {
    let folder = support::dir();
    let file = folder.path().join("x.json");
    // A token in each second byte.
    let text = format!("[{}0]", "0,".repeat((8 << 20) - 2));
    fs::write(&file, text).unwrap();
    let stderr = check_within(500, &file, Stdio::null(), drop);
    assert!(
        stderr.contains("x.json:1:1: expected an object (a redistrib manifest), found a list"),
        "{stderr}"
    );
}
