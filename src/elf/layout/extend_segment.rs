//! S2 and P2: the last segment grows at its end.
//!
//! S2: it ends the file, and the string table ends it; what is new follows. P2: it is extended over its zero-initialised
//! bytes (bss), a longer copy of the string table follows (behind the dynamic section, if that has to move). No program header is added
//! and no alignment can break; the price of P2 is the bss as zeros in the file. What follows the last segment in the file (debug
//! sections, section headers) moves further back.

use object::elf;

use super::super::image::{SECTION_LEN, Section, Segment};
use super::{Draft, Piece, Request, Skip, Step, Write, because, last_load, overflow};

/// Most bytes of bss that are written out; libcurand, the largest seen, has 6.5 MB.
const BSS_BYTES_MAX: u64 = 64 << 20;
/// Zeros that may follow a string table at the end of a file (padding by other tools).
const PADDING_BYTES_MAX: u64 = 64;

/// Lays out S2.
pub(super) fn grow(request: &Request<'_>) -> Result<Draft, Skip> {
    let (image, source) = (request.image, request.source);
    let (_, load) = last_load(image)?;
    let end = load.file_range().ok_or_else(overflow)?.end;
    if load.file_size != load.memory_size {
        return because("the last segment does not end with bytes of the file");
    }
    if !request.strings.is_empty() {
        let table = request.table()?;
        if table.strings_offset.checked_add(table.strings_size) != Some(end) {
            return because("the string table does not end the last segment");
        }
    }
    let tail = source.size().saturating_sub(end);
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
        && !image.sections.iter().any(behind)
        && source
            .read(end, tail, "bytes behind the last segment")?
            .iter()
            .all(|byte| *byte == 0);
    if !is_last {
        return because("the last segment does not end the file");
    }
    let draft = extend(request, 0)?;
    if draft.is_dynamic_moved() {
        return because("the dynamic section would have to move");
    }
    Ok(draft)
}

/// Lays out P2.
pub(super) fn lay_out(request: &Request<'_>) -> Result<Draft, Skip> {
    let end = last_load(request.image)?
        .1
        .file_range()
        .ok_or_else(overflow)?
        .end;
    let tail_len = request.source.size().checked_sub(end);
    extend(request, tail_len.ok_or_else(overflow)?)
}

