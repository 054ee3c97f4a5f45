//! The derivation's JSON, judged again: `.attrs.json`, or the same written by hand.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::extras::{
    A_CAPABILITY, A_FORBIDDEN, A_GLOB, ADD_NEEDED, LINKS, MERGE, MOVES, PATTERNS, REPLACE_TEXTS,
    VERSION, extras_of,
};
use super::{Extras, Judged, OutputName, Plan};
use crate::error::{Error, Kind, Problem, Severity};
use crate::manifest::json::{Node, Tape};
use crate::manifest::{
    self, Archive, BUILDABLE_RELEASE, Entries, NAME, Platform, REDISTRIB_RELEASE, Release, TABLE,
    release_of,
};
use crate::relpath::RelPath;
use crate::shape::{
    Expression, Field, Finding, Findings, Path, Record, Ref, Rest, Rule, Seen, Spot, Test, Text,
};
use crate::text;

/// The only version of plans there is so far.
const PLAN_VERSION: i64 = 1;

/// A plan for a release of a manifest.
static PLAN: Record = Record {
    what: Cow::Borrowed("a plan"),
    fields: Cow::Borrowed(&FIELDS),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

/// A plan for a release that comes from elsewhere: it says so in `releaseShape`.
static BUILDABLE_PLAN: Record = Record {
    what: Cow::Borrowed("a plan"),
    fields: Cow::Borrowed(&BUILDABLE_FIELDS),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

static FIELDS: [Field; 48] = fields(Rule::record(&REDISTRIB_RELEASE));
static BUILDABLE_FIELDS: [Field; 48] = fields(Rule::record(&BUILDABLE_RELEASE));

/// A plan's keys: our own, then those with which Nix itself is told how to build.
const fn fields(release: Rule) -> [Field; 48] {
    [
        required("planVersion", Rule::Exactly(PLAN_VERSION)),
        required("product", Rule::text(&NAME)),
        required("label", Rule::text(&LABEL)),
        required("package", Rule::text(&NAME)),
        required("platform", Rule::text(&NAME)),
        required("variant", Rule::nullable(&A_NAME)),
        required("release", release),
        // Which shape `release` has, if not that of a manifest.
        optional("releaseShape", Rule::text(&RELEASE_SHAPE)),
        required("src", Rule::text(&ABSOLUTE)),
        required("driverPaths", Rule::list(&A_SEARCHED)),
        required("dependencies", Rule::record(&DEPENDENCIES)),
        required("allowedMissing", Rule::list(&A_SONAME)),
        // What only some packages, sets or platforms need.
        optional("cudaVersion", Rule::text(&VERSION)),
        optional("interpreter", Rule::text(&ABSOLUTE)),
        optional("cudaCompat", Rule::text(&SEARCHED)),
        optional("dlopen", Rule::list(&A_NAME)),
        optional("addNeeded", Rule::record(&ADD_NEEDED)),
        optional("patterns", Rule::record(&PATTERNS)),
        optional("drop", Rule::list(&A_GLOB)),
        optional("forbiddenTexts", Rule::list(&A_FORBIDDEN)),
        optional("capabilities", Rule::list(&A_CAPABILITY)),
        optional("siblings", Rule::list(&A_NAME)),
        optional("moves", Rule::record(&MOVES)),
        optional("links", Rule::record(&LINKS)),
        optional("merge", Rule::record(&MERGE)),
        optional("replaceTexts", Rule::record(&REPLACE_TEXTS)),
        // Shapes from outside, which nobody has held against the values where the evaluator has no plugin.
        optional("checks", Rule::list(&A_CHECK)),
        // They may come from the command line instead.
        optional("outputs", Rule::record(&OUTPUTS)),
        // Source: Nix's manual, "Advanced Attributes", and `.attrs.json` as Nix 2.8.0 writes it.
        optional("__contentAddressed", Rule::Anything),
        optional("__impure", Rule::Anything),
        optional("__structuredAttrs", Rule::Anything),
        optional("allowSubstitutes", Rule::Anything),
        optional("allowedReferences", Rule::Anything),
        optional("allowedRequisites", Rule::Anything),
        optional("args", Rule::Anything),
        optional("builder", Rule::Anything),
        optional("disallowedReferences", Rule::Anything),
        optional("disallowedRequisites", Rule::Anything),
        optional("impureEnvVars", Rule::Anything),
        optional("name", Rule::Anything),
        optional("outputChecks", Rule::Anything),
        optional("outputHash", Rule::Anything),
        optional("outputHashAlgo", Rule::Anything),
        optional("outputHashMode", Rule::Anything),
        optional("preferLocalBuild", Rule::Anything),
        optional("requiredSystemFeatures", Rule::Anything),
        optional("system", Rule::Anything),
        optional("unsafeDiscardReferences", Rule::Anything),
    ]
}

static A_NAME: Rule = Rule::text(&NAME);
static A_SEARCHED: Rule = Rule::text(&SEARCHED);
pub(super) static A_SONAME: Rule = Rule::text(&SONAME);
pub(super) static AN_ABSOLUTE: Rule = Rule::text(&ABSOLUTE);
static A_CHECK: Rule = Rule::record(&CHECK);

/// The `releaseShape` of a plan whose release may lack what only manifests have.
const BUILDABLE: &str = "buildableRelease";

static RELEASE_SHAPE: Text = Text {
    expected: Cow::Borrowed("`redistribRelease` or `buildableRelease`"),
    test: Test::By(|name| match name {
        "redistribRelease" | BUILDABLE => Ok(()),
        _ => Err(text::quote(name)),
    }),
    pattern: None,
};

static CHECK: Record = Record {
    what: Cow::Borrowed("a shape and a value"),
    fields: Cow::Borrowed(&[
        required("shape", Rule::Anything),
        required("value", Rule::Anything),
    ]),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

pub(super) const fn required(name: &'static str, rule: Rule) -> Field {
    Field::required(name, rule, "")
}

pub(super) const fn optional(name: &'static str, rule: Rule) -> Field {
    Field::optional(name, rule, "")
}

static DEPENDENCIES: Record = Record {
    what: Cow::Borrowed("store paths by package"),
    fields: Cow::Borrowed(&[]),
    rest: Rest::Each {
        key: Ref::Static(&NAME),
        rule: Rule::text(&SEARCHED),
    },
    ordered: &[],
    law: None,
};

static OUTPUTS: Record = Record {
    what: Cow::Borrowed("paths by output"),
    fields: Cow::Borrowed(&[
        required(OutputName::Out.as_str(), Rule::text(&OUTPUT)),
        optional(OutputName::Doc.as_str(), Rule::text(&OUTPUT)),
        optional(OutputName::Samples.as_str(), Rule::text(&OUTPUT)),
        optional(OutputName::Python.as_str(), Rule::text(&OUTPUT)),
        optional(OutputName::Bin.as_str(), Rule::text(&OUTPUT)),
        optional(OutputName::Dev.as_str(), Rule::text(&OUTPUT)),
        optional(OutputName::Include.as_str(), Rule::text(&OUTPUT)),
        optional(OutputName::Lib.as_str(), Rule::text(&OUTPUT)),
        optional(OutputName::Static.as_str(), Rule::text(&OUTPUT)),
        optional(OutputName::Stubs.as_str(), Rule::text(&OUTPUT)),
    ]),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

static LABEL: Text = Text {
    expected: Cow::Borrowed("a label without control characters"),
    test: Test::By(|label| match label {
        "" => Err("an empty string".to_owned()),
        _ if label.chars().any(char::is_control) => Err(text::quote(label)),
        _ => Ok(()),
    }),
    pattern: None,
};

static ABSOLUTE: Text = Text {
    expected: Cow::Borrowed("an absolute path without `.` and `..`"),
    test: Test::By(judge_absolute),
    pattern: None,
};

/// The dynamic loader splits a RUNPATH at `:` and replaces what begins with `$`: ld.so(8).
static SEARCHED: Text = Text {
    expected: Cow::Borrowed("an absolute path without `.`, `..`, `:` and `$`"),
    test: Test::By(|path| match path.contains([':', '$']) {
        true => Err(text::quote(path)),
        false => judge_absolute(path),
    }),
    pattern: None,
};

/// Where an output goes stands in files for compilers and shells as well, which split words.
pub(super) static OUTPUT: Text = Text {
    expected: Cow::Borrowed(
        "an absolute path without `.`, `..`, `:`, `$`, blanks, quotes, backslashes and `#`",
    ),
    test: Test::By(|path| {
        let is_special = |c: char| c.is_whitespace() || "'\"`\\#".contains(c);
        match path.contains(is_special) {
            true => Err(text::quote(path)),
            false => SEARCHED.judge(path),
        }
    }),
    pattern: None,
};

static SONAME: Text = Text {
    expected: Cow::Borrowed("the soname of a library (a file name without `/`)"),
    test: Test::By(|name| match RelPath::new(name) {
        Ok(path) if path.components().count() == 1 => Ok(()),
        _ => Err(text::quote(name)),
    }),
    pattern: None,
};

pub(super) fn judge_absolute(path: &str) -> Result<(), String> {
    let inside = path
        .strip_prefix('/')
        .and_then(|path| RelPath::new(path).ok());
    inside.map(|_| ()).ok_or_else(|| text::quote(path))
}

/// Reads a plan from the JSON `text`; `file` is its name in messages. With `outputs_from_command_line` these count, and
/// the text need not name any.
///
/// # Errors
/// Rejected: all problems of the text, sorted by place; that `release` is not of the platform and variant that the
/// plan names counts among them.
pub fn read(
    text: &[u8],
    file: &str,
    outputs_from_command_line: Option<BTreeMap<OutputName, PathBuf>>,
) -> Result<Plan, Error> {
    let tape = Tape::parse(text, file)?;
    let release_shape = member(tape.root(), "releaseShape").and_then(|shape| shape.text());
    let plan = match release_shape {
        Some(BUILDABLE) => &BUILDABLE_PLAN,
        _ => &PLAN,
    };
    let Ok(mut findings) = manifest::errors(&Rule::record(plan), tape.root());
    judge_checks(tape.root(), &mut findings);
    tape.report(file, findings)?;
    let unexpected = || PlanProblem::Unexpected {
        file: text::printable(file),
    };
    let mut parts = parts_of(tape.root()).ok_or_else(unexpected)?;
    let mut findings = Findings::default();
    let archive = select(&parts, &mut findings);
    match outputs_from_command_line {
        Some(outputs) => {
            judge_typed(&outputs)?;
            parts.outputs = outputs;
        }
        None if parts.outputs.is_empty() => findings.push(no_outputs(tape.root())),
        None => {
            if let Some((name, other)) = nested(&parts.outputs) {
                let found = format!("`{name}` inside `{other}`");
                let expected = "outputs beside each other".to_owned();
                findings.push(finding(
                    tape.root(),
                    &["outputs", name.as_str()],
                    expected,
                    found,
                ));
            }
        }
    }
    judge_links(tape.root(), &parts.extras.links, &mut findings);
    for name in &parts.extras.dlopen {
        if !parts.dependencies.contains_key(name) {
            let expected = "names of `dependencies` only".to_owned();
            findings.push(finding(
                tape.root(),
                &["dlopen"],
                expected,
                text::quote(name),
            ));
        }
    }
    tape.report(file, findings)?;
    let archive = archive.ok_or_else(unexpected)?;
    let Parts {
        product,
        label,
        package,
        platform,
        variant,
        release,
        src,
        ..
    } = parts;
    let Parts {
        driver_paths,
        dependencies,
        allowed_missing,
        extras,
        outputs,
        ..
    } = parts;
    Ok(Plan {
        product,
        label,
        package,
        platform,
        variant,
        version: release.version().clone(),
        archive,
        src,
        driver_paths,
        dependencies,
        allowed_missing,
        extras,
        outputs,
        _judged: Judged,
    })
}

/// A link inside of another one would be made wherever that leads.
pub(super) fn judge_links<'a, 't>(
    root: Node<'a, 't>,
    links: &[(RelPath, String)],
    findings: &mut Findings<Node<'a, 't>>,
) {
    let places: BTreeSet<&str> = links.iter().map(|(place, _)| place.as_str()).collect();
    for place in &places {
        let ends = place.match_indices('/').map(|(end, _)| end);
        let above = ends.filter_map(|end| place.get(..end));
        if let Some(above) = above.into_iter().find(|above| places.contains(above)) {
            let found = format!("{} inside {}", text::quote(place), text::quote(above));
            let expected = "links beside each other".to_owned();
            findings.push(finding(root, &["links", place], expected, found));
        }
    }
}

/// Holds each value below `checks` against the shape beside it; what is there in another form is the shape's of plans to say.
fn judge_checks<'a, 't>(root: Node<'a, 't>, findings: &mut Findings<Node<'a, 't>>) {
    let Some(Seen::List(checks)) = member(root, "checks").map(|checks| checks.seen()) else {
        return;
    };
    for (number, check) in checks.enumerate() {
        let (Some(shape), Some(value)) = (member(check, "shape"), member(check, "value")) else {
            continue;
        };
        let Ok(expression) = Expression::read(TABLE, shape);
        let (part, found) = match expression {
            Ok(Expression { rule, .. }) => {
                let Ok(found) = manifest::errors(&rule, value);
                ("value", found)
            }
            Err(found) => ("shape", found),
        };
        findings.add_below(&format!("checks[{number}].{part}"), found);
    }
}

/// What the text says, before the parts are held against each other.
struct Parts<'a, 't> {
    root: Node<'a, 't>,
    product: String,
    label: String,
    package: String,
    platform: Platform,
    variant: Option<String>,
    release: Release,
    src: PathBuf,
    driver_paths: Vec<String>,
    dependencies: BTreeMap<String, PathBuf>,
    allowed_missing: Vec<String>,
    extras: Extras,
    outputs: BTreeMap<OutputName, PathBuf>,
}

/// `None` unless `root` passed [`PLAN`].
fn parts_of<'a, 't>(root: Node<'a, 't>) -> Option<Parts<'a, 't>> {
    let string = |key| Some(member(root, key)?.text()?.to_owned());
    let variant = match member(root, "variant")?.seen() {
        Seen::Null => None,
        Seen::Text(variant) => Some(variant.to_owned()),
        _ => return None,
    };
    let dependencies = texts(member(root, "dependencies")?)?;
    let outputs = match member(root, "outputs") {
        Some(outputs) => texts(outputs)?
            .map(|(name, path)| Some((name.parse().ok()?, path?.into())))
            .collect(),
        None => Some(BTreeMap::new()),
    };
    Some(Parts {
        root,
        product: string("product")?,
        label: string("label")?,
        package: string("package")?,
        platform: string("platform")?.parse().ok()?,
        variant,
        release: release_of(member(root, "release")?)?,
        src: string("src")?.into(),
        driver_paths: member(root, "driverPaths")?.texts()?,
        dependencies: dependencies
            .map(|(name, path)| Some((name.to_owned(), path?.into())))
            .collect::<Option<_>>()?,
        allowed_missing: member(root, "allowedMissing")?.texts()?,
        extras: extras_of(root)?,
        outputs: outputs?,
    })
}

/// The one archive of the release, if it is for the platform and variant that the plan names.
fn select<'a, 't>(parts: &Parts<'a, 't>, findings: &mut Findings<Node<'a, 't>>) -> Option<Archive> {
    let Parts {
        root,
        platform,
        variant,
        release,
        ..
    } = parts;
    let mut refuse = |steps: &[&str], expected: String, found: String| {
        findings.push(finding(*root, steps, expected, found));
        None
    };
    let platforms = release.platforms();
    let entries = match platforms.get(platform) {
        Some(entries) if platforms.len() == 1 => entries,
        _ => {
            let expected = format!("exactly the platform {}", text::quote(platform.as_str()));
            return refuse(
                &["release"],
                expected,
                listed(platforms.keys().map(Platform::as_str), "no platform"),
            );
        }
    };
    match (entries, variant) {
        (Entries::Flat(archive), None) => Some(archive.clone()),
        (Entries::Flat(_), Some(variant)) => {
            let expected = "`null`, as the release lists no variants".to_owned();
            refuse(&["variant"], expected, text::quote(variant))
        }
        (Entries::Variants(archives), Some(variant)) => match archives.get(variant) {
            Some(archive) if archives.len() == 1 => Some(archive.clone()),
            _ => {
                let expected = format!("exactly the variant {}", text::quote(variant));
                let found = listed(archives.keys().map(String::as_str), "no variant");
                refuse(&["release", platform.as_str()], expected, found)
            }
        },
        (Entries::Variants(_), None) => {
            let key = release.variants().map_or("", |variants| &variants.key);
            let expected = format!(
                "the name of a variant, as the release has {}",
                text::quote(key)
            );
            refuse(&["variant"], expected, "`null`".to_owned())
        }
    }
}

/// Neither the text nor the command line says where outputs go.
pub(super) fn no_outputs<'a, 't>(root: Node<'a, 't>) -> Finding<Node<'a, 't>> {
    let found = "an object without it, and no outputs on the command line".to_owned();
    let mut finding = finding(root, &[], "the key `outputs`".to_owned(), found);
    finding.hint = Some("inside a derivation Nix adds it; by hand, add `--out out=DIR`".to_owned());
    finding
}

/// Keys with which Nix itself is told how to build: they are there, and say nothing to us.
pub(super) fn nix_keys() -> impl Iterator<Item = Field> {
    let fields = FIELDS.iter();
    fields
        .filter(|field| matches!(field.rule, Rule::Anything))
        .cloned()
}

/// A finding about the value that `steps` lead to.
pub(super) fn finding<'a, 't>(
    root: Node<'a, 't>,
    steps: &[&str],
    expected: String,
    found: String,
) -> Finding<Node<'a, 't>> {
    let (mut node, mut path) = (root, String::new());
    for step in steps {
        node = member(node, step).unwrap_or(node);
        // Only keys of the plan and names come here; they need no quoting save names with dots.
        let key = Path::ROOT.key(step).to_string();
        path = if path.is_empty() {
            key
        } else {
            format!("{path}.{key}")
        };
    }
    Finding {
        severity: Severity::Error,
        code: "plan",
        spot: Spot::Value(node),
        path,
        expected,
        found,
        hint: None,
    }
}

pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>, none: &str) -> String {
    let names: Vec<_> = names.take(4).map(text::quote).collect();
    if names.is_empty() {
        none.to_owned()
    } else {
        names.join(", ")
    }
}

/// An output that is inside another, if there is one: moving one into place would move the other.
fn nested(outputs: &BTreeMap<OutputName, PathBuf>) -> Option<(OutputName, OutputName)> {
    let inside =
        |name, other, path: &PathBuf, outer: &PathBuf| name != other && path.starts_with(outer);
    outputs.iter().rev().find_map(|(name, path)| {
        let outer = outputs
            .iter()
            .find(|(other, outer)| inside(name, *other, path, outer));
        outer.map(|(other, _)| (*name, *other))
    })
}

#[derive(Debug, thiserror::Error)]
pub(super) enum PlanProblem {
    #[error("cannot read what was judged to be fine: this is a bug in cuda-redist")]
    Unexpected { file: String },
    #[error("expected {expected}, found {found}")]
    Typed { expected: String, found: String },
}

impl Problem for PlanProblem {
    fn kind(&self) -> Kind {
        match self {
            PlanProblem::Unexpected { .. } => Kind::Fault,
            PlanProblem::Typed { .. } => Kind::Usage,
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            PlanProblem::Unexpected { file } => Some(file.clone()),
            PlanProblem::Typed { .. } => Some("command line".to_owned()),
        }
    }
}

/// Judges outputs that were typed as [`OUTPUTS`] judges those of a text.
pub(super) fn judge_typed(outputs: &BTreeMap<OutputName, PathBuf>) -> Result<(), Error> {
    let typed = |expected: &str, found| PlanProblem::Typed {
        expected: expected.to_owned(),
        found,
    };
    if !outputs.contains_key(&OutputName::Out) {
        let names = listed(outputs.keys().map(|name| name.as_str()), "none");
        return Err(typed("the output `out` among the outputs", names).into());
    }
    for (name, path) in outputs {
        let judged = path
            .to_str()
            .ok_or_else(|| text::quote(&path.to_string_lossy()))
            .and_then(|path| OUTPUT.judge(path));
        if let Err(found) = judged {
            return Err(typed(
                &format!("{} for the output `{name}`", OUTPUT.expected),
                found,
            )
            .into());
        }
    }
    match nested(outputs) {
        Some((name, other)) => Err(typed(
            "outputs beside each other",
            format!("`{name}` inside `{other}`"),
        )
        .into()),
        None => Ok(()),
    }
}

/// The members of an object of strings.
pub(super) fn texts<'a>(
    node: Node<'a, '_>,
) -> Option<impl Iterator<Item = (&'a str, Option<String>)>> {
    let members = node.members()?;
    Some(members.map(|(key, value)| (key, value.text().map(str::to_owned))))
}

pub(super) fn member<'a, 't>(node: Node<'a, 't>, name: &str) -> Option<Node<'a, 't>> {
    node.members()?
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// As Nix 2.8.0 writes it for a derivation that `nix/` makes.
    pub(in crate::plan) const PLAN: &str = r#"{
  "allowedMissing": ["librdmacm.so.1"],
  "builder": "/nix/store/1nfh8q5ajx2dqh4x0q6z5i3w4n0l2v0z-cuda-redist/bin/cuda-redist",
  "dependencies": {"libcublas": "/nix/store/3nfh8q5ajx2dqh4x0q6z5i3w4n0l2v0z-libcublas-lib"},
  "driverPaths": ["/run/opengl-driver/lib"],
  "label": "12.9.1",
  "name": "libcusolver-linux-x86_64-11.7.5.82",
  "outputs": {"lib": "/nix/store/b-lib", "out": "/nix/store/a"},
  "package": "libcusolver",
  "planVersion": 1,
  "platform": "linux-x86_64",
  "product": "cuda",
  "release": {
    "name": "CUDA cuSOLVER",
    "license": "CUDA Toolkit",
    "linux-x86_64": {
      "md5": "900150983cd24fb0d6963f7d28e17f72",
      "relative_path": "libcusolver/linux-x86_64/libcusolver-linux-x86_64-11.7.5.82-archive.tar.xz",
      "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      "size": "3"
    },
    "version": "11.7.5.82"
  },
  "src": "/nix/store/4nfh8q5ajx2dqh4x0q6z5i3w4n0l2v0z-libcusolver.tar.xz",
  "system": "x86_64-linux",
  "variant": null
}"#;

    pub(in crate::plan) fn with(from: &str, to: &str) -> String {
        assert_eq!(PLAN.matches(from).count(), 1, "{from}");
        PLAN.replace(from, to)
    }

    /// The release of [`PLAN`] with variants.
    fn nested_plan(variant: &str) -> String {
        with(
            "\"linux-x86_64\": {",
            "\"cuda_variant\": [\"12\"], \"linux-x86_64\": {\"cuda12\": {",
        )
        .replace("\"size\": \"3\"\n    }", "\"size\": \"3\"\n    }}")
        .replace("\"variant\": null", &format!("\"variant\": {variant}"))
    }

    #[test]
    fn a_plan_is_read() {
        let plan = read(PLAN.as_bytes(), ".attrs.json", None).unwrap();
        assert_eq!(
            (plan.product.as_str(), plan.label.as_str()),
            ("cuda", "12.9.1")
        );
        assert_eq!(
            (plan.package.as_str(), plan.platform.as_str()),
            ("libcusolver", "linux-x86_64")
        );
        assert_eq!(
            (plan.version.as_str(), plan.variant.as_deref()),
            ("11.7.5.82", None)
        );
        assert_eq!(plan.archive.expected().size_bytes, Some(3));
        assert_eq!(
            plan.archive.sha256.to_sri(),
            "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
        assert_eq!(
            plan.src,
            PathBuf::from("/nix/store/4nfh8q5ajx2dqh4x0q6z5i3w4n0l2v0z-libcusolver.tar.xz")
        );
        assert_eq!(plan.driver_paths, ["/run/opengl-driver/lib"]);
        assert_eq!(plan.dependencies.keys().collect::<Vec<_>>(), ["libcublas"]);
        assert_eq!(plan.allowed_missing, ["librdmacm.so.1"]);
        assert_eq!(
            plan.outputs.keys().collect::<Vec<_>>(),
            [&OutputName::Out, &OutputName::Lib]
        );

        let nested = read(nested_plan("\"cuda12\"").as_bytes(), ".attrs.json", None).unwrap();
        assert_eq!(
            (nested.variant.as_deref(), nested.archive),
            (Some("cuda12"), plan.archive)
        );
    }

    #[test]
    fn outputs_may_be_typed_instead() {
        let text = with(
            "  \"outputs\": {\"lib\": \"/nix/store/b-lib\", \"out\": \"/nix/store/a\"},\n",
            "",
        );
        let typed = |pairs: &[(OutputName, &str)]| {
            let outputs = pairs
                .iter()
                .map(|(name, path)| (*name, PathBuf::from(path)))
                .collect();
            read(text.as_bytes(), "plan.json", Some(outputs))
        };
        let plan = typed(&[(OutputName::Out, "/tmp/out")]).unwrap();
        assert_eq!(
            plan.outputs,
            BTreeMap::from([(OutputName::Out, PathBuf::from("/tmp/out"))])
        );
        let refused = |pairs| {
            let error = typed(pairs).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            error.render()
        };
        insta::assert_snapshot!(refused(&[(OutputName::Lib, "/tmp/lib")]), @"command line: expected the output `out` among the outputs, found `lib`");
        insta::assert_snapshot!(refused(&[(OutputName::Out, "/a"), (OutputName::Lib, "/a/lib")]), @"command line: expected outputs beside each other, found `lib` inside `out`");
        insta::assert_snapshot!(refused(&[(OutputName::Out, "/a:b")]), @"command line: expected an absolute path without `.`, `..`, `:`, `$`, blanks, quotes, backslashes and `#` for the output `out`, found `/a:b`");
        insta::assert_snapshot!(refused(&[(OutputName::Out, "/a b")]), @"command line: expected an absolute path without `.`, `..`, `:`, `$`, blanks, quotes, backslashes and `#` for the output `out`, found `/a b`");
        insta::assert_snapshot!(refusal(&text), @r"
        plan.json:1:1: expected the key `outputs`, found an object without it, and no outputs on the command line
        hint: inside a derivation Nix adds it; by hand, add `--out out=DIR`
        ");
    }

    pub(in crate::plan) fn refusal(text: &str) -> String {
        let error = read(text.as_bytes(), "plan.json", None).unwrap_err();
        assert!(error.is_rejected());
        error.render()
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        insta::assert_snapshot!(refusal(&with("\"planVersion\": 1", "\"planVersion\": 2")), @"plan.json:10:18: `planVersion`: expected the number 1, found the number 2");
        insta::assert_snapshot!(refusal(&with("\"driverPaths\"", "\"driverPath\"")), @"
        plan.json:1:1: expected the key `driverPaths`, found an object without it
        plan.json:5:3: `driverPath`: expected one of the keys `planVersion`, `product`, `label`, `package`, `platform`, `variant`, `release`, `releaseShape`, `src`, `driverPaths`, `dependencies`, `allowedMissing`, `cudaVersion`, `interpreter`, `cudaCompat`, `dlopen`, `addNeeded`, `patterns`, `drop`, `forbiddenTexts`, `capabilities`, `siblings`, `moves`, `links`, `merge`, `replaceTexts`, `checks`, `outputs`, found `driverPath`
        hint: did you mean `driverPaths`
        ");
        insta::assert_snapshot!(refusal(&with("\"src\": \"/nix", "\"src\": \"nix")), @"plan.json:24:10: `src`: expected an absolute path without `.` and `..`, found `nix/store/4nfh8q5ajx2dqh4x0q6z5i3w4n0l2v0z-libcusolver.tar.xz`");
        insta::assert_snapshot!(refusal(&with("\"/run/opengl-driver/lib\"", "\"/usr/lib:$ORIGIN\"")), @"plan.json:5:19: `driverPaths[0]`: expected an absolute path without `.`, `..`, `:` and `$`, found `/usr/lib:$ORIGIN`");
        insta::assert_snapshot!(refusal(&with("\"librdmacm.so.1\"", "\"a/librdmacm.so.1\"")), @"plan.json:2:22: `allowedMissing[0]`: expected the soname of a library (a file name without `/`), found `a/librdmacm.so.1`");
        insta::assert_snapshot!(refusal(&with("\"lib\": \"/nix", "\"header\": \"/nix")), @"plan.json:8:15: `outputs.header`: expected one of the keys `out`, `doc`, `samples`, `python`, `bin`, `dev`, `include`, `lib`, `static`, `stubs`, found `header`");
        insta::assert_snapshot!(refusal(&with("\"/nix/store/b-lib\"", "\"/nix/store/a/lib\"")), @"plan.json:8:22: `outputs.lib`: expected outputs beside each other, found `lib` inside `out`");
        // The judge of manifests judges the release.
        insta::assert_snapshot!(refusal(&with("ba7816bf", "Ba7816bf")), @"plan.json:19:17: `release.linux-x86_64.sha256`: expected 64 lowercase hex digits, found `B` as character 1");
        insta::assert_snapshot!(refusal(&with("\"size\"", "\"bytes\"")), @r"
        plan.json:16:21: `release.linux-x86_64`: expected the key `size`, found an object without it
        plan.json:20:7: `release.linux-x86_64.bytes`: expected one of the keys `relative_path`, `sha256`, `md5`, `size`, found `bytes`
        ");
    }

    #[test]
    fn the_release_must_be_of_the_platform_and_variant() {
        insta::assert_snapshot!(refusal(&with("\"platform\": \"linux-x86_64\"", "\"platform\": \"linux-sbsa\"")), @"plan.json:13:14: `release`: expected exactly the platform `linux-sbsa`, found `linux-x86_64`");
        insta::assert_snapshot!(refusal(&with("\"variant\": null", "\"variant\": \"cuda12\"")), @"plan.json:26:14: `variant`: expected `null`, as the release lists no variants, found `cuda12`");
        insta::assert_snapshot!(refusal(&nested_plan("null")), @"plan.json:26:14: `variant`: expected the name of a variant, as the release has `cuda_variant`, found `null`");
        insta::assert_snapshot!(refusal(&nested_plan("null").replace("cuda_variant", "mpi_variant").replace("\"cuda12\"", "\"mpi12\"")), @"plan.json:26:14: `variant`: expected the name of a variant, as the release has `mpi_variant`, found `null`");
        insta::assert_snapshot!(refusal(&nested_plan("\"cuda11\"")), @"plan.json:16:45: `release.linux-x86_64`: expected exactly the variant `cuda11`, found `cuda12`");
    }

    #[test]
    fn only_a_plan_that_says_so_may_lack_md5_and_size() {
        let bare = with("      \"md5\": \"900150983cd24fb0d6963f7d28e17f72\",\n", "")
            .replace(",\n      \"size\": \"3\"", "");
        insta::assert_snapshot!(refusal(&bare), @"
        plan.json:16:21: `release.linux-x86_64`: expected the key `md5`, found an object without it
        plan.json:16:21: `release.linux-x86_64`: expected the key `size`, found an object without it
        ");
        let bare = bare.replace(
            "\"planVersion\"",
            "\"releaseShape\": \"buildableRelease\", \"planVersion\"",
        );
        let expected = read(bare.as_bytes(), ".attrs.json", None)
            .unwrap()
            .archive
            .expected();
        assert_eq!((expected.md5, expected.size_bytes), (None, None));
        // What is there is judged and kept.
        let whole = with(
            "\"planVersion\"",
            "\"releaseShape\": \"buildableRelease\", \"planVersion\"",
        );
        let plan = read(whole.as_bytes(), ".attrs.json", None).unwrap();
        assert_eq!(plan.archive.expected().size_bytes, Some(3));
        insta::assert_snapshot!(refusal(&whole.replace("\"size\": \"3\"", "\"size\": \"x\"")), @"plan.json:20:15: `release.linux-x86_64.size`: expected a string of decimal digits (bytes), found `x`");
        insta::assert_snapshot!(refusal(&bare.replace("\"sha256\"", "\"sha265\"")), @"
        plan.json:16:21: `release.linux-x86_64`: expected the key `sha256`, found an object without it
        plan.json:18:7: `release.linux-x86_64.sha265`: expected one of the keys `relative_path`, `sha256`, `md5`, `size`, `url`, found `sha265`
        hint: did you mean `sha256`
        ");
        insta::assert_snapshot!(refusal(&whole.replace("buildableR", "buildableP")), @"plan.json:10:19: `releaseShape`: expected `redistribRelease` or `buildableRelease`, found `buildablePelease`");
    }

    #[test]
    fn shapes_from_outside_are_judged_with_all_else() {
        let checked = |checks: &str| {
            with(
                "\"planVersion\"",
                &format!("\"checks\": {checks},\n  \"planVersion\""),
            )
        };
        let strict = r#"{"extends": "redistribRelease", "fields": {"version": "majorMinorPatchBuild", "origin": "url"}}"#;
        let value = |origin: &str| {
            format!(
                r#"{{"name": "mine", "license": "MIT", "version": "1.0.0.1", "origin": {origin}, "linux-x86_64": {{
    "relative_path": "a", "md5": "900150983cd24fb0d6963f7d28e17f72", "size": "3",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}}}"#
            )
        };
        for checks in [
            "[]".to_owned(),
            format!(
                r#"[{{"shape": {strict}, "value": {}}}]"#,
                value("\"https://example.org\"")
            ),
        ] {
            read(checked(&checks).as_bytes(), ".attrs.json", None).unwrap();
        }
        let wrong = checked(&format!(
            r#"[{{"shape": {strict}, "value": {}}},
    {{"shape": {{"list": "verion"}}, "value": []}},
    {{"shape": {{"list": "version"}}, "value": ["1.", null]}},
    {{"shape": "releasesByPlatform"}}]"#,
            value("\"example.org\"").replace("\"1.0.0.1\"", "\"1.0\"")
        ));
        // Together with what else is wrong, by place.
        let wrong = wrong.replace("\"label\": \"12.9.1\"", "\"label\": 12.9");
        insta::assert_snapshot!(refusal(&wrong), @"
        plan.json:6:12: `label`: expected a label without control characters, found the number 12.9
        plan.json:10:176: `checks[0].value.version`: expected a version of 4 parts such as `9.8.0.87`, found `1.0`
        plan.json:10:193: `checks[0].value.origin`: expected an absolute URL (`https://`, `http://` or `file://`), found `example.org`
        plan.json:13:24: `checks[1].shape.list`: expected the name of a shape, found `verion`
        hint: did you mean `version`
        plan.json:14:46: `checks[2].value[0]`: expected a version of digits and dots, found `1.`
        plan.json:14:52: `checks[2].value[1]`: expected a version of digits and dots, found `null`
        plan.json:15:5: `checks[3]`: expected the key `value`, found an object without it
        ");
        // What goes beyond the rule of a named shape holds, too.
        let twice = r#"{"version": "1.0.0.1", "minCudaVersion": "12.1", "maxCudaVersion": "12.0",
    "hash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "filename": "a.tar.gz"}"#;
        let laws = format!(
            r#"[{{"shape": {{"extends": "releasesByPlatform"}}, "value": {{"linux-x86_64": [{twice}, {}]}}}}]"#,
            twice
                .replace("12.1", "11.0")
                .replace("a.tar.gz", "b.tar.gz")
        );
        insta::assert_snapshot!(refusal(&checked(&laws)), @"
        plan.json:10:127: `checks[0].value.linux-x86_64[0].minCudaVersion`: expected at most `maxCudaVersion`, which is `12.0`, found `12.1`
        plan.json:12:13: `checks[0].value.linux-x86_64[1].hash`: expected a hash of its own, found that of `linux-x86_64[0]`, which is another file (`a.tar.gz`)
        ");
    }

    #[test]
    fn the_table_names_every_output() {
        let names: Vec<_> = OUTPUTS.fields.iter().map(|field| &*field.name).collect();
        assert_eq!(names, OutputName::ALL.map(OutputName::as_str));
    }
}
