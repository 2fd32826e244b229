//! What statements have in common, as constraints. Each gadget has its native twin, and a test that both agree.

pub mod jubjub;
pub mod merkle;
pub mod numbers;
pub mod poseidon;
pub mod schnorr;
