//! What is fuzzed: one function per target, for libFuzzer (`fuzz_targets/`, by `scripts/fuzz`) and for the replay of kept inputs by
//! plain `cargo test` (`tests/corpus.rs`). A function returns when it is satisfied and panics when it is not.
//!
//! A new target: a function here and its line in [`ALL`], `fuzz_targets/NAME.rs`, a `[[bin]]` in `Cargo.toml`.

#![allow(dead_code, reason = "each target's program uses one of them")]

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cuda_redist::archive::{self, Entry, EntryKind, Unpacked};
use cuda_redist::elf::{self, Edit, SearchPath, Writing};
use cuda_redist::error::Severity;
use cuda_redist::manifest::json::{Tape, Token};
use cuda_redist::manifest::{self, Judging, Kind};
use cuda_redist::shape::Expression;
use cuda_redist::text::Position;
use cuda_redist::{fatbin, resolve};

/// A target.
pub type Target = fn(&[u8]);

/// All targets by name; the kept inputs of each lie in `tests/corpus/NAME/`.
pub const ALL: &[(&str, Target)] = &[
    ("elf_read", elf_read),
    ("elf_edit", elf_edit),
    ("manifest_json", manifest_json),
    ("features", features),
    ("releases", releases),
    ("shapes", shapes),
    ("fatbin", fatbin),
    ("tar", tar),
    ("zip", zip),
    ("entry_name", entry_name),
];

