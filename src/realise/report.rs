//! What was made, in a form that later audits can read: `nix-support/cuda-redist.json` of the output `out`.

use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::error::RealiseError;
use crate::error::Error;
use crate::plan::{OutputName, Plan};
use crate::relpath::RelPath;

/// Where the report lies in the output `out`.
pub(super) const PATH: &str = "nix-support/cuda-redist.json";

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
    /// The files whose RUNPATH was set, in order of their path in the archive.
    pub patched: Vec<Patched>,
    /// ELF files for other machines, in order of their path in the archive.
    pub left_alone: Vec<LeftAlone>,
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
    /// How the edit found its place, see [`crate::elf::Rung`].
    pub rung: String,
    /// The CUDA architectures of the device code in it, sorted; empty when there is none, `None` when that code is of a
    /// form that is not known here.
    pub architectures: Option<Vec<String>>,
}

/// One ELF file that is not for the plan's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    /// The output it is in.
    pub output: OutputName,
    /// Its path there.
    pub path: RelPath,
    /// The machine it is for.
    pub machine: String,
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
            rung,
            architectures,
        } = self;
        write!(f, "{output}: {path}: RUNPATH {runpath} ({rung})")?;
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
            machine,
        } = self;
        write!(
            f,
            "{output}: {path}: left alone, it is for another machine ({machine})"
        )
    }
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        outputs: Vec<OutputReport>,
        patched: Vec<Patched>,
        left_alone: Vec<LeftAlone>,
    ) -> Report {
        Report {
            package: plan.package.clone(),
            version: plan.version.to_string(),
            platform: plan.platform.to_string(),
            variant: plan.variant.clone(),
            archive: plan.archive.relative_path.clone(),
            outputs,
            patched,
            left_alone,
        }
    }

    /// The report as JSON: two spaces of indentation, keys sorted, ends with a line break.
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
        let patched: Vec<Value> = self
            .patched
            .iter()
            .map(|file| {
                json!({
                    "output": file.output.to_string(),
                    "path": file.path.as_str(),
                    "runpath": file.runpath,
                    "rung": file.rung,
                    "architectures": file.architectures,
                })
            })
            .collect();
        let left_alone: Vec<Value> = self
            .left_alone
            .iter()
            .map(|file| json!({ "output": file.output.to_string(), "path": file.path.as_str(), "machine": file.machine }))
            .collect();
        let report = json!({
            "reportVersion": 1,
            "package": self.package,
            "version": self.version,
            "platform": self.platform,
            "variant": self.variant,
            "archive": self.archive,
            "outputs": outputs,
            "patched": patched,
            "leftAlone": left_alone,
        });
        format!("{report:#}\n")
    }

    /// Writes the report into `out`, the directory of that output.
    pub(super) fn write(&self, out: &Path) -> Result<(), Error> {
        let path = out.join(PATH);
        let folder = path.parent().unwrap_or(out);
        fs::create_dir_all(folder)
            .map_err(|source| RealiseError::io("make the directory", folder, source))?;
        fs::write(&path, self.to_json())
            .map_err(|source| RealiseError::io("write the report", &path, source).into())
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
