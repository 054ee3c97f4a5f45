//! Digests: values, their notations, and computing them.

use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc;
use std::thread;

use data_encoding::{BASE64, DecodeKind, HEXLOWER};
use sha2::Digest as _;

use crate::text;

/// What SRI texts of SHA-256 start with.
const SRI_PREFIX: &str = "sha256-";

/// How many bytes are read and hashed at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// The same where SHA-256 is all: what was read is still in the processor's nearest cache when it is hashed.
const SMALL_CHUNK_BYTES: usize = 32 * 1024;

/// How many chunks may wait for the MD5 thread; more would only cost memory.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Why a text is no digest. Its `Display` is `expected X, found Y`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct DigestError {
    expected: &'static str,
    found: String,
}

impl DigestError {
    /// What was found instead, for messages that name what was expected themselves.
    pub fn found(&self) -> &str {
        &self.found
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

/// An MD5 digest. It tells a damaged file from a whole one, not an honest one from a forged one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Md5([u8; 16]);

impl Sha256 {
    /// What [`Sha256::from_hex`] reads, for messages.
    pub const HEX: &'static str = "64 lowercase hex digits";

    /// What [`Sha256::from_sri`] reads, for messages.
    pub const SRI: &'static str = "`sha256-` and 44 base64 characters";

    /// What [`Sha256::from_nix32`] reads, for messages.
    pub const NIX32: &'static str =
        "52 characters of Nix's base 32 (digits and lowercase letters without e, o, t, u)";

    /// Reads any of the three notations: hex, SRI, Nix's base 32.
    ///
    /// # Errors
    /// What the notation that it looks like refuses.
    pub fn from_any(text: &str) -> Result<Sha256, DigestError> {
        match text.len() {
            _ if text.contains('-') => Sha256::from_sri(text),
            52 => Sha256::from_nix32(text),
            _ => Sha256::from_hex(text),
        }
    }

    /// Reads 64 lowercase hex digits. Inverse of [`Sha256::to_hex`].
    ///
    /// # Errors
    /// Another length, or a character that is no lowercase hex digit.
    pub fn from_hex(text: &str) -> Result<Sha256, DigestError> {
        from_hex(text, Sha256::HEX).map(Sha256)
    }

    /// Would [`Sha256::from_hex`] read it? Cheaper, for judging without keeping the value.
    ///
    /// # Errors
    /// Those of [`Sha256::from_hex`].
    pub fn check_hex(text: &str) -> Result<(), DigestError> {
        if is_hex(text, 64) {
            return Ok(());
        }
        Sha256::from_hex(text).map(|_| ())
    }

    /// Reads `sha256-` and canonical base64 (<https://www.w3.org/TR/SRI/#the-integrity-attribute>; one digest, no options).
    /// Inverse of [`Sha256::to_sri`]. The padding may be absent: Nix reads that, too, and release expressions have it.
    ///
    /// # Errors
    /// Another algorithm, another length, or base64 that is not canonical.
    pub fn from_sri(text: &str) -> Result<Sha256, DigestError> {
        let refuse = |found| DigestError {
            expected: Sha256::SRI,
            found,
        };
        let Some(base64) = text.strip_prefix(SRI_PREFIX) else {
            return Err(refuse(match text.split_once('-') {
                Some((algorithm @ ("md5" | "sha1" | "sha512" | "blake3"), _)) => {
                    format!("the algorithm `{algorithm}`")
                }
                _ => text::quote(text),
            }));
        };
        let with_padding;
        let mut base64 = base64;
        if base64.len() == 43 && !base64.ends_with('=') {
            with_padding = format!("{base64}=");
            base64 = &with_padding;
        }
        let count = base64.chars().count();
        if count != 44 {
            return Err(refuse(format!(
                "{} after `{SRI_PREFIX}`",
                characters(count)
            )));
        }
        let bytes = BASE64.decode(base64.as_bytes()).map_err(|error| {
            refuse(
                match (
                    error.kind,
                    base64
                        .get(error.position..)
                        .and_then(|rest| rest.chars().next()),
                ) {
                    (DecodeKind::Symbol, Some(c)) => {
                        format!("{} after `{SRI_PREFIX}`", text::quote(&c.to_string()))
                    }
                    (DecodeKind::Padding, _) => {
                        "base64 with its padding `=` in the wrong place".to_owned()
                    }
                    _ => "base64 that does not end on a whole byte".to_owned(),
                },
            )
        })?;
        let count = bytes.len();
        let bytes = bytes
            .try_into()
            .map_err(|_| refuse(format!("{count} bytes of base64")))?;
        Ok(Sha256(bytes))
    }

    /// Reads 52 characters of Nix's own base 32. Inverse of [`Sha256::to_nix32`].
    ///
    /// # Errors
    /// Another length, or a character outside Nix's alphabet.
    pub fn from_nix32(text: &str) -> Result<Sha256, DigestError> {
        let refuse = |found| DigestError {
            expected: Sha256::NIX32,
            found,
        };
        let count = text.chars().count();
        if count != 52 {
            return Err(refuse(characters(count)));
        }
        nix_base32::from_nix_base32(text)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Sha256)
            .ok_or_else(|| refuse(text::quote(text)))
    }

    /// 64 lowercase hex digits.
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// `sha256-` and 44 base64 characters, what Nix calls an SRI hash.
    pub fn to_sri(&self) -> String {
        let mut out = String::with_capacity(SRI_PREFIX.len() + 44);
        self.push_sri(&mut out);
        out
    }

    /// Appends [`Sha256::to_sri`] to `out`.
    pub fn push_sri(&self, out: &mut String) {
        out.push_str(SRI_PREFIX);
        BASE64.encode_append(&self.0, out);
    }

    /// 52 characters of Nix's base 32, as in store paths and old `sha256 = ` attributes.
    pub fn to_nix32(&self) -> String {
        nix_base32::to_nix_base32(&self.0)
    }
}

impl Md5 {
    /// What [`Md5::from_hex`] reads, for messages.
    pub const HEX: &'static str = "32 lowercase hex digits";

