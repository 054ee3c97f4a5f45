//! Unpacking on a bad day: little disk, little memory, one core, other users, forbidden system calls, killed half-way.

use std::fs::{self, File, Permissions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cuda_redist::archive;

use super::make::{self, entry, file};
use super::{folder, names, unpack_bytes};
use crate::support::nvidia_archive::xz;
use crate::support::{Ran, is_root, program, run, skip, tool};

/// Bytes that pack to about a third.
fn content(length: usize) -> Vec<u8> {
    let mut state: u32 = 1;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 29).to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// An archive of `count` files of `length` bytes.
fn files(count: usize, length: usize) -> Vec<u8> {
    let content = content(length);
    let entries: Vec<_> = (0..count)
        .map(|number| file(&format!("top/d{}/f{number}", number % 100), &content))
        .collect();
    make::tar(&entries)
}

/// `xz -T`, with blocks of `block_bytes`.
fn in_blocks(bytes: &[u8], block_bytes: u64) -> Vec<u8> {
    let stream = liblzma::stream::MtStreamBuilder::new()
        .threads(2)
        .block_size(block_bytes)
        .preset(0)
        .check(liblzma::stream::Check::Crc64)
        .encoder()
        .unwrap();
    let mut packer = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn unpack(archive: &Path, target: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg("unpack").arg(archive).arg(target);
    command
}

/// `command` run by `wrapper`, as in `taskset -c 0 command`.
fn under(wrapper: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(wrapper[0]);
    wrapped
        .args(&wrapper[1..])
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
}

/// A file system of its own, unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` (after a visible skip) where nothing can be mounted.
    fn new(test: &str, path: PathBuf, options: &str) -> Option<Mounted> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&path);
        if !is_root() || run(&mut mount).code != 0 {
            skip(
                test,
                "it mounts a small file system, which only root may do",
            );
            return None;
        }
        Some(Mounted(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    let folder = folder();
    let archive = folder.path().join("a.tar");
    fs::write(&archive, files(300, 10_000)).unwrap();
    for options in [
        "size=16k",
        "size=400k",
        "size=1m",
        "size=2900k",
        "size=16m,nr_inodes=2",
        "size=16m,nr_inodes=150",
    ] {
        let test = "archive::robust::a_full_disk_leaves_nothing";
        let Some(disk) = Mounted::new(test, folder.path().join("disk"), options) else {
            return;
        };
        let ran = run(&mut unpack(&archive, &disk.0.join("out"))).expect(3);
        assert!(
            ran.stderr.contains("No space left on device"),
            "{options}: {}",
            ran.stderr
        );
        assert_eq!(names(&disk.0), [""; 0], "{options}");
    }
}

#[test]
fn forty_thousand_files_and_long_names() {
    let folder = folder();
    let tar = files(40_000, 10);
    let out = unpack_bytes(folder.path(), "a.tar.xz", &xz(&tar)).unwrap();
    let inside = (0..100).map(|number| names(&out.join(format!("d{number}"))).len());
    assert_eq!(inside.sum::<usize>(), 40_000);

    let zip_files: Vec<String> = (0..40_000).map(|number| format!("top/{number}")).collect();
    let zip_files: Vec<(&str, u32, &[u8])> = zip_files
        .iter()
        .map(|name| (name.as_str(), 0o644, &b"x"[..]))
        .collect();
    let folder = super::folder();
    let out = unpack_bytes(folder.path(), "a.zip", &make::zip(&zip_files)).unwrap();
    assert_eq!(names(&out).len(), 40_000);

    // 300 characters are fine as a path and too many for one component.
    let long = |name: &str| {
        let long = entry(b'L', "././@LongLink", "", format!("{name}\0").as_bytes());
        make::tar(&[long, file("x", b"long")])
    };
    let folder = super::folder();
    let path = format!(
        "{}{}",
        "thirty-characters-in-this-one/".repeat(9),
        "x".repeat(100)
    );
    let out = unpack_bytes(folder.path(), "a.tar", &long(&format!("top/{path}"))).unwrap();
    assert_eq!(fs::read(out.join(path)).unwrap(), b"long");
    let folder = super::folder();
    let error = unpack_bytes(
        folder.path(),
        "a.tar",
        &long(&format!("top/{}", "é".repeat(150))),
    );
    let error = error.unwrap_err().render();
    assert!(
        error.ends_with("expected a component of a path (bytes) of at most 255, found 300"),
        "{error}"
    );
}

/// Three gigabytes in one file, made of a sparse archive, with an address space of two.
#[test]
fn a_file_larger_than_memory() {
    if tool("archive::robust::a_file_larger_than_memory", "prlimit").is_none() {
        return;
    }
    const SIZE_BYTES: u64 = 3 << 30;
    let folder = folder();
    let archive = folder.path().join("a.tar");
    let header = make::entry_with(b'0', b"top/large", b"", b"", |header| {
        header[124..136].copy_from_slice(format!("{SIZE_BYTES:011o}\0").as_bytes());
    });
    let mut tar = File::create(&archive).unwrap();
    tar.write_all(&header).unwrap();
    tar.seek(SeekFrom::Start(512 + SIZE_BYTES - 3)).unwrap();
    tar.write_all(b"end").unwrap();
    tar.set_len(512 + SIZE_BYTES + 1024).unwrap();
    let out = folder.path().join("out");
    let limit = format!("--as={}", 2u64 << 30);
    run(&mut under(&["prlimit", &limit], &unpack(&archive, &out))).expect(0);
    let large = File::open(out.join("large")).unwrap();
    assert_eq!(large.metadata().unwrap().len(), SIZE_BYTES);
    let mut end = [0; 3];
    std::os::unix::fs::FileExt::read_exact_at(&large, &mut end, SIZE_BYTES - 3).unwrap();
    assert_eq!(&end, b"end");
}

/// Too little memory is the machine's fault, not the archive's.
#[test]
fn too_little_memory_is_a_fault() {
    if tool("archive::robust::too_little_memory_is_a_fault", "prlimit").is_none() {
        return;
    }
    let folder = folder();
    let archive = folder.path().join("a.tar.xz");
    // 192 MiB, less than the cap.
    let xz = make::with_dictionary(xz(&files(3, 10)), 31);
    fs::write(&archive, xz).unwrap();
    let out = folder.path().join("out");
    run(&mut unpack(&archive, &out)).expect(0);
    fs::remove_dir_all(&out).unwrap();
    let limited = &["prlimit", "--as=150000000"];
    let ran = run(&mut under(limited, &unpack(&archive, &out))).expect(3);
    assert!(
        ran.stderr.contains("can't allocate memory"),
        "{}",
        ran.stderr
    );
    assert_eq!(names(folder.path()), ["a.tar.xz"]);
}

/// Runs `command` and says how much memory it had at most, in KiB.
fn peak_kib(command: &Command) -> u64 {
    let script = "import resource, subprocess, sys\n\
        code = subprocess.run(sys.argv[1:]).returncode\n\
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
        sys.exit(code)";
    let ran = run(&mut under(&["python3", "-c", script], command)).expect(0);
    ran.stdout.trim().parse().unwrap()
}

/// Below 256 MiB, and a dictionary, however large the archive and its blocks are; on one core the result is the same.
#[test]
fn memory_is_bounded_and_one_core_is_enough() {
    const TEST: &str = "archive::robust::memory_is_bounded_and_one_core_is_enough";
    if tool(TEST, "python3").is_none() || tool(TEST, "taskset").is_none() {
        return;
    }
    let folder = folder();
    // The dictionary of preset 0 is smaller than what is repeated here: it packs as if it were not.
    let content = content(1 << 20).repeat(120);
    let tar = make::tar(&[file("top/large", &content)]);
    // Blocks that are decoded in parallel, and blocks that do not fit into the memory for that.
    for block_bytes in [24 << 20, 110 << 20] {
        let archive = folder.path().join("a.tar.xz");
        fs::write(&archive, in_blocks(&tar, block_bytes)).unwrap();
        for (number, wrapper) in [&["env"][..], &["taskset", "-c", "0"]].iter().enumerate() {
            let out = folder.path().join(format!("out-{block_bytes}-{number}"));
            let peak = peak_kib(&under(wrapper, &unpack(&archive, &out)));
            assert!(peak < 256 << 10, "{block_bytes}, {wrapper:?}: {peak} KiB");
            assert!(fs::read(out.join("large")).unwrap() == content);
        }
    }
}

#[test]
fn read_errors_are_faults() {
    let folder = folder();
    // Nothing is mapped at address zero: the kernel answers with EIO.
    let ran = run(&mut unpack(
        Path::new("/proc/self/mem"),
        &folder.path().join("out"),
    ))
    .expect(3);
    assert!(ran.stderr.contains("Input/output error"), "{}", ran.stderr);
    let archive = folder.path().join("a.tar.xz");
    let tar = make::tar(&[file("top/large", &content(6 << 20))]);
    let bytes = in_blocks(&tar, 1 << 20);
    fs::write(&archive, &bytes).unwrap();
    // The archive is read in pieces of 256 KiB; each may be the one that fails.
    assert!(bytes.len() > 4 << 18, "{}", bytes.len());
    for bad in (0..bytes.len() as u64).step_by(1 << 18) {
        let watch = |offset| {
            if offset >= bad {
                Err(io::Error::from_raw_os_error(5))
            } else {
                Ok(())
            }
        };
        let target = folder.path().join("out");
        let file = File::open(&archive).unwrap();
        let error = archive::unpack_watched(&file, "a.tar.xz", &target, &watch).unwrap_err();
        let told = error.render();
        assert!(
            !error.is_rejected() && told.contains("Input/output error"),
            "{told}"
        );
        assert_eq!(names(folder.path()), ["a.tar.xz"]);
    }
}

/// As root, as another user, and where that user may not write.
#[test]
fn works_as_another_user() {
    const TEST: &str = "archive::robust::works_as_another_user";
    let folder = folder();
    // The folder of the build is not for everyone.
    let own_program = folder.path().join("cuda-redist");
    fs::copy(program(), &own_program).unwrap();
    let archive = folder.path().join("a.tar");
    fs::write(&archive, files(10, 10)).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let as_other: &[&str] = if is_root() {
        if tool(TEST, "setpriv").is_none() {
            return;
        }
        &[
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ]
    } else {
        &["env"]
    };
    let unpack_to = |target: &Path| -> Ran {
        let mut command = Command::new(&own_program);
        command.arg("unpack").arg(&archive).arg(target);
        run(&mut under(as_other, &command))
    };
    let writable = folder.path().join("writable");
    fs::create_dir(&writable).unwrap();
    fs::set_permissions(&writable, Permissions::from_mode(0o777)).unwrap();
    unpack_to(&writable.join("out")).expect(0);
    assert_eq!(names(&writable), ["out"]);
    assert_eq!(names(&writable.join("out")).len(), 10);
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o555)).unwrap();
    let ran = unpack_to(&closed.join("out")).expect(3);
    assert!(ran.stderr.contains("Permission denied"), "{}", ran.stderr);
    assert_eq!(names(&closed), [""; 0]);
}

