//! Who may use whom: the modules of `src/` against the table of the project's layout, read with `syn`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

use crate::support;

/// What every module may use: the error type, the quoting of outside text, and the path that cannot leave its root.
const FOR_ALL: &[&str] = &["error", "text", "relpath"];

/// Each module of `src/` and the modules that it may use besides [`FOR_ALL`].
const TABLE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("text", &[]),
    ("relpath", &[]),
    ("shape", &[]),
    ("hash", &[]),
    ("manifest", &["shape", "hash"]),
    // Its shape is a table of its own, held against the text by the judge of manifests.
    ("plan", &["manifest", "shape"]),
    ("archive", &["hash"]),
    ("elf", &[]),
    ("fatbin", &["elf"]),
    ("resolve", &["elf"]),
    ("audit", &["resolve", "fatbin", "elf"]),
    // Which outputs an archive has is for those to say who make them.
    ("index", &["manifest", "hash", "archive", "plan", "realise"]),
    // It sees all stages.
    (
        "realise",
        &[
            "plan", "manifest", "hash", "archive", "elf", "fatbin", "resolve", "audit",
        ],
    ),
    (
        "cli",
        &[
            "shape", "manifest", "hash", "plan", "archive", "elf", "fatbin", "resolve", "audit",
            "index", "realise",
        ],
    ),
    // Evaluation unpacks nothing: no archive, no elf.
    ("ffi", &["shape", "manifest", "hash"]),
];

#[test]
fn modules_use_what_the_table_allows() {
    let src = support::root().join("src");
    let mut problems = Vec::new();
    let mut count = 0;
    for file in rust_files(&src) {
        let inside = file.strip_prefix(&src).unwrap();
        // The two roots: a list of modules, and the call of `cli`.
        if inside == Path::new("lib.rs") || inside == Path::new("main.rs") {
            continue;
        }
        count += 1;
        problems.extend(violations(inside, &fs::read_to_string(&file).unwrap()));
    }
    assert!(count > 20, "{} holds only {count} files", src.display());
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn violations_are_caught() {
    let caught = |file: &str, text: &str| violations(Path::new(file), text).join("\n");
    for (file, text) in [
        (
            "elf/read.rs",
            "use crate::error::Error; use crate::text; use crate::elf::edit; use super::write;",
        ),
        (
            "elf/mod.rs",
            "mod read; use self::read::Elf; fn f() -> std::io::Result<()> { read::g() }",
        ),
        (
            "cli/elf.rs",
            "use crate::{elf, manifest::{self, json::Tape}}; use super::args; fn f() { super::report() }",
        ),
        (
            "plan/read.rs",
            "pub(crate) fn f() {} pub(in crate::plan) fn g() {} mod x { use super::super::OutputName; }",
        ),
        (
            "fatbin/mod.rs",
            "mod tests { use super::*; use crate::elf; }",
        ),
    ] {
        assert_eq!(caught(file, text), "", "{file}: {text}");
    }
    for (file, text, used) in [
        ("elf/read.rs", "use crate::hash;", "hash"),
        (
            "elf/read.rs",
            "use crate::{error::Error, hash::{Sha256, verify}};",
            "hash",
        ),
        ("elf/read.rs", "use crate::hash as digests;", "hash"),
        ("elf/read.rs", "use ::cuda_redist::hash;", "hash"),
        (
            "elf/read.rs",
            "fn f() -> crate::hash::Sha256 { loop {} }",
            "hash",
        ),
        ("elf/read.rs", "fn f() { crate::hash::sha256(x); }", "hash"),
        (
            "elf/read.rs",
            "fn f() { let _: Vec<<crate::hash::A as B>::C>; }",
            "hash",
        ),
        ("elf/read.rs", "use super::super::hash::Sha256;", "hash"),
        (
            "elf/read.rs",
            "fn f() { super::super::hash::sha256(x); }",
            "hash",
        ),
        ("elf/mod.rs", "use super::hash;", "hash"),
        ("resolve.rs", "mod deep { use super::super::hash; }", "hash"),
        (
            "elf/read.rs",
            "fn f() { println!(\"{}\", crate::hash::sha256(x)); }",
            "hash",
        ),
        (
            "elf/read.rs",
            "#[error(\"{}\", crate::hash::sha256(x))] struct A;",
            "hash",
        ),
        (
            "elf/read.rs",
            "#[cfg(test)] mod tests { use crate::manifest; }",
            "manifest",
        ),
        ("shape/rule.rs", "use crate::manifest::RELEASE;", "manifest"),
        ("ffi/mod.rs", "use crate::archive::unpack;", "archive"),
        ("ffi/mod.rs", "use crate::cli;", "cli"),
        ("error.rs", "use crate::cli;", "cli"),
    ] {
        let module = file.split(['/', '.']).next().unwrap();
        assert!(
            caught(file, text).contains(&format!("`{module}` uses `{used}`")),
            "{file}: {text}"
        );
    }
    // Names that hide which module is meant, and modules without a row.
    assert!(caught("elf/read.rs", "use crate::*;").contains("names no module"));
    assert!(caught("elf/read.rs", "use crate as all;").contains("names no module"));
    assert!(caught("elf/read.rs", "use crate::{self as all};").contains("names no module"));
    assert!(caught("utils/mod.rs", "").contains("`utils` has no row"));
    assert!(caught("misc.rs", "").contains("`misc` has no row"));
    assert!(caught("elf/read.rs", "fn (").contains("cannot read"));
}

#[test]
fn the_table_has_no_cycles() {
    let mut open: BTreeMap<&str, BTreeSet<&str>> = TABLE
        .iter()
        .map(|(module, uses)| (*module, uses.iter().copied().collect()))
        .collect();
    assert_eq!(open.len(), TABLE.len(), "a module has two rows");
    while let Some(leaf) = open
        .iter()
        .find(|(_, uses)| uses.is_empty())
        .map(|(module, _)| *module)
    {
        open.remove(leaf);
        for uses in open.values_mut() {
            uses.remove(leaf);
        }
    }
    assert!(
        open.is_empty(),
        "in a cycle, or using what has no row: {:?}",
        open.keys()
    );
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What `text`, the file `file` below `src/`, uses against the table, a line each.
fn violations(file: &Path, text: &str) -> Vec<String> {
    let mut path: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    path.pop_if(|last| last == "mod");
    let module = path[0].clone();
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "{}: `{module}` has no row in the table of tests/layering.rs",
            file.display()
        )];
    };
    let tree = match syn::parse_file(text) {
        Ok(tree) => tree,
        Err(error) => return vec![format!("{}: cannot read: {error}", file.display())],
    };
    let mut reader = Reader {
        path,
        used: Vec::new(),
    };
    reader.visit_file(&tree);
    let mut problems = Vec::new();
    for used in reader.used {
        match used {
            Some(used)
                if used == module || FOR_ALL.contains(&&*used) || allowed.contains(&&*used) => {}
            Some(used) if TABLE.iter().any(|(name, _)| *name == used) => {
                problems.push(format!(
                    "{}: `{module}` uses `{used}`, which the table does not allow",
                    file.display()
                ));
            }
            Some(used) => problems.push(format!(
                "{}: `{used}` has no row in the table",
                file.display()
            )),
            None => problems.push(format!(
                "{}: a path to the crate itself names no module",
                file.display()
            )),
        }
    }
    problems
}

