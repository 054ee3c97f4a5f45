/**
  `mkCudaPackages`: a package set made from redistrib manifests, one derivation per package.

  Non-goals: the package sets of nixpkgs; nothing in here needs nixpkgs.

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

  `features`
  : Which outputs packages have: a folder tree of feature manifests (`cuda/feature_12.9.1.json`), or the set that
    `lib.manifests.indexFeatures` makes of one. In such a set a manifest may also be a value. Without it those in the folder
    `manifests`, if that is one. The outputs of what they do not list come from `nix/data/packages.json`, and what does not
    stand there either has only `out`. `cuda-redist index --features` writes one from the archives themselves.

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

  `interpreters`
  : The dynamic loader of executables, by platform: `{ linux-x86_64 = "${glibc}/lib/ld-linux-x86-64.so.2"; }`. Where it names
    none they keep the one that NVIDIA gave them.

  `cudaCompat`
  : Whether libraries look for the driver in the set's `cuda_compat` before all else, for a Jetson board whose own driver is
    older than the CUDA release. Only where the platform has that package.

  `cudaCapabilities`
  : Capabilities such as `"9.0"` that every library with device code has to serve, else building its package fails.

  `overrides`
  : What is different about single packages: `{ cudnn.allowedMissing = [ "libz.so.1" ]; }`, or a function from what they have
    without it, `{ cudnn = keys: { dlopen = keys.dlopen ++ [ "libnvjitlink" ]; }; }`. The keys are `outputs`, `patterns` (which
    paths go to an output, before the builder's own patterns), `dependencies` and `dlopen` (packages whose libraries are
    needed, or opened by name), `addNeeded` (libraries that files need besides what they say), `allowedMissing`,
    `drop` (globs of paths that are left out), `forbiddenTexts` (what no file but a licence may contain, such as `"/usr/"`),
    `moves` (folders of the archive, and where they go; `""` is the top), `links` (paths, and the texts of the links to make
    there), `merge` (folders, and those of other packages whose content is linked there:
    `{ include = [ { package = "cuda_crt"; output = "include"; path = "include"; } ]; }`) and `replaceTexts` (globs of files, and what is
    replaced in them: `{ "share/pkgconfig/x.pc"."-lx" = "-lx -ly"; }`).

  `isAllowed`
  : Whether a package, of which `pname`, `version` and `meta` are given, may be used; one that may not throws when its derivation is
    asked for. Without it all are: whose terms apply is said in `docs/licences.md`. The overlay asks the configuration of nixpkgs
    (`allowUnfree`).

  # Type

  ```
  mkCudaPackages :: AttrSet -> {
    ${package} :: Derivation,
    overrideScope :: (Scope -> Scope -> AttrSet) -> Scope,
    byPlatform :: { ${platform} :: Scope },
    releases :: { ${product} :: String },
    cudatoolkit :: Derivation,
    mkView :: AttrSet -> Derivation
  }
  ```

  `cudatoolkit` is the Toolkit in one folder, `mkView` makes such folders of other packages (`cudatoolkit.nix` beside this file).

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
    toString
    zipAttrsWith
    ;

  manifestsLib = import ../lib/manifests.nix;
  shapesLib = import ../lib/shapes.nix;
  platformsLib = import ../lib/platforms.nix;
  versionsLib = import ../lib/versions.nix;

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
  features ? null,
  mirror ? null,
  driverPaths ? [ "/run/opengl-driver/lib" ],
  interpreters ? { },
  cudaCompat ? false,
  cudaCapabilities ? [ ],
  overrides ? { },
  isAllowed ? _: true,
}:
let
  # A flake input is a set, too, but stands for its folder.
  _isSet = value: isAttrs value && !(value ? outPath);

  _index = if _isSet manifests then manifests else manifestsLib.index manifests;

  _featureIndex =
    if _isSet features then
      features
    else if features != null then
      manifestsLib.indexFeatures features
    else if _isSet manifests then
      { }
    else
      manifestsLib.indexFeatures manifests;

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
      value = if _isSet found then found else fromJSON (readFile found);
    in
    if _isSet found || _shapes ? ${product} then
      shapesLib.check (shapesLib.manifestOf (_shapes.${product} or "redistribRelease")) value
    else
      manifestsLib.read found;

  # Each read once, for all platforms.
  _manifests = mapAttrs (product: label: _read product (_fileOf product label)) _releases;

  # Those that there are of the same releases, by product.
  _features = mapAttrs (
    product: label:
    let
      found = _featureIndex.${product}.${label} or { };
    in
    if _isSet found then shapesLib.check "feature" found else manifestsLib.readFeatures found
  ) _releases;

  _cudaVersion = _releases.cuda or null;

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

  # A name that nobody knows would leave programs without a loader without a word.
  _interpreters =
    let
      unknown = filter (name: !(elem name platformsLib.linux)) (attrNames interpreters);
    in
    if unknown == [ ] then
      interpreters
    else
      throw ''
        ${_place}: `interpreters`: expected redist platforms, found ${_quoted unknown}
        Potential solutions:
        - choose among: ${_quoted platformsLib.linux}'';

  # A name that no release has would change nothing without a word.
  _overrides =
    let
      unknown = filter (package: !(_isListed package)) (attrNames overrides);
    in
    if unknown == [ ] then
      overrides
    else
      throw ''
        ${_place}: `overrides`: expected packages that a release of the set has, found ${_quoted unknown}
        Potential solutions:
        - correct the name
        - add the product that has the package to `releases`'';

  # Whether a release of the set has such a package, for whichever platform.
  _isListed = package: any (manifest: isAttrs (manifest.${package} or null)) (attrValues _manifests);

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
      isAllowed
      ;
  };

  _packaging =
    final:
    import ./packaging.nix {
      cudaVersion = _cudaVersion;
      features = _features;
      overrides = _overrides;
      isPackage = name: final ? ${name} || _isListed name;
      has = name: final ? ${name};
      driverPaths = map toString driverPaths;
    };

  _package =
    wanted: final: package: entries:
    let
      entry = head entries;
      keys = _packaging final entry;
      # What the platform does not have is left out.
      isThere = name: final ? ${name};
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
        entry
        // {
          inherit (keys) outputs features allowedMissing;
          dependencies = listToAttrs (
            map (name: {
              inherit name;
              value = final.${name};
            }) (filter isThere (keys.dependencies ++ keys.dlopen))
          );
          keys = {
            inherit (keys)
              addNeeded
              drop
              forbiddenTexts
              links
              moves
              patterns
              replaceTexts
              ;
            merge = import ./links.nix {
              packages = final;
              inherit isThere;
            } keys.merge;
            dlopen = filter isThere keys.dlopen;
            cudaVersion = _cudaVersion;
            interpreter = _interpreters.${wanted} or null;
            cudaCompat =
              if cudaCompat && package != "cuda_compat" && final ? cuda_compat then
                "${final.cuda_compat}"
              else
                null;
            capabilities = cudaCapabilities;
          };
        }
      );

  # A fixpoint: packages find each other in `final`, so an overlay that replaces one reaches all that need it.
  _scope =
    wanted: overlays:
    let
      base = mapAttrs (_package wanted final) (_found wanted) // {
        overrideScope = overlay: _scope wanted (overlays ++ [ overlay ]);
        byPlatform = listToAttrs (
          map (name: {
            inherit name;
            value = _scope name overlays;
          }) platformsLib.linux
        );
        releases = _releases;
      }
      // import ./cudatoolkit.nix {
        inherit system builder;
        packages = final;
        isThere = name: final ? ${name};
        version = _cudaVersion;
      };
      final = foldl' (prev: overlay: prev // overlay final prev) base overlays;
    in
    final;
in
_scope _platform [ ]
