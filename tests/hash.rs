//! Digests against those of other programs: coreutils and Nix.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::support;

/// What `cuda-redist hash` printed for one path: the value beside each label.
fn hash(arguments: &[&str], path: &Path) -> Vec<String> {
    let ran = support::run(
        Command::new(support::program())
            .arg("hash")
            .args(arguments)
            .arg(path),
    )
    .expect(0);
    let mut lines = ran.stdout.lines();
    assert_eq!(lines.next(), path.to_str());
    let pairs: Vec<_> = lines
        .map(|line| line.trim().split_once(' ').unwrap())
        .collect();
    assert_eq!(
        pairs.iter().map(|pair| pair.0).collect::<Vec<_>>(),
        ["sha256", "SRI", "nix32", "md5", "size"]
    );
    pairs
        .into_iter()
        .map(|pair| pair.1.trim().to_owned())
        .collect()
}

/// Files on both sides of every buffer border.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let file = |length: usize| {
        let path = dir.join(format!("file-{length}"));
        fs::write(
            &path,
            (0..length)
                .map(|i| (i * 7 % 253) as u8)
                .collect::<Vec<u8>>(),
        )
        .unwrap();
        path
    };
    [0, 1, 63, 64, 65_536, 262_143, 262_144, 262_145, 3_000_000]
        .map(file)
        .to_vec()
}

#[test]
fn files_hash_as_with_coreutils() {
    let test = "files_hash_as_with_coreutils";
    let (Some(sha256sum), Some(md5sum)) = (
        support::tool(test, "sha256sum"),
        support::tool(test, "md5sum"),
    ) else {
        return;
    };
    let dir = support::dir();
    for file in files(dir.path()) {
        let ours = hash(&[], &file);
        let sum = |program| {
            support::run(Command::new(program).arg(&file))
                .expect(0)
                .stdout
        };
        assert_eq!(sum(&sha256sum).split(' ').next(), Some(&*ours[0]));
        assert_eq!(sum(&md5sum).split(' ').next(), Some(&*ours[3]));
        assert_eq!(ours[4], fs::metadata(&file).unwrap().len().to_string());
    }
}

#[test]
fn files_and_trees_hash_as_with_nix() {
    let Some(nix) = support::tool("files_and_trees_hash_as_with_nix", "nix") else {
        return;
    };
    let dir = support::dir();
    let at = |name: &str| dir.path().join(name);
    let theirs = |arguments: &[&str], path: &Path| {
        let features = ["--extra-experimental-features", "nix-command", "hash"];
        let command = &mut Command::new(&nix);
        // No store is needed, so none is opened; the folders keep it from looking at the machine's own.
        for name in [
            "NIX_STORE_DIR",
            "NIX_STATE_DIR",
            "NIX_LOG_DIR",
            "NIX_CONF_DIR",
            "HOME",
        ] {
            command.env(name, at("nix"));
        }
        support::run(command.args(features).args(arguments).arg(path))
            .expect(0)
            .stdout
            .trim()
            .to_owned()
    };
    for file in files(dir.path()) {
        let ours = hash(&[], &file);
        assert_eq!(ours[1], theirs(&["file", "--sri"], &file));
        assert_eq!(
            ours[2],
            theirs(&["file", "--base32", "--type", "sha256"], &file)
        );
        assert_eq!(hash(&["--nar"], &file)[1], theirs(&["path"], &file));
    }
    let tree = at("tree");
    fs::create_dir_all(tree.join("b/empty")).unwrap();
    fs::write(tree.join("b/c"), "content").unwrap();
    fs::write(tree.join("B"), "").unwrap();
    fs::write(tree.join("ünï"), "12345678").unwrap();
    for (name, mode) in [("run", 0o755), ("group-only", 0o654)] {
        fs::write(tree.join(name), name).unwrap();
        fs::set_permissions(tree.join(name), Permissions::from_mode(mode)).unwrap();
    }
    symlink("b/c", tree.join("link")).unwrap();
    symlink("x".repeat(4000), tree.join("long")).unwrap();
    for path in [&tree, &tree.join("link"), &tree.join("run")] {
        assert_eq!(
            hash(&["--nar"], path)[1],
            theirs(&["path"], path),
            "{path:?}"
        );
    }
}

#[test]
fn what_cannot_be_hashed_is_named() {
    let dir = support::dir();
    fs::create_dir(dir.path().join("tree")).unwrap();
    fs::write(dir.path().join("file"), "abc").unwrap();
    let hash = |arguments: &[&str]| {
        let command = &mut Command::new(support::program());
        support::run(command.current_dir(dir.path()).arg("hash").args(arguments))
    };
    let ran = hash(&["tree", "file", "absent"]).expect(3);
    insta::assert_snapshot!(ran.stdout, @r"
    file
      sha256  ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
      SRI     sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=
      nix32   1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s
      md5     900150983cd24fb0d6963f7d28e17f72
      size    3
    ");
    insta::assert_snapshot!(ran.stderr, @r"
    tree: expected a file, found a directory
    hint: add `--nar` to hash a tree as Nix does
    absent: cannot open: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(hash(&["--nar", "absent"]).expect(3).stderr, @"absent: cannot serialise: IO error on absent: No such file or directory (os error 2)");
}
