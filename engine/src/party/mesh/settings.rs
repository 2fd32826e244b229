//! How a node wants to meet other nodes.

use super::address::host_and_port;
use super::error::MeshError;

/// The `[mesh]` section of a node's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshSettings {
    /// `address:port` to take peers' connections on; none to be reached through the engine alone.
    pub listen: Option<String>,
    /// `host:port` under which peers reach this node, told to them; needs `listen`.
    pub address: Option<String>,
    /// Whether this node connects to peers' addresses.
    pub is_direct: bool,
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self { listen: None, address: None, is_direct: true }
    }
}

impl MeshSettings {
    /// Checks an address of the configuration.
    ///
    /// # Errors
    /// [`MeshError::Address`] when it is not `host:port`.
    pub fn check(address: &str) -> Result<(), MeshError> {
        host_and_port("this node", address).map(|_| ())
    }
}
