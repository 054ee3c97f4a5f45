//! `builtins.cudaRedist.readManifest`, `readFeatures` and `readReleases`.

use std::ffi::CStr;

use super::abi::{Host, Stop, Value};
use super::{guard, tape, view};
use crate::manifest::{self, Kind};
use crate::text;

pub(super) const READ_MANIFEST: &CStr = c"
Reads a redistrib manifest (`redistrib_12.9.1.json`), checks all of it, and returns it.

- `path`: a path, or a string with an absolute path, read as by `builtins.readFile` with all its rules (pure and
  restricted evaluation; a derivation's output is built first).

The result is what `builtins.fromJSON (builtins.readFile path)` returns, and one attribute more in every package, `hash`:
its `sha256` as an SRI hash, for fetchers. Everything is checked before anything is returned. A wrong field, a doubled or
unknown key, or text that is no JSON is an error that shows all problems with file, line, column and attribute path, and
that `builtins.tryEval` catches, like `throw`; an unreadable file is one that it does not catch. Warnings are not shown:
`cuda-redist check` has them.

Shape: `builtins.cudaRedist.shapes.redistrib`.

```nix
(builtins.cudaRedist.readManifest ./redistrib_12.9.1.json).cuda_cudart.linux-x86_64.hash
```
";

guard::guard!(read_manifest_export, "readManifest", read_manifest);

fn read_manifest(host: &Host<'_>, [path]: [Value; 1]) -> Result<(), Stop> {
    json(host, Kind::Redistrib, path)
}

pub(super) const READ_FEATURES: &CStr = c"
Reads a feature manifest (`feature_12.9.1.json`: what archives hold, by package and platform), checks all of it, and
returns it.

- `path`: as for `readManifest`.

The result is what `builtins.fromJSON (builtins.readFile path)` returns. Outputs are six booleans or a list; libraries,
architectures and dependencies are lists, or lists by folder. Errors are those of `readManifest`.

Shape: `builtins.cudaRedist.shapes.feature`.

```nix
(builtins.cudaRedist.readFeatures ./feature_12.9.1.json).cuda_cudart.linux-x86_64.outputs.static
```
";

guard::guard!(read_features_export, "readFeatures", read_features);

fn read_features(host: &Host<'_>, [path]: [Value; 1]) -> Result<(), Stop> {
    json(host, Kind::Feature, path)
}

pub(super) const READ_RELEASES: &CStr = c"
Reads a release expression (`{ cudnn.releases.linux-x86_64 = [ ... ]; }`), checks all of it, and returns it.

- `path`: as for `readManifest`. A file whose name ends in `.nix` is imported, as by `builtins.import`; any other is read
  as JSON.

A release has `version` (four parts), `minCudaVersion`, `maxCudaVersion` (two parts, the first not greater), `hash` (a
SHA-256 in any notation), and may have `url`, `filename`, `cudnnVersion`. Errors are those of `readManifest`; in a Nix file
they show the position of the attribute.

Shape: `builtins.cudaRedist.shapes.releases`.

```nix
(builtins.cudaRedist.readReleases ./releases.nix).cudnn.releases.linux-x86_64
```
";

guard::guard!(read_releases_export, "readReleases", read_releases);

fn read_releases(host: &Host<'_>, [path]: [Value; 1]) -> Result<(), Stop> {
    if host.path_name(path)?.ends_with(".nix") {
        expression(host, Kind::Releases, path)
    } else {
        json(host, Kind::Releases, path)
    }
}

/// The result is the value of the JSON file at `path`, which is of `kind`.
fn json(host: &Host<'_>, kind: Kind, path: Value) -> Result<(), Stop> {
    let name = host.path_name(path)?;
    let content = host.read_file(path)?;
    if let Some(store_path) = content.context {
        // As `fromJSON` does: the value could not carry the dependency, and dropping it would break builds.
        return Err(Stop::Argument(format!(
            "{name}: expected a file that does not refer to a store path, found one that refers to {}",
            text::quote_bytes(store_path)
        )));
    }
    // Between reading, judging and building, none of which asks by itself.
    host.check_interrupt()?;
    let checked = manifest::check(kind, content.bytes, &name)?;
    host.check_interrupt()?;
    tape::build_checked(host, &checked)
}

/// The result is the value of the Nix file at `path`, which is of `kind`.
fn expression(host: &Host<'_>, kind: Kind, path: Value) -> Result<(), Stop> {
    let value = host.import(path)?;
    let node = view::Node::new(host, value);
    if let Some(shape) = manifest::shape(kind.name()) {
        let name = host.path_name(path)?;
        view::refuse(manifest::errors(&shape.rule, node)?, &name)?;
    }
    host.give(value)
}
