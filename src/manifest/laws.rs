//! What must hold between distant parts of a file, and what should.
//!
//! Shapes say what each value must be. The rest is here: errors where a file contradicts itself, and warnings where names,
//! paths and versions do not agree as they do in NVIDIA's own files. A record of the table names its law; the engine asks
//! for it wherever such a record is, in a file, in a plan, in a shape of one's own. Only members whose rule still says that
//! they are looked at are looked at.

use std::collections::HashMap;

use super::platform::Platform;
use super::shapes::VARIANT_ENDING;
use super::texts::POOL;
use crate::error::Severity;
use crate::hash::{Md5, Sha256};
use crate::shape::{Finding, Findings, Held, Path, Record, Rule, Seen, Spot, View, near};
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

/// One archive that a manifest lists.
struct File<V: View> {
    keys: Keys<V::Text>,
    relative_path: (V::Text, V),
    sha256: Option<(V::Text, V)>,
    md5: Option<(V::Text, V)>,
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
    hash_of: fn(&File<V>) -> Option<&(V::Text, V)>,
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

fn release<V: View>(
    held: &Held<'_, V>,
    scope: Scope<'_>,
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    let Held {
        record,
        members,
        path,
        ..
    } = held;
    let mut marker: Option<(V::Text, V)> = None;
    for (key, value) in members.clone() {
        if !record.is_marker(key.as_ref()) {
            continue;
        }
        match &marker {
            None => marker = Some((key, value)),
            // The same one twice is told as any doubled key.
            Some((first, _)) if first.as_ref() == key.as_ref() => {}
            Some((first, _)) => findings.push_with(Severity::Error, || {
                error(
                    "variant",
                    Spot::KeyOf(value),
                    path.key(key.as_ref()).to_string(),
                    format!("one key that ends in `{VARIANT_ENDING}`"),
                    format!("another beside {}", text::quote(first.as_ref())),
                )
            }),
        }
    }
    let is_marked = marker.is_some();
    let mut variants = match marker {
        Some((key, list)) => Variants::read(key, list, path, scope, findings)?,
        None => None,
    };
    if matches!((scope, &variants), (Scope::Errors, None)) {
        return Ok(());
    }
    platforms(held, scope, findings);
    let version = match scope {
        Scope::Errors => None,
        Scope::All(_) => text_of::<V>(record, members, "version")?,
    };
    for (platform, value) in members.clone() {
        let Some(Rule::Record(inner)) = record.rule_of(platform.as_ref(), is_marked) else {
            continue;
        };
        let Seen::Record(members) = value.look()? else {
            continue;
        };
        let at_platform = path.key(platform.as_ref());
        let named = version.as_ref().map(|(version, _)| Named {
            package: path.last_key().unwrap_or_default(),
            platform: platform.as_ref(),
            version: version.as_ref(),
            variant: None,
        });
        if !is_marked {
            if let Some(named) = named {
                named.hold(inner, &members, &at_platform, findings)?;
            }
            continue;
        }
        for (variant, value) in members {
            let Some(Rule::Record(package)) = inner.rule_of(variant.as_ref(), false) else {
                continue;
            };
            let Seen::Record(members) = value.look()? else {
                continue;
            };
            let at_variant = at_platform.key(variant.as_ref());
            if let Some(variants) = &mut variants
                && !variants.mark(variant.as_ref())
            {
                findings.push_with(Severity::Error, || {
                    error(
                        "variant",
                        Spot::KeyOf(value),
                        at_variant.to_string(),
                        format!(
                            "a variant that {} lists ({})",
                            text::quote(variants.key.as_ref()),
                            variants.names()
                        ),
                        text::quote(variant.as_ref()),
                    )
                });
            }
            if let Some(named) = named {
                let variant = Some(variant.as_ref());
                Named { variant, ..named }.hold(package, &members, &at_variant, findings)?;
            }
        }
    }
    if let (Scope::All(_), Some(variants)) = (scope, &variants) {
        variants.unused(path, findings);
    }
    Ok(())
}

/// A release's list of variants.
struct Variants<V: View> {
    key: V::Text,
    prefix: String,
    /// In the order of the list.
    values: Vec<(V, V::Text)>,
    /// The numbers in `values` by what is there, and whether a platform has it.
    numbers: HashMap<String, (usize, bool)>,
}

impl<V: View> Variants<V> {
    /// How many names a message lists.
    const SHOWN: usize = 12;

