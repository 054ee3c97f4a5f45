/**
  `cudatoolkit`: the packages of a set merged into one folder, for build systems that want a toolkit in one place
  (`CUDAToolkit_ROOT`, `CUDA_PATH`, `CUDA_HOME`). All of it are links, made by `cuda-redist view`; two different files in one place
  are an error that names both.

  Without static libraries, which are large (those that nvcc links programs with come along with nvcc), samples and documentation.

  Non-goals: tools that have a folder of their own (Nsight), and the libraries of the driver.

  # Inputs

  `system`, `builder`, `platform`
  : As for `mkCudaPackages`.

  `packages`
  : The scope.

  `isThere`
  : Whether a name is that of a package which the platform has.

  `version`
  : The CUDA release.

  `refuse`
  : Of `unsupported.nix`: what stands for a toolkit without its compiler or its runtime.

  # Type

  ```
  { system, builder, platform, packages, isThere, version, refuse } -> {
    cudatoolkit :: Derivation,
    mkView :: { name, packages, outputs ?, leaveOut ? } -> Derivation
  }
  ```

  `mkView { name = "mine"; packages = [ cuda_nvcc libcublas cudnn ]; outputs = [ "out" "include" "lib" "static" ]; }` merges others.
*/
{
  system,
  builder,
  platform,
  packages,
  isThere,
  version,
  refuse,
}:
let
  inherit (builtins)
    any
    all
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elem
    filter
    listToAttrs
    map
    ;

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

  # Without these it is no toolkit.
  _lacking = filter (name: !(isThere name)) [
    "cuda_nvcc"
    "cuda_cudart"
  ];

  _parts = map (name: packages.${name}) (filter isThere _names);

  # What all parts say; an overlay's may say nothing.
  _meta =
    let
      metas = map (part: part.meta or { }) _parts;
      licences = listToAttrs (
        concatMap (
          meta:
          map (licence: {
            name = licence.shortName or licence.fullName or "unknown";
            value = licence;
          }) (if builtins.isList (meta.license or [ ]) then meta.license or [ ] else [ meta.license ])
        ) metas
      );
      platforms = map (meta: meta.platforms) (filter (meta: meta ? platforms) metas);
    in
    {
      description = "NVIDIA's CUDA Toolkit in one folder, of links to its packages";
      homepage = "https://developer.nvidia.com/cuda-toolkit";
      license = attrValues licences;
      unfree = any (meta: meta.unfree or false) metas;
      platforms = filter (system: all (elem system) platforms) (
        attrNames (
          listToAttrs (
            concatMap (map (name: { inherit name; value = null; })) platforms
          )
        )
      );
      available = true;
      broken = false;
      unsupported = false;
    };

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
    if _lacking == [ ] then
      mkView {
        name = "cudatoolkit-${if version == null then "unversioned" else version}";
        packages = _parts;
      }
      // {
        pname = "cudatoolkit";
        inherit version;
        meta = _meta;
      }
    else
      # A view of packages is none of them.
      removeAttrs (refuse {
        product = "cuda";
        package = "cudatoolkit";
        label = version;
        release = {
          name = _meta.description;
          license = "CUDA Toolkit";
        }
        // (if version == null then { } else { inherit version; });
        inherit platform;
        variant = null;
        reason = "`cudatoolkit`: expected ${
          concatStringsSep " and " (map (name: "`${name}`") _lacking)
        } in the set, found none for `${platform}`";
      }) [ "package" ];
}
