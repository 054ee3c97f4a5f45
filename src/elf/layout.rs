//! Where bytes go: from the tables of a file and a request to a list of steps. Reads what it must; writes nothing.
//!
//! The ladder, cheapest rung first: nothing to do (S0), the old strings' places (S1), a string table that ends the file
//! (S2), a new segment (P3), the last segment extended (P2). The dynamic section goes along with the string table where it has no
//! entry left.

use std::cell::OnceCell;
use std::ops::Range;

use object::elf;
use object::elf::DynamicTag;

use super::check::Image;
use super::edit::{Edit, Rung, SearchPath};
use super::error::ElfError;
use super::image::{SYMBOL_LEN, Section, Segment, range, touch};
use super::read::Facts;
use super::source::Source;
use super::strings::Table;
use draft::Draft;

mod draft;
mod extend_segment;
mod new_segment;
mod references;

/// Bytes to be written, a piece at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// These.
    Bytes(Vec<u8>),
    /// One byte, many times.
    Fill(u8, u64),
    /// A range of the file, as it is before the edit.
    Copy(Range<u64>),
}

impl Piece {
    pub(super) fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Fill(_, len) => *len,
            Piece::Copy(range) => range.end.saturating_sub(range.start),
        }
    }
}

/// Bytes to be written at an offset of the file, which may be its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) offset: u64,
    pub(super) pieces: Vec<Piece>,
}

impl Write {
    pub(super) fn bytes(offset: u64, bytes: Vec<u8>) -> Write {
        Write {
            offset,
            pieces: vec![Piece::Bytes(bytes)],
        }
    }

    fn fill(byte: u8, range: &Range<u64>) -> Write {
        Write {
            offset: range.start,
            pieces: vec![Piece::Fill(byte, range.end.saturating_sub(range.start))],
        }
    }

    pub(super) fn len(&self) -> u64 {
        let lens = self.pieces.iter().map(Piece::len);
        lens.fold(0, u64::saturating_add)
    }
}

/// One change of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Bytes replaced or appended.
    Write(Write),
    /// The end of the file, from this offset on, put `by` bytes further back; what was there stays until it is written over.
    Move { from: u64, by: u64 },
}

impl Step {
    /// How many bytes of the file it read, when it wrote `written`.
    pub(super) fn bytes_read(&self, written: u64) -> u64 {
        match self {
            Step::Move { .. } => written,
            Step::Write(write) => {
                let is_copy = |piece: &&Piece| matches!(piece, Piece::Copy(_));
                let copies = write.pieces.iter().filter(is_copy).map(Piece::len);
                copies.fold(0, u64::saturating_add)
            }
        }
    }
}

/// What is to be done, in order: new bytes at the end first, then what refers to them; section headers last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) rung: Rung,
    pub(super) steps: Vec<Step>,
    /// Can the file be loaded after any of the steps?
    pub(super) is_ordered: bool,
    /// Symbols whose sections moved, and the values they have afterwards.
    pub(super) symbols: Vec<MovedSymbol>,
}

/// A symbol that follows its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MovedSymbol {
    /// The section of the symbol table.
    pub(super) table: usize,
    /// Its place there.
    pub(super) number: u64,
    /// Its value afterwards.
    pub(super) value: u64,
}

