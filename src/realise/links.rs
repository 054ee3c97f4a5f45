//! Where symbolic links lead, found in the [`Tree`] alone, so that nothing outside the archive can answer.

use super::tree::{Node, Tree};
use crate::relpath::RelPath;

/// How many links one path may lead through, as in Linux (`MAXSYMLINKS`).
const MAX_HOPS: u32 = 40;

/// A path of the tree, or its top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The top directory.
    Top,
    /// What lies below it.
    Path(RelPath),
}

/// What `link` (whose text is `target`) names: the directory it names is found through further links, the last
/// component is not followed. `None` when there is nothing in the tree, also at the end of all links.
pub(super) fn named(tree: &Tree, link: &RelPath, target: &str) -> Option<Target> {
    follow(tree, link, target, Last::Follow)?;
    follow(tree, link, target, Last::Keep)
}

/// Where `link` leads in the end: a file or directory. `None` when there is nothing in the tree.
pub(super) fn end(tree: &Tree, link: &RelPath, target: &str) -> Option<Target> {
    follow(tree, link, target, Last::Follow)
}

/// Whether a link that is the last component is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Follow,
    Keep,
}

fn follow(tree: &Tree, link: &RelPath, target: &str, last: Last) -> Option<Target> {
    let mut folder: Vec<String> = link.components().map(str::to_owned).collect();
    folder.pop();
    let found = walk(tree, folder, target, last, &mut MAX_HOPS.clone())?;
    if found.is_empty() {
        Some(Target::Top)
    } else {
        RelPath::new(&found.join("/")).ok().map(Target::Path)
    }
}

/// Walks `target` from the directory `at`, which consists of real directories.
fn walk(
    tree: &Tree,
    mut at: Vec<String>,
    target: &str,
    last: Last,
    hops: &mut u32,
) -> Option<Vec<String>> {
    if target.is_empty() || target.starts_with('/') {
        return None;
    }
    let mut components = target
        .split('/')
        .filter(|component| !matches!(*component, "" | "."))
        .peekable();
    while let Some(component) = components.next() {
        let is_last = components.peek().is_none();
        if component == ".." {
            at.pop()?;
            continue;
        }
        at.push(component.to_owned());
        match tree.node(&RelPath::new(&at.join("/")).ok()?)? {
            Node::Link { target } if !is_last || last == Last::Follow => {
                *hops = hops.checked_sub(1)?;
                at.pop();
                at = walk(tree, at, target, Last::Follow, hops)?;
                let leads_to_file = RelPath::new(&at.join("/"))
                    .is_ok_and(|path| !matches!(tree.node(&path), Some(Node::Directory { .. })));
                if !is_last && leads_to_file {
                    return None;
                }
            }
            Node::File if !is_last => return None,
            Node::File | Node::Link { .. } | Node::Directory { .. } => {}
        }
    }
    Some(at)
}

/// The text of a link in the directory of `link` to `target`, both of one output; `target` is empty for the top.
pub(super) fn relative(link: &RelPath, target: &str) -> String {
    let folder: Vec<&str> = link
        .components()
        .rev()
        .skip(1)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    let target: Vec<&str> = target
        .split('/')
        .filter(|component| !component.is_empty())
        .collect();
    let shared = folder
        .iter()
        .zip(&target)
        .take_while(|(a, b)| a == b)
        .count();
    let up = std::iter::repeat_n("..", folder.len().saturating_sub(shared));
    let text: Vec<&str> = up.chain(target.into_iter().skip(shared)).collect();
    if text.is_empty() {
        ".".to_owned()
    } else {
        text.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rel(path: &str) -> RelPath {
        RelPath::new(path).unwrap()
    }

    fn shown(target: Option<Target>) -> String {
        match target {
            None => "nothing".to_owned(),
            Some(Target::Top) => "top".to_owned(),
            Some(Target::Path(path)) => path.to_string(),
        }
    }

    #[test]
    fn links_lead_through_links_and_never_out() {
        let tree = Tree::sample(&[
            "lib/libx.so.1.2",
            "lib/libx.so.1 -> libx.so.1.2",
            "lib/libx.so -> libx.so.1",
            "lib64 -> lib",
            "gone -> lib/absent",
            "to_gone -> gone",
            "loop_a -> loop_b",
            "loop_b -> loop_a",
            "share/empty/",
        ]);
        for (link, target, expected_name, expected_end) in [
            (
                "lib/libx.so",
                "libx.so.1",
                "lib/libx.so.1",
                "lib/libx.so.1.2",
            ),
            ("a/b", "../lib64/libx.so", "lib/libx.so", "lib/libx.so.1.2"),
            ("a", "lib64", "lib64", "lib"),
            ("a", "lib64/", "lib64", "lib"),
            (
                "a",
                "./lib/../lib/libx.so.1.2",
                "lib/libx.so.1.2",
                "lib/libx.so.1.2",
            ),
            ("a/b", "..", "top", "top"),
            ("a/b", "../..", "nothing", "nothing"),
            ("a", "../lib", "nothing", "nothing"),
            ("a", "/lib", "nothing", "nothing"),
            ("a", "", "nothing", "nothing"),
            ("a", "gone", "nothing", "nothing"),
            ("a", "to_gone", "nothing", "nothing"),
            ("a", "loop_a", "nothing", "nothing"),
            ("a", "lib/libx.so.1.2/x", "nothing", "nothing"),
            ("a", "lib/libx.so/..", "nothing", "nothing"),
            ("a", "share/empty", "share/empty", "share/empty"),
        ] {
            assert_eq!(
                shown(named(&tree, &rel(link), target)),
                expected_name,
                "{link} -> {target}"
            );
            assert_eq!(
                shown(end(&tree, &rel(link), target)),
                expected_end,
                "{link} -> {target}"
            );
        }
    }

    #[test]
    fn relative_texts_are_the_shortest() {
        for (link, target, expected) in [
            ("lib/a", "lib/b", "b"),
            ("a", "lib/b", "lib/b"),
            ("lib/x/a", "lib/b", "../b"),
            ("lib/a", "lib", "."),
            ("lib/a", "", ".."),
            ("a", "", "."),
            ("lib/x/a", "lib64/b", "../../lib64/b"),
        ] {
            assert_eq!(relative(&rel(link), target), expected, "{link} to {target}");
        }
    }
}
