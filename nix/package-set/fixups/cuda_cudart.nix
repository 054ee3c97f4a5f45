/**
  The runtime's headers include those of two other packages, `crt/host_config.h` and `nv/target`: links make them whole for
  compilers that are told of this package alone. Before CUDA 13 `crt/` is in nvcc, which needs this package itself: there a
  program that is not compiled by nvcc names `cuda_nvcc`, too. Before CUDA 12 no header includes `nv/target`.

  Programs look for the driver: who links by pkg-config gets its folders as RUNPATH, for `libcuda.so.1` itself and for the static
  runtime, which opens it by name. Its stub gets the name that a linker looks for where another library needs it.

  Wheels have neither stubs nor files of pkg-config.

  Source: nixpkgs, `cuda_cudart`.
*/
{
  cudaVersion,
  isWheel,
  driverPaths,
  ...
}:
keys:
let
  rpath = builtins.concatStringsSep "" (map (path: " -Wl,-rpath,${path}") driverPaths);
  since = version: cudaVersion != null && (import ../../lib/versions.nix).mayBeAtLeast cudaVersion version;
  includes = package: path: [
    {
      inherit package path;
      output = "include";
    }
  ];
in
{
  merge =
    (if since "13.0" then { "include/crt" = includes "cuda_crt" "include/crt"; } else { })
    // (if since "12.0" then { "include/nv" = includes "cuda_cccl" "include/nv"; } else { });
}
// (
  if isWheel then
    { }
  else
    {
      links."lib/stubs/libcuda.so.1" = "libcuda.so";
      replaceTexts = {
        "share/pkgconfig/cudart-[0-9]*.pc"."-lcudart" = "-lcudart${rpath}";
        "share/pkgconfig/cuda-[0-9]*.pc"."-lcuda" = "-lcuda${rpath}";
      };
    }
)
