/**
  Which release of which product a package set has, and which archive of a release a platform gets.

  Names of a set depend on this, so everything in here is safe on values of any type: what is wrong with one release leaves its
  siblings as they are.

  Non-goals: reading manifests (`catalog.nix`), making packages (`default.nix`).

  # Inputs

  `catalog`
  : Of `catalog.nix`.

  `releases`, `products`, `cudaVersion`, `cudaVariant`, `variants`
  : As for `mkCudaPackages`.

  # Type

  ```
  AttrSet -> {
    cudaVersion :: String | Null,         # of the set; perhaps only its first parts
    products :: [ String ],
    label :: String -> String -> String | Null, # platform -> product -> the release that a set for the platform has
    labels :: String -> [ String ],       # product -> all there are, the newest first
    newestOf :: String -> String -> [ String ] -> String, # platform -> product -> labels, the newest first -> the one to take
    manifest :: String -> String -> AttrSet,    # product -> label -> the manifest
    former :: String -> String -> [ { package, label :: String } ], # platform -> product -> what only older releases have, but others need
    packages :: String -> String -> [ String ], # product -> label -> the names of its packages
    entry :: String -> String -> String -> String -> Entry # platform -> product -> label -> package
  }
  ```

  where an `Entry` is `{ product, label, package, release, shape, platform, variant, variantPrefix, reason, pins }`. `reason` says why the
  platform has no such package; it is `null` where it has. `pins` are the packages that it needs of another release than the set has:
  `{ cudnn = "cudnn_8_9"; }`.
*/
{
  catalog,
  releases,
  products,
  cudaVersion,
  cudaVariant,
  variants,
}:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    fromJSON
    head
    intersectAttrs
    isAttrs
    isString
    length
    listToAttrs
    mapAttrs
    match
    readFile
    replaceStrings
    ;

  platformsLib = import ../lib/platforms.nix;
  versionsLib = import ../lib/versions.nix;
  shims = import ../shims;

  _facts = (fromJSON (readFile ../data/products.json)).products;
  _packages = (fromJSON (readFile ../data/packages.json)).packages;

  _place = "cudaRedist.lib.mkCudaPackages";
  _quoted = names: concatStringsSep ", " (map (name: "`${name}`") names);

  # The first of a list that passes; `null` if none does. What is behind it is not looked at.
  _first =
    passes: list:
    let
      _from =
        index:
        if index == length list then
          null
        else if passes (elemAt list index) then
          elemAt list index
        else
          _from (index + 1);
    in
    _from 0;

  _pinned = filter (product: releases.${product} != null) (attrNames releases);

  _products =
    let
      unknown = filter (product: !(elem product catalog.products)) (
        attrNames releases ++ (if products == null then [ ] else products)
      );
      outside = filter (product: products != null && !(elem product products)) _pinned;
    in
    if unknown != [ ] then
      throw ''
        ${_place}: `${
          if elem (head unknown) (attrNames releases) then "releases" else "products"
        }`: expected a product that has manifests, found ${_quoted unknown}
        Potential solutions:
        - choose one of: ${_quoted catalog.products}
        - add a manifest of it: `${head unknown}/redistrib_LABEL.json`''
    else if outside != [ ] then
      throw ''
        ${_place}: `releases`: expected products that are among `products`, found ${_quoted outside}
        Potential solutions:
        - add them to `products`''
    else
      filter (product: !(elem product (attrNames releases)) || releases.${product} != null) (
        if products == null then catalog.products else products
      );

  _checkVariant =
    variant:
    if match "cuda[0-9.]+" variant != null then
      variant
    else
      throw ''
        ${_place}: `cudaVariant`: expected a variant such as `cuda12`, found `${variant}`
        Potential solutions:
        - write it as the manifests do: `cudaVariant = "cuda12"`
        - leave it out to take the one of `releases.cuda`'';

  # What was said about the CUDA release without naming it: `12.9`, `12`.
  _wantedCuda =
    if cudaVersion != null then
      cudaVersion
    else if cudaVariant != null then
      head (match "cuda([0-9.]+)" (_checkVariant cudaVariant))
    else
      null;

  _cudaLabel =
    let
      labels = catalog.labels.cuda or [ ];
      fitting = filter (versionsLib.isOf _wantedCuda) labels;
      pinned = releases.cuda;
    in
    if !(elem "cuda" _products) then
      null
    else if releases ? cuda then
      if cudaVersion != null && !(versionsLib.isOf cudaVersion pinned) then
        throw ''
          ${_place}: `releases.cuda`: expected a release of CUDA ${cudaVersion}, as `cudaVersion` says, found `${pinned}`
          Potential solutions:
          - leave one of the two out''
      else
        pinned
    else if _wantedCuda == null then
      versionsLib.newest labels
    else if fitting == [ ] then
      throw ''
        ${_place}: `${
          if cudaVersion != null then "cudaVersion" else "cudaVariant"
        }`: expected one that a manifest of CUDA has, found `${
          if cudaVersion != null then cudaVersion else cudaVariant
        }`
        Potential solutions:
        - choose one of: ${_quoted labels}
        - leave CUDA itself out: `releases.cuda = null`''
    else
      head fitting;

  # Whoever names a release of CUDA itself may have another variant of the other products beside it; these two say the same thing.
  _cudaVersion =
    let
      found = if _cudaLabel != null then _cudaLabel else _wantedCuda;
      ofVariant = head (match "cuda([0-9.]+)" (_checkVariant cudaVariant));
    in
    if
      cudaVariant == null
      || cudaVersion == null
      || versionsLib.isOf ofVariant found
      || versionsLib.isOf found ofVariant
    then
      found
    else
      throw ''
        ${_place}: `cudaVariant`: expected a variant of CUDA ${found}, as `cudaVersion` says, found `${cudaVariant}`
        Potential solutions:
        - leave one of the two out'';

  # `cuda13.2.2`, `cuda13.2` and `cuda13` are all in use; the narrowest one is meant for this very release.
  _cudaVariants =
    if cudaVariant != null then
      [ (_checkVariant cudaVariant) ]
    else if _cudaVersion != null then
      map (version: "cuda${version}") [
        _cudaVersion
        (versionsLib.majorMinor _cudaVersion)
        (versionsLib.major _cudaVersion)
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

  # The first variant that is wanted and there; `null` if none is.
  _variantOf = prefix: entries: _first (key: entries ? ${key}) (_variants prefix);

  # Of releases without variants of CUDA some say by their age which CUDA they are for: `{ min ?, max ? }`.
  _cudaOfFlat =
    product: label:
    let
      found = _first (range: !(range ? before) || !(versionsLib.atLeast label range.before)) (
        _facts.${product}.flat or [ ]
      );
    in
    if found == null then { } else found;

  # What is wrong with the CUDA release for a flat release of the product; `null` if nothing is.
  _unfitness =
    product: label:
    let
      range = _cudaOfFlat product label;
    in
    if _cudaVersion == null then
      null
    else if range ? max && !(versionsLib.mayBeAtMost _cudaVersion range.max) then
      "CUDA ${range.max} or older"
    else if range ? min && !(versionsLib.mayBeAtLeast _cudaVersion range.min) then
      "CUDA ${range.min} or newer"
    else
      null;

  _archives = release: filter (key: isAttrs release.${key}) (attrNames release);

  _decision = platform: variant: variantPrefix: reason: {
    inherit
      platform
      variant
      variantPrefix
      reason
      ;
  };

  # Which archive of a release a platform gets, or why it gets none.
  _select =
    wanted: product: label: release:
    let
      prefix = _prefix release;
      unfitness = _unfitness product label;
      platforms = filter (key: release ? ${key}) (platformsLib.preference wanted);
      withVariant = _first (key: _variantOf prefix release.${key} != null) platforms;
      none = _decision wanted null null;
      there = concatMap (
        key: if isAttrs release.${key} then filter (name: name != "hash") (attrNames release.${key}) else [ ]
      ) platforms;
    in
    if !(isAttrs release) then
      none "expected a release, found none"
    else if platforms == [ ] then
      none "expected an archive for ${
        if wanted == "unsupported" then "this system" else "`${wanted}`"
      }, found ${
        if _archives release == [ ] then "none at all" else "archives for ${_quoted (_archives release)}"
      }"
    else if prefix == null then
      if unfitness == null then
        _decision (head platforms) null null null
      else
        none "expected an archive for CUDA ${_cudaVersion}, found one for ${unfitness}"
    else if withVariant == null then
      none "expected an archive for one of ${_quoted (_variants prefix)}, found archives for ${_quoted there}"
    else
      _decision withVariant (_variantOf prefix release.${withVariant}) prefix null;

  _expressionsOf = product: {
    releases = catalog.expressions.${product};
    cudaVersion =
      if _cudaVersion != null then
        _cudaVersion
      else
        throw ''
          ${_place}: `releaseExpressions.${product}`: expected a CUDA release in the set, because releases are for some of them only, found none
          Potential solutions:
          - say which one: `cudaVersion = "12.9"`'';
  };

  # Which versions of other packages releases were built with, where they say so.
  _builtWith = mapAttrs (product: _: shims.${product}.needs (_expressionsOf product)) catalog.expressions;

  # The name of a package in its version, for which a newer one of the same major version can stand in: the set's own release if it can,
  # else the version itself, else the next one.
  _pin =
    wanted: entry: package: version:
    let
      own = label wanted package;
      # The products that are needed so have one package of their own name.
      isThere =
        found: elem package (packages package found) && (_entry wanted package found package).reason == null;
      isFitting =
        found:
        versionsLib.major found == versionsLib.major version
        && versionsLib.mayBeAtLeast found version
        && isThere found;
      fitting = filter isFitting (labels package);
      oldest = versionsLib.majorMinor (elemAt fitting (length fitting - 1));
    in
    if own != null && isFitting own then
      package
    else if fitting != [ ] then
      "${package}_${replaceStrings [ "." ] [ "_" ] oldest}"
    else
      throw ''
        ${_place}: `${entry.package}` of `${entry.product}` `${entry.label}`: expected `${package}` ${version}, which it was built with, found ${
          if own == null then "none" else "`${own}`"
        }
        Potential solutions:
        - add a manifest or a release expression of it, for `${wanted}` and CUDA ${_cudaVersion}
        - say what to take: `overrides.${entry.package} = keys: { dependencies = [ … ]; }`'';

  # Manifests made of release expressions, those that fit the CUDA release, save of what a manifest lists already.
  _shimmed = mapAttrs (
    product: _:
    let
      made = shims.${product}.redistrib (_expressionsOf product);
      isInManifest =
        label:
        elem label (catalog.labels.${product} or [ ])
        || elem (versionsLib.majorMinorPatch label) (catalog.labels.${product} or [ ]);
    in
    removeAttrs made (filter isInManifest (attrNames made))
  ) catalog.expressions;

  # Once for each product.
  _labelsOf = listToAttrs (
    map (product: {
      name = product;
      value =
        if _shimmed ? ${product} then
          versionsLib.newestFirst (
            (catalog.labels.${product} or [ ]) ++ attrNames _shimmed.${product}
          )
        else
          catalog.labels.${product} or [ ];
    }) catalog.products
  );
  labels = product: _labelsOf.${product};

  manifest =
    product: label:
    catalog.manifests.${product}.${label} or _shimmed.${product}.${label} or (throw ''
      ${_place}: `releases.${product}`: expected the label of a manifest, found `${label}`
      Potential solutions:
      - choose one of: ${_quoted (labels product)}
      - add its manifest: `${product}/redistrib_${label}.json`'');

  packages =
    product: label:
    let
      found = manifest product label;
    in
    filter (name: isAttrs found.${name}) (attrNames found);

  entry =
    wanted: product: label: package:
    let
      found = _entry wanted product label package;
    in
    found
    // {
      pins =
        if _isListed product label then
          { }
        else
          mapAttrs (_pin wanted found) (
            intersectAttrs (listToAttrs (map (name: { inherit name; value = null; }) _products)) (
              _builtWith.${product}.${label}.${found.platform} or { }
            )
          );
    };

  _isListed =
    product: label: catalog.manifests ? ${product} && catalog.manifests.${product} ? ${label};

  _entry =
    wanted: product: label: package:
    let
      release = (manifest product label).${package};
      found = _select wanted product label release;
      # What no set has is not there for any platform.
      never = _packages.${package}.unsupported or null;
      selected = if found.reason == null && never != null then found // { reason = never; } else found;
    in
    selected
    // {
      inherit
        product
        label
        package
        release
        ;
      shape =
        if _isListed product label then
          catalog.shapes.${product} or null
        else
          "buildableRelease";
      reason =
        if selected.reason == null then
          null
        else
          "`${package}` of `${product}` `${label}`: ${selected.reason}";
    };

  # Whether a release has something for the machines of the platform. What runs anywhere says nothing about that.
  _isFor =
    wanted: product: label:
    _first (
      package:
      let
        selected = entry wanted product label package;
      in
      selected.reason == null && selected.platform == wanted
    ) (packages product label) != null;

  # Whether it has something for the CUDA release, for whichever platform.
  _isForAny =
    product: label:
    _first (
      package:
      let
        release = (manifest product label).${package};
      in
      _first (key: (_select key product label release).reason == null) (
        filter (key: !(elem key platformsLib.anywhere)) (_archives release)
      ) != null
    ) (packages product label) != null;

  newestOf =
    wanted: product: candidates:
    let
      here = _first (_isFor wanted product) candidates;
      anywhere = _first (_isForAny product) candidates;
    in
    if here != null then
      here
    else if anywhere != null then
      anywhere
    else
      head candidates;

  label =
    wanted: product:
    if product == "cuda" then
      _cudaLabel
    else if releases ? ${product} then
      releases.${product}
    else if labels product == [ ] then
      null
    else
      newestOf wanted product (labels product);

  former =
    wanted: product:
    let
      chosen = label wanted product;
      # Of those that have the package the newest for the platform, as for any.
      labelOf =
        package:
        let
          having = filter (label: elem package (packages product label)) (labels product);
          here = _first (label: (entry wanted product label package).reason == null) having;
        in
        if here != null then
          here
        else if having != [ ] then
          head having
        else
          null;
    in
    if chosen == null then
      [ ]
    else
      filter (found: found.label != null) (
        map (package: {
          inherit package;
          label = labelOf package;
        }) (
          filter (package: !(elem package (packages product chosen))) (_facts.${product}.former or [ ])
        )
      );
in
{
  cudaVersion = _cudaVersion;
  products = _products;
  inherit
    label
    labels
    newestOf
    manifest
    packages
    entry
    former
    ;
}
