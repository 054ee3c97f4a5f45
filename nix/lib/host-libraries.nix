/**
  Libraries that are not NVIDIA's: which of nixpkgs' packages have them, and which of them a package gets.

  Non-goals: glibc, which the loader finds itself, and the driver, which belongs to the machine.
*/
let
  inherit (builtins)
    any
    attrNames
    concatMap
    concatStringsSep
    filter
    fromJSON
    isAttrs
    listToAttrs
    map
    mapAttrs
    match
    readFile
    replaceStrings
    ;

  _data = fromJSON (readFile ../data/host-libraries.json);

  # Every library of NVIDIA's that is written in C++ asks for these, and every one may.
  _forAll = [
    "libgcc_s.so.1"
    "libstdc++.so.6"
  ];

  _namePattern = "[A-Za-z0-9_.+*-]+";

  # Whether a name, in which `*` stands for any text, covers another one.
  _covers =
    pattern: name:
    match (replaceStrings [ "." "+" "*" ] [ "[.]" "[+]" ".*" ] pattern) name != null;

  # As `lib.getLib` of nixpkgs.
  _libOf =
    package:
    if isAttrs package && !(package.outputSpecified or false) then
      package.lib or package.out or package
    else
      package;
in
{
  /**
    The libraries that redistributables look for on the host, by what of a nixpkgs has them: what `mkCudaPackages` takes as
    `hostLibraries`. What that nixpkgs does not have is left out.

    # Type

    ```
    fromNixpkgs :: AttrSet -> { ${soname} :: Derivation }
    ```

    # Examples

    ```nix
    (fromNixpkgs pkgs)."libz.so.1"
    => pkgs.zlib
    ```
  */
  fromNixpkgs =
    pkgs:
    let
      valueOf =
        path:
        builtins.foldl' (found: name: if isAttrs found then found.${name} or null else null) pkgs path;
      here = filter (soname: valueOf _data.libraries.${soname} != null) (attrNames _data.libraries);
    in
    listToAttrs (
      map (name: {
        inherit name;
        value = valueOf _data.libraries.${name};
      }) here
    );

  /**
    Of the given libraries those that a package may need, as dependencies of its plan.

    # Inputs

    `given`
    : Packages by the names of libraries, `*` standing for any text.

    `wanted`
    : Names of libraries, likewise.

    # Type

    ```
    choose :: { ${soname} :: Package } -> [ String ] -> { ${"host-" + soname} :: Package }
    ```

    # Examples

    ```nix
    choose { "libz.so.*" = zlib; "libnuma.so.1" = numactl; } [ "libz.so.1" ]
    => { "host-libz.so._" = zlib; }
    ```
  */
  choose =
    given: wanted:
    let
      names = attrNames given;
      unreadable = filter (name: match _namePattern name == null) names;
      chosen = filter (
        name: any (soname: _covers name soname || _covers soname name) (wanted ++ _forAll)
      ) names;
    in
    if unreadable != [ ] then
      throw ''
        cudaRedist.lib.mkCudaPackages: `hostLibraries`: expected names of libraries such as `libz.so.1` or `libibverbs.so.*`, found ${
          concatStringsSep ", " (map (name: "`${name}`") unreadable)
        }
        Potential solutions:
        - write the name that programs ask for (`readelf -d` shows it as NEEDED)''
    else
      listToAttrs (
        map (name: {
          # A name of a package, as plans have them.
          name = "host-${replaceStrings [ "*" ] [ "_" ] name}";
          value = _libOf given.${name};
        }) chosen
      );
}
