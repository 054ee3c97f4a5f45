//! What others make of the outputs: pkg-config, CMake and compilers find everything after the split.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{Package, binary, library, link};
use crate::support::nvidia_archive::{Content, Member, PLATFORM, members};
use crate::support::{dir, run, tool, wheels};

/// A member that is this text.
fn content(path: &str, text: &str) -> Member {
    Member {
        path: path.to_owned(),
        content: Content::File(text.as_bytes().to_vec()),
    }
}

#[test]
fn pkg_config_leads_to_headers_and_libraries() {
    let test = "pkg_config_leads_to_headers_and_libraries";
    let (Some(mut members), Some(pkg_config), Some(cc)) =
        (members(test), tool(test, "pkg-config"), tool(test, "cc"))
    else {
        return;
    };
    // As the file of the driver's library in NVIDIA's packages.
    members.push(content(
        "pkg-config/foo-driver-12.9.pc",
        "cudaroot=/usr/local/cuda-12.9\nlibdir=${cudaroot}/targets/x86_64-linux/lib\n\n\
         Name: foo-driver\nDescription: foo\nVersion: 12.9\nLibs: -L${libdir}/stubs -lfoo\n",
    ));
    let package = Package::new("cuda_foo", PLATFORM, &members);
    package.realise().expect(0);
    let flags = |name: &str| {
        let found = run(Command::new(&pkg_config)
            .args(["--cflags", "--libs", name])
            .env(
                "PKG_CONFIG_PATH",
                package.output("dev").join("share/pkgconfig"),
            ));
        found.expect(0).stdout.trim().to_owned()
    };
    let (include, lib) = (package.output("include"), package.output("lib"));
    let expected = format!(
        "-I{}/include -L{}/lib -lfoo",
        include.display(),
        lib.display()
    );
    for name in ["foo", "foo-12.9"] {
        assert_eq!(flags(name), expected);
    }
    assert_eq!(
        flags("foo-driver"),
        format!("-L{}/lib/stubs -lfoo", package.output("stubs").display())
    );

    let work = dir();
    let source = "#include <foo.h>\nint main(void) { return fooGetVersion() != 12090; }\n";
    std::fs::write(work.path().join("x.c"), source).expect("written");
    run(Command::new(cc)
        .current_dir(work.path())
        .args(["-o", "x", "x.c"])
        .args(flags("foo").split(' '))
        .arg(format!("-Wl,-rpath,{}/lib", lib.display())))
    .expect(0);
    run(Command::new(work.path().join("x")).env_clear()).expect(0);
}

/// Configures a project that finds the package in `dev` and prints `variables`.
fn cmake(cmake: &Path, dev: &Path, package: &str, project: &str) -> String {
    let work = dir();
    let text = format!(
        "cmake_minimum_required(VERSION 3.18)\nproject(x C)\nfind_package({package} REQUIRED CONFIG)\n{project}\n"
    );
    std::fs::write(work.path().join("CMakeLists.txt"), text).expect("written");
    let ran = run(Command::new(cmake)
        .arg("-S")
        .arg(work.path())
        .arg("-B")
        .arg(work.path().join("build"))
        .arg(format!("-DCMAKE_PREFIX_PATH={}", dev.display())));
    ran.expect(0).stdout
}

#[test]
fn cmake_finds_what_nvcomp_has() {
    let test = "cmake_finds_what_nvcomp_has";
    let (Some(program), Some(wheels)) = (
        tool(test, "cmake"),
        wheels(test, "nvidia_libnvcomp_cu13-6.0.0.12"),
    ) else {
        return;
    };
    let package = Package::of_archive("nvcomp", "linux-x86_64", &wheels[0])
        .with_outputs(&["out", "bin", "dev", "include", "lib"]);
    package.realise().expect(0);
    let said = cmake(
        &program,
        &package.output("dev"),
        "nvcomp",
        "get_target_property(L nvcomp::nvcomp IMPORTED_LOCATION_RELEASE)\n\
         get_target_property(I nvcomp::nvcomp INTERFACE_INCLUDE_DIRECTORIES)\nmessage(STATUS \"found <${L}> <${I}>\")",
    );
    let (include, lib) = (package.output("include"), package.output("lib"));
    let expected = format!("found <{}/lib/libnvcomp.so.6", lib.display());
    assert!(said.contains(&expected), "{expected}: {said}");
    let expected = format!("<{}/include>", include.display());
    assert!(said.contains(&expected), "{expected}: {said}");
}

