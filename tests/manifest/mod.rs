//! Manifests, feature manifests and release expressions: the judge, through the library and through `check` and `schema`.

/// Wrong files with the text of their refusal, odd ones with their warnings, fine ones.
pub mod cases;
/// `check --format json|sarif|github`.
mod formats;
/// Texts made to break a reader.
mod hostile;
/// What `check` reads: files, folders, stdin, what cannot be read; terminals.
mod inputs;
/// Each field of small files changed in each way.
mod mutations;
/// NVIDIA's own files, as they are and with one change.
mod real;
/// `schema`, held against a public validator.
mod schemas;
