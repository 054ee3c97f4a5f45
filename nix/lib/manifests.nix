/**
  Folders of NVIDIA's redistrib manifests and of the feature manifests that go with them: which ones there are, and what is in
  one.

  Non-goals: checking manifests. Where the plugin is loaded `read` goes through its judge; without it the values are
  judged when packages are built.
*/
let
  inherit (builtins)
    attrNames
    baseNameOf
    concatLists
    concatStringsSep
    dirOf
    elem
    fromJSON
    groupBy
    head
    length
    mapAttrs
    match
    pathExists
    readDir
    readFile
    toString
    unsafeDiscardStringContext
    ;

  versions = import ./versions.nix;

  # The products whose folder name is taken at its word. Only manifests in other folders have to be read before it is
  # known which product they belong to.
  _products = [
    "cublasmp"
    "cuda"
    "cudnn"
    "cudss"
    "cuquantum"
    "cusolvermp"
    "cusparselt"
    "cutensor"
    "nppplus"
    "nvcomp"
    "nvjpeg2000"
    "nvpl"
    "nvshmem"
    "nvtiff"
    "tensorrt"
  ];

  _labelOf =
    kind: name:
    let
      matched = match "${kind}_(.+)[.]json" name;
    in
    if matched == null then null else head matched;

  # The plugin's builtin of that name where it is loaded, else the JSON as it stands.
  _reader = name: builtins.cudaRedist.${name} or (file: fromJSON (readFile file));

  _productOf =
    entry:
    if elem entry.folder _products then
      entry.folder
    else
      # Only the name is wanted: the file may be of a shape of its own, by which it is judged when it is read.
      (fromJSON (readFile entry.file)).release_product or (throw ''
        cudaRedist.lib.manifests.index: `${toString entry.file}`: expected `release_product` in the manifest, found none
        Potential solutions:
        - put the manifest into a folder that is named after its product, such as `cuda/`
        - write `"release_product": "cuda"` into the manifest'');

  # A feature manifest does not say its product: it is that of the manifest it describes.
  _productOfFeatures =
    entry:
    let
      manifest = dirOf entry.file + "/redistrib_${entry.label}.json";
    in
    if !(elem entry.folder _products) && pathExists manifest then
      _productOf (entry // { file = manifest; })
    else
      entry.folder;

  # All files in a folder tree that are named `KIND_LABEL.json`.
  _find =
    kind: dir:
    let
      _walk =
        folder: path:
        let
          entries = readDir path;
          _entry =
            name:
            let
              label = _labelOf kind name;
            in
            if entries.${name} == "directory" then
              _walk name (path + "/${name}")
            else if label == null then
              [ ]
            else
              [
                {
                  file = path + "/${name}";
                  inherit folder label;
                }
              ];
        in
        concatLists (map _entry (attrNames entries));
    in
    _walk (unsafeDiscardStringContext (baseNameOf (toString dir))) dir;

  # These by product and label; `function` is the one that says what is wrong.
  _index =
    {
      function,
      kind,
      productOf,
    }:
    dir:
    let
      _one =
        product: label: found:
        if length found == 1 then
          (head found).file
        else
          throw ''
            cudaRedist.lib.manifests.${function}: `${product}` `${label}`: expected one manifest, found ${toString (length found)}: ${
              concatStringsSep ", " (map (entry: "`${toString entry.file}`") found)
            }
            Potential solutions:
            - remove all but one of them from `${toString dir}`'';
    in
    mapAttrs (product: entries: mapAttrs (_one product) (groupBy (entry: entry.label) entries)) (
      groupBy productOf (_find kind dir)
    );

  /**
    Every manifest in a folder tree: all files named `redistrib_LABEL.json`. Links to folders are not followed.

    # Inputs

    `dir`
    : A path, or a string that names a folder (a flake input).

    # Type

    ```
    find :: Path -> [ { file :: Path, folder :: String, label :: String } ]
    ```

    # Examples

    ```nix
    find ./manifests
    => [ { file = ./manifests/cuda/redistrib_12.9.1.json; folder = "cuda"; label = "12.9.1"; } ]
    ```
  */
  find = _find "redistrib";

  /**
    The manifests of a folder tree by product and label.

    The label is the one in the file's name. The product is the name of the folder that holds the file if that is a
    product of NVIDIA, else the manifest's own `release_product`. A product and label that appear twice throw when
    that entry is used; all others stay usable.

    # Inputs

    `dir`
    : As for `find`.

    # Type

    ```
    index :: Path -> { ${product} :: { ${label} :: Path } }
    ```

    # Examples

    ```nix
    (index ./manifests).cuda."12.9.1"
    => ./manifests/cuda/redistrib_12.9.1.json
    ```
  */
  index = _index {
    function = "index";
    kind = "redistrib";
    productOf = _productOf;
  };

  /**
    The feature manifests of a folder tree by product and label: all files named `feature_LABEL.json`.

    The label is the one in the file's name. The product is the name of the folder that holds the file if that is a
    product of NVIDIA, else that of the redistrib manifest of the same label beside it, else the folder's name.

    # Inputs

    `dir`
    : As for `find`.

    # Type

    ```
    indexFeatures :: Path -> { ${product} :: { ${label} :: Path } }
    ```

    # Examples

    ```nix
    (indexFeatures ./manifests).cuda."12.9.1"
    => ./manifests/cuda/feature_12.9.1.json
    ```
  */
  indexFeatures = _index {
    function = "indexFeatures";
    kind = "feature";
    productOf = _productOfFeatures;
  };

  /**
    The value of a manifest: checked by `builtins.cudaRedist.readManifest` where the plugin is loaded, as it stands in
    the file where it is not. The checked value has one attribute more, `hash`, per archive.

    # Inputs

    `file`
    : A path, or a string that names a file.

    # Type

    ```
    read :: Path -> AttrSet
    ```
  */
  read = _reader "readManifest";

  /**
    The value of a feature manifest: checked by `builtins.cudaRedist.readFeatures` where the plugin is loaded, as it stands
    in the file where it is not.

    # Inputs

    `file`
    : A path, or a string that names a file.

    # Type

    ```
    readFeatures :: Path -> AttrSet
    ```
  */
  readFeatures = _reader "readFeatures";

  /**
    The value of a file of release expressions, JSON or Nix (by its name: `.nix`): checked by
    `builtins.cudaRedist.readReleases` where the plugin is loaded, as it stands in the file where it is not.

    # Inputs

    `file`
    : A path, or a string that names a file.

    # Type

    ```
    readReleases :: Path -> AttrSet
    ```

    # Examples

    ```nix
    (readReleases ./cudnn.json).cudnn.releases.linux-x86_64
    => [ { version = "8.9.7.29"; … } … ]
    ```
  */
  readReleases =
    builtins.cudaRedist.readReleases
      or (file: if match ".*[.]nix" (toString file) != null then import file else fromJSON (readFile file));

  /**
    The newest label of each major and minor version.

    # Inputs

    `labels`
    : Labels of one product.

    # Type

    ```
    newestPerMinor :: [ String ] -> { ${majorMinor} :: String }
    ```

    # Examples

    ```nix
    newestPerMinor [ "12.9.0" "12.9.1" "13.0.0" ]
    => { "12.9" = "12.9.1"; "13.0" = "13.0.0"; }
    ```
  */
  newestPerMinor = labels: mapAttrs (_: versions.newest) (groupBy versions.majorMinor labels);
in
{
  inherit
    find
    index
    indexFeatures
    read
    readFeatures
    readReleases
    newestPerMinor
    ;
}
