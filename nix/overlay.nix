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
let
  lib = import ./lib;
in
final: prev: {
  cuda-redist = import ./packages/cuda-redist.nix { pkgs = final; };
  cuda-redist-plugin = final.callPackage ./packages/plugin.nix { };

  # For `nativeBuildInputs` of what is built with the packages.
  cuda-redist-hook = import ./hooks { inherit (final.buildPackages) makeSetupHook cuda-redist; };

  # Built on the build machine, for the host: the builder does not care which machine a package is for.
  cudaRedist =
    let
      config = final.config or { };
      loader = final.stdenv.cc.bintools.dynamicLinker or null;
      # For some machines nixpkgs has a pattern instead.
      isPath = builtins.isString loader && builtins.match ".*[*].*" loader == null;
      isOfHost =
        platform:
        builtins.elem final.stdenv.hostPlatform.system (lib.platforms.toSystems platform);
    in
    sets {
      inherit (final.stdenv.buildPlatform) system;
      targetSystem = final.stdenv.hostPlatform.system;
      builder = final.buildPackages.cuda-redist;
      # As nixpkgs asks of its own packages.
      isAllowed =
        if final ? config then (import ./package-set/meta.nix).isAllowedBy final.config else _: true;
      # What its users say of their GPUs.
      cudaCapabilities = config.cudaCapabilities or [ ];
      cudaForwardCompat = config.cudaForwardCompat or true;
      # NixOS has neither these libraries nor a loader where NVIDIA's files look for them. Packages for other machines cannot
      # load the ones of this one.
      hostLibraries = platform: if isOfHost platform then lib.hostLibraries final else { };
      interpreters =
        if isPath then
          builtins.listToAttrs (
            map (name: {
              inherit name;
              value = loader;
            }) (builtins.filter isOfHost lib.platforms.linux)
          )
        else
          { };
    };
}
