//! Libraries across packages and machines: who gets which directory, and who is left alone.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{DRIVER, Package, binary, library, link, text};
use crate::support::nvidia_archive::{Content, Member, PLATFORM, members};
use crate::support::{dir, run, skip, tool};

#[test]
fn a_dependency_is_found_and_stands_before_origin() {
    let Some(cc) = tool("a_dependency_is_found_and_stands_before_origin", "cc") else {
        return;
    };
    let cublas = Package::new(
        "libcublas",
        "linux-x86_64",
        &[
            binary(
                "lib/libcublas.so.12.1",
                library(&cc, "libcublas.so.12", &[]),
            ),
            Member {
                path: "lib/libcublas.so.12".to_owned(),
                content: Content::Link("libcublas.so.12.1".to_owned()),
            },
        ],
    );
    cublas.realise().expect(0);
    // As others may lay out theirs.
    let nvjitlink = dir();
    std::fs::create_dir(nvjitlink.path().join("lib64")).expect("a folder");
    std::fs::write(
        nvjitlink.path().join("lib64/libnvJitLink.so.12"),
        library(&cc, "libnvJitLink.so.12", &[]),
    )
    .expect("written");

    let needed = [
        "libnvJitLink.so.12",
        "libcublas.so.12",
        "libcusolver.so.11",
        "libcuda.so.1",
        "libc.so.6",
    ];
    let mut cusolver = Package::new(
        "libcusolver",
        "linux-x86_64",
        &[
            binary(
                "lib/libcusolver.so.11",
                library(&cc, "libcusolver.so.11", &needed[..2]),
            ),
            binary(
                "lib/libcusolverMg.so.11",
                library(&cc, "libcusolverMg.so.11", &needed),
            ),
            binary(
                "lib/plugins/libplugin.so",
                library(&cc, "libplugin.so", &["libcusolver.so.11"]),
            ),
        ],
    );
    cusolver.plan["dependencies"] =
        json!({ "libcublas": cublas.output("lib"), "libnvjitlink": nvjitlink.path() });
    let ran = cusolver.realise().expect(0);
    let expected = format!(
        "{DRIVER}:{}/lib64:{}/lib:$ORIGIN",
        nvjitlink.path().display(),
        cublas.output("lib").display()
    );
    assert_eq!(
        cusolver
            .runpath("lib", "lib/libcusolverMg.so.11")
            .as_deref(),
        Some(&*expected)
    );
    assert_eq!(
        cusolver.runpath("lib", "lib/libcusolver.so.11").as_deref(),
        Some(&*expected)
    );
    let own = format!("{DRIVER}:{}/lib:$ORIGIN", cusolver.output("lib").display());
    assert_eq!(
        cusolver
            .runpath("lib", "lib/plugins/libplugin.so")
            .as_deref(),
        Some(&*own)
    );

    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        report["patched"][1]["runpath"],
        format!(
            "{DRIVER}:{{dependencies.libnvjitlink}}/lib64:{{dependencies.libcublas}}/lib:$ORIGIN"
        )
    );
}

#[test]
fn other_machines_and_static_programs_are_left_alone() {
    let Some(cc) = tool("other_machines_and_static_programs_are_left_alone", "cc") else {
        return;
    };
    // The machine is a number in the header: byte 18, 183 is aarch64.
    let mut arm = library(&cc, "libarm.so.1", &["libabsent.so.1"]);
    arm[18] = 183;
    let needs_arm = library(&cc, "libx.so.1", &["libarm.so.1"]);
    let object = {
        let work = crate::support::dir();
        std::fs::write(work.path().join("x.c"), "int _start(void) { return 0; }\n")
            .expect("written");
        let build = |output: &str, flags: &[&str]| {
            let mut command = std::process::Command::new(&cc);
            crate::support::run(
                command
                    .current_dir(work.path())
                    .args(["-nostdlib", "x.c", "-o", output])
                    .args(flags),
            )
            .expect(0);
            std::fs::read(work.path().join(output)).expect("cc made it")
        };
        [
            build("static", &["-static"]),
            build("static-pie", &["-static-pie", "-fPIE"]),
            build("x.o", &["-c"]),
        ]
    };
    let [fixed, pie, relocatable] = object;
    let members = [
        binary("bin/static", fixed.clone()),
        binary("bin/static-pie", pie.clone()),
        binary("share/x.o", relocatable.clone()),
        binary("target-linux-arm/libarm.so.1", arm.clone()),
    ];
    let package = Package::new("nsight_compute", "linux-x86_64", &members);
    let ran = package.realise().expect(0);
    assert!(
        ran.stderr.contains(
            "out: target-linux-arm/libarm.so.1: left alone, it is for another machine (aarch64)"
        ),
        "{}",
        ran.stderr
    );
    for (output, path, before) in [
        ("bin", "bin/static", &fixed),
        ("bin", "bin/static-pie", &pie),
        ("out", "share/x.o", &relocatable),
        ("out", "target-linux-arm/libarm.so.1", &arm),
    ] {
        assert_eq!(
            &std::fs::read(package.output(output).join(path)).expect("there"),
            before,
            "{path}"
        );
    }

    // A library for another machine satisfies nobody.
    let members = [
        binary("lib/libx.so.1", needs_arm),
        binary("lib/arm/libarm.so.1", arm),
    ];
    let package = Package::new("nsight_compute", "linux-x86_64", &members);
    let ran = package.realise().expect(1);
    assert!(
        ran.stderr
            .contains("hint: `libarm.so.1` is there for aarch64, but these files are for x86_64"),
        "{}",
        ran.stderr
    );
}

