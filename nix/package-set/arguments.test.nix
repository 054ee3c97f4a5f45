# Run with `nix-instantiate --eval --strict nix/package-set/arguments.test.nix`: `[ ]` when all is well.
let
  inherit (builtins) tryEval;

  arguments = import ./arguments.nix;
  inherit (import ../lib) mkCudaPackages;
  passes = given: (tryEval (arguments given)).success;
  set =
    args:
    mkCudaPackages (
      {
        system = "x86_64-linux";
        manifests = ../../tests/nix/sets;
        builder = "/nonexistent";
      }
      // args
    );
in
import ../lib/failures.nix {
  family = {
    inherit arguments;
    mkCudaPackages = set;
  };
  cases = {
    arguments = [
      {
        expr = map passes [
          { cudaVersion = 12.9; }
          { cudaVersion = 12; }
          { releases = "12.9.1"; }
          { releases.cuda = 12.9; }
          { releases.cudnn = [ ]; }
          { products = "cuda"; }
          { products = [ 1 ]; }
          { cudaCapabilities = "9.0"; }
          { cudaCapabilities = null; }
          { driverPaths = "/run/opengl-driver/lib"; }
          { driverPaths = [ 1 ]; }
          { overrides = [ ]; }
          { fixups = [ ]; }
          { hostLibraries = [ ]; }
          { cudaCompat = "yes"; }
          { platform = 1; }
          { cudaVariant = 12; }
          { variants.mpi = 5; }
          { mirror = 1; }
          { manifests = null; }
          { isAllowed = true; }
          { shapes = 1; }
        ];
        expected = builtins.genList (_: false) 22;
      }
      {
        expr = map passes [
          { }
          {
            cudaVersion = null;
            releases = null;
            products = null;
            platform = null;
            cudaVariant = null;
            mirror = null;
            features = null;
          }
          { releases.cudnn = null; }
          {
            driverPaths = [
              "/x"
              /x
            ];
          }
          # Nor is what is for packages that nobody asks for.
          { overrides.cudnn = throw "looked at"; }
          { fixups.cudnn = throw "looked at"; }
          { hostLibraries = platform: { }; }
          # Packages are not looked at.
          { hostLibraries."libz.so.1" = throw "looked at"; }
          { builder = throw "looked at"; }
          { isAllowed.__functor = _: _: true; }
        ];
        expected = builtins.genList (_: true) 10;
      }
    ];
    mkCudaPackages = [
      {
        expr = builtins.attrNames (set { cudaVersion = 12.9; });
        throws = true;
      }
      {
        expr = map (args: (tryEval (set args).libcublas.drvPath).success) [
          { overrides.libcublas = [ ]; }
          { overrides.libcublas = "x"; }
          { fixups.libcublas = { }; }
          { fixups.libcublas = _: _: [ ]; }
          { overrides.libcublas = { }; }
        ];
        expected = [
          false
          false
          false
          false
          true
        ];
      }
      # What edits give.
      {
        expr = map (edit: (tryEval ((set { }).libcublas.overridePlan edit).drvPath).success) [
          [ ]
          (_: "x")
          { outputs = "lib"; }
          { dependencies.libnpp = null; }
          { merge = [ ]; }
          { drop = [ "lib/*.a" ]; }
        ];
        expected = [
          false
          false
          false
          false
          false
          true
        ];
      }
      # As with nixpkgs a set will do.
      {
        expr = ((set { }).libcublas.overrideAttrs { requiredSystemFeatures = [ "big-parallel" ]; })
          .drvAttrs.requiredSystemFeatures;
        expected = [ "big-parallel" ];
      }
    ];
  };
}
