//! The loader: which shim it opens, and what it says when there is none that fits.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Nix;
use crate::support;

/// A copy of the plugin's tree without any shim; the plugin file, and the folder for shims.
fn copied(nix: &mut Nix) -> PathBuf {
    let lib = nix.path().join("lib/nix");
    fs::create_dir_all(lib.join("plugins")).unwrap();
    fs::create_dir_all(lib.join("cuda-redist")).unwrap();
    let plugin = lib.join("plugins/cuda-redist.so");
    fs::copy(&nix.0.plugin, &plugin).unwrap();
    nix.0.plugin = plugin;
    lib.join("cuda-redist")
}

/// The version of this Nix and the build of its libnixexpr, as the loader sees them.
fn identity(nix: &Nix) -> (String, String) {
    let said = support::run(
        nix.command("nix-instantiate")
            .env("CUDA_REDIST_IDENTIFY", "1")
            .args(["--eval", "-E", "1"]),
    )
    .expect(0)
    .stdout;
    let mut words = said.split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

/// Compiles a shim that answers as told and whose registration says `no`.
fn fake_shim(file: &std::path::Path, abi: &str, version: &str, build: &str) {
    let source = file.with_extension("c");
    let abi_h = support::root().join("plugin/abi.h");
    let code = format!(
        "#include \"{}\"\nstatic const char *add(const crd_core *core) {{ (void) core; return \"the shim says no\"; }}\n\
         const crd_shim *crd_shim_describe(void) {{ static const crd_shim shim = {{ {abi}, \"{version}\", \"{build}\", add }}; return &shim; }}\n",
        abi_h.display()
    );
    fs::write(&source, code).unwrap();
    support::run(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(file)
            .arg(&source),
    )
    .expect(0);
    fs::remove_file(source).unwrap();
}

const ADVICE: &str = "run `make plugin` against this Nix, or take the plugin out of `plugin-files`";

/// What Nix says when it fails to start, with its folder as `DIR`.
fn said(nix: &Nix) -> String {
    nix.eval("1")
        .expect(1)
        .stderr
        .replace(nix.path().to_str().unwrap(), "DIR")
}

#[test]
fn without_a_fitting_shim_one_sentence_says_what_to_do() {
    let test = "plugin::without_a_fitting_shim";
    let Some(mut nix) = Nix::new(test) else {
        return;
    };
    if support::tool(test, "cc").is_none() {
        return;
    }
    let shims = copied(&mut nix);
    let (version, build) = identity(&nix);
    let name = format!("{version}-{build}.so");
    let shim = shims.join(&name);

    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: this is Nix {version}, the plugin was built for no Nix; {ADVICE}\n"
        )
    );
    fs::write(shims.join("2.99.0-1234.so"), "").unwrap();
    fs::write(shims.join("2.98.0-segment-1234.so"), "").unwrap();
    fs::write(shims.join("2.98.0-5678.so"), "").unwrap();
    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: this is Nix {version}, the plugin was built for Nix 2.98.0, 2.99.0; {ADVICE}\n"
        )
    );
    let here = format!("DIR/lib/nix/cuda-redist/{name}");
    fs::write(&shim, "no library").unwrap();
    let broken = said(&nix);
    assert!(
        broken.starts_with(&format!(
            "error: cuda-redist: cannot load the part built for Nix {version}: {here}: "
        )),
        "{broken}"
    );
    assert!(broken.ends_with(&format!("; {ADVICE}\n")), "{broken}");
    fake_shim(&shim, "999", &version, &build);
    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: {here} speaks version 999 of the plugin's interface, the core 3; {ADVICE}\n"
        )
    );
    fake_shim(&shim, "CRD_ABI", "2.7.0", &build);
    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: {here} was built for Nix 2.7.0, this is Nix {version}; {ADVICE}\n"
        )
    );
    fake_shim(&shim, "CRD_ABI", &version, "another");
    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: {here} was built for libnixexpr another, this is {build}; {ADVICE}\n"
        )
    );
    fake_shim(&shim, "CRD_ABI", &version, &build);
    assert_eq!(said(&nix), "error: cuda-redist: the shim says no\n");
}