#[test]
fn links_lead_to_the_same_file_in_its_output() {
    let package = Package::new(
        "cuda_foo",
        "linux-x86_64",
        &[
            text("lib/libfoo.so.1"),
            link("lib64", "lib"),
            link("lib/stubs/libbar.so", "../libfoo.so.1"),
            link("nvvm/lib64/libfoo.so", "../../lib64/libfoo.so.1"),
            text("pkg-config/foo-12.9.pc"),
            link("pkg-config/foo.pc", "foo-12.9.pc"),
        ],
    );
    package.realise().expect(0);
    let text_of = |output: &str, path: &str| {
        std::fs::read_link(package.output(output).join(path)).expect("a link")
    };
    let library = package.output("lib").join("lib/libfoo.so.1");
    assert_eq!(text_of("lib", "lib64").to_str(), Some("lib"));
    assert_eq!(text_of("stubs", "lib/stubs/libbar.so"), library);
    assert_eq!(text_of("out", "nvvm/lib64/libfoo.so"), library);
    assert_eq!(
        text_of("dev", "share/pkgconfig/foo.pc").to_str(),
        Some("foo-12.9.pc")
    );
    for (output, path) in [
        ("lib", "lib64/libfoo.so.1"),
        ("stubs", "lib/stubs/libbar.so"),
        ("out", "nvvm/lib64/libfoo.so"),
        ("dev", "share/pkgconfig/foo.pc"),
    ] {
        assert!(package.output(output).join(path).is_file(), "{path}");
    }
}

#[test]
fn outputs_may_lie_on_different_file_systems() {
    const TEST: &str = "outputs_may_lie_on_different_file_systems";
    let Some(members) = members(TEST) else { return };
    let mut package = Package::new("cuda_foo", PLATFORM, &members);
    let memory = Path::new("/dev/shm");
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    if device(memory).is_none() || device(memory) == device(package.folder.path()) {
        return skip(TEST, "/dev/shm is no file system of its own");
    }
    let elsewhere = tempfile::tempdir_in(memory).expect("a folder");
    let lib = elsewhere.path().join("lib");
    package.plan["outputs"]["lib"] = lib.to_str().into();
    package.realise().expect(0);
    assert!(lib.join("lib/libfoo.so").is_file());
    run(Command::new(package.output("bin").join("bin/foo-tool")).env_clear()).expect(0);
}

#[test]
fn windows_packages_are_split_and_not_patched() {
    let package = Package::new(
        "cuda_foo",
        "windows-x86_64",
        &[
            text("bin/foo.dll"),
            text("lib/x64/foo.lib"),
            text("include/foo.h"),
        ],
    );
    let ran = package.run(&[]).expect(0);
    assert!(
        ran.stderr.contains(
            "warning: windows-x86_64: nothing is patched on this platform, and no ELF file audited"
        ),
        "{}",
        ran.stderr
    );
    for (output, path) in [
        ("bin", "bin/foo.dll"),
        ("lib", "lib/x64/foo.lib"),
        ("include", "include/foo.h"),
    ] {
        assert!(package.output(output).join(path).is_file(), "{path}");
    }
}

#[test]
fn debug_files_and_unknown_device_code_are_packed_as_they_are() {
    let test = "realise::wiring::debug_files_and_unknown_device_code_are_packed_as_they_are";
    let (Some(cc), Some(eu_strip)) = (tool(test, "cc"), tool(test, "eu-strip")) else {
        return;
    };
    let work = dir();
    let source = "__asm__(\".section .nv_fatbin,\\\"a\\\"\\n.long 0xba55ed50\\n.short 2, 16\\n.quad 0\\n\");";
    std::fs::write(work.path().join("x.c"), source).expect("written");
    run(Command::new(&cc).current_dir(work.path()).args([
        "-g",
        "-shared",
        "-nostdlib",
        "-o",
        "libx.so.1",
        "x.c",
        "-Wl,-soname,libx.so.1",
    ]))
    .expect(0);
    run(Command::new(&eu_strip)
        .current_dir(work.path())
        .args(["-f", "libx.debug", "libx.so.1"]))
    .expect(0);
    let read = |name: &str| std::fs::read(work.path().join(name)).expect("it was made");
    let package = Package::new(
        "libx",
        "linux-x86_64",
        &[
            binary("lib/libx.so.1", read("libx.so.1")),
            Member {
                path: "lib/debug/libx.so.1.debug".to_owned(),
                content: Content::File(read("libx.debug")),
            },
        ],
    );
    let ran = package.realise().expect(0);
    assert!(
        ran.stderr.contains("libx.so.1: RUNPATH")
            && ran.stderr.contains("device code that is not understood"),
        "{}",
        ran.stderr
    );
    let packed = std::fs::read(package.output("lib").join("lib/debug/libx.so.1.debug"));
    assert!(packed.expect("packed") == read("libx.debug"), "changed");
    let report = std::fs::read(package.output("out").join("nix-support/cuda-redist.json"));
    let report: Value = serde_json::from_slice(&report.expect("there")).expect("JSON");
    let patched = report["patched"].as_array().expect("a list");
    assert_eq!(patched.len(), 1);
    assert_eq!(patched[0]["path"], "lib/libx.so.1");
    assert_eq!(patched[0]["architectures"], Value::Null);
}