    /// Reads 32 lowercase hex digits. Inverse of [`Md5::to_hex`].
    ///
    /// # Errors
    /// Another length, or a character that is no lowercase hex digit.
    pub fn from_hex(text: &str) -> Result<Md5, DigestError> {
        from_hex(text, Md5::HEX).map(Md5)
    }

    /// Would [`Md5::from_hex`] read it? Cheaper, for judging without keeping the value.
    ///
    /// # Errors
    /// Those of [`Md5::from_hex`].
    pub fn check_hex(text: &str) -> Result<(), DigestError> {
        if is_hex(text, 32) {
            return Ok(());
        }
        Md5::from_hex(text).map(|_| ())
    }

    /// 32 lowercase hex digits.
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({})", self.to_hex())
    }
}

impl fmt::Debug for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Md5({})", self.to_hex())
    }
}

/// Is `text` exactly `digits` lowercase hex digits? Without a branch per byte, so that it becomes vector code.
fn is_hex(text: &str, digits: usize) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() | matches!(byte, b'a'..=b'f');
    text.len() == digits && text.bytes().fold(true, |all, byte| all & is_digit(byte))
}

fn from_hex<const N: usize>(text: &str, expected: &'static str) -> Result<[u8; N], DigestError> {
    let mut bytes = [0; N];
    if text.len() == N * 2 && HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).is_ok() {
        return Ok(bytes);
    }
    let bad = text
        .chars()
        .enumerate()
        .find(|(_, c)| !matches!(c, '0'..='9' | 'a'..='f'));
    let count = text.chars().count();
    let found = match bad {
        Some((at, c)) if count == N * 2 => {
            format!("{} as character {}", text::quote(&c.to_string()), at + 1)
        }
        _ => characters(count),
    };
    Err(DigestError { expected, found })
}

