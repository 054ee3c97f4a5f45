//! What an entry may be called and why one is refused: the checks that need no file system.

use std::io;

use super::limits;
use crate::relpath::{RelPath, RelPathError};
use crate::text;

/// Why an archive, or one entry of it, is not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("expected an archive (.tar.xz, .tar.gz, .tar, .zip or .whl), found {found}")]
    Format { found: String, html: bool },
    #[error("expected a wheel to be a zip archive, found {found}")]
    WheelFormat { found: &'static str },
    #[error("expected a relative path, found an absolute one")]
    Absolute,
    #[error("expected a path that stays inside the archive, found the component `{component}`")]
    Component { component: &'static str },
    #[error("expected a name, found an empty one")]
    Empty,
    #[error("expected a name in UTF-8, found other bytes after {valid} bytes")]
    Encoding { valid: usize },
    #[error("expected a name without backslashes and control characters, found {}", text::quote(&.character.to_string()))]
    Character { character: char },
    #[error("expected zero bytes after the end of the name, found others")]
    NameTail,
    #[error("expected {what} of at most {limit}, found {found}")]
    Limit {
        what: &'static str,
        limit: u64,
        found: u64,
    },
    #[error("expected at most {limit} bytes out of this archive, found more")]
    Output { limit: u64 },
    #[error("expected a file, directory or link, found {found}")]
    Kind { found: String },
    #[error("expected the name of a file, found one that ends in `/`")]
    TrailingSlash,
    #[error("expected no content in {kind}, found {size_bytes} bytes")]
    UnexpectedContent { kind: &'static str, size_bytes: u64 },
    #[error("expected every path once, found it again after entry {first}")]
    Duplicate { first: u64 },
    #[error(
        "expected paths that differ in more than case, found that of entry {first} in another case"
    )]
    Case { first: u64 },
    #[error("expected {} to be a directory, found {kind} (entry {first})", text::quote(.parent))]
    Parent {
        parent: String,
        kind: &'static str,
        first: u64,
    },
    #[error("expected all entries below the one folder {}, found one beside it", text::quote(.top))]
    TopFolder { top: String },
    #[error("expected one folder at the top of the archive, found a file there")]
    NoTopFolder,
    #[error("expected at least one entry, found none")]
    NoEntries,
    #[error("expected a link target that is relative, found {}", text::quote(.target))]
    LinkAbsolute { target: String },
    #[error("expected a link target inside the tree, found {}", text::quote(.target))]
    LinkLeaves { target: String },
    #[error("expected a link target that ends, found {}, which leads through more than {} links", text::quote(.target), limits::LINK_HOPS)]
    LinkLoop { target: String },
    #[error("expected a hard link to a file unpacked before it, found {}", text::quote(.target))]
    HardLink { target: String },
    #[error("expected a plain file, found a sparse one")]
    Sparse,
    #[error("expected pax records `LENGTH KEY=VALUE`, found other bytes at offset {offset}")]
    PaxRecord { offset: usize },
    #[error("expected the size {header} of the header, found the size {} in its pax record", text::quote(.pax))]
    PaxSize { header: u64, pax: String },
    #[error("expected an entry after the extended headers, found the end of the archive")]
    LoneExtension,
    #[error("expected at most one {what} for one entry, found another")]
    DoubledExtension { what: &'static str },
    #[error(
        "expected two blocks of zeros at the end, found the end of the data: the archive is cut short"
    )]
    EndMarker,
    #[error("expected only zeros after the end marker, found other bytes")]
    TrailingData,
    #[error(
        "expected the end of the file or another .xz stream behind a stream, found other bytes"
    )]
    AfterStream,
    #[error(
        "expected padding behind an .xz stream in groups of 4 zero bytes, found {padding} of them"
    )]
    XzPadding { padding: u64 },
    #[error(
        "expected an .xz stream with a check, CRC-32 (1), CRC-64 (4) or SHA-256 (10), found {}",
        match .found { 0 => "one without".to_owned(), other => format!("the check {other}") }
    )]
    XzCheck { found: u8 },
    #[error(
        "expected an .xz stream that can be decoded with {} bytes of memory, found one that takes more",
        limits::DECODER_BYTES
    )]
    DecoderMemory,
    #[error("cannot go on: the decompressing thread ended early, a bug in cuda-redist")]
    Gone,
    #[error("expected {expected} bytes of content, found {found}")]
    Size { expected: u64, found: u64 },
    #[error(
        "expected the zip archive to start at its first byte and end with an end record without comment, found other bytes"
    )]
    ZipEnds,
    #[error("expected a zip archive below 4 GiB and 65535 entries, found a zip64 end record")]
    Zip64,
    #[error("expected an unencrypted entry, found an encrypted one")]
    Encrypted,
    #[error("expected the compression stored (0) or deflate (8), found {found}")]
    Compression { found: String },
    #[error("expected one name, found a second one in the extra field 0x7075")]
    SecondName,
    #[error("expected one `.dist-info` folder with {missing}, found none")]
    DistInfo { missing: &'static str },
    #[error("expected libraries, headers or programs, found only Python and metadata")]
    NoPayload,
    #[error("expected one component folder, such as `nvidia/NAME` or `NAME`, found {}", text::quote(.found))]
    ComponentFolder { found: String },
    #[error("expected `PATH,sha256=DIGEST,SIZE` in RECORD, found {}", text::quote(.found))]
    RecordLine { found: String },
    #[error("expected every file in RECORD, found one that is not listed")]
    NotInRecord,
    #[error("expected the files of RECORD, found {} missing", text::quote(.path))]
    OnlyInRecord { path: String },
    #[error("sha256 mismatch\n  specified: {specified}  (RECORD)\n  got:       {got}")]
    RecordDigest { specified: String, got: String },
    #[error("cannot read the data")]
    Read {
        #[source]
        source: io::Error,
    },
    #[error("cannot read the zip structure")]
    Zip {
        #[source]
        source: zip::result::ZipError,
    },
    #[error("cannot write {}", text::quote(.path))]
    Write {
        path: String,
        #[source]
        source: io::Error,
    },
}

