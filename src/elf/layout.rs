//! Where bytes go: from the tables of a file and a request to a list of writes. Reads what it must; writes nothing.
//!
//! The ladder, cheapest rung first: nothing to do (S0), the old string's place (S1), a string table that ends the file
//! (S2), a new segment (P3), the last segment extended (P2).

use object::elf;

use super::check::Image;
use super::edit::Rung;
use super::error::ElfError;
use super::image::{DYNAMIC_LEN, Dynamic, SECTION_LEN, SEGMENT_LEN, SYMBOL_LEN, Section, range};
use super::read::Facts;
use super::source::{Fields, Source};

mod extend_segment;
mod new_segment;

/// Largest string or symbol table that is looked at; the largest seen has 30 MB.
const TABLE_BYTES_MAX: u64 = 256 << 20;
/// How much of a symbol table is read at once: a multiple of a symbol's size.
const SYMBOLS_BYTES: u64 = SYMBOL_LEN * 4096;
/// Zeros that may follow a string table at the end of a file (padding by other tools).
const PADDING_BYTES_MAX: u64 = 64;

/// Bytes to be written at an offset of the file, which may be its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Write {
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

/// What is to be written, in order: new bytes at the end first, then what refers to them; section headers last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) rung: Rung,
    pub(super) writes: Vec<Write>,
}

impl Plan {
    /// The offset behind the last byte written.
    pub(super) fn end(&self) -> u64 {
        self.writes.iter().map(Write::end).max().unwrap_or(0)
    }
}

/// Why a rung was not taken.
enum Skip {
    /// It does not fit this file; the next rung may.
    Because(String),
    /// The file cannot be edited at all.
    Error(ElfError),
}

impl From<ElfError> for Skip {
    fn from(error: ElfError) -> Skip {
        Skip::Error(error)
    }
}

/// Tries one rung.
type LayOut = fn(&Request<'_>) -> Result<Draft, Skip>;

/// A [`Skip::Because`].
fn because<T>(reason: impl Into<String>) -> Result<T, Skip> {
    Err(Skip::Because(reason.into()))
}

/// The offsets did not fit into 64 bits; no file has that.
fn overflow() -> Skip {
    Skip::Because("addresses beyond 64 bits".to_owned())
}

/// Finds the writes that make `runpath` (without NUL) the RUNPATH of a file.
///
/// # Errors
/// No rung fits, or a table that must be read lies outside the file.
pub(super) fn runpath(
    source: &Source,
    image: &Image,
    facts: &Facts,
    runpath: &str,
) -> Result<Plan, ElfError> {
    let table = &image.table;
    let is_single =
        table.values(elf::DT_RUNPATH).count() == 1 && table.value(elf::DT_RPATH).is_none();
    if is_single && facts.runpath.as_deref() == Some(runpath) {
        return Ok(Plan {
            rung: Rung::Same,
            writes: Vec::new(),
        });
    }
    let request = Request {
        source,
        image,
        facts,
        string: runpath.as_bytes(),
    };
    let mut reasons = Vec::new();
    let rungs: [(Rung, LayOut); 4] = [
        (Rung::Slot, slot),
        (Rung::Grow, grow),
        (Rung::NewSegment, new_segment::lay_out),
        (Rung::ExtendSegment, extend_segment::lay_out),
    ];
    for (rung, lay_out) in rungs {
        match lay_out(&request) {
            Ok(draft) => {
                return Ok(Plan {
                    rung,
                    writes: draft.writes(image),
                });
            }
            Err(Skip::Error(error)) => return Err(error),
            // That the old string is too short is true of nearly every file, and no news.
            Err(Skip::Because(reason)) if rung > Rung::Grow => {
                reasons.push(format!("{rung}: {reason}"))
            }
            Err(Skip::Because(_)) => {}
        }
    }
    Err(source.no_room(format!(
        "no room for {} bytes ({})",
        request.string.len() + 1,
        reasons.join("; ")
    )))
}

/// What is asked for, of which file.
struct Request<'a> {
    source: &'a Source,
    image: &'a Image,
    facts: &'a Facts,
    /// The new value, without its NUL.
    string: &'a [u8],
}

