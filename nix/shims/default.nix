/**
  Shims: release expressions, in which nixpkgs listed archives that were in no manifest, made into manifests and feature
  manifests, so that they go through the same package set.

  # Type

  ```
  { ${product} :: Shim }
  ```

  A `Shim` is described in `shim.nix`.

  # Examples

  ```nix
  lib.mkCudaPackages {
    system = "x86_64-linux";
    builder = pkgs.cuda-redist;
    manifests = lib.manifests.index ./manifests // {
      tensorrt = lib.shims.tensorrt.redistrib {
        inherit ((lib.manifests.readReleases ./tensorrt.json).tensorrt) releases;
        cudaVersion = "12.0";
      };
    };
    releases = { cuda = "12.0.1"; tensorrt = "8.6.1.6"; };
    shapes.tensorrt = "buildableRelease";
  }
  ```
*/
{
  /**
    cuDNN.
  */
  cudnn = import ./cudnn.nix;

  /**
    TensorRT.
  */
  tensorrt = import ./tensorrt.nix;
}
