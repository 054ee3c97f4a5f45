//! Archives: strict unpacking into a directory, and the re-laying of wheels.
//!
//! Archives are hostile: every deviation is an error that names the entry, never a warning, and nothing is left at
//! the target then. Parsers are the crates `tar` and `zip`; what is written, and where, is decided here alone.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "a test fails by panicking")
)]

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::{Error, Kind, Problem};
use crate::text;

mod ahead;
mod decode;
mod entry;
mod limits;
mod tar;
mod unpack;
mod wheel;
mod zip;

use ahead::ahead;
use decode::{Format, Input};
use entry::Refusal;
pub use unpack::{Contents, Entry, EntryKind};
use unpack::{Place, Tree};
pub use wheel::Metadata;

/// Unpacks the archive `file` into the new directory `target` and says what is in it.
///
/// The format is recognised by the first bytes: .tar.xz, .tar.gz, .tar, .zip. `name`, the archive's file name, is for
/// messages, and a zip archive whose name ends in `.whl` is unpacked as a wheel: re-laid from `nvidia/NAME/...` to
/// `lib`, `include`, `bin`, checked against its RECORD, each `libNAME.so.VERSION` with its `libNAME.so` link. Every
/// other archive must have one folder at its top, which is stripped.
///
/// Files get mode 0644, or 0755 when any execute bit was set, directories 0755; owners and times are not kept. Hard
/// links become copies. The tree is made in a private folder beside `target` and renamed at the end.
///
/// # Errors
/// The archive is damaged, exceeds a cap, or an entry is anything but a plain file, directory or link that stays in
/// the tree: rejected, with entry number and name. `target` exists, or the operating system fails: a fault. In
/// either case nothing is left at `target`.
pub fn unpack(file: &File, name: &str, target: &Path) -> Result<Contents, Error> {
    unpack_watched(file, name, target, &|_| Ok(()))?.keep()
}

/// Called before each read of an archive with the offset it is to be read at, on any thread; an error ends the reading.
pub type Watch<'a> = &'a (dyn Fn(u64) -> io::Result<()> + Sync);

/// [`unpack`] up to where the tree is complete and can be put at `target`, calling `watch` before each read: for those who
/// show how far it is, may want to stop it, or have to wait for the verdict on the file.
///
/// # Errors
/// Those of [`unpack`], and what `watch` says, as the cause of a rejection.
pub fn unpack_watched(
    file: &File,
    name: &str,
    target: &Path,
    watch: Watch<'_>,
) -> Result<Unpacked, Error> {
    Ok(unpack_checked(Input::new(file, watch), name, Some(target))?)
}

/// A complete tree that has still to be put at its target. Dropped before [`Unpacked::keep`] it goes.
#[derive(Debug)]
pub struct Unpacked {
    /// Where it is; `None` when it was only listed.
    place: Option<Place>,
    contents: Contents,
    archive: String,
}

impl Unpacked {
    /// Puts the tree at its target and says what is in it.
    ///
    /// # Errors
    /// Something is at the target by now, or the operating system fails: a fault. The tree is then gone.
    pub fn keep(self) -> Result<Contents, Error> {
        if let Some(place) = self.place {
            let failed = |refusal| ArchiveError::whole(&self.archive, refusal);
            place.keep().map_err(failed)?;
        }
        Ok(self.contents)
    }
}

/// What [`unpack_watched`] would make of the archive `file`. All of it is read and judged as there, nothing is written, and
/// there is nothing to keep.
///
/// # Errors
/// Those of [`unpack_watched`] that do not come from writing.
pub fn list(file: &File, name: &str, watch: Watch<'_>) -> Result<Unpacked, Error> {
    Ok(unpack_checked(Input::new(file, watch), name, None)?)
}

fn unpack_checked(
    input: Input<'_>,
    name: &str,
    target: Option<&Path>,
) -> Result<Unpacked, ArchiveError> {
    let whole = |refusal| ArchiveError::whole(name, refusal);
    let format = Format::of(&input).map_err(whole)?;
    if is_wheel(name) && format != Format::Zip {
        return Err(whole(Refusal::WheelFormat {
            found: format.name(),
        }));
    }
    let archive_bytes = input.size_bytes().map_err(Refusal::read).map_err(whole)?;
    let limit_bytes = limits::output_bytes(archive_bytes);
    let mut tree = Tree::new(target, limit_bytes).map_err(whole)?;
    match format {
        Format::Zip if is_wheel(name) => wheel::unpack(input, name, &mut tree)?,
        Format::Zip => zip::unpack(input, name, &mut tree)?,
        Format::TarXz | Format::TarGz | Format::Tar => ahead(
            |sink| {
                sink.stream(&mut decode::tar_bytes(input, format, limit_bytes));
            },
            |source| tar::unpack(source.next_stream(), name, &mut tree),
        )
        .map_err(Refusal::read)
        .map_err(whole)??,
    }
    let (place, contents) = tree.finish().map_err(|(number, path, refusal)| {
        ArchiveError::entry(name, number, path.as_bytes(), refusal)
    })?;
    Ok(Unpacked {
        place,
        contents,
        archive: name.to_owned(),
    })
}

