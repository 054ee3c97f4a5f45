//! The command `index`.

use std::env;
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
    if args.features.as_ref() == Some(&args.output) {
        return Err(OutputError::Same.into());
    }
    let folder = Folder::read(&args.dir)?;
    for note in folder.notes() {
        eprintln!("note: {note}");
    }
    let progress = |what: &str, work: &dyn Fn(&ProgressBar) -> Result<String, Error>| {
        // Drawn only on a terminal, and gone when done.
        let bar = ProgressBar::new(folder.size_bytes());
        let template = format!("{what} {{bar:30}} {{bytes}}/{{total_bytes}} {{eta}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        let made = work(&bar);
        bar.finish_and_clear();
        made
    };
    let mut files = Vec::new();
    let manifest = progress("hashing", &|bar| {
        folder.manifest(&args.product, &args.label, &|bytes| bar.inc(bytes))
    })?;
    files.push(Written::beside(&args.output, manifest.as_bytes())?);
    if let Some(path) = &args.features {
        let features = progress("unpacking", &|bar| {
            folder.features(&env::temp_dir(), &|bytes| bar.inc(bytes))
        })?;
        files.push(Written::beside(path, features.as_bytes())?);
    }
    let count = match folder.count() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    for (file, done) in files.into_iter().zip(["listed", "looked into"]) {
        let shown = text::printable(&file.path.display().to_string());
        file.replace()?;
        eprintln!("{shown}: {count} {done}");
    }
    Ok(ExitCode::SUCCESS)
}

/// A file that is complete, beside the one whose place it will take. When that is not to be, it is removed.
struct Written<'a> {
    file: tempfile::NamedTempFile,
    path: &'a Path,
}

impl<'a> Written<'a> {
    fn beside(path: &'a Path, bytes: &[u8]) -> Result<Written<'a>, OutputError> {
        let fault = OutputError::at(path);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(&fault)?;
        file.write_all(bytes).map_err(&fault)?;
        // Temporary files are private; a manifest is for everybody.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(everybody).map_err(&fault)?;
        Ok(Written { file, path })
    }

    /// Puts it into its place in one step: readers see the old file or the new one, never a part.
    fn replace(self) -> Result<(), OutputError> {
        let fault = OutputError::at(self.path);
        self.file
            .persist(self.path)
            .map_err(|error| fault(error.error))?;
        Ok(())
    }
}

/// Why a manifest is not written.
#[derive(Debug, thiserror::Error)]
enum OutputError {
    #[error("expected another file for `--features` than for `--output`, found the same")]
    Same,
    #[error("cannot write it")]
    Write {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

impl OutputError {
    fn at(path: &Path) -> impl Fn(std::io::Error) -> OutputError {
        move |source| OutputError::Write {
            path: path.display().to_string(),
            source,
        }
    }
}

impl Problem for OutputError {
    fn kind(&self) -> Kind {
        match self {
            OutputError::Same => Kind::Usage,
            OutputError::Write { .. } => Kind::Fault,
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            OutputError::Same => None,
            OutputError::Write { path, .. } => Some(text::printable(path)),
        }
    }
}
