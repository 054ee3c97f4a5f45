# Run with `nix-instantiate --eval --strict nix/package-set/default.test.nix`: `[ ]` when all is well.
let
  inherit (builtins)
    attrNames
    elem
    filter
    mapAttrs
    ;

  manifestsLib = import ../lib/manifests.nix;
  shapesLib = import ../lib/shapes.nix;
  shims = import ../shims;

  mkCudaPackages = import ./default.nix;
  make =
    args:
    mkCudaPackages (
      {
        system = "x86_64-linux";
        manifests = ../../tests/nix/sets;
        builder = "/nonexistent";
      }
      // args
    );

  extras = [
    "byPlatform"
    "overrideScope"
    "releases"
  ];
  packageNames = set: filter (name: !(elem name extras)) (attrNames set);
  derivations = set: mapAttrs (_: package: package.drvPath) (removeAttrs set extras);
  dependencies = package: attrNames package.drvAttrs.dependencies;

  newest = make { };
  oldest = make { releases.cuda = "12.0.1"; };
  both = make {
    releases = {
      cuda = "12.9.1";
      cudnn = "9.8.0";
    };
  };
  broken = make {
    manifests = ../../tests/nix/broken;
    releases.cuda = "1.0";
  };

  own =
    args:
    make (
      {
        manifests = ../../tests/nix/own;
        releases.mine = "1.0";
        variants.mpi = "5";
      }
      // args
    );
  withOrigin = shapesLib.extend "redistribRelease" { origin = "url"; };
  fine = own { shapes.mine = withOrigin; };
  # The same manifest as a value, with something else in place of one release.
  changed =
    release: shape:
    own {
      manifests.mine."1.0" = ownManifest // {
        mine = release;
      };
      shapes.mine = shape;
    };
  ownManifest = builtins.fromJSON (
    builtins.readFile ../../tests/nix/own/mine/redistrib_1.0.json
  );
  shimmed = make {
    manifests = manifestsLib.index ../../tests/nix/sets // {
      tensorrt = shims.tensorrt.redistrib {
        inherit ((manifestsLib.readReleases ../../tests/nix/releases/mine.json).tensorrt) releases;
        cudaVersion = "12.0.1";
      };
      cudnn = shims.cudnn.redistrib {
        inherit ((manifestsLib.readReleases ../../tests/nix/releases/mine.nix).cudnn) releases;
        cudaVersion = "11.0";
      };
    };
    releases = {
      cuda = "12.0.1";
      tensorrt = "8.6.1.6";
      cudnn = "8.0.5.39";
    };
    shapes = {
      tensorrt = "buildableRelease";
      cudnn = "buildableRelease";
    };
  };

  replaced = newest.overrideScope (
    final: prev: {
      libcublas = prev.libcublas // {
        lib = "/nonexistent/libcublas-${final.releases.cuda}";
      };
    }
  );