/// Looks at the first bytes of `file` and is content when it is an archive of a kind that [`unpack`] takes; `name` is
/// for messages.
///
/// # Errors
/// The file is something else: rejected. It cannot be read: a fault.
pub fn recognise(file: &File, name: &str) -> Result<(), Error> {
    Format::of(&Input::new(file, &|_| Ok(())))
        .map_err(|refusal| ArchiveError::whole(name, refusal))?;
    Ok(())
}

/// What the wheel `file` says about itself; `name` is for messages.
///
/// # Errors
/// The file is no sound zip archive, or has no `.dist-info/METADATA` with a name and a version: rejected. It cannot be
/// read: a fault.
pub fn wheel_metadata(file: &File, name: &str) -> Result<Metadata, Error> {
    let whole = |refusal| ArchiveError::whole(name, refusal);
    let input = Input::new(file, &|_| Ok(()));
    match Format::of(&input).map_err(whole)? {
        Format::Zip => Ok(wheel::metadata(input, name)?),
        other => Err(whole(Refusal::WheelFormat {
            found: other.name(),
        })
        .into()),
    }
}

/// Is `name` a wheel's file name?
fn is_wheel(name: &str) -> bool {
    name.ends_with(".whl")
}

/// A refused archive, with its place.
#[derive(Debug)]
struct ArchiveError {
    archive: String,
    /// Number (from one) and, where it could be read, quoted name of the entry at fault; `None` when it is the whole
    /// archive.
    entry: Option<(u64, Option<String>)>,
    /// Boxed: errors should be small, and this one is rare.
    refusal: Box<Refusal>,
}

impl ArchiveError {
    fn whole(archive: &str, refusal: Refusal) -> ArchiveError {
        ArchiveError {
            archive: archive.to_owned(),
            entry: None,
            refusal: Box::new(refusal),
        }
    }

    /// The entry `number`, whose header could not even be read.
    fn nameless(archive: &str, number: u64, refusal: Refusal) -> ArchiveError {
        ArchiveError {
            archive: archive.to_owned(),
            entry: Some((number, None)),
            refusal: Box::new(refusal),
        }
    }

    fn entry(archive: &str, number: u64, name: &[u8], refusal: Refusal) -> ArchiveError {
        ArchiveError {
            archive: archive.to_owned(),
            entry: Some((number, Some(text::quote_bytes(name)))),
            refusal: Box::new(refusal),
        }
    }
}

impl std::fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.refusal)
    }
}

impl std::error::Error for ArchiveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.refusal)
    }
}

impl Problem for ArchiveError {
    fn kind(&self) -> Kind {
        if self.refusal.is_fault() {
            Kind::Fault
        } else {
            Kind::Rejected
        }
    }

    fn place(&self) -> Option<String> {
        let archive = text::printable(&self.archive);
        Some(match &self.entry {
            Some((number, Some(name))) => format!("{archive}: entry {number} {name}"),
            Some((number, None)) => format!("{archive}: entry {number}"),
            None => archive,
        })
    }

    fn hint(&self) -> Option<String> {
        match &*self.refusal {
            Refusal::Format { html: true, .. } => Some(
                "this looks like a web page: the download address is wrong or needs a login"
                    .to_owned(),
            ),
            Refusal::EndMarker | Refusal::AfterStream | Refusal::XzPadding { .. } => Some(
                "the file is cut short or has extra bytes at its end; remove it and fetch again"
                    .to_owned(),
            ),
            Refusal::Read { source } if source.kind() == std::io::ErrorKind::UnexpectedEof => Some(
                "the file is cut short or has extra bytes at its end; remove it and fetch again"
                    .to_owned(),
            ),
            Refusal::Zip64 => Some("repack it as .tar.xz".to_owned()),
            Refusal::Component { .. }
            | Refusal::Absolute
            | Refusal::LinkLeaves { .. }
            | Refusal::LinkAbsolute { .. } => Some(
                "NVIDIA's archives have no such entry; check where this file comes from".to_owned(),
            ),
            _ => None,
        }
    }
}
