//! Decompression ahead of its use: one thread decompresses, the caller's hashes and writes.
//!
//! What goes from one to the other is a sequence of streams (the one of a tar archive, one for each file of a zip
//! archive), cut into chunks that do not care where one ends: thousands of small files cost no more hand-overs than
//! one large one.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use super::entry::Refusal;
use super::limits;

/// Calls `produce` on a thread of its own and `consume` on this one; what the first puts into its [`Sink`] comes out of
/// the [`Source`] of the second, at most [`limits::CHUNKS_AHEAD`] chunks later. When `consume` returns, `produce` is told to end.
///
/// # Errors
/// The thread cannot be started, or it panicked.
pub(super) fn ahead<T>(
    produce: impl FnOnce(&mut Sink) + Send,
    consume: impl FnOnce(&mut Source) -> T,
) -> io::Result<T> {
    let (full, received) = mpsc::sync_channel(limits::CHUNKS_AHEAD);
    let (give_back, spare) = mpsc::channel();
    thread::scope(|scope| {
        let producer = thread::Builder::new()
            .name("decompress".to_owned())
            .spawn_scoped(scope, move || {
                let mut sink = Sink {
                    full,
                    spare,
                    chunk: Chunk::empty(),
                };
                produce(&mut sink);
                sink.send();
            })?;
        let mut source = Source {
            received,
            give_back,
            chunk: None,
            at: 0,
            ends_seen: 0,
            is_at_end: true,
        };
        let outcome = consume(&mut source);
        // A producer that waits for room in the channel sees by this that nobody wants more.
        drop(source);
        producer.join().map_err(|_| ended_early())?;
        Ok(outcome)
    })
}

fn ended_early() -> io::Error {
    io::Error::other(Refusal::Gone)
}

/// A part of the sequence of streams.
struct Chunk {
    /// Room; the first `used` bytes count.
    bytes: Vec<u8>,
    used: usize,
    /// Where in `bytes` streams end, ascending.
    ends: Vec<usize>,
    /// What came in place of more bytes.
    failure: Option<io::Error>,
}

impl Chunk {
    fn empty() -> Chunk {
        Chunk {
            bytes: vec![0; limits::COPY_BYTES],
            used: 0,
            ends: Vec::new(),
            failure: None,
        }
    }
}

/// Where streams are put, one after the other.
pub(super) struct Sink {
    full: SyncSender<Chunk>,
    spare: Receiver<Chunk>,
    chunk: Chunk,
}

/// Does the other side want more?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// It does.
    More,
    /// It has gone, or was told of a failure.
    Over,
}

