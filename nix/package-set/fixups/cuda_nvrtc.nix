/**
  NVRTC has static libraries since CUDA 11.5: what is not there must not be declared.

  Source: NVIDIA's archives, as the feature manifests of CUDA 11.4 to 12.8 list them.
*/
{ cudaVersion, ... }:
keys: {
  outputs = builtins.filter (
    output:
    output != "static"
    || (cudaVersion != null && (import ../../lib/versions.nix).mayBeAtLeast cudaVersion "11.5")
  ) keys.outputs;
}
