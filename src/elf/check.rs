//! The rules that an edit relies on and must keep: judged before anything is written, and again on what was written.

use std::ops::Range;

use object::elf;
use object::elf::DynamicTag;

use super::error::ElfError;
use super::image::{
    DYNAMIC_LEN, Dynamic, HEADER_LEN, Header, SECTION_LEN, SEGMENT_LEN, Section, Segment, range,
};
use super::read::Facts;
use super::source::Source;
use super::strings::Table;

/// The tables of a file that can be edited.
///
/// **Shape**: 64-bit little-endian, of a machine we know, a program or a library. The program headers follow the file header;
/// the `PT_LOAD`s are sorted by address, disjoint, inside the file, and congruent (offset and address) modulo a page of
/// 4 kB. Every segment and section that has bytes has them inside the file. A `PT_PHDR`, if any, describes the program headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) header: Header,
    pub(super) segments: Vec<Segment>,
    /// Empty when the section headers were stripped.
    pub(super) sections: Vec<Section>,
    /// `None` when there is no dynamic section.
    pub(super) table: Option<Table>,
}

/// What files must be.
pub(super) const EXPECTED: &str =
    "a dynamic 64-bit little-endian ELF program or library for x86_64, aarch64 or ppc64le";

/// More sections than any linked file has; object files, which are not edited, have as many.
const SECTIONS_MAX: u64 = 1 << 16;

impl Image {
    /// Reads and judges the tables.
    pub(super) fn read(source: &Source) -> Result<(Image, Facts), ElfError> {
        let foreign = |found: String| ElfError::Foreign {
            place: source.place().to_owned(),
            task: source.task(),
            expected: EXPECTED,
            found,
        };
        let header = Header::read(source, 0, source.size())?
            .ok_or_else(|| foreign("no ELF file".to_owned()))?;
        let segments = header.segments(source)?;
        let table = Table::read(source, &header, &segments)?;
        let facts = super::read::facts(source, &header, &segments, table.as_ref())?;
        if let Some(reason) = facts.foreign_reason() {
            return Err(foreign(format!(
                "{} ({}, {})",
                reason, facts.kind, facts.machine
            )));
        }
        if facts.interpreter.is_none() && table.is_none() {
            let found = format!("no dynamic section ({}, {})", facts.kind, facts.machine);
            return Err(foreign(found));
        }
        if header.section_count > SECTIONS_MAX {
            let reason = format!(
                "{} sections, more than {SECTIONS_MAX}",
                header.section_count
            );
            return Err(source.no_room(reason));
        }
        let sections = header.sections(source, 0)?;
        let image = Image {
            header,
            segments,
            sections,
            table,
        };
        image.judge(source)?;
        Ok((image, facts))
    }

    /// The loaded segments, in the file's order.
    pub(super) fn loads(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.segments
            .iter()
            .filter(|segment| segment.kind == elf::PT_LOAD)
    }

    /// The segment that names the program interpreter.
    pub(super) fn interpreter(&self) -> Option<&Segment> {
        self.segments
            .iter()
            .find(|segment| segment.kind == elf::PT_INTERP && segment.file_size != 0)
    }

    /// File offset of the end of the program headers.
    pub(super) fn segments_end(&self) -> u64 {
        // Header::read found the table inside the file.
        self.header
            .segments_offset
            .saturating_add(u64::from(self.header.segment_count).saturating_mul(SEGMENT_LEN))
    }

    /// The file offset of `len` bytes at address `vaddr`, if a loaded segment brings them from the file.
    pub(super) fn file_offset(&self, vaddr: u64, len: u64) -> Option<u64> {
        self.loads().find_map(|load| load.file_offset(vaddr, len))
    }

