//! Outside text (file names, JSON strings, archive entries) made safe to show.

use std::fmt::Write as _;

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

/// Control characters, line and paragraph separators, and what is invisible: the bidirectional controls (Unicode UAX 9),
/// zero-width and tag characters.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
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
}