impl MovedSymbol {
    /// Where in the file its value stands, when the symbol table is described by `table`.
    pub(super) fn value_offset(&self, table: &Section) -> Option<u64> {
        let at = self.number.checked_mul(SYMBOL_LEN)?;
        table.offset.checked_add(at)?.checked_add(8)
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

/// Finds the steps that carry out `edit`, whose values can be stored.
///
/// # Errors
/// No rung fits, or a table that must be read lies outside the file.
pub(super) fn plan(
    source: &Source,
    image: &Image,
    facts: &Facts,
    edit: &Edit,
) -> Result<Plan, ElfError> {
    let request = match Request::new(source, image, facts, edit) {
        Ok(Some(request)) => request,
        Ok(None) => {
            return Ok(Plan {
                rung: Rung::Same,
                steps: Vec::new(),
                is_ordered: true,
                symbols: Vec::new(),
            });
        }
        Err(Skip::Error(error)) => return Err(error),
        Err(Skip::Because(reason)) => return Err(source.no_room(reason)),
    };
    let mut reasons = Vec::new();
    let rungs: [(Rung, LayOut); 4] = [
        (Rung::Slot, slot),
        (Rung::Grow, extend_segment::grow),
        (Rung::NewSegment, new_segment::lay_out),
        (Rung::ExtendSegment, extend_segment::lay_out),
    ];
    for (rung, lay_out) in rungs {
        match lay_out(&request) {
            Ok(draft) => {
                let is_ordered = draft.is_ordered();
                let (steps, symbols) = draft.steps(image);
                return Ok(Plan {
                    rung,
                    steps,
                    is_ordered,
                    symbols,
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
        request.new_len(),
        reasons.join("; ")
    )))
}

/// Where a value of the dynamic section is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StringPlace {
    /// At this offset of the string table as it is.
    Old(u64),
    /// At this offset of what is appended to the string table.
    New(u64),
}

/// What is asked for, of which file, as far as it does not depend on the rung.
struct Request<'a> {
    source: &'a Source,
    image: &'a Image,
    facts: &'a Facts,
    /// The dynamic section's entry for the search path: `Some(None)` removes it, `None` leaves it.
    search_path: Option<Option<(DynamicTag, StringPlace)>>,
    /// Names needed besides, all to be appended.
    needed: Vec<StringPlace>,
    /// What is appended to the string table: strings that have no place, each with its NUL.
    strings: Vec<u8>,
    /// The interpreter, with its NUL, if it changes.
    interpreter: Option<Interpreter>,
    /// A string changed in its place.
    in_place: Option<Write>,
    /// The old search path's range in the string table, where nothing refers to it afterwards.
    dead: Option<Range<u64>>,
    /// Once that was looked up: why relocations keep the dynamic section where it is, if they do.
    relocates_to: OnceCell<Option<String>>,
}

/// A new interpreter.
struct Interpreter {
    /// With its NUL.
    bytes: Vec<u8>,
    /// The old one's place in the file.
    place: Range<u64>,
    /// Does the old place hold nothing else, so that it may be written over?
    is_alone: bool,
}

impl Interpreter {
    fn fits(&self) -> bool {
        self.is_alone && self.bytes.len() as u64 <= self.place.end.saturating_sub(self.place.start)
    }

    /// The new one in the old place, the rest of which becomes zeros.
    fn in_place(&self) -> Write {
        let len = self.bytes.len() as u64;
        let rest = self
            .place
            .end
            .saturating_sub(self.place.start)
            .saturating_sub(len);
        Write {
            offset: self.place.start,
            pieces: vec![Piece::Bytes(self.bytes.clone()), Piece::Fill(0, rest)],
        }
    }
}

impl<'a> Request<'a> {
    /// Compares what is asked for with what is there; `None` when nothing differs.
    fn new(
        source: &'a Source,
        image: &'a Image,
        facts: &'a Facts,
        edit: &Edit,
    ) -> Result<Option<Request<'a>>, Skip> {
        let mut request = Request {
            source,
            image,
            facts,
            search_path: None,
            needed: Vec::new(),
            strings: Vec::new(),
            interpreter: None,
            in_place: None,
            dead: None,
            relocates_to: OnceCell::new(),
        };
        if let Some(table) = &image.table {
            for name in edit.new_needed(facts) {
                let place = request.append(name.as_bytes());
                request.needed.push(place);
            }
            match &edit.search_path {
                SearchPath::Keep => {}
                SearchPath::Runpath(value) => {
                    request.set_search_path(table, elf::DT_RUNPATH, elf::DT_RPATH, value)?;
                }
                SearchPath::Rpath(value) => {
                    request.set_search_path(table, elf::DT_RPATH, elf::DT_RUNPATH, value)?;
                }
                SearchPath::Remove => request.remove_search_path(table)?,
            }
        }
        if let Some(path) = edit
            .interpreter
            .as_ref()
            .filter(|path| facts.interpreter.as_ref() != Some(path))
        {
            request.interpreter = Some(request.interpreter(path)?);
        }
        let is_same = request.search_path.is_none()
            && request.needed.is_empty()
            && request.interpreter.is_none();
        Ok((!is_same).then_some(request))
    }

    /// Will be a new string; the place it will have.
    fn append(&mut self, string: &[u8]) -> StringPlace {
        let place = StringPlace::New(self.strings.len() as u64);
        self.strings.extend(string);
        self.strings.push(0);
        place
    }

    /// The search path as it is, of which the RUNPATH counts first.
    fn old_value(&self) -> &'a [u8] {
        let facts = self.facts;
        let value = facts.runpath.as_ref().or(facts.rpath.as_ref());
        value.map_or(&[], |value| value.as_bytes())
    }

