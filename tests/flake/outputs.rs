//! Which outputs packages have: by NVIDIA's feature manifests, and by the table where those say nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::evaluate::{PLATFORMS, packages, read};
use crate::support::nix::{Nix, Plugin};
use crate::support::{plugin, root, shared};

/// Everything that NVIDIA's feature manifests say: product, label, package, platform, and which of the six outputs there are.
fn described(shared: &Path) -> Vec<(String, String, String, String, BTreeSet<String>)> {
    let mut described = Vec::new();
    for product in std::fs::read_dir(shared.join("feature-manifests")).expect("a folder") {
        let folder = product.expect("an entry").path();
        for file in std::fs::read_dir(&folder).expect("a folder") {
            let file = file.expect("an entry").path();
            let stem = file.file_stem().expect("a name").to_string_lossy();
            let label = stem.strip_prefix("feature_").expect("a label");
            let manifest = read(&file);
            for (package, platforms) in manifest.as_object().expect("packages") {
                for (platform, entry) in platforms.as_object().expect("platforms") {
                    let outputs = entry["outputs"].as_object().expect("six booleans");
                    assert_eq!(outputs.len(), 6, "{}", file.display());
                    described.push((
                        folder.file_name().unwrap().to_string_lossy().into_owned(),
                        label.to_owned(),
                        package.clone(),
                        platform.clone(),
                        outputs
                            .iter()
                            .filter(|(_, is_there)| is_there.as_bool().expect("a boolean"))
                            .map(|(name, _)| name.clone())
                            .collect(),
                    ));
                }
            }
        }
    }
    described
}

/// An expression: the outputs and the drvPath of every package of the releases that have feature manifests, by product,
/// label, platform and package.
fn outputs_of_releases(shared: &Path, features: &str) -> String {
    format!(
        "let
           inherit (import {root}/nix {{ }}) lib;
           index = lib.manifests.index {manifests};
           described = lib.manifests.indexFeatures {shared}/feature-manifests;
           # Releases of before CUDA 12 that come in no variants.
           newer = {{ cutensor = \"1.6.2\"; cusparselt = \"0.5\"; nvjpeg2000 = \"0.7\"; }};
           variantOf = product: label:
             if newer ? ${{product}} && builtins.compareVersions label newer.${{product}} < 0 then \"cuda11\" else \"cuda12\";
           of = product: label: builtins.mapAttrs (_: set:
             builtins.mapAttrs (_: package: {{ inherit (package) outputs drvPath; }}) (lib.supported set))
             ({set}).byPlatform;
         in builtins.mapAttrs (product: builtins.mapAttrs (label: _: of product label)) described",
        root = root().display(),
        shared = shared.display(),
        manifests = shared.join("manifests").display(),
        set = packages(
            Path::new("index"),
            &format!("releases.${{product}} = label; products = [ product ]; cudaVariant = variantOf product label; {features}")
        ),
    )
}

/// The package in what [`outputs_of_releases`] gives; archives for all platforms are on each.
fn found<'a>(
    all: &'a Value,
    (product, label, package, platform): (&str, &str, &str, &str),
) -> &'a Value {
    let on = if platform == "linux-all" {
        PLATFORMS[0]
    } else {
        platform
    };
    &all[product][label][on][package]
}

fn names(outputs: &Value) -> Vec<&str> {
    let outputs = outputs.as_array().into_iter().flatten();
    outputs.map(|name| name.as_str().expect("a name")).collect()
}

/// Every package of every feature manifest has the outputs that it says, with and without the plugin, and the same derivation.
#[test]
fn packages_have_the_outputs_of_feature_manifests() {
    let test = "packages_have_the_outputs_of_feature_manifests";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let features = format!("features = {}/feature-manifests;", shared.display());
    let expression = outputs_of_releases(&shared, &features);
    let all = nix.value(&expression, Plugin::Absent);
    let table = read(&root().join("nix/data/packages.json"));
    let mut seen = 0;
    for (product, label, package, platform, described) in described(&shared) {
        if platform.starts_with("windows-") {
            continue;
        }
        let place = format!("{product} {label} {package} {platform}");
        let mut expected: Vec<String> = ["doc", "sample", "bin", "dev", "lib", "static"]
            .into_iter()
            .filter(|name| described.contains(*name))
            .map(|name| name.replace("sample", "samples"))
            .collect();
        expected.insert(0, "out".to_owned());
        let row = &table["packages"][&package];
        // No set has it.
        if row["unsupported"].is_string() {
            continue;
        }
        if row["whole"] == true {
            expected = names(&row["outputs"])
                .into_iter()
                .map(str::to_owned)
                .collect();
        }
        let package = found(&all, (&product, &label, &package, &platform));
        assert_eq!(names(&package["outputs"]), expected, "{place}");
        seen += 1;
    }
    assert!(seen > 1000, "{seen}");
    if plugin(test).is_some() {
        let with = nix.value(&expression, Plugin::Loaded);
        assert!(with == all, "outputs or drvPaths differ");
    }
}

/// The table and the fixups, which serve releases without feature manifests, declare no output that NVIDIA's feature manifests
/// say is empty.
#[test]
fn the_table_declares_no_empty_output() {
    let test = "the_table_declares_no_empty_output";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let all = nix.value(
        &outputs_of_releases(&shared, "features = { };"),
        Plugin::Absent,
    );
    let mut problems = Vec::new();
    for (product, label, package, platform, described) in described(&shared) {
        if platform.starts_with("windows-") {
            continue;
        }
        let outputs = &found(&all, (&product, &label, &package, &platform))["outputs"];
        for output in names(outputs) {
            let is_there = match output {
                // They may be empty.
                "out" | "dev" => true,
                // Part of what the six say.
                "include" => described.contains("dev"),
                "stubs" => described.contains("lib"),
                "samples" => described.contains("sample"),
                other => described.contains(other),
            };
            if !is_there {
                problems.push(format!(
                    "{product} {label} {package} {platform}: `{output}`"
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Two packages that wait for each other could not be built. Of what is opened by name no library says so.
#[test]
fn the_table_has_no_cycle() {
    let table = read(&root().join("nix/data/packages.json"));
    let mut open: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let packages = table["packages"].as_object().expect("packages");
    for (package, row) in packages {
        let needs = [&row["dependencies"], &row["dlopen"]];
        let needs = needs.into_iter().filter_map(Value::as_object);
        let needs = needs.flat_map(|needs| needs.keys().map(String::as_str));
        // What has no row needs nothing.
        let needs = needs.filter(|need| packages.contains_key(*need));
        open.insert(package, needs.collect());
    }
    while let Some(leaf) = open
        .iter()
        .find(|(_, needs)| needs.is_empty())
        .map(|(package, _)| *package)
    {
        open.remove(leaf);
        for needs in open.values_mut() {
            needs.remove(leaf);
        }
    }
    assert!(open.is_empty(), "in a cycle, or needing one: {open:?}");
}
