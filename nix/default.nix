/**
  cuda-redist without flakes: `import ./nix { }`.

  # Type

  ```
  { } -> { lib :: AttrSet, mkCudaPackages :: AttrSet -> Scope }
  ```

  # Examples

  ```nix
  (import ./nix { }).mkCudaPackages {
    system = "x86_64-linux";
    manifests = ./manifests;
    builder = /opt/cuda-redist;
  }
  ```
*/
{ }:
let
  lib = import ./lib;
in
{
  inherit lib;
  inherit (lib) mkCudaPackages;
}