    fn judge(&self, source: &Source) -> Result<(), ElfError> {
        const TABLE: &str = "program headers";
        let size = source.size();
        if self.header.segments_offset < HEADER_LEN {
            let found = format!("offset 0x{:x}", self.header.segments_offset);
            return Err(source.damaged(TABLE, "a table behind the file header", found));
        }
        let mut end = 0;
        for load in self.loads() {
            let at = format!("a PT_LOAD at 0x{:x}", load.vaddr);
            let memory = range(load.vaddr, load.memory_size);
            let Some(memory) = memory.filter(|_| load.file_size <= load.memory_size) else {
                let found = format!(
                    "{} in the file, {} in memory",
                    load.file_size, load.memory_size
                );
                return Err(source.damaged(
                    TABLE,
                    format!("{at} with no more bytes in the file than in memory"),
                    found,
                ));
            };
            if memory.start < end {
                let found = format!("{at} before 0x{end:x}, the end of the one before it");
                return Err(source.damaged(
                    TABLE,
                    "PT_LOADs sorted by address, none over another",
                    found,
                ));
            }
            end = memory.end;
            if load.align > 1 && !load.align.is_power_of_two() {
                return Err(source.damaged(
                    TABLE,
                    format!("{at} aligned to a power of two"),
                    load.align.to_string(),
                ));
            }
            let modulus = load.align.clamp(1, 0x1000);
            if load.offset % modulus != load.vaddr % modulus {
                let expected = format!("{at} with an offset congruent to it modulo 0x{modulus:x}");
                return Err(source.damaged(TABLE, expected, format!("offset 0x{:x}", load.offset)));
            }
        }
        if end == 0 {
            return Err(source.damaged(TABLE, "a PT_LOAD with bytes", "none"));
        }
        let inside = |table, what: String, bytes: Option<std::ops::Range<u64>>| match bytes {
            Some(bytes) if bytes.end <= size => Ok(()),
            _ => Err(source.damaged(
                table,
                format!("{what} inside the {size} bytes of the file"),
                "one that is not",
            )),
        };
        for segment in self
            .segments
            .iter()
            .filter(|segment| segment.file_size != 0)
        {
            inside(
                TABLE,
                format!("a segment of type 0x{:x}", segment.kind.0),
                segment.file_range(),
            )?;
        }
        for (index, section) in self
            .sections
            .iter()
            .enumerate()
            .filter(|(_, section)| section.has_bytes())
        {
            inside(
                "section headers",
                format!("section {index}"),
                range(section.offset, section.size),
            )?;
        }
        for own in self
            .segments
            .iter()
            .filter(|segment| segment.kind == elf::PT_PHDR)
        {
            let end = own.offset.checked_add(own.file_size);
            if own.offset != self.header.segments_offset || end != Some(self.segments_end()) {
                let found = format!("{} bytes at offset 0x{:x}", own.file_size, own.offset);
                return Err(source.damaged(
                    TABLE,
                    "a PT_PHDR that describes the program headers",
                    found,
                ));
            }
        }
        self.judge_overlaps(source)
    }

    /// A write to one table must not change another.
    fn judge_overlaps(&self, source: &Source) -> Result<(), ElfError> {
        let header = &self.header;
        let sections_len = header.section_count.saturating_mul(SECTION_LEN);
        let mut tables = vec![
            ("the file header", Some(0..HEADER_LEN)),
            (
                "the program headers",
                Some(header.segments_offset..self.segments_end()),
            ),
            (
                "the section headers",
                range(header.sections_offset, sections_len),
            ),
        ];
        if let Some(table) = &self.table {
            let len = (table.entries.len() as u64).saturating_mul(DYNAMIC_LEN);
            let strings = range(table.strings_offset, table.strings_size);
            tables.push(("the dynamic section", range(table.offset, len)));
            tables.push(("the dynamic string table", strings));
        }
        let interpreter = self.interpreter().map(Segment::file_range);
        tables.extend(interpreter.map(|bytes| ("the interpreter's name", bytes)));
        for symbols in self
            .sections
            .iter()
            .filter(|section| section.kind == elf::SHT_SYMTAB)
        {
            tables.push(("the symbol table", range(symbols.offset, symbols.size)));
        }
        let placed = tables
            .into_iter()
            .filter_map(|(name, bytes)| Some((bytes?, name)));
        let mut placed: Vec<(Range<u64>, &str)> =
            placed.filter(|(bytes, _)| !bytes.is_empty()).collect();
        placed.sort_by_key(|(bytes, _)| bytes.start);
        for ((before, first), (behind, second)) in placed.iter().zip(placed.iter().skip(1)) {
            if behind.start < before.end {
                let found = format!("{second} over {first}");
                return Err(source.damaged("tables", "none over another", found));
            }
        }
        Ok(())
    }
}

/// Dynamic entries whose values are addresses of bytes in the file.
pub(super) const ADDRESS_TAGS: [DynamicTag; 17] = [
    elf::DT_STRTAB,
    elf::DT_SYMTAB,
    elf::DT_HASH,
    elf::DT_GNU_HASH,
    elf::DT_RELA,
    elf::DT_REL,
    elf::DT_RELR,
    elf::DT_JMPREL,
    elf::DT_INIT,
    elf::DT_FINI,
    elf::DT_INIT_ARRAY,
    elf::DT_FINI_ARRAY,
    elf::DT_PREINIT_ARRAY,
    elf::DT_PLTGOT,
    elf::DT_VERSYM,
    elf::DT_VERDEF,
    elf::DT_VERNEED,
];

/// A rule that an edit broke: what was expected, what is there.
pub(super) type Breach = (String, String);

