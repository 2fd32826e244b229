//! Benches of Ward, the harness that compares it with its peers, and the data they run on.

pub mod synth;

pub mod cpu;
