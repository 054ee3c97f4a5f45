//! CMake's files: they look for the rest of the package from where they lie themselves, and the split takes it away.
//!
//! Not an interpreter of CMake. Followed are the ways in which packages find their own top: variables that are set from
//! `CMAKE_CURRENT_LIST_DIR` and `CMAKE_CURRENT_LIST_FILE` by `get_filename_component`, `set` and `file(REAL_PATH)`, line by
//! line, and the `_IMPORT_PREFIX` of exported targets. What such a variable leads to is replaced where the split has put it
//! elsewhere; a call of `find_path` or its like that searches a folder of the package is told where its `PATH_SUFFIXES` are now.

use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

use super::variables::{Find, Meaning, Value, Variables, is_in_path};

/// What is looked at: a path that begins with a variable (`${NAME}/rest`, `${NAME}/${OTHER}/rest`), a call that sets one, the
/// ends of a call that searches; and what is passed by: escapes, comments, and arguments in brackets.
#[allow(clippy::unwrap_used, reason = "a constant, which the tests compile")]
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?i)(?P<call>\bget_filename_component\s*\(\s*(?P<gv>\w+)\s+"?(?P<ge>[^"\s)]+)"?\s+(?P<gm>\w+)"#,
        r#"|\bset\s*\(\s*(?P<sv>\w+)\s+"?(?P<se>[^"\s)]+)"?\s*(?:CACHE|PARENT_SCOPE|\))"#,
        r#"|\bfile\s*\(\s*REAL_PATH\s+"?(?P<re>[^"\s)]+)"?\s+(?P<rv>\w+)(?:\s+BASE_DIRECTORY\s+"?(?P<rb>[^"\s)]+)"?)?)"#,
        r#"|(?P<find>\bfind_(?:path|file|library|program)\s*\()"#,
        r#"|(?P<close>\))"#,
        r#"|(?P<passed>\\.|\#[^\n]*)"#,
        r#"|(?P<bracket>\[=?\[)"#,
        r#"|(?P<token>\$\{\w+\}(?:\$\{\w+\}|/[\w.+\-]*)*)"#,
    ))
    .unwrap()
});

/// `PATH_SUFFIXES` and what follows, up to the next word in capitals.
#[allow(clippy::unwrap_used, reason = "a constant, which the tests compile")]
static SUFFIXES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bPATH_SUFFIXES\b((?:\s+[^\sA-Z)][^\s)]*)+)").unwrap());

/// The largest call of NVIDIA's that searches has 1300 bytes, and five suffixes.
const SEARCH_BYTES_MAX: usize = 8 << 10;
const SUFFIXES_MAX: usize = 32;

