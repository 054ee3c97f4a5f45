//! Where something is: attribute paths and positions in a text.

use std::fmt;

use crate::text;

/// A path from the root of a value, as a list on the stack of who walks it: growing it costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Path<'p> {
    outer: Option<&'p Path<'p>>,
    step: Step<'p>,
}

/// One step of a [`Path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'p> {
    /// The value itself; only a path's first step.
    Root,
    /// A member of a record.
    Key(&'p str),
    /// An item of a list, counted from 0.
    Item(usize),
}

impl Path<'static> {
    /// The path of the whole value; its text is empty.
    pub const ROOT: Path<'static> = Path {
        outer: None,
        step: Step::Root,
    };
}

impl<'p> Path<'p> {
    /// The key that its last step is; `None` when that is none.
    pub fn last_key(&self) -> Option<&'p str> {
        match self.step {
            Step::Key(key) => Some(key),
            Step::Root | Step::Item(_) => None,
        }
    }

    /// The path of the member `key`.
    pub fn key<'q>(&'q self, key: &'q str) -> Path<'q>
    where
        'p: 'q,
    {
        Path {
            outer: Some(self),
            step: Step::Key(key),
        }
    }

    /// The path of item `number`, counted from 0.
    pub fn item<'q>(&'q self, number: usize) -> Path<'q>
    where
        'p: 'q,
    {
        Path {
            outer: Some(self),
            step: Step::Item(number),
        }
    }
}

/// As in Nix: `cuda_cudart.linux-x86_64.sha256`, `cuda_variant[2]`; a key that Nix would quote is quoted:
/// `a."two words"`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(outer) = self.outer else {
            return Ok(());
        };
        outer.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Item(number) => write!(f, "[{number}]"),
            Step::Key(key) => {
                if outer.outer.is_some() {
                    f.write_str(".")?;
                }
                write_key(f, key)
            }
        }
    }
}

/// How many characters of one key a path shows.
const KEY_CHARS: usize = 60;

fn write_key(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    let cut = key.char_indices().nth(KEY_CHARS).map(|(at, _)| at);
    let shown = cut.and_then(|at| key.get(..at)).unwrap_or(key);
    // Only what is shown is looked at: a hostile key may be very long, and in many paths.
    let mut bytes = shown.bytes();
    let plain = bytes
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'\''));
    let dots = if cut.is_some() { "..." } else { "" };
    if plain {
        write!(f, "{shown}{dots}")
    } else {
        let escaped = shown.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{}{dots}\"", text::printable(&escaped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_nix() {
        let root = Path::ROOT;
        let package = root.key("cuda_cudart");
        let platform = package.key("linux-x86_64");
        assert_eq!(root.to_string(), "");
        assert_eq!(
            platform.key("sha256").to_string(),
            "cuda_cudart.linux-x86_64.sha256"
        );
        assert_eq!(
            package.key("cuda_variant").item(2).to_string(),
            "cuda_cudart.cuda_variant[2]"
        );
        assert_eq!(root.item(0).item(1).key("a").to_string(), "[0][1].a");
        for (key, expected) in [
            ("a.b", "\"a.b\""),
            ("", "\"\""),
            ("12", "\"12\""),
            ("two words", "\"two words\""),
            ("q\"\\", "\"q\\\"\\\\\""),
            ("\u{1b}[31m", "\"\\u{1b}[31m\""),
            ("grün", "\"grün\""),
        ] {
            assert_eq!(root.key(key).to_string(), expected, "{key:?}");
        }
        assert_eq!(
            root.key(&"k".repeat(99)).to_string(),
            format!("{}...", "k".repeat(60))
        );
    }
}
