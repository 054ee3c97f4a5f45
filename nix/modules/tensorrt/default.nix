/**
  The shapes of TensorRT's release expressions: each release says, besides what all do, which file it is and which cuDNN it
  was built with. `nix/shims/tensorrt.nix` makes manifests of them.

  # Type

  ```
  { releases, package :: Shape }
  ```

  # Examples

  ```nix
  # A site that allows TensorRT 10 only.
  cudaRedist.lib.shapes.releasesOf (
    cudaRedist.lib.shapes.extend tensorrt.package {
      version = { extends = "majorMinorPatchBuild"; matches = "10[.].*"; };
    }
  )
  ```
*/
let
  shapes = import ../../lib/shapes.nix;
  generic = import ../generic/releases;

  package = shapes.extend generic.releasePackage {
    filename = "fileName";
    cudnnVersion.nullOr = "majorMinor";
  };
in
{
  /**
    TensorRT's releases by platform.
  */
  releases = shapes.releasesOf package;

  /**
    One of them. `cudnnVersion` is `null` where it was built without cuDNN.
  */
  inherit package;
}
