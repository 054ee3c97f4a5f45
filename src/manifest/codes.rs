//! What each code of a problem means.

/// A kind of problem.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// What machines know it by; stable: `missing-key`.
    pub name: &'static str,
    /// What it means, in a sentence without a period.
    pub doc: &'static str,
}

/// All kinds of problems that judging files can find, sorted by name.
pub static CODES: &[Code] = &[
    code(
        "duplicate-key",
        "an object has a key twice; JSON readers keep one of the values and drop the other",
    ),
    code("empty-folder", "no `*.json` file lies below a folder"),
    code(
        "hash-reuse",
        "two files are listed with the same hash, so one of them can never be fetched",
    ),
    code("integer", "an integer is larger than Nix can hold"),
    code("key", "a key is not what keys in this place must be"),
    code(
        "label",
        "`release_label` is not the label in the file's name",
    ),
    code("missing-key", "an object lacks a key that it must have"),
    code(
        "nesting",
        "archives are nested by variant without a list of variants, or not nested with one",
    ),
    code(
        "nul",
        "a string holds the character NUL, which Nix cannot hold",
    ),
    code(
        "order",
        "the lower one of two versions is above the higher one",
    ),
    code(
        "path",
        "a path or file name does not agree with package, platform, version and variant",
    ),
    code(
        "plan",
        "a plan asks for something that cannot be carried out",
    ),
    code("platform", "a platform is none that NVIDIA is known to use"),
    code(
        "pool",
        "some paths of a manifest lead into a channel's pool, and others do not",
    ),
    code(
        "product",
        "`release_product` is not the product that was asked for, or the folder's",
    ),
    code("shape", "a shape expression is none"),
    code("size", "a file is too large to be judged"),
    code("syntax", "a text is not JSON"),
    code("type", "a value is of another type than it must be"),
    code("unknown-key", "an object has a key that it must not have"),
    code("unreadable", "a file or folder cannot be read"),
    code("utf-8", "a text is not UTF-8"),
    code("value", "a string or number is not what it must be"),
    code(
        "variant",
        "the list of variants and the variants that there are do not agree",
    ),
];

/// What the code `name` means; empty for one that is in no table, which tests rule out.
pub fn meaning(name: &str) -> &'static str {
    let found = CODES.iter().find(|code| code.name == name);
    found.map_or("", |code| code.doc)
}

const fn code(name: &'static str, doc: &'static str) -> Code {
    Code { name, doc }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_each_is_there_once() {
        assert!(CODES.is_sorted_by(|left, right| left.name < right.name));
    }
}
