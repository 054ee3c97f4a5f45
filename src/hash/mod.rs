//! Digests and their verification.
#![deny(clippy::indexing_slicing)]

mod digest;
mod nar;
mod verify;

pub use digest::{DigestError, Digests, Md5, Sha256, digest, sha256};
pub use nar::nar;
pub use verify::{Expected, Refuted, Verified, verify, verify_beside, verify_watched};
