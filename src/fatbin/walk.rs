//! The way from a file to the headers of its device code.
//!
//! Device code lies in the section `.nv_fatbin` or, before it is linked, `__nv_relfatbin` as *containers* back to back, each a header
//! and *entries*, each a header and a payload. All numbers are little-endian, on every host. The layout was decoded
//! from libcutensor, libcurand, libnvjpeg, libnvcomp and libcudadevrt and compared with `cuobjdump --list-elf` and
//! `--list-ptx`.

use std::ops::Range;

use super::{Architecture, Code, Counts, Variant};
use crate::elf::image::Header;
use crate::elf::source::{Fields, Source};
use crate::error::{Error, Kind, Problem};
use crate::text;

const ARCHIVE_MAGIC: &[u8] = b"!<arch>\n";
const THIN_MAGIC: &[u8] = b"!<thin>\n";
const CONTAINER_MAGIC: u32 = 0xba55_ed50;
const CONTAINER_LEN: u64 = 16;
const ENTRY_LEN: u64 = 64;
/// Entry kinds that hold code; `cuobjdump` lists 2 and 16 as ELF.
const KIND_PTX: u16 = 1;
const KIND_ELF: [u16; 2] = [2, 16];
/// Entry flags, seen on 158 kernels of libcutensor and proven by flipping them.
const FLAG_SPECIFIC: u64 = 0x0010_0000;
const FLAG_FAMILY: u64 = 0x0020_0000;
/// `cuobjdump` does not list PTX with this flag, and neither do we; no library seen has it.
const FLAG_HIDDEN_PTX: u64 = 0x0001_0000;
/// Set when the payload is compressed: LZ4 has 0x2000, zstd 0x8000; `cuobjdump` takes the other two for compression, too.
const FLAGS_COMPRESSED: u64 = 0xf000;
/// NVIDIA's numbers have two or three digits; a bound keeps the counts of a hostile file small.
const NUMBER_MAX: u32 = 9999;
/// How much of a run of zeros between containers is read at once.
const PADDING_BYTES: u64 = 4096;

/// What is wrong with device code or the archive around it.
#[derive(Debug, thiserror::Error)]
#[error("expected {expected}, found {found}")]
struct FatbinError {
    place: String,
    expected: String,
    found: String,
}

impl Problem for FatbinError {
    fn kind(&self) -> Kind {
        Kind::Rejected
    }
    fn place(&self) -> Option<String> {
        Some(self.place.clone())
    }
}

