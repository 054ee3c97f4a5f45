//! What is built: through the flake, from a mirror, over HTTP.

use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::elf;
use serde_json::Value;

use super::checkout::Flake;
use super::server::Server;
use crate::support::nix::{Nix, Plugin};
use crate::support::nvidia_archive::{Member, PACKAGE, PLATFORM, members, tar, write, xz};
use crate::support::{Ran, plugin, program, root, run, shared, static_program};

/// A mirror with one archive in NVIDIA's layout and the manifest that lists it.
struct Mirror {
    /// The folder whose `relative_path` leads to the archive.
    dir: PathBuf,
    /// The folder tree of manifests: one, CUDA 12.9.1, and the feature manifest beside it.
    manifests: PathBuf,
    /// The archive.
    archive: PathBuf,
}

/// Makes a [`Mirror`] in `folder`; `None` (after a visible skip of `test`) where no compiler is installed.
fn mirror(test: &str, folder: &Path) -> Option<Mirror> {
    let dir = folder.join("mirror");
    let below = format!("{PACKAGE}/{PLATFORM}");
    std::fs::create_dir_all(dir.join(&below)).expect("a folder");
    let archive = write(test, &dir.join(&below))?;
    let manifests = folder.join("manifests");
    std::fs::create_dir_all(manifests.join("cuda")).expect("a folder");
    index(&dir, &manifests.join("cuda"));
    Some(Mirror {
        dir,
        manifests,
        archive,
    })
}

/// Writes both manifests of the archives below `dir` into the folder `manifests`.
fn index(dir: &Path, manifests: &Path) {
    run(Command::new(program())
        .arg("index")
        .arg(dir)
        .args(["--product", "cuda", "--label", "12.9.1", "--output"])
        .arg(manifests.join("redistrib_12.9.1.json"))
        .arg("--features")
        .arg(manifests.join("feature_12.9.1.json")))
    .expect(0);
}

/// Builds an output of the package through `lib.mkCudaPackages` of the flake, from `mirror_url`.
fn build_from(nix: &Nix, flake: &Flake, mirror_url: &str, output: &str) -> Ran {
    let expression = format!(
        "let flake = builtins.getFlake \"{flake}\"; in (flake.lib.mkCudaPackages {{
           system = \"x86_64-linux\";
           manifests = {manifests};
           builder = {builder};
           mirror = \"{mirror_url}\";
         }}).{PACKAGE}.{output}",
        flake = flake.attribute(""),
        manifests = flake.manifests().display(),
        builder = flake.builder().display(),
    );
    run(nix
        .command("nix", Plugin::Absent)
        .args(["build", "--impure", "--no-link", "--json", "--expr"])
        .arg(expression))
}

/// The store path of `output` in what `nix build --json` prints.
#[track_caller]
pub fn built(ran: &Ran, output: &str) -> PathBuf {
    let value: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let path = value[0]["outputs"][output].as_str().map(PathBuf::from);
    path.unwrap_or_else(|| panic!("no output `{output}` in {}", ran.stdout))
}

/// The RUNPATH of a file, as it stands there.
#[track_caller]
pub fn runpath(file: &Path) -> String {
    let facts = elf::read(file).expect("sound").expect("an ELF file");
    facts.runpath.unwrap_or_default()
}

#[test]
fn flake_check_passes() {
    let test = "flake_check_passes";
    let (Some(nix), Some(shared), Some(program)) =
        (Nix::new(test), shared(test), static_program(test))
    else {
        return;
    };
    let flake = Flake::new(&program, &shared.join("manifests"));
    flake
        .nix(&nix, Plugin::Absent, &["flake", "check"], "")
        .expect(0);
    if plugin(test).is_some() {
        flake
            .nix(&nix, Plugin::Loaded, &["flake", "check"], "")
            .expect(0);
    }
}

