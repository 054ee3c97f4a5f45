//! The tables as they shall be, and the steps that make them so.

use std::ops::Range;

use object::elf;
use object::elf::DynamicTag;

use super::super::check::{Image, is_dynamic};
use super::super::image::{
    DYNAMIC_LEN, Dynamic, SECTION_LEN, SEGMENT_LEN, SYMBOL_LEN, Section, Segment, encode,
};
use super::super::read::ElfKind;
use super::super::strings::Table;
use super::references::{holds_address, is_named, relocates_to, symbols};
use super::{
    LongerStrings, MovedSymbol, Piece, Request, Skip, Step, StringPlace, Write, because, overflow,
};

/// How much of a symbol table is read at once: a multiple of a symbol's size.
const SYMBOLS_BYTES: u64 = SYMBOL_LEN * 4096;
/// File offset and size of the header's field for the number of program headers.
const SEGMENT_COUNT_FIELD: Range<u64> = 56..58;
/// File offset of the header's field for the place of the section headers.
const SECTIONS_OFFSET_FIELD: u64 = 40;
/// Program headers that start before this are written together with their number, at once.
const NEAR_BYTES: u64 = 64 << 10;
/// Free entries of a dynamic section that moved: as many as GNU ld leaves.
const SPARE_ENTRIES: usize = 4;

/// Tables to be, and the bytes that go with them.
pub(super) struct Draft {
    pub(super) after: Image,
    /// New bytes at the end of the file, or of its last segment.
    append: Vec<Step>,
    /// Strings changed in their places.
    in_place: Vec<Write>,
    /// Old values that nothing refers to any more.
    blanks: Vec<Write>,
    /// Symbols that follow their sections.
    symbols: Vec<MovedSymbol>,
    /// Words of the file that hold the dynamic section's address.
    words: Vec<Write>,
    /// Program headers for the time between: as many as before, old and new bytes both loaded.
    bridge: Option<Vec<Segment>>,
    /// Has a hash table another address?
    is_hash_moved: bool,
    /// Has the dynamic section to go elsewhere? What is behind its terminating `DT_NULL` is nobody's and does not come along, but
    /// stays where it is.
    is_dynamic_moved: bool,
}

impl Draft {
    pub(super) fn new(before: &Image) -> Draft {
        let mut after = before.clone();
        if after.sections.is_empty() {
            // An offset without a number would let others look for that at the offset, in bytes that are none of a table.
            after.header.sections_offset = 0;
        }
        Draft {
            after,
            append: Vec::new(),
            in_place: Vec::new(),
            blanks: Vec::new(),
            symbols: Vec::new(),
            words: Vec::new(),
            bridge: None,
            is_hash_moved: false,
            is_dynamic_moved: false,
        }
    }

    /// Notes steps that bring new bytes.
    pub(super) fn append(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.append.extend(steps);
    }

    /// Notes strings that are changed in their places.
    pub(super) fn write_in_place(&mut self, writes: impl IntoIterator<Item = Write>) {
        self.in_place.extend(writes);
    }

    /// Notes bytes that nothing refers to any more.
    pub(super) fn blank(&mut self, byte: u8, range: &Range<u64>) {
        if !range.is_empty() {
            self.blanks.push(Write::fill(byte, range));
        }
    }

