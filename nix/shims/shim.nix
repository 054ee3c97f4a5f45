/**
  The maker of shims: functions that turn a product's release expressions into manifests, so that releases that no manifest
  lists go through the same package set.

  Non-goals: judging releases; `lib.modules` has their shapes, and `buildableRelease` is the shape of what comes out.

  # Inputs

  `product`
  : The product, and the package in its manifests.

  `name`, `license`
  : What NVIDIA's own manifests say of the product.

  `relativePath`
  : Where the archive of a release without `url` lies below the product's address.

  `needs`
  : Which versions of other packages a release was built with: a function from it.

  # Type

  ```
  { product, name, license :: String, relativePath :: Release -> String, needs :: Release -> { ${package} :: String } } -> {
    redistribRelease :: String -> Release -> AttrSet,
    featureRelease :: String -> Release -> AttrSet,
    redistrib, feature :: { releases :: AttrSet, cudaVersion :: String } -> { ${label} :: AttrSet },
    needs :: { releases :: AttrSet, cudaVersion :: String } -> { ${label} :: { ${platform} :: { ${package} :: String } } }
  }
  ```
*/
{
  product,
  name,
  license,
  relativePath,
  needs,
}:
let
  inherit (builtins)
    attrNames
    concatLists
    filter
    fromJSON
    groupBy
    head
    length
    mapAttrs
    match
    readFile
    stringLength
    substring
    toString
    ;

  hashes = import ../lib/hashes.nix;
  sources = import ../lib/sources.nix;
  versions = import ../lib/versions.nix;

  _facts = (fromJSON (readFile ../data/packages.json)).packages.${product};

  # Feature manifests have a word of their own for one output.
  _outputs = map (output: if output == "samples" then "sample" else output) _facts.outputs;

  # Where the product's archives lie if nobody says otherwise.
  _address = sources.url {
    inherit product;
    relativePath = "";
  };

  # Below the product's address the path says it all. Elsewhere the path is that below the host, which is where a mirror has
  # the archive, and the URL is kept.
  _location =
    release:
    if !(release ? url) then
      { relative_path = relativePath release; }
    else if substring 0 (stringLength _address) release.url == _address then
      { relative_path = substring (stringLength _address) (-1) release.url; }
    else
      let
        below = match "[a-z]+://[^/]*/+(.+)" release.url;
      in
      {
        relative_path =
          if below != null then
            head below
          else
            throw ''
              cudaRedist.lib.shims.${product}: `url` of ${toString release.version}: expected a URL with a path, found `${release.url}`
              Potential solutions:
              - check the release with `lib.check lib.modules.${product}.package`'';
        inherit (release) url;
      };

  _archive =
    release:
    _location release
    // {
      sha256 = hashes.toHex release.hash;
    };

  _release = version: archives: { inherit name license version; } // archives;

  _features = mapAttrs (_: _: { outputs = _outputs; });

  # Of the CUDA release perhaps only the first part is known.
  _fits =
    cudaVersion: release:
    versions.mayBeAtLeast cudaVersion release.minCudaVersion
    && versions.mayBeAtMost cudaVersion release.maxCudaVersion;

  _only =
    version: platform: cudaVersion: all:
    let
      # Any 12 may be meant: the newest, as of all that is not said.
      newest = versions.newest (map (entry: entry.release.maxCudaVersion) all);
      found =
        if versions.major cudaVersion == cudaVersion then
          filter (entry: entry.release.maxCudaVersion == newest) all
        else
          all;
    in
    if length found == 1 then
      (head found).release
    else
      throw ''
        cudaRedist.lib.shims.${product}: ${version} for `${platform}`: expected one release for CUDA ${cudaVersion}, found ${toString (length found)}
        Potential solutions:
        - make their `minCudaVersion` and `maxCudaVersion` exclude each other'';

  # Version to platform to the release that fits.
  _chosen =
    { releases, cudaVersion }:
    let
      fitting = concatLists (
        map (
          platform:
          map (release: { inherit platform release; }) (filter (_fits cudaVersion) releases.${platform})
        ) (attrNames releases)
      );
    in
    mapAttrs (
      version: found:
      mapAttrs (platform: _only version platform cudaVersion) (groupBy (entry: entry.platform) found)
    ) (groupBy (entry: entry.release.version) fitting);
in
{
  /**
    One release as a redistrib manifest has it.

    # Inputs

    `platform`
    : The platform below which the release is listed.

    `release`
    : The release.

    # Type

    ```
    redistribRelease :: String -> Release -> AttrSet
    ```
  */
  redistribRelease =
    platform: release: _release release.version { ${platform} = _archive release; };

  /**
    One release as a feature manifest has it.

    # Inputs

    `platform`, `release`
    : As for `redistribRelease`.

    # Type

    ```
    featureRelease :: String -> Release -> AttrSet
    ```
  */
  featureRelease = platform: release: _features { ${platform} = release; };

  /**
    A redistrib manifest for each version that has a release for a version of CUDA. `mkCudaPackages` takes the result as
    `manifests.PRODUCT`, with `shapes.PRODUCT = "buildableRelease"`.

    # Inputs

    `releases`
    : Lists of releases by platform: `(lib.manifests.readReleases file).PRODUCT.releases`.

    `cudaVersion`
    : The version of CUDA. Of `12` alone each version is there in the archive for the newest 12.

    # Type

    ```
    redistrib :: { releases :: AttrSet, cudaVersion :: String } -> { ${version} :: AttrSet }
    ```
  */
  redistrib =
    arguments:
    mapAttrs (version: byPlatform: {
      release_label = version;
      release_product = product;
      ${product} = _release version (mapAttrs (_: _archive) byPlatform);
    }) (_chosen arguments);

  /**
    The feature manifests that go with `redistrib`. `mkCudaPackages` takes the result as `features.PRODUCT`.

    # Inputs

    `releases`, `cudaVersion`
    : As for `redistrib`.

    # Type

    ```
    feature :: { releases :: AttrSet, cudaVersion :: String } -> { ${version} :: AttrSet }
    ```
  */
  feature =
    arguments: mapAttrs (_: byPlatform: { ${product} = _features byPlatform; }) (_chosen arguments);

  /**
    Which versions of other packages the releases of `redistrib` were built with, as far as they say. A manifest has no place for that:
    `mkCudaPackages` heeds it of `releaseExpressions`.

    # Inputs

    `releases`, `cudaVersion`
    : As for `redistrib`.

    # Type

    ```
    needs :: { releases :: AttrSet, cudaVersion :: String } -> { ${version} :: { ${platform} :: { ${package} :: String } } }
    ```
  */
  needs = arguments: mapAttrs (_: mapAttrs (_: needs)) (_chosen arguments);
}
