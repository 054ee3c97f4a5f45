//! Globs over the paths of a package.

use globset::{GlobBuilder, GlobMatcher};

use super::OutputName;
use crate::relpath::RelPath;
use crate::text;

/// A glob: `*` and `?` stay inside a folder, `**` crosses folders, `{a,b}` and `[0-9]` are choices.
#[derive(Clone, Debug)]
pub struct Pattern(GlobMatcher);

/// Why a text is no [`Pattern`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("expected a glob, found {}", text::quote(.found))]
pub struct PatternError {
    found: String,
    #[source]
    source: globset::Error,
}

impl Pattern {
    /// Reads `glob`.
    ///
    /// # Errors
    /// Brackets or braces do not close.
    pub fn new(glob: &str) -> Result<Pattern, PatternError> {
        let matcher = GlobBuilder::new(glob)
            .literal_separator(true)
            .build()
            .map_err(|source| PatternError {
                found: glob.to_owned(),
                source,
            })?;
        Ok(Pattern(matcher.compile_matcher()))
    }

    /// Does it match the whole of `path`?
    pub fn matches(&self, path: &RelPath) -> bool {
        self.0.is_match(path.as_str())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }
}

/// Which paths go to which output.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<(OutputName, Vec<Pattern>)>);

impl Patterns {
    /// Outputs are asked in their own order, whatever the order here.
    pub fn new(mut patterns: Vec<(OutputName, Vec<Pattern>)>) -> Patterns {
        patterns.sort_by_key(|(output, _)| *output);
        Patterns(patterns)
    }

    /// Each pattern and its output.
    pub fn iter(&self) -> impl Iterator<Item = (OutputName, &Pattern)> {
        let all = self.0.iter();
        all.flat_map(|(output, patterns)| patterns.iter().map(|pattern| (*output, pattern)))
    }

    /// The outputs that claim `path`, in order.
    pub fn claims(&self, path: &RelPath) -> impl Iterator<Item = OutputName> {
        self.0
            .iter()
            .filter(|(_, patterns)| patterns.iter().any(|pattern| pattern.matches(path)))
            .map(|(output, _)| *output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_in_a_folder_and_pairs_of_them_do_not() {
        for (glob, path, expected) in [
            ("lib/*.so*", "lib/libx.so.1", true),
            ("lib/*.so*", "lib/a/libx.so.1", false),
            ("lib/**/*.so*", "lib/a/b/libx.so", true),
            ("lib/**/*.so*", "lib/libx.so", true),
            ("lib/**", "lib/a/b", true),
            ("*.h", "include/x.h", false),
            ("{bin,sbin}/*", "sbin/x", true),
            ("lib/libx.so.[0-9]", "lib/libx.so.1", true),
        ] {
            let pattern = Pattern::new(glob).unwrap();
            let path = RelPath::new(path).unwrap();
            assert_eq!(pattern.matches(&path), expected, "{glob} {path}");
            assert_eq!(pattern.as_str(), glob);
        }
        assert!(Pattern::new("lib/[x").is_err());
    }
}
