//! What is refused, in which words, and that nothing is left behind.

use super::{Package, binary, library, link, text};
use crate::support::{run, tool};

#[test]
fn all_missing_libraries_are_named_with_the_files_that_need_them() {
    let Some(cc) = tool(
        "all_missing_libraries_are_named_with_the_files_that_need_them",
        "cc",
    ) else {
        return;
    };
    let members = [
        binary(
            "lib/libcusolver.so.11",
            library(
                &cc,
                "libcusolver.so.11",
                &["libc.so.6", "libcublas.so.12", "librdmacm.so.1"],
            ),
        ),
        binary(
            "lib/libcusolverMg.so.11",
            library(
                &cc,
                "libcusolverMg.so.11",
                &["libcublas.so.12", "libcusolver.so.11"],
            ),
        ),
        binary(
            "lib/stubs/librdmacm.so.1",
            library(&cc, "librdmacm.so.1", &[]),
        ),
    ];
    let mut package = Package::new("libcusolver", "linux-x86_64", &members);
    let ran = package.realise().expect(1);
    let message: String = ran
        .stderr
        .lines()
        .skip_while(|line| *line != "patch")
        .skip(1)
        .map(|line| format!("{line}\n"))
        .collect();
    insta::assert_snapshot!(message, @r"
    libcusolver (linux-x86_64): expected every NEEDED library in the package, its dependencies or the host, found 2 missing:
      `libcublas.so.12` needed by `lib/libcusolver.so.11`, `lib/libcusolverMg.so.11`
      `librdmacm.so.1` needed by `lib/libcusolver.so.11`
    hint: `libcublas.so.12` is in `libcublas`: add that package to `dependencies`
    hint: add the package that has `librdmacm.so.1` to `dependencies`, or the name to `allowedMissing` if hosts have it
    ");
    assert_eq!(package.made(), [""; 0]);

    // With packages beside it that nobody has described, what to write.
    for (siblings, words) in [
        (
            serde_json::json!(["libnew", "librdmacm"]),
            "hint: if `librdmacm` has `librdmacm.so.1`, write `overrides.libcusolver = keys: { dependencies = keys.dependencies ++ [ \"librdmacm\" ]; };`, if hosts have it",
        ),
        (
            serde_json::json!(["libnew", "other"]),
            "hint: if `libnew` or `other` has `librdmacm.so.1`, write `overrides.libcusolver = keys: { dependencies = keys.dependencies ++ [ \"libnew\" ]; };`",
        ),
    ] {
        package.plan["siblings"] = siblings;
        let said = package.realise().expect(1).stderr;
        assert!(said.contains(words), "{said}");
    }

    package.plan["allowedMissing"] = serde_json::json!(["librdmacm.so.1", "libcublas.so.12"]);
    package.realise().expect(0);
    assert_eq!(
        package.runpath("lib", "lib/libcusolverMg.so.11").as_deref(),
        Some("/run/opengl-driver/lib:$ORIGIN")
    );
}

#[test]
fn a_flipped_byte_is_refused() {
    let package = Package::new("cuda_foo", "linux-x86_64", &[text("LICENSE")]);
    let mut bytes = std::fs::read(package.archive()).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(package.archive(), bytes).expect("writable");
    let ran = package.realise().expect(1);
    assert!(
        ran.stderr.contains(
            "cuda_foo-linux-x86_64-1.2.3-archive.tar.xz: sha256 mismatch\n  specified: sha256-"
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(package.made(), [""; 0]);
}

/// A release that no manifest lists has a SHA-256 alone: that is compared, and what else is known.
#[test]
fn what_is_known_of_an_archive_is_compared() {
    let mut package = Package::new("cuda_foo", "linux-x86_64", &[text("LICENSE")]);
    package.plan["releaseShape"] = "buildableRelease".into();
    let whole = package.plan["release"]["linux-x86_64"].clone();
    let zeros = |count: usize| "0".repeat(count);
    for (key, wrong, words) in [
        ("sha256", zeros(64), "sha256 mismatch"),
        ("md5", zeros(32), "md5 mismatch"),
        ("size", "1".to_owned(), "size mismatch"),
    ] {
        let archive = &mut package.plan["release"]["linux-x86_64"];
        *archive = whole.clone();
        for other in ["md5", "size"] {
            archive.as_object_mut().expect("an object").remove(other);
        }
        archive[key] = wrong.into();
        let ran = package.realise().expect(1);
        assert!(ran.stderr.contains(words), "{key}: {}", ran.stderr);
        assert_eq!(package.made(), [""; 0]);
    }
    let archive = &mut package.plan["release"]["linux-x86_64"];
    *archive = whole;
    for other in ["md5", "size"] {
        archive.as_object_mut().expect("an object").remove(other);
    }
    package.realise().expect(0);
}

#[test]
fn a_dangling_link_is_refused() {
    let package = Package::new(
        "cuda_foo",
        "linux-x86_64",
        &[text("lib/x"), link("lib/libx.so", "libx.so.1")],
    );
    let ran = package.realise().expect(1);
    for end in ["lib/libx.so", "`libx.so.1`"] {
        assert!(ran.stderr.contains(end), "{end}: {}", ran.stderr);
    }
    assert_eq!(package.made(), [""; 0]);
}

#[test]
fn outputs_whose_libraries_need_each_other_are_refused() {
    const TEST: &str = "outputs_whose_libraries_need_each_other_are_refused";
    let Some(cc) = tool(TEST, "cc") else { return };
    let members = [
        binary("bin/libb.so", library(&cc, "libb.so", &["liba.so"])),
        binary("lib/liba.so", library(&cc, "liba.so", &["libb.so"])),
    ];
    let mut package = Package::new("cuda_foo", "linux-x86_64", &members);
    let ran = package.realise().expect(1);
    assert!(
        ran.stderr.contains(
            "cuda_foo: expected outputs that refer to each other in one direction only, found \
             `bin` to `lib` (`bin/libb.so` to `liba.so`), `lib` to `bin` (`lib/liba.so` to `libb.so`)\n\
             hint: declare fewer outputs"
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(package.made(), [""; 0]);

    package.plan["outputs"] = serde_json::json!({ "out": package.output("out") });
    package.realise().expect(0);
    let bin = format!(
        "/run/opengl-driver/lib:{}:$ORIGIN",
        package.output("out").join("bin").display()
    );
    assert_eq!(package.runpath("out", "lib/liba.so"), Some(bin));
}

#[test]
fn a_folder_that_a_runpath_cannot_hold_is_refused() {
    const TEST: &str = "a_folder_that_a_runpath_cannot_hold_is_refused";
    let Some(cc) = tool(TEST, "cc") else { return };
    let members = [
        binary("lib/liba.so", library(&cc, "liba.so", &["libb.so"])),
        binary("lib/x:/tmp/libb.so", library(&cc, "libb.so", &[])),
    ];
    let package = Package::new("cuda_foo", "linux-x86_64", &members);
    let ran = package.realise().expect(1);
    assert!(
        ran.stderr
            .contains("cuda_foo: expected folders of needed libraries without `:` and `$`"),
        "{}",
        ran.stderr
    );
    assert_eq!(package.made(), [""; 0]);
}

#[test]
fn a_damaged_library_is_refused() {
    const TEST: &str = "a_damaged_library_is_refused";
    let Some(cc) = tool(TEST, "cc") else { return };
    let mut bytes = library(&cc, "liba.so", &[]);
    bytes.truncate(100);
    let package = Package::new("cuda_foo", "linux-x86_64", &[binary("lib/liba.so", bytes)]);
    let ran = package.realise().expect(1);
    assert!(ran.stderr.contains("lib/liba.so: "), "{}", ran.stderr);
    assert_eq!(package.made(), [""; 0]);
}

#[test]
fn a_missing_source_is_a_fault_of_its_own() {
    let mut package = Package::new("cuda_foo", "linux-x86_64", &[text("LICENSE")]);
    package.plan["src"] = package.folder.path().join("absent.tar.xz").to_str().into();
    let ran = package.realise().expect(3);
    assert!(
        ran.stderr
            .contains("absent.tar.xz: cannot open: No such file or directory"),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_a_plan_the_usage_is_explained() {
    let ran = run(std::process::Command::new(crate::support::program())
        .arg("realise")
        .env_clear())
    .expect(2);
    assert!(
        ran.stderr.contains("expected `--plan FILE`"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr
            .contains("hint: in a derivation, set `__structuredAttrs = true`"),
        "{}",
        ran.stderr
    );
}
