//! Where each path of an unpacked archive goes, and the moving.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::error::RealiseError;
use super::layout::Layout;
use super::links::{self, Target};
use super::pkg_config;
use super::references::References;
use super::report::OutputReport;
use super::stage::{Stage, move_file};
use super::support;
use super::tree::{Node, Tree};
use crate::error::Error;
use crate::plan::outputs::{Placement, derive, place};
use crate::plan::{OutputName, Patterns, Plan};
use crate::relpath::RelPath;
use crate::text;

/// Where everything goes. **Shape**: no two pieces have the same place, none is below a piece that is no directory.
#[derive(Debug)]
pub(super) struct Split {
    pieces: Vec<Piece>,
}

/// One thing to put into an output.
#[derive(Debug)]
pub(super) struct Piece {
    /// Where it is in the archive.
    pub from: RelPath,
    /// Where it goes.
    pub to: Placement,
    /// What it is there.
    pub kind: PieceKind,
}

/// What a [`Piece`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// A file, moved as it is.
    File,
    /// A link with this text.
    Link(String),
    /// A directory with nothing in it; others come into being with their content.
    EmptyDirectory,
}

impl Split {
    /// Puts everything in `tree` into its home. What outputs refer to is added to `references`. `linked` are the places of the
    /// links into other packages, which are made later.
    ///
    /// # Errors
    /// Two paths land in one place, or in two that differ only in case; a link dangles, in the archive or once its target
    /// is spread over outputs; an output gets nothing.
    pub(super) fn new(
        tree: &Tree,
        homes: &Homes<'_>,
        plan: &Plan,
        linked: &[Placement],
        references: &mut References,
    ) -> Result<Split, Error> {
        let mut pieces = Vec::new();
        for (path, node) in tree.iter() {
            let Some(to) = homes.place(path) else {
                continue;
            };
            let kind = match node {
                Node::File => PieceKind::File,
                Node::Directory { is_empty: true } => PieceKind::EmptyDirectory,
                Node::Directory { is_empty: false } => continue,
                Node::Link { target } => {
                    let (output, location) = homes.of_target(tree, path, target)?;
                    references.add(to.output, output, to.path.as_str(), target);
                    PieceKind::Link(link_text(&plan.outputs, &to, output, &location)?)
                }
            };
            pieces.push(Piece {
                from: path.clone(),
                to,
                kind,
            });
        }
        pieces.extend(pkg_config::aliases(&pieces));
        check_places(&pieces)?;
        check_outputs(&pieces, linked, plan)?;
        Ok(Split { pieces })
    }

    /// The pieces, in order of their path in the archive.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The links that are not as they were in the archive, a line for each.
    pub(super) fn made_links(&self) -> impl Iterator<Item = String> {
        self.pieces.iter().filter_map(|piece| {
            let Placement { output, path } = &piece.to;
            match &piece.kind {
                PieceKind::Link(text) if text.starts_with('/') => Some(format!(
                    "{output}: {path}: leads to another output, {}",
                    text::printable(text)
                )),
                PieceKind::Link(text) if path.file_name() != piece.from.file_name() => {
                    Some(format!("{output}: {path}: a name for {text}"))
                }
                _ => None,
            }
        })
    }

    /// Moves everything from `unpacked` to the outputs of `stage`, and removes what is left of `unpacked`.
    ///
    /// # Errors
    /// The file system refuses.
    pub(super) fn carry_out(&self, unpacked: &Path, stage: &Stage) -> Result<(), Error> {
        let mut made = BTreeSet::new();
        for piece in &self.pieces {
            let target = stage.dir(piece.to.output)?.join(&piece.to.path);
            let folder = match piece.kind {
                PieceKind::EmptyDirectory => target.as_path(),
                PieceKind::File | PieceKind::Link(_) => target.parent().unwrap_or(&target),
            };
            if made.insert(folder.to_owned()) {
                fs::create_dir_all(folder)
                    .map_err(|source| RealiseError::io("make the directory", folder, source))?;
            }
            match &piece.kind {
                PieceKind::File => move_file(&unpacked.join(&piece.from), &target)?,
                PieceKind::Link(text) => {
                    symlink(text, &target)
                        .map_err(|source| RealiseError::io("make the link", &target, source))?;
                }
                PieceKind::EmptyDirectory => {}
            }
        }
        fs::remove_dir_all(unpacked).map_err(|source| {
            RealiseError::io("remove the unpacked archive", unpacked, source).into()
        })
    }

