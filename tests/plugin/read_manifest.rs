//! `readManifest`.

use data_encoding::{BASE64, HEXLOWER};

use super::{GOOD, Nix, quoted};
use crate::support;

#[test]
fn every_real_manifest_is_what_fromjson_makes_of_it_and_hashes() {
    let test = "plugin::every_real_manifest";
    let (Some(nix), Some(shared)) = (Nix::new(test), support::shared(test)) else {
        return;
    };
    let compare = support::root().join("tests/plugin/compare.nix");
    let root = shared.join("manifests").canonicalize().unwrap();
    let out = nix.value(&format!(
        "import {} {{ root = {}; }}",
        compare.display(),
        root.display()
    ));
    let files: Vec<Vec<[String; 2]>> = serde_json::from_str(&out).unwrap();
    assert_eq!(files.len(), 152);
    let mut packages = 0;
    for [sha256, hash] in files.iter().flatten() {
        let bytes = HEXLOWER.decode(sha256.as_bytes()).unwrap();
        assert_eq!(*hash, format!("sha256-{}", BASE64.encode(&bytes)));
        packages += 1;
    }
    assert!(packages > 4000, "{packages} packages");
}

#[test]
fn a_manifest_with_variants_keeps_its_nesting() {
    let Some(nix) = Nix::new("plugin::a_manifest_with_variants") else {
        return;
    };
    let text = GOOD
        .replace("\"version\"", "\"cuda_variant\": [\"12\"], \"version\"")
        .replace("\"linux-x86_64\": {", "\"linux-x86_64\": { \"cuda12\": {")
        .replace("\"size\": \"0\"", "\"size\": \"0\" }");
    let file = nix.write("m.json", text);
    let read = format!("(builtins.cudaRedist.readManifest {}).foo", file.display());
    let hash = "\"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"";
    assert_eq!(nix.value(&format!("{read}.linux-x86_64.cuda12.hash")), hash);
    assert_eq!(nix.value(&format!("{read}.cuda_variant")), "[\"12\"]");
    assert_eq!(nix.value(&format!("{read}.linux-x86_64 ? hash")), "false");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let Some(nix) = Nix::new("plugin::what_is_wrong") else {
        return;
    };
    for (from, to, expected) in CASES {
        assert!(GOOD.contains(from), "{from}");
        let file = nix.write("m.json", GOOD.replace(from, to));
        let read = format!("builtins.cudaRedist.readManifest {}", file.display());
        assert_eq!(nix.refusal(&read), *expected, "{from} -> {to}");
        // Judged and refused: `tryEval` can go on without it.
        assert_eq!(
            nix.value(&format!("(builtins.tryEval ({read})).success")),
            "false",
            "{to}"
        );
    }
}

/// What is replaced, by what, and what is then said.
const CASES: &[(&str, &str, &str)] = &[
    (
        "\"size\": \"0\"",
        "\"size\": 0",
        "DIR/m.json:11:15: `foo.linux-x86_64.size`: expected a string of decimal digits (bytes), found the number 0",
    ),
    (
        "\"name\": \"Foo\"",
        "\"name\": null",
        "DIR/m.json:4:13: `foo.name`: expected a line of text, not empty, found `null`",
    ),
    (
        "e3b0",
        "E3B0",
        "DIR/m.json:9:17: `foo.linux-x86_64.sha256`: expected 64 lowercase hex digits, found `E` as character 1",
    ),
    (
        "\"version\": \"1.2\"",
        "\"version\": \"100%s%1%\"",
        "DIR/m.json:6:16: `foo.version`: expected a version of digits and dots, found `100%s%1%`",
    ),
    (
        "\"size\": \"0\"",
        "\"size\": \"0\", \"sise\": \"0\"",
        "DIR/m.json:11:20: `foo.linux-x86_64.sise`: expected one of the keys `relative_path`, `sha256`, `md5`, `size`, found `sise`\n       hint: did you mean `size`",
    ),
    (
        "\"size\": \"0\"",
        "\"size\": \"0\", \"size\": \"0\"",
        "DIR/m.json:11:20: `foo.linux-x86_64.size`: expected each key once, found it a second time, first at 11:7",
    ),
    (
        "foo/a.tar.xz",
        "../a.tar.xz",
        "DIR/m.json:8:24: `foo.linux-x86_64.relative_path`: expected a relative path that stays below the product's address, found `../a.tar.xz` with the component `..`",
    ),
    (
        "\"name\": \"Foo\"",
        "\"name\": \"F\\u0000o\"",
        "DIR/m.json:4:13: `foo.name`: expected a line of text, not empty, found `F\\u{0}o`\n       \
         DIR/m.json:4:13: `foo.name`: expected text without NUL characters, which Nix cannot hold, found one",
    ),
    (
        "\"license\": \"L\",",
        "",
        "DIR/m.json:3:10: `foo`: expected the key `license`, found an object without it",
    ),
    (
        "\"linux-x86_64\": {",
        "\"linux-x86_64\": { \"cuda12\": {}, ",
        "DIR/m.json:7:23: `foo.linux-x86_64.cuda12`: expected one of the keys `relative_path`, `sha256`, `md5`, `size`, found `cuda12`",
    ),
    (
        "\"size\": \"0\"",
        "\"size\" \"0\"",
        "DIR/m.json:11:14: expected `:`, found `\"`",
    ),
    // All problems, in the order of their places.
    (
        "\"L\",\n    \"version\": \"1.2\"",
        "1,\n    \"version\": 2",
        "DIR/m.json:5:16: `foo.license`: expected a line of text, not empty, found the number 1\n       \
         DIR/m.json:6:16: `foo.version`: expected a version of digits and dots, found the number 2",
    ),
    (
        "{\n",
        "[[[[",
        "DIR/m.json:1:22: expected `,` or `]`, found `:`",
    ),
];

