//! Which path of a package, as laid out, goes to which output: NVIDIA's layout and nixpkgs' patterns, as a pure function.
//!
//! | output | paths |
//! |---|---|
//! | `samples` | `samples/` |
//! | `doc` | `doc/`, `docs/`, `share/doc/`, `share/info/`, `share/man/`, `share/gtk-doc/`, `share/devhelp/` |
//! | `stubs` | `stubs/`, `lib/stubs/`, `lib64/stubs/` |
//! | `python` | `python/`, and wheels (`*.whl`) anywhere |
//! | `static` | `*.a` anywhere |
//! | `dev` | `*.pc` and `*.cmake` anywhere, `share/pkgconfig/`, `share/aclocal/` |
//! | `bin` | `bin/` |
//! | `include` | `include/`, and `dev` where no `include` is declared |
//! | `lib` | `lib/`, `lib64/` |
//! | `out` | everything else |
//!
//! Where patterns overlap the row that stands higher wins: folders that only make sense as a whole come before
//! kinds of files, those before folders that hold many kinds. An output that is not declared is passed over, so
//! without `static` an archive library stays beside the shared ones in `lib`. A plan's own patterns come before all rows.
//!
//! Source: nixpkgs `buildRedist` (`outputToPatterns`); the further documentation folders: cuda-redist-find-features.

use std::collections::BTreeSet;

use super::{OutputName, Patterns};
use crate::relpath::RelPath;

/// Where a path of the unpacked archive belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    /// The output that holds it.
    pub output: OutputName,
    /// Its path in that output.
    pub path: RelPath,
}

/// The output that `path`, as laid out, goes to when the outputs `declared` exist. An output that is declared gets
/// its paths, those of `patterns` first; everything else goes to [`OutputName::Out`].
pub fn place(path: &RelPath, declared: &BTreeSet<OutputName>, patterns: &Patterns) -> OutputName {
    patterns
        .claims(path)
        .chain(wanted(path))
        .find(|output| declared.contains(output))
        .unwrap_or(OutputName::Out)
}

/// The outputs that have something in them when everything of `paths` (files and links, as laid out) goes to its best one,
/// and `out`.
pub fn derive<'p>(
    paths: impl IntoIterator<Item = &'p RelPath>,
    patterns: &Patterns,
) -> BTreeSet<OutputName> {
    let all = BTreeSet::from(OutputName::ALL);
    let found = paths.into_iter().map(|path| place(path, &all, patterns));
    found.chain([OutputName::Out]).collect()
}

