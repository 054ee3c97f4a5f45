//! CMake's files: they look for the rest of the package from where they lie themselves, and the split takes it away.
//!
//! Not an interpreter of CMake. Followed are the ways in which packages find their own top: variables that are set from
//! `CMAKE_CURRENT_LIST_DIR` and `CMAKE_CURRENT_LIST_FILE` by `get_filename_component`, `set` and `file(REAL_PATH)`, line by
//! line, and the `_IMPORT_PREFIX` of exported targets. What such a variable leads to is replaced where the split has put it
//! elsewhere; calls of `find_path` and its like that search such a folder are given the other outputs, too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// A variable at the start of a path: `${NAME}/rest`, alone or in quotes; or a call that sets one.
#[allow(
    clippy::unwrap_used,
    reason = "the expression is a constant; a test compiles it"
)]
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?i)(?P<call>\bget_filename_component\s*\(\s*(?P<gv>\w+)\s+"?(?P<ge>[^"\s)]+)"?\s+(?P<gm>\w+)"#,
        r#"|\bset\s*\(\s*(?P<sv>\w+)\s+"?(?P<se>[^"\s)]+)"?\s*(?:CACHE|PARENT_SCOPE|\))"#,
        r#"|\bfile\s*\(\s*REAL_PATH\s+"?(?P<re>[^"\s)]+)"?\s+(?P<rv>\w+)(?:\s+BASE_DIRECTORY\s+"?(?P<rb>[^"\s)]+)"?)?)"#,
        r#"|(?P<find>\bfind_(?:path|file|library|program)\s*\()"#,
        r#"|(?P<close>\))"#,
        r#"|(?P<comment>\#[^\n]*)"#,
        r#"|(?P<token>\$\{(?P<tv>\w+)\}(?P<tr>(?:/[\w.+\-]*)*))"#,
    ))
    .unwrap()
});

/// Where things of the archive are found.
pub(super) trait Places {
    /// Where the path of the archive is found, when that is not where the file itself leads to.
    fn elsewhere(&mut self, path: &str) -> Option<String>;
    /// The tops of the outputs that hold headers and libraries.
    fn others(&mut self) -> Vec<String>;
}

