/**
  nvcc looks for everything beside itself: `bin/../include`, `bin/../lib`, `bin/../nvvm` (`nvcc.profile`, which stays as NVIDIA
  wrote it), and so do CMake and other build systems that ask it for its toolkit. What it needs of other packages is therefore
  linked into it: the runtime, the headers of the compiler (their own package from CUDA 13 on), CCCL and, from CUDA 13 on, libnvvm, which
  was a part of nvcc before. So `nvcc x.cu` works by itself. `lib64` is what the profile of some releases says.

  Links, no copies: a program that is linked against the runtime here has the folder `lib` of nvcc in its RUNPATH, unless it is
  linked by stdenv with `cuda_cudart` among its inputs; `cuda-redist elf fix-runpath` sets it right.

  Source: nixpkgs, `cuda_nvcc`, which rewrites `nvcc.profile` and copies libnvvm; what nvcc 13.2 prints with `--dryrun`.
*/
{ has, ... }:
keys:
let
  of = output: path: package: { inherit package output path; };
in
{
  merge = {
    include = map (of "include" "include") [
      "cuda_cudart"
      "cuda_crt"
      "cuda_cccl"
    ];
    lib = map (output: of output "lib" "cuda_cudart") [
      "lib"
      "static"
      "stubs"
    ];
    nvvm = [ (of "out" "" "libnvvm") ];
  };
  links = if has "cuda_cudart" then { lib64 = "lib"; } else { };
}
