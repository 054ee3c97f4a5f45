//! The libraries that code may open by `dlopen`: their names stand in the file, but no table lists them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use memchr::memmem::Finder;

use crate::elf::image::{Header, Section};
use crate::elf::source::Source;
use crate::error::{Error, Problem};

/// How much is read at once.
const BLOCK_BYTES: usize = 256 << 10;
/// Longer strings are no names of libraries. Two blocks overlap by that much and the NULs around it.
const NAME_BYTES_MAX: usize = 255;
/// libcufile, the library with most, has 15.
const NAMES_MAX: usize = 10_000;

/// What the read-only data of a file names. Both sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Names such as `libudev.so.1`, also with conversions of `printf` in them: `libnuma.so.%s`.
    pub libraries: BTreeSet<String>,
    /// Libraries named by a path, absolute or not: `/usr/lib64/libcuda.so`.
    pub paths: BTreeSet<String>,
}

/// Finds the names of libraries in the read-only data of the ELF file `path`; none in other files.
///
/// A name is a whole string, from NUL to NUL, so messages that mention a library do not count. Looked at are the loaded
/// sections that are neither written nor executed and are called `.rodata` or said to hold strings; device code and other
/// payload is never read. A file without section headers has no names in this sense. Takes less than a megabyte of
/// memory, whatever the size of the file.
///
/// # Errors
/// The file cannot be read, its sections do not lie inside it, or it names more libraries than any real one.
pub fn names(path: &Path) -> Result<Names, Error> {
    let source = Source::open(path)?;
    let mut found = Names::default();
    let Some(header) = Header::read(&source, 0, source.size())? else {
        return Ok(found);
    };
    let is_text = |section: &Section, name: &[u8]| {
        let is_named = name.starts_with(b".rodata") || name.starts_with(b".lrodata");
        section.is_read_only_data() && (is_named || section.is_strings())
    };
    for range in header.sections_where(&source, 0, source.size(), is_text)? {
        section(&source, range, &mut found)?;
    }
    Ok(found)
}

/// A file names more libraries than any real one.
#[derive(Debug, thiserror::Error)]
#[error("expected the names of at most {NAMES_MAX} libraries, found more")]
struct TooMany {
    place: String,
}

impl Problem for TooMany {
    fn place(&self) -> Option<String> {
        Some(format!("{}: read-only data", self.place))
    }
}

/// Searches one section, block by block.
fn section(source: &Source, range: Range<u64>, found: &mut Names) -> Result<(), Error> {
    let needle = Finder::new(".so");
    let overlap = NAME_BYTES_MAX + 2;
    let mut block: Vec<u8> = Vec::with_capacity(BLOCK_BYTES + overlap);
    // The section starts as if a string ended there.
    block.push(0);
    let mut at = range.start;
    while at < range.end {
        let len = (range.end - at).min(BLOCK_BYTES as u64);
        block.extend(source.read(at, len, "read-only data")?);
        at = at.saturating_add(len);
        if at == range.end {
            block.push(0);
        }
        strings(&needle, &block, found);
        if found.libraries.len().saturating_add(found.paths.len()) > NAMES_MAX {
            let place = source.place().to_owned();
            return Err(TooMany { place }.into());
        }
        block.drain(..block.len().saturating_sub(overlap));
    }
    Ok(())
}

