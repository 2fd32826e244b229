//! Tests across the query module.

mod oracle;
mod parsing;
mod synth;
mod world;
