//! `nix/` and `flake.nix` in a real Nix.

mod build;
mod checkout;
mod evaluate;
mod outputs;
mod products;
mod server;
mod unknown;
