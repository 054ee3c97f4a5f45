//! Outcomes as SARIF 2.1.0, for code scanning and editors.
//!
//! Source: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use serde_json::{Value, json};

use super::{Input, Outcome, Outcomes, State, Verdict, json::lines};
use crate::error::{Diagnostic, message};
use crate::manifest;

/// All outcomes as one run.
pub(super) fn text(outcomes: &Outcomes) -> String {
    let mut codes: Vec<&str> = outcomes.list.iter().flat_map(codes).collect();
    codes.sort_unstable();
    codes.dedup();
    let rule = |code: &&str| json!({ "id": code, "shortDescription": { "text": manifest::meaning(code) } });
    let rules: Vec<_> = codes.iter().map(rule).collect();
    let list = outcomes.list.iter();
    let results: Vec<_> = list
        .clone()
        .flat_map(|outcome| results(outcome, &codes))
        .collect();
    let unreadable = list
        .clone()
        .any(|outcome| outcome.state(outcomes.warnings) == State::Unreadable);
    // Problems that were only counted have no place, so they are no results.
    let notes: Vec<_> = list
        .filter(|outcome| outcome.more() > 0)
        .map(|outcome| {
            let text = format!("{}: and {} more", outcome.input.name(), outcome.more());
            json!({ "level": "note", "message": { "text": text } })
        })
        .collect();
    lines(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cuda-redist",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "invocations": [{ "executionSuccessful": !unreadable, "toolExecutionNotifications": notes }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

fn codes(outcome: &Outcome) -> Vec<&str> {
    match &outcome.verdict {
        Verdict::Unreadable(_) => vec!["unreadable"],
        Verdict::Judged { report, .. } => {
            let mut codes: Vec<_> = report.diagnostics.iter().map(|found| found.code).collect();
            codes.dedup();
            codes
        }
    }
}

fn results(outcome: &Outcome, codes: &[&str]) -> Vec<Value> {
    let uri = uri(&outcome.input);
    let result = |code: &str, level: &str, text: String, location: Value| {
        json!({
            "ruleId": code,
            "ruleIndex": codes.iter().position(|known| *known == code),
            "level": level,
            "message": { "text": text },
            "locations": [location],
        })
    };
    match &outcome.verdict {
        Verdict::Unreadable(error) => {
            let location = json!({ "physicalLocation": { "artifactLocation": { "uri": uri } } });
            vec![result("unreadable", "error", message(error), location)]
        }
        Verdict::Judged { report, .. } => {
            let found = report.diagnostics.iter().map(|found| {
                let mut text = found.sentence();
                if let Some(hint) = &found.hint {
                    text.push_str("\nhint: ");
                    text.push_str(hint);
                }
                result(
                    found.code,
                    found.severity.name(),
                    text,
                    location(found, &uri),
                )
            });
            found.collect()
        }
    }
}

fn location(found: &Diagnostic, uri: &str) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri } });
    if let (Some(position), Value::Object(physical)) = (found.position, &mut physical) {
        let region = json!({ "startLine": position.line, "startColumn": position.column });
        physical.insert("region".to_owned(), region);
    }
    match found.path.as_str() {
        "" => json!({ "physicalLocation": physical }),
        path => json!({
            "physicalLocation": physical,
            "logicalLocations": [{ "fullyQualifiedName": path }],
        }),
    }
}

/// Where the input is: relative as typed, or `file://` for an absolute path.
fn uri(input: &Input) -> String {
    let mut out = String::new();
    let bytes = match input {
        Input::Stdin => b"stdin".as_slice(),
        Input::File(path) | Input::EmptyFolder(path) => {
            if path.is_absolute() {
                out.push_str("file://");
            }
            path.as_os_str().as_encoded_bytes()
        }
    };
    for byte in bytes {
        // RFC 3986: unreserved characters, and the slash. A colon would end a scheme.
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_hold_any_path() {
        for (path, expected) in [
            ("a/redistrib_12.9.1.json", "a/redistrib_12.9.1.json"),
            ("/a b/ä:%.json", "file:///a%20b/%C3%A4%3A%25.json"),
            ("c:d", "c%3Ad"),
        ] {
            assert_eq!(uri(&Input::File(path.into())), expected);
        }
    }
}
