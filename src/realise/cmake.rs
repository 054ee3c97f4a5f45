//! CMake's files: they look for the rest of the package from where they lie themselves, and the split takes it away.
//!
//! Not an interpreter of CMake. Followed are the ways in which packages find their own top: variables that are set from
//! `CMAKE_CURRENT_LIST_DIR` and `CMAKE_CURRENT_LIST_FILE` by `get_filename_component`, `set` and `file(REAL_PATH)`, line by
//! line, and the `_IMPORT_PREFIX` of exported targets. What such a variable leads to is replaced where the split has put it
//! elsewhere; a call of `find_path` or its like that searches a folder of the package is told where its `PATH_SUFFIXES` are now.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// What is looked at: a path that begins with a variable (`${NAME}/rest`, `${NAME}/${OTHER}/rest`), a call that sets one, the
/// ends of a call that searches, and comments.
#[allow(clippy::unwrap_used, reason = "a constant, which the tests compile")]
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?i)(?P<call>\bget_filename_component\s*\(\s*(?P<gv>\w+)\s+"?(?P<ge>[^"\s)]+)"?\s+(?P<gm>\w+)"#,
        r#"|\bset\s*\(\s*(?P<sv>\w+)\s+"?(?P<se>[^"\s)]+)"?\s*(?:CACHE|PARENT_SCOPE|\))"#,
        r#"|\bfile\s*\(\s*REAL_PATH\s+"?(?P<re>[^"\s)]+)"?\s+(?P<rv>\w+)(?:\s+BASE_DIRECTORY\s+"?(?P<rb>[^"\s)]+)"?)?)"#,
        r#"|(?P<find>\bfind_(?:path|file|library|program)\s*\()"#,
        r#"|(?P<close>\))"#,
        r#"|(?P<comment>\#[^\n]*)"#,
        r#"|(?P<token>\$\{\w+\}(?:\$\{\w+\}|/[\w.+\-]*)*)"#,
    ))
    .unwrap()
});

/// `PATH_SUFFIXES` and what follows, up to the next word in capitals.
#[allow(clippy::unwrap_used, reason = "a constant, which the tests compile")]
static SUFFIXES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bPATH_SUFFIXES\b((?:\s+[^\sA-Z)][^\s)]*)+)").unwrap());

/// Says where the path of the archive is found, when that is not where the file itself leads to.
type Elsewhere<'a> = dyn FnMut(&str) -> Option<String> + 'a;

/// The value of a variable, as far as it is known.
#[derive(Clone, Debug)]
enum Value {
    /// A path in the archive; empty for the top.
    Path(String),
    /// A part of one: `../../..`.
    Text(String),
}

type Variables = BTreeMap<String, Value>;

/// `text` with the paths that its package is found at. `file` is its path in the archive.
pub(super) fn rewrite(text: &str, file: &str, elsewhere: &mut Elsewhere<'_>) -> String {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let known = [
        ("CMAKE_CURRENT_LIST_DIR", folder),
        ("CMAKE_CURRENT_LIST_FILE", file),
        // Set by the file that includes this one, when this one does not.
        ("_IMPORT_PREFIX", ""),
    ];
    let known = known.map(|(name, path)| (name.to_owned(), Value::Path(path.to_owned())));
    let mut variables = Variables::from(known);
    let mut search: Option<Vec<String>> = None;
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for found in WORDS.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(text.get(done..whole.start()).unwrap_or_default());
        done = whole.end();
        let words = whole.as_str();
        if found.name("call").is_some() {
            out.push_str(&replaced(words, &variables, elsewhere));
            if let Some((name, value)) = assigned(&found, folder, &variables) {
                match value {
                    Some(value) => variables.insert(name, value),
                    None => variables.remove(&name),
                };
            }
            continue;
        }
        if found.name("find").is_some() {
            search = Some(suffixes(text.get(done..).unwrap_or_default()));
        } else if found.name("close").is_some() {
            search = None;
        }
        if found.name("token").is_none() {
            out.push_str(words);
            continue;
        }
        let is_quoted = out.ends_with('"');
        out.push_str(&replaced(words, &variables, elsewhere));
        let Some(path) = evaluate(words, &variables) else {
            continue;
        };
        for suffix in search.iter().flatten() {
            let found = normal(&format!("{path}/{suffix}"));
            if let Some(folder) = found.and_then(|path| elsewhere(&path)) {
                out.push_str(if is_quoted { "\" \"" } else { " " });
                out.push_str(&folder);
            }
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// The suffixes of the call whose arguments `text` begins with.
fn suffixes(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let mut arguments = String::new();
    for line in lines {
        let end = line.find(')');
        arguments.push_str(line.get(..end.unwrap_or(line.len())).unwrap_or_default());
        arguments.push('\n');
        if end.is_some() {
            break;
        }
    }
    let found = SUFFIXES.captures(&arguments).and_then(|found| found.get(1));
    let words = found.map_or("", |found| found.as_str()).split_whitespace();
    words
        .map(|word| word.trim_matches('"').to_owned())
        .collect()
}

/// The variable that a call sets, and what it is then; `None` for what is not followed.
fn assigned(
    call: &Captures<'_>,
    folder: &str,
    variables: &Variables,
) -> Option<(String, Option<Value>)> {
    let part = |name| call.name(name).map(|found| found.as_str());
    if let (Some(name), Some(value)) = (part("gv"), part("ge")) {
        let mode = part("gm").unwrap_or_default().to_ascii_uppercase();
        let path = evaluate(value, variables);
        let path = match mode.as_str() {
            "PATH" | "DIRECTORY" => path.and_then(|path| parent(&path)),
            "ABSOLUTE" | "REALPATH" => path,
            _ => None,
        };
        return Some((name.to_owned(), path.map(Value::Path)));
    }
    if let (Some(name), Some(value)) = (part("sv"), part("se")) {
        let is_text = value.bytes().all(is_in_path);
        let value = match is_text {
            true => Some(Value::Text(value.to_owned())),
            false => evaluate(value, variables).map(Value::Path),
        };
        return Some((name.to_owned(), value));
    }
    let (name, value) = (part("rv")?, part("re")?);
    let base = match part("rb") {
        Some(base) => evaluate(base, variables),
        None => Some(folder.to_owned()),
    };
    let path = match value.starts_with("${") {
        true => evaluate(value, variables),
        false => base.and_then(|base| normal(&format!("{base}/{value}"))),
    };
    Some((name.to_owned(), path.map(Value::Path)))
}

fn is_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/_.+-".contains(&byte)
}

