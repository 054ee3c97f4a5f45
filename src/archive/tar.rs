//! Tar archives: every entry judged, extended headers read by ourselves, the data read to its very end.
//!
//! The `tar` crate frames the blocks and checks header sums. Its handling of extended headers is not used: it reads
//! them without a cap and skips what it does not like in silence.

use std::cell::Cell;
use std::io::{self, Read};

use tar::EntryType;

use super::ArchiveError;
use super::entry::{self, Refusal, Slash, TopFolder};
use super::limits;
use super::unpack::{Executable, Tree};
use crate::relpath::RelPath;
use crate::text;

/// Unpacks the tar archive read from `input`, called `archive` in messages, below its one top folder into `tree`.
pub(super) fn unpack(input: impl Read, archive: &str, tree: &mut Tree) -> Result<(), ArchiveError> {
    let whole = |refusal| ArchiveError::whole(archive, refusal);
    let ended = Cell::new(false);
    let mut reader = tar::Archive::new(Watched {
        inner: input,
        ended: &ended,
    });
    let mut top = TopFolder::default();
    let mut number: u64 = 0;
    let mut extensions = Extensions::default();
    for entry in reader
        .entries()
        .map_err(Refusal::read)
        .map_err(whole)?
        .raw(true)
    {
        let next = number.saturating_add(1);
        let mut entry =
            entry.map_err(|error| ArchiveError::nameless(archive, next, Refusal::read(error)))?;
        let extension = extensions.take_from(&mut entry);
        if extension
            .map_err(|refusal| ArchiveError::entry(archive, next, &entry.path_bytes(), refusal))?
        {
            continue;
        }
        number = next;
        let extended = std::mem::take(&mut extensions);
        let name = extended
            .path
            .clone()
            .unwrap_or_else(|| entry.path_bytes().into_owned());
        let failed = |refusal| ArchiveError::entry(archive, number, &name, refusal);
        if number > limits::ENTRIES {
            let (what, limit) = ("a number of entries", limits::ENTRIES);
            return Err(failed(Refusal::Limit {
                what,
                limit,
                found: number,
            }));
        }
        place(&mut entry, extended, &name, number, &mut top, tree).map_err(failed)?;
    }
    if extensions.count > 0 {
        return Err(whole(Refusal::LoneExtension));
    }
    if ended.get() {
        return Err(whole(Refusal::EndMarker));
    }
    if number == 0 {
        return Err(whole(Refusal::NoEntries));
    }
    drain(&mut reader.into_inner()).map_err(whole)
}

/// Puts one entry into the tree.
fn place<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    extended: Extensions,
    name: &[u8],
    number: u64,
    top: &mut TopFolder,
    tree: &mut Tree,
) -> Result<(), Refusal> {
    let header = entry.header();
    let kind = header.entry_type();
    let mode = header.mode().map_err(Refusal::read)?;
    let size = entry.size();
    if size > limits::OUTPUT_BYTES {
        return Err(Refusal::Output {
            limit: limits::OUTPUT_BYTES,
        });
    }
    if let Some(pax) = extended.size
        && pax != size.to_string()
    {
        return Err(Refusal::PaxSize { header: size, pax });
    }
    let old = header.as_old();
    zeros_after_name(&old.name)?;
    zeros_after_name(&old.linkname)?;
    let link = match extended.link {
        Some(link) => link,
        None => header.link_name_bytes().unwrap_or_default().into_owned(),
    };
    let (path, slash) = entry::name(name)?;
    let Some(path) = path else {
        return if kind == EntryType::Directory {
            Ok(())
        } else {
            Err(Refusal::TrailingSlash)
        };
    };
    let slash = if kind == EntryType::Directory {
        Slash::Trailing
    } else {
        slash
    };
    if kind != EntryType::Directory && slash == Slash::Trailing {
        return Err(Refusal::TrailingSlash);
    }
    let Some(path) = top.strip(&path, slash)? else {
        return Ok(());
    };
    let empty = |kind| match size {
        0 => Ok(()),
        size_bytes => Err(Refusal::UnexpectedContent { kind, size_bytes }),
    };
    match kind {
        EntryType::Regular => {
            let found = tree.file(&path, number, Executable::of_mode(mode), entry)?;
            if found != size {
                return Err(Refusal::Size {
                    expected: size,
                    found,
                });
            }
            Ok(())
        }
        EntryType::Directory => {
            empty("a directory")?;
            tree.directory(&path, number)
        }
        EntryType::Symlink => {
            empty("a symbolic link")?;
            tree.link(&path, number, entry::link_target(&link)?)
        }
        EntryType::Link => {
            empty("a hard link")?;
            tree.hard_link(&path, number, &hard_link_target(&link, top)?)
        }
        EntryType::GNUSparse => Err(Refusal::Sparse),
        other => Err(Refusal::Kind {
            found: kind_name(other),
        }),
    }
}

/// Hard links name their target from the archive's root, unlike symbolic links.
fn hard_link_target(link: &[u8], top: &mut TopFolder) -> Result<RelPath, Refusal> {
    let outside = || Refusal::HardLink {
        target: String::from_utf8_lossy(link).into_owned(),
    };
    let (path, slash) = entry::name(link).map_err(|_| outside())?;
    path.and_then(|path| top.strip(&path, slash).ok().flatten())
        .ok_or_else(outside)
}

