# Run with `nix-instantiate --eval --strict nix/shims/default.test.nix`: `[ ]` when all is well.
let
  inherit (builtins) attrNames mapAttrs;

  shims = import ./.;
  inherit (import ../lib/manifests.nix) readReleases;
  inherit (import ../lib/shapes.nix) check manifestOf;

  cudnn = (readReleases ../../tests/nix/releases/mine.nix).cudnn.releases;
  tensorrt = (readReleases ../../tests/nix/releases/mine.json).tensorrt.releases;

  manifests =
    shim: releases: cudaVersion:
    mapAttrs (_: check (manifestOf "buildableRelease")) (
      shim.redistrib { inherit releases cudaVersion; }
    );
in
import ../lib/failures.nix {
  family = shims;
  cases = {
    cudnn = [
      # Below cuDNN's own address.
      {
        expr = check "buildableRelease" (
          shims.cudnn.redistribRelease "linux-x86_64" (builtins.elemAt cudnn.linux-x86_64 1)
        );
        expected = {
          name = "NVIDIA CUDA Deep Neural Network library";
          license = "cudnn";
          version = "8.9.7.29";
          linux-x86_64 = {
            relative_path = "cudnn/linux-x86_64/cudnn-linux-x86_64-8.9.7.29_cuda11-archive.tar.xz";
            sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
          };
        };
      }
      # Elsewhere: the path is the one that a mirror has.
      {
        expr = (manifests shims.cudnn cudnn "11.0.3")."8.0.5.39".cudnn.linux-x86_64;
        expected = {
          relative_path = "compute/redist/cudnn/v8.0.5/cudnn-11.0-linux-x64-v8.0.5.39.tgz";
          sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
          url = "https://developer.download.nvidia.com/compute/redist/cudnn/v8.0.5/cudnn-11.0-linux-x64-v8.0.5.39.tgz";
        };
      }
      {
        expr = check "featureRelease" (
          shims.cudnn.featureRelease "linux-x86_64" (builtins.head cudnn.linux-x86_64)
        );
        expected.linux-x86_64.outputs = [
          "out"
          "dev"
          "include"
          "lib"
          "static"
        ];
      }
      {
        expr =
          (shims.cudnn.redistribRelease "linux-x86_64" {
            version = "8.0.5.39";
            url = "cudnn.tgz";
            hash = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
          }).linux-x86_64.relative_path;
        throws = true;
      }
      # A release that CUDA is too new for is not there, nor one that it is too old for.
      {
        expr = map (cudaVersion: attrNames (manifests shims.cudnn cudnn cudaVersion)) [
          "10.2"
          "11.0"
          "11.0.3"
          "11.1"
          "11.8.0"
          "12.0"
          "11"
          "12"
        ];
        expected = [
          [ ]
          [
            "8.0.5.39"
            "8.9.7.29"
          ]
          [
            "8.0.5.39"
            "8.9.7.29"
          ]
          [ "8.9.7.29" ]
          [ "8.9.7.29" ]
          [ ]
          # Any 11.
          [
            "8.0.5.39"
            "8.9.7.29"
          ]
          [ ]
        ];
      }
    ];
    tensorrt = [
      {
        expr = manifests shims.tensorrt tensorrt "12.1.1";
        expected = {
          "8.6.1.6" = {
            release_label = "8.6.1.6";
            release_product = "tensorrt";
            tensorrt = {
              name = "NVIDIA TensorRT";
              license = "TensorRT";
              version = "8.6.1.6";
              linux-x86_64 = {
                relative_path = "TensorRT-8.6.1.6.Linux.x86_64-gnu.cuda-12.0.tar.gz";
                sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
              };
            };
          };
          "10.9.0.34" = {
            release_label = "10.9.0.34";
            release_product = "tensorrt";
            tensorrt = {
              name = "NVIDIA TensorRT";
              license = "TensorRT";
              version = "10.9.0.34";
              linux-x86_64 = {
                relative_path = "tensorrt/10.9.0/tars/TensorRT-10.9.0.34.Linux.x86_64-gnu.cuda-12.8.tar.gz";
                sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
              };
            };
          };
        };
      }
      {
        expr = mapAttrs (_: check "feature") (
          shims.tensorrt.feature {
            releases = tensorrt;
            cudaVersion = "12.8";
          }
        );
        expected."10.9.0.34".tensorrt.linux-x86_64.outputs = [
          "out"
          "sample"
          "bin"
          "dev"
          "include"
          "lib"
          "static"
        ];
      }
      {
        expr = map
          (
            cudaVersion:
            (manifests shims.tensorrt tensorrt cudaVersion)."8.6.1.6".tensorrt.linux-x86_64.relative_path
          )
          [
            "11"
            "12"
          ];
        expected = [
          "TensorRT-8.6.1.6.Linux.x86_64-gnu.cuda-11.8.tar.gz"
          "TensorRT-8.6.1.6.Linux.x86_64-gnu.cuda-12.0.tar.gz"
        ];
      }
      # Of several for any 12 the newest.
      {
        expr =
          (shims.tensorrt.redistrib {
            releases.linux-x86_64 = map (minor: {
              version = "8.6.1.6";
              minCudaVersion = "12.${minor}";
              maxCudaVersion = "12.${minor}";
              filename = "tensorrt-12.${minor}.tar.gz";
              hash = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
            }) [ "9" "10" ];
            cudaVersion = "12";
          })."8.6.1.6".tensorrt.linux-x86_64.relative_path;
        expected = "tensorrt-12.10.tar.gz";
      }
      {
        expr = shims.tensorrt.needs {
          releases = tensorrt;
          cudaVersion = "11.8";
        };
        expected."8.6.1.6".linux-x86_64.cudnn = "8.9";
      }
      {
        expr = shims.tensorrt.needs {
          releases = tensorrt;
          cudaVersion = "12.1";
        };
        expected = {
          "8.6.1.6".linux-x86_64 = { };
          "10.9.0.34".linux-x86_64.cudnn = "9.7";
        };
      }
      # Two for the same CUDA: nobody can tell which one is meant. Other versions stay usable.
      (
        let
          doubled = shims.tensorrt.redistrib {
            releases.linux-x86_64 = tensorrt.linux-x86_64 ++ [
              (builtins.head tensorrt.linux-x86_64 // { maxCudaVersion = "12.8"; })
            ];
            cudaVersion = "12.0";
          };
        in
        {
          expr = {
            wrong = (builtins.tryEval doubled."8.6.1.6".tensorrt.linux-x86_64).success;
            right = doubled."10.9.0.34".tensorrt.version;
          };
          expected = {
            wrong = false;
            right = "10.9.0.34";
          };
        }
      )
    ];
  };
}
