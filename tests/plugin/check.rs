//! `check`, `problems` and `shapes`.

use serde_json::Value;

use super::Nix;
use crate::support;

/// A release that is fine.
const RELEASE: &str = r#"{
  version = "8.6.1.6";
  minCudaVersion = "12.0";
  maxCudaVersion = "12.1";
  hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
}"#;

/// What `problems` says of each problem, in short.
fn problems(nix: &Nix, shape: &str, value: &str) -> Vec<String> {
    let said = nix.value(&format!("builtins.cudaRedist.problems ({shape}) ({value})"));
    let problems: Vec<Value> = serde_json::from_str(&said).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let short = |problem: &Value| {
        ["severity", "code", "path", "expected", "found", "hint"]
            .map(|key| text(&problem[key]))
            .join(" | ")
    };
    problems.iter().map(short).collect()
}

#[test]
fn values_are_judged_by_named_and_composed_shapes() {
    let Some(nix) = Nix::new("plugin::values_are_judged") else {
        return;
    };
    let tensorrt = r#"{ extends = "releasePackage"; fields = { filename = "fileName"; cudnnVersion = { nullOr = "majorMinor"; }; }; }"#;
    let with = |more: &str| RELEASE.replace("{\n", &format!("{{\n{more}\n"));
    for (shape, value) in [
        ("\"releasePackage\"", RELEASE.to_owned()),
        (
            tensorrt,
            with("filename = \"a.tar.gz\"; cudnnVersion = null;"),
        ),
        (
            tensorrt,
            with("filename = \"a.tar.gz\"; cudnnVersion = \"8.6\";"),
        ),
        (
            "{ list = \"cudaArch\"; }",
            "[ \"sm_90a\" \"sm_120f\" ]".to_owned(),
        ),
        ("{ nullOr = \"md5\"; }", "null".to_owned()),
        ("{ oneOf = [ \"a\" \"b\" ]; }", "\"b\"".to_owned()),
        (
            "{ extends = \"version\"; matches = \"8[.].*\"; }",
            "\"8.9\"".to_owned(),
        ),
        (
            "{ fields = { a = \"boolean\"; b.optional = \"anything\"; }; }",
            "{ a = true; }".to_owned(),
        ),
        (
            "builtins.cudaRedist.shapes.platform",
            "\"linux-sbsa\"".to_owned(),
        ),
        (
            "builtins.cudaRedist.shapes.releasePackage // { fields.note = { optional = \"line\"; }; }",
            with("note = \"x\";"),
        ),
        (
            "{ extends = \"releasesByPlatform\"; each = { list = \"string\"; }; }",
            "{ linux-sbsa = [ \"x\" ]; }".to_owned(),
        ),
    ] {
        assert_eq!(problems(&nix, shape, &value), [""; 0], "{shape} {value}");
        let check = format!("(builtins.cudaRedist.check ({shape}) ({value})) == ({value})");
        assert_eq!(nix.value(&check), "true", "{shape} {value}");
    }
    for (shape, value, expected) in [
        (
            "\"version\"",
            "\"12.9-rc1\"",
            "error | value |  | a version of digits and dots | `12.9-rc1` | -",
        ),
        (
            "\"boolean\"",
            "x: x",
            "error | type |  | `true` or `false` | a function | -",
        ),
        (
            "\"relativePath\"",
            "./.",
            "error | type |  | a relative path that stays below the product's address | a path | -",
        ),
        (
            tensorrt,
            RELEASE,
            "error | missing-key |  | the key `filename` | a set without it | -\n\
             error | missing-key |  | the key `cudnnVersion` | a set without it | -",
        ),
        (
            "\"releasePackage\"",
            &with("minCudaVersion = \"12.2\";").replace("minCudaVersion = \"12.0\";", ""),
            "error | order | minCudaVersion | at most `maxCudaVersion`, which is `12.1` | `12.2` | -",
        ),
        (
            "{ oneOf = [ \"server\" \"desktop\" ]; }",
            "\"sever\"",
            "error | value |  | one of `server`, `desktop` | `sever` | did you mean `server`",
        ),
        (
            "{ extends = \"version\"; matches = \"8[.].*\"; }",
            "\"9.8\"",
            "error | value |  | a version of digits and dots that matches `8[.].*` | `9.8` | -",
        ),
        (
            "{ list = \"cudaArch\"; }",
            "[ \"sm_90\" 1 ]",
            "error | type | [1] | a CUDA architecture such as `sm_90`, `sm_90a` or `sm_120f` | the number 1 | -",
        ),
        (
            "\"feature\"",
            "{ a.linux-x86-64.outputs = [ \"out\" ]; }",
            "warning | platform | a.linux-x86-64 | a known platform (`linux-x86_64`, `linux-sbsa`, `linux-aarch64`, `linux-ppc64le`, `linux-all`, `windows-x86_64`, `source`) | `linux-x86-64` | did you mean `linux-x86_64`",
        ),
    ] {
        assert_eq!(
            problems(&nix, shape, value).join("\n"),
            expected,
            "{shape} {value}"
        );
        let check = format!("builtins.cudaRedist.check ({shape}) ({value})");
        // Warnings alone do not fail.
        let succeeds = expected.starts_with("warning");
        let caught = format!("(builtins.tryEval (builtins.seq ({check}) 1)).success");
        assert_eq!(nix.value(&caught), succeeds.to_string(), "{shape} {value}");
    }
}

