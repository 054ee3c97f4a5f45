# Run with `nix-instantiate --eval --strict nix/package-set/selection.test.nix`: `[ ]` when all is well.
let
  inherit (builtins)
    attrNames
    elem
    filter
    hashString
    listToAttrs
    mapAttrs
    tryEval
    ;

  inherit (import ../lib) mkCudaPackages supported unsupported;
  manifestsLib = import ../lib/manifests.nix;

  sets = manifestsLib.index ../../tests/nix/sets;

  archive = name: {
    relative_path = "${name}.tar.xz";
    sha256 = hashString "sha256" name;
    md5 = hashString "md5" name;
    size = "1068";
  };
  # A release of one package, for each platform in the variants listed, `[ ]` for a flat one.
  release =
    package: version: variants: platforms:
    let
      ofPlatform =
        platform: keys:
        if keys == [ ] then
          archive "${package}-${platform}-${version}"
        else
          listToAttrs (
            map (key: {
              name = "cuda${key}";
              value = archive "${package}-${platform}-${version}_cuda${key}";
            }) keys
          );
    in
    {
      ${package} = {
        name = package;
        license = "mine";
        inherit version;
      }
      // (if variants == [ ] then { } else { cuda_variant = variants; })
      // mapAttrs ofPlatform platforms;
    };

  # Four releases for CUDA 12, of which 2.0 is not for sbsa; one for later ones alone.
  nested = {
    "1.0.0" = release "libmine" "1.0.0.1" [ "12" ] {
      linux-x86_64 = [ "12" ];
      linux-sbsa = [ "12" ];
    };
    "1.1.0" = release "libmine" "1.1.0.1" [ "12" ] {
      linux-x86_64 = [ "12" ];
      linux-sbsa = [ "12" ];
    };
    "1.1.1" = release "libmine" "1.1.1.1" [ "12" ] {
      linux-x86_64 = [ "12" ];
      linux-sbsa = [ "12" ];
      windows-x86_64 = [ "12" ];
    };
    "1.10.0" = release "libmine" "1.10.0.1" [ "12" ] { linux-x86_64 = [ "12" ]; };
    "2.0.0" = release "libmine" "2.0.0.1" [ "13" ] {
      linux-x86_64 = [ "13" ];
      linux-sbsa = [ "13" ];
    };
  };

  make =
    args:
    mkCudaPackages (
      {
        system = "x86_64-linux";
        manifests = sets // {
          mine = nested;
        };
        builder = "/nonexistent";
      }
      // args
    );
  set = make { };
  # CUDA itself is not there: only its version is known.
  mine =
    labels: args:
    mkCudaPackages (
      {
        system = "x86_64-linux";
        manifests.mine = labels;
        builder = "/nonexistent";
      }
      // args
    );
  variantsOf =
    variants: cudaVersion:
    (mine {
      "1.0" = release "libmine" "1.0.0" variants { linux-x86_64 = variants; };
    } { inherit cudaVersion; }).libmine;

  cutensor =
    cudaVersion:
    (mkCudaPackages {
      system = "x86_64-linux";
      manifests.cutensor."2.2.0" = release "libcutensor" "2.2.0.0" [ ] { linux-x86_64 = [ ]; };
      builder = "/nonexistent";
      inherit cudaVersion;
    }).libcutensor;

  # Flat releases of one product by their labels.
  flat =
    product: labels: cudaVersion:
    (mkCudaPackages {
      system = "x86_64-linux";
      manifests.${product} = listToAttrs (
        map (label: {
          name = label;
          value = release "lib" label [ ] { linux-x86_64 = [ ]; };
        }) labels
      );
      builder = "/nonexistent";
      inherit cudaVersion;
    }).lib;

  former = mkCudaPackages {
    system = "x86_64-linux";
    builder = "/nonexistent";
    cudaVersion = "12.4";
    manifests = {
      cublasmp = {
        "0.3.0" = release "libcal" "0.3.0" [ "12" ] { linux-x86_64 = [ "12" ]; };
        "0.4.0" =
          release "libcal" "0.4.0" [ "12" ] { linux-x86_64 = [ "12" ]; }
          // release "libcublasmp" "0.4.0" [ "12" ] { linux-x86_64 = [ "12" ]; };
        "0.5.0" = release "libcublasmp" "0.5.0" [ "12" ] { linux-x86_64 = [ "12" ]; };
      };
      cusolvermp."0.6.0" = release "libcusolvermp" "0.6.0" [ "12" ] { linux-x86_64 = [ "12" ]; };
    };
  };

  expressions =
    args:
    mkCudaPackages (
      {
        system = "x86_64-linux";
        manifests = sets;
        releaseExpressions = {
          cudnn = ../../tests/nix/releases/mine.nix;
          tensorrt = ../../tests/nix/releases/mine.json;
        };
        builder = "/nonexistent";
        products = [
          "cudnn"
          "tensorrt"
        ];
      }
      // args
    );

  # What asks for a value of these throws.
  unreadable = make {
    manifests = sets // {
      mine = nested // {
        "1.0.0" = throw "read";
        "1.1.0" = throw "read";
      };
    };
  };

  isThrow = value: !(tryEval value).success;
  isBuilt = package: !(package.meta.unsupported or true);
