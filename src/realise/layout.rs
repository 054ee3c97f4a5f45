//! How a package is laid out: what NVIDIA puts elsewhere than build systems look for it, before anything is split.
//!
//! | in the archive | as laid out |
//! |---|---|
//! | the folders that the plan's `moves` names, all at once and before all else | where that says |
//! | `lib -> targets/x86_64-linux-gnu/lib` and the folder it leads to (TensorRT) | `lib/`, a folder |
//! | links below `targets/x86_64-linux-gnu/` to what lies at the top | nothing |
//! | `lib64/` | `lib/` |
//! | `lib/12.9/`, or else `lib/12/`, for a set of CUDA 12.9.1 | `lib/` |
//! | the folders for other releases of CUDA beside it | nothing |
//! | `pkg-config/`, `pkgconfig/` | `share/pkgconfig/` |
//! | what the plan's `drop` names | nothing |
//! | links to what is left out, and to what has their place now (`lib -> lib64`) | nothing |
//!
//! Source: nixpkgs `buildRedist` (`unpackCudaLibSubdir`, the moving of `pkg-config`), its fixup of TensorRT, and stdenv's
//! `moveLib64`.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RealiseError;
use super::links::{self, Target};
use super::tree::{Node, Tree};
use crate::error::Error;
use crate::manifest::Version;
use crate::plan::{Extras, Pattern};
use crate::relpath::RelPath;

/// Where each path of an archive lies in the package, before it is split into outputs.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// What is not here is left out.
    places: BTreeMap<RelPath, RelPath>,
    /// The folders that are the top now.
    tops: BTreeSet<RelPath>,
    /// What was changed, a line for each change.
    notes: Vec<String>,
    /// What was asked for in vain, a line for each.
    warnings: Vec<String>,
}

impl Layout {
    /// Lays out `tree` for a set of the release `cuda` (`None`: for no particular one), as `extras` asks for.
    ///
    /// # Errors
    /// There are folders of libraries for several releases of CUDA, but none for this one; a folder to move is not there.
    pub(super) fn new(
        tree: &Tree,
        cuda: Option<&Version>,
        extras: &Extras,
    ) -> Result<Layout, Error> {
        let mut moves = Moves::new(tree);
        moves.relocate(&extras.moves)?;
        moves.resolve_targets(tree);
        moves.rename_folder("lib64", "lib");
        moves.choose_release(cuda)?;
        for folder in ["pkg-config", "pkgconfig"] {
            moves.rename_folder(folder, "share/pkgconfig");
        }
        moves.drop(&extras.drop);
        moves.drop_links(tree);
        let mut places = BTreeMap::new();
        for (path, to) in moves.places {
            // Parts of good paths put together are one; a longer one than allowed is refused.
            let to = RelPath::new(&to).map_err(|_| RealiseError::Name {
                path: path.as_str().into(),
            })?;
            places.insert(path.clone(), to);
        }
        let mut warnings = moves.warnings;
        for (output, pattern) in extras.patterns.iter() {
            if !places.values().any(|place| pattern.matches(place)) {
                let glob = pattern.as_str();
                warnings.push(format!("`patterns.{output}`: `{glob}` matches no path"));
            }
        }
        Ok(Layout {
            places,
            tops: moves.tops.into_iter().cloned().collect(),
            notes: moves.notes,
            warnings,
        })
    }

    /// Is this folder of the archive the top now? It has no place then.
    pub(super) fn is_top(&self, path: &RelPath) -> bool {
        self.tops.contains(path)
    }

    /// Where `path` of the archive lies; `None` when it is left out.
    pub(super) fn place(&self, path: &RelPath) -> Option<&RelPath> {
        self.places.get(path)
    }

    /// What was changed, a line for each change.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What was asked for in vain, a line for each.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

struct Moves<'t> {
    places: BTreeMap<&'t RelPath, String>,
    /// The real folders of the archive.
    folders: BTreeSet<&'t RelPath>,
    /// Those that are the top now.
    tops: BTreeSet<&'t RelPath>,
    notes: Vec<String>,
    warnings: Vec<String>,
}

