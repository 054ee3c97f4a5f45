//! The shape engine: what a value must look like, and where it does not.