/// `text` with the paths that its package is found at. `file` is its path in the archive.
pub(super) fn rewrite(text: &str, file: &str, places: &mut dyn Places) -> String {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut variables: BTreeMap<String, String> = BTreeMap::from([
        ("CMAKE_CURRENT_LIST_DIR".to_owned(), folder.to_owned()),
        ("CMAKE_CURRENT_LIST_FILE".to_owned(), file.to_owned()),
        // Set by the file that includes this one, when this one does not.
        ("_IMPORT_PREFIX".to_owned(), String::new()),
    ]);
    let mut searches = false;
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for found in WORDS.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(text.get(done..whole.start()).unwrap_or_default());
        done = whole.end();
        if found.name("call").is_some() {
            out.push_str(&replaced(
                whole.as_str(),
                &variables,
                places,
                Context::Other,
            ));
            if let Some((name, value)) = assigned(&found, folder, &variables) {
                match value {
                    Some(value) => variables.insert(name, value),
                    None => variables.remove(&name),
                };
            }
        } else if found.name("token").is_some() {
            let context = match (searches, out.ends_with('"')) {
                (false, _) => Context::Other,
                (true, false) => Context::Search,
                (true, true) => Context::QuotedSearch,
            };
            out.push_str(&replaced(whole.as_str(), &variables, places, context));
        } else {
            searches = match (found.name("find"), found.name("close")) {
                (Some(_), _) => true,
                (_, Some(_)) => false,
                _ => searches,
            };
            out.push_str(whole.as_str());
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// The variable that a call sets, and the path in the archive that it is then; `None` for others.
fn assigned(
    call: &Captures<'_>,
    folder: &str,
    variables: &BTreeMap<String, String>,
) -> Option<(String, Option<String>)> {
    let part = |name| call.name(name).map(|found| found.as_str());
    if let (Some(name), Some(value)) = (part("gv"), part("ge")) {
        let mode = part("gm").unwrap_or_default().to_ascii_uppercase();
        let path = evaluate(value, variables);
        let value = match mode.as_str() {
            "PATH" | "DIRECTORY" => path.and_then(|path| parent(&path)),
            "ABSOLUTE" | "REALPATH" => path,
            _ => None,
        };
        return Some((name.to_owned(), value));
    }
    if let (Some(name), Some(value)) = (part("sv"), part("se")) {
        return Some((name.to_owned(), evaluate(value, variables)));
    }
    let (name, value) = (part("rv")?, part("re")?);
    let base = match part("rb") {
        Some(base) => evaluate(base, variables),
        None => Some(folder.to_owned()),
    };
    let value = match value.starts_with("${") {
        true => evaluate(value, variables),
        false => base.and_then(|base| normal(&format!("{base}/{value}"))),
    };
    Some((name.to_owned(), value))
}

/// The path in the archive that `${NAME}/rest` stands for.
fn evaluate(value: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let (name, rest) = value.strip_prefix("${")?.split_once('}')?;
    let path = variables.get(name)?;
    match rest.is_empty() || rest.starts_with('/') {
        true => normal(&format!("{path}{rest}")),
        false => None,
    }
}

/// Without `.` and `..`; `None` when that leads out of the archive.
fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn parent(path: &str) -> Option<String> {
    match path.rsplit_once('/') {
        Some((parent, _)) => Some(parent.to_owned()),
        None if path.is_empty() => None,
        None => Some(String::new()),
    }
}

/// What a path is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// A call of `find_path` or the like.
    Search,
    /// The same, in quotes.
    QuotedSearch,
    /// All else.
    Other,
}

/// `words` with each path that is found elsewhere in its place. In a search a folder is joined by the same one of the
/// other outputs.
fn replaced(
    words: &str,
    variables: &BTreeMap<String, String>,
    places: &mut dyn Places,
    context: Context,
) -> String {
    let mut out = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let length = token_length(from);
        let (token, after) = from.split_at(length);
        rest = after;
        let Some(path) = evaluate(token, variables) else {
            out.push_str(token);
            continue;
        };
        let is_alone = token.ends_with('}');
        match places.elsewhere(&path) {
            // A file's own place, and what is told from it, must stay what CMake knows.
            Some(found) if !is_alone => out.push_str(&found),
            _ => out.push_str(token),
        }
        if context != Context::Other && is_alone {
            for top in places.others() {
                let folder = match path.as_str() {
                    "" => top,
                    path => format!("{top}/{path}"),
                };
                let between = match context {
                    Context::QuotedSearch => "\" \"",
                    Context::Search | Context::Other => " ",
                };
                out.push_str(between);
                out.push_str(&folder);
            }
        }
    }
    out.push_str(rest);
    out
}

