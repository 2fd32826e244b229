//! The planner's oracle tests once more, through the whole system: every query is signed, planned, encrypted at
//! hospitals that are processes, summed, switched to the researcher's key, decrypted, and compared.

#[path = "../../src/query/tests/oracle.rs"]
mod answers;
mod data;
mod shares;
#[path = "../../src/query/tests/synth.rs"]
mod synth;
mod trial;
mod world {
    pub use super::data::{World, breast, breast_with_d, example, nafld, oracle, rct, row, synth};
}
