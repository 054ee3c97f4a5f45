//! What `check` reads: files, folders, stdin, what cannot be read; what a terminal gets.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::cases;
use crate::support::{self, Ran};

fn check(dir: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(support::program());
    support::run(command.current_dir(dir).arg("check").args(arguments))
}

/// A folder with copies of cases, by the names they are to have.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = support::dir();
    for (name, case) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(cases::folder().join(case), path).unwrap();
    }
    folder
}

/// The files of the problems, in their order.
fn places(stderr: &str) -> Vec<&str> {
    let is_place = |line: &&str| !line.starts_with([' ', '\t']) && !line.starts_with("hint:");
    let lines = stderr.lines().filter(is_place);
    lines.map(|line| line.split(':').next().unwrap()).collect()
}

#[test]
fn the_highest_exit_code_wins_and_order_is_kept() {
    let dir = cases::folder();
    let (fine, wrong) = ("fine-flat.json", "trailing-text.json");
    let ran = check(&dir, &[fine, wrong, "absent.json", fine]).expect(3);
    assert_eq!(
        ran.stdout,
        "fine-flat.json: ok, 1 package\nfine-flat.json: ok, 1 package\n"
    );
    assert_eq!(places(&ran.stderr), [wrong, "absent.json", "4 files"]);
    assert!(
        ran.stderr.ends_with(
            "absent.json: cannot read: No such file or directory (os error 2)\n\
             4 files: 2 ok, 1 with problems, 1 unreadable (2 errors)\n"
        ),
        "{}",
        ran.stderr
    );
    check(&dir, &[wrong, fine]).expect(1);
    check(&dir, &[]).expect(2);
    check(&dir, &["--as", "manifest", fine]).expect(2);
}

#[test]
fn folders_are_walked() {
    let folder = folder(&[
        ("b/redistrib_12.9.1.json", "fine-flat.json"),
        ("b/a.json", "fine-flat.json"),
        ("a/deep/er/x.json", "empty.json"),
        ("c.json", "fine-features.json"),
        (".hidden/x.json", "empty.json"),
        ("b/.x.json", "empty.json"),
        ("b/notes.txt", "empty.json"),
        ("elsewhere.json/no.txt", "empty.json"),
    ]);
    let path = |name: &str| folder.path().join(name);
    let mkfifo = support::run(Command::new("mkfifo").arg(path("b/pipe.json")));
    mkfifo.expect(0);
    symlink("../c.json", path("b/link.json")).unwrap();
    symlink("..", path("b/loop")).unwrap();
    symlink("..", path("b/loop.json")).unwrap();
    symlink("absent", path("b/z-dangling.json")).unwrap();
    let ran = check(folder.path(), &["."]).expect(3);
    assert_eq!(
        ran.stdout,
        "./b/a.json: ok, 1 package\n./b/link.json: ok, 1 package\n./b/redistrib_12.9.1.json: ok, 1 package\n\
         ./c.json: ok, 1 package\n"
    );
    assert_eq!(
        places(&ran.stderr),
        ["./a/deep/er/x.json", "./b/z-dangling.json", "6 files"]
    );

    // A link that was typed is followed.
    let ran = check(&path("b"), &["loop/c.json", "loop/b"]);
    assert!(
        ran.stdout
            .starts_with("loop/c.json: ok, 1 package\nloop/b/a.json: ok"),
        "{}",
        ran.stdout
    );
}

#[test]
fn an_empty_folder_is_a_problem() {
    let folder = folder(&[(".hidden/x.json", "fine-flat.json")]);
    let ran = check(folder.path(), &["."]).expect(1);
    assert_eq!(
        ran.stderr,
        ".: expected files named `*.json` in the folder, found none\n"
    );
}

