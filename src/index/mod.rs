//! A folder of archives and wheels, listed as a redistrib manifest, and what they hold as a feature manifest.
//!
//! Names say what a file is: `<package>-<platform>-<version>[_cuda<N>]-archive.tar.xz` as NVIDIA names its archives, and
//! the file names of NVIDIA's wheels. A folder stands for one release: one version per package, one file per package,
//! platform and variant.

#![deny(clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::archive;
use crate::error::{Error, Kind, Problem};
use crate::hash::{self, Digests};
use crate::manifest::{self, Version};
use crate::relpath::RelPath;
use crate::text;

mod features;
mod file_name;

use file_name::{FileKind, NameError, Named, recognise, wheel_key};

/// The licence that NVIDIA's manifests name for most packages of a product. Source: the field `license` in the
/// manifests of each product.
const LICENSES: [(&str, &str); 14] = [
    ("cublasmp", "cuBLASMp library"),
    ("cuda", "CUDA Toolkit"),
    ("cudnn", "cudnn"),
    ("cudss", "cuDSS library"),
    ("cuquantum", "cuQuantum"),
    ("cusolvermp", "libcusolvermp library"),
    ("cusparselt", "cuSPARSELt"),
    ("cutensor", "cuTensor"),
    ("nppplus", "NPP PLUS library"),
    ("nvcomp", "nvCOMP library"),
    ("nvjpeg2000", "nvJPEG 2K"),
    ("nvpl", "NVPL"),
    ("nvtiff", "nvTIFF"),
    ("tensorrt", "TensorRT"),
];

/// The licence of the packages for which NVIDIA's manifests name another one than for their product. Same source.
const PACKAGE_LICENSES: [(&str, &str); 15] = [
    ("collectx_bringup", "NVIDIA Proprietary"),
    ("driver_assistant", "MIT"),
    ("fabricmanager", "NVIDIA Driver"),
    ("imex", "NVIDIA Proprietary"),
    ("libcal", "libcal library"),
    ("libnvidia_nscq", "NVIDIA Driver"),
    ("libnvsdm", "NVIDIA"),
    ("mft", "NVIDIA Proprietary"),
    ("mft_autocomplete", "NVIDIA Proprietary"),
    ("mft_oem", "NVIDIA Proprietary"),
    ("nsight_compute", "NVIDIA SLA"),
    ("nsight_systems", "NVIDIA SLA"),
    ("nsight_vse", "NVIDIA SLA"),
    ("nvidia_driver", "NVIDIA Driver"),
    ("nvlsm", "NVIDIA Proprietary"),
];

/// The licence of other products.
const OTHER_LICENSE: &str = "NVIDIA Proprietary";

/// The manifest of the archives and wheels below `dir`: pretty JSON with a line break at its end, sorted, without a
/// date, so that the same folder always gives the same text.
///
/// # Errors
/// See [`Folder::read`] and [`Folder::manifest`].
pub fn index(dir: &Path, product: &str, label: &str) -> Result<String, Error> {
    Folder::read(dir)?.manifest(product, label, &|_| {})
}

/// The archives and wheels below a folder, recognised by their names.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    /// Sorted by path; never two of the same package, platform and variant.
    files: Vec<Listed>,
    notes: Vec<String>,
}

/// One archive or wheel.
#[derive(Debug)]
struct Listed {
    path: RelPath,
    package: String,
    platform: &'static str,
    /// `12` for `_cuda12`.
    variant: Option<String>,
    version: Version,
    kind: FileKind,
    size_bytes: u64,
}

