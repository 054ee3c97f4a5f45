//! Carries out a layout: writes, re-reads, and takes everything back if something is wrong.

use std::fs::{File, FileTimes};
use std::os::unix::fs::FileExt as _;

use super::check::Breach;
use super::error::ElfError;
use super::layout::{Plan, Write};
use super::source::Source;

/// Carries out `plan` and says how many bytes were written.
///
/// `judge` looks at the written file. If it objects, or a write fails, the old bytes, length and times are restored.
pub(super) fn apply(
    source: &mut Source,
    plan: &Plan,
    judge: impl FnOnce(&Source) -> Result<(), Breach>,
) -> Result<u64, ElfError> {
    let old = Old::keep(source, plan)?;
    let mut bytes_written = 0_u64;
    for write in &plan.writes {
        if let Err(error) = source.file().write_all_at(&write.bytes, write.offset) {
            return Err(old.restore(source.file(), "write the file", error, source.place()));
        }
        bytes_written = bytes_written.saturating_add(write.bytes.len() as u64);
    }
    source.set_size(plan.end().max(old.size_bytes));
    match judge(source) {
        Ok(()) => Ok(bytes_written),
        Err((expected, found)) => {
            let state = match old.put_back(source.file()) {
                Ok(()) => "left unchanged",
                Err(_) => "left damaged: it could not be put back",
            };
            Err(ElfError::Broken {
                place: source.place().to_owned(),
                expected,
                found,
                state,
            })
        }
    }
}

/// What the file was before.
struct Old {
    size_bytes: u64,
    pieces: Vec<Write>,
    times: Option<FileTimes>,
}

impl Old {
    fn keep(source: &Source, plan: &Plan) -> Result<Old, ElfError> {
        let size_bytes = source.size();
        let pieces = plan
            .writes
            .iter()
            .filter(|write| write.offset < size_bytes)
            .map(|write| {
                let len = (size_bytes - write.offset).min(write.bytes.len() as u64);
                Ok(Write {
                    offset: write.offset,
                    bytes: source.read(write.offset, len, "bytes to be replaced")?,
                })
            })
            .collect::<Result<_, ElfError>>()?;
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
            times,
        })
    }

    fn put_back(&self, file: &File) -> std::io::Result<()> {
        for piece in &self.pieces {
            file.write_all_at(&piece.bytes, piece.offset)?;
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
        let write = |(offset, bytes): &(u64, &[u8])| Write {
            offset: *offset,
            bytes: bytes.to_vec(),
        };
        Plan {
            rung: Rung::Grow,
            writes: writes.iter().map(write).collect(),
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
                "cannot set RUNPATH: the edited file breaks a rule: expected rules kept, found one broken; file left unchanged"
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
