/**
  The program `cuda-redist`: a static one, so that it is a derivation's builder without anything else in the sandbox.

  # Inputs

  `pkgs`
  : A nixpkgs with a Rust as new as `rust-version` in `Cargo.toml` says.

  # Type

  ```
  { pkgs :: Nixpkgs } -> Derivation
  ```
*/
{ pkgs }:
pkgs.pkgsStatic.rustPlatform.buildRustPackage {
  pname = "cuda-redist";
  inherit ((builtins.fromTOML (builtins.readFile ../../Cargo.toml)).package) version;

  src = import ./source.nix "Cargo[.](toml|lock)|build[.]rs|src(/.*)?|nix|nix/data(/.*)?";
  cargoLock.lockFile = ../../Cargo.lock;

  # The tests run Nix, compilers and files from outside; `make test` runs them.
  doCheck = false;

  meta = {
    description = "Checks, verifies, unpacks and patches NVIDIA's CUDA redistributables for Nix";
    mainProgram = "cuda-redist";
  };
}
