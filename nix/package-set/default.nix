/**
  `mkCudaPackages`: a package set made from redistrib manifests, one derivation per package.

  Non-goals: fixups of single packages and the package sets of nixpkgs; nothing in here needs nixpkgs.

  # Inputs

  `system`
  : The Nix system of the machine that builds. It need not be the one that the packages are for.

  `manifests`
  : A folder tree of redistrib manifests (a path or a flake input), or the set that `lib.manifests.index` makes of
    one: `{ cuda."12.9.1" = ./redistrib_12.9.1.json; }`. In such a set a manifest may also be a value, as `builtins.fromJSON` reads
    it and the shims make it.

  `builder`
  : The package `cuda-redist`, or any folder with `bin/cuda-redist` in it, as a path: Nix copies it into its store, which
    is all that a sandbox sees.

  `releases`
  : Which label of which product, such as `{ cuda = "12.9.1"; cudnn = "9.8.0"; }`. Without it the newest CUDA.

  `shapes`
  : The shape of a release, by product, where it is not `redistribRelease`: `{ mine = lib.shapes.extend "redistribRelease" {
    origin = "url"; }; }`. With the plugin manifests are held against it when they are read; and each package's plan carries
    it, with the release as it is in the manifest, for the builder to do the same.

  `platform`
  : The redist platform that the packages are for. Without it the one of `system`. A Jetson board that is not served
    by `linux-sbsa` says `linux-aarch64` here.

  `cudaVariant`
  : The variant to take of releases that come in several, such as `cuda12`. Without it the one of the CUDA release.

  `variants`
  : The same for releases whose variants are not of CUDA, by what stands before `_variant`: `{ mpi = "4.1"; }` takes
    `mpi4.1` of a release with `mpi_variant`.

  `mirror`
  : A base URL to fetch archives from (`https://`, `file://`); without it NVIDIA's own.

  `driverPaths`
  : Where the driver's libraries will be found, a list of strings or paths; nothing there is read or copied. Only NixOS has
    them in `/run/opengl-driver/lib`.

  # Type

  ```
  mkCudaPackages :: AttrSet -> {
    ${package} :: Derivation,
    overrideScope :: (Scope -> Scope -> AttrSet) -> Scope,
    byPlatform :: { ${platform} :: Scope },
    releases :: { ${product} :: String }
  }
  ```

  `byPlatform.linux-sbsa` is the same set, overlays included, for another platform: still built by `system`.

  A package is there if its release has an archive for the platform. Names are NVIDIA's. Each is looked at only when it
  is used: what is wrong with one package leaves the others as they are.

  # Examples

  ```nix
  mkCudaPackages {
    system = "x86_64-linux";
    manifests = ./manifests;
    builder = pkgs.cuda-redist;
    releases.cuda = "12.9.1";
  }
  => { cuda_cudart = «derivation …-cuda_cudart-linux-x86_64-12.9.79.drv»; libcublas = …; … }
  ```

  # Laws

  - The derivations are the same with and without the plugin.
  - `(mkCudaPackages args).byPlatform.${p} == mkCudaPackages (args // { platform = p; })`, as far as derivations go.
*/
let
  inherit (builtins)
    any
    attrNames
    attrValues
    concatStringsSep
    elem
    filter
    foldl'
    fromJSON
    head
    isAttrs
    listToAttrs
    mapAttrs
    match
    length
    readFile
    zipAttrsWith
    ;

  manifestsLib = import ../lib/manifests.nix;
  shapesLib = import ../lib/shapes.nix;
  outputsLib = import ../lib/outputs.nix;
  platformsLib = import ../lib/platforms.nix;
  versionsLib = import ../lib/versions.nix;

  _facts = (fromJSON (readFile ../data/packages.json)).packages;
  _place = "cudaRedist.lib.mkCudaPackages";
  _quoted = names: concatStringsSep ", " (map (name: "`${name}`") names);
