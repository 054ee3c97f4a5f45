/**
  Shapes, as data: what the judge's table has, under the names people know from nixpkgs, and what products add.

  `generic` holds the table's own shapes; each product takes some of them as they are or adds fields. Each folder can be
  used alone (`import ./nix/modules/tensorrt`). To make a shape of your own, take one and say what is added:

  ```nix
  { extends = tensorrt.package; fields.notes.optional = "line"; }
  ```

  and check values with it (`lib.check`), or give it to `mkCudaPackages` as `shapes.PRODUCT`. The language of shapes is
  described at `builtins.cudaRedist.check` and in `src/shape/expression.rs`.

  Non-goals: rules, and judging. A rule is in the table (`src/manifest/shapes.rs`); the plugin and the builder judge.

  # Type

  ```
  { generic :: AttrSet, ${product} :: { ${name} :: Shape } }
  ```
*/
{
  /**
    What products' shapes are made of.
  */
  generic = import ./generic;

  /**
    CUDA itself: manifests.
  */
  cuda = import ./cuda;

  /**
    cuDNN: release expressions.
  */
  cudnn = import ./cudnn;

  /**
    cuTENSOR: manifests.
  */
  cutensor = import ./cutensor;

  /**
    TensorRT: release expressions with two fields more.
  */
  tensorrt = import ./tensorrt;
}
