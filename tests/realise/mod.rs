//! Plans carried out by the program: trees, failures, dependencies, and all of it inside a real Nix.

mod audit;
mod consumers;
mod failures;
mod golden;
mod links;
mod log;
mod nix;
mod repeat;
mod robust;
mod wiring;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::plan::{OutputName, Patterns};
use cuda_redist::relpath::RelPath;
use cuda_redist::{elf, hash};
use serde_json::{Value, json};

use crate::support::nvidia_archive::{Content, Member, tar, xz};
use crate::support::{Ran, dir, program, run};

/// The names of all outputs, in the order of plans.
const OUTPUTS: [&str; 10] = [
    "out", "doc", "samples", "python", "bin", "dev", "include", "lib", "static", "stubs",
];

/// The driver path of all plans here.
const DRIVER: &str = "/run/opengl-driver/lib";

/// A package with its archive, its plan and the folder they and the outputs are in.
struct Package {
    folder: tempfile::TempDir,
    plan: Value,
}

impl Package {
    /// A package `name` for `platform` with this content, the outputs that follow from it, and no dependencies.
    fn new(name: &str, platform: &str, members: &[Member]) -> Package {
        let folder = dir();
        let top = format!("{name}-{platform}-1.2.3-archive");
        let archive = folder.path().join(format!("{top}.tar.xz"));
        std::fs::write(&archive, xz(&tar(&top, members))).expect("the archive is written");
        let outputs: Vec<OutputName> = derived(members).collect();
        let outputs: Vec<&str> = outputs.iter().map(|name| name.as_str()).collect();
        Package::around(name, platform, folder, &archive).with_outputs(&outputs)
    }

    /// A package `name` for `platform` of an archive that lies elsewhere, with the one output `out`.
    fn of_archive(name: &str, platform: &str, archive: &Path) -> Package {
        Package::around(name, platform, dir(), archive)
    }

    fn around(name: &str, platform: &str, folder: tempfile::TempDir, archive: &Path) -> Package {
        let file = archive
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a file");
        let digests =
            hash::digest(std::fs::File::open(archive).expect("it exists")).expect("it is readable");
        let plan = json!({
            "planVersion": 1,
            "product": "cuda",
            "label": "12.9.1",
            "package": name,
            "platform": platform,
            "variant": null,
            "release": {
                "name": name,
                "license": "CUDA Toolkit",
                "version": "1.2.3",
                platform: {
                    "relative_path": format!("{name}/{platform}/{file}"),
                    "sha256": digests.sha256.to_hex(),
                    "md5": digests.md5.to_hex(),
                    "size": digests.size_bytes.to_string(),
                },
            },
            "src": archive,
            "driverPaths": [DRIVER],
            "dependencies": {},
            "allowedMissing": [],
            "outputs": { "out": folder.path().join("out") },
        });
        Package { folder, plan }
    }

    /// The same with these outputs.
    fn with_outputs(mut self, outputs: &[&str]) -> Package {
        let paths = outputs.iter().map(|name| (*name, self.output(name)));
        self.plan["outputs"] = json!(paths.collect::<BTreeMap<_, _>>());
        self
    }

    /// The final path of `output`.
    fn output(&self, output: &str) -> PathBuf {
        self.folder.path().join(output)
    }

    /// The archive.
    fn archive(&self) -> PathBuf {
        PathBuf::from(self.plan["src"].as_str().expect("plans have a source"))
    }

    /// Runs the program on the plan; it says what it does to each file.
    fn realise(&self) -> Ran {
        self.run(&["--verbose"])
    }

    /// Runs the program on the plan with these flags.
    fn run(&self, flags: &[&str]) -> Ran {
        run(self.command().args(flags))
    }

    /// The program on the plan.
    fn command(&self) -> Command {
        let file = self.folder.path().join("plan.json");
        std::fs::write(&file, self.plan.to_string()).expect("the plan is written");
        let mut command = Command::new(program());
        command.arg("realise").arg("--plan").arg(&file).env_clear();
        command
    }

