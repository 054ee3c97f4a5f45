# What `scripts/bench-packages` measures: `what` is done for the release `label` of CUDA below `root`, for every platform.
# Gives the number of derivations that were named, or with `what = "attributes"` what each is called with.
{
  root,
  label,
  what,
  attributes ? null,
}:
let
  inherit (builtins)
    attrValues
    concatMap
    deepSeq
    filter
    fromJSON
    length
    readFile
    ;

  file = root + "/cuda/redistrib_${label}.json";
  set = (import ../nix { }).mkCudaPackages {
    system = "x86_64-linux";
    # This one alone, or those of other products would come with it.
    manifests.cuda.${label} = file;
    releases.cuda = label;
    builder = "/nonexistent";
  };

  # Each is two derivations.
  packages = concatMap (
    scope:
    concatMap
      (package: [
        package.src
        package
      ])
      (
        filter (value: value.product or null == "cuda" && !(value ? reason)) (attrValues scope)
      )
  ) (attrValues set.byPlatform);

  drvPaths = {
    read =
      let
        reader = builtins.cudaRedist.readManifest or (file: fromJSON (readFile file));
      in
      deepSeq (reader file) [ ];

    packages = map (package: package.drvPath) packages;

    # As they are, from a file.
    bare = map (attributes: (derivation attributes).drvPath) (fromJSON (readFile attributes));
  };
in
if what == "attributes" then
  map (package: package.drvAttrs) packages
else
  deepSeq drvPaths.${what} (length drvPaths.${what})
