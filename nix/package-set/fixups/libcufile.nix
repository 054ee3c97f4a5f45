/**
  Before CUDA 11.7 the libraries of cuFile ask for `libcufile.so.0` themselves, also where their archive has it by another name only.

  Source: nixpkgs, `libcufile`.
*/
{ cudaVersion, ... }:
keys: {
  allowedMissing =
    keys.allowedMissing
    ++ (
      if cudaVersion == null || (import ../../lib/versions.nix).mayBeAtMost cudaVersion "11.6" then
        [ "libcufile.so.0" ]
      else
        [ ]
    );
}
