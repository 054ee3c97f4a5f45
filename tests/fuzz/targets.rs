//! What is fuzzed: one function per target, for libFuzzer (`fuzz_targets/`, by `scripts/fuzz`) and for the replay of kept inputs by
//! plain `cargo test` (`tests/corpus.rs`). A function returns when it is satisfied and panics when it is not.
//!
//! A new target: a function here and its line in [`ALL`], `fuzz_targets/NAME.rs`, a `[[bin]]` in `Cargo.toml`.

#![allow(dead_code, reason = "each target's program uses one of them")]

use std::io::{Seek as _, Write as _};
use std::path::Path;

use cuda_redist::{elf, fatbin, resolve};

/// A target.
pub type Target = fn(&[u8]);

/// All targets by name; the kept inputs of each lie in `tests/corpus/NAME/`.
pub const ALL: &[(&str, Target)] = &[
    ("elf_read", elf_read),
    ("elf_edit", elf_edit),
    ("fatbin", fatbin),
];

/// Lets `look` at a file with these bytes.
fn with_file(data: &[u8], look: impl FnOnce(&Path)) {
    thread_local! {
        /// Made once: creating files takes longer than what is fuzzed.
        static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().expect("a temporary file");
    }
    FILE.with(|file| {
        let mut handle = file.as_file();
        handle.set_len(0).expect("a file made empty");
        handle.rewind().expect("a file at its start");
        handle.write_all(data).expect("a written file");
        look(file.path());
    });
}

/// Reading what a file says about itself.
pub fn elf_read(data: &[u8]) {
    with_file(data, |file| {
        let facts = elf::read(file);
        let is_elf = data.starts_with(b"\x7fELF");
        assert!(matches!(facts, Ok(None)) != is_elf, "{facts:?}");
    });
}

/// Editing, re-reading, editing again. The last bytes say how.
pub fn elf_edit(data: &[u8]) {
    let Some((data, [kind])) = data.split_last_chunk() else {
        return;
    };
    let runpath = "/x".repeat(usize::from(*kind));
    with_file(data, |file| match elf::set_runpath(file, &runpath) {
        Ok(_) => {
            let facts = elf::read(file)
                .expect("a readable file")
                .expect("an ELF file");
            assert_eq!(facts.runpath.as_deref(), Some(&*runpath));
            let again = elf::set_runpath(file, &runpath).expect("an editable file");
            assert_eq!(again.bytes_written, 0);
        }
        Err(error) => {
            assert!(error.is_rejected(), "{error}");
            assert!(
                std::fs::read(file).expect("a readable file") == data,
                "{error}"
            );
        }
    });
}

/// Walking device code, and the search for names of libraries, which finds its sections in the same way.
pub fn fatbin(data: &[u8]) {
    with_file(data, |file| {
        match fatbin::count(file) {
            Ok(counts) => {
                let total: u64 = counts.values().map(|count| count.total).sum();
                // Every piece has a header of 64 bytes of its own.
                assert!(total <= data.len() as u64 / 64, "{counts:?}");
            }
            Err(error) => assert!(error.is_rejected(), "{error}"),
        }
        match resolve::names(file) {
            Ok(found) => {
                let names = found.libraries.iter().chain(&found.paths);
                let bytes: usize = names.map(|name| name.len() + 1).sum();
                assert!(bytes <= data.len(), "{found:?}");
            }
            Err(error) => assert!(error.is_rejected(), "{error}"),
        }
    });
}
