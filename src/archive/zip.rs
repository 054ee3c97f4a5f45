//! Zip archives: the central directory and the local headers must agree in everything, then every entry is judged.

use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use zip::{CompressionMethod, ExtraField, ZipArchive};

use super::ArchiveError;
use super::ahead::{Demand, Source, ahead};
use super::decode::Input;
use super::entry::{self, Refusal, Slash, TopFolder};
use super::limits;
use super::unpack::{Executable, Tree};
use crate::relpath::RelPath;

/// Read at a time from a zip archive: small, because every local header is looked at.
const READ_BYTES: usize = 16 << 10;

/// The file type bits of a Unix mode, and their values for what a zip archive may hold.
const TYPE_MASK: u32 = 0o170_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_DIRECTORY: u32 = 0o040_000;

/// A zip archive whose structure was checked.
pub(super) struct Zip<'f> {
    archive: ZipArchive<BufReader<Input<'f>>>,
}

/// One entry of a zip archive, judged.
#[derive(Debug)]
pub(super) struct Member {
    index: usize,
    /// Counted from one, in the order of the central directory.
    pub(super) number: u64,
    pub(super) path: RelPath,
    /// A directory ends in a slash.
    pub(super) slash: Slash,
    pub(super) executable: Executable,
    pub(super) size_bytes: u64,
}

