//! Is this file the one that was asked for?

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::digest::{self, Digests, Md5, Sha256};
use crate::error::{Error, Kind, Problem};

/// How much the thread that verifies beside work steps back, as `nice` counts (on Linux for the thread alone): a third of a processor
/// where others want all of it, and then it still is done before a decompressor is. Measured on a wheel of 200 MB and two processors:
/// 1.33 s without, 1.17 s with it.
const NICENESS_BESIDE: i32 = 5;

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expected {
    /// SHA-256 of the whole file.
    pub sha256: Sha256,
    /// MD5 of the whole file; `None` where nobody promised one.
    pub md5: Option<Md5>,
    /// Its size; `None` where nobody promised one.
    pub size_bytes: Option<u64>,
}

/// A file whose digests were compared and are as expected. Only [`verify`] makes one.
#[derive(Debug)]
pub struct Verified<F> {
    file: F,
    place: String,
    sha256: Sha256,
    size_bytes: u64,
}

impl<F> Verified<F> {
    /// The name of the file in messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The file; verifying did not move its position.
    pub fn get(&self) -> &F {
        &self.file
    }

    /// SHA-256 of the whole file.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// The file's size.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

#[derive(Debug, thiserror::Error)]
enum VerifyProblem {
    #[error("cannot {action}")]
    Io {
        place: String,
        action: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("sha256 mismatch\n  specified: {}\n  got:       {}  ({})", .specified.to_sri(), .got.to_sri(), how_much(*.read_bytes, *.size_bytes))]
    Sha256 {
        place: String,
        specified: Sha256,
        got: Sha256,
        read_bytes: u64,
        size_bytes: Option<u64>,
        start: Start,
    },
    #[error("expected a file that stays as it is, found one that was changed while it was read")]
    Changed { place: String },
    #[error("md5 mismatch, though the sha256 is as specified\n  specified: {}\n  got:       {}", .specified.to_hex(), .got.to_hex())]
    Md5 {
        place: String,
        specified: Md5,
        got: Md5,
    },
    #[error(
        "size mismatch, though the sha256 is as specified\n  specified: {specified} bytes\n  got:       {got} bytes"
    )]
    Size {
        place: String,
        specified: u64,
        got: u64,
    },
}

/// What the first bytes of a refused file look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    WebPage,
    Other,
}

fn how_much(read: u64, specified: Option<u64>) -> String {
    match specified {
        Some(size) => format!("read {read} bytes, manifest says {size}"),
        None => format!("read {read} bytes"),
    }
}

impl Problem for VerifyProblem {
    fn kind(&self) -> Kind {
        match self {
            VerifyProblem::Io { .. } => Kind::Fault,
            _ => Kind::Rejected,
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            VerifyProblem::Io { place, .. }
            | VerifyProblem::Changed { place }
            | VerifyProblem::Sha256 { place, .. }
            | VerifyProblem::Md5 { place, .. }
            | VerifyProblem::Size { place, .. } => Some(place.clone()),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            VerifyProblem::Io { .. } => return None,
            VerifyProblem::Sha256 {
                start: Start::WebPage,
                ..
            } => "this is a web page, not an archive; look at the address it was fetched from",
            VerifyProblem::Sha256 { read_bytes: 0, .. } => {
                "the file is empty; remove it and fetch again"
            }
            VerifyProblem::Sha256 {
                read_bytes,
                size_bytes: Some(size),
                ..
            } if read_bytes < size => "the download looks cut short; remove it and fetch again",
            VerifyProblem::Sha256 { .. } => {
                "remove the file and fetch it again; if that does not help, it is the archive of another platform or version, or was replaced where it came from"
            }
            VerifyProblem::Changed { .. } => "wait until whoever writes it is done",
            VerifyProblem::Md5 { .. } | VerifyProblem::Size { .. } => {
                "the file is the right one; the manifest contradicts itself"
            }
        };
        Some(hint.to_owned())
    }
}

/// Reads all of `file` once and compares what was promised; `place` is its name in messages.
///
/// The file is read from its first byte whatever its position is, which stays as it is.
///
/// # Errors
/// Rejected: another sha256 (then nothing else is compared), another md5, another size.
/// Fault: the file cannot be read.
pub fn verify(file: File, place: &str, expected: &Expected) -> Result<Verified<File>, Error> {
    verify_watched(file, place, expected, || Ok(()))
}

