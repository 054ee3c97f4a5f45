# The plugin: its core (loader and Rust) and the shim for one Nix. Included by the Makefile; run from the root of the checkout.
#
#   make plugin               for the Nix on the PATH
#   make plugin NIX=/prefix   for the one installed there; `NIX_HEADERS=DIR` if its headers are elsewhere
#
# Result: target/plugin/lib/nix/plugins/cuda-redist.so, the file for `plugin-files` (or cuda-redist.optional.so above that folder, for
# where some Nix may lack its shim), and beside that folder target/plugin/lib/nix/cuda-redist/VERSION-BUILD.so. Shims for
# others that are there already stay.

PLUGIN_TARGET := target/plugin
PLUGIN := $(PLUGIN_TARGET)/lib/nix/plugins/cuda-redist.so

.PHONY: plugin plugin-core install-plugin
plugin: plugin-core
	scripts/build-shim $(PLUGIN) '$(NIX)'

# Cargo knows best when the core is out of date. A new file takes the old one's place, which a running Nix may have open.
plugin-core:
	cargo build --locked --release --lib --features plugin --target-dir $(PLUGIN_TARGET)
	install -D -m 755 $(PLUGIN_TARGET)/release/libcuda_redist.so $(PLUGIN).new
	mv $(PLUGIN).new $(PLUGIN)
	ln -sfn plugins/cuda-redist.so $(PLUGIN_TARGET)/lib/nix/cuda-redist.optional.so

# Each file is written under another name and then takes its place: a running Nix may have the old one open.
PREFIX ?= /usr/local
install-plugin: ## put what `make plugin` built into PREFIX (/usr/local), also under a running Nix
	@cd $(PLUGIN_TARGET)/lib/nix && find plugins cuda-redist cuda-redist.optional.so -name '*.so' | while read -r file; do \
	  mkdir -p "$(DESTDIR)$(PREFIX)/lib/nix/$$(dirname "$$file")" && \
	  cp -P "$$file" "$(DESTDIR)$(PREFIX)/lib/nix/$$file.new" && \
	  mv -T "$(DESTDIR)$(PREFIX)/lib/nix/$$file.new" "$(DESTDIR)$(PREFIX)/lib/nix/$$file" || exit 1; \
	done
