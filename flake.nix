{
  description = "Checks, verifies, unpacks and patches NVIDIA's CUDA redistributables for Nix";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    # A folder tree of redistrib manifests; `--override-input manifests path:...` takes one's own.
    manifests = {
      url = "github:nixos-cuda/cuda-legacy";
      flake = false;
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      manifests,
    }:
    let
      lib = import ./nix/lib;
      # Of the machines that build; packages are for every platform of NVIDIA's on each.
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "powerpc64le-linux"
      ];
      # What is made for a system, from its packages of nixpkgs and our own.
      forSystems =
        f:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = f rec {
              inherit system lib manifests;
              pkgs = nixpkgs.legacyPackages.${system};
              inherit (self.packages.${system}) cuda-redist;
              # Those that other machines build differ in `system` alone, so one look is enough for all.
              packageSets = self.legacyPackages.${builtins.head systems};
              example = import ./nix/example {
                inherit
                  lib
                  pkgs
                  cuda-redist
                  system
                  ;
              };
            };
          }) systems
        );
      sets = args: import ./nix/package-sets.nix ({ inherit lib manifests; } // args);
      call =
        file: arguments:
        let
          function = import file;
        in
        function (builtins.intersectAttrs (builtins.functionArgs function) arguments);
    in
    {
      inherit lib;

      packages = forSystems (
        { pkgs, cuda-redist, ... }:
        {
          cuda-redist = import ./nix/packages/cuda-redist.nix { inherit pkgs; };
          # `.override { nix = …; }` for another Nix than that of nixpkgs.
          plugin = pkgs.callPackage ./nix/packages/plugin.nix { };
          default = cuda-redist;
        }
      );

      # `cudaPackages_12_9.cuda_cudart`, and `cudaPackages_12_9.byPlatform.linux-sbsa.cuda_cudart` for the packages of
      # another platform, built on a machine of this system.
      legacyPackages = forSystems (
        { system, cuda-redist, ... }:
        sets {
          inherit system;
          builder = cuda-redist;
        }
      );

      checks = forSystems (call ./nix/checks.nix);
      apps = forSystems (call ./nix/apps.nix);
      devShells = forSystems (arguments: { default = call ./nix/dev-shell.nix arguments; });

      overlays.default = import ./nix/overlay.nix { inherit sets; };
      nixosModules.default = import ./nix/nixos-module.nix;

      templates.default = {
        path = ./templates/default;
        description = "Packages made from redistrib manifests of your own";
        welcomeText = "README.md says what comes next: archives into `archives/`, a manifest of them, `nix build`.";
      };
    };
}
