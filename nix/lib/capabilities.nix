/**
  Compute capabilities of GPUs: which ones a release of CUDA has, which redist platform they lead to, and the flags of compilers
  that follow from them; and which host compilers NVCC accepts.

  The facts are `nix/data/gpu-capabilities.json`. Versions of CUDA may be known only by their first parts: `12` is any of 12.

  Non-goals: devices; what is installed in a machine is no input of an evaluation.
*/
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    fromJSON
    genList
    head
    isString
    length
    listToAttrs
    mapAttrs
    readFile
    replaceStrings
    toJSON
    ;

  versions = import ./versions.nix;
  platforms = import ./platforms.nix;

  _data = fromJSON (readFile ../data/gpu-capabilities.json);

  # Sorted by their numbers. Some boards were only ever served by CUDA releases that have no manifests.
  _table = filter (row: !(row.only_in_older_tables or false)) _data.capabilities;
  _rows = listToAttrs (
    map (row: {
      name = row.capability;
      value = row;
    }) _table
  );

  _last = list: elemAt list (length list - 1);

  _quoted = names: concatStringsSep ", " (map (name: "`${name}`") names);

  _isSupported =
    cudaVersion: row:
    cudaVersion == null
    ||
      versions.mayBeAtLeast (versions.majorMinor cudaVersion) row.min_cuda
      && (row.max_cuda == null || versions.mayBeAtMost cudaVersion row.max_cuda);

  _isSpecific = row: row.arch_specific || row.family_specific;

  # Before CUDA 13.0 the boards before Thor had a platform of their own; since then Orin is served by sbsa, too.
  _isOfJetsonPlatform =
    cudaVersion: row:
    let
      isNewer = cudaVersion == null || versions.mayBeAtLeast cudaVersion "13.0";
      threshold = if isNewer then "8.7" else "10.1";
    in
    row.is_jetson && !(versions.atLeast row.baseline threshold);

  supported =
    cudaVersion: map (row: row.capability) (filter (_isSupported cudaVersion) _table);

  default =
    { cudaVersion, platform }:
    let
      isDefault =
        row:
        _isSupported cudaVersion row
        && !(_isSpecific row)
        && (
          if platform == "linux-aarch64" then
            _isOfJetsonPlatform cudaVersion row
          else
            !row.is_jetson
            && (
              row.no_default_after_cuda == null
              || cudaVersion == null
              || versions.mayBeAtMost cudaVersion row.no_default_after_cuda
            )
        );
    in
    map (row: row.capability) (filter isDefault _table);

  platformOf =
    {
      system,
      cudaVersion,
      capabilities,
    }:
    let
      platform = platforms.fromSystem system;
      isOfJetson = name: _rows ? ${name} && _isOfJetsonPlatform cudaVersion _rows.${name};
    in
    # What is no capability is told by `problems`.
    if platform == "linux-sbsa" && any isOfJetson (filter isString capabilities) then
      "linux-aarch64"
    else
      platform;

  problems =
    {
      cudaVersion,
      platform,
      capabilities,
    }:
    let
      cuda = "CUDA ${cudaVersion}";
      _of =
        name:
        let
          row = _rows.${name};
        in
        if !(isString name) then
          [ "expected a string such as `9.0`, found ${toJSON name}" ]
        else if !(_rows ? ${name}) then
          [ "`${name}`: expected one of ${_quoted (map (row: row.capability) _table)}" ]
        else if !(_isSupported cudaVersion row) then
          [
            (
              if row.max_cuda != null && !(versions.mayBeAtMost cudaVersion row.max_cuda) then
                "`${name}`: expected one that ${cuda} still has, found one that CUDA ${row.max_cuda} was the last to have"
              else
                "`${name}`: expected one that ${cuda} has already, found one that came with CUDA ${row.min_cuda}"
            )
          ]
        else if
          row.is_jetson
          && !(elem platform [
            "linux-aarch64"
            "linux-sbsa"
          ])
        then
          [ "`${name}`: expected one that machines of `${platform}` may have, found a Jetson board" ]
        else if platform == "linux-sbsa" && _isOfJetsonPlatform cudaVersion row then
          [ "`${name}`: expected one that `linux-sbsa` serves, found a Jetson board of `linux-aarch64`" ]
        else if platform == "linux-aarch64" && !(_isOfJetsonPlatform cudaVersion row) then
          [ "`${name}`: expected a Jetson board of `linux-aarch64`, found one that goes with none" ]
        else
          [ ];
    in
    concatMap _of capabilities;

  flags =
    {
      cudaVersion,
      platform,
      capabilities ? [ ],
      cudaForwardCompat ? true,
    }:
    let
      found = problems { inherit cudaVersion platform capabilities; };
      chosen = if capabilities == [ ] then default { inherit cudaVersion platform; } else capabilities;
      # In the order of their numbers, each once.
      rows = filter (row: elem row.capability chosen) _table;
      # The code for later devices: that of the letters runs on no other.
      plain = filter (row: !(_isSpecific row)) rows;
      forward = if cudaForwardCompat && plain != [ ] then [ (_last plain) ] else [ ];
      unique = list: filter (item: item != null) (genList (
        index:
        let
          item = elemAt list index;
        in
        if elem item (genList (elemAt list) index) then null else item
      ) (length list));
      number = row: replaceStrings [ "." ] [ "" ] row.capability;
      # Each value tells it, so that there can be a set of other platforms beside the one that they are for.
      checked =
        value:
        if found == [ ] then
          value
        else
          throw ''
            cudaRedist.lib.mkCudaPackages: `cudaCapabilities`: expected capabilities for ${
              if cudaVersion == null then "" else "CUDA ${cudaVersion} on "
            }`${platform}`, found ${toString (length found)} that are none:
              ${concatStringsSep "\n  " found}
            Potential solutions:
            - leave `cudaCapabilities` out to take ${_quoted (default { inherit cudaVersion platform; })}
            - say which platform is meant with `platform`, or take another CUDA release'';
      gencode =
        map (row: "-gencode=arch=${row.compute},code=${row.sm}") rows
        ++ map (row: "-gencode=arch=${row.compute},code=${row.compute}") forward;
    in
    mapAttrs (_: checked)
      {
        inherit cudaForwardCompat gencode;
        cudaCapabilities = map (row: row.capability) rows;
        isJetsonBuild = platform == "linux-aarch64";
        archNames = unique (map (row: row.architecture) rows);
        realArches = map (row: row.sm) rows;
        virtualArches = map (row: row.compute) rows;
        arches = map (row: row.sm) rows ++ map (row: row.compute) forward;
        gencodeString = concatStringsSep " " gencode;
        cmakeCudaArchitecturesString = concatStringsSep ";" (map number rows);
        # What a device has to be for code of these capabilities; the builder looks for such devices' code.
        devices = unique (map (row: row.baseline) rows);
        hostCompilers = hostCompilers cudaVersion;
      };

  # The last row that is not newer: NVIDIA's later releases accept what the earlier ones do, and more.
  hostCompilers =
    cudaVersion:
    let
      rows = filter (
        row: versions.mayBeAtLeast cudaVersion row.cuda
      ) _data.nvcc_host_compilers.releases;
      row = _last rows;
      isExact = versions.isOf row.cuda cudaVersion || versions.isOf cudaVersion row.cuda;
    in
    if cudaVersion == null || rows == [ ] then
      null
    else
      {
        inherit (row) cuda;
        inherit isExact;
        gcc = {
          min = row.gcc_min;
          max = row.gcc_max;
        };
        clang = {
          min = row.clang_min;
          max = row.clang_max;
        };
      };
