//! Who needs which library, and the edits that follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::error::{Missing, RealiseError};
use super::links::{self, Target};
use super::references::References;
use super::report::{LeftAlone, Patched};
use super::split::{Piece, PieceKind, Split};
use super::stage::Stage;
use super::tree::{Node, Tree};
use super::{Event, Progress};
use crate::elf::{self, ElfKind, Facts, Writing};
use crate::error::Error;
use crate::fatbin::{self, DeviceCode};
use crate::plan::edits::{self, LibraryDir};
use crate::plan::outputs::Placement;
use crate::plan::{OutputName, Plan};
use crate::relpath::RelPath;
use crate::resolve::{self, Abi, Answer, Libraries, Names, is_loadable, is_stubs_folder};
use crate::text;

/// The folders of a dependency that are searched, as the dynamic loader would not: by name.
const LIBRARY_FOLDERS: &[&str] = &["lib", "lib64"];

/// Where `cuda_compat` has the driver's newer libraries.
const COMPAT_FOLDER: &str = "compat";

/// A directory that may hold a needed library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dir {
    /// In an output of this package; empty for its top.
    Own { output: OutputName, path: String },
    /// In the package `name` of the plan's dependencies.
    Dependency { name: String, folder: &'static str },
}

/// A dynamic ELF file of the plan's machine.
struct Object<'a> {
    from: &'a RelPath,
    at: &'a Placement,
    facts: Facts,
    /// What it may open by `dlopen`.
    names: Names,
    /// NEEDED entries that the plan adds.
    added: Vec<String>,
}

impl Object<'_> {
    /// What the file needs when it is patched.
    fn needed(&self) -> impl Iterator<Item = &String> {
        self.facts.needed.iter().chain(&self.added)
    }

    /// What it may open besides; its own name is not meant.
    fn opened(&self) -> impl Iterator<Item = &String> {
        self.names.libraries.iter().filter(|name| {
            self.facts.soname.as_ref() != Some(name)
                && self.at.path.file_name() != name.as_str()
                && !self.needed().any(|needed| needed == *name)
        })
    }
}

/// What one file gets.
struct Edit<'a> {
    object: &'a Object<'a>,
    edit: elf::Edit,
    /// The RUNPATH with names instead of store paths.
    symbolic: String,
    /// The libraries that the RUNPATH holds a folder for although the file does not need them.
    opened: Vec<String>,
}

