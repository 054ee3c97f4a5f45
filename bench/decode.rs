//! Decodes an .xz file in one thread, throws the bytes away and prints the time that took: the floor under realising it.
//!
//! Run by `scripts/bench-realise`.

use std::fs::File;
use std::io::{self, BufReader};
use std::time::Instant;

use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

/// Bytes read and decoded at a time, as by the program.
const CHUNK_BYTES: usize = 256 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("expected an .xz file")?;
    let start = Instant::now();
    let input = BufReader::with_capacity(CHUNK_BYTES, File::open(path)?);
    let stream = Stream::new_stream_decoder(u64::MAX, CONCATENATED)?;
    let decoded = XzDecoder::new_stream(input, stream);
    let mut decoded = BufReader::with_capacity(CHUNK_BYTES, decoded);
    let size_bytes = io::copy(&mut decoded, &mut io::sink())?;
    println!("{} s {size_bytes} bytes", start.elapsed().as_secs_f64());
    Ok(())
}
