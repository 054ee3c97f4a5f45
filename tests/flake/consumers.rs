//! Projects of others that are built against a package set: CMake, pkg-config, Makefiles, nvcc; the set is made of NVIDIA's wheels
//! of CUDA 13.
//!
//! Wheels have no stubs and no files of pkg-config, so the runtime's is packed again as NVIDIA packs archives, with both.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::nix::{Nix, Plugin};
use crate::support::nvidia_archive::{Content, Member, gz, tar};
use crate::support::{program, root, run, static_program, tool, wheels};

/// The wheels that are taken as they are.
const WHEELS: [&str; 5] = [
    "nvidia_cuda_nvcc-13.2.",
    "nvidia_nvvm-13.2.",
    "nvidia_cuda_crt-13.2.",
    "nvidia_cuda_cccl-13.2.",
    "nvidia_nvjpeg-13.2.",
];

/// What the stub of the driver has; the real one is not there when programs are linked.
const STUB: &str = "int cuDriverGetVersion(int *version) { *version = 0; return 34; }\n";

/// One file of pkg-config as in NVIDIA's archives.
fn pkg_config(name: &str, folder: &str) -> Member {
    let text = format!(
        "cudaroot=/usr/local/cuda-13.2\nlibdir=${{cudaroot}}/targets/x86_64-linux/lib{folder}\n\
         includedir=${{cudaroot}}/targets/x86_64-linux/include\n\nName: {name}\nDescription: {name}\nVersion: 13.2\n\
         Libs: -L${{libdir}} -l{name}\nCflags: -I${{includedir}}\n"
    );
    Member {
        path: format!("pkg-config/{name}-13.2.pc"),
        content: Content::File(text.into_bytes()),
    }
}

/// What lies in `folder`, as members of an archive, paths below `at`.
fn add_members(folder: &Path, at: &str, members: &mut Vec<Member>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("readable"))
        .collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().expect("UTF-8");
        let path = format!("{at}{name}");
        let kind = entry.file_type().expect("readable");
        if kind.is_dir() {
            add_members(&entry.path(), &format!("{path}/"), members);
            continue;
        }
        let content = if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).expect("a link");
            Content::Link(target.to_str().expect("UTF-8").to_owned())
        } else {
            Content::File(std::fs::read(entry.path()).expect("readable"))
        };
        members.push(Member { path, content });
    }
}

/// The archive of the runtime, with the content of its wheel, files of pkg-config and the driver's stub.
fn runtime_archive(cc: &Path, wheel: &Path, archives: &Path, work: &Path) {
    let unpacked = work.join("cudart");
    run(Command::new(program())
        .arg("unpack")
        .arg(wheel)
        .arg(&unpacked))
    .expect(0);
    let mut members = Vec::new();
    add_members(&unpacked, "", &mut members);
    std::fs::write(work.join("stub.c"), STUB).expect("written");
    run(Command::new(cc)
        .current_dir(work)
        .args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"])
        .args(["libcuda.so", "stub.c"]))
    .expect(0);
    let stub = std::fs::read(work.join("libcuda.so")).expect("cc made it");
    members.push(Member {
        path: "lib/stubs/libcuda.so".to_owned(),
        content: Content::Program(stub),
    });
    members.push(pkg_config("cudart", ""));
    members.push(pkg_config("cuda", "/stubs"));
    let top = "cuda_cudart-linux-x86_64-13.2.75-archive";
    let archive = archives.join(format!("{top}.tar.gz"));
    std::fs::write(archive, gz(&tar(top, &members))).expect("the archive is written");
}

/// A Nix with the archives in its store, and the expression of the projects; `None` (after a visible skip of `test`) where
/// something is missing.
fn projects(test: &str) -> Option<(Nix, String)> {
    // The compilers are the host's.
    let nix = Nix::new(test)?.with("sandbox = false");
    let program_file = static_program(test)?;
    let cc = tool(test, "cc")?;
    for name in ["cmake", "g++", "make", "pkg-config"] {
        tool(test, name)?;
    }
    let x86_64 = |prefix: &str| {
        let found = wheels(test, prefix)?;
        let mut found = found.into_iter();
        found.find(|wheel| wheel.to_string_lossy().contains("x86_64"))
    };
    let archives = nix.path("archives");
    let work = nix.path("work");
    let builder = nix.path("builder");
    for folder in [
        &archives,
        &work,
        &nix.path("manifests/cuda"),
        &builder.join("bin"),
    ] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    for prefix in WHEELS {
        let wheel = x86_64(prefix)?;
        let name = wheel.file_name().expect("a name");
        std::fs::copy(&wheel, archives.join(name)).expect("copied");
    }
    runtime_archive(&cc, &x86_64("nvidia_cuda_runtime-13.2.")?, &archives, &work);
    std::fs::copy(program_file, builder.join("bin/cuda-redist")).expect("copied");
    run(Command::new(program())
        .arg("index")
        .arg(&archives)
        .args(["--product", "cuda", "--label", "13.2.1", "--output"])
        .arg(nix.path("manifests/cuda/redistrib_13.2.1.json"))
        .arg("--features")
        .arg(nix.path("manifests/cuda/feature_13.2.1.json")))
    .expect(0);
    for archive in std::fs::read_dir(&archives).expect("a folder") {
        nix.add_fixed(&archive.expect("readable").path());
    }
    let expression = format!(
        "import {root}/tests/flake/consumers {{ nix = {root}/nix; manifests = {manifests}; builder = {builder}; }}",
        root = root().display(),
        manifests = nix.path("manifests").display(),
        builder = builder.display(),
    );
    Some((nix, expression))
}

