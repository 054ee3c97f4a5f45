/**
  Why there can be no plugin for a Nix, or `null`.

  A function of its own, as the NixOS module has to ask before it makes the package.

  # Inputs

  `nix`
  : The package of a Nix.

  # Type

  ```
  Derivation -> String | Null
  ```

  # Examples

  ```nix
  import ./plugin-reason.nix { pname = "nix"; version = "2.3.18"; }
  => "expected Nix 2.8.0, found 2.3.18: its API is not known to the plugin"
  ```
*/
nix:
let
  # The versions that `plugin/compat.hh` was built and run with.
  known = [ "2.8.0" ];

  version = nix.version or "no version";
  name = nix.pname or (builtins.parseDrvName (nix.name or "")).name;
in
if name != "nix" then
  "expected the package of Nix itself, found `${name}`: forks have an API of their own"
else if nix.stdenv.hostPlatform.isStatic or false then
  "expected a Nix with shared libraries, found a static one: it exports no symbols, so no plugin can add builtins to it"
else if !(builtins.elem version known) then
  "expected Nix ${builtins.concatStringsSep ", " known}, found ${version}: its API is not known to the plugin"
else
  null