impl Sink {
    /// Puts all bytes of `stream`, then its end. An error of `stream` is handed over in its place and is the last thing.
    pub(super) fn stream(&mut self, stream: &mut dyn Read) -> Demand {
        loop {
            if self.chunk.used == self.chunk.bytes.len() && self.send() == Demand::Over {
                return Demand::Over;
            }
            let room = self.chunk.bytes.get_mut(self.chunk.used..);
            match stream.read(room.unwrap_or_default()) {
                Ok(0) => {
                    self.chunk.ends.push(self.chunk.used);
                    return Demand::More;
                }
                Ok(count) => self.chunk.used = self.chunk.used.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Hands `error` over in place of a stream, or of what is left of one.
    pub(super) fn fail(&mut self, error: io::Error) -> Demand {
        self.chunk.failure = Some(error);
        self.send();
        Demand::Over
    }

    fn send(&mut self) -> Demand {
        let next = match self.spare.try_recv() {
            Ok(mut chunk) => {
                chunk.used = 0;
                chunk.ends.clear();
                chunk
            }
            Err(_) => Chunk::empty(),
        };
        let full = std::mem::replace(&mut self.chunk, next);
        match self.full.send(full) {
            Ok(()) => Demand::More,
            Err(_) => Demand::Over,
        }
    }
}

/// Where the streams come out, in their order: [`Source::next_stream`] begins one, and reading ends where it ends.
pub(super) struct Source {
    received: Receiver<Chunk>,
    give_back: Sender<Chunk>,
    chunk: Option<Chunk>,
    /// How much of `chunk` was read.
    at: usize,
    /// How many of the ends in `chunk` were met.
    ends_seen: usize,
    is_at_end: bool,
}

impl Source {
    /// Begins the next stream. The one before must have been read to its end.
    pub(super) fn next_stream(&mut self) -> &mut Source {
        self.is_at_end = false;
        self
    }

    /// Receives a chunk where there is none.
    fn receive(&mut self) -> io::Result<()> {
        if self.chunk.is_none() {
            self.chunk = Some(self.received.recv().map_err(|_| ended_early())?);
            (self.at, self.ends_seen) = (0, 0);
        }
        Ok(())
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_at_end || buffer.is_empty() {
            return Ok(0);
        }
        loop {
            self.receive()?;
            let (at, ends_seen) = (self.at, self.ends_seen);
            let chunk = self.chunk.as_mut().ok_or_else(ended_early)?;
            let end = chunk.ends.get(ends_seen).copied();
            let bytes = chunk.bytes.get(at..end.unwrap_or(chunk.used));
            let mut bytes = bytes.unwrap_or_default();
            if !bytes.is_empty() {
                let count = bytes.read(buffer)?;
                self.at = at.saturating_add(count);
                return Ok(count);
            }
            if end.is_some() {
                self.ends_seen = ends_seen.saturating_add(1);
                self.is_at_end = true;
                return Ok(0);
            }
            if let Some(error) = chunk.failure.take() {
                return Err(error);
            }
            if let Some(chunk) = self.chunk.take() {
                // The producer may be done and gone; then nobody wants the chunk back.
                let _ = self.give_back.send(chunk);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out when these streams are put in: lengths, and the failure at the end.
    fn through(lengths: &[usize], failure: Option<&str>) -> (Vec<usize>, Option<String>) {
        let produce = |sink: &mut Sink| {
            for (number, length) in lengths.iter().enumerate() {
                let byte = u8::try_from(number % 251).unwrap();
                let mut stream = io::repeat(byte).take(u64::try_from(*length).unwrap());
                if sink.stream(&mut stream) == Demand::Over {
                    return;
                }
            }
            if let Some(failure) = failure {
                sink.fail(io::Error::other(failure.to_owned()));
            }
        };
        let consume = |source: &mut Source| {
            let mut found = Vec::new();
            for number in 0..lengths.len() {
                let mut bytes = Vec::new();
                source.next_stream().read_to_end(&mut bytes).unwrap();
                let byte = u8::try_from(number % 251).unwrap();
                assert!(bytes.iter().all(|found| *found == byte), "stream {number}");
                found.push(bytes.len());
            }
            let end = source.next_stream().read(&mut [0]);
            (found, end.err().map(|error| error.to_string()))
        };
        ahead(produce, consume).unwrap()
    }

    #[test]
    fn streams_come_out_as_they_went_in() {
        let chunk = limits::COPY_BYTES;
        let ended = Some(ended_early().to_string());
        for lengths in [
            vec![],
            vec![0],
            vec![1, 0, 0, 2],
            vec![chunk],
            vec![chunk - 1, 1, 1],
            vec![chunk, 0, chunk * 20 + 1, chunk],
            vec![3; 5000],
        ] {
            let expected = (lengths.clone(), ended.clone());
            assert_eq!(through(&lengths, None), expected, "{lengths:?}");
            let expected = (lengths.clone(), Some("broken".to_owned()));
            assert_eq!(through(&lengths, Some("broken")), expected, "{lengths:?}");
        }
    }

    #[test]
    fn a_producer_ends_when_nobody_listens() {
        let produce = |sink: &mut Sink| while sink.stream(&mut io::repeat(1)) == Demand::More {};
        let first = ahead(produce, |source| {
            let mut byte = [0];
            source.next_stream().read(&mut byte).map(|_| byte)
        });
        assert_eq!(first.unwrap().unwrap(), [1]);
    }

    #[test]
    fn a_panic_is_an_error() {
        let read = ahead(
            |_| panic!("on purpose"),
            |source| {
                source
                    .next_stream()
                    .read(&mut [0])
                    .map_err(|error| error.to_string())
            },
        );
        assert_eq!(read.unwrap_err().to_string(), ended_early().to_string());
    }
}
