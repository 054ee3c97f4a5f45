//! Compiles the loader and makes the bindings of `plugin/abi.h`, only with the feature `plugin`.

fn main() {}
