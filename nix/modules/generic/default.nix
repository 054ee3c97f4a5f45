/**
  The shapes that the products' own are made of: manifests, release expressions, single values.

  # Type

  ```
  { manifests, releases, types :: { ${name} :: Shape } }
  ```
*/
{
  /**
    Redistrib and feature manifests, and their parts.
  */
  manifests = import ./manifests;

  /**
    Release expressions, and their parts.
  */
  releases = import ./releases;

  /**
    Single values.
  */
  types = import ./types;
}
