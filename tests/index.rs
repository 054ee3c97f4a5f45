//! `index`: a folder of archives and wheels becomes a manifest that the judge accepts.

use std::fs::File;
use std::process::Command;

use cuda_redist::index::{Folder, index};
use cuda_redist::manifest::{self, Entries};
use cuda_redist::{error::Error, hash};

use crate::archive::make;
use crate::support::{self, nvidia_archive, program, run};

fn tar_xz() -> Vec<u8> {
    tar_xz_of("text")
}

/// No two files of a manifest are the same.
fn tar_xz_of(text: &str) -> Vec<u8> {
    nvidia_archive::xz(&make::tar(&[make::file("top/LICENSE", text.as_bytes())]))
}

fn zip() -> Vec<u8> {
    make::zip(&[("top/LICENSE", 0o644, b"text\n")])
}

fn wheel(name: &str, version: &str) -> Vec<u8> {
    wheel_of(name, version, "library")
}

fn wheel_of(name: &str, version: &str, library: &str) -> Vec<u8> {
    let metadata = format!(
        "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: CUDA Runtime native Libraries\n\
         License: NVIDIA Proprietary Software\n\nSummary: not this one\n"
    );
    let dist_info = format!("{}-{version}.dist-info", name.replace('-', "_"));
    make::wheel(
        &dist_info,
        &metadata,
        &[("nvidia/foo/lib/libfoo.so.12", 0o644, library.as_bytes())],
    )
}

fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = support::dir();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder is made");
        std::fs::write(path, bytes).expect("a file is written");
    }
    folder
}

