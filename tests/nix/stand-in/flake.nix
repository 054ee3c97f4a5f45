{
  description = "A stand-in for nixpkgs: just what the flake of cuda-redist uses, for tests without a network";

  outputs =
    { self }:
    {
      legacyPackages = builtins.listToAttrs (
        map
          (system: {
            name = system;
            value = import ./. { inherit system; };
          })
          [
            "x86_64-linux"
            "aarch64-linux"
            "powerpc64le-linux"
          ]
      );
    };
}