/// Compares the tables before and after an edit.
///
/// What held before must hold after: program headers inside a loaded segment, `PT_INTERP` before the first
/// `PT_LOAD`, addresses of the dynamic section backed by the file. New or changed loaded segments must be congruent
/// modulo their whole alignment, sections and dynamic entries must be what they were, and where they were, save those that an
/// edit moves or changes.
pub(super) fn compare(before: &Image, after: &Image) -> Result<(), Breach> {
    let breach = |expected: &str, found: String| Err((expected.to_owned(), found));
    for load in after.loads() {
        let known = before
            .loads()
            .any(|old| (old.offset, old.vaddr, old.align) == (load.offset, load.vaddr, load.align));
        if !known && !load.is_congruent() {
            let found = format!(
                "offset 0x{:x}, address 0x{:x}, alignment 0x{:x}",
                load.offset, load.vaddr, load.align
            );
            return breach("a new PT_LOAD congruent modulo its alignment", found);
        }
    }
    let headers_loaded = |image: &Image| {
        let start = image.header.segments_offset;
        image
            .loads()
            .next()
            .and_then(Segment::file_range)
            .is_some_and(|load| load.start <= start && image.segments_end() <= load.end)
    };
    if headers_loaded(before) && !headers_loaded(after) {
        return breach(
            "program headers inside the first PT_LOAD",
            format!("their end at 0x{:x}", after.segments_end()),
        );
    }
    let interpreter_first = |image: &Image| {
        let first = |kind| {
            image
                .segments
                .iter()
                .position(|segment| segment.kind == kind)
        };
        first(elf::PT_INTERP) < first(elf::PT_LOAD)
    };
    if interpreter_first(before) && !interpreter_first(after) {
        return breach("PT_INTERP before the first PT_LOAD", "it behind".to_owned());
    }
    for tag in ADDRESS_TAGS {
        let backed = |image: &Image| {
            let addr = image.table.as_ref()?.value(tag)?;
            Some(image.file_offset(addr, 1).is_some())
        };
        if backed(before) == Some(true) && backed(after) != Some(true) {
            return breach(
                "an address backed by the file",
                format!("dynamic tag 0x{:x} without one", tag.0),
            );
        }
    }
    if before.sections.len() != after.sections.len() {
        return breach(
            "as many sections as before",
            after.sections.len().to_string(),
        );
    }
    for (index, (old, new)) in before.sections.iter().zip(&after.sections).enumerate() {
        same_section(before, index, old, new)?;
    }
    same_entries(before, after)
}

/// Is the section what it was, and where it was, as far as it has an address? Notes, hash tables, the interpreter's name and the
/// dynamic string table may move, zeros may get their bytes.
fn same_section(before: &Image, index: usize, old: &Section, new: &Section) -> Result<(), Breach> {
    let breach = |expected: &str, found: String| Err((expected.to_owned(), found));
    let is_shown = old.kind == elf::SHT_NOBITS && new.kind == elf::SHT_PROGBITS;
    let sort = |section: &Section| {
        let links = (section.link, section.info, section.entry_size);
        (section.name, section.flags, section.align, links)
    };
    if sort(old) != sort(new) || (old.kind != new.kind && !is_shown) {
        return breach("sections of the sort they were", format!("section {index}"));
    }
    let is_strings = before
        .table
        .as_ref()
        .is_some_and(|table| table.is_strings_of(old));
    let is_interpreter = before
        .interpreter()
        .is_some_and(|segment| (segment.offset, segment.file_size) == (old.offset, old.size));
    let is_free = matches!(old.kind, elf::SHT_NOTE | elf::SHT_HASH | elf::SHT_GNU_HASH);
    let is_resized = old.size != new.size && !is_strings && !is_interpreter;
    let is_moved = old.addr != new.addr || (old.offset != new.offset && !is_shown);
    if old.is_alloc() && is_moved && !is_strings && !is_interpreter && !is_free {
        let found = format!("section {index} moved to 0x{:x}", new.addr);
        return breach("code and data where they were", found);
    }
    if is_resized {
        let found = format!("section {index} of {} bytes, once {}", new.size, old.size);
        return breach("sections as long as they were", found);
    }
    Ok(())
}

