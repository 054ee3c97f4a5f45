/**
  The part of this repository that a package is made of: what else changes must not rebuild every package of every set.

  # Inputs

  `wanted`
  : An extended regular expression that the paths of all wanted files and folders match, relative to the root.

  # Type

  ```
  String -> Path
  ```
*/
wanted:
let
  root = ../..;
  start = builtins.stringLength (toString root) + 1;
  relative = path: builtins.substring start (builtins.stringLength path) path;
in
builtins.path {
  name = "cuda-redist-source";
  path = root;
  filter = path: _type: builtins.match wanted (relative path) != null;
}
