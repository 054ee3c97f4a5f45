//! Folders of other packages, linked into one: what compilers and build systems want to see as a whole toolkit stays where it is.
//!
//! | there | here |
//! |---|---|
//! | a file, or a link to one | a link to it |
//! | a folder, or a link that leads to another package's | a folder |
//! | a link to a folder beside it (`lib64 -> lib`) | the same link |
//! | `nix-support` at the top | nothing |
//!
//! Two that want the same place are an error, unless they are one file or have the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

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
        self.walk(at, source, leave_out, 0)
    }

    fn walk(
        &mut self,
        at: Option<&RelPath>,
        folder: &Path,
        leave_out: &[Pattern],
        depth: usize,
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
                Some(text) if is_folder && text.is_relative() => {
                    self.put(&place, Link { text, source })?;
                }
                _ if is_folder => {
                    self.put_folder(&place, &source)?;
                    self.walk(Some(&place), &source, leave_out, depth.saturating_add(1))?;
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

    /// The folders that links lie in.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        let places = self.links.keys();
        places.filter_map(|place| Some(place.as_str().rsplit_once('/')?.0))
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
            let target = dir(place)?.join(place);
            let folder = target.parent().unwrap_or(&target);
            if made.insert(folder.to_owned()) {
                fs::create_dir_all(folder)
                    .map_err(|source| RealiseError::io("make the directory", folder, source))?;
            }
            match symlink(&link.text, &target) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let own = Link {
                        text: target.clone(),
                        source: target.clone(),
                    };
                    if !is_same(&own, link)? {
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
    let look = |path: &Path| {
        fs::metadata(path).map_err(|source| RealiseError::io("look at", path, source))
    };
    if let (Ok(first), Ok(second)) = (real(first), real(second))
        && first == second
    {
        return Ok(true);
    }
    let (one, other) = (look(first)?, look(second)?);
    if !one.is_file() || !other.is_file() || one.len() != other.len() {
        return Ok(false);
    }
    let read =
        |path: &Path| fs::read(path).map_err(|source| RealiseError::io("read", path, source));
    Ok(read(first)? == read(second)?)
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
/// There is something at the place; the link leads nowhere; the file system refuses.
pub(super) fn link<'a>(
    links: &[(RelPath, String)],
    dir: impl Fn(&RelPath) -> Result<&'a Path, Error>,
) -> Result<(), Error> {
    for (place, text) in links {
        let target = dir(place)?.join(place);
        let folder = target.parent().unwrap_or(&target);
        let problem = |found: String| RealiseError::Link {
            place: place.to_string(),
            found,
        };
        if target.symlink_metadata().is_ok() {
            return Err(problem("a place that is taken".to_owned()).into());
        }
        if fs::metadata(folder.join(text)).is_err() {
            let found = format!("{}, which leads nowhere", crate::text::quote(text));
            return Err(problem(found).into());
        }
        fs::create_dir_all(folder)
            .map_err(|source| RealiseError::io("make the directory", folder, source))?;
        symlink(text, &target)
            .map_err(|source| RealiseError::io("make the link", &target, source))?;
    }
    Ok(())
}
