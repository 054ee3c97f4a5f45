//! The slow path of [`super::json`]: why a text is refused, and where.

use std::collections::HashSet;

use serde_json::error::Category;

use super::json::{Node, NoteKind, Tape};
use crate::error::{Diagnostic, Severity};
use crate::shape::{Finding, Findings, More, Path, Spot, Step};
use crate::text::{self, Position};

/// How deep values may nest, the outermost counting as 1; serde_json's own limit, which keeps the stack small.
const LEVELS: usize = 127;

/// An error about the text as such.
fn about(code: &'static str, file: &str, expected: String, found: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code,
        file: text::printable(file),
        position: None,
        path: String::new(),
        expected,
        found,
        hint: None,
    }
}

/// The longest text that is judged, in bytes: fifty times NVIDIA's largest. Judging takes up to 20 times a text's size in memory, as many
/// texts may be judged at once as there are processors, and nobody can stop a judge before it is done, in about a second.
pub const MOST_BYTES: u32 = 16 << 20;

/// `text` as characters, if it is not too long.
pub(super) fn utf8<'t>(text: &'t [u8], file: &str) -> Result<&'t str, Box<Diagnostic>> {
    if text.len() > super::json::index(MOST_BYTES) {
        let expected = format!("a text of at most {MOST_BYTES} bytes");
        let found = format!("{} bytes", text.len());
        return Err(about("size", file, expected, found).into());
    }
    std::str::from_utf8(text).map_err(|error| {
        let offset = error.valid_up_to();
        let byte = text.get(offset).copied().unwrap_or(0);
        let found = format!("the byte 0x{byte:02x}");
        Box::new(Diagnostic {
            position: Some(Position::of(text, offset)),
            ..about("utf-8", file, "UTF-8 text".to_owned(), found)
        })
    })
}

/// serde_json's words for what it expected, in ours.
const EXPECTED: &[(&str, &str)] = &[
    ("EOF while parsing a list", "`,` or `]`"),
    ("EOF while parsing an object", "`,` or `}`"),
    ("EOF while parsing a string", "`\"`"),
    ("EOF while parsing a value", "a JSON value"),
    ("expected value", "a JSON value"),
    ("expected ident", "`true`, `false` or `null`"),
    (
        "invalid escape",
        "one of the escapes `\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u`",
    ),
    (
        "invalid number",
        "a number as JSON writes it (no leading zero or plus, digits around the point)",
    ),
    (
        "number out of range",
        "a number that a 64-bit float can hold",
    ),
    (
        "invalid unicode code point",
        "an escape of a Unicode character",
    ),
    (
        "control character (\\u0000-\\u001F) found while parsing a string",
        "control characters in strings as escapes",
    ),
    ("key must be a string", "a key in double quotes"),
    (
        "lone leading surrogate in hex escape",
        "a low surrogate escape after the high one",
    ),
    (
        "unexpected end of hex escape",
        "a low surrogate escape after the high one",
    ),
    ("trailing comma", "another value after the comma"),
    ("trailing characters", "the end of the text"),
];

/// Why serde_json could not parse `text`.
pub(super) fn refusal(text: &str, file: &str, error: &serde_json::Error) -> Box<Diagnostic> {
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(&*message, |(message, _)| message);
    let offset = if error.classify() == Category::Eof {
        text.len()
    } else {
        offset_of(text, error)
    };
    let rest = text.get(offset..).unwrap_or_default();
    let mut found = match rest.chars().next() {
        None => "the end of the text".to_owned(),
        Some(c) => text::quote(&c.to_string()),
    };
    let hint = match rest.chars().next() {
        None if !text.trim().is_empty() => {
            Some("the text ends too early; was the download cut short?")
        }
        None => None,
        Some('\u{feff}') => Some("the text starts with a byte order mark; remove it"),
        Some('<') if offset == 0 => {
            Some("this looks like a web page; look at the address it was fetched from")
        }
        Some(_) => None,
    };
    let expected = match EXPECTED.iter().find(|(theirs, _)| *theirs == message) {
        Some((_, ours)) => (*ours).to_owned(),
        None if message == "recursion limit exceeded" => {
            found = "more".to_owned();
            format!("at most {LEVELS} levels of nesting")
        }
        None => match message.strip_prefix("expected ") {
            Some(expected) => text::printable(expected),
            None => format!("JSON ({})", text::printable(message)),
        },
    };
    Box::new(Diagnostic {
        position: Some(Position::of(text.as_bytes(), offset)),
        hint: hint.map(str::to_owned),
        ..about("syntax", file, expected, found)
    })
}

/// The byte that serde_json complains of: it counts lines and bytes in a line from 1, and column 0 is the line break before.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let mut start = 0;
    for _ in 1..error.line() {
        let rest = text.get(start..).unwrap_or_default();
        start += rest.find('\n').map_or(rest.len(), |at| at + 1);
    }
    let mut offset = (start + error.column()).saturating_sub(1).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// How many of a tape's notes are told in full; the others are only counted.
const KEPT_NOTES: usize = 10_000;