    /// How much goes to each of `outputs`, in their order.
    pub(super) fn outputs(&self, outputs: &BTreeMap<OutputName, PathBuf>) -> Vec<OutputReport> {
        outputs
            .keys()
            .map(|output| {
                let mut counted = OutputReport {
                    name: *output,
                    files: 0,
                    links: 0,
                };
                for piece in self
                    .pieces
                    .iter()
                    .filter(|piece| piece.to.output == *output)
                {
                    match piece.kind {
                        PieceKind::File => counted.files += 1,
                        PieceKind::Link(_) => counted.links += 1,
                        PieceKind::EmptyDirectory => {}
                    }
                }
                counted
            })
            .collect()
    }
}

/// The text of the link at `link` to `location` (empty: the top) in `output`.
fn link_text(
    outputs: &BTreeMap<OutputName, PathBuf>,
    link: &Placement,
    output: OutputName,
    location: &str,
) -> Result<String, Error> {
    if link.output == output {
        return Ok(links::relative(&link.path, location));
    }
    match outputs.get(&output).and_then(|path| path.to_str()) {
        Some(root) if location.is_empty() => Ok(root.to_owned()),
        Some(root) => Ok(format!("{root}/{location}")),
        None => Err(RealiseError::NoOutput { output }.into()),
    }
}

/// Where everything goes, folders included.
pub(super) struct Homes<'a> {
    layout: &'a Layout,
    patterns: &'a Patterns,
    declared: BTreeSet<OutputName>,
    /// Which outputs the content of each folder of the archive goes to, the top included (as `""`).
    spread: BTreeMap<String, BTreeSet<OutputName>>,
}

impl<'a> Homes<'a> {
    /// The homes of everything in `tree`, laid out as `layout` says, among the outputs of `plan`.
    pub(super) fn new(tree: &Tree, layout: &'a Layout, plan: &'a Plan) -> Homes<'a> {
        let mut homes = Homes {
            layout,
            patterns: &plan.extras.patterns,
            declared: plan.outputs.keys().copied().collect(),
            spread: BTreeMap::new(),
        };
        for (path, node) in tree.iter() {
            if matches!(node, Node::Directory { is_empty: false }) {
                continue;
            }
            let Some(Placement { output, .. }) = homes.place(path) else {
                continue;
            };
            let mut folder = path.as_str();
            loop {
                folder = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
                homes
                    .spread
                    .entry(folder.to_owned())
                    .or_default()
                    .insert(output);
                if folder.is_empty() {
                    break;
                }
            }
        }
        homes
    }

    /// Where `path` of the archive goes; `None` when it is left out.
    fn place(&self, path: &RelPath) -> Option<Placement> {
        let path = self.layout.place(path)?;
        Some(Placement {
            output: place(path, &self.declared, self.patterns),
            path: path.clone(),
        })
    }

    /// Where the file, folder or link `path` of the archive is found in the end; `None` when it is left out, or a folder
    /// that is spread over outputs.
    pub(super) fn locate(&self, tree: &Tree, path: &RelPath) -> Option<Placement> {
        let placement = self.place(path)?;
        if !matches!(tree.node(path), Some(Node::Directory { is_empty: false })) {
            return Some(placement);
        }
        Some(Placement {
            output: self.of_folder(path, placement.output)?,
            path: placement.path,
        })
    }

    /// The output that has what is in the folder `path` of the archive: `best` if that has some of it, or the only one.
    fn of_folder(&self, path: &RelPath, best: OutputName) -> Option<OutputName> {
        let spread = self.spread.get(path.as_str())?;
        match spread.contains(&best) {
            true => Some(best),
            false => spread.first().filter(|_| spread.len() == 1).copied(),
        }
    }

    /// The output and the path in it (empty: the top) that the link `link` must lead to.
    fn of_target(
        &self,
        tree: &Tree,
        link: &RelPath,
        target: &str,
    ) -> Result<(OutputName, String), Error> {
        let dangling = || RealiseError::DanglingLink {
            link: link.to_string(),
            target: target.to_owned(),
        };
        let named = links::named(tree, link, target).ok_or_else(dangling)?;
        let path = match named {
            // The report lies in `out`, so that there always is one.
            Target::Top => return Ok((OutputName::Out, String::new())),
            // A link that is left out stands for what it leads to.
            Target::Path(path) if self.layout.place(&path).is_none() => {
                match links::end(tree, link, target).ok_or_else(dangling)? {
                    Target::Top => return Ok((OutputName::Out, String::new())),
                    Target::Path(path) => path,
                }
            }
            Target::Path(path) => path,
        };
        let found = if self.layout.is_top(&path) {
            let output = self.of_folder(&path, OutputName::Out);
            output.map(|output| (output, String::new()))
        } else if self.layout.place(&path).is_some() {
            let found = self.locate(tree, &path);
            found.map(|Placement { output, path }| (output, path.to_string()))
        } else {
            return Err(dangling().into());
        };
        match found {
            Some(found) => Ok(found),
            None => {
                let spread = self.spread.get(path.as_str()).into_iter().flatten();
                let outputs: Vec<String> = spread.map(|output| format!("`{output}`")).collect();
                Err(RealiseError::LinkToSplit {
                    link: link.to_string(),
                    target: target.to_owned(),
                    outputs: outputs.join(", "),
                }
                .into())
            }
        }
    }
}

