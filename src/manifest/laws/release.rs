//! The law of a release: its variants, platforms and paths agree.

use std::collections::HashMap;

use super::{Scope, error, text_of, warning};
use crate::error::Severity;
use crate::manifest::platform::Platform;
use crate::manifest::shapes::VARIANT_ENDING;
use crate::manifest::texts::POOL;
use crate::shape::{Finding, Findings, Held, Path, Record, Rule, Seen, Spot, View, near};
use crate::text;

pub(super) fn release<V: View>(
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
pub(super) fn platforms<V: View>(held: &Held<'_, V>, scope: Scope<'_>, findings: &mut Findings<V>) {
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
