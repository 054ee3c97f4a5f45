//! The judge of NVIDIA's files, and what is made of redistrib manifests that pass.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::json::{Node, Tape, Token};
use super::laws::{self, Said, Scope};
use super::shapes::{self, RELEASE_FIELDS, VARIANT_ENDING};
use super::{Archive, Entries, Judged, Manifest, Release, Variants, Version};
use crate::error::{Diagnostic, Error, Kind as Fault, Problem, Severity};
use crate::hash::{Md5, Sha256};
use crate::shape::{Expression, Findings, More, Rule, Seen, View, judge_with};
use crate::text;

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A redistrib manifest.
    Redistrib,
    /// A feature manifest.
    Feature,
    /// A release expression as JSON.
    Releases,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 3] = [Kind::Redistrib, Kind::Feature, Kind::Releases];

    /// The name of its shape: `redistrib`, `feature`, `releases`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Redistrib => "redistrib",
            Kind::Feature => "feature",
            Kind::Releases => "releases",
        }
    }

    /// The kind that a file name says.
    fn of_name(file: &str) -> Option<Kind> {
        let name = file.rsplit('/').next().unwrap_or_default();
        let (kind, _) = name.split_once('_')?;
        kind.parse().ok()
    }

    /// The kind that a text looks like.
    fn of(tape: &Tape<'_>) -> Kind {
        let member = |node: Node<'_, '_>, name: &str| {
            node.members()
                .is_some_and(|mut members| members.any(|(key, _)| key == name))
        };
        let root = tape.root();
        let Some(members) = root.members() else {
            return Kind::Redistrib;
        };
        if member(root, "releases") || members.clone().any(|(_, value)| member(value, "releases")) {
            return Kind::Releases;
        }
        let has_outputs = members
            .filter_map(|(_, value)| value.members())
            .flatten()
            .any(|(_, value)| member(value, "outputs"));
        match has_outputs {
            true => Kind::Feature,
            false => Kind::Redistrib,
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Kind, ()> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(())
    }
}

/// What a file is judged by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judging<'j> {
    /// As which kind; `None` to recognise it.
    pub kind: Option<Kind>,
    /// By this shape, in place of the one of its kind.
    pub shape: Option<&'j Expression>,
    /// The product it must be of; `None` for the one its folder is named after, if that is a product of NVIDIA.
    pub product: Option<&'j str>,
}

/// All that is to be said of a file.
#[derive(Debug)]
pub struct Report {
    /// What it was judged as: the name of a shape.
    pub shape: &'static str,
    /// How many members it has, besides the ones that say what it is: packages, or products.
    pub members: usize,
    /// What is wrong or odd, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// How many problems there are besides, too many to keep.
    pub more: More,
}

impl Report {
    /// How many problems of this severity there are, kept or not.
    pub fn count(&self, severity: Severity) -> usize {
        let is_meant = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
        let more = match severity {
            Severity::Error => self.more.errors,
            Severity::Warning => self.more.warnings,
        };
        self.diagnostics.iter().filter(is_meant).count() + more
    }
}

/// Judges the JSON `text`, errors and warnings; `file` is its name in messages, and what it says of kind, label and product
/// counts.
pub fn inspect(text: &[u8], file: &str, judging: Judging<'_>) -> Report {
    let kind = judging.kind.or_else(|| Kind::of_name(file));
    let tape = match Tape::try_parse(text, file) {
        Ok(tape) => tape,
        Err(diagnostic) => {
            return Report {
                shape: kind.unwrap_or(Kind::Redistrib).name(),
                members: 0,
                diagnostics: vec![*diagnostic],
                more: More::default(),
            };
        }
    };
    let kind = kind.unwrap_or_else(|| Kind::of(&tape));
    let (rule, base) = match (judging.shape, shapes::shape(kind.name())) {
        (Some(expression), _) => (&expression.rule, expression.base),
        (None, Some(shape)) => (&shape.rule, Some(shape.name)),
        (None, None) => (&Rule::Anything, None),
    };
    let mut parts = file.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let folder = parts.next();
    let said = Said {
        label: name
            .strip_prefix("redistrib_")
            .and_then(|name| name.strip_suffix(".json")),
        product: judging
            .product
            .or(folder.filter(|folder| PRODUCTS.contains(folder))),
    };
    let scope = Scope::All(said);
    let Ok(findings) = judge_with(rule, tape.root(), |held, findings| {
        laws::hold(&held, scope, findings)
    });
    let (diagnostics, more) = tape.diagnose(file, findings.without_echoes());
    let members = tape.root().members().map_or(0, |members| {
        members
            .filter(|(_, value)| matches!(value.seen(), Seen::Record(_)))
            .count()
    });
    Report {
        shape: base.unwrap_or("anything"),
        members,
        diagnostics,
        more,
    }
}

