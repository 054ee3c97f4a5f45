# Run with `nix-instantiate --eval --strict nix/modules/default.test.nix`: `[ ]` when all is well.
let
  inherit (builtins)
    all
    attrNames
    filter
    mapAttrs
    ;

  modules = import ./.;
  inherit (modules) generic;

  hasPlugin = builtins ? cudaRedist;

  # Without the plugin nobody judges while Nix evaluates.
  withPlugin = cases: if hasPlugin then cases else [ ];

  # Whether the judge takes each value.
  taken = shape: values: expected: {
    expr = map (value: builtins.cudaRedist.problems shape value == [ ]) values;
    inherit expected;
  };

  named = generic.manifests // generic.releases // generic.types;

  package = {
    version = "8.6.1.6";
    minCudaVersion = "12.0";
    maxCudaVersion = "12.1";
    hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  };
  tensorrt = package // {
    filename = "TensorRT-8.6.1.6.tar.gz";
    cudnnVersion = null;
  };
in
import ../lib/failures.nix {
  family = modules;
  cases = {
    generic = [
      {
        expr = mapAttrs (_: shape: shape.extends) named;
        expected = mapAttrs (name: _: name) named;
      }
    ]
    ++ withPlugin [
      # All of the judge's table is there.
      {
        expr = attrNames named;
        expected = attrNames builtins.cudaRedist.shapes;
      }
      # Each shape takes its own examples.
      {
        expr = filter (
          name:
          !(all (
            value: builtins.cudaRedist.problems named.${name} value == [ ]
          ) builtins.cudaRedist.shapes.${name}.examples)
        ) (attrNames named);
        expected = [ ];
      }
    ];
    cuda = [
      {
        expr = modules.cuda;
        expected = {
          inherit (generic.manifests) redistrib feature;
        };
      }
    ];
    cutensor = [
      {
        expr = modules.cutensor;
        expected = modules.cuda;
      }
    ];
    cudnn = withPlugin [
      (taken modules.cudnn.package
        [
          package
          (package // { url = "https://example.org/cudnn.tar.xz"; })
          (package // { version = "8.6"; })
          (package // { flavour = "vanilla"; })
        ]
        [
          true
          true
          false
          false
        ]
      )
      (taken modules.cudnn.releases
        [
          { linux-x86_64 = [ package ]; }
          { linux-x86_64 = package; }
        ]
        [
          true
          false
        ]
      )
    ];
    tensorrt = withPlugin [
      (taken modules.tensorrt.package
        [
          tensorrt
          (tensorrt // { cudnnVersion = "8.9"; })
          (tensorrt // { cudnnVersion = "8.9.7"; })
          (tensorrt // { filename = "a/b.tar.gz"; })
          (removeAttrs tensorrt [ "filename" ])
          (removeAttrs tensorrt [ "cudnnVersion" ])
        ]
        [
          true
          true
          false
          false
          false
          false
        ]
      )
      (taken modules.tensorrt.releases
        [
          { linux-x86_64 = [ tensorrt ]; }
          { linux-x86_64 = [ package ]; }
        ]
        [
          true
          false
        ]
      )
      # What a user makes of it.
      (taken
        {
          extends = modules.tensorrt.package;
          fields.version = {
            extends = "majorMinorPatchBuild";
            matches = "10[.].*";
          };
          fields.notes.optional = "line";
        }
        [
          tensorrt
          (tensorrt // { version = "10.9.0.34"; })
          (
            tensorrt
            // {
              version = "10.9.0.34";
              notes = "for the lab";
            }
          )
        ]
        [
          false
          true
          true
        ]
      )
    ];
  };
}
