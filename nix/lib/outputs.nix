/**
  Outputs of packages: their order, and which ones a package has.

  Non-goals: which path goes to which output; the builder decides that (`src/plan/outputs.rs`).
*/
let
  inherit (builtins) elem filter;

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
    The outputs of a package that `nix/data/packages.json` does not know.

    # Type

    ```
    default :: [ String ]
    ```
  */
  default = [
    "out"
    "dev"
    "include"
    "lib"
    "static"
    "stubs"
  ];

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
  sort = names: filter (name: elem name names) order;
}
