//! The command `elf`.

use std::process::ExitCode;

use super::args::ElfArgs;
use crate::error::Error;

/// Runs the command.
pub(super) fn run(_args: &ElfArgs) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
