//! Good archives come out complete, the same from every format.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;

use cuda_redist::archive;

use super::make::{self, entry, entry_with, file, link, pax};
use super::{folder, listing, names, unpack_bytes, unpack_file};
use crate::support::nvidia_archive::{Content, Member, gz, tar as nvidia_tar, top, xz};
use crate::support::{self, nvidia_archive};

fn members() -> Vec<Member> {
    let file = |text: &str| Content::File(text.as_bytes().to_vec());
    [
        ("LICENSE", file("A licence.\n")),
        ("bin", Content::Directory),
        ("bin/tool", Content::Program(b"#!/bin/sh\n".to_vec())),
        ("include/foo/foo.h", file("#pragma once\n")),
        ("lib/libfoo.so", Content::Link("libfoo.so.12".to_owned())),
        (
            "lib/libfoo.so.12",
            Content::Link("libfoo.so.12.9".to_owned()),
        ),
        ("lib/libfoo.so.12.9", file("not ELF\n")),
        ("share/empty", Content::Directory),
    ]
    .map(|(path, content)| Member {
        path: path.to_owned(),
        content,
    })
    .to_vec()
}

#[test]
fn every_tar_format_gives_the_same_tree() {
    let tar = nvidia_tar(&top(), &members());
    for (name, bytes) in [
        ("a.tar", tar.clone()),
        ("a.tar.xz", xz(&tar)),
        ("a.tar.gz", gz(&tar)),
    ] {
        let folder = folder();
        let out = unpack_bytes(folder.path(), name, &bytes).unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(listing(&out), @r#"
            0644 LICENSE 11
            0755 bin/
            0755 bin/tool 10
            0755 include/
            0755 include/foo/
            0644 include/foo/foo.h 13
            0755 lib/
            link lib/libfoo.so -> libfoo.so.12
            link lib/libfoo.so.12 -> libfoo.so.12.9
            0644 lib/libfoo.so.12.9 8
            0755 share/
            0755 share/empty/
            "#);
        }
        assert_eq!(names(folder.path()), [name, "out"], "nothing else is left");
        assert_eq!(std::fs::read(out.join("LICENSE")).unwrap(), b"A licence.\n");
    }
}

/// The archive that the other areas build from comes out as GNU tar would unpack it.
#[test]
fn agrees_with_gnu_tar() {
    let test = "agrees_with_gnu_tar";
    let folder = folder();
    let (Some(tar), Some(_)) = (support::tool(test, "tar"), support::tool(test, "xz")) else {
        return;
    };
    let Some(archive) = nvidia_archive::write(test, folder.path()) else {
        return;
    };
    let theirs = folder.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    let mut command = Command::new(tar);
    command
        .arg("-xJf")
        .arg(&archive)
        .args(["--strip-components=1", "--no-same-permissions", "-C"])
        .arg(&theirs);
    support::run(&mut command).expect(0);
    let ours = unpack_file(&archive, &folder.path().join("ours")).unwrap();
    assert_eq!(listing(&ours), listing(&theirs));
    for line in listing(&ours)
        .lines()
        .filter(|line| line.starts_with('0') && !line.ends_with('/'))
    {
        let path = line.split(' ').nth(1).unwrap();
        assert_eq!(
            std::fs::read(ours.join(path)).unwrap(),
            std::fs::read(theirs.join(path)).unwrap(),
            "{path}"
        );
    }
}

#[test]
fn concatenated_streams_are_one_archive() {
    let tar = nvidia_tar(&top(), &members());
    let (head, tail) = tar.split_at(1000);
    for (name, pack) in [("a.tar.xz", xz as fn(&[u8]) -> Vec<u8>), ("a.tar.gz", gz)] {
        let folder = folder();
        let padding = if name.ends_with("xz") { 8 } else { 0 };
        let bytes = [pack(head), vec![0; padding], pack(tail), vec![0; padding]].concat();
        let out = unpack_bytes(folder.path(), name, &bytes).unwrap();
        assert_eq!(
            std::fs::read(out.join("bin/tool")).unwrap(),
            b"#!/bin/sh\n",
            "{name}"
        );
    }
}

