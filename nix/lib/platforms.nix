/**
  Nix systems and NVIDIA's redist platforms: which one stands for which.

  Non-goals: GPU capabilities. To `fromSystem` an aarch64 machine is a server; `capabilities.platformOf` knows which ones are Jetson
  boards.
*/
let
  inherit (builtins) attrNames elem filter;

  anywhere = [
    "source"
    "linux-all"
  ];

  _platformOf = {
    x86_64-linux = "linux-x86_64";
    aarch64-linux = "linux-sbsa";
    powerpc64le-linux = "linux-ppc64le";
  };
in
{
  /**
    The redist platform of a Nix system, or `"unsupported"` (never a throw: a set for such a system just has no
    package that is tied to a machine).

    # Inputs

    `system`
    : A Nix system such as `x86_64-linux`.

    # Type

    ```
    fromSystem :: String -> String
    ```

    # Examples

    ```nix
    fromSystem "aarch64-linux"
    => "linux-sbsa"
    ```
  */
  fromSystem = system: _platformOf.${system} or "unsupported";

  /**
    The Nix systems that packages of a redist platform run on: all that there are for what runs anywhere, none for Windows.

    # Inputs

    `platform`
    : A redist platform such as `linux-sbsa`, or `source`.

    # Type

    ```
    toSystems :: String -> [ String ]
    ```

    # Examples

    ```nix
    toSystems "linux-ppc64le"
    => [ "powerpc64le-linux" ]
    ```

    # Laws

    - `elem system (toSystems (fromSystem system))`, for every system that NVIDIA has something for
  */
  toSystems =
    platform:
    if elem platform anywhere then
      attrNames _platformOf
    else if platform == "linux-aarch64" then
      [ "aarch64-linux" ]
    else
      filter (system: _platformOf.${system} == platform) (attrNames _platformOf);

  /**
    The platform keys of a release that serve a platform, best first. Archives that hold sources or run anywhere come
    before those of the machine itself.

    # Inputs

    `platform`
    : A redist platform such as `linux-sbsa`.

    # Type

    ```
    preference :: String -> [ String ]
    ```

    # Examples

    ```nix
    preference "linux-sbsa"
    => [ "source" "linux-all" "linux-sbsa" ]
    ```
  */
  preference = platform: anywhere ++ [ platform ];

  /**
    The platform keys of archives that belong to no machine: sources, and what runs anywhere.

    # Type

    ```
    anywhere :: [ String ]
    ```
  */
  inherit anywhere;

  /**
    The platforms NVIDIA publishes for Linux, in the order of this project's tables.

    # Type

    ```
    linux :: [ String ]
    ```
  */
  linux = [
    "linux-x86_64"
    "linux-sbsa"
    "linux-aarch64"
    "linux-ppc64le"
  ];
}
