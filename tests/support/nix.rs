//! A real Nix with a store, a home and settings of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Ran, cache, dir, plugin_file, run, skip, tool};

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
    settings: String,
    /// The folder of its programs, where they are not those of the `PATH`.
    programs: Option<PathBuf>,
    /// What [`Plugin::Loaded`] loads.
    pub plugin: PathBuf,
}

impl Nix {
    /// A Nix with an empty store, its sandbox on; `None` (after a visible skip of `test`) where Nix is not installed.
    pub fn new(test: &str) -> Option<Nix> {
        tool(test, "nix")?;
        Some(Nix {
            dir: dir(),
            settings:
                "experimental-features = nix-command flakes\nsubstituters =\nbuild-users-group =\n\
                       sandbox = true\nsandbox-fallback = false\nflake-registry =\n"
                    .to_owned(),
            programs: None,
            plugin: plugin_file(),
        })
    }

    /// The same store and settings for the Nix of a later suite of Debian, as `scripts/static-nix` keeps it; `None` (after a visible
    /// skip of `test`) where it does not.
    pub fn of_suite(mut self, test: &str, suite: &str) -> Option<Nix> {
        let programs = cache()?.join("static-nix").join(suite).join("bin");
        if !programs.join("nix").is_file() {
            skip(
                test,
                &format!("no Nix of {suite} in the cache (`scripts/static-nix {suite}`)"),
            );
            return None;
        }
        self.programs = Some(programs);
        // Debian's has a shell there that the host need not have.
        Some(self.with("sandbox-paths ="))
    }

    /// One more line of `nix.conf`; it wins over earlier ones.
    pub fn with(mut self, setting: &str) -> Nix {
        self.settings.push_str(setting);
        self.settings.push('\n');
        self
    }

    /// The folder for the test's own files, where commands run, without symbolic links in its path.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().canonicalize().expect("the folder is there")
    }

    /// A name in that folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A command of Nix (`nix`, `nix-instantiate`, ...) in this store.
    pub fn command(&self, program: &str, plugin: Plugin) -> Command {
        let own = self.path("own");
        let mut command = match &self.programs {
            Some(programs) => Command::new(programs.join(program)),
            None => Command::new(program),
        };
        command.current_dir(self.folder());
        for (variable, folder) in [
            ("NIX_STORE_DIR", "store"),
            ("NIX_STATE_DIR", "state"),
            ("NIX_LOG_DIR", "log"),
            ("NIX_DATA_DIR", "data"),
            ("NIX_CONF_DIR", "conf"),
            ("HOME", "home"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
        ] {
            command.env(variable, own.join(folder));
        }
        let mut settings = self.settings.clone();
        if plugin == Plugin::Loaded {
            settings.push_str(&format!("plugin-files = {}\n", self.plugin.display()));
            // `scripts/sanitize` has a plugin that needs the runtime of its compiler, from the first allocation on.
            if let Some(runtime) = std::env::var_os("CUDA_REDIST_NIX_PRELOAD") {
                command.env("LD_PRELOAD", runtime);
                command.env(
                    "ASAN_OPTIONS",
                    "detect_leaks=0:handle_segv=0:quarantine_size_mb=1",
                );
            }
        }
        command.env("NIX_CONFIG", settings);
        for variable in ["NIX_PATH", "NIX_REMOTE", "NIX_USER_CONF_FILES"] {
            command.env_remove(variable);
        }
        // What is fetched is fetched from the loopback.
        for scheme in ["http", "https", "ftp", "all"] {
            let name = format!("{scheme}_proxy");
            command.env_remove(name.to_uppercase()).env_remove(name);
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
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(self.dir.path())
            .output();
    }
}