in
import ../lib/failures.nix {
  family = {
    inherit mkCudaPackages;
    inherit (newest) overrideScope byPlatform releases;
    # Not names of a set, but what its packages are like.
    inherit dependencies;
    generic-manifest-builder = import ./generic-manifest-builder.nix;
    lazy = broken;
    shapes = fine;
    variants = fine;
    shims = shimmed;
  };
  cases = {
    mkCudaPackages = [
      {
        expr = packageNames newest;
        expected = [
          "cuda_cudart"
          "driver_assistant"
          "libcublas"
          "libcusolver"
          "libcusparse"
          "libnvjitlink"
          "novelty"
        ];
      }
      # What a release does not have for the platform is not there.
      {
        expr = packageNames (make {
          system = "aarch64-linux";
        });
        expected = [
          "cuda_cudart"
          "driver_assistant"
          "libcublas"
          "libcusolver"
          "libcusparse"
        ];
      }
      {
        expr = packageNames (make {
          system = "riscv64-linux";
        });
        expected = [ "driver_assistant" ];
      }
      # The variant follows the CUDA release, or is said.
      {
        expr = both.cudnn.name;
        expected = "cudnn-linux-x86_64-9.8.0.87_cuda12";
      }
      {
        expr =
          (make {
            releases.cudnn = "9.8.0";
            cudaVariant = "cuda11";
          }).cudnn.drvAttrs.release;
        expected = {
          inherit (both.cudnn.release) name license license_path;
          version = "9.8.0.87";
          cuda_variant = [ "11" ];
          linux-x86_64.cuda11 = removeAttrs both.cudnn.release.linux-x86_64.cuda11 [ "hash" ];
        };
      }
      {
        expr = attrNames (make {
          releases.cudnn = "9.8.0";
        });
        throws = true;
      }
      # A platform that lacks the variant lacks the package; sources need no platform.
      {
        expr = packageNames both.byPlatform.linux-aarch64;
        expected = [
          "cuda_cudart"
          "cudnn_samples"
          "driver_assistant"
        ];
      }
      {
        expr = (make { releases.cuda = "12.9.9"; }).cuda_cudart.drvPath;
        throws = true;
      }
      {
        expr = attrNames (make {
          releases.cutensor = "2.2.0";
        });
        throws = true;
      }
      # A name that nobody knows is an error, not a set that lacks packages. One that a manifest has is known.
      {
        expr = attrNames (make {
          platform = "x86_64-linux";
        });
        throws = true;
      }
      {
        expr = packageNames (make {
          platform = "linux-all";
        });
        expected = [ "driver_assistant" ];
      }
      {
        expr = attrNames (make {
          releases.cudnn = "9.8.0";
          cudaVariant = "12";
        });
        throws = true;
      }
      # The same from an index of manifests.
      {
        expr = derivations (make {
          manifests.cuda."12.9.1" = ../../tests/nix/sets/cuda/redistrib_12.9.1.json;
        });
        expected = derivations newest;
      }
    ];
    releases = [
      {
        expr = newest.releases;
        expected.cuda = "12.9.1";
      }
    ];
    dependencies = [
      {
        expr = dependencies newest.libcusolver;
        expected = [
          "libcublas"
          "libcusparse"
          "libnvjitlink"
        ];
      }
      # cuSOLVER needs cuSPARSE since 12.1.
      {
        expr = dependencies oldest.libcusolver;
        expected = [
          "libcublas"
          "libnvjitlink"
        ];
      }
      # What the release does not have is left out.
      {
        expr = dependencies newest.byPlatform.linux-sbsa.libcusparse;
        expected = [ ];
      }
      {
        expr = newest.libcusolver.drvAttrs.dependencies.libcublas == "${newest.libcublas.lib}";
        expected = true;
      }
      # Across products.
      {
        expr = dependencies both.cudnn;
        expected = [ "libcublas" ];
      }
    ];
    overrideScope = [
      {
        expr = replaced.libcusolver.drvAttrs.dependencies.libcublas;
        expected = "/nonexistent/libcublas-12.9.1";
      }
      {
        expr = replaced.byPlatform.linux-sbsa.libcusolver.drvAttrs.dependencies.libcublas;
        expected = "/nonexistent/libcublas-12.9.1";
      }
      # A second one is laid on top of the first.
      {
        expr =
          (replaced.overrideScope (_: prev: { again = prev.libcublas.lib; }))
          .byPlatform.linux-sbsa.again;
        expected = "/nonexistent/libcublas-12.9.1";
      }
      {
        expr = replaced.cuda_cudart.drvPath == newest.cuda_cudart.drvPath;
        expected = true;
      }
    ];
    byPlatform = [
      # The law in `default.nix`.
      {
        expr = mapAttrs (_: derivations) newest.byPlatform;
        expected = mapAttrs (
          platform: _: derivations (make { inherit platform; })
        ) newest.byPlatform;
      }
      # Another platform's packages are built on this system.
      {
        expr = newest.byPlatform.linux-sbsa.libcublas.drvAttrs.system;
        expected = "x86_64-linux";
      }
    ];
    generic-manifest-builder = [
      {
        expr =
          let
            inherit
              (make {
                builder = "/opt/cuda-redist";
                mirror = "file:///srv/cuda/";
                driverPaths = [ "/usr/lib/wsl/lib" ];
              })
              cuda_cudart
              ;
          in
          {
            inherit (cuda_cudart.drvAttrs)
              name
              system
              builder
              args
              __structuredAttrs
              planVersion
              product
              label
              package
              platform
              variant
              driverPaths
              dependencies
              allowedMissing
              outputs
              ;
            inherit (cuda_cudart.src.drvAttrs) url;
            srcName = cuda_cudart.src.name;
            sameSource = cuda_cudart.drvAttrs.src == "${cuda_cudart.src}";
            sameHash = cuda_cudart.src.outputHash == cuda_cudart.release.linux-x86_64.sha256;
          };
        expected = {
          name = "cuda_cudart-linux-x86_64-12.9.79";
          system = "x86_64-linux";
          builder = "/opt/cuda-redist/bin/cuda-redist";
          args = [ "realise" ];
          __structuredAttrs = true;
          planVersion = 1;
          product = "cuda";
          label = "12.9.1";
          package = "cuda_cudart";
          platform = "linux-x86_64";
          variant = null;
          driverPaths = [ "/usr/lib/wsl/lib" ];
          dependencies = { };
          allowedMissing = [ ];
          outputs = [
            "out"
            "dev"
            "include"
            "lib"
            "static"
            "stubs"
          ];
          url = "file:///srv/cuda/cuda_cudart/linux-x86_64/cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz";
          srcName = "cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz";
          sameSource = true;
          sameHash = true;
        };
      }
      # A path is where the driver will be, not what to put into the store.
      {
        expr =
          (make {
            driverPaths = [
              ./.
              "/usr/lib/wsl/lib"
            ];
          }).cuda_cudart.drvAttrs.driverPaths;
        expected = [
          (toString ./.)
          "/usr/lib/wsl/lib"
        ];
      }
      # One platform, and the manifest's own four fields.
      {
        expr = newest.cuda_cudart.drvAttrs.release;
        expected = {
          inherit (newest.cuda_cudart.release) name license license_path;
          version = "12.9.79";
          linux-x86_64 = removeAttrs newest.cuda_cudart.release.linux-x86_64 [ "hash" ];
        };
      }
      {
        expr = map (name: newest.cuda_cudart.${name}.outputName) newest.cuda_cudart.outputs;
        expected = newest.cuda_cudart.outputs;
      }
      # `nix build .#cuda_cudart.lib` builds `lib`, and `.#cuda_cudart^*` may choose.
      {
        expr =
          map (package: package.outputSpecified or false) [
            newest.cuda_cudart
            newest.cuda_cudart.lib
            newest.cuda_cudart.out
          ];
        expected = [
          false
          true
          true
        ];
      }
      {
        expr = newest.novelty.outputs;
        expected = [
          "out"
          "dev"
          "include"
          "lib"
          "static"
          "stubs"
        ];
      }
      # What `nix/data/packages.json` says of a package.
      {
        expr = newest.driver_assistant.outputs;
        expected = [ "out" ];
      }
      {
        expr = both.cudnn.drvAttrs.allowedMissing;
        expected = [ "libz.so.1" ];
      }
      # A plan names the key that the archive has in the manifest.
      {
        expr = newest.driver_assistant.platform;
        expected = "linux-all";
      }
    ];
    shapes = [
      # The plan carries the shape and the release as it is; what the builder needs of it stands beside, as ever.
      {
        expr = { inherit (fine.mine.drvAttrs) checks releaseShape release; };
        expected = {
          checks = [
            {
              shape = withOrigin;
              value = ownManifest.mine;
            }
          ];
          releaseShape = "buildableRelease";
          release = {
            inherit (ownManifest.mine)
              name
              license
              version
              linux-x86_64
              ;
          };
        };
      }
      {
        expr = (make { shapes.cuda = withOrigin; }).libcublas.drvAttrs ? checks;
        expected = !(builtins ? cudaRedist);
        throws = builtins ? cudaRedist;
      }
      {
        expr = newest.libcublas.drvAttrs ? checks || newest.libcublas.drvAttrs ? releaseShape;
        expected = false;
      }
      # A shape for a product that nobody has is a mistake.
      {
        expr = attrNames (own {
          shapes.yours = withOrigin;
        });
        throws = true;
      }
      # A manifest that is there as a value has a shape, too: that of NVIDIA's, if nobody says otherwise.
      {
        expr =
          (make {
            manifests.cuda."12.9.1" = builtins.fromJSON (
              builtins.readFile ../../tests/nix/sets/cuda/redistrib_12.9.1.json
            );
          }).libcublas.drvPath == newest.libcublas.drvPath;
        expected = true;
      }
      # What is wrong is refused while Nix evaluates, with the plugin; without it the builder will.
      {
        expr = (changed (removeAttrs ownManifest.mine [ "origin" ]) withOrigin).mine.name;
        expected = "mine-linux-x86_64-1.0";
        throws = builtins ? cudaRedist;
      }
    ];
    variants = [
      {
        expr = fine.spread.name;
        expected = "spread-linux-x86_64-1.0_mpi5";
      }
      {
        expr = fine.spread.drvAttrs.release;
        expected = {
          inherit (ownManifest.spread) name license version;
          mpi_variant = [ "5" ];
          linux-x86_64 = { inherit (ownManifest.spread.linux-x86_64) mpi5; };
        };
      }
      {
        expr = packageNames (own {
          shapes.mine = withOrigin;
          variants.mpi = "4";
        });
        expected = [ "mine" ];
      }
      {
        expr = packageNames (own {
          shapes.mine = withOrigin;
          variants = { };
        });
        throws = true;
      }
    ];
    shims = [
      {
        expr = shimmed.tensorrt.name;
        expected = "tensorrt-linux-x86_64-8.6.1.6";
      }
      # Where the archive is, whichever way it is said; below a mirror it is at its path.
      {
        expr = map (package: package.src.drvAttrs.url) [
          shimmed.tensorrt
          shimmed.cudnn
        ];
        expected = [
          "https://developer.download.nvidia.com/compute/machine-learning/TensorRT-8.6.1.6.Linux.x86_64-gnu.cuda-12.0.tar.gz"
          "https://developer.download.nvidia.com/compute/redist/cudnn/v8.0.5/cudnn-11.0-linux-x64-v8.0.5.39.tgz"
        ];
      }
      {
        expr = shimmed.cudnn.drvAttrs.release.linux-x86_64;
        expected = {
          relative_path = "compute/redist/cudnn/v8.0.5/cudnn-11.0-linux-x64-v8.0.5.39.tgz";
          sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        };
      }
      {
        expr = dependencies shimmed.tensorrt;
        expected = [
          "cuda_cudart"
          "cudnn"
        ];
      }
    ];
    # One broken package leaves its siblings as they are. With the plugin the whole manifest is refused, and should be.
    lazy =
      if builtins ? cudaRedist then
        [ ]
      else
        [
          {
            expr = packageNames broken;
            expected = [
              "good"
              "text"
              "unversioned"
            ];
          }
          {
            expr = broken.good.name;
            expected = "good-linux-x86_64-1.0";
          }
          {
            expr = broken.text.drvPath;
            throws = true;
          }
          {
            expr = broken.unversioned.version;
            throws = true;
          }
        ];
  };
}
