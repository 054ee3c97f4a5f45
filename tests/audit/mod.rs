//! Trees of made libraries and of NVIDIA's own, through `audit` and the command of that name.

mod hostile;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use cuda_redist::audit::{By, FileReport, Report, Request, audit};
use cuda_redist::resolve::{Abi, Defect, Finding, Foreign, Host};
use serde_json::{Value, json};

use crate::support::{self, program, run};

/// A folder in which libraries are made.
struct Workshop {
    dir: tempfile::TempDir,
    cc: PathBuf,
}

impl Workshop {
    fn new(test: &str) -> Option<Workshop> {
        Some(Workshop {
            cc: support::tool(test, "cc")?,
            dir: support::dir(),
        })
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Makes the shared library `path` of a C text; its soname is its file name.
    fn library(&self, path: &str, source: &str, needed: &[&str], flags: &[&str]) -> PathBuf {
        let file = self.path(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let made = support::dir();
        std::fs::write(made.path().join("x.c"), source).unwrap();
        std::fs::write(made.path().join("empty.c"), "").unwrap();
        let cc = || {
            let mut cc = Command::new(&self.cc);
            cc.current_dir(made.path()).args([
                "-shared",
                "-fPIC",
                "-nostdlib",
                "-L.",
                "-Wl,--no-as-needed",
            ]);
            cc
        };
        for name in needed {
            run(cc()
                .args(["empty.c", "-o", name])
                .arg(format!("-Wl,-soname,{name}")))
            .expect(0);
        }
        let soname = file.file_name().unwrap().to_str().unwrap();
        run(cc()
            .args(["x.c", "-o", "result"])
            .arg(format!("-Wl,-soname,{soname}"))
            .args(flags)
            .args(needed.iter().map(|name| format!("-l:{name}"))))
        .expect(0);
        std::fs::copy(made.path().join("result"), &file).unwrap();
        file
    }

    fn audit(&self, trees: &[&str], dependencies: &[&str]) -> Report {
        let paths = |names: &[&str]| names.iter().map(|name| self.path(name)).collect();
        audit(&Request {
            trees: paths(trees),
            dependencies: paths(dependencies),
            driver_paths: vec!["/run/opengl-driver/lib".to_owned()],
            ..Request::default()
        })
        .unwrap()
    }
}

/// Makes the library one for 64-bit Arm.
fn turn_into_aarch64(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[18] = 183;
    std::fs::write(file, bytes).unwrap();
}

fn file<'a>(report: &'a Report, end: &str) -> &'a FileReport {
    let mut found = report.files.iter().filter(|file| file.path.ends_with(end));
    let one = found
        .next()
        .unwrap_or_else(|| panic!("no {end} in {report}"));
    assert!(found.next().is_none(), "two {end}");
    one
}

/// `NAME <- who`, for each library that the file needs.
fn needs(report: &Report, end: &str, root: &Path) -> Vec<String> {
    let who = |by: &By| match by {
        By::File(path) => path.strip_prefix(root).unwrap().display().to_string(),
        By::Host(host) => format!("{host}"),
        By::Nobody { other_machines } => format!("nobody {other_machines:?}"),
    };
    let file = file(report, end);
    file.needed
        .iter()
        .map(|need| format!("{} <- {}", need.name, who(&need.by)))
        .collect()
}

