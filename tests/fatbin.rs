//! Device code: NVIDIA's own files against `cuobjdump`, and damaged ones.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::fatbin;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{self, run};

/// Files with device code in the wheels that every run of the tests has, by the start of the wheel's name.
const CASES: &[(&str, &str)] = &[
    (
        "nvidia_nvjpeg_cu12-12.3.3.54-py3-none-manylinux2014_x86_64",
        "libnvjpeg.so.12",
    ),
    (
        "nvidia_nvjpeg_cu12-12.3.3.54-py3-none-manylinux2014_aarch64",
        "libnvjpeg.so.12",
    ),
    (
        "nvidia_nvjpeg-13.2.0.21-py3-none-manylinux2014_x86_64",
        "libnvjpeg.so.13",
    ),
    (
        "nvidia_nvjpeg-13.2.0.21-py3-none-manylinux2014_aarch64",
        "libnvjpeg.so.13",
    ),
    (
        "nvidia_cuda_runtime-13.2.75-py3-none-manylinux2014_x86_64",
        "libcudadevrt.a",
    ),
    (
        "nvidia_cuda_runtime-13.2.75-py3-none-manylinux2014_aarch64",
        "libcudadevrt.a",
    ),
    (
        "nvidia_cufile_cu12-1.11.1.6-py3-none-manylinux2014_x86_64",
        "libcufile.so.0",
    ),
    ("nvidia_nvjpeg2k_cu12-0.11.0.51-", "libnvjpeg2k.so.0"),
    ("nvidia_nvjpeg2k_cu13-0.11.0.51-", "libnvjpeg2k.so.0"),
    ("nvidia_curand_cu12-10.3.7.77-", "libcurand.so.10"),
    ("nvidia_libnvcomp_cu13-6.0.0.12-", "libnvcomp.so.6"),
];

/// Those that `scripts/wheels large` downloads: 780 MB. libcufft and libcusolver are not among them: the ones below 150 MB are
/// so old that today's `cuobjdump` gives up on them.
const LARGE: &[(&str, &str)] = &[
    ("nvidia_curand-10.4.5.25-", "libcurand.so.10"),
    ("nvidia_libnvcomp_cu12-6.0.0.12-", "libnvcomp.so.6"),
    ("nvidia_cusparselt_cu12-0.6.2-", "libcusparseLt.so.0"),
    ("nvidia_nvtiff_cu12-0.8.0.82-", "libnvtiff.so.0"),
    ("nvidia_nvtiff_cu13-0.8.0.82-", "libnvtiff.so.0"),
    // With code for families of devices.
    ("nvidia_cudss_cu13-1.0.0.35-", "libcudss.so.1"),
    ("nvidia_cublasmp_cu13-0.10.0.3695-", "libcublasmp.so.0"),
    ("nvidia_npp-13.2.0.93-", "libnppif.so.13"),
    // With linked and relocatable code, and relocatable code alone.
    ("nvidia_nvshmem_cu13-3.8.0-", "libnvshmem_host.so.3"),
    ("nvidia_nvshmem_cu13-3.8.0-", "libnvshmem_device.a"),
];

/// Files without.
const HOST_ONLY: &[(&str, &str)] = &[
    (
        "nvidia_cuda_runtime-13.2.75-py3-none-manylinux2014_x86_64",
        "libcudart_static.a",
    ),
    (
        "nvidia_cuda_runtime-13.2.75-py3-none-manylinux2014_x86_64",
        "libcudart.so.13",
    ),
    ("nvidia_nvjitlink_cu12-12.6.85-", "libnvJitLink.so.12"),
];

/// What `cuobjdump` lists: how often each architecture is there. It writes `sm_90` for PTX, too, and takes the names of
/// machine code from the code itself, which is the same for `sm_100` and `sm_100f`.
fn listed(tool: &Path, file: &Path) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (option, prefix, suffix) in [
        ("--list-elf", "sm_", ".cubin"),
        ("--list-ptx", "compute_", ".ptx"),
    ] {
        // It ends in code 255 when there is nothing to list.
        let ran = run(Command::new(tool).arg(option).arg(file));
        let said = ran.stdout.clone() + &ran.stderr;
        assert!(!said.contains("fatal"), "{}: {said}", file.display());
        for line in ran
            .stdout
            .lines()
            .filter_map(|line| line.strip_suffix(suffix))
        {
            let (_, architecture) = line.rsplit_once(".sm_").unwrap();
            *counts.entry(format!("{prefix}{architecture}")).or_default() += 1;
        }
    }
    counts
}

