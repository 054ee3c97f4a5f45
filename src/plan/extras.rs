//! The keys of plans that only some packages, sets or platforms need: their rules, and what they become.

use std::borrow::Cow;
use std::path::PathBuf;

use super::pattern::{Pattern, Patterns};
use super::read::{A_SONAME, AN_ABSOLUTE, judge_absolute, member, optional, texts};
use super::{Extras, OutputName, SUPPORT};
use crate::manifest::Version;
use crate::manifest::json::Node;
use crate::relpath::RelPath;
use crate::shape::{Record, Ref, Rest, Rule, Test, Text};
use crate::text;

pub(super) static A_GLOB: Rule = Rule::text(&GLOB);
pub(super) static A_FORBIDDEN: Rule = Rule::text(&FORBIDDEN);
pub(super) static A_CAPABILITY: Rule = Rule::text(&CAPABILITY);

pub(super) static PATTERNS: Record = Record {
    what: Cow::Borrowed("globs by output"),
    fields: Cow::Borrowed(&[
        optional(OutputName::Out.as_str(), Rule::list(&A_GLOB)),
        optional(OutputName::Doc.as_str(), Rule::list(&A_GLOB)),
        optional(OutputName::Samples.as_str(), Rule::list(&A_GLOB)),
        optional(OutputName::Python.as_str(), Rule::list(&A_GLOB)),
        optional(OutputName::Bin.as_str(), Rule::list(&A_GLOB)),
        optional(OutputName::Dev.as_str(), Rule::list(&A_GLOB)),
        optional(OutputName::Include.as_str(), Rule::list(&A_GLOB)),
        optional(OutputName::Lib.as_str(), Rule::list(&A_GLOB)),
        optional(OutputName::Static.as_str(), Rule::list(&A_GLOB)),
        optional(OutputName::Stubs.as_str(), Rule::list(&A_GLOB)),
    ]),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

pub(super) static ADD_NEEDED: Record = Record {
    what: Cow::Borrowed("sonames by glob"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&GLOB),
        rule: Rule::list(&A_SONAME),
    },
    ordered: &[],
    law: None,
};

pub(super) static MOVES: Record = Record {
    what: Cow::Borrowed("folders by folder"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&INSIDE),
        rule: Rule::text(&INSIDE_OR_TOP),
    },
    ordered: &[],
    law: None,
};

pub(super) static LINKS: Record = Record {
    what: Cow::Borrowed("texts of links by path"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&LINKED),
        rule: Rule::text(&LINK),
    },
    ordered: &[],
    law: None,
};

pub(super) static MERGE: Record = Record {
    what: Cow::Borrowed("folders of other packages by folder"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&LINKED),
        rule: Rule::list(&AN_ABSOLUTE),
    },
    ordered: &[],
    law: None,
};

pub(super) static REPLACE_TEXTS: Record = Record {
    what: Cow::Borrowed("replacements by glob"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&GLOB),
        rule: Rule::record(&REPLACEMENTS),
    },
    ordered: &[],
    law: None,
};

static REPLACEMENTS: Record = Record {
    what: Cow::Borrowed("texts by what they replace"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&REPLACED),
        rule: Rule::text(&ANY_TEXT),
    },
    ordered: &[],
    law: None,
};

/// Where something lies in the package.
static INSIDE: Text = Text {
    expected: Cow::Borrowed("a path inside the package, without `.` and `..`"),
    test: Test::By(|path| match RelPath::new(path) {
        Ok(_) => Ok(()),
        Err(_) => Err(text::quote(path)),
    }),
    pattern: None,
};

/// Where links may be made.
static LINKED: Text = Text {
    expected: Cow::Borrowed(
        "a path inside the package, without `.` and `..` and outside of `nix-support`",
    ),
    test: Test::By(|path| match RelPath::new(path) {
        Ok(inside) if inside.components().next() != Some(SUPPORT) => Ok(()),
        _ => Err(text::quote(path)),
    }),
    pattern: None,
};

static INSIDE_OR_TOP: Text = Text {
    expected: Cow::Borrowed(
        "a path inside the package, without `.` and `..`, or an empty text for its top",
    ),
    test: Test::By(|path| match path.is_empty() || RelPath::new(path).is_ok() {
        true => Ok(()),
        false => Err(text::quote(path)),
    }),
    pattern: None,
};