impl Folder {
    /// Finds all archives and wheels below `dir`. Links to files are followed, links to folders are not.
    ///
    /// # Errors
    /// An archive or wheel has a name that cannot be read; two files are the same package, platform and variant; a
    /// package has two versions, or archives with and without variant; there is no archive at all: rejected, all
    /// problems at once. A folder cannot be read: a fault.
    pub fn read(dir: &Path) -> Result<Folder, Error> {
        let mut found = Vec::new();
        let mut notes = Vec::new();
        walk(dir, "", &mut found, &mut notes)?;
        let mut files = Vec::new();
        let mut problems = Vec::new();
        for (path, size_bytes) in found {
            match recognise(path.file_name()) {
                Ok(Some(name)) => {
                    let Named {
                        package,
                        platform,
                        variant,
                        version,
                        kind,
                    } = name;
                    files.push(Listed {
                        path,
                        package,
                        platform,
                        variant,
                        version,
                        kind,
                        size_bytes,
                    });
                }
                Ok(None) => notes.push(format!(
                    "{}: not an archive or wheel, left out",
                    text::printable(path.as_str())
                )),
                Err(reason) => problems.push(IndexError::Name { path, reason }),
            }
        }
        problems.extend(conflicts(&files));
        if files.is_empty() && problems.is_empty() {
            problems.push(IndexError::Empty {
                dir: dir.display().to_string(),
            });
        }
        match Error::from_problems(problems) {
            Some(error) => Err(error),
            None => Ok(Folder {
                dir: dir.to_owned(),
                files,
                notes,
            }),
        }
    }

    /// What was left out and why, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many archives and wheels there are.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// The size of all archives and wheels, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }

    /// Hashes all files, several at once, and writes the manifest of `product` and `label`; `hashed` is told of the
    /// bytes done, in steps.
    ///
    /// # Errors
    /// A file is no archive by its content, or a wheel's METADATA contradicts its name: rejected. A file cannot be
    /// read: a fault.
    pub fn manifest(
        &self,
        product: &str,
        label: &str,
        hashed: &(dyn Fn(u64) + Sync),
    ) -> Result<String, Error> {
        let entries: Vec<Entry<'_>> = self
            .files
            .par_iter()
            .map(|listed| Entry::of(&self.dir, listed, hashed))
            .collect::<Result<_, Error>>()?;
        let mut packages: BTreeMap<&str, Vec<&Entry<'_>>> = BTreeMap::new();
        for entry in &entries {
            packages
                .entry(&entry.listed.package)
                .or_default()
                .push(entry);
        }
        let whole = Whole {
            product,
            label,
            packages,
        };
        let mut text =
            serde_json::to_string_pretty(&whole).map_err(|source| IndexError::Json { source })?;
        text.push('\n');
        // Our own text goes through the one judge like everybody's.
        manifest::read(text.as_bytes(), "the new manifest")?;
        Ok(text)
    }
}

/// Adds all files below `dir/below` in order of their paths.
fn walk(
    dir: &Path,
    below: &str,
    found: &mut Vec<(RelPath, u64)>,
    notes: &mut Vec<String>,
) -> Result<(), IndexError> {
    let fault = |path: &Path| {
        let path = path.display().to_string();
        move |source| IndexError::Read { path, source }
    };
    let here = if below.is_empty() {
        dir.to_owned()
    } else {
        dir.join(below)
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&here).map_err(fault(&here))? {
        names.push(entry.map_err(fault(&here))?.file_name());
    }
    names.sort();
    for name in names {
        let full = here.join(&name);
        let shown = || text::printable(&full.to_string_lossy());
        let path = name.to_str().and_then(|name| {
            let path = if below.is_empty() {
                name.to_owned()
            } else {
                format!("{below}/{name}")
            };
            RelPath::new(&path).ok()
        });
        let Some(path) = path else {
            notes.push(format!(
                "{}: its name cannot stand in a manifest, left out",
                shown()
            ));
            continue;
        };
        let link = std::fs::symlink_metadata(&full).map_err(fault(&full))?;
        let metadata = std::fs::metadata(&full).map_err(fault(&full))?;
        if metadata.is_file() {
            found.push((path, metadata.len()));
        } else if metadata.is_dir() && !link.is_symlink() {
            walk(dir, path.as_str(), found, notes)?;
        } else {
            notes.push(format!(
                "{}: neither a file nor a folder, left out",
                shown()
            ));
        }
    }
    Ok(())
}

