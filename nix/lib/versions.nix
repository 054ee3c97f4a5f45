/**
  NVIDIA's version numbers: digits and dots, two to four parts.

  Non-goals: checking that a text is a version; that is the judge's part.
*/
let
  inherit (builtins)
    compareVersions
    concatStringsSep
    elemAt
    filter
    foldl'
    genList
    isString
    length
    split
    ;

  _parts = version: filter isString (split "[.]" version);

  _take =
    count: version:
    let
      parts = _parts version;
      size = if length parts < count then length parts else count;
    in
    concatStringsSep "." (genList (elemAt parts) size);
in
{
  /**
    The first part of a version.

    # Type

    ```
    major :: String -> String
    ```

    # Examples

    ```nix
    major "12.9.1"
    => "12"
    ```
  */
  major = _take 1;

  /**
    The first two parts of a version, or all of it where it has fewer.

    # Type

    ```
    majorMinor :: String -> String
    ```

    # Examples

    ```nix
    majorMinor "12.9.1"
    => "12.9"
    ```
  */
  majorMinor = _take 2;

  /**
    The first three parts of a version, or all of it where it has fewer.

    # Type

    ```
    majorMinorPatch :: String -> String
    ```

    # Examples

    ```nix
    majorMinorPatch "10.9.0.34"
    => "10.9.0"
    ```
  */
  majorMinorPatch = _take 3;

  /**
    Whether a version is the given one or newer.

    # Inputs

    `version`
    : The version in question.

    `oldest`
    : The oldest one that passes.

    # Type

    ```
    atLeast :: String -> String -> Bool
    ```

    # Examples

    ```nix
    atLeast "12.9.1" "12.10"
    => false
    ```
  */
  atLeast = version: oldest: compareVersions version oldest >= 0;

  /**
    Whether a version of which perhaps only the first parts are known may be the given one or newer.

    # Inputs

    `version`
    : The version in question, such as `12` for any of 12.

    `oldest`
    : The oldest one that passes.

    # Type

    ```
    mayBeAtLeast :: String -> String -> Bool
    ```

    # Examples

    ```nix
    mayBeAtLeast "12" "12.8"
    => true
    mayBeAtLeast "12.6" "12.8"
    => false
    ```
  */
  mayBeAtLeast =
    version: oldest: compareVersions version (_take (length (_parts version)) oldest) >= 0;

  /**
    Whether a version, as far as the parts of the newest one that passes go, is that one or older.

    # Inputs

    `version`
    : The version in question, such as `12` for any of 12.

    `newest`
    : The newest one that passes; `12.9` lets `12.9.1` pass.

    # Type

    ```
    mayBeAtMost :: String -> String -> Bool
    ```

    # Examples

    ```nix
    mayBeAtMost "12.9.1" "12.9"
    => true
    mayBeAtMost "12.10" "12.9"
    => false
    ```
  */
  mayBeAtMost =
    version: newest: compareVersions (_take (length (_parts newest)) version) newest <= 0;

  /**
    Whether a version begins with the parts of another one.

    # Type

    ```
    isOf :: String -> String -> Bool
    ```

    # Examples

    ```nix
    isOf "12.9" "12.9.1"
    => true
    isOf "12.9" "12.90"
    => false
    ```
  */
  isOf = parts: version: _take (length (_parts parts)) version == parts;

  /**
    Versions, the newest first.

    # Type

    ```
    newestFirst :: [ String ] -> [ String ]
    ```

    # Examples

    ```nix
    newestFirst [ "9.8.0" "9.10.0" ]
    => [ "9.10.0" "9.8.0" ]
    ```
  */
  newestFirst = builtins.sort (a: b: compareVersions a b > 0);

  /**
    The newest version of a list, or `null` for an empty one.

    # Type

    ```
    newest :: [ String ] -> String | Null
    ```

    # Examples

    ```nix
    newest [ "12.9.1" "12.10.0" ]
    => "12.10.0"
    ```
  */
  newest = foldl' (
    best: version: if best == null || compareVersions version best > 0 then version else best
  ) null;
}