/// Makes every dynamic ELF file for `machine` in `stage` find its libraries: RUNPATH, interpreter, the plan's NEEDED
/// entries, in one edit per file.
///
/// # Errors
/// An ELF file is damaged or cannot be edited; a NEEDED entry is satisfied by nothing (all of them are reported, and no
/// file was edited) or only from a folder whose name a RUNPATH cannot hold; the outputs would refer to each other in a circle; the file system refuses.
pub(super) fn patch(
    machine: Abi,
    plan: &Plan,
    tree: &Tree,
    split: &Split,
    stage: &Stage,
    mut references: References,
    progress: Progress<'_>,
) -> Result<(Vec<Patched>, Vec<LeftAlone>), Error> {
    let mut objects = Vec::new();
    let mut left_alone = Vec::new();
    let mut abis = BTreeMap::new();
    for piece in split.pieces() {
        if piece.kind != PieceKind::File {
            continue;
        }
        let path = stage.dir(piece.to.output)?.join(&piece.to.path);
        let facts = resolve::read(&path)?;
        if let Some(reason) = leave_alone(machine, facts.as_ref(), &path)? {
            let found = LeftAlone {
                output: piece.to.output,
                path: piece.to.path.clone(),
                reason,
            };
            progress(Event::Detail(&found.to_string()));
            left_alone.push(found);
        }
        let Some(facts) = facts else {
            continue;
        };
        if let Some(abi) = Abi::of(&facts).filter(|_| is_loadable(&facts)) {
            abis.insert(&piece.from, abi);
            if abi == machine {
                objects.push(object(plan, piece, facts, &path)?);
            }
        }
    }
    if let (true, Some(other)) = (objects.is_empty(), abis.values().next()) {
        progress(Event::Warning(&format!(
            "this is a package for {machine}, but all of its programs and libraries are for others, such as {other}: is it the archive of another platform?"
        )));
    }
    for (pattern, sonames) in &plan.extras.add_needed {
        if !objects
            .iter()
            .any(|object| pattern.matches(&object.at.path))
        {
            progress(Event::Warning(&format!(
                "`addNeeded`: no library or program is called {}, so none needs {}",
                text::quote(pattern.as_str()),
                sonames.join(", ")
            )));
        }
    }

    if let Some(root) = &plan.extras.cuda_compat
        && !Path::new(root).is_dir()
    {
        return Err(RealiseError::NoCompat { path: root.into() }.into());
    }
    let mut libraries = own_libraries(tree, split, &abis);
    add_dependencies(&mut libraries, plan, &objects)?;

    let mut missing: BTreeMap<&str, Missing> = BTreeMap::new();
    let mut found = Vec::new();
    for object in &objects {
        let mut dirs = Vec::new();
        for soname in object.needed() {
            match answer(&libraries, machine, soname, plan, object) {
                Answer::Host(_) => {}
                Answer::Directory(dir) => {
                    if let Dir::Own { output, path } = &dir {
                        if is_unspeakable(path) && !is_own_folder(&dir, object.at) {
                            return Err(RealiseError::LibraryFolder {
                                package: plan.package.clone(),
                                folder: path.clone(),
                            }
                            .into());
                        }
                        references.add(object.at.output, *output, object.from.as_str(), soname);
                    }
                    dirs.push(dir);
                }
                Answer::Missing { other_machines } => {
                    let missing = missing.entry(soname).or_insert_with(|| Missing {
                        soname: soname.clone(),
                        needed_by: Vec::new(),
                        remedy: remedy(plan, machine, soname, &other_machines),
                    });
                    missing.needed_by.push(object.from.to_string());
                }
            }
        }
        found.push((object, dirs));
    }
    if !missing.is_empty() {
        let package = format!("{} ({})", plan.package, plan.platform);
        return Err(RealiseError::Missing {
            package,
            missing: missing.into_values().collect(),
        }
        .into());
    }
    references.check(&plan.package)?;
    let for_all = dlopen_folders(plan, progress);
    let mut edits = Vec::new();
    for (object, mut dirs) in found {
        dirs.extend(for_all.iter().cloned());
        let opened = add_opened(
            &mut dirs,
            &libraries,
            machine,
            plan,
            object,
            &mut references,
        );
        let first = own_first(&mut dirs, &libraries, machine, plan, object);
        edits.push(edit_of(plan, object, &dirs, first, opened)?);
    }
    let patched = carry_out(&edits, stage, progress)?;
    Ok((patched, left_alone))
}

/// The folders of the dependencies that the plan wants every file to see.
fn dlopen_folders(plan: &Plan, progress: Progress<'_>) -> Vec<Dir> {
    let mut dirs = Vec::new();
    for name in &plan.extras.dlopen {
        let root = plan.dependencies.get(name);
        let folder = LIBRARY_FOLDERS
            .iter()
            .find(|folder| root.is_some_and(|root| root.join(folder).is_dir()));
        match folder {
            Some(folder) => dirs.push(Dir::Dependency {
                name: name.clone(),
                folder,
            }),
            None => progress(Event::Warning(&format!(
                "`dlopen`: `{}` has no folder of libraries",
                text::printable(name)
            ))),
        }
    }
    dirs
}

/// Does the file's own folder have to come before the dependencies'?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OriginFirst {
    /// Yes: one of them has a library of the same name as one in it.
    Yes,
    /// No: it comes last, as always.
    No,
}

