//! `builtins.cudaRedist.verifyFile`.

use std::ffi::CStr;
use std::io;

use super::abi::{Host, Stop, Value};
use super::{guard, view};
use crate::hash::{self, Expected, Sha256};
use crate::text;

pub(super) const DOC: &CStr = c"
Compares the SHA-256 of a file with the one it must have, while the expression is evaluated.

- `path`: a path, or a string with an absolute path; it must name a regular file. The evaluator's rules for reading
  files apply (pure and restricted evaluation; a derivation's output is built first). The file may hold any bytes.
- `sha256`: 64 lowercase hex digits, an SRI hash (`sha256-` and base64), or 52 characters of Nix's base 32.

Returns `path` as it was given. Another hash is an error that shows both and that `builtins.tryEval` catches, like
`throw`; an unreadable file or a wrong argument is one that it does not catch.

```nix
builtins.cudaRedist.verifyFile {
  path = ./cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz;
  sha256 = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\";
}
```
";

guard::guard!("verifyFile", verify_file);

fn verify_file(host: &Host<'_>, argument: Value) -> Result<(), Stop> {
    let [path, sha256] = view::closed_attrs(host, argument, "its argument", ["path", "sha256"])?;
    let sha256 = read_sha256(view::plain_string(host, sha256, "sha256")?)?;
    let (file, name) = host.open_file(path)?;
    let mut stopped = None;
    let expected = Expected {
        sha256,
        md5: None,
        size_bytes: None,
    };
    // Asked before each chunk, so a long hashing can be interrupted.
    let verdict = hash::verify_watched(file, &text::printable(&name), &expected, || {
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
    host.give(path)
}

fn read_sha256(given: &str) -> Result<Sha256, Stop> {
    let read = match given.len() {
        _ if given.contains('-') => Sha256::from_sri(given),
        52 => Sha256::from_nix32(given),
        _ => Sha256::from_hex(given),
    };
    read.map_err(|error| {
        Stop::Argument(format!(
            "`sha256`: expected {}, {}, or {}, found {}",
            Sha256::HEX,
            Sha256::SRI,
            Sha256::NIX32,
            error.found()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_notations_of_one_hash_are_read() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let sha256 = Sha256::from_hex(hex).unwrap();
        for text in [hex.to_owned(), sha256.to_sri(), sha256.to_nix32()] {
            assert_eq!(read_sha256(&text).unwrap(), sha256, "{text}");
        }
        for (text, found) in [
            ("", "found an empty string"),
            ("sha512-x", "found the algorithm `sha512`"),
            (
                "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
                "found",
            ),
            (
                "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
                "found 43 characters after `sha256-`",
            ),
        ] {
            let Err(Stop::Argument(message)) = read_sha256(text) else {
                panic!("{text} was read")
            };
            assert!(message.contains(found), "{text}: {message}");
        }
    }
}
