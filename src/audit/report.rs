//! What an audit found: for people, for machines, and as problems.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::shown;
use crate::elf::Facts;
use crate::error::{Error, Kind, Problem};
use crate::fatbin::{Architecture, Capability, Code, Counts};
use crate::resolve::{Abi, Defect, Finding, Host, known_package};
use crate::text;

/// How many files a message names before it only counts the rest.
const SHOWN_FILES: usize = 5;

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Report {
    /// ELF files, and static libraries with device code; in the order of the trees, then of paths.
    pub files: Vec<FileReport>,
    /// Links that lead to nothing or into the host.
    pub links: Vec<LinkReport>,
    /// Files for build systems that name paths of hosts or builds.
    pub texts: Vec<TextReport>,
    /// What could not be read, or is damaged.
    pub errors: Vec<Error>,
    /// The devices that were asked about.
    pub capabilities: BTreeSet<Capability>,
}

/// What is to be said about one file.
#[derive(Clone, Debug, Default)]
pub struct FileReport {
    /// The file, as its tree was named.
    pub path: PathBuf,
    /// What it says about itself; `None` for static libraries.
    pub facts: Option<Facts>,
    /// Its machine, when it is a program or library that the dynamic loader loads.
    pub abi: Option<Abi>,
    /// Is it a program or library for another machine than most?
    pub is_foreign: bool,
    /// Is the program interpreter one of the host's?
    pub is_interpreter_foreign: bool,
    /// Its NEEDED entries, in the file's order.
    pub needed: Vec<Need>,
    /// Libraries that it names and does not need: it may open them by `dlopen`. Sorted.
    pub opened: Vec<Need>,
    /// Libraries that it names by a path.
    pub opened_paths: Vec<String>,
    /// The entries of its RUNPATH that something is wrong with.
    pub findings: Vec<Finding>,
    /// Its device code; empty also when that is not understood.
    pub counts: Counts,
    /// Why its device code is not understood.
    pub not_understood: Option<NotUnderstood>,
    /// For each capability asked about, the code that serves it; empty when there is no device code.
    pub serves: BTreeMap<Capability, Option<Architecture>>,
}

/// Device code of a form that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUnderstood {
    /// The file and the offset.
    pub place: String,
    /// What was expected, and what was found.
    pub reason: String,
}

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// A library that a file needs or opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its name, perhaps with conversions of `printf` when it is opened.
    pub name: String,
    /// Who has it.
    pub by: By,
    /// Does the loader find this very file through the file's own RUNPATH? False also where nobody looked: for the
    /// host's libraries.
    pub is_on_runpath: bool,
}

/// Who has a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// This file, of a tree or a dependency.
    File(PathBuf),
    /// The host.
    Host(Host),
    /// Nobody; perhaps there is one for other machines.
    Nobody {
        /// Sorted, without repetitions.
        other_machines: Vec<Abi>,
    },
}

/// A link that leads to nothing, or into the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkReport {
    /// The link.
    pub path: PathBuf,
    /// What is written in it.
    pub target: PathBuf,
    /// Does it lead to nothing, or in a circle?
    pub is_broken: bool,
}

/// A text that names paths of hosts or builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextReport {
    /// The file.
    pub path: PathBuf,
    /// The paths, sorted.
    pub paths: BTreeSet<String>,
}

/// What an audit does not accept.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error("expected a library {} for {abi}, found none{}", text::quote(.name), others(.also_needed_by))]
    Missing {
        name: String,
        abi: Abi,
        other_machines: Vec<Abi>,
        place: String,
        also_needed_by: Vec<String>,
    },
    #[error("expected code for a device of capability {capability}, or PTX for it or an earlier one, found {}", .found.join(" "))]
    NotServed {
        place: String,
        capability: Capability,
        found: Vec<String>,
    },
    /// The words are those of the reader of device code.
    #[error("{reason}")]
    NotUnderstood { place: String, reason: String },
    #[error("expected folders of packages, found {}, {defect}", text::quote(.entry))]
    Runpath {
        place: String,
        entry: String,
        defect: Defect,
    },
}

