# cuda-redist. The two commands that matter: `make demo` (the main job on real input) and `make test` (every test).
# Both install what is missing first (Debian; Rust comes by rustup). Everything built lies under target/.

target  := $(shell rustc -vV | sed -n 's/^host: //p')
program := target/static/$(target)/release/cuda-redist

export CUDA_REDIST_STATIC := $(abspath $(program))
export CUDA_REDIST_AARCH64 := $(abspath target/aarch64/aarch64-unknown-linux-gnu/debug/cuda-redist)
export CUDA_REDIST_PLUGIN := $(abspath target/plugin/lib/nix/plugins/cuda-redist.so)

help: ## what this Makefile does
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile plugin/plugin.mk | expand -t 22

demo: setup ## download NVIDIA's libraries, check, build, load them: the main job, end to end
	@$(MAKE) --no-print-directory program plugin
	scripts/demo

test: setup ## install what the tests need and run all of them (STRICT=1: no skips)
	@$(MAKE) --no-print-directory program plugin
	-@$(MAKE) --no-print-directory program-aarch64
	scripts/test

test-matrix: setup ## the plugin's tests on Nix 2.26 too, which is built once (root or sudo; fifteen minutes)
	@$(MAKE) --no-print-directory program plugin
	scripts/test-matrix

bench: setup ## the budgets: us against the tool people use today, both sides in one run
	@$(MAKE) --no-print-directory program plugin
	scripts/bench

gpu-test: ## make packages of this machine's own CUDA libraries and run a kernel with them (needs a GPU)
	scripts/gpu-test

sanitize: setup ## the plugin under AddressSanitizer and UndefinedBehaviorSanitizer: its core alone, its shim inside Nix
	@$(MAKE) --no-print-directory plugin
	scripts/sanitize

fresh: ## prove demo and test in a bare Debian root, then again offline (root or sudo)
	scripts/fresh

setup: ## install what is missing (apt)
	@scripts/setup

# `+crt-static` needs an explicit --target (proc macros cannot be static) and then drops the cdylib: hence a target folder of its own.
program: ## the program, statically linked: runs as a builder in Nix's sandbox
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --bin cuda-redist --target $(target) --target-dir target/static

# Not optimised: a test runs it under qemu, to see that it makes the same bytes as this machine's.
program-aarch64: ## the program for aarch64, statically linked
	rustup target add aarch64-unknown-linux-gnu
	RUSTFLAGS='-C target-feature=+crt-static' CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	  cargo build --locked --bin cuda-redist --target aarch64-unknown-linux-gnu --target-dir target/aarch64

include plugin/plugin.mk

.PHONY: help demo test test-matrix bench gpu-test sanitize fresh setup program program-aarch64 plugin