#[test]
fn the_nearest_library_of_the_same_machine_satisfies() {
    let Some(shop) = Workshop::new("audit::the_nearest_library_of_the_same_machine_satisfies")
    else {
        return;
    };
    let all = [
        "libhere.so",
        "libtree.so",
        "libother.so",
        "libfirst.so",
        "libsecond.so",
        "libstub.so",
        "libarm.so",
        "liblink.so",
        "libc.so.6",
        "libcuda.so.1",
    ];
    shop.library("own/lib/libx.so.1", "", &all, &[]);
    for path in [
        "own/lib/libhere.so",
        "own/a/libhere.so",
        "own/deep/er/libtree.so",
        "own/deep/libtree.so",
        "other/libtree.so",
        "other/libother.so",
        "dep1/lib/libother.so",
        "dep1/lib/libfirst.so",
        "dep2/lib/libfirst.so",
        "dep2/lib64/libsecond.so",
        "own/lib/stubs/libstub.so",
        "own/a/libtarget.so.1",
        "own/lib/stubs/libcuda.so.1",
    ] {
        shop.library(path, "", &[], &[]);
    }
    turn_into_aarch64(&shop.library("own/lib/libarm.so", "", &[], &[]));
    symlink("../a/libtarget.so.1", shop.path("own/lib/liblink.so")).unwrap();
    // A link does not make a library of a stub.
    symlink("stubs/libstub.so", shop.path("own/lib/libstub.so")).unwrap();

    let report = shop.audit(&["own", "other"], &["dep1", "dep2"]);
    assert_eq!(
        needs(&report, "lib/libx.so.1", shop.dir.path()),
        [
            "libhere.so <- own/lib/libhere.so",
            "libtree.so <- own/deep/libtree.so",
            "libother.so <- other/libother.so",
            "libfirst.so <- dep1/lib/libfirst.so",
            "libsecond.so <- dep2/lib64/libsecond.so",
            "libstub.so <- nobody []",
            "libarm.so <- nobody [Aarch64]",
            "liblink.so <- own/lib/liblink.so",
            "libc.so.6 <- glibc",
            "libcuda.so.1 <- driver",
        ]
    );
    let arm = file(&report, "libarm.so");
    assert_eq!((arm.abi, arm.is_foreign), (Some(Abi::Aarch64), true));
    assert!(!file(&report, "libx.so.1").is_foreign);
    let problems = report.problems().unwrap().render();
    let place = shop.path("own/lib/libx.so.1");
    assert_eq!(
        problems.replace(place.to_str().unwrap(), "X"),
        "X: NEEDED: expected a library `libarm.so` for x86_64, found none\n\
         hint: there is one for aarch64, but these files are for x86_64\n\
         X: NEEDED: expected a library `libstub.so` for x86_64, found none"
    );
}

#[test]
fn everybody_who_needs_a_missing_library_is_named() {
    let Some(shop) = Workshop::new("audit::everybody_who_needs_a_missing_library_is_named") else {
        return;
    };
    for number in 0..8 {
        shop.library(
            &format!("own/lib{number}.so"),
            "",
            &["libcublas.so.12"],
            &[],
        );
    }
    let report = shop.audit(&["own"], &[]);
    let problems = report.problems().unwrap().render();
    let root = format!("{}/", shop.path("own").display());
    assert_eq!(
        problems.replace(&root, ""),
        "lib0.so: NEEDED: expected a library `libcublas.so.12` for x86_64, found none; \
         lib1.so, lib2.so, lib3.so, lib4.so, lib5.so and 2 more need it, too\n\
         hint: it is in `libcublas`: name the folder of that package with `--dependency`"
    );
    let all: Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(all["missing"][0]["neededBy"].as_array().unwrap().len(), 8);

    let request = Request {
        trees: vec![shop.path("own")],
        allowed_missing: vec!["libcublas.so.12".to_owned()],
        ..Request::default()
    };
    let report = audit(&request).unwrap();
    assert!(report.problems().is_none());
    assert_eq!(
        file(&report, "lib0.so").needed[0].by,
        By::Host(Host::Allowed)
    );
}