/// Builds an attribute and gives its store paths.
#[track_caller]
fn build(nix: &Nix, expression: &str, attribute: &str) -> PathBuf {
    let ran = run(nix
        .command("nix-build", Plugin::Absent)
        .args(["--no-out-link", "-E"])
        .arg(format!("({expression}).{attribute}")))
    .expect(0);
    PathBuf::from(ran.stdout.trim_end())
}

/// The entries of a program's RUNPATH.
#[track_caller]
fn runpath(file: &Path) -> Vec<String> {
    let runpath = super::build::runpath(file);
    runpath.split(':').map(str::to_owned).collect()
}

const DRIVER: &str = "/run/opengl-driver/lib";

#[test]
fn projects_of_others_are_built_against_a_set() {
    let test = "projects_of_others_are_built_against_a_set";
    let Some((nix, expression)) = projects(test) else {
        return;
    };
    let cudart = format!(
        "{}/lib",
        build(&nix, &expression, "set.cuda_cudart.lib").display()
    );
    let nvjpeg = format!(
        "{}/lib",
        build(&nix, &expression, "set.libnvjpeg.lib").display()
    );
    let both = [DRIVER, &cudart, &nvjpeg];
    for (project, kernel) in [
        ("cmake", Some(&both[..2])),
        ("cmakeSplayed", Some(&both[..2])),
        ("cmakeLibraries", None),
        ("pkgConfig", None),
        // The static runtime opens the driver by name.
        ("make", Some(&both[..1])),
    ] {
        let out = build(&nix, &expression, project);
        let bin = out.join("bin");
        assert_eq!(runpath(&bin.join("version")), both, "{project}");
        assert_eq!(runpath(&bin.join("driver")), [DRIVER], "{project}");
        let said = run(Command::new(bin.join("version")).env_clear()).expect(0);
        assert_eq!(said.stdout, "runtime 13020, nvjpeg 13\n", "{project}");
        if let Some(expected) = kernel {
            assert_eq!(runpath(&bin.join("kernel")), expected, "{project}");
            let said = run(Command::new(bin.join("kernel"))
                .env_clear()
                .arg("--no-device"));
            assert_eq!(said.expect(0).stdout, "runtime 13020\n", "{project}");
        }

        run(Command::new(program())
            .arg("audit")
            .args(["--dependency", &cudart, "--dependency", &nvjpeg])
            .arg(&out))
        .expect(0);
        // What was only there to build with is not needed to run.
        let needed = run(nix
            .command("nix-store", Plugin::Absent)
            .args(["--query", "--requisites"])
            .arg(&out))
        .expect(0)
        .stdout;
        for name in ["cuda_nvcc", "cudatoolkit", "-stubs", "-static", "-include"] {
            assert!(!needed.contains(name), "{project}: {needed}");
        }
    }

    // Nobody runs a kernel on a machine that does not say it can.
    let ran = run(nix
        .command("nix-build", Plugin::Absent)
        .args(["--no-out-link", "-E"])
        .arg(format!("({expression}).gpu")));
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("{cuda}"), "{}", ran.stderr);

    let view = build(&nix, &expression, "set.cudatoolkit");
    for (path, is_there) in [
        ("bin/nvcc", true),
        ("include/crt/host_config.h", true),
        ("include/cccl/cuda/std/version", true),
        ("lib/libcudart.so.13", true),
        ("lib64/libnvjpeg.so", true),
        ("lib/stubs/libcuda.so.1", true),
        ("nvvm/libdevice/libdevice.10.bc", true),
        ("nvvm/lib64/libnvvm.so.4", true),
        ("share/pkgconfig/cudart.pc", true),
        ("LICENSE", false),
    ] {
        assert_eq!(view.join(path).exists(), is_there, "{path}");
    }
    let stubs = std::fs::read_to_string(view.join("nix-support/cuda-stubs")).expect("it is there");
    assert_eq!(stubs, "lib/stubs\n");
    // All of it are links.
    let found = run(Command::new("find").arg(&view).args(["-type", "f"])).expect(0);
    assert!(
        found
            .stdout
            .lines()
            .all(|file| file.contains("/nix-support/")),
        "{}",
        found.stdout
    );
}
