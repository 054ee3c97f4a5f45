/**
  One archive of a manifest to one derivation: the maker of every redistributable.

  A package costs two derivations. The first has Nix fetch the archive, the second is a plan: structured attributes
  that say what to do with it, carried out by `cuda-redist realise`, which is the derivation's builder. There is no
  shell, no stdenv and no other input, so a machine builds the packages of every platform.

  Non-goals: choosing packages and finding their dependencies (`default.nix` beside this file), and checking what the
  manifest says: values go into the plan as they are, and the builder judges them again.

  # Inputs

  `system`
  : The Nix system of the machine that builds, not the one that the package is for.

  `builder`
  : The package `cuda-redist`, or any folder with `bin/cuda-redist` in it; the program has to be static where Nix
    builds in a sandbox.

  `mirror`
  : `null`, or a base URL that has the archives at their `relative_path`.

  `driverPaths`
  : Where the driver's libraries will be found; these come first in every RUNPATH.

  `isAllowed`
  : Whether a package (`pname`, `version`, `meta`) may be used. Of one that may not, all can be looked at save its derivation.

  # Type

  ```
  { system, builder, mirror, driverPaths, isAllowed } -> Entry -> Derivation
  ```

  where an `Entry` is

  ```
  {
    product :: String, label :: String, package :: String,
    platform :: String,            # the key in the manifest, such as `linux-x86_64` or `source`
    variant :: String | Null,      # the key below it, such as `cuda12`
    variantPrefix :: String | Null, # how that begins: `cuda` where the release has `cuda_variant`
    release :: AttrSet,            # of the manifest, whole
    shape :: Shape | Null,         # what the builder has to hold the release against, besides what it always does
    outputs :: [ String ],
    features :: AttrSet | Null,    # what a feature manifest says of it, for the builder to judge
    dependencies :: { ${package} :: Derivation },
    needs :: [ String ],           # the names of all packages that it may depend on, for `passthru`
    allowedMissing :: [ String ],
    attrs :: AttrSet -> AttrSet,   # what the derivation's attributes are in the end
    checked :: AttrSet,            # keys of the plan that only the derivation looks at, whatever they say
    keys :: AttrSet                # further keys of the plan; those that say nothing (`null`, `[ ]`, `{ }`) are left out
  }
  ```
*/
{
  system,
  builder,
  mirror,
  driverPaths,
  isAllowed,
}:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    elem
    filter
    intersectAttrs
    isPath
    isString
    listToAttrs
    mapAttrs
    seq
    toString
    ;

  sources = import ../lib/sources.nix;
  outputsLib = import ../lib/outputs.nix;
  metaLib = import ./meta.nix;

  # Exactly the manifest's own fields: with the plugin an archive has a `hash`, too, and the derivation must be the
  # same without it.
  _releaseFields = {
    name = null;
    license = null;
    license_path = null;
    version = null;
  };
  _archiveFields = {
    relative_path = null;
    sha256 = null;
    md5 = null;
    size = null;
  };

  _fetch =
    product: archive:
    derivation {
      name = sources.fileName archive.relative_path;
      system = "builtin";
      builder = "builtin:fetchurl";
      url =
        if mirror == null && archive ? url then
          archive.url
        else
          sources.url {
            inherit product mirror;
            relativePath = archive.relative_path;
          };
      outputHashMode = "flat";
      outputHashAlgo = "sha256";
      outputHash = archive.sha256;
      # The network is needed, not the machine: no remote builder does this faster.
      preferLocalBuild = true;
      impureEnvVars = [
        "http_proxy"
        "https_proxy"
        "ftp_proxy"
        "all_proxy"
        "no_proxy"
      ];
    };

  _program = "${builder}/bin/cuda-redist";

  # A path would be copied into the store, and every library would look for the driver in the copy.
  _placeOf = path: if isPath path then toString path else path;
  _driverPaths = map _placeOf driverPaths;

  _said =
    keys:
    removeAttrs keys (
      filter (
        key:
        elem keys.${key} [
          null
          [ ]
          { }
        ]
      ) (attrNames keys)
    );