/// Are the dynamic entries that an edit has no business with what they were, in their order?
fn same_entries(before: &Image, after: &Image) -> Result<(), Breach> {
    const EDITED: [DynamicTag; 10] = [
        elf::DT_STRTAB,
        elf::DT_STRSZ,
        elf::DT_HASH,
        elf::DT_GNU_HASH,
        elf::DT_RPATH,
        elf::DT_RUNPATH,
        elf::DT_NEEDED,
        elf::DT_DEBUG,
        elf::DT_RELACOUNT,
        elf::DT_RELCOUNT,
    ];
    let others = |image: &Image| -> Vec<Dynamic> {
        let live = image.table.iter().flat_map(Table::live).copied();
        live.filter(|entry| !EDITED.contains(&entry.tag)).collect()
    };
    if others(before) != others(after) {
        let found = "others".to_owned();
        return Err(("the other dynamic entries as they were".to_owned(), found));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use object::elf::{DynamicTag, ProgramType};

    use super::super::{ByteOrder, Class};
    use super::*;

    fn segment(kind: ProgramType, offset: u64, size: u64, align: u64) -> Segment {
        let (vaddr, memory_size) = (offset, size);
        Segment {
            kind,
            flags: 4,
            offset,
            vaddr,
            paddr: vaddr,
            file_size: size,
            memory_size,
            align,
        }
    }

    /// Headers, an interpreter and two loaded segments, one section of code.
    fn image() -> Image {
        let section = Section {
            name: 1,
            kind: elf::SHT_PROGBITS,
            flags: 2,
            addr: 0x1100,
            offset: 0x1100,
            size: 16,
            link: 0,
            info: 0,
            align: 16,
            entry_size: 0,
        };
        Image {
            header: Header {
                class: Class::Elf64,
                order: ByteOrder::Little,
                kind: 3,
                machine: 62,
                segments_offset: 64,
                segment_count: 3,
                sections_offset: 0x3000,
                section_count: 1,
                names_section: 0,
            },
            segments: vec![
                segment(elf::PT_INTERP, 0x200, 28, 1),
                segment(elf::PT_LOAD, 0, 0x1000, 0x1000),
                segment(elf::PT_LOAD, 0x1000, 0x1000, 0x1000),
            ],
            sections: vec![section],
            table: Some(Table {
                offset: 0x1800,
                entries: vec![
                    Dynamic {
                        tag: elf::DT_STRTAB,
                        value: 0x300,
                    },
                    Dynamic {
                        tag: elf::DT_INIT,
                        value: 0x1100,
                    },
                    Dynamic {
                        tag: elf::DT_PLTGOT,
                        value: 0x9000,
                    },
                    Dynamic {
                        tag: elf::DT_RUNPATH,
                        value: 1,
                    },
                    Dynamic {
                        tag: elf::DT_NULL,
                        value: 0,
                    },
                ],
                used: 4,
                strings_offset: 0x300,
                strings_size: 10,
            }),
        }
    }

    fn set(image: &mut Image, tag: DynamicTag, value: u64) {
        let table = image.table.as_mut().unwrap();
        table
            .entries
            .iter_mut()
            .find(|entry| entry.tag == tag)
            .unwrap()
            .value = value;
    }

    #[test]
    fn broken_rules_are_found() {
        type Change = fn(&mut Image);
        let cases: [(Option<&str>, Change); 14] = [
            (None, |_| {}),
            (None, |after| {
                after
                    .segments
                    .push(segment(elf::PT_LOAD, 0x4000, 16, 0x1000))
            }),
            (None, |after| set(after, elf::DT_RUNPATH, 0x9999)),
            (
                Some("a new PT_LOAD congruent modulo its alignment"),
                |after| {
                    after.segments.push(Segment {
                        vaddr: 0x4008,
                        ..segment(elf::PT_LOAD, 0x4000, 16, 0x1000)
                    });
                },
            ),
            (Some("program headers inside the first PT_LOAD"), |after| {
                after.header.segments_offset = 0x2000
            }),
            (Some("PT_INTERP before the first PT_LOAD"), |after| {
                after.segments.rotate_left(1)
            }),
            (Some("an address backed by the file"), |after| {
                set(after, elf::DT_STRTAB, 0x7000)
            }),
            (Some("as many sections as before"), |after| {
                after.sections.clear()
            }),
            (Some("code and data where they were"), |after| {
                after.sections[0].addr += 8
            }),
            (Some("code and data where they were"), |after| {
                after.sections[0].offset += 8
            }),
            (Some("sections as long as they were"), |after| {
                after.sections[0].size += 8
            }),
            (Some("sections of the sort they were"), |after| {
                after.sections[0].link += 1
            }),
            (Some("the other dynamic entries as they were"), |after| {
                set(after, elf::DT_INIT, 0x1101)
            }),
            (Some("the other dynamic entries as they were"), |after| {
                after.table.as_mut().unwrap().entries.swap(1, 2)
            }),
        ];
        for (index, (expected, change)) in cases.into_iter().enumerate() {
            let mut after = image();
            change(&mut after);
            let found = compare(&image(), &after)
                .err()
                .map(|(expected, _)| expected);
            assert_eq!(found.as_deref(), expected, "case {index}");
        }
    }
}
