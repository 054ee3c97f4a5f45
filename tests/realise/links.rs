//! What a plan moves, links and replaces, and merged views: other packages seen from one folder.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Package, link, text};
use crate::support::nvidia_archive::{Content, Member, PLATFORM};
use crate::support::{Ran, dir, program, run};

/// A file with this text, and the folders above it.
fn write(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().expect("it has one")).expect("a folder");
    std::fs::write(file, text).expect("written");
}

/// A package with a folder that is moved, headers and a file of pkg-config.
fn package() -> Package {
    let pc = "Libs: -lx -lxy\n";
    Package::new(
        "cuda_x",
        PLATFORM,
        &[
            text("nested/bin/tool"),
            text("include/x.h"),
            text("lib/stubs/libx.so"),
            Member {
                path: "pkg-config/x.pc".to_owned(),
                content: Content::File(pc.as_bytes().to_vec()),
            },
        ],
    )
    .with_outputs(&["out", "bin", "dev", "include", "stubs"])
}

#[test]
fn a_plan_moves_links_and_replaces() {
    let others = dir();
    let other = |path: &str| others.path().join(path);
    write(&other("crt/include/crt/host.h"), "host\n");
    write(&other("crt/include/x.h"), "text\n");
    write(&other("crt/nix-support/mark"), "not linked\n");
    std::os::unix::fs::symlink(other("crt/include"), other("crt/headers")).expect("a link");
    std::os::unix::fs::symlink("include", other("crt/same")).expect("a link");
    let mut package = package();
    package.plan["moves"] = json!({ "nested": "" });
    package.plan["links"] = json!({ "lib/stubs/libx.so.1": "libx.so", "lib64": "/usr" });
    // The package's own `include/x.h` has the same bytes.
    package.plan["merge"] =
        json!({ "include": [other("crt/include")], "include/all": [other("crt")] });
    package.plan["replaceTexts"] =
        json!({ "**/*.pc": { "-lx": "-lx -Wl,-rpath,/d", "-lxy": "-lz" }, "**/*.none": {} });
    package.plan["patterns"] = json!({ "doc": ["doc/none*"] });
    package.plan["drop"] = json!(["none"]);
    let ran = package.realise().expect(0);
    for warning in [
        "`drop`: `none` matches no path",
        "`patterns.doc`: `doc/none*` matches no path",
        "`replaceTexts`: `**/*.none` matches no file",
    ] {
        assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    }
    let found = |output: &str, path: &str| {
        std::fs::read_to_string(package.output(output).join(path)).unwrap_or_default()
    };
    assert_eq!(found("bin", "bin/tool"), "text\n");
    assert_eq!(found("include", "include/crt/host.h"), "host\n");
    assert_eq!(
        found("dev", "share/pkgconfig/x.pc"),
        "Libs: -lx -Wl,-rpath,/d -lz\n"
    );
    let leads = |output: &str, path: &str| {
        let path = package.output(output).join(path);
        std::fs::read_link(path).map_err(|error| error.kind())
    };
    assert_eq!(
        leads("include", "include/crt/host.h"),
        Ok(other("crt/include/crt/host.h"))
    );
    assert!(leads("include", "include/x.h").is_err());
    assert_eq!(leads("stubs", "lib/stubs/libx.so.1"), Ok("libx.so".into()));
    assert_eq!(leads("out", "lib64"), Ok("/usr".into()));
    // A link to a folder of another package is that folder, one to a folder beside it stays what it is.
    assert_eq!(
        leads("include", "include/all/headers/x.h"),
        Ok(other("crt/headers/x.h"))
    );
    assert_eq!(leads("include", "include/all/same"), Ok("include".into()));
    assert!(
        !package
            .output("include")
            .join("include/all/nix-support")
            .exists()
    );
}

