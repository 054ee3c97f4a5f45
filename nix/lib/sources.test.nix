# Run with `nix-instantiate --eval --strict nix/lib/sources.test.nix`: `[ ]` when all is well.
let
  sources = import ./sources.nix;
  relativePath = "cuda_nvcc/linux-x86_64/cuda_nvcc.tar.xz";
in
import ./failures.nix {
  family = sources;
  cases = {
    url = [
      {
        expr = sources.url {
          product = "cuda";
          inherit relativePath;
        };
        expected = "https://developer.download.nvidia.com/compute/cuda/redist/cuda_nvcc/linux-x86_64/cuda_nvcc.tar.xz";
      }
      {
        expr = sources.url {
          product = "tensorrt";
          relativePath = "tensorrt/10.9.0/tars/TensorRT.tar.gz";
        };
        expected = "https://developer.download.nvidia.com/compute/machine-learning/tensorrt/10.9.0/tars/TensorRT.tar.gz";
      }
      {
        expr =
          map
            (
              mirror:
              sources.url {
                product = "tensorrt";
                inherit relativePath mirror;
              }
            )
            [
              "file:///srv/cuda"
              "file:///srv/cuda//"
            ];
        expected = [
          "file:///srv/cuda/cuda_nvcc/linux-x86_64/cuda_nvcc.tar.xz"
          "file:///srv/cuda/cuda_nvcc/linux-x86_64/cuda_nvcc.tar.xz"
        ];
      }
      {
        # A mirror in the store remains an input of what is fetched.
        expr = builtins.hasContext (
          sources.url {
            product = "cuda";
            inherit relativePath;
            mirror = "file://${./sources.nix}/";
          }
        );
        expected = true;
      }
      {
        expr = sources.url {
          product = "cuda";
          relativePath = "../../../pool/cuda_nvcc/cuda_nvcc.tar.xz";
          mirror = "file:///srv/channel";
        };
        expected = "file:///srv/channel/pool/cuda_nvcc/cuda_nvcc.tar.xz";
      }
      {
        expr = sources.url {
          product = "cuda";
          relativePath = "../../../pool/cuda_nvcc/cuda_nvcc.tar.xz";
        };
        throws = true;
      }
    ]
    ++
      map
        (mirror: {
          expr = sources.url {
            product = "cuda";
            inherit relativePath mirror;
          };
          throws = true;
        })
        [
          ""
          "/srv/cuda"
          ./.
        ];
    fileName = [
      {
        expr = sources.fileName relativePath;
        expected = "cuda_nvcc.tar.xz";
      }
      {
        expr = sources.fileName "nvidia_nvtx_cu12-12.9.79-py3-none-manylinux2014_x86_64.whl";
        expected = "nvidia_nvtx_cu12-12.9.79-py3-none-manylinux2014_x86_64.whl";
      }
    ];
  };
}
