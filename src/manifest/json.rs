//! JSON text as a flat tape: parsed once by serde_json, walked without allocation.
//!
//! A tape reproduces what `builtins.fromJSON` makes of the same text. Where Nix would lose something it is refused:
//! doubled keys, NUL characters in strings (C strings end there) and integers beyond 64 bits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::syntax;
use crate::error::Error;
use crate::shape::{Finding, Rule, Seen, Step, View};

/// One token of a tape, in the order of the text. A container is followed by its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number with a fraction or an exponent, or an integer beyond 64 bits below zero.
    Float(f64),
    /// A string, escapes resolved, without NUL.
    String(&'a str),
    /// A list; this many values follow.
    List(u32),
    /// A set; this many pairs of [`Token::Key`] and value follow, in the order of the text.
    Attrs(u32),
    /// The name of a member, as an index into the tape's keys ([`Tape::keys`]); equal keys have equal numbers.
    Key(u32),
}

/// What the tape stores: as [`Token`], containers knowing where they end, strings with escapes kept aside.
#[derive(Clone, Copy, Debug)]
enum Cell<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'t str),
    /// An index into `Tape::unescaped`.
    Unescaped(u32),
    List {
        count: u32,
        end: u32,
    },
    Attrs {
        count: u32,
        end: u32,
    },
    Key(u32),
}

/// A JSON text, parsed.
///
/// **Shape**: one token per value and key; strings and keys are borrowed from the text unless they hold escapes. Keys are
/// stored once each and numbered from 0 in order of first use.
pub struct Tape<'t> {
    text: &'t str,
    cells: Vec<Cell<'t>>,
    unescaped: Vec<String>,
    keys: Vec<Cow<'t, str>>,
    notes: Vec<Note>,
}

/// Something a parsed text must not hold, whatever its shape.
#[derive(Debug)]
pub(super) struct Note {
    /// The cell it is about.
    pub(super) cell: u32,
    pub(super) what: NoteKind,
}

/// The kinds of [`Note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoteKind {
    /// The key was there before, at the cell `first`.
    DoubledKey { first: u32 },
    /// A string or key holds NUL.
    Nul,
    /// An integer above `i64::MAX`.
    TooLarge(u64),
}

impl<'t> Tape<'t> {
    /// Parses `text`; `file` is its name in messages.
    ///
    /// The tape may still hold what [`Tape::judge`] refuses in any text, doubled keys for instance.
    ///
    /// # Errors
    /// Rejected: bytes that are not UTF-8, text that is not one JSON value, more than 127 levels of nesting, a text of
    /// 4 GiB or more. Each with file, line and column.
    pub fn parse(text: &'t [u8], file: &str) -> Result<Tape<'t>, Error> {
        let text = syntax::utf8(text, file)?;
        let mut builder = Builder::new(text);
        let mut json = serde_json::Deserializer::from_str(text);
        ValueSeed(&mut builder)
            .deserialize(&mut json)
            .and_then(|()| json.end())
            .map_err(|error| syntax::refusal(text, file, &error))?;
        Ok(builder.finish())
    }

    /// The tokens, in the order of the text.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = Token<'_>> {
        self.cells.iter().map(|cell| self.token(*cell))
    }

