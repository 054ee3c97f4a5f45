//! What an ELF file says about itself.

use std::fmt;
use std::path::Path;

use object::elf;
use object::elf::DynamicTag;

use super::error::ElfError;
use super::image::{Header, Segment};
use super::source::{Fields, Source};
use super::strings::{STRING_BYTES_MAX, Table};
use crate::error::Error;
use crate::text;

/// Longest interpreter path looked at; Linux's PATH_MAX.
pub(super) const INTERPRETER_BYTES_MAX: u64 = 4096;
/// Most bytes of all PT_NOTEs together that are searched for the build id; real ones have some 100.
const NOTE_BYTES_MAX: u64 = 64 << 10;

/// The width of a file's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 32-bit.
    Elf32,
    /// 64-bit.
    Elf64,
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// The processor a file is for. `Display` gives the name that `uname -m` has there, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit PowerPC, of either byte order.
    Ppc64,
    /// Any other: the number in the header (`EM_*`), for example 190 for a CUDA device.
    Other(u16),
}

impl Machine {
    pub(super) fn new(number: u16) -> Machine {
        match elf::Machine(number) {
            elf::EM_X86_64 => Machine::X86_64,
            elf::EM_AARCH64 => Machine::Aarch64,
            elf::EM_PPC64 => Machine::Ppc64,
            _ => Machine::Other(number),
        }
    }

    /// The largest page size that the machine's kernels use: what segments must be aligned to.
    pub(super) fn page_size(self) -> u64 {
        match self {
            Machine::X86_64 => 0x1000,
            _ => 0x10000,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Machine::X86_64 => f.write_str("x86_64"),
            Machine::Aarch64 => f.write_str("aarch64"),
            Machine::Ppc64 => f.write_str("ppc64"),
            Machine::Other(3) => f.write_str("i386"),
            Machine::Other(40) => f.write_str("arm"),
            Machine::Other(190) => f.write_str("cuda"),
            Machine::Other(243) => f.write_str("riscv64"),
            Machine::Other(number) => write!(f, "machine {number}"),
        }
    }
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfKind {
    /// An object file (`.o`).
    Relocatable,
    /// A program, position independent or not.
    Executable,
    /// A shared library.
    SharedLibrary,
    /// A core dump.
    Core,
    /// Any other: the number in the header (`ET_*`).
    Other(u16),
}

impl fmt::Display for ElfKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ElfKind::Relocatable => f.write_str("object file"),
            ElfKind::Executable => f.write_str("executable"),
            ElfKind::SharedLibrary => f.write_str("shared library"),
            ElfKind::Core => f.write_str("core dump"),
            ElfKind::Other(number) => write!(f, "type {number}"),
        }
    }
}

/// What an ELF file says about itself. Strings are exactly the file's; none holds a NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Width of addresses.
    pub class: Class,
    /// Order of bytes.
    pub byte_order: ByteOrder,
    /// Processor.
    pub machine: Machine,
    /// Program, library, ...; a position-independent program is an executable although its header says otherwise.
    pub kind: ElfKind,
    /// Can it be loaded at any address (`ET_DYN`), as libraries can and most programs?
    pub is_position_independent: bool,
    /// Is there a dynamic section, that is: does the dynamic loader look at RUNPATH and NEEDED?
    pub is_dynamic: bool,
    /// The program interpreter (`PT_INTERP`).
    pub interpreter: Option<String>,
    /// The library's own name (`DT_SONAME`).
    pub soname: Option<String>,
    /// The libraries asked for (`DT_NEEDED`), in the file's order.
    pub needed: Vec<String>,
    /// `DT_RPATH`, which the loader ignores when there is a RUNPATH.
    pub rpath: Option<String>,
    /// `DT_RUNPATH`.
    pub runpath: Option<String>,
    /// The build id (`NT_GNU_BUILD_ID`), lowercase hex.
    pub build_id: Option<String>,
    /// How many entries the dynamic section has room for.
    pub spare_dynamic_slots: usize,
    /// Loaded segments whose offset and address differ modulo their alignment; glibc before 2.35 refuses files with such.
    pub misaligned_segments: usize,
}

