//! What must hold between distant parts of a file, and what should.
//!
//! Shapes say what each value must be. The rest is here: errors where a file contradicts itself, and warnings where names,
//! paths and versions do not agree as they do in NVIDIA's own files. A walk forces only what the shapes name.

use super::platform::Platform;
use super::shapes::VARIANT_ENDING;
use super::texts::POOL;
use crate::error::Severity;
use crate::shape::{Finding, Findings, Path, Seen, Spot, View, near};
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

/// The laws of redistrib manifests.
pub(super) fn redistrib<V: View>(
    root: V,
    scope: Scope<'_>,
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    let Seen::Record(packages) = root.look()? else {
        return Ok(());
    };
    let mut archives = Vec::new();
    for (package, release) in packages {
        if let Seen::Record(members) = release.look()? {
            let mut walk = Walk {
                package: &package,
                archives: &mut archives,
                findings,
            };
            walk.release(members, scope)?;
        } else if let Scope::All(said) = scope {
            let (kind, expected) = match package.as_ref() {
                "release_label" => ("label", said.label),
                "release_product" => ("product", said.product),
                _ => continue,
            };
            if let (Seen::Text(found), Some(expected)) = (release.look()?, expected)
                && found.as_ref() != expected
            {
                let from = match kind {
                    "label" => "as in the file's name",
                    _ => "as asked for, or as the folder is named",
                };
                findings.push(Finding {
                    severity: Severity::Warning,
                    code: kind,
                    spot: Spot::Value(release),
                    path: package.as_ref().to_owned(),
                    expected: format!("{} {from}", text::quote(expected)),
                    found: text::quote(found.as_ref()),
                    hint: None,
                });
            }
        }
    }
    reused_hashes(&archives, findings);
    pools(&archives, findings);
    Ok(())
}

/// One archive that a file lists.
struct Listed<V: View> {
    /// The keys that lead to it, and its number where they lead to a list.
    steps: [Option<V::Text>; 3],
    item: Option<usize>,
    /// Where it is fetched from: what makes it one file.
    file: V::Text,
    file_key: &'static str,
    file_value: V,
    hash: V::Text,
    hash_key: &'static str,
    hash_value: V,
}

impl<V: View> Listed<V> {
    fn path(&self, key: &str) -> String {
        path_of(&present(&self.steps), self.item, key)
    }
}

fn present<T>(steps: &[Option<T>]) -> Vec<&T> {
    steps.iter().flatten().collect()
}

/// The path of `key` (nothing, if it is empty) in the item (itself, if there is none) below `steps`.
fn path_of<T: AsRef<str>>(steps: &[T], item: Option<usize>, key: &str) -> String {
    fn below<T: AsRef<str>>(
        steps: &[T],
        item: Option<usize>,
        key: &str,
        path: &Path<'_>,
    ) -> String {
        match (steps.split_first(), item) {
            (Some((step, rest)), item) => below(rest, item, key, &path.key(step.as_ref())),
            (None, Some(item)) => below(steps, None, key, &path.item(item)),
            (None, None) if key.is_empty() => path.to_string(),
            (None, None) => path.key(key).to_string(),
        }
    }
    below(steps, item, key, &Path::ROOT)
}

/// One release of a manifest being walked.
struct Walk<'w, V: View> {
    package: &'w V::Text,
    archives: &'w mut Vec<Listed<V>>,
    findings: &'w mut Findings<V>,
}

