//! Whatever happens to a build, no part of an output is ever taken for one.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Package, text};
use crate::support::nvidia_archive::{Content, Member};
use crate::support::{run, skip, static_program, tool};

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

/// Ctrl-C, and what a supervisor sends, end a build by hand without a trace.
#[test]
fn a_stopped_build_leaves_nothing() {
    let package = Package::new("cuda_foo", "linux-x86_64", &members());
    let started = Instant::now();
    package.run(&[]).expect(0);
    let whole = started.elapsed();
    let remove = || {
        for name in package.made() {
            let path = package.folder.path().join(name);
            run(Command::new("chmod").arg("-R").arg("u+w").arg(&path)).expect(0);
            std::fs::remove_dir_all(path).expect("ours");
        }
    };
    remove();
    let mut were_stopped = 0;
    for step in 0..24 {
        let child = package
            .command()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        std::thread::sleep(
            whole
                .mul_f64(f64::from(step) / 20.0)
                .max(Duration::from_millis(1)),
        );
        let signal = ["-INT", "-TERM", "-HUP"][step as usize % 3];
        run(Command::new("kill").arg(signal).arg(child.id().to_string()));
        let ended = child.wait_with_output().expect("ours");
        let said = String::from_utf8_lossy(&ended.stderr);
        let made = package.made();
        if ended.status.success() {
            assert_eq!(made, ["dev", "include", "out"], "step {step}");
        } else {
            assert_eq!(made, [""; 0], "step {step}: {said}");
        }
        if ended.status.code() == Some(3) {
            assert!(
                said.contains("cuda_foo: cannot go on: a signal asked to stop; nothing was made"),
                "{said}"
            );
            were_stopped += 1;
        }
        remove();
    }
    assert!(were_stopped > 0, "no build was stopped in the middle");
}

/// `nohup`, and `&` in a script: whoever started it wants it to go on.
#[test]
fn an_ignored_signal_stays_ignored() {
    let package = Package::new("cuda_foo", "linux-x86_64", &members());
    for signal in ["INT", "HUP"] {
        let command = package.command();
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("trap '' {signal}; exec \"$0\" \"$@\""))
            .arg(command.get_program())
            .args(command.get_args())
            .arg("--dry-run")
            .stdout(Stdio::null())
            .spawn()
            .expect("it runs");
        // From when the shell is gone for sure, up to the end.
        let listed = format!("/proc/{}/comm", child.id());
        let mut were_sent = 0;
        while child.try_wait().expect("ours").is_none() {
            if std::fs::read_to_string(&listed).is_ok_and(|name| name.starts_with("cuda-redist")) {
                let id = child.id().to_string();
                run(Command::new("kill").arg(format!("-{signal}")).arg(id));
                were_sent += 1;
            }
        }
        assert!(child.wait().expect("ours").success(), "{signal}");
        assert!(were_sent > 0, "{signal}");
    }
}

/// The number of files below `folder`.
fn walk(folder: &Path) -> usize {
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
    // What is made takes 301 pages of files that are a bit larger than 19 KiB, and some folders. The later moments of a build
    // need very little more: so sizes are close to each other at the end.
    let seed: u64 = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.expect("after 1970").as_secs()
        });
    eprintln!("SEED={seed}");
    let random = (0..6).map(|step| 4 + (seed >> step) % 5_900);
    let mut was_full = 0;
    for kibibytes in random.chain((6_000..6_080).step_by(4)) {
        let options = format!("size={kibibytes}k");
        let mount = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&mounted));
        if mount.code != 0 {
            skip(test, "`mount` is not allowed");
            return;
        }
        let outputs = ["out", "dev", "include"].map(|name| (name, mounted.join(name)));
        package.plan["outputs"] = json!(
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
        if ran.code == 0 {
            assert_eq!(left.len(), 3, "{kibibytes} KiB: {left:?}");
            continue;
        }
        was_full += 1;
        let ran = ran.expect(3);
        assert!(
            ran.stderr.contains("No space left on device"),
            "{}",
            ran.stderr
        );
        assert!(left.is_empty(), "{kibibytes} KiB: {left:?}");
    }
    assert!(was_full > 6, "the disk was full {was_full} times");
}