    /// Makes the dynamic entries those that `request` asks for; what is appended to the string table starts there at `base`.
    ///
    /// The search path takes the entry of the old one. All others take spare `DT_NULL`s; where there is none `DT_DEBUG` gives way
    /// in a library (the loader fills that in for programs only), then `DT_RELACOUNT`, which only saves the loader time. Nothing else
    /// does: `DT_HASH` beside `DT_GNU_HASH`, for example, is what the ELF specification demands and some programs read. Where that is
    /// not enough all entries stay and the section gets longer: it [is moved](Draft::append_tables).
    pub(super) fn set_entries(&mut self, request: &Request<'_>, base: u64) -> Result<(), Skip> {
        let Some(table) = &mut self.after.table else {
            return Ok(());
        };
        let entry = |tag, place| {
            let value = match place {
                StringPlace::Old(at) => Some(at),
                StringPlace::New(at) => base.checked_add(at),
            };
            value
                .map(|value| Dynamic { tag, value })
                .ok_or_else(overflow)
        };
        let mut new = Vec::new();
        if let Some(wanted) = request.search_path {
            let wanted = wanted.map(|(tag, place)| entry(tag, place)).transpose()?;
            let is_old =
                |entry: &Dynamic| entry.tag == elf::DT_RUNPATH || entry.tag == elf::DT_RPATH;
            let first = table.live().iter().position(is_old);
            match (first, wanted) {
                (Some(first), Some(wanted)) => {
                    if let Some(entry) = table.entries.get_mut(first) {
                        *entry = wanted;
                    }
                    remove(table, |index, entry| index != first && is_old(entry));
                }
                _ => remove(table, |_, entry| is_old(entry)),
            }
            new.extend(wanted.filter(|_| first.is_none()));
        }
        for place in &request.needed {
            new.push(entry(elf::DT_NEEDED, *place)?);
        }
        let mut victims = vec![elf::DT_RELCOUNT, elf::DT_RELACOUNT];
        if request.facts.kind == ElfKind::SharedLibrary {
            victims.push(elf::DT_DEBUG);
        }
        let mut fitted = table.clone();
        while fitted.spare() < new.len()
            && let Some(victim) = victims.pop()
        {
            remove(&mut fitted, |_, entry| entry.tag == victim);
        }
        if fitted.spare() >= new.len() {
            *table = fitted;
        } else {
            make_room(table, new.len() + SPARE_ENTRIES);
            self.is_dynamic_moved = true;
        }
        for entry in new {
            if let Some(place) = table.entries.get_mut(table.used) {
                *place = entry;
                table.used += 1;
            }
        }
        Ok(())
    }

    /// Has the dynamic section, with the entries that were set, no room where it is?
    pub(super) fn is_dynamic_moved(&self) -> bool {
        self.is_dynamic_moved
    }

    /// Puts `strings` at `offset` and `vaddr` or some bytes behind, and before them the dynamic section if its entries, which are set
    /// already, have no room where they are. Gives back the number of bytes from `offset` on, all of which go into `pieces`.
    pub(super) fn append_tables(
        &mut self,
        request: &Request<'_>,
        strings: &LongerStrings,
        (offset, vaddr): (u64, u64),
        pieces: &mut Vec<Piece>,
    ) -> Result<u64, Skip> {
        let pad = |at: u64| {
            let aligned = at.checked_next_multiple_of(8).ok_or_else(overflow);
            aligned.map(|aligned| aligned - at)
        };
        // Offsets are those of parts of the file, but the last segment may lie anywhere in memory.
        let place = |at: u64| {
            let place = offset.checked_add(at).zip(vaddr.checked_add(at));
            place.ok_or_else(overflow)
        };
        let before = pad(offset)?;
        pieces.push(Piece::Fill(0, before));
        let dynamic_len = if self.is_dynamic_moved {
            let dynamic_len = self.after.table.as_ref().map_or(0, dynamic_len);
            self.move_dynamic(request, place(before)?, dynamic_len)?;
            dynamic_len
        } else {
            0
        };
        let at = before.checked_add(dynamic_len).ok_or_else(overflow)?;
        let strings_place = place(at)?;
        self.set_strings(strings.section, strings_place, strings.size);
        if let Some(dead) = &request.dead {
            strings.blank(self, dead, strings_place.0);
        }
        if dynamic_len > 0 {
            // All its values are known now.
            let bytes = self.after.table.as_ref().map(dynamic_bytes);
            pieces.push(Piece::Bytes(bytes.unwrap_or_default()));
        }
        pieces.extend(strings.pieces.iter().cloned());
        let len = at.checked_add(strings.size).ok_or_else(overflow)?;
        place(len)?;
        Ok(len)
    }