impl Refusal {
    /// A failure while bytes are read: our own refusals that travelled inside an [`io::Error`] come out again.
    pub(super) fn read(error: io::Error) -> Refusal {
        if error.get_ref().is_some_and(|inner| inner.is::<Refusal>()) {
            let refusal = error
                .into_inner()
                .and_then(|inner| inner.downcast::<Refusal>().ok());
            // Both steps were checked above; the fallback keeps this free of panics.
            return refusal.map_or(Refusal::EndMarker, |refusal| *refusal);
        }
        if lzma(&error) == Some(liblzma::stream::Error::MemLimit) {
            return Refusal::DecoderMemory;
        }
        Refusal::Read { source: error }
    }

    /// A failure of the zip parser.
    pub(super) fn zip(error: zip::result::ZipError) -> Refusal {
        match error {
            zip::result::ZipError::Io(error) => Refusal::read(error),
            source => Refusal::Zip { source },
        }
    }

    /// Wraps a failed system call on `path`.
    pub(super) fn write(path: &str) -> impl FnOnce(rustix::io::Errno) -> Refusal + '_ {
        move |errno| Refusal::Write {
            path: path.to_owned(),
            source: errno.into(),
        }
    }

    /// Did the operating system fail, as opposed to the archive being bad?
    pub(super) fn is_fault(&self) -> bool {
        match self {
            Refusal::Write { .. } | Refusal::Gone => true,
            Refusal::Read { source } => {
                let no_memory = lzma(source) == Some(liblzma::stream::Error::Mem);
                no_memory || source.raw_os_error().is_some()
            }
            _ => false,
        }
    }
}

/// What the .xz decoder said, where `error` is from it.
fn lzma(error: &io::Error) -> Option<liblzma::stream::Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref::<liblzma::stream::Error>().copied()
}

/// Does a name belong to a directory (it ended in `/`)?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slash {
    /// The name ended in `/`.
    Trailing,
    /// It did not.
    None,
}

/// A checked name: the path, or `None` for the archive's root itself (`./`).
pub(super) fn name(bytes: &[u8]) -> Result<(Option<RelPath>, Slash), Refusal> {
    let text = utf8(bytes)?;
    limit("a path (bytes)", limits::PATH_BYTES, text.len())?;
    let (text, slash) = match text.strip_suffix('/') {
        Some(rest) if !rest.is_empty() => (rest, Slash::Trailing),
        _ => (text, Slash::None),
    };
    if text == "." {
        return Ok((None, Slash::Trailing));
    }
    // `tar -C folder .` writes `./a`; it means the same as `a`.
    let path =
        RelPath::new(text.strip_prefix("./").unwrap_or(text)).map_err(|error| match error {
            RelPathError::Empty => Refusal::Empty,
            RelPathError::Absolute { .. } => Refusal::Absolute,
            RelPathError::Component { component, .. } => Refusal::Component { component },
            RelPathError::Character { .. } => Refusal::Character {
                character: unsafe_character(text).unwrap_or('\\'),
            },
        })?;
    limit(
        "a path (components)",
        limits::DEPTH,
        path.components().count(),
    )?;
    let longest = path.components().map(str::len).max().unwrap_or(0);
    limit(
        "a component of a path (bytes)",
        limits::COMPONENT_BYTES,
        longest,
    )?;
    Ok((Some(path), slash))
}