in
{
  /**
    The capabilities that a release of CUDA has, by their numbers; all there are for `null`.

    # Type

    ```
    supported :: String | Null -> [ String ]
    ```

    # Examples

    ```nix
    supported "11.4"
    => [ "3.5" "3.7" "5.0" "5.2" "6.0" "6.1" "7.0" "7.2" "7.5" "8.0" "8.6" "8.7" ]
    ```
  */
  inherit supported;

  /**
    The capabilities to build for if nobody says otherwise: those of servers and desktops that NVIDIA has not begun to drop; for
    `linux-aarch64`, which is Jetson's, those of its boards.

    # Type

    ```
    default :: { cudaVersion :: String | Null, platform :: String } -> [ String ]
    ```

    # Examples

    ```nix
    default { cudaVersion = "12.6.3"; platform = "linux-x86_64"; }
    => [ "7.5" "8.0" "8.6" "8.9" "9.0" ]
    ```
  */
  inherit default;

  /**
    The redist platform of a Nix system whose devices have these capabilities. Of aarch64 there are two: `linux-aarch64` if one is
    of a Jetson board that `linux-sbsa` does not serve (before CUDA 13.0 all before Thor, since then all before Orin), else `linux-sbsa`.

    # Type

    ```
    platformOf :: { system :: String, cudaVersion :: String | Null, capabilities :: [ String ] } -> String
    ```

    # Examples

    ```nix
    platformOf { system = "aarch64-linux"; cudaVersion = "12.9"; capabilities = [ "8.7" ]; }
    => "linux-aarch64"
    platformOf { system = "aarch64-linux"; cudaVersion = "13.0"; capabilities = [ "8.7" ]; }
    => "linux-sbsa"
    ```
  */
  inherit platformOf;

  /**
    Everything that is wrong with a list of capabilities for a release of CUDA and a platform; `[ ]` when all is well.

    # Type

    ```
    problems :: { cudaVersion :: String | Null, platform :: String, capabilities :: [ String ] } -> [ String ]
    ```

    # Examples

    ```nix
    problems { cudaVersion = "13.0"; platform = "linux-x86_64"; capabilities = [ "9.0" "6.0" ]; }
    => [ "`6.0`: expected one that CUDA 13.0 still has, found one that CUDA 12.9 was the last to have" ]
    ```
  */
  inherit problems;

  /**
    What compilers and build systems are told for a list of capabilities, in the order of their numbers. One error tells all that
    is wrong with them.

    # Inputs

    `cudaVersion`, `platform`
    : Of the package set.

    `capabilities`
    : `[ ]` is `default`.

    `cudaForwardCompat`
    : Whether there is PTX of the last plain one, for devices that come later.

    # Type

    ```
    flags :: AttrSet -> {
      cudaCapabilities, archNames, realArches, virtualArches, arches, gencode, devices :: [ String ],
      gencodeString, cmakeCudaArchitecturesString :: String,
      cudaForwardCompat, isJetsonBuild :: Bool,
      hostCompilers :: AttrSet | Null
    }
    ```

    # Examples

    ```nix
    flags { cudaVersion = "12.9.1"; platform = "linux-x86_64"; capabilities = [ "8.6" "9.0" ]; }
    => {
      arches = [ "sm_86" "sm_90" "compute_90" ];
      gencode = [
        "-gencode=arch=compute_86,code=sm_86"
        "-gencode=arch=compute_90,code=sm_90"
        "-gencode=arch=compute_90,code=compute_90"
      ];
      cmakeCudaArchitecturesString = "86;90";
      …
    }
    ```
  */
  inherit flags;

  /**
    The major versions of compilers that NVCC takes as host compiler, both ends included. `cuda` is the release of CUDA that says so:
    of later ones than the table has (`isExact` is false), the last that it has; `null` for older ones.

    # Type

    ```
    hostCompilers :: String -> { cuda :: String, isExact :: Bool, gcc, clang :: { min, max :: Int } } | Null
    ```

    # Examples

    ```nix
    hostCompilers "12.9.1"
    => { cuda = "12.9"; isExact = true; gcc = { min = 6; max = 14; }; clang = { min = 7; max = 19; }; }
    ```
  */
  inherit hostCompilers;
}
