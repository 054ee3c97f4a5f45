//! `builtins.cudaRedist.verifyFile`.

use std::collections::HashSet;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::abi::{Host, Seen, Stop, Value};
use super::{guard, view};
use crate::hash::{self, Expected, Md5, Sha256};
use crate::manifest;

pub(super) const VERIFY_FILE: &CStr = c"
Compares a file with what it must be, while the expression is evaluated, in one pass over its bytes.

- `path`: a path, or a string with an absolute path; it must name a regular file. The evaluator's rules for reading
  files apply (pure and restricted evaluation; a derivation's output is built first). The file may hold any bytes and be of
  any size: it is read piece by piece.
- `sha256`, or `hash`: 64 lowercase hex digits, an SRI hash (`sha256-` and base64), or 52 characters of Nix's base 32.
- `md5` (may be absent): 32 lowercase hex digits.
- `size` (may be absent): bytes, as an integer or a string of decimal digits, as in manifests.

Returns `path` as it was given. A difference is an error that shows both sides and that `builtins.tryEval` catches, like
`throw`; an unreadable file or a wrong argument is one that it does not catch. A file in the store is read once in an
evaluation, however often it is verified.

```nix
builtins.cudaRedist.verifyFile {
  path = ./cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz;
  sha256 = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\";
}
```
";

guard::guard!(verify_file_export, "verifyFile", verify_file);

/// Files in the store that were verified in this process, and as what.
static VERIFIED: LazyLock<Mutex<HashSet<(Identity, Expected)>>> = LazyLock::new(Mutex::default);

/// One state of one file. Files in the store do not change; that they did is seen in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(file: &File) -> Option<Identity> {
        let status = file.metadata().ok()?;
        Some(Identity {
            device: status.dev(),
            inode: status.ino(),
            size_bytes: status.size(),
            modified: (status.mtime(), status.mtime_nsec()),
            changed: (status.ctime(), status.ctime_nsec()),
        })
    }
}

fn verify_file(host: &Host<'_>, [argument]: [Value; 1]) -> Result<(), Stop> {
    let names = ["path", "sha256", "hash", "md5", "size"];
    let [path, sha256, hash, md5, size] =
        view::closed_attrs(host, argument, "its argument", names)?;
    let Some(path) = path else {
        let message = "expected the attribute `path` in its argument, found none";
        return Err(Stop::Argument(message.to_owned()));
    };
    let (name, sha256) = match (sha256, hash) {
        (Some(sha256), None) => ("sha256", sha256),
        (None, Some(hash)) => ("hash", hash),
        (None, None) => {
            let message =
                "expected the attribute `sha256` or `hash` in its argument, found neither";
            return Err(Stop::Argument(message.to_owned()));
        }
        (Some(_), Some(_)) => {
            let message =
                "expected one of the attributes `sha256` and `hash` in its argument, found both";
            return Err(Stop::Argument(message.to_owned()));
        }
    };
    let expected = Expected {
        sha256: read_sha256(name, view::plain_string(host, sha256, name)?)?,
        md5: md5
            .map(|md5| read_md5(view::plain_string(host, md5, "md5")?))
            .transpose()?,
        size_bytes: size.map(|size| read_size(host, size)).transpose()?,
    };
    let name = host.path_name(path)?;
    let (file, in_store) = host.open_file(path)?;
    let kind = file.metadata().map(|status| status.file_type());
    if let Some(found) = kind.ok().filter(|kind| !kind.is_file()) {
        let found = if found.is_dir() {
            "a directory"
        } else {
            "a special file"
        };
        return Err(Stop::Argument(format!(
            "{name}: expected a regular file, found {found}"
        )));
    }
    let known = match Identity::of(&file) {
        Some(identity) if in_store => Some((identity, expected.clone())),
        _ => None,
    };
    if let Some(known) = &known
        && VERIFIED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(known)
    {
        return host.give(path);
    }
    let mut stopped = None;
    // Asked before each chunk, so a long hashing can be interrupted.
    let verdict = hash::verify_watched(file, &name, &expected, || {
        host.check_interrupt().map_err(|stop| {
            stopped = Some(stop);
            io::Error::other("stopped by the user")
        })
    });
    // The user's Ctrl-C comes first: the verdict then is only that the reading ended early.
    if let Some(stop) = stopped {
        return Err(stop);
    }
    verdict?;
    VERIFIED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(known);
    host.give(path)
}

fn read_sha256(name: &str, given: &str) -> Result<Sha256, Stop> {
    Sha256::from_any(given).map_err(|error| {
        Stop::Argument(format!(
            "`{name}`: expected {}, {}, or {}, found {}",
            Sha256::HEX,
            Sha256::SRI,
            Sha256::NIX32,
            error.found()
        ))
    })
}

fn read_md5(given: &str) -> Result<Md5, Stop> {
    Md5::from_hex(given).map_err(|error| {
        Stop::Argument(format!(
            "`md5`: expected {}, found {}",
            Md5::HEX,
            error.found()
        ))
    })
}

fn read_size(host: &Host<'_>, value: Value) -> Result<u64, Stop> {
    let refuse = |found: String| {
        let expected = "a size in bytes (an integer, or a string of decimal digits)";
        Err(Stop::Argument(format!(
            "`size`: expected {expected}, found {found}"
        )))
    };
    match host.look(value)? {
        Seen::Int(size) => match u64::try_from(size) {
            Ok(size) => Ok(size),
            Err(_) => refuse(format!("the number {size}")),
        },
        Seen::String(_) => {
            let size = view::plain_string(host, value, "size")?;
            match manifest::read_size(size) {
                Ok(size) => Ok(size),
                Err(found) => refuse(found),
            }
        }
        other => refuse(other.name().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_notations_of_one_hash_are_read() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let sha256 = Sha256::from_hex(hex).unwrap();
        for text in [hex.to_owned(), sha256.to_sri(), sha256.to_nix32()] {
            assert_eq!(read_sha256("hash", &text).unwrap(), sha256, "{text}");
        }
        for (text, found) in [
            ("", "found an empty string"),
            ("sha512-x", "found the algorithm `sha512`"),
            (
                "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
                "found",
            ),
            (
                "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF",
                "found 42 characters after `sha256-`",
            ),
        ] {
            let Err(Stop::Argument(message)) = read_sha256("hash", text) else {
                panic!("{text} was read")
            };
            assert!(message.contains(found), "{text}: {message}");
        }
    }
}