    /// Gives the dynamic section `len` bytes at `offset` and `vaddr`; what has its address follows.
    ///
    /// The new place must be writable if the old one was: the loader writes there (`DT_DEBUG` of programs, glibc also the addresses of
    /// libraries and position-independent programs) before it makes the RELRO segment read-only. That segment is one range, which the
    /// section leaves: it stays writable while the program runs, as it is where linkers make no RELRO.
    ///
    /// The old bytes stay where they are, and the tables that they name, too, save a hash table that had to make room for a program header
    /// and a search path that was blanked. Code that computes the address of `_DYNAMIC` for itself, which no table tells, finds there the
    /// section as it was linked, or an empty one once `strip` has filled with zeros what no section covers. That is right for code that
    /// relocates its own file (musl's loader), and for code that does not use what it finds (musl's start-up code). Code that follows
    /// addresses from there breaks: nobody adds the load address to them any more, and `DT_DEBUG` stays 0.
    fn move_dynamic(
        &mut self,
        request: &Request<'_>,
        (offset, vaddr): (u64, u64),
        len: u64,
    ) -> Result<(), Skip> {
        let image = request.image;
        let old = image.dynamic().ok_or_else(overflow)?;
        let place = old.file_range().ok_or_else(overflow)?;
        if image.file_offset(old.vaddr, old.file_size) != Some(place.start) {
            return because("the dynamic section's address does not follow from its offset");
        }
        let addresses = old.vaddr..old.vaddr.saturating_add(old.file_size);
        // Who has the address so wants what the loader works with, which from then on is elsewhere. No linker has been seen to make one.
        relocates_to(request, &addresses)?;
        if let Some(table) = &mut self.after.table {
            table.offset = offset;
        }
        let segments = self.after.segments.iter_mut();
        for segment in segments.filter(|segment| *segment == old) {
            (segment.offset, segment.vaddr, segment.paddr) = (offset, vaddr, vaddr);
            (segment.file_size, segment.memory_size) = (len, len);
        }
        // One that is not loaded would move with the end of the file.
        let all = image.sections.iter().enumerate();
        let mut described = all.filter(|(_, section)| is_dynamic(image, section));
        match (described.next(), described.next()) {
            (Some((index, section)), None) if section.is_alloc() => {
                if let Some(section) = self.after.sections.get_mut(index) {
                    (section.offset, section.addr, section.size) = (offset, vaddr, len);
                }
            }
            _ if image.sections.is_empty() => {}
            _ => return because("no single section header that describes the dynamic section"),
        }
        // Global offset tables start with the address, by the ABI of x86_64 that which `DT_PLTGOT` names, elsewhere another; GNU ld
        // says of all that they have entries of 8 bytes.
        let start = image
            .table
            .as_ref()
            .and_then(|table| table.value(elf::DT_PLTGOT));
        let named = start.and_then(|start| image.file_offset(start, 8));
        let is_table = |section: &&Section| {
            let writable = elf::SHF_WRITE.0 | elf::SHF_ALLOC.0;
            section.kind == elf::SHT_PROGBITS
                && (section.flags & writable, section.entry_size) == (writable, 8)
                && image.file_offset(section.addr, 8) == Some(section.offset)
        };
        let others = image.sections.iter().filter(is_table);
        let mut starts: Vec<u64> = others.map(|section| section.offset).chain(named).collect();
        starts.sort_unstable();
        starts.dedup();
        if holds_address(request, &addresses, &starts, &place)? {
            return because(
                "a word of data holds the address of the dynamic section, which would have to move",
            );
        }
        for at in starts {
            let word = request.source.read(at, 8, "global offset table")?;
            if word == old.vaddr.to_le_bytes() {
                let bytes = vaddr.to_le_bytes().to_vec();
                self.words.push(Write::bytes(at, bytes));
            }
        }
        Ok(())
    }

