//! The command `verify`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::args::VerifyArgs;
use super::stdout::print;
use crate::error::{Error, Kind, Problem};
use crate::hash::{self, Expected, Sha256};
use crate::manifest::{self, Archive, Entries, Manifest, Platform};
use crate::shape::near;
use crate::text;

#[derive(Debug, thiserror::Error)]
enum VerifyProblem {
    #[error("cannot {action}")]
    Io {
        place: String,
        action: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("expected {what} of the manifest, found {}", text::quote(.found))]
    Unknown {
        manifest: String,
        what: &'static str,
        found: String,
        known: Vec<String>,
    },
    #[error("expected a variant, one of {}, found none", .known.join(", "))]
    NoVariant {
        manifest: String,
        known: Vec<String>,
    },
    #[error("expected no variant, found {}", text::quote(.found))]
    Variant { manifest: String, found: String },
    #[error(
        "expected the archive `{expected}`, found `{found}`\n  specified: {}\n  got:       {}",
        .specified.to_sri(), .got.to_sri()
    )]
    OtherArchive {
        place: String,
        expected: String,
        found: String,
        specified: Sha256,
        got: Sha256,
    },
}

impl Problem for VerifyProblem {
    fn kind(&self) -> Kind {
        match self {
            VerifyProblem::Io { .. } => Kind::Fault,
            VerifyProblem::OtherArchive { .. } => Kind::Rejected,
            _ => Kind::Usage,
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            VerifyProblem::Io { place, .. } | VerifyProblem::OtherArchive { place, .. } => {
                Some(place.clone())
            }
            VerifyProblem::Unknown { manifest, .. }
            | VerifyProblem::NoVariant { manifest, .. }
            | VerifyProblem::Variant { manifest, .. } => Some(manifest.clone()),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            VerifyProblem::Unknown { found, known, .. } => {
                Some(match near(found, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {}", text::quote(near)),
                    None => format!("there are {}", known.join(", ")),
                })
            }
            VerifyProblem::NoVariant { .. } => Some("add `--variant`".to_owned()),
            VerifyProblem::Variant { .. } => Some("leave `--variant` out".to_owned()),
            VerifyProblem::OtherArchive { .. } => Some(
                "the file is whole, but for another package, platform or variant of the manifest"
                    .to_owned(),
            ),
            VerifyProblem::Io { .. } => None,
        }
    }
}

/// Compares one file with its entry in a manifest.
pub(super) fn run(args: &VerifyArgs) -> Result<ExitCode, Error> {
    let place = shown(&args.manifest);
    let read = fs::read(&args.manifest).map_err(io_problem(&place, "read the manifest"))?;
    let manifest = manifest::read(&read, &place)?;
    let (name, archive) = select(&manifest, &place, args)?;
    let place = shown(&args.file);
    let open = || File::open(&args.file).map_err(io_problem(&place, "open"));
    let expected = archive.expected();
    match hash::verify(open()?, &place, &expected) {
        Ok(verified) => {
            let what = match expected.md5 {
                Some(_) => "sha256, md5 and size",
                None => "sha256",
            };
            let size_bytes = verified.size_bytes();
            print(&format!(
                "{place}: ok, {what} are those of {name} ({size_bytes} bytes)\n"
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if error.is_rejected() => {
            let (got, _) = hash::sha256(open()?).map_err(io_problem(&place, "read"))?;
            Err(other_archive(&manifest, &place, name, &expected, got).unwrap_or(error))
        }
        Err(error) => Err(error),
    }
}

fn io_problem(place: &str, action: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| {
        let place = place.to_owned();
        Error::from(VerifyProblem::Io {
            place,
            action,
            source,
        })
    }
}

fn shown(path: &Path) -> String {
    text::printable(&path.to_string_lossy())
}

/// The archive that was asked for, and its place in the manifest: `cuda_cudart.linux-x86_64`.
fn select<'m>(
    manifest: &'m Manifest,
    place: &str,
    args: &VerifyArgs,
) -> Result<(String, &'m Archive), Error> {
    let manifest_place = || place.to_owned();
    let unknown = |what, found: &str, known: Vec<String>| {
        Error::from(VerifyProblem::Unknown {
            manifest: manifest_place(),
            what,
            found: found.to_owned(),
            known,
        })
    };
    let package = &args.package;
    let release = manifest.packages().get(package).ok_or_else(|| {
        let known = manifest.packages().keys().cloned().collect();
        unknown("a package", package, known)
    })?;
    let platforms = || {
        release
            .platforms()
            .keys()
            .map(Platform::to_string)
            .collect()
    };
    let mut entries = release.platforms().iter();
    let (platform, entries) = entries
        .find(|(platform, _)| platform.as_str() == args.platform)
        .ok_or_else(|| unknown("a platform", &args.platform, platforms()))?;
    match (entries, &args.variant) {
        (Entries::Flat(archive), None) => Ok((format!("{package}.{platform}"), archive)),
        (Entries::Flat(_), Some(variant)) => Err(VerifyProblem::Variant {
            manifest: manifest_place(),
            found: variant.clone(),
        }
        .into()),
        (Entries::Variants(variants), None) => Err(VerifyProblem::NoVariant {
            manifest: manifest_place(),
            known: names(variants),
        }
        .into()),
        (Entries::Variants(variants), Some(variant)) => match variants.get(variant) {
            Some(archive) => Ok((format!("{package}.{platform}.{variant}"), archive)),
            None => Err(unknown("a variant", variant, names(variants))),
        },
    }
}

fn names(variants: &BTreeMap<String, Archive>) -> Vec<String> {
    variants.keys().cloned().collect()
}

/// Tells that the file is another archive of the manifest; `None` where it is in none.
fn other_archive(
    manifest: &Manifest,
    place: &str,
    expected: String,
    specified: &Expected,
    got: Sha256,
) -> Option<Error> {
    let found = manifest.packages().iter().find_map(|(package, release)| {
        let mut platforms = release.platforms().iter();
        platforms.find_map(|(platform, entries)| match entries {
            Entries::Flat(archive) => {
                (archive.sha256 == got).then(|| format!("{package}.{platform}"))
            }
            Entries::Variants(variants) => {
                let mut variants = variants.iter();
                let found = variants.find(|(_, archive)| archive.sha256 == got);
                found.map(|(variant, _)| format!("{package}.{platform}.{variant}"))
            }
        })
    })?;
    // The right sha256 with a wrong md5 or size is another problem.
    (found != expected && got != specified.sha256).then(|| {
        let place = place.to_owned();
        let specified = specified.sha256;
        Error::from(VerifyProblem::OtherArchive {
            place,
            expected,
            found,
            specified,
            got,
        })
    })
}
