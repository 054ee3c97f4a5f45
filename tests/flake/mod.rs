//! `nix/` and `flake.nix` in a real Nix.

mod build;
mod checkout;
mod consumers;
mod evaluate;
mod hooks;
mod outputs;
mod server;
