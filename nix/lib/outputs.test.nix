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
        expr = outputs.sort outputs.default;
        expected = outputs.default;
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
