//! The EVM adapter and its contracts against a real node. Without anvil each test says that it is skipped.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod abi;
mod adapter;
mod contracts;
mod eligibility;
mod engine;
mod node;
mod proofs;
mod restored;
#[expect(dead_code, reason = "shared with the tests of the whole system, which use the rest")]
#[path = "../it/world.rs"]
mod world;

use std::process::Command;

/// The artifacts are what the compiler makes of the sources. Without node and npm it says that it is skipped.
#[test]
fn the_artifacts_are_those_of_the_sources() {
    let tool =
        |name: &str| Command::new(name).arg("--version").output().is_ok_and(|said| said.status.success());
    if node::is_absent() || !tool("npm") || !tool("node") {
        eprintln!("SKIPPED: the compiler is installed by npm: deploy/contracts/build.sh --check");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/contracts/build.sh");
    let output = Command::new(script).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
