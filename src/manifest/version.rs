//! Versions as NVIDIA writes them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::texts;

/// A version: `12.9.86`, `25.5`, `9.8.0.87`.
///
/// **Shape**: parts of ASCII digits joined by dots. Ordered by the parts as numbers of any size (`12.10` comes after
/// `12.9`), a missing part coming before 0; versions that differ only in leading zeros (`24.03`, `24.3`) are ordered by
/// their text, so that the order agrees with equality.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(String);

/// Why a text is no [`Version`]. Its `Display` is `expected X, found Y`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}, found {found}", texts::VERSION_EXPECTED)]
pub struct VersionError {
    found: String,
}

impl Version {
    /// The text, as in the manifest.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts, most significant first, as digits; never empty.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Version, VersionError> {
        texts::judge_version(text).map_err(|found| VersionError { found })?;
        Ok(Version(text.to_owned()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        // Digits without leading zeros compare as numbers do: by length, then by text.
        fn number(part: &str) -> (usize, &str) {
            let digits = part.trim_start_matches('0');
            (digits.len(), digits)
        }
        self.parts()
            .map(number)
            .cmp(other.parts().map(number))
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers() {
        let sorted = [
            "8",
            "9.8",
            "9.8.0",
            "9.8.0.87",
            "11.8.89",
            "12.9",
            "12.10",
            "24.03",
            "24.3",
            "99999999999999999999999",
        ];
        for pair in sorted.windows(2) {
            let [a, b] = [&pair[0], &pair[1]].map(|text| text.parse::<Version>().unwrap());
            assert!(a < b && a != b, "{a} {b}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", ".", "1.", ".1", "1..2", "1.2a", "1-2", " 1", "١"] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
        insta::assert_snapshot!("12.9-rc1".parse::<Version>().unwrap_err(), @"expected a version of digits and dots, found `12.9-rc1`");
    }
}
