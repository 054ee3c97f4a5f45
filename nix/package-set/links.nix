/**
  Folders of other packages, by name, to their store paths: what fixups and overrides say in `merge`.

  A package that the set does not have is left out. Of an output that a package does not have, the content is in another one, where the
  builder puts it (`src/plan/outputs.rs`): headers in `dev`, static libraries and stubs in `lib`, and everything in `out` where that is the
  only one; else there is no such content, and it is left out, too.

  # Inputs

  `packages`
  : The scope.

  `isThere`
  : Whether a name is that of a package which the platform has.

  # Type

  ```
  { packages :: Scope, isThere :: String -> Bool }
    -> { ${folder} :: [ { package :: String, output :: String, path :: String } ] }
    -> { ${folder} :: [ String ] }
  ```

  # Examples

  ```nix
  { include = [ { package = "cuda_crt"; output = "include"; path = "include"; } ]; }
  => { include = [ "/nix/store/…-cuda_crt-linux-x86_64-13.2.78/include" ]; }
  ```
*/
{ packages, isThere }:
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    filter
    head
    listToAttrs
    ;

  # Where the content of an output is, best first.
  _homes = {
    include = [
      "include"
      "dev"
    ];
    static = [
      "static"
      "lib"
    ];
    stubs = [
      "stubs"
      "lib"
    ];
  };

  # Each once: an output may stand in for another.
  _unique =
    list: if list == [ ] then [ ] else [ (head list) ] ++ _unique (filter (item: item != head list) list);

  _resolve =
    {
      package,
      output,
      path,
    }:
    let
      found = packages.${package};
      homes =
        if found.outputs == [ "out" ] then
          [ "out" ]
        else
          filter (name: elem name found.outputs) (_homes.${output} or [ output ]);
      root = "${found.${head homes}}";
    in
    if !(isThere package) || homes == [ ] then
      [ ]
    else
      [ (if path == "" then root else "${root}/${path}") ];
in
merge:
listToAttrs (
  filter (entry: entry.value != [ ]) (
    map (folder: {
      name = folder;
      value = _unique (concatMap _resolve merge.${folder});
    }) (attrNames merge)
  )
)
