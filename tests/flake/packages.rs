//! Single packages, built from their manifest alone on real libraries: what no table knows, and what fixups do.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::{built, runpath};
use super::checkout::Flake;
use crate::archive::make;
use crate::support::nix::{Nix, Plugin};
use crate::support::nvidia_archive::{Content, Member, PLATFORM, tar, xz};
use crate::support::{Ran, dir, program, run, static_program, tool};

/// A shared library with `soname` that needs `needed`, made by the host's compiler `cc`.
fn library(cc: &Path, soname: &str, needed: &[&str]) -> Vec<u8> {
    let work = dir();
    let compile = |output: &str, soname: &str, more: &[&str]| {
        let source = work.path().join("source.c");
        std::fs::write(&source, "int answer(void) { return 42; }\n").expect("a source file");
        run(Command::new(cc)
            .current_dir(work.path())
            .args(["-shared", "-fPIC", "-Wl,--no-as-needed", "-o", output])
            .arg(format!("-Wl,-soname,{soname}"))
            .arg("source.c")
            .args(more))
        .expect(0);
    };
    for name in needed {
        compile(name, name, &[]);
    }
    compile("made.so", soname, needed);
    std::fs::read(work.path().join("made.so")).expect("cc made its output")
}

/// One product as NVIDIA would publish it: an archive for each package, and the manifest that lists them.
struct Product {
    manifests: PathBuf,
}

impl Product {
    /// Each package has one library with a soname, which needs others.
    fn of_libraries(nix: &Nix, cc: &Path, packages: &[(&str, &str, &[&str])]) -> Product {
        let archives = packages.iter().map(|(package, soname, needed)| {
            let library = Content::Program(library(cc, soname, needed));
            let licence = Content::File(b"A licence.\n".to_vec());
            let members = vec![
                member(&format!("lib/{soname}"), library),
                member("LICENSE", licence),
            ];
            (*package, "1.0.0", members)
        });
        Product::new(nix, archives.collect())
    }

    /// Each package has a version and what is in its archive.
    fn new(nix: &Nix, packages: Vec<(&str, &str, Vec<Member>)>) -> Product {
        let archives = nix.path("archives");
        std::fs::create_dir_all(&archives).expect("a folder");
        for (package, version, members) in packages {
            let top = format!("{package}-{PLATFORM}-{version}-archive");
            let file = archives.join(format!("{top}.tar.xz"));
            std::fs::write(&file, xz(&tar(&top, &members))).expect("the archive is written");
            nix.add_fixed(&file);
        }
        let manifests = nix.path("manifests");
        std::fs::create_dir_all(manifests.join("cuda")).expect("a folder");
        run(Command::new(program())
            .arg("index")
            .arg(&archives)
            .args(["--product", "cuda", "--label", "12.9.1", "--output"])
            .arg(manifests.join("cuda/redistrib_12.9.1.json")))
        .expect(0);
        Product { manifests }
    }

    /// Builds a package of the set with `arguments`.
    fn build(&self, nix: &Nix, program: &Path, arguments: &str, package: &str) -> Ran {
        let flake = Flake::new(program, &self.manifests);
        let expression = format!(
            "((builtins.getFlake \"{flake}\").lib.mkCudaPackages {{
               system = \"x86_64-linux\";
               manifests = {manifests};
               builder = {builder};
               {arguments}
             }}).{package}",
            flake = flake.attribute(""),
            manifests = flake.manifests().display(),
            builder = flake.builder().display(),
        );
        run(nix
            .command("nix", Plugin::Absent)
            .args(["build", "--impure", "--no-link", "--json", "--expr"])
            .arg(expression))
    }
}

fn member(path: &str, content: Content) -> Member {
    let path = path.to_owned();
    Member { path, content }
}

