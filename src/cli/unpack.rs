//! The command `unpack`.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::args::{ShowFormat, UnpackArgs};
use super::stdout::print;
use crate::archive::{self, Contents, Entry, EntryKind};
use crate::error::{Error, Kind, Problem};
use crate::hash::{self, Expected, Refuted, Sha256};
use crate::text;

#[derive(Debug, thiserror::Error)]
enum UnpackProblem {
    #[error("cannot open")]
    Open {
        place: String,
        #[source]
        source: io::Error,
    },
    #[error("expected a directory that does not exist yet, found something there")]
    Exists { place: String },
}

impl Problem for UnpackProblem {
    fn kind(&self) -> Kind {
        match self {
            UnpackProblem::Open { .. } => Kind::Fault,
            UnpackProblem::Exists { .. } => Kind::Usage,
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            UnpackProblem::Open { place, .. } | UnpackProblem::Exists { place } => {
                Some(place.clone())
            }
        }
    }

    fn hint(&self) -> Option<String> {
        matches!(self, UnpackProblem::Exists { .. })
            .then(|| "remove it, or name another directory".to_owned())
    }
}

/// Unpacks one archive, or lists it.
pub(super) fn run(args: &UnpackArgs) -> Result<ExitCode, Error> {
    let place = shown(&args.archive);
    // Without what may stand at its end: `out/` and `out/.` are `out`.
    let target: Option<PathBuf> = args.dir.as_ref().map(|dir| dir.components().collect());
    if let Some(target) = &target
        && target.symlink_metadata().is_ok()
    {
        return Err(UnpackProblem::Exists {
            place: shown(target),
        }
        .into());
    }
    let file = File::open(&args.archive).map_err(|source| UnpackProblem::Open {
        place: place.clone(),
        source,
    })?;
    let bar = progress(&file);
    let unpack = |file: &File, keep_on: &(dyn Fn() -> io::Result<()> + Sync)| {
        let watch = |offset| {
            bar.set_position(offset);
            keep_on()
        };
        match &target {
            Some(target) => archive::unpack_watched(file, &place, target, &watch),
            None => archive::list(file, &place, &watch),
        }
    };
    let unpacked = match args.sha256 {
        Some(sha256) => {
            let expected = Expected {
                sha256,
                md5: None,
                size_bytes: None,
            };
            let work = |file: &File, refuted: &Refuted| unpack(file, &|| refuted.check());
            hash::verify_beside(file, &place, &expected, || Ok(()), work)
                .map(|(_, unpacked)| unpacked)
        }
        None => unpack(&file, &|| Ok(())),
    };
    bar.finish_and_clear();
    let contents = unpacked?.keep()?;
    match args.format {
        ShowFormat::Json => print(&as_json(&place, &contents))?,
        ShowFormat::Human if args.list => print(&as_lines(&contents))?,
        ShowFormat::Human => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// How much of the archive was read; on a terminal only.
fn progress(file: &File) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(file.metadata().map_or(0, |metadata| metadata.len()));
    let style = "{wide_bar} {bytes} of {total_bytes}, {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

fn shown(path: &Path) -> String {
    text::printable(&path.to_string_lossy())
}

/// One line for each entry: mode, size in bytes, path.
fn as_lines(contents: &Contents) -> String {
    let sizes = contents.entries.iter().map(|entry| match entry.kind {
        EntryKind::File { size_bytes, .. } => size_bytes.to_string().len(),
        EntryKind::Directory | EntryKind::Link { .. } => 0,
    });
    let width = sizes.max().unwrap_or(0);
    let line = |Entry { path, kind }: &Entry| match kind {
        EntryKind::Directory => format!("0755  {:>width$}  {path}/\n", ""),
        EntryKind::File { size_bytes, mode } => {
            format!("{mode:04o}  {size_bytes:>width$}  {path}\n")
        }
        EntryKind::Link { target } => format!("link  {:>width$}  {path} -> {target}\n", ""),
    };
    contents.entries.iter().map(line).collect()
}

fn as_json(place: &str, contents: &Contents) -> String {
    let entry = |Entry { path, kind }: &Entry| -> Value {
        match kind {
            EntryKind::Directory => json!({ "path": path, "type": "directory" }),
            EntryKind::File { size_bytes, mode } => json!({
                "path": path, "type": "file", "size": size_bytes, "executable": mode & 0o111 != 0,
            }),
            EntryKind::Link { target } => json!({ "path": path, "type": "link", "target": target }),
        }
    };
    let all = json!({
        "archive": place,
        "files": contents.files(),
        "size": contents.size_bytes(),
        "entries": contents.entries.iter().map(entry).collect::<Vec<_>>(),
    });
    format!("{all:#}\n")
}

/// Reads a digest in any of its notations.
pub(super) fn sha256(text: &str) -> Result<Sha256, hash::DigestError> {
    Sha256::from_any(text)
}
