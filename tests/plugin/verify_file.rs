//! `verifyFile`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::{EMPTY, Nix, quoted};
use crate::support;

fn verify(path: &str, sha256: &str) -> String {
    format!("builtins.cudaRedist.verifyFile {{ path = {path}; sha256 = {sha256}; }}")
}

#[test]
fn the_path_comes_back_as_it_was_given() {
    let Some(nix) = Nix::new("plugin::the_path_comes_back") else {
        return;
    };
    // NUL bytes, which `readFile` refuses, and more than one chunk of hashing.
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = nix.write("file.bin", &bytes);
    let sha256 = HEXLOWER.encode(&Sha256::digest(&bytes));
    let hash = format!("\"{sha256}\"");
    let path = file.display().to_string();
    let typed = |path: &str| {
        format!(
            "let it = {}; in [ (builtins.typeOf it) (toString it) ]",
            verify(path, &hash)
        )
    };
    assert_eq!(nix.value(&typed(&path)), format!("[\"path\",\"{path}\"]"));
    assert_eq!(
        nix.value(&typed(&quoted(&file))),
        format!("[\"string\",\"{path}\"]")
    );
    // A string from the store keeps its context.
    let kept = format!(
        "let it = {}; in builtins.attrNames (builtins.getContext it) == [ it ]",
        verify(&format!("\"${{{path}}}\""), &hash)
    );
    assert_eq!(nix.value(&kept), "true");
    // The other notations, made by Nix itself.
    for form in ["to-sri", "to-base32"] {
        let mut command = nix.command("nix");
        let told =
            support::run(command.args(["hash", form, "--type", "sha256", &sha256])).expect(0);
        let given = format!("\"{}\"", told.stdout.trim());
        assert_eq!(
            nix.value(&format!("{} == {path}", verify(&path, &given))),
            "true",
            "{given}"
        );
    }
}

#[test]
fn a_mismatch_shows_both_hashes() {
    let Some(nix) = Nix::new("plugin::a_mismatch") else {
        return;
    };
    let file = nix.write("100%1%.bin", "abc");
    let call = verify(&quoted(&file), &format!("\"{EMPTY}\""));
    let refusal = nix.refusal(&call);
    let expected = "DIR/100%1%.bin: sha256 mismatch
         specified: sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
         got:       sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=  (read 3 bytes)
       hint: ";
    assert!(refusal.starts_with(expected), "{refusal}");
    assert_eq!(
        nix.value(&format!("(builtins.tryEval ({call})).success")),
        "false"
    );
}