impl Problem for AuditError {
    fn kind(&self) -> Kind {
        Kind::Rejected
    }

    fn place(&self) -> Option<String> {
        match self {
            AuditError::Missing { place, .. } => Some(format!("{place}: NEEDED")),
            AuditError::NotServed { place, .. } | AuditError::NotUnderstood { place, .. } => {
                Some(place.clone())
            }
            AuditError::Runpath { place, .. } => Some(format!("{place}: RUNPATH")),
        }
    }

    fn hint(&self) -> Option<String> {
        let (name, abi, other_machines) = match self {
            AuditError::Missing {
                name,
                abi,
                other_machines,
                ..
            } => (name, abi, other_machines),
            AuditError::NotServed { capability, .. } if capability.is_tegra() => {
                return Some(format!(
                    "{capability} is a Tegra's: only machine code of just this number is made for it"
                ));
            }
            _ => return None,
        };
        if !other_machines.is_empty() {
            let machines: Vec<String> = other_machines.iter().map(Abi::to_string).collect();
            return Some(format!(
                "there is one for {}, but these files are for {abi}",
                machines.join(" and ")
            ));
        }
        known_package(name).map(|package| {
            format!("it is in `{package}`: name the folder of that package with `--dependency`")
        })
    }
}

/// The first of the other files, and how many more there are.
fn others(files: &[String]) -> String {
    let (shown, rest) = files.split_at(files.len().min(SHOWN_FILES));
    match (shown, rest.len()) {
        ([], _) => String::new(),
        ([one], 0) => format!("; {one} needs it, too"),
        (_, 0) => format!("; {} need it, too", shown.join(", ")),
        (_, more) => format!("; {} and {more} more need it, too", shown.join(", ")),
    }
}

/// A library that nobody has.
struct Missing {
    other_machines: Vec<Abi>,
    needed_by: Vec<String>,
}

impl Report {
    /// Each library that nobody has, with all files that need it.
    fn missing(&self) -> BTreeMap<(&str, Abi), Missing> {
        let mut missing: BTreeMap<(&str, Abi), Missing> = BTreeMap::new();
        for file in &self.files {
            let Some(abi) = file.abi else { continue };
            for need in &file.needed {
                if let By::Nobody { other_machines } = &need.by {
                    let entry = missing.entry((&need.name, abi)).or_insert_with(|| Missing {
                        other_machines: other_machines.clone(),
                        needed_by: Vec::new(),
                    });
                    entry.needed_by.push(shown(&file.path));
                }
            }
        }
        missing
    }

    /// What is not acceptable in content that could be read: libraries that nobody has, capabilities that a file with device
    /// code does not serve or whose code is not understood, RUNPATH entries that lead into the current directory, the host, a build or stubs.
    pub fn problems(&self) -> Option<Error> {
        let missing = self.missing().into_iter().map(|((name, abi), missing)| {
            let mut needed_by = missing.needed_by.into_iter();
            AuditError::Missing {
                name: name.to_owned(),
                abi,
                other_machines: missing.other_machines,
                place: needed_by.next().unwrap_or_default(),
                also_needed_by: needed_by.collect(),
            }
        });
        let of_files = self.files.iter().flat_map(|file| {
            let place = shown(&file.path);
            let not_served = file.serves.iter().filter(|(_, by)| by.is_none());
            let not_served = not_served.map(|(capability, _)| AuditError::NotServed {
                place: place.clone(),
                capability: *capability,
                found: file.counts.keys().map(Architecture::to_string).collect(),
            });
            let defects = file
                .findings
                .iter()
                .filter(|found| !found.defect.is_harmless())
                .map(|found| AuditError::Runpath {
                    place: place.clone(),
                    entry: found.entry.clone(),
                    defect: found.defect,
                });
            // Nothing but the capabilities depends on it.
            let not_understood = file
                .not_understood
                .iter()
                .filter(|_| !self.capabilities.is_empty())
                .map(|code| AuditError::NotUnderstood {
                    place: code.place.clone(),
                    reason: code.reason.clone(),
                });
            not_served
                .chain(not_understood)
                .chain(defects)
                .collect::<Vec<_>>()
        });
        Error::from_problems(missing.chain(of_files))
    }