/// Lets `look` at a file with these bytes.
fn with_file(data: &[u8], look: impl FnOnce(&Path)) {
    thread_local! {
        /// Made once: creating files takes longer than what is fuzzed.
        static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().expect("a temporary file");
    }
    FILE.with(|file| {
        // Another file may have the name now.
        std::fs::write(file.path(), data).expect("a written file");
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
    let Some((data, requests, writing)) = elf_edits(data) else {
        return;
    };
    with_file(data, |file| {
        for edit in &requests {
            edit_once(file, edit, writing);
        }
    });
}

/// A file, and the two edits of it that the last bytes ask for: what, in bits, and how long the values are.
pub fn elf_edits(data: &[u8]) -> Option<(&[u8], [Edit; 2], Writing)> {
    let (data, [what, len, second_len]) = data.split_last_chunk()?;
    let value = |len: u8| "/x".repeat(usize::from(len));
    let edit = |len: u8| Edit {
        search_path: match what & 3 {
            0 => SearchPath::Keep,
            1 => SearchPath::Runpath(value(len)),
            2 => SearchPath::Rpath(value(len)),
            _ => SearchPath::Remove,
        },
        interpreter: (what & 4 != 0).then(|| format!("/{}", value(len / 2))),
        add_needed: (what & 8 != 0)
            .then(|| format!("lib{len}.so"))
            .into_iter()
            .collect(),
    };
    let writing = if what & 16 == 0 {
        Writing::InPlace
    } else {
        Writing::Safely
    };
    Some((data, [edit(*len), edit(*second_len)], writing))
}

/// The edit happens as asked, and asking again does nothing; or it is refused and nothing happens.
fn edit_once(file: &Path, edit: &Edit, writing: Writing) {
    let before = std::fs::read(file).expect("a readable file");
    let rung = elf::rung(file, edit);
    match elf::edit(file, edit, writing) {
        Ok(patched) => {
            assert_eq!(rung.ok(), Some(patched.rung));
            let facts = elf::read(file).expect("tables in order");
            let facts = facts.expect("an ELF file");
            match &edit.search_path {
                SearchPath::Keep => {}
                SearchPath::Runpath(value) => assert_eq!(facts.runpath.as_ref(), Some(value)),
                SearchPath::Rpath(value) => assert_eq!(facts.rpath.as_ref(), Some(value)),
                SearchPath::Remove => assert_eq!((&facts.rpath, &facts.runpath), (&None, &None)),
            }
            if edit.interpreter.is_some() {
                assert_eq!(facts.interpreter, edit.interpreter);
            }
            assert!(
                edit.add_needed
                    .iter()
                    .all(|name| facts.needed.contains(name))
            );
            let again = elf::edit(file, edit, writing).expect("an editable file");
            assert_eq!(again.bytes_written, 0);
        }
        Err(error) => {
            assert!(error.is_rejected(), "{error}");
            assert!(rung.is_err(), "{rung:?}");
            let after = std::fs::read(file).expect("a readable file");
            assert!(after == before, "changed: {error}");
        }
    }
}

/// Redistrib manifests, and JSON as such: the tape holds what serde_json makes of the same text.
pub fn manifest_json(data: &[u8]) {
    let parsed = serde_json::from_slice::<serde_json::Value>(data);
    match Tape::parse(data, "x") {
        Ok(tape) => {
            let keys: Vec<&str> = tape.keys().collect();
            let mut tokens = tape.tokens();
            let rebuilt = value(&keys, &mut tokens);
            assert!(tokens.next().is_none());
            let parsed = parsed.expect("what one parser reads the other reads");
            assert_eq!(rebuilt.as_ref(), rebuilt.as_ref().map(|_| &parsed));
        }
        Err(error) => {
            assert!(
                error.is_rejected() && parsed.is_err(),
                "{error}: {parsed:?}"
            );
        }
    }
    judged(Kind::Redistrib, data);
    if manifest::check(Kind::Redistrib, data, "x").is_ok() {
        manifest::read(data, "x").expect("what passed is read");
    }
}

/// The value of the tokens; `None` where a tape differs from serde_json on purpose: numbers that Nix reads otherwise, and
/// keys that are there twice.
fn value<'a>(
    keys: &[&str],
    tokens: &mut impl Iterator<Item = Token<'a>>,
) -> Option<serde_json::Value> {
    match tokens.next().expect("a value") {
        Token::Null => Some(serde_json::Value::Null),
        Token::Bool(value) => Some(value.into()),
        // `-0` is an integer here; what needs the sign bit is noted and refused.
        Token::Int(0 | i64::MAX) => None,
        Token::Int(number) => Some(number.into()),
        Token::Float(number) => Some(number.into()),
        Token::String(text) => Some(text.into()),
        Token::List(count) => {
            let items: Vec<_> = (0..count).map(|_| value(keys, tokens)).collect();
            items.into_iter().collect()
        }
        Token::Attrs(count) => {
            let mut members = Vec::new();
            for _ in 0..count {
                let Some(Token::Key(number)) = tokens.next() else {
                    panic!("a set holds a member without a key");
                };
                members.push((keys[number as usize].to_owned(), value(keys, tokens)));
            }
            let mut object = serde_json::Map::new();
            let mut is_plain = true;
            for (key, value) in members {
                is_plain &= value.is_some_and(|value| object.insert(key, value).is_none());
            }
            is_plain.then_some(object.into())
        }
        Token::Key(_) => panic!("a key in place of a value"),
    }
}

/// Feature manifests.
pub fn features(data: &[u8]) {
    judged(Kind::Feature, data);
}

/// Release expressions as JSON.
pub fn releases(data: &[u8]) {
    judged(Kind::Releases, data);
}

/// Both ways to judge agree, problems are sorted, and each is somewhere in the text.
fn judged(kind: Kind, data: &[u8]) {
    let judging = Judging {
        kind: Some(kind),
        ..Judging::default()
    };
    let report = manifest::inspect(data, "cuda/redistrib_1.0.json", judging);
    let errors = report.count(Severity::Error);
    let checked = manifest::check(kind, data, "cuda/redistrib_1.0.json");
    assert_eq!(errors == 0, checked.is_ok());
    if let Err(error) = checked {
        assert_eq!(error.problems().count(), errors);
    }
    let end = Position::of(data, data.len());
    let mut last = Position { line: 1, column: 1 };
    for diagnostic in &report.diagnostics {
        let position = diagnostic.position.expect("a position");
        assert!(
            last <= position && position <= end,
            "{diagnostic:?} after {last}"
        );
        last = position;
        let shown = format!("{diagnostic} {}", diagnostic.path);
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
}

/// A shape from outside and a value, two JSON texts with a NUL between them.
pub fn shapes(data: &[u8]) {
    let Some(between) = data.iter().position(|byte| *byte == 0) else {
        return;
    };
    let (shape, value) = data.split_at(between);
    let (Ok(shape), Ok(value)) = (Tape::parse(shape, "s"), Tape::parse(&value[1..], "v")) else {
        return;
    };
    let Ok(expression) = Expression::read(manifest::TABLE, shape.root());
    match expression {
        Ok(expression) => {
            let Ok(findings) = manifest::problems(&expression.rule, value.root());
            let _ = findings.into_parts();
        }
        Err(findings) => assert!(!findings.is_empty()),
    }
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

/// Tar archives, packed or not.
pub fn tar(data: &[u8]) {
    unpacked(data, "x.tar");
}

/// Zip archives, as such and as wheels.
pub fn zip(data: &[u8]) {
    unpacked(data, "x.zip");
    unpacked(data, "x.whl");
}

/// Names of entries, one a line: `name` a file, `name/` a directory, `name\ttarget` a symbolic link, `name\rtarget` a hard one.
pub fn entry_name(data: &[u8]) {
    let mut bytes = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let target = line.iter().position(|byte| matches!(byte, b'\t' | b'\r'));
        let (name, target) = line.split_at(target.unwrap_or(line.len()));
        let kind = match (target.first(), name.last()) {
            (Some(b'\t'), _) => b'2',
            (Some(_), _) => b'1',
            (None, Some(b'/')) => b'5',
            (None, _) => b'0',
        };
        tar_entry(&mut bytes, b'L', name);
        tar_entry(&mut bytes, b'K', target.get(1..).unwrap_or_default());
        tar_entry(&mut bytes, kind, b"");
    }
    bytes.extend_from_slice(&[0; 1024]);
    unpacked(&bytes, "x.tar");
}

/// Appends a tar entry without a name of its own.
fn tar_entry(bytes: &mut Vec<u8>, kind: u8, content: &[u8]) {
    let mut header = [0; 512];
    header[0] = b'x';
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar  \0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}

/// Listing and unpacking agree; what is listed is there, and nothing else; what is refused leaves nothing.
fn unpacked(data: &[u8], name: &str) {
    with_file(data, |file| {
        let file = File::open(file).expect("a readable file");
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("out");
        let listed = archive::list(&file, name, &|_| Ok(())).and_then(Unpacked::keep);
        match (listed, archive::unpack(&file, name, &target)) {
            (Ok(listed), Ok(unpacked)) => {
                assert_eq!(listed, unpacked);
                let mut found = Vec::new();
                walk(&target, "", &mut found);
                assert_eq!(listed.entries, found);
                std::fs::remove_dir_all(&target).expect("it goes");
            }
            (Err(listed), Err(unpacked)) => {
                assert!(unpacked.is_rejected(), "{unpacked}");
                assert_eq!(listed.render(), unpacked.render());
            }
            (listed, unpacked) => panic!("{listed:?} is not {unpacked:?}"),
        }
        let mut left = std::fs::read_dir(folder.path()).expect("it opens");
        assert!(left.next().is_none());
    });
}

/// Everything below `root`, in the order of [`archive::Contents`].
fn walk(root: &Path, below: &str, found: &mut Vec<Entry>) {
    let folder = std::fs::read_dir(root.join(below)).expect("it opens");
    let mut names: Vec<String> = folder
        .map(|entry| entry.expect("it is read").file_name())
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    for name in names {
        let path = Path::new(below).join(name);
        let path = path.to_str().expect("UTF-8").to_owned();
        let at = root.join(&path);
        let meta = at.symlink_metadata().expect("it is there");
        let kind = if meta.is_dir() {
            EntryKind::Directory
        } else if meta.is_symlink() {
            let target = std::fs::read_link(&at).expect("a link");
            EntryKind::Link {
                target: target.into_os_string().into_string().expect("UTF-8"),
            }
        } else {
            EntryKind::File {
                size_bytes: meta.len(),
                mode: meta.permissions().mode() & 0o7777,
            }
        };
        let is_directory = kind == EntryKind::Directory;
        found.push(Entry {
            path: path.clone(),
            kind,
        });
        if is_directory {
            walk(root, &path, found);
        }
    }
}
