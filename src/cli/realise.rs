//! The command `realise`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::args::{PlanArgs, RealiseArgs, ViewArgs};
use super::log::{Detail, Log};
use super::stdout::print;
use crate::error::{Error, Kind, Problem};
use crate::plan::{self, OutputName};
use crate::realise::{Event, Progress, Staging, realise, view};
use crate::text;

#[derive(Debug, thiserror::Error)]
enum RealiseProblem {
    #[error(
        "expected `--plan FILE`, or a derivation with structured attributes around this process, found neither"
    )]
    NoPlan { command: &'static str },
    #[error(
        "expected `--out` together with `--plan`, found it alone: inside a derivation Nix says where outputs go"
    )]
    OutWithoutPlan,
    #[error("expected `NAME=DIR` for `--out`, found {}", text::quote(.found))]
    OutSyntax { found: String },
    #[error("expected the name of an output for `--out`, found {}", text::quote(.found))]
    OutName { found: String },
    #[error("expected one `--out` for `{output}`, found two")]
    OutTwice { output: OutputName },
    #[error("cannot {action}")]
    Io {
        action: &'static str,
        place: String,
        #[source]
        source: io::Error,
    },
}

impl Problem for RealiseProblem {
    fn kind(&self) -> Kind {
        if matches!(self, RealiseProblem::Io { .. }) {
            Kind::Fault
        } else {
            Kind::Usage
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            RealiseProblem::Io { place, .. } => Some(text::printable(place)),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            RealiseProblem::NoPlan { command } => Some(format!(
                "in a derivation, set `__structuredAttrs = true` and `args = [ \"{command}\" ]`"
            )),
            RealiseProblem::OutSyntax { .. } | RealiseProblem::OutName { .. } => {
                Some("for example `--out lib=./result-lib`".to_owned())
            }
            _ => None,
        }
    }
}

/// Runs the command. By hand the report (in a dry run the tree) goes to stdout; in a derivation it is in the output `out` only.
pub(super) fn run(args: &RealiseArgs) -> Result<ExitCode, Error> {
    let args = &args.plan;
    carry_out(
        "realise",
        args,
        |text, place, outputs, staging, progress| {
            let plan = plan::read(text, place, outputs)?;
            let stop = stop_on_signals(staging)?;
            Ok(realise(&plan, staging, &stop, progress)?.to_json())
        },
    )
}

/// Runs the command `view`, which differs in what is planned only.
pub(super) fn run_view(args: &ViewArgs) -> Result<ExitCode, Error> {
    let args = &args.plan;
    carry_out("view", args, |text, place, outputs, staging, progress| {
        let plan = plan::read_view(text, place, outputs)?;
        let stop = stop_on_signals(staging)?;
        Ok(view(&plan, staging, &stop, progress)?.to_json())
    })
}

/// What is set when a signal asks this process to end: hidden folders beside outputs are to be removed first. A second signal
/// ends it at once. In a derivation Nix removes what is left, and is not made to wait.
fn stop_on_signals(staging: Staging) -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    if staging == Staging::InPlace {
        return Ok(stop);
    }
    let ignored = ignored_signals();
    // Who started this process had it ignore some (`nohup`, `&` in a script): they stay so.
    let is_ignored = |signal: &i32| ignored.checked_shr(signal.unsigned_abs().saturating_sub(1));
    let listened = [SIGHUP, SIGINT, SIGTERM].into_iter();
    for signal in listened.filter(|signal| is_ignored(signal).is_none_or(|bits| bits & 1 == 0)) {
        let registered = flag::register_conditional_default(signal, Arc::clone(&stop));
        registered
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|source| RealiseProblem::Io {
                action: "listen to signals",
                place: "this process".to_owned(),
                source,
            })?;
    }
    Ok(stop)
}

/// The signals that this process ignores, signal 1 as the lowest bit; none where the kernel does not tell.
///
/// Source: proc_pid_status(5), `SigIgn`.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or_default()
}

