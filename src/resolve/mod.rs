//! Who satisfies which NEEDED entry: the libraries of a set of directories, and those that every host has.
//!
//! ```text
//!  trees ── tree (every file and link) ──► Libraries ── answer(machine, soname) ──► Directory | Host | Missing
//!  file ── read (debug information is no library) ──► Facts
//!  library ── names (read-only data) ──► names for dlopen ──┘
//!  program of others ── consumer ──► the RUNPATH it should have
//!  RUNPATH ── runpath (entry by entry) ──► what is wrong with it
//! ```

#![deny(clippy::indexing_slicing)]

mod consumer;
mod debug;
mod host;
mod names;
mod runpath;
mod tree;

use std::collections::BTreeMap;
use std::fmt;

use crate::elf::{ByteOrder, Class, ElfKind, Facts, Machine};

pub use consumer::Consumers;
pub use debug::read;
pub use host::{Host, host, known_package};
pub use names::{Names, names};
pub use runpath::{Defect, Finding, Foreign, findings, foreign, reaches};
pub use tree::{Entry, Found, Tree, Unreadable};

/// The machines that NVIDIA ships Linux libraries for: processor, width and byte order together, because a library
/// only ever satisfies files of exactly the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Abi {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit little-endian POWER.
    Ppc64le,
}

impl Abi {
    /// What `facts` are about; `None` for every other machine (CUDA device code, 32-bit programs, ...).
    pub fn of(facts: &Facts) -> Option<Abi> {
        match (facts.class, facts.byte_order, facts.machine) {
            (Class::Elf64, ByteOrder::Little, Machine::X86_64) => Some(Abi::X86_64),
            (Class::Elf64, ByteOrder::Little, Machine::Aarch64) => Some(Abi::Aarch64),
            (Class::Elf64, ByteOrder::Little, Machine::Ppc64) => Some(Abi::Ppc64le),
            _ => None,
        }
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Abi::X86_64 => "x86_64",
            Abi::Aarch64 => "aarch64",
            Abi::Ppc64le => "ppc64le",
        })
    }
}

/// Does the dynamic loader look at this file? Static programs and object files are left as they are; a static program
/// that is position independent has a dynamic section too, but nobody reads a RUNPATH there.
pub fn is_loadable(facts: &Facts) -> bool {
    facts.is_dynamic
        && match facts.kind {
            ElfKind::SharedLibrary => true,
            ElfKind::Executable => facts.interpreter.is_some(),
            ElfKind::Relocatable | ElfKind::Core | ElfKind::Other(_) => false,
        }
}

/// Is this folder, a path inside its package, one of stubs? They are for linking and satisfy nothing at run time.
pub fn is_stubs_folder(path: &str) -> bool {
    path.split('/').any(|component| component == "stubs")
}

/// How one NEEDED entry is satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<D> {
    /// By a library of this name and machine in this directory.
    Directory(D),
    /// By the host.
    Host(Host),
    /// By nothing. `other_machines` are the machines for which there would be a library of this name.
    Missing {
        /// Sorted, without repetitions.
        other_machines: Vec<Abi>,
    },
}

/// The libraries of a set of directories. `D` names a directory; what it means is the caller's affair.
#[derive(Clone, Debug)]
pub struct Libraries<D> {
    by_name: BTreeMap<String, Vec<(Abi, D)>>,
}

impl<D> Default for Libraries<D> {
    fn default() -> Libraries<D> {
        Libraries {
            by_name: BTreeMap::new(),
        }
    }
}

impl<D: Clone> Libraries<D> {
    /// Adds the file (or link) `file_name` for `machine` in `directory`.
    pub fn add(&mut self, file_name: &str, machine: Abi, directory: D) {
        self.by_name
            .entry(file_name.to_owned())
            .or_default()
            .push((machine, directory));
    }

    /// The names that `pattern`, a name perhaps with conversions of `printf` in it (`libnuma.so.%s`), may stand for.
    pub fn names_like(&self, pattern: &str) -> impl Iterator<Item = &str> {
        let parts: Vec<String> = printf_parts(pattern);
        let start = parts.first().cloned().unwrap_or_default();
        self.by_name
            .range(start.clone()..)
            .map(|(name, _)| name.as_str())
            .take_while(move |name| name.starts_with(&start))
            .filter(move |name| matches(&parts, name))
    }

    /// Every directory that has a library `soname` for `machine`.
    pub fn all(&self, machine: Abi, soname: &str) -> impl Iterator<Item = &D> {
        let named = self.by_name.get(soname).into_iter().flatten();
        named
            .filter(move |(of, _)| *of == machine)
            .map(|(_, directory)| directory)
    }

    /// Who satisfies `soname` for a file of `machine`.
    ///
    /// Directories come before the host, so that a package that ships a library itself uses its own. Among several
    /// the smallest `rank` wins, then the one that was added first; `None` as rank takes a directory out (a folder of
    /// stubs must never satisfy anything at run time). `allowed` are the names that the plan lets be missing; `*` in them stands for
    /// any text.
    pub fn answer<K: Ord>(
        &self,
        machine: Abi,
        soname: &str,
        allowed: &[String],
        rank: impl Fn(&D) -> Option<K>,
    ) -> Answer<D> {
        let named = self
            .by_name
            .get(soname)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let usable = named
            .iter()
            .filter_map(|(of, directory)| Some((*of, rank(directory)?, directory)));
        let best = usable
            .clone()
            .filter(|(of, ..)| *of == machine)
            .min_by(|(_, a, _), (_, b, _)| a.cmp(b));
        if let Some((.., directory)) = best {
            return Answer::Directory(directory.clone());
        }
        if let Some(host) = host(machine, soname) {
            return Answer::Host(host);
        }
        if allowed.iter().any(|name| is_allowed(name, soname)) {
            return Answer::Host(Host::Allowed);
        }
        let mut other_machines: Vec<Abi> = usable.map(|(of, ..)| of).collect();
        other_machines.sort();
        other_machines.dedup();
        Answer::Missing { other_machines }
    }
}

