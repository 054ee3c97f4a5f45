# shellcheck shell=bash
# The setup hook of cuda-redist for nixpkgs' stdenv, for `nativeBuildInputs` of what is built with packages of a set.
#
# - CUDAToolkit_ROOT and CUDAToolkit_INCLUDE_DIR name the packages among the inputs, joined by `;`, or the merged toolkit alone where it
#   is one of them: newer versions of CMake take the list for a single folder.
# - CUDAHOSTCXX and CMAKE_CUDA_HOST_COMPILER name the compiler for nvcc: $cudaHostCompiler, else $CXX.
# - NVCC_PREPEND_FLAGS asks for compressed device code, unless dontCompressCudaFatbin is set.
# - The RUNPATHs of what was built are set right by `cuda-redist elf fix-runpath`, unless dontFixCudaRunpath is set: no folder of
#   stubs, no folder of links, the driver's folders first. $cudaDriverPaths names other ones (words).
# - Where cudaPropagateToOutput names an output, who builds with that one gets the packages, too.
#
# Errors are those of the program; a variable that is set already is left as it is.

# Only as a tool of the build machine, and once, though it may come by several ways.
if ((${hostOffset:?} != -1 || ${targetOffset:?} != 0)) || [[ -n ${cudaRedistHookOnce-} ]]; then
  return 0
fi
cudaRedistHookOnce=1

# The packages among the inputs, in their order.
declare -ga cudaRedistPackages=()

cudaRedistCollect() {
  local -r package=$1
  local seen
  [[ -f $package/nix-support/include-in-cudatoolkit-root ]] || return 0
  for seen in "${cudaRedistPackages[@]}"; do
    [[ $seen != "$package" ]] || return 0
  done
  cudaRedistPackages+=("$package")
}
addEnvHooks "$targetOffset" cudaRedistCollect
addEnvHooks "$hostOffset" cudaRedistCollect

cudaRedistSetUp() {
  local package root='' include='' view='' mark
  for package in "${cudaRedistPackages[@]}"; do
    read -r mark <"$package/nix-support/include-in-cudatoolkit-root" || true
    if [[ $mark == view-* ]]; then
      view=$package
    fi
    root+=${root:+;}$package
    if [[ -d $package/include ]]; then
      include+=${include:+;}$package/include
    fi
  done
  if [[ -n $view ]]; then
    root=$view include=$view/include
  fi
  if [[ -n $root ]]; then
    export CUDAToolkit_ROOT=${CUDAToolkit_ROOT-$root}
    export CUDAToolkit_INCLUDE_DIR=${CUDAToolkit_INCLUDE_DIR-$include}
    appendToVar cmakeFlags "-DCUDAToolkit_ROOT=$CUDAToolkit_ROOT" "-DCUDAToolkit_INCLUDE_DIR=$CUDAToolkit_INCLUDE_DIR"
  fi

  local -r compiler=${cudaHostCompiler-$(type -P "${CXX:-c++}" || true)}
  if [[ -n $compiler ]]; then
    export CUDAHOSTCXX=${CUDAHOSTCXX-$compiler}
    appendToVar cmakeFlags "-DCMAKE_CUDA_HOST_COMPILER=$CUDAHOSTCXX"
  fi
  if [[ -z ${dontCompressCudaFatbin-} ]]; then
    export NVCC_PREPEND_FLAGS="${NVCC_PREPEND_FLAGS-}${NVCC_PREPEND_FLAGS:+ }-Xfatbin=-compress-all"
  fi
}
preConfigureHooks+=(cudaRedistSetUp)

cudaRedistFixRunpath() {
  [[ -z ${dontFixCudaRunpath-} ]] || return 0
  local output package path
  local -a arguments=() folders=()
  for path in ${cudaDriverPaths-@driverPaths@}; do
    arguments+=(--driver-path "$path")
  done
  for package in "${cudaRedistPackages[@]}"; do
    if [[ -d $package/lib ]]; then
      arguments+=(--library-path "$package/lib")
    fi
  done
  for output in $(getAllOutputNames); do
    if [[ -d ${!output-} ]]; then
      folders+=("${!output}")
    fi
  done
  if ((${#folders[@]} > 0)); then
    @cudaRedist@/bin/cuda-redist elf fix-runpath "${arguments[@]}" "${folders[@]}"
  fi
}
# After patchelf has removed what nothing needs: it would take the driver's folders for such.
postFixupHooks+=(cudaRedistFixRunpath)

cudaRedistPropagate() {
  [[ -n ${cudaPropagateToOutput-} ]] || return 0
  local -r output=${!cudaPropagateToOutput}
  mkdir -p "$output/nix-support"
  printf ' %s' "${cudaRedistPackages[@]}" >>"$output/nix-support/propagated-build-inputs"
}
postFixupHooks+=(cudaRedistPropagate)
