/**
  What the arguments of `mkCudaPackages` are: one table, asked before anything else, as Nix's own words about a wrong one tell of a
  place in this project.

  Non-goals: what values say (releases, platforms and capabilities that there are), which is told where they are used; looking into
  packages (`builder`, those of `hostLibraries`), which would evaluate all of them.

  # Type

  ```
  AttrSet -> Null
  ```

  `null` for arguments that may be used; one that may not throws.
*/
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    elemAt
    filter
    genList
    head
    isAttrs
    isBool
    isFunction
    isList
    isPath
    isString
    length
    toJSON
    typeOf
    ;

  _isCallable = value: isFunction value || isAttrs value && value ? __functor;

  _string = example: {
    expected = "a string such as `${example}`";
    passes = isString;
    hint = "write it with quotes: `\"${example}\"`";
  };
  _bool = {
    expected = "`true` or `false`";
    passes = isBool;
    hint = "leave it out to take the default";
  };
  _set = example: {
    expected = "a set such as `${example}`";
    passes = isAttrs;
    hint = "write it like `${example}`";
  };
  _folder = {
    expected = "a folder or a set";
    passes = value: isPath value || isString value || isAttrs value;
    hint = "name the folder: `./manifests`";
  };
  _orNull = rule: rule // { isNullable = true; };
  # The rule, and one for each item or value.
  _listOf = item: example: {
    expected = "a list such as `${example}`";
    passes = isList;
    hint = "write it with brackets: `${example}`";
    inherit item;
  };
  _setOf = item: example: _set example // { inherit item; };

  _rules = {
    system = _string "x86_64-linux";
    targetSystem = _string "x86_64-linux";
    manifests = _folder;
    features = _orNull _folder;
    releaseExpressions = _folder;
    releases = _orNull (_setOf (_orNull (_string "12.9.1")) "{ cuda = \"12.9.1\"; }");
    cudaVersion = _orNull (_string "12.9");
    products = _orNull (_listOf (_string "cudnn") "[ \"cuda\" \"cudnn\" ]");
    shapes = _set "{ mine = \"redistribRelease\"; }";
    platform = _orNull (_string "linux-x86_64");
    cudaVariant = _orNull (_string "cuda12");
    variants = _setOf (_string "4.1") "{ mpi = \"4.1\"; }";
    mirror = _orNull (_string "https://mirror.example/cuda");
    driverPaths = _listOf {
      expected = "a path, or a string such as `/run/opengl-driver/lib`";
      passes = value: isPath value || isString value || isAttrs value && value ? outPath;
      hint = "write it with quotes: `\"/run/opengl-driver/lib\"`";
    } "[ \"/run/opengl-driver/lib\" ]";
    interpreters = _set "{ linux-x86_64 = \"/lib64/ld-linux-x86-64.so.2\"; }";
    cudaCompat = _bool;
    # What the items say is told of all of them at once.
    cudaCapabilities = _listOf null "[ \"8.6\" \"9.0\" ]";
    cudaForwardCompat = _bool;
    hostLibraries = {
      expected = "a set of packages by libraries, or a function from a platform to one";
      passes = value: isAttrs value || isFunction value;
      hint = "write it like `{ \"libz.so.1\" = pkgs.zlib; }`, or take `lib.hostLibraries pkgs`";
    };
    # Each of these is looked at with its package.
    fixups = _set "{ libfoo = { version, ... }: keys: { }; }";
    overrides = _set "{ cudnn = { allowedMissing = [ \"libz.so.1\" ]; }; }";
    isAllowed = {
      expected = "a function from a package";
      passes = _isCallable;
      hint = "write it like `package: true`";
    };
  };

  _found =
    value:
    if isString value then
      "the string `${value}`"
    else if
      elem (typeOf value) [
        "int"
        "float"
      ]
    then
      "the number ${toJSON value}"
    else if isBool value then
      "`${toJSON value}`"
    else if value == null then
      "`null`"
    else
      {
        list = "a list";
        set = "a set";
        lambda = "a function";
        path = "a path";
      }
      .${typeOf value};

  # Everything that is wrong: `[ { place, rule, value } ]`.
  _problems =
    place: rule: value:
    let
      items =
        if isList value then
          genList (index: {
            place = "${place}[${toJSON index}]";
            value = elemAt value index;
          }) (length value)
        else
          map (name: {
            place = "${place}.${name}";
            value = value.${name};
          }) (attrNames value);
    in
    if value == null && rule.isNullable or false then
      [ ]
    else if !(rule.passes value) then
      [ { inherit place rule value; } ]
    else if rule.item or null == null then
      [ ]
    else
      concatMap (item: _problems item.place rule.item item.value) items;
in
arguments:
let
  found = concatMap (name: _problems name _rules.${name} arguments.${name}) (
    filter (name: _rules ? ${name}) (attrNames arguments)
  );
  first = head found;
in
if found == [ ] then
  null
else
  throw ''
    cudaRedist.lib.mkCudaPackages: `${first.place}`: expected ${first.rule.expected}, found ${_found first.value}
    Potential solutions:
    - ${first.rule.hint}''