/// The text without digests and sizes, which depend on the compressor.
fn without_digests(text: &str) -> String {
    let hide = |line: &str| {
        let key = ["\"sha256\": ", "\"md5\": ", "\"size\": "]
            .into_iter()
            .find(|key| line.contains(key))?;
        let (head, _) = line.split_once(key)?;
        Some(format!("{head}{key}..."))
    };
    text.lines()
        .map(|line| hide(line).unwrap_or_else(|| line.to_owned()))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_folder_becomes_a_manifest() {
    let folder = folder(&[
        (
            "libfoo/linux-x86_64/libfoo-linux-x86_64-1.2.3_cuda12-archive.tar.xz",
            tar_xz_of("1"),
        ),
        (
            "libfoo/linux-x86_64/libfoo-linux-x86_64-1.2.3_cuda13-archive.tar.xz",
            tar_xz_of("2"),
        ),
        (
            "libfoo/windows-x86_64/libfoo-windows-x86_64-1.2.3_cuda12-archive.zip",
            zip(),
        ),
        (
            "cuda_nvcc-linux-sbsa-12.6.85-archive.tar.xz",
            tar_xz_of("3"),
        ),
        (
            "wheels/nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl",
            wheel("nvidia-cuda-runtime-cu12", "12.6.77"),
        ),
        (
            "wheels/nvidia_cuda_runtime_cu12-12.6.77-py3-none-win_amd64.whl",
            wheel_of("nvidia-cuda-runtime-cu12", "12.6.77", "DLL"),
        ),
        ("README.md", b"about\n".to_vec()),
    ]);
    let text = index(folder.path(), "cuda", "12.6.3").unwrap();
    insta::assert_snapshot!(without_digests(&text), @r#"
    {
      "release_label": "12.6.3",
      "release_product": "cuda",
      "cuda_cudart": {
        "name": "CUDA Runtime native Libraries",
        "license": "NVIDIA Proprietary Software",
        "version": "12.6.77",
        "linux-x86_64": {
          "relative_path": "wheels/nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl",
          "sha256": ...
          "md5": ...
          "size": ...
        },
        "windows-x86_64": {
          "relative_path": "wheels/nvidia_cuda_runtime_cu12-12.6.77-py3-none-win_amd64.whl",
          "sha256": ...
          "md5": ...
          "size": ...
        }
      },
      "cuda_nvcc": {
        "name": "cuda_nvcc",
        "license": "CUDA Toolkit",
        "version": "12.6.85",
        "linux-sbsa": {
          "relative_path": "cuda_nvcc-linux-sbsa-12.6.85-archive.tar.xz",
          "sha256": ...
          "md5": ...
          "size": ...
        }
      },
      "libfoo": {
        "name": "libfoo",
        "license": "CUDA Toolkit",
        "version": "1.2.3",
        "cuda_variant": [
          "12",
          "13"
        ],
        "linux-x86_64": {
          "cuda12": {
            "relative_path": "libfoo/linux-x86_64/libfoo-linux-x86_64-1.2.3_cuda12-archive.tar.xz",
            "sha256": ...
            "md5": ...
            "size": ...
          },
          "cuda13": {
            "relative_path": "libfoo/linux-x86_64/libfoo-linux-x86_64-1.2.3_cuda13-archive.tar.xz",
            "sha256": ...
            "md5": ...
            "size": ...
          }
        },
        "windows-x86_64": {
          "cuda12": {
            "relative_path": "libfoo/windows-x86_64/libfoo-windows-x86_64-1.2.3_cuda12-archive.zip",
            "sha256": ...
            "md5": ...
            "size": ...
          }
        }
      }
    }
    "#);
    assert!(text.ends_with("}\n"));
    assert_eq!(
        Folder::read(folder.path()).unwrap().notes(),
        ["README.md: not an archive or wheel, left out"]
    );

    let manifest = manifest::read(text.as_bytes(), "text").unwrap();
    assert_eq!(manifest.release_label(), Some("12.6.3"));
    let mut archives = 0;
    for release in manifest.packages().values() {
        for entries in release.platforms().values() {
            let listed: Vec<&manifest::Archive> = match entries {
                Entries::Flat(archive) => vec![archive],
                Entries::Variants(variants) => variants.values().collect(),
            };
            for archive in listed {
                let file = File::open(folder.path().join(&archive.relative_path)).unwrap();
                let digests = hash::digest(file).unwrap();
                let expected = (digests.sha256, Some(digests.md5), Some(digests.size_bytes));
                assert_eq!((archive.sha256, archive.md5, archive.size_bytes), expected);
                archives += 1;
            }
        }
    }
    assert_eq!(archives, 6);

    let file = folder.path().join("cuda/redistrib_12.6.3.json");
    std::fs::create_dir(folder.path().join("cuda")).unwrap();
    std::fs::write(&file, text).unwrap();
    let ran = run(Command::new(program())
        .args(["check", "--strict"])
        .arg(&file))
    .expect(0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn links_to_files_are_followed() {
    let folder = folder(&[("store/x", tar_xz())]);
    let name = "cuda_nvcc-linux-sbsa-12.6.85-archive.tar.xz";
    let mirror = folder.path().join("mirror");
    std::fs::create_dir(&mirror).unwrap();
    std::os::unix::fs::symlink("../store/x", mirror.join(name)).unwrap();
    std::os::unix::fs::symlink("..", mirror.join("loop")).unwrap();
    assert!(index(&mirror, "cuda", "12.6.3").unwrap().contains(name));
}

#[test]
fn folders_of_a_mirror_are_its_own_affair() {
    let folder = folder(&[(
        "archives/of-nvidia/cuda_nvcc-linux-sbsa-12.6.85-archive.tar.xz",
        tar_xz(),
    )]);
    let file = folder.path().join("redistrib_12.6.3.json");
    std::fs::write(&file, index(folder.path(), "cuda", "12.6.3").unwrap()).unwrap();
    run(Command::new(program())
        .args(["check", "--strict"])
        .arg(&file))
    .expect(0);
}

fn refusal(files: &[(&str, Vec<u8>)]) -> String {
    let folder = folder(files);
    let error: Error = index(folder.path(), "cuda", "1.0").unwrap_err();
    assert!(error.is_rejected(), "{error}");
    error
        .render()
        .replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn what_is_no_release_is_refused() {
    let any = Vec::new;
    let messages = [
        refusal(&[("README.md", any())]),
        refusal(&[
            ("cuda_cudart-12.9.79-archive.tar.xz", any()),
            ("numpy-2.0.0-cp312-cp312-win_amd64.whl", any()),
        ]),
        refusal(&[
            (
                "nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl",
                any(),
            ),
            (
                "nvidia_cuda_runtime-13.2.75-py3-none-manylinux2014_x86_64.whl",
                any(),
            ),
        ]),
        refusal(&[
            ("cuda_nvcc-linux-sbsa-12.6.85-archive.tar.xz", any()),
            ("cuda_nvcc-linux-x86_64-12.6.77-archive.tar.xz", any()),
        ]),
        refusal(&[
            ("cudnn-linux-sbsa-9.8.0.87-archive.tar.xz", any()),
            ("cudnn-linux-x86_64-9.8.0.87_cuda12-archive.tar.xz", any()),
        ]),
        refusal(&[(
            "cuda_nvcc-linux-sbsa-12.6.85-archive.tar.xz",
            b"<html>".to_vec(),
        )]),
        refusal(&[(
            "nvidia_nvtx_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl",
            wheel("nvidia-cuda-runtime-cu12", "12.6.77"),
        )]),
        refusal(&[(
            "nvidia_nvtx_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl",
            tar_xz(),
        )]),
    ];
    insta::assert_snapshot!(messages.join("\n"), @r#"
    DIR: expected archives or wheels in the folder, found none
    cuda_cudart-12.9.79-archive.tar.xz: expected a name `<package>-<platform>-<version>-archive`, found `cuda_cudart-12.9.79-archive`
    hint: name it as NVIDIA does, for example cuda_cudart-linux-x86_64-12.9.79-archive.tar.xz
    numpy-2.0.0-cp312-cp312-win_amd64.whl: expected one of NVIDIA's wheels with a redistributable, found `numpy`
    hint: remove the wheel, or add it to nix/data/wheel-map.json
    nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl: expected one file for `cuda_cudart` on `linux-x86_64`, found another: `nvidia_cuda_runtime-13.2.75-py3-none-manylinux2014_x86_64.whl`
    hint: a manifest is one release: put files for CUDA 12 and 13, and other versions, in folders of their own
    cuda_nvcc-linux-x86_64-12.6.77-archive.tar.xz: expected version 12.6.85 as in `cuda_nvcc-linux-sbsa-12.6.85-archive.tar.xz`, found 12.6.77
    hint: a manifest is one release: put files for CUDA 12 and 13, and other versions, in folders of their own
    cudnn-linux-x86_64-9.8.0.87_cuda12-archive.tar.xz: expected all files of `cudnn` with a CUDA variant or all without, found another kind: `cudnn-linux-sbsa-9.8.0.87-archive.tar.xz`
    cuda_nvcc-linux-sbsa-12.6.85-archive.tar.xz: expected an archive (.tar.xz, .tar.gz, .tar, .zip or .whl), found a file that starts with the bytes 3c 68 74 6d 6c 3e
    hint: this looks like a web page: the download address is wrong or needs a login
    nvidia_nvtx_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl: expected the name and version of the file name in METADATA, `nvidia-nvtx-cu12 12.6.77`, found `nvidia-cuda-runtime-cu12 12.6.77`
    nvidia_nvtx_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl: expected a wheel to be a zip archive, found an .xz stream
    "#);
}

#[test]
fn the_command_replaces_its_output_only_when_all_went_well() {
    let folder = folder(&[("cuda_nvcc-linux-sbsa-12.6.85-archive.tar.xz", tar_xz())]);
    let output = folder.path().join("redistrib_12.6.3.json");
    let command = |label: &str| {
        let mut command = Command::new(program());
        command
            .arg("index")
            .arg(folder.path())
            .args(["--product", "cuda", "--label", label, "--output"])
            .arg(&output);
        run(&mut command)
    };
    let ran = command("12.6.3").expect(0);
    assert!(ran.stdout.is_empty());
    let text = std::fs::read_to_string(&output).unwrap();
    assert_eq!(text, index(folder.path(), "cuda", "12.6.3").unwrap());

    std::fs::write(
        folder
            .path()
            .join("cuda_nvcc-linux-x86_64-12.6.77-archive.tar.xz"),
        "",
    )
    .unwrap();
    let ran = command("12.6.3").expect(1);
    assert!(
        ran.stderr.contains("hint: a manifest is one release"),
        "{}",
        ran.stderr
    );
    assert_eq!(std::fs::read_to_string(&output).unwrap(), text);

    let ran = run(Command::new(program()).args([
        "index",
        "/nonexistent",
        "--product",
        "cuda",
        "--label",
        "1",
        "--output",
        "x",
    ]));
    assert!(
        ran.expect(3)
            .stderr
            .starts_with("/nonexistent: cannot read it: No such file")
    );
}

/// All wheels for CUDA 12 of the download cache in one folder.
#[test]
fn real_wheels_are_listed() {
    let test = "real_wheels_are_listed";
    let folder = support::dir();
    let mut count = 0;
    for wheel in support::wheels(test, "nvidia_").unwrap_or_default() {
        let name = wheel.file_name().unwrap().to_owned();
        if name.to_string_lossy().contains("_cu12-") {
            std::os::unix::fs::symlink(&wheel, folder.path().join(name)).unwrap();
            count += 1;
        }
    }
    if count == 0 {
        return support::skip(test, "no CUDA 12 wheels in the download cache");
    }
    let text = index(folder.path(), "cuda", "12.6.3").unwrap();
    let manifest = manifest::read(text.as_bytes(), "text").unwrap();
    if let Some(cudart) = manifest.packages().get("cuda_cudart") {
        assert_eq!(cudart.name(), "CUDA Runtime native Libraries");
        assert_eq!(cudart.license(), "NVIDIA Proprietary Software");
    }
    assert_eq!(text.matches("\"relative_path\"").count(), count);
    let file = folder.path().join("redistrib_12.6.3.json");
    std::fs::write(&file, text).unwrap();
    run(Command::new(program())
        .args(["check", "--strict"])
        .arg(&file))
    .expect(0);
}

/// An archive in NVIDIA's layout with `paths` in it.
fn archive_with(paths: &[&str]) -> Vec<u8> {
    let members: Vec<_> = paths
        .iter()
        .map(|path| make::file(&format!("top/{path}"), path.as_bytes()))
        .collect();
    nvidia_archive::xz(&make::tar(&members))
}

fn features(folder: &std::path::Path) -> Result<String, Error> {
    let scratch = support::dir();
    let features = Folder::read(folder)?.features(scratch.path(), &|_| {});
    let left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    features
}

#[test]
fn a_folder_becomes_a_feature_manifest() {
    let whole = [
        "LICENSE",
        "bin/tool",
        "docs/index.html",
        "include/foo.h",
        "lib/libfoo.so.1",
        "lib/libfoo_static.a",
        "lib/stubs/libfoo.so",
        "pkg-config/foo.pc",
        "python/foo.whl",
        "samples/foo.cu",
    ];
    let folder = folder(&[
        (
            "libwhole-linux-sbsa-1.2.3-archive.tar.xz",
            archive_with(&whole),
        ),
        (
            "libwhole-linux-x86_64-1.2.3-archive.tar.xz",
            archive_with(&["LICENSE", "include/foo.h", "nvvm/lib/x"]),
        ),
        // Of variants that differ, what all have.
        (
            "libfoo-linux-x86_64-1.2.3_cuda12-archive.tar.xz",
            archive_with(&["LICENSE", "lib/libfoo.so.1", "lib/libfoo.a"]),
        ),
        (
            "libfoo-linux-x86_64-1.2.3_cuda13-archive.tar.xz",
            archive_with(&["LICENSE", "bin/foo", "lib/libfoo.so.2"]),
        ),
        ("libfoo-windows-x86_64-1.2.3_cuda12-archive.zip", zip()),
        // One folder of libraries for each release of CUDA.
        (
            "libcutensor-linux-x86_64-1.2.3-archive.tar.xz",
            archive_with(&["LICENSE", "lib/11/libfoo.so.1", "lib/12/libfoo.a"]),
        ),
        (
            "nvidia_cuda_runtime_cu12-12.6.77-py3-none-manylinux2014_x86_64.whl",
            wheel("nvidia-cuda-runtime-cu12", "12.6.77"),
        ),
    ]);
    let text = features(folder.path()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut lines = Vec::new();
    for (package, platforms) in value.as_object().unwrap() {
        for (platform, features) in platforms.as_object().unwrap() {
            lines.push(format!("{package} {platform} {features}"));
        }
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    cuda_cudart linux-x86_64 {"outputs":["out","lib"]}
    libcutensor linux-x86_64 {"outputs":["out"]}
    libfoo linux-x86_64 {"outputs":["out","lib"]}
    libfoo windows-x86_64 {"outputs":["out"]}
    libwhole linux-sbsa {"outputs":["out","bin","dev","doc","include","lib","python","sample","static","stubs"]}
    libwhole linux-x86_64 {"outputs":["out","dev","include"]}
    "#);
    assert!(
        text.starts_with("{\n  \"cuda_cudart\": {\n") && text.ends_with("\n}\n"),
        "{text}"
    );
}

/// An archive that is damaged, or hostile, is named; a manifest is not written without the feature manifest, nor the other way.
#[test]
fn the_command_writes_both_manifests_or_none() {
    let good = "libgood-linux-x86_64-1.2.3-archive.tar.xz";
    let other = "libother-linux-x86_64-1.2.3-archive.tar.xz";
    let folder = folder(&[(good, archive_with(&["lib/libgood.so.1"]))]);
    let manifests = support::dir();
    let of = |name: &str| manifests.path().join(name);
    let (manifest, features) = (of("redistrib_1.2.3.json"), of("feature_1.2.3.json"));
    let index = |features: &std::path::Path| {
        run(Command::new(program())
            .arg("index")
            .arg(folder.path())
            .args(["--product", "mine", "--label", "1.2.3", "--output"])
            .arg(&manifest)
            .arg("--features")
            .arg(features))
    };
    let said = index(&features).expect(0).stderr;
    assert_eq!(
        said.replace(&manifests.path().display().to_string(), "DIR"),
        "DIR/redistrib_1.2.3.json: 1 file listed\nDIR/feature_1.2.3.json: 1 file looked into\n"
    );
    run(Command::new(program())
        .args(["check", "--strict"])
        .arg(manifests.path()))
    .expect(0);
    let read = || [&manifest, &features].map(|file| std::fs::read_to_string(file).unwrap());
    let before = read();

    // Its name is one that only unpacking looks at.
    std::fs::write(folder.path().join(other), archive_with(&["../evil"])).unwrap();
    let said = index(&features).expect(1).stderr;
    assert!(said.contains(other) && said.contains("entry 1"), "{said}");
    std::fs::write(folder.path().join(other), archive_with(&["lib/other"])).unwrap();
    let said = index(&of("nowhere/feature_1.2.3.json")).expect(3).stderr;
    assert!(
        said.contains("nowhere/feature_1.2.3.json: cannot write it"),
        "{said}"
    );
    let said = index(&manifest).expect(2).stderr;
    assert!(
        said.contains("expected another file for `--features`"),
        "{said}"
    );
    assert_eq!(read(), before);
    assert_eq!(std::fs::read_dir(manifests.path()).unwrap().count(), 2);
}

/// NVIDIA's own wheels have neither static libraries nor stubs, whatever its archives of the same packages have.
#[test]
fn real_wheels_have_the_outputs_that_are_said() {
    let test = "real_wheels_have_the_outputs_that_are_said";
    let Some(wheels) = support::wheels(test, "nvidia_") else {
        return;
    };
    let folder = support::dir();
    for wheel in &wheels {
        let name = wheel.file_name().unwrap().to_string_lossy();
        // One release: that of CUDA 12.
        if ["_nvtx_cu12-", "_runtime_cu12-", "_cufile_cu12-"]
            .iter()
            .any(|part| name.contains(part))
        {
            std::os::unix::fs::symlink(wheel, folder.path().join(&*name)).unwrap();
        }
    }
    let text = features(folder.path()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (package, outputs) in [
        (
            "cuda_cudart",
            serde_json::json!(["out", "dev", "include", "lib"]),
        ),
        (
            "cuda_nvtx",
            serde_json::json!(["out", "dev", "include", "lib"]),
        ),
        (
            "libcufile",
            serde_json::json!(["out", "dev", "include", "lib"]),
        ),
    ] {
        for platform in ["linux-sbsa", "linux-x86_64"] {
            assert_eq!(
                value[package][platform]["outputs"], outputs,
                "{package} {platform}"
            );
        }
    }
}
