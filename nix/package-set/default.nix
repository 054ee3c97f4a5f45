/**
  `mkCudaPackages`: a package set made from redistrib manifests, one derivation per package.

  Non-goals: the package sets of nixpkgs; nothing in here needs nixpkgs.

  # Inputs

  `system`
  : The Nix system of the machine that builds. It need not be the one that the packages are for.

  `manifests`
  : A folder tree of redistrib manifests (a path or a flake input), or the set that `lib.manifests.index` makes of
    one: `{ cuda."12.9.1" = ./redistrib_12.9.1.json; }`. In such a set a manifest may also be a value, as `builtins.fromJSON` reads
    it and the shims make it. Or a catalog, which several sets share: `lib.catalog { manifests = ./manifests; }`.

  `builder`
  : The package `cuda-redist`, or any folder with `bin/cuda-redist` in it, as a path: Nix copies it into its store, which
    is all that a sandbox sees.

  `releases`
  : Which label of which product, such as `{ cuda = "12.9.1"; cudnn = "9.8.0"; }`. Of a product that is not named there is the newest
    release that has something for the CUDA release and the platform; `null` leaves a product out. Without a label of CUDA the
    one that `cudaVersion` or `cudaVariant` asks for, or the newest.

  `cudaVersion`
  : The CUDA release as far as it matters: `"12"`, `"12.9"`, or a label. Of several the newest is taken.

  `products`
  : The products to choose from, such as `[ "cuda" "cudnn" ]`; without it all that have manifests.

  `shapes`
  : The shape of a release, by product, where it is not `redistribRelease`: `{ mine = lib.shapes.extend "redistribRelease" {
    origin = "url"; }; }`. With the plugin manifests are held against it when they are read; and each package's plan carries
    it, with the release as it is in the manifest, for the builder to do the same.

  `features`
  : Which outputs packages have: a folder tree of feature manifests (`cuda/feature_12.9.1.json`), or the set that
    `lib.manifests.indexFeatures` makes of one. In such a set a manifest may also be a value. Without it those in the folder
    `manifests`, if that is one. The outputs of what they do not list come from `nix/data/packages.json`, and what does not
    stand there either has only `out`. `cuda-redist index --features` writes one from the archives themselves.

  `releaseExpressions`
  : Release expressions of cuDNN and TensorRT, for releases that no manifest lists: a folder with `cudnn.json` or `tensorrt.nix` in it, or
    a set, `{ cudnn = ./cudnn.json; }`, in which the releases by platform may also be a value. `lib.shims` makes manifests of them.

  `targetSystem`
  : The Nix system that the packages are for; without it `system`.

  `platform`
  : The redist platform that the packages are for. Without it the one of `targetSystem`; of an aarch64 machine that is `linux-aarch64`
    if one of `cudaCapabilities` is of a Jetson board that `linux-sbsa` does not serve.

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
  : Capabilities such as `"9.0"` that every library with device code has to serve, else building its package fails. They are
    checked against the CUDA release and the platform, and decide about the platform of a Jetson board. Without it `flags` has
    the ones that CUDA's users usually want, and no library is looked into.

  `cudaForwardCompat`
  : Whether `flags` ask for PTX, which later devices can run.

  `hostLibraries`
  : Packages that have libraries which are not NVIDIA's, by the name of the library, `*` standing for any text:
    `{ "libz.so.1" = pkgs.zlib; "libibverbs.so.*" = pkgs.rdma-core; }`, or all that are known of a nixpkgs,
    `lib.hostLibraries pkgs`. Or a function from the platform that packages are for to such a set: `byPlatform` has those of other
    machines. Without them `nix/data/packages.json` says which ones a package may look for on the host.

  `fixups`
  : Fixups as in `nix/package-set/fixups`, by package: `{ libfoo = { version, platform, variant, cudaVersion, ... }: keys: {
    drop = [ "lib/*_static.a" ]; }; }`. Names that no release has are fine: a fixup is for whoever has the package.

  `overrides`
  : What is different about single packages: `{ cudnn.allowedMissing = [ "libz.so.1" ]; }`, or a function from what they have
    without it, `{ cudnn = keys: { dlopen = keys.dlopen ++ [ "libnvjitlink" ]; }; }`. The keys are `outputs`, `patterns` (which
    paths go to an output, before the builder's own patterns), `dependencies` and `dlopen` (packages whose libraries are
    needed, or opened by name), `hostLibraries` (those of the argument that it gets), `addNeeded` (libraries that files need
    besides what they say), `allowedMissing`, `drop` (globs of paths that are left out), `forbiddenTexts` (what no file but a
    licence may contain, such as `"/usr/"`), `moves` (folders of the archive, and where they go; `""` is the top), `links` (paths,
    and the texts of the links to make there), `merge` (folders, and those of other packages whose content is linked there:
    `{ include = [ { package = "cuda_crt"; output = "include"; path = "include"; } ]; }`) and `replaceTexts` (globs of files, and what
    is replaced in them: `{ "share/pkgconfig/x.pc"."-lx" = "-lx -ly"; }`).

  `isAllowed`
  : Whether a package, of which `pname`, `version` and `meta` are given, may be used; one that may not throws when its derivation is
    asked for. Without it all are: whose terms apply is said in `docs/licences.md`. The overlay asks the configuration of nixpkgs
    (`allowUnfree`).

  # Type

  ```
  mkCudaPackages :: AttrSet -> {
    ${package} :: Derivation,
    ${package + "_" + major + "_" + minor} :: Derivation,
    overrideScope :: (Scope -> Scope -> AttrSet) -> Scope,
    override :: (AttrSet | AttrSet -> AttrSet) -> Scope,
    byPlatform :: { ${platform} :: Scope },
    byRelease :: { ${product} :: { ${label} :: { ${package} :: Derivation } } },
    releases :: { ${product} :: String },
    cudaVersion :: String | Null,
    flags :: AttrSet,
    listing :: { ${package} :: AttrSet },
    cudatoolkit :: Derivation,
    mkView :: AttrSet -> Derivation
  }
  ```

  `cudatoolkit` is the Toolkit in one folder, `mkView` makes such folders of other packages (`cudatoolkit.nix` beside this file).

  Every package of the set's releases is there, under NVIDIA's name. One that the platform or the CUDA release does not have is a
  value that says so (`meta.unsupported`, `reason`) and refuses only to be built; `lib.supported SET` has the others.
  Each is looked at only when it is used: what is wrong with one package leaves the others as they are.

  `cudnn_9_8` is cuDNN of the newest release 9.8 that has something for the CUDA release and the platform: so for every package of every
  product but CUDA itself. `byRelease.cudnn."9.8.0".cudnn` is the one of exactly that release.

  `byPlatform.linux-sbsa` is the same set, overlays included, for another platform: still built by `system`.
  `override { mirror = …; }` is the same set, overlays included, with other arguments.
  `flags` are those of `lib.capabilities.flags`. `listing` says of each package which platforms and variants its release has,
  Windows included.

  A package has `overridePlan`, which takes what `overrides` takes, `overrideAttrs`, which takes attributes of its derivation or a function from
  those that it has, and `override`, which takes `{ system, builder, mirror, driverPaths, release }`, or a function from those.

  `passthru.needs` has the names of all packages that it may depend on, whether the set has them or not.

  # Examples

  ```nix
  mkCudaPackages {
    system = "x86_64-linux";
    manifests = ./manifests;
    builder = pkgs.cuda-redist;
    cudaVersion = "12.9";
  }
  => { cuda_cudart = «derivation …-cuda_cudart-linux-x86_64-12.9.79.drv»; cudnn = …; cudnn_9_8 = …; … }
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
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    genericClosure
    groupBy
    head
    intersectAttrs
    isAttrs
    isFunction
    isList
    listToAttrs
    mapAttrs
    match
    replaceStrings
    seq
    toString
    zipAttrsWith
    ;

  capabilitiesLib = import ../lib/capabilities.nix;
  hostLib = import ../lib/host-libraries.nix;
  platformsLib = import ../lib/platforms.nix;
  versionsLib = import ../lib/versions.nix;

  _place = "cudaRedist.lib.mkCudaPackages";
  _quoted = names: concatStringsSep ", " (map (name: "`${name}`") names);

  _toSet = names: f: listToAttrs (map (name: { inherit name; value = f name; }) names);

  # Whether a name is that of a package which the platform has; an overlay may say `null`.
  _isThere =
    packages: name:
    packages ? ${name} && packages.${name} != null && !(packages.${name}.meta.unsupported or false);

  # The set with `overlays` on top.
  _mkCudaPackages =
    overlays:
    {
      system,
      manifests,
      builder,
      releases ? null,
      cudaVersion ? null,
      products ? null,
      shapes ? { },
      targetSystem ? system,
      platform ? null,
      cudaVariant ? null,
      variants ? { },
      features ? null,
      releaseExpressions ? { },
      mirror ? null,
      driverPaths ? [ "/run/opengl-driver/lib" ],
      interpreters ? { },
      cudaCompat ? false,
      cudaCapabilities ? [ ],
      cudaForwardCompat ? true,
      hostLibraries ? { },
      fixups ? { },
      overrides ? { },
      isAllowed ? _: true,
    }@arguments:
    let
      _ofCatalog = {
        features = null;
        shapes = null;
        releaseExpressions = null;
      };

      # A catalog that others share has been read already. What is said besides is said of its manifests.
      _catalog =
        let
          given = intersectAttrs _ofCatalog arguments;
        in
        if !(isAttrs manifests && manifests.isCatalog or false) then
          import ./catalog.nix ({ inherit manifests; } // given)
        else if given == { } then
          manifests
        else
          import ./catalog.nix (manifests.arguments // given);

      _selection = import ./selection.nix {
        catalog = _catalog;
        releases = if releases == null then { } else releases;
        inherit
          products
          cudaVersion
          cudaVariant
          variants
          ;
      };

      _cudaVersion = _selection.cudaVersion;

      # A name that nobody knows would make a set that lacks packages without a word. `unsupported` is what
      # `lib.platforms.fromSystem` says of a system.
      _platform =
        if platform == null then
          capabilitiesLib.platformOf {
            system = targetSystem;
            cudaVersion = _cudaVersion;
            capabilities = cudaCapabilities;
          }
        else if
          elem platform (platformsLib.linux ++ [ "unsupported" ])
          || any (
            product:
            let
              label = _selection.label platform product;
            in
            label != null
            && any (package: (_selection.manifest product label).${package} ? ${platform}) (
              _selection.packages product label
            )
          ) _selection.products
        then
          platform
        else
          throw ''
            ${_place}: `platform`: expected a redist platform, found `${platform}`
            Potential solutions:
            - choose one of: ${_quoted platformsLib.linux}
            - leave it out to take the one of `targetSystem`'';

      _flags =
        wanted:
        capabilitiesLib.flags {
          cudaVersion = _cudaVersion;
          platform = wanted;
          capabilities = cudaCapabilities;
          inherit cudaForwardCompat;
        };

      # What `cudaCapabilities` chose the platform by has to be one of its: there might be no package that tells.
      _fitsPlatform =
        if platform == null && _platform != platformsLib.fromSystem targetSystem then
          (_flags _platform).devices
        else
          null;

      # The capabilities are for the set's own platform. Of others they may say that there is nothing to be had.
      _unfitness =
        wanted:
        let
          found = capabilitiesLib.problems {
            cudaVersion = _cudaVersion;
            platform = wanted;
            capabilities = cudaCapabilities;
          };
        in
        if wanted == _platform || found == [ ] then
          null
        else
          "`cudaCapabilities`: ${concatStringsSep "; " found}";

      _entry =
        wanted:
        let
          unfitness = _unfitness wanted;
        in
        product: label: package:
        let
          found = _selection.entry wanted product label package;
        in
        if unfitness == null || found.reason != null then
          found
        else
          found // { reason = "`${package}` of `${product}` `${label}`: ${unfitness}"; };

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
      _isListed =
        package:
        any (
          product:
          any (
            wanted:
            let
              label = _selection.label wanted product;
            in
            label != null
            && (
              elem package (_selection.packages product label)
              || any (former: former.package == package) (_selection.former wanted product)
            )
          ) platformsLib.linux
        ) _selection.products;

      _make = import ./generic-manifest-builder.nix;
      _refuse = import ./unsupported.nix { inherit system; };
      _made = {
        inherit
          system
          builder
          mirror
          driverPaths
          isAllowed
          ;
      };

      _labels =
        wanted:
        filter (found: found.label != null) (
          map (product: {
            inherit product;
            label = _selection.label wanted product;
          }) _selection.products
        );

      # Package to what the releases of all products say about it, in a list of one.
      _entries =
        wanted:
        zipAttrsWith (_: entries: entries) (
          map (
            { product, label }:
            _toSet (_selection.packages product label) (_entry wanted product label)
            // listToAttrs (
              map (former: {
                name = former.package;
                value = _entry wanted product former.label former.package;
              }) (_selection.former wanted product)
            )
          ) (_labels wanted)
        );

      # Everything that packages of one platform share.
      _scope =
        wanted: overlays:
        let
          entries = _entries wanted;
          flags = _flags wanted;

          libraries = if isFunction hostLibraries then hostLibraries wanted else hostLibraries;

          # What feature manifests say of an archive.
          featuresOf =
            entry: _catalog.features.${entry.product}.${entry.label}.${entry.package}.${entry.platform} or null;

          # Sonames to the packages of the set that have them, as far as feature manifests say. What is the driver's is so
          # whoever has a stub of it.
          providers =
            let
              ofDriver = {
                "libcuda.so.1" = null;
                "libnvcudla.so" = null;
                "libnvidia-ml.so.1" = null;
              };
              sonames =
                found:
                if isList found then
                  found
                else if isAttrs found then
                  concatLists (filter isList (map (folder: found.${folder}) (attrNames found)))
                else
                  [ ];
              ofPackage =
                package:
                let
                  entry = head entries.${package};
                  found = featuresOf entry;
                in
                if entry.reason != null || found == null then
                  [ ]
                else
                  map (soname: {
                    name = soname;
                    value = package;
                  }) (sonames (found.providedLibs or null));
            in
            removeAttrs (listToAttrs (concatMap ofPackage (attrNames entries))) (attrNames ofDriver);

          packaging = import ./packaging.nix {
            cudaVersion = _cudaVersion;
            features = featuresOf;
            provider = soname: providers.${soname} or null;
            inherit fixups;
            overrides = _overrides;
            isPackage = name: final ? ${name} || _isListed name;
            has =
              name: if entries ? ${name} then (head entries.${name}).reason == null else final ? ${name};
            driverPaths = map toString driverPaths;
          };

          # How packages find each other: `siblings` come before the packages of the set, as a release's own packages go together.
          around =
            siblings:
            let
              all = final // siblings;
              # Overlays, and edits of single packages, count as well, so packages are asked what they need. Only names, as what
              # they stand for may lead back.
              needs = mapAttrs (
                _: found: if isAttrs found then filter (name: all ? ${name}) (found.passthru.needs or [ ]) else [ ]
              ) all;
              operator = { key }: map (key: { inherit key; }) needs.${key};
            in
            {
              inherit siblings all;
              found = name: all.${name};
              # What the platform does not have is left out, as is what an overlay says is not there.
              isThere = _isThere all;
              # Name to all that it leads to, itself only if that leads back.
              reached = mapAttrs (
                name: _:
                _toSet (map ({ key }: key) (genericClosure {
                  startSet = operator { key = name; };
                  inherit operator;
                })) (_: null)
              ) all;
            };
          alone = around { };

          # Packages that nobody has described do not look for libraries in each other.
          undescribed = filter (
            name:
            let
              entry = head entries.${name};
            in
            entry.reason == null && !(packaging entry [ ]).isDescribed
          ) (attrNames entries);

          # A package of the release that is not in the set by itself, such as of `cudnn_9_8`.
          released =
            product: label:
            let
              context = around siblings;
              siblings = mapAttrs (_: entry: package context entry initial) (
                _toSet (_selection.packages product label) (_entry wanted product label)
              );
            in
            siblings;

          # What a user may change about one package.
          initial = {
            made = _made;
            edits = [ ];
            attrs = attributes: attributes;
          };

          package =
            context: entry: changes:
            if entry.reason != null then
              _refuse entry
            else
              let
                inherit (context) found isThere reached;
                keys = packaging entry changes.edits;
                leadsTo = from: to: reached ? ${from} && reached.${from} ? ${to};
                leadsBack = name: name == entry.package || leadsTo name entry.package;
                # Libraries that it may look for.
                named = keys.dependencies ++ keys.dlopen;
                # What its own outputs name.
                linked =
                  concatMap (map (source: source.package)) (attrValues keys.merge)
                  ++ (if cudaCompat && entry.package != "cuda_compat" then [ "cuda_compat" ] else [ ]);
                # A name such as `cudnn_9_8` is not that of the package, so it may lead back to itself alone.
                cyclic = filter (name: leadsBack name || leadsTo name name) (
                  linked ++ (if keys.isDescribed then named else [ ])
                );
                # Before Nix runs into it, with words that say nothing of packages.
                acyclic =
                  value:
                  if cyclic == [ ] then
                    value
                  else
                    throw ''
                      ${_place}: `${entry.package}`: expected dependencies that do not need it themselves, found ${_quoted cyclic}
                      Potential solutions:
                      - leave one of the two out: `overrides.${entry.package} = keys: { dependencies = [ … ]; }`
                      - let the library be found at run time: `overrides.${entry.package}.allowedMissing = [ "SONAME" ]`'';
                # Who needs a package that nobody has described is not among those where that one may look.
                dependencies =
                  if keys.isDescribed then named else filter (name: !(leadsBack name)) named;
                change =
                  key: given:
                  package context entry (
                    changes // { ${key} = if isFunction given then given changes.${key} else changes.${key} // given; }
                  );
                overridden =
                  given:
                  let
                    before = changes.made // { inherit (entry) release; };
                    after = before // (if isFunction given then given before else given);
                  in
                  package context (entry // { inherit (after) release; }) (
                    changes // { made = removeAttrs after [ "release" ]; }
                  );
              in
              _make changes.made (
                entry
                // {
                  inherit (keys) outputs features allowedMissing;
                  inherit (changes) attrs;
                  needs = linked ++ named;
                  checked = if cudaCapabilities == [ ] then { } else { capabilities = flags.devices; };
                  dependencies =
                    acyclic (_toSet (filter isThere dependencies) found)
                    # Texts, so that nobody chooses another output of them.
                    // mapAttrs (_: library: "${library}") (
                      hostLib.choose libraries (keys.hostLibraries ++ keys.allowedMissing)
                    );
                  # Those that no other part of the plan is made of go into it by their names.
                  keys = removeAttrs keys [
                    "allowedMissing"
                    "dependencies"
                    "features"
                    "hostLibraries"
                    "isDescribed"
                    "outputs"
                  ] // {
                    merge = acyclic (
                      import ./links.nix {
                        packages = context.all;
                        inherit isThere;
                      } keys.merge
                    );
                    dlopen = filter isThere keys.dlopen;
                    cudaVersion = _cudaVersion;
                    interpreter = _interpreters.${wanted} or null;
                    cudaCompat =
                      if cudaCompat && entry.package != "cuda_compat" && isThere "cuda_compat" then
                        acyclic "${found "cuda_compat"}"
                      else
                        null;
                    # Where else it may have to look, for the words about what it does not find.
                    siblings = if keys.isDescribed then [ ] else filter (name: name != entry.package) undescribed;
                  };
                }
              )
              // {
                override = overridden;
                overridePlan = edit: change "edits" (edits: edits ++ [ edit ]);
                overrideAttrs = f: change "attrs" (attrs: old: let before = attrs old; in before // (if isFunction f then f before else f));
              };

          # The packages of the set's releases.
          packages = mapAttrs (
            name: found:
            if builtins.length found == 1 then
              package alone (head found) initial
            else
              throw ''
                ${_place}: `${name}`: expected one product that has it, found ${
                  _quoted (map (entry: entry.product) found)
                }
                Potential solutions:
                - leave one of them out: `releases.${(head found).product} = null`''
          ) entries;

          # `cudnn_9_8`. The names follow from labels alone, so no manifest is read for them.
          versioned = listToAttrs (
            concatMap (
              { product, label }:
              let
                byMinor = groupBy versionsLib.majorMinor (_selection.labels product);
                ofMinor =
                  minor:
                  let
                    chosen = _selection.newestOf wanted product byMinor.${minor};
                  in
                  map (name: {
                    name = "${name}_${replaceStrings [ "." ] [ "_" ] minor}";
                    value =
                      (released product chosen).${name} or (_refuse {
                        inherit product;
                        package = name;
                        label = chosen;
                        release = { };
                        platform = wanted;
                        variant = null;
                        reason = "`${name}` of `${product}` `${chosen}`: expected such a package in the release, found none";
                      });
                  }) (_selection.packages product label);
              in
              if product == "cuda" then [ ] else concatMap ofMinor (attrNames byMinor)
            ) (_labels wanted)
          );

          # Overlays find each other's packages in `final`, so one that replaces a package reaches all that need it.
          base = versioned // packages // {
            overrideScope = overlay: _scope wanted (overlays ++ [ overlay ]);
            override =
              given:
              _mkCudaPackages overlays (
                arguments // (if isFunction given then given arguments else given)
              );
            byPlatform = _toSet platformsLib.linux (name: _scope name overlays);
            byRelease = _toSet _selection.products (
              product: _toSet (_selection.labels product) (released product)
            );
            releases = listToAttrs (
              map ({ product, label }: {
                name = product;
                value = label;
              }) (_labels wanted)
            );
            cudaVersion = _cudaVersion;
            inherit flags;
            listing = mapAttrs (_: found: _listed (head found)) entries;
          }
          // import ./cudatoolkit.nix {
            inherit system builder;
            platform = wanted;
            refuse = _refuse;
            packages = final;
            isThere = _isThere final;
            version = _cudaVersion;
          };
          final = foldl' (prev: overlay: prev // overlay final prev) base overlays;
        in
        final;

      # What a release has of a package, on whatever platform.
      _listed =
        { product, label, release, ... }:
        {
          inherit product label;
          version = release.version or null;
          license = release.license or null;
          platforms = listToAttrs (
            concatMap (
              name:
              if !(isAttrs release.${name}) then
                [ ]
              else
                [
                  {
                    inherit name;
                    # A flat archive has no variants.
                    value =
                      if release.${name} ? relative_path then
                        [ ]
                      else
                        filter (key: isAttrs release.${name}.${key}) (attrNames release.${name});
                  }
                ]
            ) (attrNames release)
          );
        };
    in
    # What is wrong with these is wrong with every package.
    seq (import ./arguments.nix arguments) (seq _cudaVersion (seq _platform (seq _fitsPlatform (_scope _platform overlays))));
in
_mkCudaPackages [ ]