#[test]
fn libraries_that_code_opens_are_found_in_its_data() {
    let Some(shop) = Workshop::new("audit::libraries_that_code_opens_are_found_in_its_data") else {
        return;
    };
    let source = r#"
        const char *names[] = { "libgone.so.1", "libhere.so.%d", "libnowhere.so.%s", "libneeded.so", "libopener.so",
            "/opt/vendor/libx.so.2", "cannot load libmessage.so", "libcuda.so.1", "liblate.so.3" };
    "#;
    shop.library(
        "own/lib/libopener.so",
        source,
        &["libneeded.so"],
        &["-Wl,-rpath,$ORIGIN/../a,--enable-new-dtags"],
    );
    shop.library("own/lib/libneeded.so", "", &[], &[]);
    shop.library("own/a/libhere.so.12", "", &[], &[]);
    shop.library("dep/liblate.so.3", "", &[], &[]);
    let report = shop.audit(&["own"], &["dep"]);
    let opener = file(&report, "libopener.so");
    let found: Vec<String> = opener
        .opened
        .iter()
        .map(|need| {
            let by = match &need.by {
                By::File(path) => path
                    .strip_prefix(shop.dir.path())
                    .unwrap()
                    .display()
                    .to_string(),
                By::Host(host) => host.to_string(),
                By::Nobody { .. } => "nobody".to_owned(),
            };
            format!("{} <- {by} {}", need.name, need.is_on_runpath)
        })
        .collect();
    assert_eq!(
        found,
        [
            "libcuda.so.1 <- driver false",
            "libgone.so.1 <- nobody false",
            "libhere.so.%d <- own/a/libhere.so.12 true",
            "liblate.so.3 <- dep/liblate.so.3 false",
            "libnowhere.so.%s <- nobody false",
        ]
    );
    assert_eq!(opener.opened_paths, ["/opt/vendor/libx.so.2"]);
    // What may be opened need not be there.
    assert!(report.problems().is_none());
}

fn finding(entry: &str, defect: Defect) -> Finding {
    Finding {
        entry: entry.to_owned(),
        defect,
    }
}

#[test]
fn runpaths_are_judged_entry_by_entry() {
    let Some(shop) = Workshop::new("audit::runpaths_are_judged_entry_by_entry") else {
        return;
    };
    let own = shop.path("own/lib");
    let up = "$ORIGIN/../../../../../../../../../usr/lib";
    let runpath = format!(
        "-Wl,--enable-new-dtags,-rpath,/run/opengl-driver/lib:$ORIGIN:$ORIGIN/gone:{}:/usr/lib:/build/x:/nix/x/stubs:.:/nix/gone:{up}:/nix/../usr/lib:$ORIGIN/alias",
        own.display()
    );
    shop.library("own/lib/libx.so", "", &[], &[&runpath]);
    std::fs::create_dir(own.join("stubs")).unwrap();
    symlink("stubs", own.join("alias")).unwrap();
    // The loader ignores one without text.
    shop.library(
        "own/lib/libnone.so",
        "",
        &[],
        &["-Wl,--enable-new-dtags,-rpath,xyz"],
    );
    let none = own.join("libnone.so");
    let bytes = std::fs::read(&none).unwrap();
    let at = bytes.windows(4).position(|text| text == b"xyz\0").unwrap();
    std::fs::write(&none, [&bytes[..at], &[0; 4], &bytes[at + 4..]].concat()).unwrap();
    shop.library(
        "own/lib/libold.so",
        "",
        &[],
        &["-Wl,--disable-new-dtags,-rpath,/opt/x"],
    );
    let report = shop.audit(&["own"], &[]);
    let findings = |end: &str| file(&report, end).findings.clone();
    let expected = [
        ("$ORIGIN/gone", Defect::Nothing),
        ("/usr/lib", Defect::Foreign(Foreign::Host)),
        ("/build/x", Defect::Foreign(Foreign::Build)),
        ("/nix/x/stubs", Defect::Stubs),
        (".", Defect::CurrentDirectory),
        ("/nix/gone", Defect::Nothing),
        (up, Defect::Foreign(Foreign::Host)),
        ("/nix/../usr/lib", Defect::Foreign(Foreign::Host)),
        ("$ORIGIN/alias", Defect::Stubs),
    ]
    .map(|(entry, defect)| finding(entry, defect));
    assert_eq!(findings("libx.so"), expected);
    let none = file(&report, "libnone.so");
    let runpath = none.facts.as_ref().unwrap().runpath.as_deref();
    assert_eq!((runpath, &*none.findings), (Some(""), &[][..]));
    assert_eq!(
        findings("libold.so"),
        [finding("/opt/x", Defect::Foreign(Foreign::Host))]
    );
    let problems = report.problems().unwrap();
    assert_eq!(problems.problems().count(), 8, "{problems}");
    assert!(problems.render().contains(
        "libx.so: RUNPATH: expected folders of packages, found `/nix/x/stubs`, a folder of stubs"
    ));
}