/// What keeps `files` from being one release.
fn conflicts(files: &[Listed]) -> Vec<IndexError> {
    let mut problems = Vec::new();
    let mut packages: BTreeMap<&str, &Listed> = BTreeMap::new();
    let mut seen: BTreeMap<(&str, &str, Option<&str>), &Listed> = BTreeMap::new();
    for file in files {
        let other = |other: &Listed| (file.path.clone(), other.path.clone());
        let key = (
            file.package.as_str(),
            file.platform,
            file.variant.as_deref(),
        );
        if let Some(first) = seen.get(&key) {
            let (path, first) = other(first);
            problems.push(IndexError::Twice {
                path,
                first,
                package: file.package.clone(),
                platform: file.platform,
            });
            continue;
        }
        seen.insert(key, file);
        let Some(first) = packages.get(file.package.as_str()) else {
            packages.insert(&file.package, file);
            continue;
        };
        let (path, first_path) = other(first);
        if first.version != file.version {
            let (version, first_version) = (file.version.clone(), first.version.clone());
            problems.push(IndexError::Versions {
                path,
                first: first_path,
                version,
                first_version,
            });
        } else if first.variant.is_some() != file.variant.is_some() {
            problems.push(IndexError::Mixed {
                path,
                first: first_path,
                package: file.package.clone(),
            });
        }
    }
    problems
}

/// One file with all that the manifest says of it.
struct Entry<'f> {
    listed: &'f Listed,
    digests: Digests,
    summary: Option<String>,
    license: Option<String>,
}

impl<'f> Entry<'f> {
    fn of(
        dir: &Path,
        listed: &'f Listed,
        hashed: &(dyn Fn(u64) + Sync),
    ) -> Result<Entry<'f>, Error> {
        let full = dir.join(&listed.path);
        let fault = |source| IndexError::Read {
            path: full.display().to_string(),
            source,
        };
        let file = File::open(&full).map_err(fault)?;
        let (summary, license) = match listed.kind {
            FileKind::Archive => {
                archive::recognise(&file, listed.path.as_str())?;
                (None, None)
            }
            FileKind::Wheel => {
                let metadata = archive::wheel_metadata(&file, listed.path.as_str())?;
                same_as_name(listed, &metadata)?;
                (metadata.summary, metadata.license)
            }
        };
        let digests = hash::digest(Counted {
            inner: File::open(&full).map_err(fault)?,
            hashed,
        })
        .map_err(fault)?;
        Ok(Entry {
            listed,
            digests,
            summary,
            license,
        })
    }
}

/// A renamed wheel would be listed as something that it is not.
fn same_as_name(listed: &Listed, metadata: &archive::Metadata) -> Result<(), IndexError> {
    let file = listed.path.file_name();
    let in_file = file.split('-').next().map(wheel_key).unwrap_or_default();
    let found = format!("{} {}", wheel_key(&metadata.name), metadata.version);
    let expected = format!("{in_file} {}", listed.version);
    if found == expected {
        return Ok(());
    }
    Err(IndexError::Metadata {
        path: listed.path.clone(),
        expected,
        found,
    })
}

/// A reader that reports how much went through it.
struct Counted<'a> {
    inner: File,
    hashed: &'a (dyn Fn(u64) + Sync),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.hashed)(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(count)
    }
}

/// The manifest, in NVIDIA's order: what the release is, then its packages.
struct Whole<'a> {
    product: &'a str,
    label: &'a str,
    packages: BTreeMap<&'a str, Vec<&'a Entry<'a>>>,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("release_label", self.label)?;
        map.serialize_entry("release_product", self.product)?;
        for (package, entries) in &self.packages {
            map.serialize_entry(
                package,
                &Release {
                    product: self.product,
                    package,
                    entries,
                },
            )?;
        }
        map.end()
    }
}

/// The licence that NVIDIA's manifests name for `package` of `product`.
fn usual_license(product: &str, package: &str) -> &'static str {
    let find = |table: &[(&str, &'static str)], name: &str| {
        let row = table.iter().find(|(key, _)| *key == name);
        row.map(|(_, license)| *license)
    };
    find(&PACKAGE_LICENSES, package)
        .or_else(|| find(&LICENSES, product))
        .unwrap_or(OTHER_LICENSE)
}

struct Release<'a> {
    product: &'a str,
    package: &'a str,
    /// Not empty; sorted by path.
    entries: &'a [&'a Entry<'a>],
}

