//! What can go wrong while a plan is carried out.

use std::io;
use std::path::{Path, PathBuf};

use super::texts::TEXT_BYTES_MAX;
use crate::error::{Kind, Problem};
use crate::plan::OutputName;
use crate::text;

/// How many files a message names before it only counts the rest.
const SHOWN_FILES: usize = 5;

/// See the messages.
#[derive(Debug, thiserror::Error)]
pub(super) enum RealiseError {
    #[error("cannot {action}")]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("expected a path that does not exist yet, found one for the output `{output}`")]
    OutputExists { output: OutputName, path: PathBuf },
    #[error("expected an output `{output}`, found none in the plan")]
    NoOutput { output: OutputName },
    #[error(
        "expected a name of valid UTF-8 without control characters and backslashes, found another"
    )]
    Name { path: PathBuf },
    #[error("expected a file, directory or link, found something else")]
    FileType { path: PathBuf },
    #[error("expected one path for {} of the output `{output}`, found {} and {}", text::quote(.to), text::quote(.first), text::quote(.second))]
    Collision {
        output: OutputName,
        to: String,
        first: String,
        second: String,
    },
    #[error("expected paths that differ in more than case, found {} and {} in the output `{output}`", text::quote(.first), text::quote(.second))]
    CaseCollision {
        output: OutputName,
        first: String,
        second: String,
    },
    #[error("expected something in each output, found nothing for {}; there is {}", names(.empty), or_nothing(.content))]
    EmptyOutputs {
        package: String,
        empty: Vec<OutputName>,
        /// The outputs that would not be empty.
        derived: Vec<OutputName>,
        content: Vec<String>,
    },
    #[error("expected a folder {} for CUDA {cuda}, found {}", quoted(.wanted, " or "), quoted(.found, ", "))]
    NoRelease {
        cuda: String,
        wanted: Vec<String>,
        found: Vec<String>,
    },
    #[error("expected a link to something in the archive, found {}, which leads nowhere", text::quote(.target))]
    DanglingLink { link: String, target: String },
    #[error(
        "expected a link to something that stays whole, found {}, which is spread over the outputs {outputs}",
        text::quote(.target)
    )]
    LinkToSplit {
        link: String,
        target: String,
        outputs: String,
    },
    #[error("cannot go on: a signal asked to stop; nothing was made")]
    Stopped { package: String },
    #[error("expected a folder of the archive, found none there")]
    NothingToMove { folder: String },
    #[error("expected a folder, found none")]
    NoFolder { path: PathBuf },
    #[error(
        "expected folders that come to an end, found links in a circle, or more than 64 inside each other"
    )]
    TooDeep { path: PathBuf },
    #[error("expected a link to something, found one that leads nowhere")]
    LeadsNowhere { path: PathBuf },
    #[error("expected one file to link to, found {} and {}", text::quote(&.first.to_string_lossy()), text::quote(&.second.to_string_lossy()))]
    MergeCollision {
        place: String,
        first: PathBuf,
        second: PathBuf,
    },
    #[error("expected a folder {} for a link to another package, found something else", text::quote(.above))]
    NoFolderAbove { place: String, above: String },
    #[error("expected a link to something, at a place of its own, found {found}")]
    Link { place: String, found: String },
    #[error("expected the text {}, found a file without it", text::quote(.text))]
    NothingToReplace { file: String, text: String },
    #[error("expected a text of at most {TEXT_BYTES_MAX} bytes in UTF-8, found {found}")]
    NoText { file: String, found: String },
    #[error("expected outputs that refer to each other in one direction only, found {}", .steps.join(", "))]
    Cycle { package: String, steps: Vec<String> },
    #[error("expected the store path of a package, found none")]
    NoDependency { package: String, path: PathBuf },
    #[error("expected the store path of the package `cuda_compat`, found none")]
    NoCompat { path: PathBuf },
    #[error("expected folders of needed libraries without `:` and `$`, which mean something else in a RUNPATH, found {}", text::quote(.folder))]
    LibraryFolder { package: String, folder: String },
    #[error("expected no text {}", text::quote(.text))]
    ForbiddenText { place: String, text: String },
    #[error("expected references to the package itself, its dependencies and the driver only, found {}", text::quote(.text))]
    Reference { place: String, text: String },
    #[error("expected every NEEDED library in the package, its dependencies or the host, found {}", describe(.missing))]
    Missing {
        package: String,
        missing: Vec<Missing>,
    },
}

/// A library that nothing satisfies.
#[derive(Debug)]
pub(super) struct Missing {
    /// The NEEDED entry.
    pub soname: String,
    /// The files that have it, sorted.
    pub needed_by: Vec<String>,
    /// What to add: a sentence about where the library might come from.
    pub remedy: String,
}