#[test]
fn cmake_finds_what_cccl_has() {
    let test = "cmake_finds_what_cccl_has";
    let (Some(program), Some(wheels)) = (
        tool(test, "cmake"),
        wheels(
            test,
            "nvidia_cuda_cccl-13.2.75-py3-none-manylinux2014_x86_64",
        ),
    ) else {
        return;
    };
    let package = Package::of_archive("cuda_cccl", "linux-x86_64", &wheels[0])
        .with_outputs(&["out", "dev", "include"]);
    package.realise().expect(0);
    let said = cmake(
        &program,
        &package.output("dev"),
        "CUB",
        "get_target_property(I CUB::CUB INTERFACE_INCLUDE_DIRECTORIES)\nmessage(STATUS \"found <${I}>\")",
    );
    let include = package.output("include");
    let include = include.to_str().expect("UTF-8");
    let found = said
        .lines()
        .find_map(|line| line.split_once("found <"))
        .map(|(_, rest)| rest.trim_end_matches('>'))
        .unwrap_or_else(|| panic!("{said}"));
    assert!(found.starts_with(include), "{found}");
    assert!(
        Path::new(found).join("cub/version.cuh").is_file(),
        "{found}"
    );
}

#[test]
fn outputs_bring_each_other_along_and_are_marked() {
    let Some(members) = members("outputs_bring_each_other_along_and_are_marked") else {
        return;
    };
    let package = Package::new("cuda_foo", PLATFORM, &members);
    package.realise().expect(0);
    let read = |output: &str, name: &str| {
        std::fs::read_to_string(package.output(output).join("nix-support").join(name)).ok()
    };
    let brought = ["bin", "include", "lib"].map(|name| package.output(name).display().to_string());
    for output in super::OUTPUTS {
        let expected = matches!(output, "dev" | "out").then(|| format!("{}\n", brought.join(" ")));
        assert_eq!(
            read(output, "propagated-build-inputs"),
            expected,
            "{output}"
        );
        assert_eq!(
            read(output, "include-in-cudatoolkit-root"),
            Some(format!("cuda_foo-{output}\n"))
        );
        let stubs = (output == "stubs").then(|| "lib/stubs\n".to_owned());
        assert_eq!(read(output, "cuda-stubs"), stubs, "{output}");
    }
}

#[test]
fn tensorrt_is_laid_out_without_targets() {
    let test = "tensorrt_is_laid_out_without_targets";
    let Some(cc) = tool(test, "cc") else {
        return;
    };
    let library = library(&cc, "libnvinfer.so.10", &[]);
    let members = [
        link("bin", "targets/x86_64-linux-gnu/bin"),
        content("include/NvInfer.h", "\n"),
        link("lib", "targets/x86_64-linux-gnu/lib"),
        link("python/include", "../include"),
        content("targets/x86_64-linux-gnu/bin/giexec", "x"),
        link("targets/x86_64-linux-gnu/include", "../../include"),
        link(
            "targets/x86_64-linux-gnu/lib/libnvinfer.so",
            "libnvinfer.so.10",
        ),
        binary("targets/x86_64-linux-gnu/lib/libnvinfer.so.10", library),
        link("targets/x86_64-linux-gnu/samples", "../../samples"),
        content("samples/x.cpp", "\n"),
    ];
    let package = Package::new("tensorrt", "linux-x86_64", &members)
        .with_outputs(&["out", "bin", "include", "lib", "python", "samples"]);
    package.realise().expect(0);
    for (output, path, target) in [
        ("bin", "bin/giexec", None),
        ("lib", "lib/libnvinfer.so.10", None),
        (
            "lib",
            "lib/libnvinfer.so",
            Some("libnvinfer.so.10".to_owned()),
        ),
        (
            "python",
            "python/include",
            Some(
                package
                    .output("include")
                    .join("include")
                    .display()
                    .to_string(),
            ),
        ),
    ] {
        let path = package.output(output).join(path);
        let found = std::fs::read_link(&path).ok();
        assert_eq!(
            found.map(|path| path.display().to_string()),
            target,
            "{path:?}"
        );
        assert!(path.exists(), "{path:?}");
    }
    assert!(!package.output("out").join("targets").exists());
}

#[test]
fn libraries_are_taken_for_the_release_of_cuda() {
    let members = ["10.2", "11", "12"]
        .map(|release| content(&format!("lib/{release}/libcutensor_static.a"), release));
    let mut package =
        Package::new("libcutensor", "linux-x86_64", &members).with_outputs(&["out", "static"]);
    package.plan["cudaVersion"] = json!("13.0.1");
    let refused = package.realise().expect(1).stderr;
    assert!(
        refused.contains(
            "lib: expected a folder `13.0` or `13` for CUDA 13.0.1, found `10.2`, `11`, `12`"
        ),
        "{refused}"
    );
    package.plan["cudaVersion"] = json!("11.8.0");
    package.realise().expect(0);
    let found = std::fs::read_dir(package.output("static").join("lib")).expect("a folder");
    let found: Vec<_> = found
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert_eq!(found, ["libcutensor_static.a"]);
    let text = std::fs::read_to_string(package.output("static").join("lib/libcutensor_static.a"));
    assert_eq!(text.expect("UTF-8"), "11");
}
