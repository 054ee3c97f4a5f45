//! Carries out a plan: verify, unpack, lay out, split into outputs, patch, audit. Sees all stages; each has a file of its own.
//!
//! ```text
//!  plan ── verify ── unpack ── tree (what is there) ── layout (where it lies) ── split (which output) ── texts (.pc, .cmake)
//!                                  outputs ◄── stage ◄── report ◄── audited ◄── support (nix-support) ◄── patch (ELF) ◄──┘
//! ```
//!
//! Nothing of a failed plan stays behind: `stage.rs` removes every output it made unless all stages succeeded.

#![deny(clippy::indexing_slicing)]

mod audited;
mod cmake;
mod error;
mod layout;
mod links;
mod merge;
mod patch;
mod pkg_config;
mod references;
mod report;
mod split;
mod stage;
mod support;
mod texts;
mod tree;
mod variables;
mod view;

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub use audited::Audited;
pub use report::{LeftAlone, OutputReport, Patched, Report};
pub use stage::Staging;
pub use view::{ViewReport, view};

use crate::archive;
use crate::error::Error;
use crate::hash;
use crate::manifest::{Platform, Version};
use crate::plan::outputs::{self, Placement};
use crate::plan::{Extras, OutputName, Patterns, Plan};
use crate::relpath::RelPath;
use crate::resolve::Abi;
use crate::text;
use error::RealiseError;
use layout::Layout;
use merge::Merged;
use references::References;
use split::{Homes, Split};
use stage::Stage;
use tree::{Node, Tree};

/// Where the archive is unpacked, below the output `out`; gone when the outputs are complete.
const UNPACKED: &str = ".cuda-redist-unpacked";

/// The steps of [`realise`], in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Comparing the archive's digests with the manifest's.
    Verify,
    /// Unpacking it.
    Unpack,
    /// Moving each path to its output.
    Split,
    /// Setting RUNPATHs and interpreters.
    Patch,
    /// Looking at what was made.
    Audit,
    /// Writing the report and moving the outputs to their places.
    Install,
}

impl Phase {
    /// A lowercase word, as Nix shows it beside the derivation's name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Verify => "verify",
            Phase::Unpack => "unpack",
            Phase::Split => "split",
            Phase::Patch => "patch",
            Phase::Audit => "audit",
            Phase::Install => "install",
        }
    }
}

