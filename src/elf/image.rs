//! The tables of an ELF file: header, segments, sections, dynamic entries. Read and written one entry at a time.

use object::elf;
use object::elf::{DynamicTag, ProgramType, SectionType};

use super::error::ElfError;
use super::source::{Fields, Source, Window};
use super::{ByteOrder, Class};

/// Bytes of a 64-bit file header, program header, section header, dynamic entry and symbol.
pub(super) const HEADER_LEN: u64 = 64;
pub(super) const SEGMENT_LEN: u64 = 56;
pub(super) const SECTION_LEN: u64 = 64;
pub(super) const DYNAMIC_LEN: u64 = 16;
pub(super) const SYMBOL_LEN: u64 = 24;

/// The file header's fields that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(super) class: Class,
    pub(super) order: ByteOrder,
    /// `ET_*`.
    pub(super) kind: u16,
    /// `EM_*`.
    pub(super) machine: u16,
    pub(super) segments_offset: u64,
    pub(super) segment_count: u16,
    pub(super) sections_offset: u64,
    pub(super) section_count: u64,
    /// The section of section names; 0 when there is none.
    pub(super) names_section: u64,
}

/// A program header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) kind: ProgramType,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) vaddr: u64,
    pub(super) paddr: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
    pub(super) align: u64,
}

/// A section header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(super) name: u32,
    pub(super) kind: SectionType,
    pub(super) flags: u64,
    pub(super) addr: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: u32,
    pub(super) info: u32,
    pub(super) align: u64,
    pub(super) entry_size: u64,
}

/// An entry of the dynamic table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dynamic {
    pub(super) tag: DynamicTag,
    pub(super) value: u64,
}

/// A range that does not wrap around.
pub(super) fn range(start: u64, len: u64) -> Option<std::ops::Range<u64>> {
    Some(start..start.checked_add(len)?)
}

/// The bytes of a whole table.
pub(super) fn encode<T>(entries: &[T], encode: impl Fn(&T) -> Vec<u8>) -> Vec<u8> {
    entries.iter().flat_map(encode).collect()
}

