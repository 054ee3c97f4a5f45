/**
  Reads every `*.json` below `root` `passes` times in one process, deeply forced; returns how many files that were.
  `reader` is `"plugin"` (`builtins.cudaRedist.readManifest`), `"fromJSON"` (`builtins.fromJSON (builtins.readFile f)`),
  or `"none"` (only the list of files is made, to be subtracted).
*/
{ root, passes, reader }:
let
  inherit (builtins) attrNames concatMap deepSeq foldl' fromJSON genList length match readDir readFile seq;

  _below =
    dir:
    let
      entries = readDir dir;
    in
    concatMap (
      name:
      if entries.${name} == "directory" then
        _below (dir + "/${name}")
      else if match ".*\\.json" name != null then
        [ (dir + "/${name}") ]
      else
        [ ]
    ) (attrNames entries);

  files = _below root;
  _read =
    {
      plugin = file: builtins.cudaRedist.readManifest file;
      fromJSON = file: fromJSON (readFile file);
      none = file: file;
    }
    .${reader};
in
foldl' (count: pass: foldl' (count: file: deepSeq (_read file) (count + 1)) count files) 0 (genList (n: n) passes)
