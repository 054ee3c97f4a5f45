# Run with `nix-instantiate --eval --strict nix/lib/capabilities.test.nix`: `[ ]` when all is well.
let
  inherit (builtins) map;

  capabilities = import ./capabilities.nix;
  inherit (capabilities) flags problems platformOf;

  x86_64 = "linux-x86_64";
  platformFor =
    cudaVersion: wanted:
    platformOf {
      system = "aarch64-linux";
      inherit cudaVersion;
      capabilities = wanted;
    };
  problemsOf =
    cudaVersion: platform: wanted:
    problems {
      inherit cudaVersion platform;
      capabilities = wanted;
    };
  # Two that were ordered otherwise.
  some = flags {
    cudaVersion = "12.9.1";
    platform = x86_64;
    capabilities = [
      "9.0a"
      "8.6"
      "8.9"
      "8.6"
    ];
  };
in
import ./failures.nix {
  family = capabilities;
  cases = {
    supported = [
      {
        expr = capabilities.supported "11.4.4";
        expected = [
          "3.5"
          "3.7"
          "5.0"
          "5.2"
          "6.0"
          "6.1"
          "7.0"
          "7.2"
          "7.5"
          "8.0"
          "8.6"
          "8.7"
        ];
      }
    ];
    # The values that the facts of this project were checked with.
    default = [
      {
        expr =
          map
            (
              cudaVersion:
              capabilities.default {
                inherit cudaVersion;
                platform = x86_64;
              }
            )
            [
              "11.8.0"
              "12.6"
              "12.9"
              "13.0.0"
            ];
        expected = [
          [
            "6.0"
            "6.1"
            "7.0"
            "7.5"
            "8.0"
            "8.6"
            "8.9"
            "9.0"
          ]
          [
            "7.5"
            "8.0"
            "8.6"
            "8.9"
            "9.0"
          ]
          [
            "7.5"
            "8.0"
            "8.6"
            "8.9"
            "9.0"
            "10.0"
            "10.3"
            "12.0"
            "12.1"
          ]
          [
            "7.5"
            "8.0"
            "8.6"
            "8.9"
            "9.0"
            "10.0"
            "10.3"
            "12.0"
            "12.1"
          ]
        ];
      }
      # Jetson's own platform has no others.
      {
        expr =
          map
            (
              cudaVersion:
              capabilities.default {
                inherit cudaVersion;
                platform = "linux-aarch64";
              }
            )
            [
              "11.8"
              "12.6"
              "13.0"
            ];
        expected = [
          [
            "7.2"
            "8.7"
          ]
          [ "8.7" ]
          [ ]
        ];
      }
    ];
    platformOf = [
      {
        expr = [
          (platformFor "12.9.1" [ ])
          (platformFor "12.9.1" [ "9.0" ])
          (platformFor "12.9.1" [ "8.7" ])
          (platformFor "12.9.1" [ "10.1" ])
          (platformFor "13.0.0" [ "8.7" ])
          (platformFor "13.0.0" [ "11.0" ])
          (platformFor "11.8.0" [ "7.2" ])
          (platformFor "12" [ "8.7" ])
        ];
        expected = [
          "linux-sbsa"
          "linux-sbsa"
          "linux-aarch64"
          "linux-sbsa"
          "linux-sbsa"
          "linux-sbsa"
          "linux-aarch64"
          "linux-aarch64"
        ];
      }
      # Never a throw: what is wrong is said by `problems`.
      {
        expr =
          map
            (
              system:
              platformOf {
                inherit system;
                cudaVersion = null;
                capabilities = [
                  "8.7"
                  9
                  "x"
                ];
              }
            )
            [
              "x86_64-linux"
              "powerpc64le-linux"
              "riscv64-linux"
            ];
        expected = [
          "linux-x86_64"
          "linux-ppc64le"
          "unsupported"
        ];
      }
    ];
    problems = [
      {
        expr = problemsOf "12.9.1" x86_64 [
          "5.0"
          "9.0a"
          "12.1"
        ];
        expected = [ ];
      }
      # All of them.
      {
        expr = problemsOf "13.0.0" x86_64 [
          "6.0"
          "9.0"
          "8.7"
          9
        ];
        expected = [
          "`6.0`: expected one that CUDA 13.0.0 still has, found one that CUDA 12.9 was the last to have"
          "`8.7`: expected one that machines of `linux-x86_64` may have, found a Jetson board"
          "expected a string such as `9.0`, found 9"
        ];
      }
      {
        expr = problemsOf "12.4.1" "linux-aarch64" [
          "8.7"
          "9.0"
          "10.0"
        ];
        expected = [
          "`9.0`: expected a Jetson board of `linux-aarch64`, found one that goes with none"
          "`10.0`: expected one that CUDA 12.4.1 has already, found one that came with CUDA 12.7"
        ];
      }
      {
        expr = problemsOf "12.9.1" "linux-sbsa" [ "8.7" ];
        expected = [
          "`8.7`: expected one that `linux-sbsa` serves, found a Jetson board of `linux-aarch64`"
        ];
      }
      # Without a release of CUDA nobody can say what is too old.
      {
        expr = problemsOf null x86_64 [ "3.5" ];
        expected = [ ];
      }
      {
        expr = builtins.length (problemsOf null x86_64 [ "9.1" ]);
        expected = 1;
      }
    ];
    flags = [
      {
        expr = removeAttrs some [ "hostCompilers" ];
        expected = {
          cudaCapabilities = [
            "8.6"
            "8.9"
            "9.0a"
          ];
          cudaForwardCompat = true;
          isJetsonBuild = false;
          archNames = [
            "Ampere"
            "Ada"
            "Hopper"
          ];
          realArches = [
            "sm_86"
            "sm_89"
            "sm_90a"
          ];
          virtualArches = [
            "compute_86"
            "compute_89"
            "compute_90a"
          ];
          # PTX of 9.0a would run on no later device.
          arches = [
            "sm_86"
            "sm_89"
            "sm_90a"
            "compute_89"
          ];
          gencode = [
            "-gencode=arch=compute_86,code=sm_86"
            "-gencode=arch=compute_89,code=sm_89"
            "-gencode=arch=compute_90a,code=sm_90a"
            "-gencode=arch=compute_89,code=compute_89"
          ];
          gencodeString = "-gencode=arch=compute_86,code=sm_86 -gencode=arch=compute_89,code=sm_89 -gencode=arch=compute_90a,code=sm_90a -gencode=arch=compute_89,code=compute_89";
          cmakeCudaArchitecturesString = "86;89;90a";
          devices = [
            "8.6"
            "8.9"
            "9.0"
          ];
        };
      }
      {
        expr =
          let
            found = flags {
              cudaVersion = "12.6.3";
              platform = "linux-aarch64";
              cudaForwardCompat = false;
            };
          in
          {
            inherit (found) arches isJetsonBuild;
          };
        expected = {
          arches = [ "sm_87" ];
          isJetsonBuild = true;
        };
      }
      {
        expr = flags {
          cudaVersion = "13.0.0";
          platform = x86_64;
          capabilities = [ "6.0" ];
        };
        throws = true;
      }
    ];
    hostCompilers = [
      {
        expr = map capabilities.hostCompilers [
          "12.9.1"
          "12.7"
          "10.2"
        ];
        expected = [
          {
            cuda = "12.9";
            isExact = true;
            gcc = {
              min = 6;
              max = 14;
            };
            clang = {
              min = 7;
              max = 19;
            };
          }
          # It was never released.
          {
            cuda = "12.6";
            isExact = false;
            gcc = {
              min = 6;
              max = 13;
            };
            clang = {
              min = 7;
              max = 18;
            };
          }
          null
        ];
      }
      # A later release than the table has.
      {
        expr = {
          inherit (capabilities.hostCompilers "13.9") cuda isExact;
        };
        expected = {
          cuda = "13.0";
          isExact = false;
        };
      }
    ];
  };
}
