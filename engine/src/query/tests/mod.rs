//! Tests across the query module.

mod known;
mod oracle;
mod parsing;
mod planning;
mod release;
mod synth;
mod world;
