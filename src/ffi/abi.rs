//! The evaluator's callbacks as safe methods.
//!
//! [`Host`] trusts the shim with what only it can know (that a pointer it hands out is readable for its length until
//! the builtin returns); what can be checked is checked: statuses, kinds, null pointers, lengths, UTF-8. An answer
//! that breaks the contract becomes [`Stop::Broken`], never undefined behaviour further on.

use std::borrow::Cow;
use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::{FromRawFd as _, OwnedFd};

use crate::error::Error;
use crate::text::{self, Position};

/// What bindgen made of `plugin/abi.h`.
#[allow(
    missing_docs,
    non_camel_case_types,
    dead_code,
    unreachable_pub,
    clippy::undocumented_unsafe_blocks,
    reason = "generated; the documentation is in plugin/abi.h"
)]
pub(super) mod raw {
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}

/// Why a builtin ends without a result.
#[derive(Debug)]
pub(super) enum Stop {
    /// A callback failed and the shim holds its exception: return at once.
    Parked,
    /// An argument is not what the builtin takes, or the evaluator cannot do it: an evaluation error.
    Argument(String),
    /// The input was judged, or could not be.
    Judged(Error),
    /// The shim broke the contract; what it did.
    Broken(&'static str),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Judged(error)
    }
}

/// A value of the evaluator, by handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value(raw::crd_value);

/// A forced value. What is in a list or set is not forced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'c> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Text<'c>),
    Path,
    List(Items<'c>),
    Attrs(Attrs<'c>),
    Function,
    External,
}

impl Seen<'_> {
    /// With its article, for messages: the words Nix uses.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Seen::Null => "null",
            Seen::Bool(_) => "a boolean",
            Seen::Int(_) => "an integer",
            Seen::Float(_) => "a float",
            Seen::String(_) => "a string",
            Seen::Path => "a path",
            Seen::List(_) => "a list",
            Seen::Attrs(_) => "a set",
            Seen::Function => "a function",
            Seen::External => "an external value",
        }
    }
}

/// A string of the evaluator: any bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'c> {
    pub(super) bytes: &'c [u8],
    /// The first store path the string depends on.
    pub(super) context: Option<&'c [u8]>,
}

/// The items of a list, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Items<'c>(&'c [raw::crd_value]);

impl Items<'_> {
    /// The item `number`, counted from 0.
    pub(super) fn get(self, number: usize) -> Option<Value> {
        self.0.get(number).copied().map(Value)
    }
}

/// The attributes of a set, in the order of their names. Names are any bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attrs<'c> {
    attrs: &'c [raw::crd_attr],
}

impl<'c> Attrs<'c> {
    /// The attribute `number`, counted from 0; one whose name breaks the contract has an empty one.
    pub(super) fn get(self, number: usize) -> Option<(Cow<'c, str>, Value)> {
        let attr = self.attrs.get(number)?;
        let name = bytes(attr.name).unwrap_or_default();
        Some((String::from_utf8_lossy(name), Value(attr.value)))
    }

    /// All of them.
    pub(super) fn iter(self) -> impl Iterator<Item = (Cow<'c, str>, Value)> {
        (0..self.attrs.len()).filter_map(move |number| self.get(number))
    }
}

/// A file's content, read by the evaluator.
#[derive(Debug)]
pub(super) struct Content<'c> {
    pub(super) bytes: &'c [u8],
    /// The first store path the content mentions.
    pub(super) context: Option<&'c [u8]>,
}

/// One call of a builtin: the evaluator on the other side of `plugin/abi.h`. `'c` is the time until the builtin returns.
pub(super) struct Host<'c> {
    host: &'c raw::crd_host,
    call: *mut raw::crd_call,
    call_lives: PhantomData<&'c mut raw::crd_call>,
}

/// Calls one callback and turns its status into a `Result`.
macro_rules! call {
    ($host:expr, $callback:ident $(, $argument:expr)*) => {{
        let callback = $host.host.$callback.ok_or(Stop::Broken(concat!("it has no `", stringify!($callback), "`")))?;
        // SAFETY: `Host::new` was promised that host and call fit together and live until the builtin returns; the
        // pointers among the arguments are to locals that outlive the call.
        let status = unsafe { callback($host.call $(, $argument)*) };
        match status {
            raw::CRD_OK => Ok(()),
            raw::CRD_FAILED => Err(Stop::Parked),
            _ => Err(Stop::Broken(concat!("`", stringify!($callback), "` returned an unknown status"))),
        }
    }};
}

