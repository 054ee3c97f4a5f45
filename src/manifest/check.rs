//! The judge of redistrib manifests, and what is made of those that pass.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::json::{Node, Tape, Token};
use super::{Archive, Entries, Judged, Manifest, Release, Version};
use crate::error::{Error, Kind, Problem};
use crate::hash::{Md5, Sha256};
use crate::relpath::{RelPath, RelPathError};
use crate::shape::{Field, Need, Record, Rest, Rule, Seen, Text, View};
use crate::text;

/// Any string.
const STRING: Rule = Rule::Text(&Text {
    expected: "a string",
    judge: |_| Ok(()),
});

/// A redistrib manifest, flat or with `cuda_variant`. Source: NVIDIA's redistrib-v2.schema.json and 185 manifests.
pub static MANIFEST: Record = Record {
    what: "a redistrib manifest",
    fields: &[
        Field {
            name: "release_date",
            need: Need::Optional,
            rule: STRING,
        },
        Field {
            name: "release_label",
            need: Need::Optional,
            rule: STRING,
        },
        Field {
            name: "release_product",
            need: Need::Optional,
            rule: STRING,
        },
    ],
    rest: Rest::Each {
        key: &NAME,
        rule: Rule::Record(&RELEASE),
    },
};

/// A release: what a manifest says of one package. Nested by variant exactly if it has `cuda_variant`.
pub static RELEASE: Record = Record {
    what: "a release",
    fields: &[
        Field {
            name: "name",
            need: Need::Required,
            rule: STRING,
        },
        Field {
            name: "license",
            need: Need::Required,
            rule: STRING,
        },
        Field {
            name: "license_path",
            need: Need::Optional,
            rule: STRING,
        },
        Field {
            name: "version",
            need: Need::Required,
            rule: Rule::Text(&VERSION),
        },
        Field {
            name: "cuda_variant",
            need: Need::Optional,
            rule: Rule::List(&STRING),
        },
    ],
    rest: Rest::Depends {
        key: &NAME,
        on: "cuda_variant",
        present: Rule::Record(&VARIANTS),
        absent: Rule::Record(&PACKAGE),
    },
};

/// The archives of one platform by variant.
static VARIANTS: Record = Record {
    what: "the packages of one platform by variant",
    fields: &[],
    rest: Rest::Each {
        key: &NAME,
        rule: Rule::Record(&PACKAGE),
    },
};

/// One archive: these four keys and no others in all 5 759 seen.
static PACKAGE: Record = Record {
    what: "a package",
    fields: &[
        Field {
            name: "relative_path",
            need: Need::Required,
            rule: Rule::Text(&RELATIVE_PATH),
        },
        Field {
            name: "sha256",
            need: Need::Required,
            rule: Rule::Text(&SHA256),
        },
        Field {
            name: "md5",
            need: Need::Required,
            rule: Rule::Text(&MD5),
        },
        Field {
            name: "size",
            need: Need::Required,
            rule: Rule::Text(&SIZE),
        },
    ],
    rest: Rest::Refused,
};

/// The name of a package, platform or variant. It becomes part of attribute paths and of store paths.
pub static NAME: Text = Text {
    expected: NAME_EXPECTED,
    judge: judge_name,
};

static VERSION: Text = Text {
    expected: VERSION_EXPECTED,
    judge: judge_version,
};

static SHA256: Text = Text {
    expected: Sha256::HEX,
    judge: |text| {
        Sha256::from_hex(text)
            .map(|_| ())
            .map_err(|error| error.found().to_owned())
    },
};

static MD5: Text = Text {
    expected: Md5::HEX,
    judge: |text| {
        Md5::from_hex(text)
            .map(|_| ())
            .map_err(|error| error.found().to_owned())
    },
};

