//! Which path of a package goes to which output: NVIDIA's layout and nixpkgs' patterns, as a pure function.
//!
//! | output | paths |
//! |---|---|
//! | `samples` | `samples/` |
//! | `doc` | `doc/`, `docs/`, `share/doc/` |
//! | `stubs` | `stubs/`, `lib/stubs/`, `lib64/stubs/` |
//! | `python` | `python/`, and wheels (`*.whl`) anywhere |
//! | `static` | `*.a` anywhere |
//! | `dev` | `*.pc` and `*.cmake` anywhere, `pkg-config/` and `pkgconfig/` (as `share/pkgconfig/`), `share/pkgconfig/` |
//! | `bin` | `bin/` |
//! | `include` | `include/`, and `dev` where no `include` is declared |
//! | `lib` | `lib/`, `lib64/` |
//! | `out` | everything else |
//!
//! Where patterns overlap the row that stands higher wins: folders that only make sense as a whole come before
//! kinds of files, those before folders that hold many kinds. An output that is not declared is passed over, so
//! without `static` an archive library stays beside the shared ones in `lib`.
//!
//! Source: nixpkgs `buildRedist` (`outputToPatterns` and the moving of `pkg-config`).

use std::collections::BTreeSet;

use super::OutputName;
use crate::relpath::RelPath;

/// Where a path of the unpacked archive belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    /// The output that holds it.
    pub output: OutputName,
    /// Its path in that output; the same as in the archive, save for pkg-config folders at the top.
    pub path: RelPath,
}

/// Where `path` of an unpacked archive goes when the outputs `declared` exist. An output that is declared gets
/// its paths, everything else goes to [`OutputName::Out`].
pub fn place(path: &RelPath, declared: &BTreeSet<OutputName>) -> Placement {
    let output = wanted(path)
        .into_iter()
        .find(|output| declared.contains(output))
        .unwrap_or(OutputName::Out);
    Placement {
        output,
        path: relocated(path),
    }
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
        matches!(first, "doc" | "docs") || (first == "share" && second == "doc"),
        OutputName::Doc,
    );
    row(
        first == "stubs" || (matches!(first, "lib" | "lib64") && second == "stubs"),
        OutputName::Stubs,
    );
    row(first == "python" || suffix == "whl", OutputName::Python);
    row(suffix == "a", OutputName::Static);
    row(
        matches!(suffix, "pc" | "cmake") || is_pkg_config_folder(first),
        OutputName::Dev,
    );
    row(first == "share" && second == "pkgconfig", OutputName::Dev);
    row(first == "bin", OutputName::Bin);
    row(first == "include", OutputName::Include);
    row(first == "include", OutputName::Dev);
    row(matches!(first, "lib" | "lib64"), OutputName::Lib);
    outputs
}

/// pkg-config looks into `share/pkgconfig`; NVIDIA's archives have the folder at the top, in both spellings.
fn relocated(path: &RelPath) -> RelPath {
    let rest = path.as_str().split_once('/').map_or("", |(_, rest)| rest);
    let first = path.components().next().unwrap_or_default();
    if !is_pkg_config_folder(first) {
        return path.clone();
    }
    let text = if rest.is_empty() {
        "share/pkgconfig".to_owned()
    } else {
        format!("share/pkgconfig/{rest}")
    };
    // Two good components before a good rest are a good path, so there is nothing to report here.
    RelPath::new(&text).unwrap_or_else(|_| path.clone())
}

fn is_pkg_config_folder(first: &str) -> bool {
    matches!(first, "pkg-config" | "pkgconfig")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(path: &str, declared: &[&str]) -> String {
        let declared = declared.iter().map(|name| name.parse().unwrap()).collect();
        let Placement { output, path } = place(&RelPath::new(path).unwrap(), &declared);
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
            (
                "pkg-config/cudart-12.9.pc",
                "dev:share/pkgconfig/cudart-12.9.pc",
            ),
            (
                "pkgconfig/cudart-12.9.pc",
                "dev:share/pkgconfig/cudart-12.9.pc",
            ),
            ("pkgconfig", "dev:share/pkgconfig"),
            ("pkg-config/README", "dev:share/pkgconfig/README"),
            ("share/pkgconfig/README", "dev:share/pkgconfig/README"),
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
            ("pkg-config/x.pc", &["out"], "out:share/pkgconfig/x.pc"),
            ("bin/x", &["out", "lib"], "out:bin/x"),
            ("python/x.whl", &["out", "lib"], "out:python/x.whl"),
        ] {
            assert_eq!(placed(path, declared), expected, "{path} with {declared:?}");
        }
    }
}