impl<'t> Moves<'t> {
    fn new(tree: &'t Tree) -> Moves<'t> {
        let places = tree.iter().map(|(path, _)| (path, path.to_string()));
        let is_folder = |node: &Node| matches!(node, Node::Directory { .. });
        let folders = tree.iter().filter(|(_, node)| is_folder(node));
        Moves {
            places: places.collect(),
            folders: folders.map(|(path, _)| path).collect(),
            tops: BTreeSet::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Folders go where the plan says, from where they are in the archive; `None` is the top.
    fn relocate(&mut self, moves: &[(RelPath, Option<RelPath>)]) -> Result<(), Error> {
        let mut by_folder = BTreeMap::new();
        for (from, to) in moves {
            if !self.folders.contains(from) {
                return Err(RealiseError::NothingToMove {
                    folder: from.to_string(),
                }
                .into());
            }
            let to = to.as_ref().map_or("", RelPath::as_str);
            by_folder.insert(from.as_str(), to);
            self.notes.push(match to {
                "" => format!("what was in `{from}` is at the top now"),
                to => format!("`{from}` is `{to}` now"),
            });
        }
        self.move_folders(|place| by_folder.get(place).map(|to| (*to).to_owned()));
        // The top itself is no place.
        let tops = self.places.iter().filter(|(_, place)| place.is_empty());
        self.tops = tops.map(|(path, _)| *path).collect();
        self.places.retain(|_, place| !place.is_empty());
        Ok(())
    }

    /// Is there a folder, as laid out so far?
    fn is_folder(&self, folder: &str) -> bool {
        self.folders
            .iter()
            .any(|path| self.places.get(path).is_some_and(|place| place == folder))
    }

    /// Links at the top into `targets` become the folders that they lead to.
    fn resolve_targets(&mut self, tree: &Tree) {
        let mut folders: BTreeMap<RelPath, &RelPath> = BTreeMap::new();
        for (path, node) in tree.iter().filter(|(path, _)| is_at_top(path)) {
            let Node::Link { target } = node else {
                continue;
            };
            let Some(Target::Path(folder)) = links::end(tree, path, target) else {
                continue;
            };
            if folder.as_str().starts_with("targets/") && self.folders.contains(&folder) {
                self.places.remove(path);
                self.notes.push(format!(
                    "`{path}` is a folder now, it was a link to `{folder}`"
                ));
                folders.entry(folder).or_insert(path);
            }
        }
        self.move_folders(|place| {
            let path = RelPath::new(place).ok()?;
            Some(folders.get(&path)?.to_string())
        });
        // What leads from there back to the top is of no use where the folders are at the top themselves.
        let leads_back = |path: &RelPath, node: &Node| match node {
            Node::Link { target } => matches!(
                links::end(tree, path, target),
                Some(Target::Path(end)) if is_at_top(&end)
            ),
            _ => false,
        };
        for (path, node) in tree.iter() {
            let is_in_target =
                path.as_str().starts_with("targets/") && path.components().count() == 3;
            if is_in_target && leads_back(path, node) {
                self.places.remove(path);
            }
        }
    }

    /// Everything in the folder `from`, as laid out so far, goes to `to`.
    fn rename_folder(&mut self, from: &str, to: &str) {
        if self.is_folder(from) {
            self.move_folders(|place| (place == from).then(|| to.to_owned()));
            self.notes.push(format!("`{from}` is `{to}` now"));
        }
    }

    /// Of the folders below `lib` that are named after releases of CUDA the best one becomes `lib`.
    fn choose_release(&mut self, cuda: Option<&Version>) -> Result<(), Error> {
        let releases: BTreeSet<String> = self
            .folders
            .iter()
            .filter_map(|path| self.places.get(path)?.strip_prefix("lib/"))
            .filter(|name| is_release(name))
            .map(str::to_owned)
            .collect();
        if releases.is_empty() {
            return Ok(());
        }
        let Some(chosen) = choose(&releases, cuda)? else {
            let all: Vec<&str> = releases.iter().map(String::as_str).collect();
            self.notes.push(format!(
                "`lib` has folders for CUDA {} and the plan no `cudaVersion` to choose one: all are kept",
                all.join(", ")
            ));
            return Ok(());
        };
        let release_of = |place: &str| -> Option<String> {
            let name = place.strip_prefix("lib/")?.split('/').next()?;
            releases.get(name).cloned()
        };
        self.places
            .retain(|_, place| release_of(place).is_none_or(|release| release == chosen));
        for other in releases.iter().filter(|other| **other != chosen) {
            self.notes
                .push(format!("`lib/{other}` is left out, it is for another CUDA"));
        }
        let folder = format!("lib/{chosen}");
        self.move_folders(|place| (place == folder).then(|| "lib".to_owned()));
        self.notes.push(format!("`{folder}` is `lib` now"));
        Ok(())
    }

    /// Leaves out what one of `patterns` matches.
    fn drop(&mut self, patterns: &[Pattern]) {
        for pattern in patterns {
            let before = self.places.len();
            self.places
                .retain(|_, place| !RelPath::new(place).is_ok_and(|place| pattern.matches(&place)));
            let dropped = before.saturating_sub(self.places.len());
            if dropped == 0 {
                let glob = pattern.as_str();
                self.warnings
                    .push(format!("`drop`: `{glob}` matches no path"));
                continue;
            }
            self.notes
                .push(format!("`{}`: {dropped} left out", pattern.as_str()));
        }
    }

    /// Leaves out links to what is left out itself, and to what has their place now.
    fn drop_links(&mut self, tree: &Tree) {
        for (path, node) in tree.iter() {
            let (Node::Link { target }, Some(place)) = (node, self.places.get(path)) else {
                continue;
            };
            let Some(Target::Path(end)) = links::end(tree, path, target) else {
                continue;
            };
            if self.tops.contains(&end) {
                continue;
            }
            let end_place = self.places.get(&end);
            if end_place.is_none() || end_place == Some(place) {
                self.notes.push(format!(
                    "`{path}` is left out, as is what it leads to: `{end}`"
                ));
                self.places.remove(path);
            }
        }
    }

    /// Gives everything in a folder another one, where `to` has one for that folder, as laid out so far. Of folders in each
    /// other the innermost counts.
    fn move_folders(&mut self, to: impl Fn(&str) -> Option<String>) {
        for place in self.places.values_mut() {
            let ends = place.match_indices('/').map(|(end, _)| end);
            let folders = ends.chain([place.len()]);
            let moved = folders
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .find_map(|end| {
                    let (folder, rest) = place.split_at_checked(end)?;
                    let to = to(folder)?;
                    Some(match to.as_str() {
                        "" => rest.trim_start_matches('/').to_owned(),
                        to => format!("{to}{rest}"),
                    })
                });
            if let Some(moved) = moved {
                *place = moved;
            }
        }
    }
}

/// The releases of CUDA that `tree` has folders of libraries for.
pub(super) fn releases(tree: &Tree) -> Vec<Version> {
    let folders = tree
        .iter()
        .filter(|(_, node)| matches!(node, Node::Directory { .. }));
    let names = folders.filter_map(|(path, _)| {
        let (folder, name) = path.as_str().split_once('/')?;
        (matches!(folder, "lib" | "lib64") && is_release(name)).then(|| name.parse().ok())?
    });
    names.collect()
}

/// The folder for `cuda`; where no release is asked for, the only one.
fn choose(releases: &BTreeSet<String>, cuda: Option<&Version>) -> Result<Option<String>, Error> {
    let Some(cuda) = cuda else {
        let only = releases.first().filter(|_| releases.len() == 1);
        return Ok(only.cloned());
    };
    let text = cuda.to_string();
    let mut parts = text.splitn(3, '.');
    let major = parts.next().unwrap_or_default().to_owned();
    let minor = format!("{major}.{}", parts.next().unwrap_or_default());
    let wanted = [minor, major];
    match wanted.iter().find(|name| releases.contains(*name)) {
        Some(found) => Ok(Some(found.clone())),
        None => Err(RealiseError::NoRelease {
            cuda: text,
            wanted: wanted.to_vec(),
            found: releases.iter().cloned().collect(),
        }
        .into()),
    }
}

fn is_at_top(path: &RelPath) -> bool {
    !path.as_str().contains('/')
}

/// `12`, `11.0`: how NVIDIA names the folders.
fn is_release(name: &str) -> bool {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match name.split_once('.') {
        Some((major, minor)) => is_number(major) && is_number(minor),
        None => is_number(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{OutputName, Patterns};

    fn laid(lines: &[&str], cuda: Option<&str>) -> Result<Vec<String>, String> {
        let tree = Tree::sample(lines);
        let cuda = cuda.map(|text| text.parse().unwrap());
        let layout = Layout::new(&tree, cuda.as_ref(), &Extras::default())
            .map_err(|error| error.render())?;
        let is_leaf = |node: &Node| !matches!(node, Node::Directory { is_empty: false });
        let leaves = tree.iter().filter(|(_, node)| is_leaf(node));
        Ok(leaves
            .map(|(path, _)| match layout.place(path) {
                Some(place) => format!("{path} => {place}"),
                None => format!("{path} => nothing"),
            })
            .collect())
    }

    #[test]
    fn tensorrt_has_real_folders() {
        let lines = &[
            "bin -> targets/x86_64-linux-gnu/bin",
            "include/NvInfer.h",
            "lib -> targets/x86_64-linux-gnu/lib",
            "python/include -> ../include",
            "samples/x.cpp",
            "targets/x86_64-linux-gnu/bin/trtexec",
            "targets/x86_64-linux-gnu/include -> ../../include",
            "targets/x86_64-linux-gnu/lib/libnvinfer.so -> libnvinfer.so.10",
            "targets/x86_64-linux-gnu/lib/libnvinfer.so.10",
            "targets/x86_64-linux-gnu/samples -> ../../samples",
        ];
        assert_eq!(
            laid(lines, None).unwrap(),
            [
                "bin => nothing",
                "include/NvInfer.h => include/NvInfer.h",
                "lib => nothing",
                "python/include => python/include",
                "samples/x.cpp => samples/x.cpp",
                "targets/x86_64-linux-gnu/bin/trtexec => bin/trtexec",
                "targets/x86_64-linux-gnu/include => nothing",
                "targets/x86_64-linux-gnu/lib/libnvinfer.so => lib/libnvinfer.so",
                "targets/x86_64-linux-gnu/lib/libnvinfer.so.10 => lib/libnvinfer.so.10",
                "targets/x86_64-linux-gnu/samples => nothing",
            ]
        );
    }

    #[test]
    fn the_folder_for_the_release_of_cuda_becomes_lib() {
        let lines = &[
            "lib/10.2/libx.so",
            "lib/11/libx.so",
            "lib/11.0/libx.so",
            "lib/12/libx.so",
            "lib/cmake/x.cmake",
        ];
        for (cuda, chosen) in [("12.9.1", "12"), ("11.0.3", "11.0"), ("11.8.0", "11")] {
            let laid = laid(lines, Some(cuda)).unwrap();
            for line in laid {
                let from = line.split(" => ").next().unwrap();
                let expected = match from.split('/').nth(1) {
                    Some("cmake") => "lib/cmake/x.cmake",
                    Some(folder) if folder == chosen => "lib/libx.so",
                    _ => "nothing",
                };
                assert_eq!(line, format!("{from} => {expected}"), "{cuda}");
            }
        }
        assert_eq!(
            laid(lines, Some("13.0.0")).unwrap_err(),
            "lib: expected a folder `13.0` or `13` for CUDA 13.0.0, found `10.2`, `11`, `11.0`, `12`\n\
            hint: choose a CUDA release that the archive has libraries for, or an archive for this release"
        );
        assert_eq!(
            laid(lines, None).unwrap()[0],
            "lib/10.2/libx.so => lib/10.2/libx.so"
        );
        assert_eq!(laid(&["lib/12/x"], None).unwrap(), ["lib/12/x => lib/x"]);
    }

    #[test]
    fn folders_have_the_names_that_build_systems_look_for() {
        for (line, expected) in [
            ("lib64/libx.so", "lib64/libx.so => lib/libx.so"),
            ("lib64/12/libx.so", "lib64/12/libx.so => lib/libx.so"),
            (
                "nvvm/lib64/libx.so",
                "nvvm/lib64/libx.so => nvvm/lib64/libx.so",
            ),
            ("pkg-config/x.pc", "pkg-config/x.pc => share/pkgconfig/x.pc"),
            ("pkgconfig/", "pkgconfig => share/pkgconfig"),
            ("lib64", "lib64 => lib64"),
            ("pkgconfig", "pkgconfig => pkgconfig"),
            (
                "lib/pkgconfig/x.pc",
                "lib/pkgconfig/x.pc => lib/pkgconfig/x.pc",
            ),
        ] {
            assert_eq!(laid(&[line], None).unwrap(), [expected]);
        }
    }

    #[test]
    fn links_go_with_what_they_lead_to() {
        for (lines, cuda, expected) in [
            (
                &["lib -> lib64", "lib64/x"][..],
                None,
                &["lib => nothing", "lib64/x => lib/x"][..],
            ),
            (
                &[
                    "lib/11.0 -> 11",
                    "lib/11/x",
                    "lib/12/x",
                    "lib/y -> 12/x",
                    "lib/x -> 12/x",
                ],
                Some("12.0"),
                &[
                    "lib/11.0 => nothing",
                    "lib/11/x => nothing",
                    "lib/12/x => lib/x",
                    "lib/x => nothing",
                    "lib/y => lib/y",
                ],
            ),
        ] {
            assert_eq!(laid(lines, cuda).unwrap(), expected);
        }
        let tree = Tree::sample(&["lib/a.so", "lib/b.so -> a.so", "python/x.whl", "LICENSE"]);
        let drop = ["lib/a*", "python/**", "absent"].map(|glob| Pattern::new(glob).unwrap());
        let extras = Extras {
            drop: drop.to_vec(),
            patterns: Patterns::new(vec![(
                OutputName::Doc,
                vec![Pattern::new("gone/*").unwrap()],
            )]),
            ..Extras::default()
        };
        let layout = Layout::new(&tree, None, &extras).unwrap();
        assert_eq!(
            layout.warnings(),
            [
                "`drop`: `absent` matches no path",
                "`patterns.doc`: `gone/*` matches no path"
            ]
        );
        let kept = tree.iter().filter(|(path, _)| layout.place(path).is_some());
        let kept: Vec<&str> = kept.map(|(path, _)| path.as_str()).collect();
        assert_eq!(kept, ["LICENSE", "lib", "python"]);
        assert_eq!(layout.notes().len(), 3);
    }

    #[test]
    fn folders_go_where_the_plan_says() {
        let tree = Tree::sample(&["nvvm/lib64/x", "nvvm/bin/y", "usr/sbin/z", "LICENSE"]);
        let path = |path: &str| RelPath::new(path).unwrap();
        let laid = |moves: &[(&str, Option<&str>)]| {
            let moves = moves.iter();
            let extras = Extras {
                moves: moves.map(|(from, to)| (path(from), to.map(path))).collect(),
                ..Extras::default()
            };
            let layout = Layout::new(&tree, None, &extras).map_err(|error| error.render())?;
            let files = tree.iter().filter(|(_, node)| **node == Node::File);
            let places = files.filter_map(|(path, _)| layout.place(path));
            Ok::<_, String>(places.map(|path| path.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(
            laid(&[("nvvm", None), ("usr/sbin", Some("bin"))]).unwrap(),
            ["LICENSE", "bin/y", "lib/x", "bin/z"]
        );
        insta::assert_snapshot!(laid(&[("LICENSE", None)]).unwrap_err(), @"
        `moves.LICENSE`: expected a folder of the archive, found none there
        hint: correct the name, or leave it out of `moves`
        ");
        // Each is looked up where it is in the archive, whatever the others do.
        assert_eq!(
            laid(&[("nvvm", Some("usr")), ("usr", Some("opt"))]).unwrap(),
            ["LICENSE", "usr/bin/y", "usr/lib64/x", "opt/sbin/z"]
        );
        assert_eq!(
            laid(&[("nvvm", None), ("nvvm/bin", Some("tools"))]).unwrap(),
            ["LICENSE", "tools/y", "lib/x", "usr/sbin/z"]
        );
        insta::assert_snapshot!(laid(&[("nvvm", None), ("bin", Some("tools"))]).unwrap_err(), @"
        `moves.bin`: expected a folder of the archive, found none there
        hint: correct the name, or leave it out of `moves`
        ");
    }

    #[test]
    fn many_folders_take_no_longer_than_they_must() {
        let lines: Vec<String> = (0..5000).map(|number| format!("lib/{number}/x")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let started = std::time::Instant::now();
        assert_eq!(laid(&lines, Some("12.0")).unwrap().len(), 5000);
        assert!(started.elapsed().as_secs() < 5);
    }
}
