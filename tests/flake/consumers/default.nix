/**
  Projects of others, built against a package set by plain derivations: the compilers are those of `/usr/bin`, so the sandbox has to
  be off.

  # Inputs

  `nix`
  : The folder `nix` of cuda-redist.

  `manifests`, `builder`
  : As for `mkCudaPackages`.

  # Type

  ```
  { nix, manifests, builder } -> {
    set :: Scope,
    cmake, cmakeSplayed, cmakeLibraries, pkgConfig, make :: Derivation,
    gpu :: Derivation # only for machines that say they have one
  }
  ```
*/
{
  nix,
  manifests,
  builder,
}:
let
  set = (import nix { }).mkCudaPackages {
    system = "x86_64-linux";
    inherit manifests builder;
  };
  inherit (set)
    cuda_cudart
    cuda_nvcc
    cudatoolkit
    libnvjpeg
    ;

  build =
    name: env: script:
    derivation (
      env
      // {
        inherit name;
        system = "x86_64-linux";
        builder = "/bin/sh";
        args = [
          "-euc"
          ''
            export PATH=/usr/bin:/bin HOME=$TMPDIR
            cp -r ${./.} source
            chmod -R u+w source
            cd source
            ${script}
            ${builder}/bin/cuda-redist elf fix-runpath \
              --library-path ${cuda_cudart.lib}/lib --library-path ${libnvjpeg.lib}/lib $out
          ''
        ];
      }
    );
  cmake = flags: ''
    cmake -S cmake -B build -DCMAKE_INSTALL_PREFIX=$out ${flags}
    cmake --build build
    cmake --install build
  '';

  # The compiler of the merged toolkit leads to all else.
  cmake' = build "consumer-cmake" { CUDACXX = "${cudatoolkit}/bin/nvcc"; } (cmake "");
in
{
  inherit set;

  cmake = cmake';

  # A project without CUDA's language.
  cmakeLibraries = build "consumer-cmake-libraries" { CUDAToolkit_ROOT = cudatoolkit; } (
    cmake "-DKERNEL=OFF"
  );

  # nvcc, and the outputs of single packages where CMake looks for packages.
  cmakeSplayed = build "consumer-cmake-splayed" {
    CUDACXX = "${cuda_nvcc}/bin/nvcc";
    CMAKE_PREFIX_PATH = "${libnvjpeg.include}:${libnvjpeg.lib}";
    CFLAGS = "-I${libnvjpeg.include}/include";
  } (cmake "");

  pkgConfig = build "consumer-pkg-config" {
    PKG_CONFIG_PATH = "${cuda_cudart.dev}/share/pkgconfig";
    NVJPEG = cudatoolkit;
  } "make -C pkg-config install PREFIX=$out";

  make = build "consumer-make" { CUDA_PATH = cudatoolkit; } "make -C make install PREFIX=$out";

  gpu = derivation {
    name = "consumer-gpu";
    system = "x86_64-linux";
    requiredSystemFeatures = [ "cuda" ];
    builder = "${cmake'}/bin/kernel";
  };
}
