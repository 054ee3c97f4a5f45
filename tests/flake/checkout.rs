//! A real Nix with a store of its own, and the flake with both inputs overridden.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Ran, dir, program, root, run, skip, tool};

/// Whether an evaluation has the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// `builtins.cudaRedist` is there.
    Loaded,
    /// It is not.
    Absent,
}

/// Nix, with everything it writes in a temporary folder.
pub struct Nix {
    dir: tempfile::TempDir,
}

impl Nix {
    /// A Nix with an empty store; `None` (after a visible skip of `test`) where Nix is not installed.
    pub fn new(test: &str) -> Option<Nix> {
        tool(test, "nix")?;
        let dir = dir();
        for folder in ["conf", "home"] {
            std::fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        std::fs::write(
            dir.path().join("conf/nix.conf"),
            "experimental-features = nix-command flakes\n\
             sandbox = true\n\
             build-users-group =\n\
             substituters =\n\
             flake-registry =\n",
        )
        .expect("nix.conf is written");
        Some(Nix { dir })
    }

    /// A folder for the test's own files; Nix does not touch it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command of Nix (`nix`, `nix-instantiate`, ...) in this store.
    pub fn command(&self, name: &str, plugin: Plugin) -> Command {
        let mut command = Command::new(name);
        command
            .current_dir(self.dir.path())
            .env("HOME", self.path("home"))
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .env("NIX_DATA_DIR", self.path("data"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env_remove("NIX_PATH")
            .env_remove("NIX_REMOTE")
            .env_remove("NIX_CONFIG");
        // What is fetched is fetched from the loopback.
        for scheme in ["http", "https", "ftp", "all"] {
            let name = format!("{scheme}_proxy");
            command.env_remove(name.to_uppercase()).env_remove(name);
        }
        if plugin == Plugin::Loaded {
            let file = plugin_file();
            command.env("NIX_CONFIG", format!("plugin-files = {}", file.display()));
        }
        command
    }

    /// Evaluates a Nix expression without flakes, strictly, to JSON.
    pub fn eval(&self, expression: &str, plugin: Plugin) -> Ran {
        run(self
            .command("nix-instantiate", plugin)
            .args(["--eval", "--strict", "--json", "-E", expression]))
    }

    /// The value of [`Nix::eval`]; panics with what Nix said when there is none.
    #[track_caller]
    pub fn value(&self, expression: &str, plugin: Plugin) -> serde_json::Value {
        let ran = self.eval(expression, plugin).expect(0);
        serde_json::from_str(&ran.stdout).expect("Nix prints JSON")
    }

    /// Adds a file to the store under its own name, as a fetched one would be; gives its store path.
    #[track_caller]
    pub fn add_fixed(&self, file: &Path) -> String {
        let ran = run(self
            .command("nix-store", Plugin::Absent)
            .args(["--add-fixed", "sha256"])
            .arg(file))
        .expect(0);
        ran.stdout.trim_end().to_owned()
    }
}

impl Drop for Nix {
    /// Store paths are read-only, which would keep the temporary folder from being removed.
    fn drop(&mut self) {
        let _ = run(Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(self.path("store")));
    }
}

/// The loader that `make plugin` builds, or the one that `CUDA_REDIST_PLUGIN` names.
fn plugin_file() -> PathBuf {
    std::env::var_os("CUDA_REDIST_PLUGIN").map_or_else(
        || root().join("target/plugin/lib/nix/plugins/cuda-redist.so"),
        PathBuf::from,
    )
}

/// Whether there is a plugin to load; says so (a visible skip of `test`) where there is none.
pub fn has_plugin(test: &str) -> bool {
    let found = plugin_file().is_file();
    if !found {
        skip(test, "the plugin is not built (`make plugin`)");
    }
    found
}

/// The static program, which runs in Nix's sandbox; `None` (after a visible skip of `test`) where it is not built.
pub fn static_program(test: &str) -> Option<PathBuf> {
    let found = match std::env::var_os("CUDA_REDIST_STATIC") {
        Some(named) => Some(PathBuf::from(named)),
        None => std::fs::read_dir(root().join("target/static"))
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .flat_map(|entry| {
                ["release", "debug"].map(|profile| entry.path().join(profile).join("cuda-redist"))
            })
            .find(|file| file.is_file()),
    }
    .filter(|file| file.is_file());
    if found.is_none() {
        skip(test, "the static program is not built (`make program`)");
    }
    found
}

/// The flake of this checkout, copied (Nix 2.8 would take `target/` along), with a stand-in for nixpkgs.
pub struct Flake {
    dir: tempfile::TempDir,
    manifests: PathBuf,
}

impl Flake {
    /// The flake with `manifests` as its input; the packages' builder is `builder`.
    pub fn new(builder: &Path, manifests: &Path) -> Flake {
        let dir = dir();
        let tree = dir.path().join("flake");
        for name in [
            "flake.nix",
            "flake.lock",
            "Cargo.toml",
            "Cargo.lock",
            "build.rs",
            "nix",
            "src",
            "tests/nix",
        ] {
            let target = tree.join(name);
            std::fs::create_dir_all(target.parent().expect("below the tree")).expect("a folder");
            run(Command::new("cp")
                .arg("-r")
                .arg(root().join(name))
                .arg(&target))
            .expect(0);
        }
        run(Command::new(root().join("scripts/stand-in"))
            .arg(dir.path().join("nixpkgs"))
            .arg(builder))
        .expect(0);
        Flake {
            dir,
            manifests: manifests.to_owned(),
        }
    }

    /// The flake of tests that evaluate and do not build.
    pub fn unbuilt(manifests: &Path) -> Flake {
        Flake::new(program(), manifests)
    }

    /// The flake's address, with `#attribute` unless that is empty.
    pub fn attribute(&self, attribute: &str) -> String {
        let tree = self.dir.path().join("flake");
        let hash = if attribute.is_empty() { "" } else { "#" };
        format!("path:{}{hash}{attribute}", tree.display())
    }

    /// The folder of manifests.
    pub fn manifests(&self) -> &Path {
        &self.manifests
    }

    /// A folder with `bin/cuda-redist` in it.
    pub fn builder(&self) -> PathBuf {
        self.dir.path().join("nixpkgs")
    }

    /// The arguments that override both inputs.
    fn inputs(&self) -> Vec<String> {
        let path = |path: &Path| format!("path:{}", path.display());
        vec![
            "--override-input".to_owned(),
            "nixpkgs".to_owned(),
            path(&self.dir.path().join("nixpkgs")),
            "--override-input".to_owned(),
            "manifests".to_owned(),
            path(&self.manifests),
        ]
    }

    /// Runs `nix SUBCOMMAND... FLAKE#attribute` with both inputs overridden.
    pub fn nix(&self, nix: &Nix, plugin: Plugin, subcommand: &[&str], attribute: &str) -> Ran {
        run(nix
            .command("nix", plugin)
            .args(subcommand)
            .args(self.inputs())
            .arg(self.attribute(attribute)))
    }
}
