//! ELF files: reading without loading, editing in place. Knows nothing of CUDA or Nix.
//!
//! Reading ([`read()`]) looks at headers and a handful of strings by `pread`, never at the whole file, and
//! takes any class, byte order and machine. Editing ([`edit()`]) is for 64-bit little-endian files of
//! the three machines NVIDIA ships Linux libraries for; anything else is refused and left alone.
//!
//! ```text
//!  path ── source (pread) ── image (tables, checked) ──► read (Facts)
//!                                     └──► edit ──► layout (where bytes go) ──► write ──► check (re-read)
//! ```
//!
//! `check` also judges the tables before, and where bytes would go. What was written is restored if it is wrong.

#![deny(clippy::indexing_slicing)]

mod check;
mod edit;
mod error;
pub(crate) mod image;
mod layout;
mod read;
pub(crate) mod source;
mod strings;
mod write;

pub use edit::{Edit, Patched, Rung, SearchPath, Writing, edit, rung, set_runpath};
pub use read::{ByteOrder, Class, ElfKind, Facts, Machine, read};
