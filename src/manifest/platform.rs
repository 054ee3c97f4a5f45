//! NVIDIA's platforms.

use std::fmt;
use std::str::FromStr;

use super::texts;

/// A platform as NVIDIA names it: `linux-x86_64`, `linux-sbsa` (ARM servers), `linux-aarch64` (Jetson), ...
///
/// **Shape**: a name of ASCII letters, digits, `_`, `-`, `.` and `+` that does not start with `.` or `-`. It need not be a known
/// one: NVIDIA adds platforms, and an old program should still read new manifests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform(String);

/// Why a text is no [`Platform`]. Its `Display` is `expected X, found Y`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}, found {found}", texts::NAME_EXPECTED)]
pub struct PlatformError {
    found: String,
}

impl Platform {
    /// x86_64 Linux.
    pub const LINUX_X86_64: &'static str = "linux-x86_64";
    /// ARM servers (Server Base System Architecture), Linux.
    pub const LINUX_SBSA: &'static str = "linux-sbsa";
    /// Jetson boards, Linux.
    pub const LINUX_AARCH64: &'static str = "linux-aarch64";
    /// POWER, little-endian, Linux; the last is CUDA 12.4.1.
    pub const LINUX_PPC64LE: &'static str = "linux-ppc64le";
    /// Every Linux.
    pub const LINUX_ALL: &'static str = "linux-all";
    /// x86_64 Windows.
    pub const WINDOWS_X86_64: &'static str = "windows-x86_64";
    /// Source code, for any machine.
    pub const SOURCE: &'static str = "source";

    /// All platforms seen in NVIDIA's manifests up to CUDA 13.
    pub const KNOWN: [&'static str; 7] = [
        Platform::LINUX_X86_64,
        Platform::LINUX_SBSA,
        Platform::LINUX_AARCH64,
        Platform::LINUX_PPC64LE,
        Platform::LINUX_ALL,
        Platform::WINDOWS_X86_64,
        Platform::SOURCE,
    ];

    /// Is it one of [`Platform::KNOWN`]?
    pub fn is_known(&self) -> bool {
        Platform::KNOWN.contains(&self.as_str())
    }

    /// The text, as in the manifest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Platform, PlatformError> {
        texts::judge_name(text).map_err(|found| PlatformError { found })?;
        Ok(Platform(text.to_owned()))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_platforms_are_platforms() {
        for (text, known) in [
            ("linux-sbsa", true),
            ("source", true),
            ("linux-riscv64", false),
            ("Linux-sbsa", false),
        ] {
            let platform: Platform = text.parse().unwrap();
            assert_eq!(
                (platform.is_known(), platform.to_string().as_str()),
                (known, text)
            );
        }
        for bad in ["", "..", "a/b", "a b", "-x", "linux\n"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }
}