#[test]
fn the_position_of_the_call_is_shown() {
    let Some(nix) = Nix::new("plugin::the_position_of_the_call") else {
        return;
    };
    nix.write("m.json", "[]");
    nix.write(
        "default.nix",
        "\n  builtins.cudaRedist.readManifest ./m.json",
    );
    let mut command = nix.command("nix-instantiate");
    let ran = support::run(command.args(["--eval", "--strict", "default.nix"])).expect(1);
    assert!(
        ran.stderr.contains("m.json:1:1: expected an object"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("default.nix:2:3"), "{}", ran.stderr);
}

#[test]
fn paths_are_read_as_by_readfile() {
    let Some(nix) = Nix::new("plugin::paths_are_read") else {
        return;
    };
    let file = nix.write("m.json", GOOD);
    std::os::unix::fs::symlink("m.json", nix.path().join("link.json")).unwrap();
    let name = |path: &str| format!("(builtins.cudaRedist.readManifest {path}).foo.name");
    for path in [
        file.display().to_string(),
        quoted(&file),
        nix.path().join("link.json").display().to_string(),
        format!("{{ outPath = {}; }}", quoted(&file)),
        format!(
            "(builtins.toFile \"m.json\" (builtins.readFile {}))",
            file.display()
        ),
        format!("\"${{{}}}\"", file.display()),
    ] {
        assert_eq!(nix.value(&name(&path)), "\"Foo\"", "{path}");
    }
    for (path, said) in [
        ("\"m.json\"", "doesn't represent an absolute path"),
        ("12", "cannot coerce an integer to a string"),
        ("null", "cannot coerce null to a string"),
        ("(x: x)", "cannot coerce a function to a string"),
        ("[ ]", "cannot coerce a list to a string"),
        ("/nonexistent/m.json", "No such file or directory"),
        ("\"/\"", "Is a directory"),
        ("(throw \"of the user\")", "of the user"),
        ("(abort \"by the user\")", "by the user"),
    ] {
        let refusal = nix.refusal(&name(path));
        assert!(refusal.contains(said), "{path}: {refusal}");
    }
    // Not judged at all: `tryEval` does not hide it.
    nix.eval(&format!(
        "builtins.tryEval ({})",
        name("/nonexistent/m.json")
    ))
    .expect(1);
}

#[test]
fn a_string_context_is_refused_by_name() {
    let Some(nix) = Nix::new("plugin::a_string_context") else {
        return;
    };
    let file = nix.write("m.json", GOOD);
    let refusal = nix.refusal(&format!(
        "let other = builtins.toFile \"other\" \"\"; text = builtins.replaceStrings [ \"Foo\" ] [ other ] (builtins.readFile {});
         in builtins.cudaRedist.readManifest (builtins.toFile \"m.json\" text)",
        file.display()
    ));
    assert!(
        refusal
            .contains("does not refer to a store path, found one that refers to `DIR/own/store/"),
        "{refusal}"
    );
    assert!(refusal.contains("-other`"), "{refusal}");
}

#[test]
fn the_output_of_a_derivation_is_built_first() {
    let Some(nix) = Nix::new("plugin::the_output_of_a_derivation") else {
        return;
    };
    let file = nix.write("m.json", GOOD);
    let drv = format!(
        "derivation {{ name = \"m.json\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
         args = [ \"-c\" \"while IFS= read -r line; do echo \\\"$line\\\"; done < {0} > $out\" ]; }}",
        file.display()
    );
    let read = format!("(builtins.cudaRedist.readManifest ({drv})).foo.name");
    assert_eq!(nix.value(&read), "\"Foo\"");
    let nix = nix.with("allow-import-from-derivation = false");
    let refusal = nix.refusal(&format!(
        "(builtins.cudaRedist.readManifest ({})).foo",
        drv.replace("m.json\";", "n.json\";")
    ));
    assert!(
        refusal.contains("allow-import-from-derivation"),
        "{refusal}"
    );
}

#[test]
fn values_survive_the_collector() {
    let test = "plugin::values_survive";
    let (Some(nix), Some(shared)) = (Nix::new(test), support::shared(test)) else {
        return;
    };
    let root = shared.join("manifests").canonicalize().unwrap();
    let bench = support::root().join("bench/manifests.nix");
    let mut command = nix.command("nix-instantiate");
    command.args(["--eval", "--strict", "-E"]).arg(format!(
        "let compare = import {} {{ root = {root}; }}; in
         assert import {} {{ root = {root}; passes = 3; reader = \"plugin\"; }} == 456; builtins.length (builtins.concatLists compare)",
        support::root().join("tests/plugin/compare.nix").display(),
        bench.display(),
        root = root.display(),
    ));
    // A small heap that is collected all the time; the collector says how often.
    command
        .env("GC_INITIAL_HEAP_SIZE", "1000000")
        .env("GC_FREE_SPACE_DIVISOR", "200")
        .env("GC_PRINT_STATS", "1");
    let ran = support::run(&mut command).expect(0);
    let collections = ran.stderr.matches("full world-stop collection").count();
    assert!(collections > 20, "{collections} collections");
    assert!(
        ran.stdout.trim().parse::<usize>().unwrap() > 4000,
        "{}",
        ran.stdout
    );
}

#[test]
fn the_builtins_are_documented() {
    let Some(nix) = Nix::new("plugin::the_builtins_are_documented") else {
        return;
    };
    let mut command = nix.command("nix");
    command
        .arg("repl")
        .env("TERM", "dumb")
        .stdin(std::process::Stdio::piped());
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let names = [
        "readManifest",
        "readFeatures",
        "readReleases",
        "check",
        "problems",
        "verifyFile",
    ];
    let questions = names.map(|name| format!(":doc builtins.cudaRedist.{name}\n"));
    let questions = questions.concat();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), questions.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for words in [
        "readManifest path",
        "Reads a redistrib manifest",
        "readFeatures path",
        "readReleases path",
        "check shape value",
        "problems shape value",
        "All that differs between a value and a shape",
        "verifyFile attrs",
        "Compares a file with what it must be",
    ] {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{words}: {said}");
    }
    // Each shows an example.
    assert!(
        said.matches("builtins.cudaRedist.").count() >= 2 * names.len(),
        "{said}"
    );
    let version = format!("[\"{}\",true]", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        nix.value("with builtins; [ cudaRedist.version (cudaRedist.nixVersion == nixVersion) ]"),
        version
    );
    assert_eq!(
        nix.value("builtins.attrNames builtins.cudaRedist"),
        r#"["check","nixVersion","problems","readFeatures","readManifest","readReleases","shapes","verifyFile","version"]"#
    );
}

#[test]
fn access_rules_hold() {
    let Some(nix) = Nix::new("plugin::access_rules_hold") else {
        return;
    };
    let file = nix.write("m.json", GOOD);
    let outside = nix.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&file, outside.join("link.json")).unwrap();
    let sha256 = super::EMPTY;
    let expressions = |path: &str| {
        [
            format!("(builtins.cudaRedist.readManifest {path}).foo.name"),
            format!("builtins.cudaRedist.verifyFile {{ path = {path}; sha256 = \"{sha256}\"; }}"),
        ]
    };
    let file = file.display().to_string();
    let folder = nix.path().display().to_string();
    let link = outside.join("link.json").display().to_string();
    for (setting, search, path, said) in [
        (
            "pure-eval = true",
            "",
            file.as_str(),
            "is forbidden in pure eval",
        ),
        (
            "pure-eval = true",
            "",
            "/etc/passwd",
            "is forbidden in pure eval",
        ),
        ("restrict-eval = true", "", file.as_str(), "is forbidden in"),
        (
            "restrict-eval = true",
            outside.to_str().unwrap(),
            file.as_str(),
            "is forbidden in",
        ),
        (
            "restrict-eval = true",
            outside.to_str().unwrap(),
            link.as_str(),
            "is forbidden",
        ),
    ] {
        for expression in expressions(path) {
            let mut command = nix.command("nix-instantiate");
            command.args(["--eval", "--strict", "--option"]);
            let (name, value) = setting.split_once(" = ").unwrap();
            command.args([name, value, "-E", &expression]);
            if !search.is_empty() {
                command.args(["-I", search]);
            }
            let ran = support::run(&mut command).expect(1);
            assert!(
                ran.stderr.contains(said),
                "{setting} {expression}: {}",
                ran.stderr
            );
        }
    }
    let mut command = nix.command("nix-instantiate");
    let [read, verify] = expressions(&file);
    command.args([
        "--eval",
        "--strict",
        "--option",
        "restrict-eval",
        "true",
        "-I",
        &folder,
        "-E",
    ]);
    support::run(command.arg(&read)).expect(0);
    let mut command = nix.command("nix-instantiate");
    command.args([
        "--eval",
        "--strict",
        "--option",
        "restrict-eval",
        "true",
        "-I",
        &folder,
        "-E",
    ]);
    let ran = support::run(command.arg(&verify)).expect(1);
    assert!(ran.stderr.contains("sha256 mismatch"), "{}", ran.stderr);
}
