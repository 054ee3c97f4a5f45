//! NVIDIA's Python wheels, re-laid to the layout of NVIDIA's archives.
//!
//! | in the wheel | in the tree |
//! |---|---|
//! | `nvidia/NAME/...`, `nvidia/cu13/...`, `nvidia/NAME/cu12/...`, `NAME/...` (the component folder) | `...` |
//! | `lib64/` in the component folder | `lib/` |
//! | `FOLDER/...` in the component folder, where it has a `FOLDER/.metadata/` (`nvidia/cu13/cuda_cccl/lib/cmake/...`) | `...`: it is the top folder of NVIDIA's build |
//! | `.metadata/` there: reports of that build | nothing |
//! | a library directly in the component folder (`tensorrt_libs/libnvinfer.so.10`) | `lib/`; a DLL: `bin/` |
//! | an empty `__init__.py` | nothing: it only makes a folder importable |
//! | other Python files that lie in no folder of the layout | `python/` and their path in the wheel, so that `python/` can be put on `PYTHONPATH` |
//! | the licence in `.dist-info` | `LICENSE`; further ones: `licenses/` |
//! | the rest of `.dist-info` | nothing: it describes a Python installation |
//!
//! Each `libNAME.so.VERSION` gets the link `libNAME.so` that archives have and compilers need. Programs in a folder
//! `bin` are executable, whatever the wheel's mode bits say (pip ignores them, so they are often wrong).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

use super::ArchiveError;
use super::decode::Input;
use super::entry::{Refusal, Slash};
use super::limits;
use super::unpack::{Executable, Tree};
use super::zip::{Member, Zip, same_size};
use crate::relpath::RelPath;

/// The folders of NVIDIA's archives; the component folder is what stands before the first of them.
const LAYOUT: [&str; 14] = [
    "bin",
    "cmake",
    "doc",
    "docs",
    "include",
    "lib",
    "lib64",
    "nvvm",
    "pkg-config",
    "samples",
    "share",
    "src",
    "stubs",
    "tools",
];

/// The folder of reports that NVIDIA's build leaves in what it made.
const BUILD_REPORTS: &str = ".metadata/";

/// What a wheel says about itself, from `METADATA`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// `Name`, for example `nvidia-cuda-runtime-cu12`.
    pub name: String,
    /// `Version`, for example `12.6.77`.
    pub version: String,
    /// `Summary`: one line; absent in a wheel without one.
    pub summary: Option<String>,
    /// `License`, or `License-Expression` since metadata version 2.4; absent in a wheel without either.
    pub license: Option<String>,
}

/// Unpacks the wheel `input`, called `archive` in messages, into `tree`.
pub(super) fn unpack(input: Input<'_>, archive: &str, tree: &mut Tree) -> Result<(), ArchiveError> {
    let mut zip = Zip::open(input, archive)?;
    let members = zip.members(archive)?;
    let whole = |refusal| ArchiveError::whole(archive, refusal);
    let mut record = Record::read(&mut zip, &members, archive)?;
    let places = layout(&members).map_err(whole)?;
    let mut links: BTreeMap<RelPath, (Vec<u64>, u64, String)> = BTreeMap::new();
    let mut place = |member: &Member, place: Option<&RelPath>, content: &mut dyn Read| {
        let mut content = Hashed {
            inner: content,
            sha256: Sha256::new(),
        };
        let found = match place {
            Some(path) => write(tree, member, path, &mut content),
            None => tree.skip(&mut content),
        };
        same_size(member.size_bytes, found?)?;
        record.compare(member, content.sha256)?;
        if let Some((path, (link, version))) =
            place.and_then(|path| Some((path, development_link(path)?)))
            && links.get(&link).is_none_or(|(other, ..)| *other < version)
        {
            links.insert(link, (version, member.number, path.file_name().to_owned()));
        }
        Ok(())
    };
    let unpacked = zip.read_files(&members, |files| {
        let mut placed = members.iter().zip(&places);
        placed.try_for_each(|(member, path)| match member.slash {
            Slash::Trailing => Ok(()),
            Slash::None => place(member, path.as_ref(), files.next_stream()).map_err(|refusal| {
                let path = member.path.as_str().as_bytes();
                ArchiveError::entry(archive, member.number, path, refusal)
            }),
        })
    });
    unpacked.map_err(whole)??;
    record.finish().map_err(whole)?;
    for (link, (_, number, target)) in links {
        if !tree.contains(&link) {
            let failed =
                |refusal| ArchiveError::entry(archive, number, link.as_str().as_bytes(), refusal);
            tree.link(&link, number, target).map_err(failed)?;
        }
    }
    Ok(())
}

