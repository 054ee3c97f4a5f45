# Run with `nix-instantiate --eval --strict nix/lib/host-libraries.test.nix`: `[ ]` when all is well.
let
  hostLibraries = import ./host-libraries.nix;
  inherit (hostLibraries) choose fromNixpkgs;

  zlib = {
    out = "zlib-out";
    dev = "zlib-dev";
  };
  given = {
    "libz.so.1" = zlib;
    "libibverbs.so.*" = {
      lib = "rdma-lib";
      out = "rdma-out";
    };
    "libstdc++.so.6" = "gcc-lib";
    "libnuma.so.1" = zlib // {
      outputSpecified = true;
    };
  };
in
import ./failures.nix {
  family = hostLibraries;
  cases = {
    choose = [
      {
        expr = choose given [ "libibverbs.so.1" ];
        expected = {
          "host-libibverbs.so._" = "rdma-lib";
          "host-libstdc++.so.6" = "gcc-lib";
        };
      }
      # Either side may stand for several.
      {
        expr = builtins.attrNames (choose given [ "libz*" ]);
        expected = [
          "host-libstdc++.so.6"
          "host-libz.so.1"
        ];
      }
      # All, for a package that nobody knows; the output that was chosen stays.
      {
        expr = (choose given [ "*" ])."host-libnuma.so.1".dev;
        expected = "zlib-dev";
      }
      # A dot is a dot.
      {
        expr = choose { "libz.so.1" = zlib; } [ "libzxso.1" ];
        expected = { };
      }
      {
        expr = choose { "lib/libz.so.1" = zlib; } [ ];
        throws = true;
      }
    ];
    fromNixpkgs = [
      {
        expr = fromNixpkgs {
          inherit zlib;
          stdenv.cc.cc = "gcc";
          stdenv.shell = "sh";
          rdma-core = "rdma";
        };
        expected = {
          "libz.so.1" = zlib;
          "libgcc_s.so.1" = "gcc";
          "libstdc++.so.6" = "gcc";
          "libibumad.so.*" = "rdma";
          "libibverbs.so.1" = "rdma";
          "libmlx5.so.1" = "rdma";
          "librdmacm.so.1" = "rdma";
        };
      }
      {
        expr = fromNixpkgs { stdenv = "none"; };
        expected = { };
      }
    ];
  };
}
