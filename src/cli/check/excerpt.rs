//! The line of a text that a problem is in, cut to what fits on a terminal.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

use crate::text::{self, Position};

/// A line of a text, safe to show, and where in it something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The number of the line, from 1.
    pub(super) line: usize,
    /// The line, or a part of it.
    pub(super) text: String,
    /// How many columns of a terminal come before the place.
    pub(super) indent: usize,
}

/// How many characters of a line are shown, and how many before the place at most.
const SHOWN: usize = 100;
const BEFORE: usize = 60;

/// The excerpts of `text` at `positions`, which are sorted; `None` where there is none. One pass for all.
pub(super) fn of(
    text: &[u8],
    positions: impl Iterator<Item = Option<Position>>,
) -> Vec<Option<Excerpt>> {
    let mut lines = (1..).zip(text.split(|byte| *byte == b'\n')).peekable();
    let mut excerpt = |position: Position| {
        while lines.next_if(|(line, _)| *line < position.line).is_some() {}
        let (line, bytes) = lines.peek()?;
        (*line == position.line).then(|| cut(bytes, position))
    };
    positions.map(|position| excerpt(position?)).collect()
}

/// The part of the line `bytes` around `position`.
fn cut(bytes: &[u8], position: Position) -> Excerpt {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let column = position.column.saturating_sub(1);
    // As positions do it: a character is a byte that does not continue another.
    let starts = |from: usize| {
        let tail = bytes.get(from..).unwrap_or_default();
        let starts = tail.iter().enumerate();
        starts
            .filter(|(_, byte)| **byte & 0xc0 != 0x80)
            .map(move |(at, _)| from + at)
    };
    let left = column.saturating_sub(BEFORE);
    let start = starts(0).nth(left).unwrap_or(bytes.len());
    let place = starts(start).nth(column - left).unwrap_or(bytes.len());
    let end = starts(start).nth(SHOWN).unwrap_or(bytes.len());

    let mut text = String::new();
    if left > 0 {
        text.push_str("...");
    }
    show(&mut text, bytes.get(start..place).unwrap_or_default());
    let indent = text.chars().map(|c| c.width().unwrap_or(0)).sum();
    show(&mut text, bytes.get(place..end).unwrap_or_default());
    if end < bytes.len() {
        text.push_str("...");
    }
    let line = position.line;
    Excerpt { line, text, indent }
}

fn show(out: &mut String, bytes: &[u8]) {
    for c in String::from_utf8_lossy(bytes).chars() {
        if c == '\t' {
            out.push_str("    ");
        } else if text::is_unsafe(c) {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line with the place in brackets, as far as a terminal shows it.
    fn shown(text: &[u8], line: usize, column: usize) -> String {
        let found = of(text, std::iter::once(Some(Position { line, column })));
        let Some(Some(excerpt)) = found.first() else {
            return "none".to_owned();
        };
        assert_eq!(excerpt.line, line);
        format!("{}\n{}^", excerpt.text, " ".repeat(excerpt.indent))
    }

    #[test]
    fn carets_stand_below_their_place() {
        let text = "{\n\t\"a\": 1,\r\n\"日本\": \"\u{1b}[31m\" x\u{202e}\n".as_bytes();
        insta::assert_snapshot!(shown(text, 1, 1), @r"
        {
        ^
        ");
        insta::assert_snapshot!(shown(text, 2, 2), @r#"
            "a": 1,
            ^
        "#);
        insta::assert_snapshot!(shown(text, 3, 7), @r#"
        "日本": "\u{1b}[31m" x\u{202e}
                ^
        "#);
        insta::assert_snapshot!(shown(text, 3, 15), @r#"
        "日本": "\u{1b}[31m" x\u{202e}
                             ^
        "#);
        assert_eq!(shown(text, 4, 1), "\n^");
        assert_eq!(shown(text, 5, 1), "none");
        assert_eq!(shown(b"a\xffb", 1, 2), "a\u{fffd}b\n ^");
        assert_eq!(shown(b"", 1, 1), "\n^");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = "ä".repeat(1_000_000);
        let cut = shown(text.as_bytes(), 1, 500_000);
        let (line, caret) = cut.split_once('\n').unwrap();
        assert_eq!(line, format!("...{}...", "ä".repeat(100)));
        assert_eq!(caret, format!("{}^", " ".repeat(63)));
        let cut = shown(text.as_bytes(), 1, 1_000_001);
        assert_eq!(cut, format!("...{}\n{}^", "ä".repeat(60), " ".repeat(63)));
    }
}