/// All of `findings` and of the tape's own notes, sorted by place; and how many there are besides.
pub(super) fn diagnose(
    tape: &Tape<'_>,
    file: &str,
    findings: Findings<Node<'_, '_>>,
) -> (Vec<Diagnostic>, More) {
    let file = text::printable(file);
    let (findings, mut more) = findings.into_parts();
    let mut notes: Vec<_> = tape.notes.iter().collect();
    notes.sort_by_key(|note| note.cell);
    more.errors = more
        .errors
        .saturating_add(notes.len().saturating_sub(KEPT_NOTES));
    notes.truncate(KEPT_NOTES);
    let mut cells = Vec::new();
    for finding in &findings {
        cells.push(match finding.spot {
            Spot::Value(node) => node.cell(),
            Spot::KeyOf(node) => node.cell().saturating_sub(1),
        });
    }
    let mut wanted = cells.clone();
    for note in &notes {
        wanted.push(note.cell);
        if let NoteKind::DoubledKey { first } = note.what {
            wanted.push(first);
        }
    }
    let positions = positions(tape.text, wanted);
    let position = |cell: u32| {
        let found = positions.binary_search_by_key(&cell, |(cell, _)| *cell);
        found
            .ok()
            .and_then(|at| positions.get(at))
            .map_or(Position { line: 1, column: 1 }, |(_, position)| *position)
    };
    // A number that is too large is told once, and as it stands in the text.
    let too_large = |cell: u32| {
        let at = notes.binary_search_by_key(&cell, |note| note.cell).ok()?;
        match notes.get(at)?.what {
            NoteKind::TooLarge(number) => Some(number),
            _ => None,
        }
    };
    let mut out = Vec::with_capacity(findings.len() + notes.len());
    for (finding, cell) in findings.into_iter().zip(&cells) {
        let cell = *cell;
        let Finding {
            severity,
            code,
            path,
            expected,
            mut found,
            hint,
            ..
        } = finding;
        if matches!(code, "type" | "value")
            && let Some(number) = too_large(cell)
        {
            found = format!("the number {number}");
        }
        out.push((
            cell,
            Diagnostic {
                severity,
                code,
                file: file.clone(),
                position: Some(position(cell)),
                path,
                expected,
                found,
                hint,
            },
        ));
    }
    let told: HashSet<u32> = cells.into_iter().collect();
    notes.retain(|note| !matches!(note.what, NoteKind::TooLarge(_)) || !told.contains(&note.cell));
    let paths = tape.paths_to(notes.iter().map(|note| note.cell), |steps| {
        chain(steps, &Path::ROOT)
    });
    for (note, path) in notes.into_iter().zip(paths) {
        let (code, expected, found) = match note.what {
            NoteKind::DoubledKey { first } => (
                "duplicate-key",
                "each key once".to_owned(),
                format!("it a second time, first at {}", position(first)),
            ),
            NoteKind::Nul => (
                "nul",
                "text without NUL characters, which Nix cannot hold".to_owned(),
                "one".to_owned(),
            ),
            NoteKind::TooLarge(number) => (
                "integer",
                format!("an integer of at most {}", i64::MAX),
                format!("the number {number}"),
            ),
        };
        out.push((
            note.cell,
            Diagnostic {
                position: Some(position(note.cell)),
                path,
                ..about(code, &file, expected, found)
            },
        ));
    }
    out.sort_by_key(|(cell, _)| *cell);
    (
        out.into_iter().map(|(_, diagnostic)| diagnostic).collect(),
        more,
    )
}

/// The text of the path that `steps` make below `path`.
pub(super) fn chain(steps: &[Step<'_>], path: &Path<'_>) -> String {
    match steps.split_first() {
        None => path.to_string(),
        Some((Step::Root, rest)) => chain(rest, path),
        Some((Step::Key(key), rest)) => chain(rest, &path.key(key)),
        Some((Step::Item(number), rest)) => chain(rest, &path.item(*number)),
    }
}

/// The positions of `cells`, sorted by cell.
fn positions(text: &str, mut cells: Vec<u32>) -> Vec<(u32, Position)> {
    cells.sort_unstable();
    cells.dedup();
    let offsets = offsets(text, &cells);
    // One pass for all: each position is counted on from the one before.
    let mut out = Vec::with_capacity(cells.len());
    let mut position = Position { line: 1, column: 1 };
    let mut from = 0;
    for (cell, offset) in cells.iter().zip(offsets) {
        let between = Position::of(
            text.as_bytes().get(from..offset).unwrap_or_default(),
            usize::MAX,
        );
        if between.line > 1 {
            position.column = 0;
        }
        position.line += between.line - 1;
        position.column += between.column - usize::from(between.line == 1);
        from = offset;
        out.push((*cell, position));
    }
    out
}

/// The offsets in `text`, which is valid JSON, of the tokens with the numbers `wanted` (ascending).
///
/// Values and keys count, in the order of the text, as they do in a tape.
pub(super) fn offsets(text: &str, wanted: &[u32]) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(wanted.len());
    let mut wanted = wanted.iter().copied().peekable();
    let mut token = 0_u32;
    let mut at = 0;
    while let (Some(byte), Some(next)) = (bytes.get(at), wanted.peek()) {
        let length = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b']' | b'}' => {
                at += 1;
                continue;
            }
            b'[' | b'{' => 1,
            b'"' => string_length(bytes.get(at..).unwrap_or_default()),
            _ => {
                let rest = bytes.get(at..).unwrap_or_default();
                let end =
                    |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}');
                rest.iter().position(end).unwrap_or(rest.len())
            }
        };
        if token == *next {
            out.push(at);
            wanted.next();
        }
        token = token.saturating_add(1);
        at += length;
    }
    out
}

/// The length of the JSON string at the start of `bytes`, with its quotes.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}
