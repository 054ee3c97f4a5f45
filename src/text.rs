//! Outside text (file names, JSON strings, archive entries) made safe to show, and positions in texts.

use std::fmt::{self, Write as _};

/// How many characters of outside text a message shows.
pub const SHOWN_CHARS: usize = 80;

/// `text` in backticks, control and invisible characters escaped, cut at [`SHOWN_CHARS`].
///
/// ```
/// assert_eq!(cuda_redist::text::quote("a\u{1b}[31mb"), "`a\\u{1b}[31mb`");
/// ```
pub fn quote(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(SHOWN_CHARS).collect();
    let dots = if chars.next().is_some() { "..." } else { "" };
    format!("`{}{dots}`", printable(&head))
}

/// [`quote`] for bytes that may not be UTF-8: each bad sequence is shown as U+FFFD.
pub fn quote_bytes(bytes: &[u8]) -> String {
    quote(&String::from_utf8_lossy(bytes))
}

/// `text` with everything escaped that could steer a terminal or hide text; never cut.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Could `c` steer a terminal or hide text? Control characters, line and paragraph separators, and what is invisible: the
/// bidirectional controls (Unicode UAX 9), zero-width and tag characters.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A position in a text, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Counted from 1; lines end with a line feed.
    pub line: usize,
    /// Counted from 1, in characters (Unicode scalar values).
    pub column: usize,
}

impl Position {
    /// The position of the byte `offset` of `text`; past its end means the end. Takes time: for messages only.
    pub fn of(text: &[u8], offset: usize) -> Position {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        // Every character has exactly one byte that does not continue another.
        let characters = before
            .iter()
            .skip(start)
            .filter(|byte| **byte & 0xc0 != 0x80)
            .count();
        Position {
            line,
            column: characters + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_visible_and_bounded() {
        for (input, expected) in [
            ("plain", "`plain`"),
            ("tab\there", "`tab\\there`"),
            ("nul\0", "`nul\\u{0}`"),
            ("rtl\u{202e}x", "`rtl\\u{202e}x`"),
            ("mark\u{61c}x", "`mark\\u{61c}x`"),
            ("no\u{200b}gap", "`no\\u{200b}gap`"),
            ("tag\u{e0041}", "`tag\\u{e0041}`"),
            ("grün", "`grün`"),
        ] {
            assert_eq!(quote(input), expected, "{input:?}");
        }
        assert_eq!(quote(&"x".repeat(81)), format!("`{}...`", "x".repeat(80)));
        assert_eq!(quote_bytes(b"\xff"), "`\u{fffd}`");
    }

    #[test]
    fn positions_count_characters_from_one() {
        let text = "ab\nä€x\n\n".as_bytes();
        for (offset, line, column) in [
            (0, 1, 1),
            (2, 1, 3),
            (3, 2, 1),
            (5, 2, 2),
            (8, 2, 3),
            (9, 2, 4),
            (10, 3, 1),
            (99, 4, 1),
        ] {
            assert_eq!(
                Position::of(text, offset),
                Position { line, column },
                "{offset}"
            );
        }
    }
}
