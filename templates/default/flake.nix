{
  description = "Packages made from redistrib manifests of my own";

  # Wherever your copy of cuda-redist lives.
  inputs.cuda-redist.url = "github:OWNER/cuda-redist";

  outputs =
    { self, cuda-redist }:
    let
      inherit (cuda-redist) lib;

      # The machine that builds. It builds for every platform that the manifests list.
      system = "x86_64-linux";

      # What NVIDIA has, and the product of this project.
      manifests = lib.manifests.index cuda-redist.inputs.manifests // lib.manifests.index ./manifests;
      features =
        lib.manifests.indexFeatures cuda-redist.inputs.manifests // lib.manifests.indexFeatures ./manifests;

      set = lib.mkCudaPackages {
        inherit system manifests features;
        builder = cuda-redist.packages.${system}.cuda-redist;

        # Product and label, as `cuda-redist index` was told them.
        releases.mine = "1.0";

        # The products of the set. With "cuda" among them (and `releases.cuda = "12.9.1"`) libraries of the product find those of
        # CUDA, all of which are then fetched, unless `overrides.PACKAGE.dependencies` names the few that are needed.
        products = [ "mine" ];

        # The folder with the archives, or an address: "https://example.org/mine".
        mirror = "file://${./archives}";
      };
    in
    {
      # The product's own packages that this machine's platform has; `set` has those of other products, too.
      packages.${system} = removeAttrs set (
        builtins.filter (
          name:
          let
            value = set.${name};
          in
          value.product or null != "mine" || value.package != name || value ? reason
        ) (builtins.attrNames set)
      );
      checks.${system} = self.packages.${system};
    };
}