#[test]
fn links_that_cannot_be_made_are_refused() {
    let others = dir();
    let other = |path: &str| others.path().join(path);
    write(&other("a/x.h"), "not as in the package\n");
    write(&other("b/y.h"), "one\n");
    write(&other("c/y.h"), "two\n");
    write(&other("d/y.h/z.h"), "a folder\n");
    std::fs::create_dir(other("e")).expect("a folder");
    std::os::unix::fs::symlink("nothing", other("e/gone")).expect("a link");
    std::fs::create_dir(other("f")).expect("a folder");
    std::os::unix::fs::symlink(other("f"), other("f/again")).expect("a link");
    for (key, value, expected) in [
        (
            "moves",
            json!({ "gone": "" }),
            "`moves.gone`: expected a folder of the archive, found none there",
        ),
        (
            "merge",
            json!({ "include": [other("a")] }),
            "include/x.h: expected one file to link to, found `a file of the package itself` and `@/a/x.h`",
        ),
        (
            "merge",
            json!({ "include": [other("b"), other("c")] }),
            "include/y.h: expected one file to link to, found `@/b/y.h` and `@/c/y.h`",
        ),
        (
            "merge",
            json!({ "include": [other("b"), other("d")] }),
            "include/y.h: expected one file to link to, found `@/b/y.h` and `@/d/y.h`",
        ),
        (
            "merge",
            json!({ "include": [other("d"), other("b")] }),
            "include/y.h: expected one file to link to, found `a folder` and `@/b/y.h`",
        ),
        (
            "merge",
            json!({ "include": [other("none")] }),
            "@/none: expected a folder, found none",
        ),
        (
            "merge",
            json!({ "include": [other("e")] }),
            "@/e/gone: expected a link to something, found one that leads nowhere",
        ),
        (
            "merge",
            json!({ "include": [other("f")] }),
            "expected folders that come to an end",
        ),
        (
            "links",
            json!({ "include/x.h": "x.h" }),
            "`links.include/x.h`: expected a link to something, at a place of its own, found a place that is taken",
        ),
        (
            "links",
            json!({ "include/y.h": "z.h" }),
            "`links.include/y.h`: expected a link to something, at a place of its own, found `z.h`, which leads nowhere",
        ),
        (
            "replaceTexts",
            json!({ "share/**": { "-lz": "" } }),
            "dev:share/pkgconfig/x.pc: expected the text `-lz`, found a file without it",
        ),
    ] {
        let mut package = package();
        if key != "moves" {
            package.plan["moves"] = json!({ "nested": "" });
        }
        package.plan[key] = value;
        let ran = package.realise().expect(1);
        let said = ran
            .stderr
            .replace(others.path().to_str().expect("UTF-8"), "@");
        assert!(said.contains(expected), "{expected}\n{said}");
        assert_eq!(package.made(), [""; 0], "{key}");
    }
}

/// Runs `view` on a plan.
fn view(folder: &Path, plan: &Value, flags: &[&str]) -> Ran {
    let file = folder.join("view.json");
    std::fs::write(&file, plan.to_string()).expect("written");
    run(Command::new(program())
        .args(["view", "--plan"])
        .arg(&file)
        .args(flags)
        .env_clear())
}

