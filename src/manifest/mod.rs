//! NVIDIA redistrib manifests: types, and the judge that alone makes them.
//!
//! A manifest lists, for one product and label (`cuda`, `12.9.1`), a release per package, and per release and platform an
//! archive: `redistrib_12.9.1.json` below <https://developer.download.nvidia.com/compute/cuda/redist/>.
#![deny(clippy::indexing_slicing)]

mod check;
mod codes;
pub mod json;
mod laws;
mod parse;
mod platform;
mod shapes;
mod syntax;
mod texts;
mod version;

use std::collections::BTreeMap;

pub use check::{
    Checked, Judging, Kind, Report, check, errors, inspect, problems, read, read_shape, release_of,
};
pub use codes::{CODES, Code, meaning};
pub use platform::{Platform, PlatformError};
pub use shapes::{BUILDABLE_RELEASE, REDISTRIB_RELEASE, TABLE, shape};
pub use syntax::MOST_BYTES;
pub use texts::{NAME, read_size};
pub use version::{Version, VersionError};

use crate::hash::{Expected, Md5, Sha256};

/// A checked redistrib manifest. Only [`read`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    release_date: Option<String>,
    release_label: Option<String>,
    release_product: Option<String>,
    packages: BTreeMap<String, Release>,
}

/// What a manifest says of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    name: String,
    license: String,
    license_path: Option<String>,
    version: Version,
    variants: Option<Variants>,
    platforms: BTreeMap<Platform, Entries>,
}

/// The variants of a release, as its key that ends in `_variant` lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variants {
    /// The key: `cuda_variant`. What stands before `_variant` is how the variants' names begin.
    pub key: String,
    /// What follows in each name: `["12", "13.2"]` for `cuda12` and `cuda13.2`.
    pub values: Vec<String>,
}

/// What a release has for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entries {
    /// One archive; the release lists no variants.
    Flat(Archive),
    /// An archive per variant (`cuda12`); the release lists them.
    Variants(BTreeMap<String, Archive>),
}

/// One downloadable file. Its fields can be read everywhere; only the judge makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Where the file lies below the product's address: relative, staying below it.
    pub relative_path: String,
    /// The file's SHA-256.
    pub sha256: Sha256,
    /// The file's MD5; always there in a manifest, `None` where only a `buildableRelease` was asked for and it has none.
    pub md5: Option<Md5>,
    /// The file's size; `None` as for `md5`.
    pub size_bytes: Option<u64>,
    _judged: Judged,
}

/// Cannot be made outside of this module: who holds one was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Judged;

impl Manifest {
    /// `release_date`, as written (`2025-06-04`); hand-made manifests lack it.
    pub fn release_date(&self) -> Option<&str> {
        self.release_date.as_deref()
    }

    /// `release_label` (`12.9.1`); `None` in manifests before CUDA 12.2.
    pub fn release_label(&self) -> Option<&str> {
        self.release_label.as_deref()
    }

    /// `release_product` (`cuda`); `None` in manifests before CUDA 12.2.
    pub fn release_product(&self) -> Option<&str> {
        self.release_product.as_deref()
    }

    /// The releases by package name (`cuda_cudart`).
    pub fn packages(&self) -> &BTreeMap<String, Release> {
        &self.packages
    }
}

impl Release {
    /// The package's name for people (`CUDA Runtime (cudart)`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The licence's name (`CUDA Toolkit`).
    pub fn license(&self) -> &str {
        &self.license
    }

    /// Where the licence lies below the product's address (`cuda_cudart/LICENSE.txt`), if the manifest says so.
    pub fn license_path(&self) -> Option<&str> {
        self.license_path.as_deref()
    }

    /// The package's own version (`12.9.79`).
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The variants there are archives for; `None` where platforms hold one archive each.
    pub fn variants(&self) -> Option<&Variants> {
        self.variants.as_ref()
    }

    /// What there is for each platform.
    pub fn platforms(&self) -> &BTreeMap<Platform, Entries> {
        &self.platforms
    }
}

impl Archive {
    /// What a download must be, for [`crate::hash::verify`].
    pub fn expected(&self) -> Expected {
        Expected {
            sha256: self.sha256,
            md5: self.md5,
            size_bytes: self.size_bytes,
        }
    }
}
