//! The command `realise`.

use std::process::ExitCode;

use super::args::RealiseArgs;
use crate::error::Error;

/// Runs the command.
pub(super) fn run(_args: &RealiseArgs) -> Result<ExitCode, Error> {
    Ok(ExitCode::SUCCESS)
}
