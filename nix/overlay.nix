/**
  The overlay: adds `cuda-redist`, `cuda-redist-plugin`, and the package sets as `cudaRedist.cudaPackages_<major>_<minor>`.

  Non-goals: replacing `cudaPackages` of nixpkgs. Its packages come with hooks and wrappers that others in nixpkgs rely
  on; the ones here are NVIDIA's files alone.

  # Inputs

  `sets`
  : `nix/package-sets.nix` with `lib` and `manifests` given.

  # Type

  ```
  { sets :: AttrSet -> AttrSet } -> Overlay
  ```
*/
{ sets }:
final: prev: {
  cuda-redist = import ./packages/cuda-redist.nix { pkgs = final; };
  cuda-redist-plugin = final.callPackage ./packages/plugin.nix { };

  # For `nativeBuildInputs` of what is built with the packages.
  cuda-redist-hook = import ./hooks { inherit (final.buildPackages) makeSetupHook cuda-redist; };

  # Built on the build machine, for the host: the builder does not care which machine a package is for.
  cudaRedist = sets {
    inherit (final.stdenv.buildPlatform) system;
    platform = (import ./lib).platforms.fromSystem final.stdenv.hostPlatform.system;
    builder = final.buildPackages.cuda-redist;
    # As nixpkgs asks of its own packages.
    isAllowed =
      if final ? config then (import ./package-set/meta.nix).isAllowedBy final.config else _: true;
  };
}