/// A package whose name stands in no table, with NEEDED on two siblings, is built by default; its RUNPATH has the two, and
/// nothing of what else it might have looked into.
#[test]
fn a_package_that_nobody_knows_finds_its_siblings() {
    let test = "a_package_that_nobody_knows_finds_its_siblings";
    let (Some(nix), Some(static_program), Some(cc)) =
        (Nix::new(test), static_program(test), tool(test, "cc"))
    else {
        return;
    };
    let product = Product::of_libraries(
        &nix,
        &cc,
        &[
            ("cuda_cudart", "libcudart.so.12", &[]),
            ("libcublas", "libcublas.so.12", &[]),
            ("libcurand", "libcurand.so.10", &[]),
            (
                "libnew",
                "libnew.so.1",
                &["libcudart.so.12", "libcublas.so.12"],
            ),
        ],
    );
    // Of what the table would say of these there is one library.
    let whole = "overrides = {
        cuda_cudart = { outputs = [ \"lib\" ]; links = { }; };
        libcublas.outputs = [ \"lib\" ];
        libcurand.outputs = [ \"lib\" ];
    };";
    let ran = product
        .build(&nix, &static_program, whole, "libnew")
        .expect(0);
    let new = built(&ran, "out");
    let runpath = runpath(&new.join("lib/libnew.so.1"));
    let parts: Vec<&str> = runpath.split(':').collect();
    assert_eq!(parts.len(), 4, "{runpath}");
    assert_eq!(parts[0], "/run/opengl-driver/lib");
    for (part, name) in [(parts[1], "libcublas"), (parts[2], "cuda_cudart")] {
        let is_it = part.contains(&format!("-{name}-linux-x86_64-")) && part.ends_with("-lib/lib");
        let other = if name == "libcublas" {
            parts[2]
        } else {
            parts[1]
        };
        let is_other =
            other.contains(&format!("-{name}-linux-x86_64-")) && other.ends_with("-lib/lib");
        assert!(is_it || is_other, "{name}: {runpath}");
    }
    assert_eq!(parts[3], "$ORIGIN");
    // Nor do its references: what it does not need is not fetched with it.
    let ran = run(nix
        .command("nix-store", Plugin::Absent)
        .args(["--query", "--references"])
        .arg(&new))
    .expect(0);
    assert!(ran.stdout.contains("-libcublas-"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("-libcurand-"), "{}", ran.stdout);
}

/// Of two packages that nobody knows, neither looks into the other by itself. The error says what to write, and that works.
#[test]
fn two_packages_that_nobody_knows_are_told_apart_by_an_override() {
    let test = "two_packages_that_nobody_knows_are_told_apart_by_an_override";
    let (Some(nix), Some(static_program), Some(cc)) =
        (Nix::new(test), static_program(test), tool(test, "cc"))
    else {
        return;
    };
    let product = Product::of_libraries(
        &nix,
        &cc,
        &[
            ("libfirst", "libfirst.so.1", &["libsecond.so.1"]),
            ("libsecond", "libsecond.so.1", &[]),
        ],
    );
    let said = product.build(&nix, &static_program, "", "libfirst");
    assert_ne!(said.code, 0);
    let line =
        "overrides.libfirst = keys: { dependencies = keys.dependencies ++ [ \"libsecond\" ]; };";
    let hint = format!("if `libsecond` has `libsecond.so.1`, write `{line}`");
    assert!(said.stderr.contains(&hint), "{}", said.stderr);

    let ran = product
        .build(&nix, &static_program, line, "libfirst")
        .expect(0);
    let runpath = runpath(&built(&ran, "out").join("lib/libfirst.so.1"));
    assert!(
        runpath.contains("-libsecond-linux-x86_64-1.0.0/lib"),
        "{runpath}"
    );

    // And the other way round, both at once, is told before anything is built.
    let both = "overrides.libfirst.dependencies = [ \"libsecond\" ]; overrides.libsecond.dependencies = [ \"libfirst\" ];";
    let said = product.build(&nix, &static_program, both, "libfirst");
    assert_eq!(said.code, 1);
    assert!(
        said.stderr.contains(
            "`libfirst`: expected dependencies that do not need it themselves, found `libsecond`"
        ),
        "{}",
        said.stderr
    );
}

/// Host libraries that a package of nixpkgs has come before those that may be missing.
#[test]
fn host_libraries_are_found_where_they_are_given() {
    let test = "host_libraries_are_found_where_they_are_given";
    let (Some(nix), Some(static_program), Some(cc)) =
        (Nix::new(test), static_program(test), tool(test, "cc"))
    else {
        return;
    };
    let product =
        Product::of_libraries(&nix, &cc, &[("cudnn_jit", "libcudnn.so.9", &["libz.so.1"])]);
    let zlib = nix.path("zlib");
    std::fs::create_dir_all(zlib.join("lib")).expect("a folder");
    std::fs::write(zlib.join("lib/libz.so.1"), library(&cc, "libz.so.1", &[])).expect("a library");
    let outputs = "overrides.cudnn_jit.outputs = [ \"lib\" ];";
    let runpath_with = |arguments: &str| {
        let ran = product
            .build(&nix, &static_program, arguments, "cudnn_jit.lib")
            .expect(0);
        runpath(&built(&ran, "lib").join("lib/libcudnn.so.9"))
    };
    // The table lets it be missing.
    assert_eq!(runpath_with(outputs), "/run/opengl-driver/lib:$ORIGIN");
    let given = runpath_with(&format!(
        "{outputs} hostLibraries.\"libz.so.*\" = \"${{{}}}\";",
        zlib.display()
    ));
    assert!(given.contains("-zlib/lib:$ORIGIN"), "{given}");
}

/// TensorRT's archive is an installation: links into `targets`, models beside the samples, wheels, code for Windows.
#[test]
fn tensorrt_is_laid_out_as_a_package() {
    let test = "tensorrt_is_laid_out_as_a_package";
    let (Some(nix), Some(static_program), Some(cc)) =
        (Nix::new(test), static_program(test), tool(test, "cc"))
    else {
        return;
    };
    let text = |path: &str| member(path, Content::File(b"text\n".to_vec()));
    let link = |path: &str, target: &str| member(path, Content::Link(target.to_owned()));
    let binary = |path: &str, soname: &str, needed: &[&str]| {
        member(path, Content::Program(library(&cc, soname, needed)))
    };
    let targets = "targets/x86_64-linux-gnu";
    let members = vec![
        link("bin", &format!("{targets}/bin")),
        text("data/mnist/0.pgm"),
        text("doc/README.txt"),
        text("include/NvInfer.h"),
        link("lib", &format!("{targets}/lib")),
        text("python/tensorrt-10.9.0.34-cp312-none-linux_x86_64.whl"),
        text("samples/sampleOnnxMNIST/sample.cpp"),
        binary(
            &format!("{targets}/bin/trtexec"),
            "trtexec",
            &["libnvinfer.so.10"],
        ),
        link(&format!("{targets}/include"), "../../include"),
        link(&format!("{targets}/lib/libnvinfer.so"), "libnvinfer.so.10"),
        binary(
            &format!("{targets}/lib/libnvinfer.so.10"),
            "libnvinfer.so.10",
            &[],
        ),
        binary(
            &format!("{targets}/lib/libnvinfer_plugin.so.10"),
            "libnvinfer_plugin.so.10",
            &[],
        ),
        text(&format!(
            "{targets}/lib/libnvinfer_builder_resource_win.so.10.9.0"
        )),
        text(&format!("{targets}/lib/libnvinfer_static.a")),
        binary(
            &format!("{targets}/lib/stubs/libcudart.so"),
            "libcudart.so.12",
            &[],
        ),
        link(&format!("{targets}/samples"), "../../samples"),
    ];
    let product = Product::new(&nix, vec![("tensorrt", "10.9.0.34", members)]);
    let output = |name: &str| {
        let attribute = format!("tensorrt.{name}");
        let ran = product
            .build(&nix, &static_program, "", &attribute)
            .expect(0);
        built(&ran, name)
    };
    let (lib, bin, samples) = (output("lib"), output("bin"), output("samples"));
    assert!(samples.join("data/mnist/0.pgm").is_file());
    assert!(samples.join("samples/sampleOnnxMNIST/sample.cpp").is_file());
    assert!(lib.join("lib/libnvinfer.so.10").is_file());
    assert!(
        !lib.join("lib/libnvinfer_builder_resource_win.so.10.9.0")
            .exists()
    );
    assert!(!lib.join("lib/stubs").exists());
    let facts = run(Command::new(program())
        .args(["elf", "show", "--format", "json"])
        .arg(bin.join("bin/trtexec")))
    .expect(0)
    .stdout;
    assert!(facts.contains("libnvinfer_plugin.so.10"), "{facts}");
    assert!(facts.contains(&format!("{}/lib", lib.display())), "{facts}");
    for name in ["out", "dev", "include", "static"] {
        let ran = run(Command::new("find")
            .arg(output(name))
            .args(["-name", "*.whl"]))
        .expect(0);
        assert_eq!(ran.stdout, "", "{name}");
    }
}

/// What has no manifest of NVIDIA's comes from a wheel: the way of `docs/wheels.md`.
#[test]
fn nccl_from_a_wheel_joins_a_set() {
    let test = "nccl_from_a_wheel_joins_a_set";
    let (Some(nix), Some(static_program), Some(cc)) =
        (Nix::new(test), static_program(test), tool(test, "cc"))
    else {
        return;
    };
    let product = Product::of_libraries(
        &nix,
        &cc,
        &[
            ("cuda_cudart", "libcudart.so.12", &[]),
            ("libcublas", "libcublas.so.12", &[]),
            (
                "libcudss",
                "libcudss_commlayer_nccl.so.0",
                &["libnccl.so.2"],
            ),
        ],
    );
    let outputs = "overrides = {
        cuda_cudart = { outputs = [ \"lib\" ]; links = { }; };
        libcublas.outputs = [ \"lib\" ];
        libcudss.outputs = [ \"lib\" ];
    };";
    let runpath_of_cudss = || {
        let ran = product
            .build(&nix, &static_program, outputs, "libcudss.lib")
            .expect(0);
        runpath(&built(&ran, "lib").join("lib/libcudss_commlayer_nccl.so.0"))
    };
    // Without NCCL it is left to the host.
    assert_eq!(runpath_of_cudss(), "/run/opengl-driver/lib:$ORIGIN");

    let wheels = nix.path("wheels");
    std::fs::create_dir(&wheels).expect("a folder");
    let wheel = wheels.join("nvidia_nccl_cu12-2.31.2-py3-none-manylinux_2_18_x86_64.whl");
    let metadata = "Metadata-Version: 2.1\nName: nvidia-nccl-cu12\nVersion: 2.31.2\nSummary: NCCL\n\
                    License: NVIDIA Proprietary Software\n\n";
    let members = [
        ("nvidia/nccl/include/nccl.h", 0o644, &b"#pragma once\n"[..]),
        (
            "nvidia/nccl/lib/libnccl.so.2",
            0o755,
            &library(&cc, "libnccl.so.2", &[]),
        ),
    ];
    let bytes = make::wheel("nvidia_nccl_cu12-2.31.2.dist-info", metadata, &members);
    std::fs::write(&wheel, bytes).expect("the wheel is written");
    let folder = product.manifests.join("nccl");
    std::fs::create_dir(&folder).expect("a folder");
    run(Command::new(program())
        .arg("index")
        .arg(&wheels)
        .args(["--product", "nccl", "--label", "2.31.2", "--output"])
        .arg(folder.join("redistrib_2.31.2.json"))
        .arg("--features")
        .arg(folder.join("feature_2.31.2.json")))
    .expect(0);
    run(Command::new(program())
        .args(["check", "--strict"])
        .arg(&folder))
    .expect(0);
    nix.add_fixed(&wheel);

    let ran = product
        .build(&nix, &static_program, outputs, "nccl.lib")
        .expect(0);
    let nccl = built(&ran, "lib");
    assert!(nccl.join("lib/libnccl.so.2").is_file());
    assert_eq!(
        runpath_of_cudss(),
        format!("/run/opengl-driver/lib:{}/lib:$ORIGIN", nccl.display())
    );
}