#[test]
fn on_the_runpath_is_what_the_loader_would_load() {
    let test = "audit::on_the_runpath_is_what_the_loader_would_load";
    let Some(shop) = Workshop::new(test) else {
        return;
    };
    let needed = [
        "libhere.so",
        "libarm.so",
        "libstub.so",
        "libtwice.so",
        "libtext.so",
        "libfolder.so",
        "liblink.so",
        "libaway.so",
    ];
    let runpath = "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../a:$ORIGIN/stubs:$ORIGIN/../b";
    shop.library("own/lib/libx.so", "", &needed, &[runpath]);
    for path in [
        "own/b/libhere.so",
        // The loader passes by the one for Arm.
        "own/b/libarm.so",
        // It would take the stub.
        "own/lib/libstub.so",
        "own/lib/stubs/libstub.so",
        // It would take another than the nearest.
        "own/lib/libtwice.so",
        "own/b/libtwice.so",
        // It gives up at what is no library.
        "own/b/libtext.so",
        "own/b/libfolder.so",
        "own/lib/libaim.so",
        "own/lib/libaway.so",
    ] {
        shop.library(path, "", &[], &[]);
    }
    turn_into_aarch64(&shop.library("own/a/libarm.so", "", &[], &[]));
    std::fs::write(shop.path("own/a/libtext.so"), "INPUT(x)").unwrap();
    std::fs::create_dir(shop.path("own/a/libfolder.so")).unwrap();
    symlink("../lib/libaim.so", shop.path("own/b/liblink.so")).unwrap();

    let report = shop.audit(&["own"], &[]);
    let found: Vec<_> = file(&report, "lib/libx.so")
        .needed
        .iter()
        .map(|need| {
            assert!(matches!(need.by, By::File(_)), "{need:?}");
            (&*need.name, need.is_on_runpath)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("libhere.so", true),
            ("libarm.so", true),
            ("libstub.so", false),
            ("libtwice.so", false),
            ("libtext.so", false),
            ("libfolder.so", false),
            ("liblink.so", true),
            ("libaway.so", false),
        ]
    );
    // The loader itself, asked for one after the other.
    let Some(ldd) = support::tool(test, "ldd") else {
        return;
    };
    for need in &file(&report, "lib/libx.so").needed {
        let one = shop.library("own/lib/libone.so", "", &[&need.name], &[runpath]);
        let said = run(Command::new(&ldd).env_remove("LD_LIBRARY_PATH").arg(one)).stdout;
        let loaded = said.lines().find_map(|line| {
            let path = line.trim().strip_prefix(&format!("{} => ", need.name))?;
            Path::new(path.split(" (").next()?).canonicalize().ok()
        });
        let By::File(answer) = &need.by else {
            unreachable!("seen above")
        };
        let is_answer = loaded == Some(answer.canonicalize().unwrap());
        assert_eq!(is_answer, need.is_on_runpath, "{}: {said}", need.name);
    }
}

