//! Tests across the query module.

mod explain_shares;
mod known;
mod opened_words;
mod oracle;
mod parsing;
mod planning;
mod release;
pub(crate) mod synth;
mod world;
