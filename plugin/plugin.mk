# The plugin: its core (loader and Rust) and the shim for one Nix. Included by the Makefile; run from the root of the checkout.
#
#   make plugin                            for the installed Nix, with the headers of its Debian source package
#   make plugin NIX_VERSION=2.8.0 NIX_HEADERS=/path/include/nix   for another one
#
# Result: target/plugin/lib/nix/plugins/cuda-redist.so, the file for `plugin-files`, and beside that folder
# target/plugin/lib/nix/cuda-redist/VERSION.so. Shims of other versions that are there already stay.

PLUGIN_TARGET := target/plugin
PLUGIN := $(PLUGIN_TARGET)/lib/nix/plugins/cuda-redist.so

NIX_VERSION ?= $(lastword $(shell nix --version))
NIX_HEADERS ?= $(PLUGIN_TARGET)/headers/$(NIX_VERSION)/nix
NIX_SYSTEM ?= $(shell uname -m)-linux
SHIM = $(PLUGIN_TARGET)/lib/nix/cuda-redist/$(NIX_VERSION).so

# What Nix itself was compiled with decides the layout of its classes: Debian's 2.8 has the collector and `d_type`.
SHIM_FLAGS = -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Wno-missing-field-initializers \
	-DSYSTEM='"$(NIX_SYSTEM)"' -DHAVE_BOEHMGC=1 -DHAVE_STRUCT_DIRENT_D_TYPE=1 \
	-DNIX_MINOR=$(word 2,$(subst ., ,$(NIX_VERSION))) -DNIX_VERSION='"$(NIX_VERSION)"'

.PHONY: plugin plugin-core
plugin: plugin-core $(SHIM)

# Cargo knows best when the core is out of date. A new file takes the old one's place, which a running Nix may have open.
plugin-core:
	cargo build --locked --release --lib --features plugin --target-dir $(PLUGIN_TARGET)
	install -D -m 755 $(PLUGIN_TARGET)/release/libcuda_redist.so $(PLUGIN)

$(SHIM): plugin/shim.cc plugin/compat.hh plugin/abi.h plugin/plugin.mk | $(NIX_HEADERS)
	mkdir -p $(@D)
	$(CXX) $(SHIM_FLAGS) -isystem $(NIX_HEADERS) plugin/shim.cc -o $@.new
	mv $@.new $@

$(PLUGIN_TARGET)/headers/$(NIX_VERSION)/nix:
	scripts/nix-headers '$(NIX_VERSION)' $(@D)