/// Collects the modules that paths lead to.
struct Reader {
    /// Where the code being read is: `["elf", "read"]`.
    path: Vec<String>,
    /// The top modules of the crate that were named; `None` for the crate itself.
    used: Vec<Option<String>>,
}

impl Reader {
    /// Notes where the path with these `names` leads, if it leads out of the module it stands in.
    fn lead(&mut self, names: &[String]) {
        let mut at = match names.first().map(String::as_str) {
            Some("crate" | "cuda_redist") => Vec::new(),
            Some("super" | "self") => self.path.clone(),
            _ => return,
        };
        for name in names {
            match name.as_str() {
                "crate" | "cuda_redist" | "self" => {}
                "super" => {
                    at.pop();
                }
                name => at.push(name.to_owned()),
            }
        }
        self.used.push(at.into_iter().next());
    }

    fn tree(&mut self, tree: &syn::UseTree, names: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                names.push(path.ident.to_string());
                self.tree(&path.tree, names);
                names.pop();
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(tree, names))
            }
            syn::UseTree::Name(syn::UseName { ident, .. })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                names.push(ident.to_string());
                self.lead(names);
                names.pop();
            }
            syn::UseTree::Glob(_) => self.lead(names),
        }
    }

    /// Macros and attributes hold tokens, not paths: every `crate::name` and `super::name` in them counts.
    fn tokens(&mut self, tokens: &str) {
        let words: Vec<&str> = tokens.split("::").map(str::trim).collect();
        let ident = |c: char| c.is_alphanumeric() || c == '_';
        let mut names: Vec<String> = Vec::new();
        for word in words {
            let first = word.split(|c| !ident(c)).next().unwrap_or_default();
            if !names.is_empty() && !first.is_empty() {
                names.push(first.to_owned());
            }
            // A path goes on only where one word stands between two `::`.
            if word != first || first.is_empty() {
                if names.len() > 1 {
                    self.lead(&names);
                }
                names.clear();
                let last = word.rsplit(|c| !ident(c)).next().unwrap_or_default();
                if !last.is_empty() {
                    names.push(last.to_owned());
                }
            } else if names.is_empty() {
                names.push(first.to_owned());
            }
        }
        if names.len() > 1 {
            self.lead(&names);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.lead(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(&item.tokens.to_string());
        visit::visit_macro(self, item);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.tokens(&list.tokens.to_string());
        visit::visit_meta_list(self, list);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.path.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.path.pop();
    }
}
