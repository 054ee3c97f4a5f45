# Run with `nix-instantiate --eval --strict nix/lib/outputs.test.nix`: `[ ]` when all is well.
let
  outputs = import ./outputs.nix;
in
import ./failures.nix {
  family = outputs;
  cases = {
    order = [
      {
        expr = builtins.head outputs.order;
        expected = "out";
      }
      {
        expr = builtins.length outputs.order;
        expected = 10;
      }
    ];
    default = [
      {
        expr = outputs.default;
        expected = [ "out" ];
      }
    ];
    fromFeatures = [
      {
        expr = outputs.fromFeatures {
          outputs = {
            bin = true;
            dev = true;
            doc = true;
            lib = true;
            sample = true;
            static = true;
          };
        };
        expected = [
          "out"
          "doc"
          "samples"
          "bin"
          "dev"
          "lib"
          "static"
        ];
      }
      {
        expr = outputs.fromFeatures {
          outputs = {
            bin = false;
            dev = true;
            doc = false;
            lib = false;
            sample = false;
            static = false;
          };
        };
        expected = [
          "out"
          "dev"
        ];
      }
      {
        expr = outputs.fromFeatures {
          outputs = [
            "stubs"
            "sample"
            "include"
          ];
        };
        expected = [
          "out"
          "samples"
          "include"
          "stubs"
        ];
      }
      {
        expr = outputs.fromFeatures { outputs = "out"; };
        throws = true;
      }
      {
        expr = outputs.fromFeatures { };
        throws = true;
      }
    ];
    sort = [
      {
        expr = outputs.sort [
          "stubs"
          "lib"
          "out"
          "lib"
        ];
        expected = [
          "out"
          "lib"
          "stubs"
        ];
      }
    ];
  };
}
