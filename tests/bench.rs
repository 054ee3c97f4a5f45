//! `scripts/bench-*` end in code 1 when a goal is missed: runs on stand-ins, of which the figures are known.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{self, Ran, root, run};

/// A cache of wheels of one file each, whose names the scripts look for, and programs that say what they are told to.
struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    /// `None` (after a visible skip) where a tool that the scripts use is missing.
    fn new(test: &str) -> Option<Stage> {
        for tool in ["bash", "awk", "unzip"] {
            support::tool(test, tool)?;
        }
        let dir = support::dir();
        std::fs::create_dir_all(dir.path().join("cache/wheels")).unwrap();
        std::fs::create_dir_all(dir.path().join("bin")).unwrap();
        Some(Stage { dir })
    }

    fn wheel(&self, wheel: &str, member: &str, content: &str) {
        let path = self.dir.path().join("cache/wheels").join(wheel);
        let mut writer = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(member, options).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
        writer.finish().unwrap();
    }

    /// A program that runs these lines of shell.
    fn program(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.dir.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn bench(&self, script: &str, program: &Path) -> Ran {
        let path = std::env::var("PATH").unwrap();
        let bin = self.dir.path().join("bin");
        run(Command::new(root().join("scripts").join(script))
            .arg(program)
            .env("RUNS", "1")
            .env("CUDA_REDIST_CACHE", self.dir.path().join("cache"))
            .env("PATH", format!("{}:{path}", bin.display())))
    }
}