/// What `eu-strip` and `objcopy` split off has the program headers of the library, but not its bytes.
#[test]
fn debug_files_are_no_libraries() {
    let test = "audit::debug_files_are_no_libraries";
    let (Some(shop), Some(eu_strip), Some(objcopy)) = (
        Workshop::new(test),
        support::tool(test, "eu-strip"),
        support::tool(test, "objcopy"),
    ) else {
        return;
    };
    // Long debug information reaches to where the dynamic table was, and looks like one.
    let long: String = (0..400).map(|n| format!("int variable_{n};\n")).collect();
    for (number, source) in ["int f(int x) { return x + 1; }", &long].iter().enumerate() {
        let name = format!("own/lib{number}.so");
        let library = shop.library(
            &name,
            source,
            &["libc.so.6"],
            &["-g", "-Wl,-rpath,/usr/lib"],
        );
        let debug = |tool: &str| shop.path(&format!("own/debug/lib{number}.so.{tool}"));
        std::fs::create_dir_all(shop.path("own/debug")).unwrap();
        run(Command::new(&objcopy)
            .arg("--only-keep-debug")
            .arg(&library)
            .arg(debug("objcopy")))
        .expect(0);
        run(Command::new(&eu_strip)
            .arg("-f")
            .arg(debug("eu-strip"))
            .arg(&library))
        .expect(0);
    }
    let size = |path: &str| shop.path(path).metadata().unwrap().len();
    assert!(
        size("own/debug/lib0.so.eu-strip") < size("own/lib0.so")
            && size("own/debug/lib1.so.eu-strip") > 0x4000,
        "one is cut before its dynamic table, the other is not"
    );
    let report = shop.audit(&["own"], &[]);
    let looked_at: Vec<_> = report
        .files
        .iter()
        .map(|file| (file.path.file_name().unwrap().to_str().unwrap(), file.abi))
        .collect();
    assert_eq!(
        looked_at,
        [
            // These say of themselves that there is nothing to load.
            ("lib0.so.objcopy", None),
            ("lib1.so.objcopy", None),
            // A library that was stripped of its debug information is still one.
            ("lib0.so", Some(Abi::X86_64)),
            ("lib1.so", Some(Abi::X86_64)),
        ]
    );
    assert!(report.errors.is_empty(), "{:?}", report.errors);
}

#[test]
fn device_code_of_another_form_matters_to_capabilities_alone() {
    let test = "audit::device_code_of_another_form_matters_to_capabilities_alone";
    let Some(shop) = Workshop::new(test) else {
        return;
    };
    let source = device_code(&[("sm", 90, 0)]).replacen("80,237,85,186,1,", "80,237,85,186,2,", 1);
    shop.library("own/libnext.so", &source, &["libgone.so"], &[]);
    let audit = |arguments: &[&str]| {
        run(Command::new(program())
            .current_dir(shop.dir.path())
            .arg("audit")
            .args(["--allow-missing", "libgone.so"])
            .args(arguments))
    };
    let at = |text: &str| {
        // Where the linker puts the code is its affair.
        let (before, rest) = text.split_once("at offset 0x").unwrap();
        format!("{before}{}", &rest[rest.find(':').unwrap()..])
    };
    let reason = "libnext.so: fatbin header : expected the magic 0xba55ed50 and version 1, found 0xba55ed50 and version 2";
    let ran = audit(&["own"]).expect(0);
    assert_eq!(
        at(&ran.stdout),
        format!(
            "own/libnext.so\n  machine       x86_64\n  soname        libnext.so\n  needs         libgone.so    (the host's)\n  \
             device code   not understood: own/{reason}\n1 file, 1 with device code\n"
        )
    );
    let ran = audit(&["--format", "json", "own"]).expect(0);
    let all: Value = serde_json::from_str(&ran.stdout).unwrap();
    let told = &all["files"][0];
    assert_eq!(told["deviceCode"], json!([]));
    assert_eq!(
        at(told["deviceCodeNotUnderstood"].as_str().unwrap()),
        format!("own/{reason}")
    );
    let ran = audit(&["--capability", "9.0", "own"]).expect(1);
    assert_eq!(at(&ran.stderr), format!("own/{reason}\n"));

    // The rest of the file is shown.
    let show = |format: &str| {
        run(Command::new(program())
            .args(["elf", "show", "--format", format])
            .arg(shop.path("own/libnext.so")))
        .expect(0)
        .stdout
    };
    let human = show("human");
    assert!(
        human.contains("\n  needed        libgone.so\n")
            && human.contains("\n  cuda          not understood: expected the magic"),
        "{human}"
    );
    let shown: Value = serde_json::from_str(&show("json")).unwrap();
    assert_eq!(shown[0]["cudaArchitectures"], Value::Null);
    assert!(
        shown[0]["cudaNotUnderstood"]
            .as_str()
            .unwrap()
            .ends_with("and version 2")
    );
    assert_eq!(shown[0]["needed"], json!(["libgone.so"]));
}