/// Puts the package's own folders before those of dependencies: the loader takes the first library of the right name.
fn own_first(
    dirs: &mut [Dir],
    libraries: &Libraries<Dir>,
    machine: Abi,
    plan: &Plan,
    object: &Object<'_>,
) -> OriginFirst {
    dirs.sort_by_key(|dir| matches!(dir, Dir::Dependency { .. }));
    let is_hidden = object.needed().any(|soname| {
        let own = match answer(libraries, machine, soname, plan, object) {
            Answer::Directory(dir) => is_own_folder(&dir, object.at),
            Answer::Host(_) | Answer::Missing { .. } => false,
        };
        own && libraries
            .all(machine, soname)
            .any(|dir| dirs.contains(dir) && !is_own_folder(dir, object.at))
    });
    match is_hidden {
        true => OriginFirst::Yes,
        false => OriginFirst::No,
    }
}

fn object<'a>(
    plan: &Plan,
    piece: &'a Piece,
    facts: Facts,
    path: &Path,
) -> Result<Object<'a>, Error> {
    let mut added: Vec<String> = Vec::new();
    for (pattern, sonames) in &plan.extras.add_needed {
        if pattern.matches(&piece.to.path) {
            for soname in sonames {
                if !facts.needed.contains(soname) && !added.contains(soname) {
                    added.push(soname.clone());
                }
            }
        }
    }
    Ok(Object {
        from: &piece.from,
        at: &piece.to,
        facts,
        names: resolve::names(path)?,
        added,
    })
}

/// Why a file that somebody might expect to be patched is not; `None` when it is, and for files that nobody runs.
fn leave_alone(machine: Abi, facts: Option<&Facts>, path: &Path) -> Result<Option<String>, Error> {
    let Some(facts) = facts else {
        return Ok(
            shebang(path)?.map(|line| format!("it is a script ({})", text::printable(&line)))
        );
    };
    if Abi::of(facts) != Some(machine) {
        return Ok(Some(format!(
            "it is for another machine ({})",
            facts.machine
        )));
    }
    let is_static = facts.kind == ElfKind::Executable && !is_loadable(facts);
    Ok(is_static.then(|| "it is a static program".to_owned()))
}

/// The longest that Linux reads. Source: `BINPRM_BUF_SIZE`.
const SHEBANG_BYTES_MAX: u64 = 256;

/// The first line of a script that can be run.
fn shebang(path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| RealiseError::io("read", path, source);
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o111 == 0 {
        return Ok(None);
    }
    let mut start = Vec::new();
    file.take(SHEBANG_BYTES_MAX)
        .read_to_end(&mut start)
        .map_err(failed)?;
    let line = start.split(|byte| *byte == b'\n').next();
    let line = line.filter(|line| line.starts_with(b"#!"));
    Ok(line.map(|line| String::from_utf8_lossy(line).trim_end().to_owned()))
}

fn answer(
    libraries: &Libraries<Dir>,
    machine: Abi,
    soname: &str,
    plan: &Plan,
    object: &Object<'_>,
) -> Answer<Dir> {
    libraries.answer(machine, soname, &plan.allowed_missing, |dir| {
        rank(dir, object.at)
    })
}

/// Adds the folders of libraries that `object` may open, as far as the package or its dependencies have them, and says which
/// libraries these are. Another output counts only where it does not lead back to this one: what is opened may be missing.
fn add_opened(
    dirs: &mut Vec<Dir>,
    libraries: &Libraries<Dir>,
    machine: Abi,
    plan: &Plan,
    object: &Object<'_>,
    references: &mut References,
) -> Vec<String> {
    let mut opened = Vec::new();
    for name in object.opened() {
        let names: Vec<&str> = match name.contains('%') {
            true => libraries.names_like(name).collect(),
            false => vec![name],
        };
        for name in names {
            let Answer::Directory(dir) = answer(libraries, machine, name, plan, object) else {
                continue;
            };
            if let Dir::Own { output, path } = &dir {
                let (from, to) = (object.at.output, *output);
                let is_of_use = is_own_folder(&dir, object.at) || !is_unspeakable(path);
                if !is_of_use || from != to && references.leads(to, from) {
                    continue;
                }
                references.add(from, to, object.from.as_str(), name);
            }
            dirs.push(dir);
            opened.push(name.to_owned());
        }
    }
    opened
}

/// Has `folder` a name that means something else in a RUNPATH?
fn is_unspeakable(folder: &str) -> bool {
    folder.contains([':', '$'])
}

