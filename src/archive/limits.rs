//! Every cap of the unpacker, with its reason.
//!
//! Archives are hostile until proven otherwise: without these a few hundred kilobytes can ask for gigabytes of
//! memory or disk. Each cap is far above what was seen in NVIDIA's wheels and manifests, where the comment says what
//! was; the message of a refusal names the cap.

/// Most entries of one archive, and most paths of its tree, the implied directories included: the table of names that
/// finds doubles grows with it. The wheel of CCCL's headers (13.2.75) has 1944 entries.
pub(super) const ENTRIES: u64 = 200_000;

/// [`ENTRIES`], for the tree.
pub(super) const PATHS: usize = 200_000;

/// Longest path of an entry, in bytes: Linux' `PATH_MAX`, above which nothing could open the file.
pub(super) const PATH_BYTES: usize = 4096;

/// Longest component of a path, in bytes: `NAME_MAX` of every usual file system.
pub(super) const COMPONENT_BYTES: usize = 255;

/// Deepest path, in components. The wheel of CCCL's headers (13.2.75) goes down to 10; each level costs a system
/// call.
pub(super) const DEPTH: usize = 64;

/// All paths of one archive together, implied directories included, in bytes: bounds the memory of the table of names,
/// which has each twice, so that with the other 200 bytes a path takes the table stays below 110 MB.
pub(super) const ALL_PATHS_BYTES: usize = 32 << 20;

/// Most bytes that come out of one archive: nine times the largest archive, as it is packed, in any manifest of
/// NVIDIA's at hand (TensorRT 10.10.0.31 for CUDA 12.9, 7616117342 bytes).
pub(super) const OUTPUT_BYTES: u64 = 64 << 30;

/// Bytes that may come out of any archive, however small: so that small archives of text, which compress well,
/// are never refused.
pub(super) const OUTPUT_FREE_BYTES: u64 = 64 << 20;

/// Most bytes out per byte in, beyond [`OUTPUT_FREE_BYTES`]. NVIDIA's wheels (deflate) were seen to give 1.5 to 7, a
/// tree of libraries (`xz -9`) 3.3; bombs of zeros give about 1000 (deflate) and 7000 (LZMA).
pub(super) const OUTPUT_RATIO: u64 = 100;

/// Memory of the .xz decoder, in bytes. `xz -9`, the largest preset, needs 65 MiB.
pub(super) const DECODER_BYTES: u64 = 256 << 20;

/// Memory of the .xz decoder while it decodes blocks in parallel, in bytes; blocks that do not fit are decoded one
/// after the other. Each block takes its packed and its unpacked size and a dictionary: what `xz -T` makes at its
/// default level (blocks of 24 MiB, dictionaries of 8) fits four times, and with [`CHUNKS_AHEAD`] the program stays below 256 MiB.
pub(super) const DECODER_PARALLEL_BYTES: u64 = 192 << 20;

/// Most threads that decode blocks in parallel: what fits into [`DECODER_PARALLEL_BYTES`], with room for smaller blocks.
pub(super) const DECODER_THREADS: u32 = 8;

/// Longest extended header of a tar entry, in bytes. It holds two paths and a few numbers.
pub(super) const TAR_EXTENSION_BYTES: u64 = 64 << 10;

/// Most extended headers in front of one tar entry: a long name, a long link, a local and a global one, with room.
pub(super) const TAR_EXTENSIONS: u32 = 8;

/// Longest list or text of a wheel's `.dist-info` that is read into memory, in bytes. A line of RECORD has some
/// hundred bytes.
pub(super) const WHEEL_TEXT_BYTES: u64 = 64 << 20;

/// Symbolic links followed while one target is resolved: Linux' own limit.
pub(super) const LINK_HOPS: u32 = 40;

/// Bytes copied at a time, from decoder to file: large enough that system calls do not count.
pub(super) const COPY_BYTES: usize = 256 << 10;

/// Chunks of [`COPY_BYTES`] that decompression may be ahead of writing: enough to even out how long single writes take.
pub(super) const CHUNKS_AHEAD: usize = 16;

/// Most bytes that an archive of `archive_bytes` may give: see [`OUTPUT_RATIO`].
pub(super) fn output_bytes(archive_bytes: u64) -> u64 {
    archive_bytes
        .saturating_mul(OUTPUT_RATIO)
        .saturating_add(OUTPUT_FREE_BYTES)
        .min(OUTPUT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_grows_with_the_archive_up_to_the_cap() {
        for (archive_bytes, expected) in [
            (0, 67_108_864),
            (312_000, 98_308_864),
            (1 << 30, OUTPUT_BYTES),
            (u64::MAX, OUTPUT_BYTES),
        ] {
            assert_eq!(output_bytes(archive_bytes), expected, "{archive_bytes}");
        }
    }
}
