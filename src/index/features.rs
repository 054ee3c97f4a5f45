//! What the archives of a folder hold, as a feature manifest: which outputs their packages have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use super::{Folder, IndexError, Listed};
use crate::archive;
use crate::error::Error;
use crate::manifest::{self, Kind};
use crate::plan::OutputName;
use crate::realise::derive_outputs;

/// The outputs under the names that feature manifests have for them, in their order. Source: the shape `feature`.
const NAMES: [(OutputName, &str); 10] = [
    (OutputName::Out, "out"),
    (OutputName::Bin, "bin"),
    (OutputName::Dev, "dev"),
    (OutputName::Doc, "doc"),
    (OutputName::Include, "include"),
    (OutputName::Lib, "lib"),
    (OutputName::Python, "python"),
    (OutputName::Samples, "sample"),
    (OutputName::Static, "static"),
    (OutputName::Stubs, "stubs"),
];

impl Folder {
    /// The feature manifest that goes with [`Folder::manifest`]: pretty JSON with a line break at its end, sorted. Each archive
    /// is unpacked into a folder below `scratch`, which is gone afterwards; one at a time, so that there is never more than the
    /// largest one. `unpacked` is told of the bytes of each archive that is done.
    ///
    /// A feature manifest has one entry per package and platform: where there are several variants it has the outputs that all
    /// of them have.
    ///
    /// # Errors
    /// An archive is refused as [`archive::unpack`] does: rejected. It cannot be read, or nothing can be written to `scratch`:
    /// a fault.
    pub fn features(&self, scratch: &Path, unpacked: &dyn Fn(u64)) -> Result<String, Error> {
        let mut packages: BTreeMap<&str, BTreeMap<&str, BTreeSet<OutputName>>> = BTreeMap::new();
        for listed in &self.files {
            let found = outputs_of(&self.dir, listed, scratch)?;
            packages
                .entry(&listed.package)
                .or_default()
                .entry(listed.platform)
                .and_modify(|outputs| outputs.retain(|output| found.contains(output)))
                .or_insert(found);
            unpacked(listed.size_bytes);
        }
        let named: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, Vec<&str>>>> = packages
            .into_iter()
            .map(|(package, platforms)| {
                let platforms = platforms.into_iter().map(|(platform, outputs)| {
                    (platform, BTreeMap::from([("outputs", names(&outputs))]))
                });
                (package, platforms.collect())
            })
            .collect();
        let mut text =
            serde_json::to_string_pretty(&named).map_err(|source| IndexError::Json { source })?;
        text.push('\n');
        // Our own text goes through the one judge like everybody's.
        manifest::check(Kind::Feature, text.as_bytes(), "the new feature manifest")?;
        Ok(text)
    }
}

/// The outputs as feature manifests name and order them.
fn names(outputs: &BTreeSet<OutputName>) -> Vec<&'static str> {
    let there = NAMES.iter().filter(|(output, _)| outputs.contains(output));
    there.map(|(_, name)| *name).collect()
}

/// The outputs that a package made of the archive has.
fn outputs_of(dir: &Path, listed: &Listed, scratch: &Path) -> Result<BTreeSet<OutputName>, Error> {
    let fault = |path: &Path| {
        let path = path.display().to_string();
        move |source| IndexError::Read { path, source }
    };
    let full = dir.join(&listed.path);
    let file = File::open(&full).map_err(fault(&full))?;
    let folder = tempfile::Builder::new()
        .prefix("cuda-redist-index-")
        .tempdir_in(scratch)
        .map_err(fault(scratch))?;
    let tree = folder.path().join("tree");
    archive::unpack(&file, listed.path.as_str(), &tree)?;
    let outputs = outputs_in(&tree)?;
    folder.close().map_err(fault(&tree))?;
    Ok(outputs)
}

/// The outputs that a package of the unpacked archive `tree` has. Where there are headers, `dev` is one of them: builds ask for
/// it, and find the headers through it.
fn outputs_in(tree: &Path) -> Result<BTreeSet<OutputName>, Error> {
    let mut outputs = derive_outputs(tree)?;
    if outputs.contains(&OutputName::Include) {
        outputs.insert(OutputName::Dev);
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(paths: &[&str]) -> String {
        let tree = tempfile::tempdir().unwrap();
        for path in paths {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        names(&outputs_in(tree.path()).unwrap()).join(" ")
    }

    #[test]
    fn packages_have_the_outputs_that_hold_for_every_release_of_cuda() {
        for (paths, expected) in [
            (&["lib/12/libx.so.1", "lib/12/libx.a"][..], "out lib static"),
            (
                &["lib/11/libx.so.1", "lib/11.0/libx.a", "lib/11.0/libx.so"],
                "out lib",
            ),
            (
                &[
                    "lib64/11/stubs/x.so",
                    "lib64/12/stubs/y.so",
                    "lib/cmake/x.cmake",
                ],
                "out dev stubs",
            ),
            (
                &["lib/11/x.so", "lib/12/x.a", "include/x.h"],
                "out dev include",
            ),
            (&["lib/12.so", "lib/12.a/x.so", "lib/13"], "out lib"),
        ] {
            assert_eq!(derived(paths), expected, "{paths:?}");
        }
    }

    #[test]
    fn headers_make_a_package_for_builds() {
        for (paths, expected) in [
            (&["include/x.h"][..], "out dev include"),
            (&["lib/x.pc"], "out dev"),
            (&["LICENSE"], "out"),
            (&[], "out"),
        ] {
            assert_eq!(derived(paths), expected, "{paths:?}");
        }
    }

    #[test]
    fn every_output_has_a_name() {
        assert_eq!(
            names(&OutputName::ALL.into_iter().collect()),
            [
                "out", "bin", "dev", "doc", "include", "lib", "python", "sample", "static", "stubs"
            ]
        );
    }
}