#[test]
fn a_folder_that_cannot_be_read_does_not_hide_the_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder(&[
        ("a/x.json", "fine-flat.json"),
        ("b/x.json", "fine-flat.json"),
    ]);
    let locked = folder.path().join("a");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o0)).unwrap();
    let is_root = fs::read_dir(&locked).is_ok();
    let ran = check(folder.path(), &["."]);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    if is_root {
        // Nothing is locked for root; a file that cannot be read as one will do.
        let ran = check(folder.path(), &["/proc/self/mem", "b"]).expect(3);
        assert_eq!(places(&ran.stderr), ["/proc/self/mem", "2 files"]);
        assert_eq!(ran.stdout, "b/x.json: ok, 1 package\n");
        return;
    }
    let ran = ran.expect(3);
    assert_eq!(places(&ran.stderr), ["./a", "2 files"]);
    assert_eq!(ran.stdout, "./b/x.json: ok, 1 package\n");
}

#[test]
fn pipes_and_stdin_are_read() {
    let folder = folder(&[]);
    let pipe = folder.path().join("pipe");
    support::run(Command::new("mkfifo").arg(&pipe)).expect(0);
    let mut child = Command::new(support::program())
        .current_dir(folder.path())
        .args(["check", "pipe", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = fs::read(cases::folder().join("fine-releases.json")).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&text).unwrap();
    drop(stdin);
    fs::write(&pipe, &text).unwrap();
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout, "pipe: ok, 1 product\n<stdin>: ok, 1 product\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "2 files: 2 ok\n");
}

#[test]
fn help_tells_kinds_formats_and_codes() {
    let help = |arguments: &[&str]| {
        let mut command = Command::new(support::program());
        let help = support::run(command.args(arguments)).expect(0).stdout;
        let lines: Vec<_> = help.lines().map(str::trim_end).collect();
        lines.join("\n")
    };
    insta::assert_snapshot!(help(&["check", "--help"]), @"
    Judge manifests, feature manifests and release expressions: every problem, with its place

    Usage: cuda-redist check [OPTIONS] <FILE>...

    Arguments:
      <FILE>...
              JSON files, folders (all `*.json` below them), or `-` for stdin

    Options:
          --as <KIND>
              What the files are: `redistrib`, `feature` or `releases`; recognised by name and content
              when left out

              [possible values: redistrib, feature, releases]

          --product <NAME>
              The product that redistrib manifests must be of; when left out, that of their folder's
              name, if NVIDIA has it

          --shape <FILE>
              A shape (JSON) to judge by in place of a kind: a name that `schema` lists, or an object
              that extends one

          --format <FORMAT>
              How to tell what was found

              Possible values:
              - human:  Problems on stderr, at most 20 a file; files that are fine on stdout
              - json:   One object with all problems
              - sarif:  SARIF 2.1.0, for code scanning and editors
              - github: Annotations of GitHub's workflows

              [default: human]

          --strict
              Take warnings for errors

      -h, --help
              Print help (see a summary with '-h')

    Codes of problems:
      duplicate-key  an object has a key twice; JSON readers keep one of the values and drop the other
      empty-folder   no `*.json` file lies below a folder
      hash-reuse     two files are listed with the same hash, so one of them can never be fetched
      integer        an integer is larger than Nix can hold
      key            a key is not what keys in this place must be
      label          `release_label` is not the label in the file's name
      missing-key    an object lacks a key that it must have
      nesting        archives are nested by variant without a list of variants, or not nested with one
      nul            a string holds the character NUL, which Nix cannot hold
      order          the lower one of two versions is above the higher one
      path           a path or file name does not agree with package, platform, version and variant
      plan           a plan asks for something that cannot be carried out
      platform       a platform is none that NVIDIA is known to use
      pool           some paths of a manifest lead into a channel's pool, and others do not
      product        `release_product` is not the product that was asked for, or the folder's
      shape          a shape expression is none
      size           a file is too large to be judged
      syntax         a text is not JSON
      type           a value is of another type than it must be
      unknown-key    an object has a key that it must not have
      unreadable     a file or folder cannot be read
      utf-8          a text is not UTF-8
      value          a string or number is not what it must be
      variant        the list of variants and the variants that there are do not agree
    ");
    insta::assert_snapshot!(help(&["schema", "-h"]), @"
    Print the JSON Schema (2020-12) of a shape, or the names of all shapes

    Usage: cuda-redist schema [KIND]

    Arguments:
      [KIND]  The name of a shape: `redistrib`, `feature`, `releases`, or a part of one; all are listed
              when left out

    Options:
      -h, --help  Print help
    ");
}

#[test]
fn the_kind_is_what_was_typed() {
    let ran = check(&cases::folder(), &["--as", "releases", "fine-flat.json"]).expect(1);
    assert!(
        ran.stderr
            .starts_with("fine-flat.json:2:19: `release_date`: "),
        "{}",
        ran.stderr
    );
    let folder = folder(&[
        ("feature_1.0.json", "empty.json"),
        ("redistrib_1.0.json", "fine-features.json"),
    ]);
    let ran = check(folder.path(), &["--format", "json", "."]).expect(1);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["files"][0]["shape"], "feature");
    assert_eq!(report["files"][1]["shape"], "redistrib");
    let ran = check(&cases::folder(), &["--as", "feature", "fine-features.json"]).expect(0);
    assert_eq!(ran.stdout, "fine-features.json: ok, 1 package\n");
}

#[test]
fn names_are_held_against_what_files_say() {
    let folder = folder(&[
        ("cuda/redistrib_12.9.1.json", "fine-flat.json"),
        ("cuda/redistrib_12.9.0.json", "fine-flat.json"),
        ("cudnn/redistrib_12.9.1.json", "fine-flat.json"),
        ("other/redistrib_12.9.1.json", "fine-flat.json"),
    ]);
    let ran = check(folder.path(), &["--strict", "."]).expect(1);
    insta::assert_snapshot!(ran.stderr, @r#"
    ./cuda/redistrib_12.9.0.json:3:20: `release_label`: warning: expected `12.9.0` as in the file's name, found `12.9.1`
      3 |   "release_label": "12.9.1",
        |                    ^
    ./cudnn/redistrib_12.9.1.json:4:22: `release_product`: warning: expected `cudnn` as asked for, or as the folder is named, found `cuda`
      4 |   "release_product": "cuda",
        |                      ^
    4 files: 2 ok, 2 with problems (2 warnings)
    "#);
    let ran = check(folder.path(), &["--product", "cutensor", "other"]).expect(0);
    insta::assert_snapshot!(ran.stdout, @"other/redistrib_12.9.1.json: ok, 1 package, 1 warning");
    insta::assert_snapshot!(ran.stderr, @r#"
    other/redistrib_12.9.1.json:4:22: `release_product`: warning: expected `cutensor` as asked for, or as the folder is named, found `cuda`
      4 |   "release_product": "cuda",
        |                      ^
    "#);
}

#[test]
fn a_shape_of_ones_own_is_judged_by() {
    let folder = folder(&[("releases.json", "fine-releases.json")]);
    let judge = |shape: &str, value: &str| {
        fs::write(folder.path().join("shape.json"), shape).unwrap();
        fs::write(folder.path().join("x.json"), value).unwrap();
        let ran = check(folder.path(), &["--shape", "shape.json", "x.json"]);
        format!("{}{}{}", ran.code, ran.stdout, ran.stderr)
    };
    let release = r#"{ "version": "8.6.1.6", "minCudaVersion": "12.0", "maxCudaVersion": "12.1", "filename": "x.tar.gz",
  "hash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }"#;
    let shape = r#"{ "extends": "releasePackage", "fields": { "filename": { "extends": "fileName", "matches": "TensorRT-.*" },
  "cudnnVersion": { "nullOr": "majorMinor" } } }"#;
    insta::assert_snapshot!(judge("\"releasePackage\"", release), @"0x.json: ok");
    insta::assert_snapshot!(judge(shape, release), @r#"
    1x.json:1:1: expected the key `cudnnVersion`, found an object without it
      1 | { "version": "8.6.1.6", "minCudaVersion": "12.0", "maxCudaVersion": "12.1", "filename": "x.tar.gz",
        | ^
    x.json:1:89: `filename`: expected a file name, without a folder that matches `TensorRT-.*`, found `x.tar.gz`
      1 | ...CudaVersion": "12.0", "maxCudaVersion": "12.1", "filename": "x.tar.gz",
        |                                                                ^
    "#);
    insta::assert_snapshot!(judge("{ \"extends\": \"releasePakage\", \"feilds\": {} }", release), @r#"
    1shape.json:1:31: `feilds`: expected one of the keys `extends`, `fields`, `each`, `list`, `nullOr`, `oneOf`, `matches`, `doc`, found `feilds`
      1 | { "extends": "releasePakage", "feilds": {} }
        |                               ^
    hint: did you mean `fields`
    "#);
    insta::assert_snapshot!(judge("{ \"extends\": \"releasePakage\" }", release), @r#"
    1shape.json:1:14: `extends`: expected the name of a shape, found `releasePakage`
      1 | { "extends": "releasePakage" }
        |              ^
    hint: did you mean `releasePackage`
    "#);
    insta::assert_snapshot!(judge("\"anything\"", "18446744073709551615"), @"
    1x.json:1:1: expected an integer of at most 9223372036854775807, found the number 18446744073709551615
      1 | 18446744073709551615
        | ^
    ");
    insta::assert_snapshot!(judge("{ \"list\": ", release), @r#"
    1shape.json:1:11: expected a JSON value, found the end of the text
      1 | { "list":
        |           ^
    hint: the text ends too early; was the download cut short?
    "#);
    let ran = check(folder.path(), &["--shape", "absent.json", "x.json"]).expect(3);
    assert_eq!(places(&ran.stderr), ["absent.json"]);
    check(
        folder.path(),
        &["--shape", "shape.json", "--as", "feature", "x.json"],
    )
    .expect(2);
}

#[test]
fn colours_and_progress_are_for_terminals() {
    let file = "odd-platform.json";
    let plain = check(&cases::folder(), &[file]).expect(0).stderr;
    assert!(!plain.contains('\u{1b}'));
    // `script` runs it on a terminal of its own, where both streams are one.
    let on_terminal = |environment: &str, files: &str| {
        let command = format!(
            "{environment} '{}' check {files}",
            support::program().display()
        );
        let mut script = Command::new("script");
        let script = script
            .current_dir(cases::folder())
            .args(["-qec", &command, "/dev/null"]);
        support::run(script.env("TERM", "xterm").stdin(Stdio::null())).stdout
    };
    let coloured = on_terminal("", file);
    assert!(
        coloured.contains("\u{1b}[1modd-platform.json:"),
        "{coloured:?}"
    );
    let without = on_terminal("NO_COLOR=1", file);
    assert_eq!(
        without.replace('\r', ""),
        format!("{plain}odd-platform.json: ok, 1 package, 1 warning\n")
    );
    let quick = on_terminal("", &format!("{file} {file}"));
    assert!(!quick.contains("judging"), "{quick:?}");
}

#[test]
fn what_takes_long_shows_progress_on_a_terminal_only() {
    let folder = folder(&[("a", "fine-flat.json")]);
    support::run(Command::new("mkfifo").arg(folder.path().join("pipe"))).expect(0);
    // The pipe takes longer than anybody waits in silence.
    let check = format!(
        "(sleep 1; cat a > pipe) & '{}' check a pipe",
        support::program().display()
    );
    let run = |command: &str| {
        let mut script = Command::new("script");
        let script = script
            .current_dir(folder.path())
            .args(["-qec", command, "/dev/null"]);
        support::run(script.env("TERM", "xterm").stdin(Stdio::null())).stdout
    };
    let shown = run(&check);
    assert!(shown.contains("judging"), "{shown:?}");
    assert!(shown.contains("pipe: ok, 1 package"), "{shown:?}");
    let piped = run(&format!("({check}) 2>&1 | cat"));
    assert_eq!(
        piped.replace('\r', ""),
        "a: ok, 1 package\npipe: ok, 1 package\n2 files: 2 ok\n"
    );
}
