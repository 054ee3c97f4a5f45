//! P2: the last segment is extended over its zero-initialised bytes (bss), and a longer copy of the string table follows.
//!
//! No program header is added and no alignment can break; the price is the bss as zeros in the file. What follows the
//! last segment in the file (debug sections, section headers) moves further back.

use object::elf;

use super::super::image::{SECTION_LEN, Section};
use super::{Draft, Request, Skip, Write, because, overflow};

/// Most bytes of bss that are written out; libcurand, the largest seen, has 6.5 MB.
const BSS_BYTES_MAX: u64 = 64 << 20;
/// Most bytes behind the last segment that are moved: debug sections, section headers.
const TAIL_BYTES_MAX: u64 = 256 << 20;

/// Lays the rung out.
pub(super) fn lay_out(request: &Request<'_>) -> Result<Draft, Skip> {
    let (image, source, table) = (request.image, request.source, &request.image.table);
    let last = image
        .segments
        .iter()
        .rposition(|segment| segment.kind == elf::PT_LOAD)
        .ok_or_else(overflow)?;
    let load = image.segments.get(last).ok_or_else(overflow)?;
    let tail = load.file_range().ok_or_else(overflow)?.end;
    let bss = load.memory_size - load.file_size;
    if bss > BSS_BYTES_MAX {
        return because(format!(
            "{bss} bytes of bss, more than {BSS_BYTES_MAX}, would have to be written out"
        ));
    }
    let ends_behind = |segment: &super::super::image::Segment| {
        segment.file_size != 0 && segment.file_range().is_none_or(|bytes| bytes.end > tail)
    };
    if load.file_size == 0 || image.segments.iter().any(ends_behind) || image.segments_end() > tail
    {
        return because("the last segment in memory is not the last in the file");
    }
    let tail_len = source.size().checked_sub(tail).ok_or_else(overflow)?;
    if tail_len > TAIL_BYTES_MAX {
        return because(format!(
            "{tail_len} bytes behind the last segment would have to move"
        ));
    }
    let section = request.strings_section()?;

    // A table that ends the segment already grows there; any other is copied behind the bss.
    let string = request.terminated();
    let size = table
        .strings_size
        .checked_add(string.len() as u64)
        .ok_or_else(overflow)?;
    let ends_segment =
        bss == 0 && table.strings_offset.checked_add(table.strings_size) == Some(tail);
    let mut content = Vec::new();
    let offset = if ends_segment {
        content.extend(&string);
        table.strings_offset
    } else {
        let start = tail
            .checked_add(bss)
            .and_then(|end| end.checked_next_multiple_of(8))
            .ok_or_else(overflow)?;
        content.resize(usize::try_from(start - tail).map_err(|_| overflow())?, 0);
        content.extend(request.strings()?);
        content.extend(&string);
        start
    };
    let vaddr = offset
        .checked_sub(load.offset)
        .and_then(|into| load.vaddr.checked_add(into))
        .ok_or_else(overflow)?;
    let file_size = load
        .file_size
        .checked_add(content.len() as u64)
        .ok_or_else(overflow)?;

    // The tail keeps the alignment of its sections.
    let is_tail = |section: &Section| {
        !section.is_alloc() && section.kind != elf::SHT_NULL && section.offset >= tail
    };
    let aligns = image
        .sections
        .iter()
        .filter(|section| is_tail(section))
        .map(|section| section.align);
    let align = aligns
        .filter(|align| align.is_power_of_two())
        .max()
        .unwrap_or(1)
        .clamp(64, 4096);
    let by = (content.len() as u64)
        .checked_next_multiple_of(align)
        .ok_or_else(overflow)?;
    content.resize(usize::try_from(by).map_err(|_| overflow())?, 0);
    content.extend(source.read(tail, tail_len, "bytes behind the last segment")?);

    let mut draft = request.draft();
    draft.point_at(request, table.strings_size)?;
    let memory = load.vaddr
        ..load
            .vaddr
            .checked_add(load.memory_size)
            .ok_or_else(overflow)?;
    let zeros = load
        .vaddr
        .checked_add(load.file_size)
        .ok_or_else(overflow)?..memory.end;
    for section in &mut draft.after.sections {
        if is_tail(section) {
            section.offset = section.offset.checked_add(by).ok_or_else(overflow)?;
        } else if is_bss(section)
            && zeros.start <= section.addr
            && section.addr <= zeros.end
            && bss != 0
        {
            if section
                .addr
                .checked_add(section.size)
                .is_none_or(|end| end > zeros.end)
            {
                return because("a section of zeros reaches beyond its segment");
            }
            section.kind = elf::SHT_PROGBITS;
            section.offset = tail + (section.addr - zeros.start);
        }
    }
    draft.set_strings(section, offset, vaddr, size);
    if let Some(load) = draft.after.segments.get_mut(last) {
        (load.file_size, load.memory_size) = (file_size, file_size);
    }
    let header = &mut draft.after.header;
    let table_end = header
        .section_count
        .saturating_mul(SECTION_LEN)
        .saturating_add(header.sections_offset);
    if header.sections_offset >= tail {
        header.sections_offset = header
            .sections_offset
            .checked_add(by)
            .ok_or_else(overflow)?;
    } else if table_end > tail {
        return because("the section headers lie across the end of the last segment");
    }
    draft.move_symbols(request)?;
    draft.blob = Some(Write {
        offset: tail,
        bytes: content,
    });
    Ok(draft)
}

/// Zero-initialised memory of the process, not of each thread.
fn is_bss(section: &Section) -> bool {
    section.kind == elf::SHT_NOBITS && section.is_alloc() && section.flags & elf::SHF_TLS.0 == 0
}
