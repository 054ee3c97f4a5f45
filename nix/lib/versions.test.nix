# Run with `nix-instantiate --eval --strict nix/lib/versions.test.nix`: `[ ]` when all is well.
let
  versions = import ./versions.nix;
in
import ./failures.nix {
  family = versions;
  cases = {
    major = [
      {
        expr = versions.major "12.9.1";
        expected = "12";
      }
      {
        expr = versions.major "25";
        expected = "25";
      }
    ];
    majorMinor = [
      {
        expr = map versions.majorMinor [
          "12.9.1"
          "2.0.2.1"
          "25.5"
          "25"
        ];
        expected = [
          "12.9"
          "2.0"
          "25.5"
          "25"
        ];
      }
    ];
    majorMinorPatch = [
      {
        expr = map versions.majorMinorPatch [
          "10.9.0.34"
          "12.9.1"
          "25.5"
        ];
        expected = [
          "10.9.0"
          "12.9.1"
          "25.5"
        ];
      }
    ];
    mayBeAtLeast = [
      {
        expr = map (version: versions.mayBeAtLeast version "12.8") [
          "12"
          "12.8.1"
          "12.6.3"
          "13"
          "11"
        ];
        expected = [
          true
          true
          false
          true
          false
        ];
      }
    ];
    mayBeAtMost = [
      {
        expr = map (version: versions.mayBeAtMost version "12.9") [
          "12"
          "12.9.1"
          "12.10.0"
          "13"
        ];
        expected = [
          true
          true
          false
          false
        ];
      }
    ];
    isOf = [
      {
        expr = map (versions.isOf "12.9") [
          "12.9"
          "12.9.1"
          "12.90"
          "12"
        ];
        expected = [
          true
          true
          false
          false
        ];
      }
    ];
    newestFirst = [
      {
        expr = versions.newestFirst [
          "9.8.0"
          "9.10.0"
          "24.03"
        ];
        expected = [
          "24.03"
          "9.10.0"
          "9.8.0"
        ];
      }
    ];
    atLeast = [
      {
        expr = map (versions.atLeast "12.9.1") [
          "12.0"
          "12.9"
          "12.9.1"
          "12.10"
          "13"
        ];
        expected = [
          true
          true
          true
          false
          false
        ];
      }
    ];
    newest = [
      {
        expr = versions.newest [
          "12.9.1"
          "12.10.0"
          "12.9.0"
        ];
        expected = "12.10.0";
      }
      {
        expr = versions.newest [ ];
        expected = null;
      }
    ];
  };
}
