//! Archives made by hand, byte by byte where a library would refuse to make them.

use std::io::{Cursor, Write as _};

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// One block of a tar archive before its sum is computed.
pub type Header = [u8; 512];

/// A tar entry of type `kind` with the header changed by `edit` (name at 0, mode at 100, size at 124, link name at
/// 157); the header sum is right.
pub fn entry_with(
    kind: u8,
    name: &[u8],
    link: &[u8],
    data: &[u8],
    edit: impl FnOnce(&mut Header),
) -> Vec<u8> {
    let mut header: Header = [0; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000001\0");
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link);
    header[257..265].copy_from_slice(b"ustar\x0000");
    edit(&mut header);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut out = header.to_vec();
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

/// A tar entry.
pub fn entry(kind: u8, name: &str, link: &str, data: &[u8]) -> Vec<u8> {
    entry_with(kind, name.as_bytes(), link.as_bytes(), data, |_| {})
}

/// A regular file.
pub fn file(name: &str, data: &[u8]) -> Vec<u8> {
    entry(b'0', name, "", data)
}

/// A symbolic link.
pub fn link(name: &str, target: &str) -> Vec<u8> {
    entry(b'2', name, target, b"")
}

/// A pax header with these records.
pub fn pax(kind: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let mut data = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len() + 1;
        while length != rest.len() + length.to_string().len() {
            length += 1;
        }
        data.push_str(&format!("{length}{rest}"));
    }
    entry(kind, "PaxHeaders/x", "", data.as_bytes())
}

/// The entries one after the other and the end marker.
pub fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = entries.concat();
    out.resize(out.len() + 1024, 0);
    out
}

/// A zip archive of stored files; a name that ends in `/` is a directory.
pub fn zip(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    zip_with(CompressionMethod::Stored, files)
}

/// A zip archive of files with their Unix mode and content.
pub fn zip_with(method: CompressionMethod, files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, data) in files {
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .unix_permissions(*mode);
        match name.strip_suffix('/') {
            Some(name) => writer.add_directory(name, options).expect("into memory"),
            None => writer.start_file(*name, options).expect("into memory"),
        }
        writer.write_all(data).expect("into memory");
    }
    writer.finish().expect("into memory").into_inner()
}

/// A wheel: the files, and below `dist_info` a METADATA, a licence and a RECORD that lists everything.
pub fn wheel(dist_info: &str, metadata: &str, files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    use sha2::Digest as _;
    let paths = [
        format!("{dist_info}/METADATA"),
        format!("{dist_info}/License.txt"),
        format!("{dist_info}/RECORD"),
    ];
    let mut all = files.to_vec();
    all.push((&paths[0], 0o644, metadata.as_bytes()));
    all.push((&paths[1], 0o644, b"A licence.\n"));
    let mut record = String::new();
    for (name, _, data) in &all {
        let digest = data_encoding::BASE64URL_NOPAD.encode(&sha2::Sha256::digest(data));
        record.push_str(&format!("{name},sha256={digest},{}\n", data.len()));
    }
    record.push_str(&format!("{},,\n", paths[2]));
    all.push((&paths[2], 0o664, record.as_bytes()));
    zip_with(CompressionMethod::Deflated, &all)
}

/// A wheel of one file with an empty METADATA and this RECORD.
pub fn wheel_with_record(file: (&str, u32, &[u8]), dist_info: &str, record: &str) -> Vec<u8> {
    let (metadata, path) = (
        format!("{dist_info}/METADATA"),
        format!("{dist_info}/RECORD"),
    );
    zip(&[
        file,
        (&metadata, 0o644, b""),
        (&path, 0o644, record.as_bytes()),
    ])
}

/// An .xz stream that asks for another dictionary: 2 or 3 (the lowest bit of `size`) `<< (size / 2 + 11)` bytes.
pub fn with_dictionary(mut xz: Vec<u8>, size: u8) -> Vec<u8> {
    // The block's header: its size and flags, filter 0x21 (LZMA2) with one byte of properties, which is the dictionary's size.
    assert_eq!(xz[13..16], [0, 0x21, 1]);
    xz[16] = size;
    sum(&mut xz, 12, 8);
    xz
}

/// Sets the CRC-32 behind `count` bytes at `at`.
pub fn sum(bytes: &mut [u8], at: usize, count: usize) {
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[at..at + count]);
    bytes[at + count..at + count + 4].copy_from_slice(&crc.sum().to_le_bytes());
}

/// `bytes` with every occurrence of `from` replaced by `to`, which is as long.
pub fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut out = bytes.to_vec();
    let mut found = 0;
    for at in 0..=out.len() - from.len() {
        if out[at..].starts_with(from) {
            out[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0, "the bytes to replace are in the archive");
    out
}