#[test]
fn wrong_shapes_are_told_and_not_caught() {
    let Some(nix) = Nix::new("plugin::wrong_shapes") else {
        return;
    };
    for (shape, said) in [
        ("\"relese\"", "expected the name of a shape, found `relese`"),
        ("\"releasePackages\"", "hint: did you mean `releasePackage`"),
        (
            "1",
            "expected the name of a shape, or a set that extends one, found the number 1",
        ),
        ("{ extend = \"version\"; }", "hint: did you mean `extends`"),
        (
            "{ }",
            "expected one of `extends`, `fields`, `list`, `nullOr`, `oneOf`, `matches`",
        ),
        (
            "{ extends = \"version\"; fields.a = \"version\"; }",
            "expected the shape of a record below `fields` or `each`",
        ),
        (
            "{ extends = \"feature\"; matches = \"a\"; }",
            "expected the shape of a string below `oneOf` or `matches`",
        ),
        (
            "{ list = \"version\"; doc = \"x\"; fields = { }; }",
            "expected `list` alone",
        ),
        ("{ matches = \"(\"; }", "expected a regular expression"),
        (
            "{ matches = \"a)|(?:b\"; }",
            "expected a regular expression",
        ),
        (
            "{ oneOf = [ \"a\" ]; matches = \"a\"; }",
            "expected one of `oneOf` and `matches`, found both",
        ),
        (
            "{ oneOf = [ 1 ]; }",
            "`oneOf[0]`: expected a string, found the number 1",
        ),
        (
            "{ oneOf = builtins.genList toString 20000; }",
            "expected a string, found more than 10000 parts",
        ),
        ("{ oneOf = [ ]; }", "expected a list of strings, not empty"),
        (
            "{ fields.a = { optional = \"version\"; extends = \"version\"; }; }",
            "expected `optional` alone",
        ),
        (
            "{ extends = \"major\"; oneOf = [ \"12.1\" ]; }",
            "expected a version of 1 part such as `12`, found `12.1`",
        ),
        (
            "let x = { nullOr = x; }; in x",
            "expected a shape of at most 32 levels and 10000 parts, found more",
        ),
        ("throw \"of the user\"", "of the user"),
        (
            "{ extends = \"releasePackage\"; fields.a = \"vresion\"; }",
            "`fields.a`: expected the name of a shape, found `vresion`",
        ),
    ] {
        let call = format!("builtins.cudaRedist.check ({shape}) (throw \"the value\")");
        let refusal = nix.refusal(&call);
        assert!(refusal.contains(said), "{shape}: {refusal}");
        if !shape.contains("throw") {
            assert!(
                refusal.starts_with("builtins.cudaRedist.check: the shape is wrong:"),
                "{shape}: {refusal}"
            );
            nix.eval(&format!("builtins.tryEval ({call})")).expect(1);
        }
    }
}

