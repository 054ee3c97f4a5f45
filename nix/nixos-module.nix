/**
  The NixOS module: `programs.cuda-redist.plugin.enable` gives the system's own Nix `builtins.cudaRedist`.

  A plugin works with exactly the Nix that it was built for, so it is built for `nix.package`, from the system's own nixpkgs; where
  there can be none the system is not built, and says why.

  Non-goals: the driver, which is `hardware.nvidia`'s, and package sets, which are the overlay's.
*/
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.programs.cuda-redist.plugin;
  reason = import ./packages/plugin-reason.nix config.nix.package;
in
{
  options.programs.cuda-redist.plugin = {
    enable = lib.mkEnableOption "builtins.cudaRedist, in every evaluation by the system's Nix";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./packages/plugin.nix { nix = config.nix.package; };
      defaultText = lib.literalExpression "cuda-redist.packages.\${system}.plugin.override { nix = config.nix.package; }";
      description = "The plugin, built for `nix.package`.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = reason == null;
        message = ''
          programs.cuda-redist.plugin: cannot build the plugin for `nix.package`: ${toString reason}
          Potential solutions:
          - set `nix.package` to a Nix that the plugin knows
          - leave the plugin out: the same packages come out, and manifests are then judged when packages are built'';
      }
    ];
    nix.settings = lib.mkIf (reason == null) {
      plugin-files = [ "${cfg.package}/lib/nix/plugins/cuda-redist.so" ];
    };
  };
}