#[test]
fn wrong_arguments_are_told_apart() {
    let Some(nix) = Nix::new("plugin::wrong_arguments") else {
        return;
    };
    let file = nix.write("empty", "");
    let file = file.display();
    let call = "builtins.cudaRedist.verifyFile";
    let lazy = "throw \"forced\"";
    support::run(std::process::Command::new("mkfifo").arg(nix.path().join("fifo"))).expect(0);
    for (argument, said) in [
        (format!("{file}"), "expected a set with the attributes `path`, `sha256`, `hash`, `md5`, `size`, found a path".to_owned()),
        ("null".to_owned(), "found null".to_owned()),
        ("{ }".to_owned(), "expected the attribute `path` in its argument, found none".to_owned()),
        (format!("{{ path = {lazy}; }}"), "expected the attribute `sha256` or `hash` in its argument, found neither".to_owned()),
        (
            format!("{{ path = {lazy}; sha265 = {lazy}; }}"),
            "expected the attributes `path`, `sha256`, `hash`, `md5`, `size` in its argument, found `sha265`\n       hint: did you mean `sha256`".to_owned(),
        ),
        (format!("{{ path = {lazy}; sha256 = {lazy}; sise = {lazy}; }}"), "found `sise`\n       hint: did you mean `size`".to_owned()),
        (format!("{{ path = {lazy}; sha256 = {lazy}; hash = {lazy}; }}"), "expected one of the attributes `sha256` and `hash` in its argument, found both".to_owned()),
        (format!("{{ path = {lazy}; hash = \"{EMPTY}\"; md5 = \"x\"; }}"), "`md5`: expected 32 lowercase hex digits, found 1 character".to_owned()),
        (format!("{{ path = {lazy}; hash = \"{EMPTY}\"; md5 = 1; }}"), "`md5`: expected a string, found an integer".to_owned()),
        (format!("{{ path = {lazy}; hash = \"{EMPTY}\"; size = \"1 kB\"; }}"), "`size`: expected a size in bytes (an integer, or a string of decimal digits), found `1 kB`".to_owned()),
        (format!("{{ path = {lazy}; hash = \"{EMPTY}\"; size = -1; }}"), "found the number -1".to_owned()),
        (format!("{{ path = {lazy}; hash = \"{EMPTY}\"; size = null; }}"), "found null".to_owned()),
        (format!("{{ path = {lazy}; sha256 = 1; }}"), "`sha256`: expected a string, found an integer".to_owned()),
        (format!("{{ path = {lazy}; sha256 = \"abc\"; }}"), "52 characters of Nix's base 32".to_owned()),
        (format!("{{ path = {lazy}; sha256 = \"sha512-abc\"; }}"), "found the algorithm `sha512`".to_owned()),
        (format!("{{ path = {lazy}; sha256 = builtins.toFile \"x\" \"\"; }}"), "does not refer to a store path".to_owned()),
        (format!("{{ path = {lazy}; sha256 = \"{EMPTY}\"; }}"), "forced".to_owned()),
        (format!("{{ path = {file}; sha256 = {lazy}; }}"), "forced".to_owned()),
        (format!("{{ path = ./.; sha256 = \"{EMPTY}\"; }}"), "DIR: expected a regular file, found a directory".to_owned()),
        (format!("{{ path = /dev/null; sha256 = \"{EMPTY}\"; }}"), "/dev/null: expected a regular file, found a special file".to_owned()),
        (format!("{{ path = ./fifo; sha256 = \"{EMPTY}\"; }}"), "expected a regular file, found a special file".to_owned()),
        (format!("{{ path = ./missing; sha256 = \"{EMPTY}\"; }}"), "missing': No such file or directory".to_owned()),
        (format!("{{ path = \"empty\"; sha256 = \"{EMPTY}\"; }}"), "doesn't represent an absolute path".to_owned()),
        (format!("{{ path = 12; sha256 = \"{EMPTY}\"; }}"), "cannot coerce an integer".to_owned()),
    ] {
        let refusal = nix.refusal(&format!("{call} ({argument})"));
        assert!(refusal.contains(&said), "{argument}: {refusal}");
        if !argument.contains("path = 12") && (said.starts_with("expected the") || said.starts_with('`')) {
            assert!(refusal.contains("builtins.cudaRedist.verifyFile: "), "{argument}: {refusal}");
        }
    }
    // A user's own `throw` passes through unchanged, so `tryEval` still sees it as one.
    let thrown =
        format!("(builtins.tryEval ({call} {{ path = {lazy}; sha256 = \"{EMPTY}\"; }})).success");
    assert_eq!(nix.value(&thrown), "false");
}

#[test]
fn md5_and_size_are_compared_in_the_same_pass() {
    let Some(nix) = Nix::new("plugin::md5_and_size") else {
        return;
    };
    let file = nix.write("abc", "abc");
    let file = file.display();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    let call = |rest: &str| {
        format!("builtins.cudaRedist.verifyFile {{ path = {file}; hash = \"{abc}\"; {rest} }}")
    };
    for rest in [
        String::new(),
        format!("md5 = \"{md5}\";"),
        format!("md5 = \"{md5}\"; size = 3;"),
        "size = \"3\";".to_owned(),
    ] {
        let path = format!("toString ({})", call(&rest));
        assert_eq!(nix.value(&path), format!("\"{file}\""), "{rest}");
    }
    let other = md5.replace('9', "8");
    let refusal = nix.refusal(&call(&format!("md5 = \"{other}\"; size = 4;")));
    assert!(
        refusal.contains(&format!("specified: {other}")),
        "{refusal}"
    );
    assert!(refusal.contains("specified: 4 bytes"), "{refusal}");
}

