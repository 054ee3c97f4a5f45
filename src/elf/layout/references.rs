//! Who refers to a string of the dynamic string table.
//!
//! Linkers share the ends of strings, so `/lib` may be the tail of a symbol's name: only a string that nothing else refers
//! to may be written over.

use std::ops::Range;

use object::elf;
use object::elf::DynamicTag;

use super::super::image::{SYMBOL_LEN, Section, range};
use super::super::source::Fields;
use super::super::strings::Table;
use super::{Piece, Request, Skip, Write, overflow};

/// How much of a table is read at once: a multiple of a symbol's size, and of a version's number.
const PIECE_BYTES: u64 = SYMBOL_LEN * 4096;

/// The write that puts `new` into the place of the old string `old` at offset `at`; `None` when that is too short, or something
/// else refers to any byte of it.
///
/// Zeros behind the old string that nothing refers to belong to its place: they are left over from a longer one.
pub(super) fn slot(
    request: &Request<'_>,
    table: &Table,
    at: u64,
    old: &[u8],
    new: &[u8],
) -> Result<Option<Write>, Skip> {
    let needed = new.len().max(old.len()) as u64 + 1;
    let Some(place) = range(at, needed).filter(|place| place.end <= table.strings_size) else {
        return Ok(None);
    };
    let start = table.strings_offset.checked_add(at).ok_or_else(overflow)?;
    let behind = start.checked_add(old.len() as u64).ok_or_else(overflow)?;
    let rest = needed - old.len() as u64;
    let rest = request.source.read(behind, rest, "dynamic string table")?;
    if rest.iter().any(|byte| *byte != 0) || is_referred_to(request, table, &place)? {
        return Ok(None);
    }
    let unused = needed - 1 - new.len() as u64;
    Ok(Some(Write {
        offset: start,
        pieces: vec![Piece::Bytes(new.to_vec()), Piece::Fill(0, unused + 1)],
    }))
}

/// Where in the file the string `old` at offset `at` is to be blanked: it names absolute directories, which tools that look for
/// references would still find, and nothing else refers to any byte of it.
pub(super) fn dead(
    request: &Request<'_>,
    table: &Table,
    at: u64,
    old: &[u8],
) -> Result<Option<Range<u64>>, Skip> {
    let place = range(at, old.len() as u64 + 1).ok_or_else(overflow)?;
    let is_absolute = |entry: &[u8]| entry.starts_with(b"/");
    let mut entries = old.split(|byte| *byte == b':');
    if !entries.any(is_absolute) || is_referred_to(request, table, &place)? {
        return Ok(None);
    }
    let start = table.strings_offset.checked_add(at).ok_or_else(overflow)?;
    Ok(range(start, old.len() as u64))
}

/// May something other than the search path refer to a byte in `place` of the dynamic string table? Rather yes than no.
fn is_referred_to(request: &Request<'_>, table: &Table, place: &Range<u64>) -> Result<bool, Skip> {
    const STRING_TAGS: [DynamicTag; 8] = [
        elf::DT_NEEDED,
        elf::DT_SONAME,
        elf::DT_AUXILIARY,
        elf::DT_FILTER,
        elf::DT_CONFIG,
        elf::DT_DEPAUDIT,
        elf::DT_AUDIT,
        // DT_USED, which has no name in the tables at hand.
        DynamicTag(0x7fff_fffe),
    ];
    // The string before it must end before it: else it is the tail of that one.
    let Some(before) = place.start.checked_sub(1) else {
        return Ok(true);
    };
    let before = table.strings_offset.checked_add(before);
    let before = before.ok_or_else(overflow)?;
    if request.source.read(before, 1, "dynamic string table")? != [0] {
        return Ok(true);
    }
    let sections = &request.image.sections;
    let strings = sections
        .iter()
        .position(|section| table.is_strings_of(section));
    let Some(strings) = strings else {
        return Ok(true);
    };
    let mut names = table.live().iter();
    if names.any(|entry| STRING_TAGS.contains(&entry.tag) && place.contains(&entry.value)) {
        return Ok(true);
    }
    for (tag, kind) in [
        (elf::DT_SYMTAB, elf::SHT_DYNSYM),
        (elf::DT_VERNEED, elf::SHT_GNU_VERNEED),
        (elf::DT_VERDEF, elf::SHT_GNU_VERDEF),
    ] {
        let Some(addr) = table.value(tag) else {
            continue;
        };
        let is_it = |section: &&Section| section.kind == kind && section.addr == addr;
        let Some(section) = sections.iter().find(is_it) else {
            return Ok(true);
        };
        if has_name_in(request, section, place)? {
            return Ok(true);
        }
    }
    let known = [
        elf::SHT_DYNSYM,
        elf::SHT_DYNAMIC,
        elf::SHT_GNU_VERNEED,
        elf::SHT_GNU_VERDEF,
    ];
    let is_unknown = |section: &Section| {
        u64::from(section.link) == strings as u64
            && section.has_bytes()
            && !known.contains(&section.kind)
    };
    Ok(sections.iter().any(is_unknown))
}

/// Does the symbol or version table `section` have a name in `place`?
fn has_name_in(request: &Request<'_>, section: &Section, place: &Range<u64>) -> Result<bool, Skip> {
    const TABLE: &str = "table with dynamic strings";
    let mut at = 0;
    while at < section.size {
        let len = (section.size - at).min(PIECE_BYTES);
        let start = section.offset.checked_add(at).ok_or_else(overflow)?;
        let bytes = request.source.read(start, len, TABLE)?;
        let found = if section.kind == elf::SHT_DYNSYM {
            symbols(&bytes).any(|symbol| place.contains(&u64::from(symbol.name)))
        } else {
            // Versions are linked lists of two kinds of records: every 4-aligned number may be a name.
            let mut f = Fields::little(&bytes);
            std::iter::from_fn(|| f.u32()).any(|number| place.contains(&u64::from(number)))
        };
        if found {
            return Ok(true);
        }
        at += len;
    }
    Ok(false)
}

/// Does the dynamic symbol table `section` have a symbol in one of `sections`, which are sorted?
pub(super) fn has_symbol_of(
    request: &Request<'_>,
    section: &Section,
    sections: &[usize],
) -> Result<bool, Skip> {
    let mut at = 0;
    while at < section.size {
        let len = (section.size - at).min(PIECE_BYTES);
        let start = section.offset.checked_add(at).ok_or_else(overflow)?;
        let bytes = request.source.read(start, len, "dynamic symbol table")?;
        if symbols(&bytes)
            .any(|symbol| sections.binary_search(&usize::from(symbol.section)).is_ok())
        {
            return Ok(true);
        }
        at += len;
    }
    Ok(false)
}

/// A symbol's fields that matter here.
pub(super) struct Symbol {
    pub(super) name: u32,
    pub(super) section: u16,
    pub(super) value: u64,
}

/// Decodes whole symbols off `bytes`.
pub(super) fn symbols(bytes: &[u8]) -> impl Iterator<Item = Symbol> {
    let mut f = Fields::little(bytes);
    std::iter::from_fn(move || {
        let (name, _info, section, value) = (f.u32()?, f.u16()?, f.u16()?, f.u64()?);
        f.u64()?;
        Some(Symbol {
            name,
            section,
            value,
        })
    })
}
