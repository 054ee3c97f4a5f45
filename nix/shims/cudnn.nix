/**
  cuDNN's release expressions as manifests: releases before 8.5 are in no manifest of NVIDIA.

  # Type

  As of `nix/shims/shim.nix`.

  # Examples

  ```nix
  cudnn.redistribRelease "linux-x86_64" {
    version = "8.9.7.29";
    minCudaVersion = "12.0";
    maxCudaVersion = "12.8";
    url = "https://developer.download.nvidia.com/compute/cudnn/redist/cudnn/linux-x86_64/cudnn-linux-x86_64-8.9.7.29_cuda12-archive.tar.xz";
    hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  }
  => {
    name = "NVIDIA CUDA Deep Neural Network library";
    license = "cudnn";
    version = "8.9.7.29";
    linux-x86_64 = {
      relative_path = "cudnn/linux-x86_64/cudnn-linux-x86_64-8.9.7.29_cuda12-archive.tar.xz";
      sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    };
  }
  ```
*/
import ./shim.nix {
  product = "cudnn";
  name = "NVIDIA CUDA Deep Neural Network library";
  license = "cudnn";
  # cuDNN's releases have a URL; a file name alone is one that a mirror has.
  relativePath = release: release.filename;
  needs = _: { };
}
