//! Which name was meant.

/// The one of `names` that `typed` most likely meant: at most two typing errors away, and most of it right.
pub fn near<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .filter_map(|name| {
            let limit = (name.len() / 3).min(2);
            // Longer keys cannot be near, and hostile ones may be very long.
            (typed.len() <= name.len() + 2)
                .then(|| (distance(typed, name), name))
                .filter(|(far, _)| *far <= limit)
        })
        .min()
        .map(|(_, name)| name)
}

/// How many characters must be inserted, removed, replaced or swapped with their neighbour to make `left` from `right`.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, l) in left.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut least =
                (at(&above, column) + usize::from(l != *r)).min(at(&above, column + 1) + 1);
            least = least.min(at(&line, column) + 1);
            let crossed = column
                .checked_sub(1)
                .filter(|c| right.get(*c) == Some(&l) && previous == Some(*r));
            if let Some(column) = crossed {
                least = least.min(at(&before, column) + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
        previous = Some(l);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_proposed() {
        let names = ["license", "license_path", "version", "md5", "size"];
        for (typed, expected) in [
            ("licence", Some("license")),
            ("licens", Some("license")),
            ("licnese", Some("license")),
            ("verison", Some("version")),
            ("license-path", Some("license_path")),
            ("md6", Some("md5")),
            ("Size", Some("size")),
            ("seize", Some("size")),
            ("linux-x86_64", None),
            ("", None),
            ("sides", None),
        ] {
            assert_eq!(near(typed, names.into_iter()), expected, "{typed:?}");
        }
        assert_eq!(near(&"x".repeat(1 << 20), names.into_iter()), None);
    }
}
