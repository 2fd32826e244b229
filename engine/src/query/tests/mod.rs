//! Tests across the query module.

mod known;
mod oracle;
mod parsing;
mod planning;
mod release;
pub(crate) mod synth;
mod world;
