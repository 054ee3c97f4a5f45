//! The plugin's core behind `plugin/abi.h`, driven by `host.cc`: a fake evaluator that throws, lies and is lazy.

use std::fs;
use std::process::Command;

use crate::support;

const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// How many cases `host.cc` runs; a case that vanishes must be noticed.
const CASES: usize = 200;

#[test]
fn the_core_survives_every_evaluator() {
    let test = "ffi::the_core_survives_every_evaluator";
    let Some(core) = support::plugin(test) else {
        return;
    };
    let Some(compiler) = support::tool(test, "c++") else {
        return;
    };
    let dir = support::dir();
    let host = dir.path().join("host");
    let mut compile = Command::new(compiler);
    compile
        .args(["-std=c++17", "-Wall", "-Wextra", "-o"])
        .arg(&host);
    // `scripts/sanitize` has a core with which the program must be instrumented, too.
    if let Ok(flags) = std::env::var("CUDA_REDIST_HOST_FLAGS") {
        compile.args(flags.split_whitespace());
    }
    support::run(
        compile
            .arg(support::root().join("tests/ffi/host.cc"))
            .arg("-ldl"),
    )
    .expect(0);

    let good = format!(
        r#"{{"release_label": "1.0", "foo": {{"name": "F\u00f6o \"x\"", "license": "L", "version": "1.2", "cuda_variant": ["12"],
        "linux-x86_64": {{"cuda12": {{"relative_path": "foo/a.tar.xz", "sha256": "{SHA256}",
        "md5": "d41d8cd98f00b204e9800998ecf8427e", "size": "0"}}}}}}}}"#
    );
    let result = format!(
        "{{release_label='1.0' foo={{name='Föo \"x\"' license='L' version='1.2' cuda_variant=['12'] \
         linux-x86_64={{cuda12={{hash='sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' \
         relative_path='foo/a.tar.xz' sha256='{SHA256}' md5='d41d8cd98f00b204e9800998ecf8427e' size='0'}}}}}}}}"
    );
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    write("good.json", good.as_bytes());
    write(
        "bad.json",
        good.replace("\"size\": \"0\"", "\"size\": 0").as_bytes(),
    );
    write(
        "feature.json",
        br#"{ "foo": { "linux-x86_64": { "outputs": [ "out" ] } } }"#,
    );
    write("releases.json", br#"{ "releases": { "linux-sbsa": [ ] } }"#);
    write("good.result", result.as_bytes());
    write("file.bin", b"");
    write("file.bin.sha256", SHA256.as_bytes());

    let ran = support::run(Command::new(&host).arg(core).arg(dir.path())).expect(0);
    let cases: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        cases
            .iter()
            .rev()
            .skip(1)
            .all(|case| case.starts_with("ok ")),
        "{}",
        ran.stdout
    );
    assert_eq!(
        (cases.len() - 1, cases.last()),
        (CASES, Some(&"all ok")),
        "{}",
        ran.stdout
    );
    // The core reports through the evaluator only: nothing of a panic hook's or of our own.
    assert_eq!(ran.stderr, "");
}