impl Serialize for Release<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self
            .entries
            .iter()
            .find_map(|entry| entry.summary.as_deref())
            .unwrap_or(self.package);
        let license = self
            .entries
            .iter()
            .find_map(|entry| entry.license.as_deref());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", name)?;
        map.serialize_entry(
            "license",
            license.unwrap_or_else(|| usual_license(self.product, self.package)),
        )?;
        if let Some(first) = self.entries.first() {
            map.serialize_entry("version", first.listed.version.as_str())?;
        }
        let mut variants: Vec<&str> = self
            .entries
            .iter()
            .filter_map(|entry| entry.listed.variant.as_deref())
            .collect();
        variants.sort_unstable();
        variants.dedup();
        if !variants.is_empty() {
            map.serialize_entry("cuda_variant", &variants)?;
        }
        let mut platforms: BTreeMap<&str, BTreeMap<Option<&str>, &Entry<'_>>> = BTreeMap::new();
        for entry in self.entries {
            let platform = platforms.entry(entry.listed.platform).or_default();
            platform.insert(entry.listed.variant.as_deref(), entry);
        }
        for (platform, entries) in &platforms {
            match entries.get(&None) {
                Some(entry) => map.serialize_entry(platform, entry)?,
                None => {
                    let nested: BTreeMap<String, &Entry<'_>> = entries
                        .iter()
                        .filter_map(|(variant, entry)| {
                            Some((format!("cuda{}", (*variant)?), *entry))
                        })
                        .collect();
                    map.serialize_entry(platform, &nested)?;
                }
            }
        }
        map.end()
    }
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("relative_path", self.listed.path.as_str())?;
        map.serialize_entry("sha256", &self.digests.sha256.to_hex())?;
        map.serialize_entry("md5", &self.digests.md5.to_hex())?;
        map.serialize_entry("size", &self.digests.size_bytes.to_string())?;
        map.end()
    }
}

#[derive(Debug, thiserror::Error)]
enum IndexError {
    #[error("{reason}")]
    Name { path: RelPath, reason: NameError },
    #[error("expected one file for `{package}` on `{platform}`, found another: {}", text::quote(.first.as_str()))]
    Twice {
        path: RelPath,
        first: RelPath,
        package: String,
        platform: &'static str,
    },
    #[error("expected version {first_version} as in {}, found {version}", text::quote(.first.as_str()))]
    Versions {
        path: RelPath,
        first: RelPath,
        version: Version,
        first_version: Version,
    },
    #[error("expected all files of `{package}` with a CUDA variant or all without, found another kind: {}", text::quote(.first.as_str()))]
    Mixed {
        path: RelPath,
        first: RelPath,
        package: String,
    },
    #[error("expected the name and version of the file name in METADATA, {}, found {}", text::quote(.expected), text::quote(.found))]
    Metadata {
        path: RelPath,
        expected: String,
        found: String,
    },
    #[error("expected archives or wheels in the folder, found none")]
    Empty { dir: String },
    #[error("cannot read it")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the manifest as JSON")]
    Json {
        #[source]
        source: serde_json::Error,
    },
}

impl Problem for IndexError {
    fn kind(&self) -> Kind {
        match self {
            IndexError::Read { .. } | IndexError::Json { .. } => Kind::Fault,
            _ => Kind::Rejected,
        }
    }

    fn place(&self) -> Option<String> {
        let shown: &dyn fmt::Display = match self {
            IndexError::Name { path, .. }
            | IndexError::Twice { path, .. }
            | IndexError::Versions { path, .. }
            | IndexError::Mixed { path, .. }
            | IndexError::Metadata { path, .. } => path,
            IndexError::Empty { dir: path } | IndexError::Read { path, .. } => path,
            IndexError::Json { .. } => return None,
        };
        Some(text::printable(&shown.to_string()))
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            IndexError::Name {
                reason: NameError::Archive { .. },
                ..
            } => {
                "name it as NVIDIA does, for example cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz"
            }
            IndexError::Name {
                reason: NameError::UnknownWheel { .. },
                ..
            } => "remove the wheel, or add it to nix/data/wheel-map.json",
            IndexError::Twice { .. } | IndexError::Versions { .. } => {
                "a manifest is one release: put files for CUDA 12 and 13, and other versions, in folders of their own"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_with_a_licence_of_their_own_come_before_products() {
        for (product, package, expected) in [
            ("cublasmp", "libcublasmp", "cuBLASMp library"),
            ("cublasmp", "libcal", "libcal library"),
            ("cuda", "cuda_nvcc", "CUDA Toolkit"),
            ("cuda", "nsight_compute", "NVIDIA SLA"),
            ("mine", "libmine", "NVIDIA Proprietary"),
        ] {
            assert_eq!(
                usual_license(product, package),
                expected,
                "{product} {package}"
            );
        }
    }
}
