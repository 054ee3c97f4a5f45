//! Carries out a layout: writes, re-reads, and takes everything back if something is wrong.

use std::fs::{File, FileTimes, Permissions};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use super::check::Breach;
use super::edit::Patched;
use super::error::ElfError;
use super::layout::{Piece, Plan, Step, Write};
use super::source::Source;

/// How much is held in memory at once, of what is written and of what is moved.
const BUFFER_BYTES: u64 = 1 << 20;

/// Carries out `plan` and says how many bytes were written.
///
/// `judge` looks at the written file. If it objects, or a step fails, the old bytes, length and times are restored.
pub(super) fn apply(
    source: &mut Source,
    plan: &Plan,
    judge: impl FnOnce(&Source) -> Result<(), Breach>,
) -> Result<u64, ElfError> {
    let mut old = Old::keep(source, plan)?;
    let mut bytes_written = 0_u64;
    for step in &plan.steps {
        let done = match step {
            Step::Write(write) => write_out(source.file(), write),
            Step::Move { from, by } => old.move_back(source.file(), *from, *by),
        };
        match done {
            Ok(bytes) => {
                bytes_written = bytes_written.saturating_add(bytes);
                source.note_read(step.bytes_read(bytes));
            }
            Err(error) => {
                return Err(old.restore(source.file(), "write the file", error, source.place()));
            }
        }
    }
    match source.file().metadata() {
        Ok(meta) => source.set_size(meta.len()),
        Err(error) => {
            return Err(old.restore(source.file(), "look at the file", error, source.place()));
        }
    }
    match judge(source) {
        Ok(()) => Ok(bytes_written),
        Err((expected, found)) => {
            let state = match old.put_back(source.file()) {
                Ok(()) => "left unchanged",
                Err(_) => "left damaged: it could not be put back",
            };
            Err(ElfError::Broken {
                place: source.place().to_owned(),
                task: source.task(),
                expected,
                found,
                state,
            })
        }
    }
}

/// Lets `edit` work on a copy of `path` in the same folder, which then takes its name.
///
/// The copy has the mode and, where the system allows it, the owner of the original; access control lists and other extended
/// attributes (file capabilities among them) stay behind.
pub(super) fn replace(
    path: &Path,
    place: &str,
    edit: impl FnOnce(File) -> Result<Patched, ElfError>,
) -> Result<Patched, ElfError> {
    let io = |action| {
        move |source| ElfError::Io {
            place: place.to_owned(),
            action,
            source,
        }
    };
    // A link is followed: what it names is replaced, not the link.
    let path = path.canonicalize().map_err(io("find the file"))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let copy = tempfile::Builder::new()
        .prefix(".cuda-redist-")
        .tempfile_in(folder)
        .map_err(io("make a copy beside the file"))?;
    let mut original = File::open(&path).map_err(io("open the file"))?;
    let meta = original.metadata().map_err(io("look at the file"))?;
    let copied = std::io::copy(&mut original, &mut copy.as_file());
    copied.map_err(io("make a copy beside the file"))?;
    let (user, group) = (
        std::os::unix::fs::MetadataExt::uid(&meta),
        std::os::unix::fs::MetadataExt::gid(&meta),
    );
    // Only the superuser gives files away; anybody else keeps what was theirs already.
    let given = std::os::unix::fs::fchown(copy.as_file(), Some(user), Some(group));
    let mode = copied_mode(meta.permissions(), given.is_ok());
    let mode = copy.as_file().set_permissions(mode);
    mode.map_err(io("make a copy beside the file"))?;
    let handle = copy.as_file().try_clone();
    let patched = edit(handle.map_err(io("make a copy beside the file"))?)?;
    let renamed = copy.persist(&path).map_err(|error| error.error);
    renamed.map_err(io("let the edited copy take the file's name"))?;
    Ok(Patched {
        bytes_written: patched.bytes_written.saturating_add(meta.len()),
        bytes_read: patched.bytes_read.saturating_add(meta.len()),
        ..patched
    })
}

/// The mode of a copy: one that could not be given to the original's owner does not run with the rights of whoever owns it now.
fn copied_mode(original: Permissions, is_owner_same: bool) -> Permissions {
    const SET_ID: u32 = 0o6000;
    let mode = original.mode() & 0o7777;
    Permissions::from_mode(if is_owner_same { mode } else { mode & !SET_ID })
}

