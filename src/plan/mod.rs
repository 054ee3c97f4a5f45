//! The plan of one package: what a derivation asks its builder to do. No I/O.
#![deny(clippy::indexing_slicing)]

mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use read::read;

use crate::manifest::{Archive, Platform, Version};
use crate::text;

/// What to do with one archive. Its fields can be read everywhere; only [`read`] makes one.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The product whose manifest lists the archive (`cuda`).
    pub product: String,
    /// The manifest's label (`12.9.1`).
    pub label: String,
    /// The package (`libcusolver`).
    pub package: String,
    /// What the package is for.
    pub platform: Platform,
    /// The variant (`cuda12`); `None` where the release has none.
    pub variant: Option<String>,
    /// The release's own version (`11.7.5.82`).
    pub version: Version,
    /// The manifest's entry for this platform and variant.
    pub archive: Archive,
    /// The archive on this machine. Absolute.
    pub src: PathBuf,
    /// Directories where the driver's libraries will be found when programs run, first ones first. Absolute, fit for a RUNPATH.
    pub driver_paths: Vec<String>,
    /// Packages of the same set and their `lib` outputs. Absolute, fit for a RUNPATH.
    pub dependencies: BTreeMap<String, PathBuf>,
    /// Sonames that this package may need although nobody in the set has them. File names without `/`.
    pub allowed_missing: Vec<String>,
    /// Where each output goes. Absolute, fit for a RUNPATH, none inside another; [`OutputName::Out`] is among them.
    pub outputs: BTreeMap<OutputName, PathBuf>,
    _judged: Judged,
}

/// Cannot be made outside of this module: who holds one was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Judged;

/// An output of a package, ordered as Nix is told of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputName {
    /// What has no other place.
    Out,
    /// Documentation.
    Doc,
    /// Sample programs.
    Samples,
    /// Python modules and wheels.
    Python,
    /// Programs.
    Bin,
    /// What builds need: pkg-config and CMake files.
    Dev,
    /// Headers.
    Include,
    /// Shared libraries.
    Lib,
    /// Static libraries.
    Static,
    /// Libraries to link against where the real ones are the driver's.
    Stubs,
}

impl OutputName {
    /// All of them, in order.
    pub const ALL: [OutputName; 10] = [
        OutputName::Out,
        OutputName::Doc,
        OutputName::Samples,
        OutputName::Python,
        OutputName::Bin,
        OutputName::Dev,
        OutputName::Include,
        OutputName::Lib,
        OutputName::Static,
        OutputName::Stubs,
    ];

    /// The name that Nix knows it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            OutputName::Out => "out",
            OutputName::Doc => "doc",
            OutputName::Samples => "samples",
            OutputName::Python => "python",
            OutputName::Bin => "bin",
            OutputName::Dev => "dev",
            OutputName::Include => "include",
            OutputName::Lib => "lib",
            OutputName::Static => "static",
            OutputName::Stubs => "stubs",
        }
    }
}

/// Why a text names no [`OutputName`]. Its `Display` is `expected X, found Y`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}, found {}", OutputName::ALL.map(|name| text::quote(name.as_str())).join(", "), text::quote(.found))]
pub struct OutputNameError {
    found: String,
}

impl FromStr for OutputName {
    type Err = OutputNameError;

    fn from_str(text: &str) -> Result<OutputName, OutputNameError> {
        let found = OutputName::ALL
            .into_iter()
            .find(|name| name.as_str() == text);
        found.ok_or_else(|| OutputNameError {
            found: text.to_owned(),
        })
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_names_are_read_back() {
        for name in OutputName::ALL {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        assert!(OutputName::ALL.is_sorted());
        insta::assert_snapshot!("headers".parse::<OutputName>().unwrap_err(), @"expected one of `out`, `doc`, `samples`, `python`, `bin`, `dev`, `include`, `lib`, `static`, `stubs`, found `headers`");
    }
}
