//! The plan of one package: what a derivation asks its builder to do. No I/O.
#![deny(clippy::indexing_slicing)]

pub mod edits;
mod extras;
pub mod outputs;
mod pattern;
mod read;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use pattern::{Pattern, PatternError, Patterns};
pub use read::read;
pub use view::{View, read_view};

use crate::manifest::{Archive, Platform, Version};
use crate::relpath::RelPath;
use crate::text;

/// Where each output tells those who build with it what they need to know: the place of this program, no plan's.
pub const SUPPORT: &str = "nix-support";

/// What to do with one archive. Its fields can be read everywhere; only [`read()`] makes one.
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
    /// What only some packages, sets or platforms need.
    pub extras: Extras,
    /// Where each output goes. Absolute, fit for a RUNPATH, none inside another; [`OutputName::Out`] is among them.
    pub outputs: BTreeMap<OutputName, PathBuf>,
    _judged: Judged,
}

/// What only some packages, sets or platforms need; all of it may be absent from the text.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// The CUDA release of the set (`12.9.1`), for archives that have a folder of libraries for each.
    pub cuda_version: Option<Version>,
    /// The program interpreter of executables; `None` leaves it as it is. Absolute.
    pub interpreter: Option<String>,
    /// The package `cuda_compat`, whose `compat` is searched before everything else. Absolute, fit for a RUNPATH.
    pub cuda_compat: Option<String>,
    /// Those of the dependencies that are searched although no file needs them: libraries are opened by `dlopen`.
    pub dlopen: Vec<String>,
    /// NEEDED entries that the files of these paths (as laid out) lack.
    pub add_needed: Vec<(Pattern, Vec<String>)>,
    /// Which paths (as laid out) go to which output, before the rules for all packages.
    pub patterns: Patterns,
    /// Paths (as laid out) that are left out.
    pub drop: Vec<Pattern>,
    /// Texts that no file may contain, licences excepted.
    pub forbidden_texts: Vec<String>,
    /// The devices (`9.0`) that every file with device code must serve.
    pub capabilities: Vec<String>,
    /// Packages of the set that are no dependencies, although they might have what this one needs: for messages only.
    pub siblings: Vec<String>,
    /// Folders of the archive, and where they go before all else is laid out; `None` is the top.
    pub moves: Vec<(RelPath, Option<RelPath>)>,
    /// Links to make (as laid out) and their texts: absolute, or a path that starts in the link's own folder.
    pub links: Vec<(RelPath, String)>,
    /// Folders (as laid out), and those of other packages whose content is linked there. Absolute.
    pub merge: Vec<(RelPath, Vec<PathBuf>)>,
    /// What is replaced in the texts of these paths (as laid out), and by what.
    pub replace_texts: Vec<(Pattern, Vec<(String, String)>)>,
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
impl Plan {
    /// A plan of the package `foo` with these outputs, for tests of what comes after reading.
    pub(crate) fn sample(outputs: BTreeMap<OutputName, PathBuf>) -> Plan {
        let text = r#"{
            "planVersion": 1, "product": "cuda", "label": "12.9.1", "package": "foo", "platform": "linux-x86_64",
            "variant": null, "src": "/foo.tar.xz", "driverPaths": [], "dependencies": {}, "allowedMissing": [],
            "release": {
                "name": "foo", "license": "CUDA Toolkit", "version": "1.2.3",
                "linux-x86_64": {
                    "relative_path": "foo/linux-x86_64/foo-linux-x86_64-1.2.3-archive.tar.xz",
                    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                    "md5": "900150983cd24fb0d6963f7d28e17f72", "size": "3"
                }
            }
        }"#;
        read(text.as_bytes(), "plan.json", Some(outputs)).unwrap()
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