/// Writes one file; programs in `bin` become executable.
fn write(
    tree: &mut Tree,
    member: &Member,
    path: &RelPath,
    content: &mut dyn Read,
) -> Result<u64, Refusal> {
    let in_bin = path.components().rev().nth(1) == Some("bin");
    if !in_bin {
        return tree.file(path, member.number, member.executable, content);
    }
    let mut head = Vec::new();
    (&mut *content)
        .take(4)
        .read_to_end(&mut head)
        .map_err(Refusal::read)?;
    let is_program = head.starts_with(b"\x7fELF") || head.starts_with(b"#!");
    let executable = if is_program {
        Executable::Yes
    } else {
        member.executable
    };
    tree.file(
        path,
        member.number,
        executable,
        &mut head.as_slice().chain(content),
    )
}

/// Where each member goes; `None` for those that are dropped.
fn layout(members: &[Member]) -> Result<Vec<Option<RelPath>>, Refusal> {
    let dist_info = dist_info(members)?;
    let payload = || {
        members
            .iter()
            .filter(|m| m.slash == Slash::None && top(&m.path) != dist_info)
    };
    let component = component_folder(payload().filter(|m| !is_python(&m.path)).map(|m| &m.path))?;
    let tops = build_tops(&component, members);
    let mut places: Vec<Option<RelPath>> = Vec::with_capacity(members.len());
    for member in members {
        let dropped =
            member.slash == Slash::Trailing || (member.size_bytes == 0 && is_init(&member.path));
        let place = if dropped || top(&member.path) == dist_info {
            None
        } else {
            below(&component, &tops, &member.path)
        };
        // Parts of a checked path, put below fixed names, are a checked path; a longer one than allowed is refused.
        places.push(
            place
                .map(|place| RelPath::new(&place).map_err(|_| Refusal::Empty))
                .transpose()?,
        );
    }
    place_licences(members, dist_info, &mut places)?;
    Ok(places)
}

/// `path` below the folder `component`.
fn in_component<'p>(component: &str, path: &'p RelPath) -> Option<&'p str> {
    path.as_str().strip_prefix(component)?.strip_prefix('/')
}

/// The folders in the component folder that are the top of what NVIDIA's build made: known by the reports beside.
///
/// The wheel of CCCL's headers (13.2.75) has its CMake files in one. They look for the headers three folders up, which
/// is right in NVIDIA's archive layout and wrong where the wheel has them.
fn build_tops<'m>(component: &str, members: &'m [Member]) -> BTreeSet<&'m str> {
    let folders = members.iter().filter_map(|member| {
        let (folder, rest) = in_component(component, &member.path)?.split_once('/')?;
        rest.starts_with(BUILD_REPORTS).then_some(folder)
    });
    folders.collect()
}

/// The path in the tree of a file in the wheel; `None` when it is dropped.
fn below(component: &str, tops: &BTreeSet<&str>, path: &RelPath) -> Option<String> {
    let Some(rest) = in_component(component, path) else {
        return Some(format!("python/{path}"));
    };
    match rest.split_once('/') {
        Some((folder, rest)) if tops.contains(folder) => {
            (!rest.starts_with(BUILD_REPORTS)).then(|| re_laid(rest, path))
        }
        _ => Some(re_laid(rest, path)),
    }
}

/// The path in the tree of `rest`, the part of `path` below the component folder.
fn re_laid(rest: &str, path: &RelPath) -> String {
    let python = || format!("python/{path}");
    match rest.split_once('/') {
        Some(("lib64", rest)) => format!("lib/{rest}"),
        Some((folder, _)) if is_python(path) && !LAYOUT.contains(&folder) => python(),
        Some(_) => rest.to_owned(),
        None if is_python(path) => python(),
        None if rest.ends_with(".dll") => format!("bin/{rest}"),
        None if is_library(rest) => format!("lib/{rest}"),
        None => rest.to_owned(),
    }
}

/// Puts the licences of `.dist-info` into the tree.
fn place_licences(
    members: &[Member],
    dist_info: &str,
    places: &mut [Option<RelPath>],
) -> Result<(), Refusal> {
    let taken: BTreeSet<RelPath> = places.iter().flatten().cloned().collect();
    let fixed = |path: &str| RelPath::new(path).map_err(|_| Refusal::Empty);
    let top_licence = fixed("LICENSE")?;
    let mut is_free = !taken.contains(&top_licence);
    for (member, place) in members.iter().zip(places) {
        let inner = member
            .path
            .as_str()
            .strip_prefix(dist_info)
            .and_then(|rest| rest.strip_prefix('/'));
        let (Some(inner), Slash::None) = (inner, member.slash) else {
            continue;
        };
        let name = inner.strip_prefix("licenses/").unwrap_or(inner);
        let is_licence =
            inner.starts_with("licenses/") || name.to_ascii_lowercase().starts_with("license");
        if is_licence {
            let to = if is_free {
                top_licence.clone()
            } else {
                fixed(&format!("licenses/{name}"))?
            };
            *place = Some(to);
            is_free = false;
        }
    }
    Ok(())
}