impl<V: View> Walk<'_, V> {
    fn release(&mut self, members: V::Members, scope: Scope<'_>) -> Result<(), V::Failure> {
        let mut variants: Option<Variants<V>> = None;
        for (key, value) in members.clone() {
            let Some(prefix) = key.as_ref().strip_suffix(VARIANT_ENDING) else {
                continue;
            };
            if let Some(first) = &variants {
                // The same one twice is told as any doubled key.
                if first.key.as_ref() == key.as_ref() {
                    continue;
                }
                let path = path_of(&[self.package.as_ref()], None, key.as_ref());
                let expected = format!("one key that ends in `{VARIANT_ENDING}`");
                let found = format!("another beside {}", text::quote(first.key.as_ref()));
                self.push(
                    Severity::Error,
                    "variant",
                    Spot::KeyOf(value),
                    path,
                    expected,
                    found,
                );
                continue;
            }
            variants = Variants::read(prefix, key.clone(), value)?;
        }
        let version = match scope {
            Scope::Errors => None,
            Scope::All(_) => text_of::<V>(&members, "version")?,
        };
        for (platform, value) in members {
            let Seen::Record(inner) = value.look()? else {
                continue;
            };
            if let Scope::All(_) = scope
                && let Some(known) = unknown_platform(platform.as_ref())
            {
                let path = path_of(&[self.package.as_ref()], None, platform.as_ref());
                let (expected, found) = (PLATFORMS.to_owned(), text::quote(platform.as_ref()));
                let spot = Spot::KeyOf(value);
                self.findings.push(Finding {
                    hint: known,
                    ..warning("platform", spot, path, expected, found)
                });
            }
            match &mut variants {
                None => self.archive(&platform, None, inner, version.as_ref())?,
                Some(variants) => {
                    for (variant, value) in inner {
                        let Seen::Record(inner) = value.look()? else {
                            continue;
                        };
                        if !variants.mark(variant.as_ref()) {
                            self.unlisted(&platform, &variant, value, variants);
                        }
                        self.archive(&platform, Some(&variant), inner, version.as_ref())?;
                    }
                }
            }
        }
        if let (Scope::All(_), Some(variants)) = (scope, &variants) {
            self.unused(variants);
        }
        Ok(())
    }

    /// A variant that a platform has and the release does not list.
    fn unlisted(
        &mut self,
        platform: &V::Text,
        variant: &V::Text,
        value: V,
        variants: &Variants<V>,
    ) {
        let names: Vec<_> = variants.names().map(|name| text::quote(&name)).collect();
        let names = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        self.push(
            Severity::Error,
            "variant",
            Spot::KeyOf(value),
            path_of(&[self.package, platform], None, variant.as_ref()),
            format!(
                "a variant that {} lists ({names})",
                text::quote(variants.key.as_ref())
            ),
            text::quote(variant.as_ref()),
        );
    }

    /// Variants that the release lists and no platform has.
    fn unused(&mut self, variants: &Variants<V>) {
        for (number, (value, text, is_used)) in variants.values.iter().enumerate() {
            if *is_used {
                continue;
            }
            let name = format!("{}{}", variants.prefix, text.as_ref());
            self.push(
                Severity::Warning,
                "variant",
                Spot::Value(*value),
                path_of(&[self.package, &variants.key], Some(number), ""),
                format!("a platform with the variant {}", text::quote(&name)),
                "none".to_owned(),
            );
        }
    }

    fn archive(
        &mut self,
        platform: &V::Text,
        variant: Option<&V::Text>,
        members: V::Members,
        version: Option<&V::Text>,
    ) -> Result<(), V::Failure> {
        let (mut file, mut hash) = (None, None);
        for (key, value) in members {
            let slot = match key.as_ref() {
                "relative_path" => &mut file,
                "sha256" => &mut hash,
                _ => continue,
            };
            if let Seen::Text(text) = value.look()? {
                *slot = Some((text, value));
            }
        }
        let (Some((file, file_value)), Some((hash, hash_value))) = (file, hash) else {
            return Ok(());
        };
        let listed = Listed {
            steps: [
                Some(self.package.clone()),
                Some(platform.clone()),
                variant.cloned(),
            ],
            item: None,
            file,
            file_key: "relative_path",
            file_value,
            hash,
            hash_key: "sha256",
            hash_value,
        };
        if let Some(version) = version {
            let said = Named {
                package: self.package.as_ref(),
                platform: platform.as_ref(),
                version: version.as_ref(),
                variant: variant.map(AsRef::as_ref),
            };
            if let Some((expected, found)) = said.disagreement(listed.file.as_ref()) {
                let (spot, path) = (Spot::Value(file_value), listed.path("relative_path"));
                self.push(Severity::Warning, "path", spot, path, expected, found);
            }
        }
        self.archives.push(listed);
        Ok(())
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        spot: Spot<V>,
        path: String,
        expected: String,
        found: String,
    ) {
        self.findings.push(Finding {
            severity,
            ..warning(code, spot, path, expected, found)
        });
    }
}