/// Reads the plan's text and has `make` make something of it, which gives back a report.
fn carry_out(
    command: &'static str,
    args: &PlanArgs,
    make: impl FnOnce(
        &[u8],
        &str,
        Option<BTreeMap<OutputName, PathBuf>>,
        Staging,
        Progress<'_>,
    ) -> Result<String, Error>,
) -> Result<ExitCode, Error> {
    let outputs = outputs(&args.outputs)?;
    let (file, staging) = match &args.plan {
        Some(file) if args.dry_run => (file.clone(), Staging::Discard),
        Some(file) => (file.clone(), Staging::Beside),
        None if !args.outputs.is_empty() => return Err(RealiseProblem::OutWithoutPlan.into()),
        None => (
            structured_attributes().ok_or(RealiseProblem::NoPlan { command })?,
            Staging::InPlace,
        ),
    };
    let place = file.to_string_lossy().into_owned();
    let text = fs::read(&file).map_err(|source| RealiseProblem::Io {
        action: "read the plan",
        place: place.clone(),
        source,
    })?;

    let detail = match args.verbose {
        true => Detail::Files,
        false => Detail::Usual,
    };
    let log = Log::for_this_process(detail);
    let started = Instant::now();
    let listed = Mutex::new(String::new());
    let report = make(&text, &place, outputs, staging, &|event| match event {
        Event::Listed(line) => {
            let mut listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
            listed.push_str(line);
            listed.push('\n');
        }
        event => log.event(event),
    })?;
    let seconds = started.elapsed().as_secs_f64();
    log.event(Event::Note(&format!("cuda-redist: done in {seconds:.2} s")));
    drop(log);
    match staging {
        Staging::Beside => print(&report)?,
        Staging::Discard => print(&listed.into_inner().unwrap_or_else(PoisonError::into_inner))?,
        Staging::InPlace => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The file with the structured attributes of the derivation that this process builds; `None` outside of one.
///
/// Nix 2.8 names the file by its path outside of the sandbox, where this process cannot see it; it is always in the
/// build's top directory.
fn structured_attributes() -> Option<PathBuf> {
    let named = env::var_os("NIX_ATTRS_JSON_FILE").map(PathBuf::from);
    let beside = env::var_os("NIX_BUILD_TOP").map(|top| Path::new(&top).join(".attrs.json"));
    named.into_iter().chain(beside).find(|file| file.is_file())
}

/// The outputs typed as `NAME=DIR`, with absolute directories; `None` when none was typed.
fn outputs(typed: &[String]) -> Result<Option<BTreeMap<OutputName, PathBuf>>, RealiseProblem> {
    let mut outputs = BTreeMap::new();
    for text in typed {
        let syntax = || RealiseProblem::OutSyntax {
            found: text.clone(),
        };
        let (name, dir) = text
            .split_once('=')
            .filter(|(_, dir)| !dir.is_empty())
            .ok_or_else(syntax)?;
        let output: OutputName = name.parse().map_err(|_| RealiseProblem::OutName {
            found: name.to_owned(),
        })?;
        let dir = std::path::absolute(dir).map_err(|source| RealiseProblem::Io {
            action: "make the path absolute",
            place: dir.to_owned(),
            source,
        })?;
        if outputs.insert(output, dir).is_some() {
            return Err(RealiseProblem::OutTwice { output });
        }
    }
    Ok(Some(outputs).filter(|outputs| !outputs.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_name_and_directory() {
        let typed = |texts: &[&str]| {
            outputs(
                &texts
                    .iter()
                    .map(|text| (*text).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(typed(&[]).unwrap(), None);
        let good = typed(&["out=/a", "lib=/b=c"]).unwrap().unwrap();
        assert_eq!(good[&OutputName::Out], Path::new("/a"));
        assert_eq!(good[&OutputName::Lib], Path::new("/b=c"));
        assert!(typed(&["lib=x"]).unwrap().unwrap()[&OutputName::Lib].is_absolute());
        for (texts, expected) in [
            (&["out"][..], "expected `NAME=DIR`"),
            (&["out="], "expected `NAME=DIR`"),
            (&["oout=/a"], "expected the name of an output"),
            (&["out=/a", "out=/b"], "found two"),
        ] {
            let message = typed(texts).unwrap_err().to_string();
            assert!(message.contains(expected), "{texts:?}: {message}");
        }
    }
}