static LINK: Text = Text {
    expected: Cow::Borrowed(
        "an absolute path, or one that starts in the link's own folder, without `.` and `..`",
    ),
    test: Test::By(|path| match RelPath::new(path) {
        Ok(_) => Ok(()),
        Err(_) => judge_absolute(path),
    }),
    pattern: None,
};

static REPLACED: Text = Text {
    expected: Cow::Borrowed("a text that is not empty"),
    test: Test::By(|text| match text {
        "" => Err("an empty string".to_owned()),
        _ => Ok(()),
    }),
    pattern: None,
};

static ANY_TEXT: Text = Text {
    expected: Cow::Borrowed("a text"),
    test: Test::By(|_| Ok(())),
    pattern: None,
};

pub(super) static VERSION: Text = Text {
    expected: Cow::Borrowed("a version of digits and dots"),
    test: Test::By(|version| match version.parse::<Version>() {
        Ok(_) => Ok(()),
        Err(_) => Err(text::quote(version)),
    }),
    pattern: None,
};

static GLOB: Text = Text {
    expected: Cow::Borrowed("a glob over the paths of a package, such as `lib/**/*.so*`"),
    test: Test::By(|glob| match Pattern::new(glob) {
        Ok(_) => Ok(()),
        Err(_) => Err(text::quote(glob)),
    }),
    pattern: None,
};

/// A shorter one would be found by chance in any library.
static FORBIDDEN: Text = Text {
    expected: Cow::Borrowed("a text of at least 4 bytes"),
    test: Test::By(|forbidden| match forbidden.len() {
        0..4 => Err(text::quote(forbidden)),
        _ => Ok(()),
    }),
    pattern: None,
};

/// Devices have plain numbers: the letters of `sm_90a` are the code's.
static CAPABILITY: Text = Text {
    expected: Cow::Borrowed("a CUDA capability such as `9.0`"),
    test: Test::By(|capability| {
        let is_number = |digits: &str| {
            !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'))
        };
        match capability.split_once('.') {
            Some((major, minor))
                if is_number(major)
                    && major != "0"
                    && major.len() <= 4
                    && is_number(minor)
                    && minor.len() == 1 =>
            {
                Ok(())
            }
            _ => Err(text::quote(capability)),
        }
    }),
    pattern: None,
};

/// `None` unless `root` passed the shape of plans.
pub(super) fn extras_of(root: Node<'_, '_>) -> Option<Extras> {
    let string = |key| match member(root, key) {
        Some(value) => Some(Some(value.text()?.to_owned())),
        None => Some(None),
    };
    let list = |key| match member(root, key) {
        Some(values) => values.texts(),
        None => Some(Vec::new()),
    };
    let lists = |key| match member(root, key) {
        Some(record) => record
            .members()?
            .map(|(key, values)| Some(((*key).to_owned(), values.texts()?)))
            .collect::<Option<Vec<_>>>(),
        None => Some(Vec::new()),
    };
    let cuda_version = match string("cudaVersion")? {
        Some(version) => Some(version.parse().ok()?),
        None => None,
    };
    let globs = |globs: &[String]| -> Option<Vec<Pattern>> {
        globs.iter().map(|glob| Pattern::new(glob).ok()).collect()
    };
    Some(Extras {
        cuda_version,
        interpreter: string("interpreter")?,
        cuda_compat: string("cudaCompat")?,
        dlopen: list("dlopen")?,
        add_needed: lists("addNeeded")?
            .into_iter()
            .map(|(glob, sonames)| Some((Pattern::new(&glob).ok()?, sonames)))
            .collect::<Option<_>>()?,
        patterns: Patterns::new(
            lists("patterns")?
                .into_iter()
                .map(|(output, texts)| Some((output.parse().ok()?, globs(&texts)?)))
                .collect::<Option<_>>()?,
        ),
        drop: globs(&list("drop")?)?,
        forbidden_texts: list("forbiddenTexts")?,
        capabilities: list("capabilities")?,
        siblings: list("siblings")?,
        moves: pairs(root, "moves")?
            .into_iter()
            .map(|(from, to)| Some((RelPath::new(&from).ok()?, RelPath::new(&to).ok())))
            .collect::<Option<_>>()?,
        links: links_of(root)?,
        merge: lists("merge")?
            .into_iter()
            .map(|(at, folders)| {
                let folders = folders.into_iter().map(PathBuf::from).collect();
                Some((RelPath::new(&at).ok()?, folders))
            })
            .collect::<Option<_>>()?,
        replace_texts: match member(root, "replaceTexts") {
            Some(record) => record
                .members()?
                .map(|(glob, _)| Some((Pattern::new(glob).ok()?, pairs(record, glob)?)))
                .collect::<Option<_>>()?,
            None => Vec::new(),
        },
    })
}

