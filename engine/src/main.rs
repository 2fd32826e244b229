//! The `ward` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ward_engine::cli::main())
}