impl Facts {
    /// Why [`set_runpath`](super::set_runpath) refuses a file of this sort whatever its layout; `None` when it does not.
    pub fn not_editable_reason(&self) -> Option<&'static str> {
        let no_table = (!self.is_dynamic).then_some("no dynamic section");
        self.foreign_reason().or(no_table)
    }

    /// Why no edit at all takes a file of this sort.
    pub(super) fn foreign_reason(&self) -> Option<&'static str> {
        if self.class != Class::Elf64 || self.byte_order != ByteOrder::Little {
            Some("not 64-bit little-endian")
        } else if matches!(self.machine, Machine::Other(_)) {
            Some("not for x86_64, aarch64 or ppc64le")
        } else if !matches!(self.kind, ElfKind::Executable | ElfKind::SharedLibrary) {
            Some("neither executable nor shared library")
        } else {
            None
        }
    }
}

/// Reads what `path` says about itself; `None` when it is no ELF file (an empty file is none).
///
/// Reads headers, the dynamic section and single strings, some kilobytes in all, whatever the size of the file.
///
/// # Errors
/// The file cannot be read, or it starts like an ELF file but its header, program headers, dynamic section or one of
/// the strings they name do not lie inside it. Sections are not looked at, except that their table must be inside.
pub fn read(path: &Path) -> Result<Option<Facts>, Error> {
    let source = Source::open(path)?;
    let Some(header) = Header::read(&source, 0, source.size())? else {
        return Ok(None);
    };
    let segments = header.segments(&source)?;
    let table = Table::read(&source, &header, &segments)?;
    Ok(Some(facts(&source, &header, &segments, table.as_ref())?))
}

/// The facts of a file whose tables are read.
pub(super) fn facts(
    source: &Source,
    header: &Header,
    segments: &[Segment],
    table: Option<&Table>,
) -> Result<Facts, ElfError> {
    let string = |tag: DynamicTag| {
        let found = table.and_then(|table| Some((table, table.value(tag)?)));
        found
            .map(|(table, at)| table.string_at(source, at))
            .transpose()
    };
    let interpreter = interpreter(source, segments)?;
    let soname = string(elf::DT_SONAME)?;
    let mut needed = Vec::new();
    let mut needed_bytes = 0_u64;
    for (table, at) in table
        .iter()
        .flat_map(|table| table.values(elf::DT_NEEDED).map(move |at| (table, at)))
    {
        let name = table.string_at(source, at)?;
        // Entries may share one long string: a small file must not take much memory.
        needed_bytes = needed_bytes.saturating_add(name.len() as u64);
        if needed_bytes > STRING_BYTES_MAX {
            let expected = format!("NEEDED entries of at most {STRING_BYTES_MAX} bytes in all");
            return Err(source.damaged("dynamic section", expected, "more"));
        }
        needed.push(name);
    }
    let flags_1 = table
        .and_then(|table| table.value(elf::DT_FLAGS_1))
        .unwrap_or(0);
    let is_pie = flags_1 & elf::DF_1_PIE.0 != 0 || (interpreter.is_some() && soname.is_none());
    let kind = match elf::FileType(header.kind) {
        elf::ET_REL => ElfKind::Relocatable,
        elf::ET_EXEC => ElfKind::Executable,
        elf::ET_DYN if is_pie => ElfKind::Executable,
        elf::ET_DYN => ElfKind::SharedLibrary,
        elf::ET_CORE => ElfKind::Core,
        _ => ElfKind::Other(header.kind),
    };
    Ok(Facts {
        class: header.class,
        byte_order: header.order,
        machine: Machine::new(header.machine),
        kind,
        is_position_independent: elf::FileType(header.kind) == elf::ET_DYN,
        is_dynamic: table.is_some(),
        interpreter,
        soname,
        needed,
        rpath: string(elf::DT_RPATH)?,
        runpath: string(elf::DT_RUNPATH)?,
        build_id: build_id(source, header, segments)?,
        spare_dynamic_slots: table.map_or(0, Table::spare),
        misaligned_segments: segments
            .iter()
            .filter(|segment| segment.kind == elf::PT_LOAD && !segment.is_congruent())
            .count(),
    })
}

fn interpreter(source: &Source, segments: &[Segment]) -> Result<Option<String>, ElfError> {
    const TABLE: &str = "program interpreter";
    let found = segments
        .iter()
        .find(|segment| segment.kind == elf::PT_INTERP && segment.file_size != 0);
    let Some(segment) = found else {
        return Ok(None);
    };
    if segment.file_size > INTERPRETER_BYTES_MAX {
        let found = format!("{} bytes", segment.file_size);
        return Err(source.damaged(
            TABLE,
            format!("at most {INTERPRETER_BYTES_MAX} bytes"),
            found,
        ));
    }
    let bytes = source.read(segment.offset, segment.file_size, TABLE)?;
    let end = bytes.iter().position(|byte| *byte == 0);
    let text = end
        .and_then(|end| bytes.get(..end))
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(source.damaged(
            TABLE,
            "UTF-8 text that ends in NUL",
            text::quote_bytes(&bytes),
        )),
    }
}