/// # Errors
/// Two pieces have the same place, one lies below another that is no directory, or one is where this program puts
/// something of its own; two places differ only in case.
fn check_places(pieces: &[Piece]) -> Result<(), Error> {
    let mut taken: BTreeMap<(OutputName, &str), &str> = BTreeMap::new();
    let outputs: BTreeSet<OutputName> = pieces.iter().map(|piece| piece.to.output).collect();
    for output in outputs.into_iter().chain([OutputName::Out]) {
        taken.insert((output, support::FOLDER), "the folder of this program");
    }
    taken.insert(
        (OutputName::Out, super::UNPACKED),
        "the folder of the unpacked archive",
    );
    for piece in pieces {
        let Placement { output, path } = &piece.to;
        if piece.kind == PieceKind::EmptyDirectory {
            // Two empty directories in one place are one.
            continue;
        }
        if let Some(first) = taken.insert((*output, path.as_str()), piece.from.as_str()) {
            return Err(collision(*output, path, first, &piece.from));
        }
    }
    let mut spellings: BTreeMap<(OutputName, String), (&str, &RelPath)> = BTreeMap::new();
    for piece in pieces {
        let Placement { output, path } = &piece.to;
        let mut above = match piece.kind {
            PieceKind::EmptyDirectory => Some(path.as_str()),
            _ => path.as_str().rsplit_once('/').map(|(parent, _)| parent),
        };
        while let Some(folder) = above {
            if let Some(first) = taken.get(&(*output, folder)) {
                return Err(collision(*output, path, first, &piece.from));
            }
            above = folder.rsplit_once('/').map(|(parent, _)| parent);
        }
        let mut part = Some(path.as_str());
        while let Some(spelling) = part {
            let (first, of) = *spellings
                .entry((*output, spelling.to_lowercase()))
                .or_insert((spelling, &piece.from));
            if first != spelling {
                return Err(RealiseError::CaseCollision {
                    output: *output,
                    first: of.to_string(),
                    second: piece.from.to_string(),
                }
                .into());
            }
            part = spelling.rsplit_once('/').map(|(parent, _)| parent);
        }
    }
    Ok(())
}

/// # Errors
/// One of the plan's outputs has nothing in it. `out` and `dev` need nothing: they lead to the others.
fn check_outputs(pieces: &[Piece], linked: &[Placement], plan: &Plan) -> Result<(), Error> {
    let content = || {
        pieces
            .iter()
            .filter(|piece| piece.kind != PieceKind::EmptyDirectory)
            .map(|piece| &piece.to)
    };
    let places = || content().chain(linked);
    let filled: BTreeSet<OutputName> = places().map(|place| place.output).collect();
    let may_be_empty = [OutputName::Out, OutputName::Dev];
    let empty: Vec<OutputName> = plan
        .outputs
        .keys()
        .filter(|output| !filled.contains(output) && !may_be_empty.contains(output))
        .copied()
        .collect();
    if empty.is_empty() {
        return Ok(());
    }
    let mut folders: BTreeMap<&str, u64> = BTreeMap::new();
    for place in content() {
        let path = place.path.as_str();
        let folder = path.split_inclusive('/').next().unwrap_or(path);
        *folders.entry(folder).or_default() += 1;
    }
    Err(RealiseError::EmptyOutputs {
        package: plan.package.clone(),
        empty,
        derived: derive(places().map(|place| &place.path), &plan.extras.patterns)
            .into_iter()
            .collect(),
        content: folders
            .into_iter()
            .map(|(folder, count)| match folder.ends_with('/') {
                true => format!("{} ({count})", text::quote(folder)),
                false => text::quote(folder),
            })
            .collect(),
    }
    .into())
}

