/**
  CUPTI has static libraries for x86_64, and since CUDA 12.6 for sbsa: what is not there must not be declared.

  Source: NVIDIA's archives, as the feature manifests of CUDA 11.4 to 12.8 list them.
*/
{ platform, cudaVersion, ... }:
keys:
let
  hasStatic =
    platform == "linux-x86_64"
    || (
      platform == "linux-sbsa"
      && cudaVersion != null
      && (import ../../lib/versions.nix).mayBeAtLeast cudaVersion "12.6"
    );
in
{
  outputs = builtins.filter (output: output != "static" || hasStatic) keys.outputs;
}
