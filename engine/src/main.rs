//! The `ward` binary.

use std::process::ExitCode;

use ward_math::pages::HugePages;

#[global_allocator]
static MEMORY: HugePages = HugePages;

fn main() -> ExitCode {
    ExitCode::from(ward_engine::cli::main())
}
