//! The integration tests: one binary, one module per area.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]
#![allow(unreachable_pub, reason = "nothing leaves this binary")]

// Good archives, attacks and real wheels, through `archive::unpack`.
mod archive;
// Folders of archives and wheels, through `index` and the command of that name.
mod index;
mod support;
