//! What evaluates, to what, and with which words it does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::checkout::Flake;
use crate::support::nix::{Nix, Plugin};
use crate::support::{plugin, root, run, shared};

/// The platforms of `lib.platforms.linux`.
pub const PLATFORMS: [&str; 4] = [
    "linux-x86_64",
    "linux-sbsa",
    "linux-aarch64",
    "linux-ppc64le",
];

/// The folders of `nix/` that have their tests beside them.
fn nix_tests() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = [
        "nix",
        "nix/lib",
        "nix/modules",
        "nix/package-set",
        "nix/shims",
    ]
    .iter()
    .flat_map(|folder| std::fs::read_dir(root().join(folder)).expect("a folder"))
    .map(|entry| entry.expect("an entry").path())
    .filter(|path| path.to_string_lossy().ends_with(".test.nix"))
    .collect();
    files.sort();
    assert!(files.len() >= 17, "{files:?}");
    files
}

pub fn run_nix_tests(nix: &Nix, plugin: Plugin) {
    for file in nix_tests() {
        let ran = run(nix
            .command("nix-instantiate", plugin)
            .args(["--eval", "--strict", "--json"])
            .arg(&file))
        .expect(0);
        assert_eq!(ran.stdout.trim_end(), "[]", "{}", file.display());
    }
}

#[test]
fn nix_tests_pass() {
    let Some(nix) = Nix::new("nix_tests_pass") else {
        return;
    };
    run_nix_tests(&nix, Plugin::Absent);
}

#[test]
fn nix_tests_pass_with_the_plugin() {
    let test = "nix_tests_pass_with_the_plugin";
    let Some(nix) = Nix::new(test) else { return };
    if plugin(test).is_some() {
        run_nix_tests(&nix, Plugin::Loaded);
    }
}