/// The checked text of a symbolic link's target: relative, without control characters. Where it leads is decided
/// when the whole tree is known.
pub(super) fn link_target(bytes: &[u8]) -> Result<String, Refusal> {
    let text = utf8(bytes)?;
    limit("a link target (bytes)", limits::PATH_BYTES, text.len())?;
    if text.is_empty() {
        return Err(Refusal::Empty);
    }
    if let Some(character) = unsafe_character(text) {
        return Err(Refusal::Character { character });
    }
    if text.starts_with('/') {
        return Err(Refusal::LinkAbsolute {
            target: text.to_owned(),
        });
    }
    Ok(text.to_owned())
}

fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|error| Refusal::Encoding {
        valid: error.valid_up_to(),
    })
}

fn unsafe_character(text: &str) -> Option<char> {
    text.chars().find(|c| *c == '\\' || c.is_control())
}

/// Refuses `found` above `limit`.
pub(super) fn limit(what: &'static str, limit: usize, found: usize) -> Result<(), Refusal> {
    if found <= limit {
        return Ok(());
    }
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Err(Refusal::Limit {
        what,
        limit: wide(limit),
        found: wide(found),
    })
}

/// The one folder at the top of an archive; it is stripped from every path.
#[derive(Debug, Default)]
pub(super) struct TopFolder {
    name: Option<String>,
}

impl TopFolder {
    /// `path` below the top folder; `None` for the top folder itself. The first entry decides what the folder is.
    pub(super) fn strip(
        &mut self,
        path: &RelPath,
        slash: Slash,
    ) -> Result<Option<RelPath>, Refusal> {
        let (first, rest) = match path.as_str().split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path.as_str(), None),
        };
        match &self.name {
            Some(top) if top != first => return Err(Refusal::TopFolder { top: top.clone() }),
            Some(_) => {}
            None => self.name = Some(first.to_owned()),
        }
        match rest {
            // A part of a checked path is a checked path.
            Some(rest) => RelPath::new(rest).map(Some).map_err(|_| Refusal::Empty),
            None if slash == Slash::Trailing => Ok(None),
            None => Err(Refusal::NoTopFolder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for (input, expected) in [
            (&b"top/lib/libfoo.so"[..], Ok("top/lib/libfoo.so")),
            (b"./top/a", Ok("top/a")),
            (b"top/", Ok("top")),
            (b"", Err("expected a name, found an empty one")),
            (b"/", Err("expected a relative path, found an absolute one")),
            (
                b"/etc/passwd",
                Err("expected a relative path, found an absolute one"),
            ),
            (
                b"a/../b",
                Err("expected a path that stays inside the archive, found the component `..`"),
            ),
            (
                b"a/./b",
                Err("expected a path that stays inside the archive, found the component `.`"),
            ),
            (
                b"a//b",
                Err("expected a path that stays inside the archive, found the component ``"),
            ),
            (
                b"a\\b",
                Err("expected a name without backslashes and control characters, found `\\`"),
            ),
            (
                b"a\0b",
                Err("expected a name without backslashes and control characters, found `\\u{0}`"),
            ),
            (
                b"a\xffb",
                Err("expected a name in UTF-8, found other bytes after 1 bytes"),
            ),
        ] {
            let found = name(input)
                .map(|(path, _)| path.map_or(String::new(), |path| path.as_str().to_owned()));
            let found = found.map_err(|refusal| refusal.to_string());
            assert_eq!(
                found.as_deref().map_err(String::as_str),
                expected,
                "{input:?}"
            );
        }
        let deep = "d/".repeat(limits::DEPTH + 1);
        let long = "x".repeat(limits::COMPONENT_BYTES + 1);
        let longest = "abc/".repeat(limits::PATH_BYTES / 4 + 1);
        for (input, expected) in [
            (
                &deep,
                "expected a path (components) of at most 64, found 65",
            ),
            (
                &long,
                "expected a component of a path (bytes) of at most 255, found 256",
            ),
            (
                &longest,
                "expected a path (bytes) of at most 4096, found 4100",
            ),
        ] {
            assert_eq!(name(input.as_bytes()).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_top_folder_is_stripped_and_single() {
        let mut top = TopFolder::default();
        let path = |text| RelPath::new(text).unwrap();
        assert_eq!(
            top.strip(&path("x-archive"), Slash::Trailing).unwrap(),
            None
        );
        assert_eq!(
            top.strip(&path("x-archive/lib/a"), Slash::None).unwrap(),
            Some(path("lib/a"))
        );
        assert!(matches!(
            top.strip(&path("y/a"), Slash::None),
            Err(Refusal::TopFolder { .. })
        ));
        assert!(matches!(
            TopFolder::default().strip(&path("a"), Slash::None),
            Err(Refusal::NoTopFolder)
        ));
    }
}
