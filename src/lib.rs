//! NVIDIA's CUDA redistributables for Nix: checked, verified, unpacked, split, patched.
//!
//! ```text
//!  bytes ── manifest/json ──► View ─┐
//!                                   ├─ shape + manifest/check ─► Manifest ─► back to Nix as a value ─► nix/ ─► Plan (JSON)
//!  Nix value ── ffi/view ───► View ─┘          the ONE judge                                                   │ build time
//!                               outputs ◄─ patch ◄─ split ◄─ unpack ◄─ verify ◄─ plan (judged again) ◄─────────┘  realise
//! ```
//!
//! Each arrow is a type that only its stage can make: a [`manifest::Manifest`] was checked, a
//! [`hash::Verified`] file has the hash that was asked for, a [`relpath::RelPath`] stays in its root.

pub mod error;
pub mod relpath;
pub mod text;

pub mod hash;
pub mod manifest;
pub mod shape;

pub mod archive;
pub mod audit;
pub mod elf;
pub mod fatbin;
pub mod plan;
pub mod resolve;

pub mod index;
pub mod realise;

pub mod cli;
#[cfg(feature = "plugin")]
pub mod ffi;
