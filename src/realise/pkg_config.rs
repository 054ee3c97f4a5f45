//! pkg-config's files: their paths after the split, and the names without a version.

use std::collections::{BTreeMap, BTreeSet};

use super::split::{Piece, PieceKind};
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

/// `text` with the paths that its package is found at. `folder` is the file's own one in the archive (for `pcfiledir`), `find`
/// says where a path of the archive (empty: the top) is found.
pub(super) fn rewrite(
    text: &str,
    folder: &str,
    find: &mut dyn FnMut(&str) -> Option<String>,
) -> String {
    // What each variable is in the archive, and as it is written now.
    let mut variables: BTreeMap<&str, (String, String)> = BTreeMap::new();
    variables.insert(
        "pcfiledir",
        (folder.to_owned(), find(folder).unwrap_or_default()),
    );
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let end = line.get(content.len()..).unwrap_or_default();
        match definition(content) {
            Some((name, value)) => {
                let path = match archive_path(value, &variables) {
                    None if TOPS.contains(&name) && value.starts_with('/') => Some(String::new()),
                    path => path,
                };
                let found = path.as_deref().and_then(&mut *find);
                if let (Some(path), Some(found)) = (path, found) {
                    out.push_str(&format!("{name}={found}"));
                    variables.insert(name, (path, found));
                } else {
                    out.push_str(content);
                }
            }
            None => {
                for (number, word) in content.split(' ').enumerate() {
                    if number > 0 {
                        out.push(' ');
                    }
                    out.push_str(&flag(word, &variables, find));
                }
            }
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

/// `-L${libdir}/stubs` with the folder that is found, where that is not the one that the variables lead to.
fn flag(
    word: &str,
    variables: &BTreeMap<&str, (String, String)>,
    find: &mut dyn FnMut(&str) -> Option<String>,
) -> String {
    for flag in ["-L", "-I"] {
        let Some(value) = word.strip_prefix(flag) else {
            continue;
        };
        let Some(path) = archive_path(value, variables) else {
            continue;
        };
        let Some(found) = find(&path) else {
            continue;
        };
        let led = variables
            .iter()
            .find_map(|(name, (_, now))| {
                let rest = value.strip_prefix(&format!("${{{name}}}"))?;
                Some(format!("{now}{rest}"))
            })
            .unwrap_or_default();
        if led != found {
            return format!("{flag}{found}");
        }
    }
    word.to_owned()
}

/// The path in the archive that `value` stands for; `None` when it is about something else.
fn archive_path(value: &str, variables: &BTreeMap<&str, (String, String)>) -> Option<String> {
    for (name, (path, _)) in variables {
        if let Some(rest) = value.strip_prefix(&format!("${{{name}}}")) {
            return Some(match rest {
                "" => path.clone(),
                rest => format!("{path}{}", rest.strip_prefix('/').map(|_| rest)?),
            });
        }
    }
    // NVIDIA installs to `/usr/local/cuda-12.9`.
    let rest = value.strip_prefix("/usr/local/cuda")?;
    let rest = rest.split_once('/').map_or("", |(_, rest)| rest);
    Some(rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<String> {
        let path = path.trim_matches('/');
        let path = path.strip_prefix("targets/x86_64-linux/").unwrap_or(path);
        Some(match path {
            "" => "/dev".to_owned(),
            "include" => "/inc/include".to_owned(),
            "lib" => "/lib/lib".to_owned(),
            "lib/stubs" => "/stubs/lib/stubs".to_owned(),
            "pkg-config/.." => "/dev".to_owned(),
            "pkg-config" => "/dev/share/pkgconfig".to_owned(),
            _ => return None,
        })
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
            ("Requires: x >= 1\n", "Requires: x >= 1\n"),
        ] {
            assert_eq!(rewrite(text, "pkg-config", &mut found), expected);
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
}