/// C for device code: a container in `.nv_fatbin` with one cubin for each architecture, and PTX where `compute` says so.
fn device_code(architectures: &[(&str, u32, u64)]) -> String {
    let entries: Vec<u8> = architectures
        .iter()
        .flat_map(|(form, number, flags)| {
            let mut entry = vec![if *form == "compute" { 1 } else { 2 }, 0, 1, 1, 64, 0, 0, 0];
            entry.extend([0; 20]);
            entry.extend(number.to_le_bytes());
            entry.extend([0; 8]);
            entry.extend(flags.to_le_bytes());
            entry.resize(64, 0);
            entry
        })
        .collect();
    let mut bytes = vec![0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0];
    bytes.extend((entries.len() as u64).to_le_bytes());
    bytes.extend(entries);
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    format!(
        "__attribute__((section(\".nv_fatbin\"), aligned(8))) const unsigned char code[] = {{ {} }};",
        list.join(",")
    )
}

#[test]
fn every_file_with_device_code_must_serve_every_capability() {
    let Some(shop) =
        Workshop::new("audit::every_file_with_device_code_must_serve_every_capability")
    else {
        return;
    };
    shop.library(
        "own/libnew.so",
        &device_code(&[("sm", 90, 0x10_0000), ("sm", 80, 0), ("compute", 90, 0)]),
        &[],
        &[],
    );
    shop.library(
        "own/libold.so",
        &device_code(&[("sm", 80, 0), ("sm", 86, 0)]),
        &[],
        &[],
    );
    shop.library("own/libhost.so", "int x;", &[], &[]);
    // Static libraries count, too.
    let object = shop.path("x.o");
    let source = shop.path("x.c");
    std::fs::write(&source, device_code(&[("sm", 70, 0)])).unwrap();
    run(Command::new(&shop.cc)
        .arg("-c")
        .arg(&source)
        .arg("-o")
        .arg(&object))
    .expect(0);
    let Some(ar) = support::tool(
        "audit::every_file_with_device_code_must_serve_every_capability",
        "ar",
    ) else {
        return;
    };
    run(Command::new(ar)
        .arg("rc")
        .arg(shop.path("own/libstatic.a"))
        .arg(&object))
    .expect(0);

    let ran = run(Command::new(program()).current_dir(shop.dir.path()).args([
        "audit",
        "--capability",
        "9.0",
        "--capability",
        "8.6",
        "--capability",
        "12.0",
        "own",
    ]))
    .expect(1);
    insta::assert_snapshot!(ran.stdout, @r"
    own/libhost.so
      machine       x86_64
      soname        libhost.so
    own/libnew.so
      machine       x86_64
      soname        libnew.so
      device code   sm_80 x1, sm_90a x1, compute_90 x1
      serves 8.6    with sm_80
      serves 9.0    with sm_90a
      serves 12.0   with compute_90, compiled by the driver when it is loaded
    own/libold.so
      machine       x86_64
      soname        libold.so
      device code   sm_80 x1, sm_86 x1
      serves 8.6    with sm_86
      serves 9.0    not
      serves 12.0   not
    own/libstatic.a
      device code   sm_70 x1
      serves 8.6    not
      serves 9.0    not
      serves 12.0   not
    4 files, 3 with device code, 8.6 served by 2, 9.0 served by 1, 12.0 served by 1
    ");
    insta::assert_snapshot!(ran.stderr, @r"
    own/libold.so: expected code for a device of capability 9.0, or PTX for it or an earlier one, found sm_80 sm_86
    own/libold.so: expected code for a device of capability 12.0, or PTX for it or an earlier one, found sm_80 sm_86
    own/libstatic.a: expected code for a device of capability 8.6, or PTX for it or an earlier one, found sm_70
    own/libstatic.a: expected code for a device of capability 9.0, or PTX for it or an earlier one, found sm_70
    own/libstatic.a: expected code for a device of capability 12.0, or PTX for it or an earlier one, found sm_70
    ");
    // Desktop code of an earlier number does not move to a Tegra.
    let ran = run(Command::new(program()).current_dir(shop.dir.path()).args([
        "audit",
        "--capability",
        "8.7",
        "own/libold.so",
    ]))
    .expect(1);
    insta::assert_snapshot!(ran.stderr, @r"
    own/libold.so: expected code for a device of capability 8.7, or PTX for it or an earlier one, found sm_80 sm_86
    hint: 8.7 is a Tegra's: only machine code of just this number is made for it
    ");
    // A file alone is a tree, too.
    let ran = run(Command::new(program()).current_dir(shop.dir.path()).args([
        "audit",
        "--format",
        "json",
        "--capability",
        "9.0",
        "own/libnew.so",
    ]))
    .expect(0);
    assert_eq!(ran.stderr, "");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        report,
        json!({
            "reportVersion": 1, "errors": [], "links": [], "texts": [], "missing": [],
            "files": [{
                "file": "own/libnew.so", "machine": "x86_64", "kind": "shared library", "foreignMachine": false,
                "soname": "libnew.so", "interpreter": null, "foreignInterpreter": false,
                "needed": [], "opens": [], "opensPaths": [], "runpathDefects": [],
                "deviceCodeNotUnderstood": null,
                "deviceCode": [
                    { "architecture": "sm_80", "count": 1, "compressed": 0 },
                    { "architecture": "sm_90a", "count": 1, "compressed": 0 },
                    { "architecture": "compute_90", "count": 1, "compressed": 0 },
                ],
                "capabilities": { "9.0": "sm_90a" },
            }],
        })
    );
}

#[test]
fn exit_codes_are_those_of_every_command() {
    let dir = support::dir();
    let audit = |arguments: &[&str]| {
        run(Command::new(program())
            .current_dir(dir.path())
            .arg("audit")
            .args(arguments))
    };
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    assert_eq!(
        audit(&["empty"]).expect(0).stdout,
        "0 files, 0 with device code\n"
    );
    let said = audit(&["--capability", "sm_90", "empty"]).expect(2).stderr;
    assert_eq!(
        said,
        "expected a compute capability such as `9.0`, found `sm_90`\n"
    );
    audit(&[]).expect(2);
    let said = audit(&["gone"]).expect(3).stderr;
    assert!(
        said.starts_with("gone: cannot look at it: No such file"),
        "{said}"
    );
    audit(&["empty", "--dependency", "gone"]).expect(3);
}

/// Unpacks the libraries of a wheel below `dir`.
fn unpack(wheel: &Path, dir: &Path) {
    let mut wheel = zip::ZipArchive::new(std::fs::File::open(wheel).unwrap()).unwrap();
    wheel.extract(dir).unwrap();
}

/// domain.md's finding: what a scan tells is the list that nixpkgs keeps by hand.
#[test]
fn libcufile_opens_what_people_know_it_to_open() {
    let test = "audit::libcufile_opens_what_people_know_it_to_open";
    let Some(wheels) = support::wheels(
        test,
        "nvidia_cufile_cu12-1.11.1.6-py3-none-manylinux2014_x86_64",
    ) else {
        return;
    };
    let dir = support::dir();
    unpack(&wheels[0], dir.path());
    let report = audit(&Request {
        trees: vec![dir.path().to_owned()],
        ..Request::default()
    })
    .unwrap();
    let cufile = file(&report, "libcufile.so.0");
    let opened = |wanted: fn(&By) -> bool| -> Vec<&str> {
        cufile
            .opened
            .iter()
            .filter(|need| wanted(&need.by))
            .map(|need| &*need.name)
            .collect()
    };
    assert_eq!(
        opened(|by| matches!(by, By::Nobody { .. })),
        [
            "libcuda.so",
            "libcufile_ck.so",
            "libmount.so",
            "libnuma.so.%s",
            "libudev.so",
            "liburcu-bp.so",
            "liburcu-cds.so"
        ]
    );
    assert_eq!(
        opened(|by| matches!(by, By::Host(Host::Driver))),
        ["libcuda.so.1"]
    );
    assert_eq!(
        opened(|by| matches!(by, By::File(_))),
        ["libcufile_rdma.so.1"]
    );
    // `$ORIGIN:` as NVIDIA wrote it ends in an empty entry.
    assert_eq!(cufile.findings, [finding("", Defect::CurrentDirectory)]);
    assert!(
        report
            .problems()
            .unwrap()
            .render()
            .contains("expected a library `libibverbs.so.1` for x86_64, found none")
    );
}
