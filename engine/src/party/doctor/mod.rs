//! `ward party doctor`: looks at everything a node needs, one thing at a time, and says what to do.
//!
//! At home: [`check_config`], [`check_data`], [`check_disk`]. On the way out: [`check_way_out`] (names, TCP, the
//! proxy), [`check_certificate`]. At the engine, over a connection that the caller makes: [`check_engine`].
//! Towards the other nodes, directly and through the engine: [`check_mesh`].
//! Every check runs to its end and gives a [`Check`]; none stops another.

mod certificate;
mod home;
mod mesh;
mod network;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use self::certificate::check_certificate;
pub use self::home::{check_config, check_data, check_disk};
pub use self::mesh::{MeshProbe, Peer, check_mesh};
pub use self::network::{EngineProbe, ProbeError, check_engine, check_way_out};

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, a stable dotted name (`disk`, `data.labs`, `network.tcp`).
    pub name: String,
    /// How it went.
    pub status: Status,
    /// What was found, for people; names and numbers, never values of rows.
    pub detail: String,
    /// What to do; empty when all is well.
    pub advice: String,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Well.
    Ok,
    /// The node runs, but someone should look.
    Warn,
    /// The node cannot do its work.
    Fail,
}

impl Check {
    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), status: Status::Ok, detail: detail.into(), advice: String::new() }
    }

    fn warn(name: impl Into<String>, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name: name.into(), status: Status::Warn, detail: detail.into(), advice: advice.into() }
    }

    fn fail(name: impl Into<String>, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name: name.into(), status: Status::Fail, detail: detail.into(), advice: advice.into() }
    }
}

/// The worst of some checks; `Ok` for none.
#[must_use]
pub fn worst(checks: &[Check]) -> Status {
    checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
}