fn kind_name(kind: EntryType) -> String {
    match kind {
        EntryType::Char => "a character device".to_owned(),
        EntryType::Block => "a block device".to_owned(),
        EntryType::Fifo => "a named pipe".to_owned(),
        EntryType::Continuous => "a contiguous file".to_owned(),
        other => format!("the entry type {}", text::quote_bytes(&[other.as_byte()])),
    }
}

/// Other readers stop at the first zero byte of a name; what stands behind it could be read as another name.
fn zeros_after_name(field: &[u8]) -> Result<(), Refusal> {
    let tail = field.iter().skip_while(|byte| **byte != 0);
    if tail.copied().all(|byte| byte == 0) {
        Ok(())
    } else {
        Err(Refusal::NameTail)
    }
}

/// What the extended headers in front of an entry say about it.
#[derive(Debug, Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<String>,
    count: u32,
}

impl Extensions {
    /// Reads `entry` if it is an extended header and says whether it was one.
    fn take_from<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<bool, Refusal> {
        let kind = entry.header().entry_type();
        if !matches!(
            kind,
            EntryType::GNULongName
                | EntryType::GNULongLink
                | EntryType::XHeader
                | EntryType::XGlobalHeader
        ) {
            return Ok(false);
        }
        self.count = self.count.saturating_add(1);
        if self.count > limits::TAR_EXTENSIONS {
            let (what, found) = ("a number of extended headers", self.count.into());
            return Err(Refusal::Limit {
                what,
                limit: limits::TAR_EXTENSIONS.into(),
                found,
            });
        }
        let size = entry.size();
        if size > limits::TAR_EXTENSION_BYTES {
            let what = "an extended header (bytes)";
            return Err(Refusal::Limit {
                what,
                limit: limits::TAR_EXTENSION_BYTES,
                found: size,
            });
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(Refusal::read)?;
        let found = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if found != size {
            return Err(Refusal::Size {
                expected: size,
                found,
            });
        }
        match kind {
            EntryType::GNULongName => set(&mut self.path, without_zero(bytes), "long name"),
            EntryType::GNULongLink => set(&mut self.link, without_zero(bytes), "long link target"),
            kind => self.take_pax(&bytes, kind == EntryType::XGlobalHeader),
        }?;
        Ok(true)
    }

    /// Reads the records of a pax header, `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record (POSIX `pax`).
    fn take_pax(&mut self, bytes: &[u8], global: bool) -> Result<(), Refusal> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let offset = bytes.len().saturating_sub(rest.len());
            let (key, value, after) = pax_record(rest).ok_or(Refusal::PaxRecord { offset })?;
            rest = after;
            match key {
                // A global name or size would change the meaning of every later entry.
                b"path" | b"linkpath" | b"size" if global => {
                    let key = String::from_utf8_lossy(key);
                    return Err(Refusal::Kind {
                        found: format!("a global pax record `{key}`"),
                    });
                }
                b"path" => set(&mut self.path, value.to_vec(), "path")?,
                b"linkpath" => set(&mut self.link, value.to_vec(), "link target")?,
                b"size" => set(
                    &mut self.size,
                    String::from_utf8_lossy(value).into_owned(),
                    "size",
                )?,
                key if key.starts_with(b"GNU.sparse.") => return Err(Refusal::Sparse),
                // Owners, times, comments and extended attributes: nothing that a store path keeps.
                _ => {}
            }
        }
        Ok(())
    }
}

fn set<T>(slot: &mut Option<T>, value: T, what: &'static str) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::DoubledExtension { what }),
    }
}

/// GNU's long names end in one zero byte; further ones are refused with the name.
fn without_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// The first record of `bytes`: key, value and what follows it.
fn pax_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let digits = std::str::from_utf8(bytes.get(..space)?).ok()?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (record, rest) = bytes.split_at_checked(digits.parse().ok()?)?;
    let record = record
        .get(space..)?
        .strip_prefix(b" ")?
        .strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = record.split_at_checked(equals)?;
    Some((key, value.strip_prefix(b"=")?, rest))
}

/// After the first block of zeros: a second one, then nothing but zeros up to the end of the decompressed data.
/// Reading on to that end is what makes the decompressor check its own trailer.
fn drain(input: &mut impl Read) -> Result<(), Refusal> {
    let mut buffer = vec![0; limits::COPY_BYTES];
    let mut total: u64 = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) if total < 512 => return Err(Refusal::EndMarker),
            Ok(0) => return Ok(()),
            Ok(count) => {
                if buffer.iter().take(count).any(|byte| *byte != 0) {
                    return Err(Refusal::TrailingData);
                }
                total = total.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Refusal::read(error)),
        }
    }
}

/// A reader that remembers whether its end was reached: the `tar` crate treats a missing end marker as an end.
struct Watched<'a, R> {
    inner: R,
    ended: &'a Cell<bool>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.ended.set(true);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_records_are_read_exactly() {
        for (input, expected) in [
            (
                &b"11 path=ab\n"[..],
                Some((&b"path"[..], &b"ab"[..], &b""[..])),
            ),
            (b"13 path=a\nb=\n", Some((b"path", b"a\nb=", b""))),
            (b"6 a=b\nrest", Some((b"a", b"b", b"rest"))),
            (b"7 a=b\n", None),
            (b"+6 a=b\n", None),
            (b"0 a=b\n", None),
            (b"6 aab\n", None),
            (b"99999999999 a=b\n", None),
            (b"path", None),
        ] {
            assert_eq!(
                pax_record(input),
                expected,
                "{}",
                String::from_utf8_lossy(input)
            );
        }
    }
}