impl Request<'_> {
    /// The new value with its NUL.
    fn terminated(&self) -> Vec<u8> {
        [self.string, b"\0"].concat()
    }

    /// The bytes of the whole string table.
    fn strings(&self) -> Result<Vec<u8>, Skip> {
        let table = &self.image.table;
        if table.strings_size > TABLE_BYTES_MAX {
            return because(format!(
                "a string table of {} bytes, more than {TABLE_BYTES_MAX}",
                table.strings_size
            ));
        }
        Ok(self.source.read(
            table.strings_offset,
            table.strings_size,
            "dynamic string table",
        )?)
    }

    /// The number of the string table's section header; `None` when the file has no section headers.
    ///
    /// Tools trust the header (`strip` drops bytes that no header covers), so it must be there and agree.
    fn strings_section(&self) -> Result<Option<usize>, Skip> {
        let (sections, table) = (&self.image.sections, &self.image.table);
        if sections.is_empty() {
            return Ok(None);
        }
        let is_it = |section: &Section| {
            section.kind == elf::SHT_STRTAB
                && section.is_alloc()
                && (section.offset, section.size) == (table.strings_offset, table.strings_size)
        };
        match sections.iter().position(is_it) {
            Some(index) => Ok(Some(index)),
            None => because("no section header that describes the dynamic string table"),
        }
    }

    /// A draft that changes nothing yet.
    fn draft(&self) -> Draft {
        Draft {
            after: self.image.clone(),
            blob: None,
            strings: None,
            symbols: Vec::new(),
        }
    }
}

/// The tables as they shall be, and the bytes that go with them.
struct Draft {
    after: Image,
    /// Bytes at the end of the file, or replacing it.
    blob: Option<Write>,
    /// A string changed in its place.
    strings: Option<Write>,
    /// Values of symbols.
    symbols: Vec<Write>,
}

impl Draft {
    /// Makes the string at offset `at` of the string table the one RUNPATH; no RPATH remains.
    ///
    /// Takes the entry of the old one, else a spare `DT_NULL`, else, in a library, `DT_DEBUG`: the loader fills that in
    /// for programs only.
    fn point_at(&mut self, request: &Request<'_>, at: u64) -> Result<(), Skip> {
        let spare = self.after.table.spare();
        let table = &mut self.after.table;
        let entry = Dynamic {
            tag: elf::DT_RUNPATH,
            value: at,
        };
        let is_old = |entry: &Dynamic| entry.tag == elf::DT_RUNPATH || entry.tag == elf::DT_RPATH;
        if let Some(first) = table.live().iter().position(is_old) {
            let mut kept = Vec::with_capacity(table.entries.len());
            for (index, old) in table.live().iter().enumerate() {
                if index == first {
                    kept.push(entry);
                } else if !is_old(old) {
                    kept.push(*old);
                }
            }
            let used = kept.len();
            kept.resize(
                table.used,
                Dynamic {
                    tag: elf::DT_NULL,
                    value: 0,
                },
            );
            kept.extend(table.entries.iter().skip(table.used));
            (table.entries, table.used) = (kept, used);
            return Ok(());
        }
        let library = elf::FileType(request.image.header.kind) == elf::ET_DYN
            && request.facts.interpreter.is_none();
        let debug = table
            .live()
            .iter()
            .position(|entry| entry.tag == elf::DT_DEBUG)
            .filter(|_| library);
        let slot = if spare > 0 { Some(table.used) } else { debug };
        let Some(place) = slot.and_then(|index| table.entries.get_mut(index)) else {
            let reason = "the dynamic section has no free entry and would have to move";
            return Err(Skip::Error(request.source.no_room(reason)));
        };
        *place = entry;
        if slot == Some(table.used) {
            table.used += 1;
        }
        Ok(())
    }

