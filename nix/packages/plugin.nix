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
  src = source "plugin(/.*)?";

  nativeBuildInputs = [ pkg-config ];
  buildInputs = [
    nix
    boehmgc
    boost
    nlohmann_json
  ];

  makefile = "plugin/plugin.mk";
  makeFlags = [
    "PLUGIN_TARGET=$(out)"
    "NIX_VERSION=${nix.version}"
    "NIX_HEADERS=${lib.getDev nix}/include/nix"
    "NIX_SYSTEM=${stdenv.hostPlatform.system}"
  ];
  buildFlags = [ "$(out)/lib/nix/cuda-redist/${nix.version}.so" ];
  installPhase = ''
    install -D -m 755 ${core}/lib/libcuda_redist.so $out/lib/nix/plugins/cuda-redist.so
  '';

  passthru = { inherit nix; };
  meta = {
    description = "builtins.cudaRedist: the judge of CUDA's redistrib manifests, as a plugin of Nix";
    platforms = lib.platforms.linux;
    # nixpkgs then refuses to evaluate it.
    broken = reason != null;
  };
}
