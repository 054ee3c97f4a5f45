//! The evaluator's callbacks as safe methods.
//!
//! [`Host`] trusts the shim with what only it can know (that a pointer it hands out is readable for its length until
//! the builtin returns); what can be checked is checked: statuses, kinds, null pointers, lengths, UTF-8. An answer
//! that breaks the contract becomes [`Stop::Broken`], never undefined behaviour further on.

use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::{FromRawFd as _, OwnedFd};

use crate::error::Error;

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

/// What a forced value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    Null,
    Bool,
    Int,
    Float,
    String,
    Path,
    List,
    Attrs,
    Function,
    External,
}

impl ValueKind {
    /// With its article, for messages: the words Nix uses.
    pub(super) fn name(self) -> &'static str {
        match self {
            ValueKind::Null => "null",
            ValueKind::Bool => "a boolean",
            ValueKind::Int => "an integer",
            ValueKind::Float => "a float",
            ValueKind::String => "a string",
            ValueKind::Path => "a path",
            ValueKind::List => "a list",
            ValueKind::Attrs => "a set",
            ValueKind::Function => "a function",
            ValueKind::External => "an external value",
        }
    }
}

/// A string of the evaluator.
#[derive(Debug)]
pub(super) struct Text<'c> {
    pub(super) text: &'c str,
    /// The first store path the string depends on.
    pub(super) context: Option<String>,
}

/// A file's content, read by the evaluator.
#[derive(Debug)]
pub(super) struct Content<'c> {
    pub(super) bytes: &'c [u8],
    /// The first store path the content mentions.
    pub(super) context: Option<String>,
    /// The path as given, for messages.
    pub(super) name: String,
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
    /// `args` is what the shim gave to a builtin of arity one or more.
    pub(super) unsafe fn first_argument(args: *const raw::crd_value) -> Value {
        // SAFETY: the caller promises that `args` points to at least one handle.
        Value(unsafe { *args })
    }

    /// Forces `value`.
    pub(super) fn kind(&self, value: Value) -> Result<ValueKind, Stop> {
        let mut kind = -1;
        call!(self, kind, value.0, &mut kind)?;
        let Ok(kind) = raw::crd_kind::try_from(kind) else {
            return Err(Stop::Broken("`kind` named no kind"));
        };
        Ok(match kind {
            raw::CRD_NULL => ValueKind::Null,
            raw::CRD_BOOL => ValueKind::Bool,
            raw::CRD_INT => ValueKind::Int,
            raw::CRD_FLOAT => ValueKind::Float,
            raw::CRD_STRING => ValueKind::String,
            raw::CRD_PATH => ValueKind::Path,
            raw::CRD_LIST => ValueKind::List,
            raw::CRD_ATTRS => ValueKind::Attrs,
            raw::CRD_FUNCTION => ValueKind::Function,
            raw::CRD_EXTERNAL => ValueKind::External,
            _ => return Err(Stop::Broken("`kind` named no kind")),
        })
    }

    /// Forces the string `value`; anything else is the evaluator's own type error.
    pub(super) fn string(&self, value: Value) -> Result<Text<'c>, Stop> {
        let (mut text, mut context) = (NO_TEXT, NO_TEXT);
        call!(self, string, value.0, &mut text, &mut context)?;
        let text = std::str::from_utf8(self.bytes(text)?).map_err(|_| {
            Stop::Argument("expected a string in UTF-8, found other bytes in it".to_owned())
        })?;
        Ok(Text {
            text,
            context: self.context(context)?,
        })
    }

    /// Forces the set `value`, not what is in it; its attributes by name.
    pub(super) fn attrs(&self, value: Value) -> Result<Vec<(String, Value)>, Stop> {
        let mut attrs = std::ptr::null();
        let mut count = 0;
        call!(self, attrs, value.0, &mut attrs, &mut count)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        if attrs.is_null() || !attrs.is_aligned() || !fits::<raw::crd_attr>(count) {
            return Err(Stop::Broken("`attrs` returned no attributes for its count"));
        }
        // SAFETY: not null, aligned, of a possible size; rule 4 of abi.h: the shim keeps it until the builtin returns.
        let attrs = unsafe { std::slice::from_raw_parts(attrs, count) };
        attrs
            .iter()
            .map(|attr| Ok((self.shown(attr.name)?, Value(attr.value))))
            .collect()
    }

    /// The content of the file at `path`, read by `builtins.readFile`.
    pub(super) fn read_file(&self, path: Value) -> Result<Content<'c>, Stop> {
        let (mut bytes, mut context, mut name) = (NO_TEXT, NO_TEXT, NO_TEXT);
        call!(self, read_file, path.0, &mut bytes, &mut context, &mut name)?;
        Ok(Content {
            bytes: self.bytes(bytes)?,
            context: self.context(context)?,
            name: self.shown(name)?,
        })
    }

    /// The regular file at `path`, opened after the evaluator let it through; and its path as given, for messages.
    pub(super) fn open_file(&self, path: Value) -> Result<(File, String), Stop> {
        let mut fd = -1;
        let mut name = NO_TEXT;
        call!(self, open_file, path.0, &mut fd, &mut name)?;
        if fd < 0 {
            return Err(Stop::Broken("`open_file` returned no file"));
        }
        // SAFETY: the contract of `open_file`: a descriptor opened for us, which we close.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok((file, self.shown(name)?))
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

    fn bytes(&self, text: raw::crd_text) -> Result<&'c [u8], Stop> {
        if text.len == 0 {
            return Ok(&[]);
        }
        if text.ptr.is_null() || !fits::<u8>(text.len) {
            return Err(Stop::Broken(
                "it returned a text without bytes for its length",
            ));
        }
        // SAFETY: not null, of a possible size; rule 4 of abi.h: readable until the builtin returns.
        Ok(unsafe { std::slice::from_raw_parts(text.ptr.cast(), text.len) })
    }

    fn shown(&self, text: raw::crd_text) -> Result<String, Stop> {
        Ok(String::from_utf8_lossy(self.bytes(text)?).into_owned())
    }

    fn context(&self, text: raw::crd_text) -> Result<Option<String>, Stop> {
        let shown = self.shown(text)?;
        Ok((!shown.is_empty()).then_some(shown))
    }
}

const NO_TEXT: raw::crd_text = raw::crd_text {
    ptr: std::ptr::null(),
    len: 0,
};

/// Can `count` values of `T` exist in one allocation?
fn fits<T>(count: usize) -> bool {
    count
        .checked_mul(size_of::<T>())
        .is_some_and(|bytes| isize::try_from(bytes).is_ok())
}
