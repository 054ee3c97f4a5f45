//! The loader: which shim it opens, and what it says when there is none that fits.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

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

fn version(nix: &Nix) -> String {
    let mut command = nix.command("nix-instantiate");
    let said = support::run(command.env("NIX_CONFIG", "").arg("--version"))
        .expect(0)
        .stdout;
    said.split_whitespace().last().unwrap().to_owned()
}

/// Compiles a shim that answers as told and whose registration says `no`.
fn fake_shim(file: &std::path::Path, abi: &str, version: &str) {
    let source = file.with_extension("c");
    let abi_h = support::root().join("plugin/abi.h");
    let code = format!(
        "#include \"{}\"\nstatic const char *add(const crd_core *core) {{ (void) core; return \"the shim says no\"; }}\n\
         const crd_shim *crd_shim_describe(void) {{ static const crd_shim shim = {{ {abi}, \"{version}\", add }}; return &shim; }}\n",
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
    let version = version(&nix);
    let shim = shims.join(format!("{version}.so"));
    let advice = "run `make plugin` against this Nix, or take the plugin out of `plugin-files`";
    let said = |nix: &Nix| {
        nix.eval("1")
            .expect(1)
            .stderr
            .replace(nix.path().to_str().unwrap(), "DIR")
    };

    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: this is Nix {version}, the plugin was built for no Nix; {advice}\n"
        )
    );
    fs::write(shims.join("2.99.0.so"), "").unwrap();
    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: this is Nix {version}, the plugin was built for Nix 2.99.0; {advice}\n"
        )
    );
    let here = format!("DIR/lib/nix/cuda-redist/{version}.so");
    fs::write(&shim, "no library").unwrap();
    let broken = said(&nix);
    assert!(
        broken.starts_with(&format!(
            "error: cuda-redist: cannot load the part built for Nix {version}: {here}: "
        )),
        "{broken}"
    );
    assert!(broken.ends_with(&format!("; {advice}\n")), "{broken}");
    fake_shim(&shim, "999", &version);
    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: {here} speaks version 999 of the plugin's interface, the core 2; {advice}\n"
        )
    );
    fake_shim(&shim, "CRD_ABI", "2.7.0");
    assert_eq!(
        said(&nix),
        format!(
            "error: cuda-redist: {here} was built for Nix 2.7.0, this is Nix {version}; {advice}\n"
        )
    );
    fake_shim(&shim, "CRD_ABI", &version);
    assert_eq!(said(&nix), "error: cuda-redist: the shim says no\n");
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
    let mut version = version(&nix);
    version.pop();
    for wanted in ["0.0.0", &version] {
        let mut headers = Command::new(support::root().join("scripts/nix-headers"));
        headers.arg(wanted).arg(nix.path().join("headers"));
        let said = support::run(&mut headers).expect(3).stderr;
        let refusal = format!("nix-headers: expected nix-bin {wanted}, found ");
        assert!(said.starts_with(&refusal), "{said}");
    }
}