#[test]
fn problems_have_the_position_of_the_attribute() {
    let Some(nix) = Nix::new("plugin::problems_have_the_position") else {
        return;
    };
    let file = nix.write(
        "releases.nix",
        "{\n  linux-sbsa = [\n    {\n      version = \"8.6\";\n      hahs = \"x\";\n    }\n  ];\n}\n",
    );
    let refusal = nix.refusal(&format!(
        "builtins.cudaRedist.check \"releasesByPlatform\" (import {})",
        file.display()
    ));
    let expected = "DIR/releases.nix:2:3: `linux-sbsa[0]`: expected the key `minCudaVersion`, found a set without it
       DIR/releases.nix:2:3: `linux-sbsa[0]`: expected the key `maxCudaVersion`, found a set without it
       DIR/releases.nix:2:3: `linux-sbsa[0]`: expected the key `hash`, found a set without it
       DIR/releases.nix:4:7: `linux-sbsa[0].version`: expected a version of 4 parts such as `9.8.0.87`, found `8.6`
       DIR/releases.nix:5:7: `linux-sbsa[0].hahs`: expected one of the keys `version`, `minCudaVersion`, `maxCudaVersion`, `hash`, `url`, `filename`, `cudnnVersion`, found `hahs`
       hint: did you mean `hash`";
    assert_eq!(refusal, expected);
    let positions = nix.value(&format!(
        "map (p: p.position.line) (builtins.cudaRedist.problems \"releasesByPlatform\" (import {}))",
        file.display()
    ));
    assert_eq!(positions, "[2,2,2,4,5]");
}

#[test]
fn only_what_the_shape_names_is_forced_and_context_stays() {
    let Some(nix) = Nix::new("plugin::only_what_the_shape_names") else {
        return;
    };
    let lazy = "{ a = true; b = throw \"forced\"; c.d = abort \"forced\"; }";
    let shape =
        "{ fields = { a = \"boolean\"; b.optional = \"anything\"; c.optional = \"anything\"; }; }";
    assert_eq!(problems(&nix, shape, lazy), [""; 0]);
    assert_eq!(
        nix.value(&format!("(builtins.cudaRedist.check ({shape}) ({lazy})).a")),
        "true"
    );
    // A list of a million thunks that no shape names.
    let list = "{ a = true; b = builtins.genList (n: throw \"forced\") 1000000; }";
    assert_eq!(
        nix.value(&format!("(builtins.cudaRedist.check ({shape}) ({list})).a")),
        "true"
    );
    // An error of the user inside of what is looked at passes through, and `tryEval` sees it as their own.
    let thrown = "{ a = throw \"of the user\"; }";
    let check = format!("builtins.cudaRedist.check ({shape}) ({thrown})");
    assert!(nix.refusal(&check).contains("of the user"));
    assert_eq!(
        nix.value(&format!("(builtins.tryEval ({check})).success")),
        "false"
    );
    // The value comes back as it is, with the store path that it refers to.
    let context = "builtins.getContext (builtins.cudaRedist.check \"string\" \"${builtins.toFile \"x\" \"\"}/y\")";
    assert_eq!(
        nix.value(&format!("builtins.length (builtins.attrNames ({context}))")),
        "1"
    );
}

