//! Paths that begin with a variable, as pkg-config and CMake write them: `${NAME}/rest`.
//!
//! A variable has two values here: the path in the archive that it was meant to be, and what it is now that files were split
//! and texts rewritten. A path is replaced where the second one no longer leads to what the first one leads to.

use std::collections::HashMap;

/// Values longer than paths may be are none; Linux's `PATH_MAX`.
const VALUE_BYTES_MAX: usize = 4096;

/// The value of a variable, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A path.
    Path(Meaning),
    /// A part of one: `../../..`.
    Text(String),
}

/// What a path is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// In the archive; empty for the top.
    pub path: String,
    /// Where it leads now. Absolute.
    pub now: String,
}

impl Meaning {
    /// What `rest` below it is about; `None` when that leads out of the archive.
    pub(super) fn join(&self, rest: &str) -> Option<Meaning> {
        Some(Meaning {
            path: normal(&format!("{}/{rest}", self.path))?,
            now: format!("/{}", normal(&format!("{}/{rest}", self.now))?),
        })
    }

    /// The folder it is in; `None` above the top.
    pub(super) fn parent(&self) -> Option<Meaning> {
        let up = |path: &str| {
            path.rsplit_once('/')
                .map_or("", |(parent, _)| parent)
                .to_owned()
        };
        (!self.path.is_empty()).then(|| Meaning {
            path: up(&self.path),
            now: up(&self.now),
        })
    }
}

/// The final path of a path of the archive (empty: the top); `None` for what is not in it, and once too many were asked for.
pub(super) type Find<'a> = dyn FnMut(&str) -> Option<String> + 'a;

/// The variables that are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables(HashMap<String, Value>);

impl Variables {
    /// Sets `name`; with `None` it is no longer known.
    pub(super) fn set(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => self.0.insert(name.to_owned(), value),
            None => self.0.remove(name),
        };
    }

    /// What `${NAME}/rest` is about, where `rest` may hold further variables; `None` when that is not known or leads out of
    /// the archive.
    pub(super) fn meaning(&self, token: &str) -> Option<Meaning> {
        let (name, rest) = token.strip_prefix("${")?.split_once('}')?;
        let Value::Path(meaning) = self.0.get(name)? else {
            return None;
        };
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        meaning.join(&self.expand(rest)?)
    }

    /// `rest` with the texts of the variables in it.
    fn expand(&self, rest: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = rest;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}')?;
            let Value::Text(text) = self.0.get(name)? else {
                return None;
            };
            out.push_str(before);
            out.push_str(text);
            rest = after;
            if out.len() > VALUE_BYTES_MAX {
                return None;
            }
        }
        out.push_str(rest);
        (out.len() <= VALUE_BYTES_MAX).then_some(out)
    }

    /// `words` with each path in its place that no longer leads to what it is about.
    pub(super) fn replace(&self, words: &str, find: &mut Find<'_>) -> String {
        let mut out = String::with_capacity(words.len());
        let mut rest = words;
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            let (token, after) = from.split_at(token_length(from));
            rest = after;
            out.push_str(before);
            // Both languages take what stands behind a backslash as it is.
            let found = match before.ends_with('\\') {
                true => None,
                false => self.replacement(token, find),
            };
            out.push_str(found.as_deref().unwrap_or(token));
        }
        out.push_str(rest);
        out
    }

    /// What must stand in the place of `token`; `None` when it may stay. A variable alone always may: it is what it is.
    pub(super) fn replacement(&self, token: &str, find: &mut Find<'_>) -> Option<String> {
        let meaning = self.meaning(token).filter(|_| token.contains('/'))?;
        let found = find(&meaning.path)?;
        (meaning.now != found).then_some(found)
    }
}

/// Without `.` and `..`; `None` when that leads above its start, or is too long.
pub(super) fn normal(path: &str) -> Option<String> {
    if path.len() > VALUE_BYTES_MAX {
        return None;
    }
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

/// May `byte` stand in a path that no quotes hold together?
pub(super) fn is_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/_.+-".contains(&byte)
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

/// Rewrites texts made of `parts`: what is not found stays as it is, to the byte, and none takes long, however often one part
/// stands in it.
#[cfg(test)]
pub(super) fn read_any_text(parts: &[&str], rewrite: impl Fn(&str, &mut Find<'_>) -> String) {
    let mut state = 1_u32;
    for _ in 0..2000 {
        let mut text = String::new();
        for _ in 0..40 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(parts[(state >> 16) as usize % parts.len()]);
        }
        assert_eq!(rewrite(&text, &mut |_| None), text);
        rewrite(&text, &mut |path| Some(format!("/elsewhere/{path}")));
    }
    let started = std::time::Instant::now();
    for part in parts {
        let text = part.repeat((1 << 15) / part.len());
        rewrite(&text, &mut |path| Some(format!("/elsewhere/{path}")));
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_replaced_where_they_no_longer_lead() {
        let path = |path: &str, now: &str| {
            Value::Path(Meaning {
                path: path.to_owned(),
                now: now.to_owned(),
            })
        };
        let mut variables = Variables::default();
        variables.set("top", Some(path("", "/dev")));
        variables.set("lib", Some(path("lib", "/lib/lib")));
        variables.set("up", Some(Value::Text("../..".to_owned())));
        let mut find = |path: &str| match path {
            "lib" | "lib/x" => Some(format!("/lib/{path}")),
            "lib/cmake" => Some("/dev/lib/cmake".to_owned()),
            "" => Some("/dev".to_owned()),
            _ => None,
        };
        for (words, expected) in [
            (
                "${top}/lib ${top}/lib/cmake ${top}",
                "/lib/lib ${top}/lib/cmake ${top}",
            ),
            (
                "${lib}/x ${lib}/cmake ${lib}/..",
                "${lib}/x /dev/lib/cmake /dev",
            ),
            ("${top}/a/b/${up}/lib", "/lib/lib"),
            (
                "\\${top}/lib ${top}x/lib ${gone}/lib",
                "\\${top}/lib ${top}x/lib ${gone}/lib",
            ),
            (
                "${top}/../lib ${top}/gone ${",
                "${top}/../lib ${top}/gone ${",
            ),
        ] {
            assert_eq!(variables.replace(words, &mut find), expected);
        }
    }

    #[test]
    fn values_do_not_grow_for_ever() {
        let mut variables = Variables::default();
        variables.set("text", Some(Value::Text("a/".repeat(VALUE_BYTES_MAX))));
        variables.set(
            "top",
            Some(Value::Path(Meaning {
                path: String::new(),
                now: "/dev".to_owned(),
            })),
        );
        assert_eq!(variables.meaning("${top}/${text}"), None);
        assert!(variables.meaning("${top}/x").is_some());
    }
}
