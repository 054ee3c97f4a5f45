//! `nix/` and `flake.nix` in a real Nix.

mod build;
mod checkout;
mod evaluate;
mod outputs;
mod packages;
mod products;
mod server;
