//! What the tests of several areas share: temporary folders, running programs, visible skips.

#![allow(dead_code, reason = "every area uses its own part")]

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

/// A tool from the `PATH`; `None` (after a visible [`skip`]) where it is missing.
pub fn tool(test: &str, name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()));
    if found.is_none() {
        skip(test, &format!("`{name}` is not installed"));
    }
    found
}

/// Says that `test` did not run. With `STRICT=1` that is a failure.
pub fn skip(test: &str, why: &str) {
    eprintln!("SKIP {test}: {why}");
    assert!(std::env::var_os("STRICT").is_none_or(|value| value != "1"), "STRICT: {test} was skipped: {why}");
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
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
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
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// A fresh temporary folder, removed when dropped.
pub fn dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("cuda-redist-test-").tempdir().expect("a temporary folder")
}