    /// The report for machines: one JSON object, ending in a line break.
    ///
    /// Keys stay as they are while `reportVersion` does; new ones may come. `files`: per file `needed` and `opens`, each with
    /// `by`: `file`, `host` or `nobody`; `runpathDefects`; `deviceCode` with counts, and `deviceCodeNotUnderstood`, why
    /// not, or `null`; `capabilities`, the code that serves each or `null`. `missing`: per library all files that need it. `links`, `texts`: what leads out of the trees.
    /// `errors`: what could not be read, or is damaged.
    pub fn to_json(&self) -> String {
        let missing: Vec<Value> = self
            .missing()
            .into_iter()
            .map(|((name, abi), missing)| {
                json!({
                    "name": name,
                    "machine": abi.to_string(),
                    "neededBy": missing.needed_by,
                    "otherMachines": machines(&missing.other_machines),
                })
            })
            .collect();
        let links: Vec<Value> = self
            .links
            .iter()
            .map(|link| {
                json!({
                    "link": link.path.display().to_string(),
                    "target": link.target.display().to_string(),
                    "broken": link.is_broken,
                })
            })
            .collect();
        let texts: Vec<Value> = self
            .texts
            .iter()
            .map(|text| json!({ "file": text.path.display().to_string(), "paths": text.paths }))
            .collect();
        let report = json!({
            "reportVersion": 1,
            "files": self.files.iter().map(FileReport::to_json).collect::<Vec<_>>(),
            "missing": missing,
            "links": links,
            "texts": texts,
            "errors": self.errors.iter().map(Error::render).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}

fn machines(abis: &[Abi]) -> Vec<String> {
    abis.iter().map(Abi::to_string).collect()
}

impl FileReport {
    fn to_json(&self) -> Value {
        let facts = self.facts.as_ref();
        let code: Vec<Value> = self
            .counts
            .iter()
            .map(|(architecture, count)| {
                json!({
                    "architecture": architecture.to_string(),
                    "count": count.total,
                    "compressed": count.compressed,
                })
            })
            .collect();
        let serves: Map<String, Value> = self
            .serves
            .iter()
            .map(|(capability, by)| (capability.to_string(), json!(by.map(|by| by.to_string()))))
            .collect();
        let defects: Vec<Value> = self
            .findings
            .iter()
            .map(|found| json!({ "entry": found.entry, "defect": found.defect.name() }))
            .collect();
        json!({
            "file": self.path.display().to_string(),
            "machine": facts.map(|facts| facts.machine.to_string()),
            "kind": facts.map_or_else(|| "static library".to_owned(), |facts| facts.kind.to_string()),
            "foreignMachine": self.is_foreign,
            "soname": facts.and_then(|facts| facts.soname.clone()),
            "interpreter": facts.and_then(|facts| facts.interpreter.clone()),
            "foreignInterpreter": self.is_interpreter_foreign,
            "needed": self.needed.iter().map(Need::to_json).collect::<Vec<_>>(),
            "opens": self.opened.iter().map(Need::to_json).collect::<Vec<_>>(),
            "opensPaths": self.opened_paths,
            "runpathDefects": defects,
            "deviceCode": code,
            "deviceCodeNotUnderstood": self.not_understood.as_ref().map(NotUnderstood::to_string),
            "capabilities": serves,
        })
    }

    /// The names of the needs that `wanted` chooses; `None` when there are none.
    fn names<'a>(needs: &'a [Need], wanted: impl Fn(&Need) -> bool) -> Option<String> {
        let names: Vec<&'a str> = needs
            .iter()
            .filter(|need| wanted(need))
            .map(|need| need.name.as_str())
            .collect();
        (!names.is_empty()).then(|| names.join(" "))
    }
}

impl Need {
    fn to_json(&self) -> Value {
        match &self.by {
            By::File(path) => json!({
                "name": self.name,
                "by": "file",
                "file": path.display().to_string(),
                "onRunpath": self.is_on_runpath,
            }),
            By::Host(host) => json!({ "name": self.name, "by": "host", "host": host.to_string() }),
            By::Nobody { other_machines } => json!({
                "name": self.name,
                "by": "nobody",
                "otherMachines": machines(other_machines),
            }),
        }
    }
}

/// The report for people: a paragraph per file, then the rest. What [`Report::problems`] and [`Report::errors`] say is
/// not repeated in sentences.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            file.fmt(f)?;
        }
        for link in &self.links {
            let what = if link.is_broken {
                "to nothing"
            } else {
                "into the host"
            };
            writeln!(
                f,
                "{}: link {what}: {}",
                shown(&link.path),
                shown(&link.target)
            )?;
        }
        for text in &self.texts {
            let paths: Vec<String> = text
                .paths
                .iter()
                .map(|path| text::printable(path))
                .collect();
            writeln!(f, "{}: names {}", shown(&text.path), paths.join(" "))?;
        }
        let with_code = self
            .files
            .iter()
            .filter(|file| !file.counts.is_empty() || file.not_understood.is_some())
            .count();
        write!(
            f,
            "{}, {with_code} with device code",
            counted(self.files.len(), "file")
        )?;
        for capability in &self.capabilities {
            let served = self
                .files
                .iter()
                .filter(|file| file.serves.get(capability).is_some_and(Option::is_some));
            write!(f, ", {capability} served by {}", served.count())?;
        }
        writeln!(f)
    }
}