    /// `None` when `list` is no list of strings: what it should have listed is then anybody's guess.
    fn read(
        key: V::Text,
        list: V,
        path: &Path<'_>,
        scope: Scope<'_>,
        findings: &mut Findings<V>,
    ) -> Result<Option<Variants<V>>, V::Failure> {
        let Seen::List(items) = list.look()? else {
            return Ok(None);
        };
        let (mut values, mut numbers) = (Vec::new(), HashMap::new());
        for (number, item) in items.enumerate() {
            let Seen::Text(text) = item.look()? else {
                return Ok(None);
            };
            if let Some((first, _)) = numbers.get(text.as_ref()) {
                if let Scope::All(_) = scope {
                    findings.push_with(Severity::Warning, || {
                        warning(
                            "variant",
                            Spot::Value(item),
                            path.key(key.as_ref()).item(number).to_string(),
                            "each variant once".to_owned(),
                            format!(
                                "{} a second time, first as [{first}]",
                                text::quote(text.as_ref())
                            ),
                        )
                    });
                }
            } else {
                numbers.insert(text.as_ref().to_owned(), (number, false));
            }
            values.push((item, text));
        }
        let prefix = key.as_ref().strip_suffix(VARIANT_ENDING);
        Ok(Some(Variants {
            prefix: prefix.unwrap_or_default().to_owned(),
            key,
            values,
            numbers,
        }))
    }

    /// What it lists, for messages.
    fn names(&self) -> String {
        let name =
            |(_, text): &(V, V::Text)| text::quote(&format!("{}{}", self.prefix, text.as_ref()));
        let shown: Vec<_> = self.values.iter().take(Self::SHOWN).map(name).collect();
        match self.values.len() {
            0 => "none".to_owned(),
            count if count > Self::SHOWN => format!("{}, ...", shown.join(", ")),
            _ => shown.join(", "),
        }
    }

    /// Notes that a platform has `variant`; false when it is not listed.
    fn mark(&mut self, variant: &str) -> bool {
        let value = variant.strip_prefix(self.prefix.as_str());
        let listed = value.and_then(|value| self.numbers.get_mut(value));
        listed.is_some_and(|(_, is_used)| {
            *is_used = true;
            true
        })
    }

    /// Variants that no platform has.
    fn unused(&self, path: &Path<'_>, findings: &mut Findings<V>) {
        let mut unused: Vec<_> = self
            .numbers
            .values()
            .filter(|(_, is_used)| !is_used)
            .collect();
        unused.sort_unstable();
        for (number, _) in unused {
            let Some((value, text)) = self.values.get(*number) else {
                continue;
            };
            findings.push_with(Severity::Warning, || {
                let name = format!("{}{}", self.prefix, text.as_ref());
                warning(
                    "variant",
                    Spot::Value(*value),
                    path.key(self.key.as_ref()).item(*number).to_string(),
                    format!("a platform with the variant {}", text::quote(&name)),
                    "none".to_owned(),
                )
            });
        }
    }
}

/// What a manifest says of an archive outside of its path.
#[derive(Clone, Copy)]
struct Named<'n> {
    package: &'n str,
    platform: &'n str,
    version: &'n str,
    variant: Option<&'n str>,
}

