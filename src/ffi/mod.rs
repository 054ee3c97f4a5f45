//! The plugin's core: `builtins.cudaRedist`, behind the C interface of `plugin/abi.h`.
//!
//! All unsafe code of the crate is in this folder: `abi` (the evaluator's callbacks as safe methods), `guard` (the
//! wall that no panic passes) and the exports below. `view` reads arguments, `tape` writes results; the builtins
//! themselves (`read`, `check`, `verify_file`) are safe code.
//!
//! Which Nix error a failure becomes: what was judged and refused (a wrong field, another hash) is a `throw`, so that
//! `builtins.tryEval` can skip one bad file among many; everything else (a wrong argument, an unreadable file, a bug)
//! is an error of the evaluator, which `tryEval` does not catch. Errors of the evaluator itself (a `throw` in an
//! argument, denied access) pass through unchanged.

#![allow(
    unsafe_code,
    reason = "the C interface to the evaluator; every block says what it relies on"
)]

mod abi;
mod check;
mod guard;
mod read;
mod tape;
mod verify_file;
mod view;

use std::ffi::{CStr, c_char};

/// A table that C reads: never written after it was made.
struct Shared<T>(T);

// SAFETY: only wraps the `static` tables below, which are immutable and point to other immutable statics.
unsafe impl<T> Sync for Shared<T> {}

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"unknown",
    };

/// The names of arguments; as many as any builtin has.
static PATH: Shared<[*const c_char; 1]> = Shared([c"path".as_ptr()]);
static ATTRS: Shared<[*const c_char; 1]> = Shared([c"attrs".as_ptr()]);
static SHAPE_AND_VALUE: Shared<[*const c_char; 2]> = Shared([c"shape".as_ptr(), c"value".as_ptr()]);
static NONE: Shared<[*const c_char; 0]> = Shared([]);

const fn builtin<const N: usize>(
    name: &'static CStr,
    args: &'static Shared<[*const c_char; N]>,
    doc: &'static CStr,
    function: abi::raw::crd_function,
) -> abi::raw::crd_builtin {
    abi::raw::crd_builtin {
        name: name.as_ptr(),
        args: args.0.as_ptr(),
        arity: N,
        doc: doc.as_ptr(),
        function,
    }
}

static BUILTINS: Shared<[abi::raw::crd_builtin; 7]> = Shared([
    builtin(
        c"readManifest",
        &PATH,
        read::READ_MANIFEST,
        Some(read::read_manifest_export),
    ),
    builtin(
        c"readFeatures",
        &PATH,
        read::READ_FEATURES,
        Some(read::read_features_export),
    ),
    builtin(
        c"readReleases",
        &PATH,
        read::READ_RELEASES,
        Some(read::read_releases_export),
    ),
    builtin(
        c"check",
        &SHAPE_AND_VALUE,
        check::CHECK,
        Some(check::check_export),
    ),
    builtin(
        c"problems",
        &SHAPE_AND_VALUE,
        check::PROBLEMS,
        Some(check::problems_export),
    ),
    builtin(c"shapes", &NONE, check::SHAPES, Some(check::shapes_export)),
    builtin(
        c"verifyFile",
        &ATTRS,
        verify_file::VERIFY_FILE,
        Some(verify_file::verify_file_export),
    ),
]);

static CORE: Shared<abi::raw::crd_core> = Shared(abi::raw::crd_core {
    abi: abi::raw::CRD_ABI,
    version: VERSION.as_ptr(),
    builtins: BUILTINS.0.as_ptr(),
    builtin_count: BUILTINS.0.len(),
});

/// The core's table, for the loader: lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn crd_core_describe() -> *const abi::raw::crd_core {
    guard::install_hook();
    &raw const CORE.0
}

unsafe extern "C-unwind" {
    fn crd_loader_entry();
}

/// Called by Nix 2.22 and newer once the plugin is open; throws a C++ exception when there is no shim for that Nix.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn nix_plugin_entry() {
    // SAFETY: the loader's function takes nothing and may throw, which "C-unwind" lets through; this frame has nothing
    // to drop. Nix calls it on its main thread.
    unsafe { crd_loader_entry() }
}
