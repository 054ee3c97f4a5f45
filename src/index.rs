//! A folder of archives and wheels, listed as a redistrib manifest.
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
use crate::manifest::{self, Platform, Version};
use crate::relpath::RelPath;
use crate::text;

/// NVIDIA's wheels: name without its CUDA part → package.
const WHEEL_MAP: &str = include_str!("../nix/data/wheel-map.json");

/// The ends of archive names, and of wheels.
const ARCHIVE_ENDS: [&str; 4] = [".tar.xz", ".tar.gz", ".tar", ".zip"];
const WHEEL_END: &str = ".whl";

/// Packages whose archives do not start with the package's name. Source: `imex` in redistrib_12.5.0.json to 13.0.0.
const RENAMED: [(&str, &str); 1] = [("nvidia-imex", "imex")];

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    Archive,
    Wheel,
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

/// What a file name says.
#[derive(Debug)]
struct Named {
    package: String,
    platform: &'static str,
    variant: Option<String>,
    version: Version,
    kind: FileKind,
}

/// Why a name cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum NameError {
    #[error("expected a name `<package>-<platform>-<version>-archive`, found {}", text::quote(.found))]
    Archive { found: String },
    #[error("expected a wheel name `<name>-<version>-<python>-<abi>-<platform>.whl`, found {}", text::quote(.found))]
    Wheel { found: String },
    #[error("expected a platform tag manylinux*_x86_64, manylinux*_aarch64 or win_amd64, found {}", text::quote(.found))]
    Tag { found: String },
    #[error("expected one of NVIDIA's wheels with a redistributable, found {}", text::quote(.found))]
    UnknownWheel { found: String },
    #[error("expected a version of digits and dots, found {}", text::quote(.found))]
    Version { found: String },
    #[error("cannot read the built-in list of wheels")]
    Map,
}

/// What the file called `name` is; `None` when it is neither archive nor wheel.
fn recognise(name: &str) -> Result<Option<Named>, NameError> {
    if let Some(stem) = name.strip_suffix(WHEEL_END) {
        return wheel_name(stem).map(Some);
    }
    match ARCHIVE_ENDS.iter().find_map(|end| name.strip_suffix(end)) {
        Some(stem) => archive_name(stem).map(Some),
        None => Ok(None),
    }
}

/// `cuda_cudart-linux-x86_64-12.9.79-archive`, `cudnn-linux-sbsa-9.8.0.87_cuda12-archive`.
fn archive_name(stem: &str) -> Result<Named, NameError> {
    let bad = || NameError::Archive {
        found: stem.to_owned(),
    };
    let (left, right) = stem
        .strip_suffix("-archive")
        .and_then(|rest| rest.rsplit_once('-'))
        .ok_or_else(bad)?;
    let (package, platform) = Platform::KNOWN
        .into_iter()
        .find_map(|platform| Some((left.strip_suffix(platform)?.strip_suffix('-')?, platform)))
        .ok_or_else(bad)?;
    let (version, variant) = match right.split_once("_cuda") {
        Some((version, variant)) if is_digits_and_dots(variant) => {
            (version, Some(variant.to_owned()))
        }
        Some(_) => return Err(bad()),
        None => (right, None),
    };
    if package.is_empty() {
        return Err(bad());
    }
    let package = RENAMED
        .iter()
        .find(|(file, _)| *file == package)
        .map_or(package, |(_, package)| package);
    let version = read_version(version)?;
    Ok(Named {
        package: package.to_owned(),
        platform,
        variant,
        version,
        kind: FileKind::Archive,
    })
}

/// `nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64`, an optional build number
/// after the version (binary distribution format, "File name convention").
fn wheel_name(stem: &str) -> Result<Named, NameError> {
    let parts: Vec<&str> = stem.split('-').collect();
    let (name, version, tags) = match *parts.as_slice() {
        [name, version, _, _, tags] | [name, version, _, _, _, tags] => (name, version, tags),
        _ => {
            return Err(NameError::Wheel {
                found: stem.to_owned(),
            });
        }
    };
    let name = wheel_key(name);
    let stem: Vec<&str> = name
        .split('-')
        .filter(|part| !is_cuda_part(part) && *part != "tegra")
        .collect();
    let package = wheel_map()?
        .remove(&stem.join("-"))
        .ok_or(NameError::UnknownWheel {
            found: name.clone(),
        })?;
    let is_tegra = name.split('-').any(|part| part == "tegra");
    let platform = wheel_platform(tags, is_tegra)?;
    Ok(Named {
        package,
        platform,
        variant: None,
        version: read_version(version)?,
        kind: FileKind::Wheel,
    })
}

