//! A checked JSON text as one flat tape that the shim builds into a value in one call.

use super::abi::{Host, Stop, raw};
use crate::manifest::Checked;
use crate::manifest::json::Token;

/// Makes the checked value the result of the builtin.
///
/// Strings and keys stay where they are, in the text and in `checked`; the tape only points to them.
pub(super) fn build(host: &Host<'_>, checked: &Checked<'_>) -> Result<(), Stop> {
    let keys: Vec<raw::crd_text> = checked.keys().map(text).collect();
    let mut ops = Vec::with_capacity(checked.token_count());
    // The key that the next value has; the shim reads it only inside a set, where each value follows its key.
    let mut key = 0;
    for token in checked.tokens() {
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
    host.build(&keys, &ops)
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