/// The path in the archive that `${NAME}/rest` stands for; `None` when it is not known, or is none of the archive.
fn evaluate(value: &str, variables: &Variables) -> Option<String> {
    let (name, mut rest) = value.strip_prefix("${")?.split_once('}')?;
    let Value::Path(path) = variables.get(name)? else {
        return None;
    };
    let mut path = path.clone();
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        let Value::Text(text) = variables.get(name)? else {
            return None;
        };
        path.push_str(before);
        path.push_str(text);
        rest = after;
    }
    path.push_str(rest);
    normal(&path)
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

/// `words` with each path that is found elsewhere in its place. A variable alone stays: it is what CMake knows of where the
/// file lies, and others are told from it.
fn replaced(words: &str, variables: &Variables, elsewhere: &mut Elsewhere<'_>) -> String {
    let mut out = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let (token, after) = from.split_at(token_length(from));
        rest = after;
        let path = evaluate(token, variables).filter(|_| token.contains('/'));
        let found = path.and_then(|path| elsewhere(&path));
        out.push_str(before);
        out.push_str(found.as_deref().unwrap_or(token));
    }
    out.push_str(rest);
    out
}

/// The length of the path at the start of `text`, which begins with a variable.
fn token_length(text: &str) -> usize {
    let mut length = 0;
    loop {
        let rest = text.get(length..).unwrap_or_default();
        if rest.starts_with("${") {
            match rest.find('}') {
                Some(end) => length += end + 1,
                None => return text.len(),
            }
        } else if rest.starts_with('/') {
            let end = rest.bytes().position(|byte| !is_in_path(byte));
            length += end.unwrap_or(rest.len());
        } else {
            return length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(path: &str) -> Option<String> {
        match path {
            "include" => Some("/inc/include".to_owned()),
            "lib" | "lib/libx.so.1" => Some(format!("/lib/{path}")),
            _ => None,
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
                "file(REAL_PATH \"${CMAKE_CURRENT_LIST_DIR}\" R) # x\nfile(REAL_PATH \"../../\" P BASE_DIRECTORY \"${R}\")\nfind_path(D NAMES x.h PATHS ${P} # (why)\n PATH_SUFFIXES\n  ../gone # (that)\n  ../include\n NO_CACHE)\nfoo(${P})",
                "file(REAL_PATH \"${CMAKE_CURRENT_LIST_DIR}\" R) # x\nfile(REAL_PATH \"../../\" P BASE_DIRECTORY \"${R}\")\nfind_path(D NAMES x.h PATHS ${P} /inc/include # (why)\n PATH_SUFFIXES\n  ../gone # (that)\n  ../include\n NO_CACHE)\nfoo(${P})",
            ),
            (
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../..\")\nfind_library(D x HINTS \"${P}\" PATH_SUFFIXES lib \"lib64\")\nfind_path(E x ${P}/include)",
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../..\")\nfind_library(D x HINTS \"${P}\" \"/lib/lib\" PATH_SUFFIXES lib \"lib64\")\nfind_path(E x /inc/include)",
            ),
            // As CUB does it.
            (
                "set(up \"../../../\")\nfind_path(D x PATHS \"${CMAKE_CURRENT_LIST_DIR}/${up}/include\" \"${up}/include\")",
                "set(up \"../../../\")\nfind_path(D x PATHS \"/inc/include\" \"${up}/include\")",
            ),
            // Out of the archive, and what is no path.
            (
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../../..\")\na(${P}/include ${_IMPORT_PREFIX}include ${",
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../../..\")\na(${P}/include ${_IMPORT_PREFIX}include ${",
            ),
        ] {
            assert_eq!(
                rewrite(text, "lib/cmake/x/x.cmake", &mut elsewhere),
                expected
            );
        }
    }
}