in
{
  system,
  manifests,
  builder,
  releases ? null,
  shapes ? { },
  platform ? platformsLib.fromSystem system,
  cudaVariant ? null,
  variants ? { },
  mirror ? null,
  driverPaths ? [ "/run/opengl-driver/lib" ],
}:
let
  _index =
    if isAttrs manifests && !(manifests ? outPath) then manifests else manifestsLib.index manifests;

  _labelsOf =
    product:
    _index.${product} or (throw ''
      ${_place}: `releases`: expected a product that has manifests, found `${product}`
      Potential solutions:
      - choose one of: ${_quoted (attrNames _index)}
      - add a manifest of it: `${product}/redistrib_LABEL.json`'');

  _fileOf =
    product: label:
    (_labelsOf product).${label} or (throw ''
      ${_place}: `releases.${product}`: expected the label of a manifest, found `${label}`
      Potential solutions:
      - choose one of: ${_quoted (attrNames (_labelsOf product))}
      - add its manifest: `${product}/redistrib_${label}.json`'');

  # A name that no manifest has would leave values unchecked without a word.
  _shapes =
    let
      unknown = filter (product: !(_index ? ${product})) (attrNames shapes);
    in
    if unknown == [ ] then
      shapes
    else
      throw ''
        ${_place}: `shapes`: expected products that have manifests, found ${_quoted unknown}
        Potential solutions:
        - choose among: ${_quoted (attrNames _index)}'';

  # A manifest of another shape than NVIDIA's, or one that is there as a value, is no file that the plugin's reader takes.
  _read =
    product: found:
    let
      isValue = isAttrs found && !(found ? outPath);
      value = if isValue then found else fromJSON (readFile found);
    in
    if isValue || _shapes ? ${product} then
      shapesLib.check (shapesLib.manifestOf (_shapes.${product} or "redistribRelease")) value
    else
      manifestsLib.read found;

  # Each read once, for all platforms.
  _manifests = mapAttrs (product: label: _read product (_fileOf product label)) _releases;

  _releases =
    if releases != null then
      releases
    else
      { cuda = versionsLib.newest (attrNames (_labelsOf "cuda")); };

  # A name that nobody knows would make a set that lacks packages without a word. `unsupported` is what
  # `lib.platforms.fromSystem` says of a system.
  _platform =
    if
      elem platform (platformsLib.linux ++ [ "unsupported" ])
      || any (manifest: any (release: release ? ${platform}) (attrValues manifest)) (
        attrValues _manifests
      )
    then
      platform
    else
      throw ''
        ${_place}: `platform`: expected a redist platform, found `${platform}`
        Potential solutions:
        - choose one of: ${_quoted platformsLib.linux}
        - leave it out to take the one of `system`'';

  # `cuda13.2.2`, `cuda13.2` and `cuda13` are all in use; the narrowest one is meant for this very release.
  _cudaVariants =
    if cudaVariant != null then
      if match "cuda[0-9.]+" cudaVariant != null then
        [ cudaVariant ]
      else
        throw ''
          ${_place}: `cudaVariant`: expected a variant such as `cuda12`, found `${cudaVariant}`
          Potential solutions:
          - write it as the manifests do: `cudaVariant = "cuda12"`
          - leave it out to take the one of `releases.cuda`''
    else if _releases ? cuda then
      map (version: "cuda${version}") [
        _releases.cuda
        (versionsLib.majorMinor _releases.cuda)
        (versionsLib.major _releases.cuda)
      ]
    else
      throw ''
        ${_place}: `cudaVariant`: expected a variant, because a release comes in several, found none
        Potential solutions:
        - say which one: `cudaVariant = "cuda12"`
        - name the CUDA release of the set: `releases.cuda = "12.9.1"`'';

  # The keys of the archives to take of a release with `${prefix}_variant`, best first.
  _variants =
    prefix:
    if variants ? ${prefix} then
      [ "${prefix}${variants.${prefix}}" ]
    else if prefix == "cuda" then
      _cudaVariants
    else
      throw ''
        ${_place}: `variants.${prefix}`: expected a variant, because a release comes in several, found none
        Potential solutions:
        - say which one of those that `${prefix}_variant` lists in its manifest: `variants.${prefix} = "1.0"`'';

  # What stands before `_variant` in the key that lists a release's variants; `null` where it has no such key.
  _prefix =
    release:
    let
      prefixes = filter (prefix: prefix != null) (map (match "(.*)_variant") (attrNames release));
    in
    if release ? cuda_variant then
      "cuda"
    else if prefixes == [ ] then
      null
    else
      head (head prefixes);

  # Without a CUDA release in the set nobody can tell, and one dependency too many does no harm.
  _isNeeded =
    need:
    !(need ? sinceCuda && _releases ? cuda) || versionsLib.atLeast _releases.cuda need.sinceCuda;

  # The keys below a release that lead to its archive for the platform; `null` if it has none. Everything in here is
  # safe on values of any type: it decides which names the set has, and a name must not depend on its siblings.
  _select =
    wanted: release:
    let
      platforms = filter (key: release ? ${key}) (platformsLib.preference wanted);
      entries = release.${head platforms};
      prefix = _prefix release;
      found = filter (key: entries ? ${key}) (_variants prefix);
    in
    if !(isAttrs release) || platforms == [ ] then
      null
    else if prefix == null then
      {
        platform = head platforms;
        variant = null;
        variantPrefix = null;
      }
    else if found == [ ] then
      null
    else
      {
        platform = head platforms;
        variant = head found;
        variantPrefix = prefix;
      };

  # Package to what the manifests of all products say about it, in a list of one.
  _found =
    wanted:
    zipAttrsWith (_: entries: entries) (
      map (
        product:
        let
          label = _releases.${product};
          manifest = _manifests.${product};
          selected = mapAttrs (_: _select wanted) manifest;
        in
        listToAttrs (
          map (package: {
            name = package;
            value = selected.${package} // {
              inherit product label package;
              release = manifest.${package};
              shape = _shapes.${product} or null;
            };
          }) (filter (package: selected.${package} != null) (attrNames selected))
        )
      ) (attrNames _releases)
    );

  _make = import ./generic-manifest-builder.nix {
    inherit
      system
      builder
      mirror
      driverPaths
      ;
  };

  _package =
    final: package: entries:
    let
      facts = _facts.${package} or { };
      needs = facts.dependencies or { };
      needed = filter (name: final ? ${name} && _isNeeded needs.${name}) (attrNames needs);
    in
    if length entries != 1 then
      throw ''
        ${_place}: `${package}`: expected one product that has it, found ${
          _quoted (map (entry: entry.product) entries)
        }
        Potential solutions:
        - leave one of them out of `releases`''
    else
      _make (
        head entries
        // {
          outputs = facts.outputs or outputsLib.default;
          dependencies = listToAttrs (
            map (name: {
              inherit name;
              value = final.${name};
            }) needed
          );
          allowedMissing = facts.allowedMissing or [ ];
        }
      );

  # A fixpoint: packages find each other in `final`, so an overlay that replaces one reaches all that need it.
  _scope =
    wanted: overlays:
    let
      base = mapAttrs (_package final) (_found wanted) // {
        overrideScope = overlay: _scope wanted (overlays ++ [ overlay ]);
        byPlatform = listToAttrs (
          map (name: {
            inherit name;
            value = _scope name overlays;
          }) platformsLib.linux
        );
        releases = _releases;
      };
      final = foldl' (prev: overlay: prev // overlay final prev) base overlays;
    in
    final;
in
_scope _platform [ ]
