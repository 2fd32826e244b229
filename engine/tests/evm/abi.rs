//! Calls of the contracts, written apart from the adapter's own encoding so that one checks the other.

use alloy_primitives::{Address, hex, keccak256};
use serde_json::Value;

pub fn selector(signature: &str) -> Vec<u8> {
    keccak256(signature)[..4].to_vec()
}

pub fn call(signature: &str, body: &[&[u8]]) -> Vec<u8> {
    [selector(signature), body.concat()].concat()
}

pub fn word(value: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&value.to_be_bytes());
    word
}

pub fn address_word(address: Address) -> [u8; 32] {
    address.into_word().0
}

/// A dynamic `bytes` as the only parameter.
pub fn bytes(value: &[u8]) -> Vec<u8> {
    let padding = vec![0; value.len().next_multiple_of(32) - value.len()];
    [&word(32)[..], &word(value.len() as u64), value, &padding].concat()
}

fn artifact(name: &str) -> Value {
    let path = format!("{}/../deploy/contracts/artifacts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Deployment code of a contract, from the artifacts.
pub fn code(name: &str) -> Vec<u8> {
    hex::decode(artifact(name)["bytecode"].as_str().unwrap()).unwrap()
}
