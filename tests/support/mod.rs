//! What the tests of several areas share: temporary folders, running programs, visible skips.

#![allow(dead_code, reason = "every area uses its own part")]

pub mod nix;
pub mod nvidia_archive;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program under test, as built by cargo for this test run.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_cuda-redist"))
}

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The real inputs that lie beside the checkout; `None` (after a visible [`skip`]) where they are absent.
pub fn shared(test: &str) -> Option<PathBuf> {
    let shared = root().parent()?.join("shared");
    if shared.is_dir() {
        return Some(shared);
    }
    skip(test, "../shared is absent");
    None
}

/// NVIDIA's wheels, as `scripts/wheels` keeps them, whose file names start with `prefix`; `None` (after a visible [`skip`])
/// where there is none.
pub fn wheels(test: &str, prefix: &str) -> Option<Vec<PathBuf>> {
    wheels_in(test, "", prefix)
}

/// The same for the large ones, which only `scripts/wheels large` downloads.
pub fn large_wheels(test: &str, prefix: &str) -> Option<Vec<PathBuf>> {
    wheels_in(test, "large", prefix)
}

/// The folder where the scripts keep what they download.
pub fn cache() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("CUDA_REDIST_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("cuda-redist")))
        .or_else(|| Some(variable("HOME")?.join(".cache/cuda-redist")))
}

fn wheels_in(test: &str, set: &str, prefix: &str) -> Option<Vec<PathBuf>> {
    let mut wheels: Vec<PathBuf> = cache()
        .and_then(|cache| std::fs::read_dir(cache.join("wheels").join(set)).ok())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(prefix) && name.ends_with(".whl")
        })
        .map(|entry| entry.path())
        .collect();
    wheels.sort();
    if wheels.is_empty() {
        let space = if set.is_empty() { "" } else { " " };
        skip(
            test,
            &format!("no wheel {prefix}* in the cache (`scripts/wheels{space}{set}`)"),
        );
        return None;
    }
    Some(wheels)
}

/// Unpacks the file of a wheel whose path there is `path` or ends in it, into `dir`.
pub fn member(wheel: &Path, path: &str, dir: &Path) -> PathBuf {
    let mut wheel = zip::ZipArchive::new(std::fs::File::open(wheel).unwrap()).unwrap();
    let paths = wheel.file_names().map(|path| path.unwrap().into_owned());
    let found = paths
        .into_iter()
        .find(|found| Path::new(found).ends_with(path))
        .unwrap_or_else(|| panic!("no {path} in the wheel"));
    let target = dir.join(Path::new(path).file_name().unwrap());
    let mut file = std::fs::File::create(&target).unwrap();
    std::io::copy(&mut wheel.by_name(&found).unwrap(), &mut file).unwrap();
    target
}

/// Does this process belong to root?
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A tool from the `PATH`; `None` (after a visible [`skip`]) where it is missing.
pub fn tool(test: &str, name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|dir| dir.join(name))
            .find(|file| file.is_file())
    });
    if found.is_none() {
        skip(test, &format!("`{name}` is not installed"));
    }
    found
}

/// The tests that may be skipped even with `STRICT=1`: what they need is too much to ask of every machine.
const MAY_BE_SKIPPED: &[&str] = &[
    // 780 MB of wheels.
    "fatbin::counts_of_large_libraries_are_those_that_cuobjdump_lists",
    // One of the two: on a GPU, or what happens without.
    "gpu::a_kernel_runs_on_the_device",
    "gpu::without_a_gpu_it_says_so",
    // Rust's libraries for aarch64, which rustup may not be able to get.
    "two_machines_make_the_same",
    // A mirror of Debian need not have the suite.
    "flake::static_nix::trixie",
    "flake::static_nix::sid",
    // 200 MB: `scripts/wheels large-cutensor`.
    "elf::cost::cutensor_is_edited_by_few_bytes",
];

/// Says that `test` did not run, also in the file that `CUDA_REDIST_SKIPS` names (cargo hides what passing tests print).
/// With `STRICT=1` that is a failure, save for [`MAY_BE_SKIPPED`].
pub fn skip(test: &str, why: &str) {
    let line = format!("SKIP {test}: {why}\n");
    eprint!("{line}");
    if let Some(list) = std::env::var_os("CUDA_REDIST_SKIPS") {
        let written = OpenOptions::new()
            .append(true)
            .open(&list)
            .and_then(|mut list| list.write_all(line.as_bytes()));
        assert!(
            written.is_ok(),
            "cannot note the skip in {}: {written:?}",
            list.display()
        );
    }
    assert!(
        MAY_BE_SKIPPED.contains(&test)
            || std::env::var_os("STRICT").is_none_or(|value| value != "1"),
        "STRICT: {test} was skipped: {why}"
    );
}

/// Compares `found` with the golden file at `path` below the checkout; with `UPDATE_GOLDEN=1` it is written anew instead.
#[track_caller]
pub fn golden(path: &str, found: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(file.parent().expect("below the checkout")).expect("a folder");
        std::fs::write(&file, found).expect("the golden file is written");
        return;
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    let mut lines = golden.lines().zip(found.lines()).enumerate();
    let differs = lines.find(|(_, (golden, found))| golden != found);
    assert!(
        golden == found,
        "{path}: {differs:?} (line, golden, found); UPDATE_GOLDEN=1 writes it anew"
    );
}

/// What a finished program said.
pub struct Ran {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

/// Runs `command` to its end. Panics when it cannot be started.
pub fn run(command: &mut Command) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    Ran {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

impl Ran {
    /// Panics with everything it said unless the exit code is `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Ran {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }
}

/// A fresh temporary folder, removed when dropped.
pub fn dir() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("cuda-redist-test-")
        .tempdir()
        .expect("a temporary folder")
}

/// The built plugin, from `CUDA_REDIST_PLUGIN` or where `make plugin` puts it; `None` (after a visible [`skip`]) where there is none.
pub fn plugin(test: &str) -> Option<PathBuf> {
    let file = plugin_file();
    if file.is_file() {
        return Some(file);
    }
    skip(test, "the plugin is not built (`make plugin`)");
    None
}

fn plugin_file() -> PathBuf {
    let built = root().join("target/plugin/lib/nix/plugins/cuda-redist.so");
    std::env::var_os("CUDA_REDIST_PLUGIN").map_or(built, PathBuf::from)
}

/// The static program, which runs in Nix's sandbox, from `CUDA_REDIST_STATIC` or where `make program` puts it; `None` (after a
/// visible [`skip`]) where there is none.
pub fn static_program(test: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CUDA_REDIST_STATIC").map(PathBuf::from) {
        assert!(
            named.is_file(),
            "CUDA_REDIST_STATIC names no file: {}",
            named.display()
        );
        return Some(named);
    }
    let found = std::fs::read_dir(root().join("target/static"))
        .into_iter()
        .flatten()
        .flatten()
        .flat_map(|entry| {
            ["release", "debug"].map(|profile| entry.path().join(profile).join("cuda-redist"))
        })
        .find(|file| file.is_file());
    if found.is_none() {
        skip(test, "the static program is not built (`make program`)");
    }
    found
}
