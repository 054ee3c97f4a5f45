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
            release = {
              name = "CUDA NVCC";
              source = { };
            };
          }).platforms;
        expected = [
          "x86_64-linux"
          "aarch64-linux"
          "powerpc64le-linux"
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
