//! serde_json's events, written down as a [`Tape`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::json::{Cell, Note, NoteKind, Tape, index};
use super::syntax;

/// The tape of `text`, or why it is no JSON.
pub(super) fn parse(text: &str) -> serde_json::Result<Tape<'_>> {
    let mut builder = Builder::new(text);
    let mut json = serde_json::Deserializer::from_str(text);
    ValueSeed(&mut builder).deserialize(&mut json)?;
    json.end()?;
    Ok(builder.finish())
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
            let number = self.tape.text.as_bytes().get(offset..).unwrap_or_default();
            let is_float = matches!(number, [b'-', b'0', b'.' | b'e' | b'E', ..]);
            // `-10e-400` is no zero, only too small for anything else.
            if number.starts_with(b"-0") && !is_float {
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