#[test]
fn runpath_goals_are_enforced() {
    let Some(stage) = Stage::new("bench::runpath_goals_are_enforced") else {
        return;
    };
    // Takes a second, the real one on libcutensor one and a half; the question for the RUNPATH has no delay.
    stage.program(
        "patchelf",
        "case $1 in\n--version) echo patchelf 1 ;;\n--set-rpath) sleep 1; printf %s \"$2\" >\"$3\" ;;\n*) cat \"$2\" ;;\nesac",
    );
    let ours = |us: u32, seconds: &str| {
        let line = format!("echo S2 read 12 written 34 us {us} \"$4\"");
        let lines = format!("sleep {seconds}\nprintf %s \"$3\" >\"$4\"\n{line}");
        stage.program("ours", &lines)
    };
    let ran = stage.bench("bench-runpath", &ours(1, "0")).expect(1);
    assert!(
        ran.stderr
            .contains("no wheel cutensor_cu12-2.2.0-*.whl in "),
        "{}",
        ran.stderr
    );
    stage.wheel(
        "cutensor_cu12-2.2.0-x.whl",
        "cutensor/lib/libcutensor.so.2",
        "x",
    );
    for (us, seconds, missed) in [
        (500_000, "0", "at least 1000x in the function, found "),
        (1, "0.5", "at least 100x as a process, found "),
    ] {
        let ran = stage.bench("bench-runpath", &ours(us, seconds)).expect(1);
        assert!(
            ran.stdout
                .starts_with("set-runpath libcutensor.so.2 (0 MB): patchelf 1 1")
                && ran.stderr.contains(&format!(
                    "bench-runpath: libcutensor.so.2: expected {missed}"
                )),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
        assert_eq!(us == 1, !ran.stderr.contains("in the function"));
    }
}

#[test]
fn packages_goals_are_enforced() {
    let Some(stage) = Stage::new("bench::packages_goals_are_enforced") else {
        return;
    };
    let manifests = root().join("tests/nix/sets");
    // Counts, as it is processor time that is compared.
    let nix = |ours: u32, theirs: u32| {
        let lines = format!(
            "n={theirs}\ncase \"$*\" in *' packages '*) n={ours} ;; esac\nwhile [ $n -gt 0 ]; do n=$((n - 1)); done\necho 4"
        );
        stage.program("nix-instantiate", &lines)
    };
    nix(50_000, 200_000);
    let ran = stage.bench("bench-packages", &manifests).expect(0);
    assert!(
        ran.stdout
            .starts_with("CUDA 12.9.1, 4 derivations of 2 packages, named, read-only: 0."),
        "{}",
        ran.stdout
    );
    nix(400_000, 100);
    let ran = stage.bench("bench-packages", &manifests).expect(1);
    for missed in [
        "bench-packages: named, read-only: expected at most 5.0x, found ",
        "bench-packages: written: expected at most 1.3x, found ",
    ] {
        assert!(ran.stderr.contains(missed), "{}", ran.stderr);
    }
}

#[test]
fn architectures_goals_are_enforced() {
    let Some(stage) = Stage::new("bench::architectures_goals_are_enforced") else {
        return;
    };
    let ours =
        |us: u32, kib: u32| stage.program("ours", &format!("echo {us} us 1 pieces {kib} KiB peak"));
    // Goals for libcutensor are met by one microsecond against a tenth of a second.
    let cuobjdump = "nvidia_cuda_cuobjdump-0-x86_64.whl";
    stage.wheel(cuobjdump, "bin/cuobjdump", "#!/bin/sh\nsleep 0.1\n");
    let ran = stage.bench("bench-architectures", &ours(1, 1024)).expect(1);
    assert!(
        ran.stderr.contains("no wheel cutensor_cu1*.whl in "),
        "{}",
        ran.stderr
    );
    stage.wheel(
        "cutensor_cu12-2.2.0-x.whl",
        "cutensor/lib/libcutensor.so.2",
        "x",
    );
    for (us, kib, missed) in [
        (1, 1024, None),
        (1_000_000, 1024, Some("found 0.")),
        (1, 20481, Some("x and 20.0 MiB")),
    ] {
        let ran = stage.bench("bench-architectures", &ours(us, kib));
        assert_eq!(ran.code, i32::from(missed.is_some()), "{}", ran.stderr);
        assert!(
            ran.stdout
                .starts_with("architectures of libcutensor.so.2 (0 MB, 1 pieces of code)"),
            "{}",
            ran.stdout
        );
        let text = "libcutensor.so.2: expected at least 300x and at most 20 MiB, found ";
        assert_eq!(ran.stderr.contains(text), missed.is_some());
        assert!(
            ran.stderr.contains(missed.unwrap_or_default()),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn realise_goals_are_enforced() {
    const TEST: &str = "bench::realise_goals_are_enforced";
    let Some(stage) = Stage::new(TEST) else {
        return;
    };
    for tool in ["python3", "xz", "taskset", "sha256sum"] {
        if support::tool(TEST, tool).is_none() {
            return;
        }
    }
    // The archives are there already; what the tools of today do with them takes half a second.
    for kind in ["single", "multi"] {
        let folder = stage.dir.path().join("cache/bench").join(kind);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join("cuda_bench-linux-x86_64-1.0.0-archive.tar.xz"),
            "x",
        )
        .unwrap();
    }
    stage.wheel("cutensor_cu12-2.2.0-x.whl", "x", "x");
    for slow in ["tar", "unzip", "taskset"] {
        stage.program(slow, "exec sleep 0.5");
    }
    let decoder = stage.program("decoder", "exec sleep 0.5");
    for (seconds, missed) in [("0", 0), ("1", 4)] {
        let ours = stage.program("ours", &format!("exec sleep {seconds}"));
        let path = std::env::var("PATH").unwrap();
        let bin = stage.dir.path().join("bin");
        let ran = run(Command::new(root().join("scripts/bench-realise"))
            .args([&ours, &decoder])
            .env("RUNS", "1")
            .env("PROFILE", "no")
            .env("CUDA_REDIST_CACHE", stage.dir.path().join("cache"))
            .env("PATH", format!("{}:{path}", bin.display())));
        assert_eq!(ran.code, i32::from(missed > 0), "{}", ran.stderr);
        assert_eq!(ran.stdout.lines().count(), 3, "{}", ran.stdout);
        assert_eq!(
            ran.stderr.matches("expected at most ").count(),
            missed,
            "{}",
            ran.stderr
        );
    }
}
