/**
  The library of cuda-redist: `builtins` only, no nixpkgs. Works on Nix 2.8.0 and newer.

  Each family is a file of its own and its tests are beside it: `X.test.nix` evaluates to the list of cases that fail.

  # Examples

  ```nix
  (import ./nix { }).lib.platforms.fromSystem "aarch64-linux"
  => "linux-sbsa"
  ```
*/
let
  capabilities = import ./capabilities.nix;
  sets = import ./sets.nix;
  shapes = import ./shapes.nix;
in
{
  /**
    Compute capabilities, what follows from them, and host compilers of NVCC.
  */
  inherit capabilities;
  inherit (capabilities) hostCompilers;

  /**
    Manifests that several package sets share; see `nix/package-set/catalog.nix`.
  */
  catalog = import ../package-set/catalog.nix;

  /**
    A value, held against a shape where the plugin is loaded; see `shapes.nix`.
  */
  inherit (shapes) check;

  /**
    SHA-256 hashes in the notation that manifests use.
  */
  hashes = import ./hashes.nix;

  /**
    What of a nixpkgs has the libraries that are not NVIDIA's; see `host-libraries.nix`.
  */
  hostLibraries = (import ./host-libraries.nix).fromNixpkgs;

  /**
    Which manifests a folder has and what is in them.
  */
  manifests = import ./manifests.nix;

  /**
    Shapes as data: the judge's own, and what products add; see `nix/modules/default.nix`.
  */
  modules = import ../modules;

  /**
    Outputs and their order.
  */
  outputs = import ./outputs.nix;

  /**
    Nix systems and redist platforms.
  */
  platforms = import ./platforms.nix;

  /**
    Shapes put together from others.
  */
  inherit shapes;

  /**
    Release expressions made into manifests; see `nix/shims/default.nix`.
  */
  shims = import ../shims;

  /**
    The packages of a set, and why it lacks others.
  */
  inherit (sets) supported unsupported;

  /**
    URLs and file names of archives.
  */
  sources = import ./sources.nix;

  /**
    NVIDIA's version numbers.
  */
  versions = import ./versions.nix;

  /**
    A package set made from manifests; see `nix/package-set/default.nix`.
  */
  mkCudaPackages = import ../package-set;
}