impl<'c> Host<'c> {
    /// # Safety
    /// `host` and `call` are what the shim gave to a builtin, and `'c` ends before that builtin returns.
    pub(super) unsafe fn new(host: &'c raw::crd_host, call: *mut raw::crd_call) -> Host<'c> {
        Host {
            host,
            call,
            call_lives: PhantomData,
        }
    }

    /// # Safety
    /// `args` is what the shim gave to a builtin of `N` arguments.
    pub(super) unsafe fn arguments<const N: usize>(args: *const raw::crd_value) -> [Value; N] {
        // SAFETY: the caller promises that `args` points to `N` handles; for none it may be anything.
        std::array::from_fn(|number| Value(unsafe { *args.add(number) }))
    }

    /// Forces `value` and says what it is.
    pub(super) fn look(&self, value: Value) -> Result<Seen<'c>, Stop> {
        let mut seen = raw::crd_seen {
            kind: -1,
            count: 0,
            as_: raw::crd_seen__bindgen_ty_1 { integer: 0 },
            context: NO_TEXT,
        };
        call!(self, look, value.0, &mut seen)?;
        let Ok(kind) = raw::crd_kind::try_from(seen.kind) else {
            return Err(Stop::Broken("`look` named no kind"));
        };
        Ok(match kind {
            raw::CRD_NULL => Seen::Null,
            // SAFETY: every bit pattern is an integer, and the shim has written all of the union or left our zero.
            raw::CRD_BOOL => Seen::Bool(unsafe { seen.as_.integer } != 0),
            // SAFETY: as above.
            raw::CRD_INT => Seen::Int(unsafe { seen.as_.integer }),
            // SAFETY: every bit pattern is a float; as above.
            raw::CRD_FLOAT => Seen::Float(unsafe { seen.as_.number }),
            raw::CRD_STRING => {
                let text = raw::crd_text {
                    // SAFETY: any bit pattern is a raw pointer; as above. `bytes` checks it.
                    ptr: unsafe { seen.as_.text },
                    len: seen.count,
                };
                Seen::String(Text {
                    bytes: bytes(text)?,
                    context: context(seen.context)?,
                })
            }
            raw::CRD_PATH => Seen::Path,
            raw::CRD_LIST => {
                // SAFETY: any bit pattern is a raw pointer; as above. `slice` checks it.
                let items = unsafe { seen.as_.items };
                // SAFETY: rule 4 of abi.h: the shim keeps the items until the builtin returns.
                Seen::List(Items(unsafe { slice(items, seen.count) }?))
            }
            raw::CRD_ATTRS => {
                // SAFETY: any bit pattern is a raw pointer; as above. `slice` checks it.
                let attrs = unsafe { seen.as_.attrs };
                // SAFETY: rule 4 of abi.h: the shim keeps the attributes until the builtin returns.
                let attrs = unsafe { slice(attrs, seen.count) }?;
                for attr in attrs {
                    bytes(attr.name)?;
                }
                Seen::Attrs(Attrs { attrs })
            }
            raw::CRD_FUNCTION => Seen::Function,
            raw::CRD_EXTERNAL => Seen::External,
            _ => return Err(Stop::Broken("`look` named no kind")),
        })
    }

    /// Where `value` was written: the file, safe to show, and the position in it.
    pub(super) fn position(&self, value: Value) -> Result<Option<(String, Position)>, Stop> {
        let (mut file, mut line, mut column) = (NO_TEXT, 0, 0);
        call!(self, position, value.0, &mut file, &mut line, &mut column)?;
        let file = shown(file)?;
        if file.is_empty() {
            return Ok(None);
        }
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let position = Position {
            line: number(line),
            column: number(column),
        };
        Ok(Some((file, position)))
    }

    /// The path as given, safe to show. Reads nothing.
    pub(super) fn path_name(&self, path: Value) -> Result<String, Stop> {
        let mut name = NO_TEXT;
        call!(self, path_name, path.0, &mut name)?;
        shown(name)
    }