/// Do the two ranges share a byte?
pub(super) fn touch(a: &std::ops::Range<u64>, b: &std::ops::Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

impl Header {
    /// Reads the file header; `None` when the bytes at `base` do not start with ELF's magic.
    ///
    /// All offsets in the result count from `base`. Both tables are known to lie inside the first `size` bytes from there.
    pub(crate) fn read(source: &Source, base: u64, size: u64) -> Result<Option<Header>, ElfError> {
        const TABLE: &str = "ELF header";
        let bytes = source.read(base, size.min(HEADER_LEN), TABLE)?;
        if !bytes.starts_with(&elf::ELFMAG) {
            return Ok(None);
        }
        let class = match bytes.get(4).copied() {
            Some(1) => Class::Elf32,
            Some(2) => Class::Elf64,
            found => return Err(source.damaged(TABLE, "class 1 or 2", describe(found))),
        };
        let order = match bytes.get(5).copied() {
            Some(1) => ByteOrder::Little,
            Some(2) => ByteOrder::Big,
            found => return Err(source.damaged(TABLE, "byte order 1 or 2", describe(found))),
        };
        match bytes.get(6).copied() {
            Some(1) => {}
            found => return Err(source.damaged(TABLE, "version 1", describe(found))),
        }
        let (header_len, segment_len, section_len) = if class == Class::Elf64 {
            (64, 56, 64)
        } else {
            (52, 32, 40)
        };
        if size < header_len {
            return Err(source.damaged(
                TABLE,
                format!("{header_len} bytes"),
                format!("{size} bytes"),
            ));
        }
        let short = || source.damaged(TABLE, "a whole header", "a cut one");
        let mut f = Fields::of(&bytes, order, class);
        f.bytes(16).ok_or_else(short)?;
        let (kind, machine) = (f.u16().ok_or_else(short)?, f.u16().ok_or_else(short)?);
        let _version = f.u32();
        let _entry = f.word();
        let segments_offset = f.word().ok_or_else(short)?;
        let sections_offset = f.word().ok_or_else(short)?;
        let _flags = f.u32();
        let _header_len = f.u16();
        let segment_entry = f.u16().ok_or_else(short)?;
        let segment_count = f.u16().ok_or_else(short)?;
        let section_entry = f.u16().ok_or_else(short)?;
        let mut section_count = u64::from(f.u16().ok_or_else(short)?);
        let mut names_section = u64::from(f.u16().ok_or_else(short)?);

        if segment_count == elf::PN_XNUM {
            return Err(source.damaged(TABLE, "fewer than 65535 program headers", "65535"));
        }
        if segment_count != 0 && segment_entry != segment_len {
            let expected = format!("program headers of {segment_len} bytes");
            return Err(source.damaged(TABLE, expected, format!("{segment_entry} bytes")));
        }
        let inside = |offset: u64, count: u64, len: u64, what: &str| {
            let end = count
                .checked_mul(len)
                .and_then(|bytes| bytes.checked_add(offset));
            if end.is_some_and(|end| end <= size) {
                return Ok(());
            }
            let found = format!("{count} {what} of {len} bytes at offset 0x{offset:x}");
            Err(source.damaged(
                TABLE,
                format!("tables inside the {size} bytes of the file"),
                found,
            ))
        };
        inside(
            segments_offset,
            u64::from(segment_count),
            u64::from(segment_len),
            "program headers",
        )?;
        if sections_offset == 0 {
            (section_count, names_section) = (0, 0);
        } else {
            if section_entry != section_len && section_count != 0 {
                let expected = format!("section headers of {section_len} bytes");
                return Err(source.damaged(TABLE, expected, format!("{section_entry} bytes")));
            }
            // Above 0xff00 sections the real numbers stand in the first section header.
            if section_count == 0 || names_section == 0xffff {
                inside(
                    sections_offset,
                    1,
                    u64::from(section_len),
                    "section headers",
                )?;
                let at = base.checked_add(sections_offset).ok_or_else(short)?;
                let bytes = source.read(at, u64::from(section_len), "section headers")?;
                let first =
                    Section::decode(&mut Fields::of(&bytes, order, class)).ok_or_else(short)?;
                if section_count == 0 {
                    section_count = first.size;
                }
                if names_section == 0xffff {
                    names_section = u64::from(first.link);
                }
            }
            inside(
                sections_offset,
                section_count,
                u64::from(section_len),
                "section headers",
            )?;
        }
        Ok(Some(Header {
            class,
            order,
            kind,
            machine,
            segments_offset,
            segment_count,
            sections_offset,
            section_count,
            names_section,
        }))
    }

    /// Reads the program headers.
    pub(super) fn segments(&self, source: &Source) -> Result<Vec<Segment>, ElfError> {
        let count = u64::from(self.segment_count);
        let entry = if self.class == Class::Elf64 {
            SEGMENT_LEN
        } else {
            32
        };
        let bytes = source.read(self.segments_offset, count * entry, "program headers")?;
        let mut fields = Fields::of(&bytes, self.order, self.class);
        std::iter::from_fn(|| {
            (!fields.is_empty()).then(|| Segment::decode(&mut fields, self.class))
        })
        .map(|segment| {
            segment.ok_or_else(|| source.damaged("program headers", "whole entries", "a cut one"))
        })
        .collect()
    }

    /// Reads the section headers of the ELF file that starts at `base`.
    pub(super) fn sections(&self, source: &Source, base: u64) -> Result<Vec<Section>, ElfError> {
        const TABLE: &str = "section headers";
        let entry = if self.class == Class::Elf64 {
            SECTION_LEN
        } else {
            40
        };
        let place = base
            .checked_add(self.sections_offset)
            .zip(self.section_count.checked_mul(entry));
        let (at, len) =
            place.ok_or_else(|| source.damaged(TABLE, "a table inside the file", "an overflow"))?;
        let table = range(at, len).filter(|table| table.end <= source.size());
        let table = table
            .ok_or_else(|| source.damaged(TABLE, "a table inside the file", "one that is not"))?;
        // A block at a time: the table as it is in the file would take as much memory once more.
        let mut window = Window::new(source, table.clone(), TABLE);
        let count = usize::try_from(self.section_count).unwrap_or(usize::MAX);
        let mut sections = Vec::with_capacity(count);
        let mut at = table.start;
        while at < table.end {
            let bytes = window.bytes(at, entry)?;
            let section = Section::decode(&mut Fields::of(bytes, self.order, self.class));
            sections
                .push(section.ok_or_else(|| source.damaged(TABLE, "whole entries", "a cut one"))?);
            at = at.saturating_add(entry);
        }
        Ok(sections)
    }

    /// Where in the ELF file at `base`, `size` bytes long, the sections lie that have bytes in the file and that `wanted`
    /// asks for by header and name; in order of offset, those that overlap joined, so that no byte is in two ranges.
    ///
    /// Takes some kilobytes of memory however many sections there are. Of a name the first 63 bytes are looked at.
    pub(crate) fn sections_where(
        &self,
        source: &Source,
        base: u64,
        size: u64,
        wanted: impl Fn(&Section, &[u8]) -> bool,
    ) -> Result<Vec<std::ops::Range<u64>>, ElfError> {
        /// Object files with one such section per function stay far below this.
        const RANGES_MAX: usize = 1 << 16;
        const HEADERS: &str = "section headers";
        let entry = if self.class == Class::Elf64 {
            SECTION_LEN
        } else {
            40
        };
        let within = |offset: u64, len: u64, what: &str| {
            range(offset, len)
                .filter(|bytes| bytes.end <= size)
                .and_then(|bytes| range(base.checked_add(bytes.start)?, len))
                .ok_or_else(|| {
                    let expected = format!("{what} inside the {size} bytes of the file");
                    source.damaged(
                        HEADERS,
                        expected,
                        format!("{len} bytes at offset 0x{offset:x}"),
                    )
                })
        };
        let table_len = self.section_count.saturating_mul(entry);
        let table = within(self.sections_offset, table_len, "a table")?;
        let mut headers = Window::new(source, table.clone(), HEADERS);
        let mut header_at = |index: u64| {
            let bytes = headers.bytes(
                table.start.saturating_add(index.saturating_mul(entry)),
                entry,
            )?;
            Section::decode(&mut Fields::of(bytes, self.order, self.class))
                .ok_or_else(|| source.damaged(HEADERS, "whole entries", "a cut one"))
        };
        if self.names_section == 0 || self.names_section >= self.section_count {
            return Ok(Vec::new());
        }
        let names = header_at(self.names_section)?;
        let names = within(names.offset, names.size, "a section")?;
        let mut name_bytes = Window::new(source, names.clone(), "section names");
        let mut found: Vec<std::ops::Range<u64>> = Vec::new();
        for index in 0..self.section_count {
            let section = header_at(index)?;
            if !section.has_bytes() {
                continue;
            }
            let at = names.start.saturating_add(u64::from(section.name));
            let name = match names.end.checked_sub(at) {
                Some(rest) if rest > 0 => name_bytes.bytes(at, rest.min(63))?,
                _ => &[],
            };
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            if wanted(&section, name) {
                found.push(within(section.offset, section.size, "a section")?);
                if found.len() > RANGES_MAX {
                    join(&mut found);
                }
                if found.len() > RANGES_MAX {
                    let expected = format!("at most {RANGES_MAX} sections of one sort");
                    return Err(source.damaged(HEADERS, expected, "more"));
                }
            }
        }
        join(&mut found);
        Ok(found)
    }
}

/// Sorts ranges and joins those that overlap.
fn join(ranges: &mut Vec<std::ops::Range<u64>>) {
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, last| {
        let joined = next.start < last.end;
        if joined {
            last.end = last.end.max(next.end);
        }
        joined
    });
}

