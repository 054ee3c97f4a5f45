//! P3: a new read-only segment at the end of the file for a longer copy of the string table; a writable one if the dynamic section
//! has to move too.
//!
//! Its program header needs 56 bytes behind the existing ones. What lies there moves into the new segment too, but only
//! if nothing has its address: notes, hash tables, the interpreter's name. The program headers stay where they are,
//! inside the first segment: `strip` and kernels before 5.18 want them there.

use std::ops::Range;

use object::elf;

use super::super::check::{ADDRESS_TAGS, Image};
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
    // Above empty ones too: they count for glibc, which wants them all in order.
    let is_load = |segment: &&Segment| segment.kind == elf::PT_LOAD;
    let ends = image.segments.iter().filter(is_load);
    let top = ends
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
    let mut flags = elf::PF_R.0;
    if request.strings.is_empty() {
        draft.set_entries(request, 0)?;
        if let Some(dead) = &request.dead {
            draft.blank(super::DEAD, dead);
        }
    } else {
        let strings = request.longer_strings()?;
        draft.set_entries(request, strings.old_size)?;
        let place = (offset + len, vaddr + len);
        len += draft.append_tables(request, &strings, place, &mut pieces)?;
        if draft.is_dynamic_moved() {
            flags |= image.dynamic_flags() & elf::PF_W.0;
        }
    }
    draft.write_in_place(request.in_place.iter().cloned());
    if vaddr.checked_add(len).is_none_or(|end| end > ADDRESS_MAX) {
        return because("no address above the last segment");
    }
    draft.add_segment(Segment {
        kind: elf::PT_LOAD,
        flags,
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

    // Everything that touches the range moves as a whole, and so does what touches that. The range only grows backwards, towards
    // higher offsets: one look at everything in order of offset finds it all.
    let mut chunk = wanted.end..wanted.end;
    let mut covered: Vec<Range<u64>> = Vec::new();
    let interpreter = image.interpreter();
    for (bytes, what) in neighbours(image)? {
        if bytes.start >= wanted.end.max(chunk.end) {
            break;
        }
        if bytes.end <= wanted.start {
            continue;
        }
        may_move(interpreter, what)?;
        if bytes.start < headers.end {
            return because("a segment or section lies over the program headers");
        }
        chunk.start = chunk.start.min(bytes.start);
        chunk.end = chunk.end.max(bytes.end);
        covered.push(bytes);
    }
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

/// What may lie behind the program headers.
#[derive(Clone, Copy)]
enum Neighbour<'a> {
    Segment(&'a Segment),
    Section(usize, &'a Section),
}

/// The segments and sections with bytes of the file, in order of offset; not the first loaded segment, which holds the rest.
fn neighbours(image: &Image) -> Result<Vec<(Range<u64>, Neighbour<'_>)>, Skip> {
    let first = image.segments.iter().position(Segment::is_load);
    let segments = image.segments.iter().enumerate();
    let segments = segments.filter(|(index, segment)| {
        segment.file_size != 0
            && Some(*index) != first
            && !matches!(segment.kind, elf::PT_PHDR | elf::PT_NULL)
    });
    let segments = segments.map(|(_, segment)| (segment.file_range(), Neighbour::Segment(segment)));
    let sections = image.sections.iter().enumerate();
    let sections = sections.filter(|(_, section)| section.has_bytes());
    let sections = sections.map(|(index, section)| {
        let bytes = range(section.offset, section.size);
        (bytes, Neighbour::Section(index, section))
    });
    let all = segments.chain(sections);
    let all = all.map(|(bytes, what)| Some((bytes?, what)));
    let mut all: Vec<_> = all.collect::<Option<_>>().ok_or_else(overflow)?;
    all.sort_by_key(|(bytes, _)| bytes.start);
    Ok(all)
}

/// Has nothing the address of `what`? Code and data may not move.
fn may_move(interpreter: Option<&Segment>, what: Neighbour<'_>) -> Result<(), Skip> {
    match what {
        Neighbour::Segment(segment) => match segment.kind {
            elf::PT_NOTE | elf::PT_INTERP | elf::PT_GNU_PROPERTY => Ok(()),
            elf::PT_LOAD => because("another segment follows the program headers at once"),
            kind => because(format!(
                "a segment of type 0x{:x} follows the program headers",
                kind.0
            )),
        },
        Neighbour::Section(index, section) => {
            let is_interpreter = interpreter.is_some_and(|segment| {
                (segment.offset, segment.file_size) == (section.offset, section.size)
            });
            let has_no_address = matches!(
                section.kind,
                elf::SHT_NOTE | elf::SHT_HASH | elf::SHT_GNU_HASH
            );
            if section.is_alloc() && (has_no_address || is_interpreter) {
                return Ok(());
            }
            because(format!(
                "section {index} (type 0x{:x} at 0x{:x}), which cannot move, follows the program headers",
                section.kind.0, section.offset
            ))
        }
    }
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
    let Some(table) = &request.image.table else {
        return Ok(());
    };
    for (tag, kind) in [
        (elf::DT_HASH, elf::SHT_HASH),
        (elf::DT_GNU_HASH, elf::SHT_GNU_HASH),
    ] {
        if let Some(value) = table.value(tag).filter(|value| addresses.contains(value)) {
            let sections = &request.image.sections;
            let mut old = moved.iter().filter_map(|index| sections.get(*index));
            if !old.any(|section| section.kind == kind && section.addr == value) {
                return because("a hash table of no section follows the program headers");
            }
            draft.move_hash(tag, value + up);
        }
    }
    let is_hash = |tag| tag == elf::DT_HASH || tag == elf::DT_GNU_HASH;
    let mut fixed = table.live().iter().filter(|entry| {
        ADDRESS_TAGS.contains(&entry.tag) && !is_hash(entry.tag) && addresses.contains(&entry.value)
    });
    if let Some(entry) = fixed.next() {
        return because(format!(
            "dynamic tag 0x{:x} points behind the program headers",
            entry.tag.0
        ));
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
