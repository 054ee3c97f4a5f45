//! NVIDIA redistrib manifests: types, and the judge that alone makes them.

/// A checked redistrib manifest.
pub struct Manifest(());
