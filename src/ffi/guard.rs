//! The wall: every export of a builtin is made by [`guard!`], so that no panic leaves Rust.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use super::abi::{Host, Stop, Value, raw};
use crate::error::Kind;

thread_local! {
    /// What the last panic of this thread said, and where; the hook leaves it here for [`run`].
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics of this library keep their message instead of printing it: Nix prints the error that it becomes.
///
/// The standard library is linked into the plugin, so this is the hook of the plugin alone.
pub(super) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Other unit tests of this process fail by panicking and must still say so.
        let previous = cfg!(test).then(panic::take_hook);
        panic::set_hook(Box::new(move |info| {
            if let Some(previous) = &previous {
                previous(info);
            }
            let message = info.to_string().replace('\n', " ");
            LAST_PANIC.with(|last| {
                if let Ok(mut last) = last.try_borrow_mut() {
                    *last = Some(message);
                }
            });
        }));
    });
}

/// Runs a builtin; its status for the shim.
fn run(name: &str, host: &Host<'_>, body: impl FnOnce() -> Result<(), Stop>) -> i32 {
    // Making the message is inside the wall as well.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| match body() {
        Ok(()) => Ok(()),
        Err(stop) => Err(describe(name, stop)),
    }));
    let (kind, message) = match outcome {
        Ok(Ok(())) => return raw::CRD_OK,
        Ok(Err(None)) => return raw::CRD_FAILED,
        Ok(Err(Some(said))) => said,
        Err(payload) => {
            // Dropping what was thrown may panic again; it is small, so let it be.
            std::mem::forget(payload);
            let what =
                LAST_PANIC.with(|last| last.try_borrow_mut().ok().and_then(|mut last| last.take()));
            (
                raw::CRD_FAULT,
                bug(name, what.as_deref().unwrap_or("panicked")),
            )
        }
    };
    host.fail(kind, &message);
    raw::CRD_FAILED
}

/// The error for `stop`; `None` when the shim already holds one.
fn describe(name: &str, stop: Stop) -> Option<(raw::crd_error, String)> {
    Some(match stop {
        Stop::Parked => return None,
        Stop::Argument(message) => (
            raw::CRD_FAULT,
            format!("builtins.cudaRedist.{name}: {message}"),
        ),
        Stop::Judged(error) => {
            let kind = match error.kind() {
                Kind::Rejected => raw::CRD_REJECTED,
                Kind::Usage | Kind::Fault => raw::CRD_FAULT,
            };
            (kind, error.render())
        }
        Stop::Broken(what) => (
            raw::CRD_FAULT,
            bug(name, &format!("the evaluator's side: {what}")),
        ),
    })
}

fn bug(name: &str, what: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "bug in cuda-redist: builtins.cudaRedist.{name}: {what}\nhint: please report it, with version {version} and the input"
    )
}

/// Makes `$export`, the C function of the builtin `$name` with N arguments, from a safe
/// `fn(&Host, [Value; N]) -> Result<(), Stop>`.
macro_rules! guard {
    ($export:ident, $name:literal, $body:path) => {
        /// The builtin's entry, called by the shim.
        ///
        /// # Safety
        /// The arguments are those of a `crd_function` of `plugin/abi.h`, of a builtin with as many arguments.
        pub(super) unsafe extern "C" fn $export(
            host: *const $crate::ffi::abi::raw::crd_host,
            call: *mut $crate::ffi::abi::raw::crd_call,
            args: *const $crate::ffi::abi::raw::crd_value,
        ) -> i32 {
            // SAFETY: exactly what the caller promises.
            unsafe { $crate::ffi::guard::enter($name, host, call, args, $body) }
        }
    };
}
pub(super) use guard;

