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

  # The real ones compile `src`; of these the first hands out the program that was built outside, whatever it is asked for,
  # and the second makes nothing that works.
  rustPlatform.bindgenHook = runCommand "bindgen-hook" { } "exit 1";
  rustPlatform.buildRustPackage =
    { pname, version, ... }@arguments:
    runCommand "${pname}-${version}" { inherit (arguments) src; } ''
      mkdir -p $out/bin
      cp ${bin}/cuda-redist $out/bin/
    ''
    // {
      inherit (arguments) meta;
    };
  stdenv = {
    hostPlatform = {
      inherit system;
      isStatic = false;
    };
    mkDerivation =
      { pname, version, ... }@arguments:
      derivation (
        removeAttrs arguments [
          "meta"
          "passthru"
        ]
        // {
          name = "${pname}-${version}";
          inherit system;
          builder = "${bin}/busybox";
          args = [ "false" ];
        }
      )
      // {
        inherit (arguments) meta pname version;
      }
      // arguments.passthru;
  };

  tools = builtins.listToAttrs (
    map
      (name: {
        inherit name;
        value = runCommand name { } "exit 1";
      })
      [
        "boehmgc"
        "boost"
        "cargo"
        "clippy"
        "elfutils"
        "jq"
        "nlohmann_json"
        "patchelf"
        "pkg-config"
        "rustc"
        "rustfmt"
      ]
  );

  pkgs = tools // {
    inherit
      callPackage
      runCommand
      rustPlatform
      stdenv
      ;
    lib = {
      getBin = package: package.bin or package;
      getDev = package: package.dev or package;
      platforms.linux = [ system ];
    };
    # The Nix that the plugin is known to work with.
    nix = runCommand "nix-2.8.0" { } "exit 1" // {
      pname = "nix";
      version = "2.8.0";
      inherit stdenv;
    };
    pkgsStatic = { inherit rustPlatform; };
    mkShell = { packages }: runCommand "shell" { inherit packages; } "exit 1";
    writeShellScript =
      name: text:
      runCommand name {
        inherit text;
        shell = "/bin/sh";
      } ''printf '#!%s\n%s\n' "$shell" "$text" > $out; chmod +x $out'';
  };

  callPackage =
    file: arguments:
    let
      function = import file;
      make =
        overrides:
        function (builtins.intersectAttrs (builtins.functionArgs function) pkgs // arguments // overrides)
        // {
          override = make;
        };
    in
    make { };
in
pkgs