in
import ../lib/failures.nix {
  family = {
    releases = set;
    cudaVersion = set;
    products = set;
    variants = set;
    versioned = set;
    byRelease = set.byRelease;
    unsupported = set;
    former = set;
    releaseExpressions = set;
    catalog = import ./catalog.nix;
    flags = set;
    platform = set;
    listing = set.listing;
    lazy = set;
  };
  cases = {
    releases = [
      # The newest that has something for the CUDA release and the platform.
      {
        expr = mapAttrs (_: set: set.releases) {
          inherit (set.byPlatform) linux-x86_64 linux-sbsa linux-ppc64le;
        };
        expected = {
          linux-x86_64 = {
            cuda = "12.9.1";
            cudnn = "9.8.0";
            mine = "1.10.0";
          };
          linux-sbsa = {
            cuda = "12.9.1";
            cudnn = "9.8.0";
            mine = "1.1.1";
          };
          # Nothing for the platform: the newest for the CUDA release.
          linux-ppc64le = {
            cuda = "12.9.1";
            cudnn = "9.8.0";
            mine = "1.10.0";
          };
        };
      }
      {
        expr =
          let
            pinned = make { releases.mine = "1.0.0"; };
          in
          {
            inherit (pinned) releases;
            inherit (pinned.libmine) version;
          };
        expected = {
          releases = {
            cuda = "12.9.1";
            cudnn = "9.8.0";
            mine = "1.0.0";
          };
          version = "1.0.0.1";
        };
      }
      # One that is not for the CUDA release is in the set all the same, and says so.
      {
        expr = (make { releases.mine = "2.0.0"; }).libmine.reason;
        expected = "`libmine` of `mine` `2.0.0`: expected an archive for one of `cuda12.9.1`, `cuda12.9`, `cuda12`, found archives for `cuda13`";
      }
      {
        expr = (make { releases.mine = null; }) ? libmine;
        expected = false;
      }
      {
        expr = (make { releases.mine = null; }).releases;
        expected = {
          cuda = "12.9.1";
          cudnn = "9.8.0";
        };
      }
      {
        expr = (make { releases.mine = "3.0.0"; }).libmine.drvPath;
        throws = true;
      }
    ];
    cudaVersion = [
      {
        expr =
          map (args: (make args).cudaVersion) [
            { }
            { cudaVersion = "12"; }
            { cudaVersion = "12.0"; }
            { cudaVersion = "12.0.1"; }
            { releases.cuda = "12.0.1"; }
            { cudaVariant = "cuda12"; }
            {
              releases.cuda = null;
              cudaVersion = "12.4";
            }
            {
              releases.cuda = null;
              cudaVariant = "cuda11";
            }
          ];
        expected = [
          "12.9.1"
          "12.9.1"
          "12.0.1"
          "12.0.1"
          "12.0.1"
          "12.9.1"
          "12.4"
          "11"
        ];
      }
      {
        expr = make { cudaVersion = "12.8"; };
        throws = true;
      }
      {
        expr = make { cudaVariant = "cuda13"; };
        throws = true;
      }
      {
        expr = make {
          cudaVersion = "12.9";
          releases.cuda = "12.0.1";
        };
        throws = true;
      }
      # What is needed since 12.8 may be needed by any of 12.
      {
        expr =
          map
            (
              cudaVersion:
              (mine {
                "1.0" =
                  release "libcublas" "12.0.0" [ ] { linux-x86_64 = [ ]; }
                  // release "cuda_nvrtc" "12.0.0" [ ] { linux-x86_64 = [ ]; };
              } { inherit cudaVersion; }).libcublas.drvAttrs.dlopen or [ ]
            )
            [
              "12"
              "11"
            ];
        expected = [
          [ "cuda_nvrtc" ]
          [ ]
        ];
      }
    ];
    products = [
      {
        expr =
          attrNames
            (make {
              products = [
                "mine"
                "cuda"
              ];
            }).releases;
        expected = [
          "cuda"
          "mine"
        ];
      }
      {
        expr = attrNames (make { products = [ "yours" ]; });
        throws = true;
      }
      {
        expr = attrNames (make {
          products = [ "cuda" ];
          releases.mine = "1.0.0";
        });
        throws = true;
      }
    ];
    variants = [
      # One that contradicts what was said of the CUDA release. Beside a named one there may be others.
      {
        expr = map isThrow [
          (make {
            cudaVersion = "12.9";
            cudaVariant = "cuda11";
          }).cudaVersion
          (make {
            releases.cuda = "12.9.1";
            cudaVersion = "12.9";
            cudaVariant = "cuda12.8";
          }).cudaVersion
          (mine nested {
            cudaVersion = "12";
            cudaVariant = "cuda13";
          }).cudaVersion
          (make {
            cudaVersion = "12.9";
            cudaVariant = "cuda12";
          }).cudaVersion
          (make {
            releases.cuda = "12.9.1";
            cudaVariant = "cuda11";
          }).cudaVersion
          (mine nested {
            cudaVersion = "12";
            cudaVariant = "cuda12.9";
          }).cudaVersion
        ];
        expected = [
          true
          true
          true
          false
          false
          false
        ];
      }
      # The narrowest one is for this very release.
      {
        expr =
          (variantsOf [
            "13"
            "13.2"
            "13.2.2"
          ] "13.2.2").variant;
        expected = "cuda13.2.2";
      }
      {
        expr =
          (variantsOf [
            "13"
            "13.2"
            "13.2.2"
          ] "13.2.1").variant;
        expected = "cuda13.2";
      }
      {
        expr =
          (variantsOf [
            "13"
            "13.2"
          ] "13.1.0").variant;
        expected = "cuda13";
      }
      # Another minor release is another one.
      {
        expr = (variantsOf [ "13.2" ] "13.1.0").meta.unsupported;
        expected = true;
      }
      # Of flat releases the age tells which CUDA they are for, where that is known.
      {
        expr = map (cudaVersion: (cutensor cudaVersion).meta.unsupported) [
          "11.8"
          "12.9.1"
          "13.0"
        ];
        expected = [
          false
          false
          true
        ];
      }
      {
        expr = (cutensor "13.0").reason;
        expected = "`libcutensor` of `cutensor` `2.2.0`: expected an archive for CUDA 13.0, found one for CUDA 12 or older";
      }
      # Older ones are for older releases, and newer ones only for newer.
      {
        expr = map
          (
            cudaVersion:
            (flat "cusparselt" [
              "0.3.0"
              "0.4.0"
              "0.5.2"
              "0.7.1"
            ] cudaVersion).version
          )
          [
            "11.4.4"
            "11"
            "12.0.0"
            "12"
          ];
        expected = [
          "0.4.0"
          "0.4.0"
          "0.7.1"
          "0.7.1"
        ];
      }
      {
        expr = (flat "cusparselt" [ "0.7.1" ] "11.8").reason;
        expected = "`lib` of `cusparselt` `0.7.1`: expected an archive for CUDA 11.8, found one for CUDA 12 or newer";
      }
      {
        expr =
          map (args: (flat "cutensor" [ args.label ] args.cudaVersion).meta.unsupported)
            [
              {
                label = "1.5.0";
                cudaVersion = "11.8";
              }
              {
                label = "1.5.0";
                cudaVersion = "12.0";
              }
              {
                label = "1.6.1";
                cudaVersion = "12.0";
              }
              {
                label = "1.6.2";
                cudaVersion = "12.0";
              }
            ];
        expected = [
          false
          true
          true
          false
        ];
      }
      {
        expr = map (cudaVersion: (flat "nvjpeg2000" [ "0.6.0" "0.8.0" ] cudaVersion).label) [
          "11.8"
          "12.9.1"
        ];
        expected = [
          "0.8.0"
          "0.8.0"
        ];
      }
      {
        expr = map (label: (flat "nvjpeg2000" [ label ] "12.0").meta.unsupported) [
          "0.6.0"
          "0.7.0"
        ];
        expected = [
          true
          false
        ];
      }
      {
        expr = (flat "nvjpeg2000" [ "0.8.0" ] "13.0").meta.unsupported;
        expected = true;
      }
    ];
    versioned = [
      {
        expr = mapAttrs (_: package: package.version) {
          inherit (set)
            libmine
            libmine_1_0
            libmine_1_1
            libmine_1_10
            ;
        };
        expected = {
          libmine = "1.10.0.1";
          libmine_1_0 = "1.0.0.1";
          # The newest of them.
          libmine_1_1 = "1.1.1.1";
          libmine_1_10 = "1.10.0.1";
        };
      }
      {
        expr = set.libmine_1_10.drvPath == set.libmine.drvPath;
        expected = true;
      }
      {
        expr = map (name: set.${name}.meta.unsupported) [
          "cudnn_9_8"
          "libmine_2_0"
        ];
        expected = [
          false
          true
        ];
      }
      # CUDA itself has one release in a set.
      {
        expr = filter (name: builtins.match "(cuda_cudart|libcublas)_.*" name != null) (attrNames set);
        expected = [ ];
      }
      # Per platform.
      {
        expr = set.byPlatform.linux-sbsa.libmine_1_10.reason;
        expected = "`libmine` of `mine` `1.10.0`: expected an archive for `linux-sbsa`, found archives for `linux-x86_64`";
      }
      # They find each other's packages like all others.
      {
        expr =
          (set.overrideScope (
            _: prev: { libcublas = prev.libcublas // { lib = "/nonexistent/libcublas"; }; }
          )).cudnn_9_8.drvAttrs.dependencies.libcublas;
        expected = "/nonexistent/libcublas";
      }
      # Before a newer one they have their own release's packages.
      {
        expr =
          former.libcublasmp_0_4.drvAttrs.dependencies.libcal
          == former.byRelease.cublasmp."0.4.0".libcal.lib.outPath;
        expected = true;
      }
    ];
    byRelease = [
      {
        expr = set.byRelease.mine."1.1.0".libmine.version;
        expected = "1.1.0.1";
      }
      {
        expr = attrNames set.byRelease;
        expected = [
          "cuda"
          "cudnn"
          "mine"
        ];
      }
      {
        expr = set.byRelease.cuda."12.0.1".libcublas.drvPath != set.libcublas.drvPath;
        expected = true;
      }
    ];
    unsupported = [
      # Capabilities are for the set's own platform: on another one they say why there is nothing.
      {
        expr =
          let
            capable = make { cudaCapabilities = [ "9.0" ]; };
            other = capable.byPlatform.linux-aarch64;
          in
          [
            capable.cuda_cudart.name
            (capable.cuda_cudart.reason or null)
            other.cuda_cudart.name
            other.cuda_cudart.reason
            (unsupported other ? cudnn_9_8)
            (isThrow other.cuda_cudart.drvPath)
          ];
        expected = [
          "cuda_cudart-linux-x86_64-12.9.79"
          null
          "cuda_cudart-12.9.79-unsupported"
          "`cuda_cudart` of `cuda` `12.9.1`: `cudaCapabilities`: `9.0`: expected a Jetson board of `linux-aarch64`, found one that goes with none"
          true
          true
        ];
      }
      # On its own they are wrong, but names are names.
      {
        expr =
          let
            wrong = make { cudaCapabilities = [ "1.0" ]; };
          in
          [
            wrong.cuda_cudart.name
            (isThrow wrong.cuda_cudart.drvPath)
          ];
        expected = [
          "cuda_cudart-linux-x86_64-12.9.79"
          true
        ];
      }
      # Where they chose the platform nothing else would tell.
      {
        expr = attrNames (mine nested {
          system = "aarch64-linux";
          cudaVersion = "13.0";
          cudaCapabilities = [ "7.2" ];
        });
        throws = true;
      }
      {
        expr = unsupported set.byPlatform.linux-ppc64le // {
          inherit (unsupported set) libmine_2_0;
        };
        expected =
          let
            lacks =
              place: found:
              "${place}: expected an archive for `linux-ppc64le`, found archives for ${found}";
          in
          {
            cuda_cudart = lacks "`cuda_cudart` of `cuda` `12.9.1`" "`linux-aarch64`, `linux-sbsa`, `linux-x86_64`";
            cudnn = lacks "`cudnn` of `cudnn` `9.8.0`" "`linux-aarch64`, `linux-sbsa`, `linux-x86_64`";
            cudnn_9_8 = lacks "`cudnn` of `cudnn` `9.8.0`" "`linux-aarch64`, `linux-sbsa`, `linux-x86_64`";
            libcublas = lacks "`libcublas` of `cuda` `12.9.1`" "`linux-sbsa`, `linux-x86_64`";
            libcusolver = lacks "`libcusolver` of `cuda` `12.9.1`" "`linux-sbsa`, `linux-x86_64`";
            libcusparse = lacks "`libcusparse` of `cuda` `12.9.1`" "`linux-sbsa`, `linux-x86_64`";
            libmine = lacks "`libmine` of `mine` `1.10.0`" "`linux-x86_64`";
            libmine_1_0 = lacks "`libmine` of `mine` `1.0.0`" "`linux-sbsa`, `linux-x86_64`";
            libmine_1_1 = lacks "`libmine` of `mine` `1.1.1`" "`linux-sbsa`, `linux-x86_64`, `windows-x86_64`";
            libmine_1_10 = lacks "`libmine` of `mine` `1.10.0`" "`linux-x86_64`";
            libmine_2_0 = "`libmine` of `mine` `2.0.0`: expected an archive for one of `cuda12.9.1`, `cuda12.9`, `cuda12`, found archives for `cuda13`";
            libnvjitlink = lacks "`libnvjitlink` of `cuda` `12.9.1`" "`linux-x86_64`";
            novelty = lacks "`novelty` of `cuda` `12.9.1`" "`linux-x86_64`";
          };
      }
      # A value like other packages; only what would build it throws.
      {
        expr =
          let
            package = set.byPlatform.linux-ppc64le.libcublas;
          in
          {
            inherit (package)
              name
              version
              outputs
              src
              ;
            inherit (package.meta) available broken unsupported;
            same = package.reason == package.passthru.reason && package.reason == package.meta.problems.unsupported.message;
            throw = map isThrow [
              package.drvPath
              package.outPath
              package.out
              "${package}"
            ];
            change = map (package: package.reason) [
              (package.overrideAttrs (_: { }))
              (package.overridePlan { })
              (package.override { })
            ] == [
              package.reason
              package.reason
              package.reason
            ];
          };
        expected = {
          name = "libcublas-12.9.79-unsupported";
          version = "12.9.79-unsupported";
          outputs = [ "out" ];
          src = null;
          available = false;
          broken = true;
          unsupported = true;
          same = true;
          throw = [
            true
            true
            true
            true
          ];
          change = true;
        };
      }
      {
        # Packages of releases: a set may have more.
        expr =
          let
            found = supported set.byPlatform.linux-ppc64le;
          in
          filter (name: found.${name} ? product) (attrNames found);
        expected = [
          "cudnn_samples"
          "cudnn_samples_9_8"
          "driver_assistant"
        ];
      }
      # A system that NVIDIA has nothing for.
      {
        expr = (make { system = "riscv64-linux"; }).libnvjitlink.reason;
        expected = "`libnvjitlink` of `cuda` `12.9.1`: expected an archive for this system, found archives for `linux-x86_64`";
      }
    ];
    former = [
      # cuSOLVERMp needs a package that cuBLASMp no longer comes with.
      {
        expr = {
          inherit (former.libcal) version label;
          used = former.libcusolvermp.drvAttrs.dependencies.libcal == former.libcal.lib.outPath;
          inherit (former.releases) cublasmp;
        };
        expected = {
          version = "0.4.0";
          label = "0.4.0";
          used = true;
          cublasmp = "0.5.0";
        };
      }
    ];
    releaseExpressions = [
      {
        expr = mapAttrs (_: args: (expressions args).releases) {
          "12.0" = {
            cudaVersion = "12.0";
          };
          "12.8" = {
            cudaVersion = "12.8";
          };
          "11.8" = {
            cudaVersion = "11.8";
          };
        };
        expected = {
          "12.0" = {
            cudnn = "9.8.0";
            tensorrt = "10.9.0.34";
          };
          "12.8" = {
            cudnn = "9.8.0";
            tensorrt = "10.9.0.34";
          };
          "11.8" = {
            cudnn = "9.8.0";
            tensorrt = "8.6.1.6";
          };
        };
      }
      {
        expr =
          let
            old = expressions { cudaVersion = "11.8"; };
          in
          {
            cudnn = old.cudnn_8_9.name;
            tensorrt = old.tensorrt.name;
            pinned = (expressions {
              cudaVersion = "11.0";
              releases.cudnn = "8.0.5.39";
            }).cudnn.src.url;
          };
        expected = {
          cudnn = "cudnn-linux-x86_64-8.9.7.29";
          tensorrt = "tensorrt-linux-x86_64-8.6.1.6";
          pinned = "https://developer.download.nvidia.com/compute/redist/cudnn/v8.0.5/cudnn-11.0-linux-x64-v8.0.5.39.tgz";
        };
      }
      # With the cuDNN that it was built with, where the set's own is of another major version.
      {
        expr =
          let
            old = expressions { cudaVersion = "11.8"; };
            own = expressions {
              cudaVersion = "11.8";
              releases.cudnn = "8.9.7.29";
            };
            new = expressions { cudaVersion = "12.8"; };
          in
          map (set: attrNames set.tensorrt.drvAttrs.dependencies) [
            old
            own
            new
            (expressions {
              cudaVersion = "11.8";
              products = [ "tensorrt" ];
            })
          ];
        expected = [
          [ "cudnn_8_9" ]
          [ "cudnn" ]
          [ "cudnn" ]
          [ ]
        ];
      }
      {
        expr =
          (expressions {
            cudaVersion = "11.8";
            # No cuDNN 8.
            releaseExpressions.tensorrt = ../../tests/nix/releases/mine.json;
          }).tensorrt.drvPath;
        throws = true;
      }
      {
        expr = attrNames (expressions { cudaVersion = "12"; }).byRelease.tensorrt;
        expected = [
          "10.9.0.34"
          "8.6.1.6"
        ];
      }
      # What a manifest lists is in it.
      {
        expr =
          attrNames
            (expressions {
              cudaVersion = "11.8";
              releaseExpressions.cudnn.linux-x86_64 = [
                {
                  version = "9.8.0.87";
                  minCudaVersion = "11.0";
                  maxCudaVersion = "12.9";
                  url = "https://example.org/cudnn.tar.xz";
                  hash = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
                }
              ];
              products = [ "cudnn" ];
            }).byRelease.cudnn;
        expected = [ "9.8.0" ];
      }
      # They are for some releases of CUDA only: one has to be known.
      {
        expr = (expressions { }).tensorrt.drvPath;
        throws = true;
      }
      {
        expr = attrNames (expressions {
          releaseExpressions.cutensor = { };
        });
        throws = true;
      }
      # Of a folder the files that are named after a product; these are named after none that has release expressions.
      {
        expr = attrNames (expressions {
          releaseExpressions = ../../tests/nix/releases;
        });
        throws = true;
      }
    ];
    catalog = [
      # Several sets may share one, with the same result.
      {
        expr =
          let
            catalog = import ./catalog.nix { manifests = sets; };
            of = manifests: (make { inherit manifests; }).libcublas.drvPath;
          in
          of catalog == of sets;
        expected = true;
      }
      # What is said besides is said of its manifests.
      {
        expr =
          (make {
            manifests = import ./catalog.nix { manifests = sets; };
            features.cuda."12.9.1".cuda_cudart.linux-x86_64.outputs = [ "bin" ];
          }).cuda_cudart.outputs;
        expected = [
          "out"
          "bin"
        ];
      }
    ];
    flags = [
      {
        expr = set.flags.cmakeCudaArchitecturesString;
        expected = "75;80;86;89;90;100;103;120;121";
      }
      {
        expr = (make { releases.cuda = "12.0.1"; }).flags.hostCompilers.gcc.max;
        expected = 12;
      }
      {
        expr = {
          inherit
            (make {
              cudaCapabilities = [
                "9.0a"
                "8.6"
              ];
              cudaForwardCompat = false;
            })
            flags
            libcublas
            ;
        }.flags.arches;
        expected = [
          "sm_86"
          "sm_90a"
        ];
      }
      # The builder looks for code that such devices run.
      {
        expr =
          (make {
            cudaCapabilities = [
              "9.0a"
              "9.0"
            ];
          }).libcublas.drvAttrs.capabilities;
        expected = [ "9.0" ];
      }
      {
        expr = set.libcublas.drvAttrs ? capabilities;
        expected = false;
      }
      {
        expr = (make { cudaCapabilities = [ "8.7" ]; }).libcublas.drvPath;
        throws = true;
      }
    ];
    platform = [
      # A Jetson board decides about the platform, whoever builds.
      {
        expr =
          map
            (
              cudaCapabilities:
              (make {
                system = "aarch64-linux";
                inherit cudaCapabilities;
              }).cuda_cudart.platform
            )
            [
              [ ]
              [ "9.0" ]
              [ "8.7" ]
            ];
        expected = [
          "linux-sbsa"
          "linux-sbsa"
          "linux-aarch64"
        ];
      }
      {
        expr =
          let
            package = (make {
              targetSystem = "aarch64-linux";
              cudaCapabilities = [ "8.7" ];
            }).cuda_cudart;
          in
          [
            package.system
            package.platform
          ];
        expected = [
          "x86_64-linux"
          "linux-aarch64"
        ];
      }
      {
        expr =
          let
            inherit
              (make {
                system = "powerpc64le-linux";
                platform = "linux-aarch64";
                cudaCapabilities = [ "8.7" ];
              })
              cuda_cudart
              flags
              ;
          in
          {
            inherit (cuda_cudart) system platform;
            inherit (flags) isJetsonBuild;
          };
        expected = {
          system = "powerpc64le-linux";
          platform = "linux-aarch64";
          isJetsonBuild = true;
        };
      }
    ];
    listing = [
      {
        expr = (make { releases.mine = "1.1.1"; }).listing.libmine;
        expected = {
          product = "mine";
          label = "1.1.1";
          version = "1.1.1.1";
          license = "mine";
          platforms = {
            linux-sbsa = [ "cuda12" ];
            linux-x86_64 = [ "cuda12" ];
            windows-x86_64 = [ "cuda12" ];
          };
        };
      }
      {
        expr = set.listing.driver_assistant.platforms;
        expected.linux-all = [ ];
      }
    ];
    # Only what is asked for is read: of other releases not even the names.
    lazy = [
      {
        expr = elem "libmine_1_0" (attrNames unreadable);
        expected = true;
      }
      {
        expr = isBuilt unreadable.libcublas && isBuilt unreadable.libmine_1_10;
        expected = true;
      }
      {
        expr = unreadable.libmine_1_0.version;
        throws = true;
      }
    ];
  };
}
