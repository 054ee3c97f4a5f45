//! The setup hook for nixpkgs' stdenv, in bash with stand-ins for the functions of stdenv that it uses.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use cuda_redist::elf;

use crate::support::{Ran, dir, program, root, run, tool};

/// What stdenv has when it sources a hook of `nativeBuildInputs`: offsets, lists of functions, and its own functions.
///
/// Source: nixpkgs, `pkgs/stdenv/generic/setup.sh`.
const STDENV: &str = r#"
set -eu
hostOffset=-1 targetOffset=0
envHooks=() preConfigureHooks=() postFixupHooks=() cmakeFlags=()
addEnvHooks() { envHooks+=("$2"); }
appendToVar() { local -n list=$1; shift; list+=("$@"); }
getAllOutputNames() { echo "$outputs"; }
"#;

/// A phase of stdenv: the functions that were left for it, each in turn.
const BUILD: &str = r#"
for package in $inputs; do for hook in "${envHooks[@]}"; do "$hook" "$package"; done; done
for hook in "${preConfigureHooks[@]}"; do "$hook"; done
build
for hook in "${postFixupHooks[@]}"; do "$hook"; done
"#;

/// The hook as `makeSetupHook` would make it, with a program in place of the package.
fn hook(folder: &Path) -> String {
    let package = folder.join("cuda-redist");
    std::fs::create_dir_all(package.join("bin")).expect("a folder");
    let link = package.join("bin/cuda-redist");
    if !link.exists() {
        symlink(program(), &link).expect("a link");
    }
    let text = std::fs::read_to_string(root().join("nix/hooks/cuda-redist-hook.sh"));
    let text = text
        .expect("the hook")
        .replace("@driverPaths@", "/run/opengl-driver/lib");
    text.replace("@cudaRedist@", &package.display().to_string())
}

/// Sources the hook twice, as stdenv may, in a shell with `variables`, lets `build` be done with the packages `inputs`, and
/// prints what `after` does.
fn stdenv(
    bash: &Path,
    folder: &Path,
    variables: &str,
    inputs: &str,
    build: &str,
    after: &str,
) -> Ran {
    std::fs::write(folder.join("hook.sh"), hook(folder)).expect("written");
    let script = format!(
        "{STDENV}\n{variables}\ninputs='{inputs}'\nsource ./hook.sh\nsource ./hook.sh\nbuild() {{\n{build}\n}}\n{BUILD}\n{after}"
    );
    run(Command::new(bash).current_dir(folder).args(["-c", &script]))
}

/// A package output with a library `lib/NAME`, marked as one of a set, made by `cc`.
fn output(cc: &Path, folder: &Path, name: &str, library: &str) {
    let output = folder.join(name);
    let file = output.join(library);
    std::fs::create_dir_all(file.parent().expect("below lib")).expect("a folder");
    std::fs::create_dir_all(output.join("nix-support")).expect("a folder");
    std::fs::create_dir_all(output.join("include")).expect("a folder");
    std::fs::write(
        output.join("nix-support/include-in-cudatoolkit-root"),
        format!("{name}-out\n"),
    )
    .expect("written");
    let soname = match library.ends_with("libcuda.so") {
        true => "libcuda.so.1",
        false => library.rsplit('/').next().expect("a name"),
    };
    std::fs::write(folder.join("empty.c"), "").expect("written");
    run(Command::new(cc)
        .args(["-shared", "-nostdlib"])
        .arg(format!("-Wl,-soname,{soname}"))
        .arg("-o")
        .arg(&file)
        .arg(folder.join("empty.c")))
    .expect(0);
}

/// What the shell has in the end.
const AFTER: &str = r#"
for name in CUDAToolkit_ROOT CUDAToolkit_INCLUDE_DIR CUDAHOSTCXX NVCC_PREPEND_FLAGS; do echo "$name=${!name-}"; done
printf '%s\n' "${cmakeFlags[@]}"
"#;