/// The one `.dist-info` folder of the wheel.
fn dist_info(members: &[Member]) -> Result<&str, Refusal> {
    let mut found = members
        .iter()
        .map(|member| top(&member.path))
        .filter(|top| top.ends_with(".dist-info"));
    let first = found.next().ok_or(Refusal::DistInfo {
        missing: "METADATA and RECORD",
    })?;
    match found.find(|other| *other != first) {
        None => Ok(first),
        Some(other) => Err(Refusal::ComponentFolder {
            found: format!("{first} and {other}"),
        }),
    }
}

/// The folder that all of `paths` share and that none of the layout's folders is part of.
fn component_folder<'p>(paths: impl Iterator<Item = &'p RelPath>) -> Result<String, Refusal> {
    let mut common: Option<Vec<&str>> = None;
    let mut first = "";
    for path in paths {
        let mut folders: Vec<&str> = path.components().collect();
        folders.pop();
        let folders: Vec<&str> = folders
            .into_iter()
            .take_while(|folder| !LAYOUT.contains(folder))
            .collect();
        let shared = match &common {
            None => {
                first = path.as_str();
                folders
            }
            Some(common) => common
                .iter()
                .zip(&folders)
                .take_while(|(a, b)| a == b)
                .map(|(a, _)| *a)
                .collect(),
        };
        if shared.is_empty() || shared == ["nvidia"] {
            let other = path.as_str();
            let found = if first == other {
                other.to_owned()
            } else {
                format!("{first} and {other}")
            };
            return Err(Refusal::ComponentFolder { found });
        }
        common = Some(shared);
    }
    common
        .map(|folders| folders.join("/"))
        .ok_or(Refusal::NoPayload)
}

fn top(path: &RelPath) -> &str {
    path.components().next().unwrap_or_default()
}

fn is_python(path: &RelPath) -> bool {
    [".py", ".pyi", ".pth", "/py.typed"]
        .iter()
        .any(|end| path.as_str().ends_with(end))
}

fn is_init(path: &RelPath) -> bool {
    path.file_name() == "__init__.py"
}

fn is_library(name: &str) -> bool {
    name.ends_with(".a") || name.ends_with(".lib") || name.ends_with(".so") || name.contains(".so.")
}

/// For `lib/libfoo.so.12`: the link `lib/libfoo.so` and the version as numbers.
fn development_link(path: &RelPath) -> Option<(RelPath, Vec<u64>)> {
    let (stem, version) = path.as_str().rsplit_once(".so.")?;
    let version: Vec<u64> = version
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    Some((RelPath::new(&format!("{stem}.so")).ok()?, version))
}

/// A wheel's `RECORD`: what every file of it must hash to (binary distribution format, "The .dist-info directory").
struct Record {
    /// The digest as written, base64 without padding, of each file that is listed and not yet seen.
    expected: BTreeMap<String, (String, u64)>,
    /// The path of RECORD itself, which is not listed with a digest.
    path: String,
}

