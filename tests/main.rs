//! The integration tests: one binary, one module per area.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]
#![allow(unreachable_pub, reason = "nothing leaves this binary")]

mod support;

/// The C interface of the plugin against a fake evaluator, `host.cc`.
mod ffi;
/// `builtins.cudaRedist` in a real Nix, in a store of its own.
mod plugin;
