//! Meshes of members in one process, over loopback.

mod direct;
mod world;