fn describe(byte: Option<u8>) -> String {
    byte.map_or_else(|| "the end of the file".to_owned(), |byte| byte.to_string())
}

impl Segment {
    fn decode(f: &mut Fields<'_>, class: Class) -> Option<Segment> {
        let kind = ProgramType(f.u32()?);
        // The 64-bit layout moved the flags up, for alignment.
        let early = if class == Class::Elf64 { f.u32()? } else { 0 };
        let (offset, vaddr, paddr) = (f.word()?, f.word()?, f.word()?);
        let (file_size, memory_size) = (f.word()?, f.word()?);
        let flags = if class == Class::Elf64 {
            early
        } else {
            f.u32()?
        };
        Some(Segment {
            kind,
            flags,
            offset,
            vaddr,
            paddr,
            file_size,
            memory_size,
            align: f.word()?,
        })
    }

    /// The entry's bytes in a 64-bit little-endian file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(56);
        bytes.extend(self.kind.0.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        for word in [
            self.offset,
            self.vaddr,
            self.paddr,
            self.file_size,
            self.memory_size,
            self.align,
        ] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    /// Does it bring anything into memory? An empty `PT_LOAD` does not, whatever its address; but glibc takes the end of a library from
    /// the last `PT_LOAD` of all, so an empty one still says [how far](super::check::Image::last_load_of_any_size) it may go.
    pub(super) fn is_load(&self) -> bool {
        self.kind == elf::PT_LOAD && (self.file_size, self.memory_size) != (0, 0)
    }

    /// Do offset and address agree modulo the alignment?
    pub(super) fn is_congruent(&self) -> bool {
        let align = self.align.max(1);
        self.offset % align == self.vaddr % align
    }

    /// Its bytes in the file.
    pub(super) fn file_range(&self) -> Option<std::ops::Range<u64>> {
        range(self.offset, self.file_size)
    }

    /// The file offset of `len` bytes at `vaddr`, when this segment brings them from the file.
    pub(super) fn file_offset(&self, vaddr: u64, len: u64) -> Option<u64> {
        let into = vaddr.checked_sub(self.vaddr)?;
        (into.checked_add(len)? <= self.file_size)
            .then(|| self.offset.checked_add(into))
            .flatten()
    }
}

impl Section {
    fn decode(f: &mut Fields<'_>) -> Option<Section> {
        Some(Section {
            name: f.u32()?,
            kind: SectionType(f.u32()?),
            flags: f.word()?,
            addr: f.word()?,
            offset: f.word()?,
            size: f.word()?,
            link: f.u32()?,
            info: f.u32()?,
            align: f.word()?,
            entry_size: f.word()?,
        })
    }

