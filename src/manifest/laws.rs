//! What must hold between distant parts of a file, and what should.
//!
//! Shapes say what each value must be. The rest is here: errors where a file contradicts itself, and warnings where names,
//! paths and versions do not agree as they do in NVIDIA's own files. A record of the table names its law; the engine asks
//! for it wherever such a record is, in a file, in a plan, in a shape of one's own. Only members whose rule still says that
//! they are looked at are looked at.

mod release;

use std::collections::HashMap;

use self::release::{platforms, release};
use super::texts::POOL;
use crate::error::Severity;
use crate::hash::{Md5, Sha256};
use crate::shape::{Finding, Findings, Held, Path, Record, Rule, Seen, Spot, View};
use crate::text;

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'f> {
    /// Errors alone.
    Errors,
    /// Warnings as well; what the file's name, folder and user say is held against what it says itself.
    All(Said<'f>),
}

/// What is known of a file besides its content.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'f> {
    /// The label in its name: `redistrib_LABEL.json`.
    pub(super) label: Option<&'f str>,
    /// The product that its user names, or its folder.
    pub(super) product: Option<&'f str>,
}

/// The law of a redistrib manifest.
pub(super) const MANIFEST: &str = "manifest";
/// The law of a release.
pub(super) const RELEASE: &str = "release";
/// The law of a record whose keys are platforms.
pub(super) const PLATFORMS: &str = "platforms";
/// The law of lists of releases by platform.
pub(super) const RELEASES: &str = "releases";

/// Holds a record against its law.
pub(super) fn hold<V: View>(
    held: &Held<'_, V>,
    scope: Scope<'_>,
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    match held.law {
        MANIFEST => manifest(held, scope, findings),
        RELEASE => release(held, scope, findings),
        PLATFORMS => {
            platforms(held, scope, findings);
            Ok(())
        }
        RELEASES => releases(held, scope, findings),
        _ => Ok(()),
    }
}

fn manifest<V: View>(
    held: &Held<'_, V>,
    scope: Scope<'_>,
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    if let Scope::All(said) = scope {
        for (name, code, expected, from) in [
            (
                "release_label",
                "label",
                said.label,
                "as in the file's name",
            ),
            (
                "release_product",
                "product",
                said.product,
                "as asked for, or as the folder is named",
            ),
        ] {
            if let Some(expected) = expected
                && let Some((found, value)) = text_of::<V>(held.record, &held.members, name)?
                && found.as_ref() != expected
            {
                findings.push(Finding {
                    severity: Severity::Warning,
                    code,
                    spot: Spot::Value(value),
                    path: held.path.key(name).to_string(),
                    expected: format!("{} {from}", text::quote(expected)),
                    found: text::quote(found.as_ref()),
                    hint: None,
                });
            }
        }
    }
    let mut files = Vec::new();
    collect(held.record, held.members.clone(), &Keys::NONE, &mut files)?;
    let is_sha256 = |text: &str| Sha256::check_hex(text).is_ok();
    let is_md5 = |text: &str| Md5::check_hex(text).is_ok();
    reused(
        held.path,
        &files,
        "sha256",
        |file| file.sha256.as_ref(),
        is_sha256,
        findings,
    );
    reused(
        held.path,
        &files,
        "md5",
        |file| file.md5.as_ref(),
        is_md5,
        findings,
    );
    pools(held, &files, findings)
}

/// The keys that lead to an archive: package, platform, variant.
#[derive(Clone, Debug)]
struct Keys<T>([Option<T>; 3]);

impl<T: Clone> Keys<T> {
    const NONE: Keys<T> = Keys([None, None, None]);

    /// These and one more; `None` when there are too many.
    fn and(&self, key: T) -> Option<Keys<T>> {
        let Keys([first, second, _]) = self.clone();
        Some(Keys(match (first, second) {
            (None, _) => [Some(key), None, None],
            (first, None) => [first, Some(key), None],
            (first, second) if self.0.iter().any(Option::is_none) => [first, second, Some(key)],
            _ => return None,
        }))
    }
}

