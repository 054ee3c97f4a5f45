//! P3: a new read-only segment at the end of the file for a longer copy of the string table.
//!
//! Its program header needs 56 bytes behind the existing ones. What lies there moves into the new segment too, but only
//! if nothing has its address: notes, hash tables, the interpreter's name. The program headers stay where they are,
//! inside the first segment: `strip` and kernels before 5.18 want them there.

use std::ops::Range;

use object::elf;

use super::super::image::{SECTION_LEN, SEGMENT_LEN, Section, Segment, range, touch};
use super::references::has_symbol_of;
use super::{Draft, Piece, Request, Skip, Step, Write, because, overflow};

/// What moves keeps its offset modulo this, more than any note or hash table is aligned to.
const CHUNK_ALIGN: u64 = 64;
/// Largest range that moves; hash tables of 100000 symbols have 1 MB.
const CHUNK_BYTES_MAX: u64 = 64 << 20;
/// Addresses of programs end here on all three machines.
const ADDRESS_MAX: u64 = 1 << 47;

/// Lays the rung out.
pub(super) fn lay_out(request: &Request<'_>) -> Result<Draft, Skip> {
    let (image, source) = (request.image, request.source);
    let chunk = chunk(request)?;

    // The new segment, congruent with the file without padding it: its address starts as far into a page as its offset.
    let align = image
        .loads()
        .map(|load| load.align)
        .max()
        .unwrap_or(0)
        .max(request.facts.machine.page_size());
    let top = image
        .loads()
        .filter_map(|load| load.vaddr.checked_add(load.memory_size))
        .max()
        .ok_or_else(overflow)?;
    let offset = source
        .size()
        .checked_next_multiple_of(CHUNK_ALIGN)
        .ok_or_else(overflow)?;
    let vaddr = top
        .checked_next_multiple_of(align)
        .and_then(|base| base.checked_add(offset % align));
    // All lengths below are those of parts of the file: added to this they stay far from 64 bits.
    let vaddr = vaddr.filter(|vaddr| *vaddr < ADDRESS_MAX);
    let Some(vaddr) = vaddr else {
        return because("no address above the last segment");
    };

    let mut draft = request.draft();
    let mut pieces = vec![Piece::Fill(0, offset - source.size())];
    let mut len = 0;
    let interpreter = request.interpreter.as_ref();
    let displaced = interpreter.filter(|new| !new.fits() || touch(&new.place, &chunk));
    if !chunk.is_empty() {
        let pad = chunk.start % CHUNK_ALIGN;
        pieces.push(Piece::Fill(0, pad));
        match displaced.filter(|new| new.is_alone && touch(&new.place, &chunk)) {
            Some(new) => pieces.extend([
                Piece::Copy(chunk.start..new.place.start),
                Piece::Fill(0, new.place.end - new.place.start),
                Piece::Copy(new.place.end..chunk.end),
            ]),
            None => pieces.push(Piece::Copy(chunk.clone())),
        }
        len = pad + (chunk.end - chunk.start);
        let home = image.loads().find_map(|load| {
            load.file_range()
                .filter(|bytes| touch(bytes, &chunk))
                .map(|_| load)
        });
        let home = home.ok_or_else(overflow)?;
        let into = chunk.start.checked_sub(home.offset);
        let old_vaddr = into.and_then(|into| home.vaddr.checked_add(into));
        let old_vaddr = old_vaddr.ok_or_else(overflow)?;
        let by = offset + pad - chunk.start;
        relocate(request, &mut draft, &chunk, by, (old_vaddr, vaddr + pad))?;
    }
    if let Some(new) = displaced {
        let size = new.bytes.len() as u64;
        draft.set_interpreter(image, &new.place, offset + len, vaddr + len, size);
        pieces.push(Piece::Bytes(new.bytes.clone()));
        len += size;
        if new.is_alone {
            let headers_end = image.segments_end().saturating_add(SEGMENT_LEN);
            draft.blank(0, &(new.place.start.max(headers_end)..new.place.end));
        }
    } else {
        draft.write_in_place(interpreter.map(|new| new.in_place()));
    }
    if request.strings.is_empty() {
        draft.set_entries(request, 0)?;
        if let Some(dead) = &request.dead {
            draft.blank(super::DEAD, dead);
        }
    } else {
        let pad = len.next_multiple_of(8) - len;
        let strings = request.longer_strings()?;
        draft.set_entries(request, strings.old_size)?;
        pieces.push(Piece::Fill(0, pad));
        len += pad;
        draft.set_strings(strings.section, offset + len, vaddr + len, strings.size);
        if let Some(dead) = &request.dead {
            strings.blank(&mut draft, dead, offset + len);
        }
        pieces.extend(strings.pieces);
        len = len.checked_add(strings.size).ok_or_else(overflow)?;
    }
    draft.write_in_place(request.in_place.iter().cloned());
    if vaddr.checked_add(len).is_none_or(|end| end > ADDRESS_MAX) {
        return because("no address above the last segment");
    }
    draft.add_segment(Segment {
        kind: elf::PT_LOAD,
        flags: elf::PF_R.0,
        offset,
        vaddr,
        paddr: vaddr,
        file_size: len,
        memory_size: len,
        align,
    })?;
    draft.move_symbols(request)?;
    draft.append([Step::Write(Write {
        offset: source.size(),
        pieces,
    })]);
    Ok(draft)
}