    /// Sets the value of the (last) entry with `tag`, if there is one.
    fn set(&mut self, tag: object::elf::DynamicTag, value: u64) {
        let used = self.after.table.used;
        let live = self.after.table.entries.iter_mut().take(used);
        if let Some(entry) = live.rev().find(|entry| entry.tag == tag) {
            entry.value = value;
        }
    }

    /// Makes `size` bytes at `offset` and `vaddr` the dynamic string table.
    fn set_strings(&mut self, section: Option<usize>, offset: u64, vaddr: u64, size: u64) {
        self.set(elf::DT_STRTAB, vaddr);
        self.set(elf::DT_STRSZ, size);
        (
            self.after.table.strings_offset,
            self.after.table.strings_size,
        ) = (offset, size);
        if let Some(section) = section.and_then(|index| self.after.sections.get_mut(index)) {
            (section.offset, section.addr, section.size) = (offset, vaddr, size);
        }
    }

    /// Lets the symbols of `.symtab` follow their sections: debuggers and `strip` read them, the loader does not.
    fn move_symbols(&mut self, request: &Request<'_>) -> Result<(), Skip> {
        let old = &request.image.sections;
        for (index, table) in old
            .iter()
            .enumerate()
            .filter(|(_, section)| section.kind == elf::SHT_SYMTAB)
        {
            if table.entry_size != SYMBOL_LEN {
                return because(format!(
                    "a symbol table with entries of {} bytes",
                    table.entry_size
                ));
            }
            let new_offset = self
                .after
                .sections
                .get(index)
                .map_or(table.offset, |section| section.offset);
            let mut at = 0;
            while at < table.size - table.size % SYMBOL_LEN {
                let len = (table.size - at).min(SYMBOLS_BYTES);
                let bytes =
                    request
                        .source
                        .read(table.offset.saturating_add(at), len, "symbol table")?;
                for (number, symbol) in (0_u64..).zip(symbols(&bytes)) {
                    let section = usize::from(symbol.section);
                    let pair = old.get(section).zip(self.after.sections.get(section));
                    let Some((from, to)) =
                        pair.filter(|(from, to)| section != 0 && from.addr != to.addr)
                    else {
                        continue;
                    };
                    let value = symbol.value.wrapping_sub(from.addr).wrapping_add(to.addr);
                    let offset = new_offset
                        .saturating_add(at)
                        .saturating_add(number * SYMBOL_LEN + 8);
                    self.symbols.push(Write {
                        offset,
                        bytes: value.to_le_bytes().to_vec(),
                    });
                }
                at += len;
            }
        }
        Ok(())
    }

    /// The writes, in the order that [`Plan`] promises.
    fn writes(self, before: &Image) -> Vec<Write> {
        let Draft {
            after,
            blob,
            strings,
            symbols,
        } = self;
        let (old, new) = (&before.header, &after.header);
        let mut writes: Vec<Write> = blob.into_iter().collect();

        let bytes = |segments: &[super::image::Segment]| {
            segments
                .iter()
                .flat_map(|entry| entry.encode())
                .collect::<Vec<_>>()
        };
        let (from, to) = (bytes(&before.segments), bytes(&after.segments));
        writes.extend(changed(new.segments_offset, &from, &to, SEGMENT_LEN));
        if old.segment_count != new.segment_count {
            writes.push(Write {
                offset: 56,
                bytes: new.segment_count.to_le_bytes().to_vec(),
            });
        }

        writes.extend(strings);
        let bytes = |entries: &[Dynamic]| {
            entries
                .iter()
                .flat_map(|entry| entry.encode())
                .collect::<Vec<_>>()
        };
        let (from, to) = (bytes(&before.table.entries), bytes(&after.table.entries));
        writes.extend(changed(after.table.offset, &from, &to, DYNAMIC_LEN));

        if old.sections_offset != new.sections_offset {
            writes.push(Write {
                offset: 40,
                bytes: new.sections_offset.to_le_bytes().to_vec(),
            });
        }
        let bytes = |sections: &[Section]| {
            sections
                .iter()
                .flat_map(|entry| entry.encode())
                .collect::<Vec<_>>()
        };
        let (from, to) = (bytes(&before.sections), bytes(&after.sections));
        // A table that moved did so inside the blob, unchanged.
        writes.extend(changed(new.sections_offset, &from, &to, SECTION_LEN));
        writes.extend(symbols);
        writes
    }
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
    Some(Write {
        offset: offset.checked_add((first * entry_len) as u64)?,
        bytes,
    })
}