impl<T: AsRef<str>> Keys<T> {
    /// The path of the key `last` below these; of these themselves when it is empty.
    fn path(&self, path: &Path<'_>, last: &str) -> String {
        fn below<T: AsRef<str>>(keys: &[Option<T>], last: &str, path: &Path<'_>) -> String {
            match keys.split_first() {
                Some((Some(key), rest)) => below(rest, last, &path.key(key.as_ref())),
                _ if last.is_empty() => path.to_string(),
                _ => path.key(last).to_string(),
            }
        }
        below(&self.0, last, path)
    }
}

/// A text and the value it is of.
type Told<V> = (<V as View>::Text, V);

/// One archive that a manifest lists.
struct File<V: View> {
    keys: Keys<V::Text>,
    relative_path: Told<V>,
    sha256: Option<Told<V>>,
    md5: Option<Told<V>>,
}

/// All archives in a record, however deep its rules go.
fn collect<V: View>(
    record: &Record,
    members: V::Members,
    keys: &Keys<V::Text>,
    files: &mut Vec<File<V>>,
) -> Result<(), V::Failure> {
    if is_text(record, "relative_path") {
        // One pass for all three: there are thousands of archives.
        let (mut relative_path, mut sha256, mut md5) = (None, None, None);
        for (key, value) in members {
            let (name, slot) = match key.as_ref() {
                "relative_path" => ("relative_path", &mut relative_path),
                "sha256" => ("sha256", &mut sha256),
                "md5" => ("md5", &mut md5),
                _ => continue,
            };
            if is_text(record, name)
                && let Seen::Text(text) = value.look()?
            {
                *slot = Some((text, value));
            }
        }
        if let Some(relative_path) = relative_path {
            files.push(File {
                keys: keys.clone(),
                relative_path,
                sha256,
                md5,
            });
        }
        return Ok(());
    }
    let is_marked = record.is_marked(members.clone().map(|(key, _)| key));
    for (key, value) in members {
        let Some(Rule::Record(inner)) = record.rule_of(key.as_ref(), is_marked) else {
            continue;
        };
        if let Seen::Record(members) = value.look()?
            && let Some(keys) = keys.and(key)
        {
            collect(inner, members, &keys, files)?;
        }
    }
    Ok(())
}

/// One hash for two files: a line that was copied, and one of them can never be fetched.
fn reused<V: View>(
    path: &Path<'_>,
    files: &[File<V>],
    key: &str,
    hash_of: fn(&File<V>) -> Option<&Told<V>>,
    is_hash: fn(&str) -> bool,
    findings: &mut Findings<V>,
) {
    let mut by_hash: Vec<_> = files
        .iter()
        .enumerate()
        .filter_map(|(number, file)| Some((hash_of(file)?, number, file)))
        .collect();
    by_hash.sort_by(|((left, _), ..), ((right, _), ..)| left.as_ref().cmp(right.as_ref()));
    let mut first: Option<(&str, &File<V>)> = None;
    let mut reused = Vec::new();
    for ((hash, value), number, file) in by_hash {
        match first {
            Some((same, first)) if same == hash.as_ref() => {
                if first.relative_path.0.as_ref() != file.relative_path.0.as_ref() && is_hash(same)
                {
                    reused.push((number, *value, first, file));
                }
            }
            _ => first = Some((hash.as_ref(), file)),
        }
    }
    reused.sort_by_key(|(number, ..)| *number);
    for (_, value, first, file) in reused {
        findings.push_with(Severity::Error, || {
            error(
                "hash-reuse",
                Spot::Value(value),
                file.keys.path(path, key),
                "a hash of its own".to_owned(),
                format!(
                    "that of `{}`, which is another file ({})",
                    first.keys.path(path, ""),
                    text::quote(first.relative_path.0.as_ref())
                ),
            )
        });
    }
}

/// Paths into a channel's pool: all of a manifest, or none.
fn pools<V: View>(
    held: &Held<'_, V>,
    files: &[File<V>],
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    let is_pool = |path: &V::Text| path.as_ref().starts_with(POOL);
    let of_files = || files.iter().filter(|file| is_pool(&file.relative_path.0));
    if !files.is_empty() && of_files().count() == files.len() {
        return Ok(());
    }
    let mut push = |path: String, text: &V::Text, value: V| {
        findings.push_with(Severity::Error, || {
            error(
                "pool",
                Spot::Value(value),
                path,
                "a path below the product's address, as others of the manifest".to_owned(),
                format!("{}, as in a channel's manifest", text::quote(text.as_ref())),
            )
        });
    };
    for file in of_files() {
        let (text, value) = &file.relative_path;
        push(file.keys.path(held.path, "relative_path"), text, *value);
    }
    for (package, value) in held.members.clone() {
        if let Some(Rule::Record(release)) = held.record.rule_of(package.as_ref(), false)
            && let Seen::Record(members) = value.look()?
            && let Some((text, value)) = text_of::<V>(release, &members, "license_path")?
            && is_pool(&text)
        {
            let package = held.path.key(package.as_ref());
            push(package.key("license_path").to_string(), &text, value);
        }
    }
    Ok(())
}