/// Modes are ours: no set-id bits, no directory that cannot be entered.
#[test]
fn modes_are_normalised() {
    let with_mode = |kind, name: &str, mode: &'static [u8; 8]| {
        entry_with(kind, name.as_bytes(), b"", b"", |header| {
            header[100..108].copy_from_slice(mode);
        })
    };
    let folder = folder();
    let bytes = make::tar(&[
        with_mode(b'5', "top/closed/", b"0000000\0"),
        with_mode(b'5', "top/sticky/", b"0007777\0"),
        with_mode(b'0', "top/closed/setuid", b"0006755\0"),
        with_mode(b'0', "top/closed/none", b"0000000\0"),
        with_mode(b'0', "top/closed/all", b"0000666\0"),
    ]);
    let out = unpack_bytes(folder.path(), "a.tar", &bytes).unwrap();
    insta::assert_snapshot!(listing(&out), @"
    0755 closed/
    0644 closed/all 0
    0644 closed/none 0
    0755 closed/setuid 0
    0755 sticky/
    ");
}

/// `xz -T`: the headers of blocks have sizes, so that they can be decoded in parallel. More of them than threads.
#[test]
fn blocks_are_decoded_in_parallel_and_in_order() {
    let content: Vec<u8> = (0..3_000_000u32)
        .flat_map(|n| (n / 7).to_le_bytes())
        .collect();
    let tar = make::tar(&[file("top/numbers", &content)]);
    let stream = liblzma::stream::MtStreamBuilder::new()
        .threads(2)
        .block_size(1 << 20)
        .preset(0)
        .check(liblzma::stream::Check::Crc64)
        .encoder()
        .unwrap();
    let mut packer = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    packer.write_all(&tar).unwrap();
    let packed = packer.finish().unwrap();
    assert_ne!(packed[13] & 0xc0, 0, "the first block's header has sizes");
    let folder = folder();
    let out = unpack_bytes(folder.path(), "a.tar.xz", &packed).unwrap();
    assert!(std::fs::read(out.join("numbers")).unwrap() == content);
    // Damage in a late block, and the end cut off: told by whatever thread comes upon it.
    let mut damaged = packed.clone();
    let late = damaged.len() * 3 / 4;
    damaged[late] ^= 1;
    for (name, bytes) in [
        ("damaged.tar.xz", &damaged[..]),
        ("cut.tar.xz", &packed[..late]),
    ] {
        let folder = support::dir();
        let error = unpack_bytes(folder.path(), name, bytes).unwrap_err();
        assert!(error.is_rejected(), "{error}");
        assert_eq!(names(folder.path()), [name]);
    }
}

/// What [`archive::list`] says is what is unpacked.
#[test]
fn listing_is_unpacking_without_writing() {
    let folder = folder();
    let file = folder.path().join("a.tar.xz");
    std::fs::write(&file, xz(&nvidia_tar(&top(), &members()))).unwrap();
    let listed = archive::list(&File::open(&file).unwrap(), "a.tar.xz", &|_| Ok(()))
        .unwrap()
        .keep()
        .unwrap();
    assert_eq!(names(folder.path()), ["a.tar.xz"]);
    let target = folder.path().join("out");
    let unpacked = archive::unpack(&File::open(&file).unwrap(), "a.tar.xz", &target).unwrap();
    assert_eq!(listed, unpacked);
    let lines: Vec<String> = listed.entries.iter().map(line).collect();
    assert_eq!(lines.join("\n"), listing(&target));
    assert_eq!((listed.files(), listed.size_bytes()), (4, 42));
}

