//! Multi-party computation by three nodes, of which at most one is corrupted.
//!
//! Values are integers modulo 2^64 in replicated shares ([`shares`]): `x = x_0 + x_1 + x_2`, and `P_i` holds `x_i`
//! and `x_{i+1}`. Bits are shared alike modulo 2, bitsliced. A program is a function of a [`session::Session`],
//! generic in its security: [`security::SemiHonest`], or [`security::Malicious`], with abort.
//!
//! - [`session`]: all that a protocol can touch: role, step, channel, common randomness, counters.
//! - [`channel`]: the trait behind which the network is; [`wire`]: what may cross it.
//! - [`prss`]: randomness that pairs of nodes have in common without talking.
//!
//! Every protocol narrows its session by a named step; a leaf step sends at most one message to each peer and draws
//! its randomness once.

pub mod channel;
pub mod component;
pub mod counters;
pub mod error;
pub mod exchange;
pub mod fixed;
pub mod gates;
pub mod group;
pub mod planes;
pub mod programs;
pub mod prss;
pub mod role;
pub mod rows;
pub mod security;
pub mod session;
pub mod shares;
pub mod step;
pub mod verify;
pub mod wire;

pub use error::{MpcError, Result};
pub use role::{Peer, Role};
pub use security::{Malicious, Security, SemiHonest};
pub use session::{Party, Session};

#[cfg(test)]
mod hostile;
