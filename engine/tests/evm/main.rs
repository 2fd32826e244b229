//! The EVM adapter and its contracts against a real node. Without anvil each test says that it is skipped.

#![cfg(feature = "evm")]

mod abi;
mod adapter;
mod contracts;
mod node;
mod proofs;
