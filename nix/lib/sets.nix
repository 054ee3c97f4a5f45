/**
  What is in a package set.
*/
let
  inherit (builtins)
    attrNames
    filter
    isAttrs
    listToAttrs
    map
    ;

  _packagesWhere =
    passes: set:
    filter (
      name:
      let
        value = set.${name};
      in
      # A view of packages is none of them.
      isAttrs value && value.type or null == "derivation" && value ? package && passes (value.meta.unsupported or false)
    ) (attrNames set);
in
{
  /**
    The packages of a set that can be built.

    # Type

    ```
    supported :: Scope -> { ${package} :: Derivation }
    ```
  */
  supported =
    set:
    listToAttrs (
      map (name: {
        inherit name;
        value = set.${name};
      }) (_packagesWhere (unsupported: !unsupported) set)
    );

  /**
    Why a set lacks packages that its releases have for other platforms or other releases of CUDA.

    # Type

    ```
    unsupported :: Scope -> { ${package} :: String }
    ```

    # Examples

    ```nix
    (unsupported cudaPackages_13_0.byPlatform.linux-sbsa).nsight_vse
    => "`nsight_vse` of `cuda` `13.0.0`: expected an archive for `linux-sbsa`, found archives for `windows-x86_64`"
    ```
  */
  unsupported =
    set:
    listToAttrs (
      map (name: {
        inherit name;
        value = set.${name}.reason;
      }) (_packagesWhere (unsupported: unsupported) set)
    );
}