fn characters(count: usize) -> String {
    match count {
        0 => "an empty string".to_owned(),
        1 => "1 character".to_owned(),
        _ => format!("{count} characters"),
    }
}

/// What was read from a file or stream, to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256 of all bytes.
    pub sha256: Sha256,
    /// MD5 of all bytes.
    pub md5: Md5,
    /// How many bytes there were.
    pub size_bytes: u64,
}

/// SHA-256, MD5 and size of all that `reader` yields, in one pass.
///
/// MD5 is slower than SHA-256 where the processor has instructions for the latter, so for more than one chunk
/// of input it runs on a thread of its own.
///
/// # Errors
/// Those of `reader`.
pub fn digest(mut reader: impl Read) -> io::Result<Digests> {
    let mut sha256 = sha2::Sha256::new();
    let mut md5 = md5::Md5::new();
    let mut size_bytes = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    let first = read_chunk(&mut reader, &mut chunk)?;
    if first < CHUNK_BYTES {
        let bytes = chunk.get(..first).unwrap_or_default();
        sha256.update(bytes);
        md5.update(bytes);
        size_bytes = as_size(first);
    } else {
        md5 = thread::scope(|scope| {
            let (to_md5, from_us) = mpsc::sync_channel::<(Vec<u8>, usize)>(CHUNKS_IN_FLIGHT);
            let (give_back, spare) = mpsc::channel::<Vec<u8>>();
            let worker =
                thread::Builder::new()
                    .name("md5".to_owned())
                    .spawn_scoped(scope, move || {
                        while let Ok((chunk, used)) = from_us.recv() {
                            md5.update(chunk.get(..used).unwrap_or_default());
                            // The reader may be done and gone; then nobody wants the chunk back.
                            let _ = give_back.send(chunk);
                        }
                        md5
                    })?;
            let mut used = first;
            while used > 0 {
                sha256.update(chunk.get(..used).unwrap_or_default());
                size_bytes += as_size(used);
                if to_md5.send((chunk, used)).is_err() {
                    break;
                }
                chunk = spare.try_recv().unwrap_or_else(|_| vec![0; CHUNK_BYTES]);
                used = read_chunk(&mut reader, &mut chunk)?;
            }
            drop(to_md5);
            worker
                .join()
                .map_err(|_| io::Error::other("the MD5 thread ended early"))
        })?;
    }
    Ok(Digests {
        sha256: Sha256(sha256.finalize().into()),
        md5: Md5(md5.finalize().into()),
        size_bytes,
    })
}

/// [`digest`] on this thread alone: slower, but it takes one processor only. For those who have work for the others.
///
/// # Errors
/// Those of `reader`.
pub(super) fn digest_alone(mut reader: impl Read) -> io::Result<Digests> {
    let mut sha256 = sha2::Sha256::new();
    let mut md5 = md5::Md5::new();
    let mut size_bytes = 0;
    let mut chunk = vec![0; SMALL_CHUNK_BYTES];
    loop {
        let used = read_chunk(&mut reader, &mut chunk)?;
        if used == 0 {
            return Ok(Digests {
                sha256: Sha256(sha256.finalize().into()),
                md5: Md5(md5.finalize().into()),
                size_bytes,
            });
        }
        let bytes = chunk.get(..used).unwrap_or_default();
        sha256.update(bytes);
        md5.update(bytes);
        size_bytes += as_size(used);
    }
}

/// SHA-256 and size of all that `reader` yields.
///
/// # Errors
/// Those of `reader`.
pub fn sha256(mut reader: impl Read) -> io::Result<(Sha256, u64)> {
    let mut sha256 = sha2::Sha256::new();
    let mut size_bytes = 0;
    let mut chunk = vec![0; SMALL_CHUNK_BYTES];
    loop {
        let used = read_chunk(&mut reader, &mut chunk)?;
        if used == 0 {
            return Ok((Sha256(sha256.finalize().into()), size_bytes));
        }
        sha256.update(chunk.get(..used).unwrap_or_default());
        size_bytes += as_size(used);
    }
}

