/**
  The stub of the driver's NVML gets the name that a linker looks for where another library needs it, as that of `libcuda` in
  `cuda_cudart`.

  The archives of all Linux platforms have the stub; the wheel is a header.

  Source: nixpkgs, `cuda_nvml_dev`; NVIDIA's published feature manifests of CUDA 11.4 to 12.8 (`lib` on every platform of Linux, where there is
  nothing but the stub).
*/
{ isWheel, ... }:
keys:
if isWheel then
  { }
else
  {
    links."lib/stubs/libnvidia-ml.so.1" = "libnvidia-ml.so";
  }
