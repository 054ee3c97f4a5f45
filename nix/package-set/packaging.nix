/**
  How a package is made: its outputs, its dependencies, and the keys of its plan that depend on what it is.

  Six sources, each of which has the last word over those before it:

  1. `nix/data/packages.json`, a table. A package that does not stand there has only `out`, and may find libraries in every
     package of libraries that the table knows.
  2. `fixups/PACKAGE.nix`, a function, for what a table cannot say: what depends on a version or a platform.
  3. `fixups.PACKAGE` of the user, a function of the same form.
  4. The feature manifest of the package's product, for the outputs, and for the dependencies if it says which libraries are needed.
     What the table calls `whole` keeps its own outputs: its programs look for their files beside them, so splitting would break it.
  5. `overrides.PACKAGE` of the user.
  6. The edits of `package.overridePlan`.

  Non-goals: judging values, which the builder does; names that would be dropped without a word are refused here.

  # Inputs

  `cudaVersion`
  : The CUDA release of the set, perhaps only its first parts; `null` if it has none.

  `features`
  : What a feature manifest says of a package: a function from its entry; `null` if there is nothing.

  `provider`
  : The package that has a library: a function from its soname; `null` if no feature manifest says.

  `fixups`, `overrides`
  : What the user says of single packages, by package.

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
    features :: Entry -> AttrSet | Null,
    provider :: String -> String | Null,
    fixups :: { ${package} :: Facts -> Keys -> Keys },
    overrides :: { ${package} :: Keys | (Keys -> Keys) },
    isPackage, has :: String -> Bool,
    driverPaths :: [ String ]
  } -> Entry -> [ Keys | (Keys -> Keys) ] -> Keys
  ```

  where `Keys` is

  ```
  {
    outputs :: [ String ],                       # sorted, each once, with `out`
    dependencies, dlopen :: [ String ],          # packages whose libraries are NEEDED, and whose libraries are opened by name
    hostLibraries :: [ String ],                 # libraries of the host that it can do with; those of `allowedMissing` besides
    allowedMissing, drop, forbiddenTexts :: [ String ],
    addNeeded, patterns :: { ${glob or output} :: [ String ] },
    moves, links :: { ${path} :: String },       # folders to others, links to their texts
    merge :: { ${folder} :: [ { package, output, path :: String } ] }, # folders of other packages that are linked there
    replaceTexts :: { ${glob} :: { ${text} :: String } },
    features :: AttrSet | Null,                  # what the outputs were taken from, for the builder to judge
    isDescribed :: Bool                          # whether anybody has said what it depends on
  }
  ```

  and `Facts` is `{ version, platform, variant, cudaVersion, has, driverPaths, isWheel }`. `hostLibraries = [ "*" ]` is what a package that nobody knows has.
*/
{
  cudaVersion,
  features,
  provider,
  fixups,
  overrides,
  isPackage,
  has,
  driverPaths,
}:
let
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    fromJSON
    isAttrs
    isFunction
    isList
    isString
    listToAttrs
    map
    mapAttrs
    match
    readDir
    readFile
    typeOf
    ;

  outputsLib = import ../lib/outputs.nix;
  versionsLib = import ../lib/versions.nix;

  _table = (fromJSON (readFile ../data/packages.json)).packages;
  _fixups = readDir ./fixups;

  # What an override may say, and of which type.
  _types = {
    addNeeded = "set";
    allowedMissing = "list";
    dependencies = "list";
    dlopen = "list";
    drop = "list";
    forbiddenTexts = "list";
    hostLibraries = "list";
    links = "set";
    merge = "set";
    moves = "set";
    outputs = "list";
    patterns = "set";
    replaceTexts = "set";
  };
  _keys = attrNames _types;

  _quoted = names: concatStringsSep ", " (map (name: "`${name}`") names);

  _unique =
    names:
    attrNames (
      listToAttrs (
        map (name: {
          inherit name;
          value = null;
        }) names
      )
    );

  # Without a CUDA release in the set nobody can tell, and one dependency too many does no harm.
  _needed =
    needs:
    filter (
      name:
      let
        need = needs.${name};
      in
      cudaVersion == null
      || (
        (!(need ? sinceCuda) || versionsLib.mayBeAtLeast cudaVersion need.sinceCuda)
        && (!(need ? untilCuda) || versionsLib.mayBeAtMost cudaVersion need.untilCuda)
      )
    ) (attrNames needs);

  # What a package that nobody has described may find its libraries in. None of these can need it, as they are described.
  _libraries = filter (
    name: elem "lib" _table.${name}.outputs || _table.${name}.isLibrary or false
  ) (attrNames _table);

  # What it needs of another release than the set has: TensorRT 8 the cuDNN that it was built with.
  _pinned = entry: map (name: entry.pins.${name} or name);

  _ofTable = { package, ... }@entry: {
    outputs = _table.${package}.outputs or outputsLib.default;
    dependencies = _pinned entry (
      if _table ? ${package} then _needed (_table.${package}.dependencies or { }) else _libraries
    );
    dlopen = _pinned entry (_needed (_table.${package}.dlopen or { }));
    hostLibraries =
      if _table ? ${package} then _table.${package}.hostLibraries or [ ] else [ "*" ];
    allowedMissing = _table.${package}.allowedMissing or [ ];
    addNeeded = { };
    patterns = { };
    drop = [ ];
    forbiddenTexts = [ ];
    links = { };
    merge = { };
    moves = { };
    replaceTexts = { };
    features = null;
    isDescribed = _table ? ${package};
  };

  # Wheels of the same packages hold less.
  _isWheel =
    entry:
    let
      found = entry.release.${entry.platform} or { };
      archive = if entry.variant == null then found else found.${entry.variant} or { };
    in
    match ".*[.]whl" (archive.relative_path or "") != null;

  _facts = entry: {
    inherit (entry.release) version;
    inherit (entry) platform variant;
    inherit cudaVersion has driverPaths;
    isWheel = _isWheel entry;
  };

  _fixup =
    entry: keys:
    let
      file = "${entry.package}.nix";
    in
    if _fixups ? ${file} then
      keys // import (./fixups + "/${file}") (_facts entry) keys
    else
      keys;

  _fixupOfUser =
    entry: keys:
    if !(fixups ? ${entry.package}) then
      keys
    else if !(isFunction fixups.${entry.package} || fixups.${entry.package} ? __functor) then
      throw ''
        cudaRedist.lib.mkCudaPackages: `fixups.${entry.package}`: expected a function such as `{ version, ... }: keys: { }`, found a ${
          typeOf fixups.${entry.package}
        }
        Potential solutions:
        - say what is the same for all versions with `overrides` instead''
    else
      _edit "fixups.${entry.package}" keys (fixups.${entry.package} (_facts entry));

  # Sonames, whether they are listed for the package or for each folder of libraries in it.
  _sonames =
    found:
    if isList found then
      filter isString found
    else if isAttrs found then
      concatLists (map (folder: filter isString found.${folder}) (filter (folder: isList found.${folder}) (attrNames found)))
    else
      [ ];

  # All that is told apart is the package: an entry of a feature manifest has no variants.
  _withFeatures =
    entry: keys:
    let
      found = features entry;
      isWhole = _table.${entry.package}.whole or false;
      # Who has the libraries that it says it needs. With all of them known a package need not look anywhere else.
      providers = _unique (
        filter (name: name != null && name != entry.package) (
          map provider (_sonames (found.neededLibs or null))
        )
      );
      needed =
        if found == null || !(found ? neededLibs) then
          { }
        else
          {
            dependencies =
              if _table ? ${entry.package} then _unique (keys.dependencies ++ providers) else providers;
            isDescribed = true;
          };
    in
    if found == null then
      keys
    else if isWhole then
      keys // needed
    else
      keys
      // needed
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

  # Keys with what `given` says in their place.
  _edit =
    place: keys: given:
    let
      edit = if isFunction given then given keys else given;
      unknownKeys = filter (key: !(elem key _keys)) (attrNames edit);
      # Each when it is looked at: a value may ask for other packages.
      typed = mapAttrs (
        key: value:
        if typeOf value == _types.${key} then
          value
        else
          throw ''
            cudaRedist.lib.mkCudaPackages: `${place}.${key}`: expected a ${_types.${key}}, found a ${typeOf value}
            Potential solutions:
            - write ${if _types.${key} == "list" then "`[ … ]`" else "`{ … }`"}, also for a single one''
      ) edit;
      unknownOutputs = filter (name: !(elem name outputsLib.order)) (typed.outputs or [ ]);
      unknownPackages = filter (name: !(elem name keys.dependencies) && !(isPackage name)) (
        (typed.dependencies or [ ])
        ++ (typed.dlopen or [ ])
        ++ concatMap (map (source: source.package)) (attrValues (typed.merge or { }))
      );
    in
    if !(isAttrs edit) then
      throw ''
        cudaRedist.lib.mkCudaPackages: `${place}`: expected a set of keys, or a function from keys to one, found a ${typeOf edit}
        Potential solutions:
        - write it like `{ allowedMissing = [ "libz.so.1" ]; }`''
    else if unknownKeys != [ ] then
      _refuse place "keys that a package has" unknownKeys "choose among: ${_quoted _keys}"
    else if unknownOutputs != [ ] then
      _refuse "${place}.outputs" "names of outputs" unknownOutputs "choose among: ${_quoted outputsLib.order}"
    else if unknownPackages != [ ] then
      _refuse place "packages of the set as dependencies" unknownPackages
        "add the product that has the package to `releases`, or the package itself with `overrideScope`"
    else
      keys
      // (if edit ? outputs then { features = null; } else { })
      // (if edit ? dependencies then { isDescribed = true; } else { })
      // typed;

  _override =
    package: keys: _edit "overrides.${package}" keys (overrides.${package} or { });
in
entry: edits:
let
  described = _withFeatures entry (_fixupOfUser entry (_fixup entry (_ofTable entry)));
  keys = foldl' (_edit "${entry.package}.overridePlan") (_override entry.package described) edits;
in
keys // { outputs = outputsLib.sort ([ "out" ] ++ keys.outputs); }
