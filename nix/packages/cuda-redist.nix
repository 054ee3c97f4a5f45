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

  # Only what the program is made of: a change to anything else must not rebuild every package of every set.
  src = builtins.path {
    name = "cuda-redist-source";
    path = ../..;
    filter =
      let
        wanted = "Cargo[.](toml|lock)|build[.]rs|src(/.*)?|nix|nix/data(/.*)?";
        start = builtins.stringLength (toString ../..) + 1;
        relative = path: builtins.substring start (builtins.stringLength path) path;
      in
      path: _type: builtins.match wanted (relative path) != null;
  };
  cargoLock.lockFile = ../../Cargo.lock;

  # The tests run Nix, compilers and files from outside; `make test` runs them.
  doCheck = false;

  meta = {
    description = "Checks, verifies, unpacks and patches NVIDIA's CUDA redistributables for Nix";
    mainProgram = "cuda-redist";
  };
}
