//! Attacks and damage: each is refused with a message that names the entry, and leaves nothing behind.

use std::io::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::make::{self, entry, entry_with, file, link, pax};
use super::{folder, names, unpack_bytes};
use crate::support::nvidia_archive::{gz, xz};

/// What the refusal says. Panics when the archive is accepted or anything is left behind.
fn refusal(name: &str, bytes: &[u8]) -> String {
    let folder = folder();
    let outer = folder.path().join("work");
    std::fs::create_dir(&outer).unwrap();
    let error = match unpack_bytes(&outer, name, bytes) {
        Ok(_) => panic!("{name} was accepted"),
        Err(error) => error,
    };
    assert!(error.is_rejected(), "the content is at fault: {error}");
    assert_eq!(names(&outer), [name], "{name}: something was left behind");
    assert_eq!(
        names(folder.path()),
        ["work"],
        "{name}: something was written outside"
    );
    // How large an archive of zeros is depends on the compressor.
    let cap = bytes.len() as u64 * 100 + (64 << 20);
    error.render().replace(&cap.to_string(), "(cap)")
}

fn table(cases: &[(&str, Vec<u8>)]) -> String {
    cases
        .iter()
        .map(|(name, bytes)| refusal(name, bytes))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn tar_names_and_kinds() {
    let one = |entry: Vec<u8>| make::tar(&[entry]);
    let mut zero_in_long_name = b"top/a\0/../../b\0".to_vec();
    zero_in_long_name.resize(40, 0);
    let cases = [
        ("dotdot.tar", one(file("top/lib/../../../etc/passwd", b"x"))),
        ("absolute.tar", one(file("/etc/passwd", b"x"))),
        (
            "pax-dotdot.tar",
            make::tar(&[pax(b'x', &[("path", "top/../../a")]), file("top/a", b"")]),
        ),
        ("backslash.tar", one(file("top\\..\\a", b"x"))),
        ("control.tar", one(file("top/a\x1b[31m", b"x"))),
        (
            "latin1.tar",
            one(entry_with(b'0', b"top/gr\xfcn", b"", b"", |_| {})),
        ),
        (
            "name-tail.tar",
            one(entry_with(b'0', b"top/a\0/b", b"", b"", |_| {})),
        ),
        (
            "long-zero.tar",
            make::tar(&[
                entry(b'L', "././@LongLink", "", &zero_in_long_name),
                file("top/a", b""),
            ]),
        ),
        (
            "empty-name.tar",
            one(entry_with(b'0', b"", b"", b"", |_| {})),
        ),
        ("slash-file.tar", one(file("top/a/", b"x"))),
        ("char-device.tar", one(entry(b'3', "top/null", "", b""))),
        ("block-device.tar", one(entry(b'4', "top/sda", "", b""))),
        ("fifo.tar", one(entry(b'6', "top/pipe", "", b""))),
        ("unknown-kind.tar", one(entry(b'V', "top/x", "", b""))),
        ("sparse.tar", one(entry(b'S', "top/a", "", b""))),
        (
            "pax-sparse.tar",
            make::tar(&[pax(b'x', &[("GNU.sparse.major", "1")]), file("top/a", b"")]),
        ),
        (
            "two-folders.tar",
            make::tar(&[file("a/x", b""), file("b/y", b"")]),
        ),
        ("no-folder.tar", one(file("a", b""))),
        (
            "duplicate.tar",
            make::tar(&[file("top/a", b"1"), file("top/b", b""), file("top/a", b"2")]),
        ),
        (
            "duplicate-dot.tar",
            make::tar(&[file("top/a", b"1"), file("./top/a", b"2")]),
        ),
        (
            "case.tar",
            make::tar(&[
                file("top/Lib/a", b""),
                file("top/b", b""),
                file("top/lib/c", b""),
            ]),
        ),
        (
            "file-over-folder.tar",
            make::tar(&[file("top/a/b", b""), file("top/a", b"")]),
        ),
        (
            "folder-over-file.tar",
            make::tar(&[file("top/a", b""), entry(b'5', "top/a/", "", b"")]),
        ),
        (
            "below-file.tar",
            make::tar(&[file("top/a", b""), file("top/a/b", b"")]),
        ),
        (
            "deep.tar",
            make::tar(&[
                pax(b'x', &[("path", &"d/".repeat(70))]),
                entry(b'5', "x/", "", b""),
            ]),
        ),
        ("empty.tar", {
            let mut bytes = make::tar(&[pax(b'g', &[("comment", "x")])]);
            bytes.truncate(1024 + 1024);
            bytes
        }),
    ];
    insta::assert_snapshot!(table(&cases), @r"
    dotdot.tar: entry 1 `top/lib/../../../etc/passwd`: expected a path that stays inside the archive, found the component `..`
    hint: NVIDIA's archives have no such entry; check where this file comes from
    absolute.tar: entry 1 `/etc/passwd`: expected a relative path, found an absolute one
    hint: NVIDIA's archives have no such entry; check where this file comes from
    pax-dotdot.tar: entry 1 `top/../../a`: expected a path that stays inside the archive, found the component `..`
    hint: NVIDIA's archives have no such entry; check where this file comes from
    backslash.tar: entry 1 `top\..\a`: expected a name without backslashes and control characters, found `\`
    control.tar: entry 1 `top/a\u{1b}[31m`: expected a name without backslashes and control characters, found `\u{1b}`
    latin1.tar: entry 1 `top/gr�n`: expected a name in UTF-8, found other bytes after 6 bytes
    name-tail.tar: entry 1 `top/a`: expected zero bytes after the end of the name, found others
    long-zero.tar: entry 1 `top/a\u{0}/../../b\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}`: expected a name without backslashes and control characters, found `\u{0}`
    empty-name.tar: entry 1 ``: expected a name, found an empty one
    slash-file.tar: entry 1 `top/a/`: expected the name of a file, found one that ends in `/`
    char-device.tar: entry 1 `top/null`: expected a file, directory or link, found a character device
    block-device.tar: entry 1 `top/sda`: expected a file, directory or link, found a block device
    fifo.tar: entry 1 `top/pipe`: expected a file, directory or link, found a named pipe
    unknown-kind.tar: entry 1 `top/x`: expected a file, directory or link, found the entry type `V`
    sparse.tar: entry 1 `top/a`: expected a plain file, found a sparse one
    pax-sparse.tar: entry 1 `PaxHeaders/x`: expected a plain file, found a sparse one
    two-folders.tar: entry 2 `b/y`: expected all entries below the one folder `a`, found one beside it
    no-folder.tar: entry 1 `a`: expected one folder at the top of the archive, found a file there
    duplicate.tar: entry 3 `top/a`: expected every path once, found it again after entry 1
    duplicate-dot.tar: entry 2 `./top/a`: expected every path once, found it again after entry 1
    case.tar: entry 3 `top/lib/c`: expected paths that differ in more than case, found that of entry 1 in another case
    file-over-folder.tar: entry 2 `top/a`: expected every path once, found it again after entry 1
    folder-over-file.tar: entry 2 `top/a/`: expected every path once, found it again after entry 1
    below-file.tar: entry 2 `top/a/b`: expected `a` to be a directory, found a file (entry 1)
    deep.tar: entry 1 `d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/...`: expected a path (components) of at most 64, found 70
    empty.tar: expected an entry after the extended headers, found the end of the archive
    ");
}

#[test]
fn tar_links() {
    let cases = [
        ("absolute.tar", make::tar(&[link("top/a", "/etc")])),
        (
            "leaves.tar",
            make::tar(&[file("top/lib/a", b""), link("top/lib/b", "../../x")]),
        ),
        (
            "through.tar",
            make::tar(&[link("top/d", "lib"), file("top/d/evil", b"x")]),
        ),
        (
            "over-link.tar",
            make::tar(&[link("top/a", "b"), file("top/a", b"x")]),
        ),
        // As text each target stays inside; followed by a kernel the second leaves.
        (
            "composed.tar",
            make::tar(&[link("top/here", "."), link("top/out", "here/../x")]),
        ),
        (
            "composed-late.tar",
            make::tar(&[
                link("top/lib/a", "../z/../x"),
                link("top/z", "."),
                file("top/lib/b", b""),
            ]),
        ),
        (
            "loop.tar",
            make::tar(&[link("top/a", "b"), link("top/b", "a")]),
        ),
        ("empty.tar", make::tar(&[link("top/a", "")])),
        (
            "link-data.tar",
            make::tar(&[entry(b'2', "top/a", "b", b"data")]),
        ),
        (
            "hard-outside.tar",
            make::tar(&[entry(b'1', "top/a", "/etc/passwd", b"")]),
        ),
        (
            "hard-dotdot.tar",
            make::tar(&[entry(b'1', "top/a", "top/../../x", b"")]),
        ),
        (
            "hard-other.tar",
            make::tar(&[file("top/b", b""), entry(b'1', "top/a", "other/b", b"")]),
        ),
        (
            "hard-later.tar",
            make::tar(&[entry(b'1', "top/a", "top/b", b""), file("top/b", b"")]),
        ),
        (
            "hard-symlink.tar",
            make::tar(&[link("top/s", "x"), entry(b'1', "top/a", "top/s", b"")]),
        ),
    ];
    insta::assert_snapshot!(table(&cases), @r#"
    absolute.tar: entry 1 `top/a`: expected a link target that is relative, found `/etc`
    hint: NVIDIA's archives have no such entry; check where this file comes from
    leaves.tar: entry 2 `lib/b`: expected a link target inside the tree, found `../../x`
    hint: NVIDIA's archives have no such entry; check where this file comes from
    through.tar: entry 2 `top/d/evil`: expected `d` to be a directory, found a symbolic link (entry 1)
    over-link.tar: entry 2 `top/a`: expected every path once, found it again after entry 1
    composed.tar: entry 2 `out`: expected a link target inside the tree, found `here/../x`
    hint: NVIDIA's archives have no such entry; check where this file comes from
    composed-late.tar: entry 1 `lib/a`: expected a link target inside the tree, found `../z/../x`
    hint: NVIDIA's archives have no such entry; check where this file comes from
    loop.tar: entry 1 `a`: expected a link target that ends, found `b`, which leads through more than 40 links
    empty.tar: entry 1 `top/a`: expected a name, found an empty one
    link-data.tar: entry 1 `top/a`: expected no content in a symbolic link, found 4 bytes
    hard-outside.tar: entry 1 `top/a`: expected a hard link to a file unpacked before it, found `/etc/passwd`
    hard-dotdot.tar: entry 1 `top/a`: expected a hard link to a file unpacked before it, found `top/../../x`
    hard-other.tar: entry 2 `top/a`: expected a hard link to a file unpacked before it, found `other/b`
    hard-later.tar: entry 1 `top/a`: expected a hard link to a file unpacked before it, found `b`
    hard-symlink.tar: entry 2 `top/a`: expected a hard link to a file unpacked before it, found `s`
    "#);
}

#[test]
fn tar_structure() {
    let good = make::tar(&[file("top/a", b"hello"), file("top/b", b"x")]);
    let cut = |length: usize| good[..length].to_vec();
    let size = |field: &'static [u8; 12]| {
        make::tar(&[entry_with(b'0', b"top/a", b"", b"", move |header| {
            header[124..136].copy_from_slice(field)
        })])
    };
    let mut trailing = good.clone();
    trailing.extend_from_slice(&file("top/c", b""));
    let mut bad_sum = good.clone();
    bad_sum[0] ^= 1;
    let cases = [
        ("cut-data.tar", cut(515)),
        ("cut-header.tar", cut(1200)),
        ("no-end.tar", cut(2048)),
        ("half-end.tar", cut(2048 + 512)),
        ("trailing.tar", trailing),
        ("sum.tar", bad_sum),
        ("huge.tar", size(b"\x80\0\0\0\x40\0\0\0\0\0\0\0")),
        ("negative.tar", size(&[0xff; 12])),
        ("bad-size.tar", size(b"99999999999\0")),
        (
            "pax-size.tar",
            make::tar(&[
                pax(b'x', &[("size", "99999999999999")]),
                file("top/a", b"x"),
            ]),
        ),
        (
            "pax-global.tar",
            make::tar(&[pax(b'g', &[("path", "top/x")]), file("top/a", b"")]),
        ),
        (
            "pax-record.tar",
            make::tar(&[entry(b'x', "pax", "", b"99 path=a\n"), file("top/a", b"")]),
        ),
        (
            "pax-twice.tar",
            make::tar(&[
                pax(b'x', &[("path", "top/x"), ("path", "top/y")]),
                file("top/a", b""),
            ]),
        ),
        (
            "extension-bomb.tar",
            make::tar(&[entry(b'L', "x", "", &[b'a'; 70_000]), file("top/a", b"")]),
        ),
        (
            "extensions.tar",
            make::tar(&vec![pax(b'g', &[("comment", "x")]); 9]),
        ),
        (
            "lone-extension.tar",
            make::tar(&[file("top/a", b""), pax(b'x', &[("path", "top/b")])]),
        ),
    ];
    insta::assert_snapshot!(table(&cases), @r#"
    cut-data.tar: entry 1 `top/a`: expected 5 bytes of content, found 3
    cut-header.tar: entry 2: cannot read the data: failed to read entire block
    no-end.tar: expected two blocks of zeros at the end, found the end of the data: the archive is cut short
    hint: the file is cut short or has extra bytes at its end; remove it and fetch again
    half-end.tar: expected two blocks of zeros at the end, found the end of the data: the archive is cut short
    hint: the file is cut short or has extra bytes at its end; remove it and fetch again
    trailing.tar: expected only zeros after the end marker, found other bytes
    sum.tar: entry 1: cannot read the data: archive header checksum mismatch
    huge.tar: entry 1 `top/a`: expected at most 68719476736 bytes out of this archive, found more
    negative.tar: entry 1: cannot read the data: size overflow
    bad-size.tar: entry 1: cannot read the data: numeric field was not a number: 99999999999 when getting size for top/a
    pax-size.tar: entry 1 `top/a`: expected the size 1 of the header, found the size `99999999999999` in its pax record
    pax-global.tar: entry 1 `PaxHeaders/x`: expected a file, directory or link, found a global pax record `path`
    pax-record.tar: entry 1 `pax`: expected pax records `LENGTH KEY=VALUE`, found other bytes at offset 0
    pax-twice.tar: entry 1 `PaxHeaders/x`: expected at most one path for one entry, found another
    extension-bomb.tar: entry 1 `x`: expected an extended header (bytes) of at most 65536, found 70000
    extensions.tar: entry 1 `PaxHeaders/x`: expected a number of extended headers of at most 8, found 9
    lone-extension.tar: expected an entry after the extended headers, found the end of the archive
    "#);
}

#[test]
fn compressed_streams() {
    let good = make::tar(&[file("top/a", &[7; 3000])]);
    let with = |mut bytes: Vec<u8>, tail: &[u8]| {
        bytes.extend_from_slice(tail);
        bytes
    };
    let cut = |mut bytes: Vec<u8>, count: usize| {
        bytes.truncate(bytes.len() - count);
        bytes
    };
    let flip = |mut bytes: Vec<u8>, at: usize| {
        bytes[at] ^= 0x10;
        bytes
    };
    let zeros = make::tar(&[file("top/zeros", &vec![0; 80 << 20])]);
    let checked = |check| {
        let stream = liblzma::stream::Stream::new_easy_encoder(0, check).unwrap();
        let mut packer = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        packer.write_all(&good).unwrap();
        packer.finish().unwrap()
    };
    // The stream's header: 6 bytes of magic, two of flags, the second of which is the check, CRC-32 of both.
    let mut unknown_check = xz(&good);
    unknown_check[7] = 2;
    make::sum(&mut unknown_check, 6, 2);
    let cases = [
        ("no-check.tar.xz", checked(liblzma::stream::Check::None)),
        ("unknown-check.tar.xz", unknown_check),
        ("dictionary.tar.xz", make::with_dictionary(xz(&good), 36)),
        (
            "second-no-check.tar.xz",
            [xz(b""), checked(liblzma::stream::Check::None)].concat(),
        ),
        ("trailing.tar.xz", with(xz(&good), b"garbage!")),
        ("padding.tar.xz", with(xz(&good), &[0; 3])),
        ("cut.tar.xz", cut(xz(&good), 6)),
        ("flip.tar.xz", flip(xz(&good), 60)),
        ("not-tar.tar.xz", xz(b"hello")),
        ("trailing.tar.gz", with(gz(&good), b"garbage!")),
        ("cut.tar.gz", cut(gz(&good), 6)),
        ("flip.tar.gz", flip(gz(&good), 20)),
        ("bomb.tar.xz", xz(&zeros)),
        ("bomb.tar.gz", gz(&zeros)),
        ("page.tar.xz", b"<!DOCTYPE html><html>".to_vec()),
        ("empty.tar.xz", Vec::new()),
        ("x.whl", xz(&good)),
    ];
    insta::assert_snapshot!(table(&cases), @"
    no-check.tar.xz: entry 1: expected an .xz stream with a check, CRC-32 (1), CRC-64 (4) or SHA-256 (10), found one without
    unknown-check.tar.xz: entry 1: expected an .xz stream with a check, CRC-32 (1), CRC-64 (4) or SHA-256 (10), found the check 2
    dictionary.tar.xz: entry 1: expected an .xz stream that can be decoded with 268435456 bytes of memory, found one that takes more
    second-no-check.tar.xz: entry 1: expected an .xz stream with a check, CRC-32 (1), CRC-64 (4) or SHA-256 (10), found one without
    trailing.tar.xz: expected the end of the file or another .xz stream behind a stream, found other bytes
    hint: the file is cut short or has extra bytes at its end; remove it and fetch again
    padding.tar.xz: expected padding behind an .xz stream in groups of 4 zero bytes, found 3 of them
    hint: the file is cut short or has extra bytes at its end; remove it and fetch again
    cut.tar.xz: cannot read the data: premature eof
    hint: the file is cut short or has extra bytes at its end; remove it and fetch again
    flip.tar.xz: entry 1: cannot read the data: lzma data error
    not-tar.tar.xz: entry 1: cannot read the data: failed to read entire block
    trailing.tar.gz: cannot read the data: unexpected end of file
    hint: the file is cut short or has extra bytes at its end; remove it and fetch again
    cut.tar.gz: cannot read the data: unexpected end of file
    hint: the file is cut short or has extra bytes at its end; remove it and fetch again
    flip.tar.gz: entry 1: cannot read the data: corrupt deflate stream
    bomb.tar.xz: entry 1 `top/zeros`: expected at most (cap) bytes out of this archive, found more
    bomb.tar.gz: entry 1 `top/zeros`: expected at most (cap) bytes out of this archive, found more
    page.tar.xz: expected an archive (.tar.xz, .tar.gz, .tar, .zip or .whl), found a file that starts with the bytes 3c 21 44 4f 43 54
    hint: this looks like a web page: the download address is wrong or needs a login
    empty.tar.xz: expected an archive (.tar.xz, .tar.gz, .tar, .zip or .whl), found an empty file
    x.whl: expected a wheel to be a zip archive, found an .xz stream
    ");
}

#[test]
fn zip_archives() {
    let good = make::zip(&[("top/aa", 0o644, b"hello"), ("top/bb", 0o644, b"x")]);
    let named = |name: &str| make::zip(&[(name, 0o644, b"x")]);
    let central = good
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    let edit = |changes: &[(usize, &[u8])]| {
        let mut bytes = good.clone();
        for (at, new) in changes {
            bytes[*at..*at + new.len()].copy_from_slice(new);
        }
        bytes
    };
    let mut symlink = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    symlink
        .add_symlink("top/a", "/etc", zip::write::SimpleFileOptions::default())
        .unwrap();
    let mut commented = good.clone();
    let length = commented.len();
    commented[length - 2] = 3;
    commented.extend_from_slice(b"hi!");
    let deflated = make::zip_with(
        zip::CompressionMethod::Deflated,
        &[("top/zeros", 0o644, &vec![0; 80 << 20])],
    );
    let cases = [
        (
            "dotdot.zip",
            make::replace(&named("top/xx/a"), b"top/xx/a", b"top/../a"),
        ),
        (
            "absolute.zip",
            make::replace(&named("top/a"), b"top/a", b"/op/a"),
        ),
        (
            "backslash.zip",
            make::replace(&named("top/a"), b"top/a", b"top\\a"),
        ),
        (
            "latin1.zip",
            make::replace(&named("top/a"), b"top/a", b"top/\xfc"),
        ),
        (
            "zero.zip",
            make::replace(&named("top/abc"), b"top/abc", b"top/a\0c"),
        ),
        ("symlink.zip", symlink.finish().unwrap().into_inner()),
        ("duplicate.zip", make::replace(&good, b"top/bb", b"top/aa")),
        ("local-name.zip", edit(&[(30, b"top/zz")])),
        ("crc.zip", make::replace(&good, b"hello", b"hellO")),
        (
            "encrypted.zip",
            edit(&[(6, b"\x01"), (central + 8, b"\x01")]),
        ),
        ("method.zip", edit(&[(8, b"\x0c"), (central + 10, b"\x0c")])),
        ("size.zip", edit(&[(22, b"\x09"), (central + 24, b"\x09")])),
        ("prefix.zip", [&b"PK\x03\x04junk"[..], &good].concat()),
        ("trailing.zip", [&good[..], b"junk"].concat()),
        ("comment.zip", commented),
        // A second end record, which counts nothing and points nowhere, behind the first one.
        (
            "two-ends.zip",
            [
                &good[..],
                b"PK\x05\x06",
                &[0; 4],
                &[1, 0, 1, 0],
                &[9, 0, 0, 0, 3, 0, 0, 0, 0, 0],
            ]
            .concat(),
        ),
        ("cut.zip", good[..length - 5].to_vec()),
        (
            "zip64.zip",
            edit(&[(length - 12, b"\xff\xff"), (length - 14, b"\xff\xff")]),
        ),
        (
            "two-folders.zip",
            make::zip(&[("a/x", 0o644, b""), ("b/y", 0o644, b"")]),
        ),
        ("no-folder.zip", named("a")),
        (
            "case.zip",
            make::zip(&[("t/A", 0o644, b""), ("t/a", 0o644, b"")]),
        ),
        // Both entries have the content of the first: with many of them a few bytes become gigabytes (Fifield's bombs).
        ("overlap.zip", overlapping()),
        ("disks.zip", edit(&[(length - 18, b"\x01")])),
        ("second-name.zip", second_name()),
        ("empty.zip", make::zip(&[])),
        ("bomb.zip", deflated),
    ];
    insta::assert_snapshot!(table(&cases), @r"
    dotdot.zip: entry 1 `top/../a`: expected a path that stays inside the archive, found the component `..`
    hint: NVIDIA's archives have no such entry; check where this file comes from
    absolute.zip: entry 1 `/op/a`: expected a relative path, found an absolute one
    hint: NVIDIA's archives have no such entry; check where this file comes from
    backslash.zip: entry 1 `top\a`: expected a name without backslashes and control characters, found `\`
    latin1.zip: entry 1 `top/�`: expected a name in UTF-8, found other bytes after 4 bytes
    zero.zip: entry 1 `top/a\u{0}c`: expected a name without backslashes and control characters, found `\u{0}`
    symlink.zip: entry 1 `top/a`: expected a file, directory or link, found the Unix mode 120777
    duplicate.zip: cannot read the zip structure: invalid Zip archive: header inconsistency detected: duplicate file names in central directory
    local-name.zip: cannot read the zip structure: invalid Zip archive: header inconsistency detected: Local file header filename mismatch (does not match central directory)
    crc.zip: entry 1 `top/aa`: cannot read the data: Invalid checksum
    encrypted.zip: entry 1 `top/aa`: expected an unencrypted entry, found an encrypted one
    method.zip: entry 1 `top/aa`: expected the compression stored (0) or deflate (8), found Bzip2
    size.zip: entry 1 `top/aa`: expected 9 bytes of content, found 5
    prefix.zip: expected the zip archive to start at its first byte and end with an end record without comment, found other bytes
    trailing.zip: expected the zip archive to start at its first byte and end with an end record without comment, found other bytes
    comment.zip: expected the zip archive to start at its first byte and end with an end record without comment, found other bytes
    two-ends.zip: expected the zip archive to start at its first byte and end with an end record without comment, found other bytes
    cut.zip: expected the zip archive to start at its first byte and end with an end record without comment, found other bytes
    zip64.zip: expected a zip archive below 4 GiB and 65535 entries, found a zip64 end record
    hint: repack it as .tar.xz
    two-folders.zip: entry 2 `b/y`: expected all entries below the one folder `a`, found one beside it
    no-folder.zip: entry 1 `a`: expected one folder at the top of the archive, found a file there
    case.zip: entry 2 `t/a`: expected paths that differ in more than case, found that of entry 1 in another case
    overlap.zip: cannot read the zip structure: invalid Zip archive: header inconsistency detected: Local file header filename mismatch (does not match central directory)
    disks.zip: expected the zip archive to start at its first byte and end with an end record without comment, found other bytes
    second-name.zip: cannot read the zip structure: invalid Zip archive: header inconsistency detected: UnicodePath (0x7075) changes file name path components
    empty.zip: expected at least one entry, found none
    bomb.zip: entry 1 `top/zeros`: expected at most (cap) bytes out of this archive, found more
    ");
}

/// A zip archive whose two entries have one and the same local header.
fn overlapping() -> Vec<u8> {
    let mut bytes = make::zip(&[("top/a", 0o644, b"hello"), ("top/b", 0o644, b"hello")]);
    let second = bytes.windows(4).rposition(|four| four == b"PK\x01\x02");
    // Offset of the local header, in the second entry of the central directory.
    let at = second.unwrap() + 42;
    bytes[at..at + 4].copy_from_slice(&[0; 4]);
    bytes
}

/// A zip archive with the name `evil` in an extra field that some readers take for the better one.
fn second_name() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut options = zip::write::FileOptions::<zip::write::ExtendedFileOptions>::default();
    let mut crc = flate2::Crc::new();
    crc.update(b"top/a");
    let field = [&[1][..], &crc.sum().to_le_bytes(), b"evil"].concat();
    for central in [false, true] {
        options
            .add_extra_field(0x7075, field.clone(), central)
            .unwrap();
    }
    writer.start_file("top/a", options).unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn an_existing_target_is_kept() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("out")).unwrap();
    let error =
        unpack_bytes(folder.path(), "a.tar", &make::tar(&[file("top/a", b"")])).unwrap_err();
    assert!(!error.is_rejected(), "{error}");
    assert_eq!(names(folder.path()), ["a.tar", "out"]);
    assert!(names(&folder.path().join("out")).is_empty());
}

/// Names built from the pieces that attacks are built from.
fn name() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec!["a", "b", "lib", "..", ".", "", "top", "link"]);
    prop::collection::vec(piece, 1..4).prop_map(|pieces| format!("top/{}", pieces.join("/")))
}

fn target() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec!["a", "b", "lib", "..", ".", "", "link"]);
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.join("/"))
}

fn any_entry() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => name().prop_map(|name| file(&name, b"content")),
        1 => name().prop_map(|name| entry(b'5', &name, "", b"")),
        3 => (name(), target()).prop_map(|(name, target)| link(&name, &target)),
        1 => (name(), name()).prop_map(|(name, target)| entry(b'1', &name, &target, b"")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the entries: nothing changes outside the target, and no link in it leads out of it.
    #[test]
    fn nothing_is_written_outside(entries in prop::collection::vec(any_entry(), 1..8)) {
        let folder = folder();
        let outer = folder.path().join("work");
        std::fs::create_dir(&outer).unwrap();
        let outcome = unpack_bytes(&outer, "a.tar", &make::tar(&entries));
        prop_assert_eq!(names(folder.path()), ["work"]);
        match outcome {
            Ok(out) => {
                prop_assert_eq!(names(&outer), ["a.tar", "out"]);
                assert_links_stay(&out, &out.canonicalize().unwrap());
            }
            Err(_) => prop_assert_eq!(names(&outer), ["a.tar"]),
        }
    }
}

fn assert_links_stay(folder: &Path, root: &Path) {
    for name in names(folder) {
        let path = folder.join(name);
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            assert_links_stay(&path, root);
        } else if metadata.is_symlink()
            && let Ok(real) = path.canonicalize()
        {
            assert!(
                real.starts_with(root),
                "{} leads to {}",
                path.display(),
                real.display()
            );
        }
    }
}