impl Named<'_> {
    /// Warns if the path in the archive's record disagrees.
    fn hold<V: View>(
        self,
        record: &Record,
        members: &V::Members,
        path: &Path<'_>,
        findings: &mut Findings<V>,
    ) -> Result<(), V::Failure> {
        if !self.package.is_empty()
            && let Some((relative_path, value)) = text_of::<V>(record, members, "relative_path")?
            && let Some((expected, found)) = self.disagreement(relative_path.as_ref())
        {
            findings.push_with(Severity::Warning, || {
                let path = path.key("relative_path").to_string();
                warning("path", Spot::Value(value), path, expected, found)
            });
        }
        Ok(())
    }

    /// The path that NVIDIA's rule makes of the names, and the path that is there, if they disagree:
    /// `PACKAGE/PLATFORM/PACKAGE-PLATFORM-VERSION[_VARIANT]-archive.EXTENSION`.
    ///
    /// The rule holds in all of NVIDIA's manifests save for three packages; where it does not hold there, nothing is said.
    /// Nor is it of wheels, which are named by other rules. Folders are compared where there are two and one of them is
    /// as at NVIDIA's: a mirror may have others.
    fn disagreement(&self, path: &str) -> Option<(String, String)> {
        let Named {
            package,
            platform,
            version,
            ..
        } = *self;
        let path = path.strip_prefix(POOL).unwrap_or(path);
        let mut parts = path.rsplit('/');
        let name = parts.next()?;
        let folders: Vec<_> = parts.collect();
        if name.ends_with(".whl") {
            return None;
        }
        let extension = name
            .rsplit_once("-archive")
            .map(|(_, extension)| extension)
            .filter(|extension| extension.starts_with('.'))
            .unwrap_or(".tar.xz");
        // `tensorrt/<version>/tars/TensorRT-...`
        if package.starts_with("tensorrt") && name.starts_with("TensorRT-") {
            return None;
        }
        // `driver_assistant`: the key is `linux-all`, the folder `source`, and the file has no platform.
        let is_for_all = package == "driver_assistant" && platform == "linux-all";
        let path_platform = if is_for_all { "source" } else { platform };
        let variant = self
            .variant
            .map(|variant| format!("_{variant}"))
            .unwrap_or_default();
        // The exceptions follow the common rule as well in some releases.
        let common = format!("{package}-{platform}-{version}{variant}-archive{extension}");
        let file = match package {
            // `imex`: the file starts with `nvidia-imex-`.
            "imex" => format!("nvidia-{common}"),
            _ if is_for_all => format!("{package}-{version}{variant}-archive{extension}"),
            _ => common.clone(),
        };
        let is_named = name == file || name == common;
        let is_placed = match folders.as_slice() {
            [inner, outer] if *outer == package || Platform::KNOWN.contains(inner) => {
                *outer == package && (*inner == path_platform || *inner == platform)
            }
            _ => true,
        };
        if is_named && is_placed {
            return None;
        }
        let expected = match folders.len() {
            2 => format!("{package}/{path_platform}/{file}"),
            _ => file,
        };
        Some((text::quote(&expected), text::quote(path)))
    }
}

/// Known platforms, for messages.
const KNOWN_PLATFORMS: &str = "a known platform (`linux-x86_64`, `linux-sbsa`, `linux-aarch64`, `linux-ppc64le`, `linux-all`, `windows-x86_64`, `source`)";

/// `None` when `name` is a known platform, else what to try.
fn unknown_platform(name: &str) -> Option<Option<String>> {
    if Platform::KNOWN.contains(&name) {
        return None;
    }
    Some(
        near(name, Platform::KNOWN.into_iter())
            .map(|near| format!("did you mean {}", text::quote(near))),
    )
}

/// Warns of platforms that are not known, among the keys of records and lists.
fn platforms<V: View>(held: &Held<'_, V>, scope: Scope<'_>, findings: &mut Findings<V>) {
    let Scope::All(_) = scope else {
        return;
    };
    for (platform, value) in held.members.clone() {
        let key = platform.as_ref();
        let is_field = held.record.fields.iter().any(|field| field.name == key);
        if is_field || held.record.is_marker(key) {
            continue;
        }
        if let Some(hint) = unknown_platform(key) {
            findings.push_with(Severity::Warning, || Finding {
                hint,
                ..warning(
                    "platform",
                    Spot::KeyOf(value),
                    held.path.key(key).to_string(),
                    KNOWN_PLATFORMS.to_owned(),
                    text::quote(key),
                )
            });
        }
    }
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
) -> Result<Option<(V::Text, V)>, V::Failure> {
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