    /// The keys; [`Token::Key`] is an index into them.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.keys.iter().map(|key| &**key)
    }

    /// The outermost value.
    pub fn root(&self) -> Node<'_, 't> {
        Node {
            tape: self,
            cell: 0,
        }
    }

    /// Judges the whole text by `rule`; `file` is its name in messages.
    ///
    /// # Errors
    /// Rejected: all problems, sorted by place; doubled keys and what else Nix would lose are among them.
    pub fn judge(&self, file: &str, rule: &Rule) -> Result<(), Error> {
        let Ok(findings) = crate::shape::judge(rule, self.root());
        self.report(file, findings)
    }

    /// `findings` and what the text must not hold in any case as one error, sorted by place, if there are any.
    ///
    /// # Errors
    /// Rejected: as described.
    pub(crate) fn report(
        &self,
        file: &str,
        findings: Vec<Finding<Node<'_, 't>>>,
    ) -> Result<(), Error> {
        if findings.is_empty() && self.notes.is_empty() {
            return Ok(());
        }
        syntax::report(self, file, findings)
    }

    /// The text that was parsed.
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// What the text must not hold.
    pub(super) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The number of the key `name`, if it occurs.
    pub(super) fn key_number(&self, name: &str) -> Option<u32> {
        self.keys
            .iter()
            .position(|key| key == name)
            .and_then(|number| u32::try_from(number).ok())
    }

    /// The path from the root to the cell `target`, outermost step first: the cells of keys and items.
    pub(super) fn steps_to(&self, target: u32) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        let mut at = 0;
        while at != target {
            match self.cells.get(index(at)) {
                Some(Cell::Attrs { end, .. } | Cell::List { end, .. }) if target < *end => at += 1,
                _ => return steps,
            }
            // `at` is the first part of the container that holds the target: find the part.
            let mut number = 0;
            loop {
                let (step, value) = match self.cells.get(index(at)) {
                    Some(Cell::Key(key)) => (Step::Key(self.key(*key)), at + 1),
                    Some(_) => (Step::Item(number), at),
                    None => return steps,
                };
                let end = self.end_of(value);
                if target < end {
                    steps.push(step);
                    at = if target < value { target } else { value };
                    break;
                }
                at = end;
                number += 1;
            }
        }
        steps
    }

    fn key(&self, number: u32) -> &str {
        self.keys.get(index(number)).map_or("", |key| &**key)
    }

    fn token(&self, cell: Cell<'t>) -> Token<'_> {
        match cell {
            Cell::Null => Token::Null,
            Cell::Bool(value) => Token::Bool(value),
            Cell::Int(value) => Token::Int(value),
            Cell::Float(value) => Token::Float(value),
            Cell::Text(text) => Token::String(text),
            Cell::Unescaped(number) => {
                Token::String(self.unescaped.get(index(number)).map_or("", String::as_str))
            }
            Cell::List { count, .. } => Token::List(count),
            Cell::Attrs { count, .. } => Token::Attrs(count),
            Cell::Key(number) => Token::Key(number),
        }
    }

    /// The cell after the value at `cell` and all its parts.
    fn end_of(&self, cell: u32) -> u32 {
        match self.cells.get(index(cell)) {
            Some(Cell::List { end, .. } | Cell::Attrs { end, .. }) => *end,
            _ => cell.saturating_add(1),
        }
    }
}

/// Cell numbers are below 2^32 because texts are; this crate needs 32-bit addresses at least.
fn index(cell: u32) -> usize {
    usize::try_from(cell).unwrap_or(usize::MAX)
}

/// A value of a tape.
#[derive(Clone, Copy)]
pub struct Node<'a, 't> {
    tape: &'a Tape<'t>,
    cell: u32,
}

impl Node<'_, '_> {
    /// The number of the value's token, from 0.
    pub(super) fn cell(self) -> u32 {
        self.cell
    }
}

impl<'a, 't> View for Node<'a, 't> {
    type Text = &'a str;
    type Members = Members<'a, 't>;
    type Items = Items<'a, 't>;
    type Failure = std::convert::Infallible;

    const RECORD: &'static str = "an object";
    const LIST: &'static str = "a list";

    fn look(self) -> Result<Seen<Self>, std::convert::Infallible> {
        let first = self.cell.saturating_add(1);
        Ok(match self.tape.cells.get(index(self.cell)) {
            Some(Cell::List { end, .. }) => Seen::List(Items {
                tape: self.tape,
                at: first,
                end: *end,
            }),
            Some(Cell::Attrs { end, .. }) => Seen::Record(Members {
                tape: self.tape,
                at: first,
                end: *end,
            }),
            Some(cell) => match self.tape.token(*cell) {
                Token::String(text) => Seen::Text(text),
                Token::Bool(value) => Seen::Bool(value),
                Token::Int(value) => Seen::Int(value),
                Token::Float(value) => Seen::Float(value),
                Token::Null | Token::List(_) | Token::Attrs(_) | Token::Key(_) => Seen::Null,
            },
            None => Seen::Null,
        })
    }
}

