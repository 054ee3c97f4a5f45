/**
  Folders of other packages, by name, to their store paths: what fixups and overrides say in `merge`.

  A package that the set does not have, and an output that a package does not have, are left out: packages from wheels have no
  stubs, those of older releases are not split the same way. Where a package has but one output everything is in there.

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
    listToAttrs
    ;

  _resolve =
    {
      package,
      output,
      path,
    }:
    let
      found = packages.${package};
      names = found.outputs;
      name = if names == [ "out" ] then "out" else output;
      root = "${found.${name}}";
    in
    if !(isThere package && elem name names) then
      [ ]
    else
      [ (if path == "" then root else "${root}/${path}") ];
in
merge:
listToAttrs (
  filter (entry: entry.value != [ ]) (
    map (folder: {
      name = folder;
      value = concatMap _resolve merge.${folder};
    }) (attrNames merge)
  )
)