/// A tar archive of 40,000 files, one with a name as long as they may be, and one of 3 GB that takes no room on the disk.
fn large_archive(path: &Path) {
    let file = File::create(path).expect("a file");
    let mut tar = tar::Builder::new(io::BufWriter::new(file));
    let mut add = |name: &str, size: u64, content: &mut dyn io::Read| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(size);
        tar.append_data(&mut header, format!("top/{name}"), content)
            .expect("written");
    };
    for number in 0..40_000 {
        add(
            &format!("include/d{}/f{number}.h", number % 200),
            2,
            &mut &b"x\n"[..],
        );
    }
    let long = format!("share/{}/{}", "d".repeat(200), "f".repeat(100));
    add(&long, 2, &mut &b"x\n"[..]);
    add(
        "lib/large.bin",
        LARGE_BYTES,
        &mut io::repeat(0).take(LARGE_BYTES),
    );
    tar.into_inner()
        .expect("finished")
        .flush()
        .expect("written");
}

const LARGE_BYTES: u64 = 3 << 30;

#[test]
fn a_large_package_is_made_on_a_small_machine() {
    let test = "a_large_package_is_made_on_a_small_machine";
    let (Some(program), Some(openssl), Some(prlimit), Some(time)) = (
        static_program(test),
        tool(test, "openssl"),
        tool(test, "prlimit"),
        tool(test, "python3"),
    ) else {
        return;
    };
    let mut package = Package::new("cuda_foo", "linux-x86_64", &[text("LICENSE")]);
    let archive = package.folder.path().join("large.tar");
    large_archive(&archive);
    let digest = run(Command::new(openssl)
        .args(["dgst", "-sha256", "-r"])
        .arg(&archive))
    .expect(0);
    let sha256 = digest.stdout.split(' ').next().expect("a digest");
    package.plan["releaseShape"] = json!("buildableRelease");
    package.plan["release"]["linux-x86_64"] =
        json!({ "relative_path": "large.tar", "sha256": sha256 });
    package.plan["src"] = json!(archive);
    package.plan["forbiddenTexts"] = json!(["/usr/"]);
    let package = package.with_outputs(&["out", "include", "lib"]);
    package.command();
    // The peak of a child, in KiB, is what the kernel tells its parent.
    let peak = "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n\
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)";
    let ran = run(Command::new(time)
        .args(["-c", peak])
        .arg(prlimit)
        .arg(format!("--as={}", 2u64 << 30))
        .args(["taskset", "-c", "0"])
        .arg(program)
        .args(["realise", "--plan"])
        .arg(package.folder.path().join("plan.json")))
    .expect(0);
    let peak_kib: u64 = ran.stdout.trim().parse().expect("a number");
    eprintln!("{peak_kib} KiB");
    assert!(peak_kib < 256 << 10, "{peak_kib} KiB");
    assert_eq!(walk(&package.output("include")), 40_001);
    let large = package.output("lib").join("lib/large.bin");
    assert_eq!(large.metadata().expect("made").len(), LARGE_BYTES);
}

#[test]
fn where_nothing_can_be_written_nothing_is_made() {
    let test = "where_nothing_can_be_written_nothing_is_made";
    let mut package = Package::new("cuda_foo", "linux-x86_64", &[text("LICENSE")]);
    // A folder that is none: also root cannot write there.
    package.plan["outputs"] = json!({ "out": "/proc/self/made/out" });
    let ran = package.run(&[]).expect(3);
    assert!(
        ran.stderr
            .starts_with("/proc/self/made: cannot make a directory in: "),
        "{test}: {}",
        ran.stderr
    );
}
