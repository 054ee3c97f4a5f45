//! One archive in the layout of NVIDIA's redistributables, with content for all ten outputs, made by code.
//!
//! [`members`] compiles real ELF files with the host's `cc`; [`tar`], [`xz`] and [`gz`] pack any list of members.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{dir, run, tool};

/// The package's name, as a manifest would have it.
pub const PACKAGE: &str = "cuda_foo";
/// The package's version.
pub const VERSION: &str = "12.9.79";
/// The package's platform.
pub const PLATFORM: &str = "linux-x86_64";

/// One entry below the top folder of an archive.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its path below the top folder.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// What a [`Member`] is.
#[derive(Clone, Debug)]
pub enum Content {
    /// A directory.
    Directory,
    /// A file with mode 0644.
    File(Vec<u8>),
    /// A file with mode 0755.
    Program(Vec<u8>),
    /// A symbolic link to this target.
    Link(String),
}

/// The archive's top folder, `cuda_foo-linux-x86_64-12.9.79-archive`.
pub fn top() -> String {
    format!("{PACKAGE}-{PLATFORM}-{VERSION}-archive")
}

/// Writes `cuda_foo-linux-x86_64-12.9.79-archive.tar.xz` into `folder` and gives its path; `None` (after a
/// visible skip of `test`) where `cc` is missing.
pub fn write(test: &str, folder: &Path) -> Option<PathBuf> {
    let file = folder.join(format!("{}.tar.xz", top()));
    std::fs::write(&file, xz(&tar(&top(), &members(test)?))).expect("the archive is written");
    Some(file)
}

/// The members, in the order of the archive; `None` (after a visible skip of `test`) where `cc` is missing.
pub fn members(test: &str) -> Option<Vec<Member>> {
    let cc = tool(test, "cc")?;
    let work = dir();
    let compile = |output: &str, source: &str, flags: &[&str]| -> Vec<u8> {
        let source_file = work.path().join(format!("{output}.c"));
        std::fs::write(&source_file, source).expect("a source file is written");
        run(Command::new(&cc)
            .current_dir(work.path())
            .args(["-O1", "-o", output])
            .arg(&source_file)
            .args(flags))
        .expect(0);
        std::fs::read(work.path().join(output)).expect("cc made its output")
    };
    let library = "int fooGetVersion(void) { return 12090; }\n";
    let shared = ["-shared", "-fPIC", "-Wl,-soname,libfoo.so.12"];
    let libfoo = compile("libfoo.so", library, &shared);
    let stub = compile(
        "stub.so",
        "int fooGetVersion(void) { return 0; }\n",
        &shared,
    );
    let object = compile("foo.o", library, &["-c"]);
    let program = "int fooGetVersion(void);\nint main(void) { return fooGetVersion() != 12090; }\n";
    let tool = compile("foo-tool", program, &["-L.", "-lfoo"]);

    let text = |text: &str| Content::File(text.as_bytes().to_vec());
    let link = |target: &str| Content::Link(target.to_owned());
    let list = [
        ("LICENSE", text("A licence.\n")),
        ("bin", Content::Directory),
        ("bin/foo-tool", Content::Program(tool)),
        ("docs", Content::Directory),
        ("docs/foo.txt", text("How to use foo.\n")),
        ("include", Content::Directory),
        (
            "include/foo.h",
            text("#pragma once\n#include \"foo/version.h\"\nint fooGetVersion(void);\n"),
        ),
        ("include/foo/version.h", text("#define FOO_VERSION 12090\n")),
        ("lib", Content::Directory),
        ("lib/libfoo.so", link("libfoo.so.12")),
        ("lib/libfoo.so.12", link("libfoo.so.12.9.79")),
        ("lib/libfoo.so.12.9.79", Content::Program(libfoo)),
        (
            "lib/libfoo_static.a",
            Content::File(static_library(&object)),
        ),
        ("lib/stubs/libfoo.so", Content::Program(stub)),
        (
            "lib/cmake/foo/foo-config.cmake",
            text("add_library(foo SHARED IMPORTED)\n"),
        ),
        (
            "pkg-config/foo-12.9.pc",
            text(
                "cudaroot=/usr/local/cuda-12.9\nlibdir=${cudaroot}/lib\nincludedir=${cudaroot}/include\n\n\
                 Name: foo\nDescription: foo\nVersion: 12.9\nLibs: -L${libdir} -lfoo\nCflags: -I${includedir}\n",
            ),
        ),
        (
            "python/foo-12.9.79-py3-none-any.whl",
            Content::File(wheel()),
        ),
        (
            "samples/simple/simple.cu",
            text("__global__ void kernel() {}\n"),
        ),
    ];
    Some(
        list.into_iter()
            .map(|(path, content)| Member {
                path: path.to_owned(),
                content,
            })
            .collect(),
    )
}

/// A static library of one object, without a symbol index.
fn static_library(object: &[u8]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    let size = object.len();
    writeln!(
        out,
        "{:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`",
        "foo.o/", 0, 0, 0, 644
    )
    .expect("into memory");
    out.extend_from_slice(object);
    if size % 2 == 1 {
        out.push(b'\n');
    }
    out
}

/// A wheel with one Python module.
fn wheel() -> Vec<u8> {
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer
        .start_file("foo/__init__.py", options)
        .expect("into memory");
    writer
        .write_all(b"version = \"12.9.79\"\n")
        .expect("into memory");
    writer.finish().expect("into memory").into_inner()
}

/// A tar archive of `members` below the folder `top`, with fixed owner and times.
pub fn tar(top: &str, members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: String, content: &Content| {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(1);
        header.set_mode(match content {
            Content::Directory | Content::Program(_) => 0o755,
            Content::File(_) => 0o644,
            Content::Link(_) => 0o777,
        });
        match content {
            Content::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, format!("{path}/"), std::io::empty())
            }
            Content::File(bytes) | Content::Program(bytes) => {
                header.set_size(u64::try_from(bytes.len()).expect("64 bits"));
                builder.append_data(&mut header, path, bytes.as_slice())
            }
            Content::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, path, target)
            }
        }
        .expect("into memory");
    };
    add(top.to_owned(), &Content::Directory);
    for member in members {
        add(format!("{top}/{}", member.path), &member.content);
    }
    builder.into_inner().expect("into memory")
}

/// `bytes` as one .xz stream.
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

/// `bytes` as one .gz member.
pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}
