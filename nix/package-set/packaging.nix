/**
  How a package is made: its outputs, its dependencies, and the keys of its plan that depend on what it is.

  Four sources, each of which has the last word over those before it:

  1. `nix/data/packages.json`, a table. A package that does not stand there has only `out`.
  2. `fixups/PACKAGE.nix`, a function, for what a table cannot say: what depends on a version or a platform.
  3. The feature manifest of the package's product, for the outputs. What the table calls `whole` keeps its own: its programs
     look for their files beside them, so splitting would break it.
  4. `overrides.PACKAGE` of the user.

  Non-goals: judging values, which the builder does; names that would be dropped without a word are refused here.

  # Inputs

  `cudaVersion`
  : The CUDA release of the set; `null` if it has none.

  `features`
  : Feature manifests, as values, by product.

  `overrides`
  : What the user says of single packages: a set of keys by package, or a function to one from what the other sources say.

  `isPackage`
  : Whether a name is that of a package.

  `has`
  : Whether a name is that of a package which the platform has.

  `driverPaths`
  : Where the driver's libraries will be found, strings.

  # Type

  ```
  {
    cudaVersion :: String | Null,
    features :: { ${product} :: AttrSet },
    overrides :: { ${package} :: Keys | (Keys -> Keys) },
    isPackage, has :: String -> Bool,
    driverPaths :: [ String ]
  } -> Entry -> Keys
  ```

  where `Keys` is

  ```
  {
    outputs :: [ String ],                       # sorted, each once, with `out`
    dependencies, dlopen :: [ String ],          # packages whose libraries are NEEDED, and whose libraries are opened by name
    allowedMissing, drop, forbiddenTexts :: [ String ],
    addNeeded, patterns :: { ${glob or output} :: [ String ] },
    moves, links :: { ${path} :: String },       # folders to others, links to their texts
    merge :: { ${folder} :: [ { package, output, path :: String } ] }, # folders of other packages that are linked there
    replaceTexts :: { ${glob} :: { ${text} :: String } },
    features :: AttrSet | Null                   # what the outputs were taken from, for the builder to judge
  }
  ```
*/
{
  cudaVersion,
  features,
  overrides,
  isPackage,
  has,
  driverPaths,
}:
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elem
    filter
    fromJSON
    isFunction
    match
    readDir
    readFile
    ;

  outputsLib = import ../lib/outputs.nix;
  versionsLib = import ../lib/versions.nix;

  _table = (fromJSON (readFile ../data/packages.json)).packages;
  _fixups = readDir ./fixups;

  # What an override may say.
  _keys = [
    "addNeeded"
    "allowedMissing"
    "dependencies"
    "dlopen"
    "drop"
    "forbiddenTexts"
    "links"
    "merge"
    "moves"
    "outputs"
    "patterns"
    "replaceTexts"
  ];

  _quoted = names: concatStringsSep ", " (map (name: "`${name}`") names);

  # Without a CUDA release in the set nobody can tell, and one dependency too many does no harm.
  _needed =
    needs:
    filter (
      name:
      let
        need = needs.${name};
      in
      !(need ? sinceCuda) || cudaVersion == null || versionsLib.atLeast cudaVersion need.sinceCuda
    ) (attrNames needs);

  _ofTable = facts: {
    outputs = facts.outputs or outputsLib.default;
    dependencies = _needed (facts.dependencies or { });
    dlopen = _needed (facts.dlopen or { });
    allowedMissing = facts.allowedMissing or [ ];
    addNeeded = { };
    patterns = { };
    drop = [ ];
    forbiddenTexts = [ ];
    links = { };
    merge = { };
    moves = { };
    replaceTexts = { };
    features = null;
  };

  # Wheels of the same packages hold less.
  _isWheel =
    entry:
    let
      found = entry.release.${entry.platform} or { };
      archive = if entry.variant == null then found else found.${entry.variant} or { };
    in
    match ".*[.]whl" (archive.relative_path or "") != null;

  _fixup =
    entry: keys:
    let
      file = "${entry.package}.nix";
    in
    if _fixups ? ${file} then
      keys
      // import (./fixups + "/${file}") {
        inherit (entry.release) version;
        inherit (entry) platform variant;
        inherit cudaVersion has driverPaths;
        isWheel = _isWheel entry;
      } keys
    else
      keys;

  # All that is told apart is the package: an entry of a feature manifest has no variants.
  _withFeatures =
    facts: entry: keys:
    let
      found = features.${entry.product}.${entry.package}.${entry.platform} or null;
    in
    if found == null || facts.whole or false then
      keys
    else
      keys
      // {
        outputs = outputsLib.fromFeatures found;
        features = { inherit (found) outputs; };
      };

  _refuse =
    place: expected: found: solution:
    throw ''
      cudaRedist.lib.mkCudaPackages: `${place}`: expected ${expected}, found ${_quoted found}
      Potential solutions:
      - ${solution}'';

  _override =
    package: keys:
    let
      place = "overrides.${package}";
      given = overrides.${package} or { };
      override = if isFunction given then given keys else given;
      unknownKeys = filter (key: !(elem key _keys)) (attrNames override);
      unknownOutputs = filter (name: !(elem name outputsLib.order)) (override.outputs or [ ]);
      unknownPackages = filter (name: !(isPackage name)) (
        (override.dependencies or [ ])
        ++ (override.dlopen or [ ])
        ++ concatMap (map (source: source.package)) (attrValues (override.merge or { }))
      );
    in
    if unknownKeys != [ ] then
      _refuse place "keys that a package has" unknownKeys "choose among: ${_quoted _keys}"
    else if unknownOutputs != [ ] then
      _refuse "${place}.outputs" "names of outputs" unknownOutputs "choose among: ${_quoted outputsLib.order}"
    else if unknownPackages != [ ] then
      _refuse place "packages of the set as dependencies" unknownPackages
        "add the product that has the package to `releases`, or the package itself with `overrideScope`"
    else
      keys // (if override ? outputs then { features = null; } else { }) // override;
in
entry:
let
  facts = _table.${entry.package} or { };
  keys = _override entry.package (_withFeatures facts entry (_fixup entry (_ofTable facts)));
in
keys // { outputs = outputsLib.sort ([ "out" ] ++ keys.outputs); }