fn collision(output: OutputName, to: &RelPath, first: &str, second: &RelPath) -> Error {
    RealiseError::Collision {
        output,
        to: to.to_string(),
        first: first.to_owned(),
        second: second.to_string(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Extras;

    const ALL: &[OutputName] = &OutputName::ALL;

    fn outputs(names: &[OutputName]) -> BTreeMap<OutputName, PathBuf> {
        names
            .iter()
            .map(|name| (*name, PathBuf::from(format!("/store/{name}"))))
            .collect()
    }

    fn split(lines: &[&str], names: &[OutputName]) -> Result<Vec<String>, String> {
        let mut references = References::default();
        let tree = Tree::sample(lines);
        let layout =
            Layout::new(&tree, None, &Extras::default()).map_err(|error| error.render())?;
        let content = tree.iter().filter_map(|(path, node)| match node {
            Node::Directory { .. } => None,
            _ => layout.place(path),
        });
        let derived = derive(content, &Patterns::default());
        let names: Vec<_> = names
            .iter()
            .filter(|name| derived.contains(name))
            .copied()
            .collect();
        let plan = Plan::sample(outputs(&names));
        let homes = Homes::new(&tree, &layout, &plan);
        let split = Split::new(&tree, &homes, &plan, &[], &mut references)
            .map_err(|error| error.render())?;
        let shown = split.pieces().iter().map(
            |Piece {
                 to: Placement { output, path },
                 kind,
                 ..
             }| match kind {
                PieceKind::File => format!("{output}: {path}"),
                PieceKind::Link(text) => format!("{output}: {path} -> {text}"),
                PieceKind::EmptyDirectory => format!("{output}: {path}/"),
            },
        );
        let shown = shown.collect();
        references.check("foo").map_err(|error| error.render())?;
        Ok(shown)
    }

    #[test]
    fn links_stay_relative_in_one_output_and_become_absolute_across() {
        let shown = split(
            &[
                "lib/libx.so -> libx.so.1",
                "lib/libx.so.1 -> ./libx.so.1.2",
                "lib/libx.so.1.2",
                "lib/stubs/liby.so -> ../libx.so",
                "lib/libx_static.a",
                "lib64 -> lib",
                "include/lib -> ../lib64/libx.so",
                "pkgconfig/x.pc",
                "pkgconfig/y.pc -> x.pc",
                "pc -> pkgconfig/x.pc",
                "cmake -> lib/cmake",
                "lib/cmake/x/x.cmake",
                "top -> .",
                "share/empty/",
            ],
            ALL,
        );
        assert_eq!(
            shown.unwrap(),
            [
                "out: cmake -> /store/dev/lib/cmake",
                "include: include/lib -> /store/lib/lib/libx.so",
                "dev: lib/cmake/x/x.cmake",
                "lib: lib/libx.so -> libx.so.1",
                "lib: lib/libx.so.1 -> libx.so.1.2",
                "lib: lib/libx.so.1.2",
                "static: lib/libx_static.a",
                "stubs: lib/stubs/liby.so -> /store/lib/lib/libx.so",
                "lib: lib64 -> lib",
                "out: pc -> /store/dev/share/pkgconfig/x.pc",
                "dev: share/pkgconfig/x.pc",
                "dev: share/pkgconfig/y.pc -> x.pc",
                "out: share/empty/",
                "out: top -> .",
            ]
        );
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        for (lines, expected) in [
            (
                &["lib/a -> ../gone/b"][..],
                "lib/a: expected a link to something in the archive, found `../gone/b`, which leads nowhere",
            ),
            (
                &["all -> nvvm", "nvvm/x.a", "nvvm/x.pc"],
                "all: expected a link to something that stays whole, found `nvvm`, which is spread over the outputs `dev`, `static`",
            ),
            (
                &["pkg-config/x.pc", "pkgconfig/x.pc"],
                "pkgconfig/x.pc: expected one path for `share/pkgconfig/x.pc` of the output `dev`, found `pkg-config/x.pc` and `pkgconfig/x.pc`",
            ),
            (
                &["share/pkgconfig", "pkgconfig/x.pc"],
                "pkgconfig/x.pc: expected one path for `share/pkgconfig/x.pc` of the output `dev`, found `share/pkgconfig` and `pkgconfig/x.pc`",
            ),
            (
                &["nix-support/cuda-redist.json"],
                "nix-support/cuda-redist.json: expected one path for `nix-support/cuda-redist.json` of the output `out`, found `the folder of this program`",
            ),
            (
                &["nix-support -> share", "share/x"],
                "nix-support: expected one path for `nix-support` of the output `out`, found `the folder of this program` and `nix-support`",
            ),
            (
                &[".cuda-redist-unpacked/LICENSE", "LICENSE"],
                ".cuda-redist-unpacked/LICENSE: expected one path for `.cuda-redist-unpacked/LICENSE` of the output `out`, found `the folder of the unpacked archive`",
            ),
            (
                &["include/CRT/x.h", "include/crt/y.h"],
                "include/crt/y.h: expected paths that differ in more than case, found `include/CRT/x.h` and `include/crt/y.h` in the output `include`",
            ),
            (
                &["bin/x -> ../lib/x", "lib/x", "lib/y -> ../bin/z", "bin/z"],
                "foo: expected outputs that refer to each other in one direction only, found `bin` to `lib` (`bin/x` to `../lib/x`), `lib` to `bin` (`lib/y` to `../bin/z`)",
            ),
        ] {
            let message = split(lines, ALL).unwrap_err();
            assert!(
                message.contains(expected),
                "{lines:?}:\n{message}\nexpected\n{expected}"
            );
        }
    }

    #[test]
    fn fewer_outputs_heal_circles_and_spread_folders() {
        let lines = &[
            "bin/x -> ../lib/x",
            "lib/x",
            "lib/y -> ../bin/z",
            "bin/z",
            "all -> nvvm",
            "nvvm/x.a",
            "nvvm/x.pc",
        ];
        assert_eq!(
            split(lines, &[OutputName::Out]).unwrap(),
            [
                "out: all -> nvvm",
                "out: bin/x -> ../lib/x",
                "out: bin/z",
                "out: lib/x",
                "out: lib/y -> ../bin/z",
                "out: nvvm/x.a",
                "out: nvvm/x.pc",
            ]
        );
    }

    #[test]
    fn outputs_without_content_are_refused() {
        let tree = Tree::sample(&["lib/libx.so.1", "lib/y/", "LICENSE", "bin/"]);
        let layout = Layout::new(&tree, None, &Extras::default()).unwrap();
        let declared = [
            OutputName::Out,
            OutputName::Bin,
            OutputName::Dev,
            OutputName::Lib,
            OutputName::Static,
        ];
        let plan = Plan::sample(outputs(&declared));
        let homes = Homes::new(&tree, &layout, &plan);
        let error = Split::new(&tree, &homes, &plan, &[], &mut References::default());
        insta::assert_snapshot!(error.unwrap_err().render(), @"
        foo: expected something in each output, found nothing for `bin`, `static`; there is `LICENSE`, `lib/` (1)
        hint: declare the outputs that this archive has something for: `out`, `lib`
        ");
        // What links into other packages fill is not empty.
        let linked = Placement {
            output: OutputName::Bin,
            path: RelPath::new("bin/x").unwrap(),
        };
        let error = Split::new(&tree, &homes, &plan, &[linked], &mut References::default());
        insta::assert_snapshot!(error.unwrap_err().render(), @"
        foo: expected something in each output, found nothing for `static`; there is `LICENSE`, `lib/` (1)
        hint: declare the outputs that this archive has something for: `out`, `bin`, `lib`
        ");
    }

    #[test]
    fn links_to_a_folder_that_is_the_top_lead_there() {
        let tree = Tree::sample(&[
            "nvvm/lib/x",
            "all -> nvvm",
            "share/all -> ../nvvm",
            "LICENSE",
        ]);
        let extras = Extras {
            moves: vec![(RelPath::new("nvvm").unwrap(), None)],
            ..Extras::default()
        };
        let layout = Layout::new(&tree, None, &extras).unwrap();
        assert_eq!(layout.notes(), ["what was in `nvvm` is at the top now"]);
        for (declared, expected) in [
            (&[OutputName::Out][..], [".", ".."]),
            (&[OutputName::Out, OutputName::Lib], ["/store/lib"; 2]),
        ] {
            let plan = Plan::sample(outputs(declared));
            let homes = Homes::new(&tree, &layout, &plan);
            let split = Split::new(&tree, &homes, &plan, &[], &mut References::default());
            let split = split.map_err(|error| error.render()).unwrap();
            let kinds = split.pieces().iter().map(|piece| &piece.kind);
            let links = kinds.filter_map(|kind| match kind {
                PieceKind::Link(text) => Some(text.as_str()),
                _ => None,
            });
            assert_eq!(links.collect::<Vec<_>>(), expected);
        }
    }
}