/// All tags of a wheel must mean the same platform.
fn wheel_platform(tags: &str, is_tegra: bool) -> Result<&'static str, NameError> {
    let bad = || NameError::Tag {
        found: tags.to_owned(),
    };
    let mut platforms = tags.split('.').map(|tag| {
        if tag == "win_amd64" {
            return Some(Platform::WINDOWS_X86_64);
        }
        let tag = tag
            .strip_prefix("manylinux")
            .or_else(|| tag.strip_prefix("linux"))?;
        match (
            tag.ends_with("_x86_64"),
            tag.ends_with("_aarch64"),
            is_tegra,
        ) {
            (true, _, false) => Some(Platform::LINUX_X86_64),
            (_, true, false) => Some(Platform::LINUX_SBSA),
            (_, true, true) => Some(Platform::LINUX_AARCH64),
            _ => None,
        }
    });
    let first = platforms.next().flatten().ok_or_else(bad)?;
    if platforms.all(|platform| platform == Some(first)) {
        Ok(first)
    } else {
        Err(bad())
    }
}

/// A wheel's name in its one spelling: lowercase, `-` between parts.
fn wheel_key(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// `cu12`: the CUDA version that a wheel is for.
fn is_cuda_part(part: &str) -> bool {
    part.strip_prefix("cu")
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn is_digits_and_dots(text: &str) -> bool {
    !text.is_empty()
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

fn read_version(version: &str) -> Result<Version, NameError> {
    version.parse().map_err(|_| NameError::Version {
        found: version.to_owned(),
    })
}

fn wheel_map() -> Result<BTreeMap<String, String>, NameError> {
    let mut file: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(WHEEL_MAP).map_err(|_| NameError::Map)?;
    file.remove("wheels").ok_or(NameError::Map)
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

struct Release<'a> {
    product: &'a str,
    package: &'a str,
    /// Not empty; sorted by path.
    entries: &'a [&'a Entry<'a>],
}

impl Serialize for Release<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let usual = LICENSES
            .iter()
            .find(|(product, _)| *product == self.product)
            .map(|(_, license)| *license);
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
        map.serialize_entry("license", license.or(usual).unwrap_or(OTHER_LICENSE))?;
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

    fn read(name: &str) -> String {
        match recognise(name) {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(Named {
                package,
                platform,
                variant,
                version,
                ..
            })) => {
                format!(
                    "{package} {platform} {version} {}",
                    variant.as_deref().unwrap_or("-")
                )
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_are_read() {
        for (name, expected) in [
            (
                "cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz",
                "cuda_cudart linux-x86_64 12.9.79 -",
            ),
            (
                "cuda_cudart-windows-x86_64-12.9.79-archive.zip",
                "cuda_cudart windows-x86_64 12.9.79 -",
            ),
            (
                "cudnn-linux-sbsa-9.8.0.87_cuda12-archive.tar.xz",
                "cudnn linux-sbsa 9.8.0.87 12",
            ),
            (
                "nvidia-imex-linux-sbsa-575.57.08-archive.tar.xz",
                "imex linux-sbsa 575.57.08 -",
            ),
            (
                "nvpl_blas-linux-sbsa-0.4.0.1-archive.tar.gz",
                "nvpl_blas linux-sbsa 0.4.0.1 -",
            ),
            (
                "nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl",
                "cuda_cudart linux-x86_64 12.6.77 -",
            ),
            (
                "nvidia_cuda_runtime-13.2.75-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
                "cuda_cudart linux-sbsa 13.2.75 -",
            ),
            (
                "nvidia_cuda_runtime_cu11-11.8.89-py3-none-win_amd64.whl",
                "cuda_cudart windows-x86_64 11.8.89 -",
            ),
            (
                "cutensor_cu12-2.2.0-py3-none-manylinux2014_x86_64.whl",
                "libcutensor linux-x86_64 2.2.0 -",
            ),
            (
                "tensorrt_cu12_libs-10.9.0.34-py2.py3-none-manylinux_2_28_x86_64.whl",
                "tensorrt linux-x86_64 10.9.0.34 -",
            ),
            (
                "nvidia_nvtiff_tegra_cu12-0.5.0.67-py3-none-manylinux2014_aarch64.whl",
                "libnvtiff linux-aarch64 0.5.0.67 -",
            ),
            ("redistrib_12.9.1.json", "nothing"),
            (
                "cuda_cudart-12.9.79-archive.tar.xz",
                "expected a name `<package>-<platform>-<version>-archive`, found `cuda_cudart-12.9.79-archive`",
            ),
            (
                "numpy-2.0.0-cp312-cp312-manylinux2014_x86_64.whl",
                "expected one of NVIDIA's wheels with a redistributable, found `numpy`",
            ),
            (
                "nvidia_cuda_runtime_cu12-12.6.77-py3-none-macosx_11_0_arm64.whl",
                "expected a platform tag manylinux*_x86_64, manylinux*_aarch64 or win_amd64, found `macosx_11_0_arm64`",
            ),
            (
                "nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux1_x86_64.win_amd64.whl",
                "expected a platform tag manylinux*_x86_64, manylinux*_aarch64 or win_amd64, found `manylinux1_x86_64.win_amd64`",
            ),
            (
                "nvidia_cuda_runtime_cu12-12.6.77rc1-py3-none-win_amd64.whl",
                "expected a version of digits and dots, found `12.6.77rc1`",
            ),
            (
                "x.whl",
                "expected a wheel name `<name>-<version>-<python>-<abi>-<platform>.whl`, found `x`",
            ),
        ] {
            assert_eq!(read(name), expected, "{name}");
        }
    }
}
