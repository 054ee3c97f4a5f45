/**
  What `nix run` runs.

  - `check`: judges files, as `cuda-redist check` does; without arguments every manifest of the flake's input.
  - `demo`: shows what is made of the archives of `example/`, from manifest to patched library.

  # Inputs

  `pkgs`
  : A nixpkgs; only `writeShellScript` is used.

  `manifests`, `cuda-redist`, `example`
  : The input, the program, and `example/default.nix`.

  # Type

  ```
  AttrSet -> { ${name} :: App }
  ```
*/
{
  pkgs,
  manifests,
  cuda-redist,
  example,
}:
let
  program = "${cuda-redist}/bin/cuda-redist";
  inherit (example.packages.linux-x86_64) libexample libexample_base;

  app = name: description: script: {
    type = "app";
    program = "${pkgs.writeShellScript "cuda-redist-${name}" ''
      set -eu
      ${script}
    ''}";
    meta = { inherit description; };
  };
in
{
  check = app "check" "Judge manifests: files, folders, or without arguments those of the flake's input" ''
    if [ $# -eq 0 ]; then set -- ${manifests}; fi
    exec ${program} check "$@"
  '';

  demo = app "demo" "Show what becomes of an archive: judged, unpacked, split, patched" ''
    show() { printf '\n$ cuda-redist %s\n' "$*"; ${program} "$@"; }
    show check ${example.manifests}
    show unpack --list ${example.archives}/libexample-linux-x86_64-1.0.0-archive.tar
    for output in ${libexample.lib} ${libexample.include}; do printf '\nbuilt: %s\n' "$output"; done
    show elf show ${libexample.lib}/lib/libexample.so.1
    show audit ${libexample.lib} ${libexample_base.lib}
  '';
}
