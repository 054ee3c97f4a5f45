//! A look at what was made: who has the libraries that files need or open, which GPUs their device code serves, and
//! which paths lead out of the package.
//!
//! ```text
//!  trees ── resolve::Tree ──► files ──► Facts, device code, names for dlopen ──► Libraries::answer ──► Report
//! ```

mod leaks;
mod report;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::elf::{ElfKind, Facts, Machine};
use crate::error::{Error, Kind, Problem};
use crate::fatbin::{self, Architecture, Capability, Code, Counts, DeviceCode};
use crate::resolve::{
    self, Abi, Answer, Entry, Found, Libraries, Names, Tree, is_loadable, is_stubs_folder,
};
use crate::text;

pub use leaks::paths_in;
pub use report::{By, FileReport, LinkReport, Need, NotUnderstood, Report, TextReport};
pub use texts::{FoundText, Scan, scan};

/// What to look at, and what to expect of it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The folders (or files) to look at.
    pub trees: Vec<PathBuf>,
    /// Folders whose libraries satisfy what the trees do not have themselves, the first ones first.
    pub dependencies: Vec<PathBuf>,
    /// Where the driver's libraries are at run time: entries of a RUNPATH that are always right.
    pub driver_paths: Vec<String>,
    /// Libraries that may be missing.
    pub allowed_missing: Vec<String>,
    /// Devices that every file with device code must serve.
    pub capabilities: Vec<Capability>,
    /// Only programs and libraries for this machine must find what they need; `None`: all of them.
    pub machine: Option<Abi>,
    /// Folders that will be elsewhere when programs run (there, and here): RUNPATHs speak of there already.
    pub moved: Vec<(PathBuf, PathBuf)>,
}

impl Request {
    /// `runpath` with the folders as they are now.
    fn here(&self, runpath: &str) -> String {
        let entries = runpath.split(':').map(|entry| {
            let moved = self.moved.iter().find_map(|(there, here)| {
                let inside = Path::new(entry).strip_prefix(there).ok()?;
                // Nothing joined to a path would end in a slash.
                let here = match inside.as_os_str().is_empty() {
                    true => here.clone(),
                    false => here.join(inside),
                };
                Some(here.to_string_lossy().into_owned())
            });
            moved.unwrap_or_else(|| entry.to_owned())
        });
        entries.collect::<Vec<_>>().join(":")
    }

    /// A folder as RUNPATHs speak of it.
    fn there(&self, entry: &str) -> String {
        let back = self.moved.iter().find_map(|(there, here)| {
            let inside = Path::new(entry).strip_prefix(here).ok()?;
            Some(there.join(inside).to_string_lossy().into_owned())
        });
        back.unwrap_or_else(|| entry.to_owned())
    }
}

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the file")]
struct ReadError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Problem for ReadError {
    fn kind(&self) -> Kind {
        Kind::Fault
    }

    fn place(&self) -> Option<String> {
        Some(shown(&self.path))
    }
}

/// Where a library is.
#[derive(Clone, Debug)]
struct Provider {
    /// The number of its tree; dependencies come after the trees.
    tree: usize,
    /// Its folder, below the tree.
    folder: PathBuf,
    /// Its path as people know it.
    shown: PathBuf,
    /// The same without links.
    real: PathBuf,
    is_stub: bool,
}

/// What one file says.
struct Object<'a> {
    tree: usize,
    path: &'a Path,
    /// `None` for static libraries.
    facts: Option<Facts>,
    code: DeviceCode,
    names: Names,
}

/// Looks at everything in the trees of `request`.
///
/// # Errors
/// One of the trees or dependencies itself cannot be read. All that is found inside of them, damaged files too, is in the
/// report.
pub fn audit(request: &Request) -> Result<Report, Error> {
    let all = request.trees.iter().chain(&request.dependencies);
    let mut trees = all
        .map(|root| Tree::read(root))
        .collect::<Result<Vec<_>, _>>()?;
    let mut report = Report::default();
    for tree in &mut trees {
        report
            .errors
            .extend(tree.unreadable.drain(..).map(Error::from));
    }
    let own = request.trees.len();

    let files: Vec<(usize, &Path)> = trees
        .iter()
        .take(own)
        .enumerate()
        .flat_map(|(number, tree)| {
            let is_file = |entry: &&Entry| matches!(entry.found, Found::File);
            tree.entries
                .iter()
                .filter(is_file)
                .map(move |entry| (number, &*entry.path))
        })
        .collect();
    let looked_at: Vec<Result<Option<Object<'_>>, Error>> = files
        .par_iter()
        .filter_map(|&(tree, path)| trees.get(tree).map(|root| look(root, tree, path)))
        .collect();
    let mut objects = Vec::new();
    for object in looked_at {
        match object {
            Ok(object) => objects.extend(object),
            Err(error) => report.errors.push(error),
        }
    }

    let libraries = libraries(&trees, own, &objects, &mut report.errors);
    let machine = main_machine(&objects);
    let real_roots: Vec<PathBuf> = trees.iter().map(|tree| tree.real_root.clone()).collect();
    for object in &objects {
        let Some(tree) = trees.get(object.tree) else {
            continue;
        };
        report.files.push(judge(
            request,
            tree,
            object,
            &libraries,
            machine,
            &real_roots,
        ));
    }
    for tree in trees.iter().take(own) {
        for entry in &tree.entries {
            match leaks::look(tree, entry, &real_roots) {
                Ok(leaks) => {
                    report.links.extend(leaks.link);
                    report.texts.extend(leaks.text);
                }
                Err(error) => report.errors.push(error),
            }
        }
    }
    report.capabilities = request.capabilities.iter().copied().collect();
    Ok(report)
}

