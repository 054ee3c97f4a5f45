/**
  The package sets of the flake: for each minor version of CUDA that `manifests` has, the newest patch release of it.

  # Inputs

  `lib`
  : `nix/lib`.

  `system`, `manifests`, `builder`, and all others
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
  manifests,
  builder,
  ...
}@args:
let
  inherit (builtins)
    attrNames
    listToAttrs
    replaceStrings
    ;

  # Read once for all sets, and only what one of them needs.
  catalog = lib.catalog { inherit manifests; };
  newest = lib.manifests.newestPerMinor (catalog.labels.cuda or [ ]);
in
listToAttrs (
  map (majorMinor: {
    name = "cudaPackages_${replaceStrings [ "." ] [ "_" ] majorMinor}";
    value = lib.mkCudaPackages (
      {
        inherit system builder;
        manifests = catalog;
        releases.cuda = newest.${majorMinor};
      }
      // removeAttrs args [
        "lib"
        "manifests"
      ]
    );
  }) (attrNames newest)
)
