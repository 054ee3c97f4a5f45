//! `builtins.cudaRedist` in a real Nix, each test in a store of its own.

mod check;
mod differential;
mod hardness;
mod loader;
mod purity;
mod random;

mod read_features_and_releases;
mod read_manifest;
mod verify_file;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::nix::Plugin;
use crate::support::{self, Ran};

/// The SHA-256 of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A manifest of one package; line 8 has the package's fields.
const GOOD: &str = r#"{
  "release_label": "1.0",
  "foo": {
    "name": "Foo",
    "license": "L",
    "version": "1.2",
    "linux-x86_64": {
      "relative_path": "foo/a.tar.xz",
      "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "md5": "d41d8cd98f00b204e9800998ecf8427e",
      "size": "0"
    }
  }
}
"#;

/// A Nix with the plugin.
struct Nix(support::nix::Nix);

impl Nix {
    /// `None`, after a visible skip, where there is no Nix or no plugin.
    fn new(test: &str) -> Option<Nix> {
        support::plugin(test)?;
        let nix = support::nix::Nix::new(test)?;
        Some(Nix(nix.with("sandbox = false")))
    }

    /// One more line of `nix.conf`.
    fn with(self, setting: &str) -> Nix {
        Nix(self.0.with(setting))
    }

    /// The working folder, without symbolic links in it.
    fn path(&self) -> PathBuf {
        self.0.folder()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.path(name);
        fs::write(&file, content).unwrap();
        file
    }

    fn command(&self, program: &str) -> Command {
        self.0.command(program, Plugin::Loaded)
    }

    /// Evaluates `expression` deeply; stdout is JSON.
    fn eval(&self, expression: &str) -> Ran {
        let mut command = self.command("nix-instantiate");
        support::run(command.args([
            "--eval",
            "--strict",
            "--json",
            "--read-write-mode",
            "-E",
            expression,
        ]))
    }

    /// The value of `expression`, as JSON.
    #[track_caller]
    fn value(&self, expression: &str) -> String {
        self.eval(expression).expect(0).stdout.trim_end().to_owned()
    }

    /// What Nix says when `expression` fails, without its own position lines and with the folder as `DIR`.
    #[track_caller]
    fn refusal(&self, expression: &str) -> String {
        let said = self
            .eval(expression)
            .expect(1)
            .stderr
            .replace(self.path().to_str().unwrap(), "DIR");
        // Newer ones tell first what was being evaluated, each in a paragraph.
        let start = said
            .match_indices("error: ")
            .filter(|(at, _)| matches!(said[..*at].rsplit('\n').next(), Some("" | "       ")))
            .last();
        let message = start.map_or(said.as_str(), |(at, word)| &said[at + word.len()..]);
        message.split("\n\n").next().unwrap().trim_end().to_owned()
    }
}

/// A Nix path for an expression.
fn quoted(file: &Path) -> String {
    format!("\"{}\"", file.display())
}
