/**
  What there is in a number of package sets: every package of every platform, evaluated, and a table of how many.

  Non-goals: what packages hold; that is seen when they are built.

  # Inputs

  `packageSets`
  : Sets made by `lib.mkCudaPackages`, by name.

  # Type

  ```
  AttrSet -> { drvPaths :: [ String ], table :: String, unsupported :: String }
  ```

  `table` has a line for each set, product and label, and in it, for each platform, the number of packages and, after a `-`, of those
  that are unsupported. What is there in several versions, such as `cudnn_9_8`, is in a line of its own for each product.
  `unsupported` has a line for each product, label and reason, with the packages.

  # Examples

  ```nix
  (import ./survey.nix { cudaPackages_12_9 = …; }).table
  => ''
    set                product    label      linux-x86_64 linux-sbsa linux-aarch64 linux-ppc64le
    cudaPackages_12_9  cuda       12.9.1     42           41-1       37-5          0-42
  ''
  ```
*/
packageSets:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    filter
    genList
    groupBy
    length
    map
    mapAttrs
    stringLength
    substring
    toString
    unsafeDiscardStringContext
    ;

  platforms = (import ./lib/platforms.nix).linux;

  found = concatMap (
    set:
    concatMap (
      platform:
      let
        scope = packageSets.${set}.byPlatform.${platform};
        names = filter (name: scope.${name}.type or null == "derivation") (attrNames scope);
      in
      map (
        name:
        let
          package = scope.${name};
          # Of what is made of several packages these say nothing.
          said =
            mapAttrs (key: nothing: if package.${key} or null == null then nothing else package.${key})
              {
                package = name;
                product = "-";
                label = "-";
              };
          # `cudnn_9_8` beside `cudnn`.
          isVersioned = name != said.package;
        in
        said
        // {
          inherit platform isVersioned;
          reason = package.reason or null;
          drvPath = if package ? reason then null else unsafeDiscardStringContext package.drvPath;
          row = _row [
            set
            said.product
            (if isVersioned then "versions" else said.label)
          ];
        }
      ) names
    ) platforms
  ) (attrNames packageSets);

  supported = filter (package: package.reason == null);

  # Text in columns, which are wider than all that stands in them today.
  _pad =
    width: text:
    let
      missing = width - stringLength text;
    in
    text + concatStringsSep "" (genList (_: " ") (if missing < 1 then 1 else missing));
  _row = texts: concatStringsSep "" (map (_pad 19) texts);
  _cells = texts: concatStringsSep "" (map (_pad 14) texts);
  _lines = texts: concatStringsSep "" (map (text: "${text}\n") texts);
  # Blanks at the end of a line would look like nothing and differ.
  _trim = text: builtins.head (builtins.match "(.*[^ ]) *" text);

  _cell =
    packages: platform:
    let
      here = filter (package: package.platform == platform) packages;
      there = length (supported here);
      lacking = length here - there;
    in
    toString there + (if lacking == 0 then "" else "-${toString lacking}");

  byRow = groupBy (package: package.row) found;
  # Many packages of a release lack the same: what comes before the reason of each is its name.
  _why =
    package:
    let
      name = "`${package.package}` of `${package.product}` `${package.label}`: ";
      start = stringLength name;
    in
    "${package.product} ${package.label}: ${
      if substring 0 start package.reason == name then
        substring start (stringLength package.reason) package.reason
      else
        package.reason
    }";
  byReason = groupBy _why (
    filter (package: package.reason != null && !package.isVersioned) found
  );
  # Each once, and sorted.
  _names =
    packages: attrNames (builtins.groupBy (name: name) (map (package: package.package) packages));
in
{
  drvPaths = map (package: package.drvPath) (supported found);

  table = _lines (
    map _trim (
      [
        (
          _row [
            "set"
            "product"
            "label"
          ]
          + _cells platforms
        )
      ]
      ++ map (row: row + _cells (map (_cell byRow.${row}) platforms)) (attrNames byRow)
    )
  );

  unsupported = _lines (
    map (why: "${why}: ${concatStringsSep " " (_names byReason.${why})}") (attrNames byReason)
  );
}
