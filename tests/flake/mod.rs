//! `nix/` and `flake.nix` in a real Nix with a store of its own.

mod build;
mod evaluate;
mod nix;
mod server;
