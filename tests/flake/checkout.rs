//! The flake with both inputs overridden.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::nix::{Nix, Plugin};
use crate::support::{Ran, dir, program, root, run};

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
            "plugin",
            "src",
            "templates",
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

    /// The arguments that override both inputs; those of a flake that has this one as an input `name/`.
    pub fn inputs(&self, name: &str) -> Vec<String> {
        let path = |path: &Path| format!("path:{}", path.display());
        vec![
            "--override-input".to_owned(),
            format!("{name}nixpkgs"),
            path(&self.dir.path().join("nixpkgs")),
            "--override-input".to_owned(),
            format!("{name}manifests"),
            path(&self.manifests),
        ]
    }

    /// Runs `nix SUBCOMMAND... FLAKE#attribute` with both inputs overridden.
    pub fn nix(&self, nix: &Nix, plugin: Plugin, subcommand: &[&str], attribute: &str) -> Ran {
        run(&mut self.command(nix, plugin, subcommand, attribute))
    }

    /// The command that [`Flake::nix`] runs.
    pub fn command(
        &self,
        nix: &Nix,
        plugin: Plugin,
        subcommand: &[&str],
        attribute: &str,
    ) -> Command {
        let mut command = nix.command("nix", plugin);
        command
            .args(subcommand)
            .args(self.inputs(""))
            .arg(self.attribute(attribute));
        command
    }
}
