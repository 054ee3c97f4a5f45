/**
  What `nix flake check` runs.

  - `lib`: the unit tests in `nix/`, which stand beside what they test.
  - `manifests`: every manifest and feature manifest of the input, judged by `cuda-redist check`.
  - `package-sets`: every package of every set evaluates, for every platform; its output is the table of `survey.nix`, and after it
    what is unsupported, and why.
  - `example`: a small package set, built for two platforms, and looked into.

  Non-goals: building NVIDIA's packages; that would fetch them.

  # Inputs

  `pkgs`
  : A nixpkgs; only `runCommand` is used.

  `manifests`, `cuda-redist`, `packageSets`, `example`
  : The input, the program, the sets made with both, and `example/default.nix`.

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
  example,
}:
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    filter
    hashString
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
          ./.
          ./lib
          ./modules
          ./package-set
          ./shims
        ]
      )
    )
  );

  survey = import ./survey.nix packageSets;
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

  # Without the packages' string context: nothing is built, and the table is one derivation.
  package-sets = pkgs.runCommand "cuda-redist-check-package-sets" {
    inherit (survey) table unsupported;
    evaluated = hashString "sha256" (concatStringsSep "\n" survey.drvPaths);
    # Longer than what an environment takes in one variable.
    passAsFile = [
      "table"
      "unsupported"
    ];
  } ''{ cat "$tablePath"; echo; cat "$unsupportedPath"; } > $out'';

  # One library needs the other: it has to find it, and the driver before it.
  example = pkgs.runCommand "cuda-redist-check-example" { } (
    concatStringsSep "\n" (
      map (
        platform:
        let
          inherit (example.packages.${platform}) libexample libexample_base;
        in
        ''
          test -f ${libexample.include}/include/example.h
          ${cuda-redist}/bin/cuda-redist elf show ${libexample.lib}/lib/libexample.so.1 > shown
          cat shown >> $out
          grep -F 'runpath       /run/opengl-driver/lib:${libexample_base.lib}/lib:$ORIGIN' shown
          ${cuda-redist}/bin/cuda-redist audit ${libexample.lib} ${libexample_base.lib} >> $out
        ''
      ) (attrNames example.packages)
    )
  );
}
