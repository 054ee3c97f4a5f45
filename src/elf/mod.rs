//! ELF files: reading without loading, editing in place. Knows nothing of CUDA or Nix.
