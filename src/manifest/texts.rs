//! The kinds of strings in NVIDIA's files, and what is wrong with one that is none.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::version::Version;
use crate::hash::{Md5, Sha256};
use crate::relpath::{RelPath, RelPathError};
use crate::shape::{Test, Text};
use crate::text;

const fn text(
    expected: &'static str,
    judge: fn(&str) -> Result<(), String>,
    pattern: &'static str,
) -> Text {
    Text {
        expected: Cow::Borrowed(expected),
        test: Test::By(judge),
        pattern: Some(Cow::Borrowed(pattern)),
    }
}

/// Any string.
pub(super) static STRING: Text = Text {
    expected: Cow::Borrowed("a string"),
    test: Test::By(|_| Ok(())),
    pattern: None,
};

/// Words for people.
pub(super) static LINE: Text = text(
    "a line of text, not empty",
    |line| match line {
        "" => Err(empty()),
        _ if line.chars().any(char::is_control) => Err(text::quote(line)),
        _ => Ok(()),
    },
    r"^[^\u0000-\u001f\u007f-\u009f]+$",
);

/// The name of a package, platform or variant. It becomes part of attribute paths and of store paths.
pub static NAME: Text = text(
    NAME_EXPECTED,
    judge_name,
    r"^[A-Za-z0-9_+][A-Za-z0-9_.+-]*$",
);

/// The key of an archive among the variants of a platform: `cuda12`, `cuda13.2`.
pub(super) static VARIANT: Text = text(
    "a variant such as `cuda12` or `cuda13.2`",
    judge_name,
    r"^[A-Za-z0-9_+][A-Za-z0-9_.+-]*$",
);

/// `12.9.86`, `25.5`, `9.8.0.87`.
pub(super) static VERSION: Text = text(VERSION_EXPECTED, judge_version, r"^[0-9]+(\.[0-9]+)*$");

/// `12`.
pub(super) static MAJOR: Text = text(
    "a version of 1 part such as `12`",
    |text| judge_parts(text, 1),
    r"^[0-9]+$",
);

/// `12.9`.
pub(super) static MAJOR_MINOR: Text = text(
    "a version of 2 parts such as `12.9`",
    |text| judge_parts(text, 2),
    r"^[0-9]+\.[0-9]+$",
);

/// `12.9.1`.
pub(super) static MAJOR_MINOR_PATCH: Text = text(
    "a version of 3 parts such as `12.9.1`",
    |text| judge_parts(text, 3),
    r"^[0-9]+\.[0-9]+\.[0-9]+$",
);

/// `9.8.0.87`.
pub(super) static MAJOR_MINOR_PATCH_BUILD: Text = text(
    "a version of 4 parts such as `9.8.0.87`",
    |text| judge_parts(text, 4),
    r"^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$",
);

/// SHA-256 as NVIDIA writes it.
pub(super) static SHA256: Text = text(
    Sha256::HEX,
    |text| Sha256::check_hex(text).map_err(|error| error.found().to_owned()),
    r"^[0-9a-f]{64}$",
);

/// MD5 as NVIDIA writes it.
pub(super) static MD5: Text = text(
    Md5::HEX,
    |text| Md5::check_hex(text).map_err(|error| error.found().to_owned()),
    r"^[0-9a-f]{32}$",
);

/// SHA-256 as an SRI hash. The last of 43 base64 characters stands for 4 bits and 2 that are 0. The padding may be absent, as in
/// one hash of cuDNN's release expressions.
pub(super) static SRI_HASH: Text = text(
    Sha256::SRI,
    |text| {
        Sha256::from_sri(text)
            .map(|_| ())
            .map_err(|error| error.found().to_owned())
    },
    r"^sha256-[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=?$",
);

/// SHA-256 in Nix's base 32. 52 characters hold 260 bits, so the first is 0 or 1.
pub(super) static NIX32_HASH: Text = text(
    Sha256::NIX32,
    |text| {
        Sha256::from_nix32(text)
            .map(|_| ())
            .map_err(|error| error.found().to_owned())
    },
    r"^[01][0-9a-df-np-sv-z]{51}$",
);

