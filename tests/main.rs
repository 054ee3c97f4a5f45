//! The integration tests: one binary, one module per area.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]
#![allow(unreachable_pub, reason = "nothing leaves this binary")]

// Good archives, attacks and real wheels, through `archive::unpack`.
mod archive;
// `nix/` and `flake.nix` in a real Nix: what evaluates, the same derivations with the plugin, builds, fetching.
mod flake;
// Folders of archives and wheels, through `index` and the command of that name.
mod index;
// Plans carried out: trees of outputs, failures, dependencies, and derivations in a real Nix.
mod realise;
mod support;

/// Editing ELF files made by the host's compilers and NVIDIA's own; the verdict of other tools and of the dynamic loader on them.
mod elf;
/// The C interface of the plugin against a fake evaluator, `host.cc`.
mod ffi;
/// `builtins.cudaRedist` in a real Nix, in a store of its own.
mod plugin;
