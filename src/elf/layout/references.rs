//! Who refers to a string of the dynamic string table, and to the dynamic section.
//!
//! Linkers share the ends of strings, so `/lib` may be the tail of a symbol's name: only a string that nothing else refers
//! to may be written over.

use std::ops::Range;

use object::elf;
use object::elf::DynamicTag;

use super::super::image::{SYMBOL_LEN, Section, Segment, range};
use super::super::read::Machine;
use super::super::source::{Fields, Source, Window};
use super::super::strings::Table;
use super::{Piece, Request, Skip, Write, because, overflow};

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
    if rest.iter().any(|byte| *byte != 0) || is_referred_to(request, table, &place, old)? {
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
    if !entries.any(is_absolute) || is_referred_to(request, table, &place, old)? {
        return Ok(None);
    }
    let start = table.strings_offset.checked_add(at).ok_or_else(overflow)?;
    Ok(range(start, old.len() as u64))
}

/// May something other than the search path refer to a byte in `place` of the dynamic string table, where `old` stands and zeros follow?
/// Rather yes than no.
fn is_referred_to(
    request: &Request<'_>,
    table: &Table,
    place: &Range<u64>,
    old: &[u8],
) -> Result<bool, Skip> {
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
        let len = match kind {
            elf::SHT_DYNSYM => names_len(request, table, section, old)?,
            _ => section.size,
        };
        if has_name_in(request, section, len, place)? {
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

/// How much of the symbol table `section` must be looked through for names that are an end of `old`: those behind are in the GNU hash
/// table, by which the loader finds them, with hashes that no end of `old` has. It takes 4 bytes for each where the symbol table takes 24.
fn names_len(
    request: &Request<'_>,
    table: &Table,
    section: &Section,
    old: &[u8],
) -> Result<u64, Skip> {
    const TABLE: &str = "GNU hash table";
    const HEADER_LEN: u64 = 16;
    let addr = table.value(elf::DT_GNU_HASH);
    let is_it = |hash: &&Section| hash.kind == elf::SHT_GNU_HASH && Some(hash.addr) == addr;
    let hash = request.image.sections.iter().find(is_it);
    let Some(hash) = hash.filter(|hash| hash.size >= HEADER_LEN) else {
        return Ok(section.size);
    };
    let header = request.source.read(hash.offset, HEADER_LEN, TABLE)?;
    let mut f = Fields::little(&header);
    let mut number = || f.u32().map(u64::from).ok_or_else(overflow);
    let (buckets, first, filters) = (number()?, number()?, number()?);
    // 64-bit words of the Bloom filter, the buckets, then a hash for each symbol from the first on. All of these are below 2^36.
    let hashes = HEADER_LEN + filters * 8 + buckets * 4;
    let unhashed = first * SYMBOL_LEN;
    let behind = section.size.checked_sub(unhashed);
    let count = behind
        .filter(|len| len % SYMBOL_LEN == 0)
        .map(|len| len / SYMBOL_LEN);
    // In an empty table GNU ld does not say how many symbols have no hash: it is too short for what it says.
    let is_whole =
        count.and_then(|count| count.checked_mul(4)?.checked_add(hashes)) == Some(hash.size);
    let place = range(hash.offset, hash.size).filter(|_| is_whole);
    let Some(place) = place.and_then(|place| Some(place.start.checked_add(hashes)?..place.end))
    else {
        return Ok(section.size);
    };
    let ends = hashes_of_ends(old);
    let mut window = Window::new(request.source, place.clone(), TABLE);
    for at in place.step_by(4) {
        let hash = Fields::little(window.bytes(at, 4)?).u32();
        // The lowest bit tells where a bucket ends.
        if hash.is_none_or(|hash| ends.binary_search(&(hash | 1)).is_ok()) {
            return Ok(section.size);
        }
    }
    Ok(unhashed)
}

/// The hashes in GNU hash tables of all ends of `text`, itself and the empty one among them; sorted, the lowest bit of each set.
///
/// The hash of a text is 5381 to begin with, and with each byte 33 times what it was and the byte.
fn hashes_of_ends(text: &[u8]) -> Vec<u32> {
    let (mut power, mut sum) = (1_u32, 0_u32);
    let mut hashes = vec![5381 | 1];
    for byte in text.iter().rev() {
        sum = sum.wrapping_add(u32::from(*byte).wrapping_mul(power));
        power = power.wrapping_mul(33);
        hashes.push(5381_u32.wrapping_mul(power).wrapping_add(sum) | 1);
    }
    hashes.sort_unstable();
    hashes
}

/// Does the symbol or version table `section` have a name in `place`, in its first `size` bytes?
fn has_name_in(
    request: &Request<'_>,
    section: &Section,
    size: u64,
    place: &Range<u64>,
) -> Result<bool, Skip> {
    const TABLE: &str = "table with dynamic strings";
    let mut at = 0;
    while at < size {
        let len = (size - at).min(PIECE_BYTES);
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

/// How much of the file may be read where the file itself says in which order: tables as linkers write them lead to each byte once.
struct Budget<'a> {
    source: &'a Source,
    /// What [`Source::bytes_read`] may come to.
    max: u64,
}

impl<'a> Budget<'a> {
    /// Twice the file, as blocks that are read at once may overlap.
    fn new(source: &'a Source) -> Budget<'a> {
        let twice = source.size().saturating_mul(2);
        Budget {
            source,
            max: source.bytes_read().saturating_add(twice),
        }
    }

    fn check(&self) -> Result<(), Skip> {
        if self.source.bytes_read() > self.max {
            return because("tables that lead to the same bytes again and again");
        }
        Ok(())
    }
}

/// Does a word of data that programs may change hold one of `addresses`, in a program that is not position independent? No relocation tells
/// of such a word. Words at the offsets `known`, which are sorted, and in `section`, the dynamic section, do not count.
pub(super) fn holds_address(
    request: &Request<'_>,
    addresses: &Range<u64>,
    known: &[u64],
    section: &Range<u64>,
) -> Result<bool, Skip> {
    if request.facts.is_position_independent {
        return Ok(false);
    }
    let budget = Budget::new(request.source);
    for load in request
        .image
        .loads()
        .filter(|load| load.flags & elf::PF_W.0 != 0)
    {
        let place = load.file_range().ok_or_else(overflow)?;
        let mut words = Window::new(request.source, place.clone(), "writable data");
        let aligned = load.vaddr.checked_next_multiple_of(8);
        let before = aligned.map(|aligned| aligned - load.vaddr);
        let mut at = before.and_then(|before| place.start.checked_add(before));
        while let Some(word) = at.filter(|at| place.end.saturating_sub(*at) >= 8) {
            at = word.checked_add(8);
            let value = Fields::little(words.bytes(word, 8)?).u64();
            budget.check()?;
            if value.is_some_and(|value| addresses.contains(&value))
                && !section.contains(&word)
                && known.binary_search(&word).is_err()
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Bytes of a relocation with an addend.
const RELOCATION_LEN: u64 = 24;
/// More packed relocations than any real file has; each is a look at a word of the file.
const PACKED_MAX: u64 = 1 << 22;

/// Why the dynamic section, which has these `addresses`, must stay: a relative relocation yields one of them. Those that name a symbol
/// yield whatever value that has.
///
/// Looked up once, whichever rungs ask.
pub(super) fn relocates_to(request: &Request<'_>, addresses: &Range<u64>) -> Result<(), Skip> {
    let found = match request.relocates_to.get() {
        Some(found) => found,
        None => {
            let found = match has_relocation_to(request, addresses) {
                Ok(false) => None,
                Ok(true) => Some(
                    "a relocation yields the address of the dynamic section, which would have to move"
                        .to_owned(),
                ),
                Err(Skip::Because(reason)) => Some(reason),
                Err(error) => return Err(error),
            };
            request.relocates_to.get_or_init(|| found)
        }
    };
    match found {
        Some(reason) => because(reason.clone()),
        None => Ok(()),
    }
}

fn has_relocation_to(request: &Request<'_>, addresses: &Range<u64>) -> Result<bool, Skip> {
    let Some(table) = &request.image.table else {
        return Ok(false);
    };
    let place = |start, size| -> Result<Option<Range<u64>>, Skip> {
        let (Some(addr), Some(size)) = (table.value(start), table.value(size)) else {
            return Ok(None);
        };
        let place = request.image.file_offset(addr, size);
        match place.and_then(|offset| range(offset, size)) {
            Some(place) => Ok(Some(place)),
            None => because("relocations that no segment brings from the file"),
        }
    };
    if let Some(place) = place(elf::DT_RELA, elf::DT_RELASZ)?
        && has_relative(request, place, addresses)?
    {
        return Ok(true);
    }
    match place(elf::DT_RELR, elf::DT_RELRSZ)? {
        Some(place) => has_packed(request, place, addresses),
        None => Ok(false),
    }
}

/// Is the addend of a relative relocation of the table at `place` one of `addresses`?
fn has_relative(
    request: &Request<'_>,
    place: Range<u64>,
    addresses: &Range<u64>,
) -> Result<bool, Skip> {
    let relative = match request.facts.machine {
        Machine::X86_64 => elf::R_X86_64_RELATIVE.0,
        Machine::Aarch64 => elf::R_AARCH64_RELATIVE.0,
        Machine::Ppc64 => elf::R_PPC64_RELATIVE.0,
        Machine::Other(_) => return Ok(false),
    };
    let mut window = Window::new(request.source, place.clone(), "relocations");
    let mut at = place.start;
    while let Some(next) = at
        .checked_add(RELOCATION_LEN)
        .filter(|next| *next <= place.end)
    {
        let mut f = Fields::little(window.bytes(at, RELOCATION_LEN)?);
        let fields = f.u64().and_then(|_| Some((f.u32()?, f.u32()?, f.u64()?)));
        if fields.is_some_and(|(kind, _, addend)| kind == relative && addresses.contains(&addend)) {
            return Ok(true);
        }
        at = next;
    }
    Ok(false)
}

/// Does a word at one of the places that the packed relocations (`DT_RELR`) at `place` name hold one of `addresses`?
///
/// An even entry is the address of a word; each bit but the lowest of an odd one stands for one of the 63 words behind the last.
fn has_packed(
    request: &Request<'_>,
    place: Range<u64>,
    addresses: &Range<u64>,
) -> Result<bool, Skip> {
    let loads: Vec<&Segment> = request.image.loads().collect();
    let whole = 0..request.source.size();
    let mut entries = Window::new(request.source, place.clone(), "packed relocations");
    let mut words = Window::new(request.source, whole, "relocated words");
    let budget = Budget::new(request.source);
    let (mut next, mut looked_at) = (0_u64, 0);
    let mut holds = |addr: u64| -> Result<bool, Skip> {
        looked_at += 1;
        if looked_at > PACKED_MAX {
            return because(format!("more than {PACKED_MAX} packed relocations"));
        }
        // Sorted, none over another: the image was judged.
        let behind = loads.partition_point(|load| load.vaddr <= addr);
        let load = behind.checked_sub(1).and_then(|index| loads.get(index));
        let Some(offset) = load.and_then(|load| load.file_offset(addr, 8)) else {
            return because("a packed relocation of no word of the file");
        };
        let word = Fields::little(words.bytes(offset, 8)?).u64();
        budget.check()?;
        Ok(word.is_some_and(|word| addresses.contains(&word)))
    };
    let mut at = place.start;
    while at.checked_add(8).is_some_and(|end| end <= place.end) {
        let entry = Fields::little(entries.bytes(at, 8)?).u64();
        let entry = entry.ok_or_else(overflow)?;
        at += 8;
        if entry % 2 == 0 {
            if holds(entry)? {
                return Ok(true);
            }
            next = entry.checked_add(8).ok_or_else(overflow)?;
            continue;
        }
        for bit in (1..64).filter(|bit| entry >> bit & 1 == 1) {
            if holds(next.checked_add((bit - 1) * 8).ok_or_else(overflow)?)? {
                return Ok(true);
            }
        }
        next = next.checked_add(63 * 8).ok_or_else(overflow)?;
    }
    Ok(false)
}

/// Is the name at `at` in the string table of the symbol table `table` this one, which ends in NUL?
pub(super) fn is_named(
    request: &Request<'_>,
    table: &Section,
    at: u32,
    name: &[u8],
) -> Result<bool, Skip> {
    let index = usize::try_from(table.link).ok();
    let strings = index.and_then(|index| request.image.sections.get(index));
    let Some(strings) = strings.filter(|section| section.kind == elf::SHT_STRTAB) else {
        return Ok(false);
    };
    let (at, len) = (u64::from(at), name.len() as u64);
    if at.saturating_add(len) > strings.size {
        return Ok(false);
    }
    let start = strings.offset.checked_add(at).ok_or_else(overflow)?;
    Ok(request.source.read(start, len, "symbol names")? == name)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_have_the_hashes_of_texts() {
        let hash = |text: &[u8]| {
            let step = |hash: u32, byte: &u8| hash.wrapping_mul(33).wrapping_add(u32::from(*byte));
            text.iter().fold(5381, step)
        };
        // From the ABI's description: the hash of `printf`.
        assert_eq!(hash(b"printf"), 0x156b_2bb8);
        for text in [
            "",
            "a",
            "/lib",
            "/nix/store/aaaaaaaaaaaa-libcublas/lib:$ORIGIN",
            "printf",
        ] {
            let ends = (0..=text.len()).filter_map(|start| text.as_bytes().get(start..));
            let mut expected: Vec<u32> = ends.map(|end| hash(end) | 1).collect();
            expected.sort_unstable();
            assert_eq!(hashes_of_ends(text.as_bytes()), expected, "{text}");
        }
    }
}
