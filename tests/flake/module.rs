//! The NixOS module and the plugin's package, as far as that goes without nixpkgs: which Nix gets a plugin, and what the
//! others are told.

use std::process::Command;

use serde_json::{Value, json};

use super::checkout::Flake;
use crate::support::nix::{Nix, Plugin};
use crate::support::{plugin, root, run, tool};

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

/// What the package of the plugin does when it is built, done here with the core and the Nix of this machine: a plugin that loads.
#[test]
fn the_plugins_package_installs_what_nix_loads() {
    let test = "the_plugins_package_installs_what_nix_loads";
    let (Some(mut nix), Some(core), Some(bash)) =
        (Nix::new(test), plugin(test), tool(test, "bash"))
    else {
        return;
    };
    let instantiate = tool(test, "nix-instantiate").expect("it comes with Nix");
    let prefix = instantiate.ancestors().nth(2).expect("above bin");
    let folder = nix.path("core/lib");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(&core, folder.join("libcuda_redist.so")).expect("the core");
    let expression = format!(
        "(import {root}/nix/packages/plugin.nix {{
           lib = {{ getBin = nix: nix; getDev = nix: nix; platforms.linux = [ ]; }};
           stdenv.mkDerivation = arguments: arguments;
           rustPlatform = {{ buildRustPackage = _: \"{core}\"; bindgenHook = null; }};
           nix = {{ pname = \"nix\"; version = builtins.nixVersion; outPath = \"{prefix}\"; }};
           pkg-config = null; boehmgc = null; boost = null; nlohmann_json = null;
         }}).installPhase",
        root = root().display(),
        core = nix.path("core").display(),
        prefix = prefix.display(),
    );
    let phase = nix.value(&expression, Plugin::Absent);
    let phase = phase.as_str().expect("a script");
    let version = nix.value("builtins.nixVersion", Plugin::Absent);
    let headers = root()
        .join("target/plugin/headers")
        .join(version.as_str().expect("text"))
        .join("nix");
    let mut install = Command::new(bash);
    if headers.is_dir() {
        // Debian's Nix has them in its source package only.
        install.env("NIX_HEADERS", headers);
    }
    run(install
        .current_dir(root())
        .args(["-euc", &format!("runHook() {{ :; }}\n{phase}")])
        .env("out", nix.path("out")))
    .expect(0);
    nix.plugin = nix.path("out/lib/nix/plugins/cuda-redist.so");
    assert_eq!(
        nix.value(
            "builtins.cudaRedist.nixVersion == builtins.nixVersion",
            Plugin::Loaded
        ),
        json!(true)
    );
    assert!(nix.path("out/lib/nix/cuda-redist.optional.so").is_file());
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
