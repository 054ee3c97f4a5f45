//! What can go wrong while a plan is carried out.

use std::io;
use std::path::{Path, PathBuf};

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
    #[error("expected outputs that refer to each other in one direction only, found {}", .steps.join(", "))]
    Cycle { package: String, steps: Vec<String> },
    #[error("expected the store path of a package, found none")]
    NoDependency { package: String, path: PathBuf },
    #[error("expected folders of needed libraries without `:` and `$`, which mean something else in a RUNPATH, found {}", text::quote(.folder))]
    LibraryFolder { package: String, folder: String },
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
            RealiseError::Io { .. } => Kind::Fault,
            RealiseError::OutputExists { .. } => Kind::Usage,
            _ => Kind::Rejected,
        }
    }

    fn place(&self) -> Option<String> {
        Some(match self {
            RealiseError::Io { path, .. }
            | RealiseError::OutputExists { path, .. }
            | RealiseError::Name { path }
            | RealiseError::FileType { path } => shown(path),
            RealiseError::NoOutput { .. } => "`outputs`".to_owned(),
            RealiseError::Collision { second, .. } => text::printable(second),
            RealiseError::DanglingLink { link, .. } | RealiseError::LinkToSplit { link, .. } => {
                text::printable(link)
            }
            RealiseError::NoDependency { package, path } => {
                format!(
                    "`dependencies.{}`: {}",
                    text::printable(package),
                    shown(path)
                )
            }
            RealiseError::Cycle { package, .. }
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
            RealiseError::NoDependency { .. } => Some("build that package first".to_owned()),
            _ => None,
        }
    }
}
