# Run with `nix-instantiate --eval --strict nix/package-set/packaging.test.nix`: `[ ]` when all is well.
let
  inherit (builtins)
    attrNames
    elem
    filter
    fromJSON
    map
    readFile
    ;

  inherit (import ../lib) mkCudaPackages supported;

  make =
    args:
    mkCudaPackages (
      {
        system = "x86_64-linux";
        manifests = ../../tests/nix/sets;
        builder = "/nonexistent";
        products = [ "cuda" ];
      }
      // args
    );
  set = make { };
  dependencies = package: attrNames (package.drvAttrs.dependencies or { });
  manifest = fromJSON (readFile ../../tests/nix/sets/cuda/redistrib_12.9.1.json);

  # Two packages that no table knows.
  strangers =
    args:
    make (
      {
        manifests.cuda."12.9.1" = manifest // {
          stranger = manifest.novelty;
        };
      }
      // args
    );
  features =
    packages:
    strangers {
      features.cuda."12.9.1" = builtins.mapAttrs (_: entry: { linux-x86_64 = { outputs = [ "lib" ]; } // entry; }) packages;
    };

  # Packages of releases that are others in another set; a set may have more.
  changed =
    left: right:
    filter (
      name: left.${name} ? product && left.${name}.drvPath != right.${name}.drvPath
    ) (attrNames (supported left));
  withPlan = package: package.overridePlan { allowedMissing = [ "libz.so.1" ]; };
  hosted =
    args:
    make (
      {
        hostLibraries = {
          "libz.so.1" = "/nonexistent/zlib";
          "libnuma.so.1" = "/nonexistent/numactl";
          "libstdc++.so.6" = "/nonexistent/gcc";
        };
      }
      // args
    );
in
import ../lib/failures.nix {
  family = {
    unknown = set;
    neededLibs = set;
    hostLibraries = set;
    fixups = set;
    overridePlan = set;
    overrideAttrs = set;
    override = set;
    needs = set;
    cycles = set;
  };
  cases = {
    # What nobody has described may look for its libraries in every package of libraries.
    unknown = [
      {
        expr = dependencies set.novelty;
        expected = [
          "cuda_cudart"
          "libcublas"
          "libcusolver"
          "libcusparse"
          "libnvjitlink"
        ];
      }
      # In the ones that the table knows: others might need it themselves.
      {
        expr = dependencies (strangers { }).stranger;
        expected = dependencies set.novelty;
      }
      # Nor in what needs it.
      {
        expr = dependencies (make { overrides.libcublas.dependencies = [ "novelty" ]; }).novelty;
        expected = [
          "cuda_cudart"
          "libcusparse"
          "libnvjitlink"
        ];
      }
      # The user's word is the last one.
      {
        expr =
          map (overrides: dependencies (strangers { inherit overrides; }).novelty) [
            { novelty.dependencies = [ "cuda_cudart" ]; }
            { novelty.dependencies = [ ]; }
            { novelty = keys: { dependencies = keys.dependencies ++ [ "stranger" ]; }; }
          ];
        expected = [
          [ "cuda_cudart" ]
          [ ]
          (dependencies set.novelty ++ [ "stranger" ])
        ];
      }
      # NVIDIA's names are all known, as a test of the flake sees to.
      {
        expr = dependencies set.driver_assistant;
        expected = [ ];
      }
    ];
    # With a feature manifest that says which libraries there are, exactly what is needed.
    neededLibs = [
      {
        expr =
          let
            described = features {
              novelty.neededLibs = [
                "libc.so.6"
                "libcublas.so.12"
                "libstranger.so.1"
                "libnovelty.so.1"
              ];
              novelty.providedLibs = [ "libnovelty.so.1" ];
              libcublas.providedLibs."12" = [
                "libcublas.so.12"
                "libcublasLt.so.12"
              ];
              stranger.providedLibs = [ "libstranger.so.1" ];
              # A stub of the driver's.
              cuda_cudart.providedLibs = [ "libcuda.so.1" ];
              libcusparse.neededLibs = [
                "libcuda.so.1"
                "libcublas.so.12"
              ];
            };
          in
          map dependencies [
            described.novelty
            # Besides what the table says.
            described.libcusparse
          ];
        expected = [
          [
            "libcublas"
            "stranger"
          ]
          [
            "libcublas"
            "libnvjitlink"
          ]
        ];
      }
    ];
    hostLibraries = [
      # Those that the package may look for, and the ones of the C++ compiler.
      {
        expr =
          map dependencies [
            (hosted { }).libcublas
            (hosted { overrides.libcublas.hostLibraries = [ "libnuma.so*" ]; }).libcublas
            (hosted { overrides.libcublas.allowedMissing = [ "libz.so.1" ]; }).libcublas
          ];
        expected = [
          [ "host-libstdc++.so.6" ]
          [
            "host-libnuma.so.1"
            "host-libstdc++.so.6"
          ]
          [
            "host-libstdc++.so.6"
            "host-libz.so.1"
          ]
        ];
      }
      # The output that was given, whatever else the package has.
      {
        expr =
          (hosted {
            hostLibraries."libstdc++.so.6" = {
              outPath = "/nonexistent/out";
              lib = "/nonexistent/lib";
              outputSpecified = true;
            };
          }).libcublas.drvAttrs.dependencies;
        expected."host-libstdc++.so.6" = "/nonexistent/out";
      }
      # All, where nobody knows.
      {
        expr = filter (name: !(elem name (dependencies set.novelty))) (dependencies (hosted { }).novelty);
        expected = [
          "host-libnuma.so.1"
          "host-libstdc++.so.6"
          "host-libz.so.1"
        ];
      }
      {
        expr = (hosted { }).libcublas.drvAttrs.dependencies."host-libstdc++.so.6";
        expected = "/nonexistent/gcc";
      }
      # Libraries are of one machine, so a set that has packages for several asks by platform.
      {
        expr =
          let
            found = hosted { hostLibraries = platform: { "libstdc++.so.6" = "/nonexistent/${platform}"; }; };
          in
          map (set: set.libcublas.drvAttrs.dependencies."host-libstdc++.so.6") [
            found
            found.byPlatform.linux-sbsa
          ];
        expected = [
          "/nonexistent/linux-x86_64"
          "/nonexistent/linux-sbsa"
        ];
      }
    ];
    fixups = [
      {
        expr =
          let
            found =
              (make {
                fixups.libcublas =
                  {
                    version,
                    platform,
                    cudaVersion,
                    ...
                  }:
                  keys: {
                    drop = keys.drop ++ [ "lib/${platform}-${version}-${cudaVersion}.a" ];
                    outputs = [ "lib" ];
                  };
                # Others have one as well.
                fixups.nobody = throw "used";
              }).libcublas;
          in
          {
            inherit (found) outputs;
            inherit (found.drvAttrs) drop;
          };
        expected = {
          outputs = [
            "out"
            "lib"
          ];
          drop = [ "lib/linux-x86_64-12.9.79-12.9.1.a" ];
        };
      }
      # An override has the last word.
      {
        expr =
          (make {
            fixups.libcublas = _: _: { drop = [ "a" ]; };
            overrides.libcublas = keys: { drop = keys.drop ++ [ "b" ]; };
          }).libcublas.drvAttrs.drop;
        expected = [
          "a"
          "b"
        ];
      }
      {
        expr = (make { fixups.libcublas = _: _: { drops = [ ]; }; }).libcublas.drvPath;
        throws = true;
      }
    ];
    overridePlan = [
      {
        expr = (withPlan set.libcublas).drvAttrs.allowedMissing;
        expected = [ "libz.so.1" ];
      }
      # The same as `overrides`, and one after the other.
      {
        expr =
          (withPlan set.libcublas).drvPath
          == (make { overrides.libcublas.allowedMissing = [ "libz.so.1" ]; }).libcublas.drvPath;
        expected = true;
      }
      {
        expr =
          ((withPlan set.libcublas).overridePlan (
            keys: { allowedMissing = keys.allowedMissing ++ [ "libnuma.so.1" ]; }
          )).drvAttrs.allowedMissing;
        expected = [
          "libz.so.1"
          "libnuma.so.1"
        ];
      }
      # In an overlay it reaches those that need it.
      {
        expr = changed set (
          set.overrideScope (_: prev: { libcublas = withPlan prev.libcublas; })
        );
        expected = [
          "libcublas"
          "libcusolver"
          "novelty"
        ];
      }
      {
        expr = (set.libcublas.overridePlan { output = [ ]; }).drvPath;
        throws = true;
      }
      # An overlay may say that there is none.
      {
        expr = dependencies (set.overrideScope (_: _: { libcublas = null; })).libcusolver;
        expected = [
          "libcusparse"
          "libnvjitlink"
        ];
      }
    ];
    overrideAttrs = [
      {
        expr =
          let
            found = ((withPlan set.libcublas).overrideAttrs (old: { name = "${old.name}-mine"; })).overrideAttrs (
              old: { requiredSystemFeatures = [ old.name ]; }
            );
          in
          {
            inherit (found) name;
            inherit (found.lib.drvAttrs) allowedMissing requiredSystemFeatures;
            same = found.lib.drvPath == found.drvPath;
          };
        expected = {
          name = "libcublas-linux-x86_64-12.9.79-mine";
          allowedMissing = [ "libz.so.1" ];
          requiredSystemFeatures = [ "libcublas-linux-x86_64-12.9.79-mine" ];
          same = true;
        };
      }
    ];
    override = [
      # Of one package: another mirror, another driver, another manifest's release.
      {
        expr =
          let
            found = set.libcublas.override {
              mirror = "https://example.org/cuda";
              driverPaths = [ "/usr/lib/wsl/lib" ];
              system = "aarch64-linux";
            };
          in
          {
            inherit (found.src) url;
            inherit (found.drvAttrs) driverPaths system;
            others = changed set (set.overrideScope (_: _: { libcublas = found; }));
          };
        expected = {
          url = "https://example.org/cuda/libcublas/linux-x86_64/libcublas-linux-x86_64-12.9.79-archive.tar.xz";
          driverPaths = [ "/usr/lib/wsl/lib" ];
          system = "aarch64-linux";
          others = [
            "libcublas"
            "libcusolver"
            "novelty"
          ];
        };
      }
      {
        expr =
          (set.libcublas.override (old: {
            release = old.release // {
              version = "99.1";
            };
          })).name;
        expected = "libcublas-linux-x86_64-99.1";
      }
      # Of the set, overlays included.
      {
        expr =
          let
            found = (set.overrideScope (_: prev: { libcublas = withPlan prev.libcublas; })).override (old: {
              releases.cuda = "12.0.1";
              driverPaths = old.driverPaths or [ ] ++ [ "/usr/lib/wsl/lib" ];
            });
          in
          {
            inherit (found) cudaVersion;
            inherit (found.libcublas.drvAttrs) allowedMissing driverPaths;
            sbsa = found.byPlatform.linux-sbsa.libcublas.drvAttrs.cudaVersion;
          };
        expected = {
          cudaVersion = "12.0.1";
          allowedMissing = [ "libz.so.1" ];
          driverPaths = [ "/usr/lib/wsl/lib" ];
          sbsa = "12.0.1";
        };
      }
    ];
    needs = [
      # Some needs end.
      {
        expr =
          map
            (
              cudaVersion:
              let
                keys = import ./packaging.nix {
                  inherit cudaVersion;
                  features = _: null;
                  provider = _: null;
                  fixups = { };
                  overrides = { };
                  isPackage = _: true;
                  has = _: true;
                  driverPaths = [ ];
                } {
                  package = "libcufile";
                  product = "cuda";
                  release.version = "1.0";
                  platform = "linux-x86_64";
                  variant = null;
                } [ ];
              in
              {
                inherit (keys) dependencies;
                itself = elem "libcufile.so.0" keys.allowedMissing;
              }
            )
            [
              "11.6.2"
              "11.8.0"
              "12.0.1"
              null
            ];
        expected = [
          {
            dependencies = [ "libcublas" ];
            itself = true;
          }
          {
            dependencies = [ "libcublas" ];
            itself = false;
          }
          {
            dependencies = [ ];
            itself = false;
          }
          {
            dependencies = [ "libcublas" ];
            itself = true;
          }
        ];
      }
      # No set has the driver.
      {
        expr =
          let
            driver = (make { manifests.cuda."12.9.1" = manifest // { nvidia_driver = manifest.cuda_cudart; }; }).nvidia_driver;
          in
          [
            driver.meta.unsupported
            driver.reason
          ];
        expected = [
          true
          "`nvidia_driver` of `cuda` `12.9.1`: expected a package of programs and libraries, found the driver, which belongs to the machine and its kernel (NixOS: `hardware.nvidia.package`)"
        ];
      }
    ];
    # Two that need each other could not be built.
    cycles = [
      {
        expr =
          (strangers {
            overrides = {
              novelty.dependencies = [ "stranger" ];
              stranger.dependencies = [ "novelty" ];
            };
          }).novelty.drvPath;
        throws = true;
      }
      # Whoever says it, and by whichever key; "infinite recursion" would end this evaluation.
      {
        expr = (
          set.overrideScope (
            _: prev: {
              libcublas = prev.libcublas.overridePlan { dependencies = [ "libcusparse" ]; };
              libcusparse = prev.libcusparse.overridePlan { dependencies = [ "libcublas" ]; };
            }
          )
        ).libcublas.drvPath;
        throws = true;
      }
      {
        expr =
          (strangers {
            overrides = {
              libcublas.dependencies = [ "cuda_cudart" ];
              cuda_cudart.merge.include = [
                {
                  package = "libcublas";
                  output = "include";
                  path = "include";
                }
              ];
            };
          }).cuda_cudart.drvPath;
        throws = true;
      }
      # Itself.
      {
        expr = (
          set.overrideScope (
            _: prev: { libcublas = prev.libcublas.overridePlan { dependencies = [ "libcublas" ]; }; }
          )
        ).libcublas.drvPath;
        throws = true;
      }
      {
        expr = (
          set.overrideScope (
            _: prev: { again = prev.libcublas.overridePlan { dependencies = [ "again" ]; }; }
          )
        ).again.drvPath;
        throws = true;
      }
      # Names alone, which overlays find, too.
      {
        expr = set.libcusolver.passthru.needs;
        expected = [
          "libcublas"
          "libcusparse"
          "libnvjitlink"
        ];
      }
    ];
  };
}