    /// Makes `size` bytes at `offset` and `vaddr` the dynamic string table.
    pub(super) fn set_strings(
        &mut self,
        section: Option<usize>,
        (offset, vaddr): (u64, u64),
        size: u64,
    ) {
        if let Some(table) = &mut self.after.table {
            set(table, elf::DT_STRTAB, vaddr);
            set(table, elf::DT_STRSZ, size);
            (table.strings_offset, table.strings_size) = (offset, size);
        }
        if let Some(section) = section.and_then(|index| self.after.sections.get_mut(index)) {
            (section.offset, section.addr, section.size) = (offset, vaddr, size);
        }
    }

    /// Makes `len` bytes at `offset` and `vaddr` the interpreter's name, which was at `old` in `before`.
    pub(super) fn set_interpreter(
        &mut self,
        before: &Image,
        old: &Range<u64>,
        offset: u64,
        vaddr: u64,
        len: u64,
    ) {
        let segments = self.after.segments.iter_mut();
        for (segment, _) in segments.zip(&before.segments).filter(|(_, segment)| {
            segment.kind == elf::PT_INTERP && segment.file_range().as_ref() == Some(old)
        }) {
            (segment.offset, segment.vaddr, segment.paddr) = (offset, vaddr, vaddr);
            (segment.file_size, segment.memory_size) = (len, len);
        }
        let sections = self.after.sections.iter_mut();
        for (section, _) in sections.zip(&before.sections).filter(|(_, section)| {
            section.kind == elf::SHT_PROGBITS
                && section.is_alloc()
                && (section.offset, section.size) == (old.start, old.end.saturating_sub(old.start))
        }) {
            (section.offset, section.addr, section.size) = (offset, vaddr, len);
        }
    }

    /// Notes that a hash table gets the address `to`.
    pub(super) fn move_hash(&mut self, tag: DynamicTag, to: u64) {
        if let Some(table) = &mut self.after.table {
            set(table, tag, to);
            self.is_hash_moved = true;
        }
    }

    /// Adds the loaded segment `new` behind the last one, be that empty. All other tables are as they shall be already.
    pub(super) fn add_segment(&mut self, new: Segment) -> Result<(), Skip> {
        let last = self.after.last_load_of_any_size();
        let segments = &mut self.after.segments;
        let at = last.ok_or_else(overflow)? + 1;
        if self.is_hash_moved {
            // The hash tables' new place must be loaded before the program headers grow over the old one: meanwhile
            // an entry that the loader can do without gives way.
            let dispensable = [
                elf::PT_NOTE,
                elf::PT_GNU_PROPERTY,
                elf::PT_GNU_EH_FRAME,
                elf::PT_GNU_RELRO,
            ];
            let victim = dispensable
                .into_iter()
                .find_map(|kind| segments.iter().rposition(|segment| segment.kind == kind));
            self.bridge = victim.map(|victim| {
                let mut bridge = segments.clone();
                bridge.insert(at, new.clone());
                bridge.remove(if victim < at { victim } else { victim + 1 });
                bridge
            });
        }
        segments.insert(at, new);
        let count = &mut self.after.header.segment_count;
        let more = count.checked_add(1).filter(|more| *more < elf::PN_XNUM);
        *count = more.ok_or_else(overflow)?;
        let size = u64::from(*count) * SEGMENT_LEN;
        for own in segments.iter_mut().filter(|own| own.kind == elf::PT_PHDR) {
            (own.file_size, own.memory_size) = (size, size);
        }
        Ok(())
    }