    /// Asks for `value` under `tag`, and no entry with the tag `other`.
    fn set_search_path(
        &mut self,
        table: &Table,
        tag: DynamicTag,
        other: DynamicTag,
        value: &str,
    ) -> Result<(), Skip> {
        let old = table.value(elf::DT_RUNPATH).or(table.value(elf::DT_RPATH));
        let Some(at) = old else {
            let place = self.append(value.as_bytes());
            self.search_path = Some(Some((tag, place)));
            return Ok(());
        };
        let bytes = self.old_value();
        if bytes == value.as_bytes() {
            let is_single = table.values(tag).count() == 1 && table.value(other).is_none();
            self.search_path = (!is_single).then_some(Some((tag, StringPlace::Old(at))));
            return Ok(());
        }
        // Where other strings need a new place this one goes with them: of a string table that is copied, what is written
        // to the old one would be lost.
        let slot = if self.strings.is_empty() {
            references::slot(self, table, at, bytes, value.as_bytes())?
        } else {
            None
        };
        let place = match slot {
            Some(write) => {
                self.in_place = Some(write);
                StringPlace::Old(at)
            }
            None => {
                self.dead = references::dead(self, table, at, bytes)?;
                self.append(value.as_bytes())
            }
        };
        self.search_path = Some(Some((tag, place)));
        Ok(())
    }

    /// Asks that no search path remains.
    fn remove_search_path(&mut self, table: &Table) -> Result<(), Skip> {
        let old = table.value(elf::DT_RUNPATH).or(table.value(elf::DT_RPATH));
        if let Some(at) = old {
            let bytes = self.old_value();
            self.dead = references::dead(self, table, at, bytes)?;
            self.search_path = Some(None);
        }
        Ok(())
    }

    /// The new interpreter `path`, and the place of the old one.
    fn interpreter(&self, path: &str) -> Result<Interpreter, Skip> {
        let old = self.image.interpreter().ok_or_else(overflow)?;
        let place = old.file_range().ok_or_else(overflow)?;
        let is_other = |section: &&Section| {
            let bytes = range(section.offset, section.size);
            section.has_bytes() && bytes.is_none_or(|bytes| bytes != place && touch(&bytes, &place))
        };
        // A note, for example, may lie over it in files that other tools have damaged.
        let is_over = |segment: &&Segment| {
            let holds_others = matches!(
                segment.kind,
                elf::PT_LOAD | elf::PT_GNU_RELRO | elf::PT_INTERP
            );
            let bytes = segment.file_range().filter(|bytes| !bytes.is_empty());
            !holds_others && bytes.is_some_and(|bytes| touch(&bytes, &place))
        };
        let (sections, segments) = (&self.image.sections, &self.image.segments);
        let is_alone = !sections.iter().any(|section| is_other(&section))
            && !segments.iter().any(|segment| is_over(&segment));
        let mut bytes = path.as_bytes().to_vec();
        bytes.push(0);
        Ok(Interpreter {
            bytes,
            place,
            is_alone,
        })
    }