/// The members of an object, in the order of the text.
#[derive(Clone)]
pub struct Members<'a, 't> {
    tape: &'a Tape<'t>,
    at: u32,
    end: u32,
}

impl<'a, 't> Iterator for Members<'a, 't> {
    type Item = (&'a str, Node<'a, 't>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let Some(Cell::Key(key)) = self.tape.cells.get(index(self.at)) else {
            return None;
        };
        let cell = self.at.saturating_add(1);
        self.at = self.tape.end_of(cell);
        Some((
            self.tape.key(*key),
            Node {
                tape: self.tape,
                cell,
            },
        ))
    }
}

/// The items of a list, in order.
#[derive(Clone)]
pub struct Items<'a, 't> {
    tape: &'a Tape<'t>,
    at: u32,
    end: u32,
}

impl<'a, 't> Iterator for Items<'a, 't> {
    type Item = Node<'a, 't>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let cell = self.at;
        self.at = self.tape.end_of(cell);
        Some(Node {
            tape: self.tape,
            cell,
        })
    }
}

/// A tape being written.
struct Builder<'t> {
    tape: Tape<'t>,
    /// The numbers of keys seen before.
    numbers: HashMap<Cow<'t, str>, u32>,
    /// For each key, the key that followed it last: manifests repeat the same few keys in the same order, so most keys
    /// are found by one comparison.
    follower: Vec<u32>,
    last_key: u32,
    /// Keys (number, cell) of all objects still open, innermost last.
    open_keys: Vec<(u32, u32)>,
    /// Cells of floats that are a negative zero.
    negative_zeros: Vec<u32>,
}

/// Objects up to this many members are searched pairwise for doubled keys; larger ones are sorted.
const PAIRWISE: usize = 24;

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Builder<'t> {
        // Manifests have a token per 36 bytes.
        let cells = Vec::with_capacity((text.len() / 32).min(1 << 20));
        Builder {
            tape: Tape {
                text,
                cells,
                unescaped: Vec::new(),
                keys: Vec::new(),
                notes: Vec::new(),
            },
            numbers: HashMap::new(),
            follower: Vec::new(),
            last_key: 0,
            open_keys: Vec::new(),
            negative_zeros: Vec::new(),
        }
    }

    /// How many cells there are; below 2^32 because the text is shorter than that.
    fn next_cell(&self) -> u32 {
        u32::try_from(self.tape.cells.len()).unwrap_or(u32::MAX)
    }

    fn push(&mut self, cell: Cell<'t>) {
        self.tape.cells.push(cell);
    }

    fn note(&mut self, what: NoteKind) {
        let cell = self.next_cell();
        self.tape.notes.push(Note { cell, what });
    }

    fn set(&mut self, cell: u32, value: Cell<'t>) {
        if let Some(slot) = self.tape.cells.get_mut(index(cell)) {
            *slot = value;
        }
    }

    fn key(&mut self, name: &str, keep: impl FnOnce() -> Cow<'t, str>) {
        let guess = self
            .follower
            .get(index(self.last_key))
            .copied()
            .unwrap_or(0);
        let number = if self
            .tape
            .keys
            .get(index(guess))
            .is_some_and(|key| key == name)
        {
            guess
        } else {
            let number = match self.numbers.get(name) {
                Some(number) => *number,
                None => {
                    let number = u32::try_from(self.tape.keys.len()).unwrap_or(u32::MAX);
                    let key = keep();
                    self.numbers.insert(key.clone(), number);
                    self.tape.keys.push(key);
                    self.follower.push(0);
                    number
                }
            };
            if let Some(follower) = self.follower.get_mut(index(self.last_key)) {
                *follower = number;
            }
            number
        };
        self.last_key = number;
        self.open_keys.push((number, self.next_cell()));
        self.push(Cell::Key(number));
    }

    /// Notes the doubled keys of the innermost object, whose keys are those above `base`.
    fn close_keys(&mut self, base: usize) {
        let keys = self.open_keys.get_mut(base..).unwrap_or_default();
        let mut doubled = Vec::new();
        if keys.len() <= PAIRWISE {
            for (count, (number, cell)) in keys.iter().enumerate() {
                let before = keys.iter().take(count);
                if let Some((_, first)) = before.clone().find(|(other, _)| other == number) {
                    doubled.push((*cell, *first));
                }
            }
        } else {
            keys.sort_unstable();
            let mut first = None;
            for (number, cell) in keys.iter() {
                match first {
                    Some((same, first)) if same == *number => doubled.push((*cell, first)),
                    _ => first = Some((*number, *cell)),
                }
            }
        }
        let note = |(cell, first)| Note {
            cell,
            what: NoteKind::DoubledKey { first },
        };
        self.tape.notes.extend(doubled.into_iter().map(note));
        self.open_keys.truncate(base);
    }

    fn finish(mut self) -> Tape<'t> {
        // serde_json gives `-0` and `-0.0` alike as a float; for Nix the first is the integer 0.
        let offsets = syntax::offsets(self.tape.text, &self.negative_zeros);
        for (cell, offset) in std::mem::take(&mut self.negative_zeros)
            .into_iter()
            .zip(offsets)
        {
            let rest = self.tape.text.as_bytes().get(offset.saturating_add(2));
            if !matches!(rest, Some(b'.' | b'e' | b'E')) {
                self.set(cell, Cell::Int(0));
            }
        }
        self.tape
    }
}

