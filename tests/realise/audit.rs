//! What is patched into files, and what an audit refuses before anybody sees the outputs.

use std::process::Command;

use serde_json::{Value, json};

use super::{DRIVER, Package, binary, library, text};
use crate::support::nvidia_archive::{Content, Member, PLATFORM, members};
use crate::support::{dir, run, tool, wheels};

/// A library whose read-only data names others that it may open.
fn opener(cc: &std::path::Path, soname: &str, opened: &[&str]) -> Vec<u8> {
    let work = dir();
    let names: String = opened.iter().map(|name| format!("{name:?},")).collect();
    let source = format!("const char *const names[] = {{{names}}};\n");
    std::fs::write(work.path().join("x.c"), source).expect("written");
    run(Command::new(cc)
        .current_dir(work.path())
        .args(["-shared", "-fPIC", "-nostdlib", "-o", "x", "x.c"])
        .arg(format!("-Wl,-soname,{soname}")))
    .expect(0);
    std::fs::read(work.path().join("x")).expect("cc made it")
}

fn report(package: &Package) -> Value {
    let path = package.output("out").join("nix-support/cuda-redist.json");
    serde_json::from_slice(&std::fs::read(path).expect("the report")).expect("JSON")
}

#[test]
fn programs_get_the_interpreter_of_the_plan() {
    let test = "programs_get_the_interpreter_of_the_plan";
    let Some(members) = members(test) else {
        return;
    };
    // The machine's own, under a name that no program has by itself.
    let loader = dir();
    let own = std::fs::canonicalize("/lib64/ld-linux-x86-64.so.2").expect("glibc's loader");
    let link = loader.path().join("a-loader-with-a-much-longer-name.so");
    std::os::unix::fs::symlink(own, &link).expect("a link");
    let mut package = Package::new("cuda_foo", PLATFORM, &members);
    package.plan["interpreter"] = json!(link);
    package.realise().expect(0);
    let program = package.output("bin").join("bin/foo-tool");
    let facts = cuda_redist::elf::read(&program)
        .expect("sound")
        .expect("ELF");
    assert_eq!(facts.interpreter.as_deref(), link.to_str());
    run(Command::new(&program).env_clear()).expect(0);
    let report = report(&package);
    assert_eq!(report["patched"][0]["interpreter"], "{interpreter}");
    assert_eq!(report["audit"]["hostInterpreters"], json!([]));
}

#[test]
fn compat_and_drivers_come_first_and_what_is_opened_last() {
    let test = "compat_and_drivers_come_first_and_what_is_opened_last";
    let Some(cc) = tool(test, "cc") else {
        return;
    };
    let other = |name: &str, file: &str| {
        let package = Package::new(
            name,
            "linux-x86_64",
            &[binary(&format!("lib/{file}"), library(&cc, file, &[]))],
        );
        package.realise().expect(0);
        package
    };
    let nvrtc = other("cuda_nvrtc", "libnvrtc.so.12");
    let cublas = other("libcublas", "libcublas.so.12");
    let numa = other("numactl", "libnuma.so.1");
    let opened = [
        "libnuma.so.%s",
        "libudev.so.1",
        "libcudnn_ops.so.9",
        "libcuda.so.1",
        "libbin.so.1",
    ];
    let mut cudnn = Package::new(
        "cudnn",
        "linux-x86_64",
        &[
            binary("lib/libcudnn.so.9", opener(&cc, "libcudnn.so.9", &opened)),
            binary(
                "lib/libcudnn_ops.so.9",
                library(&cc, "libcudnn_ops.so.9", &["libcublas.so.12"]),
            ),
            // Needs the library that may open it: the output of programs leads to the one of libraries, not back.
            binary(
                "bin/libbin.so.1",
                library(&cc, "libbin.so.1", &["libcudnn.so.9"]),
            ),
        ],
    );
    cudnn.plan["dependencies"] = json!({
        "cuda_nvrtc": nvrtc.output("lib"), "libcublas": cublas.output("lib"), "numactl": numa.output("lib"),
    });
    cudnn.plan["dlopen"] = json!(["cuda_nvrtc"]);
    let compat = dir();
    cudnn.plan["cudaCompat"] = json!(compat.path());
    let compat = compat.path().display();
    cudnn.plan["addNeeded"] = json!({
        "lib/libcudnn_ops.so.*": ["libcudnn.so.9", "libcublas.so.12"], "lib/libgone.so": ["libx.so"],
    });
    let ran = cudnn.realise().expect(0);
    let lib = |package: &Package| format!("{}/lib", package.output("lib").display());
    assert_eq!(
        cudnn.runpath("lib", "lib/libcudnn.so.9").unwrap(),
        format!(
            "{compat}/compat:{DRIVER}:{}:{}:$ORIGIN",
            lib(&nvrtc),
            lib(&numa)
        )
    );
    assert_eq!(
        cudnn.runpath("lib", "lib/libcudnn_ops.so.9").unwrap(),
        format!(
            "{compat}/compat:{DRIVER}:{}:{}:$ORIGIN",
            lib(&cublas),
            lib(&nvrtc)
        )
    );
    let ops = cudnn.output("lib").join("lib/libcudnn_ops.so.9");
    let facts = cuda_redist::elf::read(&ops).expect("sound").expect("ELF");
    assert_eq!(facts.needed, ["libcublas.so.12", "libcudnn.so.9"]);
    let warning = "warning: `addNeeded`: no library or program is called `lib/libgone.so`, so none needs libx.so";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);

    let report = report(&cudnn);
    assert_eq!(
        report["audit"]["opensMissing"],
        json!({ "libudev.so.1": ["lib:lib/libcudnn.so.9"] })
    );
    let of = |path: &str| {
        let patched = report["patched"].as_array().expect("a list");
        let found = patched.iter().find(|file| file["path"] == path);
        found.expect("it was patched").clone()
    };
    assert_eq!(
        of("lib/libcudnn.so.9")["opens"],
        json!(["libcudnn_ops.so.9", "libnuma.so.1"])
    );
    assert_eq!(
        of("lib/libcudnn.so.9")["runpath"],
        format!(
            "{{cudaCompat}}/compat:{DRIVER}:{{dependencies.cuda_nvrtc}}/lib:{{dependencies.numactl}}/lib:$ORIGIN"
        )
    );
    assert_eq!(
        of("lib/libcudnn_ops.so.9")["addedNeeded"],
        json!(["libcudnn.so.9"])
    );
}