    /// What lies beside the archive and the plan, hidden things too, sorted.
    fn made(&self) -> Vec<String> {
        let archive = self.archive();
        let entries = std::fs::read_dir(self.folder.path())
            .expect("it is a folder")
            .map(|entry| entry.expect("readable"));
        let mut names: Vec<String> = entries
            .filter(|entry| entry.path() != archive && entry.file_name() != "plan.json")
            .map(|entry| entry.file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    /// The RUNPATH of a file in an output.
    fn runpath(&self, output: &str, path: &str) -> Option<String> {
        elf::read(&self.output(output).join(path))
            .expect("sound")
            .expect("an ELF file")
            .runpath
    }
}

/// The outputs that have something in them, and `dev`.
fn derived(members: &[Member]) -> impl Iterator<Item = OutputName> {
    let paths: Vec<RelPath> = members
        .iter()
        .map(|member| member.path.replace("pkg-config/", "share/pkgconfig/"))
        .map(|path| RelPath::new(&path).expect("paths of members are sound"))
        .collect();
    let derived = cuda_redist::plan::outputs::derive(&paths, &Patterns::default());
    OutputName::ALL
        .into_iter()
        .filter(move |name| derived.contains(name) || *name == OutputName::Dev)
}

/// One line for each path below `root`, sorted: `0755 lib/x`, `link lib/x -> y`, `dir  lib`, with the RUNPATH of ELF
/// files. The paths of `outputs` (name to path) are shown as `{name}`; modes as before Nix makes things read-only.
fn tree(root: &Path, outputs: &BTreeMap<String, PathBuf>) -> String {
    let mut lines = Vec::new();
    add_lines(root, root, outputs, &mut lines);
    lines.sort_by(|a, b| a[5..].cmp(&b[5..]));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn add_lines(
    root: &Path,
    folder: &Path,
    outputs: &BTreeMap<String, PathBuf>,
    lines: &mut Vec<String>,
) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        let shown = path.strip_prefix(root).expect("below the root").display();
        let metadata = path.symlink_metadata().expect("it exists");
        if metadata.is_dir() {
            lines.push(format!("dir  {shown}"));
            add_lines(root, &path, outputs, lines);
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(&path).expect("a link");
            lines.push(format!(
                "link {shown} -> {}",
                symbolic(&target.to_string_lossy(), outputs)
            ));
        } else {
            let mode = metadata.permissions().mode() & 0o7777 | 0o200;
            let runpath = elf::read(&path)
                .expect("sound")
                .and_then(|facts| facts.runpath);
            let runpath = runpath.map_or(String::new(), |text| {
                format!("  RUNPATH {}", symbolic(&text, outputs))
            });
            lines.push(format!("{:04o} {shown}{runpath}", mode));
        }
    }
}

/// `text` with `{name}` for the path of each output.
fn symbolic(text: &str, outputs: &BTreeMap<String, PathBuf>) -> String {
    outputs.iter().fold(text.to_owned(), |text, (name, path)| {
        text.replace(&*path.to_string_lossy(), &format!("{{{name}}}"))
    })
}

/// A shared library with this soname and these NEEDED entries, made by `cc`.
fn library(cc: &Path, soname: &str, needed: &[&str]) -> Vec<u8> {
    let work = dir();
    std::fs::write(work.path().join("empty.c"), "").expect("written");
    let cc = |output: &str, soname: &str, libraries: &[&str]| {
        let libraries = libraries.iter().map(|name| format!("-l:{name}"));
        run(Command::new(cc)
            .current_dir(work.path())
            .args([
                "-shared",
                "-nostdlib",
                "empty.c",
                "-L.",
                "-Wl,--no-as-needed",
                "-o",
                output,
            ])
            .arg(format!("-Wl,-soname,{soname}"))
            .args(libraries))
        .expect(0);
    };
    for name in needed {
        cc(name, name, &[]);
    }
    cc("result", soname, needed);
    std::fs::read(work.path().join("result")).expect("cc made it")
}

/// A member that is a program or library.
fn binary(path: &str, bytes: Vec<u8>) -> Member {
    Member {
        path: path.to_owned(),
        content: Content::Program(bytes),
    }
}

/// A symbolic link.
fn link(path: &str, target: &str) -> Member {
    Member {
        path: path.to_owned(),
        content: Content::Link(target.to_owned()),
    }
}

/// A member that is a text.
fn text(path: &str) -> Member {
    Member {
        path: path.to_owned(),
        content: Content::File(b"text\n".to_vec()),
    }
}
