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

/// What is known of the device code in a file.
#[derive(Debug)]
pub enum DeviceCode {
    /// All of it.
    Understood(Counts),
    /// Its headers are of a form that is not known here, as those of a future CUDA may be. The file itself is sound.
    NotUnderstood(Error),
}

/// Looks at the device code in `path` as [`count`] does. Code that is not understood is an answer, for those whose work
/// does not depend on it.
///
/// # Errors
/// The file cannot be read; its tables do not lie inside it; or it is a thin archive, whose members are other files.
pub fn read(path: &Path) -> Result<DeviceCode, Error> {
    let source = Source::open(path)?;
    let mut found = Counts::new();
    let not_understood = walk::file(&source, &mut found)?;
    Ok(not_understood.map_or(DeviceCode::Understood(found), DeviceCode::NotUnderstood))
}

/// Counts the device code in `path`, in the sense of `cuobjdump --list-elf` and `--list-ptx`.
///
/// Looks into shared libraries, programs, object files and static libraries of 64-bit little-endian machines. Any
/// other file has no device code in this sense, also when its contents could be some (`.fatbin`, `.cubin` and
/// resource files loaded at run time).
///
/// # Errors
/// As [`read`], and the code is not understood.
pub fn count(path: &Path) -> Result<Counts, Error> {
    match read(path)? {
        DeviceCode::Understood(counts) => Ok(counts),
        DeviceCode::NotUnderstood(error) => Err(error),
    }
}

/// The architectures that the device code in `path` is for: distinct, sorted; empty when there is none.
///
/// # Errors
/// As [`count`].
pub fn architectures(path: &Path) -> Result<Vec<Architecture>, Error> {
    Ok(count(path)?.into_keys().collect())
}
