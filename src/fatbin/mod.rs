//! CUDA device code in ELF sections: which architectures it is for.
