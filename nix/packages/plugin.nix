/**
  The plugin for one Nix: `plugin.override { nix = …; }` for another one than that of nixpkgs.

  The file for `plugin-files` is `lib/nix/plugins/cuda-redist.so`. It holds the core, which is Rust and knows no Nix; beside it
  lies the shim, C++ compiled with the headers of exactly this Nix.

  Made to be called by `callPackage`. Only evaluated by the tests of this project, which have no nixpkgs.

  # Type

  ```
  AttrSet -> Derivation
  ```
*/
{
  lib,
  stdenv,
  rustPlatform,
  pkg-config,
  nix,
  boehmgc,
  boost,
  nlohmann_json,
}:
let
  inherit ((builtins.fromTOML (builtins.readFile ../../Cargo.toml)).package) version;
  source = import ./source.nix;
  reason = import ./plugin-reason.nix nix;

  core = rustPlatform.buildRustPackage {
    pname = "cuda-redist-plugin-core";
    inherit version;
    src = source "Cargo[.](toml|lock)|build[.]rs|plugin(/.*)?|src(/.*)?|nix|nix/data(/.*)?";
    cargoLock.lockFile = ../../Cargo.lock;
    nativeBuildInputs = [ rustPlatform.bindgenHook ];
    cargoBuildFlags = [ "--lib" ];
    buildFeatures = [ "plugin" ];
    doCheck = false;
  };
in
stdenv.mkDerivation {
  pname = "cuda-redist-plugin";
  version = "${version}-nix-${nix.version}";
  src = source "plugin(/.*)?|scripts|scripts/build-shim";

  nativeBuildInputs = [ pkg-config ];
  buildInputs = [
    (lib.getDev nix)
    boehmgc
    boost
    nlohmann_json
  ];

  dontBuild = true;
  # The loader finds the shim beside it, for which it is compiled there and tried in the Nix that it is for.
  installPhase = ''
    runHook preInstall
    install -D -m 755 ${core}/lib/libcuda_redist.so $out/lib/nix/plugins/cuda-redist.so
    ln -s plugins/cuda-redist.so $out/lib/nix/cuda-redist.optional.so
    bash scripts/build-shim $out/lib/nix/plugins/cuda-redist.so ${lib.getBin nix}
    rm $out/lib/nix/cuda-redist/*.flags
    runHook postInstall
  '';

  passthru = { inherit nix; };
  meta = {
    description = "builtins.cudaRedist: the judge of CUDA's redistrib manifests, as a plugin of Nix";
    platforms = lib.platforms.linux;
    # nixpkgs then refuses to evaluate it.
    broken = reason != null;
  };
}