/// Writes all pieces; small ones together, so that they appear at once.
fn write_out(file: &File, write: &Write) -> std::io::Result<u64> {
    let mut offset = write.offset;
    let mut buffer = Vec::new();
    let flush = |buffer: &mut Vec<u8>, offset: &mut u64| {
        file.write_all_at(buffer, *offset)?;
        *offset = offset.saturating_add(buffer.len() as u64);
        buffer.clear();
        std::io::Result::Ok(())
    };
    for piece in &write.pieces {
        let mut done = 0;
        while done < piece.len() {
            let room = BUFFER_BYTES.saturating_sub(buffer.len() as u64);
            let len = (piece.len() - done).min(room);
            let start = buffer.len();
            let end = start.saturating_add(usize::try_from(len).unwrap_or(0));
            match piece {
                Piece::Bytes(bytes) => {
                    let from = usize::try_from(done).unwrap_or(usize::MAX);
                    let to = from.saturating_add(end - start);
                    buffer.extend(bytes.get(from..to).unwrap_or_default());
                }
                Piece::Fill(byte, _) => buffer.resize(end, *byte),
                Piece::Copy(range) => {
                    buffer.resize(end, 0);
                    let target = buffer.get_mut(start..).unwrap_or_default();
                    file.read_exact_at(target, range.start.saturating_add(done))?;
                }
            }
            done = done.saturating_add(len);
            if buffer.len() as u64 >= BUFFER_BYTES {
                flush(&mut buffer, &mut offset)?;
            }
        }
    }
    flush(&mut buffer, &mut offset)?;
    Ok(write.len())
}

/// What the file was before.
struct Old {
    size_bytes: u64,
    /// Bytes that are written over and where they were, save those of which a move left a copy.
    pieces: Vec<(u64, Vec<u8>)>,
    /// The end of the file that was moved, as far as it was.
    moved: Option<Moved>,
    times: Option<FileTimes>,
}

/// The bytes `range` are found `by` bytes further back.
struct Moved {
    range: Range<u64>,
    by: u64,
    /// What was about to be moved too when that failed, and may be lost in the file.
    block: (u64, Vec<u8>),
}

impl Old {
    fn keep(source: &Source, plan: &Plan) -> Result<Old, ElfError> {
        let size_bytes = source.size();
        // Where the bytes before `end` lie, and those that were moved there from `tail`, by `by` bytes.
        let (mut end, mut tail, mut by) = (size_bytes, size_bytes..size_bytes, 0);
        let mut pieces = Vec::new();
        for step in &plan.steps {
            match step {
                // What is moved can be moved back.
                Step::Move { from, by: distance } => {
                    end = end.min(*from);
                    (tail, by) = (end..size_bytes, *distance);
                }
                Step::Write(write) => {
                    let written = write.offset..write.offset.saturating_add(write.len());
                    // Bytes changed after they were moved go back to where they came from.
                    let moved = written.start.saturating_sub(by)..written.end.saturating_sub(by);
                    for (range, whole) in [(written, 0..end), (moved, tail.clone())] {
                        let start = range.start.max(whole.start);
                        let len = range.end.min(whole.end).saturating_sub(start);
                        if len > 0 {
                            let bytes = source.read(start, len, "bytes to be replaced")?;
                            pieces.push((start, bytes));
                        }
                    }
                }
            }
        }
        let meta = source
            .file()
            .metadata()
            .map_err(|error| source.io("look at the file", error))?;
        let times = match (meta.accessed(), meta.modified()) {
            (Ok(accessed), Ok(modified)) => Some(
                FileTimes::new()
                    .set_accessed(accessed)
                    .set_modified(modified),
            ),
            _ => None,
        };
        Ok(Old {
            size_bytes,
            pieces,
            moved: None,
            times,
        })
    }

    /// Moves the end of the file, the last block first: blocks may overlap their new places.
    fn move_back(&mut self, file: &File, from: u64, by: u64) -> std::io::Result<u64> {
        let mut at = self.size_bytes;
        while at > from {
            let start = at.saturating_sub(BUFFER_BYTES).max(from);
            let mut block = vec![0; usize::try_from(at - start).unwrap_or(0)];
            file.read_exact_at(&mut block, start)?;
            let moved = self.moved.insert(Moved {
                range: at..self.size_bytes,
                by,
                block: (start, block),
            });
            file.write_all_at(&moved.block.1, start.saturating_add(by))?;
            moved.range.start = start;
            moved.block.1.clear();
            at = start;
        }
        Ok(self.size_bytes.saturating_sub(from))
    }

    fn put_back(&self, file: &File) -> std::io::Result<()> {
        if let Some(Moved { range, by, block }) = &self.moved {
            file.write_all_at(&block.1, block.0)?;
            let mut at = range.start;
            while at < range.end {
                let len = (range.end - at).min(BUFFER_BYTES);
                let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
                file.read_exact_at(&mut bytes, at.saturating_add(*by))?;
                file.write_all_at(&bytes, at)?;
                at = at.saturating_add(len);
            }
        }
        // All are as they were before the first step: of those written twice either will do.
        for (offset, bytes) in &self.pieces {
            file.write_all_at(bytes, *offset)?;
        }
        file.set_len(self.size_bytes)?;
        self.times.map_or(Ok(()), |times| file.set_times(times))
    }

