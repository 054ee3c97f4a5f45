# Release expressions as nixpkgs had them.
{
  cudnn.releases.linux-x86_64 = [
    {
      version = "8.0.5.39";
      minCudaVersion = "11.0";
      maxCudaVersion = "11.0";
      url = "https://developer.download.nvidia.com/compute/redist/cudnn/v8.0.5/cudnn-11.0-linux-x64-v8.0.5.39.tgz";
      hash = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    }
    {
      version = "8.9.7.29";
      minCudaVersion = "11.0";
      maxCudaVersion = "11.8";
      url = "https://developer.download.nvidia.com/compute/cudnn/redist/cudnn/linux-x86_64/cudnn-linux-x86_64-8.9.7.29_cuda11-archive.tar.xz";
      hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    }
  ];
}
