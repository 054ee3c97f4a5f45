//! `builtins.cudaRedist.readManifest`.

use std::ffi::CStr;

use super::abi::{Host, Stop, Value};
use super::{guard, tape};
use crate::{manifest, text};

pub(super) const DOC: &CStr = c"
Reads a redistrib manifest (`redistrib_12.9.1.json`), checks all of it, and returns it.

- `path`: a path, or a string with an absolute path, read as by `builtins.readFile` with all its rules (pure and
  restricted evaluation; a derivation's output is built first).

The result is what `builtins.fromJSON (builtins.readFile path)` returns, and one attribute more in every package, `hash`:
its `sha256` as an SRI hash, for fetchers. Everything is checked before anything is returned. A wrong field, a doubled or
unknown key, or text that is no JSON is an error that shows all problems with file, line, column and attribute path, and
that `builtins.tryEval` catches, like `throw`; an unreadable file is one that it does not catch.

```nix
(builtins.cudaRedist.readManifest ./redistrib_12.9.1.json).cuda_cudart.linux-x86_64.hash
```
";

guard::guard!("readManifest", read_manifest);

fn read_manifest(host: &Host<'_>, path: Value) -> Result<(), Stop> {
    let content = host.read_file(path)?;
    let name = text::printable(&content.name);
    if let Some(store_path) = content.context {
        // As `fromJSON` does: the value could not carry the dependency, and dropping it would break builds.
        return Err(Stop::Argument(format!(
            "{name}: expected a file that does not refer to a store path, found one that refers to {}",
            text::quote(&store_path)
        )));
    }
    let checked = manifest::check(manifest::Kind::Redistrib, content.bytes, &name)?;
    tape::build(host, &checked)
}
