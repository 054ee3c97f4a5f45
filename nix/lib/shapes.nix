/**
  Shapes: what a value must look like, as data.

  A shape is the name of one in the judge's table (`lib.modules` has them all), or a set that says what is added to one. The
  language is described at `builtins.cudaRedist.check` (`:doc` shows it) and in `src/shape/expression.rs`. Everything here only
  puts such sets together.

  Non-goals: judging. The plugin does that when Nix evaluates, the builder when it builds: what `mkCudaPackages` is given as
  `shapes` travels in the plans.
*/
{
  /**
    A value, held against a shape where the plugin is loaded: all that is wrong with it is one error, which `builtins.tryEval`
    catches. Without the plugin the value as it is.

    # Inputs

    `shape`
    : A shape.

    `value`
    : Anything. Only what the shape names is evaluated.

    # Type

    ```
    check :: Shape -> a -> a
    ```

    # Examples

    ```nix
    check "version" "12.9.1"
    => "12.9.1"
    ```
  */
  check = if builtins ? cudaRedist then builtins.cudaRedist.check else _shape: value: value;

  /**
    The shape of a record with fields added, or put in the place of those it has.

    # Inputs

    `shape`
    : The shape of a record.

    `fields`
    : Shapes by field; `{ optional = SHAPE; }` for one that may be absent.

    # Type

    ```
    extend :: Shape -> { ${field} :: Shape } -> Shape
    ```

    # Examples

    ```nix
    extend "releasePackage" { filename = "fileName"; }
    => { extends = "releasePackage"; fields = { filename = "fileName"; }; }
    ```
  */
  extend = shape: fields: {
    extends = shape;
    inherit fields;
  };

  /**
    The shape of a redistrib manifest whose releases have a shape of their own.

    # Type

    ```
    manifestOf :: Shape -> Shape
    ```

    # Examples

    ```nix
    manifestOf "buildableRelease"
    => { extends = "redistrib"; each = "buildableRelease"; }
    ```
  */
  manifestOf = release: {
    extends = "redistrib";
    each = release;
  };

  /**
    The shape of releases by platform, as in a release expression, whose archives have a shape of their own.

    # Type

    ```
    releasesOf :: Shape -> Shape
    ```

    # Examples

    ```nix
    releasesOf (extend "releasePackage" { filename = "fileName"; })
    => { extends = "releasesByPlatform"; each = { list = { extends = "releasePackage"; fields = { … }; }; }; }
    ```
  */
  releasesOf = package: {
    extends = "releasesByPlatform";
    each.list = package;
  };
}