impl RealiseError {
    /// `action` reads on from "cannot".
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> RealiseError {
        RealiseError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// How many things of the archive a message lists.
const SHOWN_CONTENT: usize = 20;

fn names(outputs: &[OutputName]) -> String {
    let names: Vec<String> = outputs.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn quoted(texts: &[String], between: &str) -> String {
    let texts: Vec<String> = texts.iter().map(|found| text::quote(found)).collect();
    texts.join(between)
}

fn or_nothing(content: &[String]) -> String {
    let (shown, rest) = content.split_at(content.len().min(SHOWN_CONTENT));
    match (shown, rest.len()) {
        ([], _) => "nothing at all".to_owned(),
        (shown, 0) => shown.join(", "),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// One line for each missing library.
fn describe(missing: &[Missing]) -> String {
    let mut out = format!("{} missing:", missing.len());
    for library in missing {
        let shown: Vec<String> = library
            .needed_by
            .iter()
            .take(SHOWN_FILES)
            .map(|file| text::quote(file))
            .collect();
        let rest = library.needed_by.len().saturating_sub(SHOWN_FILES);
        let rest = if rest == 0 {
            String::new()
        } else {
            format!(" and {rest} more")
        };
        out.push_str(&format!(
            "\n  {} needed by {}{rest}",
            text::quote(&library.soname),
            shown.join(", ")
        ));
    }
    out
}

fn shown(path: &Path) -> String {
    text::printable(&path.to_string_lossy())
}

impl Problem for RealiseError {
    fn kind(&self) -> Kind {
        match self {
            RealiseError::Io { .. } | RealiseError::Stopped { .. } => Kind::Fault,
            RealiseError::OutputExists { .. } => Kind::Usage,
            _ => Kind::Rejected,
        }
    }

    fn place(&self) -> Option<String> {
        Some(match self {
            RealiseError::Io { path, .. }
            | RealiseError::OutputExists { path, .. }
            | RealiseError::Name { path }
            | RealiseError::FileType { path }
            | RealiseError::NoFolder { path }
            | RealiseError::TooDeep { path }
            | RealiseError::LeadsNowhere { path } => shown(path),
            RealiseError::NothingToMove { folder } => {
                format!("`moves.{}`", text::printable(folder))
            }
            RealiseError::MergeCollision { place, .. }
            | RealiseError::NoFolderAbove { place, .. } => text::printable(place),
            RealiseError::Link { place, .. } => format!("`links.{}`", text::printable(place)),
            RealiseError::NothingToReplace { file, .. } | RealiseError::NoText { file, .. } => {
                text::printable(file)
            }
            RealiseError::NoOutput { .. } => "`outputs`".to_owned(),
            RealiseError::Collision { second, .. } | RealiseError::CaseCollision { second, .. } => {
                text::printable(second)
            }
            RealiseError::NoRelease { .. } => "lib".to_owned(),
            RealiseError::DanglingLink { link, .. } | RealiseError::LinkToSplit { link, .. } => {
                text::printable(link)
            }
            RealiseError::NoCompat { path } => format!("`cudaCompat`: {}", shown(path)),
            RealiseError::NoDependency { package, path } => {
                format!(
                    "`dependencies.{}`: {}",
                    text::printable(package),
                    shown(path)
                )
            }
            RealiseError::ForbiddenText { place, .. } | RealiseError::Reference { place, .. } => {
                text::printable(place)
            }
            RealiseError::EmptyOutputs { package, .. }
            | RealiseError::Stopped { package }
            | RealiseError::Cycle { package, .. }
            | RealiseError::LibraryFolder { package, .. }
            | RealiseError::Missing { package, .. } => text::printable(package),
        })
    }

    fn hint(&self) -> Option<String> {
        match self {
            RealiseError::OutputExists { .. } => {
                Some("remove it, or name another directory".to_owned())
            }
            RealiseError::LinkToSplit { .. } | RealiseError::Cycle { .. } => Some(
                "declare fewer outputs for this package, so that these paths stay together"
                    .to_owned(),
            ),
            // One line for each library: they are rarely missing for the same reason.
            RealiseError::Missing { missing, .. } => {
                let remedies: Vec<&str> = missing
                    .iter()
                    .map(|library| library.remedy.as_str())
                    .collect();
                Some(remedies.join("\nhint: "))
            }
            RealiseError::NothingToMove { .. } => Some("correct the name, or leave it out of `moves`".to_owned()),
            RealiseError::NothingToReplace { .. } => Some(
                "look at the file in the archive: NVIDIA may have changed it; correct or drop the entry of `replaceTexts`"
                    .to_owned(),
            ),
            RealiseError::NoText { .. } => Some(
                "let the glob of `replaceTexts` match texts only".to_owned(),
            ),
            RealiseError::MergeCollision { .. } | RealiseError::NoFolderAbove { .. } => Some(
                "leave one of the packages out, or the path itself (`leaveOut` of a view)".to_owned(),
            ),
            RealiseError::NoFolder { .. } => Some(
                "build the package first; it has no such folder if another output of it has".to_owned(),
            ),
            RealiseError::EmptyOutputs { derived, .. } => Some(format!(
                "declare the outputs that this archive has something for: {}",
                names(derived)
            )),
            RealiseError::NoRelease { .. } => Some(
                "choose a CUDA release that the archive has libraries for, or an archive for this release"
                    .to_owned(),
            ),
            RealiseError::ForbiddenText { .. } => Some(
                "the plan forbids it in `forbiddenTexts`; packages that must hold it leave that out"
                    .to_owned(),
            ),
            RealiseError::Reference { .. } => Some(
                "add the package to `dependencies` if this one is meant to lead there".to_owned(),
            ),
            RealiseError::NoDependency { .. } | RealiseError::NoCompat { .. } => Some("build that package first".to_owned()),
            _ => None,
        }
    }
}
