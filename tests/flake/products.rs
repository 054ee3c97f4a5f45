//! All products together: which releases a set has for a CUDA release and a platform, and what it lacks.

use std::collections::BTreeSet;

use serde_json::Value;

use super::evaluate::{PLATFORMS, read};
use crate::support::nix::{Nix, Plugin};
use crate::support::{plugin, root, shared};

/// The CUDA releases of these tests: the oldest with every platform, the newest of 12, the first of 13.
const CUDA: [&str; 3] = ["11.8.0", "12.9.1", "13.0.0"];

/// An expression: by CUDA release and platform, the releases that a set has, its packages, and why it lacks others.
fn everything(shared: &std::path::Path) -> String {
    format!(
        "let
           inherit (import {root}/nix {{ }}) lib;
           catalog = lib.catalog {{
             manifests = {shared}/manifests;
             releaseExpressions = {shared}/releases;
           }};
           # A set may have more.
           ofReleases = packages: removeAttrs packages
             (builtins.filter (name: !(packages.${{name}} ? product)) (builtins.attrNames packages));
           of = cuda: builtins.mapAttrs
             (_: set: {{
               inherit (set) releases;
               packages = builtins.mapAttrs
                 (_: package: {{ inherit (package) drvPath product label version platform variant; }})
                 (ofReleases (lib.supported set));
               lacking = lib.unsupported set;
               names = builtins.attrNames set;
             }})
             (lib.mkCudaPackages {{
               system = \"x86_64-linux\";
               builder = \"/nonexistent\";
               manifests = catalog;
               releases = {{ inherit cuda; }};
             }}).byPlatform;
         in builtins.listToAttrs (map (name: {{ inherit name; value = of name; }}) [ {cuda} ])",
        root = root().display(),
        shared = shared.display(),
        cuda = CUDA.map(|label| format!("\"{label}\"")).join(" "),
    )
}

/// Every package of every product and platform is a derivation, or says why not; with the plugin as without.
#[test]
fn every_package_of_every_product_evaluates() {
    let test = "every_package_of_every_product_evaluates";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let expression = everything(&shared);
    let all = nix.value(&expression, Plugin::Absent);
    if plugin(test).is_some() {
        let with = nix.value(&expression, Plugin::Loaded);
        assert!(with == all, "sets differ with the plugin");
    }
    for cuda in CUDA {
        for platform in PLATFORMS {
            let place = format!("CUDA {cuda}, {platform}");
            let set = &all[cuda][platform];
            let releases = set["releases"].as_object().expect("releases");
            assert_eq!(releases.len(), 14, "{place}: {releases:?}");
            let packages = set["packages"].as_object().expect("packages");
            let lacking = set["lacking"].as_object().expect("reasons");
            // All that the manifests of the set's releases have, and nothing without its place in one of the two.
            let mut listed = BTreeSet::new();
            for (product, label) in releases {
                let label = label.as_str().expect("a label");
                let file = shared
                    .join("manifests")
                    .join(product)
                    .join(format!("redistrib_{label}.json"));
                // Of a release expression there is none.
                if !file.is_file() {
                    continue;
                }
                for (package, release) in read(&file).as_object().expect("a manifest") {
                    if !release.is_object() {
                        continue;
                    }
                    listed.insert(package.clone());
                    let found = packages.get(package);
                    let there = is_there(release, platform, cuda);
                    let is_too_old = cuda.starts_with("13") && is_flat_and_old(product);
                    // The driver belongs to the machine: no set has it.
                    let is_refused = package == "nvidia_driver";
                    assert_eq!(
                        found.is_some(),
                        there && !is_too_old && !is_refused,
                        "{place}: {package} of {product} {label}"
                    );
                    match found {
                        Some(found) => {
                            assert_eq!(found["product"], *product, "{place}: {package}");
                            assert_eq!(found["label"], label, "{place}: {package}");
                            assert_eq!(found["version"], release["version"], "{place}");
                        }
                        None => {
                            let reason = lacking[package].as_str().expect("a reason");
                            let start = format!("`{package}` of `{product}` `{label}`: expected ");
                            assert!(reason.starts_with(&start), "{place}: {reason}");
                        }
                    }
                }
            }
            assert!(listed.len() > 60, "{place}: {}", listed.len());
            for (name, found) in packages {
                let drv = found["drvPath"].as_str().expect("a path");
                assert!(drv.ends_with(".drv"), "{place}: {name}: {drv}");
            }
        }
    }
}