/// Reads the JSON `text` as a shape that extends those of the table ([`Expression`]); `file` is its name in messages.
///
/// # Errors
/// What is wrong with it, as of a file of its own.
pub fn read_shape(text: &[u8], file: &str) -> Result<Expression, Report> {
    let refused = |diagnostics, more| Report {
        shape: "shape",
        members: 0,
        diagnostics,
        more,
    };
    let tape = Tape::try_parse(text, file)
        .map_err(|diagnostic| refused(vec![*diagnostic], More::default()))?;
    let Ok(read) = Expression::read(shapes::TABLE, tape.root());
    let (read, findings) = match read {
        Ok(expression) => (Some(expression), Findings::default()),
        Err(findings) => (None, findings),
    };
    let (diagnostics, more) = tape.diagnose(file, findings);
    match read {
        Some(expression) if diagnostics.is_empty() => Ok(expression),
        _ => Err(refused(diagnostics, more)),
    }
}

/// NVIDIA's products that have manifests. Source: nixpkgs, `_cuda/db/bootstrap/redist.nix`; the folders of NVIDIA's server.
const PRODUCTS: &[&str] = &[
    "cublasmp",
    "cuda",
    "cudnn",
    "cudss",
    "cuquantum",
    "cusolvermp",
    "cusparselt",
    "cutensor",
    "nppplus",
    "nvcomp",
    "nvjpeg2000",
    "nvpl",
    "nvshmem",
    "nvtiff",
    "tensorrt",
];

/// Holds `value` against `rule` and the laws of its records, errors and warnings: what any door does with any value.
///
/// # Errors
/// The first value that cannot be looked at.
pub fn problems<V: View>(rule: &Rule, value: V) -> Result<Findings<V>, V::Failure> {
    let scope = Scope::All(Said::default());
    let findings = judge_with(rule, value, |held, findings| {
        laws::hold(&held, scope, findings)
    })?;
    Ok(findings.without_echoes())
}

/// [`problems`] without the warnings.
///
/// # Errors
/// Those of [`problems`].
pub fn errors<V: View>(rule: &Rule, value: V) -> Result<Findings<V>, V::Failure> {
    judge_with(rule, value, |held, findings| {
        laws::hold(&held, Scope::Errors, findings)
    })
}

/// A JSON text that passed, still as a tape: what the evaluator is given.
pub struct Checked<'t> {
    tape: Tape<'t>,
    /// The cells of package objects with their digests, ascending; none but in redistrib manifests.
    packages: Vec<(u32, Sha256)>,
    /// The SRI texts of `packages`, one after the other.
    hashes: String,
    /// The number of the key `hash`, where it is added; the tape's own keys come before it, or hold it.
    hash_key: Option<u32>,
}

/// The length of the SRI text of a SHA-256: `sha256-` and 44 characters.
const SRI_LENGTH: usize = 51;

impl<'t> Checked<'t> {
    /// The keys that [`Token::Key`] in [`Checked::tokens`] counts from 0, each once; `hash` is among them if it is added.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let own = self.tape.keys();
        let number = self
            .hash_key
            .and_then(|number| usize::try_from(number).ok());
        let is_extra = number.is_some_and(|number| number == own.len());
        own.chain(is_extra.then_some("hash"))
    }

    /// The checked value: the text's own tokens. In a redistrib manifest each package object has one more member, first of
    /// all: `hash`, its `sha256` as an SRI text.
    ///
    /// A value is one token, or [`Token::List`]`(n)` and n values, or [`Token::Attrs`]`(n)` and n times
    /// [`Token::Key`] and a value. The first token begins the whole value.
    pub fn tokens(&self) -> impl Iterator<Item = Token<'_>> {
        let mut cells = 0_u32..;
        let mut packages = self
            .packages
            .iter()
            .map(|(cell, _)| *cell)
            .enumerate()
            .peekable();
        self.tape.tokens().flat_map(move |token| {
            let cell = cells.next().unwrap_or(u32::MAX);
            let (token, added) = match (token, packages.peek(), self.hash_key) {
                (Token::Attrs(count), Some((number, package)), Some(hash_key))
                    if *package == cell =>
                {
                    let start = number * SRI_LENGTH;
                    let sri = self
                        .hashes
                        .get(start..start + SRI_LENGTH)
                        .unwrap_or_default();
                    packages.next();
                    (
                        Token::Attrs(count + 1),
                        Some([Token::Key(hash_key), Token::String(sri)]),
                    )
                }
                _ => (token, None),
            };
            std::iter::once(token).chain(added.into_iter().flatten())
        })
    }

    /// How many tokens [`Checked::tokens`] yields.
    pub fn token_count(&self) -> usize {
        self.tape.tokens().len() + 2 * self.packages.len()
    }
}

