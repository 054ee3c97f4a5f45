/**
  TensorRT's `trtexec` opens the library of plugins by name, but is in another output than that library: as NEEDED it is found.
  Its name has the major version in it, hence no row of a table.

  Source: nixpkgs, `tensorrt`, which adds the same one.
*/
{ version, ... }:
keys: {
  addNeeded."bin/trtexec" = [
    "libnvinfer_plugin.so.${(import ../../lib/versions.nix).major version}"
  ];
}