/// Has a release an archive for `platform`, or one that runs anywhere, in the variant of `cuda`? Found without any of our code.
fn is_there(release: &Value, platform: &str, cuda: &str) -> bool {
    let major = cuda.split('.').next().expect("a version");
    ["source", "linux-all", platform].iter().any(|key| {
        let entry = &release[*key];
        entry["sha256"].is_string() || entry[format!("cuda{major}")]["sha256"].is_string()
    })
}

/// Products whose flat releases have no libraries for CUDA 13, as `nix/data/products.json` says.
fn is_flat_and_old(product: &str) -> bool {
    ["cusparselt", "cutensor", "nvjpeg2000"].contains(&product)
}

/// Of each product the newest release that has something for both the CUDA release and the platform.
#[test]
fn the_newest_release_that_fits_is_chosen() {
    let test = "the_newest_release_that_fits_is_chosen";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let all = nix.value(&everything(&shared), Plugin::Absent);
    for (cuda, platform, product, label) in [
        ("11.8.0", "linux-x86_64", "cudnn", "9.10.2"),
        ("11.8.0", "linux-ppc64le", "cudnn", "9.0.0"),
        ("11.8.0", "linux-x86_64", "cublasmp", "0.2.1"),
        ("11.8.0", "linux-ppc64le", "cutensor", "2.0.2.1"),
        ("12.9.1", "linux-x86_64", "cudnn", "9.13.0"),
        ("12.9.1", "linux-x86_64", "tensorrt", "10.13.2"),
        // The newer ones are for CUDA 13, or for other machines.
        ("12.9.1", "linux-sbsa", "tensorrt", "10.13.0"),
        ("12.9.1", "linux-aarch64", "tensorrt", "10.7.0"),
        ("12.9.1", "linux-ppc64le", "cuquantum", "24.08.0"),
        ("13.0.0", "linux-sbsa", "tensorrt", "10.13.2"),
        // A release expression: no manifest has one for CUDA 11 and sbsa.
        ("11.8.0", "linux-sbsa", "tensorrt", "8.5.3.1"),
    ] {
        assert_eq!(
            all[cuda][platform]["releases"][product], label,
            "CUDA {cuda}, {platform}: {product}"
        );
    }
    let set = &all["12.9.1"]["linux-x86_64"];
    for (name, version) in [
        ("cudnn_9_8", "9.8.0.87"),
        ("cudnn_8_9", "8.9.7.29"),
        ("libcutensor_2_0", "2.0.2"),
        ("tensorrt_10_9", "10.9.0.34"),
        // What cuBLASMp no longer comes with.
        ("libcal", "0.4.4.50"),
    ] {
        let found = set["packages"][name]["version"].as_str();
        assert!(
            found.is_some_and(|found| found.starts_with(version)),
            "{name}: {found:?}"
        );
    }
    // Windows is listed, and nothing is made for it.
    let reason = set["lacking"]["nsight_vse"].as_str().expect("a reason");
    assert!(
        reason.ends_with("found archives for `windows-x86_64`"),
        "{reason}"
    );
}

/// The table knows every package of NVIDIA's manifests, so that only what is new looks for libraries everywhere.
#[test]
fn the_table_knows_every_package_of_nvidia() {
    let test = "the_table_knows_every_package_of_nvidia";
    let Some(shared) = shared(test) else { return };
    let table = read(&root().join("nix/data/packages.json"));
    let mut unknown = BTreeSet::new();
    let mut seen = 0;
    for product in std::fs::read_dir(shared.join("manifests")).expect("a folder") {
        for file in std::fs::read_dir(product.expect("an entry").path()).expect("a folder") {
            let manifest = read(&file.expect("an entry").path());
            for (package, release) in manifest.as_object().expect("a manifest") {
                if release.is_object() {
                    seen += 1;
                    if !table["packages"][package].is_object() {
                        unknown.insert(package.clone());
                    }
                }
            }
        }
    }
    assert!(seen > 1500, "{seen}");
    assert!(unknown.is_empty(), "{unknown:?}");
}
