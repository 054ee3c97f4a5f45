/**
  What stands in a set for a package that the platform or the CUDA release does not have: a value that says why.

  It has the attributes that people ask packages for (`meta`, `version`, `outputs`, ...), so looking through a set never fails. Only
  what would build it throws, with the reason: `drvPath`, `outPath` and the outputs.

  # Inputs

  `system`
  : Of the machine that would build it.

  `entry`
  : Of `selection.nix`, with a `reason`.

  # Type

  ```
  { system :: String } -> Entry -> AttrSet
  ```
*/
{ system }:
entry:
let
  inherit (builtins) isString listToAttrs map;

  outputsLib = import ../lib/outputs.nix;

  inherit (entry) package reason;

  version =
    if isString (entry.release.version or null) then
      "${entry.release.version}-unsupported"
    else
      "0-unsupported";

  refused = throw ''
    cudaRedist.lib.mkCudaPackages: ${reason}
    Potential solutions:
    - choose another release: `releases.${entry.product} = "LABEL"`
    - choose another platform or CUDA release for the set
    - ask `lib.unsupported SET` for all packages that a set lacks, and why'';

  # Of whichever output somebody asks for, the reason is the same.
  named = listToAttrs (
    map (name: {
      inherit name;
      value = refused;
    }) outputsLib.order
  );

  value = named // {
    # What Nix and nixpkgs take for a package, so that building it tells the reason.
    type = "derivation";
    name = "${package}-${version}";
    pname = package;
    inherit system version reason;
    inherit (entry)
      package
      product
      label
      release
      platform
      variant
      ;
    src = null;
    outputs = [ "out" ];
    outputName = "out";
    drvPath = refused;
    outPath = refused;
    all = [ ];
    override = _: value;
    overrideAttrs = _: value;
    overridePlan = _: value;
    passthru = { inherit reason; };
    meta = (import ./meta.nix).of { inherit (entry) package product release; } // {
      available = false;
      broken = true;
      unsupported = true;
      problems.unsupported.message = reason;
    };
  };
in
value