/// The length of `${NAME}/rest` at the start of `text`.
fn token_length(text: &str) -> usize {
    let Some(name) = text.find('}') else {
        return text.len();
    };
    let name = name + 1;
    let is_path = |c: char| c.is_alphanumeric() || "/_.+-".contains(c);
    let after = text.get(name..).unwrap_or_default();
    match after.starts_with('/') {
        true => name + after.find(|c| !is_path(c)).unwrap_or(after.len()),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Outputs;

    impl Places for Outputs {
        fn elsewhere(&mut self, path: &str) -> Option<String> {
            match path {
                "include" => Some("/inc/include".to_owned()),
                "lib" | "lib/libx.so.1" => Some(format!("/lib/{path}")),
                _ => None,
            }
        }

        fn others(&mut self) -> Vec<String> {
            vec!["/inc".to_owned(), "/lib".to_owned()]
        }
    }

    #[test]
    fn paths_lead_to_the_outputs() {
        for (text, expected) in [
            // Exported targets.
            (
                r#"get_filename_component(_IMPORT_PREFIX "${CMAKE_CURRENT_LIST_FILE}" PATH)
get_filename_component(_IMPORT_PREFIX "${_IMPORT_PREFIX}" PATH)
get_filename_component(_IMPORT_PREFIX "${_IMPORT_PREFIX}" PATH)
get_filename_component(_IMPORT_PREFIX "${_IMPORT_PREFIX}" PATH)
if(_IMPORT_PREFIX STREQUAL "/")
  set(_IMPORT_PREFIX "")
endif()
  INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include"
list(APPEND x "${_IMPORT_PREFIX}/lib/libx.so.1" "${_IMPORT_PREFIX}/lib/cmake/x/y.cmake")"#,
                r#"get_filename_component(_IMPORT_PREFIX "${CMAKE_CURRENT_LIST_FILE}" PATH)
get_filename_component(_IMPORT_PREFIX "${_IMPORT_PREFIX}" PATH)
get_filename_component(_IMPORT_PREFIX "${_IMPORT_PREFIX}" PATH)
get_filename_component(_IMPORT_PREFIX "${_IMPORT_PREFIX}" PATH)
if(_IMPORT_PREFIX STREQUAL "/")
  set(_IMPORT_PREFIX "")
endif()
  INTERFACE_INCLUDE_DIRECTORIES "/inc/include"
list(APPEND x "/lib/lib/libx.so.1" "${_IMPORT_PREFIX}/lib/cmake/x/y.cmake")"#,
            ),
            // A file that another one includes.
            (
                r#"IMPORTED_LOCATION_RELEASE "${_IMPORT_PREFIX}/lib/libx.so.1""#,
                r#"IMPORTED_LOCATION_RELEASE "/lib/lib/libx.so.1""#,
            ),
            // As `configure_package_config_file` and CCCL do it.
            (
                "get_filename_component(X \"${CMAKE_CURRENT_LIST_DIR}/../../../\" ABSOLUTE)\nset(Y ${X}/include)\nset(Z \"${Y}\")\na(${Z}/x ${X}/gone ${Q}/include)",
                "get_filename_component(X \"${CMAKE_CURRENT_LIST_DIR}/../../../\" ABSOLUTE)\nset(Y /inc/include)\nset(Z \"${Y}\")\na(${Z}/x ${X}/gone ${Q}/include)",
            ),
            (
                "get_filename_component(X \"${CMAKE_CURRENT_LIST_DIR}/../../../include\" ABSOLUTE)",
                "get_filename_component(X \"/inc/include\" ABSOLUTE)",
            ),
            // As nvCOMP does it.
            (
                "file(REAL_PATH \"${CMAKE_CURRENT_LIST_DIR}\" R) # x\nfile(REAL_PATH \"../../\" P BASE_DIRECTORY \"${R}\")\nfind_path(D NAMES x.h PATHS ${P} # (why)\n PATH_SUFFIXES ../include)\nfoo(${P})",
                "file(REAL_PATH \"${CMAKE_CURRENT_LIST_DIR}\" R) # x\nfile(REAL_PATH \"../../\" P BASE_DIRECTORY \"${R}\")\nfind_path(D NAMES x.h PATHS ${P} /inc/lib /lib/lib # (why)\n PATH_SUFFIXES ../include)\nfoo(${P})",
            ),
            (
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../..\")\nfind_library(D x HINTS \"${P}\" \"${P}/lib\")",
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../..\")\nfind_library(D x HINTS \"${P}\" \"/inc\" \"/lib\" \"/lib/lib\")",
            ),
            // Out of the archive, and what is no path.
            (
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../../..\")\na(${P}/include ${_IMPORT_PREFIX}include ${",
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../../..\")\na(${P}/include ${_IMPORT_PREFIX}include ${",
            ),
        ] {
            assert_eq!(rewrite(text, "lib/cmake/x/x.cmake", &mut Outputs), expected);
        }
    }
}
