/**
  Outputs of packages: their order, and which ones a package has.

  Non-goals: which path goes to which output; the builder decides that (`src/plan/outputs.rs`). Judging feature manifests: the
  plugin does that when they are read, the builder when packages are built.
*/
let
  inherit (builtins)
    attrNames
    elem
    filter
    isAttrs
    isList
    typeOf
    ;

  order = [
    "out"
    "doc"
    "samples"
    "python"
    "bin"
    "dev"
    "include"
    "lib"
    "static"
    "stubs"
  ];

  # Feature manifests have a word of their own for one output.
  _named = name: if name == "sample" then "samples" else name;

  _ofEntry =
    outputs:
    if isList outputs then
      map _named outputs
    else if isAttrs outputs then
      map _named (filter (name: outputs.${name}) (attrNames outputs))
    else
      throw ''
        cudaRedist.lib.outputs.fromFeatures: `outputs`: expected a list of outputs or six booleans, found a ${typeOf outputs}
        Potential solutions:
        - run `cuda-redist check` on the feature manifest: it says what is wrong, and in which line'';

  sort = names: filter (name: elem name names) order;
in
{
  /**
    Every output there is, in the order in which paths are claimed and in which Nix is told of them. `out` is the first
    one, hence the default one.

    # Type

    ```
    order :: [ String ]
    ```
  */
  inherit order;

  /**
    The outputs of a package that neither a feature manifest nor `nix/data/packages.json` knows. Only `out`: an output that
    nothing goes to is an error when the package is built, and `out` takes whatever an archive holds.

    # Type

    ```
    default :: [ String ]
    ```
  */
  default = [ "out" ];

  /**
    The outputs of a package by its entry in a feature manifest, in plan order. A list stands as it is, but for `sample`, which
    is our `samples`, and for `out`, which every package has. Of the six booleans each that is true is an output; `include` and
    `stubs` are never among them: `dev` is true for CMake files, too, and `lib` for stubs alone, so that either could be empty.

    # Inputs

    `entry`
    : What a feature manifest says of one package for one platform.

    # Type

    ```
    fromFeatures :: { outputs :: [ String ] | { ${output} :: Bool } } -> [ String ]
    ```

    # Examples

    ```nix
    fromFeatures { outputs = [ "out" "lib" "sample" ]; }
    => [ "out" "samples" "lib" ]
    fromFeatures {
      outputs = { bin = true; dev = false; doc = false; lib = true; sample = false; static = false; };
    }
    => [ "out" "bin" "lib" ]
    ```
  */
  fromFeatures = entry: sort ([ "out" ] ++ _ofEntry (entry.outputs or null));

  /**
    Outputs in plan order, each once.

    # Inputs

    `names`
    : Names of outputs in any order.

    # Type

    ```
    sort :: [ String ] -> [ String ]
    ```

    # Examples

    ```nix
    sort [ "lib" "out" ]
    => [ "out" "lib" ]
    ```

    # Laws

    - `sort (sort names) == sort names`
  */
  inherit sort;
}
