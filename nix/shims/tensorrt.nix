/**
  TensorRT's release expressions as manifests.

  Since 10.0 archives can be fetched from NVIDIA. Those before ask for a login: fetch them by hand and put them into the store
  (`nix-store --add-fixed sha256 FILE`), or into the folder that `mirror` names.

  # Type

  As of `nix/shims/shim.nix`.

  # Examples

  ```nix
  (tensorrt.redistrib { inherit (releases.tensorrt) releases; cudaVersion = "12.8"; })."10.9.0.34".tensorrt.linux-sbsa
  => {
    relative_path = "tensorrt/10.9.0/tars/TensorRT-10.9.0.34.Linux.aarch64-gnu.cuda-12.8.tar.gz";
    sha256 = "…";
  }
  ```
*/
let
  versions = import ../lib/versions.nix;
in
import ./shim.nix {
  product = "tensorrt";
  name = "NVIDIA TensorRT";
  license = "TensorRT";
  # Source: NVIDIA's address of 10.0 and newer, as its manifests have it.
  relativePath =
    release:
    if versions.atLeast release.version "10.0" then
      "tensorrt/${versions.majorMinorPatch release.version}/tars/${release.filename}"
    else
      release.filename;
  needs =
    release:
    if release.cudnnVersion or null == null then { } else { cudnn = release.cudnnVersion; };
}
