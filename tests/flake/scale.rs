//! Every release of every product at once: how many packages, in how much memory, and the same ones whoever evaluates them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::evaluate::read;
use crate::support::nix::{Nix, Plugin};
use crate::support::{golden, plugin, root, run, shared};

/// An expression: a package set for each release of each product, and of a release in variants one for each of them.
pub fn every_release(shared: &Path) -> String {
    let manifests = shared.join("manifests");
    let mut sets = String::new();
    for product in names(&manifests) {
        for file in names(&manifests.join(&product)) {
            let Some(label) = file
                .strip_prefix("redistrib_")
                .and_then(|file| file.strip_suffix(".json"))
            else {
                continue;
            };
            let manifest = read(&manifests.join(&product).join(&file));
            let variants: BTreeSet<&str> = manifest
                .as_object()
                .expect("a manifest is an object")
                .values()
                .filter_map(|release| release["cuda_variant"].as_array())
                .flatten()
                .map(|variant| variant.as_str().expect("text"))
                .collect();
            let variants = if variants.is_empty() {
                // One set, in which nothing asks for a variant.
                BTreeSet::from([""])
            } else {
                variants
            };
            for variant in variants {
                let (name, argument) = if variant.is_empty() {
                    ("-".to_owned(), String::new())
                } else {
                    let name = format!("cuda{variant}");
                    let argument = format!("cudaVariant = \"{name}\";");
                    (name, argument)
                };
                sets.push_str(&format!(
                    "\"{name} {product} {label}\" = of \"{product}\" \"{label}\" {{ {argument} }};\n"
                ));
            }
        }
    }
    format!(
        "let
           inherit (import {root}/nix {{ }}) lib;
           index = lib.manifests.index {manifests};
           features = lib.manifests.indexFeatures {shared}/feature-manifests;
           of = product: label: arguments: lib.mkCudaPackages ({{
             system = \"x86_64-linux\";
             builder = \"/nonexistent\";
             inherit features;
             # This one alone, or those of other products would come with it.
             manifests.${{product}}.${{label}} = index.${{product}}.${{label}};
             releases.${{product}} = label;
           }} // arguments);
         in {{ {sets} }}",
        root = root().display(),
        manifests = manifests.display(),
        shared = shared.display(),
    )
}

/// An expression: what `nix/survey.nix` says of the sets.
pub fn check_of(sets: &str) -> String {
    format!("import {}/nix/survey.nix ({sets})", root().display())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string())
        .map(|name| name.expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// How many packages each release has for each platform, pinned; with the plugin they are the same ones. All of it is one evaluation
/// that may take no more than this of the address space.
#[test]
fn every_package_of_every_release_evaluates() {
    const KIB: u32 = 2_000_000;
    let test = "every_package_of_every_release_evaluates";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let expression = check_of(&every_release(&shared));
    let file = nix.path("every-release.nix");
    std::fs::write(&file, &expression).expect("the expression is written");
    let evaluated = |plugin| -> Value {
        let command = nix.command("nix-instantiate", plugin);
        let mut limited = Command::new("sh");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let script = format!("ulimit -v {KIB}; exec nix-instantiate --eval --strict --json \"$0\"");
        let ran = run(limited.args(["-c", &script]).arg(&file)).expect(0);
        serde_json::from_str(&ran.stdout).expect("JSON")
    };
    let value = evaluated(Plugin::Absent);
    let found = value["drvPaths"].as_array().expect("a list");
    assert!(found.len() > 4_000, "{}", found.len());
    let text = |key: &str| value[key].as_str().expect("text").to_owned();
    golden("tests/flake/golden/releases.txt", &text("table"));
    golden("tests/flake/golden/unsupported.txt", &text("unsupported"));
    if plugin(test).is_some() {
        let is_loaded = nix.value("builtins ? cudaRedist", Plugin::Loaded);
        assert_eq!(is_loaded, true, "the plugin was not loaded");
        assert!(
            evaluated(Plugin::Loaded) == value,
            "with the plugin they are others"
        );
    }
}

/// Several evaluators at once, each with its part of the sets and all with one store, as nix-eval-jobs and Hydra have them, make the
/// derivations that one evaluator names.
#[test]
fn parallel_evaluators_make_the_same_derivations() {
    let test = "parallel_evaluators_make_the_same_derivations";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let with = if plugin(test).is_some() {
        Plugin::Loaded
    } else {
        Plugin::Absent
    };
    let sets = format!(
        "let
           sets = import {root}/nix/package-sets.nix {{
             inherit (import {root}/nix {{ }}) lib;
             system = \"x86_64-linux\";
             manifests = {manifests};
             builder = \"/nonexistent\";
           }};
         in {{ inherit (sets) cudaPackages_11_8 cudaPackages_12_9 cudaPackages_13_0; }}",
        root = root().display(),
        manifests = shared.join("manifests").display(),
    );
    let one = nix.value(&check_of(&sets), Plugin::Absent);
    let one: BTreeSet<&str> = one["drvPaths"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|path| path.as_str().expect("a path"))
        .collect();

    const EVALUATORS: usize = 3;
    let slice = |number: usize| {
        let expression = format!(
            "let
               inherit (builtins) attrValues concatMap elemAt filter genList length;
               packages = concatMap (set: concatMap (scope: filter (value: value.type or null == \"derivation\" && !(value ? reason)) (attrValues scope)) (attrValues set.byPlatform)) (attrValues ({sets}));
               mine = filter (index: index - index / {EVALUATORS} * {EVALUATORS} == {number}) (genList (index: index) (length packages));
             in map (elemAt packages) mine"
        );
        // Half of them may read manifests by the plugin.
        let plugin = if number.is_multiple_of(2) {
            with
        } else {
            Plugin::Absent
        };
        let mut command = nix.command("nix-instantiate", plugin);
        command.args(["-E", &expression]);
        command
    };
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..EVALUATORS)
            .map(|number| scope.spawn(move || run(&mut slice(number)).expect(0).stdout))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("the evaluator succeeds"))
            .collect()
    });
    let many: BTreeSet<&str> = outputs
        .iter()
        .flat_map(|output| output.lines())
        // Of packages with several outputs `nix-instantiate` names the one that is meant.
        .map(|line| line.split('!').next().expect("a path"))
        .collect();
    assert!(one.len() > 100, "{}", one.len());
    assert!(many == one, "{} and {} derivations", many.len(), one.len());
    for path in many {
        assert!(Path::new(path).is_file(), "{path}");
    }
}