/// `nix flake check` judges the manifests of the input: a wrong digit fails it.
#[test]
fn flake_check_refuses_a_wrong_manifest() {
    let test = "flake_check_refuses_a_wrong_manifest";
    let (Some(nix), Some(program)) = (Nix::new(test), static_program(test)) else {
        return;
    };
    // No shell splits the name of a folder.
    let manifests = nix.path("manifests");
    let folder = manifests.join("it's my own");
    std::fs::create_dir_all(&folder).expect("a folder");
    let text = std::fs::read_to_string(root().join("tests/nix/sets/cuda/redistrib_12.9.1.json"))
        .expect("a manifest");
    let wrong = text.replacen("\"sha256\": \"", "\"sha256\": \"X", 1);
    assert_ne!(wrong, text);
    std::fs::write(folder.join("redistrib_12.9.1.json"), wrong).expect("the manifest is written");
    let flake = Flake::new(&program, &manifests);
    let ran = flake.nix(
        &nix,
        Plugin::Absent,
        &["build", "--no-link"],
        "checks.x86_64-linux.manifests",
    );
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains(".sha256`: expected "), "{}", ran.stderr);
}

/// `nix build .#cudaPackages_12_9.PACKAGE`, with the archive in the store already, as a `file://` mirror needs it:
/// inside the sandbox `builtin:fetchurl` cannot see files.
#[test]
fn flake_builds_a_package() {
    let test = "flake_builds_a_package";
    let (Some(nix), Some(program)) = (Nix::new(test), static_program(test)) else {
        return;
    };
    let Some(mirror) = mirror(test, &nix.path("work")) else {
        return;
    };
    let added = nix.add_fixed(&mirror.archive);
    let flake = Flake::new(&program, &mirror.manifests);

    let attribute = format!("cudaPackages_12_9.{PACKAGE}");
    let src = flake.nix(
        &nix,
        Plugin::Absent,
        &["eval", "--raw"],
        &format!("{attribute}.src"),
    );
    assert_eq!(src.expect(0).stdout, added);

    let ran = flake
        .nix(
            &nix,
            Plugin::Absent,
            &["build", "--no-link", "--json"],
            &format!("{attribute}.lib"),
        )
        .expect(0);
    let lib = built(&ran, "lib");
    assert!(
        lib.join("lib/libfoo.so.12.9.79").is_file(),
        "{}",
        lib.display()
    );
    assert_eq!(
        std::fs::read_link(lib.join("lib/libfoo.so.12")).expect("a link"),
        Path::new("libfoo.so.12.9.79")
    );
    // One build made all outputs.
    let ran = flake
        .nix(
            &nix,
            Plugin::Absent,
            &["build", "--no-link", "--json", "--offline"],
            &format!("{attribute}.include"),
        )
        .expect(0);
    assert!(built(&ran, "include").join("include/foo.h").is_file());

    // The same from a `file://` mirror: the same archive, so nothing is fetched, and the same derivation but for the URL.
    let url = format!("file://{}", mirror.dir.display());
    let ran = build_from(&nix, &flake, &url, "lib").expect(0);
    assert!(built(&ran, "lib").join("lib/libfoo.so.12.9.79").is_file());
}

/// What is fetched is built if it is what the manifest says, and refused by Nix if it is not.
#[test]
fn http_mirror_with_a_good_and_a_wrong_body() {
    let test = "http_mirror_with_a_good_and_a_wrong_body";
    let (Some(nix), Some(program)) = (Nix::new(test), static_program(test)) else {
        return;
    };
    let Some(mirror) = mirror(test, &nix.path("work")) else {
        return;
    };
    let flake = Flake::new(&program, &mirror.manifests);
    let server = Server::start();
    let good = std::fs::read(&mirror.archive).expect("the archive");

    let mut wrong = good.clone();
    wrong[good.len() / 2] ^= 1;
    server.serve(wrong);
    let ran = build_from(&nix, &flake, &server.url(), "lib");
    assert_ne!(ran.code, 0);
    assert!(
        ran.stderr
            .contains("hash mismatch in fixed-output derivation"),
        "{}",
        ran.stderr
    );
    for side in ["specified:", "got:"] {
        assert!(ran.stderr.contains(side), "{}", ran.stderr);
    }

    server.serve(good);
    let ran = build_from(&nix, &flake, &server.url(), "lib").expect(0);
    assert!(built(&ran, "lib").join("lib/libfoo.so.12.9.79").is_file());

    let name = mirror
        .archive
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let path = format!("/mirror/{PACKAGE}/{PLATFORM}/{name}");
    assert_eq!(server.requests(), [path.clone(), path]);
}

