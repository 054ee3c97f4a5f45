//! The libraries that no package needs to provide, and the packages that usually have the others.
//!
//! The lists are exact on purpose: a pattern such as `libcuda*` would also hide a library that a package forgot.

use std::fmt;

use super::Abi;

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

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Host::Glibc => "glibc",
            Host::CompilerRuntime => "compiler runtime",
            Host::Driver => "driver",
            Host::Allowed => "allowed to be missing",
        })
    }
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
