//! CUDA device code in ELF files and static libraries: which architectures it is for.
//!
//! Only headers are read, never the device code: some 40 kB of a library of 356 MB.
//!
//! ```text
//!  path ── walk (archive ► member ► section ► container ► entry) ──► Count per Architecture ──► serves(Capability)?
//! ```

#![deny(clippy::indexing_slicing)]

mod architecture;
mod walk;

use std::collections::BTreeMap;
use std::path::Path;

use crate::elf::source::Source;
use crate::error::Error;

pub use architecture::{Architecture, Capability, CapabilityError, Code, Variant};

/// How often device code for one architecture is in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Pieces of code: cubins or texts of PTX.
    pub total: u64,
    /// Those of them that are stored compressed.
    pub compressed: u64,
}

/// The device code in a file, sorted by architecture; empty when there is none.
pub type Counts = BTreeMap<Architecture, Count>;

/// Counts the device code in `path`, in the sense of `cuobjdump --list-elf` and `--list-ptx`.
///
/// Looks into shared libraries, programs, object files and static libraries of 64-bit little-endian machines. Any
/// other file has no device code in this sense, also when its contents could be some (`.fatbin`, `.cubin` and
/// resource files loaded at run time).
///
/// # Errors
/// The file cannot be read; its tables or the headers of its device code do not lie inside it; or it is a thin archive,
/// whose members are other files.
pub fn count(path: &Path) -> Result<Counts, Error> {
    let source = Source::open(path)?;
    let mut found = Counts::new();
    walk::file(&source, &mut found)?;
    Ok(found)
}

/// The architectures that the device code in `path` is for: distinct, sorted; empty when there is none.
///
/// # Errors
/// As [`count`].
pub fn architectures(path: &Path) -> Result<Vec<Architecture>, Error> {
    Ok(count(path)?.into_keys().collect())
}