/// What `cuobjdump` says about the headers: how often each architecture is there, and how often compressed. It tells
/// `sm_100f` from `sm_100` here.
fn headers(tool: &Path, file: &Path) -> BTreeMap<String, (u64, u64)> {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let (mut prefix, mut name) = ("", String::new());
    for line in run(Command::new(tool).arg(file)).stdout.lines() {
        match line {
            "Fatbin elf code:" => prefix = "sm_",
            "Fatbin ptx code:" => prefix = "compute_",
            "compressed" => counts.get_mut(&name).unwrap().1 += 1,
            _ => {
                if let Some(architecture) = line.strip_prefix("arch = sm_") {
                    name = format!("{prefix}{architecture}");
                    counts.entry(name.clone()).or_default().0 += 1;
                }
            }
        }
    }
    counts
}

/// Compares all of `cases` whose wheels `find` finds; says how many files, and how many pieces of code in them.
fn compare(
    test: &str,
    find: fn(&str, &str) -> Option<Vec<PathBuf>>,
    cases: &[(&str, &str)],
) -> Option<(usize, u64)> {
    let tool = "nvidia_cuda_cuobjdump-13.2.78-py3-none-manylinux2014_x86_64";
    let dir = support::dir();
    let tool = support::member(&support::wheels(test, tool)?[0], "cuobjdump", dir.path());
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (mut files, mut pieces) = (0, 0);
    for (wheel, name) in cases {
        let Some(wheels) = find(test, wheel) else {
            continue;
        };
        let file = support::member(&wheels[0], name, dir.path());
        let counts = fatbin::count(&file).unwrap();
        let ours: BTreeMap<String, u64> = counts
            .iter()
            .map(|(architecture, count)| (architecture.to_string(), count.total))
            .collect();
        let mut as_listed = BTreeMap::new();
        for (architecture, count) in &ours {
            let is_family = architecture.starts_with("sm_");
            let name = architecture.strip_suffix('f').filter(|_| is_family);
            *as_listed
                .entry(name.unwrap_or(architecture).to_owned())
                .or_default() += count;
        }
        assert_eq!(as_listed, listed(&tool, &file), "{name} of {wheel}");
        let with_compressed: BTreeMap<String, (u64, u64)> = counts
            .iter()
            .map(|(architecture, count)| {
                (architecture.to_string(), (count.total, count.compressed))
            })
            .collect();
        assert_eq!(with_compressed, headers(&tool, &file), "{name} of {wheel}");
        std::fs::remove_file(&file).unwrap();
        let total: u64 = ours.values().sum();
        let compressed: u64 = counts.values().map(|count| count.compressed).sum();
        println!("{name} of {wheel}: {total} pieces, {compressed} compressed: {ours:?}");
        files += 1;
        pieces += total;
    }
    println!("{test}: {files} files, {pieces} pieces of device code, as cuobjdump lists them");
    Some((files, pieces))
}

#[test]
fn counts_are_those_that_cuobjdump_lists() {
    let test = "fatbin::counts_are_those_that_cuobjdump_lists";
    if let Some((files, pieces)) = compare(test, support::wheels, CASES) {
        assert!(
            files < CASES.len() || pieces > 1000,
            "{files} files, {pieces} pieces"
        );
    }
    if let Some((files, pieces)) = compare(test, support::wheels, HOST_ONLY) {
        assert_eq!(pieces, 0, "{files} files");
    }
}

#[test]
fn counts_of_large_libraries_are_those_that_cuobjdump_lists() {
    let test = "fatbin::counts_of_large_libraries_are_those_that_cuobjdump_lists";
    compare(test, support::large_wheels, LARGE);
}