#[test]
fn another_build_of_the_same_version_is_told_apart() {
    let Some(mut nix) = Nix::new("plugin::another_build") else {
        return;
    };
    let original = nix.0.plugin.clone();
    let shims = copied(&mut nix);
    let (version, build) = identity(&nix);
    // The real shim, under the name of another build.
    let real = original.parent().unwrap().with_file_name("cuda-redist");
    let other = format!("{version}-00ff.so");
    fs::copy(
        real.join(format!("{version}-{build}.so")),
        shims.join(&other),
    )
    .unwrap();
    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: this is another build of Nix {version} (libnixexpr {build}) than the plugin was built for (00ff); {ADVICE}\n"
        )
    );
    fs::rename(
        shims.join(other),
        shims.join(format!("{version}-{build}.so")),
    )
    .unwrap();
    assert_eq!(nix.value("builtins ? cudaRedist"), "true");
}

#[test]
fn evaluation_goes_on_without_the_builtins_where_that_was_asked() {
    let Some(mut nix) = Nix::new("plugin::evaluation_goes_on") else {
        return;
    };
    copied(&mut nix);
    let (version, _) = identity(&nix);
    let warning = format!(
        "warning: cuda-redist: this is Nix {version}, the plugin was built for no Nix; {ADVICE} (going on without `builtins.cudaRedist`)\n"
    );
    let asked = |nix: &Nix, value: &str| {
        support::run(
            nix.command("nix-instantiate")
                .env("CUDA_REDIST_OPTIONAL", value)
                .args(["--eval", "-E", "builtins ? cudaRedist"]),
        )
    };
    let ran = asked(&nix, "1").expect(0);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr),
        ("false\n", warning.clone())
    );
    for off in ["", "0"] {
        asked(&nix, off).expect(1);
    }
    let plugin = nix.0.plugin.clone();
    let link = plugin
        .parent()
        .unwrap()
        .with_file_name("cuda-redist.optional.so");
    std::os::unix::fs::symlink("plugins/cuda-redist.so", &link).unwrap();
    nix.0.plugin = link;
    let ran = asked(&nix, "").expect(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr), ("false\n", warning));
}

#[test]
fn the_optional_file_of_the_build_loads_the_builtins() {
    let Some(mut nix) = Nix::new("plugin::the_optional_file") else {
        return;
    };
    let plugin = nix.0.plugin.canonicalize().unwrap();
    nix.0.plugin = plugin
        .parent()
        .unwrap()
        .with_file_name("cuda-redist.optional.so");
    assert_eq!(nix.value("builtins ? cudaRedist"), "true");
}

/// Programs that only serve the store open the plugin, too, and say so where there is no shim.
#[test]
fn programs_of_the_store_open_it() {
    let Some(mut nix) = Nix::new("plugin::programs_of_the_store") else {
        return;
    };
    copied(&mut nix);
    let (version, _) = identity(&nix);
    let sentence = format!("cuda-redist: this is Nix {version}, the plugin was built for no Nix; ");
    for (program, argument) in [("nix-store", "--dump-db"), ("nix-daemon", "--stdio")] {
        let ran = support::run(nix.command(program).arg(argument).stdin(Stdio::null()));
        let ran = ran.expect(1);
        assert!(ran.stderr.contains(&sentence), "{program}: {}", ran.stderr);
    }
}