/// Does `name` have the form that `pattern`, a name perhaps with conversions of `printf` in it, describes?
pub fn is_like(pattern: &str, name: &str) -> bool {
    matches(&printf_parts(pattern), name)
}

/// Is `soname` the name, or one of those that a name with `*` in it stands for?
fn is_allowed(name: &str, soname: &str) -> bool {
    let parts: Vec<String> = name.split('*').map(str::to_owned).collect();
    matches(&parts, soname)
}

/// The literal texts before, between and behind the conversions of a format of `printf`.
fn printf_parts(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        if c == '%' {
            // Flags and width, then one letter, perhaps behind an `l` or `z`.
            rest.by_ref()
                .find(|c| c.is_ascii_alphabetic() && !matches!(c, 'l' | 'z' | 'h'));
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

/// Does `name` consist of `parts` with anything between them?
fn matches(parts: &[String], name: &str) -> bool {
    match parts {
        [] => name.is_empty(),
        [only] => name == only,
        [first, between @ .., last] => {
            let inside = name
                .strip_prefix(first.as_str())
                .and_then(|rest| rest.strip_suffix(last.as_str()));
            // Taking each part as early as possible never misses a match.
            inside.is_some_and(|inside| {
                let rest = between.iter().try_fold(inside, |rest, part| {
                    rest.split_once(part.as_str()).map(|(_, rest)| rest)
                });
                rest.is_some()
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_stand_for_names() {
        let mut libraries = Libraries::default();
        for name in [
            "libnuma.so",
            "libnuma.so.1",
            "libnumb.so.1",
            "libx-12.so.3",
            "libx-12.so.34",
        ] {
            libraries.add(name, Abi::X86_64, 0);
        }
        for (pattern, expected) in [
            ("libnuma.so.%s", "libnuma.so.1"),
            ("libnuma.so", "libnuma.so"),
            ("libx-%d.so.%02d", "libx-12.so.3 libx-12.so.34"),
            ("libx-%lu.so.3", "libx-12.so.3"),
            (
                "%s",
                "libnuma.so libnuma.so.1 libnumb.so.1 libx-12.so.3 libx-12.so.34",
            ),
            ("libnum%c.so.2", ""),
            ("libz%", ""),
        ] {
            let found: Vec<_> = libraries.names_like(pattern).collect();
            assert_eq!(found.join(" "), expected, "{pattern}");
        }
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (name, soname, expected) in [
            ("libcuda.so.1", "libcuda.so.1", true),
            ("libcuda.so.1", "libcuda.so.11", false),
            ("libcuda.so*", "libcuda.so", true),
            ("libcuda.so*", "libcuda.so.1", true),
            ("libpython3.*.so.1.0", "libpython3.11.so.1.0", true),
            ("libpython3.*.so.1.0", "libpython3.so.1.0", false),
            ("*", "libx.so", true),
        ] {
            assert_eq!(is_allowed(name, soname), expected, "{name} {soname}");
        }
    }

    #[test]
    fn the_best_directory_of_the_machine_wins() {
        let mut libraries = Libraries::default();
        libraries.add("libx.so.1", Abi::X86_64, 5);
        libraries.add("libx.so.1", Abi::Aarch64, 1);
        libraries.add("libx.so.1", Abi::X86_64, 3);
        libraries.add("libcuda.so.1", Abi::X86_64, 4);
        libraries.add("libstub.so.1", Abi::X86_64, 9);
        let allowed = ["libnuma.so.1".to_owned()];
        let answer = |machine, soname| {
            libraries.answer(machine, soname, &allowed, |dir| (*dir != 9).then_some(*dir))
        };
        assert_eq!(answer(Abi::X86_64, "libx.so.1"), Answer::Directory(3));
        assert_eq!(answer(Abi::Aarch64, "libx.so.1"), Answer::Directory(1));
        assert_eq!(
            answer(Abi::Ppc64le, "libx.so.1"),
            Answer::Missing {
                other_machines: vec![Abi::X86_64, Abi::Aarch64]
            }
        );
        assert_eq!(answer(Abi::X86_64, "libcuda.so.1"), Answer::Directory(4));
        assert_eq!(
            answer(Abi::Aarch64, "libcuda.so.1"),
            Answer::Host(Host::Driver)
        );
        assert_eq!(
            answer(Abi::X86_64, "libnuma.so.1"),
            Answer::Host(Host::Allowed)
        );
        assert_eq!(
            answer(Abi::X86_64, "libnuma.so"),
            Answer::Missing {
                other_machines: vec![]
            }
        );
        assert_eq!(
            answer(Abi::X86_64, "libstub.so.1"),
            Answer::Missing {
                other_machines: vec![]
            }
        );
    }
}
