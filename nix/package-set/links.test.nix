# Run with `nix-instantiate --eval --strict nix/package-set/links.test.nix`: `[ ]` when all is well.
let
  packages = {
    whole = {
      outputs = [ "out" ];
      out = "/whole";
    };
    split = {
      outputs = [
        "out"
        "include"
      ];
      out = "/split";
      include = "/split-include";
    };
    described = {
      outputs = [
        "out"
        "dev"
        "lib"
      ];
      out = "/d";
      dev = "/d-dev";
      lib = "/d-lib";
    };
    absent = throw "not of this platform";
  };
  links = import ./links.nix {
    inherit packages;
    isThere = name: name != "absent";
  };
  of = package: output: path: { inherit package output path; };

  # What depends on each other in a set, by real fixups.
  set =
    releases:
    import ./default.nix {
      system = "x86_64-linux";
      builder = "/nonexistent";
      driverPaths = [
        "/d"
        /wsl
      ];
      inherit releases;
      manifests.cuda = {
        "12.9.1" = manifest "cuda_cudart-12.9.79-archive.tar.xz" [
          "cuda_nvcc"
          "cuda_cudart"
          "cuda_cccl"
        ];
        "13.0.0" = manifest "cuda_cudart-13.0.48-archive.tar.xz" [
          "cuda_nvcc"
          "cuda_cudart"
          "cuda_cccl"
          "cuda_crt"
          "libnvvm"
        ];
        "13.1.0" = manifest "nvidia_cuda_runtime-13.1.0-py3-none-any.whl" [
          "cuda_cudart"
          "cuda_nvcc"
          "cuda_nvml_dev"
        ];
        "13.2.0" = manifest "x.tar.xz" [
          "cuda_nvcc"
          "cuda_nvml_dev"
        ];
      };
    };
  manifest =
    file: names:
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = {
          inherit name;
          license = "CUDA Toolkit";
          version = "1.0.0";
          linux-x86_64 = {
            relative_path = "${name}/linux-x86_64/${file}";
            sha256 = builtins.hashString "sha256" name;
            md5 = builtins.hashString "md5" name;
            size = "1";
          };
        };
      }) names
    );
  plan = cuda: package: (set { inherit cuda; }).${package}.drvAttrs;
  # The packages that are linked into a folder.
  into =
    cuda: package: folder:
    map (
      path: builtins.head (builtins.match "[^-]*-([a-z_]*)-linux.*" (baseNameOf' path))
    ) ((plan cuda package).merge.${folder} or [ ]);
  baseNameOf' = path: builtins.elemAt (builtins.match "(.*/)?([0-9a-z]{32}-[^/]*).*" path) 1;
in
import ../lib/failures.nix {
  family = {
    inherit links;
    fixups = null;
    cudatoolkit = null;
  };
  cases = {
    links = [
      {
        expr = links {
          include = [
            (of "whole" "include" "include")
            (of "split" "include" "include")
            (of "split" "stubs" "lib")
            (of "absent" "out" "")
          ];
          lib = [ (of "split" "lib" "lib") ];
          nvvm = [ (of "whole" "out" "") ];
        };
        expected = {
          include = [
            "/whole/include"
            "/split-include/include"
          ];
          nvvm = [ "/whole" ];
        };
      }
      # As published feature manifests describe packages: no headers, no stubs.
      {
        expr = links {
          all = map (output: of "described" output "x") [
            "include"
            "lib"
            "static"
            "stubs"
            "bin"
          ];
        };
        expected.all = [
          "/d-dev/x"
          "/d-lib/x"
        ];
      }
    ];
    fixups = [
      {
        expr = map (cuda: into cuda "cuda_nvcc" "include") [
          "12.9.1"
          "13.0.0"
          "13.1.0"
          "13.2.0"
        ];
        expected = [
          [
            "cuda_cudart"
            "cuda_cccl"
          ]
          [
            "cuda_cudart"
            "cuda_crt"
            "cuda_cccl"
          ]
          [ "cuda_cudart" ]
          [ ]
        ];
      }
      {
        expr = map (cuda: into cuda "cuda_nvcc" "nvvm") [
          "12.9.1"
          "13.0.0"
        ];
        expected = [
          [ ]
          [ "libnvvm" ]
        ];
      }
      # Without the runtime there is no folder to lead to.
      {
        expr = map (cuda: (plan cuda "cuda_nvcc").links or { }) [
          "13.0.0"
          "13.2.0"
        ];
        expected = [
          { lib64 = "lib"; }
          { }
        ];
      }
      {
        expr = map (cuda: into cuda "cuda_cudart" "include/crt" ++ into cuda "cuda_cudart" "include/nv") [
          "12.9.1"
          "13.0.0"
        ];
        expected = [
          [ "cuda_cccl" ]
          [
            "cuda_crt"
            "cuda_cccl"
          ]
        ];
      }
      # Programs find the driver where the set says.
      {
        expr = (plan "13.0.0" "cuda_cudart").replaceTexts;
        expected = {
          "share/pkgconfig/cudart-[0-9]*.pc"."-lcudart" = "-lcudart -Wl,-rpath,/d -Wl,-rpath,/wsl";
          "share/pkgconfig/cuda-[0-9]*.pc"."-lcuda" = "-lcuda -Wl,-rpath,/d -Wl,-rpath,/wsl";
        };
      }
      # Wheels have no such files.
      {
        expr = plan "13.1.0" "cuda_cudart" ? replaceTexts || plan "13.1.0" "cuda_cudart" ? links;
        expected = false;
      }
      {
        expr = (plan "13.2.0" "cuda_nvml_dev").links;
        expected."lib/stubs/libnvidia-ml.so.1" = "libnvidia-ml.so";
      }
      {
        expr = plan "13.1.0" "cuda_nvml_dev" ? links;
        expected = false;
      }
    ];
    cudatoolkit = [
      # Without its compiler or its runtime it is none, and says so.
      {
        expr = map (package: package.reason or null) [
          (set { cuda = "13.0.0"; }).cudatoolkit
          (set { cuda = "13.0.0"; }).byPlatform.linux-ppc64le.cudatoolkit
          (set { cuda = "13.2.0"; }).cudatoolkit
          ((set { cuda = "13.0.0"; }).overrideScope (_: _: { cuda_nvcc = null; })).cudatoolkit
        ];
        expected = [
          null
          "`cudatoolkit`: expected `cuda_nvcc` and `cuda_cudart` in the set, found none for `linux-ppc64le`"
          "`cudatoolkit`: expected `cuda_cudart` in the set, found none for `linux-x86_64`"
          "`cudatoolkit`: expected `cuda_nvcc` in the set, found none for `linux-x86_64`"
        ];
      }
      {
        expr =
          let
            lacking = (set { cuda = "13.0.0"; }).byPlatform.linux-ppc64le.cudatoolkit;
          in
          [
            lacking.meta.unsupported
            lacking.name
            (builtins.tryEval lacking.drvPath).success
          ];
        expected = [
          true
          "cudatoolkit-13.0.0-unsupported"
          false
        ];
      }
      # A part that is not there is left out.
      {
        expr = builtins.length ((set { cuda = "13.0.0"; }).overrideScope (_: _: { cuda_cccl = null; }))
          .cudatoolkit.drvAttrs.trees < builtins.length (set { cuda = "13.0.0"; }).cudatoolkit.drvAttrs.trees;
        expected = true;
      }
      # What its parts say.
      {
        expr = {
          inherit ((set { cuda = "13.0.0"; }).cudatoolkit.meta) unfree platforms unsupported;
        };
        expected = {
          unfree = true;
          platforms = [ "x86_64-linux" ];
          unsupported = false;
        };
      }
      {
        expr =
          let
            toolkit = (set { cuda = "13.0.0"; }).cudatoolkit;
          in
          [
            toolkit.name
            toolkit.version
            # Outputs of the five packages, without that of static libraries.
            (builtins.length toolkit.drvAttrs.trees)
          ];
        expected = [
          "cudatoolkit-13.0.0"
          "13.0.0"
          11
        ];
      }
      {
        expr =
          let
            packages = set { cuda = "13.0.0"; };
          in
          (packages.mkView {
            name = "mine";
            packages = [ packages.cuda_cudart ];
            outputs = [ "static" ];
          }).drvAttrs.trees;
        expected = [ "${(set { cuda = "13.0.0"; }).cuda_cudart.static}" ];
      }
    ];
  };
}