fn edit_of<'a>(
    plan: &Plan,
    object: &'a Object<'a>,
    dirs: &[Dir],
    origin: OriginFirst,
    opened: Vec<String>,
) -> Result<Edit<'a>, Error> {
    let as_text =
        |compat: Option<String>, show: &dyn Fn(&Dir) -> Option<String>| -> Result<String, Error> {
            let mut shown = Vec::new();
            if origin == OriginFirst::Yes {
                shown.push(LibraryDir::At(edits::ORIGIN.to_owned()));
            }
            for dir in dirs {
                shown.push(if is_own_folder(dir, object.at) {
                    LibraryDir::Origin
                } else {
                    LibraryDir::At(show(dir).ok_or_else(|| unspeakable(plan, dir))?)
                });
            }
            let drivers = compat.into_iter().chain(plan.driver_paths.clone());
            let drivers: Vec<String> = drivers.collect();
            Ok(edits::runpath(&drivers, &shown))
        };
    let compat = plan.extras.cuda_compat.as_ref();
    let runpath = as_text(
        compat.map(|root| format!("{root}/{COMPAT_FOLDER}")),
        &|dir| dir.in_store(plan),
    )?;
    let symbolic = as_text(
        compat.map(|_| format!("{{cudaCompat}}/{COMPAT_FOLDER}")),
        &|dir| Some(dir.symbolic()),
    )?;
    let has_interpreter = object.facts.interpreter.is_some();
    Ok(Edit {
        object,
        edit: elf::Edit {
            interpreter: plan.extras.interpreter.clone().filter(|_| has_interpreter),
            add_needed: object.added.clone(),
            ..elf::Edit::runpath(&runpath)
        },
        symbolic,
        opened,
    })
}

/// The package's own libraries, also under the names of links to them.
fn own_libraries(tree: &Tree, split: &Split, abis: &BTreeMap<&RelPath, Abi>) -> Libraries<Dir> {
    let mut libraries = Libraries::default();
    for piece in split.pieces() {
        let file = match tree.node(&piece.from) {
            Some(Node::Link { target }) => match links::end(tree, &piece.from, target) {
                Some(Target::Path(path)) => path,
                Some(Target::Top) | None => continue,
            },
            _ => piece.from.clone(),
        };
        // A link to a stub from somewhere else is still a stub.
        let is_stub = is_stubs_folder(folder(&file));
        if let Some(abi) = abis.get(&file).filter(|_| !is_stub || file == piece.from) {
            let dir = Dir::Own {
                output: piece.to.output,
                path: folder(&piece.to.path).to_owned(),
            };
            libraries.add(piece.to.path.file_name(), *abi, dir);
        }
    }
    libraries
}