#[test]
fn a_store_path_is_read_once_in_an_evaluation() {
    let Some(nix) = Nix::new("plugin::a_store_path_is_read_once") else {
        return;
    };
    // 128 MiB, sparse: so that reading it forty times would show.
    let file = nix.write("big", "");
    let open = std::fs::File::options().write(true).open(&file).unwrap();
    open.set_len(1 << 27).unwrap();
    let sha256 = "254bcc3fc4f27172636df4bf32de9f107f620d559b20d760197e452b97453917";
    let mut add = nix.command("nix-store");
    let added = support::run(add.arg("--add").arg(&file)).expect(0).stdout;
    let path = added.trim();
    let verify = |times: usize| {
        format!(
            "let verify = n: builtins.cudaRedist.verifyFile {{ path = \"{path}\"; sha256 = \"{sha256}\"; }}; in \
             builtins.length (builtins.filter (n: verify n == \"{path}\") (builtins.genList (n: n) {times}))"
        )
    };
    let timed = |times: usize| {
        let started = Instant::now();
        assert_eq!(nix.value(&verify(times)), times.to_string());
        started.elapsed()
    };
    let (once, often) = (timed(1), timed(40));
    assert!(
        often < once * 3 + Duration::from_secs(1),
        "once {once:?}, forty times {often:?}"
    );
    // Another expectation is another question.
    let wrong =
        format!("builtins.cudaRedist.verifyFile {{ path = \"{path}\"; sha256 = \"{EMPTY}\"; }}");
    nix.eval(&format!("builtins.seq ({}) ({wrong})", verify(1)))
        .expect(1);
}

#[test]
fn hashing_can_be_interrupted() {
    let Some(nix) = Nix::new("plugin::hashing_can_be_interrupted") else {
        return;
    };
    // Sparse: takes no space, but a minute and more to hash.
    let file = nix.write("huge", "");
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(1 << 37)
        .unwrap();
    let mut command = nix.command("nix-instantiate");
    command.args([
        "--eval",
        "-E",
        &verify(&file.display().to_string(), &format!("\"{EMPTY}\"")),
    ]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert!(
        child.try_wait().unwrap().is_none(),
        "it was done before it could be interrupted"
    );
    let started = Instant::now();
    // The shell's own `kill`: a bare system has no program of that name.
    support::run(
        std::process::Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]),
    )
    .expect(0);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert!(said.contains("interrupted by the user"), "{said}");
}

/// A file that Nix has in itself, with no place on this machine: newer ones read it, 2.8 imports it only.
#[test]
fn a_file_without_a_place_is_judged_as_readfile_does() {
    let Some(nix) = Nix::new("plugin::a_file_without_a_place") else {
        return;
    };
    let file = "<nix/fetchurl.nix>";
    let read = nix.eval(&format!("builtins.stringLength (builtins.readFile {file})"));
    if read.code == 0 {
        let right = format!(
            "builtins.cudaRedist.verifyFile {{ path = {file}; sha256 = builtins.hashFile \"sha256\" {file}; }} == {file}"
        );
        assert_eq!(nix.value(&right), "true");
        let wrong =
            format!("builtins.cudaRedist.verifyFile {{ path = {file}; sha256 = \"{EMPTY}\"; }}");
        let refusal = nix.refusal(&wrong);
        assert!(refusal.contains("sha256 mismatch"), "{refusal}");
    } else {
        let verify =
            format!("builtins.cudaRedist.verifyFile {{ path = {file}; sha256 = \"{EMPTY}\"; }}");
        nix.eval(&verify).expect(1);
    }
}