static SIZE: Text = Text {
    expected: "a string of decimal digits (bytes)",
    judge: |text| match text {
        "" => Err("an empty string".to_owned()),
        _ if !text.bytes().all(|byte| byte.is_ascii_digit()) => Err(text::quote(text)),
        _ => text
            .parse::<u64>()
            .map(|_| ())
            .map_err(|_| format!("{}, more than 64 bits can hold", text::quote(text))),
    },
};

static RELATIVE_PATH: Text = Text {
    expected: "a relative path that stays below the product's address",
    judge: |path| match RelPath::new(path) {
        Ok(_) => Ok(()),
        Err(RelPathError::Empty) => Err("an empty string".to_owned()),
        Err(RelPathError::Absolute { .. }) => {
            Err(format!("the absolute path {}", text::quote(path)))
        }
        Err(RelPathError::Component { component, .. }) => Err(format!(
            "{} with the component `{component}`",
            text::quote(path)
        )),
        Err(RelPathError::Character { .. }) => Err(format!(
            "{} with a backslash or control character",
            text::quote(path)
        )),
    },
};

/// What [`judge_name`] reads, for messages.
pub(super) const NAME_EXPECTED: &str =
    "a name of letters, digits, `_`, `-`, `.` and `+`, not starting with `.` or `-`";

/// Is `text` a name? The error completes `found ...`.
pub(super) fn judge_name(text: &str) -> Result<(), String> {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+');
    match text.as_bytes().first() {
        None => Err("an empty string".to_owned()),
        Some(first) if !matches!(first, b'.' | b'-') && text.bytes().all(allowed) => Ok(()),
        Some(_) => Err(text::quote(text)),
    }
}

/// What [`judge_version`] reads, for messages.
pub(super) const VERSION_EXPECTED: &str = "a version of digits and dots";

/// Is `text` a version? The error completes `found ...`.
pub(super) fn judge_version(text: &str) -> Result<(), String> {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "" => Err("an empty string".to_owned()),
        _ if text.split('.').all(part) => Ok(()),
        _ => Err(text::quote(text)),
    }
}

/// A manifest that passed, still as a tape: what the evaluator is given.
pub struct Checked<'t> {
    tape: Tape<'t>,
    /// The cells of package objects with their digests, ascending.
    packages: Vec<(u32, Sha256)>,
    /// The SRI texts of `packages`, one after the other.
    hashes: String,
    /// The number of the key `hash`; the tape's own keys come before it, or hold it.
    hash_key: u32,
}

/// The length of the SRI text of a SHA-256: `sha256-` and 44 characters.
const SRI_LENGTH: usize = 51;