    /// Lets the symbols of `.symtab` follow their sections: debuggers and `strip` read them, the loader does not. Those of `.dynsym` follow
    /// the dynamic section (`_DYNAMIC`), the only one that moves although they may name it.
    pub(super) fn move_symbols(&mut self, request: &Request<'_>) -> Result<(), Skip> {
        let old = &request.image.sections;
        let moved = |(old, new): (&Section, &Section)| old.addr != new.addr;
        if !old.iter().zip(&self.after.sections).any(moved) {
            return Ok(());
        }
        let is_dynamic_moved = self.is_dynamic_moved;
        let dynamic = old
            .iter()
            .position(|section| section.kind == elf::SHT_DYNAMIC);
        for (table_index, table) in old.iter().enumerate().filter(|(_, section)| {
            section.kind == elf::SHT_SYMTAB || section.kind == elf::SHT_DYNSYM && is_dynamic_moved
        }) {
            if table.entry_size != SYMBOL_LEN {
                return because(format!(
                    "a symbol table with entries of {} bytes",
                    table.entry_size
                ));
            }
            let mut at = 0;
            while at < table.size - table.size % SYMBOL_LEN {
                let len = (table.size - at).min(SYMBOLS_BYTES);
                let bytes =
                    request
                        .source
                        .read(table.offset.saturating_add(at), len, "symbol table")?;
                for (number, symbol) in (at / SYMBOL_LEN..).zip(symbols(&bytes)) {
                    let mut section = usize::from(symbol.section);
                    if symbol.section == elf::SHN_ABS.0
                        && let Some(index) = dynamic.filter(|_| is_dynamic_moved)
                        && old.get(index).map(|from| from.addr) == Some(symbol.value)
                        && is_named(request, table, symbol.name, b"_DYNAMIC\0")?
                    {
                        // GNU ld says of this one, for aarch64, that it belongs to no section.
                        section = index;
                    }
                    let pair = old.get(section).zip(self.after.sections.get(section));
                    let Some((from, to)) =
                        pair.filter(|(from, to)| section != 0 && from.addr != to.addr)
                    else {
                        continue;
                    };
                    self.symbols.push(MovedSymbol {
                        table: table_index,
                        number,
                        value: symbol.value.wrapping_sub(from.addr).wrapping_add(to.addr),
                    });
                    if self.symbols.len() > MOVED_SYMBOLS_MAX {
                        return because("too many symbols of what would have to move");
                    }
                }
                at += len;
            }
        }
        Ok(())
    }

    /// Can the file be loaded after any of the steps?
    pub(super) fn is_ordered(&self) -> bool {
        (!self.is_hash_moved || self.bridge.is_some())
            && self.after.header.segments_offset <= NEAR_BYTES
    }

