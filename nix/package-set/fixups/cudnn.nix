/**
  cuDNN 8 opens its own parts and cuBLAS by name. As NEEDED they are found through the RUNPATH of the library that wants them,
  and one that is missing shows when the package is built. The names of cuBLAS's libraries depend on the CUDA that the archive
  is for, hence no row of a table. cuDNN 9 says itself what it needs, and opens the rest through its RUNPATH (`dlopen` in
  `nix/data/packages.json`).

  Source: nixpkgs, `cudnn`, which adds the same ones.
*/
{
  version,
  variant,
  cudaVersion,
  ...
}:
keys:
let
  inherit (builtins) head match;

  versionsLib = import ../../lib/versions.nix;

  cudaMajor =
    if variant != null then
      head (match "[a-z]*([0-9]+).*" variant)
    else if cudaVersion != null then
      versionsLib.major cudaVersion
    else
      null;
in
if versionsLib.major version != "8" then
  { }
else
  {
    addNeeded = {
      "lib/libcudnn.so.8*" = [ "libcudnn_cnn_infer.so.8" ];
    }
    # Without a CUDA release in the set and a variant in the release nobody can tell.
    // (
      if cudaMajor == null then
        { }
      else
        {
          "lib/libcudnn_ops_infer.so.8*" = [
            "libcublas.so.${cudaMajor}"
            "libcublasLt.so.${cudaMajor}"
          ];
        }
    );
  }
