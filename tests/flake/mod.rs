//! `nix/` and `flake.nix` in a real Nix with a store of its own.

mod build;
mod evaluate;
pub mod nix;
mod server;
