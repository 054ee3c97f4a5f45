//! `readFeatures` and `readReleases`.

use super::Nix;
use crate::support;

#[test]
fn real_files_are_what_fromjson_makes_of_them() {
    let test = "plugin::real_files_are_what_fromjson_makes";
    let (Some(nix), Some(shared)) = (Nix::new(test), support::shared(test)) else {
        return;
    };
    let mut count = 0;
    for (reader, folder) in [
        ("readFeatures", "feature-manifests"),
        ("readReleases", "releases"),
    ] {
        for entry in walked(&shared.join(folder)) {
            let file = entry.canonicalize().unwrap();
            let file = file.display();
            let same = format!(
                "builtins.cudaRedist.{reader} {file} == builtins.fromJSON (builtins.readFile {file})"
            );
            assert_eq!(nix.value(&same), "true", "{file}");
            count += 1;
        }
    }
    assert!(count >= 23, "{count}");
}

/// All files below `dir`.
fn walked(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(walked(&path)),
            false => files.push(path),
        }
    }
    files
}

#[test]
fn a_nix_file_is_imported_and_its_positions_are_told() {
    let Some(nix) = Nix::new("plugin::a_nix_file_is_imported") else {
        return;
    };
    let good = "{\n  cudnn.releases.linux-sbsa = [\n    {\n      version = \"8.9.7.29\";\n      minCudaVersion = \"11.0\";\n      \
        maxCudaVersion = \"11.8\";\n      hash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\";\n    }\n  ];\n}\n";
    let file = nix.write("releases.nix", good);
    let read = format!("builtins.cudaRedist.readReleases {}", file.display());
    assert_eq!(
        nix.value(&format!("({read}) == import {}", file.display())),
        "true"
    );
    nix.write("releases.nix", good.replace("\"11.0\"", "\"12.0\""));
    assert_eq!(
        nix.refusal(&read),
        "DIR/releases.nix:5:7: `cudnn.releases.linux-sbsa[0].minCudaVersion`: expected at most `maxCudaVersion`, which is `11.8`, found `12.0`"
    );
    assert_eq!(
        nix.value(&format!("(builtins.tryEval ({read})).success")),
        "false"
    );
    nix.write("releases.nix", "{ cudnn = ");
    assert!(nix.refusal(&read).contains("syntax error"));
    nix.write("releases.nix", "{ ... }: { }");
    assert_eq!(
        nix.refusal(&read),
        "DIR/releases.nix: expected a set (a release expression), found a function"
    );
}

#[test]
fn wrong_files_are_told_with_their_place() {
    let Some(nix) = Nix::new("plugin::wrong_files_are_told") else {
        return;
    };
    let file = nix.write(
        "feature.json",
        "{ \"a\": { \"linux-sbsa\": {\n  \"outputs\": { \"bin\": true }\n} } }",
    );
    let refusal = nix.refusal(&format!(
        "builtins.cudaRedist.readFeatures {}",
        file.display()
    ));
    assert_eq!(
        refusal.lines().next(),
        Some(
            "DIR/feature.json:2:14: `a.linux-sbsa.outputs`: expected the key `dev`, found an object without it"
        )
    );
    let file = nix.write(
        "releases.json",
        "{ \"releases\": { \"linux-sbsa\": [ 1 ] } }",
    );
    assert_eq!(
        nix.refusal(&format!(
            "builtins.cudaRedist.readReleases {}",
            file.display()
        )),
        "DIR/releases.json:1:33: `releases.linux-sbsa[0]`: expected an object (a release), found the number 1"
    );
}
