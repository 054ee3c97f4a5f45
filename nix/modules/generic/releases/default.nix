/**
  The shapes of release expressions: archives that no manifest lists, by platform, each with the CUDA versions it is for.

  Non-goals: rules; they are in the judge's table (`src/manifest/shapes.rs`).

  # Type

  ```
  { ${name} :: Shape }
  ```

  # Examples

  ```nix
  # Releases that all have an address.
  { extends = releases.releasesByPlatform; each.list = { extends = releases.releasePackage; fields.url = "url"; }; }
  ```
*/
{
  /**
    A file of release expressions: `{ cudnn.releases.linux-x86_64 = [ … ]; }`.
  */
  releases.extends = "releases";

  /**
    The lists of releases of one product, by platform.
  */
  releasesByPlatform.extends = "releasesByPlatform";

  /**
    One archive of a release expression.
  */
  releasePackage.extends = "releasePackage";
}