/// Fills `chunk` as far as `reader` has bytes; less than its length only at the end.
fn read_chunk(reader: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut used = 0;
    while let Some(free) = chunk.get_mut(used..).filter(|free| !free.is_empty()) {
        match reader.read(free) {
            Ok(0) => break,
            Ok(count) => used += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(used)
}

/// A chunk's length as a size; chunks are small, so it always fits.
fn as_size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// SHA-256 and MD5 of "abc": FIPS 180-4 and RFC 1321, appendix A.5.
    const ABC: (&str, &str) = (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "900150983cd24fb0d6963f7d28e17f72",
    );

    #[test]
    fn known_digests() {
        let digests = digest(&b"abc"[..]).unwrap();
        assert_eq!(
            (
                digests.sha256.to_hex().as_str(),
                digests.md5.to_hex().as_str()
            ),
            ABC
        );
        assert_eq!(digests.size_bytes, 3);
        assert_eq!(sha256(&b"abc"[..]).unwrap(), (digests.sha256, 3));
        assert_eq!(
            digests.sha256.to_sri(),
            "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
        assert_eq!(
            digests.sha256.to_nix32(),
            "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"
        );
    }

    #[test]
    fn chunk_borders_do_not_matter() {
        for length in [
            0,
            1,
            CHUNK_BYTES - 1,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            CHUNK_BYTES * 7,
            CHUNK_BYTES * 7 + 5,
        ] {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let digests = digest(Trickle(&bytes)).unwrap();
            assert_eq!(
                digests.sha256.0,
                <[u8; 32]>::from(sha2::Sha256::digest(&bytes)),
                "{length}"
            );
            assert_eq!(
                digests.md5.0,
                <[u8; 16]>::from(md5::Md5::digest(&bytes)),
                "{length}"
            );
            assert_eq!(
                sha256(Trickle(&bytes)).unwrap(),
                (digests.sha256, length as u64),
                "{length}"
            );
            assert_eq!(digest_alone(Trickle(&bytes)).unwrap(), digests, "{length}");
        }
    }

    /// Yields a few bytes at a time and is interrupted now and then, as pipes are.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.len() % 3 == 1 {
                let (head, tail) = self.0.split_at(1);
                buffer[0] = head[0];
                self.0 = tail;
                return Ok(1);
            }
            let count = buffer.len().min(self.0.len()).min(70_001);
            let (head, tail) = self.0.split_at(count);
            buffer[..count].copy_from_slice(head);
            self.0 = tail;
            Ok(count)
        }
    }

    #[test]
    fn reading_errors_are_handed_on() {
        struct Broken(usize);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = buffer.len().min(self.0);
                self.0 -= count;
                if count == 0 {
                    Err(io::Error::other("bad sector"))
                } else {
                    Ok(count)
                }
            }
        }
        for length in [0, 10, CHUNK_BYTES * 3] {
            assert_eq!(
                digest(Broken(length)).unwrap_err().to_string(),
                "bad sector"
            );
            assert_eq!(
                sha256(Broken(length)).unwrap_err().to_string(),
                "bad sector"
            );
            assert!(digest_alone(Broken(length)).is_err());
        }
    }

    #[test]
    fn malformed_texts_are_told_what_is_valid() {
        let hex = |text: &str| Sha256::from_hex(text).unwrap_err().to_string();
        let sri = |text: &str| Sha256::from_sri(text).unwrap_err().to_string();
        let nix32 = |text: &str| Sha256::from_nix32(text).unwrap_err().to_string();
        insta::assert_snapshot!(hex(&ABC.0[1..]), @"expected 64 lowercase hex digits, found 63 characters");
        insta::assert_snapshot!(hex(&ABC.0.to_uppercase()), @"expected 64 lowercase hex digits, found `B` as character 1");
        insta::assert_snapshot!(hex(""), @"expected 64 lowercase hex digits, found an empty string");
        insta::assert_snapshot!(hex(&format!("{} ", &ABC.0[1..])), @"expected 64 lowercase hex digits, found ` ` as character 64");
        insta::assert_snapshot!(hex(&"ä".repeat(32)), @"expected 64 lowercase hex digits, found 32 characters");
        insta::assert_snapshot!(Md5::from_hex("xyz").unwrap_err(), @"expected 32 lowercase hex digits, found 3 characters");
        insta::assert_snapshot!(sri(ABC.0), @"expected `sha256-` and 44 base64 characters, found `ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad`");
        insta::assert_snapshot!(sri("sha512-abc"), @"expected `sha256-` and 44 base64 characters, found the algorithm `sha512`");
        insta::assert_snapshot!(sri("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa"), @"expected `sha256-` and 44 base64 characters, found 42 characters after `sha256-`");
        insta::assert_snapshot!(sri("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0="), @"expected `sha256-` and 44 base64 characters, found `_` after `sha256-`");
        insta::assert_snapshot!(sri("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1="), @"expected `sha256-` and 44 base64 characters, found base64 that does not end on a whole byte");
        insta::assert_snapshot!(sri("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFaab"), @"expected `sha256-` and 44 base64 characters, found 33 bytes of base64");
        insta::assert_snapshot!(nix32("1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5e"), @"expected 52 characters of Nix's base 32 (digits and lowercase letters without e, o, t, u), found `1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5e`");
        insta::assert_snapshot!(nix32("abc"), @"expected 52 characters of Nix's base 32 (digits and lowercase letters without e, o, t, u), found 3 characters");
        // 52 characters hold 260 bits; the four beyond a digest must be zero.
        assert!(Sha256::from_nix32(&"z".repeat(52)).is_err());
    }

    proptest! {
        #[test]
        fn notations_are_inverses(bytes: [u8; 32], short: [u8; 16]) {
            let digest = Sha256(bytes);
            prop_assert_eq!(Sha256::from_hex(&digest.to_hex()), Ok(digest));
            prop_assert_eq!(Sha256::from_sri(&digest.to_sri()), Ok(digest));
            prop_assert_eq!(Sha256::from_nix32(&digest.to_nix32()), Ok(digest));
            prop_assert_eq!(Md5::from_hex(&Md5(short).to_hex()), Ok(Md5(short)));
        }

        #[test]
        fn any_text_is_read_back_or_refused(text in "(sha256-)?[0-9a-zA-Z+/=]{40,66}|\\PC*") {
            if let Ok(digest) = Sha256::from_hex(&text) { prop_assert_eq!(digest.to_hex(), text.as_str()); }
            if let Ok(digest) = Sha256::from_sri(&text) { prop_assert_eq!(digest.to_sri(), text.as_str()); }
            if let Ok(digest) = Sha256::from_nix32(&text) { prop_assert_eq!(digest.to_nix32(), text.as_str()); }
        }
    }

    #[test]
    fn checking_and_reading_agree() {
        let good = "0123456789abcdef".repeat(4);
        assert!(Sha256::check_hex(&good).is_ok() && Md5::check_hex(good.split_at(32).0).is_ok());
        for bad in ["", "/", ":", "`", "g", "A", "é", "\0"] {
            let sha256 = format!("{bad}{}", good.split_at(bad.len()).1);
            assert_eq!(
                Sha256::check_hex(&sha256).is_ok(),
                Sha256::from_hex(&sha256).is_ok(),
                "{bad:?}"
            );
            let md5 = sha256.get(..32).unwrap();
            assert_eq!(
                Md5::check_hex(md5).is_ok(),
                Md5::from_hex(md5).is_ok(),
                "{bad:?}"
            );
        }
    }
}