/// Extends the last segment; the `tail_len` bytes behind it move back.
fn extend(request: &Request<'_>, tail_len: u64) -> Result<Draft, Skip> {
    let image = request.image;
    let (last, load) = last_load(image)?;
    if image.last_load_of_any_size() != Some(last) {
        return because("an empty PT_LOAD behind the last segment says where that ends");
    }
    let tail = load.file_range().ok_or_else(overflow)?.end;
    let bss = load.memory_size - load.file_size;
    if bss > BSS_BYTES_MAX {
        return because(format!(
            "{bss} bytes of bss, more than {BSS_BYTES_MAX}, would have to be written out"
        ));
    }
    let ends_behind = |segment: &Segment| {
        segment.file_size != 0 && segment.file_range().is_none_or(|bytes| bytes.end > tail)
    };
    if load.file_size == 0 || image.segments.iter().any(ends_behind) || image.segments_end() > tail
    {
        return because("the last segment in memory is not the last in the file");
    }

    // The address that follows from an offset in the segment.
    let vaddr_of = |offset: u64| {
        let into = offset.checked_sub(load.offset);
        into.and_then(|into| load.vaddr.checked_add(into))
            .ok_or_else(overflow)
    };
    let mut draft = request.draft();
    let mut pieces = vec![Piece::Fill(0, bss)];
    let mut end = tail.checked_add(bss).ok_or_else(overflow)?;
    if let Some(new) = &request.interpreter {
        if new.fits() {
            draft.write_in_place([new.in_place()]);
        } else {
            let size = new.bytes.len() as u64;
            draft.set_interpreter(image, &new.place, end, vaddr_of(end)?, size);
            pieces.push(Piece::Bytes(new.bytes.clone()));
            end = end.checked_add(size).ok_or_else(overflow)?;
            if new.is_alone {
                draft.blank(0, &new.place);
            }
        }
    }
    draft.write_in_place(request.in_place.iter().cloned());
    let mut flags = load.flags;
    if request.strings.is_empty() {
        draft.set_entries(request, 0)?;
        if let Some(dead) = &request.dead {
            draft.blank(super::DEAD, dead);
        }
    } else {
        let strings = request.longer_strings()?;
        let table = request.table()?;
        draft.set_entries(request, strings.old_size)?;
        let is_dynamic_moved = draft.is_dynamic_moved();
        if is_dynamic_moved {
            // A read-only one is that of an earlier edit, as a rule.
            flags |= image.dynamic_flags() & elf::PF_W.0;
            if flags != load.flags && flags & elf::PF_X.0 != 0 {
                return because(
                    "the dynamic section would have to move to where programs have code",
                );
            }
        }
        // A table that ends where the new bytes start grows there; any other is copied.
        let old_end = table.strings_offset.checked_add(table.strings_size);
        if old_end == Some(end) && !is_dynamic_moved {
            pieces.push(Piece::Bytes(request.strings.clone()));
            let offset = table.strings_offset;
            let place = (offset, vaddr_of(offset)?);
            draft.set_strings(strings.section, place, strings.size);
            end = offset.checked_add(strings.size).ok_or_else(overflow)?;
            if let Some(dead) = &request.dead {
                strings.blank(&mut draft, dead, offset);
            }
        } else {
            let place = (end, vaddr_of(end)?);
            let len = draft.append_tables(request, &strings, place, &mut pieces)?;
            end = end.checked_add(len).ok_or_else(overflow)?;
        }
    }
    let file_size = end.checked_sub(load.offset).ok_or_else(overflow)?;
    let segment = draft.after.segments.get_mut(last).ok_or_else(overflow)?;
    (segment.file_size, segment.memory_size) = (file_size, file_size);
    segment.flags = flags;
    vaddr_of(end)?;

    let is_tail = |section: &Section| {
        !section.is_alloc() && section.kind != elf::SHT_NULL && section.offset >= tail
    };
    if tail_len == 0 {
        show_bss(&mut draft, load, tail, bss)?;
    } else {
        // The tail keeps the alignment of its sections.
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
        let by = (end - tail)
            .checked_next_multiple_of(align)
            .ok_or_else(overflow)?;
        pieces.push(Piece::Fill(0, by - (end - tail)));
        draft.append([Step::Move { from: tail, by }]);
        show_bss(&mut draft, load, tail, bss)?;
        for section in draft
            .after
            .sections
            .iter_mut()
            .filter(|section| is_tail(section))
        {
            section.offset = section.offset.checked_add(by).ok_or_else(overflow)?;
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
    }
    draft.move_symbols(request)?;
    draft.append([Step::Write(Write {
        offset: tail,
        pieces,
    })]);
    Ok(draft)
}

/// Gives the sections of the `bss` zeros of `load` their bytes, which follow those of the file.
fn show_bss(draft: &mut Draft, load: &Segment, tail: u64, bss: u64) -> Result<(), Skip> {
    if bss == 0 {
        return Ok(());
    }
    let start = load
        .vaddr
        .checked_add(load.file_size)
        .ok_or_else(overflow)?;
    let end = start.checked_add(bss).ok_or_else(overflow)?;
    let sections = draft.after.sections.iter_mut();
    for section in
        sections.filter(|section| is_bss(section) && (start..=end).contains(&section.addr))
    {
        let section_end = section.addr.checked_add(section.size);
        if section_end.is_none_or(|section_end| section_end > end) {
            return because("a section of zeros reaches beyond its segment");
        }
        section.kind = elf::SHT_PROGBITS;
        section.offset = tail + (section.addr - start);
    }
    Ok(())
}

/// Zero-initialised memory of the process, not of each thread.
fn is_bss(section: &Section) -> bool {
    section.kind == elf::SHT_NOBITS && section.is_alloc() && section.flags & elf::SHF_TLS.0 == 0
}
