/**
  `cudatoolkit`: the packages of a set merged into one folder, for build systems that want a toolkit in one place
  (`CUDAToolkit_ROOT`, `CUDA_PATH`, `CUDA_HOME`). All of it are links, made by `cuda-redist view`; two different files in one place
  are an error that names both.

  Without static libraries, which are large (those that nvcc links programs with come along with nvcc), samples and documentation.

  Non-goals: tools that have a folder of their own (Nsight), and the libraries of the driver.

  # Inputs

  `system`, `builder`
  : As for `mkCudaPackages`.

  `packages`
  : The scope.

  `isThere`
  : Whether a name is that of a package which the platform has.

  `version`
  : The CUDA release.

  # Type

  ```
  { system, builder, packages, isThere, version } -> {
    cudatoolkit :: Derivation,
    mkView :: { name, packages, outputs ?, leaveOut ? } -> Derivation
  }
  ```

  `mkView { name = "mine"; packages = [ cuda_nvcc libcublas cudnn ]; outputs = [ "out" "include" "lib" "static" ]; }` merges others.
*/
{
  system,
  builder,
  packages,
  isThere,
  version,
}:
let
  inherit (builtins) concatMap elem filter;

  # What the Toolkit's installer puts below `/usr/local/cuda` for those who build with it.
  _names = [
    "cuda_cccl"
    "cuda_crt"
    "cuda_cudart"
    "cuda_culibos"
    "cuda_cuobjdump"
    "cuda_cupti"
    "cuda_cuxxfilt"
    "cuda_nvcc"
    "cuda_nvdisasm"
    "cuda_nvml_dev"
    "cuda_nvprune"
    "cuda_nvrtc"
    "cuda_nvtx"
    "cuda_opencl"
    "cuda_profiler_api"
    "libcublas"
    "libcufft"
    "libcufile"
    "libcurand"
    "libcusolver"
    "libcusparse"
    "libnpp"
    "libnvfatbin"
    "libnvjitlink"
    "libnvjpeg"
    "libnvptxcompiler"
    "libnvvm"
  ];

  mkView =
    {
      name,
      packages,
      outputs ? [
        "out"
        "bin"
        "dev"
        "include"
        "lib"
        "stubs"
      ],
      # Each package has its own, and they differ.
      leaveOut ? [
        "LICENSE*"
        "licenses/**"
        "nvvm/LICENSE*"
        "nvvm/licenses/**"
      ],
    }:
    derivation {
      inherit name system leaveOut;
      builder = "${builder}/bin/cuda-redist";
      args = [ "view" ];
      __structuredAttrs = true;
      viewVersion = 1;
      outputs = [ "out" ];
      trees = concatMap (
        package:
        map (output: "${package.${output}}") (
          filter (output: elem output outputs) (package.outputs or [ "out" ])
        )
      ) packages;
    };
in
{
  inherit mkView;

  cudatoolkit =
    mkView {
      name = "cudatoolkit-${if version == null then "unversioned" else version}";
      packages = map (name: packages.${name}) (filter isThere _names);
    }
    // {
      pname = "cudatoolkit";
      inherit version;
      meta = {
        description = "NVIDIA's CUDA Toolkit in one folder, of links to its packages";
        license = [ (import ./meta.nix).licences."CUDA Toolkit" ];
      };
    };
}