/// An entry as [`listing`] shows it.
fn line(entry: &archive::Entry) -> String {
    let path = &entry.path;
    match &entry.kind {
        archive::EntryKind::Directory => format!("0755 {path}/"),
        archive::EntryKind::File { size_bytes, mode } => format!("{mode:04o} {path} {size_bytes}"),
        archive::EntryKind::Link { target } => format!("link {path} -> {target}"),
    }
}

#[test]
fn zip_archives_keep_execute_bits_and_content() {
    let big = vec![b'x'; 700_000];
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        let bytes = make::zip_with(
            method,
            &[
                ("x-archive/", 0o755, b""),
                ("x-archive/bin/tool.exe", 0o755, b"MZ"),
                ("x-archive/lib/x64/foo.lib", 0o644, &big),
            ],
        );
        let folder = folder();
        let out = unpack_bytes(folder.path(), "x.zip", &bytes).unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(listing(&out), @r#"
            0755 bin/
            0755 bin/tool.exe 2
            0755 lib/
            0755 lib/x64/
            0644 lib/x64/foo.lib 700000
            "#);
        }
        assert_eq!(std::fs::read(out.join("lib/x64/foo.lib")).unwrap(), big);
    }
}

/// What GNU tar, Python and libarchive write for long names, and modes that are normalised.
#[test]
fn tar_dialects() {
    let long = format!("top/{}/file", "d".repeat(120));
    let mut long_zero = long.clone().into_bytes();
    long_zero.push(0);
    let bytes = make::tar(&[
        pax(b'g', &[("comment", "made by git")]),
        entry(b'5', "./", "", b""),
        entry(b'5', "./top/", "", b""),
        entry(b'L', "././@LongLink", "", &long_zero),
        file("top/short", b"gnu"),
        pax(
            b'x',
            &[("path", "top/pax"), ("size", "3"), ("mtime", "1.5")],
        ),
        file("top/other", b"pax"),
        pax(b'x', &[("linkpath", "pax")]),
        link("top/link", "short"),
        entry(b'1', "top/hard", "top/pax", b""),
        entry_with(b'0', b"top/setuid", b"", b"x", |header| {
            header[100..108].copy_from_slice(b"0006755\0")
        }),
        entry_with(b'5', b"top/closed/", b"", b"", |header| {
            header[100..108].copy_from_slice(b"0000000\0")
        }),
        file("top/closed/inner", b""),
        entry_with(b'\0', b"top/old", b"", b"v7", |_| {}),
    ]);
    let folder = folder();
    let out = unpack_bytes(folder.path(), "a.tar", &bytes).unwrap();
    insta::assert_snapshot!(listing(&out), @r#"
    0755 closed/
    0644 closed/inner 0
    0755 dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd/
    0644 dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd/file 3
    0644 hard 3
    link link -> pax
    0644 old 2
    0644 pax 3
    0755 setuid 1
    "#);
    assert_eq!(std::fs::read(out.join("hard")).unwrap(), b"pax");
    assert!(out.join("d".repeat(120)).join("file").is_file());
}

#[test]
fn links_may_go_anywhere_inside() {
    let bytes = make::tar(&[
        link("top/lib64", "lib"),
        link("top/targets/x86_64-linux/lib", "../../lib"),
        link("top/lib/libfoo.so", "./libfoo.so.1"),
        link("top/dangling", "lib/missing"),
        link("top/through", "targets/x86_64-linux/lib/libfoo.so"),
        link("top/self", "."),
        // Leaves as text, stays inside when followed: `deep` adds two levels.
        link("top/deep", "targets/x86_64-linux"),
        link("top/up", "deep/../../lib/libfoo.so.1"),
        file("top/lib/libfoo.so.1", b"foo"),
    ]);
    let folder = folder();
    let out = unpack_bytes(folder.path(), "a.tar", &bytes).unwrap();
    assert_eq!(std::fs::read(out.join("through")).unwrap(), b"foo");
    assert_eq!(std::fs::read(out.join("up")).unwrap(), b"foo");
    assert_eq!(std::fs::read(out.join("lib64/libfoo.so")).unwrap(), b"foo");
}
