/**
  The shapes of redistrib and feature manifests, and of their parts.

  Non-goals: rules; they are in the judge's table (`src/manifest/shapes.rs`).

  # Type

  ```
  { ${name} :: Shape }
  ```

  # Examples

  ```nix
  # The manifest of a product whose releases say where they come from.
  { extends = manifests.redistrib; each = { extends = manifests.redistribRelease; fields.origin = "url"; }; }
  ```
*/
{
  /**
    A redistrib manifest: for one product and label, a release per package.
  */
  redistrib.extends = "redistrib";

  /**
    A release: what a redistrib manifest says of one package, an archive per platform or per variant of one.
  */
  redistribRelease.extends = "redistribRelease";

  /**
    One archive of a redistrib manifest.
  */
  redistribPackage.extends = "redistribPackage";

  /**
    A release with what building needs: `md5` and `size` of its archives may be absent, and an archive may have a `url`.
  */
  buildableRelease.extends = "buildableRelease";

  /**
    One archive with what building needs.
  */
  buildablePackage.extends = "buildablePackage";

  /**
    A feature manifest: what the archives of a redistrib manifest hold.
  */
  feature.extends = "feature";

  /**
    What the archives of one package hold, by platform.
  */
  featureRelease.extends = "featureRelease";

  /**
    What one archive holds: outputs, architectures, libraries.
  */
  featurePackage.extends = "featurePackage";
}