in
{
  product,
  label,
  package,
  platform,
  variant,
  variantPrefix,
  release,
  shape,
  outputs,
  features,
  dependencies,
  needs,
  allowedMissing,
  attrs,
  checked,
  keys,
  ...
}:
let
  # Not a judge of values, which the plugin and the builder have: Nix itself needs these three, and its own words about
  # one that is missing do not say of which package.
  archive =
    let
      entries = release.${platform};
      found = if variant == null then entries else entries.${variant};
      place = if variant == null then platform else "${platform}.${variant}";
      needed = {
        version = release.version or null;
        "${place}.relative_path" = found.relative_path or null;
        "${place}.sha256" = found.sha256 or null;
      };
      lacking = filter (key: !(isString needed.${key})) (attrNames needed);
    in
    if lacking == [ ] then
      found
    else
      throw ''
        cudaRedist.lib.mkCudaPackages: `${package}` of `${product}` `${label}`: expected a string in each of ${
          concatStringsSep ", " (map (key: "`${key}`") lacking)
        }, found none
        Potential solutions:
        - run `cuda-redist check` on the manifest: it says what is wrong, and in which line'';
  version = seq archive release.version;
  planned = intersectAttrs _archiveFields archive;

  src = _fetch product archive;
  sorted = outputsLib.sort outputs;
  suffix = if variant == null then "" else "_${variant}";

  # Of the variants that the release lists, the one that is planned.
  variantKey = "${variantPrefix}_variant";
  listed = filter (value: "${variantPrefix}${value}" == variant) release.${variantKey};

  # Shapes and values that the builder holds against each other, as nobody has where the evaluator has no plugin: the release
  # as it is, by the shape that it was promised to have, and what the outputs were taken from.
  checks =
    (
      if shape == null then
        [ ]
      else
        [
          {
            inherit shape;
            value = release;
          }
        ]
    )
    ++ (
      if features == null then
        [ ]
      else
        [
          {
            shape = "featurePackage";
            value = features;
          }
        ]
    );

  attributes = attrs (
    {
      name = "${package}-${platform}-${version}${suffix}";
      inherit system allowedMissing;
      driverPaths = _driverPaths;
      inherit
        product
        label
        package
        platform
        variant
        ;
      builder = _program;
      args = [ "realise" ];
      __structuredAttrs = true;
      planVersion = 1;
      outputs = sorted;
      release =
        intersectAttrs _releaseFields release
        // (
          if variant == null then
            { ${platform} = planned; }
          else
            {
              ${variantKey} = listed;
              ${platform}.${variant} = planned;
            }
        );
      src = "${src}";
      dependencies = mapAttrs (_: dependency: "${dependency.lib or dependency}") dependencies;
    }
    // checked
    // _said (
      keys
      // {
        inherit checks;
        interpreter = _placeOf keys.interpreter;
        # Where manifests have a shape of their own the builder asks of the rest what it needs.
        releaseShape = if shape == null then null else "buildableRelease";
      }
    )
  );
  plan = metaLib.guard (isAllowed { inherit (described) pname version meta; }) described (derivation attributes);

  # What every output of the package carries besides Nix's own attributes.
  described = {
    inherit
      src
      platform
      variant
      package
      product
      label
      release
      version
      ;
    outputs = sorted;
    pname = package;
    passthru = { inherit needs; };
    meta = metaLib.of { inherit package product release; } // {
      available = true;
      broken = false;
      unsupported = false;
    };
  };

  _output =
    output:
    described
    // byOutput
    // {
      # Also there of what nobody may use.
      inherit (attributes) name system;
      inherit (plan) drvAttrs;
      inherit (plan.${output})
        drvPath
        outPath
        ;
      type = "derivation";
      outputName = output;
    };

  # Nix from 2.9 on builds the output that an attribute stands for only if that was said; else `out`.
  byOutput = listToAttrs (
    map (name: {
      inherit name;
      value = _output name // {
        outputSpecified = true;
      };
    }) sorted
  );
in
_output "out"
