//! `nix/` and `flake.nix` in a real Nix.

mod build;
mod checkout;
mod consumers;
mod evaluate;
mod hooks;
mod module;
mod outputs;
mod packages;
mod products;
mod remote;
mod scale;
mod server;
mod static_nix;
mod surface;
