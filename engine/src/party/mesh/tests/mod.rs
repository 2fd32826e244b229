//! Meshes of members in one process, over loopback and over a relay in memory.

mod direct;
mod hostile;
mod relayed;
mod world;