    /// The steps, in the order that [`Plan`](super::Plan) promises, and the symbols that get another value.
    pub(super) fn steps(self, before: &Image) -> (Vec<Step>, Vec<MovedSymbol>) {
        let after = &self.after;
        let (old, new) = (&before.header, &after.header);
        let mut steps = self.append;
        let mut writes = self.in_place;

        // The dynamic section finds its tables at their new places, old strings at their old offsets. One that moved has been written
        // with its new values, which come into force with its program header, and its old bytes stay.
        let is_moved =
            |table: &Table| after.table.as_ref().map(|after| after.offset) != Some(table.offset);
        let mut tables = before.table.clone().filter(|table| !is_moved(table));
        let mut redirections = Vec::new();
        if let (Some(tables), Some(wanted)) = (&mut tables, &after.table) {
            for tag in [
                elf::DT_STRTAB,
                elf::DT_STRSZ,
                elf::DT_HASH,
                elf::DT_GNU_HASH,
            ] {
                let from = dynamic_bytes(tables);
                if let Some(value) = wanted.value(tag) {
                    set(tables, tag, value);
                }
                let to = dynamic_bytes(tables);
                redirections.extend(changed(tables.offset, &from, &to, DYNAMIC_LEN));
            }
        }

        let from = encode(&before.segments, Segment::encode);
        let to = encode(&after.segments, Segment::encode);
        let segments = if old.segment_count == new.segment_count {
            changed(new.segments_offset, &from, &to, SEGMENT_LEN)
        } else {
            let field = SEGMENT_COUNT_FIELD;
            Some(Write {
                offset: field.start,
                pieces: vec![
                    Piece::Bytes(new.segment_count.to_le_bytes().to_vec()),
                    Piece::Copy(field.end..new.segments_offset),
                    Piece::Bytes(to),
                ],
            })
        };
        if let Some(bridge) = &self.bridge {
            let bridge = encode(bridge, Segment::encode);
            writes.extend(changed(new.segments_offset, &from, &bridge, SEGMENT_LEN));
            writes.extend(redirections);
            writes.extend(segments);
        } else {
            writes.extend(segments);
            writes.extend(redirections);
        }

        if let (Some(tables), Some(wanted)) = (&tables, &after.table) {
            let (from, to) = (dynamic_bytes(tables), dynamic_bytes(wanted));
            writes.extend(changed(wanted.offset, &from, &to, DYNAMIC_LEN));
        }
        writes.extend(self.words);
        writes.extend(self.blanks);

        if old.sections_offset != new.sections_offset {
            let bytes = new.sections_offset.to_le_bytes().to_vec();
            writes.push(Write::bytes(SECTIONS_OFFSET_FIELD, bytes));
        }
        let symbols = self.symbols.iter();
        writes.extend(symbols.filter_map(|symbol| {
            let table = after.sections.get(symbol.table)?;
            let bytes = symbol.value.to_le_bytes().to_vec();
            Some(Write::bytes(symbol.value_offset(table)?, bytes))
        }));
        // A table that moved did so with the end of the file, unchanged.
        let headers = changed_sections(new.sections_offset, &before.sections, &after.sections);
        writes.extend(headers);
        steps.extend(writes.into_iter().map(Step::Write));
        (steps, self.symbols)
    }
}

/// More symbols than anybody has for notes, hash tables and string tables.
const MOVED_SYMBOLS_MAX: usize = 4096;

fn dynamic_bytes(table: &Table) -> Vec<u8> {
    encode(&table.entries, Dynamic::encode)
}

/// How many bytes the table takes.
fn dynamic_len(table: &Table) -> u64 {
    (table.entries.len() as u64).saturating_mul(DYNAMIC_LEN)
}

/// Gives the table room for `more` entries before the terminating `DT_NULL`; nothing is kept of what came behind that.
fn make_room(table: &mut Table, more: usize) {
    let null = Dynamic {
        tag: elf::DT_NULL,
        value: 0,
    };
    table.entries.truncate(table.used);
    table.entries.resize(table.used + more + 1, null);
}

/// Sets the value of the (last) entry with `tag`, if there is one.
fn set(table: &mut Table, tag: DynamicTag, value: u64) {
    let used = table.used;
    let mut live = table.entries.iter_mut().take(used).rev();
    if let Some(entry) = live.find(|entry| entry.tag == tag) {
        entry.value = value;
    }
}

/// Takes entries out; those behind move up, `DT_NULL`s follow.
fn remove(table: &mut Table, is_removed: impl Fn(usize, &Dynamic) -> bool) {
    let live = table.live().iter().copied().enumerate();
    let mut entries: Vec<Dynamic> = live
        .filter(|(index, entry)| !is_removed(*index, entry))
        .map(|(_, entry)| entry)
        .collect();
    let used = entries.len();
    let null = Dynamic {
        tag: elf::DT_NULL,
        value: 0,
    };
    entries.resize(table.used, null);
    entries.extend(table.entries.iter().skip(table.used));
    (table.entries, table.used) = (entries, used);
}