fn wrong(
    source: &Source,
    table: &str,
    at: u64,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Error {
    let place = format!("{}: {table} at offset 0x{at:x}", source.place());
    FatbinError {
        place,
        expected: expected.into(),
        found: found.into(),
    }
    .into()
}

/// Walks the device code of a file: an archive, an ELF file, or one without any. Gives back what ended the walk of a
/// section early, of several the first.
pub(super) fn file(source: &Source, found: &mut Counts) -> Result<Option<Error>, Error> {
    let magic = match source.size() {
        0..8 => Vec::new(),
        _ => source.read(0, 8, "archive header")?,
    };
    if magic == ARCHIVE_MAGIC {
        archive(source, found)
    } else if magic == THIN_MAGIC {
        let expected = "an archive that holds its members";
        Err(wrong(source, "archive header", 0, expected, "a thin one"))
    } else {
        member(source, 0..source.size(), found)
    }
}

/// Walks the members of a static library.
fn archive(source: &Source, found: &mut Counts) -> Result<Option<Error>, Error> {
    const TABLE: &str = "archive member header";
    const HEADER: u64 = 60;
    let mut not_understood = None;
    let mut at = ARCHIVE_MAGIC.len() as u64;
    while at < source.size() {
        let header = source.read(at, HEADER, TABLE)?;
        let field = |range: Range<usize>| header.get(range).unwrap_or_default();
        let size = std::str::from_utf8(field(48..58))
            .ok()
            .and_then(|text| text.trim_end().parse::<u64>().ok());
        let (Some(size), b"`\n") = (size, field(58..60)) else {
            let found = text::quote_bytes(field(48..60));
            return Err(wrong(
                source,
                TABLE,
                at,
                "a decimal size and the mark \"`\\n\"",
                found,
            ));
        };
        let start = at.saturating_add(HEADER);
        let Some(end) = start.checked_add(size).filter(|end| *end <= source.size()) else {
            return Err(wrong(
                source,
                TABLE,
                at,
                "a member inside the file",
                format!("{size} bytes"),
            ));
        };
        // The symbol tables and the table of long names.
        let name = field(0..16).trim_ascii_end();
        if name != b"/" && name != b"//" && name != b"/SYM64/" {
            let found = member(source, start..end, found)?;
            not_understood = not_understood.or(found);
        }
        at = end.saturating_add(size % 2);
    }
    Ok(not_understood)
}

/// Walks the device code of one ELF file at `file`, which may be a member of an archive.
fn member(source: &Source, file: Range<u64>, found: &mut Counts) -> Result<Option<Error>, Error> {
    let size = file.end.saturating_sub(file.start);
    let Some(header) = Header::read(source, file.start, size)? else {
        return Ok(None);
    };
    // Where device code was linked, `__nv_relfatbin` still holds the parts of what is now in `.nv_fatbin`; seen in
    // libnvshmem_host. `cuobjdump` looks at one of the two as well.
    let named =
        |wanted: &[u8]| header.sections_where(source, file.start, size, |_, name| name == wanted);
    let mut sections = named(b".nv_fatbin")?;
    if sections.is_empty() {
        sections = named(b"__nv_relfatbin")?;
    }
    let mut not_understood = None;
    for section in sections {
        match containers(source, section, found) {
            // The section lies inside the file, so what is refused is the code in it.
            Err(error) if error.is_rejected() => not_understood = not_understood.or(Some(error)),
            walked => walked?,
        }
    }
    Ok(not_understood)
}

/// Walks the containers of one section.
fn containers(source: &Source, section: Range<u64>, found: &mut Counts) -> Result<(), Error> {
    const TABLE: &str = "fatbin header";
    let mut at = section.start;
    while section.end.saturating_sub(at) >= CONTAINER_LEN {
        let bytes = source.read(at, CONTAINER_LEN, TABLE)?;
        let mut f = Fields::little(&bytes);
        let fields = (f.u32(), f.u16(), f.u16(), f.u64());
        let (Some(magic), Some(version), Some(header_len), Some(len)) = fields else {
            break;
        };
        if magic == 0 {
            // Containers are 8-aligned; the linker fills with zeros.
            let rest = section.end.saturating_sub(at).min(PADDING_BYTES);
            let bytes = source.read(at, rest, TABLE)?;
            let words = bytes
                .chunks(8)
                .take_while(|word| word.iter().all(|byte| *byte == 0));
            let words = words.count() as u64;
            if words == 0 {
                let found = text::quote_bytes(bytes.get(..8).unwrap_or_default());
                return Err(wrong(
                    source,
                    TABLE,
                    at,
                    "a container, or words of zeros",
                    found,
                ));
            }
            at = at.saturating_add(8 * words);
            continue;
        }
        if magic != CONTAINER_MAGIC || version != 1 {
            let expected = format!("the magic 0x{CONTAINER_MAGIC:x} and version 1");
            return Err(wrong(
                source,
                TABLE,
                at,
                expected,
                format!("0x{magic:x} and version {version}"),
            ));
        }
        let start = at.saturating_add(u64::from(header_len));
        let end = start.checked_add(len).filter(|end| *end <= section.end);
        let Some(end) = end.filter(|_| u64::from(header_len) >= CONTAINER_LEN) else {
            let expected = format!(
                "a header of at least {CONTAINER_LEN} bytes and a container inside its section"
            );
            return Err(wrong(
                source,
                TABLE,
                at,
                expected,
                format!("{header_len} and {len} bytes"),
            ));
        };
        entries(source, start..end, found)?;
        at = end;
    }
    Ok(())
}

/// Walks the entries of one container.
fn entries(source: &Source, container: Range<u64>, found: &mut Counts) -> Result<(), Error> {
    const TABLE: &str = "fatbin entry";
    let mut at = container.start;
    while at < container.end {
        if container.end - at < ENTRY_LEN {
            let found = format!("{} bytes", container.end - at);
            return Err(wrong(
                source,
                TABLE,
                at,
                format!("a header of {ENTRY_LEN} bytes"),
                found,
            ));
        }
        let bytes = source.read(at, ENTRY_LEN, TABLE)?;
        let cut = || wrong(source, TABLE, at, "a whole header", "a cut one");
        let mut f = Fields::little(&bytes);
        let (kind, _version) = (f.u16().ok_or_else(cut)?, f.u16());
        let (header_len, payload_len) = (f.u32().ok_or_else(cut)?, f.u64().ok_or_else(cut)?);
        // Compressed size, extra block, PTX or cubin version: not needed.
        let _ = (f.u32(), f.u32(), f.u16(), f.u16());
        let number = f.u32().ok_or_else(cut)?;
        let _ = (f.u32(), f.u32());
        let flags = f.u64().ok_or_else(cut)?;
        let next = u64::from(header_len)
            .checked_add(payload_len)
            .and_then(|len| at.checked_add(len));
        let next = next.filter(|next| *next <= container.end && u64::from(header_len) >= ENTRY_LEN);
        let Some(next) = next else {
            let expected =
                format!("a header of at least {ENTRY_LEN} bytes and an entry inside its container");
            return Err(wrong(
                source,
                TABLE,
                at,
                expected,
                format!("{header_len} and {payload_len} bytes"),
            ));
        };
        let code = match kind {
            KIND_PTX if flags & FLAG_HIDDEN_PTX == 0 => Some(Code::Ptx),
            kind if KIND_ELF.contains(&kind) => Some(Code::Machine),
            _ => None,
        };
        if let Some(code) = code {
            if number > NUMBER_MAX {
                let expected = format!("an architecture up to {NUMBER_MAX}");
                return Err(wrong(source, TABLE, at, expected, number.to_string()));
            }
            let variant = if flags & FLAG_SPECIFIC != 0 {
                Variant::Specific
            } else if flags & FLAG_FAMILY != 0 {
                Variant::Family
            } else {
                Variant::Base
            };
            let architecture = Architecture {
                code,
                number,
                variant,
            };
            let count = found.entry(architecture).or_default();
            count.total = count.total.saturating_add(1);
            if flags & FLAGS_COMPRESSED != 0 {
                count.compressed = count.compressed.saturating_add(1);
            }
        }
        at = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fatbin::{DeviceCode, architectures, count, read};

    /// A fatbin entry with `payload` bytes behind a header of `header` bytes.
    fn entry(kind: u16, number: u32, flags: u64, header: u32, payload: usize) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(0x0101_u16.to_le_bytes());
        bytes.extend(header.to_le_bytes());
        bytes.extend((payload as u64).to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend(number.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(flags.to_le_bytes());
        bytes.resize(header as usize + payload, 0xaa);
        bytes
    }

    fn container(entries: &[Vec<u8>]) -> Vec<u8> {
        let entries = entries.concat();
        let mut bytes = CONTAINER_MAGIC.to_le_bytes().to_vec();
        bytes.extend([1, 0, 16, 0]);
        bytes.extend((entries.len() as u64).to_le_bytes());
        bytes.extend(entries);
        bytes
    }

    /// An object file whose one section of bytes is called `name`.
    fn object(name: &str, content: &[u8]) -> Vec<u8> {
        object_of(&[(name, content)])
    }

    /// An object file with these sections.
    fn object_of(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        let mut names = vec![0];
        let mut headers = vec![0; 64];
        let mut add = |bytes: &mut Vec<u8>, name: usize, kind: u64, content: &[u8]| {
            let mut section = [0; 64];
            section[..8].copy_from_slice(&(name as u64 | kind << 32).to_le_bytes());
            section[24..32].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            section[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
            bytes.extend(content);
            headers.extend(section);
        };
        for (name, content) in sections {
            add(&mut bytes, names.len(), 1, content);
            names.extend(name.bytes().chain([0]));
        }
        add(&mut bytes, 0, 3, &names);
        let table_at = (bytes.len() as u64).to_le_bytes();
        bytes[40..48].copy_from_slice(&table_at);
        let count = u8::try_from(sections.len()).unwrap();
        bytes[58..64].copy_from_slice(&[64, 0, count + 2, 0, count + 1, 0]);
        bytes.extend(headers);
        bytes
    }

    fn member_of_archive(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut member = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            644,
            bytes.len()
        )
        .into_bytes();
        member.extend(bytes);
        member.resize(member.len().next_multiple_of(2), b'\n');
        member
    }

    fn list(bytes: &[u8]) -> Result<String, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        Ok(architectures(&path)?
            .iter()
            .map(Architecture::to_string)
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[test]
    fn code_of_all_sorts_is_listed() {
        let several = [
            entry(1, 90, FLAG_SPECIFIC, 80, 40),
            entry(2, 100, FLAG_FAMILY | 0x8000, 112, 8),
            entry(2, 90, FLAG_SPECIFIC, 64, 0),
            entry(16, 75, 0x2000, 64, 16),
            entry(1, 70, FLAG_HIDDEN_PTX, 64, 8),
            // Not code: fatbin option texts and the like.
            entry(64, 60, 0, 64, 8),
            entry(2, 75, 0, 64, 8),
            entry(1, 121, FLAG_FAMILY, 88, 8),
        ];
        let first = container(&several);
        let padded = [
            first.clone(),
            vec![0; 24],
            container(&[entry(2, 50, 0, 64, 8)]),
            vec![0; 9],
        ]
        .concat();
        let all = "sm_75 sm_90a sm_100f compute_90a compute_121f";
        let archive = [
            ARCHIVE_MAGIC.to_vec(),
            member_of_archive("/", b"symbols"),
            member_of_archive("a.o/", &object("__nv_relfatbin", &first)),
            member_of_archive("b.txt/", b"odd"),
            member_of_archive(
                "c.o/",
                &object(".nv_fatbin", &container(&[entry(2, 50, 0, 64, 8)])),
            ),
        ];
        for (name, bytes, expected) in [
            ("several", object(".nv_fatbin", &first), all.to_owned()),
            (
                "relocatable",
                object("__nv_relfatbin", &first),
                all.to_owned(),
            ),
            (
                "linked beside relocatable",
                object_of(&[
                    ("__nv_relfatbin", &first),
                    (".nv_fatbin", &container(&[entry(2, 50, 0, 64, 8)])),
                ]),
                "sm_50".to_owned(),
            ),
            (
                "padded",
                object(".nv_fatbin", &padded),
                format!("sm_50 {all}"),
            ),
            (
                "other section",
                object(".nv_fatbin2", &first),
                String::new(),
            ),
            (
                "empty container",
                object(".nv_fatbin", &container(&[])),
                String::new(),
            ),
            ("no ELF file", b"text".to_vec(), String::new()),
            ("archive", archive.concat(), format!("sm_50 {all}")),
            ("empty archive", ARCHIVE_MAGIC.to_vec(), String::new()),
        ] {
            assert_eq!(list(&bytes).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn pieces_are_counted_and_compressed_ones_apart() {
        let code = container(&[
            entry(2, 90, 0, 64, 8),
            entry(2, 90, 0x2000, 64, 8),
            entry(2, 90, 0x8000, 64, 8),
            entry(2, 90, FLAG_SPECIFIC | 0x8000, 64, 8),
            entry(1, 90, 0x2000, 80, 8),
        ]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, object(".nv_fatbin", &code)).unwrap();
        let counts: Vec<String> = count(&path)
            .unwrap()
            .iter()
            .map(|(architecture, count)| {
                format!("{architecture} {} {}", count.total, count.compressed)
            })
            .collect();
        assert_eq!(counts, ["sm_90 3 2", "sm_90a 1 1", "compute_90 1 1"]);
    }

    #[test]
    fn sections_that_overlap_are_walked_once() {
        let mut bytes = object(".nv_fatbin", &container(&[entry(2, 90, 0, 64, 8)]));
        // One more section header, a copy of the one of the device code.
        let first = bytes[bytes.len() - 128..bytes.len() - 64].to_vec();
        bytes.extend(first);
        bytes[60] = 4;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let total: u64 = count(&path)
            .unwrap()
            .values()
            .map(|count| count.total)
            .sum();
        assert_eq!(total, 1);
    }

    #[test]
    fn hostile_padding_takes_linear_time() {
        let zeros = vec![0; 40 << 20];
        let start = std::time::Instant::now();
        assert_eq!(list(&object(".nv_fatbin", &zeros)).unwrap(), "");
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    #[test]
    fn damaged_code_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let good = container(&[entry(2, 90, 0, 64, 8)]);
        let with = |at: usize, bytes: &[u8]| {
            let mut damaged = good.clone();
            damaged[at..at + bytes.len()].copy_from_slice(bytes);
            object(".nv_fatbin", &damaged)
        };
        for (name, bytes, message) in [
            (
                "magic",
                with(0, &[1]),
                "fatbin header at offset 0x40: expected the magic 0xba55ed50 and version 1, found 0xba55ed01",
            ),
            (
                "version",
                with(4, &[2]),
                "and version 1, found 0xba55ed50 and version 2",
            ),
            (
                "header size",
                with(6, &[15]),
                "expected a header of at least 16 bytes and a container inside its section",
            ),
            (
                "size",
                with(8, &[0xff; 8]),
                "found 16 and 18446744073709551615 bytes",
            ),
            (
                "entry cut",
                with(8, &[73]),
                "container inside its section, found 16 and 73 bytes",
            ),
            (
                "entry header size",
                with(20, &[63]),
                "fatbin entry at offset 0x50: expected a header of at least 64 bytes",
            ),
            (
                "entry size",
                with(24, &[9]),
                "entry inside its container, found 64 and 9 bytes",
            ),
            (
                "entry overflow",
                with(24, &[0xff; 8]),
                "entry inside its container",
            ),
            (
                "half a word of zeros",
                object(".nv_fatbin", &[&[0; 4][..], &[7; 12]].concat()),
                "expected a container, or words of zeros, found",
            ),
            (
                "architecture",
                with(44, &[0x10, 0x27]),
                "expected an architecture up to 9999, found 10000",
            ),
            (
                "thin archive",
                THIN_MAGIC.to_vec(),
                "expected an archive that holds its members, found a thin one",
            ),
            (
                "archive",
                [ARCHIVE_MAGIC, b"short"].concat(),
                "archive member header: expected 60 bytes at offset 0x8",
            ),
            (
                "member size",
                [ARCHIVE_MAGIC, &member_of_archive("a.o/", b"1234567")[..64]].concat(),
                "expected a member inside the file, found 7 bytes",
            ),
        ] {
            let error = list(&bytes).expect_err(name);
            assert!(
                error.is_rejected() && error.render().contains(message),
                "{name}: {error}"
            );
            // Damage of archives is for everybody, device code of another form only for those who ask for it.
            let path = dir.path().join("file");
            std::fs::write(&path, &bytes).unwrap();
            let read = read(&path).map(|code| matches!(code, DeviceCode::NotUnderstood(_)));
            match read {
                Ok(is_not_understood) => {
                    assert!(is_not_understood && bytes.starts_with(b"\x7f"), "{name}")
                }
                Err(error) => assert!(bytes.starts_with(b"!<"), "{name}: {error}"),
            }
        }
    }
}
