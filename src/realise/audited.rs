//! The audit of the outputs, before anybody sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::error::RealiseError;
use super::stage::Stage;
use crate::audit::{self, By, Request, Scan};
use crate::error::Error;
use crate::plan::outputs::Placement;
use crate::plan::{OutputName, Plan};
use crate::relpath::RelPath;
use crate::resolve::Abi;
use crate::text;

/// What an audit found and accepts: worth knowing, no reason to fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// The devices that all device code serves.
    pub capabilities: Vec<String>,
    /// Libraries that files may open by `dlopen` and nobody has, with these files (`OUTPUT:PATH`).
    pub opens_missing: BTreeMap<String, Vec<String>>,
    /// Programs whose interpreter is the host's.
    pub host_interpreters: Vec<Placement>,
    /// Paths of hosts or builds in files that build systems read, by file (`OUTPUT:PATH`).
    pub host_paths: BTreeMap<String, BTreeSet<String>>,
}

impl Audited {
    /// In a few lines.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.capabilities.is_empty() {
            notes.push(format!(
                "device code serves capability {}",
                self.capabilities.join(" ")
            ));
        }
        if !self.opens_missing.is_empty() {
            let names: Vec<&str> = self.opens_missing.keys().map(String::as_str).collect();
            notes.push(text::printable(&format!(
                "may be opened by `dlopen`, but is nowhere: {}",
                names.join(" ")
            )));
        }
        if !self.host_interpreters.is_empty() {
            notes.push(format!(
                "{} of the programs have the host's interpreter: the plan names no `interpreter`",
                self.host_interpreters.len()
            ));
        }
        for (file, paths) in &self.host_paths {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            notes.push(text::printable(&format!(
                "{file} names paths of a host: {}",
                paths.join(" ")
            )));
        }
        notes
    }
}

/// Audits the outputs in `stage` for `machine` (`None`: there are no ELF files to look at).
///
/// # Errors
/// A file is damaged; a NEEDED entry is satisfied by nothing; a RUNPATH leads into the host, a build or stubs; device code does
/// not serve a capability of the plan; a file holds a text that the plan forbids, or the path of a store object that the
/// package must not refer to. All of it is reported.
pub(super) fn audit(plan: &Plan, machine: Option<Abi>, stage: &Stage) -> Result<Audited, Error> {
    let mut audited = Audited {
        capabilities: plan.extras.capabilities.clone(),
        ..Audited::default()
    };
    let dirs: Vec<(OutputName, &Path)> = stage.dirs().map(|(name, dir, _)| (name, dir)).collect();
    let known = known_paths(plan);
    let written = written_texts(plan);
    let in_texts = written.iter().copied().flat_map(audit::paths_in);
    let roots: Vec<PathBuf> = known
        .iter()
        .cloned()
        .chain(in_texts.map(PathBuf::from))
        .collect();
    let mut problems = Vec::new();
    if machine.is_some() {
        let compat = plan.extras.cuda_compat.iter();
        let request = Request {
            trees: dirs.iter().map(|(_, dir)| dir.to_path_buf()).collect(),
            dependencies: plan.dependencies.values().cloned().collect(),
            driver_paths: compat
                .map(|root| format!("{root}/compat"))
                .chain(plan.driver_paths.iter().cloned())
                .collect(),
            allowed_missing: plan.allowed_missing.clone(),
            capabilities: plan
                .extras
                .capabilities
                .iter()
                .map(|text| text.parse())
                .collect::<Result<_, _>>()?,
            machine,
            moved: stage
                .dirs()
                .map(|(_, dir, path)| (path.to_owned(), dir.to_owned()))
                .collect(),
        };
        let mut report = audit::audit(&request)?;
        problems.append(&mut report.errors);
        problems.extend(report.problems());
        for file in &report.files {
            let Some(place) = place(&dirs, &file.path) else {
                continue;
            };
            for need in &file.opened {
                if matches!(&need.by, By::Nobody { .. }) {
                    let files = audited.opens_missing.entry(need.name.clone()).or_default();
                    files.push(shown(&place));
                }
            }
            let interpreter = file
                .facts
                .as_ref()
                .and_then(|facts| facts.interpreter.as_ref());
            let is_as_planned = interpreter == plan.extras.interpreter.as_ref();
            if file.is_interpreter_foreign && !is_as_planned && file.abi == machine {
                audited.host_interpreters.push(place);
            }
        }
        for mut found in report.texts {
            // The store may be anywhere, also where hosts have theirs.
            let is_allowed =
                |path: &str| roots.iter().any(|root| Path::new(path).starts_with(root));
            found.paths.retain(|path| !is_allowed(path));
            if let Some(place) = place(&dirs, &found.path).filter(|_| !found.paths.is_empty()) {
                audited.host_paths.insert(shown(&place), found.paths);
            }
        }
    }
    let scan = Scan {
        trees: dirs.iter().map(|(_, dir)| dir.to_path_buf()).collect(),
        forbidden: plan.extras.forbidden_texts.clone(),
        // Only what looks like the name of a store object counts in these, wherever it stands.
        allowed_references: known
            .into_iter()
            .chain(written.into_iter().map(PathBuf::from))
            .collect(),
    };
    for found in audit::scan(&scan)? {
        let Some(place) = place(&dirs, &found.path) else {
            continue;
        };
        let place = format!("{} at byte {}", shown(&place), found.offset);
        let text = found.text;
        let problem = match found.is_reference {
            true => RealiseError::Reference { place, text },
            false => RealiseError::ForbiddenText { place, text },
        };
        problems.push(problem.into());
    }
    match Error::all(problems) {
        Some(error) => Err(error),
        None => Ok(audited),
    }
}

/// Where a package may lead to: itself, what it was made from others for, and the driver.
fn known_paths(plan: &Plan) -> Vec<PathBuf> {
    let extras = &plan.extras;
    let texts = extras.interpreter.iter().chain(&extras.cuda_compat);
    let texts = texts.chain(&plan.driver_paths).map(PathBuf::from);
    let merged = extras.merge.iter().flat_map(|(_, folders)| folders);
    let paths = plan.outputs.values().chain(plan.dependencies.values());
    paths.chain(merged).cloned().chain(texts).collect()
}

/// What users write into a package: the paths in it they mean to be there.
fn written_texts(plan: &Plan) -> Vec<&str> {
    let extras = &plan.extras;
    let replaced = extras.replace_texts.iter().flat_map(|(_, pairs)| pairs);
    let texts = replaced.map(|(_, text)| text.as_str());
    let links = extras.links.iter().map(|(_, text)| text.as_str());
    texts.chain(links).collect()
}

/// The output, and the path in it, of a file in one of `dirs`.
fn place(dirs: &[(OutputName, &Path)], path: &Path) -> Option<Placement> {
    dirs.iter().find_map(|(output, dir)| {
        let inside = path.strip_prefix(dir).ok()?.to_str()?;
        Some(Placement {
            output: *output,
            path: RelPath::new(inside).ok()?,
        })
    })
}

fn shown(place: &Placement) -> String {
    format!("{}:{}", place.output, place.path)
}
