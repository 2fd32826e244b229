//! Ward: the engine, the hospital's party node and the client.

pub mod query;
