//! Compiles the protobuf definitions; protox is a compiler in Rust, so no protoc is needed.

use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let files = ["types", "jobs", "attestations", "setup", "parties", "identity", "services", "studies"]
        .map(|f| root.join(format!("ward/v1/{f}.proto")));
    let descriptors = protox::compile(&files, [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("ward.v1.bin"), descriptors.encode_to_vec())?;
    // The calls, from the same descriptors: each is an action of the policies' schema.
    let mut calls: Vec<String> = descriptors
        .file
        .iter()
        .flat_map(|file| &file.service)
        .flat_map(|service| {
            service.method.iter().map(|method| format!("{}.{}", service.name(), method.name()))
        })
        .collect();
    calls.sort();
    std::fs::write(out.join("rpcs.rs"), format!("{calls:?}"))?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