impl<'t> Checked<'t> {
    /// The keys that [`Token::Key`] in [`Checked::tokens`] counts from 0, each once; `hash` is among them.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let own = self.tape.keys();
        let is_extra = usize::try_from(self.hash_key).is_ok_and(|number| number == own.len());
        own.chain(is_extra.then_some("hash"))
    }

    /// The checked value: the text's own tokens, each package object having one more member, first of all: `hash`, its
    /// `sha256` as an SRI text.
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
            let (token, added) = match (token, packages.peek()) {
                (Token::Attrs(count), Some((number, package))) if *package == cell => {
                    let start = number * SRI_LENGTH;
                    let sri = self
                        .hashes
                        .get(start..start + SRI_LENGTH)
                        .unwrap_or_default();
                    packages.next();
                    (
                        Token::Attrs(count + 1),
                        Some([Token::Key(self.hash_key), Token::String(sri)]),
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

    /// How many package objects (archives) the manifest lists.
    pub fn archive_count(&self) -> usize {
        self.packages.len()
    }
}

/// Checks the redistrib manifest `text` and keeps it as a tape; `file` is its name in messages.
///
/// # Errors
/// Rejected: all problems of the text, sorted by place.
pub fn check<'t>(text: &'t [u8], file: &str) -> Result<Checked<'t>, Error> {
    let tape = Tape::parse(text, file)?;
    tape.judge(file, &Rule::Record(&MANIFEST))?;
    let sha256_key = tape.key_number("sha256");
    let mut packages = Vec::new();
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
    let mut hashes = String::with_capacity(packages.len() * SRI_LENGTH);
    for (_, sha256) in &packages {
        sha256.push_sri(&mut hashes);
    }
    let hash_key = match tape.key_number("hash") {
        Some(number) => number,
        None => u32::try_from(tape.keys().len()).map_err(|_| unexpected(file))?,
    };
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
/// Rejected: all problems of the text, sorted by place.
pub fn read(text: &[u8], file: &str) -> Result<Manifest, Error> {
    let tape = Tape::parse(text, file)?;
    tape.judge(file, &Rule::Record(&MANIFEST))?;
    manifest_of(tape.root()).ok_or_else(|| unexpected(file).into())
}

/// What cannot happen: a value that passed does not read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read what was judged to be fine: this is a bug in cuda-redist")]
struct Unexpected {
    file: String,
}

impl Problem for Unexpected {
    fn kind(&self) -> Kind {
        Kind::Fault
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
    for (key, value) in members(node)? {
        match key {
            "release_date" => manifest.release_date = Some(string(value)?),
            "release_label" => manifest.release_label = Some(string(value)?),
            "release_product" => manifest.release_product = Some(string(value)?),
            _ => {
                manifest.packages.insert(key.to_owned(), release_of(value)?);
            }
        }
    }
    Some(manifest)
}

/// The release in `node`; `None` unless it passed [`RELEASE`].
pub fn release_of(node: Node<'_, '_>) -> Option<Release> {
    let (mut name, mut license, mut license_path, mut version, mut cuda_variant) =
        (None, None, None, None, None);
    for (key, value) in members(node)? {
        match key {
            "name" => name = Some(string(value)?),
            "license" => license = Some(string(value)?),
            "license_path" => license_path = Some(string(value)?),
            "version" => version = Some(text_of(value)?.parse::<Version>().ok()?),
            "cuda_variant" => cuda_variant = Some(strings(value)?),
            _ => {}
        }
    }
    let mut platforms = BTreeMap::new();
    for (key, value) in members(node)? {
        if RELEASE.fields.iter().any(|field| field.name == key) {
            continue;
        }
        let entries = match cuda_variant {
            None => Entries::Flat(archive_of(value)?),
            Some(_) => {
                let variants = members(value)?
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
        cuda_variant,
        platforms,
    })
}

fn archive_of(node: Node<'_, '_>) -> Option<Archive> {
    let (mut relative_path, mut sha256, mut md5, mut size_bytes) = (None, None, None, None);
    for (key, value) in members(node)? {
        let text = text_of(value)?;
        match key {
            "relative_path" => relative_path = Some(text.to_owned()),
            "sha256" => sha256 = Sha256::from_hex(text).ok(),
            "md5" => md5 = Md5::from_hex(text).ok(),
            "size" => size_bytes = text.parse().ok(),
            _ => return None,
        }
    }
    Some(Archive {
        relative_path: relative_path?,
        sha256: sha256?,
        md5: md5?,
        size_bytes: size_bytes?,
        _judged: Judged,
    })
}

/// What `node` is; looking at JSON cannot fail.
fn look<'a, 't>(node: Node<'a, 't>) -> Seen<Node<'a, 't>> {
    let seen: Result<_, Infallible> = node.look();
    let Ok(seen) = seen;
    seen
}

fn members<'a, 't>(node: Node<'a, 't>) -> Option<impl Iterator<Item = (&'a str, Node<'a, 't>)>> {
    if let Seen::Record(members) = look(node) {
        Some(members)
    } else {
        None
    }
}

fn text_of<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    if let Seen::Text(text) = look(node) {
        Some(text)
    } else {
        None
    }
}

fn string(node: Node<'_, '_>) -> Option<String> {
    text_of(node).map(str::to_owned)
}

fn strings(node: Node<'_, '_>) -> Option<Vec<String>> {
    if let Seen::List(items) = look(node) {
        items.map(string).collect()
    } else {
        None
    }
}
