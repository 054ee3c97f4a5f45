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