/// A release's list of variants.
struct Variants<V: View> {
    key: V::Text,
    prefix: String,
    /// Each with whether a platform has it.
    values: Vec<(V, V::Text, bool)>,
}

impl<V: View> Variants<V> {
    /// `None` when `list` is no list of strings: what it should have listed is then anybody's guess.
    fn read(prefix: &str, key: V::Text, list: V) -> Result<Option<Variants<V>>, V::Failure> {
        let Seen::List(items) = list.look()? else {
            return Ok(None);
        };
        let mut values = Vec::new();
        for item in items {
            let Seen::Text(text) = item.look()? else {
                return Ok(None);
            };
            values.push((item, text, false));
        }
        let prefix = prefix.to_owned();
        Ok(Some(Variants {
            key,
            prefix,
            values,
        }))
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let name = |(_, text, _): &(V, V::Text, bool)| format!("{}{}", self.prefix, text.as_ref());
        self.values.iter().map(name)
    }

    /// Notes that a platform has `variant`; false when it is not listed.
    fn mark(&mut self, variant: &str) -> bool {
        let Some(rest) = variant.strip_prefix(self.prefix.as_str()) else {
            return false;
        };
        let listed = self
            .values
            .iter_mut()
            .find(|(_, text, _)| text.as_ref() == rest);
        listed.is_some_and(|(_, _, is_used)| {
            *is_used = true;
            true
        })
    }
}

/// What a manifest says of an archive outside of its path.
struct Named<'n> {
    package: &'n str,
    platform: &'n str,
    version: &'n str,
    variant: Option<&'n str>,
}

impl Named<'_> {
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
        let extension = [".tar.xz", ".tar.gz", ".tar", ".zip"]
            .into_iter()
            .find(|extension| name.ends_with(extension))?;
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
const PLATFORMS: &str = "a known platform (`linux-x86_64`, `linux-sbsa`, `linux-aarch64`, `linux-ppc64le`, `linux-all`, `windows-x86_64`, `source`)";

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

/// One hash for two files: a line that was copied, and one of them can never be fetched.
fn reused_hashes<V: View>(archives: &[Listed<V>], findings: &mut Findings<V>) {
    let mut by_hash: Vec<_> = archives.iter().enumerate().collect();
    by_hash.sort_by(|(_, left), (_, right)| left.hash.as_ref().cmp(right.hash.as_ref()));
    let mut first: Option<&Listed<V>> = None;
    let mut reused = Vec::new();
    for (number, listed) in by_hash {
        match first {
            Some(first) if first.hash.as_ref() == listed.hash.as_ref() => {
                if first.file.as_ref() != listed.file.as_ref() {
                    reused.push((number, first, listed));
                }
            }
            _ => first = Some(listed),
        }
    }
    reused.sort_by_key(|(number, ..)| *number);
    for (_, first, listed) in reused {
        findings.push(Finding {
            severity: Severity::Error,
            ..warning(
                "hash-reuse",
                Spot::Value(listed.hash_value),
                listed.path(listed.hash_key),
                "a hash of its own".to_owned(),
                format!(
                    "that of `{}`, which is another file ({})",
                    first.path(""),
                    text::quote(first.file.as_ref())
                ),
            )
        });
    }
}

/// Paths into a channel's pool: all of a manifest, or none.
fn pools<V: View>(archives: &[Listed<V>], findings: &mut Findings<V>) {
    let is_pool = |listed: &&Listed<V>| listed.file.as_ref().starts_with(POOL);
    let count = archives.iter().filter(is_pool).count();
    if count == 0 || count == archives.len() {
        return;
    }
    for listed in archives.iter().filter(is_pool) {
        findings.push(Finding {
            severity: Severity::Error,
            ..warning(
                "pool",
                Spot::Value(listed.file_value),
                listed.path(listed.file_key),
                "a path below the product's address, as others of the manifest".to_owned(),
                format!(
                    "{}, as in a channel's manifest",
                    text::quote(listed.file.as_ref())
                ),
            )
        });
    }
}