/// What the Nix tests are run by says what is wrong with them.
#[test]
fn nix_tests_can_fail() {
    let Some(nix) = Nix::new("nix_tests_can_fail") else {
        return;
    };
    let expression = format!(
        "import {}/nix/lib/failures.nix {{
           family = {{ double = n: 2 * n; forgotten = 1; }};
           cases = {{
             double = [ {{ expr = 4; expected = 4; }} {{ expr = 4; expected = 5; }} {{ expr = 4; throws = true; }} {{ expr = throw \"x\"; expected = 1; }} ];
             unknown = [ ];
           }};
         }}",
        root().display()
    );
    assert_eq!(
        nix.value(&expression, Plugin::Absent),
        json!([
            "double, case 2: expected 5, found 4",
            "double, case 3: expected a throw, found 4",
            "double, case 4: expected 1, found a throw",
            "unknown: expected a name of the family, found none",
            "forgotten: expected at least one case, found none",
        ])
    );
}

/// An expression: `mkCudaPackages` with the given arguments on top of a system and a builder that need not exist.
pub fn packages(manifests: &Path, arguments: &str) -> String {
    format!(
        "(import {}/nix {{ }}).mkCudaPackages {{ system = \"x86_64-linux\"; manifests = {}; \
         builder = \"/nonexistent\"; {arguments} }}",
        root().display(),
        manifests.display()
    )
}

/// An expression: package to drvPath, for each platform.
fn all_drv_paths(manifests: &Path, arguments: &str) -> String {
    format!(
        "builtins.mapAttrs (_: set: builtins.mapAttrs (_: package: package.drvPath) \
         ((import {}/nix {{ }}).lib.supported set)) ({}).byPlatform",
        root().display(),
        packages(manifests, arguments)
    )
}

/// An expression: the outputs of `libcublas` in a set with the given arguments.
fn outputs_of(manifests: &Path, arguments: &str) -> String {
    format!(
        "builtins.listToAttrs (map (name: {{ inherit name; value = null; }}) ({}).libcublas.outputs)",
        packages(manifests, arguments)
    )
}

/// Which packages a release has for a platform and a CUDA variant, found without any of our code.
fn names(manifest: &Value, platform: &str, variant: &str) -> Vec<String> {
    let releases = manifest.as_object().expect("a manifest is an object");
    releases
        .iter()
        .filter(|(name, release)| {
            // The driver belongs to the machine: no set has it.
            *name != "nvidia_driver"
                && release.is_object()
                && ["source", "linux-all", platform].iter().any(|key| {
                    let entry = &release[*key];
                    entry["sha256"].is_string() || entry[variant]["sha256"].is_string()
                })
        })
        .map(|(name, _)| name.clone())
        .collect()
}

pub fn read(file: &Path) -> Value {
    let text = std::fs::read(file).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

/// Every package that a release has is there, and nothing else; each has a derivation of its own.
#[test]
fn package_sets_evaluate() {
    let test = "package_sets_evaluate";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let manifests = shared.join("manifests");
    let cases = [
        ("cuda", "11.8.0", "cuda11"),
        ("cuda", "12.9.1", "cuda12"),
        ("cuda", "13.0.0", "cuda13"),
        ("cudnn", "9.8.0", "cuda11"),
        ("cudnn", "9.8.0", "cuda12"),
        ("cutensor", "2.2.0", "cuda12"),
        ("tensorrt", "10.9.0", "cuda12"),
    ];
    for (product, label, variant) in cases {
        let manifest = read(
            &manifests
                .join(product)
                .join(format!("redistrib_{label}.json")),
        );
        let arguments = format!(
            "releases.{product} = \"{label}\"; products = [ \"{product}\" ]; cudaVariant = \"{variant}\";"
        );
        let found = nix.value(&all_drv_paths(&manifests, &arguments), Plugin::Absent);
        let mut seen = BTreeMap::new();
        for platform in PLATFORMS {
            let place = format!("{product} {label} {variant} {platform}");
            // Without what has the minor version in its name: it is there twice.
            let set = found[platform].as_object().expect("a set").iter();
            let set: BTreeMap<&String, &Value> = set
                .filter(|(name, _)| manifest[name.as_str()].is_object())
                .collect();
            let expected = names(&manifest, platform, variant);
            assert_eq!(
                set.keys().copied().cloned().collect::<Vec<_>>(),
                expected,
                "{place}"
            );
            for (name, drv) in set {
                let drv = drv.as_str().expect("a path").to_owned();
                assert!(drv.ends_with(".drv"), "{place}: {name}: {drv}");
                // What runs anywhere is the same package on each platform.
                let is_shared = drv.contains("-source-") || drv.contains("-linux-all-");
                let former = seen.insert(drv, name.clone());
                assert!(former.is_none() || is_shared, "{place}: {name}, {former:?}");
            }
        }
        assert!(!seen.is_empty(), "{product} {label}");
    }
}

/// Every release of cuDNN and TensorRT that nixpkgs listed becomes a manifest and a feature manifest that the judge takes.
/// Where NVIDIA has a manifest with the same archive, both say the same hash and path.
#[test]
fn shims_make_manifests_of_all_releases() {
    let test = "shims_make_manifests_of_all_releases";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    if plugin(test).is_none() {
        return;
    }
    let expression = format!(
        "let
           inherit (import {root}/nix {{ }}) lib;
           of = product:
             let
               shim = lib.shims.${{product}};
               expressions = (lib.manifests.readReleases ({shared}/releases + \"/${{product}}.json\")).${{product}};
               releases = lib.check lib.modules.${{product}}.releases expressions.releases;
               each = f: builtins.concatLists (builtins.attrValues (builtins.mapAttrs (platform: map (f platform)) releases));
               versions = [ \"11.0\" \"11.4\" \"11.8\" \"12.0\" \"12.5\" \"12.8\" ];
               manifests = map (cudaVersion: shim.redistrib {{ inherit releases cudaVersion; }}) versions;
               features = map (cudaVersion: shim.feature {{ inherit releases cudaVersion; }}) versions;
             in {{
               releases = each (platform: release:
                 lib.check \"buildableRelease\" (shim.redistribRelease platform release));
               features = each (platform: release:
                 lib.check \"featureRelease\" (shim.featureRelease platform release));
               manifests = map (builtins.mapAttrs (_: lib.check (lib.shapes.manifestOf \"buildableRelease\"))) manifests;
               featureManifests = map (builtins.mapAttrs (_: lib.check \"feature\")) features;
             }};
         in {{ cudnn = of \"cudnn\"; tensorrt = of \"tensorrt\"; }}",
        root = root().display(),
        shared = shared.display(),
    );
    let found = nix.value(&expression, Plugin::Loaded);
    assert_eq!(nix.value(&expression, Plugin::Absent), found);
    let mut known = 0;
    for (product, count) in [("cudnn", 37), ("tensorrt", 18)] {
        let releases = found[product]["releases"].as_array().expect("a list");
        assert_eq!(releases.len(), count, "{product}");
        assert_eq!(
            found[product]["features"].as_array().map(Vec::len),
            Some(count)
        );
        assert!(
            !found[product]["manifests"][5]
                .as_object()
                .unwrap()
                .is_empty()
        );
        for release in releases {
            let version = release["version"].as_str().expect("a version");
            let label = version.rsplit_once('.').expect("four parts").0;
            let file = shared.join(format!("manifests/{product}/redistrib_{label}.json"));
            if !file.is_file() {
                continue;
            }
            let listed = &read(&file)[product];
            assert_eq!(
                (&release["name"], &release["license"]),
                (&listed["name"], &listed["license"])
            );
            let platforms = release.as_object().expect("a release").iter();
            for (platform, archive) in platforms.filter(|(_, value)| value.is_object()) {
                let variants = listed[platform].as_object().into_iter().flatten();
                for (_, other) in variants {
                    if other["relative_path"] == archive["relative_path"] {
                        assert_eq!(other["sha256"], archive["sha256"], "{product} {version}");
                        known += 1;
                    }
                }
            }
        }
    }
    assert_eq!(known, KNOWN);
}

/// How many of nixpkgs' releases NVIDIA's manifests list, too.
const KNOWN: usize = 35;

/// With the plugin a manifest is held against its user's shape when it is read; the derivations are the same without.
#[test]
fn shapes_of_users_are_judged_while_nix_evaluates() {
    let test = "shapes_of_users_are_judged_while_nix_evaluates";
    let Some(nix) = Nix::new(test) else { return };
    if plugin(test).is_none() {
        return;
    }
    let own = root().join("tests/nix/own");
    let arguments = |fields: &str| {
        format!(
            "releases.mine = \"1.0\"; variants.mpi = \"5\"; shapes.mine = {{ extends = \"redistribRelease\"; fields = {{ {fields} }}; }};"
        )
    };
    let fine = all_drv_paths(&own, &arguments("origin = \"url\";"));
    let with = nix.value(&fine, Plugin::Loaded);
    assert_eq!(with, nix.value(&fine, Plugin::Absent));
    assert_eq!(
        with["linux-x86_64"].as_object().map(|set| set.len()),
        // Each once more with the minor version in its name.
        Some(4)
    );

    for (fields, words) in [
        (
            "",
            "`mine.origin`: expected a set (a package), found the string `https://example.org/mine`",
        ),
        (
            "origin.oneOf = [ \"here\" ];",
            "`spread.origin`: expected one of `here`, found `https://example.org/spread`",
        ),
        (
            "origin = \"url\"; notes = \"line\";",
            "`mine`: expected the key `notes`, found a set without it",
        ),
        (
            "origin = \"ulr\";",
            "expected the name of a shape, found `ulr`",
        ),
    ] {
        let wrong = all_drv_paths(&own, &arguments(fields));
        let said = nix.eval(&wrong, Plugin::Loaded).expect(1).stderr;
        assert!(said.contains(words), "{fields}: {said}");
        // Nobody judges yet.
        nix.value(&wrong, Plugin::Absent);
    }
}

/// Says what is wrong, where, and what to do about it.
#[test]
fn errors_say_what_to_do() {
    let Some(nix) = Nix::new("errors_say_what_to_do") else {
        return;
    };
    let fixtures = root().join("tests/nix");
    let sets = fixtures.join("sets");
    let cases: [(String, &[&str]); 24] = [
        (
            packages(
                &fixtures.join("manifests/twice"),
                "releases.cuda = \"12.9.1\";",
            ),
            &[
                "cudaRedist.lib.manifests.index: `cuda` `12.9.1`: expected one manifest, found 2: ",
                "twice/a/cuda/redistrib_12.9.1.json`, `",
                "twice/b/cuda/redistrib_12.9.1.json`",
                "- remove all but one of them from `",
            ],
        ),
        (
            packages(&fixtures.join("manifests/nameless"), ""),
            &[
                "cudaRedist.lib.manifests.index: `",
                "redistrib_1.0.json`: expected `release_product` in the manifest, found none",
                "- put the manifest into a folder that is named after its product, such as `cuda/`",
            ],
        ),
        (
            packages(&sets, "releases.cuda = \"12.9\";"),
            &[
                "cudaRedist.lib.mkCudaPackages: `releases.cuda`: expected the label of a manifest, found `12.9`",
                "- choose one of: `12.9.1`, `12.0.1`",
            ],
        ),
        (
            packages(&sets, "releases.cutensor = \"2.2.0\";"),
            &[
                "cudaRedist.lib.mkCudaPackages: `releases`: expected a product that has manifests, found `cutensor`",
                "- choose one of: `cuda`, `cudnn`",
            ],
        ),
        (
            format!(
                "({}).cudnn",
                packages(
                    &sets,
                    "releases.cudnn = \"9.8.0\"; products = [ \"cudnn\" ];"
                )
            ),
            &[
                "cudaRedist.lib.mkCudaPackages: `cudaVariant`: expected a variant",
                "- say which one: `cudaVariant = \"cuda12\"`",
            ],
        ),
        (
            packages(&sets, "releases.cudnn = \"9.8.0\"; cudaVariant = \"12\";"),
            &[
                "cudaRedist.lib.mkCudaPackages: `cudaVariant`: expected a variant such as `cuda12`, found `12`",
                "- write it as the manifests do: `cudaVariant = \"cuda12\"`",
            ],
        ),
        (
            format!(
                "({}).spread",
                packages(&fixtures.join("own"), "releases.mine = \"1.0\";")
            ),
            &[
                "cudaRedist.lib.mkCudaPackages: `variants.mpi`: expected a variant, because a release comes in several, found none",
                "- say which one of those that `mpi_variant` lists in its manifest: `variants.mpi = \"1.0\"`",
            ],
        ),
        (
            packages(&sets, "shapes.mine = \"redistribRelease\";"),
            &[
                "cudaRedist.lib.mkCudaPackages: `shapes`: expected products that have manifests, found `mine`",
                "- choose among: `cuda`, `cudnn`",
            ],
        ),
        (
            packages(&sets, "platform = \"x86_64-linux\";"),
            &[
                "cudaRedist.lib.mkCudaPackages: `platform`: expected a redist platform, found `x86_64-linux`",
                "- choose one of: `linux-x86_64`, `linux-sbsa`",
            ],
        ),
        (
            outputs_of(
                &sets,
                "features.cuda.\"12.9.1\".libcublas.linux-x86_64.outputs = \"lib\";",
            ),
            &[
                "cudaRedist.lib.outputs.fromFeatures: `outputs`: expected a list of outputs or six booleans, found a string",
                "- run `cuda-redist check` on the feature manifest",
            ],
        ),
        (
            outputs_of(&sets, "overrides = { libcublsa = { }; novlety = { }; };"),
            &[
                "cudaRedist.lib.mkCudaPackages: `overrides`: expected packages that a release of the set has, found `libcublsa`, `novlety`",
                "- add the product that has the package to `releases`",
            ],
        ),
        (
            outputs_of(&sets, "overrides.libcublas = { output = [ \"out\" ]; };"),
            &[
                "cudaRedist.lib.mkCudaPackages: `overrides.libcublas`: expected keys that a package has, found `output`",
                "- choose among: `addNeeded`, `allowedMissing`, `dependencies`, `dlopen`, `drop`, `forbiddenTexts`, `hostLibraries`, `links`, `merge`, `moves`, `outputs`, `patterns`, `replaceTexts`",
            ],
        ),
        (
            outputs_of(&sets, "overrides.libcublas.outputs = [ \"header\" ];"),
            &[
                "cudaRedist.lib.mkCudaPackages: `overrides.libcublas.outputs`: expected names of outputs, found `header`",
                "- choose among: `out`, `doc`, `samples`, `python`, `bin`, `dev`, `include`, `lib`, `static`, `stubs`",
            ],
        ),
        (
            outputs_of(&sets, "overrides.libcublas.dlopen = [ \"cuda_nvtrc\" ];"),
            &[
                "cudaRedist.lib.mkCudaPackages: `overrides.libcublas`: expected packages of the set as dependencies, found `cuda_nvtrc`",
                "or the package itself with `overrideScope`",
            ],
        ),
        (
            format!(
                "({}).libcublas",
                packages(&sets, "interpreters.x86_64-linux = \"/lib64/ld.so\";")
            ),
            &[
                "cudaRedist.lib.mkCudaPackages: `interpreters`: expected redist platforms, found `x86_64-linux`",
                "- choose among: `linux-x86_64`, `linux-sbsa`",
            ],
        ),
        (
            packages(&sets, "cudaVersion = \"13.0\";"),
            &[
                "cudaRedist.lib.mkCudaPackages: `cudaVersion`: expected one that a manifest of CUDA has, found `13.0`",
                "- choose one of: `12.9.1`, `12.0.1`",
            ],
        ),
        (
            packages(&sets, "cudaVersion = \"12.0\"; releases.cuda = \"12.9.1\";"),
            &[
                "`releases.cuda`: expected a release of CUDA 12.0, as `cudaVersion` says, found `12.9.1`",
            ],
        ),
        (
            packages(
                &sets,
                "products = [ \"cuda\" ]; releases.cudnn = \"9.8.0\";",
            ),
            &["`releases`: expected products that are among `products`, found `cudnn`"],
        ),
        (
            packages(&sets, "releaseExpressions.cutensor = { };"),
            &[
                "`releaseExpressions`: expected products that have release expressions, found `cutensor`",
                "- choose among: `cudnn`, `tensorrt`",
            ],
        ),
        (
            format!(
                "({}).libcublas",
                packages(
                    &sets,
                    "cudaCapabilities = [ \"6.0\" \"13.7\" \"8.7\" \"9.0a\" ]; releases.cuda = \"12.0.1\";"
                )
            ),
            // All of them in one error.
            &[
                "`cudaCapabilities`: expected capabilities for CUDA 12.0.1 on `linux-x86_64`, found 2 that are none:",
                "`13.7`: expected one of `3.5`, `3.7`,",
                "`8.7`: expected one that machines of `linux-x86_64` may have, found a Jetson board",
                "- leave `cudaCapabilities` out to take `6.0`, `6.1`,",
            ],
        ),
        (
            format!("({}).byPlatform.linux-sbsa.novelty", packages(&sets, "")),
            &[
                "cudaRedist.lib.mkCudaPackages: `novelty` of `cuda` `12.9.1`: expected an archive for `linux-sbsa`, found archives for `linux-x86_64`",
                "- choose another release: `releases.cuda = \"LABEL\"`",
            ],
        ),
        (
            outputs_of(&sets, "fixups.libcublas = _: _: { drops = [ ]; };"),
            &["`fixups.libcublas`: expected keys that a package has, found `drops`"],
        ),
        (
            format!(
                "({}).libcublas",
                packages(&sets, "hostLibraries.\"lib/libz.so\" = \"/nonexistent\";")
            ),
            &[
                "`hostLibraries`: expected names of libraries such as `libz.so.1` or `libibverbs.so.*`, found `lib/libz.so`",
            ],
        ),
        (
            format!(
                "({}).libcublas",
                packages(
                    &sets,
                    "overrides = { libcublas.dependencies = [ \"libcusparse\" ]; libcusparse.dependencies = [ \"libcublas\" ]; };"
                )
            ),
            &[
                "`libcublas`: expected dependencies that do not need it themselves, found `libcusparse`",
                "- leave one of the two out: `overrides.libcublas = keys: { dependencies = [ … ]; }`",
            ],
        ),
    ];
    for (expression, words) in cases {
        let ran = nix.eval(
            &format!("builtins.deepSeq (let value = {expression}; in value.drvPath or builtins.attrNames value) null"),
            Plugin::Absent,
        );
        assert_ne!(ran.code, 0, "{expression}");
        for text in words {
            assert!(
                ran.stderr.contains(text),
                "{expression}: {text}: {}",
                ran.stderr
            );
        }
    }
}

/// One broken package must not break its siblings (without the plugin, which refuses the manifest as a whole), and Nix
/// says which one it is.
#[test]
fn broken_package_leaves_its_siblings() {
    let Some(nix) = Nix::new("broken_package_leaves_its_siblings") else {
        return;
    };
    let set = packages(&root().join("tests/nix/broken"), "");
    let of = |package: &str| nix.eval(&format!("({set}).{package}.drvPath"), Plugin::Absent);
    of("good").expect(0);
    for (package, lacking) in [
        (
            "text",
            "`linux-x86_64.relative_path`, `linux-x86_64.sha256`",
        ),
        ("unversioned", "`version`"),
    ] {
        let said = of(package).expect(1).stderr;
        let expected = format!(
            "cudaRedist.lib.mkCudaPackages: `{package}` of `cuda` `1.0`: expected a string in each of {lacking}, found none"
        );
        assert!(said.contains(&expected), "{said}");
    }
}

/// The flake names the package sets, and the packages of a set by themselves.
#[test]
fn flake_has_package_sets() {
    let test = "flake_has_package_sets";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let flake = Flake::unbuilt(&shared.join("manifests"));
    let value = |subcommand: &[&str], attribute: &str| -> Value {
        let ran = flake
            .nix(&nix, Plugin::Absent, subcommand, attribute)
            .expect(0);
        serde_json::from_str(&ran.stdout).expect("Nix prints JSON")
    };
    let sets = value(
        &["eval", "--json", "--apply", "builtins.attrNames"],
        "legacyPackages.x86_64-linux",
    );
    let sets = sets.as_array().expect("a list");
    for name in [
        "cudaPackages_11_8",
        "cudaPackages_12_9",
        "cudaPackages_13_0",
    ] {
        assert!(sets.contains(&json!(name)), "{name}: {sets:?}");
    }
    // The newest patch release of each, and the newest of the others for it.
    let releases = value(&["eval", "--json"], "cudaPackages_12_6.releases");
    assert_eq!(releases["cuda"], "12.6.3");
    assert_eq!(releases["cudnn"], "9.13.0");
    let cases = [
        (
            "cudaPackages_12_9.cuda_cudart",
            "cuda_cudart-linux-x86_64-12.9.79",
            "x86_64-linux",
        ),
        (
            "cudaPackages_12_9.byPlatform.linux-sbsa.cuda_cudart",
            "cuda_cudart-linux-sbsa-12.9.79",
            "x86_64-linux",
        ),
        (
            "legacyPackages.aarch64-linux.cudaPackages_12_9.cuda_cudart",
            "cuda_cudart-linux-sbsa-12.9.79",
            "aarch64-linux",
        ),
    ];
    for (attribute, name, system) in cases {
        assert_eq!(
            value(&["eval", "--json"], &format!("{attribute}.name")),
            json!(name)
        );
        assert_eq!(
            value(&["eval", "--json"], &format!("{attribute}.system")),
            json!(system)
        );
    }
}

/// The overlay adds names to nixpkgs and replaces none of its own.
#[test]
fn overlay_adds_package_sets() {
    let test = "overlay_adds_package_sets";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let flake = Flake::unbuilt(&shared.join("manifests"));
    // A nixpkgs for Jetson boards, built on another machine.
    let apply = "overlay:
        let
          platform = system: { inherit system; };
          pkgs = {
            stdenv.buildPlatform = platform \"x86_64-linux\";
            stdenv.hostPlatform = platform \"aarch64-linux\";
            stdenv.cc.cc = { outPath = \"/nonexistent/gcc\"; lib = \"/nonexistent/gcc-lib\"; };
            stdenv.cc.bintools.dynamicLinker = \"/nonexistent/ld-linux-aarch64.so.1\";
            zlib = \"/nonexistent/zlib\";
            config.cudaCapabilities = [ \"8.7\" ];
            buildPackages.cuda-redist = \"/nonexistent\";
            callPackage = file: _: file;
            buildPackages.makeSetupHook = { name, substitutions }: file: substitutions // {
              inherit name;
              isThere = builtins.pathExists file;
            };
            config.allowUnfreePredicate = package: package.pname != \"cuda_cudart\";
          } // overlay pkgs { };
          inherit (pkgs.cudaRedist.cudaPackages_12_9) cudnn flags libcublas;
          isAllowed = package: (builtins.tryEval package.drvPath).success;
          server = (overlay (pkgs // { config.allowUnfree = true; }) { }).cudaRedist.cudaPackages_12_9;
        in {
          hook = pkgs.cuda-redist-hook;
          libcublas = isAllowed libcublas;
          cuda_cudart = isAllowed pkgs.cudaRedist.cudaPackages_12_9.cuda_cudart;
          licence = (builtins.head pkgs.cudaRedist.cudaPackages_12_9.cuda_cudart.meta.license).shortName;
          names = builtins.attrNames (overlay pkgs { });
          name = libcublas.name;
          system = libcublas.system;
          server = server.libcublas.name;
          inherit (cudnn.drvAttrs) capabilities interpreter;
          inherit (flags) arches;
          zlib = cudnn.drvAttrs.dependencies.\"host-libz.so.1\";
          runtime = cudnn.drvAttrs.dependencies.\"host-libstdc++.so.6\";
        }";
    let ran = flake
        .nix(
            &nix,
            Plugin::Absent,
            &["eval", "--json", "--apply", apply],
            "overlays.default",
        )
        .expect(0);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout).expect("JSON"),
        json!({
            "hook": {
                "name": "cuda-redist-hook",
                "isThere": true,
                "cudaRedist": "/nonexistent",
                "driverPaths": "/run/opengl-driver/lib",
            },
            // As the configuration says.
            "libcublas": true,
            "cuda_cudart": false,
            "licence": "CUDA EULA",
            "names": ["cuda-redist", "cuda-redist-hook", "cuda-redist-plugin", "cudaRedist"],
            "name": "libcublas-linux-aarch64-12.9.1.4",
            "system": "x86_64-linux",
            "server": "libcublas-linux-sbsa-12.9.1.4",
            // What its configuration says, and what it has of what NVIDIA's files look for on the host.
            "capabilities": ["8.7"],
            "arches": ["sm_87", "compute_87"],
            "interpreter": "/nonexistent/ld-linux-aarch64.so.1",
            "zlib": "/nonexistent/zlib",
            "runtime": "/nonexistent/gcc-lib",
        })
    );
}

/// The lock file is accepted as it stands: Nix would not change it, and asks no network about it.
#[test]
fn lock_file_is_complete() {
    let test = "lock_file_is_complete";
    let (Some(nix), Some(shared)) = (Nix::new(test), shared(test)) else {
        return;
    };
    let flake = Flake::unbuilt(&shared.join("manifests"));
    let ran = run(nix
        .command("nix", Plugin::Absent)
        .args([
            "flake",
            "metadata",
            "--json",
            "--offline",
            "--no-update-lock-file",
        ])
        .arg(flake.attribute("")))
    .expect(0);
    let metadata: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let inputs = read(&shared.join("reference/flake-inputs.json"));
    for name in ["nixpkgs", "manifests"] {
        let locked = &metadata["locks"]["nodes"][name]["locked"];
        for key in ["type", "owner", "repo", "rev", "narHash", "lastModified"] {
            assert_eq!(locked[key], inputs[name][key], "{name}.{key}");
        }
    }
}
