//! A checked JSON text as one flat tape that the shim builds into a value in one call.

use std::cell::Cell;

use super::abi::{Host, Stop, raw};
use crate::manifest::Checked;
use crate::manifest::json::Token;

/// Makes the checked value the result of the builtin.
///
/// Strings and keys stay where they are, in the text and in `checked`; the tape only points to them.
pub(super) fn build_checked(host: &Host<'_>, checked: &Checked<'_>) -> Result<(), Stop> {
    let keys: Vec<raw::crd_text> = checked.keys().map(text).collect();
    let mut ops = SPARE.take();
    ops.clear();
    ops.reserve(checked.token_count());
    write(checked.tokens(), &mut ops);
    let built = host.build(&keys, &ops);
    // What points into this text is never read again: the next tape begins by clearing.
    if ops.capacity() <= MOST_SPARE {
        SPARE.set(ops);
    }
    built
}

/// How many operations are kept room for: 2 MiB, twice what the largest of NVIDIA's manifests takes.
const MOST_SPARE: usize = 64 * 1024;

thread_local! {
    /// The memory of the last tape: fresh pages for each of many manifests cost more than filling them.
    static SPARE: Cell<Vec<raw::crd_op>> = const { Cell::new(Vec::new()) };
}

/// Makes `json`, which holds no NUL, the result of the builtin. For values that are small: messages, the table of shapes.
pub(super) fn build_json(host: &Host<'_>, json: &serde_json::Value) -> Result<(), Stop> {
    let mut keys = Vec::new();
    let mut tokens = Vec::new();
    flatten(json, &mut keys, &mut tokens);
    let keys: Vec<raw::crd_text> = keys.into_iter().map(text).collect();
    let mut ops = Vec::with_capacity(tokens.len());
    write(tokens.into_iter(), &mut ops);
    host.build(&keys, &ops)
}

/// The tokens of `json`, as [`Checked::tokens`] has them; `keys` are those that they count.
fn flatten<'j>(json: &'j serde_json::Value, keys: &mut Vec<&'j str>, tokens: &mut Vec<Token<'j>>) {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    match json {
        serde_json::Value::Null => tokens.push(Token::Null),
        serde_json::Value::Bool(value) => tokens.push(Token::Bool(*value)),
        serde_json::Value::Number(number) => tokens.push(match number.as_i64() {
            Some(number) => Token::Int(number),
            None => Token::Float(number.as_f64().unwrap_or(f64::NAN)),
        }),
        serde_json::Value::String(text) => tokens.push(Token::String(text)),
        serde_json::Value::Array(items) => {
            tokens.push(Token::List(count(items.len())));
            for item in items {
                flatten(item, keys, tokens);
            }
        }
        serde_json::Value::Object(members) => {
            tokens.push(Token::Attrs(count(members.len())));
            for (key, value) in members {
                let number = keys
                    .iter()
                    .position(|known| known == key)
                    .unwrap_or_else(|| {
                        keys.push(key);
                        keys.len() - 1
                    });
                tokens.push(Token::Key(count(number)));
                flatten(value, keys, tokens);
            }
        }
    }
}

/// Appends the operations that make the value of `tokens`.
fn write<'t>(tokens: impl Iterator<Item = Token<'t>>, ops: &mut Vec<raw::crd_op>) {
    // The key that the next value has; the shim reads it only inside a set, where each value follows its key.
    let mut key = 0;
    for token in tokens {
        let (make, count, value) = match token {
            Token::Key(number) => {
                key = number;
                continue;
            }
            Token::Null => (
                raw::CRD_MAKE_NULL,
                0,
                raw::crd_op__bindgen_ty_1 { integer: 0 },
            ),
            Token::Bool(value) => (
                raw::CRD_MAKE_BOOL,
                0,
                raw::crd_op__bindgen_ty_1 {
                    integer: i64::from(value),
                },
            ),
            Token::Int(value) => (
                raw::CRD_MAKE_INT,
                0,
                raw::crd_op__bindgen_ty_1 { integer: value },
            ),
            Token::Float(value) => (
                raw::CRD_MAKE_FLOAT,
                0,
                raw::crd_op__bindgen_ty_1 { number: value },
            ),
            Token::String(value) => {
                let raw::crd_text { ptr, len } = text(value);
                (
                    raw::CRD_MAKE_STRING,
                    len,
                    raw::crd_op__bindgen_ty_1 { text: ptr },
                )
            }
            Token::List(count) => (
                raw::CRD_MAKE_LIST,
                size(count),
                raw::crd_op__bindgen_ty_1 { integer: 0 },
            ),
            Token::Attrs(count) => (
                raw::CRD_MAKE_ATTRS,
                size(count),
                raw::crd_op__bindgen_ty_1 { integer: 0 },
            ),
        };
        ops.push(raw::crd_op {
            make,
            key,
            count: count as u64,
            as_: value,
        });
    }
}

fn text(text: &str) -> raw::crd_text {
    raw::crd_text {
        ptr: text.as_ptr().cast(),
        len: text.len(),
    }
}

/// A `u32` always fits: the crate runs on 64-bit machines and is refused by the shim's bounds checks otherwise.
fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