/// The outputs whose pattern matches `path`, best first; empty when only `out` is left.
fn wanted(path: &RelPath) -> Vec<OutputName> {
    let mut components = path.components();
    let first = components.next().unwrap_or_default();
    let second = components.next().unwrap_or_default();
    let suffix = path
        .file_name()
        .rsplit_once('.')
        .map_or("", |(_, suffix)| suffix);

    let mut outputs = Vec::new();
    let mut row = |matches: bool, output: OutputName| {
        if matches {
            outputs.push(output);
        }
    };
    row(first == "samples", OutputName::Samples);
    row(
        matches!(first, "doc" | "docs")
            || (first == "share"
                && matches!(second, "doc" | "info" | "man" | "gtk-doc" | "devhelp")),
        OutputName::Doc,
    );
    row(
        first == "stubs" || (matches!(first, "lib" | "lib64") && second == "stubs"),
        OutputName::Stubs,
    );
    row(first == "python" || suffix == "whl", OutputName::Python);
    row(suffix == "a", OutputName::Static);
    row(matches!(suffix, "pc" | "cmake"), OutputName::Dev);
    row(
        first == "share" && matches!(second, "pkgconfig" | "aclocal"),
        OutputName::Dev,
    );
    row(first == "bin", OutputName::Bin);
    row(first == "include", OutputName::Include);
    row(first == "include", OutputName::Dev);
    row(matches!(first, "lib" | "lib64"), OutputName::Lib);
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(path: &str, declared: &[&str]) -> String {
        let declared = declared.iter().map(|name| name.parse().unwrap()).collect();
        let output = place(
            &RelPath::new(path).unwrap(),
            &declared,
            &Patterns::default(),
        );
        format!("{output}:{path}")
    }

    const ALL: &[&str] = &[
        "out", "doc", "samples", "python", "bin", "dev", "include", "lib", "static", "stubs",
    ];

    #[test]
    fn every_pattern_finds_its_output() {
        for (path, expected) in [
            ("LICENSE", "out:LICENSE"),
            ("nvvm/lib64/libnvvm.so.4", "out:nvvm/lib64/libnvvm.so.4"),
            ("bin/nvcc", "bin:bin/nvcc"),
            ("binary/x", "out:binary/x"),
            (
                "include/crt/host_config.h",
                "include:include/crt/host_config.h",
            ),
            ("lib/libcudart.so.12", "lib:lib/libcudart.so.12"),
            ("lib64/libnvcomp.so.5", "lib:lib64/libnvcomp.so.5"),
            ("lib", "lib:lib"),
            ("lib/libcudart_static.a", "static:lib/libcudart_static.a"),
            ("lib/libfoo.a.1", "lib:lib/libfoo.a.1"),
            ("a", "out:a"),
            ("nvvm/libdevice/libx.a", "static:nvvm/libdevice/libx.a"),
            ("lib/stubs/libcuda.so", "stubs:lib/stubs/libcuda.so"),
            ("stubs/libcuda.so", "stubs:stubs/libcuda.so"),
            ("lib64/stubs/libx.a", "stubs:lib64/stubs/libx.a"),
            ("lib/stubs", "stubs:lib/stubs"),
            (
                "lib/cmake/nvcomp/nvcomp-config.cmake",
                "dev:lib/cmake/nvcomp/nvcomp-config.cmake",
            ),
            ("lib/pkgconfig/x.pc", "dev:lib/pkgconfig/x.pc"),
            ("share/pkgconfig/README", "dev:share/pkgconfig/README"),
            ("share/aclocal/x.m4", "dev:share/aclocal/x.m4"),
            ("share/man/man1/x.1", "doc:share/man/man1/x.1"),
            ("share/x/README", "out:share/x/README"),
            ("x/pkgconfig/README", "out:x/pkgconfig/README"),
            (
                "samples/a/CMakeLists.txt",
                "samples:samples/a/CMakeLists.txt",
            ),
            ("samples/a/find.cmake", "samples:samples/a/find.cmake"),
            ("samples/a/libx.a", "samples:samples/a/libx.a"),
            ("doc/x.pdf", "doc:doc/x.pdf"),
            ("docs/index.html", "doc:docs/index.html"),
            ("share/doc/foo/README", "doc:share/doc/foo/README"),
            (
                "python/tensorrt-10.0-cp311.whl",
                "python:python/tensorrt-10.0-cp311.whl",
            ),
            ("python/README", "python:python/README"),
            (
                "graphsurgeon/gs-0.4-py3.whl",
                "python:graphsurgeon/gs-0.4-py3.whl",
            ),
        ] {
            assert_eq!(placed(path, ALL), expected, "{path}");
        }
    }

    #[test]
    fn undeclared_outputs_are_passed_over() {
        for (path, declared, expected) in [
            ("include/x.h", &["out"][..], "out:include/x.h"),
            ("include/x.h", &["out", "dev"], "dev:include/x.h"),
            (
                "include/x.h",
                &["out", "dev", "include"],
                "include:include/x.h",
            ),
            ("lib/libx.a", &["out", "lib"], "lib:lib/libx.a"),
            ("lib/libx.a", &["out"], "out:lib/libx.a"),
            (
                "lib/stubs/libx.so",
                &["out", "lib"],
                "lib:lib/stubs/libx.so",
            ),
            (
                "lib/cmake/x.cmake",
                &["out", "lib"],
                "lib:lib/cmake/x.cmake",
            ),
            ("bin/x", &["out", "lib"], "out:bin/x"),
            ("python/x.whl", &["out", "lib"], "out:python/x.whl"),
        ] {
            assert_eq!(placed(path, declared), expected, "{path} with {declared:?}");
        }
    }

    #[test]
    fn patterns_of_a_plan_come_first() {
        let pattern = |glob| crate::plan::Pattern::new(glob).unwrap();
        let patterns = Patterns::new(vec![
            (OutputName::Lib, vec![pattern("nvvm/lib64/**")]),
            (
                OutputName::Out,
                vec![pattern("include/private/**"), pattern("nvvm/lib64/*.txt")],
            ),
        ]);
        for (path, declared, expected) in [
            (
                "nvvm/lib64/libnvvm.so.4",
                &[OutputName::Lib][..],
                OutputName::Lib,
            ),
            ("nvvm/lib64/libnvvm.so.4", &[], OutputName::Out),
            // `out` comes first among the outputs, so it claims first, too.
            ("nvvm/lib64/x.txt", &[OutputName::Lib], OutputName::Out),
            (
                "include/private/x.h",
                &[OutputName::Include],
                OutputName::Out,
            ),
            ("include/x.h", &[OutputName::Include], OutputName::Include),
        ] {
            let declared = declared.iter().copied().chain([OutputName::Out]).collect();
            let placed = place(&RelPath::new(path).unwrap(), &declared, &patterns);
            assert_eq!(placed, expected, "{path}");
        }
    }

    #[test]
    fn outputs_follow_from_the_content() {
        let paths = ["lib/libx.so.1", "lib/libx.a", "include/x.h", "LICENSE"];
        let paths = paths.map(|path| RelPath::new(path).unwrap());
        let derived: Vec<_> = derive(&paths, &Patterns::default()).into_iter().collect();
        assert_eq!(
            derived,
            [
                OutputName::Out,
                OutputName::Include,
                OutputName::Lib,
                OutputName::Static
            ]
        );
        assert_eq!(
            derive([], &Patterns::default()),
            BTreeSet::from([OutputName::Out])
        );
    }
}
