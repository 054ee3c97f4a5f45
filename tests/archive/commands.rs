//! The commands `unpack` and `verify`, with good input and bad.

use std::fs;
use std::path::Path;
use std::process::Command;

use cuda_redist::hash;

use super::make::{self, entry, file, link};
use super::{folder, listing, names};
use crate::support::nvidia_archive::xz;
use crate::support::{Ran, program, run};

/// Runs the program in `folder`.
fn in_folder(folder: &Path, arguments: &[&str]) -> Ran {
    run(Command::new(program()).args(arguments).current_dir(folder))
}

fn tar_xz() -> Vec<u8> {
    xz(&make::tar(&[
        entry(b'5', "top/bin/", "", b""),
        file("top/lib/libfoo.so.12", b"library"),
        link("top/lib/libfoo.so", "libfoo.so.12"),
    ]))
}

#[test]
fn unpack_makes_the_directory_and_lists_it() {
    let folder = folder();
    fs::write(folder.path().join("a.bin"), tar_xz()).unwrap();
    let ran = in_folder(folder.path(), &["unpack", "a.bin", "out/"]).expect(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    insta::assert_snapshot!(listing(&folder.path().join("out")), @"
    0755 bin/
    0755 lib/
    link lib/libfoo.so -> libfoo.so.12
    0644 lib/libfoo.so.12 7
    ");
    let ran = in_folder(folder.path(), &["unpack", "--list", "a.bin"]).expect(0);
    insta::assert_snapshot!(ran.stdout, @"
    0755     bin/
    0755     lib/
    link     lib/libfoo.so -> libfoo.so.12
    0644  7  lib/libfoo.so.12
    ");
    let json = ["unpack", "--format", "json"];
    let listed = in_folder(folder.path(), &[&json[..], &["--list", "a.bin"]].concat()).expect(0);
    insta::assert_snapshot!(listed.stdout, @r#"
    {
      "archive": "a.bin",
      "entries": [
        {
          "path": "bin",
          "type": "directory"
        },
        {
          "path": "lib",
          "type": "directory"
        },
        {
          "path": "lib/libfoo.so",
          "target": "libfoo.so.12",
          "type": "link"
        },
        {
          "executable": false,
          "path": "lib/libfoo.so.12",
          "size": 7,
          "type": "file"
        }
      ],
      "files": 1,
      "size": 7
    }
    "#);
    let made = in_folder(folder.path(), &[&json[..], &["a.bin", "again"]].concat()).expect(0);
    assert_eq!(made.stdout, listed.stdout);
    assert_eq!(names(folder.path()), ["a.bin", "again", "out"]);
}

/// Nothing in them can be patched, but they can be unpacked and looked at.
#[test]
fn windows_archives_unpack_and_list() {
    let folder = folder();
    let top = "cuda_cudart-windows-x86_64-12.9.79-archive";
    let paths = [
        "bin/cudart64_12.dll",
        "include/cuda.h",
        "lib/x64/cudart.lib",
    ];
    let names = paths.map(|path| format!("{top}/{path}"));
    let files = names.each_ref().map(|name| (name.as_str(), 0, &b"x"[..]));
    fs::write(folder.path().join("a.zip"), make::zip(&files)).unwrap();
    let ran = in_folder(folder.path(), &["unpack", "--list", "a.zip"]).expect(0);
    insta::assert_snapshot!(ran.stdout, @"
    0755     bin/
    0644  1  bin/cudart64_12.dll
    0755     include/
    0644  1  include/cuda.h
    0755     lib/
    0755     lib/x64/
    0644  1  lib/x64/cudart.lib
    ");
    in_folder(folder.path(), &["unpack", "a.zip", "out"]).expect(0);
    for path in paths {
        assert!(folder.path().join("out").join(path).is_file(), "{path}");
    }
}

#[test]
fn unpack_keeps_only_what_has_the_digest() {
    let folder = folder();
    let bytes = tar_xz();
    fs::write(folder.path().join("a.tar.xz"), &bytes).unwrap();
    let right = hash::digest(&bytes[..]).unwrap().sha256;
    for (number, digest) in [right.to_hex(), right.to_sri(), right.to_nix32()]
        .iter()
        .enumerate()
    {
        let out = format!("out{number}");
        in_folder(
            folder.path(),
            &["unpack", "--sha256", digest, "a.tar.xz", &out],
        )
        .expect(0);
    }
    let wrong = hash::digest(&b"other"[..]).unwrap().sha256.to_sri();
    let ran = in_folder(
        folder.path(),
        &["unpack", "--sha256", &wrong, "a.tar.xz", "bad"],
    )
    .expect(1);
    for part in [
        "a.tar.xz: sha256 mismatch",
        &wrong,
        &right.to_sri(),
        "hint: ",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert_eq!(names(folder.path()), ["a.tar.xz", "out0", "out1", "out2"]);
}

#[test]
fn unpack_says_what_is_wrong() {
    let folder = folder();
    for (name, bytes) in [
        ("good", tar_xz()),
        ("page", b"<html>Not found</html>".to_vec()),
        ("evil", make::tar(&[file("top/../../x", b"x")])),
        ("cut", tar_xz()[..100].to_vec()),
        ("text.whl", b"hello".to_vec()),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    fs::create_dir(folder.path().join("there")).unwrap();
    let before = names(folder.path());
    let mut told = String::new();
    for (arguments, code) in [
        (&["page", "out"][..], 1),
        (&["evil", "out"], 1),
        (&["cut", "out"], 1),
        (&["text.whl", "out"], 1),
        (&["good", "there"], 2),
        (&["good", "there/."], 2),
        (&["good"], 2),
        (&["--list", "good", "out"], 2),
        (&["--sha256", "abc", "good", "out"], 2),
        (&["absent", "out"], 3),
        (&["there", "out"], 3),
        (&["good", "no/parent"], 3),
    ] {
        let ran = in_folder(folder.path(), &[&["unpack"][..], arguments].concat()).expect(code);
        assert_eq!(ran.stdout, "");
        let lines = ran.stderr.lines().take_while(|line| !line.is_empty());
        told.push_str(&format!("{}\n", arguments.join(" ")));
        // The hidden folder has a name by chance.
        let lines = lines.map(|line| line.split(" at path ").next().unwrap_or(line));
        told.extend(lines.map(|line| format!("  {line}\n")));
        assert_eq!(names(folder.path()), before, "{arguments:?}");
    }
    insta::assert_snapshot!(told, @r#"
    page out
      page: expected an archive (.tar.xz, .tar.gz, .tar, .zip or .whl), found a file that starts with the bytes 3c 68 74 6d 6c 3e
      hint: this looks like a web page: the download address is wrong or needs a login
    evil out
      evil: entry 1 `top/../../x`: expected a path that stays inside the archive, found the component `..`
      hint: NVIDIA's archives have no such entry; check where this file comes from
    cut out
      cut: entry 2: cannot read the data: premature eof
      hint: the file is cut short or has extra bytes at its end; remove it and fetch again
    text.whl out
      text.whl: expected an archive (.tar.xz, .tar.gz, .tar, .zip or .whl), found a file that starts with the bytes 68 65 6c 6c 6f
    good there
      there: expected a directory that does not exist yet, found something there
      hint: remove it, or name another directory
    good there/.
      there: expected a directory that does not exist yet, found something there
      hint: remove it, or name another directory
    good
      error: the following required arguments were not provided:
        <DIR>
    --list good out
      error: the argument '--list' cannot be used with '[DIR]'
    --sha256 abc good out
      error: invalid value 'abc' for '--sha256 <DIGEST>': expected 64 lowercase hex digits, found 3 characters
    absent out
      absent: cannot open: No such file or directory (os error 2)
    there out
      there: cannot read the data: Is a directory (os error 21)
    good no/parent
      good: cannot write `no/parent`: No such file or directory (os error 2)
    "#);
}

#[test]
fn verify_compares_with_the_manifest() {
    let folder = folder();
    for platform in ["linux-x86_64", "linux-sbsa"] {
        let name = format!("cuda_foo-{platform}-1.2.3-archive");
        let bytes = xz(&make::tar(&[file(
            &format!("{name}/LICENSE"),
            platform.as_bytes(),
        )]));
        fs::create_dir_all(folder.path().join("archives")).unwrap();
        fs::write(folder.path().join(format!("archives/{name}.tar.xz")), bytes).unwrap();
    }
    let index = "index archives --product cuda --label 12.9.1 --output redistrib_12.9.1.json";
    in_folder(folder.path(), &index.split(' ').collect::<Vec<_>>()).expect(0);
    let archive = |platform| format!("archives/cuda_foo-{platform}-1.2.3-archive.tar.xz");
    let x86_64 = archive("linux-x86_64");
    let whole = fs::read(folder.path().join(&x86_64)).unwrap();
    fs::write(folder.path().join("cut"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.path().join("page"), "<!DOCTYPE html>").unwrap();
    fs::write(folder.path().join("wrong.json"), "{}").unwrap();
    let mut told = String::new();
    let sbsa = archive("linux-sbsa");
    let asked = "--package cuda_foo --platform linux-x86_64";
    for (manifest, asked, path, code) in [
        ("redistrib_12.9.1.json", asked, x86_64.as_str(), 0),
        ("redistrib_12.9.1.json", asked, &sbsa, 1),
        ("redistrib_12.9.1.json", asked, "cut", 1),
        ("redistrib_12.9.1.json", asked, "page", 1),
        (
            "redistrib_12.9.1.json",
            "--package cuda_fo --platform linux-x86_64",
            &x86_64,
            2,
        ),
        (
            "redistrib_12.9.1.json",
            "--package cuda_foo --platform linux-ppc64le",
            &x86_64,
            2,
        ),
        (
            "redistrib_12.9.1.json",
            &format!("{asked} --variant cuda12"),
            &x86_64,
            2,
        ),
        ("redistrib_12.9.1.json", asked, "absent", 3),
        ("absent.json", asked, &x86_64, 3),
    ] {
        let mut arguments = vec!["verify", "--manifest", manifest, path];
        arguments.extend(asked.split(' '));
        let ran = in_folder(folder.path(), &arguments).expect(code);
        told.push_str(&ran.stdout);
        told.push_str(&ran.stderr);
    }
    insta::assert_snapshot!(told, @"
    archives/cuda_foo-linux-x86_64-1.2.3-archive.tar.xz: ok, sha256, md5 and size are those of cuda_foo.linux-x86_64 (168 bytes)
    archives/cuda_foo-linux-sbsa-1.2.3-archive.tar.xz: expected the archive `cuda_foo.linux-x86_64`, found `cuda_foo.linux-sbsa`
      specified: sha256-Mxpx0k0AhQu5fh4TEY47fvvKbU+WEQg51ywDqyGjm60=
      got:       sha256-UkpgRt3wixGxgtuM+00yim/P6Sn2V5pfQZhr3SoUujY=
    hint: the file is whole, but for another package, platform or variant of the manifest
    cut: sha256 mismatch
      specified: sha256-Mxpx0k0AhQu5fh4TEY47fvvKbU+WEQg51ywDqyGjm60=
      got:       sha256-85TS4P8rpJsybBA2vamBj0ca4caX2Zt8xUtlmhQVprg=  (read 84 bytes, manifest says 168)
    hint: the download looks cut short; remove it and fetch again
    page: sha256 mismatch
      specified: sha256-Mxpx0k0AhQu5fh4TEY47fvvKbU+WEQg51ywDqyGjm60=
      got:       sha256-x35RaN/9pmuNwT8UJbTTYwpmVqPlrPcH9Dkyd7o8i14=  (read 15 bytes, manifest says 168)
    hint: this is a web page, not an archive; look at the address it was fetched from
    redistrib_12.9.1.json: expected a package of the manifest, found `cuda_fo`
    hint: did you mean `cuda_foo`
    redistrib_12.9.1.json: expected a platform of the manifest, found `linux-ppc64le`
    hint: there are linux-sbsa, linux-x86_64
    redistrib_12.9.1.json: expected no variant, found `cuda12`
    hint: leave `--variant` out
    absent: cannot open: No such file or directory (os error 2)
    absent.json: cannot read the manifest: No such file or directory (os error 2)
    ");
}
