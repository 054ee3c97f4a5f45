/**
  The manifests that package sets are made of: which ones there are, and what is in them. Each is read when it is first needed,
  and once for all sets that are made of the same catalog.

  Non-goals: choosing among them (`selection.nix`).

  # Inputs

  `manifests`, `features`, `shapes`, `releaseExpressions`
  : As for `mkCudaPackages`.

  # Type

  ```
  AttrSet -> {
    isCatalog :: Bool,                                      # true
    arguments :: AttrSet,                                   # what it was made of
    products :: [ String ],
    labels :: { ${product} :: [ String ] },                 # the newest first; of manifests
    manifests, features :: { ${product} :: { ${label} :: AttrSet } },
    expressions :: { ${product} :: { ${platform} :: [ Release ] } },
    shapes :: { ${product} :: Shape }
  }
  ```

  # Examples

  ```nix
  let
    manifests = lib.catalog { manifests = ./manifests; };
  in
  map (cudaVersion: lib.mkCudaPackages { inherit manifests cudaVersion system builder; }) [ "12.9" "13.0" ]
  ```
*/
{
  manifests,
  features ? null,
  shapes ? { },
  releaseExpressions ? { },
}@arguments:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    fromJSON
    groupBy
    head
    isAttrs
    length
    mapAttrs
    match
    readDir
    readFile
    toString
    ;

  manifestsLib = import ../lib/manifests.nix;
  shapesLib = import ../lib/shapes.nix;
  versionsLib = import ../lib/versions.nix;
  shims = import ../shims;

  _place = "cudaRedist.lib.mkCudaPackages";
  _quoted = names: concatStringsSep ", " (map (name: "`${name}`") names);

  # A flake input is a set, too, but stands for its folder.
  _isSet = value: isAttrs value && !(value ? outPath);

  _index = if _isSet manifests then manifests else manifestsLib.index manifests;

  _featureIndex =
    if _isSet features then
      features
    else if features != null then
      manifestsLib.indexFeatures features
    else if _isSet manifests then
      { }
    else
      manifestsLib.indexFeatures manifests;

  # A name that no manifest has would leave values unchecked without a word.
  _shapes =
    let
      unknown = filter (product: !(_index ? ${product})) (attrNames shapes);
    in
    if unknown == [ ] then
      shapes
    else
      throw ''
        ${_place}: `shapes`: expected products that have manifests, found ${_quoted unknown}
        Potential solutions:
        - choose among: ${_quoted (attrNames _index)}'';

  # A manifest of another shape than NVIDIA's, or one that is there as a value, is no file that the plugin's reader takes.
  _read =
    product: found:
    let
      value = if _isSet found then found else fromJSON (readFile found);
    in
    if _isSet found || _shapes ? ${product} then
      shapesLib.check (shapesLib.manifestOf (_shapes.${product} or "redistribRelease")) value
    else
      manifestsLib.read found;

  _readFeatures =
    found: if _isSet found then shapesLib.check "feature" found else manifestsLib.readFeatures found;

  # Files by product: of a folder those that are named after one.
  _expressionFiles =
    if _isSet releaseExpressions then
      releaseExpressions
    else
      mapAttrs (product: found:
        if length found == 1 then
          releaseExpressions + "/${concatStringsSep "." (head found)}"
        else
          throw ''
            ${_place}: `releaseExpressions`: expected one file for `${product}`, found ${toString (length found)}
            Potential solutions:
            - remove all but one of them from `${toString releaseExpressions}`''
      ) (
        groupBy head (
          filter (found: found != null) (
            map (match "(.*)[.](json|nix)") (attrNames (readDir releaseExpressions))
          )
        )
      );

  _expressions =
    let
      unknown = filter (product: !(shims ? ${product})) (attrNames _expressionFiles);
    in
    if unknown == [ ] then
      mapAttrs (
        product: found:
        # The releases of the product as a value, or a file that has them below the product's name.
        if _isSet found then found else (manifestsLib.readReleases found).${product}.releases
      ) _expressionFiles
    else
      throw ''
        ${_place}: `releaseExpressions`: expected products that have release expressions, found ${_quoted unknown}
        Potential solutions:
        - choose among: ${_quoted (attrNames shims)}
        - write a manifest of them instead: `PRODUCT/redistrib_LABEL.json`'';
in
{
  isCatalog = true;
  inherit arguments;
  products = attrNames (_index // _expressions);
  labels = mapAttrs (_: files: versionsLib.newestFirst (attrNames files)) _index;
  manifests = mapAttrs (product: mapAttrs (_: _read product)) _index;
  features = mapAttrs (_: mapAttrs (_: _readFeatures)) _featureIndex;
  expressions = _expressions;
  shapes = _shapes;
}
