//! The command `index`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::IndexArgs;
use crate::error::{Error, Kind, Problem};
use crate::index::Folder;
use crate::text;

/// Runs the command.
pub(super) fn run(args: &IndexArgs) -> Result<ExitCode, Error> {
    let folder = Folder::read(&args.dir)?;
    for note in folder.notes() {
        eprintln!("note: {note}");
    }
    // Drawn only on a terminal, and gone when done.
    let bar = ProgressBar::new(folder.size_bytes());
    if let Ok(style) = ProgressStyle::with_template("hashing {bar:30} {bytes}/{total_bytes} {eta}")
    {
        bar.set_style(style);
    }
    let manifest = folder.manifest(&args.product, &args.label, &|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    replace(&args.output, manifest?.as_bytes())?;
    eprintln!(
        "{}: {} listed",
        text::printable(&args.output.display().to_string()),
        match folder.count() {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        }
    );
    Ok(ExitCode::SUCCESS)
}

/// Puts `bytes` at `path` in one step: readers see the old file or the new one, never a part.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let fault = |source| OutputError {
        path: path.display().to_string(),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fault)?;
    file.write_all(bytes).map_err(fault)?;
    // Temporary files are private; a manifest is for everybody.
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(everybody).map_err(fault)?;
    file.persist(path).map_err(|error| fault(error.error))?;
    Ok(())
}

/// The manifest could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write it")]
struct OutputError {
    path: String,
    #[source]
    source: std::io::Error,
}

impl Problem for OutputError {
    fn kind(&self) -> Kind {
        Kind::Fault
    }

    fn place(&self) -> Option<String> {
        Some(text::printable(&self.path))
    }
}
