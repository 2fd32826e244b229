//! The party: the node that each hospital runs. It connects out, decides by its own policy, computes over its own rows,
//! holds its share of the key, and keeps an audit chain of everything that left the house.

pub mod aggregate;
pub mod budget;
pub mod ceremony;
pub mod connect;
pub mod consent;
mod contribution;
pub mod doctor;
pub mod documents;
pub mod glass;
mod heads;
pub mod local;
pub mod mesh;
pub mod messages;
pub mod multiparty;
pub mod node;
pub mod notify;
pub mod probe;
mod proved;
pub mod proving;
pub mod release;
mod renewal;
pub mod share;
pub mod study;
pub mod task;
mod trail;
pub mod transport;
pub mod vault;
mod version;
mod witness;