/// [`verify`], calling `watch` before each read: an error from it ends the reading and becomes the source of the fault.
///
/// # Errors
/// Those of [`verify`], and Fault when `watch` fails.
pub fn verify_watched(
    file: File,
    place: &str,
    expected: &Expected,
    watch: impl FnMut() -> io::Result<()>,
) -> Result<Verified<File>, Error> {
    let compared = compare(&file, place, expected, digest::digest, watch)?;
    Ok(compared.of(file, place))
}

/// [`verify`] on a thread of its own while `work` uses the same file on this one: for work that takes long and can be thrown
/// away. What `work` made is given back only when the file is verified. Both read the file for themselves, so it must not
/// change meanwhile: inside of Nix it cannot, elsewhere the kernel's times tell. `watch` is called before each read of the
/// verification, as in [`verify_watched`].
///
/// # Errors
/// Those of [`verify`], whatever `work` said: a wrong file is the reason for anything that is odd in it. Rejected, too, when
/// somebody wrote to the file while it was read. Otherwise those of `work`.
pub fn verify_beside<T>(
    file: File,
    place: &str,
    expected: &Expected,
    watch: impl FnMut() -> io::Result<()> + Send,
    work: impl FnOnce(&File, &Refuted) -> Result<T, Error>,
) -> Result<(Verified<File>, T), Error> {
    let stat = |source| VerifyProblem::Io {
        place: place.to_owned(),
        action: "look at it",
        source,
    };
    let before = Stamp::of(&file).map_err(stat)?;
    let refuted = Refuted::default();
    let (compared, worked) = thread::scope(|scope| {
        let io = |source| VerifyProblem::Io {
            place: place.to_owned(),
            action: "start a thread that reads",
            source,
        };
        let verifier = thread::Builder::new()
            .name("verify".to_owned())
            .spawn_scoped(scope, || {
                // On two processors the work's own threads need both; where this cannot be had it only takes longer.
                let _ = rustix::process::nice(NICENESS_BESIDE);
                let digest = digest::digest_alone;
                let compared = compare(&file, place, expected, digest, watch);
                refuted.0.store(compared.is_err(), Ordering::Relaxed);
                compared
            })
            .map_err(io)?;
        let worked = work(&file, &refuted);
        let ended = |_| io(io::Error::other("the thread ended early"));
        Ok::<_, Error>((verifier.join().map_err(ended)?, worked))
    })?;
    let compared = compared?;
    if Stamp::of(&file).map_err(stat)? != before {
        let place = place.to_owned();
        return Err(VerifyProblem::Changed { place }.into());
    }
    Ok((compared.of(file, place), worked?))
}

/// What changes when somebody writes to a file.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size_bytes: u64,
    modified: (i64, i64),
    /// Nobody can set it back.
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &File) -> io::Result<Stamp> {
        let metadata = file.metadata()?;
        Ok(Stamp {
            size_bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Has the file turned out to be another one? Told to the work of [`verify_beside`], so that it need not go on to its end.
#[derive(Debug, Default)]
pub struct Refuted(AtomicBool);

impl Refuted {
    /// Nothing as long as the file may be the right one.
    ///
    /// # Errors
    /// The file is another one. Nobody will see this error: that of the verification goes before it.
    pub fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            Err(io::Error::other(
                "the file is not the one that was asked for",
            ))
        } else {
            Ok(())
        }
    }
}

/// The digests of a file that were found to be as expected.
struct Compared {
    sha256: Sha256,
    size_bytes: u64,
}

impl Compared {
    fn of<F>(self, file: F, place: &str) -> Verified<F> {
        Verified {
            file,
            place: place.to_owned(),
            sha256: self.sha256,
            size_bytes: self.size_bytes,
        }
    }
}

fn compare<'f, W: FnMut() -> io::Result<()>>(
    file: &'f File,
    place: &str,
    expected: &Expected,
    digest: impl FnOnce(Watched<'f, W>) -> io::Result<Digests>,
    watch: W,
) -> Result<Compared, Error> {
    let io = |source| VerifyProblem::Io {
        place: place.to_owned(),
        action: "read",
        source,
    };
    let watched = Watched {
        file,
        position: 0,
        watch,
    };
    let (sha256, md5, size_bytes) = match expected.md5 {
        Some(_) => {
            let Digests {
                sha256,
                md5,
                size_bytes,
            } = digest(watched).map_err(io)?;
            (sha256, Some(md5), size_bytes)
        }
        None => {
            let (sha256, size_bytes) = digest::sha256(watched).map_err(io)?;
            (sha256, None, size_bytes)
        }
    };
    let place = place.to_owned();
    if sha256 != expected.sha256 {
        let start = look_at_start(file);
        let (specified, got) = (expected.sha256, sha256);
        return Err(VerifyProblem::Sha256 {
            place,
            specified,
            got,
            read_bytes: size_bytes,
            size_bytes: expected.size_bytes,
            start,
        }
        .into());
    }
    let mut problems = Vec::new();
    if let (Some(specified), Some(got)) = (expected.md5, md5)
        && specified != got
    {
        problems.push(VerifyProblem::Md5 {
            place: place.clone(),
            specified,
            got,
        });
    }
    if let Some(specified) = expected.size_bytes
        && specified != size_bytes
    {
        problems.push(VerifyProblem::Size {
            place,
            specified,
            got: size_bytes,
        });
    }
    match Error::from_problems(problems) {
        Some(error) => Err(error),
        None => Ok(Compared { sha256, size_bytes }),
    }
}

/// A file from its first byte on, whose every read is announced.
struct Watched<'f, W> {
    file: &'f File,
    position: u64,
    watch: W,
}

