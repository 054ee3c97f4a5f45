/**
  What `nix flake check` runs.

  - `lib`: the unit tests in `nix/`, which stand beside what they test.
  - `manifests`: every manifest and feature manifest of the input, judged by `cuda-redist check`.
  - `package-sets`: every package of every set evaluates, for every platform.

  Non-goals: building packages; that would fetch them from NVIDIA.

  # Inputs

  `pkgs`
  : A nixpkgs; only `runCommand` is used.

  `manifests`, `cuda-redist`, `packageSets`
  : The input, the program, and the sets made with both.

  # Type

  ```
  AttrSet -> { ${name} :: Derivation }
  ```
*/
{
  pkgs,
  manifests,
  cuda-redist,
  packageSets,
}:
let
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatStringsSep
    filter
    length
    readDir
    toString
    ;

  testFiles =
    dir:
    map (name: dir + "/${name}") (
      filter (name: builtins.match ".*[.]test[.]nix" name != null) (attrNames (readDir dir))
    );
  failures = concatLists (
    map (file: import file) (
      concatLists (
        map testFiles [
          ./lib
          ./modules
          ./package-set
          ./shims
        ]
      )
    )
  );

  derivations = set: attrValues ((import ./lib).supported set);
  platforms = set: attrValues set.byPlatform;
  paths = map (package: builtins.unsafeDiscardStringContext package.drvPath) (
    concatLists (map derivations (concatLists (map platforms (attrValues packageSets))))
  );
in
{
  lib =
    if failures == [ ] then
      pkgs.runCommand "cuda-redist-check-lib" { } "echo fine > $out"
    else
      throw "nix: ${toString (length failures)} cases fail:\n${concatStringsSep "\n" failures}";

  manifests = pkgs.runCommand "cuda-redist-check-manifests" { } ''
    find ${manifests} -name 'redistrib_*.json' ! -type d -print0 > files
    test -s files
    find ${manifests} -name 'feature_*.json' ! -type d -print0 >> files
    xargs -0 ${cuda-redist}/bin/cuda-redist check < files > $out
  '';

  package-sets = pkgs.runCommand "cuda-redist-check-package-sets" {
    found = toString (length paths);
    evaluated = builtins.hashString "sha256" (concatStringsSep "\n" paths);
  } "echo $found derivations > $out";
}
