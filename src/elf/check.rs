//! The rules that an edit relies on and must keep: judged before anything is written, and again on what was written.

use std::ops::Range;

use object::elf;
use object::elf::DynamicTag;

use super::edit::Rung;
use super::error::ElfError;
use super::image::{
    DYNAMIC_LEN, Dynamic, HEADER_LEN, Header, SECTION_LEN, SEGMENT_LEN, Section, Segment, range,
    touch,
};
use super::layout::{MovedSymbol, Plan, Step};
use super::read::{Facts, Machine};
use super::source::Source;
use super::strings::Table;

/// The tables of a file that can be edited.
///
/// **Shape**: 64-bit little-endian, of a machine we know, a program or a library. The program headers follow the file header;
/// the `PT_LOAD`s that are not empty are sorted by address, disjoint, inside the file, and congruent (offset and address) modulo a page
/// of 4 kB; empty ones may say anything, as kernels and musl pass over them. Every segment and section that has bytes has them inside
/// the file. A `PT_PHDR`, if any, starts where the program headers do and holds them all.
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

/// More sections than any linked file has; object files, which are not edited, have more. Each takes 64 bytes of memory, up to three times.
const SECTIONS_MAX: u64 = 1 << 14;
/// More program headers than any linked file has (some ten); core files, which are not edited, have more. Held in memory up to six times.
const SEGMENTS_MAX: u16 = 1 << 13;

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
        if header.segment_count > SEGMENTS_MAX {
            let reason = format!(
                "{} program headers, more than {SEGMENTS_MAX}",
                header.segment_count
            );
            return Err(source.no_room(reason));
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
        self.segments.iter().filter(|segment| segment.is_load())
    }

    /// The last `PT_LOAD`, which may be empty, by its place among the program headers.
    ///
    /// glibc reserves the addresses of a library from the first `PT_LOAD` to the end of this one, and maps over whatever is behind: what is
    /// loaded must come before.
    pub(super) fn last_load_of_any_size(&self) -> Option<usize> {
        let mut segments = self.segments.iter();
        segments.rposition(|segment| segment.kind == elf::PT_LOAD)
    }

    /// The segment that names the program interpreter.
    pub(super) fn interpreter(&self) -> Option<&Segment> {
        self.segments
            .iter()
            .find(|segment| segment.kind == elf::PT_INTERP && segment.file_size != 0)
    }

    /// The segment that says where the dynamic section is.
    pub(super) fn dynamic(&self) -> Option<&Segment> {
        self.segments
            .iter()
            .find(|segment| segment.kind == elf::PT_DYNAMIC && segment.file_size != 0)
    }

    /// How the dynamic section is loaded (`PF_*`).
    pub(super) fn dynamic_flags(&self) -> u32 {
        self.dynamic().map_or(0, |segment| segment.flags)
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
            // lld writes one entry too many where it drops another at last.
            let holds_all = own
                .file_range()
                .is_some_and(|bytes| bytes.end >= self.segments_end());
            if own.offset != self.header.segments_offset || !holds_all {
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
            .filter(|section| matches!(section.kind, elf::SHT_SYMTAB | elf::SHT_DYNSYM))
        {
            // Looked through one after the other: without this many over one another would take long.
            tables.push(("a symbol table", range(symbols.offset, symbols.size)));
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
pub(super) const ADDRESS_TAGS: [DynamicTag; 23] = [
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
    elf::DT_TLSDESC_PLT,
    elf::DT_TLSDESC_GOT,
    elf::DT_MOVETAB,
    elf::DT_SYMINFO,
    elf::DT_PPC64_GLINK,
    elf::DT_PPC64_OPD,
];

/// Those of them for which another entry says how many bytes are there.
const SIZE_TAGS: [(DynamicTag, DynamicTag); 10] = [
    (elf::DT_STRTAB, elf::DT_STRSZ),
    (elf::DT_RELA, elf::DT_RELASZ),
    (elf::DT_REL, elf::DT_RELSZ),
    (elf::DT_RELR, elf::DT_RELRSZ),
    (elf::DT_JMPREL, elf::DT_PLTRELSZ),
    (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
    (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
    (elf::DT_PREINIT_ARRAY, elf::DT_PREINIT_ARRAYSZ),
    (elf::DT_MOVETAB, elf::DT_MOVESZ),
    (elf::DT_SYMINFO, elf::DT_SYMINSZ),
];

/// A rule that an edit broke: what was expected, what is there.
pub(super) type Breach = (String, String);

/// Compares the tables before and after an edit.
///
/// Every program header, section header and dynamic entry must be what it was, where it was, except:
/// - a new read-only `PT_LOAD` behind the others, empty ones too, with whole pages of its own and `PT_PHDR` as long as that makes it; or
///   a last `PT_LOAD` that became longer and has all its bytes in the file, zeros that were none before among them;
/// - notes and hash tables may move, all those of one range of the file by one distance;
/// - the interpreter's name and the dynamic string table may move and get another length; what describes them agrees;
/// - so may the dynamic section, to where it can be written if it could before: a new or longer `PT_LOAD` may be writable then;
/// - what is not loaded may lie further back in the file, by one distance.
///
/// Program headers inside the first loaded segment stay inside, and tables of the dynamic section stay in the file with all their
/// bytes. [`symbols`] looks at the symbols of what moved, and [`writes`] has looked at where bytes are written, so that all others are what
/// they were. That those that moved are the same as before is known from the way the edit is made: it would take reading them all.
pub(super) fn compare(before: &Image, after: &Image) -> Result<(), Breach> {
    let mut moves = Moves::default();
    same_segments(before, after, &mut moves)?;
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
    for tag in ADDRESS_TAGS {
        let size = SIZE_TAGS.iter().find(|(of, _)| *of == tag);
        let backed = |image: &Image| {
            let table = image.table.as_ref()?;
            let size = size.and_then(|(_, size)| table.value(*size)).unwrap_or(1);
            Some(image.file_offset(table.value(tag)?, size).is_some())
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
    let strings = before.table.as_ref().and_then(|table| {
        let mut sections = before.sections.iter();
        sections.position(|section| table.is_strings_of(section))
    });
    let loads = (before.loads().next_back(), after.loads().next_back());
    let names = (before.interpreter(), after.interpreter());
    for (index, (old, new)) in before.sections.iter().zip(&after.sections).enumerate() {
        if Some(index) != strings {
            if !is_dynamic(before, old) {
                same_section(index, (old, new), loads, names, &mut moves)?;
            } else if sort(old) != sort(new) || old.kind != new.kind || !is_dynamic(after, new) {
                let expected = "a section header that describes the dynamic section";
                return breach(expected, format!("section {index} elsewhere"));
            }
            continue;
        }
        let describes = |image: &Image, section: &Section| {
            let table = image.table.as_ref();
            let table = table.filter(|table| table.is_strings_of(section));
            table.map(|table| table.value(elf::DT_STRTAB) == Some(section.addr))
        };
        let is_it = match describes(after, new) {
            Some(agrees) => agrees || describes(before, old) == Some(false),
            None => false,
        };
        if sort(old) != sort(new) || old.kind != new.kind || !is_it {
            let expected = "a section header that describes the dynamic string table";
            return breach(expected, format!("section {index} elsewhere"));
        }
    }
    moves.judge(before, after)?;
    same_entries(before, after)
}

/// A [`Breach`].
fn breach<T>(expected: &str, found: String) -> Result<T, Breach> {
    Err((expected.to_owned(), found))
}

/// Does the section header describe the dynamic section?
pub(super) fn is_dynamic(image: &Image, section: &Section) -> bool {
    let place = (section.offset, section.addr, section.size);
    section.kind == elf::SHT_DYNAMIC
        && image
            .dynamic()
            .is_some_and(|segment| (segment.offset, segment.vaddr, segment.file_size) == place)
}

/// Have the symbols of what moved the values that they were to get, where the section headers now say that they are?
///
/// Some hundred bytes are read, whatever the size of the tables. That no other symbol changed follows from [`writes`]; that none was
/// forgotten is not looked at: reading large tables once more would cost more than the edit.
pub(super) fn symbols(source: &Source, after: &Image, moved: &[MovedSymbol]) -> Result<(), Breach> {
    for symbol in moved {
        let table = after.sections.get(symbol.table);
        let at = table.and_then(|table| symbol.value_offset(table));
        let value = at.and_then(|at| source.read(at, 8, "symbol table").ok());
        if value.as_deref() != Some(&symbol.value.to_le_bytes()) {
            let expected = format!(
                "symbols with the addresses of what moved, 0x{:x}",
                symbol.value
            );
            let found = format!(
                "another at number {} of section {}",
                symbol.number, symbol.table
            );
            return Err((expected, found));
        }
    }
    Ok(())
}

/// Does `plan` write only where an edit may? What is loaded must stay as it is, to the byte, save the tables that are edited.
///
/// Allowed are: two fields of the file header, the program headers and (for a new one) what lay in the way, the dynamic section, the
/// string table, the interpreter's name, section headers, values of symbols, words that hold the address of a dynamic section that moves,
/// and everything behind the last loaded segment, or the end of the file where no loaded segment grows.
pub(super) fn writes(source: &Source, before: &Image, plan: &Plan) -> Result<(), Breach> {
    const SECTIONS_OFFSET_FIELD: Range<u64> = 40..48;
    const SEGMENT_COUNT_FIELD: u64 = 56;
    let loads_end = before.loads().next_back().and_then(Segment::file_range);
    let end = match plan.rung {
        Rung::Grow | Rung::ExtendSegment => loads_end.map_or(source.size(), |load| load.end),
        Rung::Same | Rung::Slot | Rung::NewSegment => source.size(),
    };
    let more = if plan.rung == Rung::NewSegment {
        SEGMENT_LEN
    } else {
        0
    };
    let header = &before.header;
    let sections_len = header.section_count.saturating_mul(SECTION_LEN);
    let symbols = plan.symbols.iter().map(|symbol| {
        let table = before.sections.get(symbol.table)?;
        range(symbol.value_offset(table)?, 8)
    });
    let tables = before.table.iter().flat_map(|table| {
        let len = (table.entries.len() as u64).saturating_mul(DYNAMIC_LEN);
        [
            range(table.offset, len),
            range(table.strings_offset, table.strings_size),
        ]
    });
    let allowed: Vec<Range<u64>> = [
        Some(SECTIONS_OFFSET_FIELD),
        Some(SEGMENT_COUNT_FIELD..before.segments_end().saturating_add(more)),
        range(header.sections_offset, sections_len),
        before.interpreter().and_then(Segment::file_range),
        Some(end..u64::MAX),
    ]
    .into_iter()
    .chain(tables)
    .chain(symbols)
    .flatten()
    .collect();
    for step in &plan.steps {
        let Step::Write(write) = step else { continue };
        let Some(bytes) = range(write.offset, write.len()) else {
            return breach("writes inside the file", format!("{} bytes", write.len()));
        };
        let is_inside = |whole: &Range<u64>| whole.start <= bytes.start && bytes.end <= whole.end;
        // The loader's own word for the dynamic section.
        let is_word = || {
            let was = source.read(bytes.start, 8, "a word of the file").ok();
            let address = before.dynamic().map(|segment| segment.vaddr.to_le_bytes());
            write.len() == 8 && was.as_deref() == address.as_ref().map(<[u8; 8]>::as_slice)
        };
        if !allowed.iter().any(is_inside) && !is_word() {
            let found = format!("one of {} bytes at 0x{:x}", write.len(), write.offset);
            return breach(
                "writes to tables that are edited, and behind the rest",
                found,
            );
        }
    }
    Ok(())
}

/// Are the program headers what they were, as far as [`compare`] asks for that?
fn same_segments(before: &Image, after: &Image, moves: &mut Moves) -> Result<(), Breach> {
    let last = before.last_load_of_any_size();
    let mut rest: Vec<&Segment> = after.segments.iter().collect();
    let is_longer = rest.len() == before.segments.len() + 1;
    let is_dynamic_moved = before.dynamic().map(|segment| segment.offset)
        != after.dynamic().map(|segment| segment.offset);
    if let Some(last) = last.filter(|_| is_longer) {
        let new = rest.remove(last + 1);
        let page_size = Machine::new(after.header.machine).page_size();
        let is_whole = new.file_size == new.memory_size && new.paddr == new.vaddr;
        let writable = before.dynamic_flags() & elf::PF_W.0;
        let flags = elf::PF_R.0 | if is_dynamic_moved { writable } else { 0 };
        if !new.is_load() || new.flags != flags || !is_whole {
            let expected = format!("a new PT_LOAD with bytes of the file and flags 0x{flags:x}");
            return breach(&expected, format!("{new:?}"));
        }
        let is_load = |segment: &&Segment| segment.kind == elf::PT_LOAD;
        let mut others = before.segments.iter().filter(is_load);
        if others.any(|old| old.vaddr.saturating_add(old.memory_size) > new.vaddr) {
            let found = format!("one at 0x{:x}", new.vaddr);
            return breach("a new PT_LOAD above all others", found);
        }
        if !new.is_congruent() || new.align < page_size {
            let found = format!(
                "offset 0x{:x}, address 0x{:x}, alignment 0x{:x}",
                new.offset, new.vaddr, new.align
            );
            return breach("a new PT_LOAD congruent modulo its alignment", found);
        }
    }
    if rest.len() != before.segments.len() {
        let found = format!("{}, once {}", rest.len(), before.segments.len());
        return breach("one program header more at most", found);
    }
    for (index, (old, new)) in before.segments.iter().zip(rest).enumerate() {
        let mut allowed = old.clone();
        match old.kind {
            elf::PT_LOAD
                if Some(index) == last
                    && !is_longer
                    && old.is_load()
                    && new.file_size > old.file_size
                    && new.file_size >= old.memory_size =>
            {
                (allowed.file_size, allowed.memory_size) = (new.file_size, new.file_size);
                if is_dynamic_moved && old.flags & elf::PF_X.0 == 0 {
                    allowed.flags |= before.dynamic_flags() & elf::PF_W.0 & new.flags;
                }
            }
            elf::PT_PHDR if is_longer => {
                let size = (after.segments.len() as u64).saturating_mul(SEGMENT_LEN);
                (allowed.file_size, allowed.memory_size) = (size, size);
            }
            elf::PT_INTERP if (new.offset, new.vaddr) != (old.offset, old.vaddr) => {
                (allowed.offset, allowed.vaddr, allowed.paddr) = (new.offset, new.vaddr, new.vaddr);
                if new.file_size == new.memory_size {
                    (allowed.file_size, allowed.memory_size) = (new.file_size, new.file_size);
                }
            }
            elf::PT_DYNAMIC if is_dynamic_moved && old.file_size != 0 => {
                let is_home = |load: &Segment| {
                    let offset = load.file_offset(new.vaddr, new.file_size);
                    offset == Some(new.offset) && new.flags & elf::PF_W.0 & !load.flags == 0
                };
                if !after.loads().any(is_home) {
                    let found = format!("one at 0x{:x}", new.vaddr);
                    return breach("a dynamic section in a PT_LOAD like its own", found);
                }
                (allowed.offset, allowed.vaddr, allowed.paddr) = (new.offset, new.vaddr, new.vaddr);
                (allowed.file_size, allowed.memory_size) = (new.file_size, new.file_size);
            }
            elf::PT_NOTE | elf::PT_GNU_PROPERTY if old.file_size != 0 => {
                moves.note(
                    (old.offset, old.vaddr),
                    (new.offset, new.vaddr),
                    old.file_size,
                );
                if (new.offset, new.vaddr) != (old.offset, old.vaddr) {
                    (allowed.offset, allowed.vaddr) = (new.offset, new.vaddr);
                    allowed.paddr = new.vaddr;
                }
            }
            _ => {}
        }
        if *new != allowed {
            let found = format!("number {index}, of type 0x{:x}, another", old.kind.0);
            return breach("program headers as they were", found);
        }
    }
    Ok(())
}

/// What stays of a section wherever it lies.
fn sort(section: &Section) -> (u32, u64, u64, (u32, u32, u64)) {
    let links = (section.link, section.info, section.entry_size);
    (section.name, section.flags, section.align, links)
}

/// Is a section, not the dynamic string table, what it was, as far as [`compare`] asks for that? `loads` are the last loaded segments
/// and `names` those of the interpreter, each before and after.
fn same_section(
    index: usize,
    (old, new): (&Section, &Section),
    loads: (Option<&Segment>, Option<&Segment>),
    names: (Option<&Segment>, Option<&Segment>),
    moves: &mut Moves,
) -> Result<(), Breach> {
    // Zeros that got their bytes.
    let is_shown = old.kind == elf::SHT_NOBITS && new.kind == elf::SHT_PROGBITS;
    if sort(old) != sort(new) || (old.kind != new.kind && !is_shown) {
        return breach("sections of the sort they were", format!("section {index}"));
    }
    if is_shown {
        let offset = |load: Option<&Segment>| load?.file_offset(old.addr, old.size);
        if offset(loads.1) != Some(new.offset) || (old.size != 0 && offset(loads.0).is_some()) {
            let found = format!("section {index} at offset 0x{:x}", new.offset);
            return breach("zeros at the end of the last PT_LOAD", found);
        }
    }
    let is_named =
        |segment: &Segment| (segment.offset, segment.file_size) == (old.offset, old.size);
    if old.is_alloc() && names.0.is_some_and(is_named) {
        let is_plain = old.kind == elf::SHT_PROGBITS;
        let addr = names.0.map(|segment| segment.vaddr);
        let agrees = names.1.is_some_and(|name| {
            (name.offset, name.file_size, name.vaddr) == (new.offset, new.size, new.addr)
        });
        if is_plain && addr == Some(old.addr) && !agrees {
            return breach(
                "a section header that describes the interpreter's name",
                format!("section {index} elsewhere"),
            );
        }
        return Ok(());
    }
    if old.size != new.size {
        let found = format!("section {index} of {} bytes, once {}", new.size, old.size);
        return breach("sections as long as they were", found);
    }
    if !old.is_alloc() {
        if new.addr != old.addr || (old.offset != new.offset && !moves.tail(old.offset, new.offset))
        {
            let found = format!("section {index} at offset 0x{:x}", new.offset);
            return breach("what is not loaded in its order", found);
        }
        return Ok(());
    }
    let is_free = matches!(old.kind, elf::SHT_NOTE | elf::SHT_HASH | elf::SHT_GNU_HASH);
    if is_free && old.has_bytes() {
        moves.note((old.offset, old.addr), (new.offset, new.addr), old.size);
    } else if old.addr != new.addr || (old.offset != new.offset && !is_shown) {
        let found = format!("section {index} moved to 0x{:x}", new.addr);
        return breach("code and data where they were", found);
    }
    Ok(())
}

/// What moved: offsets and addresses before and after.
#[derive(Default)]
struct Moves {
    /// Notes and hash tables that are where they were, by offset and length.
    kept: Vec<(u64, u64)>,
    /// The distances in the file and in memory of the first that moved.
    by: Option<(u64, u64)>,
    /// The old offsets of all that moved, and an old address of the first of them.
    range: Range<u64>,
    addr: u64,
    /// Did any move by another distance?
    is_torn: bool,
    /// How far what is not loaded moved.
    tail_by: Option<u64>,
}

impl Moves {
    /// Takes down where `len` bytes, notes or a hash table, were and are.
    fn note(&mut self, old: (u64, u64), new: (u64, u64), len: u64) {
        if old == new {
            self.kept.push((old.0, len));
            return;
        }
        let by = (new.0.wrapping_sub(old.0), new.1.wrapping_sub(old.1));
        let end = old.0.saturating_add(len);
        match self.by {
            None => {
                self.by = Some(by);
                (self.range, self.addr) = (old.0..end, old.1);
            }
            Some(first) => {
                let addr = self.addr.wrapping_sub(self.range.start);
                self.is_torn |= first != by || old.1.wrapping_sub(old.0) != addr;
                self.range = self.range.start.min(old.0)..self.range.end.max(end);
                self.addr = addr.wrapping_add(self.range.start);
            }
        }
    }

    /// Is this the distance by which everything that is not loaded moved, towards the end?
    fn tail(&mut self, old: u64, new: u64) -> bool {
        let by = new.checked_sub(old);
        by.is_some_and(|by| *self.tail_by.get_or_insert(by) == by)
    }

    /// Did notes and hash tables move together, into a loaded segment, and their dynamic entries with them?
    fn judge(&self, before: &Image, after: &Image) -> Result<(), Breach> {
        let (by_offset, by_addr) = self.by.unwrap_or_default();
        for tag in [elf::DT_HASH, elf::DT_GNU_HASH] {
            let value = |image: &Image| image.table.as_ref()?.value(tag);
            let follows = |old: u64| {
                let into = old.wrapping_sub(self.addr);
                let is_moved = into < self.range.end.saturating_sub(self.range.start);
                old.wrapping_add(if is_moved { by_addr } else { 0 })
            };
            if value(before).map(follows) != value(after) {
                let found = format!("dynamic tag 0x{:x} elsewhere", tag.0);
                return breach("a dynamic entry that follows its hash table", found);
            }
        }
        if self.by.is_none() {
            return Ok(());
        }
        let is_left =
            |&(start, len): &(u64, u64)| touch(&(start..start.saturating_add(len)), &self.range);
        let len = self.range.end.saturating_sub(self.range.start);
        let home = after.file_offset(self.addr.wrapping_add(by_addr), len);
        let is_home = home == Some(self.range.start.wrapping_add(by_offset));
        if self.is_torn || !is_home || self.kept.iter().any(is_left) {
            let found = format!("others at offset 0x{:x}", self.range.start);
            return breach("notes and hash tables that move together", found);
        }
        Ok(())
    }
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
    use object::elf::{DynamicTag, ProgramType, SectionType};

    use super::super::layout::{Piece, Write};
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

    fn section(kind: SectionType, flags: u64, addr: u64, size: u64) -> Section {
        Section {
            name: 1,
            kind,
            flags,
            addr: if flags == 0 { 0 } else { addr },
            offset: addr,
            size,
            link: 0,
            info: 0,
            align: 16,
            entry_size: 0,
        }
    }

    /// A program of two loaded segments, the second with zeros at its end; notes and a hash table in the first.
    fn image() -> Image {
        let mut zeros = section(elf::SHT_NOBITS, 3, 0x2000, 0x100);
        zeros.offset = 0x1ff8;
        Image {
            header: Header {
                class: Class::Elf64,
                order: ByteOrder::Little,
                kind: 3,
                machine: 62,
                segments_offset: 64,
                segment_count: 7,
                sections_offset: 0x3000,
                section_count: 9,
                names_section: 0,
            },
            segments: vec![
                segment(elf::PT_INTERP, 0x200, 28, 1),
                segment(elf::PT_PHDR, 64, 7 * 56, 8),
                segment(elf::PT_LOAD, 0, 0x1000, 0x1000),
                Segment {
                    memory_size: 0x1100,
                    flags: 6,
                    ..segment(elf::PT_LOAD, 0x1000, 0x1000, 0x1000)
                },
                segment(elf::PT_GNU_RELRO, 0x1800, 0x100, 1),
                segment(elf::PT_NOTE, 0x280, 0x10, 4),
                Segment {
                    flags: 6,
                    ..segment(elf::PT_DYNAMIC, 0x1800, 0x70, 8)
                },
            ],
            sections: vec![
                section(elf::SHT_PROGBITS, 2, 0x1100, 16),
                section(elf::SHT_STRTAB, 2, 0x300, 10),
                section(elf::SHT_NOTE, 2, 0x280, 0x10),
                section(elf::SHT_PROGBITS, 2, 0x200, 28),
                zeros,
                section(elf::SHT_PROGBITS, 0, 0x2000, 20),
                section(elf::SHT_PROGBITS, 0, 0x2020, 20),
                section(elf::SHT_HASH, 2, 0x290, 0x20),
                section(elf::SHT_DYNAMIC, 3, 0x1800, 0x70),
            ],
            table: Some(Table {
                offset: 0x1800,
                entries: [
                    (elf::DT_STRTAB, 0x300),
                    (elf::DT_INIT, 0x1100),
                    (elf::DT_PLTGOT, 0x9000),
                    (elf::DT_RUNPATH, 1),
                    (elf::DT_HASH, 0x290),
                    (elf::DT_STRSZ, 10),
                    (elf::DT_NULL, 0),
                ]
                .map(|(tag, value)| Dynamic { tag, value })
                .to_vec(),
                used: 6,
                strings_offset: 0x300,
                strings_size: 10,
            }),
        }
    }

    /// As rung P3 does.
    fn add_segment(image: &mut Image) {
        let at = image
            .segments
            .iter()
            .rposition(|segment| segment.kind == elf::PT_LOAD)
            .unwrap();
        let start = 0x4000 * at as u64;
        let new = segment(elf::PT_LOAD, start, 0x100, 0x1000);
        image.segments.insert(at + 1, new);
        image.header.segment_count += 1;
        image.segments[1].file_size += 56;
        image.segments[1].memory_size += 56;
    }

    /// As rung P3 does where notes and a hash table follow the program headers.
    fn move_notes(image: &mut Image) {
        add_segment(image);
        let by = image.segments[4].offset - 0x240;
        let note = &mut image.segments[6];
        (note.offset, note.vaddr, note.paddr) =
            (note.offset + by, note.vaddr + by, note.vaddr + by);
        for index in [2, 7] {
            image.sections[index].offset += by;
            image.sections[index].addr += by;
        }
        set(image, elf::DT_HASH, 0x290 + by);
    }

    /// As rung P2 does.
    fn extend_segment(image: &mut Image) {
        (image.segments[3].file_size, image.segments[3].memory_size) = (0x1400, 0x1400);
        (image.sections[4].kind, image.sections[4].offset) = (elf::SHT_PROGBITS, 0x2000);
        image.sections[5].offset += 0x400;
        image.sections[6].offset += 0x400;
        image.header.sections_offset += 0x400;
    }

    fn move_strings(image: &mut Image, to: u64) {
        set(image, elf::DT_STRTAB, to);
        let table = image.table.as_mut().unwrap();
        (table.strings_offset, table.strings_size) = (to, 20);
        let section = &mut image.sections[1];
        (section.offset, section.addr, section.size) = (to, to, 20);
    }

    /// Gives the dynamic section another place and room for three entries more.
    fn move_dynamic(image: &mut Image, to: u64) {
        let is_it = |segment: &&mut Segment| segment.kind == elf::PT_DYNAMIC;
        let segment = image.segments.iter_mut().find(is_it).unwrap();
        (segment.offset, segment.vaddr, segment.paddr) = (to, to, to);
        (segment.file_size, segment.memory_size) = (0xa0, 0xa0);
        let section = &mut image.sections[8];
        (section.offset, section.addr, section.size) = (to, to, 0xa0);
        image.table.as_mut().unwrap().offset = to;
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
    fn writes_elsewhere_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut bytes = vec![0; 0x3240];
        // A word with the address of the dynamic section.
        bytes[0x1900..0x1908].copy_from_slice(&0x1800_u64.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let source = Source::open(&path).unwrap();
        let headers_end = 64 + 7 * 56;
        for (rung, offset, len, is_fine) in [
            (Rung::Slot, 40, 8, true),
            (Rung::Slot, 40, 9, false),
            (Rung::Slot, 24, 8, false),
            (Rung::Slot, 56, headers_end - 56, true),
            (Rung::Slot, 56, headers_end, false),
            (Rung::NewSegment, 56, headers_end, true),
            (Rung::NewSegment, 56, headers_end + 1, false),
            // The interpreter's name, the string table, the dynamic section.
            (Rung::Slot, 0x200, 28, true),
            (Rung::Slot, 0x1ff, 28, false),
            (Rung::Slot, 0x300, 10, true),
            (Rung::Slot, 0x300, 11, false),
            (Rung::Slot, 0x1800, 0x70, true),
            (Rung::Slot, 0x17f8, 16, false),
            // Code, the global offset table, any other word, a symbol, section headers, the end of the file or of what is loaded.
            (Rung::Slot, 0x1100, 8, false),
            (Rung::NewSegment, 0x1900, 8, true),
            (Rung::NewSegment, 0x1900, 16, false),
            (Rung::NewSegment, 0x1908, 8, false),
            (Rung::NewSegment, 0x2020 + 24 + 8, 8, true),
            (Rung::NewSegment, 0x2020 + 24, 16, false),
            (Rung::NewSegment, 0x3000, 9 * 64, true),
            (Rung::NewSegment, 0x3240, 100, true),
            (Rung::NewSegment, 0x2000, 0x100, false),
            (Rung::ExtendSegment, 0x2000, 0x100, true),
            (Rung::ExtendSegment, 0x1fff, 1, false),
            (Rung::ExtendSegment, u64::MAX, 2, false),
        ] {
            let write = Write {
                offset,
                pieces: vec![Piece::Fill(1, len)],
            };
            let plan = Plan {
                rung,
                steps: vec![Step::Write(write)],
                is_ordered: true,
                symbols: vec![MovedSymbol {
                    table: 6,
                    number: 1,
                    value: 7,
                }],
            };
            let found = writes(&source, &image(), &plan);
            assert_eq!(
                found.is_ok(),
                is_fine,
                "{rung} 0x{offset:x} {len}: {found:?}"
            );
        }
    }

    #[test]
    fn symbols_that_stayed_behind_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut bytes = vec![0; 0x3000];
        // The values of symbols 1 and 2 of a table at 0x2020.
        bytes[0x2020 + 24 + 8..][..8].copy_from_slice(&0x1234_u64.to_le_bytes());
        bytes[0x2020 + 48 + 8..][..8].copy_from_slice(&0x5678_u64.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let source = Source::open(&path).unwrap();
        let moved = |table, number, value| MovedSymbol {
            table,
            number,
            value,
        };
        for (what, is_fine) in [
            (vec![], true),
            (vec![moved(6, 1, 0x1234), moved(6, 2, 0x5678)], true),
            (vec![moved(6, 1, 0x1234), moved(6, 2, 0x5670)], false),
            (vec![moved(6, 2, 0x1234)], false),
            (vec![moved(5, 1, 0x1234)], false),
            (vec![moved(99, 1, 0x1234)], false),
            (vec![moved(6, u64::MAX / 24, 0)], false),
        ] {
            let found = symbols(&source, &image(), &what);
            assert_eq!(found.is_ok(), is_fine, "{what:?}: {found:?}");
        }
    }

    #[test]
    fn broken_rules_are_found() {
        type Change = fn(&mut Image);
        const SEGMENTS: Option<&str> = Some("program headers as they were");
        const READ_ONLY: Option<&str> = Some("a new PT_LOAD with bytes of the file and flags 0x4");
        const WRITABLE: Option<&str> = Some("a new PT_LOAD with bytes of the file and flags 0x6");
        const DYNAMIC: Option<&str> = Some("a dynamic section in a PT_LOAD like its own");
        const NOTES: Option<&str> = Some("notes and hash tables that move together");
        let cases: &[(Option<&str>, Change)] = &[
            (None, |_| {}),
            (None, add_segment),
            (None, |after| set(after, elf::DT_RUNPATH, 0x9999)),
            (None, move_notes),
            // The string table, the interpreter's name, and zeros that get their bytes: the end of the file moves.
            (None, |after| {
                extend_segment(after);
                move_strings(after, 0x2200);
                let name = &mut after.segments[0];
                (name.offset, name.vaddr, name.paddr) = (0x2300, 0x2300, 0x2300);
                (name.file_size, name.memory_size) = (30, 30);
                let section = &mut after.sections[3];
                (section.offset, section.addr, section.size) = (0x2300, 0x2300, 30);
            }),
            (
                Some("a new PT_LOAD congruent modulo its alignment"),
                |after| {
                    add_segment(after);
                    after.segments[4].vaddr += 8;
                    after.segments[4].paddr += 8;
                },
            ),
            (
                Some("a new PT_LOAD congruent modulo its alignment"),
                |after| {
                    add_segment(after);
                    after.segments[4].align = 16;
                },
            ),
            // The dynamic section moves: into the longer last segment, into a new one that is writable for it.
            (None, |after| {
                extend_segment(after);
                move_dynamic(after, 0x2300);
            }),
            (None, |after| {
                add_segment(after);
                after.segments[4].flags = 6;
                let to = after.segments[4].offset;
                move_dynamic(after, to);
            }),
            (DYNAMIC, |after| {
                extend_segment(after);
                move_dynamic(after, 0x2400);
            }),
            (SEGMENTS, |after| {
                extend_segment(after);
                move_dynamic(after, 0x2300);
                after.segments[3].flags = 7;
            }),
            (DYNAMIC, |after| {
                extend_segment(after);
                move_dynamic(after, 0x200);
            }),
            (
                Some("a section header that describes the dynamic section"),
                |after| {
                    extend_segment(after);
                    move_dynamic(after, 0x2300);
                    after.sections[8].size -= 0x10;
                },
            ),
            (WRITABLE, |after| {
                add_segment(after);
                let to = after.segments[4].offset;
                move_dynamic(after, to);
            }),
            (READ_ONLY, |after| {
                add_segment(after);
                after.segments[4].flags = 6;
            }),
            (READ_ONLY, |after| {
                add_segment(after);
                after.segments.swap(4, 5);
            }),
            (Some("a new PT_LOAD above all others"), |after| {
                add_segment(after);
                let new = &mut after.segments[4];
                (new.vaddr, new.paddr) = (new.vaddr - 0xb000, new.paddr - 0xb000);
            }),
            (Some("one program header more at most"), |after| {
                add_segment(after);
                add_segment(after);
            }),
            (Some("one program header more at most"), |after| {
                after.segments.pop();
            }),
            (Some("program headers inside the first PT_LOAD"), |after| {
                after.header.segments_offset = 0x2000
            }),
            (SEGMENTS, |after| after.segments.rotate_left(1)),
            // PT_PHDR, a PT_LOAD that is not the last, the last one cut or half shown, another alignment, PT_GNU_RELRO.
            (SEGMENTS, |after| {
                add_segment(after);
                after.segments[1].file_size -= 56;
            }),
            (SEGMENTS, |after| after.segments[1].file_size += 56),
            (SEGMENTS, |after| {
                after.segments[2].file_size += 8;
                after.segments[2].memory_size += 8;
            }),
            (SEGMENTS, |after| after.segments[3].file_size -= 8),
            (SEGMENTS, |after| after.segments[3].file_size += 8),
            (SEGMENTS, |after| after.segments[3].align = 8),
            (SEGMENTS, |after| after.segments[3].flags = 7),
            (SEGMENTS, |after| after.segments[4].vaddr += 8),
            // The interpreter's name with another alignment; a note of another length.
            (SEGMENTS, |after| {
                after.segments[0].align = 2;
            }),
            (SEGMENTS, |after| {
                move_notes(after);
                after.segments[6].file_size += 4;
            }),
            (Some("an address backed by the file"), |after| {
                set(after, elf::DT_STRTAB, 0x7000)
            }),
            // All of its bytes.
            (Some("an address backed by the file"), |after| {
                set(after, elf::DT_STRTAB, 0xff8);
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
            (
                Some("a section header that describes the dynamic string table"),
                |after| {
                    extend_segment(after);
                    move_strings(after, 0x2200);
                    after.sections[1].addr += 8;
                },
            ),
            (
                Some("a section header that describes the interpreter's name"),
                |after| after.sections[3].size += 1,
            ),
            (Some("zeros at the end of the last PT_LOAD"), |after| {
                extend_segment(after);
                after.sections[4].offset += 8;
            }),
            (Some("what is not loaded in its order"), |after| {
                extend_segment(after);
                after.sections[6].offset += 8;
            }),
            // Only the segment, only the section, by another distance, to where nothing is loaded.
            (NOTES, |after| {
                move_notes(after);
                let note = &mut after.sections[2];
                (note.offset, note.addr) = (0x280, 0x280);
            }),
            (NOTES, |after| {
                move_notes(after);
                let note = &mut after.segments[6];
                (note.offset, note.vaddr, note.paddr) = (0x280, 0x280, 0x280);
            }),
            (NOTES, |after| {
                move_notes(after);
                after.sections[2].offset += 4;
            }),
            (NOTES, |after| {
                move_notes(after);
                let new = &mut after.segments[4];
                (new.file_size, new.memory_size) = (0x58, 0x58);
            }),
            (
                Some("a dynamic entry that follows its hash table"),
                |after| {
                    move_notes(after);
                    set(after, elf::DT_HASH, 0x290);
                },
            ),
            (
                Some("a dynamic entry that follows its hash table"),
                |after| set(after, elf::DT_HASH, 0x294),
            ),
            (Some("the other dynamic entries as they were"), |after| {
                set(after, elf::DT_INIT, 0x1101)
            }),
            (Some("the other dynamic entries as they were"), |after| {
                after.table.as_mut().unwrap().entries.swap(1, 2)
            }),
        ];
        for (index, (expected, change)) in cases.iter().enumerate() {
            let mut after = image();
            change(&mut after);
            let found = compare(&image(), &after)
                .err()
                .map(|(expected, _)| expected);
            assert_eq!(found.as_deref(), *expected, "case {index}");
        }
    }
}