    /// The entry's bytes in a 64-bit little-endian file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(self.name.to_le_bytes());
        bytes.extend(self.kind.0.to_le_bytes());
        for word in [self.flags, self.addr, self.offset, self.size] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(self.link.to_le_bytes());
        bytes.extend(self.info.to_le_bytes());
        bytes.extend(self.align.to_le_bytes());
        bytes.extend(self.entry_size.to_le_bytes());
        bytes
    }

    /// Is it loaded into memory?
    pub(super) fn is_alloc(&self) -> bool {
        self.flags & elf::SHF_ALLOC.0 != 0
    }

    /// Does it hold data that programs only read, no code and no tables of the loader?
    pub(crate) fn is_read_only_data(&self) -> bool {
        let others = elf::SHF_WRITE.0 | elf::SHF_EXECINSTR.0;
        self.kind == elf::SHT_PROGBITS && self.is_alloc() && self.flags & others == 0
    }

    /// Is it said to hold strings that end in NUL?
    pub(crate) fn is_strings(&self) -> bool {
        self.flags & elf::SHF_STRINGS.0 != 0
    }

    /// Does it hold bytes of the file?
    pub(super) fn has_bytes(&self) -> bool {
        self.kind != elf::SHT_NULL && self.kind != elf::SHT_NOBITS && self.size != 0
    }
}

impl Dynamic {
    /// Decodes one entry.
    pub(super) fn decode(f: &mut Fields<'_>, class: Class) -> Option<Dynamic> {
        let tag = f.word()?;
        let tag = if class == Class::Elf64 {
            tag.cast_signed()
        } else {
            i64::from(u32::try_from(tag).ok()?.cast_signed())
        };
        Some(Dynamic {
            tag: DynamicTag(tag),
            value: f.word()?,
        })
    }

    /// The entry's bytes in a 64-bit little-endian file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.tag.0.to_le_bytes().to_vec();
        bytes.extend(self.value.to_le_bytes());
        bytes
    }
}
