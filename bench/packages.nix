# What `scripts/bench-packages` measures: `what` is done for the release `label` of CUDA below `root`, for every platform.
# Gives the number of derivations that were named.
{
  root,
  label,
  what,
  count ? 0,
}:
let
  inherit (builtins)
    attrValues
    concatMap
    deepSeq
    filter
    fromJSON
    genList
    isAttrs
    length
    readFile
    ;

  set = (import ../nix { }).mkCudaPackages {
    system = "x86_64-linux";
    manifests = root;
    releases.cuda = label;
    builder = "/nonexistent";
  };

  drvPaths = {
    read =
      let
        file = root + "/cuda/redistrib_${label}.json";
        reader = builtins.cudaRedist.readManifest or (file: fromJSON (readFile file));
      in
      deepSeq (reader file) [ ];

    packages = concatMap (
      scope:
      concatMap
        (package: [
          package.src.drvPath
          package.drvPath
        ])
        (
          # Those of other products are there as far as these need them.
          filter (value: isAttrs value && value.product or null == "cuda" && !(value ? reason)) (
            attrValues scope
          )
        )
    ) (attrValues set.byPlatform);

    # As small as a derivation can be.
    bare = genList (
      number:
      (derivation {
        name = "bare-${toString number}";
        system = "x86_64-linux";
        builder = "/nonexistent";
      }).drvPath
    ) count;
  };
in
deepSeq drvPaths.${what} (length drvPaths.${what})