/// The bytes from the first to the last entry in which `new` differs from `old`.
fn changed(offset: u64, old: &[u8], new: &[u8], entry_len: u64) -> Option<Write> {
    let entry_len = usize::try_from(entry_len).ok()?;
    let differs = |index: &usize| {
        let at = index * entry_len;
        old.get(at..at + entry_len) != new.get(at..at + entry_len)
    };
    let count = new.len() / entry_len;
    let first = (0..count).find(differs)?;
    let last = (0..count).rev().find(differs)?;
    let bytes = new.get(first * entry_len..(last + 1) * entry_len)?.to_vec();
    let offset = offset.checked_add((first * entry_len) as u64)?;
    Some(Write::bytes(offset, bytes))
}

/// The section headers that differ, each run of them alone: of tens of thousands the first and the last may.
fn changed_sections(offset: u64, old: &[Section], new: &[Section]) -> Vec<Write> {
    let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
    let headers = (0_u64..).zip(old.iter().zip(new));
    for (index, (_, section)) in headers.filter(|(_, (old, new))| old != new) {
        // The table lies inside the file.
        let at = offset.saturating_add(index.saturating_mul(SECTION_LEN));
        match runs.last_mut() {
            Some((start, bytes)) if start.saturating_add(bytes.len() as u64) == at => {
                bytes.extend(section.encode());
            }
            _ => runs.push((at, section.encode())),
        }
    }
    let writes = runs.into_iter();
    writes.map(|(at, bytes)| Write::bytes(at, bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_changed_sections_are_written() {
        let section = |size: u64| Section {
            name: 0,
            kind: elf::SHT_PROGBITS,
            flags: 0,
            addr: 0,
            offset: 0,
            size,
            link: 0,
            info: 0,
            align: 1,
            entry_size: 0,
        };
        let sections = |sizes: &[u64]| sizes.iter().copied().map(section).collect::<Vec<_>>();
        let run = |at: u64, sizes: &[u64]| {
            let headers = sections(sizes);
            Write::bytes(at, encode(&headers, Section::encode))
        };
        let old = sections(&[0, 1, 2, 3, 4]);
        for (new, expected) in [
            ([0, 1, 2, 3, 4], vec![]),
            ([9, 1, 2, 3, 9], vec![run(100, &[9]), run(356, &[9])]),
            ([0, 8, 9, 3, 9], vec![run(164, &[8, 9]), run(356, &[9])]),
        ] {
            let found = changed_sections(100, &old, &sections(&new));
            assert_eq!(found, expected, "{new:?}");
        }
    }

    #[test]
    fn only_changed_entries_are_written() {
        let write = |offset, bytes: &[u8]| Some(Write::bytes(offset, bytes.to_vec()));
        for (old, new, expected) in [
            ("aabbcc", "aabbcc", None),
            ("aabbcc", "aaxbcc", write(102, b"xb")),
            ("aabbcc", "xabbcx", write(100, b"xabbcx")),
            ("aabb", "aabbcc", write(104, b"cc")),
            ("aabbcc", "aacc", write(102, b"cc")),
            ("", "", None),
        ] {
            assert_eq!(
                changed(100, old.as_bytes(), new.as_bytes(), 2),
                expected,
                "{old} {new}"
            );
        }
    }

    #[test]
    fn removed_entries_leave_room_behind() {
        let entries = |text: &str| {
            let entry = |c: char| Dynamic {
                tag: DynamicTag(if c == '0' { 0 } else { i64::from(u32::from(c)) }),
                value: 0,
            };
            text.chars().map(entry).collect::<Vec<_>>()
        };
        for (before, removed, after, used) in [
            ("abc00", "b", "ac000", 2),
            ("abc0x", "", "abc0x", 3),
            ("aba0", "a", "b000", 1),
            ("ab0", "ab", "000", 0),
        ] {
            let mut table = Table {
                offset: 0,
                entries: entries(before),
                used: before.find('0').unwrap(),
                strings_offset: 0,
                strings_size: 0,
            };
            let removed = entries(removed);
            remove(&mut table, |_, entry| removed.contains(entry));
            assert_eq!((table.entries, table.used), (entries(after), used));
        }
    }
}