/// Checks the `text` of a `kind` and keeps it as a tape; `file` is its name in messages.
///
/// # Errors
/// Rejected: all problems of the text, sorted by place; warnings are left out.
pub fn check<'t>(kind: Kind, text: &'t [u8], file: &str) -> Result<Checked<'t>, Error> {
    let tape = checked_tape(kind, text, file)?;
    let mut packages = Vec::new();
    let mut hash_key = None;
    if kind == Kind::Redistrib {
        let sha256_key = tape.key_number("sha256");
        let mut object = 0;
        let mut is_digest = false;
        for (cell, token) in (0..).zip(tape.tokens()) {
            match token {
                Token::Attrs(_) => object = cell,
                // In a manifest that passed, a string below the key `sha256` is a package object's: packages, platforms and
                // variants of that name are objects, and a package object holds strings only, so it is the one begun last.
                Token::String(text) if is_digest => {
                    packages.push((
                        object,
                        Sha256::from_hex(text).map_err(|_| unexpected(file))?,
                    ));
                }
                _ => {}
            }
            is_digest = matches!(token, Token::Key(key) if Some(key) == sha256_key);
        }
        hash_key = Some(match tape.key_number("hash") {
            Some(number) => number,
            None => u32::try_from(tape.keys().len()).map_err(|_| unexpected(file))?,
        });
    }
    let mut hashes = String::with_capacity(packages.len() * SRI_LENGTH);
    for (_, sha256) in &packages {
        sha256.push_sri(&mut hashes);
    }
    Ok(Checked {
        tape,
        packages,
        hashes,
        hash_key,
    })
}

/// Checks the redistrib manifest `text` and reads it; `file` is its name in messages.
///
/// # Errors
/// Rejected: all problems of the text, sorted by place; warnings are left out.
pub fn read(text: &[u8], file: &str) -> Result<Manifest, Error> {
    let tape = checked_tape(Kind::Redistrib, text, file)?;
    manifest_of(tape.root()).ok_or_else(|| unexpected(file).into())
}

fn checked_tape<'t>(kind: Kind, text: &'t [u8], file: &str) -> Result<Tape<'t>, Error> {
    let tape = Tape::parse(text, file)?;
    let shape = shapes::shape(kind.name());
    let rule = shape.map_or(&Rule::Anything, |shape| &shape.rule);
    let Ok(findings) = errors(rule, tape.root());
    tape.report(file, findings)?;
    Ok(tape)
}

/// What cannot happen: a value that passed does not read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read what was judged to be fine: this is a bug in cuda-redist")]
struct Unexpected {
    file: String,
}

impl Problem for Unexpected {
    fn kind(&self) -> Fault {
        Fault::Fault
    }

    fn place(&self) -> Option<String> {
        Some(self.file.clone())
    }
}

fn unexpected(file: &str) -> Unexpected {
    Unexpected {
        file: text::printable(file),
    }
}

fn manifest_of(node: Node<'_, '_>) -> Option<Manifest> {
    let mut manifest = Manifest {
        release_date: None,
        release_label: None,
        release_product: None,
        packages: BTreeMap::new(),
    };
    for (key, value) in node.members()? {
        match key {
            "release_date" => manifest.release_date = Some(value.text()?.to_owned()),
            "release_label" => manifest.release_label = Some(value.text()?.to_owned()),
            "release_product" => manifest.release_product = Some(value.text()?.to_owned()),
            _ => {
                manifest.packages.insert(key.to_owned(), release_of(value)?);
            }
        }
    }
    Some(manifest)
}

