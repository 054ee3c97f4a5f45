//! What people read: verdicts on stdout, problems on stderr.

use std::fmt::Write as _;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};

use super::{Excerpt, Outcome, Outcomes, State, Summary, Verdict, print};
use crate::error::{Error, Problem, SHOWN_PROBLEMS, Severity, message};
use crate::manifest::Report;
use crate::text;

const PLACE: Style = Style::new().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const FRAME: Style = AnsiColor::Cyan.on_default();

/// Tells all outcomes in their order, then how many of each there were.
pub(super) fn tell(outcomes: &Outcomes) -> Result<(), Error> {
    for outcome in &outcomes.list {
        let mut out = String::new();
        match &outcome.verdict {
            Verdict::Unreadable(error) => problem(&mut out, error, None, ERROR),
            Verdict::Judged { report, excerpts } => problems(&mut out, report, excerpts),
        }
        say(&out);
        if outcome.state(outcomes.warnings) == State::Ok {
            print(&fine(outcome))?;
        }
    }
    if outcomes.list.len() > 1 {
        say(&format!("{}\n", sentence(&outcomes.summary())));
    }
    Ok(())
}

/// Writes to stderr; only a terminal gets the colours, and only where `NO_COLOR` and its like do not forbid it.
fn say(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

fn problems(out: &mut String, report: &Report, excerpts: &[Option<Excerpt>]) {
    let excerpts = excerpts.iter().map(Option::as_ref);
    let shown = report.diagnostics.iter().take(SHOWN_PROBLEMS);
    for (diagnostic, excerpt) in shown.zip(excerpts.chain(std::iter::repeat(None))) {
        let style = match diagnostic.severity {
            Severity::Error => ERROR,
            Severity::Warning => WARNING,
        };
        problem(out, diagnostic, excerpt, style);
    }
    let more = report.diagnostics.len().saturating_sub(SHOWN_PROBLEMS)
        + report.more.errors
        + report.more.warnings;
    if more > 0 {
        let _ = writeln!(out, "and {more} more");
    }
}

/// Place and what is wrong, the source line, the hint.
fn problem(out: &mut String, problem: &dyn Problem, excerpt: Option<&Excerpt>, style: Style) {
    if let Some(place) = problem.place() {
        let _ = write!(out, "{PLACE}{place}{PLACE:#}: ");
    }
    let _ = writeln!(out, "{}", message(problem));
    if let Some(Excerpt { line, text, indent }) = excerpt {
        let number = line.to_string();
        let (blank, gap) = (" ".repeat(number.len()), " ".repeat(*indent));
        let line = format!("{FRAME}  {number} |{FRAME:#} {text}");
        let _ = writeln!(out, "{}", line.trim_end());
        let _ = writeln!(out, "{FRAME}  {blank} |{FRAME:#} {gap}{style}^{style:#}");
    }
    if let Some(hint) = problem.hint() {
        let _ = writeln!(out, "{FRAME}hint:{FRAME:#} {hint}");
    }
}

/// The verdict on a file that is fine: `redistrib_12.9.1.json: ok, 3 packages`.
fn fine(outcome: &Outcome) -> String {
    let mut out = format!("{}: ok", text::printable(&outcome.input.name()));
    if let Verdict::Judged { report, .. } = &outcome.verdict {
        let noun = match report.shape {
            "redistrib" | "feature" => Some("package"),
            "releases" => Some("product"),
            _ => None,
        };
        if let Some(noun) = noun {
            let _ = write!(out, ", {}", counted(report.members, noun));
        }
        let warnings = report.count(Severity::Warning);
        if warnings > 0 {
            let _ = write!(out, ", {}", counted(warnings, "warning"));
        }
    }
    out.push('\n');
    out
}

/// `152 files: 150 ok, 2 with problems (3 errors, 1 warning)`
fn sentence(summary: &Summary) -> String {
    let mut out = format!("{}: {} ok", counted(summary.files, "file"), summary.ok);
    if summary.rejected > 0 {
        let _ = write!(out, ", {} with problems", summary.rejected);
    }
    if summary.unreadable > 0 {
        let _ = write!(out, ", {} unreadable", summary.unreadable);
    }
    let counts: Vec<_> = [(summary.errors, "error"), (summary.warnings, "warning")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| counted(count, noun))
        .collect();
    if !counts.is_empty() {
        let _ = write!(out, " ({})", counts.join(", "));
    }
    out
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_say_what_there_is() {
        let summary = |rejected, unreadable, errors, warnings| Summary {
            files: 152,
            ok: 152 - rejected - unreadable,
            rejected,
            unreadable,
            errors,
            warnings,
        };
        for (summary, expected) in [
            (summary(0, 0, 0, 0), "152 files: 152 ok"),
            (summary(0, 0, 0, 1), "152 files: 152 ok (1 warning)"),
            (
                summary(2, 0, 3, 1),
                "152 files: 150 ok, 2 with problems (3 errors, 1 warning)",
            ),
            (
                summary(1, 1, 2, 0),
                "152 files: 150 ok, 1 with problems, 1 unreadable (2 errors)",
            ),
        ] {
            assert_eq!(sentence(&summary), expected);
        }
    }
}
