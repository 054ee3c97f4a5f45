/**
  What stands in for nixpkgs. `scripts/stand-in` puts `bin/busybox` and `bin/cuda-redist`, both static, beside this file.

  Non-goals: anything that the flake of cuda-redist does not use. Every derivation is built by the busybox, whose
  machine is the one that prepared the folder; for other systems they evaluate.
*/
{ system }:
let
  bin = ./bin;

  runCommand =
    name: env: script:
    derivation (
      env
      // {
        inherit name system;
        builder = "${bin}/busybox";
        args = [
          "sh"
          "-euc"
          ''
            ${bin}/busybox mkdir "$TMPDIR/applets"
            ${bin}/busybox --install -s "$TMPDIR/applets"
            export PATH="$TMPDIR/applets"
            ${script}
          ''
        ];
      }
    );

  # The real one compiles `src`; this one hands out the program that was built outside.
  rustPlatform.buildRustPackage =
    { pname, version, ... }:
    runCommand "${pname}-${version}" { } ''
      mkdir -p $out/bin
      cp ${bin}/cuda-redist $out/bin/
    '';
in
{
  inherit runCommand rustPlatform;
  pkgsStatic = { inherit rustPlatform; };
}