struct ValueSeed<'b, 't>(&'b mut Builder<'t>);

impl<'t> DeserializeSeed<'t> for ValueSeed<'_, 't> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for ValueSeed<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(Cell::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.push(Cell::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(Cell::Int(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        let number = i64::try_from(value).unwrap_or_else(|_| {
            self.0.note(NoteKind::TooLarge(value));
            i64::MAX
        });
        self.0.push(Cell::Int(number));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        if value == 0.0 && value.is_sign_negative() {
            let cell = self.0.next_cell();
            self.0.negative_zeros.push(cell);
        }
        self.0.push(Cell::Float(value));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<(), E> {
        self.0.push(Cell::Text(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            self.0.note(NoteKind::Nul);
        }
        let number = u32::try_from(self.0.tape.unescaped.len()).unwrap_or(u32::MAX);
        self.0.tape.unescaped.push(text.to_owned());
        self.0.push(Cell::Unescaped(number));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut items: A) -> Result<(), A::Error> {
        let Self(builder) = self;
        let start = builder.next_cell();
        builder.push(Cell::Null);
        let mut count = 0;
        while items.next_element_seed(ValueSeed(builder))?.is_some() {
            count += 1;
        }
        let end = builder.next_cell();
        builder.set(start, Cell::List { count, end });
        Ok(())
    }

    fn visit_map<A: MapAccess<'t>>(self, mut members: A) -> Result<(), A::Error> {
        let Self(builder) = self;
        let start = builder.next_cell();
        let base = builder.open_keys.len();
        builder.push(Cell::Null);
        let mut count = 0;
        while members.next_key_seed(KeySeed(builder))?.is_some() {
            members.next_value_seed(ValueSeed(builder))?;
            count += 1;
        }
        let end = builder.next_cell();
        builder.close_keys(base);
        builder.set(start, Cell::Attrs { count, end });
        Ok(())
    }
}

struct KeySeed<'b, 't>(&'b mut Builder<'t>);

impl<'t> DeserializeSeed<'t> for KeySeed<'_, 't> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for KeySeed<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, name: &'t str) -> Result<(), E> {
        self.0.key(name, || Cow::Borrowed(name));
        Ok(())
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        if name.contains('\0') {
            self.0.note(NoteKind::Nul);
        }
        self.0.key(name, || Cow::Owned(name.to_owned()));
        Ok(())
    }
}
