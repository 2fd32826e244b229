//! The commands.

pub mod demo;
pub mod engine;
mod oracle;
pub mod party;
pub mod research;
pub mod setup;
