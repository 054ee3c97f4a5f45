//! The rules that an edit relies on and must keep: judged before anything is written, and again on what was written.

use object::elf;
use object::elf::DynamicTag;

use super::error::ElfError;
use super::image::{Header, SEGMENT_LEN, Section, Segment, range};
use super::read::Facts;
use super::source::Source;
use super::strings::Table;

/// The tables of a file that can be edited.
///
/// **Shape**: 64-bit little-endian, dynamic, of a machine we know. The `PT_LOAD`s are sorted by address, disjoint,
/// inside the file, and congruent (offset and address) modulo a page of 4 kB. Every segment and section that has bytes
/// has them inside the file. A `PT_PHDR`, if any, describes the program headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) header: Header,
    pub(super) segments: Vec<Segment>,
    /// Empty when the section headers were stripped.
    pub(super) sections: Vec<Section>,
    pub(super) table: Table,
}

impl Image {
    /// Reads and judges the tables.
    pub(super) fn read(source: &Source) -> Result<(Image, Facts), ElfError> {
        let foreign = |found: String| ElfError::Foreign {
            place: source.place().to_owned(),
            expected: "a dynamic 64-bit little-endian ELF program or library for x86_64, aarch64 or ppc64le",
            found,
        };
        let header = Header::read(source, 0, source.size())?
            .ok_or_else(|| foreign("no ELF file".to_owned()))?;
        let segments = header.segments(source)?;
        let table = Table::read(source, &header, &segments)?;
        let facts = super::read::facts(source, &header, &segments, table.as_ref())?;
        if let Some(reason) = facts.not_editable_reason() {
            return Err(foreign(format!(
                "{} ({}, {})",
                reason, facts.kind, facts.machine
            )));
        }
        let table = table.ok_or_else(|| foreign("no dynamic section".to_owned()))?;
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
/// modulo their whole alignment, and no loaded section of code or data may have moved, `.interp` excepted.
pub(super) fn compare(before: &Image, after: &Image) -> Result<(), Breach> {
    let breach = |expected: &str, found: String| Err((expected.to_owned(), found));
    for load in after.loads() {
        let known = before
            .loads()
            .any(|old| (old.offset, old.vaddr, old.align) == (load.offset, load.vaddr, load.align));
        let align = load.align.max(1);
        if !known && load.offset % align != load.vaddr % align {
            let found = format!(
                "offset 0x{:x}, address 0x{:x}, alignment 0x{align:x}",
                load.offset, load.vaddr
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
            image
                .table
                .value(tag)
                .map(|addr| image.file_offset(addr, 1).is_some())
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
    let interpreter = before
        .segments
        .iter()
        .find(|segment| segment.kind == elf::PT_INTERP);
    for (index, (old, new)) in before.sections.iter().zip(&after.sections).enumerate() {
        let is_interpreter = interpreter.is_some_and(|segment| segment.offset == old.offset);
        let moved = (old.addr, old.offset, old.size) != (new.addr, new.offset, new.size);
        if old.is_alloc() && old.kind == elf::SHT_PROGBITS && !is_interpreter && moved {
            return breach(
                "code and data where they were",
                format!("section {index} moved to 0x{:x}", new.addr),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use object::elf::{DynamicTag, ProgramType};

    use super::super::image::Dynamic;
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
            table: Table {
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
                        tag: elf::DT_NULL,
                        value: 0,
                    },
                ],
                used: 3,
                strings_offset: 0x300,
                strings_size: 10,
            },
        }
    }

    fn set(image: &mut Image, tag: DynamicTag, value: u64) {
        image
            .table
            .entries
            .iter_mut()
            .find(|entry| entry.tag == tag)
            .unwrap()
            .value = value;
    }

    #[test]
    fn broken_rules_are_found() {
        type Change = fn(&mut Image);
        let cases: [(Option<&str>, Change); 9] = [
            (None, |_| {}),
            (None, |after| {
                after
                    .segments
                    .push(segment(elf::PT_LOAD, 0x4000, 16, 0x1000))
            }),
            // What was not backed by the file before need not be now.
            (None, |after| set(after, elf::DT_PLTGOT, 0x9999)),
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