/// Adds what the plan's dependencies have of the libraries that `objects` need or may open.
fn add_dependencies(
    libraries: &mut Libraries<Dir>,
    plan: &Plan,
    objects: &[Object<'_>],
) -> Result<(), Error> {
    let wanted: BTreeSet<&str> = objects
        .iter()
        .flat_map(|object| object.needed().chain(object.opened()))
        .map(String::as_str)
        .collect();
    let patterns: Vec<&str> = wanted
        .iter()
        .filter(|name| name.contains('%'))
        .copied()
        .collect();
    for (name, root) in &plan.dependencies {
        if !root.is_dir() {
            return Err(RealiseError::NoDependency {
                package: name.clone(),
                path: root.clone(),
            }
            .into());
        }
        for &folder in LIBRARY_FOLDERS {
            let directory = root.join(folder);
            let mut sonames: BTreeSet<String> = wanted
                .iter()
                .filter(|soname| is_file_name(soname))
                .map(|soname| (*soname).to_owned())
                .collect();
            if !patterns.is_empty() && directory.is_dir() {
                let failed = |source| RealiseError::io("read the directory", &directory, source);
                for entry in fs::read_dir(&directory).map_err(failed)? {
                    let entry = entry.map_err(failed)?.file_name();
                    let is_like = |pattern: &&str| {
                        entry
                            .to_str()
                            .is_some_and(|entry| resolve::is_like(pattern, entry))
                    };
                    if let Some(found) = entry.to_str().filter(|_| patterns.iter().any(is_like)) {
                        sonames.insert(found.to_owned());
                    }
                }
            }
            for soname in sonames {
                let path = directory.join(&soname);
                if !path.is_file() {
                    continue;
                }
                if let Some(abi) = resolve::read(&path)?
                    .filter(is_loadable)
                    .as_ref()
                    .and_then(Abi::of)
                {
                    let dir = Dir::Dependency {
                        name: name.clone(),
                        folder,
                    };
                    libraries.add(&soname, abi, dir);
                }
            }
        }
    }
    Ok(())
}

/// A NEEDED entry with a slash is a path; no directory satisfies it.
fn is_file_name(soname: &str) -> bool {
    RelPath::new(soname).is_ok_and(|path| path.components().count() == 1)
}

/// How good `dir` is for a file at `at`: its own folder, its own output, the output of libraries, the other outputs,
/// then the dependencies. Folders of stubs are for linking and satisfy nothing, save each other.
fn rank(dir: &Dir, at: &Placement) -> Option<(u8, usize)> {
    match dir {
        Dir::Own { .. } if is_own_folder(dir, at) => Some((0, 0)),
        Dir::Own { output, path } => {
            let is_stubs = *output == OutputName::Stubs || is_stubs_folder(path);
            let depth = path.split('/').count();
            match *output {
                _ if is_stubs => None,
                same if same == at.output => Some((1, depth)),
                OutputName::Lib => Some((2, depth)),
                _ => Some((3, depth)),
            }
        }
        Dir::Dependency { .. } => Some((4, 0)),
    }
}

fn is_own_folder(dir: &Dir, at: &Placement) -> bool {
    matches!(dir, Dir::Own { output, path } if *output == at.output && path == folder(&at.path))
}

fn folder(path: &RelPath) -> &str {
    path.as_str()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder)
}

impl Dir {
    /// As the dynamic loader will find it; `None` when that is no UTF-8.
    fn in_store(&self, plan: &Plan) -> Option<String> {
        let path = match self {
            Dir::Own { output, path } if path.is_empty() => plan.outputs.get(output)?.clone(),
            Dir::Own { output, path } => plan.outputs.get(output)?.join(path),
            Dir::Dependency { name, folder } => plan.dependencies.get(name)?.join(folder),
        };
        path.to_str().map(str::to_owned)
    }

    /// With names from the plan instead of store paths, so that a report with it refers to nothing.
    fn symbolic(&self) -> String {
        match self {
            Dir::Own { output, path } if path.is_empty() => format!("{{outputs.{output}}}"),
            Dir::Own { output, path } => format!("{{outputs.{output}}}/{path}"),
            Dir::Dependency { name, folder } => format!("{{dependencies.{name}}}/{folder}"),
        }
    }
}

fn unspeakable(plan: &Plan, dir: &Dir) -> Error {
    let path = match dir {
        Dir::Own { output, .. } => plan.outputs.get(output),
        Dir::Dependency { name, .. } => plan.dependencies.get(name),
    };
    RealiseError::Name {
        path: path.cloned().unwrap_or_default(),
    }
    .into()
}

/// Where a missing library might come from, as a hint.
fn remedy(plan: &Plan, machine: Abi, soname: &str, other_machines: &[Abi]) -> String {
    let shown = text::quote(soname);
    if !other_machines.is_empty() {
        let machines: Vec<String> = other_machines.iter().map(Abi::to_string).collect();
        let machines = machines.join(" and ");
        return format!("{shown} is there for {machines}, but these files are for {machine}");
    }
    match resolve::known_package(soname) {
        Some(package) if plan.dependencies.contains_key(package) => {
            format!(
                "{shown} should be in the dependency `{package}`, but is not: is that one of another version?"
            )
        }
        Some(package) if package == plan.package => {
            format!("{shown} should be in this package, but is not")
        }
        Some(package) => format!("{shown} is in `{package}`: add that package to `dependencies`"),
        None => match likely_siblings(&plan.extras.siblings, soname).as_slice() {
            [] => format!(
                "add the package that has {shown} to `dependencies`, or the name to `allowedMissing` if hosts have it"
            ),
            [first, rest @ ..] => {
                let others: Vec<String> = rest.iter().map(|name| format!(" or `{name}`")).collect();
                let package = &plan.package;
                format!(
                    "if `{first}`{} has {shown}, write `overrides.{package} = keys: {{ dependencies = keys.dependencies ++ [ \"{first}\" ]; }};`, if hosts have it, add the name to `allowedMissing`",
                    others.concat()
                )
            }
        },
    }
}