impl Record {
    fn read(zip: &mut Zip<'_>, members: &[Member], archive: &str) -> Result<Record, ArchiveError> {
        let (path, text) = dist_info_text(zip, members, "RECORD", archive)?;
        let whole = |refusal| ArchiveError::whole(archive, refusal);
        let mut expected = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let bad = || {
                whole(Refusal::RecordLine {
                    found: line.to_owned(),
                })
            };
            // From the right: the name may contain commas, and is then in quotes.
            let mut fields = line.rsplitn(3, ',');
            let (size, digest, name) = (fields.next(), fields.next(), fields.next());
            let (Some(size), Some(digest), Some(name)) = (size, digest, name) else {
                return Err(bad());
            };
            let name = match name
                .strip_prefix('"')
                .and_then(|name| name.strip_suffix('"'))
            {
                Some(quoted) => quoted.replace("\"\"", "\""),
                None => name.to_owned(),
            };
            if digest.is_empty() && is_signature_or_record(&name, &path) {
                continue;
            }
            let digest = digest.strip_prefix("sha256=").ok_or_else(bad)?.to_owned();
            let size: u64 = size.parse().map_err(|_| bad())?;
            if expected.insert(name, (digest, size)).is_some() {
                return Err(bad());
            }
        }
        Ok(Record { expected, path })
    }

    /// Compares one file of the wheel with its line.
    fn compare(&mut self, member: &Member, sha256: Sha256) -> Result<(), Refusal> {
        let Some((specified, size)) = self.expected.remove(member.path.as_str()) else {
            let exempt = is_signature_or_record(member.path.as_str(), &self.path);
            return if exempt {
                Ok(())
            } else {
                Err(Refusal::NotInRecord)
            };
        };
        same_size(size, member.size_bytes)?;
        let got = BASE64URL_NOPAD.encode(&sha256.finalize());
        if specified == got {
            Ok(())
        } else {
            Err(Refusal::RecordDigest { specified, got })
        }
    }

    /// Every line must have had its file.
    fn finish(self) -> Result<(), Refusal> {
        match self.expected.into_keys().next() {
            None => Ok(()),
            Some(path) => Err(Refusal::OnlyInRecord { path }),
        }
    }
}

/// RECORD cannot list its own digest, nor those of signatures over it.
fn is_signature_or_record(name: &str, record: &str) -> bool {
    name.strip_prefix(record)
        .is_some_and(|rest| matches!(rest, "" | ".jws" | ".p7s"))
}

/// Path and text of the file `name` in the wheel's `.dist-info`.
fn dist_info_text(
    zip: &mut Zip<'_>,
    members: &[Member],
    name: &'static str,
    archive: &str,
) -> Result<(String, String), ArchiveError> {
    let whole = |refusal| ArchiveError::whole(archive, refusal);
    let path = format!("{}/{name}", dist_info(members).map_err(whole)?);
    let member = members.iter().find(|member| member.path.as_str() == path);
    let member = member.ok_or_else(|| whole(Refusal::DistInfo { missing: name }))?;
    let failed = |refusal| ArchiveError::entry(archive, member.number, path.as_bytes(), refusal);
    if member.size_bytes > limits::WHEEL_TEXT_BYTES {
        let (what, limit, found) = (
            "a text (bytes)",
            limits::WHEEL_TEXT_BYTES,
            member.size_bytes,
        );
        return Err(failed(Refusal::Limit { what, limit, found }));
    }
    let mut bytes = Vec::new();
    let content = zip.content(member).map_err(failed)?;
    // One byte more than the header says: enough to see that it lies, and to reach the end, where the CRC is compared.
    let found = content
        .take(member.size_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(Refusal::read)
        .map_err(failed)?;
    let found = u64::try_from(found).unwrap_or(u64::MAX);
    same_size(member.size_bytes, found).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        failed(Refusal::Encoding {
            valid: error.utf8_error().valid_up_to(),
        })
    })?;
    Ok((path, text))
}

