//! A file read in small, bounds-checked pieces.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::error::ElfError;
use crate::text;

/// An open file. Nothing is read before it is asked for, and no byte outside the file is ever asked for.
pub(crate) struct Source {
    file: File,
    place: String,
    task: &'static str,
    size_bytes: u64,
    read_bytes: Cell<u64>,
}

impl Source {
    /// Opens the regular file `path` for reading.
    pub(crate) fn open(path: &Path) -> Result<Source, ElfError> {
        let place = text::printable(&path.display().to_string());
        match File::open(path) {
            Ok(file) => Source::new(file, place),
            Err(source) => Err(ElfError::Io {
                place,
                action: "open the file",
                source,
            }),
        }
    }

    /// Takes over an open file; `place` names it in messages.
    pub(crate) fn new(file: File, place: String) -> Result<Source, ElfError> {
        let meta = match file.metadata() {
            Ok(meta) => meta,
            Err(source) => {
                return Err(ElfError::Io {
                    place,
                    action: "look at the file",
                    source,
                });
            }
        };
        if !meta.is_file() {
            let found = if meta.is_dir() {
                "a directory"
            } else {
                "a special file"
            };
            let (expected, found) = ("a regular file".to_owned(), found.to_owned());
            return Err(ElfError::Damaged {
                place,
                table: "file type",
                expected,
                found,
            });
        }
        Ok(Source {
            file,
            place,
            task: "read the file",
            size_bytes: meta.len(),
            read_bytes: Cell::new(0),
        })
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The file's name, safe to show.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Says what the file is read for: the verb and object of `cannot TASK: ...`.
    pub(super) fn with_task(mut self, task: &'static str) -> Source {
        self.task = task;
        self
    }

    /// What the file is read for.
    pub(super) fn task(&self) -> &'static str {
        self.task
    }

    /// The file's size when it was opened, or after the last [`Source::set_size`].
    pub(crate) fn size(&self) -> u64 {
        self.size_bytes
    }

    /// Notes that the file was made longer or shorter through this handle.
    pub(super) fn set_size(&mut self, size_bytes: u64) {
        self.size_bytes = size_bytes;
    }

    /// Notes that `len` bytes were read by other means.
    pub(super) fn note_read(&self, len: u64) {
        self.read_bytes
            .set(self.read_bytes.get().saturating_add(len));
    }

    /// How many bytes were read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read_bytes.get()
    }

    /// The `len` bytes at `offset`; `table` says what they are.
    ///
    /// # Errors
    /// [`ElfError::Damaged`] when they are not all inside the file (nothing is allocated then).
    pub(crate) fn read(
        &self,
        offset: u64,
        len: u64,
        table: &'static str,
    ) -> Result<Vec<u8>, ElfError> {
        let inside = offset
            .checked_add(len)
            .is_some_and(|end| end <= self.size_bytes);
        let (true, Ok(wanted)) = (inside, usize::try_from(len)) else {
            let expected = format!("{len} bytes at offset 0x{offset:x}");
            return Err(self.damaged(
                table,
                expected,
                format!("a file of {} bytes", self.size_bytes),
            ));
        };
        let mut bytes = vec![0; wanted];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|source| self.io("read the file", source))?;
        self.note_read(len);
        Ok(bytes)
    }

    /// A [`ElfError::Damaged`] about this file.
    pub(crate) fn damaged(
        &self,
        table: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> ElfError {
        ElfError::Damaged {
            place: self.place.clone(),
            table,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// A [`ElfError::Io`] about this file.
    pub(super) fn io(&self, action: &'static str, source: std::io::Error) -> ElfError {
        ElfError::Io {
            place: self.place.clone(),
            action,
            source,
        }
    }

    /// A [`ElfError::NoRoom`] about this file.
    pub(super) fn no_room(&self, reason: impl Into<String>) -> ElfError {
        ElfError::NoRoom {
            place: self.place.clone(),
            task: self.task,
            reason: reason.into(),
        }
    }
}

/// A part of a file that is read from front to back, a block at a time.
pub(super) struct Window<'a> {
    source: &'a Source,
    part: std::ops::Range<u64>,
    table: &'static str,
    start: u64,
    block: Vec<u8>,
}

impl<'a> Window<'a> {
    /// Reads at least this much at once, if there is so much.
    const BLOCK_BYTES: u64 = 4096;

    /// Nothing is read yet; `table` says what `part` of the file is.
    pub(super) fn new(source: &'a Source, part: std::ops::Range<u64>, table: &'static str) -> Self {
        Window {
            source,
            part,
            table,
            start: 0,
            block: Vec::new(),
        }
    }

    /// The `len` bytes at `offset` of the file, which lie in the part.
    pub(super) fn bytes(&mut self, offset: u64, len: u64) -> Result<&[u8], ElfError> {
        let end = offset.saturating_add(len);
        let held = self.start..self.start.saturating_add(self.block.len() as u64);
        if offset < held.start || end > held.end {
            let whole = self.part.end.saturating_sub(offset).min(Self::BLOCK_BYTES);
            self.block = self.source.read(offset, whole.max(len), self.table)?;
            self.start = offset;
        }
        let at = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let held = at.checked_add(len).and_then(|end| self.block.get(at..end));
        held.ok_or_else(|| {
            self.source
                .damaged(self.table, "bytes that were read", "none")
        })
    }
}

/// Takes fixed-size fields off the front of bytes; `None` past the end.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    big_endian: bool,
    wide: bool,
}

impl<'a> Fields<'a> {
    /// Little-endian fields with 64-bit words.
    pub(crate) fn little(bytes: &'a [u8]) -> Fields<'a> {
        Fields {
            rest: bytes,
            big_endian: false,
            wide: true,
        }
    }

    /// Fields as an ELF file of this byte order and class has them.
    pub(super) fn of(bytes: &'a [u8], order: super::ByteOrder, class: super::Class) -> Fields<'a> {
        Fields {
            rest: bytes,
            big_endian: order == super::ByteOrder::Big,
            wide: class == super::Class::Elf64,
        }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        let mut bytes = *head;
        if self.big_endian {
            bytes.reverse();
        }
        Some(bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// An address, offset or size: 8 bytes in a 64-bit file, 4 in a 32-bit one.
    pub(super) fn word(&mut self) -> Option<u64> {
        if self.wide {
            self.u64()
        } else {
            self.u32().map(u64::from)
        }
    }

    /// The next `len` bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }

    /// Is nothing left?
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
