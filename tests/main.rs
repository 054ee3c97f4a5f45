//! The integration tests: one binary, one module per area.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]
#![allow(unreachable_pub, reason = "nothing leaves this binary")]

/// `cuda-redist hash` against coreutils and Nix.
mod hash;
/// The table of who may use whom, held against `src/`.
mod layering;
/// `cuda-redist check` and the judge: real manifests, and wrong ones with the text of their refusal.
mod manifest;
mod support;

/// The C interface of the plugin against a fake evaluator, `host.cc`.
mod ffi;
/// `builtins.cudaRedist` in a real Nix, in a store of its own.
mod plugin;
