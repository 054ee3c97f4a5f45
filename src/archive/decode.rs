//! From a file to the bytes of a tar archive: the format by its magic, the decompressor, the cap on its output.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use super::entry::Refusal;
use super::limits;

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A tar archive in an .xz stream.
    TarXz,
    /// A tar archive in a .gz member.
    TarGz,
    /// A bare tar archive with the magic of POSIX.1-1988 or later.
    Tar,
    /// A zip archive (wheels are zip archives).
    Zip,
}

impl Format {
    /// How people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Format::TarXz => "an .xz stream",
            Format::TarGz => "a .gz stream",
            Format::Tar => "a tar archive",
            Format::Zip => "a zip archive",
        }
    }

    /// Recognises the file and rewinds it.
    pub(super) fn of(mut file: &File) -> Result<Format, Refusal> {
        file.seek(SeekFrom::Start(0)).map_err(Refusal::read)?;
        let mut head = Vec::new();
        file.take(512)
            .read_to_end(&mut head)
            .map_err(Refusal::read)?;
        file.seek(SeekFrom::Start(0)).map_err(Refusal::read)?;
        if head.starts_with(b"\xfd7zXZ\0") {
            Ok(Format::TarXz)
        } else if head.starts_with(b"\x1f\x8b") {
            Ok(Format::TarGz)
        } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            Ok(Format::Zip)
        } else if head.get(257..262) == Some(b"ustar") {
            Ok(Format::Tar)
        } else {
            Err(unknown(&head))
        }
    }
}

fn unknown(head: &[u8]) -> Refusal {
    let html = head.trim_ascii_start().starts_with(b"<");
    let found = if head.is_empty() {
        "an empty file".to_owned()
    } else {
        let bytes: Vec<String> = head
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("a file that starts with the bytes {}", bytes.join(" "))
    };
    Refusal::Format { found, html }
}

/// The bytes of the tar archive in `file`, at most `limit` of them.
///
/// Concatenated streams are read one after the other; what follows them must be a stream too, so a reader that
/// goes on to the end of the data sees trailing garbage and truncation as errors.
pub(super) fn tar_bytes(file: &File, format: Format, limit: u64) -> Result<impl Read, Refusal> {
    let input = BufReader::with_capacity(limits::COPY_BYTES, file);
    let decoded: Box<dyn Read + '_> = match format {
        Format::TarXz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                limits::DECODER_BYTES,
                liblzma::stream::CONCATENATED,
            )
            .map_err(|error| Refusal::read(error.into()))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        Format::TarGz => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Format::Tar | Format::Zip => Box::new(input),
    };
    Ok(Capped {
        inner: decoded,
        left: limit,
        limit,
    })
}

/// A reader that refuses to give more than `limit` bytes.
struct Capped<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let over = || io::Error::other(Refusal::Output { limit: self.limit });
        self.left = u64::try_from(count)
            .ok()
            .and_then(|count| self.left.checked_sub(count))
            .ok_or_else(over)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_formats_by_magic() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, expected) in [
            (&b"\xfd7zXZ\0\0"[..], Ok("an .xz stream")),
            (b"\x1f\x8b\x08", Ok("a .gz stream")),
            (b"PK\x03\x04", Ok("a zip archive")),
            (&tar, Ok("a tar archive")),
            (
                b"",
                Err(
                    "expected an archive (.tar.xz, .tar.gz, .tar, .zip or .whl), found an empty file",
                ),
            ),
            (
                b"\n<!doctype html>",
                Err(
                    "expected an archive (.tar.xz, .tar.gz, .tar, .zip or .whl), \
                     found a file that starts with the bytes 0a 3c 21 64 6f 63",
                ),
            ),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, bytes).unwrap();
            let found = Format::of(&file)
                .map(Format::name)
                .map_err(|refusal| refusal.to_string());
            assert_eq!(
                found.as_deref().map_err(String::as_str),
                expected.as_deref().map_err(|text| *text),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn output_stops_at_the_cap() {
        let mut reader = Capped {
            inner: io::repeat(0),
            left: 1000,
            limit: 1000,
        };
        let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
        assert_eq!(
            Refusal::read(error).to_string(),
            "expected at most 1000 bytes out of this archive, found more"
        );
    }
}