/// What happens while a plan is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A step begins.
    Phase(Phase),
    /// So much of the archive was read.
    Read {
        /// Bytes.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// What was done to one file. Like the other texts safe to print, and one line.
    Detail(&'a str),
    /// What was made, in short.
    Note(&'a str),
    /// Something that is probably not as it was meant.
    Warning(&'a str),
    /// A file, link or empty folder that would be made: only with [`Staging::Discard`].
    Listed(&'a str),
}

/// Is told of each [`Event`] as it happens, on any thread.
pub type Progress<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// Carries out `plan` and says what was made. `progress` is told of each [`Event`] as it happens; once `stop` is set it goes no
/// further than to the next step.
///
/// # Errors
/// It was stopped; the archive is not the one of the manifest, or is one that must not be unpacked; two paths land in one place; a
/// link dangles; an ELF file is damaged or cannot be edited; a NEEDED entry is satisfied by nothing; two outputs
/// would refer to each other; an output exists already; I/O fails. The outputs are then as they were before.
pub fn realise(
    plan: &Plan,
    staging: Staging,
    stop: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Report, Error> {
    match carry_out(plan, staging, stop, progress) {
        // Whatever the reader that met it made of it. Another failure is told as it is, also when it came after the signal.
        Err(error) if error.comes_of::<Stop>() => Err(stopped(&plan.package)),
        made => made,
    }
}

/// Ends the reading of an archive. No [`io::ErrorKind::Interrupted`]: whoever gets that reads again, for ever.
#[derive(Debug, thiserror::Error)]
#[error("a signal asked to stop")]
struct Stop;

/// Nothing until `stop` is set.
fn go_on(stop: &AtomicBool) -> io::Result<()> {
    match stop.load(Ordering::Relaxed) {
        true => Err(io::Error::other(Stop)),
        false => Ok(()),
    }
}

fn stopped(package: &str) -> Error {
    let package = package.to_owned();
    RealiseError::Stopped { package }.into()
}

fn carry_out(
    plan: &Plan,
    staging: Staging,
    stop: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Report, Error> {
    let go_on = || go_on(stop);
    let begin = |phase| {
        progress(Event::Phase(phase));
        go_on().map_err(|_| stopped(&plan.package))
    };
    let archive_name = file_name(&plan.archive.relative_path);
    begin(Phase::Verify)?;
    let source = File::open(&plan.src)
        .map_err(|source| RealiseError::io("open", &plan.src, source))
        .map_err(Error::from)?;
    // Hashing hides behind decompressing; the stage goes, and all in it, unless the file turns out to be the right one.
    let expected = plan.archive.expected();
    let unpack = |file: &File, refuted: &hash::Refuted| {
        let stage = Stage::new(&plan.outputs, staging)?;
        begin(Phase::Unpack)?;
        let unpacked = stage.dir(OutputName::Out)?.join(UNPACKED);
        let total = match file.metadata() {
            Ok(metadata) => metadata.len(),
            Err(source) => return Err(RealiseError::io("look at", &plan.src, source).into()),
        };
        archive::unpack_watched(file, archive_name, &unpacked, &|done| {
            progress(Event::Read { done, total });
            go_on()?;
            refuted.check()
        })?
        .keep()?;
        Ok(stage)
    };
    let (_, stage) = hash::verify_beside(source, archive_name, &expected, go_on, unpack)?;
    let mut compared = vec!["sha256"];
    compared.extend(expected.md5.map(|_| "md5"));
    compared.extend(expected.size_bytes.map(|_| "size"));
    progress(Event::Note(&format!(
        "{}: as the manifest says ({})",
        text::printable(archive_name),
        compared.join(", ")
    )));
    let unpacked = stage.dir(OutputName::Out)?.join(UNPACKED);

    begin(Phase::Split)?;
    let tree = Tree::read(&unpacked)?;
    let extras = &plan.extras;
    let layout = Layout::new(&tree, extras.cuda_version.as_ref(), extras)?;
    for note in layout.notes() {
        progress(Event::Detail(note));
    }
    for warning in layout.warnings() {
        progress(Event::Warning(&text::printable(warning)));
    }
    let mut references = References::default();
    support::refer(plan, &mut references);
    let homes = Homes::new(&tree, &layout, plan);
    let others = Others::read(plan, progress)?;
    let split = Split::new(&tree, &homes, plan, &others.places, &mut references)?;
    split.carry_out(&unpacked, &stage)?;
    for line in split.made_links() {
        progress(Event::Detail(&line));
    }
    let rewritten = texts::rewrite(
        plan,
        &tree,
        &homes,
        &split,
        &stage,
        &mut references,
        progress,
    )?;
    texts::replace(&extras.replace_texts, &split, &stage, progress)?;
    others.carry_out(plan, &stage)?;
    let outputs = split.outputs(&plan.outputs);
    for output in &outputs {
        progress(Event::Note(&output.to_string()));
    }

    begin(Phase::Patch)?;
    let machine = machine(&plan.platform);
    let (patched, left_alone) = match machine {
        Some(machine) => patch::patch(machine, plan, &tree, &split, &stage, references, progress)
            .map_err(|error| stage.named(error))?,
        None => {
            references.check(&plan.package)?;
            let text = format!(
                "{}: nothing is patched on this platform, and no ELF file audited",
                plan.platform
            );
            progress(if plan.platform.as_str().starts_with("windows") {
                Event::Warning(&text)
            } else {
                Event::Note(&text)
            });
            (Vec::new(), Vec::new())
        }
    };
    support::write(plan, &split, &others.places, &stage)?;
    progress(Event::Note(&format!(
        "patched: {}, left alone: {}, rewritten: {}",
        patched.len(),
        left_alone.len(),
        rewritten.len()
    )));

    begin(Phase::Audit)?;
    let audited = audited::audit(plan, machine, &stage).map_err(|error| stage.named(error))?;
    for note in audited.notes() {
        progress(Event::Note(&note));
    }

    begin(Phase::Install)?;
    let report = Report {
        package: plan.package.clone(),
        version: plan.version.to_string(),
        platform: plan.platform.to_string(),
        variant: plan.variant.clone(),
        archive: plan.archive.relative_path.clone(),
        outputs,
        layout: layout.notes().to_vec(),
        rewritten,
        patched,
        left_alone,
        audited,
    };
    report.write(stage.dir(OutputName::Out)?)?;
    if staging == Staging::Discard {
        for (output, dir, _) in stage.dirs() {
            list(output, dir, dir, progress)?;
        }
    }
    stage.commit()?;
    Ok(report)
}

/// The links that a plan makes: those into other packages, and single ones.
struct Others {
    merged: Merged,
    /// Where each of them lies.
    places: Vec<Placement>,
}

impl Others {
    /// Reads what there is in the other packages.
    fn read(plan: &Plan, progress: Progress<'_>) -> Result<Others, Error> {
        let extras = &plan.extras;
        let mut merged = Merged::default();
        for (at, folders) in &extras.merge {
            let before = merged.len();
            for folder in folders {
                merged.add(Some(at), folder, &[])?;
            }
            let linked = merged.len().saturating_sub(before);
            progress(Event::Detail(&format!(
                "{at}: {linked} links to other packages"
            )));
        }
        let declared: BTreeSet<OutputName> = plan.outputs.keys().copied().collect();
        let single = extras.links.iter().map(|(place, _)| place);
        let places = merged.places().chain(single).map(|path| Placement {
            output: outputs::place(path, &declared, &extras.patterns),
            path: path.clone(),
        });
        let places = places.collect();
        Ok(Others { merged, places })
    }

    /// Makes them.
    fn carry_out(&self, plan: &Plan, stage: &Stage) -> Result<(), Error> {
        let declared: BTreeSet<OutputName> = plan.outputs.keys().copied().collect();
        let dir = |place: &RelPath| {
            let output = outputs::place(place, &declared, &plan.extras.patterns);
            stage.dir(output)
        };
        self.merged.carry_out(dir)?;
        merge::link(&plan.extras.links, dir)
    }
}

/// Tells every file, link and empty folder below `folder`, in order of paths.
fn list(
    output: OutputName,
    root: &Path,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let mut entries = stage::entries(folder)?;
    entries.sort_by_key(DirEntry::file_name);
    let shown = |path: &Path| {
        let inside = path.strip_prefix(root).unwrap_or(path);
        text::printable(&inside.to_string_lossy())
    };
    if entries.is_empty() {
        progress(Event::Listed(&format!("{output}: {}/", shown(folder))));
    }
    for entry in entries {
        let path = entry.path();
        let failed = |source| RealiseError::io("look at", &path, source);
        let metadata = entry.metadata().map_err(failed)?;
        if metadata.is_dir() {
            list(output, root, &path, progress)?;
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path).map_err(failed)?;
            let target = text::printable(&target.to_string_lossy());
            progress(Event::Listed(&format!(
                "{output}: {} -> {target}",
                shown(&path)
            )));
        } else {
            let size = metadata.len();
            progress(Event::Listed(&format!(
                "{output}: {} ({size} bytes)",
                shown(&path)
            )));
        }
    }
    Ok(())
}

/// The outputs that have something in them when the unpacked archive `root` is split, whichever release of CUDA that is for
/// (some archives have a folder of libraries for each): what a feature manifest says, and a plan may declare.
///
/// # Errors
/// `root` cannot be read.
pub fn derive_outputs(root: &Path) -> Result<BTreeSet<OutputName>, Error> {
    let tree = Tree::read(root)?;
    let derive = |cuda: Option<&Version>| -> Result<BTreeSet<OutputName>, Error> {
        let layout = Layout::new(&tree, cuda, &Extras::default())?;
        let content = tree
            .iter()
            .filter(|(_, node)| !matches!(node, Node::Directory { .. }));
        let places = content.filter_map(|(path, _)| layout.place(path));
        Ok(outputs::derive(places, &Patterns::default()))
    };
    let mut derived: Option<BTreeSet<OutputName>> = None;
    for release in layout::releases(&tree) {
        let of_release = derive(Some(&release))?;
        derived = Some(match derived {
            Some(derived) => &derived & &of_release,
            None => of_release,
        });
    }
    derived.map_or_else(|| derive(None), Ok)
}

/// The machine whose ELF files a platform's packages consist of; `None` where there are no ELF files to patch.
///
/// Source: the platform names of NVIDIA's manifests; `linux-sbsa` is a server's aarch64, `linux-aarch64` a Jetson's.
fn machine(platform: &Platform) -> Option<Abi> {
    match platform.as_str() {
        "linux-x86_64" => Some(Abi::X86_64),
        "linux-sbsa" | "linux-aarch64" => Some(Abi::Aarch64),
        "linux-ppc64le" => Some(Abi::Ppc64le),
        _ => None,
    }
}

fn file_name(relative_path: &str) -> &str {
    relative_path.rsplit('/').next().unwrap_or(relative_path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::sync::mpsc;
    use std::time::Duration;

    /// A stopped build that reads on would do so for ever.
    const LIMIT: Duration = Duration::from_secs(60);

    /// What deflate cannot make smaller, and readers need many reads for.
    fn noise() -> Vec<u8> {
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        (0..200_000).flat_map(next).collect()
    }

    fn tar() -> Vec<u8> {
        let bytes = noise();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let mut tar = tar::Builder::new(Vec::new());
        let path = "foo-linux-x86_64-1.2.3-archive/lib/x";
        tar.append_data(&mut header, path, &bytes[..]).unwrap();
        tar.into_inner().unwrap()
    }

    fn zip() -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("foo-archive/x", options).unwrap();
        zip.write_all(&noise()).unwrap();
        zip.finish().unwrap().into_inner()
    }

    fn gz() -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar()).unwrap();
        gz.finish().unwrap()
    }

    fn xz() -> Vec<u8> {
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
        xz.write_all(&tar()).unwrap();
        xz.finish().unwrap()
    }

    #[test]
    fn a_stopped_build_ends_whatever_it_reads() {
        for (name, bytes) in [
            ("x-1.0-py3-none-any.whl", zip()),
            ("x.zip", zip()),
            ("x.tar.gz", gz()),
            ("x.tar.xz", xz()),
            ("x.tar", tar()),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            fs::write(&path, &bytes).unwrap();
            let (done, ended) = mpsc::channel();
            let root = dir.path().to_owned();
            std::thread::spawn(move || {
                let outputs = [(OutputName::Out, root.join("out"))].into();
                let mut plan = Plan::sample(outputs);
                plan.src = path.clone();
                plan.archive.relative_path = name.to_owned();
                let stop = AtomicBool::new(false);
                let stop_there = |event: Event<'_>| {
                    if matches!(event, Event::Read { done, .. } if done > 0) {
                        stop.store(true, Ordering::Relaxed);
                    }
                };
                let made = realise(&plan, Staging::Beside, &stop, &stop_there);
                // Without the thread beside it, whose error would go first.
                let source = File::open(&path).unwrap();
                let watch = |done| match done {
                    0 => Ok(()),
                    _ => go_on(&AtomicBool::new(true)),
                };
                let read = archive::unpack_watched(&source, name, &root.join("read"), &watch);
                let is_stop = read.err().map(|error| error.comes_of::<Stop>());
                let _ = done.send((made.map_err(|error| error.render()), is_stop));
            });
            let (made, is_stop) = ended.recv_timeout(LIMIT).expect(name);
            assert_eq!(
                made.unwrap_err(),
                "foo: cannot go on: a signal asked to stop; nothing was made",
                "{name}"
            );
            assert_eq!(is_stop, Some(true), "{name}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{name}");
        }
    }

    #[test]
    fn a_stopped_build_tells_what_went_wrong_before() {
        let dir = tempfile::tempdir().unwrap();
        let mut plan = Plan::sample([(OutputName::Out, dir.path().join("out"))].into());
        plan.src = dir.path().join("x.tar");
        fs::write(&plan.src, tar()).unwrap();
        plan.archive.relative_path = "x.tar".to_owned();
        plan.archive.sha256 = hash::digest(&tar()[..]).unwrap().sha256;
        (plan.archive.md5, plan.archive.size_bytes) = (None, None);
        let path = |path: &str| RelPath::new(path).unwrap();
        plan.extras.moves = vec![(path("lib"), Some(path("lib64")))];
        plan.extras.links = vec![(path("lib/y"), "gone".to_owned())];
        let stop = AtomicBool::new(false);
        let stop_there = |event: Event<'_>| {
            if matches!(event, Event::Detail(_)) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let error = realise(&plan, Staging::Beside, &stop, &stop_there).unwrap_err();
        assert!(stop.load(Ordering::Relaxed));
        let found = error.render();
        assert!(
            found.starts_with("`links.lib/y`: expected a link to"),
            "{found}"
        );
    }
}
