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
  => "expected Nix 2.8, or 2.18 to 2.35, found 2.3.18: the plugin does not know its interface"
  ```
*/
nix:
let
  # What `plugin/compat.hh` has the spelling of: 2.8, and a range.
  oldest = 18;
  newest = 35;

  version = nix.version or "no version";
  matched = builtins.match "2[.]([0-9]+).*" version;
  minor = if matched == null then null else builtins.fromJSON (builtins.head matched);
  name = nix.pname or (builtins.parseDrvName (nix.name or "")).name;
in
if name != "nix" then
  "expected the package of Nix itself, found `${name}`: forks have an API of their own"
else if nix.stdenv.hostPlatform.isStatic or false then
  "expected a Nix with shared libraries, found a static one: it exports no symbols, so no plugin can add builtins to it"
else if minor == null || (minor != 8 && (minor < oldest || minor > newest)) then
  "expected Nix 2.8, or 2.${toString oldest} to 2.${toString newest}, found ${version}: the plugin does not know its interface"
else
  null
