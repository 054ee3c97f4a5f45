//! Trees as Nix hashes them: the NAR serialisation.

use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use camino::Utf8Path;
use nix_nar::{Encoder, FileSystem, FileSystemMetadata, NativeFileSystem};

/// How much the encoder may write at a time. It writes a link with its entry at once, and both may be 4 KiB long.
const ENCODER_BYTES: usize = 64 * 1024;

/// Reads the NAR serialisation of `path`, a file, link or directory: what `nix hash path` hashes.
///
/// Source: Dolstra, "The Purely Functional Software Deployment Model", figure 5.2.
///
/// # Errors
/// `path` is not UTF-8. The reader fails where something below `path` cannot be read, is not UTF-8, or is no file, link or
/// directory.
pub fn nar(path: &Path) -> io::Result<impl Read> {
    let encoder = Encoder::new_with_filesystem(path, Files).map_err(io::Error::other)?;
    Ok(Buffered {
        encoder,
        bytes: vec![0; ENCODER_BYTES],
        used: 0..0,
    })
}

/// Hands the encoder nothing but large buffers, however few bytes are asked for: it fails where an entry does not fit.
/// [`io::BufReader`] does not promise that (`read_to_end` goes around it).
struct Buffered<R> {
    encoder: R,
    bytes: Vec<u8>,
    /// The part of `bytes` not yet read.
    used: Range<usize>,
}

impl<R: Read> Read for Buffered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used.is_empty() {
            self.used = 0..self.encoder.read(&mut self.bytes)?;
        }
        let mut rest = self.bytes.get(self.used.clone()).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.used.start += count;
        Ok(count)
    }
}

/// The files of this machine, executable if their owner may execute them: the bit Nix looks at, and the only one.
struct Files;

impl FileSystem for Files {
    type File = Uninterrupted<<NativeFileSystem as FileSystem>::File>;

    fn metadata(&self, path: &Utf8Path) -> io::Result<FileSystemMetadata> {
        let metadata = NativeFileSystem {}.metadata(path)?;
        Ok(match metadata {
            FileSystemMetadata::File { length, .. } => {
                let executable = path.symlink_metadata()?.mode() & 0o100 != 0;
                FileSystemMetadata::File { executable, length }
            }
            metadata => metadata,
        })
    }

    fn read_dir(&self, path: &Utf8Path) -> io::Result<Vec<String>> {
        NativeFileSystem {}.read_dir(path)
    }

    fn open(&self, path: &Utf8Path) -> io::Result<Self::File> {
        NativeFileSystem {}.open(path).map(Uninterrupted)
    }
}

/// Reads on after a signal. The encoder forgets where it was at any error, so whoever reads on after an interruption
/// (FUSE and NFS have them) would get a serialisation without the rest of the file.
struct Uninterrupted<R>(R);

impl<R: Read> Read for Uninterrupted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_signal_leaves_nothing_out() {
        struct Signalled<'a>(&'a [u8], bool);
        impl Read for Signalled<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                self.0.read(buffer)
            }
        }
        let mut file = Uninterrupted(Signalled(b"abc", false));
        let mut bytes = [0; 8];
        assert_eq!(file.read(&mut bytes).unwrap(), 3);
        assert_eq!(file.read(&mut bytes).unwrap(), 0);
        assert_eq!(&bytes[..3], b"abc");
    }

    #[test]
    fn a_tree_is_serialised_with_all_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("b/empty")).unwrap();
        fs::write(at("b/file"), "12345").unwrap();
        fs::write(at("A"), "12345678").unwrap();
        fs::write(at("nothing"), "").unwrap();
        for (name, mode) in [("owner", 0o744), ("others", 0o655)] {
            fs::write(at(name), name).unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        }
        symlink("x".repeat(4000), at(&"l".repeat(255))).unwrap();

        let mut bytes = Vec::new();
        nar(dir.path()).unwrap().read_to_end(&mut bytes).unwrap();
        let mut expected = Vec::new();
        let mut words = |words: &[&str]| {
            for word in words {
                expected.extend_from_slice(&(word.len() as u64).to_le_bytes());
                expected.extend_from_slice(word.as_bytes());
                expected.resize(expected.len().next_multiple_of(8), 0);
            }
        };
        words(&["nix-archive-1", "(", "type", "directory"]);
        words(&[
            "entry", "(", "name", "A", "node", "(", "type", "regular", "contents", "12345678", ")",
            ")",
        ]);
        words(&["entry", "(", "name", "b", "node", "(", "type", "directory"]);
        words(&[
            "entry",
            "(",
            "name",
            "empty",
            "node",
            "(",
            "type",
            "directory",
            ")",
            ")",
        ]);
        words(&[
            "entry", "(", "name", "file", "node", "(", "type", "regular", "contents", "12345", ")",
            ")", ")", ")",
        ]);
        words(&[
            "entry",
            "(",
            "name",
            &"l".repeat(255),
            "node",
            "(",
            "type",
            "symlink",
            "target",
            &"x".repeat(4000),
            ")",
            ")",
        ]);
        words(&[
            "entry", "(", "name", "nothing", "node", "(", "type", "regular", "contents", "", ")",
            ")",
        ]);
        words(&[
            "entry", "(", "name", "others", "node", "(", "type", "regular", "contents", "others",
            ")", ")",
        ]);
        words(&[
            "entry",
            "(",
            "name",
            "owner",
            "node",
            "(",
            "type",
            "regular",
            "executable",
            "",
            "contents",
            "owner",
            ")",
            ")",
        ]);
        words(&[")"]);
        assert_eq!(bytes, expected);
    }
}
