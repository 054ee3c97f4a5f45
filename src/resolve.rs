//! Who satisfies which NEEDED entry: the libraries of a set of directories, and those that every host has.
//!
//! The lists of host libraries are exact on purpose: a pattern such as `libcuda*` would also hide a library that a
//! package forgot.

use std::collections::BTreeMap;
use std::fmt;

use crate::elf::{ByteOrder, Class, Facts, Machine};

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

/// Why a library need not be in any package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// Part of glibc, found by the loader itself.
    Glibc,
    /// The C++ and unwinding runtime of the compiler; consumers bring their own, newer one.
    CompilerRuntime,
    /// Part of NVIDIA's driver, found through the driver paths.
    Driver,
    /// Named by the plan for this one package.
    Allowed,
}

/// glibc's libraries that programs link against, on all three machines.
///
/// Source: `Makeconfig` and `shlib-versions` of glibc 2.17 to 2.41. Left out on purpose: `libcrypt.so.1` (not built
/// by default since 2.39, and nixpkgs takes it from libxcrypt), `libnss_*` and the `LD_PRELOAD` libraries (never
/// linked against), `libnsl.so.2` and newer (another project's). `libnsl.so.1` is still built for old programs.
const GLIBC: &[&str] = &[
    "libBrokenLocale.so.1",
    "libanl.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libmvec.so.1",
    "libnsl.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libthread_db.so.1",
    "libutil.so.1",
];

/// GCC's runtime. `libatomic.so.1`, `libgomp.so.1` and others are not here: no redistributable that we have seen needs
/// them, and a package that does can name them in `allowedMissing`.
const COMPILER_RUNTIME: &[&str] = &["libgcc_s.so.1", "libstdc++.so.6"];

/// The driver's libraries that redistributables link against.
///
/// Source: NVIDIA/cuda-python, cuda_pathfinder `_dynamic_libs/descriptor_catalog.py` (driver-provided libraries).
const DRIVER: &[&str] = &["libcuda.so.1", "libnvcudla.so", "libnvidia-ml.so.1"];

/// Which redistributable has a library, by the start of its file name; used for hints only.
///
/// Source: NVIDIA's archives and wheels (`redistrib_*.json` names against the libraries in them). The first row that
/// matches wins.
const KNOWN_PACKAGES: &[(&str, &str)] = &[
    ("libcublasmp", "libcublasmp"),
    ("libcublas", "libcublas"),
    ("libnvblas", "libcublas"),
    ("libcudart", "cuda_cudart"),
    ("libcudnn", "cudnn"),
    ("libcudss", "libcudss"),
    ("libcufft", "libcufft"),
    ("libcufile", "libcufile"),
    ("libcupti", "cuda_cupti"),
    ("libcurand", "libcurand"),
    ("libcusolverMp", "libcusolvermp"),
    ("libcusolver", "libcusolver"),
    ("libcusparseLt", "libcusparse_lt"),
    ("libcusparse", "libcusparse"),
    ("libcutensor", "libcutensor"),
    ("libnpp", "libnpp"),
    ("libnvJitLink", "libnvjitlink"),
    ("libnvToolsExt", "cuda_nvtx"),
    ("libnvfatbin", "libnvfatbin"),
    ("libnvjpeg2k", "libnvjpeg_2k"),
    ("libnvjpeg", "libnvjpeg"),
    ("libnvrtc", "cuda_nvrtc"),
    ("libnvshmem", "libnvshmem"),
    ("libnvvm", "libnvvm"),
];

/// The loader of each machine. `ld64.so.1` is not here: it belongs to big-endian POWER.
fn loader(machine: Abi) -> &'static str {
    match machine {
        Abi::X86_64 => "ld-linux-x86-64.so.2",
        Abi::Aarch64 => "ld-linux-aarch64.so.1",
        Abi::Ppc64le => "ld64.so.2",
    }
}

/// Why every host has `soname` for programs of `machine`; `None` when a package must provide it.
pub fn host(machine: Abi, soname: &str) -> Option<Host> {
    if GLIBC.contains(&soname) || loader(machine) == soname {
        Some(Host::Glibc)
    } else if COMPILER_RUNTIME.contains(&soname) {
        Some(Host::CompilerRuntime)
    } else if DRIVER.contains(&soname) {
        Some(Host::Driver)
    } else {
        None
    }
}

/// The redistributable that usually has `soname`; `None` for libraries that are not NVIDIA's.
pub fn known_package(soname: &str) -> Option<&'static str> {
    KNOWN_PACKAGES
        .iter()
        .find(|(start, _)| soname.starts_with(start))
        .map(|(_, package)| *package)
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

    /// Who satisfies `soname` for a file of `machine`.
    ///
    /// Directories come before the host, so that a package that ships a library itself uses its own. Among several
    /// the smallest `rank` wins, then the one that was added first; `None` as rank takes a directory out (a folder of
    /// stubs must never satisfy anything at run time). `allowed` are the names that the plan lets be missing.
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
        if allowed.iter().any(|name| name == soname) {
            return Answer::Host(Host::Allowed);
        }
        let mut other_machines: Vec<Abi> = usable.map(|(of, ..)| of).collect();
        other_machines.sort();
        other_machines.dedup();
        Answer::Missing { other_machines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_libraries_are_exact() {
        for (machine, soname, expected) in [
            (Abi::X86_64, "libc.so.6", Some(Host::Glibc)),
            (Abi::X86_64, "ld-linux-x86-64.so.2", Some(Host::Glibc)),
            (Abi::Aarch64, "ld-linux-x86-64.so.2", None),
            (Abi::Aarch64, "ld-linux-aarch64.so.1", Some(Host::Glibc)),
            (Abi::Ppc64le, "ld64.so.2", Some(Host::Glibc)),
            (Abi::Ppc64le, "ld64.so.1", None),
            (Abi::X86_64, "libstdc++.so.6", Some(Host::CompilerRuntime)),
            (Abi::X86_64, "libgomp.so.1", None),
            (Abi::X86_64, "libcuda.so.1", Some(Host::Driver)),
            (Abi::X86_64, "libcuda.so", None),
            (Abi::X86_64, "libcudart.so.12", None),
            (Abi::X86_64, "libcrypt.so.1", None),
            (Abi::X86_64, "libc.so.60", None),
            (Abi::X86_64, "", None),
        ] {
            assert_eq!(host(machine, soname), expected, "{machine:?} {soname}");
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

    #[test]
    fn hints_know_the_longer_name_first() {
        for (soname, package) in [
            ("libcublasLt.so.12", Some("libcublas")),
            ("libcublasmp.so.0", Some("libcublasmp")),
            ("libcusparseLt.so.0", Some("libcusparse_lt")),
            ("libnvrtc-builtins.so.12.9", Some("cuda_nvrtc")),
            ("librdmacm.so.1", None),
        ] {
            assert_eq!(known_package(soname), package, "{soname}");
        }
    }
}