/// The release in `node`; `None` unless it passed the shape `redistribRelease` or `buildableRelease`.
pub fn release_of(node: Node<'_, '_>) -> Option<Release> {
    let (mut name, mut license, mut license_path, mut version, mut variants) =
        (None, None, None, None, None);
    for (key, value) in node.members()? {
        match key {
            "name" => name = Some(value.text()?.to_owned()),
            "license" => license = Some(value.text()?.to_owned()),
            "license_path" => license_path = Some(value.text()?.to_owned()),
            "version" => version = Some(value.text()?.parse::<Version>().ok()?),
            marker if marker.ends_with(VARIANT_ENDING) => {
                variants = Some(Variants {
                    key: marker.to_owned(),
                    values: value.texts()?,
                });
            }
            _ => {}
        }
    }
    let mut platforms = BTreeMap::new();
    for (key, value) in node.members()? {
        let is_field = RELEASE_FIELDS.iter().any(|field| field.name == key);
        if is_field || key.ends_with(VARIANT_ENDING) {
            continue;
        }
        let entries = match variants {
            None => Entries::Flat(archive_of(value)?),
            Some(_) => {
                let variants = value
                    .members()?
                    .map(|(variant, value)| Some((variant.to_owned(), archive_of(value)?)));
                Entries::Variants(variants.collect::<Option<_>>()?)
            }
        };
        platforms.insert(key.parse().ok()?, entries);
    }
    Some(Release {
        name: name?,
        license: license?,
        license_path,
        version: version?,
        variants,
        platforms,
    })
}