fn build_id(
    source: &Source,
    header: &Header,
    segments: &[Segment],
) -> Result<Option<String>, ElfError> {
    // Segments may share bytes: a small file must not take much time.
    let mut unread = NOTE_BYTES_MAX;
    for segment in segments
        .iter()
        .filter(|segment| segment.kind == elf::PT_NOTE)
    {
        let len = segment.file_size.min(unread);
        unread -= len;
        let bytes = source.read(segment.offset, len, "notes")?;
        let mut fields = Fields::of(&bytes, header.order, header.class);
        // Entries of 8-aligned notes (properties) are padded to 8, all others to 4.
        let align = if segment.align == 8 { 8 } else { 4 };
        while let Some(id) = note(&mut fields, align) {
            if let Some(id) = id {
                return Ok(Some(id));
            }
        }
    }
    Ok(None)
}

/// Takes one note off `fields`: its build id if it is one; `None` at the end.
fn note(fields: &mut Fields<'_>, align: usize) -> Option<Option<String>> {
    let name_len = usize::try_from(fields.u32()?).ok()?;
    let data_len = usize::try_from(fields.u32()?).ok()?;
    let kind = fields.u32()?;
    let name = fields
        .bytes(name_len.checked_next_multiple_of(4)?)?
        .get(..name_len)?;
    // The header has 12 bytes: with an alignment of 8 the data starts where header and name together are aligned.
    let before = name_len.checked_next_multiple_of(4)?.checked_add(12)?;
    fields.bytes(
        before
            .checked_next_multiple_of(align)?
            .checked_sub(before)?,
    )?;
    let data = fields.bytes(data_len)?;
    // The last note of a segment may lack its padding.
    let padding = data_len
        .checked_next_multiple_of(align)?
        .checked_sub(data_len)?;
    let _ = fields.bytes(padding);
    let is_build_id = name == b"GNU\0" && kind == elf::NT_GNU_BUILD_ID.0 && !data.is_empty();
    Some(is_build_id.then(|| data_encoding::HEXLOWER.encode(data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8], kind: u32, data: &[u8], align: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [name.len() as u32, data.len() as u32, kind] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(name);
        bytes.resize(bytes.len().next_multiple_of(4).next_multiple_of(align), 0);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(align), 0);
        bytes
    }

    #[test]
    fn notes_are_walked() {
        let id = Some(Some("0102".to_owned()));
        for (name, bytes, align, expected) in [
            ("none", Vec::new(), 4, vec![None]),
            (
                "build id",
                entry(b"GNU\0", 3, &[1, 2], 4),
                4,
                vec![id.clone(), None],
            ),
            (
                "other owner",
                entry(b"stapsdt\0", 3, &[1, 2], 4),
                4,
                vec![Some(None), None],
            ),
            (
                "other kind",
                entry(b"GNU\0", 1, &[1, 2], 4),
                4,
                vec![Some(None), None],
            ),
            (
                "behind others",
                [entry(b"x\0", 3, &[7; 5], 4), entry(b"GNU\0", 3, &[1, 2], 4)].concat(),
                4,
                vec![Some(None), id.clone()],
            ),
            (
                "behind properties",
                [
                    entry(b"GNU\0", 5, &[7; 12], 8),
                    entry(b"GNU\0", 3, &[1, 2], 8),
                ]
                .concat(),
                8,
                vec![Some(None), id],
            ),
            (
                "cut name",
                vec![9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, b'G'],
                4,
                vec![None],
            ),
            (
                "huge data",
                entry(b"GNU\0", 3, &[], 4)
                    .into_iter()
                    .chain([255; 12])
                    .collect(),
                4,
                vec![Some(None), None],
            ),
        ] {
            let mut fields = Fields::little(&bytes);
            let found: Vec<_> = expected.iter().map(|_| note(&mut fields, align)).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn machines_have_names_and_page_sizes() {
        for (number, name, page) in [
            (62, "x86_64", 0x1000),
            (183, "aarch64", 0x10000),
            (21, "ppc64", 0x10000),
            (190, "cuda", 0x10000),
            (7777, "machine 7777", 0x10000),
        ] {
            let machine = Machine::new(number);
            assert_eq!(
                (machine.to_string().as_str(), machine.page_size()),
                (name, page)
            );
        }
    }
}