/// SHA-256 in any of the three notations.
pub(super) static HASH: Text = text(
    "a SHA-256: 64 lowercase hex digits, an SRI hash (`sha256-...`), or 52 characters of Nix's base 32",
    |text| {
        Sha256::from_any(text)
            .map(|_| ())
            .map_err(|error| error.found().to_owned())
    },
    r"^([0-9a-f]{64}|sha256-[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=?|[01][0-9a-df-np-sv-z]{51})$",
);

/// A size in bytes. A schema cannot say that it fits into 64 bits.
pub(super) static SIZE: Text = text(
    "a string of decimal digits (bytes)",
    |text| read_size(text).map(|_| ()),
    r"^[0-9]+$",
);

/// Where a file lies below its product's address; or, in manifests of NVIDIA's channels, in the pool beside it.
pub(super) static RELATIVE_PATH: Text = text(
    "a relative path that stays below the product's address",
    |path| match RelPath::check(path.strip_prefix(POOL).unwrap_or(path)) {
        Ok(()) => Ok(()),
        Err(RelPathError::Empty | RelPathError::Absolute { .. }) if path.starts_with(POOL) => {
            Err(format!("{} without a file in the pool", text::quote(path)))
        }
        Err(RelPathError::Empty) => Err(empty()),
        Err(RelPathError::Absolute { .. }) => {
            Err(format!("the absolute path {}", text::quote(path)))
        }
        Err(RelPathError::Component { component, .. }) => Err(format!(
            "{} with the component `{component}`",
            text::quote(path)
        )),
        Err(RelPathError::Character { .. }) => Err(format!(
            "{} with a backslash or control character",
            text::quote(path)
        )),
    },
    r"^(\.\./\.\./\.\./pool/)?(?!\.{0,2}(/|$))([^/\\\u0000-\u001f\u007f-\u009f]+/(?!\.{0,2}(/|$)))*[^/\\\u0000-\u001f\u007f-\u009f]+$",
);

/// How the paths of a channel's manifest begin. Source: NVIDIA's bin-archive channels, `nvidia-binarchive` 0.7.0.
pub(super) const POOL: &str = "../../../pool/";

/// `2025-06-04`.
pub(super) static DATE: Text = text(
    "a date such as `2025-06-04` (year-month-day)",
    |date| match judge_date(date) {
        true => Ok(()),
        false if date.is_empty() => Err(empty()),
        false => Err(text::quote(date)),
    },
    r"^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))$|^([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29$",
);

/// An architecture as `cuobjdump` and NVCC name it: `sm_90a`.
pub(super) static CUDA_ARCH: Text = text(
    "a CUDA architecture such as `sm_90`, `sm_90a` or `sm_120f`",
    |arch| {
        let number = arch
            .strip_prefix("sm_")
            .map(|rest| rest.strip_suffix(['a', 'f']).unwrap_or(rest));
        match number.map(str::as_bytes) {
            Some([b'1'..=b'9', rest @ ..])
                if matches!(rest.len(), 1 | 2) && rest.iter().all(u8::is_ascii_digit) =>
            {
                Ok(())
            }
            _ => Err(quoted(arch)),
        }
    },
    r"^sm_[1-9][0-9]{1,2}[af]?$",
);