#[test]
fn a_view_has_links_to_all_of_its_trees() {
    let work = dir();
    let at = |path: &str| work.path().join(path);
    write(&at("a/lib/liba.so.1"), "a\n");
    write(&at("a/LICENSE"), "one\n");
    write(&at("a/nix-support/propagated-build-inputs"), "b\n");
    write(&at("b/lib/libb.so.1"), "b\n");
    write(&at("b/lib/stubs/libcuda.so"), "stub\n");
    write(&at("b/LICENSE"), "another\n");
    std::os::unix::fs::symlink("liba.so.1", at("a/lib/liba.so")).expect("a link");
    let plan = json!({
        "viewVersion": 1, "trees": [at("a"), at("b"), at("a")], "leaveOut": ["LICENSE"], "links": { "lib64": "lib" },
        "outputs": { "out": at("out") },
    });
    let tree = view(work.path(), &plan, &["--dry-run"]).expect(0).stdout;
    let tree = tree.replace(work.path().to_str().expect("UTF-8"), "@");
    assert_eq!(
        tree,
        "out: lib/liba.so -> @/a/lib/liba.so\n\
         out: lib/liba.so.1 -> @/a/lib/liba.so.1\n\
         out: lib/libb.so.1 -> @/b/lib/libb.so.1\n\
         out: lib/stubs/libcuda.so -> @/b/lib/stubs/libcuda.so\n\
         out: lib64 -> lib\n\
         out: nix-support/cuda-stubs (10 bytes)\n\
         out: nix-support/include-in-cudatoolkit-root (9 bytes)\n"
    );
    assert!(!at("out").exists());
    let report = view(work.path(), &plan, &[]).expect(0).stdout;
    assert_eq!(
        serde_json::from_str::<Value>(&report).expect("JSON"),
        json!({ "trees": 3, "links": 4 })
    );
    assert_eq!(
        std::fs::read_to_string(at("out/lib64/libb.so.1")).expect("it leads there"),
        "b\n"
    );
    let again = view(work.path(), &plan, &[]).expect(2).stderr;
    assert!(
        again.contains("expected a path that does not exist yet"),
        "{again}"
    );

    // Without `leaveOut` the two licences want one place.
    let mut plan = plan;
    plan["leaveOut"] = json!([]);
    let out = format!("out={}", at("other").display());
    let ran = view(work.path(), &plan, &["--out", &out]).expect(1).stderr;
    let said = ran.replace(work.path().to_str().expect("UTF-8"), "@");
    assert!(
        said.starts_with(
            "LICENSE: expected one file to link to, found `@/a/LICENSE` and `@/b/LICENSE`\n"
        ),
        "{said}"
    );
    assert!(!at("other").exists());
    plan["trees"] = json!([at("gone")]);
    let ran = view(work.path(), &plan, &["--out", &out]).expect(1).stderr;
    assert!(ran.contains("gone: expected a folder, found none"), "{ran}");
}

/// A link of the archive to what is moved away leads there still.
#[test]
fn links_follow_what_is_moved() {
    let mut package = Package::new(
        "cuda_x",
        PLATFORM,
        &[
            text("nvvm/bin/cicc"),
            link("tool", "nvvm/bin/cicc"),
            link("bin", "nvvm/bin"),
        ],
    )
    .with_outputs(&["out"]);
    package.plan["moves"] = json!({ "nvvm": "" });
    package.realise().expect(0);
    let tool = package.output("out").join("tool");
    assert_eq!(
        std::fs::read_link(tool).expect("a link"),
        Path::new("bin/cicc")
    );
    assert!(package.output("out").join("bin/cicc").is_file());
}

/// What goes into the output stays there, whatever other links there are.
#[test]
fn links_lead_through_no_other_link() {
    let others = dir();
    let other = |path: &str| others.path().join(path);
    write(&other("a/sub/x.h"), "text\n");
    write(&other("own/lib/y"), "text\n");
    std::os::unix::fs::symlink("lib", other("own/lib64")).expect("a link");
    // It climbs out of what is merged, so it is a folder there; the other one does not.
    std::fs::create_dir(other("a/in")).expect("a folder");
    std::os::unix::fs::symlink("../../own/lib", other("a/in/out")).expect("a link");
    std::os::unix::fs::symlink("../sub", other("a/in/beside")).expect("a link");
    let members = [text("lib/x"), link("lib64", "lib"), link("n", "lib")];
    for (key, value, expected) in [
        (
            "links",
            json!({ "n/y": other("a/sub/x.h") }),
            "`links.n/y`: expected a link to something, at a place of its own, found `n` above it, which is no folder",
        ),
        (
            "merge",
            json!({ "n": [other("a/sub")] }),
            "n/x.h: expected a folder `n` for a link to another package, found something else",
        ),
        (
            "merge",
            json!({ "lib/x": [other("a/sub")] }),
            "lib/x/x.h: expected a folder `lib/x` for a link to another package, found something else",
        ),
        (
            "links",
            json!({ "nix-support/x": "/usr" }),
            "outside of `nix-support`, found `nix-support/x`",
        ),
    ] {
        let mut package = Package::new("cuda_y", PLATFORM, &members).with_outputs(&["out"]);
        package.plan[key] = value;
        let said = package.realise().expect(1).stderr;
        assert!(said.contains(expected), "{expected}\n{said}");
        assert_eq!(package.made(), [""; 0], "{key}");
    }
    let mut package = Package::new("cuda_y", PLATFORM, &members).with_outputs(&["out"]);
    package.plan["merge"] = json!({ "all": [other("a")], "tree": [other("own")] });
    write(&other("same/lib/y"), "text\n");
    write(&other("same/share/z"), "text\n");
    std::os::unix::fs::symlink("../share", other("same/lib/beside")).expect("a link");
    package.plan["merge"]["lib"] = json!([other("same/lib")]);
    package.realise().expect(0);
    let leads = |path: &str| std::fs::read_link(package.output("out").join(path)).ok();
    assert_eq!(leads("all/in/beside"), Some("../sub".into()));
    assert_eq!(leads("all/in/out"), None);
    assert_eq!(leads("all/in/out/y"), Some(other("a/in/out/y")));
    assert_eq!(leads("tree/lib64"), Some("lib".into()));
    // Out of what is merged, which is `lib` alone.
    assert_eq!(leads("lib/beside"), None);
    assert_eq!(leads("lib/beside/z"), Some(other("same/lib/beside/z")));
    assert_eq!(leads("lib64"), Some("lib".into()));
}

