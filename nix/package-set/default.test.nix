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
  # A set of all products that have manifests.
  makeAll =
    args:
    mkCudaPackages (
      {
        system = "x86_64-linux";
        manifests = ../../tests/nix/sets;
        builder = "/nonexistent";
      }
      // args
    );
  # A set of CUDA itself, or of the products whose releases are named.
  make =
    args: makeAll ({ products = attrNames (args.releases or { cuda = null; }); } // args);

  # Packages of releases: a set may have more.
  supported =
    set:
    let
      found = (import ../lib/sets.nix).supported set;
    in
    removeAttrs found (filter (name: !(found.${name} ? product)) (attrNames found));
  packageNames = set: attrNames (supported set);
  derivations = set: mapAttrs (_: package: package.drvPath) (supported set);
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
  featured = make { features = ../../tests/nix/features; };
  # As a value.
  described =
    outputs:
    make {
      features.cuda."12.9.1".cuda_cudart.linux-x86_64 = {
        inherit outputs;
      };
    };

  overridden = overrides: make { inherit overrides; };

  # With archives that only some boards have.
  withCompat = make {
    platform = "linux-aarch64";
    manifests.cuda."12.9.1" = newestManifest // {
      cuda_compat = newestManifest.cuda_cudart;
    };
    cudaCompat = true;
  };
  newestManifest = builtins.fromJSON (
    builtins.readFile ../../tests/nix/sets/cuda/redistrib_12.9.1.json
  );

  packaging =
    args:
    import ./packaging.nix (
      {
        cudaVersion = "12.9.1";
        features = _: null;
        provider = _: null;
        fixups = { };
        overrides = { };
        isPackage = _: true;
        has = _: true;
        driverPaths = [ ];
      }
      // args
    );
  keysOfEntry = args: entry: packaging args entry [ ];
  entry =
    package: version: args:
    {
      inherit package;
      product = "cuda";
      release = { inherit version; };
      platform = "linux-x86_64";
      variant = null;
    }
    // args;

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
    features = featured;
    fixups = builtins.readDir ./fixups;
    overrides = overridden;
    packaging = packaging { };
    interpreters = newest;
    cudaCompat = newest;
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
        expr = (make { releases.cudnn = "9.8.0"; }).cudnn.drvPath;
        throws = true;
      }
      # A platform that lacks the variant lacks the package; sources need no platform.
      {
        expr = packageNames both.byPlatform.linux-aarch64;
        expected = [
          "cuda_cudart"
          "cudnn_samples"
          "cudnn_samples_9_8"
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
              cudaVersion
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
          cudaVersion = "12.9.1";
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
      # What nobody asks for is not in the plan.
      {
        expr = attrNames (
          removeAttrs newest.novelty.drvAttrs (
            attrNames (derivation {
              name = "none";
              system = "none";
              builder = "none";
            }).drvAttrs
          )
        );
        expected = [
          "__structuredAttrs"
          "allowedMissing"
          "args"
          "cudaVersion"
          "dependencies"
          "driverPaths"
          "label"
          "outputs"
          "package"
          "planVersion"
          "platform"
          "product"
          "release"
          "src"
          "variant"
        ];
      }
      {
        expr = both.cudnn.drvAttrs ? cudaVersion;
        expected = true;
      }
      {
        expr =
          (make {
            releases.cudnn = "9.8.0";
            cudaVariant = "cuda11";
          }).cudnn.drvAttrs.cudaVersion;
        expected = "11";
      }
      {
        expr = (make { cudaCapabilities = [ "9.0" ]; }).novelty.drvAttrs.capabilities;
        expected = [ "9.0" ];
      }
      # What nobody describes has one output, which takes all.
      {
        expr = newest.novelty.outputs;
        expected = [ "out" ];
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
        expected = [
          "mine"
          "mine_1_0"
        ];
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
    features = [
      {
        expr = mapAttrs (_: package: package.outputs) {
          inherit (featured) cuda_cudart novelty libcublas;
          sbsa = featured.byPlatform.linux-sbsa.cuda_cudart;
          aarch64 = featured.byPlatform.linux-aarch64.cuda_cudart;
        };
        expected = {
          cuda_cudart = [
            "out"
            "dev"
            "include"
            "lib"
          ];
          novelty = [
            "out"
            "samples"
            "bin"
          ];
          # Six booleans.
          sbsa = [
            "out"
            "dev"
            "lib"
            "static"
          ];
          # Neither the package nor the platform is there: as in the table.
          libcublas = newest.libcublas.outputs;
          aarch64 = newest.cuda_cudart.outputs;
        };
      }
      # The builder judges what the outputs come from, and nothing else of it.
      {
        expr = featured.novelty.drvAttrs.checks;
        expected = [
          {
            shape = "featurePackage";
            value.outputs = [
              "out"
              "bin"
              "sample"
            ];
          }
        ];
      }
      {
        expr = featured.novelty.drvAttrs ? releaseShape || newest.novelty.drvAttrs ? checks;
        expected = false;
      }
      # From an index, and as a value.
      {
        expr = derivations (make {
          features = manifestsLib.indexFeatures ../../tests/nix/features;
        });
        expected = derivations featured;
      }
      {
        expr =
          (described [
            "lib"
            "sample"
          ]).cuda_cudart.outputs;
        expected = [
          "out"
          "samples"
          "lib"
        ];
      }
      # Those of the folder of manifests, if nobody names others.
      {
        expr =
          map
            (
              args:
              (make (
                {
                  manifests = ../../tests/nix/manifests/good;
                  releases.cudnn = "9.8.0";
                  cudaVariant = "cuda12";
                }
                // args
              )).cudnn.outputs
            )
            [
              { }
              { features = { }; }
            ];
        expected = [
          [
            "out"
            "lib"
          ]
          both.cudnn.outputs
        ];
      }
      # Of a release that is not in the set nothing is read.
      {
        expr = derivations (make {
          features = ../../tests/nix/features;
          releases.cuda = "12.0.1";
        });
        expected = derivations oldest;
      }
      {
        expr = (described "lib").cuda_cudart.outputs;
        throws = true;
      }
      # A name that is none is refused while Nix evaluates, with the plugin; without it the builder will.
      {
        expr = (described [ "libs" ]).cuda_cudart.outputs;
        expected = [ "out" ];
        throws = builtins ? cudaRedist;
      }
    ];
    packaging = [
      # What only works as a whole stays so.
      {
        expr =
          (keysOfEntry {
            features = _: {
              outputs = [
                "out"
                "bin"
              ];
            };
          } (entry "cuda_nvcc" "12.9.86" { })).outputs;
        expected = [ "out" ];
      }
      {
        expr =
          (keysOfEntry { overrides.cuda_nvcc.outputs = [ "bin" ]; } (entry "cuda_nvcc" "12.9.86" { })).outputs;
        expected = [
          "out"
          "bin"
        ];
      }
      # What is opened by name, since which release of CUDA.
      {
        expr =
          map (cudaVersion: (keysOfEntry { inherit cudaVersion; } (entry "libcublas" "12.8.4.1" { })).dlopen)
            [
              "12.6.3"
              "12.8.0"
              null
            ];
        expected = [
          [ ]
          [ "cuda_nvrtc" ]
          [ "cuda_nvrtc" ]
        ];
      }
    ];
    fixups =
      let
        # Package, version, CUDA release, platform, variant.
        keysOf =
          package: version: cudaVersion: platform: variant:
          keysOfEntry { inherit cudaVersion; } (entry package version { inherit platform variant; });
        needed = version: cudaVersion: variant: (keysOf "cudnn" version cudaVersion "linux-x86_64" variant).addNeeded;
        isStatic =
          package: cudaVersion: platform:
          elem "static" (keysOf package "12.0.0" cudaVersion platform null).outputs;
      in
      [
        # Each is the name of a package that the table knows.
        {
          expr = filter (
            file:
            !(
              (builtins.fromJSON (builtins.readFile ../data/packages.json)).packages
              ? ${builtins.head (builtins.match "(.*)[.]nix" file)}
            )
          ) (attrNames (builtins.readDir ./fixups));
          expected = [ ];
        }
        {
          expr = needed "8.9.7.29" "12.0.1" "cuda11";
          expected = {
            "lib/libcudnn.so.8*" = [ "libcudnn_cnn_infer.so.8" ];
            "lib/libcudnn_ops_infer.so.8*" = [
              "libcublas.so.11"
              "libcublasLt.so.11"
            ];
          };
        }
        {
          expr = needed "8.7.0.84" null "cuda10.2";
          expected = {
            "lib/libcudnn.so.8*" = [ "libcudnn_cnn_infer.so.8" ];
            "lib/libcudnn_ops_infer.so.8*" = [
              "libcublas.so.10"
              "libcublasLt.so.10"
            ];
          };
        }
        # Of a release without variants.
        {
          expr = shimmed.cudnn.drvAttrs.addNeeded."lib/libcudnn_ops_infer.so.8*";
          expected = [
            "libcublas.so.12"
            "libcublasLt.so.12"
          ];
        }
        {
          expr = needed "8.0.5.39" null null;
          expected."lib/libcudnn.so.8*" = [ "libcudnn_cnn_infer.so.8" ];
        }
        {
          expr = needed "9.8.0.87" "12.9.1" "cuda12";
          expected = { };
        }
        {
          expr = shimmed.tensorrt.drvAttrs.addNeeded;
          expected."bin/trtexec" = [ "libnvinfer_plugin.so.8" ];
        }
        {
          expr = map (isStatic "cuda_cupti" "12.5.1") [
            "linux-x86_64"
            "linux-sbsa"
            "linux-aarch64"
          ];
          expected = [
            true
            false
            false
          ];
        }
        {
          expr = map (cudaVersion: isStatic "cuda_cupti" cudaVersion "linux-sbsa") [
            "12.6.0"
            null
          ];
          expected = [
            true
            false
          ];
        }
        {
          expr = map (cudaVersion: isStatic "cuda_nvrtc" cudaVersion "linux-x86_64") [
            "11.4.4"
            "11.5.0"
          ];
          expected = [
            false
            true
          ];
        }
        {
          expr = map (platform: (keysOf "cuda_nvprof" "11.4.120" "11.4.4" platform null).outputs) [
            "linux-sbsa"
            "linux-x86_64"
          ];
          expected = [
            [ "out" ]
            [
              "out"
              "bin"
              "lib"
            ]
          ];
        }
      ];
    overrides = [
      # What is said is in the plan.
      {
        expr =
          let
            inherit
              (overridden {
                novelty = {
                  outputs = [ "lib" ];
                  patterns.lib = [ "nvvm/lib64/**" ];
                  addNeeded."lib/*.so" = [ "libm.so.6" ];
                  drop = [ "python/*.whl" ];
                  forbiddenTexts = [ "/usr/" ];
                  allowedMissing = [ "libz.so.1" ];
                  dlopen = [ "libcublas" ];
                  dependencies = [ "cuda_cudart" ];
                };
              })
              novelty
              ;
          in
          {
            inherit (novelty.drvAttrs)
              outputs
              patterns
              addNeeded
              drop
              forbiddenTexts
              allowedMissing
              dlopen
              ;
            dependencies = dependencies novelty;
          };
        expected = {
          outputs = [
            "out"
            "lib"
          ];
          patterns.lib = [ "nvvm/lib64/**" ];
          addNeeded."lib/*.so" = [ "libm.so.6" ];
          drop = [ "python/*.whl" ];
          forbiddenTexts = [ "/usr/" ];
          allowedMissing = [ "libz.so.1" ];
          dlopen = [ "libcublas" ];
          dependencies = [
            "cuda_cudart"
            "libcublas"
          ];
        };
      }
      # A function knows what there was; the rest stays.
      {
        expr =
          (overridden {
            libcublas = keys: { outputs = filter (output: output != "static") keys.outputs; };
          }).libcublas.outputs;
        expected = [
          "out"
          "dev"
          "include"
          "lib"
          "stubs"
        ];
      }
      {
        expr =
          let
            changed = derivations (overridden { novelty.forbiddenTexts = [ "/usr/" ]; });
          in
          filter (name: changed.${name} != (derivations newest).${name}) (attrNames changed);
        expected = [ "novelty" ];
      }
      # The builder need not judge what the user's word has replaced.
      {
        expr =
          (make {
            features = ../../tests/nix/features;
            overrides.novelty.outputs = [ "lib" ];
          }).novelty.drvAttrs ? checks;
        expected = false;
      }
      # A dependency that the platform lacks is left out, as those of the table are.
      {
        expr =
          dependencies
            (overridden { libcusparse.dependencies = [ "novelty" ]; }).byPlatform.linux-sbsa.libcusparse;
        expected = [ ];
      }
      {
        expr = (overridden { novlety.outputs = [ "out" ]; }).cuda_cudart.drvPath;
        throws = true;
      }
      {
        expr = (overridden { novelty.output = [ "out" ]; }).novelty.drvPath;
        throws = true;
      }
      {
        expr = (overridden { novelty.outputs = [ "libs" ]; }).novelty.drvPath;
        throws = true;
      }
      {
        expr = (overridden { novelty.dlopen = [ "cuda_nvtrc" ]; }).novelty.drvPath;
        throws = true;
      }
      # One that is wrong leaves the other packages as they are.
      {
        expr = (overridden { novelty.output = [ "out" ]; }).cuda_cudart.drvPath;
        expected = newest.cuda_cudart.drvPath;
      }
    ];
    interpreters =
      let
        loaders = make {
          interpreters = {
            linux-x86_64 = "/nonexistent/ld-linux-x86-64.so.2";
            linux-aarch64 = /nonexistent/ld-linux-aarch64.so.1;
          };
        };
      in
      [
        {
          expr = map (package: package.drvAttrs.interpreter or null) [
            loaders.novelty
            loaders.driver_assistant
            loaders.byPlatform.linux-aarch64.cuda_cudart
            loaders.byPlatform.linux-sbsa.cuda_cudart
          ];
          expected = [
            "/nonexistent/ld-linux-x86-64.so.2"
            "/nonexistent/ld-linux-x86-64.so.2"
            "/nonexistent/ld-linux-aarch64.so.1"
            null
          ];
        }
        {
          expr =
            (make {
              interpreters.x86_64-linux = "/nonexistent/ld.so";
            }).novelty.drvPath;
          throws = true;
        }
      ];
    cudaCompat = [
      # Every package looks into it, so it can need none of them.
      {
        expr = (withCompat.override (args: args // { overrides.cuda_compat.dependencies = [ "cuda_cudart" ]; })).cuda_cudart.drvPath;
        throws = true;
      }
      {
        expr =
          map (package: package.drvAttrs.cudaCompat or null) [
            withCompat.cuda_cudart
            withCompat.cuda_compat
            # The platform has none.
            (make { cudaCompat = true; }).cuda_cudart
          ] == [
            withCompat.cuda_compat.outPath
            null
            null
          ];
        expected = true;
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
