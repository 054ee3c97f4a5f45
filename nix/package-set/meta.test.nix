# Run with `nix-instantiate --eval --strict nix/package-set/meta.test.nix`: `[ ]` when all is well.
let
  meta = import ./meta.nix;
  set =
    args:
    import ./default.nix (
      {
        system = "x86_64-linux";
        manifests = ../../tests/nix/sets;
        builder = "/nonexistent";
      }
      // args
    );
  package = licence: {
    pname = "p";
    version = "1.0";
    meta.license = [ (meta.licenceOf licence) ];
  };
  ofCudart = meta.of {
    package = "cuda_cudart";
    product = "cuda";
    release = {
      name = "CUDA Runtime (cudart)";
      license = "CUDA Toolkit";
      version = "12.9.79";
      linux-sbsa = { };
      linux-aarch64 = { };
      windows-x86_64 = { };
    };
  };
  unfree = package "CUDA Toolkit";
  refusing = set { isAllowed = meta.isAllowedBy { }; };
  allowing = set { isAllowed = meta.isAllowedBy { allowUnfree = true; }; };
in
import ../lib/failures.nix {
  family = meta;
  cases = {
    licences = [
      {
        expr = builtins.filter (
          name:
          let
            licence = meta.licences.${name};
          in
          !(
            builtins.isString licence.shortName
            && builtins.isString licence.fullName
            && builtins.match "https://.*" licence.url != null
            && builtins.isBool licence.free
          )
        ) (builtins.attrNames meta.licences);
        expected = [ ];
      }
    ];
    licenceOf = [
      {
        expr = (meta.licenceOf "MIT").free;
        expected = true;
      }
      # What nobody has read is not free.
      {
        expr = (meta.licenceOf "cuFuture").free;
        expected = false;
      }
    ];
    of = [
      {
        expr = ofCudart.platforms;
        expected = [ "aarch64-linux" ];
      }
      {
        expr = ofCudart.unfree && !(ofCudart ? mainProgram);
        expected = true;
      }
      {
        expr =
          (meta.of {
            package = "cuda_nvcc";
            product = "cuda";
            release = {
              name = "CUDA NVCC";
              source = { };
            };
          }).platforms;
        expected = [
          "aarch64-linux"
          "powerpc64le-linux"
          "x86_64-linux"
        ];
      }
      # Each product has its own page.
      {
        expr = map (product: (meta.of { inherit product; package = "p"; release = { }; }).homepage) [
          "cudnn"
          "cutensor"
          "mine"
        ];
        expected = [
          "https://developer.nvidia.com/cudnn"
          "https://developer.nvidia.com/cutensor"
          "https://developer.nvidia.com/cuda-toolkit"
        ];
      }
      # A release that says nothing, or something else.
      {
        expr =
          map
            (
              release:
              let
                found = meta.of {
                  product = "cuda";
                  package = "p";
                  inherit release;
                };
              in
              [
                found.description
                found.unfree
                found.platforms
              ]
            )
            [
              { }
              {
                name = 1;
                license = [ ];
              }
              null
            ];
        expected =
          let
            nothing = [
              "p"
              true
              [ ]
            ];
          in
          [
            nothing
            nothing
            nothing
          ];
      }
      # What a set lacks says as much.
      {
        expr =
          let
            lacking = (set { platform = "linux-ppc64le"; }).libcublas;
          in
          [
            lacking.system
            lacking.meta.platforms
            lacking.meta.unfree
            (builtins.tryEval "${lacking.lib}").success
            (builtins.tryEval "${lacking.static}").success
          ];
        expected = [
          "x86_64-linux"
          [
            "aarch64-linux"
            "x86_64-linux"
          ]
          true
          false
          false
        ];
      }
      {
        expr = (set { }).cuda_cudart.meta.description;
        expected = (set { }).cuda_cudart.release.name;
      }
    ];
    isAllowedBy = [
      {
        expr = map (config: meta.isAllowedBy config unfree) [
          { }
          { allowUnfree = true; }
          { allowUnfreePredicate = package: package.pname == "p"; }
          { allowUnfreePredicate = package: package.pname == "q"; }
          { allowlistedLicenses = [ meta.licences."CUDA Toolkit" ]; }
          {
            allowUnfree = true;
            blocklistedLicenses = [ meta.licences."CUDA Toolkit" ];
          }
        ];
        expected = [
          false
          true
          true
          false
          true
          false
        ];
      }
      # Whoever runs the tests may have said it of everything.
      {
        expr = meta.isAllowedBy { } unfree;
        expected = builtins.getEnv "NIXPKGS_ALLOW_UNFREE" == "1";
      }
      {
        expr = meta.isAllowedBy { blocklistedLicenses = [ meta.licences."CUDA Toolkit" ]; } unfree;
        expected = false;
      }
      {
        expr = meta.isAllowedBy { } (package "MIT");
        expected = true;
      }
    ];
    guard = [
      {
        expr = meta.guard false unfree "x";
        throws = true;
      }
      {
        expr = refusing.cuda_cudart.drvPath;
        throws = true;
      }
      {
        expr = "${refusing.cuda_cudart.lib}";
        throws = true;
      }
      # All else can be looked at, and others are not in the way.
      {
        expr = refusing.cuda_cudart.name == (set { }).cuda_cudart.name && refusing.cuda_cudart.meta.unfree;
        expected = true;
      }
      {
        expr = allowing.cuda_cudart.drvPath == (set { }).cuda_cudart.drvPath;
        expected = true;
      }
    ];
  };
}