    /// How many bytes need a new place.
    fn new_len(&self) -> usize {
        let interpreter = self.interpreter.as_ref().filter(|new| !new.fits());
        self.strings.len() + interpreter.map_or(0, |new| new.bytes.len())
    }

    /// The dynamic section, which is there when strings are to be appended.
    fn table(&self) -> Result<&'a Table, Skip> {
        self.image.table.as_ref().ok_or_else(overflow)
    }

    /// A copy of the string table and what is appended to it.
    fn longer_strings(&self) -> Result<LongerStrings, Skip> {
        let table = self.table()?;
        let whole = range(table.strings_offset, table.strings_size).ok_or_else(overflow)?;
        let pieces = vec![Piece::Copy(whole), Piece::Bytes(self.strings.clone())];
        let size = table.strings_size.checked_add(self.strings.len() as u64);
        Ok(LongerStrings {
            section: self.strings_section()?,
            pieces,
            old_offset: table.strings_offset,
            old_size: table.strings_size,
            size: size.ok_or_else(overflow)?,
        })
    }

    /// The number of the string table's section header; `None` when the file has no section headers.
    ///
    /// Tools trust the header (`strip` drops bytes that no header covers), so it must be there and agree.
    fn strings_section(&self) -> Result<Option<usize>, Skip> {
        let (sections, table) = (&self.image.sections, self.table()?);
        if sections.is_empty() {
            return Ok(None);
        }
        match sections
            .iter()
            .position(|section| table.is_strings_of(section))
        {
            Some(index) => Ok(Some(index)),
            None => because("no section header that describes the dynamic string table"),
        }
    }

    /// A draft that changes nothing yet.
    fn draft(&self) -> Draft {
        Draft::new(self.image)
    }
}

/// What replaces old values that nothing refers to any more: what patchelf writes there.
const DEAD: u8 = b'X';

/// The string table that takes the place of the old one.
struct LongerStrings {
    section: Option<usize>,
    pieces: Vec<Piece>,
    /// Where the old one lies in the file.
    old_offset: u64,
    /// Where in it the appended strings start.
    old_size: u64,
    size: u64,
}

impl LongerStrings {
    /// Blanks the old value, here where the table starts at `offset`, and in the old table if that is another one. That comes after
    /// everything else: until then the loader may ask for the old value in either.
    fn blank(&self, draft: &mut Draft, dead: &Range<u64>, offset: u64) {
        if offset != self.old_offset {
            draft.blank(0, dead);
        }
        let moved = |at: u64| at.saturating_sub(self.old_offset).saturating_add(offset);
        draft.blank(DEAD, &(moved(dead.start)..moved(dead.end)));
    }
}

/// S1: everything new has the place of something old.
fn slot(request: &Request<'_>) -> Result<Draft, Skip> {
    if !request.strings.is_empty() {
        return because("a string without a place");
    }
    let mut draft = request.draft();
    draft.set_entries(request, 0)?;
    draft.write_in_place(request.in_place.iter().cloned());
    if let Some(new) = &request.interpreter {
        if !new.fits() {
            return because("the old interpreter's place is too short");
        }
        draft.write_in_place([new.in_place()]);
    }
    if let Some(dead) = &request.dead {
        draft.blank(DEAD, dead);
    }
    Ok(draft)
}

/// The last loaded segment, by its place among the program headers.
fn last_load(image: &Image) -> Result<(usize, &Segment), Skip> {
    let index = image.segments.iter().rposition(Segment::is_load);
    let found = index.and_then(|index| Some((index, image.segments.get(index)?)));
    found.ok_or_else(overflow)
}
