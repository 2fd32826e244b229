//! Meshes of members in one process, over loopback and over a relay in memory.

mod channel;
mod direct;
mod hostile;
mod relayed;
pub(crate) mod world;
