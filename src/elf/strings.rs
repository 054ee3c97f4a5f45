//! The dynamic section and its string table, found without section headers.

use object::elf;
use object::elf::DynamicTag;

use super::Class;
use super::error::ElfError;
use super::image::{DYNAMIC_LEN, Dynamic, Header, Section, Segment};
use super::source::{Fields, Source};
use crate::text;

/// Real tables have some 40 entries; the largest seen has 60.
const TABLE_BYTES_MAX: u64 = 1 << 20;
/// A RUNPATH of a thousand store paths is 80 kB.
pub(super) const STRING_BYTES_MAX: u64 = 1 << 20;
/// How much of a string is read at first, and at most at once: names of libraries are short.
const PIECE_BYTES: std::ops::Range<u64> = 16..4096;

/// The dynamic table of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Where it starts in the file.
    pub(super) offset: u64,
    /// All entries, those after the terminating `DT_NULL` too.
    pub(super) entries: Vec<Dynamic>,
    /// How many entries come before the terminating `DT_NULL`.
    pub(super) used: usize,
    /// File offset of the string table.
    pub(super) strings_offset: u64,
    /// Size of the string table.
    pub(super) strings_size: u64,
}

impl Table {
    /// Reads the table that `PT_DYNAMIC` names; `None` when there is none, or none in the file.
    pub(super) fn read(
        source: &Source,
        header: &Header,
        segments: &[Segment],
    ) -> Result<Option<Table>, ElfError> {
        const TABLE: &str = "dynamic section";
        let mut found = segments
            .iter()
            .filter(|segment| segment.kind == elf::PT_DYNAMIC && segment.file_size != 0);
        let Some(segment) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(source.damaged("program headers", "one PT_DYNAMIC", "several"));
        }
        let entry = if header.class == Class::Elf64 {
            DYNAMIC_LEN
        } else {
            8
        };
        let len = segment.file_size - segment.file_size % entry;
        if len > TABLE_BYTES_MAX {
            return Err(source.damaged(
                TABLE,
                format!("at most {TABLE_BYTES_MAX} bytes"),
                len.to_string(),
            ));
        }
        let bytes = source.read(segment.offset, len, TABLE)?;
        let mut fields = Fields::of(&bytes, header.order, header.class);
        let mut entries = Vec::new();
        while !fields.is_empty() {
            let entry = Dynamic::decode(&mut fields, header.class);
            entries.push(entry.ok_or_else(|| source.damaged(TABLE, "whole entries", "a cut one"))?);
        }
        let Some(used) = entries.iter().position(|entry| entry.tag == elf::DT_NULL) else {
            return Err(source.damaged(
                TABLE,
                "a terminating DT_NULL",
                format!("{} other entries", entries.len()),
            ));
        };
        let mut table = Table {
            offset: segment.offset,
            entries,
            used,
            strings_offset: 0,
            strings_size: 0,
        };
        let wanted = |tag| {
            table
                .value(tag)
                .ok_or_else(|| source.damaged(TABLE, "DT_STRTAB and DT_STRSZ", "only one or none"))
        };
        let (addr, size) = (wanted(elf::DT_STRTAB)?, wanted(elf::DT_STRSZ)?);
        let loads = segments
            .iter()
            .filter(|segment| segment.kind == elf::PT_LOAD);
        let offset = loads
            .into_iter()
            .find_map(|load| load.file_offset(addr, size))
            .ok_or_else(|| {
                let found = format!("{size} bytes at address 0x{addr:x}");
                source.damaged(
                    TABLE,
                    "a string table that a PT_LOAD brings from the file",
                    found,
                )
            })?;
        (table.strings_offset, table.strings_size) = (offset, size);
        Ok(Some(table))
    }

    /// The entries before the terminating `DT_NULL`.
    pub(super) fn live(&self) -> &[Dynamic] {
        self.entries.get(..self.used).unwrap_or_default()
    }

    /// The values of all entries with `tag`, in order.
    pub(super) fn values(&self, tag: DynamicTag) -> impl DoubleEndedIterator<Item = u64> {
        self.live()
            .iter()
            .filter(move |entry| entry.tag == tag)
            .map(|entry| entry.value)
    }

    /// The value of the entry with `tag`; of several the loader takes the last, and so do we.
    pub(super) fn value(&self, tag: DynamicTag) -> Option<u64> {
        self.values(tag).next_back()
    }

    /// How many entries could be added: `DT_NULL`s after the terminating one.
    pub(super) fn spare(&self) -> usize {
        let nulls = self.entries.get(self.used..).unwrap_or_default();
        nulls
            .iter()
            .take_while(|entry| entry.tag == elf::DT_NULL)
            .count()
            .saturating_sub(1)
    }

    /// Does this section header describe the string table?
    pub(super) fn is_strings_of(&self, section: &Section) -> bool {
        section.kind == elf::SHT_STRTAB
            && section.is_alloc()
            && (section.offset, section.size) == (self.strings_offset, self.strings_size)
    }

    /// The bytes of the string at `at`, without its NUL, read in small pieces.
    pub(super) fn bytes_at(&self, source: &Source, at: u64) -> Result<Vec<u8>, ElfError> {
        const TABLE: &str = "dynamic string table";
        if at >= self.strings_size {
            let found = format!("offset {at} in a table of {} bytes", self.strings_size);
            return Err(source.damaged(TABLE, "a string inside the table", found));
        }
        let mut string = Vec::new();
        let (mut next, mut wanted) = (at, PIECE_BYTES.start);
        while next < self.strings_size && next - at < STRING_BYTES_MAX {
            let len = (self.strings_size - next).min(wanted);
            wanted = PIECE_BYTES.end.min(wanted * 2);
            let piece = source.read(self.strings_offset.saturating_add(next), len, TABLE)?;
            if let Some(end) = piece.iter().position(|byte| *byte == 0) {
                string.extend(piece.iter().take(end));
                return Ok(string);
            }
            string.extend(piece);
            next += len;
        }
        Err(source.damaged(
            TABLE,
            "a string that ends in NUL",
            format!("{} bytes without one", string.len()),
        ))
    }

    /// The string at `at`.
    pub(super) fn string_at(&self, source: &Source, at: u64) -> Result<String, ElfError> {
        String::from_utf8(self.bytes_at(source, at)?).map_err(|error| {
            source.damaged(
                "dynamic string table",
                "UTF-8 text",
                text::quote_bytes(error.as_bytes()),
            )
        })
    }
}