#[test]
fn the_hook_finds_packages_and_sets_runpaths_right() {
    let test = "the_hook_finds_packages_and_sets_runpaths_right";
    let (Some(bash), Some(cc)) = (tool(test, "bash"), tool(test, "cc")) else {
        return;
    };
    let folder = dir();
    let at = |name: &str| folder.path().join(name);
    output(&cc, folder.path(), "cudart", "lib/libcudart.so.13");
    output(&cc, folder.path(), "driver", "lib/stubs/libcuda.so");
    output(&cc, folder.path(), "nvcc", "lib/libother.so");
    std::fs::remove_file(at("nvcc/lib/libother.so")).expect("removed");
    symlink(
        at("cudart/lib/libcudart.so.13"),
        at("nvcc/lib/libcudart.so.13"),
    )
    .expect("a link");
    std::fs::remove_dir(at("driver/include")).expect("removed");
    std::fs::create_dir_all(at("unrelated/nix-support")).expect("a folder");
    let top = folder.path().display().to_string();
    let inputs = format!("{top}/nvcc {top}/unrelated {top}/cudart {top}/cudart {top}/driver");
    let build = format!(
        "mkdir -p $out/bin $dev
         echo 'void _start(void) {{}}' > x.c
         '{cc}' -nostdlib -Wl,--no-as-needed -o $out/bin/x x.c nvcc/lib/libcudart.so.13 driver/lib/stubs/libcuda.so \\
           -Wl,-rpath,{top}/nvcc/lib:{top}/driver/lib/stubs:/elsewhere
         '{cc}' -nostdlib -Wl,--no-as-needed -o $out/bin/bare x.c cudart/lib/libcudart.so.13
         echo 'no ELF file' > $out/bin/script",
        cc = cc.display(),
    );
    let variables = format!(
        "outputs='out dev' out={top}/result dev={top}/result-dev CXX=bash cudaPropagateToOutput=dev"
    );
    let ran = stdenv(&bash, folder.path(), &variables, &inputs, &build, AFTER).expect(0);
    let said = ran.stdout.replace(&top, "@");
    let compiler = bash.display();
    let root = "@/nvcc;@/cudart;@/driver";
    let include = "@/nvcc/include;@/cudart/include";
    let driver = "/run/opengl-driver/lib";
    assert_eq!(
        said,
        format!(
            "@/result/bin/bare: RUNPATH {driver}:@/cudart/lib\n\
             @/result/bin/x: RUNPATH {driver}:@/cudart/lib:/elsewhere\n\
             CUDAToolkit_ROOT={root}\nCUDAToolkit_INCLUDE_DIR={include}\nCUDAHOSTCXX={compiler}\n\
             NVCC_PREPEND_FLAGS=-Xfatbin=-compress-all\n\
             -DCUDAToolkit_ROOT={root}\n-DCUDAToolkit_INCLUDE_DIR={include}\n-DCMAKE_CUDA_HOST_COMPILER={compiler}\n"
        )
    );
    let facts = elf::read(&at("result/bin/x"))
        .expect("sound")
        .expect("an ELF file");
    assert_eq!(
        facts.runpath,
        Some(format!("{driver}:{top}/cudart/lib:/elsewhere"))
    );
    let propagated = at("result-dev/nix-support/propagated-build-inputs");
    assert_eq!(
        std::fs::read_to_string(propagated).expect("written"),
        format!(" {top}/nvcc {top}/cudart {top}/driver")
    );

    // What the user says has the last word.
    let variables = format!(
        "outputs=out out={top}/second dev={top}/second CXX=bash dontFixCudaRunpath=1 dontCompressCudaFatbin=1\n\
         cudaHostCompiler=/cc CUDAToolkit_ROOT=/mine"
    );
    let ran = stdenv(&bash, folder.path(), &variables, &inputs, &build, AFTER).expect(0);
    let said = ran.stdout.replace(&top, "@");
    assert_eq!(
        said,
        format!(
            "CUDAToolkit_ROOT=/mine\nCUDAToolkit_INCLUDE_DIR={include}\nCUDAHOSTCXX=/cc\nNVCC_PREPEND_FLAGS=\n\
             -DCUDAToolkit_ROOT=/mine\n-DCUDAToolkit_INCLUDE_DIR={include}\n-DCMAKE_CUDA_HOST_COMPILER=/cc\n"
        )
    );

    // A merged toolkit is the only root.
    output(&cc, folder.path(), "view", "lib/libx.so");
    let variables = format!("outputs=out out={top}/third dev={top}/third CXX=bash");
    let ran = stdenv(
        &bash,
        folder.path(),
        &variables,
        &format!("{inputs} {top}/view"),
        ":",
        "echo \"$CUDAToolkit_ROOT $CUDAToolkit_INCLUDE_DIR\"",
    )
    .expect(0);
    assert_eq!(ran.stdout, format!("{top}/view {top}/view/include\n"));

    // For another machine than the one that builds it does nothing.
    let script = format!("{STDENV}\nhostOffset=0\nsource ./hook.sh\necho \"${{#envHooks[@]}}\"");
    let ran = run(Command::new(&bash)
        .current_dir(folder.path())
        .args(["-c", &script]))
    .expect(0);
    assert_eq!(ran.stdout, "0\n");
}
