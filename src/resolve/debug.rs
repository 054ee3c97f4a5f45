//! Files that hold what debuggers want of a program or library, and nothing that could be loaded.

use std::path::Path;

use crate::elf::image::Header;
use crate::elf::source::Source;
use crate::elf::{self, Facts};
use crate::error::Error;

/// Reads what `path` says about itself as [`elf::read`] does; `None` also for files with debug information alone that
/// pretend to more.
///
/// `eu-strip -f` leaves them the program headers of what they were split off, but not the bytes these speak of: they
/// look like damaged libraries, or like libraries with tables of nonsense. `objcopy --only-keep-debug` corrects the
/// headers; its files have facts, and no dynamic section.
///
/// # Errors
/// As [`elf::read`].
pub fn read(path: &Path) -> Result<Option<Facts>, Error> {
    let facts = elf::read(path);
    let may_be_debug = match &facts {
        Ok(facts) => facts.as_ref().is_some_and(|facts| facts.is_dynamic),
        Err(error) => error.is_rejected(),
    };
    // Where sections cannot be read either, it is the first trouble that counts.
    if may_be_debug && has_debug_information_alone(path).unwrap_or(false) {
        return Ok(None);
    }
    facts
}

/// Are there bytes for debuggers, and none for the loader? False for files without sections.
fn has_debug_information_alone(path: &Path) -> Result<bool, Error> {
    // With a prefix, as device code has a section for each kernel.
    const LOADED: [&[u8]; 5] = [b".dynamic", b".dynsym", b".dynstr", b".text", b".rodata"];
    let source = Source::open(path)?;
    let Some(header) = Header::read(&source, 0, source.size())? else {
        return Ok(false);
    };
    let is_there = |wanted: &dyn Fn(&[u8]) -> bool| {
        header
            .sections_where(&source, 0, source.size(), |_, name| wanted(name))
            .map(|found| !found.is_empty())
    };
    let is_debug = |name: &[u8]| {
        name == b".symtab" || name.starts_with(b".debug_") || name.starts_with(b".zdebug_")
    };
    Ok(is_there(&is_debug)?
        && !is_there(&|name| LOADED.iter().any(|loaded| name.starts_with(loaded)))?)
}