/// Adds the names of libraries that stand between two NULs of `block`.
fn strings(needle: &Finder<'_>, block: &[u8], found: &mut Names) {
    let mut from = 0;
    while let Some(hit) = block.get(from..).and_then(|rest| needle.find(rest)) {
        let hit = from.saturating_add(hit);
        let (before, after) = block.split_at_checked(hit).unwrap_or_default();
        let in_name = |byte: &&u8| is_name_byte(**byte);
        let left = before.iter().rev().take(NAME_BYTES_MAX).take_while(in_name);
        let right = after.iter().take(NAME_BYTES_MAX).take_while(in_name);
        let (start, end) = (
            hit.saturating_sub(left.count()),
            hit.saturating_add(right.count()),
        );
        // All further hits in this stretch belong to the same string.
        from = end.max(hit.saturating_add(1));
        let is_nul = |at: Option<usize>| at.and_then(|at| block.get(at)) == Some(&0);
        if !is_nul(start.checked_sub(1)) || !is_nul(Some(end)) {
            continue;
        }
        let text = block
            .get(start..end)
            .and_then(|text| std::str::from_utf8(text).ok());
        if let Some(text) = text.filter(|text| text.len() <= NAME_BYTES_MAX) {
            match text.rsplit_once('/') {
                Some((_, name)) if is_library_name(name) => found.paths.insert(text.to_owned()),
                None if is_library_name(text) => found.libraries.insert(text.to_owned()),
                _ => false,
            };
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-+./%".contains(&byte)
}

/// Is `name` `lib`, at least one character, `.so` and perhaps versions, each after a dot? Conversions of `printf` count
/// as characters and as versions.
fn is_library_name(name: &str) -> bool {
    let Some((stem, versions)) = name.split_once(".so") else {
        return false;
    };
    let is_version = |version: &str| {
        !version.is_empty()
            && (version.bytes().all(|byte| byte.is_ascii_digit())
                || version.strip_prefix('%').is_some_and(|conversion| {
                    let kind =
                        conversion.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
                    ["s", "d", "i", "u", "lu", "ld", "zu"].contains(&kind)
                }))
    };
    let mut versions = versions.split('.');
    stem.len() > "lib".len()
        && stem.starts_with("lib")
        && versions.next() == Some("")
        && versions.all(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_libraries_are_told_from_other_strings() {
        for (name, expected) in [
            ("libudev.so", true),
            ("libcuda.so.1", true),
            ("libnvrtc-builtins.so.12.6", true),
            ("libnuma.so.%s", true),
            ("libx.so.%d.%02d", true),
            ("libx%d.so.%lu", true),
            ("libstdc++.so.6", true),
            ("lib.so", false),
            ("x.so", false),
            ("libx.sock", false),
            ("libx.so.", false),
            ("libx.so.1.dbg", false),
            ("libx.so.%", false),
            ("libx.so..1", false),
            ("libx.so.1.so", false),
            ("", false),
        ] {
            assert_eq!(is_library_name(name), expected, "{name}");
        }
    }

    #[test]
    fn only_whole_strings_count() {
        let mut found = Names::default();
        let data = b"\0libfirst.so\0cannot load libsecond.so\0libthird.so is missing\0/usr/lib/libfourth.so.1\0./libfifth.so\0\
            libsixth.so.%d\0\xfflibseventh.so\0.so\0libcut.so.1";
        strings(&Finder::new(".so"), data, &mut found);
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(list(&found.libraries), "libfirst.so libsixth.so.%d");
        assert_eq!(list(&found.paths), "./libfifth.so /usr/lib/libfourth.so.1");
    }

    /// A file with sections of these names, flags (2: loaded, 1: written, 4: executed, 0x20: strings) and contents.
    fn object(sections: &[(&str, u64, &[u8])]) -> tempfile::NamedTempFile {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        let mut names = vec![0];
        let mut headers = vec![0; 64];
        let mut add = |bytes: &mut Vec<u8>, name: usize, kind: u64, flags: u64, data: &[u8]| {
            let mut header = [0; 64];
            header[..8].copy_from_slice(&(name as u64 | kind << 32).to_le_bytes());
            header[8..16].copy_from_slice(&flags.to_le_bytes());
            header[24..32].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(data.len() as u64).to_le_bytes());
            headers.extend(header);
            bytes.extend(data);
        };
        for (name, flags, data) in sections {
            add(&mut bytes, names.len(), 1, *flags, data);
            names.extend(name.bytes().chain([0]));
        }
        add(&mut bytes, 0, 3, 0, &names);
        let table = (bytes.len() as u64).to_le_bytes();
        bytes[40..48].copy_from_slice(&table);
        let count = u8::try_from(sections.len()).unwrap();
        bytes[58..64].copy_from_slice(&[64, 0, count + 2, 0, count + 1, 0]);
        bytes.extend(headers);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn names_are_found_wherever_blocks_end() {
        let longest = format!("lib{}.so.1", "x".repeat(NAME_BYTES_MAX - 8));
        for name in ["libx.so", "libname.so.12.3", &longest] {
            let around = name.len() + 3;
            for at in BLOCK_BYTES - around..BLOCK_BYTES + 3 {
                let mut data = vec![0; 2 * BLOCK_BYTES + 100];
                data[at..at + name.len()].copy_from_slice(name.as_bytes());
                let mut found = Names::default();
                let file = object(&[(".rodata", 2, &data)]);
                let source = Source::open(file.path()).unwrap();
                section(&source, 64..64 + data.len() as u64, &mut found).unwrap();
                assert_eq!(
                    found.libraries.iter().collect::<Vec<_>>(),
                    [name],
                    "{name} at {at}"
                );
                // One letter more in front and it is no name.
                data[at - 1] = b'x';
                let file = object(&[(".rodata", 2, &data)]);
                assert_eq!(
                    names(file.path()).unwrap(),
                    Names::default(),
                    "x{name} at {at}"
                );
            }
        }
        let too_long = format!("lib{}.so", "x".repeat(NAME_BYTES_MAX));
        let file = object(&[(".rodata", 2, too_long.as_bytes())]);
        assert_eq!(names(file.path()).unwrap(), Names::default());
    }

    #[test]
    fn only_read_only_strings_are_looked_at() {
        let file = object(&[
            (".rodata", 2, b"libone.so"),
            (".rodata.str1.1", 0x32, b"libtwo.so\0"),
            (".lrodata", 2, b"libthree.so"),
            (".comment", 0x32, b"libfour.so"),
            (".nv_fatbin", 2, b"\0liba.so\0"),
            (".cask_resource", 2, b"\0libb.so\0"),
            (".text", 6, b"\0libc.so\0"),
            (".data", 3, b"\0libd.so\0"),
            (".rodata.write", 3, b"\0libe.so\0"),
            (".debug_str", 0x30, b"\0libf.so\0"),
        ]);
        let found = names(file.path()).unwrap();
        assert_eq!(
            found.libraries.into_iter().collect::<Vec<_>>(),
            ["libfour.so", "libone.so", "libthree.so", "libtwo.so"]
        );
    }

    #[test]
    fn files_with_too_many_names_are_refused() {
        let list = |count: usize| {
            let names: Vec<String> = (0..count).map(|number| format!("lib{number}.so")).collect();
            object(&[(".rodata", 2, names.join("\0").as_bytes())])
        };
        assert_eq!(
            names(list(NAMES_MAX).path()).unwrap().libraries.len(),
            NAMES_MAX
        );
        let error = names(list(NAMES_MAX + 1).path()).unwrap_err();
        assert!(
            error.is_rejected() && error.render().contains("at most 10000 libraries"),
            "{error}"
        );
    }

    #[test]
    fn long_runs_take_linear_time() {
        let data = b".so".repeat(1 << 20);
        let mut found = Names::default();
        let start = std::time::Instant::now();
        strings(&Finder::new(".so"), &data, &mut found);
        assert_eq!(found, Names::default());
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
