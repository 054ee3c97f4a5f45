/**
  The shapes of cuDNN's release expressions: they are the general ones. `nix/shims/cudnn.nix` makes manifests of them.

  # Type

  ```
  { releases, package :: Shape }
  ```
*/
let
  generic = import ../generic/releases;
in
{
  /**
    cuDNN's releases by platform.
  */
  releases = generic.releasesByPlatform;

  /**
    One of them.
  */
  package = generic.releasePackage;
}
