//! The program `cuda-redist`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    cuda_redist::cli::run(std::env::args_os())
}
