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
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forSystems =
        f:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = f system;
          }) systems
        );
      sets = args: import ./nix/package-sets.nix ({ inherit lib manifests; } // args);
    in
    {
      inherit lib;

      packages = forSystems (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          cuda-redist = import ./nix/packages/cuda-redist.nix { inherit pkgs; };
        in
        {
          inherit cuda-redist;
          default = cuda-redist;
        }
      );

      # `cudaPackages_12_9.cuda_cudart`, and `cudaPackages_12_9.byPlatform.linux-sbsa.cuda_cudart` for the packages of
      # another platform, built on a machine of this system.
      legacyPackages = forSystems (
        system:
        sets {
          inherit system;
          builder = self.packages.${system}.cuda-redist;
        }
      );

      overlays.default = import ./nix/overlay.nix { inherit sets; };

      checks = forSystems (
        system:
        import ./nix/checks.nix {
          inherit manifests;
          pkgs = nixpkgs.legacyPackages.${system};
          inherit (self.packages.${system}) cuda-redist;
          packageSets = self.legacyPackages.${system};
        }
      );
    };
}