/// A compute capability: `9.0`, `9.0a`, `12.0f`.
pub(super) static CUDA_CAPABILITY: Text = text(
    "a CUDA capability such as `9.0`, `9.0a` or `12.0f`",
    |capability| {
        let number = capability
            .strip_suffix(['a', 'f'])
            .unwrap_or(capability)
            .split_once('.');
        let is_capability = number.is_some_and(|(major, minor)| {
            matches!(major.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9'])
                && matches!(minor.as_bytes(), [b'0'..=b'9'])
        });
        match is_capability {
            true => Ok(()),
            false => Err(quoted(capability)),
        }
    },
    r"^[1-9][0-9]?\.[0-9][af]?$",
);

/// The name of a shared library: `libcudart.so.12`.
pub(super) static LIB_SO_NAME: Text = text(
    "the name of a shared library such as `libcudart.so.12`",
    |name| {
        let is_file_name = !name.contains(['/', '\\']) && !name.chars().any(char::is_control);
        // The version is at the end: everything behind the last `.so`.
        let is_versioned = name.rfind(".so").is_some_and(|at| {
            let rest = name.get(at..).unwrap_or_default();
            let rest = rest.strip_prefix(".so").unwrap_or_default();
            at > 0 && (rest.is_empty() || rest.strip_prefix('.').is_some_and(is_digits_and_dots))
        });
        match is_file_name && is_versioned {
            true => Ok(()),
            false => Err(quoted(name)),
        }
    },
    r"^[^/\\\u0000-\u001f\u007f-\u009f]+\.so(\.[0-9]+)*$",
);

/// A file name, without a folder.
pub(super) static FILE_NAME: Text = text(
    "a file name, without a folder",
    |name| match RelPath::new(name) {
        Ok(path) if path.components().count() == 1 => Ok(()),
        _ => Err(quoted(name)),
    },
    r"^(?!\.{0,2}$)[^/\\\u0000-\u001f\u007f-\u009f]+$",
);

/// Where a file is fetched from: of printable ASCII, as RFC 3986 has it.
pub(super) static URL: Text = text(
    "an absolute URL (`https://`, `http://` or `file://`)",
    |url| {
        let rest = ["https://", "http://", "file://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        match rest {
            Some(rest) if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(())
            }
            _ => Err(quoted(url)),
        }
    },
    r"^(https?|file)://[!-~]+$",
);

/// The size in bytes that `text` says. The error completes `found ...`.
///
/// # Errors
/// Anything but decimal digits, or more than 64 bits can hold.
pub fn read_size(text: &str) -> Result<u64, String> {
    match text {
        "" => Err(empty()),
        _ if !text.bytes().all(|byte| byte.is_ascii_digit()) => Err(text::quote(text)),
        _ => text
            .parse()
            .map_err(|_| format!("{}, more than 64 bits can hold", text::quote(text))),
    }
}

/// What [`judge_name`] reads, for messages.
pub(super) const NAME_EXPECTED: &str =
    "a name of letters, digits, `_`, `-`, `.` and `+`, not starting with `.` or `-`";

/// Is `text` a name? The error completes `found ...`.
pub(super) fn judge_name(text: &str) -> Result<(), String> {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+');
    match text.as_bytes().first() {
        None => Err(empty()),
        Some(first) if !matches!(first, b'.' | b'-') && text.bytes().all(allowed) => Ok(()),
        Some(_) => Err(text::quote(text)),
    }
}

/// What [`judge_version`] reads, for messages.
pub(super) const VERSION_EXPECTED: &str = "a version of digits and dots";

/// Is `text` a version? The error completes `found ...`.
pub(super) fn judge_version(text: &str) -> Result<(), String> {
    match text {
        "" => Err(empty()),
        _ if is_digits_and_dots(text) => Ok(()),
        _ => Err(text::quote(text)),
    }
}

fn judge_parts(text: &str, count: usize) -> Result<(), String> {
    judge_version(text)?;
    match text.split('.').count() == count {
        true => Ok(()),
        false => Err(text::quote(text)),
    }
}

/// One or more numbers with dots between them.
fn is_digits_and_dots(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('.').all(part)
}

/// How two versions are ordered; `None` when one is none.
pub(super) fn compare_versions(left: &str, right: &str) -> Option<Ordering> {
    let version = |text: &str| text.parse::<Version>().ok();
    Some(version(left)?.cmp(&version(right)?))
}

/// A day that is in the calendar.
fn judge_date(date: &str) -> bool {
    let number = |digits: &[u8]| {
        let mut value = 0_u32;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u32::from(digit - b'0');
        }
        Some(value)
    };
    let &[a, b, c, d, b'-', e, f, b'-', g, h] = date.as_bytes() else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) =
        (number(&[a, b, c, d]), number(&[e, f]), number(&[g, h]))
    else {
        return false;
    };
    let days = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

fn empty() -> String {
    "an empty string".to_owned()
}

/// `text` as found: quoted, or that it is empty.
fn quoted(text: &str) -> String {
    match text {
        "" => empty(),
        _ => text::quote(text),
    }
}