#[test]
fn what_a_plan_names_must_be_there() {
    let Some(cc) = tool("what_a_plan_names_must_be_there", "cc") else {
        return;
    };
    let members = [binary("lib/libx.so.1", library(&cc, "libx.so.1", &[]))];
    let mut package = Package::new("cuda_foo", "linux-x86_64", &members);
    let empty = dir();
    package.plan["dependencies"] = json!({ "cuda_nvrtc": empty.path() });
    package.plan["dlopen"] = json!(["cuda_nvrtc"]);
    let ran = package.run(&[]).expect(0);
    assert_eq!(
        ran.stderr,
        "warning: `dlopen`: `cuda_nvrtc` has no folder of libraries\n"
    );
    let mut package = Package::new("cuda_foo", "linux-x86_64", &members);
    package.plan["cudaCompat"] = json!("/nix/store/gone");
    let words = "`cudaCompat`: /nix/store/gone: expected the store path of the package `cuda_compat`, found none";
    let ran = package.run(&[]).expect(1);
    assert!(ran.stderr.starts_with(words), "{}", ran.stderr);
}

#[test]
fn own_libraries_come_before_those_of_dependencies() {
    let Some(cc) = tool("own_libraries_come_before_those_of_dependencies", "cc") else {
        return;
    };
    let dependency = Package::new(
        "libdep",
        "linux-x86_64",
        &[
            binary("lib/libdep.so.1", library(&cc, "libdep.so.1", &[])),
            binary("lib/libb.so.1", library(&cc, "libb.so.1", &[])),
        ],
    );
    dependency.realise().expect(0);
    let needed = ["libdep.so.1", "libb.so.1"];
    let mut package = Package::new(
        "cuda_foo",
        "linux-x86_64",
        &[
            binary("lib/liba.so.1", library(&cc, "liba.so.1", &needed)),
            binary("lib/libb.so.1", library(&cc, "libb.so.1", &[])),
            binary("bin/libtool.so", library(&cc, "libtool.so", &needed)),
        ],
    );
    package.plan["dependencies"] = json!({ "libdep": dependency.output("lib") });
    package.realise().expect(0);
    let (own, other) = (package.output("lib"), dependency.output("lib"));
    let (own, other) = (own.display(), other.display());
    assert_eq!(
        package.runpath("bin", "bin/libtool.so").unwrap(),
        format!("{DRIVER}:{own}/lib:{other}/lib:$ORIGIN")
    );
    assert_eq!(
        package.runpath("lib", "lib/liba.so.1").unwrap(),
        format!("{DRIVER}:$ORIGIN:{other}/lib")
    );
}

#[test]
fn an_archive_of_another_machine_is_noticed() {
    let Some(cc) = tool("an_archive_of_another_machine_is_noticed", "cc") else {
        return;
    };
    let members = [binary("lib/libx.so.1", library(&cc, "libx.so.1", &[]))];
    let package = Package::new("cuda_foo", "linux-sbsa", &members);
    let ran = package.run(&[]).expect(0);
    let words = "warning: this is a package for aarch64, but all of its programs and libraries are for others, such as x86_64";
    assert!(ran.stderr.starts_with(words), "{}", ran.stderr);
}