    /// The value of the Nix expression in the file at `path`, by `builtins.import`.
    pub(super) fn import(&self, path: Value) -> Result<Value, Stop> {
        let mut value = 0;
        call!(self, import, path.0, &mut value)?;
        Ok(Value(value))
    }

    /// The content of the file at `path`, read by `builtins.readFile`.
    pub(super) fn read_file(&self, path: Value) -> Result<Content<'c>, Stop> {
        let (mut content, mut depends) = (NO_TEXT, NO_TEXT);
        call!(self, read_file, path.0, &mut content, &mut depends)?;
        Ok(Content {
            bytes: bytes(content)?,
            context: context(depends)?,
        })
    }

    /// The file at `path`, of any kind, opened after the evaluator let it through; and whether it lies in the store.
    pub(super) fn open_file(&self, path: Value) -> Result<(File, bool), Stop> {
        let (mut fd, mut in_store) = (-1, 0);
        call!(self, open_file, path.0, &mut fd, &mut in_store)?;
        if fd < 0 {
            return Err(Stop::Broken("`open_file` returned no file"));
        }
        // SAFETY: the contract of `open_file`: a descriptor opened for us, which we close.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok((file, in_store == 1))
    }

    /// Makes the value of `ops` the result.
    ///
    /// The tape is trusted to be well-formed ([`super::tape::Writer`] makes no other); the shim checks its bounds again.
    pub(super) fn build(&self, keys: &[raw::crd_text], ops: &[raw::crd_op]) -> Result<(), Stop> {
        let tape = raw::crd_tape {
            keys: keys.as_ptr(),
            key_count: keys.len(),
            ops: ops.as_ptr(),
            op_count: ops.len(),
        };
        call!(self, build, &tape)
    }

    /// Makes an argument, or a part of one, the result as it is.
    pub(super) fn give(&self, value: Value) -> Result<(), Stop> {
        call!(self, give, value.0)
    }

    /// Fails when the user has asked to stop.
    pub(super) fn check_interrupt(&self) -> Result<(), Stop> {
        call!(self, check_interrupt)
    }

    /// Parks an error with this message. There is nothing left to do if even that fails.
    pub(super) fn fail(&self, error: raw::crd_error, message: &str) {
        let message = raw::crd_text {
            ptr: message.as_ptr().cast(),
            len: message.len(),
        };
        let _ = (|| call!(self, fail, error, message))();
    }
}

const NO_TEXT: raw::crd_text = raw::crd_text {
    ptr: std::ptr::null(),
    len: 0,
};

/// The bytes of a text of the shim.
fn bytes<'c>(text: raw::crd_text) -> Result<&'c [u8], Stop> {
    // SAFETY: rule 4 of abi.h: readable until the builtin returns, which `Host::new` was promised is not before `'c` ends.
    unsafe { slice(text.ptr.cast(), text.len) }
}

/// What a message may show of a text of the shim.
fn shown(text: raw::crd_text) -> Result<String, Stop> {
    Ok(text::printable(&String::from_utf8_lossy(bytes(text)?)))
}

fn context<'c>(text: raw::crd_text) -> Result<Option<&'c [u8]>, Stop> {
    let context = bytes(text)?;
    Ok((!context.is_empty()).then_some(context))
}

/// `count` values at `start`, if they can be.
///
/// # Safety
/// If `start` is not null, aligned, and `count` values can exist in one allocation, they are there for as long as `'c`.
unsafe fn slice<'c, T>(start: *const T, count: usize) -> Result<&'c [T], Stop> {
    if count == 0 {
        return Ok(&[]);
    }
    if start.is_null() || !start.is_aligned() || !fits::<T>(count) {
        return Err(Stop::Broken(
            "it returned a pointer that cannot be to what it says",
        ));
    }
    // SAFETY: checked above what can be checked; the caller promises the rest.
    Ok(unsafe { std::slice::from_raw_parts(start, count) })
}

/// Can `count` values of `T` exist in one allocation?
fn fits<T>(count: usize) -> bool {
    count
        .checked_mul(size_of::<T>())
        .is_some_and(|bytes| isize::try_from(bytes).is_ok())
}