/// The range of the file that must move so that one more program header fits; empty when nothing is in the way.
fn chunk(request: &Request<'_>) -> Result<Range<u64>, Skip> {
    let image = request.image;
    let headers = image.header.segments_offset..image.segments_end();
    let wanted = range(headers.end, SEGMENT_LEN).ok_or_else(overflow)?;
    let home = image.loads().next().and_then(Segment::file_range);
    if !home
        .as_ref()
        .is_some_and(|home| home.start <= headers.start && wanted.end <= home.end)
    {
        return because("the first segment does not hold the program headers and 56 bytes more");
    }
    let table = image.header.section_count.saturating_mul(SECTION_LEN);
    if range(image.header.sections_offset, table).is_none_or(|table| touch(&table, &wanted)) {
        return because("the section headers follow the program headers");
    }

    // Everything that touches the range moves as a whole, and so does what touches that.
    let mut chunk = wanted.end..wanted.end;
    let mut covered: Vec<Range<u64>> = Vec::new();
    let mut zone = wanted.clone();
    loop {
        let old = zone.clone();
        for bytes in ranges_of_segments(request, &zone)?
            .into_iter()
            .chain(ranges_of_sections(request, &zone)?)
        {
            if bytes.start < headers.end {
                return because("a segment or section lies over the program headers");
            }
            chunk.start = chunk.start.min(bytes.start);
            chunk.end = chunk.end.max(bytes.end);
            covered.push(bytes);
        }
        zone.end = zone.end.max(chunk.end);
        if zone == old {
            break;
        }
    }
    covered.sort_by_key(|bytes| bytes.start);
    free(request, &wanted, &covered)?;
    if chunk.end - chunk.start > CHUNK_BYTES_MAX {
        return because(format!(
            "{} bytes of notes and hash tables would have to move",
            chunk.end - chunk.start
        ));
    }
    if home.is_some_and(|home| chunk.end > home.end) {
        return because("what follows the program headers is not all in the first segment");
    }
    Ok(if covered.is_empty() { 0..0 } else { chunk })
}

/// Bytes of `wanted` that nothing covers must be padding: zeros, and known to be no section's.
fn free(request: &Request<'_>, wanted: &Range<u64>, covered: &[Range<u64>]) -> Result<(), Skip> {
    let mut at = wanted.start;
    let mut gaps = Vec::new();
    for bytes in covered {
        if bytes.start > at {
            gaps.push(at..bytes.start.min(wanted.end));
        }
        at = at.max(bytes.end);
    }
    if at < wanted.end {
        gaps.push(at..wanted.end);
    }
    for gap in gaps.into_iter().filter(|gap| gap.start < gap.end) {
        if request.image.sections.is_empty() {
            return because(
                "without section headers nobody knows what follows the program headers",
            );
        }
        let bytes = request.source.read(
            gap.start,
            gap.end - gap.start,
            "bytes behind the program headers",
        )?;
        if bytes.iter().any(|byte| *byte != 0) {
            return because("bytes of no section follow the program headers");
        }
    }
    Ok(())
}