#[test]
fn a_damaged_library_is_named_as_it_would_be() {
    let Some(cc) = tool("a_damaged_library_is_named_as_it_would_be", "cc") else {
        return;
    };
    let mut library = library(&cc, "libx.so.1", &[]);
    // The number of program headers.
    library[56] = 255;
    library[57] = 255;
    let package = Package::new(
        "cuda_foo",
        "linux-x86_64",
        &[binary("lib/libx.so.1", library)],
    );
    let ran = package.run(&[]).expect(1);
    assert!(
        ran.stderr.starts_with("lib:lib/libx.so.1: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn scripts_are_left_alone_and_listed() {
    let script = Member {
        path: "bin/tool.sh".to_owned(),
        content: Content::Program(b"#!/usr/bin/env bash\necho\n".to_vec()),
    };
    let package = Package::new("cuda_foo", "linux-x86_64", &[script, text("LICENSE")]);
    let ran = package.realise().expect(0);
    let line = "bin: bin/tool.sh: left alone, it is a script (#!/usr/bin/env bash)";
    assert!(
        ran.stderr.lines().any(|found| found == line),
        "{}",
        ran.stderr
    );
    assert_eq!(
        report(&package)["leftAlone"],
        json!([{ "output": "bin", "path": "bin/tool.sh", "reason": "it is a script (#!/usr/bin/env bash)" }])
    );
}

#[test]
fn forbidden_texts_and_references_are_refused() {
    let content = |path: &str, text: &str| Member {
        path: path.to_owned(),
        content: Content::File(text.as_bytes().to_vec()),
    };
    let hash = |digit: &str| digit.repeat(32);
    let members = [
        content("LICENSE", "see /usr/share/doc\n"),
        content("include/x.h", "// in /usr/local/cuda/include\n"),
        content(
            "share/x",
            &format!(
                "/nix/store/{}-gcc/bin /nix/store/{}-glibc",
                hash("0"),
                hash("1")
            ),
        ),
    ];
    let mut package = Package::new("cuda_foo", "linux-x86_64", &members);
    package.plan["forbiddenTexts"] = json!(["/usr/"]);
    package.plan["interpreter"] = json!(format!("/nix/store/{}-glibc/lib/ld.so", hash("1")));
    let refused = package.run(&[]).expect(1).stderr;
    insta::assert_snapshot!(refused, @"
    out:share/x at byte 0: expected references to the package itself, its dependencies and the driver only, found `/nix/store/00000000000000000000000000000000-gcc`
    hint: add the package to `dependencies` if this one is meant to lead there
    include:include/x.h at byte 6: expected no text `/usr/`
    hint: the plan forbids it in `forbiddenTexts`; packages that must hold it leave that out
    ");
    assert_eq!(package.made(), [""; 0]);

    package.plan["forbiddenTexts"] = json!([]);
    package.plan["driverPaths"] = json!([format!("/nix/store/{}-gcc/lib", hash("0"))]);
    package.realise().expect(0);
}

#[test]
fn device_code_must_serve_the_capabilities_of_the_plan() {
    let test = "device_code_must_serve_the_capabilities_of_the_plan";
    let Some(wheels) = wheels(test, "nvidia_libnvcomp_cu13-6.0.0.12") else {
        return;
    };
    let mut package = Package::of_archive("nvcomp", "linux-x86_64", &wheels[0]);
    package.plan["capabilities"] = json!(["9.0", "5.0"]);
    let refused = package.run(&[]).expect(1).stderr;
    let words =
        "expected code for a device of capability 5.0, or PTX for it or an earlier one, found ";
    assert!(refused.contains(words), "{refused}");
    assert!(!refused.contains("capability 9.0"), "{refused}");
    assert_eq!(package.made(), [""; 0]);
    package.plan["capabilities"] = json!(["9.0", "12.0"]);
    let ran = package.realise().expect(0);
    let line = "device code serves capability 9.0 12.0";
    assert!(
        ran.stderr.lines().any(|found| found == line),
        "{}",
        ran.stderr
    );
    assert_eq!(
        report(&package)["audit"]["capabilities"],
        json!(["9.0", "12.0"])
    );
}

#[test]
fn an_output_that_would_be_empty_is_refused() {
    let members = [text("lib/x.txt"), text("include/x.h")];
    let package = Package::new("cuda_foo", "linux-x86_64", &members)
        .with_outputs(&["out", "dev", "lib", "static", "bin"]);
    let refused = package.run(&[]).expect(1).stderr;
    insta::assert_snapshot!(refused, @"
    cuda_foo: expected something in each output, found nothing for `bin`, `static`; there is `include/` (1), `lib/` (1)
    hint: declare the outputs that this archive has something for: `out`, `include`, `lib`
    ");
    assert_eq!(package.made(), [""; 0]);
}

#[test]
fn patterns_of_the_plan_come_first() {
    let members = [
        text("nvvm/lib64/x.txt"),
        text("nvvm/bin/cicc"),
        text("lib/y.txt"),
    ];
    let mut package =
        Package::new("cuda_nvcc", "linux-x86_64", &members).with_outputs(&["out", "bin", "lib"]);
    package.plan["patterns"] = json!({ "bin": ["nvvm/bin/**"], "lib": ["**/lib64/*"] });
    package.realise().expect(0);
    for (output, path) in [
        ("bin", "nvvm/bin/cicc"),
        ("lib", "nvvm/lib64/x.txt"),
        ("lib", "lib/y.txt"),
    ] {
        assert!(package.output(output).join(path).is_file(), "{path}");
    }
}
