//! What can be wrong with an ELF file, or with what we were asked to do to it.

use crate::error::{Kind, Problem};

/// One problem. `place` is the file's name, safe to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElfError {
    /// The operating system said no.
    #[error("cannot {action}")]
    Io {
        place: String,
        action: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// A table of the file contradicts the file or the ELF specification.
    #[error("expected {expected}, found {found}")]
    Damaged {
        place: String,
        table: &'static str,
        expected: String,
        found: String,
    },
    /// The file is sound, but not of a sort that is edited.
    #[error("cannot {task}: expected {expected}, found {found}; file left unchanged")]
    Foreign {
        place: String,
        task: &'static str,
        expected: &'static str,
        found: String,
    },
    /// No rung of the ladder applies.
    #[error("cannot {task}: {reason}; file left unchanged")]
    NoRoom {
        place: String,
        task: &'static str,
        reason: String,
    },
    /// The value asked for cannot be stored in an ELF file.
    #[error("cannot {task}: expected {expected}, found {found}; file left unchanged")]
    Value {
        place: String,
        task: &'static str,
        expected: String,
        found: String,
    },
    /// Re-reading the edited file found something wrong: our own fault.
    #[error(
        "cannot {task}: the edited file breaks a rule: expected {expected}, found {found}; file {state}"
    )]
    Broken {
        place: String,
        task: &'static str,
        expected: String,
        found: String,
        state: &'static str,
    },
}

impl Problem for ElfError {
    fn kind(&self) -> Kind {
        match self {
            ElfError::Io { .. } | ElfError::Broken { .. } => Kind::Fault,
            _ => Kind::Rejected,
        }
    }

    fn place(&self) -> Option<String> {
        Some(match self {
            ElfError::Damaged { place, table, .. } => format!("{place}: {table}"),
            ElfError::Io { place, .. }
            | ElfError::Foreign { place, .. }
            | ElfError::NoRoom { place, .. }
            | ElfError::Value { place, .. }
            | ElfError::Broken { place, .. } => place.clone(),
        })
    }

    fn hint(&self) -> Option<String> {
        match self {
            ElfError::Broken { .. } => {
                Some("this is a bug in cuda-redist; please report it with the file".to_owned())
            }
            ElfError::Io { source, .. }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Some("editing happens in place: the file itself must be writable".to_owned())
            }
            ElfError::Io { source, .. }
                if source.kind() == std::io::ErrorKind::ExecutableFileBusy =>
            {
                Some("the file is being executed; edit a copy of it".to_owned())
            }
            _ => None,
        }
    }
}