/// The segments that touch `zone` and may move.
fn ranges_of_segments(request: &Request<'_>, zone: &Range<u64>) -> Result<Vec<Range<u64>>, Skip> {
    let mut found = Vec::new();
    let mut loads = 0;
    for segment in request
        .image
        .segments
        .iter()
        .filter(|segment| segment.file_size != 0)
    {
        let bytes = segment.file_range().ok_or_else(overflow)?;
        match segment.kind {
            elf::PT_LOAD => {
                loads += 1;
                if loads > 1 && touch(&bytes, zone) {
                    return because("another segment follows the program headers at once");
                }
            }
            elf::PT_PHDR | elf::PT_NULL => {}
            elf::PT_NOTE | elf::PT_INTERP | elf::PT_GNU_PROPERTY if touch(&bytes, zone) => {
                found.push(bytes)
            }
            kind if touch(&bytes, zone) => {
                return because(format!(
                    "a segment of type 0x{:x} follows the program headers",
                    kind.0
                ));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The sections that touch `zone` and may move; code and data may not.
fn ranges_of_sections(request: &Request<'_>, zone: &Range<u64>) -> Result<Vec<Range<u64>>, Skip> {
    let interpreter = request
        .image
        .segments
        .iter()
        .find(|segment| segment.kind == elf::PT_INTERP);
    let is_interpreter = |section: &Section| {
        interpreter.is_some_and(|segment| {
            (segment.offset, segment.file_size) == (section.offset, section.size)
        })
    };
    let mut found = Vec::new();
    for (index, section) in request
        .image
        .sections
        .iter()
        .enumerate()
        .filter(|(_, section)| section.has_bytes())
    {
        let bytes = range(section.offset, section.size).ok_or_else(overflow)?;
        if !touch(&bytes, zone) {
            continue;
        }
        let has_no_address = matches!(
            section.kind,
            elf::SHT_NOTE | elf::SHT_HASH | elf::SHT_GNU_HASH
        );
        if !section.is_alloc() || !(has_no_address || is_interpreter(section)) {
            return because(format!(
                "section {index} (type 0x{:x} at 0x{:x}), which cannot move, follows the program headers",
                section.kind.0, section.offset
            ));
        }
        found.push(bytes);
    }
    Ok(found)
}

/// Lets segments, sections and dynamic entries of what was in `chunk`, at address `old_vaddr`, follow to `by` bytes later in the file
/// and address `new_vaddr`.
fn relocate(
    request: &Request<'_>,
    draft: &mut Draft,
    chunk: &Range<u64>,
    by: u64,
    (old_vaddr, new_vaddr): (u64, u64),
) -> Result<(), Skip> {
    let up = new_vaddr.checked_sub(old_vaddr).ok_or_else(overflow)?;
    let inside = |offset: u64| chunk.contains(&offset);
    let fits =
        |offset: u64, vaddr: u64| offset.checked_sub(chunk.start) == vaddr.checked_sub(old_vaddr);
    let movable = |segment: &Segment| {
        matches!(
            segment.kind,
            elf::PT_NOTE | elf::PT_INTERP | elf::PT_GNU_PROPERTY
        )
    };
    for segment in draft
        .after
        .segments
        .iter_mut()
        .filter(|segment| movable(segment))
    {
        if segment.file_size == 0 || !inside(segment.offset) {
            continue;
        }
        if !fits(segment.offset, segment.vaddr) {
            return because("the addresses of notes do not follow from their offsets");
        }
        segment.offset += by;
        segment.vaddr += up;
        segment.paddr = segment.vaddr;
    }
    let mut moved = Vec::new();
    for (index, section) in draft.after.sections.iter_mut().enumerate() {
        if !section.has_bytes() || !inside(section.offset) {
            continue;
        }
        if !fits(section.offset, section.addr) {
            return because("the addresses of sections do not follow from their offsets");
        }
        section.offset += by;
        section.addr += up;
        moved.push(index);
    }
    refuse_exported(request, &moved)?;
    let addresses = old_vaddr..old_vaddr.saturating_add(chunk.end - chunk.start);
    let live = request.image.table.iter().flat_map(|table| table.live());
    for entry in live.filter(|entry| addresses.contains(&entry.value)) {
        if entry.tag == elf::DT_HASH || entry.tag == elf::DT_GNU_HASH {
            draft.move_hash(entry.tag, entry.value + up);
        } else if super::super::check::ADDRESS_TAGS.contains(&entry.tag) {
            return because(format!(
                "dynamic tag 0x{:x} points behind the program headers",
                entry.tag.0
            ));
        }
    }
    Ok(())
}

/// Other files may refer to a symbol that is exported from one of the sections `moved`: then they cannot move.
fn refuse_exported(request: &Request<'_>, moved: &[usize]) -> Result<(), Skip> {
    for table in request
        .image
        .sections
        .iter()
        .filter(|section| section.kind == elf::SHT_DYNSYM)
    {
        if has_symbol_of(request, table, moved)? {
            return because("a symbol is exported from what follows the program headers");
        }
    }
    Ok(())
}
