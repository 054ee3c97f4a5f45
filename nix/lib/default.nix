/**
  The library of cuda-redist: `builtins` only, no nixpkgs. Works on Nix 2.8.0 and newer.

  Each family is a file of its own and its tests are beside it: `X.test.nix` evaluates to the list of cases that fail.

  # Examples

  ```nix
  (import ./nix { }).lib.platforms.fromSystem "aarch64-linux"
  => "linux-sbsa"
  ```
*/
let
  shapes = import ./shapes.nix;
in
{
  /**
    A value, held against a shape where the plugin is loaded; see `shapes.nix`.
  */
  inherit (shapes) check;

  /**
    SHA-256 hashes in the notation that manifests use.
  */
  hashes = import ./hashes.nix;

  /**
    Which manifests a folder has and what is in them.
  */
  manifests = import ./manifests.nix;

  /**
    Shapes as data: the judge's own, and what products add; see `nix/modules/default.nix`.
  */
  modules = import ../modules;

  /**
    Outputs and their order.
  */
  outputs = import ./outputs.nix;

  /**
    Nix systems and redist platforms.
  */
  platforms = import ./platforms.nix;

  /**
    Shapes put together from others.
  */
  inherit shapes;

  /**
    Release expressions made into manifests; see `nix/shims/default.nix`.
  */
  shims = import ../shims;

  /**
    URLs and file names of archives.
  */
  sources = import ./sources.nix;

  /**
    NVIDIA's version numbers.
  */
  versions = import ./versions.nix;

  /**
    A package set made from manifests; see `nix/package-set/default.nix`.
  */
  mkCudaPackages = import ../package-set;
}