/// `text` with the paths that its package is found at. `file` is what it is itself, `top` where its output is.
pub(super) fn rewrite(text: &str, file: &Meaning, top: &str, find: &mut Find<'_>) -> String {
    let mut variables = Variables::default();
    let import_prefix = Meaning {
        path: String::new(),
        now: top.to_owned(),
    };
    for (name, meaning) in [
        ("CMAKE_CURRENT_LIST_DIR", file.parent()),
        ("CMAKE_CURRENT_LIST_FILE", Some(file.clone())),
        // Set by the file that includes this one, when this one does not.
        ("_IMPORT_PREFIX", Some(import_prefix)),
    ] {
        variables.set(name, meaning.map(Value::Path));
    }
    let mut search: Option<Vec<String>> = None;
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    // Where brackets are known not to close any more they are not looked for again: that would take for ever.
    let mut are_open = [false; 2];
    while let Some(found) = WORDS.captures_at(text, done) {
        let Some(whole) = found.get(0) else { break };
        out.push_str(text.get(done..whole.start()).unwrap_or_default());
        done = whole.end();
        let words = whole.as_str();
        if found.name("bracket").is_some() {
            out.push_str(words);
            let (kind, close) = match words {
                "[[" => (&mut are_open[0], "]]"),
                _ => (&mut are_open[1], "]=]"),
            };
            let rest = text.get(done..).filter(|_| !*kind).unwrap_or_default();
            match rest.split_once(close) {
                Some((inside, _)) => {
                    out.push_str(inside);
                    out.push_str(close);
                    done += inside.len() + close.len();
                }
                None => *kind = true,
            }
            continue;
        }
        if found.name("call").is_some() {
            out.push_str(&variables.replace(words, find));
            if let Some((name, value)) = assigned(&found, file, &variables, find) {
                variables.set(name, value);
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
        out.push_str(&variables.replace(words, find));
        let Some(searched) = variables.meaning(words) else {
            continue;
        };
        for suffix in search.iter().flatten() {
            let found = searched
                .join(suffix)
                .and_then(|meaning| find(&meaning.path).filter(|found| *found != meaning.now));
            if let Some(found) = found {
                out.push_str(if is_quoted { "\" \"" } else { " " });
                out.push_str(&found);
            }
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// The suffixes of the call whose arguments `text` begins with.
fn suffixes(text: &str) -> Vec<String> {
    let mut arguments = String::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let end = line.find(')');
        arguments.push_str(line.get(..end.unwrap_or(line.len())).unwrap_or_default());
        arguments.push('\n');
        if end.is_some() {
            break;
        }
        if arguments.len() > SEARCH_BYTES_MAX {
            return Vec::new();
        }
    }
    let found = SUFFIXES.captures(&arguments).and_then(|found| found.get(1));
    let words = found.map_or("", |found| found.as_str()).split_whitespace();
    words
        .take(SUFFIXES_MAX)
        .map(|word| word.trim_matches('"').to_owned())
        .collect()
}

/// The variable that a call sets, and what it is then; `None` for what is not followed.
fn assigned<'t>(
    call: &Captures<'t>,
    file: &Meaning,
    variables: &Variables,
    find: &mut Find<'_>,
) -> Option<(&'t str, Option<Value>)> {
    let part = |name| call.name(name).map(|found| found.as_str());
    let mut evaluated = |value: &str| {
        let mut meaning = variables.meaning(value)?;
        if let Some(written) = variables.replacement(value, find) {
            meaning.now = written;
        }
        Some(meaning)
    };
    if let (Some(name), Some(value)) = (part("gv"), part("ge")) {
        let mode = part("gm").unwrap_or_default().to_ascii_uppercase();
        let meaning = evaluated(value);
        let meaning = match mode.as_str() {
            "PATH" | "DIRECTORY" => meaning.and_then(|meaning| meaning.parent()),
            "ABSOLUTE" | "REALPATH" => meaning,
            _ => None,
        };
        return Some((name, meaning.map(Value::Path)));
    }
    if let (Some(name), Some(value)) = (part("sv"), part("se")) {
        let value = match value.bytes().all(is_in_path) {
            true => Some(Value::Text(value.to_owned())),
            false => evaluated(value).map(Value::Path),
        };
        return Some((name, value));
    }
    let (name, value) = (part("rv")?, part("re")?);
    if value.starts_with("${") {
        return Some((name, evaluated(value).map(Value::Path)));
    }
    let base = match part("rb") {
        Some(base) => evaluated(base),
        None => file.parent(),
    };
    let meaning = base.and_then(|base| base.join(value));
    Some((name, meaning.map(Value::Path)))
}

#[cfg(test)]
mod tests {
    use super::super::variables::read_any_text;
    use super::*;

    fn find(path: &str) -> Option<String> {
        match path {
            "include" => Some("/inc/include".to_owned()),
            "lib" | "lib/libx.so.1" => Some(format!("/lib/{path}")),
            "" => Some("/dev".to_owned()),
            "lib/cmake/x/y.cmake" => Some(format!("/dev/{path}")),
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
            // A variable that leads elsewhere now, and what is told from it.
            (
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../..\")\ninclude(${P}/cmake/x/y.cmake)\na(${P}/libx.so.1)\nget_filename_component(T ${P} PATH)\nb(${T}/include ${T}/lib)",
                "set(P \"/lib/lib\")\ninclude(/dev/lib/cmake/x/y.cmake)\na(${P}/libx.so.1)\nget_filename_component(T ${P} PATH)\nb(/inc/include ${T}/lib)",
            ),
            // What CMake takes as it is.
            (
                "a([[${_IMPORT_PREFIX}/lib]] [=[${_IMPORT_PREFIX}/lib]=] \"\\${_IMPORT_PREFIX}/lib\") # ${_IMPORT_PREFIX}/lib",
                "a([[${_IMPORT_PREFIX}/lib]] [=[${_IMPORT_PREFIX}/lib]=] \"\\${_IMPORT_PREFIX}/lib\") # ${_IMPORT_PREFIX}/lib",
            ),
            // Out of the archive, and what is no path.
            (
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../../..\")\na(${P}/include ${_IMPORT_PREFIX}include ${",
                "set(P \"${CMAKE_CURRENT_LIST_DIR}/../../../..\")\na(${P}/include ${_IMPORT_PREFIX}include ${",
            ),
        ] {
            let file = Meaning {
                path: "lib/cmake/x/x.cmake".to_owned(),
                now: "/dev/lib/cmake/x/x.cmake".to_owned(),
            };
            assert_eq!(rewrite(text, &file, "/dev", &mut find), expected);
        }
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        let parts = [
            "${_IMPORT_PREFIX}",
            "${CMAKE_CURRENT_LIST_DIR}",
            "${a}",
            "${",
            "}",
            "/lib",
            "/..",
            "\"",
            "\\",
            "#",
            "\n",
            " ",
            "(",
            ")",
            "set(a ",
            "find_path(",
            "PATH_SUFFIXES ",
            "get_filename_component(a ",
            " PATH",
            " ABSOLUTE",
            "[[",
            "]]",
            "é",
        ];
        let file = Meaning {
            path: "lib/cmake/x".to_owned(),
            now: "/dev/lib/cmake/x".to_owned(),
        };
        read_any_text(&parts, |text, find| rewrite(text, &file, "/dev", find));
    }
}
