# Run with `nix-instantiate --eval --strict nix/lib/shapes.test.nix`: `[ ]` when all is well.
let
  shapes = import ./shapes.nix;
  inherit (shapes)
    check
    extend
    manifestOf
    releasesOf
    ;

  hasPlugin = builtins ? cudaRedist;

  release = {
    name = "Mine";
    license = "MIT";
    version = "1.0";
    origin = "https://example.org/mine";
    linux-x86_64 = {
      relative_path = "mine/mine.tar.xz";
      sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
      md5 = "d41d8cd98f00b204e9800998ecf8427e";
      size = "0";
    };
  };
  package = {
    version = "1.0.0.1";
    minCudaVersion = "12.0";
    maxCudaVersion = "12.9";
    hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  };
  withOrigin = extend "redistribRelease" { origin = "url"; };

  # What is wrong throws with the plugin alone.
  refused =
    shape: value:
    if hasPlugin then
      {
        expr = check shape value;
        throws = true;
      }
    else
      {
        expr = check shape value;
        expected = value;
      };
  accepted = shape: value: {
    expr = check shape value;
    expected = value;
  };
in
import ./failures.nix {
  family = shapes;
  cases = {
    check = [
      (accepted "version" "12.9.1")
      (refused "version" "12.9-rc1")
      (accepted withOrigin release)
      (refused "redistribRelease" release)
      (refused withOrigin (removeAttrs release [ "origin" ]))
      # Only what the shape names is evaluated.
      {
        expr = (check "anything" { a = throw "looked at"; }) ? a;
        expected = true;
      }
    ];
    extend = [
      {
        expr = extend "releasePackage" { filename = "fileName"; };
        expected = {
          extends = "releasePackage";
          fields.filename = "fileName";
        };
      }
      # What is extended can be extended.
      (accepted (extend withOrigin { notes.optional = "line"; }) release)
      (refused (extend withOrigin { version = "majorMinorPatchBuild"; }) release)
    ];
    manifestOf = [
      (accepted (manifestOf withOrigin) {
        release_product = "mine";
        mine = release;
      })
      (refused (manifestOf withOrigin) {
        release_product = "mine";
        mine = release // {
          origin = "nowhere";
        };
      })
      (refused (manifestOf withOrigin) {
        release_date = "yesterday";
        mine = release;
      })
    ];
    releasesOf = [
      (accepted (releasesOf "releasePackage") { linux-sbsa = [ package ]; })
      (refused (releasesOf (extend "releasePackage" { filename = "fileName"; })) {
        linux-sbsa = [ package ];
      })
      # The laws of the named shape hold, too.
      (refused (releasesOf "releasePackage") {
        linux-sbsa = [
          (package // { url = "https://example.org/a"; })
          (package // { url = "https://example.org/b"; })
        ];
      })
    ];
  };
}
