//! pkg-config's files: their paths after the split, and the names without a version.

use std::collections::{BTreeMap, BTreeSet};

use super::split::{Piece, PieceKind};
use super::variables::{Find, Meaning, Value, Variables, normal};
use crate::plan::outputs::Placement;
use crate::relpath::RelPath;

/// Links `cudart.pc` to `cudart-12.9.pc`, the newest of them, where there is no `cudart.pc`: NVIDIA's files have a version in
/// their names, and nobody who looks for a library wants to know it.
pub(super) fn aliases(pieces: &[Piece]) -> Vec<Piece> {
    let taken: BTreeSet<&Placement> = pieces.iter().map(|piece| &piece.to).collect();
    let mut newest: BTreeMap<Placement, (Vec<u64>, &Piece)> = BTreeMap::new();
    for piece in pieces {
        let Some((alias, version)) = unversioned(&piece.to.path) else {
            continue;
        };
        let alias = Placement {
            output: piece.to.output,
            path: alias,
        };
        let is_newer = newest.get(&alias).is_none_or(|(other, _)| *other < version);
        if !taken.contains(&alias) && is_newer {
            newest.insert(alias, (version, piece));
        }
    }
    newest
        .into_iter()
        .map(|(to, (_, piece))| Piece {
            from: piece.from.clone(),
            to,
            kind: PieceKind::Link(piece.to.path.file_name().to_owned()),
        })
        .collect()
}

/// `share/pkgconfig/cudart.pc` and the version, of `share/pkgconfig/cudart-12.9.pc`.
fn unversioned(path: &RelPath) -> Option<(RelPath, Vec<u64>)> {
    let (name, version) = path.as_str().strip_suffix(".pc")?.rsplit_once('-')?;
    let version = version
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<Vec<u64>>>()?;
    Some((RelPath::new(&format!("{name}.pc")).ok()?, version))
}

/// The variables that name the top of the package.
const TOPS: [&str; 4] = ["cudaroot", "exec_prefix", "prefix", "root"];

/// `text` with the paths that its package is found at. `file` is what it is itself.
pub(super) fn rewrite(text: &str, file: &Meaning, find: &mut Find<'_>) -> String {
    let mut variables = Variables::default();
    variables.set("pcfiledir", file.parent().map(Value::Path));
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let end = line.get(content.len()..).unwrap_or_default();
        match definition(content) {
            Some((name, value)) => {
                let path = archive_path(name, value, &variables);
                let found = path.as_deref().and_then(&mut *find);
                let value = match (path, found) {
                    (Some(path), Some(now)) => {
                        out.push_str(&format!("{name}={now}"));
                        Some(Value::Path(Meaning { path, now }))
                    }
                    _ => {
                        out.push_str(content);
                        None
                    }
                };
                variables.set(name, value);
            }
            None => out.push_str(&variables.replace(content, find)),
        }
        out.push_str(end);
    }
    out
}

/// `name=value`, without the blanks around both.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    is_name.then_some((name, value.trim()))
}

/// The path in the archive that the variable `name` is set to; `None` when it is about something else.
fn archive_path(name: &str, value: &str, variables: &Variables) -> Option<String> {
    if let Some(Meaning { path, .. }) = variables.meaning(value) {
        return Some(path);
    }
    // NVIDIA installs to `/usr/local/cuda-12.9`.
    if let Some(rest) = value.strip_prefix("/usr/local/cuda") {
        return normal(rest.split_once('/').map_or("", |(_, rest)| rest));
    }
    (TOPS.contains(&name) && value.starts_with('/')).then(String::new)
}

#[cfg(test)]
mod tests {
    use super::super::variables::read_any_text;
    use super::*;

    fn found(path: &str) -> Option<String> {
        let path = path.strip_prefix("targets/x86_64-linux/").unwrap_or(path);
        let found = match path {
            "" => "/dev",
            "include" => "/inc/include",
            "lib" => "/lib/lib",
            "lib/libx.so" => "/lib/lib/libx.so",
            "lib/stubs" => "/stubs/lib/stubs",
            _ => return None,
        };
        Some(found.to_owned())
    }

    #[test]
    fn paths_lead_to_the_outputs() {
        for (text, expected) in [
            (
                "cudaroot=/usr/local/cuda-12.9\nlibdir=${cudaroot}/targets/x86_64-linux/lib\nincludedir = ${cudaroot}/targets/x86_64-linux/include\n\
                Name: cudart\nDescription: a=b\nLibs: -L${libdir} -lcudart\nCflags: -I${includedir}\n",
                "cudaroot=/dev\nlibdir=/lib/lib\nincludedir=/inc/include\n\
                Name: cudart\nDescription: a=b\nLibs: -L${libdir} -lcudart\nCflags: -I${includedir}\n",
            ),
            (
                "libdir=/usr/local/cuda/lib\nLibs: -L${libdir}/stubs -L${libdir} -lcuda",
                "libdir=/lib/lib\nLibs: -L/stubs/lib/stubs -L${libdir} -lcuda",
            ),
            (
                "prefix=${pcfiledir}/..\r\nincludedir=${prefix}/gone\r\n",
                "prefix=/dev\r\nincludedir=${prefix}/gone\r\n",
            ),
            (
                "prefix=/opt/nvidia\nx=/opt/other\n",
                "prefix=/dev\nx=/opt/other\n",
            ),
            (
                "prefix=/opt/x\nLibs: -L ${prefix}/lib \"-L${prefix}/lib\" -Wl,-rpath,${prefix}/lib ${prefix}/lib/libx.so -isystem ${prefix}/include ${prefix}\n",
                "prefix=/dev\nLibs: -L /lib/lib \"-L/lib/lib\" -Wl,-rpath,/lib/lib /lib/lib/libx.so -isystem /inc/include ${prefix}\n",
            ),
            ("Requires: x >= 1\n", "Requires: x >= 1\n"),
        ] {
            let file = Meaning {
                path: "pkg-config/x.pc".to_owned(),
                now: "/dev/share/pkgconfig/x.pc".to_owned(),
            };
            assert_eq!(rewrite(text, &file, &mut found), expected);
        }
    }

    #[test]
    fn versions_are_taken_off_names() {
        for (path, expected) in [
            (
                "share/pkgconfig/cudart-12.9.pc",
                Some("share/pkgconfig/cudart.pc"),
            ),
            (
                "share/pkgconfig/cuda-runtime-12.pc",
                Some("share/pkgconfig/cuda-runtime.pc"),
            ),
            ("share/pkgconfig/cudart.pc", None),
            ("share/pkgconfig/cuda-runtime.pc", None),
            ("share/cudart-12.9.txt", None),
        ] {
            let found = unversioned(&RelPath::new(path).unwrap()).map(|(path, _)| path);
            assert_eq!(found.as_ref().map(RelPath::as_str), expected, "{path}");
        }
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        let parts = [
            "${prefix}",
            "${pcfiledir}",
            "${a}",
            "${",
            "}",
            "/lib",
            "/..",
            "=",
            "\n",
            " ",
            "-L",
            "a=",
            "prefix=/usr/local/cuda",
            "\"",
            "\\",
            "é",
        ];
        let file = Meaning {
            path: "lib/pkg_config/x".to_owned(),
            now: "/dev/lib/pkg_config/x".to_owned(),
        };
        read_any_text(&parts, |text, find| rewrite(text, &file, find));
    }
}
