/**
  The shapes of single values, by the names they have in the judge's table.

  Non-goals: rules. What each means in every detail is in the table alone (`src/manifest/shapes.rs`); with the plugin
  `builtins.cudaRedist.shapes.NAME` has its documentation, its source and examples.

  # Type

  ```
  { ${name} :: Shape }
  ```

  # Examples

  ```nix
  { extends = types.version; matches = "12[.].*"; }
  ```
*/
{
  /**
    A real CUDA architecture, with `a` or `f` where it is specific: `sm_90a`.
  */
  cudaArch.extends = "cudaArch";

  /**
    A compute capability: `9.0`.
  */
  cudaCapability.extends = "cudaCapability";

  /**
    A date: `2025-06-04`.
  */
  date.extends = "date";

  /**
    A file name, without a folder.
  */
  fileName.extends = "fileName";

  /**
    A SHA-256 in any notation of Nix.
  */
  hash.extends = "hash";

  /**
    The name of a shared library, with or without a version: `libcudart.so.12`.
  */
  libSoName.extends = "libSoName";

  /**
    The name of a licence, as `license` in manifests.
  */
  license.extends = "license";

  /**
    Words for people on one line, not empty.
  */
  line.extends = "line";

  /**
    A version of one part: `12`.
  */
  major.extends = "major";

  /**
    A version of two parts: `12.9`.
  */
  majorMinor.extends = "majorMinor";

  /**
    A version of three parts: `12.9.1`.
  */
  majorMinorPatch.extends = "majorMinorPatch";

  /**
    A version of four parts: `9.8.0.87`.
  */
  majorMinorPatchBuild.extends = "majorMinorPatchBuild";

  /**
    An MD5: 32 lowercase hex digits.
  */
  md5.extends = "md5";

  /**
    The name of a package: it becomes part of attribute paths and store paths.
  */
  name.extends = "name";

  /**
    A SHA-256 in Nix's base 32.
  */
  nix32Hash.extends = "nix32Hash";

  /**
    A platform as NVIDIA names it: `linux-sbsa`.
  */
  platform.extends = "platform";

  /**
    Where a file lies below its product's address.
  */
  relativePath.extends = "relativePath";

  /**
    A SHA-256 as NVIDIA writes it: 64 lowercase hex digits.
  */
  sha256.extends = "sha256";

  /**
    A size in bytes, as a string of decimal digits.
  */
  size.extends = "size";

  /**
    A SHA-256 as an SRI hash.
  */
  sriHash.extends = "sriHash";

  /**
    Any string.
  */
  string.extends = "string";

  /**
    Where a file is fetched from.
  */
  url.extends = "url";

  /**
    The key of an archive among the variants of a platform: `cuda12`.
  */
  variant.extends = "variant";

  /**
    A version of digits and dots, of any number of parts.
  */
  version.extends = "version";

  /**
    Any value; it is not looked at.
  */
  anything.extends = "anything";

  /**
    `true` or `false`.
  */
  boolean.extends = "boolean";
}