impl<'f> Zip<'f> {
    /// Opens `input`, called `archive` in messages, and checks its structure: nothing before or behind the archive,
    /// no entry twice, overlapping, unlisted or listed differently in its two headers.
    pub(super) fn open(mut input: Input<'f>, archive: &str) -> Result<Zip<'f>, ArchiveError> {
        let whole = |refusal| ArchiveError::whole(archive, refusal);
        let count = check_end(&mut input).map_err(whole)?;
        let failed = |error| whole(Refusal::zip(error));
        let mut zip =
            ZipArchive::new(BufReader::with_capacity(READ_BYTES, input)).map_err(failed)?;
        if zip.offset() != 0 {
            return Err(whole(Refusal::ZipEnds));
        }
        zip.validate_header_consistency().map_err(failed)?;
        // The parser goes back to an earlier end record when the last one leads nowhere.
        if zip.len() != usize::from(count) || !zip.comment().is_empty() {
            return Err(whole(Refusal::ZipEnds));
        }
        Ok(Zip { archive: zip })
    }

    /// Judges all entries; the directory `./` is left out.
    pub(super) fn members(&mut self, archive: &str) -> Result<Vec<Member>, ArchiveError> {
        let mut members = Vec::new();
        for index in 0..self.archive.len() {
            let number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
            let name = match self.archive.by_index_data(index) {
                Ok(data) => data.name_raw().to_vec(),
                Err(error) => {
                    return Err(ArchiveError::nameless(archive, number, Refusal::zip(error)));
                }
            };
            let member = self.member(index, number, &name);
            members.extend(
                member.map_err(|refusal| ArchiveError::entry(archive, number, &name, refusal))?,
            );
        }
        if members.is_empty() {
            return Err(ArchiveError::whole(archive, Refusal::NoEntries));
        }
        Ok(members)
    }

    fn member(
        &mut self,
        index: usize,
        number: u64,
        name: &[u8],
    ) -> Result<Option<Member>, Refusal> {
        let data = self.archive.by_index_data(index).map_err(Refusal::zip)?;
        if data.encrypted() {
            return Err(Refusal::Encrypted);
        }
        if !matches!(
            data.compression(),
            CompressionMethod::Stored | CompressionMethod::Deflated
        ) {
            return Err(Refusal::Compression {
                found: data.compression().to_string(),
            });
        }
        let size_bytes = data.size();
        if size_bytes > limits::OUTPUT_BYTES {
            return Err(Refusal::Output {
                limit: limits::OUTPUT_BYTES,
            });
        }
        let mode = data.unix_mode().unwrap_or(0);
        // The second header of the entry is read here; its name was found to be the same.
        let opened = self.archive.by_index_raw(index).map_err(Refusal::zip)?;
        if opened
            .extra_data_fields()
            .any(|field| matches!(field, ExtraField::UnicodePath(_)))
        {
            return Err(Refusal::SecondName);
        }
        let (path, slash) = entry::name(name)?;
        let expected = match slash {
            Slash::Trailing => TYPE_DIRECTORY,
            Slash::None => TYPE_FILE,
        };
        if mode & TYPE_MASK != 0 && mode & TYPE_MASK != expected {
            return Err(Refusal::Kind {
                found: format!("the Unix mode {mode:o}"),
            });
        }
        if slash == Slash::Trailing && size_bytes > 0 {
            return Err(Refusal::UnexpectedContent {
                kind: "a directory",
                size_bytes,
            });
        }
        let executable = Executable::of_mode(mode);
        Ok(path.map(|path| Member {
            index,
            number,
            path,
            slash,
            executable,
            size_bytes,
        }))
    }

    /// The content of `member`, decompressed; the last read compares the CRC.
    pub(super) fn content(&mut self, member: &Member) -> Result<impl Read, Refusal> {
        self.archive.by_index(member.index).map_err(Refusal::zip)
    }

    /// Lets `consume` read the files among `members`: the content of each is one stream of its source, in their order.
    ///
    /// # Errors
    /// There is no thread to decompress them. What is wrong with a file is told by its stream.
    pub(super) fn read_files<T>(
        mut self,
        members: &[Member],
        consume: impl FnOnce(&mut Source) -> T,
    ) -> Result<T, Refusal> {
        let files = members.iter().filter(|member| member.slash == Slash::None);
        ahead(
            |sink| {
                for member in files {
                    let demand = match self.content(member) {
                        Ok(mut content) => sink.stream(&mut content),
                        Err(refusal) => sink.fail(io::Error::other(refusal)),
                    };
                    if demand == Demand::Over {
                        return;
                    }
                }
            },
            consume,
        )
        .map_err(Refusal::read)
    }
}

/// Refuses what does not end in a plain end record: a comment or bytes behind it can hide a second directory, and
/// nothing of NVIDIA's needs zip64. Says how many entries the record counts.
fn check_end(file: &mut Input<'_>) -> Result<u16, Refusal> {
    let mut end = [0; 22];
    file.seek(SeekFrom::End(-22))
        .map_err(|_| Refusal::ZipEnds)?;
    file.read_exact(&mut end).map_err(Refusal::read)?;
    // Signature, two disk numbers, two entry counts, size, offset, length of the comment (APPNOTE 4.3.16).
    let [
        b'P',
        b'K',
        5,
        6,
        d0,
        d1,
        e0,
        e1,
        n0,
        n1,
        m0,
        m1,
        s0,
        s1,
        s2,
        s3,
        o0,
        o1,
        o2,
        o3,
        0,
        0,
    ] = end
    else {
        return Err(Refusal::ZipEnds);
    };
    if [n0, n1] == [0xff; 2]
        || [m0, m1] == [0xff; 2]
        || [s0, s1, s2, s3] == [0xff; 4]
        || [o0, o1, o2, o3] == [0xff; 4]
    {
        return Err(Refusal::Zip64);
    }
    if [d0, d1, e0, e1] != [0; 4] || [n0, n1] != [m0, m1] {
        return Err(Refusal::ZipEnds);
    }
    Ok(u16::from_le_bytes([n0, n1]))
}

/// Unpacks the zip archive `input`, called `archive` in messages, below its one top folder into `tree`.
pub(super) fn unpack(input: Input<'_>, archive: &str, tree: &mut Tree) -> Result<(), ArchiveError> {
    let mut zip = Zip::open(input, archive)?;
    let members = zip.members(archive)?;
    let mut top = TopFolder::default();
    let mut place =
        |member: &Member, files: &mut Source| match top.strip(&member.path, member.slash)? {
            None => Ok(()),
            Some(path) if member.slash == Slash::Trailing => tree.directory(&path, member.number),
            Some(path) => {
                let content = files.next_stream();
                let found = tree.file(&path, member.number, member.executable, content)?;
                same_size(member.size_bytes, found)
            }
        };
    let unpacked = zip.read_files(&members, |files| {
        members.iter().try_for_each(|member| {
            place(member, files).map_err(|refusal| {
                let path = member.path.as_str().as_bytes();
                ArchiveError::entry(archive, member.number, path, refusal)
            })
        })
    });
    unpacked.map_err(|refusal| ArchiveError::whole(archive, refusal))?
}

/// Refuses content that is not as long as its header says.
pub(super) fn same_size(expected: u64, found: u64) -> Result<(), Refusal> {
    if expected == found {
        Ok(())
    } else {
        Err(Refusal::Size { expected, found })
    }
}
