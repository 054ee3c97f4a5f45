//! From a file to the bytes of a tar archive: the format by its magic, the decompressor, the cap on its output.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::thread;

use liblzma::bufread::XzDecoder;
use liblzma::stream::MtStreamBuilder;

use super::entry::Refusal;
use super::{Watch, limits};

/// What an .xz stream starts with.
const XZ_MAGIC: &[u8; 6] = b"\xfd7zXZ\0";

/// The .xz format, 2.1.1.2: the checks that the decoder knows, CRC-32, CRC-64 and SHA-256. It would not compare others.
const XZ_CHECKS: [u8; 3] = [1, 4, 10];

/// The bytes of an archive, from the first one; where the file itself is positioned does not matter.
pub(super) struct Input<'a> {
    file: &'a File,
    position: u64,
    watch: Watch<'a>,
}

impl<'a> Input<'a> {
    /// Calls `watch` before each read.
    pub(super) fn new(file: &'a File, watch: Watch<'a>) -> Input<'a> {
        Input {
            file,
            position: 0,
            watch,
        }
    }

    /// The size of the file.
    pub(super) fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The same bytes from the first one again.
    pub(super) fn again(&self) -> Input<'a> {
        Input::new(self.file, self.watch)
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.watch)(self.position)?;
        let count = loop {
            match self.file.read_at(buffer, self.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        let count_bytes = u64::try_from(count).unwrap_or(u64::MAX);
        self.position = self.position.saturating_add(count_bytes);
        Ok(count)
    }
}

impl Seek for Input<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size_bytes()?.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

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

    /// Recognises the archive.
    pub(super) fn of(input: &Input<'_>) -> Result<Format, Refusal> {
        let mut head = Vec::new();
        let mut start = input.again().take(512);
        start.read_to_end(&mut head).map_err(Refusal::read)?;
        if head.starts_with(XZ_MAGIC) {
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

/// The bytes of the tar archive in `input`, at most `limit` of them.
///
/// Concatenated streams are read one after the other; what follows them must be a stream too, so a reader that
/// goes on to the end of the data sees trailing garbage and truncation as errors.
pub(super) fn tar_bytes<'a>(input: Input<'a>, format: Format, limit: u64) -> impl Read + use<'a> {
    let input = BufReader::with_capacity(limits::COPY_BYTES, input);
    let decoded: Box<dyn Read + 'a> = match format {
        Format::TarXz => Box::new(XzStreams {
            at: At::Between { input, padding: 0 },
        }),
        Format::TarGz => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Format::Tar | Format::Zip => Box::new(input),
    };
    Capped {
        inner: decoded,
        left: limit,
        limit,
    }
}

/// .xz streams one after the other, with padding behind them (the .xz format, 2 and 2.2).
///
/// The blocks of a stream whose headers have sizes (`xz -T`) are decoded in parallel, others one after the other: the
/// decoder sees at each block which it is.
struct XzStreams<R> {
    at: At<R>,
}

enum At<R> {
    /// Before a stream, or at the end.
    Between {
        input: R,
        /// Zero bytes since the last stream.
        padding: u64,
    },
    /// In a stream.
    Inside(Box<XzDecoder<io::Chain<Cursor<[u8; 12]>, R>>>),
    /// All was read.
    End,
    /// There was an error: nothing more comes.
    Failed,
}

impl<R: BufRead> Read for XzStreams<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.at, At::Failed) {
                At::End => {
                    self.at = At::End;
                    return Ok(0);
                }
                At::Failed => return Err(cut_short()),
                At::Between { mut input, padding } => {
                    self.at = match stream_header(&mut input, padding)? {
                        Some(header) => {
                            let decoder = xz_decoder(Cursor::new(header).chain(input))?;
                            At::Inside(Box::new(decoder))
                        }
                        None => At::End,
                    };
                }
                At::Inside(mut decoder) => match decoder.read(buffer)? {
                    // The decoder gives no bytes only where the stream ends, when all of its sums were compared.
                    0 => {
                        let (_, mut input) = decoder.into_inner().into_inner();
                        let padding = skip_zeros(&mut input)?;
                        self.at = At::Between { input, padding };
                    }
                    count => {
                        self.at = At::Inside(decoder);
                        return Ok(count);
                    }
                },
            }
        }
    }
}

fn xz_decoder<R: BufRead>(input: R) -> io::Result<XzDecoder<R>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let stream = MtStreamBuilder::new()
        .threads(
            u32::try_from(cores).map_or(limits::DECODER_THREADS, |cores| {
                cores.min(limits::DECODER_THREADS)
            }),
        )
        .memlimit_threading(limits::DECODER_PARALLEL_BYTES)
        .memlimit_stop(limits::DECODER_BYTES)
        .decoder()?;
    Ok(XzDecoder::new_stream(input, stream))
}

/// The header of the next stream; `None` at the end of the data.
fn stream_header(input: &mut impl BufRead, padding: u64) -> io::Result<Option<[u8; 12]>> {
    if !padding.is_multiple_of(4) {
        return Err(io::Error::other(Refusal::XzPadding { padding }));
    }
    let mut start = Vec::new();
    input.take(12).read_to_end(&mut start)?;
    if start.is_empty() {
        return Ok(None);
    }
    if start
        .iter()
        .zip(XZ_MAGIC)
        .any(|(found, magic)| found != magic)
    {
        return Err(io::Error::other(Refusal::AfterStream));
    }
    let header: [u8; 12] = start.try_into().map_err(|_| cut_short())?;
    let [_, _, _, _, _, _, _, check, _, _, _, _] = &header;
    if !XZ_CHECKS.contains(check) {
        return Err(io::Error::other(Refusal::XzCheck { found: *check }));
    }
    Ok(Some(header))
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "premature eof")
}

/// Reads zero bytes up to another one or the end and says how many there were.
fn skip_zeros(input: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped: u64 = 0;
    loop {
        let bytes = input.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let is_last = bytes.is_empty() || zeros < bytes.len();
        input.consume(zeros);
        skipped = skipped.saturating_add(u64::try_from(zeros).unwrap_or(u64::MAX));
        if is_last {
            return Ok(skipped);
        }
    }
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
            let found = Format::of(&Input::new(&file, &|_| Ok(())))
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
