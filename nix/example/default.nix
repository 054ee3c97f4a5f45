/**
  A package set to build where there is no network: two made libraries, one of which needs the other, for two platforms.

  `archives.sh` writes their archives, the same bytes everywhere, so that `manifests/` can list their hashes; and as a mirror that
  is in the store can be seen in the sandbox, the packages go the whole way: fetched, verified, unpacked, split, patched.

  Non-goals: a product of NVIDIA's. What is in the libraries does nothing.

  # Inputs

  `lib`, `pkgs`, `cuda-redist`
  : `nix/lib`, a nixpkgs of which only `runCommand` is used, and the program.

  `system`
  : The Nix system of the machine that builds.

  # Type

  ```
  AttrSet -> { archives :: Derivation, manifests :: Path, packages :: { ${platform} :: { ${package} :: Derivation } } }
  ```
*/
{
  lib,
  pkgs,
  cuda-redist,
  system,
}:
let
  archives = pkgs.runCommand "cuda-redist-example-archives" { } "sh ${./archives.sh} $out";

  set = lib.mkCudaPackages {
    inherit system;
    manifests = ./manifests;
    releases.example = "1.0.0";
    mirror = "file://${archives}";
    builder = cuda-redist;
    overrides.libexample.dependencies = [ "libexample_base" ];
  };
in
{
  inherit archives;
  manifests = ./manifests;
  packages =
    builtins.mapAttrs
      (_: packages: {
        inherit (packages) libexample libexample_base;
      })
      {
        inherit (set.byPlatform) linux-x86_64 linux-sbsa;
      };
}