/// Every program that evaluates or serves the store starts with the plugin; those that evaluate have the builtin.
#[test]
fn every_program_of_nix_loads_it() {
    let test = "plugin::every_program";
    let Some(nix) = Nix::new(test) else {
        return;
    };
    let there = "builtins ? cudaRedist";
    let flake = nix.path().join("flake");
    fs::create_dir(&flake).unwrap();
    fs::write(
        flake.join("flake.nix"),
        "{ outputs = _: { there = builtins ? cudaRedist; checks.x86_64-linux.plugin = assert builtins ? cudaRedist; derivation { name = \"x\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; }; }; }",
    )
    .unwrap();
    let flake = format!("path:{}", flake.display());
    let derivation = format!(
        "assert {there}; derivation {{ name = \"x\"; system = builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \"echo fine > $out\" ]; }}"
    );
    let cases: [(&str, &[&str], &str); 6] = [
        ("nix-instantiate", &["--eval", "-E", there], "true\n"),
        ("nix", &["eval", "--impure", "--expr", there], "true\n"),
        ("nix", &["eval", &format!("{flake}#there")], "true\n"),
        ("nix", &["flake", "check", "--no-build", &flake], ""),
        (
            "nix-build",
            &["--no-out-link", "-E", &derivation],
            "/store/",
        ),
        ("nix-store", &["--dump-db"], ""),
    ];
    for (program, args, printed) in cases {
        let ran = support::run(nix.command(program).args(args)).expect(0);
        assert!(
            ran.stdout.contains(printed),
            "{program} {args:?}: {}",
            ran.stdout
        );
    }
    // Both read what they do from standard input.
    for (program, args, input, printed) in [
        ("nix", &["repl"][..], "builtins ? cudaRedist\n", "true"),
        ("nix-daemon", &["--stdio"][..], "", ""),
    ] {
        let mut child = nix
            .command(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let ran = child.wait_with_output().unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr),
        );
        assert!(stdout.contains(printed), "{program}: {stdout}{stderr}");
        assert!(!stderr.contains("cuda-redist"), "{program}: {stderr}");
    }
}

#[test]
fn the_shim_is_found_through_links_and_beside_a_folder() {
    let Some(mut nix) = Nix::new("plugin::the_shim_is_found") else {
        return;
    };
    let original = nix.0.plugin.canonicalize().unwrap();
    let link = nix.path().join("here.so");
    std::os::unix::fs::symlink(&original, &link).unwrap();
    nix.0.plugin = link;
    assert_eq!(nix.value("builtins ? cudaRedist"), "true");
    // `plugin-files` may name the folder: nothing else is in it.
    nix.0.plugin = original.parent().unwrap().to_owned();
    assert_eq!(nix.value("builtins ? cudaRedist"), "true");
}

/// Since 2.22 Nix calls `nix_plugin_entry`, and an exception may leave it; a program with a `nix::nixVersion` of its own
/// stands in for such a Nix, and one without for a statically linked one.
#[test]
fn newer_nix_gets_an_exception() {
    let test = "plugin::newer_nix_gets_an_exception";
    let Some(mut nix) = Nix::new(test) else {
        return;
    };
    let Some(compiler) = support::tool(test, "c++") else {
        return;
    };
    copied(&mut nix);
    let source = nix.write(
        "fake.cc",
        "#include <dlfcn.h>\n#include <cstdio>\n#include <exception>\n#include <string>\n\
         #ifdef VERSION\nnamespace nix { std::string nixVersion = VERSION; }\n#endif\n\
         int main(int, char ** argv) {\n  auto handle = dlopen(argv[1], RTLD_LAZY);\n  if (!handle) { puts(dlerror()); return 2; }\n\
         auto entry = reinterpret_cast<void (*)()>(dlsym(handle, \"nix_plugin_entry\"));\n\
         try { entry(); } catch (std::exception & error) { puts(error.what()); return 0; }\n  return 1;\n}\n",
    );
    for (define, said) in [
        (
            "-DVERSION=\"2.99.1\"",
            "cuda-redist: this is Nix 2.99.1, the plugin was built for no Nix; ",
        ),
        (
            "-DVERSION=\"2.99.1/../x\"",
            "cuda-redist: this is Nix 2.99.1/../x, the plugin was built for no Nix; ",
        ),
        (
            "-DNOTHING",
            "cuda-redist: this Nix exports no symbols, so no plugin can add builtins to it",
        ),
    ] {
        let program = nix.path().join("fake");
        let mut compile = Command::new(&compiler);
        compile
            .args(["-std=c++17", "-rdynamic", define, "-o"])
            .arg(&program)
            .arg(&source)
            .arg("-ldl");
        support::run(&mut compile).expect(0);
        let ran = support::run(Command::new(&program).arg(&nix.0.plugin)).expect(0);
        assert!(ran.stdout.starts_with(said), "{define}: {}", ran.stdout);
    }

    // The same with libraries that have the version: of Lix, of a program that never evaluates, and of one that does but
    // whose linker was told to write no build id.
    let holder = nix.write(
        "holder.cc",
        "#include <string>\nnamespace nix { extern std::string nixVersion; std::string nixVersion = \"2.93.1\"; }\n",
    );
    let (lix, evaluates) = (
        "cuda-redist: this is Lix 2.93.1, for which there is no plugin; use Nix itself, or ",
        "2.93.1 segment-",
    );
    for (library, variable, code, said) in [
        ("liblixexpr.so", "X", 0, lix),
        ("libnixutil.so", "X", 1, ""),
        ("libnixexpr.so.2.93.1", "CUDA_REDIST_IDENTIFY", 0, evaluates),
    ] {
        let (library, program) = (nix.path().join(library), nix.path().join("fake"));
        let mut compile = Command::new(&compiler);
        compile.args([
            "-std=c++17",
            "-shared",
            "-fPIC",
            "-Wl,--build-id=none",
            "-o",
        ]);
        support::run(compile.arg(&library).arg(&holder)).expect(0);
        let mut compile = Command::new(&compiler);
        compile
            .args(["-std=c++17", "-o"])
            .arg(&program)
            .arg(&source);
        compile.arg("-Wl,--no-as-needed").arg(&library).arg("-ldl");
        support::run(&mut compile).expect(0);
        let mut fake = Command::new(&program);
        fake.env("LD_LIBRARY_PATH", nix.path()).env(variable, "1");
        let ran = support::run(fake.arg(&nix.0.plugin)).expect(code);
        assert!(ran.stdout.starts_with(said), "{said}: {}", ran.stdout);
    }
}

