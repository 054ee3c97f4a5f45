//! The command `audit`.

use std::process::ExitCode;

use super::args::{AuditArgs, ShowFormat};
use super::stdout::{exit_code, print, worst};
use crate::audit::{Request, audit};
use crate::error::Error;

/// Runs the command: the report goes to stdout, what is not acceptable to stderr.
pub(super) fn run(args: &AuditArgs) -> Result<ExitCode, Error> {
    let request = Request {
        trees: args.trees.clone(),
        dependencies: args.dependencies.clone(),
        driver_paths: args.driver_paths.clone(),
        allowed_missing: args.allowed_missing.clone(),
        capabilities: args
            .capabilities
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()?,
        machine: None,
        moved: Vec::new(),
    };
    let report = audit(&request)?;
    print(&match args.format {
        ShowFormat::Human => report.to_string(),
        ShowFormat::Json => report.to_json(),
    })?;
    let problems = report.problems();
    let errors = report.errors.into_iter().chain(problems);
    Ok(exit_code(worst(errors.map(Err))))
}
