//! Wheels: the re-layout on made ones, and real ones of NVIDIA's where they are in the cache.

use super::make;
use super::{folder, listing, unpack_bytes, unpack_file};
use crate::support;

const METADATA: &str =
    "Metadata-Version: 2.1\nName: nvidia-foo-cu12\nVersion: 12.6.77\nSummary: Foo\n\nText\n";
const DIST_INFO: &str = "nvidia_foo_cu12-12.6.77.dist-info";

#[test]
fn a_component_wheel_becomes_an_archive() {
    let elf = [&b"\x7fELF"[..], &[0; 60]].concat();
    let bytes = make::wheel(
        DIST_INFO,
        METADATA,
        &[
            ("nvidia/__init__.py", 0o644, b""),
            ("nvidia/foo/__init__.py", 0o644, b""),
            ("nvidia/foo/loader.py", 0o644, b"import ctypes\n"),
            ("nvidia/foo/bin/foo", 0o744, &elf),
            ("nvidia/foo/bin/bar", 0o644, &elf),
            ("nvidia/foo/bin/foo.profile", 0o644, b"TOP = x\n"),
            ("nvidia/foo/include/foo.h", 0o644, b"#pragma once\n"),
            ("nvidia/foo/lib64/libfoo.so.12", 0o644, &elf),
            ("nvidia/foo/lib64/libfoo-builtins.so.12.6", 0o755, &elf),
            ("nvidia/foo/lib64/libfoo.alt.so.12", 0o644, &elf),
            ("nvidia/foo/lib64/libbar.so", 0o644, &elf),
            ("nvidia/foo/lib64/libbar.so.9", 0o644, &elf),
            ("nvidia/foo/lib64/libbar.so.10", 0o644, &elf),
            ("nvidia/foo/lib64/libtwo.so.9", 0o644, &elf),
            ("nvidia/foo/lib64/libtwo.so.10", 0o644, &elf),
        ],
    );
    let folder = folder();
    let out = unpack_bytes(
        folder.path(),
        "nvidia_foo_cu12-12.6.77-py3-none-any.whl",
        &bytes,
    )
    .unwrap();
    insta::assert_snapshot!(listing(&out), @r#"
    0644 LICENSE 11
    0755 bin/
    0755 bin/bar 64
    0755 bin/foo 64
    0644 bin/foo.profile 8
    0755 include/
    0644 include/foo.h 13
    0755 lib/
    0644 lib/libbar.so 64
    0644 lib/libbar.so.10 64
    0644 lib/libbar.so.9 64
    link lib/libfoo-builtins.so -> libfoo-builtins.so.12.6
    0755 lib/libfoo-builtins.so.12.6 64
    link lib/libfoo.alt.so -> libfoo.alt.so.12
    0644 lib/libfoo.alt.so.12 64
    link lib/libfoo.so -> libfoo.so.12
    0644 lib/libfoo.so.12 64
    link lib/libtwo.so -> libtwo.so.10
    0644 lib/libtwo.so.10 64
    0644 lib/libtwo.so.9 64
    0755 python/
    0755 python/nvidia/
    0755 python/nvidia/foo/
    0644 python/nvidia/foo/loader.py 14
    "#);
}

#[test]
fn the_top_folder_of_a_build_goes_and_its_reports_too() {
    let bytes = make::wheel(
        DIST_INFO,
        METADATA,
        &[
            ("nvidia/cu13/include/foo.h", 0o644, b"#pragma once\n"),
            ("nvidia/cu13/foo/.metadata/.sizes.txt", 0o644, b"0\n"),
            (
                "nvidia/cu13/foo/lib/cmake/foo/foo-config.cmake",
                0o644,
                b"x\n",
            ),
            ("nvidia/cu13/bar/lib/y", 0o644, b"y\n"),
        ],
    );
    let folder = folder();
    let out = unpack_bytes(folder.path(), "nvidia_foo-13.2.75-py3-none-any.whl", &bytes).unwrap();
    insta::assert_snapshot!(listing(&out), @r"
    0644 LICENSE 11
    0755 bar/
    0755 bar/lib/
    0644 bar/lib/y 2
    0755 include/
    0644 include/foo.h 13
    0755 lib/
    0755 lib/cmake/
    0755 lib/cmake/foo/
    0644 lib/cmake/foo/foo-config.cmake 2
    ");
}

#[test]
fn dropped_files_count_too() {
    let zeros = vec![0; 80 << 20];
    let bytes = make::wheel(
        DIST_INFO,
        METADATA,
        &[
            ("nvidia/foo/lib/libfoo.so.12", 0o644, b"library"),
            ("nvidia_foo_cu12-12.6.77.dist-info/zeros", 0o644, &zeros),
        ],
    );
    let folder = folder();
    let error = unpack_bytes(folder.path(), "bomb.whl", &bytes).unwrap_err();
    let cap = bytes.len() as u64 * 100 + (64 << 20);
    assert_eq!(
        error.render(),
        format!(
            "bomb.whl: entry 2 `{DIST_INFO}/zeros`: expected at most {cap} bytes out of this archive, found more"
        )
    );
}

#[test]
fn bad_wheels_are_refused() {
    let files: &[(&str, u32, &[u8])] = &[("nvidia/foo/lib/libfoo.so.12", 0o644, b"library")];
    let good = make::wheel(DIST_INFO, METADATA, files);
    let with_record = |record: &str| make::wheel_with_record(files[0], DIST_INFO, record);
    let digest = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    let rest = format!("{DIST_INFO}/METADATA,{digest},0\n{DIST_INFO}/RECORD,,\n");
    let cases = [
        (
            "digest",
            with_record(&format!("nvidia/foo/lib/libfoo.so.12,{digest},7\n{rest}")),
        ),
        (
            "size",
            with_record(&format!("nvidia/foo/lib/libfoo.so.12,{digest},8\n{rest}")),
        ),
        ("unlisted", with_record(&rest)),
        ("missing", {
            let library =
                "nvidia/foo/lib/libfoo.so.12,sha256=txjxNU9yRzEuyghtmgJK_l-nF93qWt7d1vErz5RbLow,7";
            let record = format!("{library}\nnvidia/foo/lib/gone,{digest},0\n{rest}");
            with_record(&record)
        }),
        ("line", with_record("nvidia/foo/lib/libfoo.so.12,md5=x,7\n")),
        ("no-dist-info", make::zip(files)),
        (
            "two-components",
            make::wheel(
                DIST_INFO,
                METADATA,
                &[
                    ("nvidia/a/lib/x", 0o644, b""),
                    ("nvidia/b/lib/y", 0o644, b""),
                ],
            ),
        ),
        (
            "python-only",
            make::wheel(
                DIST_INFO,
                METADATA,
                &[("nvidia/a/__init__.py", 0o644, b"x = 1\n")],
            ),
        ),
        (
            "no-component",
            make::wheel(DIST_INFO, METADATA, &[("lib/x", 0o644, b"")]),
        ),
    ];
    let mut messages = Vec::new();
    for (name, bytes) in &cases {
        let folder = folder();
        let error = unpack_bytes(folder.path(), &format!("{name}.whl"), bytes).unwrap_err();
        assert!(!folder.path().join("out").exists());
        messages.push(error.render());
    }
    insta::assert_snapshot!(messages.join("\n"), @r#"
    digest.whl: entry 1 `nvidia/foo/lib/libfoo.so.12`: sha256 mismatch
      specified: 47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU  (RECORD)
      got:       txjxNU9yRzEuyghtmgJK_l-nF93qWt7d1vErz5RbLow
    size.whl: entry 1 `nvidia/foo/lib/libfoo.so.12`: expected 8 bytes of content, found 7
    unlisted.whl: entry 1 `nvidia/foo/lib/libfoo.so.12`: expected every file in RECORD, found one that is not listed
    missing.whl: expected the files of RECORD, found `nvidia/foo/lib/gone` missing
    line.whl: expected `PATH,sha256=DIGEST,SIZE` in RECORD, found `nvidia/foo/lib/libfoo.so.12,md5=x,7`
    no-dist-info.whl: expected one `.dist-info` folder with METADATA and RECORD, found none
    two-components.whl: expected one component folder, such as `nvidia/NAME` or `NAME`, found `nvidia/a/lib/x and nvidia/b/lib/y`
    python-only.whl: expected libraries, headers or programs, found only Python and metadata
    no-component.whl: expected one component folder, such as `nvidia/NAME` or `NAME`, found `lib/x`
    "#);
    assert!(unpack_bytes(folder().path(), "good.whl", &good).is_ok());
}

#[test]
fn real_wheels_unpack() {
    for wheel in support::wheels("real_wheels_unpack", "nvidia_").unwrap_or_default() {
        let name = wheel.file_name().unwrap().to_string_lossy().into_owned();
        let folder = folder();
        let out = unpack_file(&wheel, &folder.path().join("out")).unwrap();
        let listing = listing(&out);
        assert!(out.join("LICENSE").is_file(), "{name}:\n{listing}");
        for line in listing.lines() {
            // Empty ones are dropped; what has code in it is Python of its own.
            let is_marker = line.contains("__init__.py") && !line.contains(" python/");
            assert!(!is_marker && !line.contains("dist-info"), "{name}: {line}");
            let top = line.split([' ', '/']).nth(1).unwrap_or_default();
            assert!(
                [
                    "LICENSE", "NOTICE", "bin", "include", "lib", "lib64", "licenses", "nvvm",
                    "python", "share"
                ]
                .contains(&top),
                "{name}: {line}"
            );
            if let Some((path, size)) = line
                .split_once(" lib/")
                .and_then(|(_, rest)| rest.split_once(' '))
                && let Some((stem, _)) = path.rsplit_once(".so.")
            {
                assert!(
                    out.join("lib").join(format!("{stem}.so")).is_file(),
                    "{name}: {path} {size} has no link"
                );
            }
        }
        if name.starts_with("nvidia_cuda_cccl-") {
            for file in [
                "lib/cmake/cub/cub-header-search.cmake",
                "include/cccl/cub/version.cuh",
            ] {
                assert!(out.join(file).is_file(), "{name}: {file}");
            }
        }
        if name.starts_with("nvidia_cuda_cuobjdump-") {
            assert!(listing.contains("\n0755 bin/cuobjdump "), "{listing}");
        }
        if name == "nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl" {
            let lib: Vec<&str> = listing
                .lines()
                .filter(|line| line.contains(" lib/"))
                .collect();
            assert_eq!(
                lib,
                [
                    "0755 lib/",
                    "link lib/libcudart.so -> libcudart.so.12",
                    "0644 lib/libcudart.so.12 716128"
                ]
            );
        }
    }
}
