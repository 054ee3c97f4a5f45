//! Compiles the loader and makes the bindings of `plugin/abi.h`, only with the feature `plugin`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "plugin")]
    if let Err(error) = plugin::build() {
        println!("cargo::error={error}");
        std::process::exit(1);
    }
}

#[cfg(feature = "plugin")]
mod plugin {
    use std::env;
    use std::path::PathBuf;

    pub(super) fn build() -> Result<(), Box<dyn std::error::Error>> {
        println!("cargo::rerun-if-changed=plugin/abi.h");
        println!("cargo::rerun-if-changed=plugin/loader.cc");
        let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);

        bindgen::builder()
            .header("plugin/abi.h")
            .allowlist_item("(crd|CRD)_.*")
            // The core's own export: declared in Rust, where it is defined.
            .blocklist_function("crd_core_describe")
            .prepend_enum_name(false)
            .layout_tests(false)
            .merge_extern_blocks(true)
            .rust_edition(bindgen::RustEdition::Edition2024)
            .generate()?
            .write_to_file(out.join("abi.rs"))?;

        // Without whole-archive: `ffi::nix_plugin_entry` calls into the loader, which keeps the object file and
        // with it its constructor.
        cc::Build::new()
            .cpp(true)
            .std("c++17")
            .file("plugin/loader.cc")
            .flag("-fvisibility=hidden")
            .warnings(true)
            .extra_warnings(true)
            .try_compile("cuda_redist_loader")?;
        Ok(())
    }
}
