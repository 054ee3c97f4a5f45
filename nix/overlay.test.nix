# Run with `nix-instantiate --eval --strict nix/overlay.test.nix`: `[ ]` when all is well.
let
  # Just as much of a nixpkgs as the overlay asks for.
  final = {
    stdenv = {
      buildPlatform.system = "x86_64-linux";
      hostPlatform.system = "aarch64-linux";
      cc.bintools.dynamicLinker = "/nonexistent/ld-linux-aarch64.so.1";
    };
    buildPackages.cuda-redist = "/nonexistent";
    zlib = "/nonexistent/zlib";
  };
  overlay = import ./overlay.nix { sets = args: args; } final { };
  args = overlay.cudaRedist;
in
import ./lib/failures.nix {
  # The programs ask for a whole nixpkgs.
  family = { inherit (overlay) cudaRedist; };
  cases = {
    cudaRedist = [
      # Libraries and loaders are of one machine.
      {
        expr = map (platform: (args.hostLibraries platform)."libz.so.1" or null) [
          "linux-sbsa"
          "linux-aarch64"
          "linux-x86_64"
        ];
        expected = [
          "/nonexistent/zlib"
          "/nonexistent/zlib"
          null
        ];
      }
      {
        expr = args.interpreters;
        expected = {
          linux-sbsa = "/nonexistent/ld-linux-aarch64.so.1";
          linux-aarch64 = "/nonexistent/ld-linux-aarch64.so.1";
        };
      }
      {
        expr = { inherit (args) system targetSystem builder; };
        expected = {
          system = "x86_64-linux";
          targetSystem = "aarch64-linux";
          builder = "/nonexistent";
        };
      }
    ];
  };
}
