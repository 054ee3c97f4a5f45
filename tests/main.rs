//! The integration tests: one binary, one module per area.

mod support;

/// Editing ELF files made by the host's compilers and NVIDIA's own; the verdict of other tools and of the dynamic loader on them.
mod elf;