/// The laws of release expressions.
pub(super) fn releases<V: View>(
    root: V,
    scope: Scope<'_>,
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    let Seen::Record(members) = root.look()? else {
        return Ok(());
    };
    let mut archives = Vec::new();
    for (key, value) in members {
        if key.as_ref() == "releases" {
            by_platform([None, Some(key)], value, scope, &mut archives, findings)?;
        } else if let Seen::Record(inner) = value.look()? {
            for (inner_key, value) in inner {
                if inner_key.as_ref() == "releases" {
                    by_platform(
                        [Some(key.clone()), Some(inner_key)],
                        value,
                        scope,
                        &mut archives,
                        findings,
                    )?;
                }
            }
        }
    }
    reused_hashes(&archives, findings);
    Ok(())
}

/// The laws of lists of releases by platform.
pub(super) fn releases_by_platform<V: View>(
    root: V,
    scope: Scope<'_>,
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    let mut archives = Vec::new();
    by_platform([None, None], root, scope, &mut archives, findings)?;
    reused_hashes(&archives, findings);
    Ok(())
}

fn by_platform<V: View>(
    steps: [Option<V::Text>; 2],
    value: V,
    scope: Scope<'_>,
    archives: &mut Vec<Listed<V>>,
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    let Seen::Record(platforms) = value.look()? else {
        return Ok(());
    };
    for (platform, list) in platforms {
        let [product, releases] = steps.clone();
        let steps = [product, releases, Some(platform.clone())];
        let path = |item, key: &str| path_of(&present(&steps), item, key);
        let name = platform.as_ref();
        if let Scope::All(_) = scope
            && let Some(hint) = unknown_platform(name)
        {
            let (expected, found) = (PLATFORMS.to_owned(), text::quote(name));
            findings.push(Finding {
                hint,
                ..warning(
                    "platform",
                    Spot::KeyOf(list),
                    path(None, ""),
                    expected,
                    found,
                )
            });
        }
        let Seen::List(items) = list.look()? else {
            continue;
        };
        for (number, item) in items.enumerate() {
            let Seen::Record(members) = item.look()? else {
                continue;
            };
            let (mut file, mut hash, mut version) = (None, None, None);
            for (key, value) in members {
                let slot = match key.as_ref() {
                    "url" | "filename" => &mut file,
                    "hash" => &mut hash,
                    "version" => &mut version,
                    _ => continue,
                };
                if let Seen::Text(text) = value.look()? {
                    *slot = Some((key, text, value));
                }
            }
            if let (Scope::All(_), Some((key, file, value)), Some((_, version, _))) =
                (scope, &file, &version)
            {
                let last = file.as_ref().rsplit('/').next().unwrap_or_default();
                if !last.contains(version.as_ref()) {
                    findings.push(warning(
                        "path",
                        Spot::Value(*value),
                        path(Some(number), key.as_ref()),
                        format!(
                            "a file name with the version {}",
                            text::quote(version.as_ref())
                        ),
                        text::quote(last),
                    ));
                }
            }
            if let (Some((_, file, file_value)), Some((_, hash, hash_value))) = (file, hash) {
                archives.push(Listed {
                    steps: steps.clone(),
                    item: Some(number),
                    file,
                    file_key: "url",
                    file_value,
                    hash,
                    hash_key: "hash",
                    hash_value,
                });
            }
        }
    }
    Ok(())
}

/// The laws of feature manifests.
pub(super) fn feature<V: View>(
    root: V,
    scope: Scope<'_>,
    findings: &mut Findings<V>,
) -> Result<(), V::Failure> {
    let (Scope::All(_), Seen::Record(packages)) = (scope, root.look()?) else {
        return Ok(());
    };
    for (package, value) in packages {
        let Seen::Record(platforms) = value.look()? else {
            continue;
        };
        for (platform, value) in platforms {
            if let Some(hint) = unknown_platform(platform.as_ref()) {
                let path = path_of(&[&package], None, platform.as_ref());
                let (expected, found) = (PLATFORMS.to_owned(), text::quote(platform.as_ref()));
                findings.push(Finding {
                    hint,
                    ..warning("platform", Spot::KeyOf(value), path, expected, found)
                });
            }
        }
    }
    Ok(())
}

fn text_of<V: View>(members: &V::Members, name: &str) -> Result<Option<V::Text>, V::Failure> {
    for (key, value) in members.clone() {
        if key.as_ref() == name
            && let Seen::Text(text) = value.look()?
        {
            return Ok(Some(text));
        }
    }
    Ok(None)
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