fn archive_of(node: Node<'_, '_>) -> Option<Archive> {
    let (mut relative_path, mut sha256, mut md5, mut size_bytes) = (None, None, None, None);
    for (key, value) in node.members()? {
        let text = value.text()?;
        match key {
            "relative_path" => relative_path = Some(text.to_owned()),
            "sha256" => sha256 = Sha256::from_hex(text).ok(),
            "md5" => md5 = Some(Md5::from_hex(text).ok()?),
            "size" => size_bytes = Some(text.parse().ok()?),
            // Whoever has the archive has fetched it.
            "url" => {}
            _ => return None,
        }
    }
    Some(Archive {
        relative_path: relative_path?,
        sha256: sha256?,
        md5,
        size_bytes,
        _judged: Judged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small manifest, flat and with variants, as NVIDIA formats them.
    const MANIFEST: &str = r#"{
    "release_date": "2025-06-04",
    "release_label": "12.9.1",
    "release_product": "cuda",
    "cuda_cudart": {
        "name": "CUDA Runtime (cudart)",
        "license": "CUDA Toolkit",
        "license_path": "cuda_cudart/LICENSE.txt",
        "version": "12.9.79",
        "linux-x86_64": {
            "relative_path": "cuda_cudart/linux-x86_64/cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz",
            "sha256": "1f6ad42d4f530b24bfa35894ccf6b7209d2354f59101fd62ec4a6192a184ce99",
            "md5": "41e8dbbbcf7ccc7b3f6ec0a4ca57a7e1",
            "size": "1545764"
        }
    },
    "cudnn": {
        "name": "NVIDIA CUDA Deep Neural Network library",
        "license": "cudnn",
        "version": "9.8.0.87",
        "linux-riscv64": {
            "cuda12": {
                "relative_path": "cudnn/linux-riscv64/cudnn-linux-riscv64-9.8.0.87_cuda12-archive.tar.xz",
                "sha256": "2f6ad42d4f530b24bfa35894ccf6b7209d2354f59101fd62ec4a6192a184ce99",
                "md5": "42e8dbbbcf7ccc7b3f6ec0a4ca57a7e1",
                "size": "0"
            }
        },
        "cuda_variant": ["12"]
    }
}
"#;

    #[test]
    fn a_manifest_is_read() {
        let manifest = read(MANIFEST.as_bytes(), "redistrib_12.9.1.json").unwrap();
        assert_eq!(manifest.release_date(), Some("2025-06-04"));
        assert_eq!(manifest.release_label(), Some("12.9.1"));
        assert_eq!(manifest.release_product(), Some("cuda"));
        assert_eq!(
            manifest.packages().keys().collect::<Vec<_>>(),
            ["cuda_cudart", "cudnn"]
        );
        let cudart = &manifest.packages()["cuda_cudart"];
        assert_eq!(
            (cudart.name(), cudart.license()),
            ("CUDA Runtime (cudart)", "CUDA Toolkit")
        );
        assert_eq!(cudart.license_path(), Some("cuda_cudart/LICENSE.txt"));
        assert_eq!(
            (cudart.version().as_str(), cudart.variants()),
            ("12.9.79", None)
        );
        let Entries::Flat(archive) = &cudart.platforms()[&"linux-x86_64".parse().unwrap()] else {
            panic!("flat")
        };
        assert_eq!(archive.size_bytes, Some(1545764));
        assert_eq!(
            archive.md5.unwrap().to_hex(),
            "41e8dbbbcf7ccc7b3f6ec0a4ca57a7e1"
        );
        let cudnn = &manifest.packages()["cudnn"];
        assert_eq!(
            (cudnn.license_path(), cudnn.variants()),
            (
                None,
                Some(&Variants {
                    key: "cuda_variant".to_owned(),
                    values: vec!["12".to_owned()],
                })
            )
        );
        let Entries::Variants(variants) = &cudnn.platforms()[&"linux-riscv64".parse().unwrap()]
        else {
            panic!("nested")
        };
        assert!(variants["cuda12"].sha256.to_hex().starts_with("2f6ad42d"));
    }

    /// What `builtins.fromJSON` would make, with the `hash` of each package object, from the tokens alone.
    fn value<'a>(keys: &[&str], tokens: &mut impl Iterator<Item = Token<'a>>) -> serde_json::Value {
        match tokens.next().unwrap() {
            Token::String(text) => text.into(),
            Token::List(count) => (0..count).map(|_| value(keys, tokens)).collect(),
            Token::Attrs(count) => {
                let mut object = serde_json::Map::new();
                for _ in 0..count {
                    let Some(Token::Key(key)) = tokens.next() else {
                        panic!("a key")
                    };
                    assert!(
                        object
                            .insert(keys[key as usize].to_owned(), value(keys, tokens))
                            .is_none()
                    );
                }
                object.into()
            }
            token => panic!("a manifest holds no {token:?}"),
        }
    }

    #[test]
    fn tokens_add_a_hash_to_each_package_object() {
        // The second manifest uses the name `hash` itself, and `sha256` where it is no digest.
        let odd = MANIFEST
            .replace("cuda_cudart\":", "hash\":")
            .replace("cudnn\":", "sha256\":");
        for text in [MANIFEST, &odd] {
            let checked = check(Kind::Redistrib, text.as_bytes(), "x.json").unwrap();
            let keys: Vec<_> = checked.keys().collect();
            let mut distinct = keys.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), keys.len());
            let mut tokens = checked.tokens();
            let value = value(&keys, &mut tokens);
            assert!(tokens.next().is_none());
            assert_eq!(checked.tokens().count(), checked.token_count());
            assert_eq!(checked.packages.len(), 2);

            let mut expected: serde_json::Value = serde_json::from_str(text).unwrap();
            let (flat, nested) = if text == MANIFEST {
                ("cuda_cudart", "cudnn")
            } else {
                ("hash", "sha256")
            };
            let sri = |hex: &str| Sha256::from_hex(hex).unwrap().to_sri().into();
            let flat = &mut expected[flat]["linux-x86_64"];
            flat["hash"] = sri("1f6ad42d4f530b24bfa35894ccf6b7209d2354f59101fd62ec4a6192a184ce99");
            let nested = &mut expected[nested]["linux-riscv64"]["cuda12"];
            nested["hash"] =
                sri("2f6ad42d4f530b24bfa35894ccf6b7209d2354f59101fd62ec4a6192a184ce99");
            assert_eq!(value, expected);
        }
    }

    fn refusal_of(text: &str) -> String {
        let error = read(text.as_bytes(), "redistrib_12.9.1.json").unwrap_err();
        assert!(error.is_rejected());
        let same = check(Kind::Redistrib, text.as_bytes(), "redistrib_12.9.1.json")
            .err()
            .unwrap();
        assert_eq!(same.render(), error.render());
        error.render()
    }

    /// The refusal of the manifest with its first `from` replaced.
    fn refusal(from: &str, to: &str) -> String {
        assert!(MANIFEST.contains(from), "{from}");
        refusal_of(&MANIFEST.replacen(from, to, 1))
    }

    #[test]
    fn wrong_values_are_refused() {
        insta::assert_snapshot!(refusal("\"1f6a", "\"f6a"), @"redistrib_12.9.1.json:12:23: `cuda_cudart.linux-x86_64.sha256`: expected 64 lowercase hex digits, found 63 characters");
        insta::assert_snapshot!(refusal("\"1f6a", "\"1F6a"), @"redistrib_12.9.1.json:12:23: `cuda_cudart.linux-x86_64.sha256`: expected 64 lowercase hex digits, found `F` as character 2");
        insta::assert_snapshot!(refusal("\"41e8", "\"41e8f"), @"redistrib_12.9.1.json:13:20: `cuda_cudart.linux-x86_64.md5`: expected 32 lowercase hex digits, found 33 characters");
        insta::assert_snapshot!(refusal("\"1545764\"", "489114936"), @"redistrib_12.9.1.json:14:21: `cuda_cudart.linux-x86_64.size`: expected a string of decimal digits (bytes), found the number 489114936");
        insta::assert_snapshot!(refusal("\"1545764\"", "\"1.5 MB\""), @"redistrib_12.9.1.json:14:21: `cuda_cudart.linux-x86_64.size`: expected a string of decimal digits (bytes), found `1.5 MB`");
        insta::assert_snapshot!(refusal("\"1545764\"", "\"99999999999999999999\""), @"redistrib_12.9.1.json:14:21: `cuda_cudart.linux-x86_64.size`: expected a string of decimal digits (bytes), found `99999999999999999999`, more than 64 bits can hold");
        insta::assert_snapshot!(refusal("\"12.9.79\"", "\"v12.9.79\""), @"redistrib_12.9.1.json:9:20: `cuda_cudart.version`: expected a version of digits and dots, found `v12.9.79`");
        insta::assert_snapshot!(refusal("\"12.9.79\"", "12.9"), @"redistrib_12.9.1.json:9:20: `cuda_cudart.version`: expected a version of digits and dots, found the number 12.9");
        insta::assert_snapshot!(refusal("\"CUDA Toolkit\"", "null"), @"redistrib_12.9.1.json:7:20: `cuda_cudart.license`: expected a line of text, not empty, found `null`");
        insta::assert_snapshot!(refusal("\"2025-06-04\"", "[2025]"), @"redistrib_12.9.1.json:2:21: `release_date`: expected a date such as `2025-06-04` (year-month-day), found a list");
        insta::assert_snapshot!(refusal("\"cuda_cudart/linux-x86_64/", "\"/cuda_cudart/linux-x86_64/"), @"redistrib_12.9.1.json:11:30: `cuda_cudart.linux-x86_64.relative_path`: expected a relative path that stays below the product's address, found the absolute path `/cuda_cudart/linux-x86_64/cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz`");
        insta::assert_snapshot!(refusal("\"cuda_cudart/linux-x86_64/", "\"cuda_cudart/../../"), @"redistrib_12.9.1.json:11:30: `cuda_cudart.linux-x86_64.relative_path`: expected a relative path that stays below the product's address, found `cuda_cudart/../../cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz` with the component `..`");
        insta::assert_snapshot!(refusal("[\"12\"]", "[\"12\", 13]"), @"redistrib_12.9.1.json:29:32: `cudnn.cuda_variant[1]`: expected a version such as `12` or `13.2`, found the number 13");
        insta::assert_snapshot!(refusal("[\"12\"]", "\"12\""), @"redistrib_12.9.1.json:29:25: `cudnn.cuda_variant`: expected a list, found the string `12`");
    }

    #[test]
    fn wrong_keys_are_refused() {
        insta::assert_snapshot!(refusal("\"sha256\"", "\"sha265\""), @r"
        redistrib_12.9.1.json:10:25: `cuda_cudart.linux-x86_64`: expected the key `sha256`, found an object without it
        redistrib_12.9.1.json:12:13: `cuda_cudart.linux-x86_64.sha265`: expected one of the keys `relative_path`, `sha256`, `md5`, `size`, found `sha265`
        hint: did you mean `sha256`
        ");
        insta::assert_snapshot!(refusal("\"license\"", "\"licence\""), @r"
        redistrib_12.9.1.json:5:20: `cuda_cudart`: expected the key `license`, found an object without it
        redistrib_12.9.1.json:7:20: `cuda_cudart.licence`: expected an object (a package), found the string `CUDA Toolkit`
        hint: did you mean `license`
        ");
        insta::assert_snapshot!(refusal("\"release_label\"", "\"release_lable\""), @r"
        redistrib_12.9.1.json:3:22: `release_lable`: expected an object (a release), found the string `12.9.1`
        hint: did you mean `release_label`
        ");
        insta::assert_snapshot!(refusal("\"size\": \"1545764\"", "\"size\": \"1545764\", \"size\": \"1\""), @"redistrib_12.9.1.json:14:32: `cuda_cudart.linux-x86_64.size`: expected each key once, found it a second time, first at 14:13");
        insta::assert_snapshot!(refusal("\"cuda_cudart\":", "\"../cudart\":"), @r#"redistrib_12.9.1.json:5:5: `"../cudart"`: expected as key a name of letters, digits, `_`, `-`, `.` and `+`, not starting with `.` or `-`, found `../cudart`"#);
        insta::assert_snapshot!(refusal("\"linux-x86_64\":", "\"linux x86\":"), @r#"redistrib_12.9.1.json:10:9: `cuda_cudart."linux x86"`: expected as key a name of letters, digits, `_`, `-`, `.` and `+`, not starting with `.` or `-`, found `linux x86`"#);
        insta::assert_snapshot!(refusal_of("[]"), @"redistrib_12.9.1.json:1:1: expected an object (a redistrib manifest), found a list");
    }

    #[test]
    fn nesting_goes_with_cuda_variant() {
        insta::assert_snapshot!(refusal(",\n        \"cuda_variant\": [\"12\"]", ""), @r"
        redistrib_12.9.1.json:21:26: `cudnn.linux-riscv64`: expected an object (a package), found an object (the packages of one platform by variant)
        hint: is `cuda_variant` missing?
        ");
        insta::assert_snapshot!(refusal("\"version\": \"12.9.79\"", "\"version\": \"12.9.79\", \"cuda_variant\": []"), @r"
        redistrib_12.9.1.json:10:25: `cuda_cudart.linux-x86_64`: expected an object (the packages of one platform by variant), found an object (a package)
        hint: should `cuda_variant` not be there?
        ");
    }

    #[test]
    fn all_problems_are_reported_by_place() {
        let text = MANIFEST
            .replace("\"size\": \"", "\"size\": \"x")
            .replace("\"md5\"", "\"md6\"")
            .replace("\"name\": ", "\"name\": 1, \"name\": ");
        insta::assert_snapshot!(refusal_of(&text), @r"
        redistrib_12.9.1.json:6:17: `cuda_cudart.name`: expected a line of text, not empty, found the number 1
        redistrib_12.9.1.json:6:20: `cuda_cudart.name`: expected each key once, found it a second time, first at 6:9
        redistrib_12.9.1.json:10:25: `cuda_cudart.linux-x86_64`: expected the key `md5`, found an object without it
        redistrib_12.9.1.json:13:13: `cuda_cudart.linux-x86_64.md6`: expected one of the keys `relative_path`, `sha256`, `md5`, `size`, found `md6`
        hint: did you mean `md5`
        redistrib_12.9.1.json:14:21: `cuda_cudart.linux-x86_64.size`: expected a string of decimal digits (bytes), found `x1545764`
        redistrib_12.9.1.json:18:17: `cudnn.name`: expected a line of text, not empty, found the number 1
        redistrib_12.9.1.json:18:20: `cudnn.name`: expected each key once, found it a second time, first at 18:9
        redistrib_12.9.1.json:22:23: `cudnn.linux-riscv64.cuda12`: expected the key `md5`, found an object without it
        redistrib_12.9.1.json:25:17: `cudnn.linux-riscv64.cuda12.md6`: expected one of the keys `relative_path`, `sha256`, `md5`, `size`, found `md6`
        hint: did you mean `md5`
        redistrib_12.9.1.json:26:25: `cudnn.linux-riscv64.cuda12.size`: expected a string of decimal digits (bytes), found `x0`
        ");
        let one_line: String = text.lines().collect();
        insta::assert_snapshot!(refusal_of(&one_line).lines().last().unwrap(), @"redistrib_12.9.1.json:1:1066: `cudnn.linux-riscv64.cuda12.size`: expected a string of decimal digits (bytes), found `x0`");
    }
}
