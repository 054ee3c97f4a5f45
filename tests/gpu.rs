//! `scripts/gpu-test`, on a GPU where there is one, and as far as it goes without.

use std::path::Path;
use std::process::Command;

use crate::support::{self, program, root, run};

/// `scripts/gpu-test` with the libraries of NVIDIA's wheels, as pip installs them into `dir`; `None` (after a visible skip)
/// where something is missing.
fn gpu_test(test: &str, dir: &Path) -> Option<Command> {
    support::tool(test, "python3")?;
    support::tool(test, "cc")?;
    let mut command = Command::new(root().join("scripts/gpu-test"));
    command.arg("--program").arg(program());
    for (wheel, folder) in [
        (
            "nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64",
            "cuda_runtime",
        ),
        (
            "nvidia_cuda_nvrtc_cu12-12.6.85-py3-none-manylinux2010_x86_64",
            "cuda_nvrtc",
        ),
    ] {
        let wheels = support::wheels(test, wheel)?;
        let file = std::fs::File::open(&wheels[0]).unwrap();
        zip::ZipArchive::new(file).unwrap().extract(dir).unwrap();
        command
            .arg("--libraries")
            .arg(dir.join("nvidia").join(folder).join("lib"));
    }
    Some(command)
}

/// The whole of it, on machines that can. Elsewhere the summary of the tests says that no kernel was run.
#[test]
fn a_kernel_runs_on_the_device() {
    let test = "gpu::a_kernel_runs_on_the_device";
    let dir = support::dir();
    let Some(mut command) = gpu_test(test, dir.path()) else {
        return;
    };
    let ran = run(&mut command).expect(0);
    if let Some(why) = ran.stderr.strip_prefix("gpu-test: SKIP: ") {
        return support::skip(test, why.trim_end());
    }
    assert!(
        ran.stdout
            .ends_with("gpu-test: the kernel ran, all results right\n"),
        "{}",
        ran.stdout
    );
}

#[test]
fn everything_but_the_device_works() {
    let test = "gpu::everything_but_the_device_works";
    let dir = support::dir();
    let Some(mut command) = gpu_test(test, dir.path()) else {
        return;
    };
    command.arg("--dry");
    let ran = run(&mut command).expect(0);
    for text in [
        "redistrib_12.0.0.json: ok, 2 packages",
        "cudart 12060, nvrtc 12.6",
        "compiled for compute_90: ",
        // cudaErrorInsufficientDriver: the stand-in can do nothing.
        "devices: code 35",
        "gpu-test: dry run done; no kernel was run",
    ] {
        assert!(ran.stdout.contains(text), "no {text:?} in:\n{}", ran.stdout);
    }
    assert!(
        ran.stderr.contains("\nstand-in driver found\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_a_gpu_it_says_so() {
    let test = "gpu::without_a_gpu_it_says_so";
    let Some(python) = support::tool(test, "python3") else {
        return;
    };
    if std::path::Path::new("/proc/driver/nvidia").exists() {
        return support::skip(test, "this machine may have a GPU");
    }
    let ran = run(Command::new(python).arg(root().join("scripts/gpu-test"))).expect(0);
    assert!(
        ran.stderr.starts_with("gpu-test: SKIP: no "),
        "{}",
        ran.stderr
    );
}
