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