/// A filter of system calls, as sandboxes have, that lets `openat2` fail with an error; then the program.
const FILTER: &str = r#"
import ctypes, errno, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
error = getattr(errno, sys.argv[1])
# Load the number of the call; 437, openat2 everywhere: the error; others: allowed (linux/filter.h, linux/seccomp.h).
program = [(0x20, 0, 0, 0), (0x15, 0, 1, 437), (0x06, 0, 0, 0x00050000 | error), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, filter, 0, 0) == 0, os.strerror(ctypes.get_errno())
assert libc.syscall(437, -100, b"/", 0, 0) == -1 and ctypes.get_errno() == error
os.execv(sys.argv[2], sys.argv[2:])
"#;

#[test]
fn works_where_openat2_is_forbidden() {
    if tool(
        "archive::robust::works_where_openat2_is_forbidden",
        "python3",
    )
    .is_none()
    {
        return;
    }
    let folder = folder();
    let archive = folder.path().join("a.tar");
    fs::write(&archive, files(300, 10)).unwrap();
    for error in ["ENOSYS", "EPERM"] {
        let out = folder.path().join(error);
        let filter = ["python3", "-c", FILTER, error];
        run(&mut under(&filter, &unpack(&archive, &out))).expect(0);
        assert_eq!(names(&out).len(), 100, "{error}");
        assert_eq!(names(&out.join("d7")), ["f107", "f207", "f7"], "{error}");
    }
}

