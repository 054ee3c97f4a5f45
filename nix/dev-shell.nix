/**
  The shell of `nix develop`: what compiling the program and running its tests by hand need.

  Non-goals: `make test`, which sets up a Debian machine; and the plugin, whose Nix is chosen by `plugin.override`.

  # Type

  ```
  { pkgs :: Nixpkgs } -> Derivation
  ```
*/
{ pkgs }:
pkgs.mkShell {
  packages = [
    pkgs.cargo
    pkgs.clippy
    pkgs.elfutils
    pkgs.jq
    pkgs.patchelf
    pkgs.rustc
    pkgs.rustfmt
  ];
}
