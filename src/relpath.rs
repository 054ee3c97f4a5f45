//! A path that cannot leave its root.

use std::fmt;
use std::path::Path;

use crate::text;

/// **Shape**: one or more components joined by `/`; none is empty, `.` or `..`; no backslash, no control
/// character; valid UTF-8. Joined to a directory without symbolic links it therefore stays inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

/// Why a text is no [`RelPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelPathError {
    /// The text is empty.
    #[error("expected a relative path, found an empty one")]
    Empty,
    /// The text starts with `/`.
    #[error("expected a relative path, found the absolute path {}", text::quote(.path))]
    Absolute {
        /// The whole text.
        path: String,
    },
    /// A component is empty, `.` or `..`.
    #[error("expected a path that stays inside its root, found {} with the component `{component}`", text::quote(.path))]
    Component {
        /// The whole text.
        path: String,
        /// The component that is refused.
        component: &'static str,
    },
    /// A backslash or a control character is in it.
    #[error("expected a path without backslashes and control characters, found {}", text::quote(.path))]
    Character {
        /// The whole text.
        path: String,
    },
}

impl RelPath {
    /// Reads a relative path.
    ///
    /// # Errors
    /// See [`RelPathError`]: anything that is not of the type's shape.
    pub fn new(path: &str) -> Result<RelPath, RelPathError> {
        RelPath::check(path).map(|()| RelPath(path.to_owned()))
    }

    /// Would [`RelPath::new`] read it? Allocates only for the error.
    ///
    /// # Errors
    /// Those of [`RelPath::new`].
    pub fn check(path: &str) -> Result<(), RelPathError> {
        let owned = || path.to_owned();
        if path.is_empty() {
            return Err(RelPathError::Empty);
        }
        if path.starts_with('/') {
            return Err(RelPathError::Absolute { path: owned() });
        }
        // Manifests hold thousands of these, nearly all of them plain: two passes without branches, which compilers
        // turn into vector code, find out whether the exact look below is needed.
        let bytes = path.as_bytes();
        let is_odd = |byte: u8| !matches!(byte, b' '..=b'~') | (byte == b'\\');
        if bytes.iter().fold(false, |odd, byte| odd | is_odd(*byte))
            && path.chars().any(|c| c == '\\' || c.is_control())
        {
            return Err(RelPathError::Character { path: owned() });
        }
        // An empty component, `.` and `..` all begin with a slash or a dot.
        let begins_oddly =
            |before: u8, byte: u8| (before == b'/') & ((byte == b'/') | (byte == b'.'));
        let pairs = bytes.iter().zip(bytes.iter().skip(1));
        let is_plain = !path.starts_with('.')
            & !path.ends_with('/')
            & !pairs.fold(false, |odd, (before, byte)| {
                odd | begins_oddly(*before, *byte)
            });
        if is_plain {
            return Ok(());
        }
        for component in bytes.split(|byte| *byte == b'/') {
            let refused = match component {
                b"" => "",
                b"." => ".",
                b".." => "..",
                _ => continue,
            };
            return Err(RelPathError::Component {
                path: owned(),
                component: refused,
            });
        }
        Ok(())
    }

    /// The text, components joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components, outermost first; never empty.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl AsRef<Path> for RelPath {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_paths_that_stay_inside() {
        for good in ["a", "a/b.c", "...", "lib/libfoo.so.12", "-x"] {
            assert_eq!(RelPath::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "/a", "a//b", "a/", "./a", "a/../b", "..", "a\\b", "a\nb", "a\0",
        ] {
            assert!(RelPath::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(RelPath::new("a/b").unwrap().file_name(), "b");
    }

    #[test]
    fn the_quick_look_and_the_exact_one_agree() {
        let exact = |path: &str| {
            !path.is_empty()
                && !path.chars().any(|c| c == '\\' || c.is_control())
                && path
                    .split('/')
                    .all(|component| !matches!(component, "" | "." | ".."))
        };
        let mut paths = vec![String::new()];
        for _ in 0..5 {
            let longer = paths.iter().flat_map(|path| {
                ["a", ".", "/", "\\", "\u{85}", "ü"].map(|end| format!("{path}{end}"))
            });
            paths = paths.iter().cloned().chain(longer).collect();
            paths.sort();
            paths.dedup();
        }
        assert!(paths.len() > 5000);
        for path in paths {
            assert_eq!(RelPath::check(&path).is_ok(), exact(&path), "{path:?}");
        }
    }
}