/// Whatever the moment: the target is there and whole, or it is not there. What is left is hidden.
#[test]
fn killed_at_any_moment() {
    let folder = folder();
    let archive = folder.path().join("a.tar.xz");
    fs::write(&archive, in_blocks(&files(400, 50_000), 1 << 20)).unwrap();
    let started = Instant::now();
    run(&mut unpack(&archive, &folder.path().join("whole"))).expect(0);
    let whole = started.elapsed();
    let expected = super::listing(&folder.path().join("whole"));
    let mut unfinished = 0;
    for number in 0..24 {
        let out = folder.path().join("out");
        let mut child = unpack(&archive, &out)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole.mul_f64(f64::from(number) / 20.0));
        child.kill().unwrap();
        child.wait().unwrap();
        if out.exists() {
            assert_eq!(super::listing(&out), expected);
            fs::remove_dir_all(&out).unwrap();
        } else {
            unfinished += 1;
        }
        for name in names(folder.path()) {
            if name.starts_with(".cuda-redist-unpack-") {
                fs::remove_dir_all(folder.path().join(name)).unwrap();
            } else {
                assert!(["a.tar.xz", "whole"].contains(&name.as_str()), "{name}");
            }
        }
    }
    assert!(unfinished > 0 && whole > Duration::ZERO);
}