/// What every export does.
///
/// # Safety
/// The three pointers are those that a `crd_function` of `plugin/abi.h` with `N` arguments was called with.
pub(super) unsafe fn enter<const N: usize>(
    name: &str,
    host: *const raw::crd_host,
    call: *mut raw::crd_call,
    args: *const raw::crd_value,
    body: fn(&Host<'_>, [Value; N]) -> Result<(), Stop>,
) -> i32 {
    if host.is_null() || (N > 0 && args.is_null()) {
        return raw::CRD_FAILED;
    }
    // SAFETY: not null; the caller promises a table that lives until the builtin returns.
    let table = unsafe { &*host };
    // SAFETY: the caller promises that call and table fit; both live until the builtin, and so this function, returns.
    let host = unsafe { Host::new(table, call) };
    // SAFETY: not null; the caller promises one handle for each argument.
    let arguments = unsafe { Host::arguments(args) };
    run(name, &host, || body(&host, arguments))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::ptr;

    use super::*;
    use crate::error::Error;

    thread_local! {
        static SAID: RefCell<Vec<(raw::crd_error, String)>> = const { RefCell::new(Vec::new()) };
    }

    extern "C" fn fail(_: *mut raw::crd_call, kind: raw::crd_error, message: raw::crd_text) -> i32 {
        // SAFETY: `Host::fail` hands in a live text.
        let bytes = unsafe { std::slice::from_raw_parts(message.ptr.cast::<u8>(), message.len) };
        SAID.with_borrow_mut(|said| said.push((kind, String::from_utf8_lossy(bytes).into_owned())));
        raw::CRD_FAILED
    }

    static HOST: raw::crd_host = raw::crd_host {
        look: None,
        position: None,
        path_name: None,
        import: None,
        read_file: None,
        open_file: None,
        build: None,
        give: None,
        check_interrupt: None,
        fail: Some(fail),
    };

    fn entered(
        body: fn(&Host<'_>, [Value; 1]) -> Result<(), Stop>,
    ) -> (i32, Vec<(raw::crd_error, String)>) {
        install_hook();
        SAID.with_borrow_mut(Vec::clear);
        let argument = 0;
        // SAFETY: the table and the argument live until the call returns; no callback but `fail` is there, and it does
        // not look at the call.
        let status = unsafe {
            enter(
                "sample",
                &raw const HOST,
                ptr::null_mut(),
                &raw const argument,
                body,
            )
        };
        (status, SAID.with_borrow(Vec::clone))
    }

    #[derive(Debug, thiserror::Error)]
    #[error("expected a digit, found 100% \n of it")]
    struct Sample(Kind);

    impl crate::error::Problem for Sample {
        fn kind(&self) -> Kind {
            self.0
        }
    }

    #[test]
    fn a_panic_becomes_an_error_that_says_so() {
        for (body, words) in [
            (
                (|_, _| panic!("out of {}", "luck"))
                    as fn(&Host<'_>, [Value; 1]) -> Result<(), Stop>,
                "out of luck",
            ),
            (|_, _| std::panic::panic_any(7), "panicked at"),
            (
                |_, [value]| Err(Stop::Argument(vec![value].split_off(2).len().to_string())),
                "is 2",
            ),
        ] {
            let (status, said) = entered(body);
            assert_eq!(status, raw::CRD_FAILED);
            let [(kind, message)] = said.as_slice() else {
                panic!("{said:?}")
            };
            assert_eq!(*kind, raw::CRD_FAULT);
            assert!(
                message.starts_with("bug in cuda-redist: builtins.cudaRedist.sample: panicked at "),
                "{message}"
            );
            assert!(
                message.contains(words) && message.contains("guard.rs:"),
                "{message}"
            );
            assert!(
                message.contains(&format!("version {}", env!("CARGO_PKG_VERSION"))),
                "{message}"
            );
        }
    }

    #[test]
    fn every_way_to_stop_has_its_error() {
        let rejected = |_: &Host<'_>, _| Err(Stop::Judged(Error::from(Sample(Kind::Rejected))));
        let fault = |_: &Host<'_>, _| Err(Stop::Judged(Error::from(Sample(Kind::Fault))));
        let text = "expected a digit, found 100% \n of it".to_owned();
        for (body, expected) in [
            (
                rejected as fn(&Host<'_>, [Value; 1]) -> Result<(), Stop>,
                vec![(raw::CRD_REJECTED, text.clone())],
            ),
            (fault, vec![(raw::CRD_FAULT, text)]),
            (|_, _| Err(Stop::Parked), vec![]),
            (
                |_, _| Err(Stop::Argument("expected more".to_owned())),
                vec![(
                    raw::CRD_FAULT,
                    "builtins.cudaRedist.sample: expected more".to_owned(),
                )],
            ),
        ] {
            assert_eq!(entered(body), (raw::CRD_FAILED, expected));
        }
        assert_eq!(entered(|_, _| Ok(())), (raw::CRD_OK, vec![]));
        let (status, said) = entered(|host, [value]| host.give(value));
        assert_eq!(status, raw::CRD_FAILED);
        assert!(
            said.iter()
                .any(|(_, message)| message.contains("the evaluator's side: it has no `give`")),
            "{said:?}"
        );
    }
}
