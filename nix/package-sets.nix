/**
  The package sets of the flake: for each minor version of CUDA that `manifests` has, the newest patch release of it.

  # Inputs

  `lib`
  : `nix/lib`.

  `system`, `platform`, `manifests`, `builder`, `isAllowed`
  : As for `lib.mkCudaPackages`.

  # Type

  ```
  AttrSet -> { ${"cudaPackages_" + major + "_" + minor} :: Scope }
  ```

  # Examples

  ```nix
  import ./package-sets.nix { inherit lib manifests builder; system = "x86_64-linux"; }
  => { cudaPackages_12_8 = { … }; cudaPackages_12_9 = { … }; cudaPackages_13_0 = { … }; }
  ```
*/
{
  lib,
  system,
  platform ? lib.platforms.fromSystem system,
  manifests,
  builder,
  isAllowed ? _: true,
}:
let
  inherit (builtins)
    attrNames
    listToAttrs
    replaceStrings
    ;

  # Read once for all sets.
  index = lib.manifests.index manifests;
  features = lib.manifests.indexFeatures manifests;
  newest = lib.manifests.newestPerMinor (attrNames (index.cuda or { }));
in
listToAttrs (
  map (majorMinor: {
    name = "cudaPackages_${replaceStrings [ "." ] [ "_" ] majorMinor}";
    value = lib.mkCudaPackages {
      inherit
        system
        platform
        builder
        features
        isAllowed
        ;
      manifests = index;
      releases.cuda = newest.${majorMinor};
    };
  }) (attrNames newest)
)
