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
        let owned = || path.to_owned();
        if path.is_empty() {
            return Err(RelPathError::Empty);
        }
        if path.starts_with('/') {
            return Err(RelPathError::Absolute { path: owned() });
        }
        if path.chars().any(|c| c == '\\' || c.is_control()) {
            return Err(RelPathError::Character { path: owned() });
        }
        for refused in ["", ".", ".."] {
            if path.split('/').any(|component| component == refused) {
                return Err(RelPathError::Component { path: owned(), component: refused });
            }
        }
        Ok(RelPath(owned()))
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
        for bad in ["", "/a", "a//b", "a/", "./a", "a/../b", "..", "a\\b", "a\nb", "a\0"] {
            assert!(RelPath::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(RelPath::new("a/b").unwrap().file_name(), "b");
    }
}