#[test]
fn laws_go_where_their_records_are_and_no_further() {
    let Some(nix) = Nix::new("plugin::laws_go_where") else {
        return;
    };
    // What a shape no longer looks at, its law does not look at either.
    for (shape, value) in [
        (
            "{ extends = \"redistrib\"; fields.extra.optional = \"anything\"; }",
            "{ extra = throw \"x\"; }",
        ),
        (
            "{ extends = \"releases\"; each = \"anything\"; }",
            "{ x = throw \"x\"; }",
        ),
        (
            "{ extends = \"releasesByPlatform\"; each = \"anything\"; }",
            "{ linux-sbsa = throw \"x\"; }",
        ),
        (
            "{ fields = { minCudaVersion = \"anything\"; a.optional = { extends = \"releasePackage\"; fields.minCudaVersion = \"anything\"; }; }; }",
            "{ minCudaVersion = throw \"x\"; }",
        ),
        (
            "{ extends = \"redistribRelease\"; fields.build_variant.optional = \"string\"; }",
            "{ name = \"n\"; license = \"l\"; version = \"1\"; build_variant = \"x\"; }",
        ),
    ] {
        assert_eq!(problems(&nix, shape, value), [""; 0], "{shape}");
    }
    // And it is held inside of other shapes as well as alone.
    let release = "{ name = \"n\"; license = \"l\"; version = \"1\"; cuda_variant = [ \"12\" ]; b_variant = [ ]; }";
    let two = "error | variant | cuda_variant | one key that ends in `_variant` | another beside `b_variant` | -";
    let codes = |shape: &str, value: &str| {
        let of = |line: &String| line.split(" | ").nth(1).unwrap().to_owned();
        problems(&nix, shape, value)
            .iter()
            .map(of)
            .collect::<Vec<_>>()
    };
    assert!(
        codes(
            "{ list = \"redistribRelease\"; }",
            &format!("[ ({release}) ]")
        )
        .contains(&"variant".to_owned())
    );
    let alone = problems(&nix, "\"redistribRelease\"", release);
    assert!(alone.iter().any(|line| line == two), "{alone:?}");
    let reused = format!(
        "{{ linux-sbsa = [ ({RELEASE} // {{ url = \"https://a/x-8.6.1.6.tar.gz\"; }}) ({RELEASE} // {{ filename = \"y-8.6.1.6.tar.gz\"; \
         hash = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"; }}) ]; }}"
    );
    assert_eq!(codes("\"releasesByPlatform\"", &reused), ["hash-reuse"]);
    assert_eq!(
        codes("{ nullOr = \"releasesByPlatform\"; }", &reused),
        ["hash-reuse"]
    );
    // The same file at an address and by its name is one file.
    let same = reused.replace("y-8.6.1.6", "x-8.6.1.6");
    assert_eq!(codes("\"releasesByPlatform\"", &same), [""; 0]);
    // A shape is text: what it would forget is refused.
    let context =
        "builtins.cudaRedist.check { oneOf = [ \"${builtins.toFile \"x\" \"\"}\" ]; } \"\"";
    assert!(
        nix.refusal(context)
            .contains("expected strings that do not refer to a store path")
    );
}

#[test]
fn the_table_is_a_value() {
    let Some(nix) = Nix::new("plugin::the_table_is_a_value") else {
        return;
    };
    let names = nix.value("builtins.attrNames builtins.cudaRedist.shapes");
    let mut expected: Vec<_> = cuda_redist::manifest::TABLE
        .iter()
        .map(|shape| shape.name)
        .collect();
    expected.sort_unstable();
    assert_eq!(names, serde_json::to_string(&expected).unwrap());
    // Each can be used as it is, and its examples fit.
    let fits = "let inherit (builtins.cudaRedist) check shapes; in builtins.all (name: builtins.all \
         (example: check shapes.${name} example == example) shapes.${name}.examples) (builtins.attrNames shapes)";
    assert_eq!(nix.value(fits), "true");
    assert_eq!(
        nix.value("builtins.cudaRedist.shapes.sha256.extends"),
        "\"sha256\""
    );
}

#[test]
fn large_and_deep_values_are_judged() {
    let Some(nix) = Nix::new("plugin::large_and_deep_values") else {
        return;
    };
    let many = "builtins.genList (n: \"sm_90\") 300000";
    assert_eq!(problems(&nix, "{ list = \"cudaArch\"; }", many), [""; 0]);
    // All are counted, some are told.
    let wrong = "builtins.genList (n: n) 30000";
    let refusal = nix.refusal(&format!(
        "builtins.cudaRedist.check {{ list = \"cudaArch\"; }} ({wrong})"
    ));
    assert!(refusal.ends_with("and 29980 more"), "{refusal}");
    // A value that has no end is looked at as far as the shape goes.
    let endless = "let x = { releases = x; }; in x";
    assert!(!problems(&nix, "\"releases\"", endless).is_empty());
    // One long string.
    let long = "builtins.concatStringsSep \"\" (builtins.genList (n: \"0123456789abcdef\") 65536)";
    let said = problems(&nix, "\"sha256\"", long);
    assert_eq!(
        said,
        ["error | value |  | 64 lowercase hex digits | 1048576 characters | -"]
    );
}

#[test]
fn real_release_expressions_pass_as_values_too() {
    let test = "plugin::real_release_expressions";
    let (Some(nix), Some(shared)) = (Nix::new(test), support::shared(test)) else {
        return;
    };
    for name in ["cudnn", "tensorrt"] {
        let file = shared
            .join(format!("releases/{name}.json"))
            .canonicalize()
            .unwrap();
        let value = format!("builtins.fromJSON (builtins.readFile {})", file.display());
        assert_eq!(problems(&nix, "\"releases\"", &value), [""; 0], "{name}");
    }
}