/// What the wheel `input`, called `archive` in messages, says about itself.
pub(super) fn metadata(input: Input<'_>, archive: &str) -> Result<Metadata, ArchiveError> {
    let mut zip = Zip::open(input, archive)?;
    let members = zip.members(archive)?;
    let (_, text) = dist_info_text(&mut zip, &members, "METADATA", archive)?;
    // The headers end at the first empty line; further lines of a header start with a blank.
    let field = |key: &str| {
        let mut values = text
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.strip_prefix(key));
        values
            .find_map(|rest| rest.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    let required = |key| {
        field(key).filter(|value| !value.is_empty()).ok_or_else(|| {
            ArchiveError::whole(
                archive,
                Refusal::DistInfo {
                    missing: "`Name` and `Version` in METADATA",
                },
            )
        })
    };
    let optional = |key| field(key).filter(|value| !value.is_empty() && value != "UNKNOWN");
    Ok(Metadata {
        name: required("Name")?,
        version: required("Version")?,
        summary: optional("Summary"),
        license: optional("License").or_else(|| optional("License-Expression")),
    })
}

/// A reader that hashes what goes through it.
struct Hashed<R> {
    inner: R,
    sha256: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sha256.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn component_folders() {
        for (paths, expected) in [
            (
                &[
                    "nvidia/cuda_runtime/lib/libcudart.so.12",
                    "nvidia/cuda_runtime/include/cuda.h",
                ][..],
                Ok("nvidia/cuda_runtime"),
            ),
            (&["nvidia/cu13/include/nvml.h"], Ok("nvidia/cu13")),
            (&["nvidia/cu13/bin/cuobjdump"], Ok("nvidia/cu13")),
            (
                &["nvidia/cublasmp/cu12/lib/libcublasmp.so.0"],
                Ok("nvidia/cublasmp/cu12"),
            ),
            (
                &[
                    "nvidia/cuda_nvcc/nvvm/bin/cicc",
                    "nvidia/cuda_nvcc/bin/ptxas",
                ],
                Ok("nvidia/cuda_nvcc"),
            ),
            (
                &[
                    "nvidia/libnvcomp/lib64/libnvcomp.so.4",
                    "nvidia/libnvcomp/other/x",
                ],
                Ok("nvidia/libnvcomp"),
            ),
            (&["cutensor/lib/libcutensor.so.2"], Ok("cutensor")),
            (&["tensorrt_libs/libnvinfer.so.10"], Ok("tensorrt_libs")),
            (
                &["nvidia/a/lib/x", "nvidia/b/lib/y"],
                Err(
                    "expected one component folder, such as `nvidia/NAME` or `NAME`, found `nvidia/a/lib/x and nvidia/b/lib/y`",
                ),
            ),
            (
                &["lib/x"],
                Err(
                    "expected one component folder, such as `nvidia/NAME` or `NAME`, found `lib/x`",
                ),
            ),
            (
                &[],
                Err("expected libraries, headers or programs, found only Python and metadata"),
            ),
        ] {
            let paths: Vec<RelPath> = paths
                .iter()
                .map(|path| RelPath::new(path).unwrap())
                .collect();
            let found = component_folder(paths.iter()).map_err(|refusal| refusal.to_string());
            assert_eq!(
                found.as_deref().map_err(String::as_str),
                expected,
                "{paths:?}"
            );
        }
    }

    #[test]
    fn files_are_re_laid() {
        for (component, path, expected) in [
            (
                "nvidia/cuda_runtime",
                "nvidia/cuda_runtime/lib/libcudart.so.12",
                "lib/libcudart.so.12",
            ),
            (
                "nvidia/libnvcomp",
                "nvidia/libnvcomp/lib64/libnvcomp.so.4",
                "lib/libnvcomp.so.4",
            ),
            (
                "nvidia/cuda_nvcc",
                "nvidia/cuda_nvcc/nvvm/lib64/libnvvm.so",
                "nvvm/lib64/libnvvm.so",
            ),
            (
                "tensorrt_libs",
                "tensorrt_libs/libnvinfer.so.10",
                "lib/libnvinfer.so.10",
            ),
            (
                "tensorrt_libs",
                "tensorrt_libs/nvinfer_10.dll",
                "bin/nvinfer_10.dll",
            ),
            (
                "tensorrt_libs",
                "tensorrt_libs/__init__.py",
                "python/tensorrt_libs/__init__.py",
            ),
            (
                "nvidia/x",
                "nvidia/__init__.py",
                "python/nvidia/__init__.py",
            ),
            (
                "nvidia/x",
                "nvidia/x/tool/run.py",
                "python/nvidia/x/tool/run.py",
            ),
            (
                "nvidia/x",
                "nvidia/x/share/gdb/printer.py",
                "share/gdb/printer.py",
            ),
            ("nvidia/x", "nvidia/x/README.md", "README.md"),
            (
                "nvidia/cu13",
                "nvidia/cu13/built/lib64/cmake/x-config.cmake",
                "lib/cmake/x-config.cmake",
            ),
            ("nvidia/cu13", "nvidia/cu13/built/.metadata/x.txt", ""),
            (
                "nvidia/cu13",
                "nvidia/cu13/other/.metadata.txt",
                "other/.metadata.txt",
            ),
        ] {
            let tops = BTreeSet::from(["built"]);
            let found = below(component, &tops, &RelPath::new(path).unwrap());
            assert_eq!(found.unwrap_or_default(), expected, "{path}");
        }
    }

    #[test]
    fn libraries_get_their_development_link() {
        for (path, expected) in [
            ("lib/libcudart.so.12", Some(("lib/libcudart.so", vec![12]))),
            (
                "lib/libnvrtc-builtins.so.12.6",
                Some(("lib/libnvrtc-builtins.so", vec![12, 6])),
            ),
            (
                "lib/libnvrtc.alt.so.12",
                Some(("lib/libnvrtc.alt.so", vec![12])),
            ),
            ("lib/libcudart.so", None),
            ("lib/libcudart_static.a", None),
            ("lib/libx.so.12.debug", None),
        ] {
            let found = development_link(&RelPath::new(path).unwrap());
            let expected = expected.map(|(link, version)| (RelPath::new(link).unwrap(), version));
            assert_eq!(found, expected, "{path}");
        }
    }
}
