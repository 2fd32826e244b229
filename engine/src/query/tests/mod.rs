//! Tests across the query module.

mod explain_shares;
mod known;
mod oracle;
mod parsing;
mod planning;
mod release;
pub(crate) mod synth;
mod world;
