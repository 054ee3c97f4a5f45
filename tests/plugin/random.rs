//! Random Nix values of every kind by random shapes: `check` and `problems` always answer, agree with each other, and with
//! the judge of JSON where a value is one.

use std::fmt::Write as _;
use std::process::Stdio;
use std::rc::Rc;

use cuda_redist::manifest::json::Tape;
use cuda_redist::manifest::{self, TABLE};
use cuda_redist::shape::Expression;
use serde_json::{Value as Json, json};

use super::Nix;
use crate::support;

/// Where the random numbers begin.
const SEED: u64 = 0x5eed_0006;
/// How many values are judged, and in how many evaluations.
const VALUES: usize = 100_000;
/// Of one shape.
const VALUES_OF_A_FILE: usize = 5;
const EVALUATIONS: usize = 5;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A Nix value that may hold what JSON cannot.
#[derive(Clone, Debug)]
enum Value {
    Json(Json),
    /// A Nix expression.
    Nix(&'static str),
    List(Vec<Value>),
    Set(Vec<(String, Value)>),
}

/// What JSON has not. None of it makes an evaluation fail in a way that `tryEval` does not see.
const NIX: &[&str] = &[
    "(x: x)",
    "({ a ? 1, ... }@b: b)",
    "builtins.add",
    "(builtins.add 1)",
    "(builtins.cudaRedist.check \"sha256\")",
    "builtins.cudaRedist.shapes",
    "/a/path",
    "./.",
    "(builtins.toFile \"a\" \"b\")",
    "\"${builtins.toFile \"a\" \"b\"}/bin\"",
    "(builtins.substring 0 0 (builtins.toFile \"a\" \"b\"))",
    "(derivation { name = \"a\"; system = \"b\"; builder = \"/c\"; })",
    "\"${derivation { name = \"a\"; system = \"b\"; builder = \"/c\"; }}\"",
    "(throw \"of the user\")",
    "(assert false; 1)",
    "(builtins.seq (throw \"inside\") \"12.9\")",
    "{ a = throw \"attribute\"; }",
    "[ (throw \"item\") ]",
    "(let x = [ x ]; in x)",
    "(let x = { a = x; linux-x86_64 = x; releases = x; }; in x)",
    "(builtins.genList (n: n) 300)",
    "(builtins.genList (n: throw \"lazy\") 3000)",
    "(builtins.listToAttrs (builtins.genList (n: { name = \"k${toString n}\"; value = n; }) 300))",
    "(builtins.concatStringsSep \"\" (builtins.genList (n: \"0123456789abcdef\") 500))",
    "(builtins.foldl' (a: b: { releases = a; }) { } (builtins.genList (n: n) 200))",
    "(builtins.foldl' (a: b: [ a ]) [ ] (builtins.genList (n: n) 200))",
    "\"\u{f8ff}\"",
    "{ \"\u{f8ff}\" = 1; }",
    "{ \"\" = 1; \"a b\" = 2; \"a.b\" = 3; \"\u{1b}[31m\" = 4; }",
    "{ __toString = self: \"12.9\"; }",
    "{ outPath = \"/a\"; type = \"derivation\"; }",
    "{ __functor = self: x: x; }",
    "(1.0e308 * 10.0)",
    "(0.0 - 1.0e-300)",
    "(-9223372036854775807 - 1)",
];

/// What fails in a way that `tryEval` does not see: only where errors end no evaluation.
const FATAL: &[&str] = &[
    "(abort \"by the user\")",
    "(let x = x; in x)",
    "{ }.a",
    "(1 + \"\")",
    "{ a = abort \"attribute\"; }",
    "[ (let x = x; in x) ]",
    "(import ./missing.nix)",
    "(builtins.fromJSON \"{\")",
    "(let f = n: 1 + f (n + 1); in 1)",
];

const STRINGS: &[&str] = &[
    "",
    " ",
    "a",
    "12",
    "12.9",
    "12.9.1",
    "8.9.7.29",
    "0",
    "-1",
    "1e3",
    "sm_90",
    "sm_90a",
    "linux-x86_64",
    "linux-sbsa",
    "lib",
    "out",
    "static",
    "foo/a.tar.xz",
    "../a",
    "/abs",
    "a//b",
    "https://a/b.tar.gz",
    "x\ny",
    "ä",
    "\u{1f600}",
    "\u{7f}",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "d41d8cd98f00b204e9800998ecf8427e",
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "version",
    "releasePackage",
    "100%s%1%",
    "${a}",
    "\\",
    "\"",
    "''",
];

const KEYS: &[&str] = &[
    "name",
    "license",
    "version",
    "linux-x86_64",
    "linux-sbsa",
    "windows-x86_64",
    "source",
    "cuda_variant",
    "cuda12",
    "sha256",
    "md5",
    "size",
    "relative_path",
    "hash",
    "url",
    "filename",
    "releases",
    "release_label",
    "outputs",
    "a",
    "",
    "A b",
    "é",
    "minCudaVersion",
    "maxCudaVersion",
    "cudnnVersion",
    "extends",
    "fields",
    "each",
    "list",
    "nullOr",
    "oneOf",
    "matches",
];

/// A value from nothing.
fn fresh(random: &mut Random, depth: usize) -> Value {
    let kinds = if depth == 0 { 9 } else { 12 };
    match random.below(kinds) {
        0 => Value::Json(Json::Null),
        1 => Value::Json(json!(random.one_in(2))),
        2 => Value::Json(json!(*random.of(&[0, 1, -1, 12, i64::MAX, i64::MIN + 1]))),
        3 => Value::Json(json!(*random.of(&[0.5, -2.25, 1e300, 1e-300]))),
        4 | 5 => Value::Json(json!(*random.of(STRINGS))),
        6..9 => {
            let expression: &&str = random.of(NIX);
            Value::Nix(expression)
        }
        9 => Value::List(
            (0..random.below(4))
                .map(|_| fresh(random, depth - 1))
                .collect(),
        ),
        _ => {
            let mut members: Vec<(String, Value)> = Vec::new();
            for _ in 0..random.below(5) {
                let key = random.of(KEYS).to_string();
                if members.iter().all(|(known, _)| *known != key) {
                    members.push((key, fresh(random, depth - 1)));
                }
            }
            Value::Set(members)
        }
    }
}

/// `json` with a few changes.
fn changed(random: &mut Random, json: &Json) -> Value {
    if random.one_in(12) {
        return fresh(random, 2);
    }
    match json {
        Json::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| changed(random, item)).collect();
            if random.one_in(8) {
                items.push(fresh(random, 2));
            }
            Value::List(items)
        }
        Json::Object(members) => {
            let mut out = Vec::new();
            for (key, value) in members {
                if random.one_in(20) {
                    continue;
                }
                let mut key = key.clone();
                if random.one_in(20) {
                    key.push('x');
                }
                out.push((key, changed(random, value)));
            }
            let key = random.of(KEYS).to_string();
            if random.one_in(10) && out.iter().all(|(known, _)| *known != key) {
                out.push((key, fresh(random, 2)));
            }
            Value::Set(out)
        }
        other => Value::Json(other.clone()),
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn write_json(json: &Json, out: &mut String) {
    match json {
        Json::Null | Json::Bool(_) => write!(out, "{json}").unwrap(),
        Json::Number(number) if number.is_f64() => {
            let text = format!("{:?}", number.as_f64().unwrap());
            // Nix wants a point in it.
            match text.split_once('e') {
                Some((digits, exponent)) if !digits.contains('.') => {
                    write!(out, "({digits}.0e{exponent})").unwrap();
                }
                _ => write!(out, "({text})").unwrap(),
            }
        }
        Json::Number(_) => write!(out, "({json})").unwrap(),
        Json::String(text) => write_text(text, out),
        Json::Array(items) => {
            out.push_str("[ ");
            for item in items {
                write_json(item, out);
                out.push(' ');
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push_str("{ ");
            for (key, value) in members {
                write_text(key, out);
                out.push('=');
                write_json(value, out);
                out.push_str("; ");
            }
            out.push('}');
        }
    }
}

impl Value {
    /// As Nix source, on one line.
    fn write(&self, out: &mut String) {
        match self {
            Value::Json(json) => write_json(json, out),
            Value::Nix(expression) => out.push_str(expression),
            Value::List(items) => {
                out.push_str("[ ");
                for item in items {
                    item.write(out);
                    out.push(' ');
                }
                out.push(']');
            }
            Value::Set(members) => {
                out.push_str("{ ");
                for (key, value) in members {
                    write_text(key, out);
                    out.push('=');
                    value.write(out);
                    out.push_str("; ");
                }
                out.push('}');
            }
        }
    }

    fn to_json(&self) -> Option<Json> {
        Some(match self {
            Value::Json(json) => json.clone(),
            Value::Nix(_) => return None,
            Value::List(items) => items
                .iter()
                .map(Value::to_json)
                .collect::<Option<Vec<_>>>()?
                .into(),
            Value::Set(members) => {
                let member = |(key, value): &(String, Value)| Some((key.clone(), value.to_json()?));
                Json::Object(members.iter().map(member).collect::<Option<_>>()?)
            }
        })
    }
}

/// A shape that may be wrong, and an example near it.
fn shape(random: &mut Random, depth: usize) -> (Json, Json) {
    let named = random.of(TABLE);
    let example = match random.of(&[named.fitting, named.fitting, named.refused]) {
        [] => "null",
        examples => random.of(examples),
    };
    let example: Json = serde_json::from_str(example).unwrap();
    let name = json!(named.name);
    if depth == 0 || random.one_in(2) {
        return (name, example);
    }
    let (inner, inside) = shape(random, depth - 1);
    match random.below(7) {
        0 => (json!({ "list": inner }), json!([inside, inside])),
        1 => (json!({ "nullOr": inner }), inside),
        2 => {
            let mut example = example;
            if let Json::Object(members) = &mut example {
                members.insert("extra".to_owned(), inside);
            }
            (
                json!({ "extends": name, "fields": { "extra": { "optional": inner } } }),
                example,
            )
        }
        3 => (json!({ "extends": name, "each": inner }), example),
        4 => (
            json!({ "fields": { "a": inner, "b": { "optional": name } } }),
            json!({ "a": inside, "b": example }),
        ),
        5 => (json!({ "extends": name, "matches": "[a-z0-9.]*" }), example),
        _ => (
            json!({ "oneOf": ["a", "12.9", "linux-x86_64"] }),
            json!("12.8"),
        ),
    }
}

/// What is said of a problem, save where it is and the name that sets have.
type Said = (String, String, String, String);

/// What the judge of JSON says, errors and warnings.
fn judged(shape: &Expression, value: &Json) -> Vec<Said> {
    let text = value.to_string();
    let tape = Tape::parse(text.as_bytes(), "value").unwrap();
    let Ok(findings) = manifest::problems(&shape.rule, tape.root());
    let (findings, _) = findings.into_parts();
    let said = |finding: cuda_redist::shape::Finding<_>| {
        let plain = |text: String| text.replace("an object", "a set");
        (
            finding.severity.name().to_owned(),
            finding.path,
            plain(finding.expected),
            plain(finding.found),
        )
    };
    let mut said: Vec<Said> = findings.into_iter().map(said).collect();
    said.sort();
    said
}

/// The same of the answer of `problems`.
fn told(problems: &Json) -> Vec<Said> {
    let said = |problem: &Json| {
        let text = |key: &str| problem[key].as_str().unwrap().to_owned();
        (
            text("severity"),
            text("path"),
            text("expected"),
            text("found"),
        )
    };
    let mut said: Vec<Said> = problems.as_array().unwrap().iter().map(said).collect();
    said.sort();
    said
}

/// As a file of Nix; `\u{f8ff}` stands for a byte that is not UTF-8.
fn bytes(source: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(source.len());
    for (number, part) in source.split('\u{f8ff}').enumerate() {
        if number > 0 {
            out.push(0xff);
        }
        out.extend_from_slice(part.as_bytes());
    }
    out
}

#[test]
fn a_hundred_thousand_values_are_judged() {
    let Some(nix) = Nix::new("plugin::a_hundred_thousand_values") else {
        return;
    };
    let mut random = Random(SEED);
    // In turn: refused, fine, thrown by the user; and compared with the judge of JSON.
    let (mut refused, mut fine, mut thrown, mut compared) = (0, 0, 0, 0);
    for number in 0..EVALUATIONS {
        let mut cases = Vec::new();
        // A file for a few of them each: some Nix (2.24 to 2.26) read a file anew for each position in it that is asked for.
        let mut files: Vec<String> = Vec::new();
        while cases.len() < VALUES / EVALUATIONS {
            let (shape, example) = shape(&mut random, 2);
            let Ok(expression) = manifest::read_shape(shape.to_string().as_bytes(), "shape") else {
                continue;
            };
            let shape = Rc::new((shape, expression));
            let mut source = "let inherit (builtins) deepSeq seq tryEval; inherit (builtins.cudaRedist) check problems;\n\
                 t = shape: value: let said = problems shape value; all = tryEval (deepSeq said said); in\n\
                 [ all.success (tryEval (seq (check shape value) true)).success (if all.success then all.value else null) ]; in [\n"
                .to_owned();
            for _ in 0..VALUES_OF_A_FILE {
                let value = match random.one_in(4) {
                    true => fresh(&mut random, 4),
                    false => changed(&mut random, &example),
                };
                source.push_str("(t ");
                write_json(&shape.0, &mut source);
                source.push(' ');
                // A thunk that is no value yet.
                match random.one_in(2) {
                    true => value.write(&mut source),
                    false => {
                        source.push_str("((x: x) ");
                        value.write(&mut source);
                        source.push(')');
                    }
                }
                source.push_str(")\n");
                cases.push((shape.clone(), value));
            }
            source.push(']');
            let name = format!("values-{number}-{}.nix", files.len());
            files.push(nix.write(&name, bytes(&source)).display().to_string());
        }
        let all = format!("builtins.concatMap import [ {} ]", files.join(" "));
        let all = nix.write(&format!("all-{number}.nix"), all);
        let answers = nix.value(&format!("import {}", all.display()));
        let answers: Vec<(bool, bool, Json)> = serde_json::from_str(&answers).unwrap();
        assert_eq!(answers.len(), cases.len());
        for ((shape, value), (answered, passed, problems)) in cases.into_iter().zip(answers) {
            let case = || format!("{} {value:?}: {problems}", shape.0);
            if !answered {
                // A `throw` of the user's own. `check` does not look further either.
                assert!(!passed, "{}", case());
                assert!(value.to_json().is_none(), "{}", case());
                thrown += 1;
                continue;
            }
            let said = told(&problems);
            let is_fine = said.iter().all(|(severity, ..)| severity == "warning");
            // `check` gives the value, so it evaluates the outermost one even where no shape asks for it.
            let may_throw = value.to_json().is_none();
            assert!(passed == is_fine || (may_throw && is_fine), "{}", case());
            match is_fine {
                true => fine += 1,
                false => refused += 1,
            }
            if let Some(json) = value.to_json() {
                assert_eq!(said, judged(&shape.1, &json), "{}", case());
                compared += 1;
            }
        }
    }
    println!("{refused} refused, {fine} fine, {thrown} thrown, {compared} compared");
    assert!(refused > 10_000 && fine > 5_000 && thrown > 1_000 && compared > 20_000);
}

#[test]
fn nothing_ends_a_session() {
    let Some(nix) = Nix::new("plugin::nothing_ends_a_session") else {
        return;
    };
    let mut random = Random(!SEED);
    let lines = 2_000;
    let mut source = String::new();
    for number in 0..lines {
        let (shape, example) = shape(&mut random, 3);
        let part = |random: &mut Random| match random.below(4) {
            0 => format!("({})", random.of(FATAL)),
            1 => {
                let mut out = "(".to_owned();
                fresh(random, 4).write(&mut out);
                out + ")"
            }
            _ => {
                let mut out = "(".to_owned();
                changed(random, &example).write(&mut out);
                out + ")"
            }
        };
        let mut first = "(".to_owned();
        write_json(&shape, &mut first);
        first.push(')');
        if random.one_in(3) {
            first = part(&mut random);
        }
        let second = part(&mut random);
        let call = match random.below(6) {
            0 => format!("readManifest {first}"),
            1 => format!("verifyFile {second}"),
            2 => format!("readReleases {second}"),
            3 => format!("check {first} {second}"),
            _ => format!("problems {first} {second}"),
        };
        writeln!(
            source,
            "builtins.seq (builtins.tryEval (builtins.cudaRedist.{call})) (\"do\" + \"ne {number}\")"
        )
        .unwrap();
    }
    source.push_str("\"still \" + \"there\"\n");
    let file = nix.write("session", bytes(&source));
    let mut command = nix.command("nix");
    command
        .arg("repl")
        .env("TERM", "dumb")
        .stdin(Stdio::from(std::fs::File::open(file).unwrap()));
    let ran = support::run(&mut command).expect(0);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("still there"), "{said}");
    assert!(!said.contains("bug in cuda-redist"), "{said}");
    // Each line ends in a value or in an error of Nix.
    let values = said.matches("done ").count();
    let errors = said.matches("error:").count();
    println!("{values} values, {errors} errors");
    assert!(
        values > 200 && errors > 200,
        "{values} values, {errors} errors"
    );
}
