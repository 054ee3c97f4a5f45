//! Folders of other packages, linked into one: what compilers and build systems want to see as a whole toolkit stays where it is.
//!
//! | there | here |
//! |---|---|
//! | a file, or a link to one | a link to it |
//! | a folder, or a link to one elsewhere | a folder |
//! | a link to a folder of the same tree (`lib64 -> lib`) | the same link |
//! | `nix-support` at the top | nothing |
//!
//! Two that want the same place are an error, unless they are one file, have the same bytes, or are links with the same text.
//! Folders above a link are folders: what a link there leads to is no part of the output.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use super::error::RealiseError;
use super::support;
use crate::error::Error;
use crate::plan::Pattern;
use crate::relpath::RelPath;

/// How deep folders are followed: NVIDIA's go down 12, and links may lead in a circle.
const DEPTH_MAX: usize = 64;

/// What is linked, by place. **Shape**: no place is below another one.
#[derive(Debug, Default)]
pub(super) struct Merged {
    links: BTreeMap<RelPath, Link>,
    folders: BTreeSet<RelPath>,
}

/// One link.
#[derive(Debug)]
struct Link {
    /// What stands in it.
    text: PathBuf,
    /// What it was made for.
    source: PathBuf,
}

impl Merged {
    /// Adds what lies in the folder `source`, at `at` (`None`: the top), without what one of `leave_out` matches there.
    ///
    /// # Errors
    /// `source` is no folder; what lies in it cannot be read, leads nowhere, or wants the place of something else.
    pub(super) fn add(
        &mut self,
        at: Option<&RelPath>,
        source: &Path,
        leave_out: &[Pattern],
    ) -> Result<(), Error> {
        let metadata = fs::metadata(source);
        if !metadata.is_ok_and(|metadata| metadata.is_dir()) {
            return Err(RealiseError::NoFolder {
                path: source.to_owned(),
            }
            .into());
        }
        let depth = Depth::default();
        self.walk(at, source, leave_out, depth)
    }

    fn walk(
        &mut self,
        at: Option<&RelPath>,
        folder: &Path,
        leave_out: &[Pattern],
        Depth { depth, inside }: Depth,
    ) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(RealiseError::TooDeep {
                path: folder.to_owned(),
            }
            .into());
        }
        let mut entries = super::stage::entries(folder)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let source = entry.path();
            let bad_name = || RealiseError::Name {
                path: source.clone(),
            };
            let name = entry.file_name().into_string().map_err(|_| bad_name())?;
            if depth == 0 && name == support::FOLDER {
                continue;
            }
            let place = at.map_or(name.clone(), |at| format!("{at}/{name}"));
            let place = RelPath::new(&place).map_err(|_| bad_name())?;
            if leave_out.iter().any(|pattern| pattern.matches(&place)) {
                continue;
            }
            let failed = |source_error| RealiseError::io("look at", &source, source_error);
            let is_folder = match fs::metadata(&source) {
                Ok(metadata) => metadata.is_dir(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(RealiseError::LeadsNowhere { path: source }.into());
                }
                Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                    return Err(RealiseError::TooDeep { path: source }.into());
                }
                Err(error) => return Err(failed(error).into()),
            };
            let text = match entry.file_type().map_err(failed)?.is_symlink() {
                true => Some(fs::read_link(&source).map_err(failed)?),
                false => None,
            };
            match text {
                Some(text) if is_folder && stays_inside(&text, inside) => {
                    self.put(&place, Link { text, source })?;
                }
                text if is_folder => {
                    self.put_folder(&place, &source)?;
                    let below = Depth {
                        depth: depth.saturating_add(1),
                        inside: match text {
                            Some(_) => 0,
                            None => inside.saturating_add(1),
                        },
                    };
                    self.walk(Some(&place), &source, leave_out, below)?;
                }
                _ => {
                    let text = source.clone();
                    self.put(&place, Link { text, source })?;
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, place: &RelPath, link: Link) -> Result<(), Error> {
        if self.folders.contains(place) {
            return Err(both(place, Path::new("a folder"), &link.source));
        }
        match self.links.get(place) {
            Some(first) if is_same(first, &link)? => Ok(()),
            Some(first) => Err(both(place, &first.source, &link.source)),
            None => {
                self.links.insert(place.clone(), link);
                Ok(())
            }
        }
    }

    fn put_folder(&mut self, place: &RelPath, source: &Path) -> Result<(), Error> {
        if let Some(first) = self.links.get(place) {
            return Err(both(place, &first.source, source));
        }
        self.folders.insert(place.clone());
        Ok(())
    }

    /// Where the links are made.
    pub(super) fn places(&self) -> impl Iterator<Item = &RelPath> {
        self.links.keys()
    }

    /// How many links there are.
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// Makes the links, each in the folder that `dir` gives for its place. What is there already has to be the same.
    ///
    /// # Errors
    /// Something else is there; the file system refuses.
    pub(super) fn carry_out<'a>(
        &self,
        dir: impl Fn(&RelPath) -> Result<&'a Path, Error>,
    ) -> Result<(), Error> {
        let mut made = BTreeSet::new();
        for (place, link) in &self.links {
            let root = dir(place)?;
            let target = root.join(place);
            let folder = target.parent().unwrap_or(&target);
            if made.insert(folder.to_owned())
                && let Some(above) = make_folders(root, place)?
            {
                let place = place.to_string();
                return Err(RealiseError::NoFolderAbove { place, above }.into());
            }
            match symlink(&link.text, &target) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let own = Link {
                        text: target.clone(),
                        source: target.clone(),
                    };
                    let has_text = fs::read_link(&target).is_ok_and(|text| text == link.text);
                    if !has_text && !is_same(&own, link)? {
                        let own = Path::new("a file of the package itself");
                        return Err(both(place, own, &link.source));
                    }
                }
                Err(error) => {
                    return Err(RealiseError::io("make the link", &target, error).into());
                }
            }
        }
        // Those that lead to a folder beside them: perhaps it was left out.
        for (place, link) in self
            .links
            .iter()
            .filter(|(_, link)| link.text.is_relative())
        {
            if fs::metadata(dir(place)?.join(place)).is_err() {
                let path = link.source.clone();
                return Err(RealiseError::LeadsNowhere { path }.into());
            }
        }
        Ok(())
    }
}