/// The links of the record below `links`; `None` unless `root` passed [`LINKS`] there.
pub(super) fn links_of(root: Node<'_, '_>) -> Option<Vec<(RelPath, String)>> {
    let links = pairs(root, "links")?.into_iter();
    links
        .map(|(at, text)| Some((RelPath::new(&at).ok()?, text)))
        .collect()
}

/// The texts of the record below `key`, empty where there is none; `None` where something else is there.
fn pairs(root: Node<'_, '_>, key: &str) -> Option<Vec<(String, String)>> {
    match member(root, key) {
        Some(record) => texts(record)?
            .map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
            .collect(),
        None => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::super::read::tests::{PLAN, refusal, with};
    use super::*;

    #[test]
    fn what_only_some_packages_need_is_read() {
        let extra = |extra: &str| with("\"planVersion\"", &format!("{extra},\n  \"planVersion\""));
        let plan = read(PLAN.as_bytes(), ".attrs.json", None).unwrap();
        assert!(plan.extras.interpreter.is_none() && plan.extras.dlopen.is_empty());

        let text = extra(
            r#""cudaVersion": "12.9.1", "interpreter": "/nix/store/g/lib/ld.so.2", "cudaCompat": "/nix/store/c",
  "dlopen": ["libcublas"], "addNeeded": {"lib/libx.so.*": ["liby.so.1"]}, "patterns": {"lib": ["nvvm/lib64/**"]}, "drop": ["python/*.whl"],
  "forbiddenTexts": ["/usr/"], "capabilities": ["9.0", "12.1"], "siblings": ["libnew"]"#,
        );
        let Extras {
            cuda_version,
            interpreter,
            cuda_compat,
            dlopen,
            add_needed,
            patterns,
            drop,
            forbidden_texts,
            capabilities,
            siblings,
            ..
        } = read(text.as_bytes(), ".attrs.json", None).unwrap().extras;
        assert_eq!(
            cuda_version.map(|version| version.to_string()).as_deref(),
            Some("12.9.1")
        );
        assert_eq!(interpreter.as_deref(), Some("/nix/store/g/lib/ld.so.2"));
        assert_eq!(cuda_compat.as_deref(), Some("/nix/store/c"));
        assert_eq!(
            (dlopen, forbidden_texts),
            (vec!["libcublas".to_owned()], vec!["/usr/".to_owned()])
        );
        assert_eq!(
            (capabilities, siblings),
            (
                vec!["9.0".to_owned(), "12.1".to_owned()],
                vec!["libnew".to_owned()]
            )
        );
        let path = |path| RelPath::new(path).unwrap();
        assert!(add_needed[0].0.matches(&path("lib/libx.so.1")));
        assert_eq!(add_needed[0].1, ["liby.so.1"]);
        let claims: Vec<_> = patterns.claims(&path("nvvm/lib64/x")).collect();
        assert_eq!(claims, [OutputName::Lib]);
        assert_eq!(drop[0].as_str(), "python/*.whl");

        let wrong = extra(
            r#""cudaVersion": "12.x", "interpreter": "ld.so", "cudaCompat": "/a:b", "dlopen": ["libcudart"],
  "addNeeded": {"lib/[x": ["a/b"]}, "patterns": {"lib": ["{a"], "libs": []}, "forbiddenTexts": ["/us"],
  "capabilities": ["9.0a", "09.0", "9"], "siblings": ["-x"]"#,
        );
        insta::assert_snapshot!(refusal(&wrong), @r#"
        plan.json:10:18: `cudaVersion`: expected a version of digits and dots, found `12.x`
        plan.json:10:41: `interpreter`: expected an absolute path without `.` and `..`, found `ld.so`
        plan.json:10:64: `cudaCompat`: expected an absolute path without `.`, `..`, `:` and `$`, found `/a:b`
        plan.json:11:17: `addNeeded."lib/[x"`: expected as key a glob over the paths of a package, such as `lib/**/*.so*`, found `lib/[x`
        plan.json:11:28: `addNeeded."lib/[x"[0]`: expected the soname of a library (a file name without `/`), found `a/b`
        plan.json:11:58: `patterns.lib[0]`: expected a glob over the paths of a package, such as `lib/**/*.so*`, found `{a`
        plan.json:11:65: `patterns.libs`: expected one of the keys `out`, `doc`, `samples`, `python`, `bin`, `dev`, `include`, `lib`, `static`, `stubs`, found `libs`
        hint: did you mean `lib`
        plan.json:11:97: `forbiddenTexts[0]`: expected a text of at least 4 bytes, found `/us`
        plan.json:12:20: `capabilities[0]`: expected a CUDA capability such as `9.0`, found `9.0a`
        plan.json:12:28: `capabilities[1]`: expected a CUDA capability such as `9.0`, found `09.0`
        plan.json:12:36: `capabilities[2]`: expected a CUDA capability such as `9.0`, found `9`
        plan.json:12:55: `siblings[0]`: expected a name of letters, digits, `_`, `-`, `.` and `+`, not starting with `.` or `-`, found `-x`
        "#);
        insta::assert_snapshot!(refusal(&extra(r#""dlopen": ["libcublas", "libcudart"]"#)), @"plan.json:10:13: `dlopen`: expected names of `dependencies` only, found `libcudart`");
    }

    #[test]
    fn what_is_moved_linked_and_replaced_is_read() {
        let extra = |extra: &str| with("\"planVersion\"", &format!("{extra},\n  \"planVersion\""));
        let text = extra(
            r#""moves": {"nvvm": "", "usr/bin": "bin"}, "links": {"lib64": "lib", "nvvm": "/nix/store/n"},
  "merge": {"include": ["/nix/store/c/include"]}, "replaceTexts": {"**/x.pc": {"-lx": "-lx -ly"}}"#,
        );
        let extras = read(text.as_bytes(), ".attrs.json", None).unwrap().extras;
        let path = |path| RelPath::new(path).unwrap();
        assert_eq!(
            extras.moves,
            [(path("nvvm"), None), (path("usr/bin"), Some(path("bin")))]
        );
        assert_eq!(extras.links[0], (path("lib64"), "lib".to_owned()));
        assert_eq!(
            extras.merge,
            [(path("include"), vec![PathBuf::from("/nix/store/c/include")])]
        );
        assert_eq!(
            extras.replace_texts[0].1,
            [("-lx".to_owned(), "-lx -ly".to_owned())]
        );
        let wrong = extra(
            r#""moves": {"/nvvm": "..", "": ""}, "links": {"lib64": "../lib", "x": ""},
  "merge": {"include": ["include"], "": []}, "replaceTexts": {"[": {"": "x"}, "x": {"x": 1}}"#,
        );
        insta::assert_snapshot!(refusal(&wrong), @r#"
        plan.json:10:13: `moves."/nvvm"`: expected as key a path inside the package, without `.` and `..`, found `/nvvm`
        plan.json:10:22: `moves."/nvvm"`: expected a path inside the package, without `.` and `..`, or an empty text for its top, found `..`
        plan.json:10:28: `moves.""`: expected as key a path inside the package, without `.` and `..`, found ``
        plan.json:10:56: `links.lib64`: expected an absolute path, or one that starts in the link's own folder, without `.` and `..`, found `../lib`
        plan.json:10:71: `links.x`: expected an absolute path, or one that starts in the link's own folder, without `.` and `..`, found ``
        plan.json:11:25: `merge.include[0]`: expected an absolute path without `.` and `..`, found `include`
        plan.json:11:37: `merge.""`: expected as key a path inside the package, without `.` and `..` and outside of `nix-support`, found ``
        plan.json:11:63: `replaceTexts."["`: expected as key a glob over the paths of a package, such as `lib/**/*.so*`, found `[`
        plan.json:11:69: `replaceTexts."[".""`: expected as key a text that is not empty, found an empty string
        plan.json:11:90: `replaceTexts.x.x`: expected a text, found the number 1
        "#);
        for (wrong, expected) in [
            (
                r#""links": {"nix-support": "lib"}"#,
                "`links.nix-support`: expected as key a path inside the package, without `.` and `..` and outside of `nix-support`, found `nix-support`",
            ),
            (
                r#""merge": {"nix-support/x": []}"#,
                "`merge.\"nix-support/x\"`: expected as key a path inside the package, without `.` and `..` and outside of `nix-support`, found `nix-support/x`",
            ),
            (
                r#""links": {"n": "/a", "n/x/y": "z", "nm": "/b"}"#,
                "`links.\"n/x/y\"`: expected links beside each other, found `n/x/y` inside `n`",
            ),
        ] {
            let found = refusal(&extra(wrong));
            let (_, found) = found.split_once(": ").unwrap();
            assert_eq!(found, expected);
        }
    }
}
