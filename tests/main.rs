//! The integration tests: one binary, one module per area.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]
#![allow(unreachable_pub, reason = "nothing leaves this binary")]

/// Good archives, attacks and real wheels, through `archive::unpack`.
mod archive;
/// Trees of libraries, through `audit` and the command of that name.
mod audit;
/// `scripts/bench-*` on stand-ins: a missed goal is a failure.
mod bench;
/// Kept inputs of fuzzing, replayed.
mod corpus;
/// Editing ELF files made by the host's compilers and NVIDIA's own; the verdict of other tools and of the dynamic loader on them.
mod elf;
/// Device code: NVIDIA's own files against `cuobjdump`, and damaged ones.
mod fatbin;
/// The C interface of the plugin against a fake evaluator, `host.cc`.
mod ffi;
/// `nix/` and `flake.nix` in a real Nix: what evaluates, the same derivations with the plugin, builds, fetching.
mod flake;
/// `scripts/gpu-test`, on a GPU where there is one, and as far as it goes without.
mod gpu;
/// `cuda-redist hash` against coreutils and Nix.
mod hash;
/// Folders of archives and wheels, through `index` and the command of that name.
mod index;
/// The table of who may use whom, held against `src/`.
mod layering;
/// `cuda-redist check` and the judge: real manifests, and wrong ones with the text of their refusal.
mod manifest;
/// `builtins.cudaRedist` in a real Nix, in a store of its own.
mod plugin;
/// The examples of README.md.
mod readme;
/// Plans carried out: trees of outputs, failures, dependencies, and derivations in a real Nix.
mod realise;

mod support;