/// Do both lead to one file, or to the same bytes?
fn is_same(first: &Link, second: &Link) -> Result<bool, Error> {
    if first.text.is_relative() && first.text == second.text {
        return Ok(true);
    }
    let (first, second) = (&first.source, &second.source);
    let real = |path: &Path| fs::canonicalize(path);
    let look = |path: &Path| match fs::metadata(path) {
        // A link into another output, which is not at its place yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        looked => looked
            .map(Some)
            .map_err(|source| RealiseError::io("look at", path, source)),
    };
    if let (Ok(first), Ok(second)) = (real(first), real(second))
        && first == second
    {
        return Ok(true);
    }
    let (Some(one), Some(other)) = (look(first)?, look(second)?) else {
        return Ok(false);
    };
    if !one.is_file() || !other.is_file() || one.len() != other.len() {
        return Ok(false);
    }
    let read =
        |path: &Path| fs::read(path).map_err(|source| RealiseError::io("read", path, source));
    Ok(read(first)? == read(second)?)
}

/// Makes the folders above `place` in `root`; the path of what is there and no folder, a link to one included, is given back.
fn make_folders(root: &Path, place: &RelPath) -> Result<Option<String>, Error> {
    let mut folder = root.to_owned();
    let above = place.as_str().rsplit_once('/').map(|(above, _)| above);
    for part in above.into_iter().flat_map(|above| above.split('/')) {
        folder.push(part);
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(&folder)
                    .map_err(|source| RealiseError::io("look at", &folder, source))?;
                if !found.is_dir() {
                    let above = folder.strip_prefix(root).unwrap_or(&folder);
                    return Ok(Some(above.to_string_lossy().into_owned()));
                }
            }
            Err(source) => {
                return Err(RealiseError::io("make the directory", &folder, source).into());
            }
        }
    }
    Ok(None)
}

/// How far down something is.
#[derive(Clone, Copy, Debug, Default)]
struct Depth {
    /// How many folders were entered, links to them included.
    depth: usize,
    /// How many since the last link, or the top: so many may a link climb and still stay in what is merged.
    inside: usize,
}

/// Does a link with this text, `depth` folders below a tree's top, name something in the tree?
fn stays_inside(text: &Path, depth: usize) -> bool {
    let end = text.components().try_fold(depth, |depth, part| match part {
        Component::Normal(_) => depth.checked_add(1),
        Component::CurDir => Some(depth),
        Component::ParentDir => depth.checked_sub(1),
        Component::RootDir | Component::Prefix(_) => None,
    });
    end.is_some()
}

fn both(place: &RelPath, first: &Path, second: &Path) -> Error {
    RealiseError::MergeCollision {
        place: place.to_string(),
        first: first.to_owned(),
        second: second.to_owned(),
    }
    .into()
}

/// Makes the links of a plan or view, each in the folder that `dir` gives for its place.
///
/// # Errors
/// There is something at the place, or no folder above it; the link leads nowhere; the file system refuses.
pub(super) fn link<'a>(
    links: &[(RelPath, String)],
    dir: impl Fn(&RelPath) -> Result<&'a Path, Error>,
) -> Result<(), Error> {
    for (place, text) in links {
        let root = dir(place)?;
        let target = root.join(place);
        let folder = target.parent().unwrap_or(&target);
        let problem = |found: String| RealiseError::Link {
            place: place.to_string(),
            found,
        };
        if let Some(above) = make_folders(root, place)? {
            let found = format!(
                "{} above it, which is no folder",
                crate::text::quote(&above)
            );
            return Err(problem(found).into());
        }
        if target.symlink_metadata().is_ok() {
            return Err(problem("a place that is taken".to_owned()).into());
        }
        if fs::metadata(folder.join(text)).is_err() {
            let found = format!("{}, which leads nowhere", crate::text::quote(text));
            return Err(problem(found).into());
        }
        symlink(text, &target)
            .map_err(|source| RealiseError::io("make the link", &target, source))?;
    }
    Ok(())
}
