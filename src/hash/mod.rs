//! Digests and their verification.

/// A file whose digests were compared.
pub struct Verified<F>(F);
