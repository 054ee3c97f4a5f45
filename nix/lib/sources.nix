/**
  Where an archive is fetched from.

  Non-goals: fetching. `nix/package-set/generic-manifest-builder.nix` turns a URL and a hash into a derivation.
*/
let
  inherit (builtins)
    baseNameOf
    elemAt
    isString
    match
    substring
    typeOf
    ;

  _prefix = "https://developer.download.nvidia.com/compute";

  # TensorRT's archives do not lie below `<product>/redist/`.
  _folderOf = product: if product == "tensorrt" then "machine-learning" else "${product}/redist";

  _mirrorReason =
    mirror:
    if !(isString mirror) then
      "found a ${typeOf mirror}"
    else if match "[a-z]+://.*[^/]/*" mirror == null then
      "found `${mirror}`"
    else
      null;

  _mirror =
    mirror:
    if _mirrorReason mirror == null then
      # `match` forgets the store path that a folder in the store comes from; without it no sandbox would see the folder.
      substring 0 0 mirror + elemAt (match "(.*[^/])/*" mirror) 0
    else
      throw ''
        cudaRedist.lib.sources.url: `mirror`: expected a base URL, ${_mirrorReason mirror}
        Potential solutions:
        - write a URL such as `https://example.org/cuda`, or `file:///srv/cuda` for a folder
        - leave it out to fetch from NVIDIA'';
in
{
  /**
    The URL of an archive: at NVIDIA, or below a mirror that has the archives at their `relative_path`.

    # Inputs

    `product`
    : The product the manifest belongs to, such as `cuda`.

    `relativePath`
    : The archive's `relative_path` in the manifest. One that begins with `../../../pool/`, as in the manifests of NVIDIA's
      channels, is in the folder `pool` of the mirror, which must be given.

    `mirror`
    : `null`, or a base URL (`https://`, `file://`), with or without a slash at its end. A folder in the store
      (`"file://${./archives}"`) is seen in the sandbox, too.

    # Type

    ```
    url :: { product :: String, relativePath :: String, mirror :: String | Null } -> String
    ```

    # Examples

    ```nix
    url { product = "cuda"; relativePath = "a/b.tar.xz"; mirror = null; }
    => "https://developer.download.nvidia.com/compute/cuda/redist/a/b.tar.xz"
    url { product = "cuda"; relativePath = "a/b.tar.xz"; mirror = "file:///srv/cuda"; }
    => "file:///srv/cuda/a/b.tar.xz"
    ```
  */
  url =
    {
      product,
      relativePath,
      mirror ? null,
    }:
    let
      # How a channel's manifest leads to the pool beside its own folder. The judge lets through only this one form.
      pool = match "[.][.]/[.][.]/[.][.]/(pool/.*)" relativePath;
    in
    if pool != null && mirror == null then
      throw ''
        cudaRedist.lib.sources.url: `mirror`: expected the address of the channel, as `${relativePath}` is in the pool of one, found none
        Potential solutions:
        - write the address that has the folder `pool` in it as `mirror`''
    else if pool != null then
      "${_mirror mirror}/${elemAt pool 0}"
    else if mirror == null then
      "${_prefix}/${_folderOf product}/${relativePath}"
    else
      "${_mirror mirror}/${relativePath}";

  /**
    The file name of an archive, which is also its name in the Nix store.

    # Type

    ```
    fileName :: String -> String
    ```

    # Examples

    ```nix
    fileName "cuda_nvcc/linux-x86_64/cuda_nvcc-linux-x86_64-12.9.86-archive.tar.xz"
    => "cuda_nvcc-linux-x86_64-12.9.86-archive.tar.xz"
    ```
  */
  fileName = baseNameOf;
}
