# Run with `nix-instantiate --eval --strict nix/lib/platforms.test.nix`: `[ ]` when all is well.
let
  platforms = import ./platforms.nix;
in
import ./failures.nix {
  family = platforms;
  cases = {
    fromSystem = [
      {
        expr = platforms.fromSystem "x86_64-linux";
        expected = "linux-x86_64";
      }
      {
        expr = platforms.fromSystem "aarch64-linux";
        expected = "linux-sbsa";
      }
      {
        expr = platforms.fromSystem "powerpc64le-linux";
        expected = "linux-ppc64le";
      }
      {
        expr = platforms.fromSystem "riscv64-linux";
        expected = "unsupported";
      }
    ];
    preference = [
      {
        expr = platforms.preference "linux-sbsa";
        expected = [
          "source"
          "linux-all"
          "linux-sbsa"
        ];
      }
    ];
    toSystems = [
      {
        expr = map platforms.toSystems [
          "linux-x86_64"
          "linux-sbsa"
          "linux-aarch64"
          "linux-ppc64le"
          "windows-x86_64"
          "source"
        ];
        expected = [
          [ "x86_64-linux" ]
          [ "aarch64-linux" ]
          [ "aarch64-linux" ]
          [ "powerpc64le-linux" ]
          [ ]
          [
            "aarch64-linux"
            "powerpc64le-linux"
            "x86_64-linux"
          ]
        ];
      }
      # The law.
      {
        expr =
          builtins.all (system: builtins.elem system (platforms.toSystems (platforms.fromSystem system)))
            [
              "x86_64-linux"
              "aarch64-linux"
              "powerpc64le-linux"
            ];
        expected = true;
      }
    ];
    anywhere = [
      {
        expr = platforms.anywhere ++ [ "linux-x86_64" ];
        expected = platforms.preference "linux-x86_64";
      }
    ];
    linux = [
      {
        expr = builtins.all (
          system: builtins.elem (platforms.fromSystem system) platforms.linux
        ) [
          "x86_64-linux"
          "aarch64-linux"
          "powerpc64le-linux"
        ];
        expected = true;
      }
    ];
  };
}
