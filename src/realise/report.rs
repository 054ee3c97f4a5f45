//! What was made, in a form that later audits can read: `nix-support/cuda-redist.json` of the output `out`.

use std::fmt;
use std::path::Path;

use serde_json::{Value, json};

use super::audited::Audited;
use super::support;
use crate::error::Error;
use crate::plan::OutputName;
use crate::plan::outputs::Placement;
use crate::relpath::RelPath;

/// The report's name in `nix-support` of the output `out`.
const FILE: &str = "cuda-redist.json";

/// What was made of a plan. Holds no store path and no time: the same plan makes the same report, and a report in an
/// output makes that output refer to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The package's name in the manifest.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The platform it is for.
    pub platform: String,
    /// The CUDA variant; `None` where the package has none.
    pub variant: Option<String>,
    /// The archive's `relative_path`.
    pub archive: String,
    /// How much is in each output, in the plan's order; the report itself does not count.
    pub outputs: Vec<OutputReport>,
    /// How the layout of the archive was changed, a line for each change.
    pub layout: Vec<String>,
    /// The files for build systems whose paths were rewritten, in order of their path in the archive.
    pub rewritten: Vec<Placement>,
    /// The files whose RUNPATH was set, in order of their path in the archive.
    pub patched: Vec<Patched>,
    /// Programs and libraries that were not patched, in order of their path in the archive.
    pub left_alone: Vec<LeftAlone>,
    /// What the audit found and accepts.
    pub audited: Audited,
}

/// How much is in one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputReport {
    /// The output.
    pub name: OutputName,
    /// Regular files.
    pub files: u64,
    /// Symbolic links.
    pub links: u64,
}

/// One file whose RUNPATH is now as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patched {
    /// The output it is in.
    pub output: OutputName,
    /// Its path there.
    pub path: RelPath,
    /// Its RUNPATH, with `{outputs.NAME}` and `{dependencies.PACKAGE}` for store paths.
    pub runpath: String,
    /// Was the interpreter set to the plan's?
    pub has_new_interpreter: bool,
    /// The NEEDED entries that were added.
    pub added: Vec<String>,
    /// Libraries that it may open by `dlopen` and finds through its RUNPATH.
    pub opened: Vec<String>,
    /// How the edit found its place, see [`crate::elf::Rung`].
    pub rung: String,
    /// The CUDA architectures of the device code in it, sorted; empty when there is none, `None` when that code is of a
    /// form that is not known here.
    pub architectures: Option<Vec<String>>,
}

/// A program or library that was not patched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    /// The output it is in.
    pub output: OutputName,
    /// Its path there.
    pub path: RelPath,
    /// Why: reads on from the file's name.
    pub reason: String,
}

impl fmt::Display for OutputReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutputReport { name, files, links } = self;
        match (files, links) {
            (0, 0) => write!(f, "output `{name}`: empty"),
            _ => {
                let files = counted(*files, "file");
                write!(f, "output `{name}`: {files}, {}", counted(*links, "link"))
            }
        }
    }
}

/// `1 file`, `2 files`.
fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

impl fmt::Display for Patched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Patched {
            output,
            path,
            runpath,
            has_new_interpreter,
            added,
            opened,
            rung,
            architectures,
        } = self;
        write!(f, "{output}: {path}: RUNPATH {runpath} ({rung})")?;
        if *has_new_interpreter {
            f.write_str(", interpreter set")?;
        }
        if !added.is_empty() {
            write!(f, ", needs {}, too", added.join(" "))?;
        }
        if !opened.is_empty() {
            write!(f, ", may open {}", opened.join(" "))?;
        }
        match architectures.as_deref() {
            Some([]) => Ok(()),
            Some(architectures) => write!(f, ", device code for {}", architectures.join(" ")),
            None => f.write_str(", device code that is not understood"),
        }
    }
}

impl fmt::Display for LeftAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftAlone {
            output,
            path,
            reason,
        } = self;
        write!(f, "{output}: {path}: left alone, {reason}")
    }
}

impl Report {
    /// The report as JSON: two spaces of indentation, keys sorted, ends with a line break. Keys stay as they are while
    /// `reportVersion` does; new ones may come.
    pub fn to_json(&self) -> String {
        let outputs: serde_json::Map<String, Value> = self
            .outputs
            .iter()
            .map(|output| {
                (
                    output.name.to_string(),
                    json!({ "files": output.files, "links": output.links }),
                )
            })
            .collect();
        let place = |place: &Placement| json!({ "output": place.output.to_string(), "path": place.path.as_str() });
        let patched: Vec<Value> = self
            .patched
            .iter()
            .map(|file| {
                json!({
                    "output": file.output.to_string(),
                    "path": file.path.as_str(),
                    "runpath": file.runpath,
                    "interpreter": file.has_new_interpreter.then_some("{interpreter}"),
                    "addedNeeded": file.added,
                    "opens": file.opened,
                    "rung": file.rung,
                    "architectures": file.architectures,
                })
            })
            .collect();
        let left_alone: Vec<Value> = self
            .left_alone
            .iter()
            .map(|file| json!({ "output": file.output.to_string(), "path": file.path.as_str(), "reason": file.reason }))
            .collect();
        let report = json!({
            "reportVersion": 1,
            "package": self.package,
            "version": self.version,
            "platform": self.platform,
            "variant": self.variant,
            "archive": self.archive,
            "outputs": outputs,
            "layout": self.layout,
            "rewritten": self.rewritten.iter().map(place).collect::<Vec<_>>(),
            "patched": patched,
            "leftAlone": left_alone,
            "audit": {
                "capabilities": self.audited.capabilities,
                "opensMissing": self.audited.opens_missing,
                "hostInterpreters": self.audited.host_interpreters.iter().map(place).collect::<Vec<_>>(),
                "hostPaths": self.audited.host_paths,
            },
        });
        format!("{report:#}\n")
    }

    /// Writes the report into `out`, the directory of that output, which has its `nix-support` already.
    pub(super) fn write(&self, out: &Path) -> Result<(), Error> {
        let path = out.join(support::FOLDER).join(FILE);
        support::put(&path, &self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_well() {
        for (files, links, expected) in [
            (0, 0, "output `lib`: empty"),
            (1, 0, "output `lib`: 1 file, 0 links"),
            (2, 1, "output `lib`: 2 files, 1 link"),
        ] {
            let report = OutputReport {
                name: OutputName::Lib,
                files,
                links,
            };
            assert_eq!(report.to_string(), expected);
        }
    }
}