#[test]
fn links_fill_outputs_and_may_be_stubs() {
    let others = dir();
    let other = |path: &str| others.path().join(path);
    write(&other("a/liba.so"), "text\n");
    let mut package = Package::new("cuda_z", PLATFORM, &[text("LICENSE")]);
    package = package.with_outputs(&["out", "stubs"]);
    package.plan["merge"] = json!({ "lib/stubs": [other("a")] });
    package.realise().expect(0);
    let stubs = package.output("stubs").join("nix-support/cuda-stubs");
    assert_eq!(
        std::fs::read_to_string(stubs).expect("it is told"),
        "lib/stubs\n"
    );
}

#[test]
fn only_texts_are_replaced_and_no_other_path_is_hidden() {
    let file = |path: &str, bytes: &[u8]| Member {
        path: path.to_owned(),
        content: Content::File(bytes.to_vec()),
    };
    let members = [
        file("share/x.profile", b"-lx /opt/x/lib\n"),
        file("share/bytes", b"a\xff"),
        file("share/large", &vec![b'a'; (1 << 20) + 1]),
    ];
    let package = || Package::new("cuda_t", PLATFORM, &members).with_outputs(&["out"]);
    for (path, found) in [
        ("share/bytes", "other bytes from byte 1 on"),
        ("share/large", "1048577 bytes"),
    ] {
        let mut package = package();
        package.plan["replaceTexts"] = json!({ path: { "a": "b" } });
        let said = package.realise().expect(1).stderr;
        let expected = format!(
            "out:{path}: expected a text of at most 1048576 bytes in UTF-8, found {found}\n"
        );
        assert!(said.contains(&expected), "{said}");
    }
    for (replaced, is_told) in [
        (json!({ "**/*.profile": { "-lx": "" } }), true),
        (json!({ "**/*.profile": { "-lx": "/" } }), true),
        (json!({ "**/*.profile": { "-lx": "-L/opt/other" } }), true),
        (json!({ "**/*.profile": { "-lx": "-L/opt/x" } }), false),
        (json!({ "share/*": {} }), true),
    ] {
        let mut package = package();
        package.plan["replaceTexts"] = replaced.clone();
        package.realise().expect(0);
        let report = package.output("out").join("nix-support/cuda-redist.json");
        let report = std::fs::read_to_string(report).expect("there is one");
        let report: Value = serde_json::from_str(&report).expect("JSON");
        let paths = report["audit"]["hostPaths"]["out:share/x.profile"].to_string();
        assert_eq!(
            paths.contains("/opt/x/lib"),
            is_told,
            "{replaced}: {report}"
        );
        let large = package.output("out").join("share/large");
        assert_eq!(
            std::fs::metadata(large).expect("it is there").len(),
            (1 << 20) + 1
        );
    }
}

#[test]
fn without_a_plan_a_view_explains_its_own_usage() {
    let said = run(Command::new(program()).arg("view").env_clear()).expect(2);
    assert!(
        said.stderr.contains("`args = [ \"view\" ]`"),
        "{}",
        said.stderr
    );
    let help = run(Command::new(program()).args(["view", "--help"])).expect(0);
    assert!(help.stdout.contains("cuda-redist view --plan view.json"));
    assert!(!help.stdout.contains("cuda-redist realise"));
}
