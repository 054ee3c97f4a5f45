/**
  TensorRT's archives are an installation for one machine, not a package:

  - `trtexec` opens the library of plugins by name, but is in another output than that library: as NEEDED it is found. Its name has the
    major version in it, hence no row of a table.
  - Models and inputs of the samples are in `data/`, beside them: they go where the samples go.
  - Wheels for each release of Python are in `python/`. They hold the same libraries again, found by the host's folders.
  - `libnvinfer_builder_resource_win.so` builds engines for Windows; its half gigabyte runs nowhere here.
  - `lib/stubs` has stubs of CUDA's libraries, which the set has itself.

  That libraries name others which nobody opens before them, for which nixpkgs adds NEEDED to those of TensorRT 8, needs nothing: what
  a library of ours opens by name is in the folder beside it, which is in its RUNPATH.

  Source: nixpkgs, `tensorrt`.
*/
{ version, ... }:
keys: {
  addNeeded."bin/trtexec" = [
    "libnvinfer_plugin.so.${(import ../../lib/versions.nix).major version}"
  ];
  patterns = keys.patterns // {
    samples = keys.patterns.samples or [ ] ++ [ "data/**" ];
  };
  drop = keys.drop ++ [
    "lib/libnvinfer_builder_resource_win.so*"
    "lib/stubs/**"
    "python/*.whl"
  ];
}