/// Adds an archive with `members` to the folder of a mirror, and to the store of `nix`.
fn add_archive(nix: &Nix, dir: &Path, package: &str, members: &[Member]) {
    let top = format!("{package}-{PLATFORM}-1.0-archive");
    let file = dir.join(format!("{top}.tar.xz"));
    std::fs::write(&file, xz(&tar(&top, members))).expect("the archive is written");
    nix.add_fixed(&file);
}

/// What is said of a set and of single packages reaches the builder, and does there what it says.
#[test]
fn packages_are_built_as_their_set_says() {
    let test = "packages_are_built_as_their_set_says";
    let (Some(nix), Some(program)) = (Nix::new(test), static_program(test)) else {
        return;
    };
    let Some(members) = members(test) else {
        return;
    };
    let dir = nix.path("archives");
    std::fs::create_dir(&dir).expect("a folder");
    add_archive(&nix, &dir, PACKAGE, &members);
    // Another package with a library, which the first one opens by name, and the one with a driver.
    let library = members
        .iter()
        .find(|member| member.path == "lib/libfoo.so.12.9.79")
        .expect("a library");
    for (package, path) in [
        ("cuda_bar", "lib/libbar.so.1"),
        ("cuda_compat", "compat/libcuda.so.1"),
    ] {
        let path = path.to_owned();
        let content = library.content.clone();
        add_archive(&nix, &dir, package, &[Member { path, content }]);
    }
    let manifests = nix.path("manifests/cuda");
    std::fs::create_dir_all(&manifests).expect("a folder");
    index(&dir, &manifests);
    let flake = Flake::new(&program, &nix.path("manifests"));
    let build = |arguments: &str, features: &str| {
        let expression = format!(
            "(builtins.getFlake \"{flake}\").lib.mkCudaPackages {{
               system = \"x86_64-linux\";
               manifests = {manifests};
               builder = {builder};
               {arguments}
             }}",
            flake = flake.attribute(""),
            manifests = flake.manifests().display(),
            builder = flake.builder().display(),
        );
        run(nix
            .command("nix", Plugin::Absent)
            .args(["build", "--impure", "--no-link", "--json", "--expr"])
            .arg(format!("({expression}).{features}")))
    };
    let fine = "interpreters.linux-x86_64 = \"/opt/glibc/lib/ld-linux-x86-64.so.2\";
         cudaCompat = true;
         overrides.cuda_foo = keys: {
           outputs = builtins.filter (output: output != \"python\") keys.outputs;
           dlopen = [ \"cuda_bar\" ];
           addNeeded.\"lib/libfoo.so.12.*\" = [ \"libbar.so.1\" \"libabsent.so.1\" ];
           allowedMissing = [ \"libabsent.so.1\" ];
           patterns.doc = [ \"LICENSE\" ];
           forbiddenTexts = [ \"/usr/local/secret\" ];
         };";
    let path = |output: &str| {
        built(
            &build(fine, &format!("{PACKAGE}.{output}")).expect(0),
            output,
        )
    };
    assert!(path("doc").join("LICENSE").is_file());
    // What is not declared is with the rest.
    assert!(path("out").join("python").is_dir());
    let bar = built(&build(fine, "cuda_bar.lib").expect(0), "lib");
    let compat = built(&build(fine, "cuda_compat").expect(0), "out");
    let facts = |file: &str| {
        let ran =
            run(Command::new(crate::support::program())
                .args(["elf", "show", "--format", "json", file]))
            .expect(0);
        serde_json::from_str::<Value>(&ran.stdout).expect("JSON")
    };
    let show = |output: &str, file: &str| {
        let facts = facts(&path(output).join(file).display().to_string());
        facts.to_string()
    };
    let library = show("lib", "lib/libfoo.so.12.9.79");
    let runpath = format!(
        "{}/compat:/run/opengl-driver/lib:{}/lib:$ORIGIN",
        compat.display(),
        bar.display()
    );
    for text in [&*runpath, "libbar.so.1", "libabsent.so.1"] {
        assert!(library.contains(text), "{text}: {library}");
    }
    assert!(show("bin", "bin/foo-tool").contains("/opt/glibc/lib/ld-linux-x86-64.so.2"));
    // For itself it is no driver.
    let itself = facts(&compat.join("compat/libcuda.so.1").display().to_string()).to_string();
    assert!(!itself.contains("/compat:"), "{itself}");

    for (arguments, package, text) in [
        (
            "overrides.cuda_foo.forbiddenTexts = [ \"fooGetVersion\" ];",
            PACKAGE,
            "fooGetVersion",
        ),
        (
            "overrides.cuda_bar.outputs = [ \"lib\" \"static\" ];",
            "cuda_bar",
            "found nothing for `static`",
        ),
        (
            "features.cuda.\"12.9.1\".cuda_bar.linux-x86_64.outputs = [ \"lib\" \"libs\" ];",
            "cuda_bar",
            "checks[0].value.outputs[1]`: expected one of the outputs `out`, `bin`",
        ),
        (
            "overrides.cuda_bar.patterns.lib = [ \"lib/[\" ];",
            "cuda_bar",
            "`patterns.lib[0]`: expected a glob",
        ),
    ] {
        let ran = build(arguments, package);
        assert_ne!(ran.code, 0, "{arguments}");
        assert!(ran.stderr.contains(text), "{arguments}: {}", ran.stderr);
    }
}

/// A shape of the user's own holds without the plugin, too: the builder judges what the plan carries. With the plugin Nix
/// does not even begin to build.
#[test]
fn shapes_of_users_are_judged_when_packages_are_built() {
    let test = "shapes_of_users_are_judged_when_packages_are_built";
    let (Some(nix), Some(program)) = (Nix::new(test), static_program(test)) else {
        return;
    };
    let Some(mirror) = mirror(test, &nix.path("work")) else {
        return;
    };
    nix.add_fixed(&mirror.archive);
    let flake = Flake::new(&program, &mirror.manifests);
    let build = |plugin, fields: &str| {
        let expression = format!(
            "let
               inherit (builtins.getFlake \"{flake}\") lib;
               manifest = builtins.fromJSON (builtins.readFile {manifests}/cuda/redistrib_12.9.1.json);
             in (lib.mkCudaPackages {{
               system = \"x86_64-linux\";
               builder = {builder};
               features.mine.\"1.0\" = {manifests}/cuda/feature_12.9.1.json;
               manifests.mine.\"1.0\" = {{ {PACKAGE} = manifest.{PACKAGE} // {{ {fields} }}; }};
               releases.mine = \"1.0\";
               shapes.mine = lib.shapes.extend lib.modules.generic.manifests.redistribRelease {{
                 origin = \"url\";
                 maintainers.list = \"line\";
               }};
             }}).{PACKAGE}.lib",
            flake = flake.attribute(""),
            manifests = flake.manifests().display(),
            builder = flake.builder().display(),
        );
        run(nix
            .command("nix", plugin)
            .args(["build", "--impure", "--no-link", "--json", "--expr"])
            .arg(expression))
    };
    let fine = "origin = \"https://example.org\"; maintainers = [ \"me\" ];";
    let wrong = "origin = \"example.org\"; maintainers = [ \"me\" \"\" ];";
    let sentences = [
        "maintainers[1]`: expected a line of text, not empty, found an empty string",
        "origin`: expected an absolute URL",
    ];

    let ran = build(Plugin::Absent, fine).expect(0);
    assert!(built(&ran, "lib").join("lib/libfoo.so.12.9.79").is_file());
    let ran = build(Plugin::Absent, wrong);
    assert_ne!(ran.code, 0);
    for sentence in sentences {
        let expected = format!("`checks[0].value.{sentence}");
        assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    }

    if plugin(test).is_some() {
        // The same derivation: it is built already.
        let again = build(Plugin::Loaded, fine).expect(0);
        assert_eq!(
            built(&again, "lib"),
            built(&build(Plugin::Absent, fine), "lib")
        );
        let ran = build(Plugin::Loaded, wrong);
        assert_eq!(ran.code, 1);
        for sentence in sentences {
            let expected = format!("`{PACKAGE}.{sentence}");
            assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
        }
        assert!(!ran.stderr.contains("building"), "{}", ran.stderr);
    }
}
