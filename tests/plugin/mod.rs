//! `builtins.cudaRedist` in a real Nix.
