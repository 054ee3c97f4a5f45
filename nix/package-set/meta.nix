/**
  What a package says about itself, in the words of nixpkgs (`meta`), and who may use it.

  NVIDIA's terms apply to nearly all that is packaged here. nixpkgs asks its users to allow such packages (`allowUnfree`); its own check
  is a part of `stdenv.mkDerivation`, which nothing here uses, so the overlay has `isAllowedBy` ask the same questions. Without nixpkgs
  nobody asked, and NVIDIA's terms apply to whoever builds: see `docs/licences.md`.

  Source: nixpkgs, `lib.licenses`, `_cuda/lib/meta.nix` and `pkgs/stdenv/generic/check-meta.nix`.
*/
let
  inherit (builtins)
    all
    attrNames
    concatMap
    filter
    fromJSON
    getEnv
    isList
    isString
    listToAttrs
    map
    readFile
    ;

  platformsLib = import ../lib/platforms.nix;

  _proprietary = shortName: fullName: url: {
    inherit shortName fullName url;
    free = false;
    redistributable = false;
    deprecated = false;
  };

  # The Toolkit's agreement lets its libraries be passed on as parts of programs (attachment A), not the packages.
  _toolkit = _proprietary "CUDA EULA" "CUDA Toolkit End User License Agreement (EULA)" "https://docs.nvidia.com/cuda/eula/index.html";

  _free = shortName: fullName: spdxId: {
    inherit shortName fullName spdxId;
    url = "https://spdx.org/licenses/${spdxId}.html";
    free = true;
    redistributable = true;
    deprecated = false;
  };

  _nvidia = _proprietary "NVIDIA Proprietary" "NVIDIA's terms for the product" "https://developer.nvidia.com/cuda-toolkit";

  # By what manifests say in `license`, those that `index` makes of wheels included.
  licences = {
    "LicenseRef-NVIDIA-Proprietary" = _nvidia;
    "NVIDIA" = _nvidia;
    "NVIDIA Proprietary" = _nvidia;
    "NVIDIA Proprietary Software" = _nvidia;
    "CUDA Toolkit" = _toolkit;
    "cudnn" = _proprietary "cuDNN EULA" "NVIDIA cuDNN Software License Agreement (EULA)" "https://docs.nvidia.com/deeplearning/cudnn/latest/reference/eula.html";
    "TensorRT" = _proprietary "TensorRT EULA" "NVIDIA TensorRT Software License Agreement" "https://docs.nvidia.com/deeplearning/tensorrt/latest/reference/sla.html";
    "MIT" = _free "mit" "MIT License" "MIT";
    "Apache 2.0" = _free "asl20" "Apache License 2.0" "Apache-2.0";
    "Apache-2.0" = licences."Apache 2.0";
  };

  # A licence that the table does not have is one of NVIDIA's for a single product: not free until somebody has read it.
  licenceOf =
    name:
    licences.${name}
      or (_proprietary name "NVIDIA's terms for ${name}" "https://developer.nvidia.com/cuda-toolkit");

  _products = (fromJSON (readFile ../data/products.json)).products;

  _toolkitPage = "https://developer.nvidia.com/cuda-toolkit";

  # Nix systems that some archive of the release is for.
  _systemsOf =
    release:
    attrNames (
      listToAttrs (
        concatMap (
          platform:
          map (name: {
            inherit name;
            value = null;
          }) (platformsLib.toSystems platform)
        ) (filter (platform: release ? ${platform}) (platformsLib.anywhere ++ platformsLib.linux))
      )
    );

  # Programs by which a package is known; NVIDIA gives most packages the name of their program.
  _programs = {
    cuda_nvcc = "nvcc";
    cuda_cuobjdump = "cuobjdump";
    cuda_cuxxfilt = "cu++filt";
    cuda_gdb = "cuda-gdb";
    cuda_nvdisasm = "nvdisasm";
    cuda_nvprof = "nvprof";
    cuda_nvprune = "nvprune";
    cuda_sanitizer_api = "compute-sanitizer";
    nsight_compute = "ncu";
    nsight_systems = "nsys";
    tensorrt = "trtexec";
  };
in
{
  inherit licences licenceOf;

  /**
    `meta` of a package.

    # Type

    ```
    of :: { package, product :: String, release :: AttrSet, ... } -> AttrSet
    ```
  */
  of =
    {
      package,
      product,
      release,
      ...
    }:
    let
      said = name: default: if isString (release.${name} or null) then release.${name} else default;
      licence = licenceOf (said "license" "NVIDIA");
      description = said "name" package;
    in
    {
      inherit description;
      homepage = _products.${product}.homepage or _toolkitPage;
      downloadPage = "https://developer.download.nvidia.com/compute/";
      license = [ licence ];
      platforms = _systemsOf release;
      sourceProvenance = [
        {
          shortName = "binaryNativeCode";
          isSource = false;
        }
      ];
      unfree = !licence.free;
      longDescription =
        if licence.free then
          description
        else
          "${description}. By downloading and using it you accept its terms, the ${licence.fullName}: ${licence.url}";
    }
    // (if _programs ? ${package} then { mainProgram = _programs.${package}; } else { });

  /**
    Whether the configuration of a nixpkgs allows a package: free ones always, others if `allowUnfree`, the environment
    (`NIXPKGS_ALLOW_UNFREE=1`, which only impure evaluation sees) or `allowUnfreePredicate` say so. As there, the predicate is asked about the package, and `allowlistedLicenses` and
    `blocklistedLicenses` (lists of licences) count.

    # Type

    ```
    isAllowedBy :: Config -> { pname, version, meta } -> Bool
    ```
  */
  isAllowedBy =
    config: package:
    let
      licences =
        if isList package.meta.license then package.meta.license else [ package.meta.license ];
      isIn = list: licence: builtins.any (other: other.shortName or null == licence.shortName) list;
      isBlocked = builtins.any (isIn (config.blocklistedLicenses or [ ])) licences;
      isListed = all (isIn (config.allowlistedLicenses or [ ])) licences;
    in
    !isBlocked
    && (
      all (licence: licence.free) licences
      || isListed
      || config.allowUnfree or false
      || getEnv "NIXPKGS_ALLOW_UNFREE" == "1"
      || (config.allowUnfreePredicate or (_: false)) package
    );

  /**
    `value`, or what nixpkgs says of an unfree package.

    # Type

    ```
    guard :: Bool -> { pname, version, meta } -> a -> a
    ```
  */
  guard =
    isAllowed: package: value:
    if isAllowed then
      value
    else
      let
        licence = builtins.head package.meta.license;
      in
      throw ''
        Package `${package.pname}-${package.version}` has an unfree license (`${licence.shortName}`), refusing to evaluate: ${licence.fullName}, ${licence.url}
        Potential solutions:
        - allow it alone: `nixpkgs.config.allowUnfreePredicate = package: builtins.elem package.pname [ "${package.pname}" ]`
        - allow all such packages: `nixpkgs.config.allowUnfree = true`, or for one command NIXPKGS_ALLOW_UNFREE=1 with `--impure`
        - without nixpkgs: `mkCudaPackages { isAllowed = package: true; ... }`'';
}