/// A symbol's fields that matter here.
struct Symbol {
    name: u32,
    section: u16,
    value: u64,
}

/// Decodes whole symbols off `bytes`.
fn symbols(bytes: &[u8]) -> impl Iterator<Item = Symbol> {
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

/// S1: the new string takes the place of the old one, if nothing else refers to any byte of it.
///
/// Linkers share the ends of strings, so `/lib` may be the tail of a symbol's name. Zeros behind the old string that
/// nothing refers to belong to its place: they are left over from a longer one.
fn slot(request: &Request<'_>) -> Result<Draft, Skip> {
    let table = &request.image.table;
    let Some(at) = table.value(elf::DT_RUNPATH).or(table.value(elf::DT_RPATH)) else {
        return because("no old string");
    };
    let old = table.bytes_at(request.source, at)?;
    let mut draft = request.draft();
    draft.point_at(request, at)?;
    if old == request.string {
        // Only the tag is another one.
        return Ok(draft);
    }
    let needed = request.string.len().max(old.len()) as u64 + 1;
    let Some(before) = at.checked_sub(1) else {
        return because("the old string is the table's first");
    };
    let place = range(at, needed).filter(|place| place.end <= table.strings_size);
    let Some(place) = place else {
        return because("the old string's place is too short");
    };
    let start = table.strings_offset.saturating_add(before);
    let bytes = request
        .source
        .read(start, needed + 1, "dynamic string table")?;
    let Some((0, bytes)) = bytes.split_first() else {
        return because("the old string is the end of another one");
    };
    if bytes.iter().skip(old.len()).any(|byte| *byte != 0) {
        return because("the old string's place is too short");
    }
    let Some(references) = references(request)? else {
        return because("references to the string table are not known");
    };
    if references.iter().any(|at| place.contains(at)) {
        return because("something else refers to the old string");
    }
    let mut bytes = request.string.to_vec();
    bytes.resize(old.len().max(request.string.len()) + 1, 0);
    draft.strings = Some(Write {
        offset: table.strings_offset.saturating_add(at),
        bytes,
    });
    Ok(draft)
}

/// All offsets into the dynamic string table, the old RPATH's and RUNPATH's excepted; rather too many than too few.
/// `None` when some cannot be known.
fn references(request: &Request<'_>) -> Result<Option<Vec<u64>>, Skip> {
    const STRING_TAGS: [object::elf::DynamicTag; 8] = [
        elf::DT_NEEDED,
        elf::DT_SONAME,
        elf::DT_AUXILIARY,
        elf::DT_FILTER,
        elf::DT_CONFIG,
        elf::DT_DEPAUDIT,
        elf::DT_AUDIT,
        // DT_USED, which has no name in the tables at hand.
        object::elf::DynamicTag(0x7fff_fffe),
    ];
    let (sections, table) = (&request.image.sections, &request.image.table);
    let Ok(Some(strings)) = request.strings_section() else {
        return Ok(None);
    };
    let mut found: Vec<u64> = table
        .live()
        .iter()
        .filter(|entry| STRING_TAGS.contains(&entry.tag))
        .map(|entry| entry.value)
        .collect();
    for (tag, kind) in [
        (elf::DT_SYMTAB, elf::SHT_DYNSYM),
        (elf::DT_VERNEED, elf::SHT_GNU_VERNEED),
        (elf::DT_VERDEF, elf::SHT_GNU_VERDEF),
    ] {
        let Some(addr) = table.value(tag) else {
            continue;
        };
        let section = sections
            .iter()
            .find(|section| section.kind == kind && section.addr == addr);
        let Some(section) = section.filter(|section| section.size <= TABLE_BYTES_MAX) else {
            return Ok(None);
        };
        let bytes =
            request
                .source
                .read(section.offset, section.size, "table with dynamic strings")?;
        if kind == elf::SHT_DYNSYM {
            found.extend(symbols(&bytes).map(|symbol| u64::from(symbol.name)));
        } else {
            // Versions are linked lists of two kinds of records: every 4-aligned number may be a name.
            let mut f = Fields::little(&bytes);
            found.extend(std::iter::from_fn(|| f.u32()).map(u64::from));
        }
    }
    let known = [
        elf::SHT_DYNSYM,
        elf::SHT_DYNAMIC,
        elf::SHT_GNU_VERNEED,
        elf::SHT_GNU_VERDEF,
    ];
    let unknown = |section: &Section| {
        u64::from(section.link) == strings as u64
            && section.has_bytes()
            && !known.contains(&section.kind)
    };
    if sections.iter().any(unknown) {
        return Ok(None);
    }
    Ok(Some(found))
}

/// S2: the string table ends the last segment and the file, and grows there.
fn grow(request: &Request<'_>) -> Result<Draft, Skip> {
    let (image, table) = (request.image, &request.image.table);
    let end = table
        .strings_offset
        .checked_add(table.strings_size)
        .ok_or_else(overflow)?;
    let Some(last) = image
        .segments
        .iter()
        .rposition(|segment| segment.kind == elf::PT_LOAD)
    else {
        return because("no segment");
    };
    let load = image.segments.get(last).ok_or_else(overflow)?;
    if load.file_range().map(|bytes| bytes.end) != Some(end) || load.file_size != load.memory_size {
        return because("the string table does not end the last segment");
    }
    let tail = request.source.size().saturating_sub(end);
    let sections_end = image
        .header
        .section_count
        .saturating_mul(SECTION_LEN)
        .saturating_add(image.header.sections_offset);
    let behind = |section: &Section| {
        section.has_bytes() && section.offset.saturating_add(section.size) > end
    };
    let is_last = tail <= PADDING_BYTES_MAX
        && sections_end <= end
        && image.segments_end() <= end
        && !image.sections.iter().any(behind)
        && request
            .source
            .read(end, tail, "bytes behind the last segment")?
            .iter()
            .all(|byte| *byte == 0);
    if !is_last {
        return because("the string table does not end the file");
    }
    let section = request.strings_section()?;
    let string = request.terminated();
    let size = table
        .strings_size
        .checked_add(string.len() as u64)
        .ok_or_else(overflow)?;
    let vaddr = table.value(elf::DT_STRTAB).ok_or_else(overflow)?;
    let mut draft = request.draft();
    draft.point_at(request, table.strings_size)?;
    draft.set_strings(section, table.strings_offset, vaddr, size);
    if let Some(load) = draft.after.segments.get_mut(last) {
        load.file_size = load
            .file_size
            .checked_add(string.len() as u64)
            .ok_or_else(overflow)?;
        load.memory_size = load.file_size;
    }
    draft.blob = Some(Write {
        offset: end,
        bytes: string,
    });
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_entries_are_written() {
        let write = |offset, bytes: &[u8]| {
            Some(Write {
                offset,
                bytes: bytes.to_vec(),
            })
        };
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
}