/// How many packages a hint names.
const SHOWN_SIBLINGS: usize = 5;

/// The packages that may have the library `soname`: the one that is called like it, or else all.
fn likely_siblings<'a>(siblings: &'a [String], soname: &str) -> Vec<&'a str> {
    let stem = soname.split_once(".so").map_or(soname, |(stem, _)| stem);
    let bare = |name: &str| {
        name.strip_prefix("lib")
            .unwrap_or(name)
            .to_ascii_lowercase()
    };
    let named = siblings.iter().find(|name| bare(name) == bare(stem));
    match named {
        Some(name) => vec![name],
        None => siblings
            .iter()
            .take(SHOWN_SIBLINGS)
            .map(String::as_str)
            .collect(),
    }
}

/// Edits the files.
fn carry_out(
    edits: &[Edit<'_>],
    stage: &Stage,
    progress: Progress<'_>,
) -> Result<Vec<Patched>, Error> {
    let mut patched = Vec::new();
    for edit in edits {
        let Placement { output, path } = edit.object.at;
        let file = stage.dir(*output)?.join(path);
        let rung = elf::edit(&file, &edit.edit, Writing::InPlace)?.rung;
        // What the code is for is told, and decides nothing: a package of a newer CUDA must not fail here.
        let architectures = match fatbin::read(&file)? {
            DeviceCode::Understood(counts) => {
                Some(counts.keys().map(ToString::to_string).collect())
            }
            DeviceCode::NotUnderstood(_) => None,
        };
        let entry = Patched {
            output: *output,
            path: path.clone(),
            runpath: edit.symbolic.clone(),
            has_new_interpreter: edit.edit.interpreter.is_some(),
            added: edit.edit.add_needed.clone(),
            opened: edit.opened.clone(),
            rung: rung.to_string(),
            architectures,
        };
        progress(Event::Detail(&entry.to_string()));
        patched.push(entry);
    }
    Ok(patched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearer_folders_are_better_and_stubs_satisfy_nobody_else() {
        let at = |output, path: &str| Placement {
            output,
            path: RelPath::new(path).unwrap(),
        };
        let own = |output, path: &str| Dir::Own {
            output,
            path: path.to_owned(),
        };
        let file = at(OutputName::Bin, "bin/tool");
        let dependency = Dir::Dependency {
            name: "libx".to_owned(),
            folder: "lib",
        };
        let order = [
            own(OutputName::Bin, "bin"),
            own(OutputName::Bin, "bin/plugins/x"),
            own(OutputName::Lib, "lib"),
            own(OutputName::Out, "nvvm/lib64"),
            dependency,
        ];
        assert!(
            order
                .windows(2)
                .all(|pair| rank(&pair[0], &file) < rank(&pair[1], &file)),
            "{order:?}"
        );
        for stubs in [
            own(OutputName::Stubs, "lib/x"),
            own(OutputName::Lib, "lib/stubs"),
        ] {
            assert_eq!(rank(&stubs, &file), None, "{stubs:?}");
        }
        let stub = at(OutputName::Stubs, "lib/stubs/libx.so");
        assert_eq!(
            rank(&own(OutputName::Stubs, "lib/stubs"), &stub),
            Some((0, 0))
        );
    }

    #[test]
    fn a_name_with_a_slash_is_no_file_name() {
        for (soname, expected) in [
            ("libx.so.1", true),
            ("a/libx.so", false),
            ("/libx.so", false),
            ("..", false),
            ("", false),
        ] {
            assert_eq!(is_file_name(soname), expected, "{soname}");
        }
    }
}
