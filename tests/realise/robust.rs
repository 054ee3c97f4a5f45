//! Whatever happens to a build, no part of an output is ever taken for one.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Package, text};
use crate::support::nvidia_archive::{Content, Member};
use crate::support::{run, skip};

/// Enough to be caught in the middle: some hundred files that do not compress.
fn members() -> Vec<Member> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = |bytes: usize| -> Vec<u8> {
        (0..bytes)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[0]
            })
            .collect()
    };
    let mut members: Vec<Member> = (0..300)
        .map(|number| Member {
            path: format!("include/x{number}.h"),
            content: Content::File(noise(20_000)),
        })
        .collect();
    members.push(text("LICENSE"));
    members
}

#[test]
fn a_killed_build_leaves_no_part_of_an_output() {
    let package = Package::new("cuda_foo", "linux-x86_64", &members());
    let started = Instant::now();
    package.run(&[]).expect(0);
    let whole = started.elapsed();
    for output in ["out", "dev", "include"] {
        run(Command::new("chmod")
            .arg("-R")
            .arg("u+w")
            .arg(package.output(output)))
        .expect(0);
        std::fs::remove_dir_all(package.output(output)).expect("ours");
    }
    let mut was_killed = 0;
    for step in 0..24 {
        let mut child = package
            .command()
            .stdout(Stdio::null())
            .spawn()
            .expect("it runs");
        std::thread::sleep(
            whole
                .mul_f64(f64::from(step) / 20.0)
                .max(Duration::from_millis(1)),
        );
        child.kill().expect("ours");
        let is_done = child.wait().expect("ours").success();
        was_killed += i32::from(!is_done);
        let made = package.made();
        let shown: Vec<&String> = made.iter().filter(|name| !name.starts_with('.')).collect();
        // `out`, which has the report, comes last: where it is, all of them are.
        let is_whole = shown.iter().any(|name| *name == "out");
        // A complete output is also as settled as it will ever be, save for the one that was just moved.
        let newest = shown
            .len()
            .checked_sub(1)
            .map(|_| ["include", "dev", "out"][shown.len() - 1]);
        for name in &shown {
            if is_done || Some(name.as_str()) != newest {
                super::repeat::settled(&package.output(name));
            }
            let count = walk(&package.output(name));
            let expected = match name.as_str() {
                "include" => 301,
                "dev" => 2,
                _ => 4,
            };
            assert_eq!(count, expected, "{name} after step {step}");
        }
        assert!(!is_whole || shown.len() == 3, "{shown:?}");
        assert!(!is_done || is_whole);
        for name in &made {
            let path = package.folder.path().join(name);
            run(Command::new("chmod").arg("-R").arg("u+w").arg(&path)).expect(0);
            std::fs::remove_dir_all(path).expect("ours");
        }
    }
    assert!(was_killed > 0, "every build was done before it was killed");
}

/// The number of files below `folder`.
fn walk(folder: &std::path::Path) -> usize {
    let entries = folder.read_dir().expect("readable");
    entries
        .map(|entry| {
            let path = entry.expect("readable").path();
            if path.is_dir() { walk(&path) } else { 1 }
        })
        .sum()
}

#[test]
fn a_full_disk_is_told_and_nothing_is_left() {
    let test = "a_full_disk_is_told_and_nothing_is_left";
    let mut package = Package::new("cuda_foo", "linux-x86_64", &members());
    let mounted = package.folder.path().join("small");
    std::fs::create_dir(&mounted).expect("a folder");
    for kibibytes in [4, 40, 400, 2_000, 4_000, 5_900] {
        let options = format!("size={kibibytes}k");
        let mount = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&mounted));
        if mount.code != 0 {
            skip(test, "`mount` is not allowed");
            return;
        }
        let outputs = ["out", "dev", "include"].map(|name| (name, mounted.join(name)));
        package.plan["outputs"] = serde_json::json!(
            outputs
                .iter()
                .cloned()
                .collect::<std::collections::BTreeMap<_, _>>()
        );
        let ran = package.run(&[]);
        let left: Vec<_> = mounted
            .read_dir()
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name())
            .collect();
        run(Command::new("umount").arg(&mounted)).expect(0);
        let ran = ran.expect(3);
        assert!(
            ran.stderr.contains("No space left on device"),
            "{}",
            ran.stderr
        );
        assert!(left.is_empty(), "{kibibytes} KiB: {left:?}");
    }
}