/// A Nix whose C++ interface nobody has seen yet.
#[test]
fn an_unknown_interface_is_named_when_the_shim_is_built() {
    let test = "plugin::an_unknown_interface";
    let Some(mut nix) = Nix::new(test) else {
        return;
    };
    let (version, _) = identity(&nix);
    // The headers laid out for the installed Nix, or those beside another one.
    let program = support::tool(test, "nix-instantiate").unwrap();
    let prefix = program.parent().unwrap().parent().unwrap();
    let built = support::root().join("target/plugin/headers").join(&version);
    let Some(headers) = [built, prefix.join("include")]
        .map(|folder| folder.join("nix"))
        .into_iter()
        .find(|folder| folder.exists())
    else {
        support::skip(test, "no headers of this Nix");
        return;
    };
    copied(&mut nix);
    let changed = nix.path().join("headers");
    support::run(Command::new("cp").arg("-r").arg(headers).arg(&changed)).expect(0);
    let eval = changed.join("eval.hh");
    let content = fs::read_to_string(&eval).unwrap();
    fs::write(eval, content.replace("forceString(", "forceText(")).unwrap();
    let mut build = Command::new(support::root().join("scripts/build-shim"));
    build
        .arg(&nix.0.plugin)
        .env("NIX_HEADERS", &changed)
        .env("CXXFLAGS", "-fsyntax-only");
    let said = support::run(&mut build).expect(1).stderr;
    let expected = format!(
        "build-shim: Nix {version}: expected the interface of Nix 2.8 or 2.18 to 2.35, found another one for `forceString`, at compat.hh:"
    );
    assert!(said.contains(&expected), "{said}");
    let shims = nix.path().join("lib/nix/cuda-redist");
    assert_eq!(fs::read_dir(shims).unwrap().count(), 0);
}

#[test]
fn headers_of_another_nix_are_refused() {
    let test = "plugin::headers_of_another_nix";
    let Some(nix) = Nix::new(test) else {
        return;
    };
    for tool in ["apt-get", "dpkg-query", "dpkg-source"] {
        if support::tool(test, tool).is_none() {
            return;
        }
    }
    let (mut version, _) = identity(&nix);
    version.pop();
    for wanted in ["0.0.0", &version] {
        let mut headers = Command::new(support::root().join("scripts/nix-headers"));
        headers.arg(wanted).arg(nix.path().join("headers"));
        let said = support::run(&mut headers).expect(3).stderr;
        let refusal = format!("nix-headers: expected nix-bin {wanted}, found ");
        assert!(said.starts_with(&refusal), "{said}");
    }
}