fn releases<V: View>(
    held: &Held<'_, V>,
    scope: Scope<'_>,
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    platforms(held, scope, findings);
    // The first file with each hash: its path and name.
    let mut files: HashMap<Sha256, (String, String)> = HashMap::new();
    for (platform, list) in held.members.clone() {
        let Some(Rule::List(item_rule)) = held.record.rule_of(platform.as_ref(), false) else {
            continue;
        };
        let (Rule::Record(record), Seen::List(items)) = (&**item_rule, list.look()?) else {
            continue;
        };
        let at_platform = held.path.key(platform.as_ref());
        for (number, item) in items.enumerate() {
            let Seen::Record(members) = item.look()? else {
                continue;
            };
            let at_item = at_platform.item(number);
            // What tells files apart in both: the name, which an address ends in.
            let named = match text_of::<V>(record, &members, "url")? {
                Some((url, value)) => Some(("url", url, value)),
                None => text_of::<V>(record, &members, "filename")?
                    .map(|(name, value)| ("filename", name, value)),
            };
            let Some((key, file, value)) = named else {
                continue;
            };
            let name = file.as_ref().rsplit('/').next().unwrap_or_default();
            if let Scope::All(_) = scope
                && let Some((version, _)) = text_of::<V>(record, &members, "version")?
                && !name.contains(version.as_ref())
            {
                findings.push_with(Severity::Warning, || {
                    warning(
                        "path",
                        Spot::Value(value),
                        at_item.key(key).to_string(),
                        format!(
                            "a file name with the version {}",
                            text::quote(version.as_ref())
                        ),
                        text::quote(name),
                    )
                });
            }
            let Some((hash, value)) = text_of::<V>(record, &members, "hash")? else {
                continue;
            };
            let Ok(sha256) = Sha256::from_any(hash.as_ref()) else {
                continue;
            };
            match files.get(&sha256) {
                Some((first, other)) if other != name => {
                    findings.push_with(Severity::Error, || {
                        error(
                            "hash-reuse",
                            Spot::Value(value),
                            at_item.key("hash").to_string(),
                            "a hash of its own".to_owned(),
                            format!(
                                "that of `{first}`, which is another file ({})",
                                text::quote(other)
                            ),
                        )
                    })
                }
                Some(_) => {}
                None => {
                    files.insert(sha256, (at_item.to_string(), name.to_owned()));
                }
            }
        }
    }
    Ok(())
}

/// Is the field `name` a text?
fn is_text(record: &Record, name: &str) -> bool {
    let field = record.fields.iter().find(|field| field.name == name);
    field.is_some_and(|field| matches!(field.rule, Rule::Text(_)))
}

/// The text of the member `name`, if its rule says that it is one.
fn text_of<V: View>(
    record: &Record,
    members: &V::Members,
    name: &str,
) -> Result<Option<Told<V>>, V::Failure> {
    if !is_text(record, name) {
        return Ok(None);
    }
    for (key, value) in members.clone() {
        if key.as_ref() == name {
            return Ok(match value.look()? {
                Seen::Text(text) => Some((text, value)),
                _ => None,
            });
        }
    }
    Ok(None)
}

fn error<V>(
    code: &'static str,
    spot: Spot<V>,
    path: String,
    expected: String,
    found: String,
) -> Finding<V> {
    Finding {
        severity: Severity::Error,
        ..warning(code, spot, path, expected, found)
    }
}

fn warning<V>(
    code: &'static str,
    spot: Spot<V>,
    path: String,
    expected: String,
    found: String,
) -> Finding<V> {
    Finding {
        severity: Severity::Warning,
        code,
        spot,
        path,
        expected,
        found,
        hint: None,
    }
}
