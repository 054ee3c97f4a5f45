//! The NixOS module and the plugin's package, as far as that goes without nixpkgs: which Nix gets a plugin, and what the
//! others are told.

use serde_json::{Value, json};

use super::checkout::Flake;
use crate::support::nix::{Nix, Plugin};
use crate::support::{plugin, root};

/// An expression: what the module makes of a system whose `nix.package` is the stand-in's, updated with `keys`.
fn system(flake: &Flake, keys: &str) -> String {
    format!(
        "let
           pkgs = import {nixpkgs} {{ system = \"x86_64-linux\"; }};
           lib = {{
             mkEnableOption = text: {{ inherit text; }};
             mkOption = option: option;
             mkIf = condition: content: if condition then content else {{ }};
             literalExpression = text: text;
             types.package = \"package\";
           }};
           module = import {root}/nix/nixos-module.nix {{
             inherit lib pkgs;
             config = {{
               nix.package = pkgs.nix // {keys};
               programs.cuda-redist.plugin = {{
                 enable = true;
                 package = module.options.programs.cuda-redist.plugin.package.default;
               }};
             }};
           }};
           inherit (module) config;
         in {{
           refused = map (failed: failed.message) (builtins.filter (each: !each.assertion) config.assertions);
           files = map builtins.unsafeDiscardStringContext (config.nix.settings.plugin-files or [ ]);
           broken = module.options.programs.cuda-redist.plugin.package.default.meta.broken;
         }}",
        nixpkgs = flake.builder().display(),
        root = root().display(),
    )
}

fn flake() -> Flake {
    Flake::unbuilt(&root().join("tests/nix/sets"))
}

#[test]
fn the_module_loads_the_plugin_of_the_systems_own_nix() {
    let Some(nix) = Nix::new("the_module_loads_the_plugin_of_the_systems_own_nix") else {
        return;
    };
    let value = nix.value(&system(&flake(), "{ }"), Plugin::Absent);
    assert_eq!(value["refused"], json!([]));
    assert_eq!(value["broken"], json!(false));
    let files = value["files"].as_array().expect("a list");
    let [Value::String(file)] = files.as_slice() else {
        panic!("{files:?}");
    };
    assert!(
        file.ends_with("-cuda-redist-plugin-0.1.0-nix-2.8.0/lib/nix/plugins/cuda-redist.so"),
        "{file}"
    );
}

/// Where there can be no plugin the system says so; nothing is loaded, nor built.
#[test]
fn the_module_refuses_a_nix_without_a_plugin() {
    let Some(nix) = Nix::new("the_module_refuses_a_nix_without_a_plugin") else {
        return;
    };
    for (keys, sentence) in [
        (
            "{ stdenv.hostPlatform.isStatic = true; }",
            "expected a Nix with shared libraries, found a static one",
        ),
        (
            "{ version = \"2.3.18\"; }",
            ", found 2.3.18: the plugin does not know its interface",
        ),
        (
            "{ pname = \"lix\"; version = \"2.91.0\"; }",
            "expected the package of Nix itself, found `lix`",
        ),
    ] {
        let value = nix.value(&system(&flake(), keys), Plugin::Absent);
        let refused = value["refused"].to_string();
        assert!(
            refused.contains(
                "programs.cuda-redist.plugin: cannot build the plugin for `nix.package`: "
            ) && refused.contains(sentence),
            "{keys}: {refused}"
        );
        assert_eq!(value["files"], json!([]), "{keys}");
        assert_eq!(value["broken"], json!(true), "{keys}");
    }
}

/// The Nix that the plugin was built for here is one of those that the package knows.
#[test]
fn the_plugins_package_knows_the_nix_of_this_machine() {
    let test = "the_plugins_package_knows_the_nix_of_this_machine";
    let Some(nix) = Nix::new(test) else { return };
    if plugin(test).is_none() {
        return;
    }
    let expression = format!(
        "assert builtins ? cudaRedist; import {}/nix/packages/plugin-reason.nix {{ pname = \"nix\"; version = builtins.nixVersion; }}",
        root().display()
    );
    assert_eq!(nix.value(&expression, Plugin::Loaded), Value::Null);
}

/// `plugin.override { nix = ...; }` makes the plugin of another Nix.
#[test]
fn the_plugin_can_be_made_for_another_nix() {
    let Some(nix) = Nix::new("the_plugin_can_be_made_for_another_nix") else {
        return;
    };
    let apply =
        "plugin: let other = plugin.override { nix = plugin.nix // { version = \"2.99.1\"; }; }; in
        [ plugin.name other.name other.meta.broken (plugin.drvPath == other.drvPath) ]";
    let ran = flake()
        .nix(
            &nix,
            Plugin::Absent,
            &["eval", "--json", "--apply", apply],
            "plugin",
        )
        .expect(0);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).expect("JSON"),
        json!([
            "cuda-redist-plugin-0.1.0-nix-2.8.0",
            "cuda-redist-plugin-0.1.0-nix-2.99.1",
            true,
            false
        ])
    );
}
