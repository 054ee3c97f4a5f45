/**
  The setup hook for those who build with packages of a set in nixpkgs' stdenv: `nativeBuildInputs = [ cuda-redist-hook ]`. What it does stands
  in `cuda-redist-hook.sh` beside this file.

  The only part of `nix/` that is for nixpkgs alone.

  # Inputs

  `makeSetupHook`, `cuda-redist`
  : Of a nixpkgs; the program runs on the build machine.

  `driverPaths`
  : Where the driver's libraries will be found.

  # Type

  ```
  { makeSetupHook, cuda-redist, driverPaths ? } -> Derivation
  ```
*/
{
  makeSetupHook,
  cuda-redist,
  driverPaths ? [ "/run/opengl-driver/lib" ],
}:
makeSetupHook {
  name = "cuda-redist-hook";
  substitutions = {
    cudaRedist = "${cuda-redist}";
    driverPaths = builtins.concatStringsSep " " driverPaths;
  };
} ./cuda-redist-hook.sh
