//! Outcomes as JSON.
//!
//! One object. Keys may be added; those that are there keep their meaning as long as `version` is 1.
//!
//! ```json
//! {
//!   "version": 1,
//!   "files": [
//!     {
//!       "file": "redistrib_12.9.1.json", "shape": "redistrib", "state": "rejected",
//!       "problems": [
//!         {
//!           "severity": "error", "code": "missing-key", "file": "redistrib_12.9.1.json", "line": 8, "column": 19,
//!           "path": "cuda_nvtx.linux-sbsa", "expected": "the key `relative_path`", "found": "an object without it",
//!           "hint": null, "message": "expected the key `relative_path`, found an object without it"
//!         }
//!       ],
//!       "more": 0
//!     }
//!   ],
//!   "summary": { "files": 1, "ok": 0, "rejected": 1, "unreadable": 0, "errors": 1, "warnings": 0 }
//! }
//! ```
//!
//! `state` is `ok`, `rejected` or `unreadable`; `shape` is null for files that could not be read; `more` counts problems beyond
//! the first 10 000. `line` and `column` (in characters, from 1) are null for what is about a whole file, `expected` and
//! `found` for files that could not be read, `path` is empty for a whole value.

use serde_json::{Value, json};

use super::{Outcome, Outcomes, Summary, Verdict};
use crate::error::{Diagnostic, message};
use crate::text;

/// All outcomes as one object.
pub(super) fn text(outcomes: &Outcomes) -> String {
    let files: Vec<_> = outcomes
        .list
        .iter()
        .map(|outcome| file(outcome, outcomes))
        .collect();
    let Summary {
        files: count,
        ok,
        rejected,
        unreadable,
        errors,
        warnings,
    } = outcomes.summary();
    lines(&json!({
        "version": 1,
        "files": files,
        "summary": {
            "files": count, "ok": ok, "rejected": rejected, "unreadable": unreadable,
            "errors": errors, "warnings": warnings,
        },
    }))
}

fn file(outcome: &Outcome, outcomes: &Outcomes) -> Value {
    let name = outcome.input.name();
    let (shape, problems) = match &outcome.verdict {
        Verdict::Judged { report, .. } => {
            let problems = report.diagnostics.iter();
            let problems: Vec<_> = problems.map(|found| problem(found, &name)).collect();
            (Some(report.shape), problems)
        }
        Verdict::Unreadable(error) => {
            let unreadable = json!({
                "severity": "error", "code": "unreadable", "file": name, "line": null, "column": null, "path": "",
                "expected": null, "found": null, "hint": null, "message": message(error),
            });
            (None, vec![unreadable])
        }
    };
    json!({
        "file": name,
        "shape": shape,
        "state": outcome.state(outcomes.warnings).name(),
        "problems": problems,
        "more": outcome.more(),
    })
}

fn problem(found: &Diagnostic, name: &str) -> Value {
    json!({
        "severity": found.severity.name(),
        "code": found.code,
        "file": name,
        "line": found.position.map(|position| position.line),
        "column": found.position.map(|position| position.column),
        "path": found.path,
        "expected": found.expected,
        "found": found.found,
        "hint": found.hint,
        "message": found.sentence(),
    })
}

/// `value` as indented lines in which every character that could steer a terminal is written as an escape.
pub(super) fn lines(value: &Value) -> String {
    let mut out = String::new();
    // serde_json escapes the first 32 itself; others stand in strings only.
    for c in format!("{value:#}\n").chars() {
        if c != '\n' && text::is_unsafe(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_string_can_steer_a_terminal() {
        let value = json!({ "\u{9b}31m": "a\u{1b}\u{7f}\u{202e}\u{e0041}\nä\u{2028}" });
        let text = lines(&value);
        assert_eq!(
            text,
            "{\n  \"\\u009b31m\": \"a\\u001b\\u007f\\u202e\\udb40\\udc41\\nä\\u2028\"\n}\n"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