impl<W: FnMut() -> io::Result<()>> io::Read for Watched<'_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.watch)()?;
        let count = self.file.read_at(buffer, self.position)?;
        let count_bytes = u64::try_from(count).unwrap_or(u64::MAX);
        self.position = self.position.saturating_add(count_bytes);
        Ok(count)
    }
}

/// Only makes a hint better, so a failure to read is no news here.
fn look_at_start(file: &File) -> Start {
    let mut start = Vec::new();
    let bytes = Watched {
        file,
        position: 0,
        watch: || Ok(()),
    };
    let _ = bytes.take(512).read_to_end(&mut start);
    let start = start.trim_ascii_start().to_ascii_lowercase();
    let web = [&b"<!doctype"[..], b"<html", b"<?xml", b"<head", b"<!--"];
    if web.iter().any(|tag| start.starts_with(tag)) {
        Start::WebPage
    } else {
        Start::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek as _, Write as _};
    use std::time::{Duration, Instant};

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn expected(bytes: &[u8]) -> Expected {
        let digests = digest::digest(bytes).unwrap();
        Expected {
            sha256: digests.sha256,
            md5: Some(digests.md5),
            size_bytes: Some(digests.size_bytes),
        }
    }

    #[test]
    fn a_verified_file_stands_where_it_stood() {
        let mut abc = file(b"abc");
        abc.seek(io::SeekFrom::Start(1)).unwrap();
        let verified = verify(abc, "a.tar.xz", &expected(b"abc")).unwrap();
        let mut text = String::new();
        verified.get().read_to_string(&mut text).unwrap();
        assert_eq!(
            (text.as_str(), verified.place(), verified.size_bytes()),
            ("bc", "a.tar.xz", 3)
        );
        assert_eq!(verified.sha256(), expected(b"abc").sha256);
        let only_sha256 = Expected {
            md5: None,
            size_bytes: None,
            ..expected(b"abc")
        };
        assert!(verify(file(b"abc"), "a.tar.xz", &only_sha256).is_ok());
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_refused() {
        let abc = file(b"abc");
        let outcome = verify_beside(
            abc,
            "a.tar.xz",
            &expected(b"abc"),
            || Ok(()),
            |file, _| {
                // Long after it was made, as clocks of file systems count.
                std::thread::sleep(Duration::from_millis(50));
                let write = file.write_all_at(b"abc", 0);
                write.unwrap();
                Ok(())
            },
        );
        assert_eq!(
            outcome.unwrap_err().render(),
            "a.tar.xz: expected a file that stays as it is, found one that was changed while it was read\n\
            hint: wait until whoever writes it is done"
        );
    }

    #[test]
    fn the_watcher_can_end_the_reading() {
        let mut reads = 0;
        let mut watch = || {
            reads += 1;
            if reads == 2 {
                Err(io::Error::other("enough"))
            } else {
                Ok(())
            }
        };
        let error =
            verify_watched(file(b"abc"), "a.tar.xz", &expected(b"abc"), &mut watch).unwrap_err();
        assert_eq!(
            (error.render().as_str(), error.kind()),
            ("a.tar.xz: cannot read: enough", Kind::Fault)
        );
    }

    #[test]
    fn work_beside_counts_only_when_the_file_is_the_right_one() {
        let beside = |bytes: &[u8], work: &dyn Fn(&Refuted) -> Result<u8, Error>| {
            let outcome = verify_beside(
                file(bytes),
                "a.tar.xz",
                &expected(b"abc"),
                || Ok(()),
                |_, refuted| work(refuted),
            );
            outcome
                .map(|(verified, made)| (verified.size_bytes(), made))
                .map_err(|error| error.render())
        };
        let fault = |text: &'static str| -> Error {
            VerifyProblem::Io {
                place: "work".to_owned(),
                action: "go on",
                source: io::Error::other(text),
            }
            .into()
        };
        assert_eq!(beside(b"abc", &|_| Ok(7)), Ok((3, 7)));
        assert_eq!(
            beside(b"abc", &|_| Err(fault("tired"))),
            Err("work: cannot go on: tired".to_owned())
        );
        for work in [&(|_: &Refuted| Ok(7u8)) as &dyn Fn(&Refuted) -> _, &|_| {
            Err(fault("tired"))
        }] {
            let message = beside(b"abd", work).unwrap_err();
            assert!(
                message.starts_with("a.tar.xz: sha256 mismatch"),
                "{message}"
            );
        }
        // Work that would never end is told.
        let until_told = |refuted: &Refuted| {
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(60) {
                if refuted.check().is_err() {
                    return Err(fault("told"));
                }
                thread::yield_now();
            }
            Ok(0)
        };
        let started = Instant::now();
        assert!(beside(b"abd", &until_told).is_err());
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "the work was not told"
        );
    }

    fn refusal(bytes: &[u8], expected: &Expected) -> String {
        let error = verify(file(bytes), "a.tar.xz", expected).unwrap_err();
        assert_eq!(error.kind(), Kind::Rejected);
        error.render()
    }

    #[test]
    fn a_mismatch_says_both_sides_and_what_to_try() {
        insta::assert_snapshot!(refusal(b"ab", &expected(b"abc")), @r"
        a.tar.xz: sha256 mismatch
          specified: sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=
          got:       sha256-+44g/C5MPySMYMOb1lLzwTRymLuXe4tNWQO4UFViBgM=  (read 2 bytes, manifest says 3)
        hint: the download looks cut short; remove it and fetch again
        ");
        insta::assert_snapshot!(refusal(b" <!DOCTYPE html><html>", &expected(b"abc")), @r"
        a.tar.xz: sha256 mismatch
          specified: sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=
          got:       sha256-K2ug2U4iuMP/iF6qXelfvMrmwdRz1PQFi2WWDtzo4+A=  (read 22 bytes, manifest says 3)
        hint: this is a web page, not an archive; look at the address it was fetched from
        ");
        insta::assert_snapshot!(refusal(b"", &expected(b"abc")), @r"
        a.tar.xz: sha256 mismatch
          specified: sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=
          got:       sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=  (read 0 bytes, manifest says 3)
        hint: the file is empty; remove it and fetch again
        ");
        insta::assert_snapshot!(refusal(b"abd", &Expected { md5: None, size_bytes: None, ..expected(b"abc") }), @r"
        a.tar.xz: sha256 mismatch
          specified: sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=
          got:       sha256-pS0VnyYrLG3bckphhAvvw26zDIiHekAwtly+himESck=  (read 3 bytes)
        hint: remove the file and fetch it again; if that does not help, it is the archive of another platform or version, or was replaced where it came from
        ");
        let wrong = Expected {
            md5: expected(b"x").md5,
            size_bytes: Some(4),
            ..expected(b"abc")
        };
        insta::assert_snapshot!(refusal(b"abc", &wrong), @r"
        a.tar.xz: md5 mismatch, though the sha256 is as specified
          specified: 9dd4e461268c8034f5c8564e155c67a6
          got:       900150983cd24fb0d6963f7d28e17f72
        hint: the file is the right one; the manifest contradicts itself
        a.tar.xz: size mismatch, though the sha256 is as specified
          specified: 4 bytes
          got:       3 bytes
        hint: the file is the right one; the manifest contradicts itself
        ");
    }
}
