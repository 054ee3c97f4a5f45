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
  that are unsupported. `unsupported` has a line for each of the reasons of these, with how often it is given.

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
    attrValues
    concatMap
    concatStringsSep
    filter
    genList
    groupBy
    isAttrs
    length
    map
    stringLength
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
        packages = filter (
          value: isAttrs value && value.type or null == "derivation" && value ? package
        ) (attrValues scope);
      in
      map (package: {
        inherit platform;
        reason = package.reason or null;
        drvPath =
          if package ? reason then null else unsafeDiscardStringContext package.drvPath;
        row = _row [
          set
          package.product
          package.label
        ];
      }) packages
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
  byReason = groupBy (package: package.reason) (filter (package: package.reason != null) found);
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
    map (reason: "${toString (length byReason.${reason})} x ${reason}") (attrNames byReason)
  );
}
