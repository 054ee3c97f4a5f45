//! Outcomes as annotations of GitHub's workflows.
//!
//! Source: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>; the escapes are those of
//! `@actions/core`, `command.ts`.

use std::fmt::Write as _;

use super::{Outcomes, Severity, State, Verdict};
use crate::error::message;
use crate::text;

/// A line per problem, none for what is fine.
pub(super) fn text(outcomes: &Outcomes) -> String {
    let mut out = String::new();
    for outcome in &outcomes.list {
        let name = property(&outcome.input.name());
        if let Verdict::Unreadable(error) = &outcome.verdict {
            let said = data(&message(error));
            let _ = writeln!(out, "::error file={name},title=unreadable::{said}");
        }
        for found in outcome.diagnostics() {
            let command = found.severity.name();
            let _ = write!(out, "::{command} file={name}");
            if let Some(position) = found.position {
                let _ = write!(out, ",line={},col={}", position.line, position.column);
            }
            let mut said = found.sentence();
            if !found.path.is_empty() {
                said = format!("`{}`: {said}", found.path);
            }
            if let Some(hint) = &found.hint {
                let _ = write!(said, "\nhint: {hint}");
            }
            let _ = writeln!(out, ",title={}::{}", property(found.code), data(&said));
        }
        let more = outcome.more();
        if more > 0 && outcome.state(outcomes.warnings) == State::Rejected {
            let command = Severity::Error.name();
            let _ = writeln!(out, "::{command} file={name}::and {more} more");
        }
    }
    out
}

/// What stands behind `::`, with its line breaks.
fn data(said: &str) -> String {
    let lines: Vec<_> = said.split('\n').map(text::printable).collect();
    lines.join("\n").replace('%', "%25").replace('\n', "%0A")
}

/// What stands between the commas.
fn property(said: &str) -> String {
    data(&text::printable(said))
        .replace(':', "%3A")
        .replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_part_is_escaped() {
        assert_eq!(data("100%\nhint: a, b::c"), "100%25%0Ahint: a, b::c");
        assert_eq!(property("a:b,c%\n\u{1b}"), "a%3Ab%2Cc%25\\n\\u{1b}");
    }
}
