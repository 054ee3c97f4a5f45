/**
  Compares `readManifest` with `fromJSON` on every `*.json` below `root`. Each file must be the same but for the `hash`
  of packages; returns, for every package of every file, the pair of its `sha256` and its `hash`.
*/
{ root }:
let
  inherit (builtins) attrNames attrValues concatMap fromJSON isAttrs mapAttrs match readDir readFile removeAttrs;

  below =
    dir:
    let
      entries = readDir dir;
    in
    concatMap (
      name:
      if entries.${name} == "directory" then
        below (dir + "/${name}")
      else if match ".*\\.json" name != null then
        [ (dir + "/${name}") ]
      else
        [ ]
    ) (attrNames entries);

  isPackage = value: isAttrs value && value ? relative_path;
  withoutHash =
    value:
    if isPackage value then
      removeAttrs value [ "hash" ]
    else if isAttrs value then
      mapAttrs (_: withoutHash) value
    else
      value;
  hashes =
    value:
    if isPackage value then
      [
        [
          value.sha256
          value.hash
        ]
      ]
    else if isAttrs value then
      concatMap hashes (attrValues value)
    else
      [ ];

  compare =
    file:
    let
      read = builtins.cudaRedist.readManifest file;
    in
    if withoutHash read == fromJSON (readFile file) then hashes read else throw "${toString file} differs";
in
map compare (below root)
