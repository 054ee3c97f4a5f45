//! What the file names of NVIDIA's archives and wheels say.

use std::collections::BTreeMap;

use crate::manifest::{Platform, Version};
use crate::text;

/// NVIDIA's wheels: name without its CUDA part → package.
const WHEEL_MAP: &str = include_str!("../../nix/data/wheel-map.json");

/// The ends of archive names, and of wheels.
const ARCHIVE_ENDS: [&str; 4] = [".tar.xz", ".tar.gz", ".tar", ".zip"];
const WHEEL_END: &str = ".whl";

/// Packages whose archives do not start with the package's name. Source: `imex` in redistrib_12.5.0.json to 13.0.0.
const RENAMED: [(&str, &str); 1] = [("nvidia-imex", "imex")];

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// An archive in NVIDIA's layout.
    Archive,
    /// A Python wheel.
    Wheel,
}

/// What a file name says.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) package: String,
    pub(super) platform: &'static str,
    /// `12` for `_cuda12`.
    pub(super) variant: Option<String>,
    pub(super) version: Version,
    pub(super) kind: FileKind,
}

/// Why a name cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
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
pub(super) fn recognise(name: &str) -> Result<Option<Named>, NameError> {
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
pub(super) fn wheel_key(name: &str) -> String {
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