    /// Puts the file back after `error` and says so.
    fn restore(
        &self,
        file: &File,
        action: &'static str,
        error: std::io::Error,
        place: &str,
    ) -> ElfError {
        let place = place.to_owned();
        match self.put_back(file) {
            Ok(()) => ElfError::Io {
                place,
                action,
                source: error,
            },
            Err(_) => ElfError::Io {
                place,
                action: "write the file, nor put it back: it is damaged now",
                source: error,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::edit::Rung;
    use super::*;

    fn plan(writes: &[(u64, &[u8])]) -> Plan {
        let write =
            |(offset, bytes): &(u64, &[u8])| Step::Write(Write::bytes(*offset, bytes.to_vec()));
        Plan {
            rung: Rung::Grow,
            steps: writes.iter().map(write).collect(),
            is_ordered: true,
            symbols: Vec::new(),
        }
    }

    fn source(dir: &std::path::Path) -> Source {
        let path = dir.join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        file.set_times(FileTimes::new().set_modified(long_ago))
            .unwrap();
        Source::new(file, "file".to_owned()).unwrap()
    }

    #[test]
    fn accepted_writes_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut source = source(dir.path());
        let plan = plan(&[(10, b"tail"), (2, b"xy")]);
        let seen = |source: &Source| {
            assert_eq!(
                source.read(0, source.size(), "all").unwrap(),
                b"01xy456789tail"
            );
            Ok(())
        };
        assert_eq!(apply(&mut source, &plan, seen).unwrap(), 6);
        assert_eq!(
            std::fs::read(dir.path().join("file")).unwrap(),
            b"01xy456789tail"
        );
    }

    #[test]
    fn refused_writes_are_taken_back() {
        for writes in [
            &[(10, &b"tail"[..]), (2, b"xy")][..],
            // Behind the end, across the end, over one another.
            &[(20, b"far"), (8, b"abcd"), (7, b"ABCD"), (0, b"")],
        ] {
            let dir = tempfile::tempdir().unwrap();
            let mut source = source(dir.path());
            let time = source.file().metadata().unwrap().modified().unwrap();
            let refuse = |_: &Source| Err(("rules kept".to_owned(), "one broken".to_owned()));
            let error = apply(&mut source, &plan(writes), refuse).unwrap_err();
            assert_eq!(
                error.to_string(),
                "cannot read the file: the edited file breaks a rule: expected rules kept, found one broken; file left unchanged"
            );
            assert_eq!(
                std::fs::read(dir.path().join("file")).unwrap(),
                b"0123456789",
                "{writes:?}"
            );
            assert_eq!(
                source.file().metadata().unwrap().modified().unwrap(),
                time,
                "{writes:?}"
            );
        }
    }

    #[test]
    fn moved_ends_come_back() {
        // Shorter and longer than the distance, smaller and larger than a buffer.
        for (len, by) in [
            (10, 3),
            (10, 40),
            (3 << 20, 5),
            (3 << 20, 2 << 20),
            ((1 << 20) + 1, 2),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            let bytes: Vec<u8> = (0..4 + len).map(|i: u64| (i % 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let file = File::options().read(true).write(true).open(&path).unwrap();
            let mut source = Source::new(file, "file".to_owned()).unwrap();
            let fill = Write {
                offset: 4,
                pieces: vec![Piece::Copy(0..2), Piece::Fill(7, by - 2)],
            };
            let plan = Plan {
                rung: Rung::ExtendSegment,
                // Then bytes of the moved end are changed: its first, some across a buffer's end, its last.
                steps: [
                    vec![Step::Move { from: 4, by }, Step::Write(fill)],
                    vec![
                        Step::Write(Write::bytes(1 + by, vec![9; 5])),
                        Step::Write(Write::bytes(2 + by + len / 2, vec![8; 3])),
                        Step::Write(Write::bytes(3 + by + len, vec![6; 4])),
                    ],
                ]
                .concat(),
                is_ordered: true,
                symbols: Vec::new(),
            };
            let mut expected = bytes[..4].to_vec();
            expected.extend(&bytes[..2]);
            expected.resize(4 + usize::try_from(by).unwrap(), 7);
            expected.extend(&bytes[4..]);
            for (at, bytes) in [(1 + by, &[9; 5][..]), (2 + by + len / 2, &[8; 3])] {
                let at = usize::try_from(at).unwrap();
                expected[at..at + bytes.len()].copy_from_slice(bytes);
            }
            expected.pop();
            expected.extend([6; 4]);
            let refuse = |source: &Source| {
                let found = source.read(0, source.size(), "all").unwrap();
                assert!(found == expected, "{len} by {by}");
                Err(("this".to_owned(), "that".to_owned()))
            };
            apply(&mut source, &plan, refuse).unwrap_err();
            assert!(std::fs::read(&path).unwrap() == bytes, "{len} by {by}");
        }
    }

    #[test]
    fn copies_of_another_owner_lose_the_rights_of_the_first() {
        for (mode, is_owner_same, expected) in [
            (0o104755, true, 0o4755),
            (0o104755, false, 0o755),
            (0o102755, false, 0o755),
            (0o101644, false, 0o1644),
        ] {
            let copied = copied_mode(Permissions::from_mode(mode), is_owner_same);
            assert_eq!(copied.mode(), expected, "{mode:o} {is_owner_same}");
        }
    }

    #[test]
    fn failed_writes_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        // Opened for reading only: the first write fails.
        let mut source = Source::open(&path).unwrap();
        let error = apply(&mut source, &plan(&[(2, b"xy")]), |_| Ok(())).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot write the file"),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
    }
}