/// Reads one file; `None` when it is neither an ELF file nor a static library with device code.
fn look<'a>(root: &Tree, tree: usize, path: &'a Path) -> Result<Option<Object<'a>>, Error> {
    let shown = root.shown(path);
    let facts = resolve::read(&shown)?;
    let is_archive = facts.is_none() && shown.extension().is_some_and(|end| end == "a");
    if facts.is_none() && !is_archive {
        return Ok(None);
    }
    let code = fatbin::read(&shown)?;
    if is_archive && matches!(&code, DeviceCode::Understood(counts) if counts.is_empty()) {
        return Ok(None);
    }
    let names = match &facts {
        Some(facts) if is_loadable(facts) => resolve::names(&shown)?,
        _ => Names::default(),
    };
    Ok(Some(Object {
        tree,
        path,
        facts,
        code,
        names,
    }))
}

/// All libraries of the trees, and those of the dependencies that somebody may want.
fn libraries(
    trees: &[Tree],
    own: usize,
    objects: &[Object<'_>],
    errors: &mut Vec<Error>,
) -> Libraries<Provider> {
    let mut machines: BTreeMap<PathBuf, Option<Abi>> = BTreeMap::new();
    let mut wanted = BTreeSet::new();
    let mut has_formats = false;
    for object in objects {
        let Some((tree, facts)) = trees.get(object.tree).zip(object.facts.as_ref()) else {
            continue;
        };
        let abi = Abi::of(facts).filter(|_| is_loadable(facts));
        machines.insert(tree.real_root.join(object.path), abi);
        wanted.extend(facts.needed.iter().map(String::as_str));
        wanted.extend(object.names.libraries.iter().map(String::as_str));
        has_formats |= object.names.libraries.iter().any(|name| name.contains('%'));
    }
    let mut libraries = Libraries::default();
    for (number, tree) in trees.iter().enumerate() {
        for entry in &tree.entries {
            let shown = tree.shown(&entry.path);
            let Some(name) = shown.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let may_be_wanted = wanted.contains(name) || has_formats && name.contains(".so");
            if number >= own && !may_be_wanted {
                continue;
            }
            let real = match &entry.found {
                Found::File => tree.real_root.join(&entry.path),
                Found::Link {
                    real: Some(real), ..
                } if real.is_file() => real.clone(),
                Found::Link { .. } => continue,
            };
            let abi = match machines.get(&real) {
                Some(abi) => *abi,
                // A file of the trees that is not there is no library, or damaged, which was reported.
                None if trees
                    .iter()
                    .take(own)
                    .any(|own| real.starts_with(&own.real_root)) =>
                {
                    None
                }
                None => match resolve::read(&real) {
                    Ok(facts) => facts.filter(is_loadable).as_ref().and_then(Abi::of),
                    Err(error) => {
                        errors.push(error);
                        None
                    }
                },
            };
            machines.insert(real.clone(), abi);
            if let Some(abi) = abi {
                // A link to a stub from somewhere else is still a stub.
                let below = real.strip_prefix(&tree.real_root).unwrap_or(&real);
                let is_stub = [below, &entry.path].into_iter().any(in_stubs);
                let provider = Provider {
                    tree: number,
                    folder: entry.path.parent().unwrap_or(Path::new("")).to_owned(),
                    shown: shown.clone(),
                    is_stub,
                    real,
                };
                libraries.add(name, abi, provider);
            }
        }
    }
    libraries
}

fn in_stubs(path: &Path) -> bool {
    path.parent()
        .is_some_and(|folder| is_stubs_folder(&folder.to_string_lossy()))
}

/// The machine of most files; of several the first.
fn main_machine(objects: &[Object<'_>]) -> Option<Abi> {
    let mut counts: BTreeMap<Abi, usize> = BTreeMap::new();
    let loadable = objects.iter().filter_map(|object| object.facts.as_ref());
    for abi in loadable
        .filter(|facts| is_loadable(facts))
        .filter_map(Abi::of)
    {
        *counts.entry(abi).or_default() += 1;
    }
    let most = counts.values().max().copied()?;
    counts
        .into_iter()
        .find(|(_, count)| *count == most)
        .map(|(abi, _)| abi)
}

/// All that is to be said about one file.
fn judge(
    request: &Request,
    tree: &Tree,
    object: &Object<'_>,
    libraries: &Libraries<Provider>,
    machine: Option<Abi>,
    real_roots: &[PathBuf],
) -> FileReport {
    let shown = tree.shown(object.path);
    let mut file = FileReport {
        path: shown.clone(),
        facts: object.facts.clone(),
        ..FileReport::default()
    };
    match &object.code {
        DeviceCode::Understood(counts) => {
            file.counts = counts.clone();
            file.serves = request
                .capabilities
                .iter()
                .filter(|_| !counts.is_empty())
                .map(|capability| (*capability, best(counts, *capability)))
                .collect();
        }
        DeviceCode::NotUnderstood(error) => {
            file.not_understood = error.problems().next().map(|problem| NotUnderstood {
                place: problem.place().unwrap_or_default(),
                reason: problem.to_string(),
            });
        }
    }
    let Some(facts) = &object.facts else {
        return file;
    };
    let abi = Abi::of(facts).filter(|_| is_loadable(facts));
    // Device code is an ELF file for no host at all, and object files are for whoever links them.
    let is_program = matches!(facts.kind, ElfKind::Executable | ElfKind::SharedLibrary);
    file.is_foreign = is_program
        && facts.machine != Machine::Other(CUDA_DEVICE)
        && machine.is_some()
        && Abi::of(facts) != machine;
    let is_meant = |abi: &Abi| request.machine.is_none_or(|machine| machine == *abi);
    let Some(abi) = abi.filter(is_meant) else {
        return file;
    };

    let real = tree.real_root.join(object.path);
    let origin = real.parent().unwrap_or(&real);
    let runpath = facts.runpath.as_deref().or(facts.rpath.as_deref());
    let runpath = runpath.map(|runpath| request.here(runpath));
    let runpath = runpath.as_deref();
    if let Some(runpath) = runpath {
        file.findings = resolve::findings(runpath, origin, &request.driver_paths, real_roots);
        for finding in &mut file.findings {
            finding.entry = request.there(&finding.entry);
        }
    }
    file.is_interpreter_foreign = facts
        .interpreter
        .as_deref()
        .is_some_and(|interpreter| resolve::foreign(interpreter).is_some());

    let folder = object.path.parent().unwrap_or(Path::new(""));
    let is_stub = in_stubs(object.path);
    let rank = |provider: &Provider| {
        let is_here = provider.tree == object.tree && provider.folder == folder;
        let order = match provider.tree {
            _ if is_here => 0,
            same if same == object.tree => 1,
            other => other.saturating_add(2),
        };
        // Stubs satisfy nothing, save each other.
        (!provider.is_stub || is_stub && is_here)
            .then(|| (order, provider.folder.components().count()))
    };
    let need = |name: &str| {
        let mut is_on_runpath = false;
        let by = match libraries.answer(abi, name, &request.allowed_missing, rank) {
            Answer::Directory(provider) => {
                is_on_runpath = runpath.is_some_and(|runpath| {
                    resolve::reaches(runpath, origin, name, abi, &provider.real)
                });
                By::File(provider.shown)
            }
            Answer::Host(host) => By::Host(host),
            Answer::Missing { other_machines } => By::Nobody { other_machines },
        };
        Need {
            name: name.to_owned(),
            by,
            is_on_runpath,
        }
    };
    file.abi = Some(abi);
    file.needed = facts.needed.iter().map(|name| need(name)).collect();
    let own_name = shown
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    for name in &object.names.libraries {
        let is_own = facts.soname.as_ref() == Some(name) || own_name.as_ref() == Some(name);
        if is_own || facts.needed.contains(name) {
            continue;
        }
        let mut opened = need(name);
        if name.contains('%') {
            // A format is there when a name that it may stand for is.
            let found = libraries.names_like(name).map(need);
            if let Some(found) = found
                .into_iter()
                .find(|need| matches!(need.by, By::File(_)))
            {
                opened.by = found.by;
                opened.is_on_runpath = found.is_on_runpath;
            }
        }
        file.opened.push(opened);
    }
    file.opened_paths = object.names.paths.iter().cloned().collect();
    file
}

/// `EM_CUDA`.
const CUDA_DEVICE: u16 = 190;

/// The code that the driver takes for a device: machine code if there is some, the newest, else the newest PTX.
fn best(counts: &Counts, capability: Capability) -> Option<Architecture> {
    let of = |code: Code| {
        let able = counts
            .keys()
            .filter(|architecture| architecture.serves(capability));
        able.filter(|architecture| architecture.code == code)
            .max()
            .copied()
    };
    of(Code::Machine).or_else(|| of(Code::Ptx))
}

/// How a path is shown in messages.
fn shown(path: &Path) -> String {
    text::printable(&path.display().to_string())
}