/// Which of the capabilities are Tegra's is a table of ours; the one that was put together beside this project has them, too.
#[test]
fn tegra_devices_are_those_of_the_reference() {
    let Some(shared) = support::shared("fatbin::tegra_devices_are_those_of_the_reference") else {
        return;
    };
    let text = std::fs::read(shared.join("reference/gpu-capabilities.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let mut tegra = 0;
    for known in reference["capabilities"].as_array().unwrap() {
        let text = known["capability"].as_str().unwrap();
        let capability: fatbin::Capability = text.trim_end_matches(['a', 'f']).parse().unwrap();
        let is_jetson = known["is_jetson"].as_bool().unwrap();
        assert_eq!(capability.is_tegra(), is_jetson, "{text}");
        tegra += usize::from(is_jetson);
    }
    assert!(tegra > 5, "{tegra}");
}

/// An archive of one object file whose device code is four entries in two containers, with padding between them.
fn made() -> Vec<u8> {
    let mut code = Vec::new();
    for (number, kind) in [(90_u32, 2_u8), (100, 1)] {
        code.extend([
            0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0, 144, 0, 0, 0, 0, 0, 0, 0,
        ]);
        for flags in [0x2000_u64, 0x20_0000] {
            code.extend([kind, 0, 1, 1, 64, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
            code.extend([0; 12]);
            code.extend(number.to_le_bytes());
            code.extend([0; 8]);
            code.extend(flags.to_le_bytes());
            code.extend([0; 24]);
        }
        code.extend([0; 8]);
    }
    let names = b"\0.nv_fatbin\0\0\0\0\0";
    let mut object = b"\x7fELF\x02\x01\x01".to_vec();
    object.resize(64, 0);
    let code_at = object.len() as u64;
    object.extend(&code);
    let names_at = object.len() as u64;
    object.extend(names);
    let table_at = object.len() as u64;
    object[40..48].copy_from_slice(&table_at.to_le_bytes());
    object[58..64].copy_from_slice(&[64, 0, 3, 0, 2, 0]);
    object.extend([0; 64]);
    for (name, kind, at, len) in [
        (1_u64, 1_u64, code_at, code.len()),
        (0, 3, names_at, names.len()),
    ] {
        let mut section = [0; 64];
        section[..8].copy_from_slice(&(name | kind << 32).to_le_bytes());
        section[24..32].copy_from_slice(&at.to_le_bytes());
        section[32..40].copy_from_slice(&(len as u64).to_le_bytes());
        object.extend(section);
    }
    let mut archive = b"!<arch>\n".to_vec();
    archive.extend(format!("{:<48}{:<10}`\n", "x.o/", object.len()).bytes());
    archive.extend(object);
    archive
}

#[test]
fn damage_is_refused_or_counted_and_never_crashes() {
    let dir = support::dir();
    let file = dir.path().join("x.a");
    let made = made();
    std::fs::write(&file, &made).unwrap();
    assert_eq!(
        fatbin::count(&file)
            .unwrap()
            .iter()
            .map(|(what, count)| format!("{what} {}", count.total))
            .collect::<Vec<_>>(),
        ["sm_90 1", "sm_90f 1", "compute_100 1", "compute_100f 1"]
    );
    // No file of this size can hold more entries than that.
    let most = made.len() as u64 / 64;
    let number = prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(1 << 63),
        any::<u64>(),
        0_u64..1000
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), number, 1_usize..9), 1..5);
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    let mut runner = TestRunner::new(Config {
        cases: 3000,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&(damage, cut), |(damage, cut)| {
            let mut bytes = made.clone();
            for (at, value, len) in damage {
                let at = at.index(bytes.len() - 8);
                bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            std::fs::write(&file, &bytes).unwrap();
            match fatbin::count(&file) {
                Ok(counts) => {
                    let total: u64 = counts.values().map(|count| count.total).sum();
                    prop_assert!(total <= most);
                }
                Err(error) => prop_assert!(error.is_rejected(), "{error}"),
            }
            Ok(())
        })
        .unwrap();
}