/// `1 file`, `2 files`.
fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", shown(&self.path))?;
        let mut line =
            |name: &str, value: &str| writeln!(f, "  {name:<14}{}", text::printable(value));
        if let Some(facts) = &self.facts {
            let other = if self.is_foreign {
                ", another machine than most"
            } else {
                ""
            };
            line("machine", &format!("{}{other}", facts.machine))?;
            if let Some(soname) = &facts.soname {
                line("soname", soname)?;
            }
            if let Some(interpreter) = facts
                .interpreter
                .as_ref()
                .filter(|_| self.is_interpreter_foreign)
            {
                line("interpreter", &format!("{interpreter}, the host's"))?;
            }
        }
        let rows = |needs: &[Need]| {
            let is_file = |need: &Need| matches!(need.by, By::File(_));
            [
                (
                    "found",
                    FileReport::names(needs, |need| is_file(need) && need.is_on_runpath),
                ),
                (
                    "beside",
                    FileReport::names(needs, |need| is_file(need) && !need.is_on_runpath),
                ),
                (
                    "host",
                    FileReport::names(needs, |need| matches!(need.by, By::Host(_))),
                ),
                (
                    "nobody",
                    FileReport::names(needs, |need| matches!(need.by, By::Nobody { .. })),
                ),
            ]
        };
        for (verb, needs) in [("needs", &self.needed), ("opens", &self.opened)] {
            for (who, names) in rows(needs) {
                if let Some(names) = names {
                    let remark = match who {
                        "found" => "",
                        "beside" => "    (there, but not on the RUNPATH)",
                        "host" => "    (the host's)",
                        _ => "    (nobody has it)",
                    };
                    line(verb, &format!("{names}{remark}"))?;
                }
            }
        }
        for path in &self.opened_paths {
            line("opens", path)?;
        }
        for found in &self.findings {
            let entry = text::quote(&found.entry);
            line("runpath", &format!("{entry}: {}", found.defect))?;
        }
        if !self.counts.is_empty() {
            let counts: Vec<String> = self
                .counts
                .iter()
                .map(|(architecture, count)| format!("{architecture} x{}", count.total))
                .collect();
            line("device code", &counts.join(", "))?;
        }
        if let Some(code) = &self.not_understood {
            line("device code", &format!("not understood: {code}"))?;
        }
        for (capability, by) in &self.serves {
            let by = match by {
                Some(by) if by.code == Code::Machine => format!("with {by}"),
                Some(by) => format!("with {by}, compiled by the driver when it is loaded"),
                None => "not".to_owned(),
            };
            line(&format!("serves {capability}"), &by)?;
        }
        Ok(())
    }
}
