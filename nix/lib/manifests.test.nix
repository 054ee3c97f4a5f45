# Run with `nix-instantiate --eval --strict nix/lib/manifests.test.nix`: `[ ]` when all is well.
let
  manifests = import ./manifests.nix;
  cases = ../../tests/nix/manifests;
in
import ./failures.nix {
  family = manifests;
  cases = {
    find = [
      {
        expr = map (entry: { inherit (entry) folder label; }) (manifests.find (cases + "/good"));
        expected = [
          {
            folder = "cuda";
            label = "12.9.0";
          }
          {
            folder = "cuda";
            label = "12.9.1";
          }
          {
            folder = "renamed";
            label = "9.8.0";
          }
        ];
      }
    ];
    index = [
      {
        expr = manifests.index (cases + "/good");
        expected = {
          cuda."12.9.0" = cases + "/good/cuda/redistrib_12.9.0.json";
          cuda."12.9.1" = cases + "/good/cuda/redistrib_12.9.1.json";
          cudnn."9.8.0" = cases + "/good/renamed/redistrib_9.8.0.json";
        };
      }
      # A folder that is a product itself counts, too.
      {
        expr = builtins.attrNames (manifests.index (cases + "/good/cuda"));
        expected = [ "cuda" ];
      }
      # What appears twice throws; what stands beside it does not.
      {
        expr = (manifests.index (cases + "/twice")).cuda."12.9.1";
        throws = true;
      }
      {
        expr = (manifests.index (cases + "/twice")).cudnn."9.8.0";
        expected = cases + "/twice/cudnn/redistrib_9.8.0.json";
      }
      {
        expr = manifests.index (cases + "/nameless");
        throws = true;
      }
    ];
    indexFeatures = [
      # By the folder, by the manifest beside it, and again by the folder.
      {
        expr = manifests.indexFeatures (cases + "/good");
        expected.cudnn."9.8.0" = cases + "/good/renamed/feature_9.8.0.json";
      }
      {
        expr = manifests.indexFeatures ../../tests/nix/features;
        expected = {
          cuda."12.9.1" = ../../tests/nix/features/cuda/feature_12.9.1.json;
          features."1.0" = ../../tests/nix/features/feature_1.0.json;
        };
      }
      {
        expr = (manifests.indexFeatures (cases + "/twice")).cuda."12.9.1";
        throws = true;
      }
    ];
    read = [
      {
        expr = (manifests.read (cases + "/good/cuda/redistrib_12.9.0.json")).cuda_nvtx.version;
        expected = "12.9.19";
      }
    ];
    readFeatures = [
      {
        expr = (manifests.readFeatures ../../tests/nix/features/feature_1.0.json).mine.linux-x86_64.outputs;
        expected = [
          "out"
          "lib"
        ];
      }
    ];
    readReleases = [
      {
        expr = builtins.attrNames (manifests.readReleases ../../tests/nix/releases/mine.json);
        expected = [ "tensorrt" ];
      }
      {
        expr = builtins.attrNames (manifests.readReleases ../../tests/nix/releases/mine.nix);
        expected = [ "cudnn" ];
      }
      {
        expr = builtins.attrNames (
          manifests.readReleases (toString ../../tests/nix/releases/mine.nix)
        );
        expected = [ "cudnn" ];
      }
    ]
    # What is wrong is refused while Nix evaluates, with the plugin.
    ++ (
      if builtins ? cudaRedist then
        [
          {
            expr = manifests.readReleases ../../tests/nix/features/feature_1.0.json;
            throws = true;
          }
        ]
      else
        [ ]
    );
    newestPerMinor = [
      {
        expr = manifests.newestPerMinor [
          "12.9.0"
          "12.9.1"
          "12.10.0"
          "25.5"
        ];
        expected = {
          "12.9" = "12.9.1";
          "12.10" = "12.10.0";
          "25.5" = "25.5";
        };
      }
    ];
  };
}
