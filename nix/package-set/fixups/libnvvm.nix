/**
  libnvvm has everything in a folder `nvvm`, in which nvcc looks for it. Without that folder it is a package like others
  (`bin`, `include`, `lib`), and nvcc has it as its `nvvm` (`fixups/cuda_nvcc.nix`). `lib64` is where NVIDIA has its library, and
  where others look for it below `nvvm`.

  Source: nixpkgs, `libnvvm`; NVIDIA's wheel `nvidia-nvvm` 13.2.
*/
_: keys: {
  moves.nvvm = "";
  links.lib64 = "lib";
}
