//! The command `check`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;

use super::args::{CheckArgs, CheckFormat};
use super::stdout::{exit_code, print};
use crate::error::{Diagnostic, Error, Kind, SHOWN_PROBLEMS, Severity};
use crate::manifest::{self, Judging, Report};
use crate::shape::Expression;
use crate::shape::More;

mod excerpt;
mod github;
mod human;
mod input;
mod json;
mod sarif;

use excerpt::Excerpt;
use input::{Input, ReadError};

/// What became of one input.
struct Outcome {
    input: Input,
    verdict: Verdict,
}

enum Verdict {
    /// It was judged.
    Judged {
        report: Report,
        /// The source lines of the first problems, one each.
        excerpts: Vec<Option<Excerpt>>,
    },
    /// It could not be read.
    Unreadable(ReadError),
}

/// What warnings are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Warnings {
    Told,
    Rejected,
}

/// How a file fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    Rejected,
    Unreadable,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Rejected => "rejected",
            State::Unreadable => "unreadable",
        }
    }
}

impl Outcome {
    fn state(&self, warnings: Warnings) -> State {
        match &self.verdict {
            Verdict::Unreadable(_) => State::Unreadable,
            Verdict::Judged { report, .. } => {
                let is_bad = report.count(Severity::Error) > 0
                    || (warnings == Warnings::Rejected && report.count(Severity::Warning) > 0);
                if is_bad { State::Rejected } else { State::Ok }
            }
        }
    }

    /// What is wrong with its content; nothing if it could not be read.
    fn diagnostics(&self) -> &[Diagnostic] {
        match &self.verdict {
            Verdict::Judged { report, .. } => &report.diagnostics,
            Verdict::Unreadable(_) => &[],
        }
    }

    /// How many problems of this severity it has.
    fn count(&self, severity: Severity) -> usize {
        match &self.verdict {
            Verdict::Judged { report, .. } => report.count(severity),
            Verdict::Unreadable(_) => 0,
        }
    }

    fn more(&self) -> usize {
        match &self.verdict {
            Verdict::Judged { report, .. } => report.more.errors + report.more.warnings,
            Verdict::Unreadable(_) => 0,
        }
    }
}

/// All that is to be told.
struct Outcomes {
    list: Vec<Outcome>,
    warnings: Warnings,
}

/// How many of each there are.
struct Summary {
    files: usize,
    ok: usize,
    rejected: usize,
    unreadable: usize,
    errors: usize,
    warnings: usize,
}

impl Outcomes {
    fn summary(&self) -> Summary {
        let states = |meant| {
            let is_meant = |outcome: &&Outcome| outcome.state(self.warnings) == meant;
            self.list.iter().filter(is_meant).count()
        };
        let count = |severity| {
            let all = self.list.iter().map(|outcome| outcome.count(severity));
            all.sum::<usize>()
        };
        let unreadable = states(State::Unreadable);
        Summary {
            files: self.list.len(),
            ok: states(State::Ok),
            rejected: states(State::Rejected),
            unreadable,
            errors: count(Severity::Error) + unreadable,
            warnings: count(Severity::Warning),
        }
    }

    fn gravest(&self) -> Option<Kind> {
        let kind = |outcome: &Outcome| match outcome.state(self.warnings) {
            State::Ok => None,
            State::Rejected => Some(Kind::Rejected),
            State::Unreadable => Some(Kind::Fault),
        };
        self.list.iter().filter_map(kind).max()
    }
}

/// Judges the files in parallel and tells all in the order typed.
pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, Error> {
    let warnings = match args.strict {
        true => Warnings::Rejected,
        false => Warnings::Told,
    };
    let list = match args
        .shape
        .as_deref()
        .map(|file| read_shape(&Input::File(file.to_owned())))
    {
        None => judge(args, None),
        Some(Ok(shape)) => judge(args, Some(&shape)),
        // Nothing can be judged by a shape that is none.
        Some(Err(outcome)) => vec![*outcome],
    };
    let outcomes = Outcomes { list, warnings };
    match args.format {
        CheckFormat::Human => human::tell(&outcomes)?,
        CheckFormat::Json => print(&json::text(&outcomes))?,
        CheckFormat::Sarif => print(&sarif::text(&outcomes))?,
        CheckFormat::Github => print(&github::text(&outcomes))?,
    }
    Ok(exit_code(outcomes.gravest()))
}

fn read_shape(input: &Input) -> Result<Expression, Box<Outcome>> {
    let verdict = match input.read() {
        Err(error) => Verdict::Unreadable(error),
        Ok(Err(diagnostic)) => rejected("shape", *diagnostic),
        Ok(Ok(text)) => match manifest::read_shape(&text, &input.name()) {
            Ok(shape) => return Ok(shape),
            Err(report) => judged(report, &text),
        },
    };
    let input = input.clone();
    Err(Box::new(Outcome { input, verdict }))
}

fn judge(args: &CheckArgs, shape: Option<&Expression>) -> Vec<Outcome> {
    let inputs = input::find(&args.files);
    let progress = Progress::new(inputs.len());
    let outcomes = inputs.into_par_iter().map(|(input, found)| {
        let verdict = match found.and_then(|()| input.read()) {
            Err(error) => Verdict::Unreadable(error),
            Ok(Err(diagnostic)) => rejected("anything", *diagnostic),
            Ok(Ok(text)) => {
                let judging = Judging {
                    kind: args.kind,
                    shape,
                    product: args.product.as_deref(),
                };
                judged(manifest::inspect(&text, &input.name(), judging), &text)
            }
        };
        progress.one_done();
        Outcome { input, verdict }
    });
    outcomes.collect()
}

fn judged(report: Report, text: &[u8]) -> Verdict {
    let shown = report.diagnostics.iter().take(SHOWN_PROBLEMS);
    let excerpts = excerpt::of(text, shown.map(|diagnostic| diagnostic.position));
    Verdict::Judged { report, excerpts }
}

fn rejected(shape: &'static str, diagnostic: Diagnostic) -> Verdict {
    let report = Report {
        shape,
        members: 0,
        diagnostics: vec![diagnostic],
        more: More::default(),
    };
    Verdict::Judged {
        report,
        excerpts: Vec::new(),
    }
}

/// A bar on a terminal, once judging has taken some time.
struct Progress {
    bar: ProgressBar,
    started: Instant,
}

/// Whoever waits no longer than this needs no bar.
const PATIENCE: Duration = Duration::from_millis(500);

impl Progress {
    fn new(files: usize) -> Progress {
        let length = u64::try_from(files).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("judging {bar:30} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        let started = Instant::now();
        Progress { bar, started }
    }

    fn one_done(&self) {
        // Where stderr is no terminal it stays hidden.
        if self.bar.is_hidden() && self.started.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
