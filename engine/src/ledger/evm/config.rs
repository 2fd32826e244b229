//! How a chain is configured.

use alloy_primitives::Address;
use serde::Deserialize;

use super::EvmError;

/// A chain, its contracts, and the rules by which the engine posts there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvmConfig {
    /// The node's JSON-RPC address. Its path may hold an access key: it is never logged.
    pub endpoint: String,
    /// Allows http to another machine, for a node that only a closed network reaches.
    #[serde(default)]
    pub plain_http: bool,
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// Address of the anchor log.
    pub anchor_log: String,
    /// Address of the attestation registry; without it attestations are anchored only.
    #[serde(default)]
    pub registry: Option<String>,
    /// Blocks that make an anchor final, its own included: 1 to 64.
    #[serde(default = "confirmations")]
    pub confirmations: u64,
    /// Most that is paid for a unit of gas, in gwei.
    #[serde(default = "gas_fee_max_gwei")]
    pub gas_fee_max_gwei: u64,
    /// Most gas of one transaction.
    #[serde(default = "gas_max")]
    pub gas_max: u64,
    /// Time between two looks at the chain, in milliseconds.
    #[serde(default = "poll_ms")]
    pub poll_ms: u64,
    /// Time after which an offer that nobody took is raised, in milliseconds.
    #[serde(default = "raise_after_ms")]
    pub raise_after_ms: u64,
    /// Anchors every commitment by itself; else they are covered by checkpoints.
    #[serde(default)]
    pub commitments: bool,
    /// Least time between two checkpoints, in seconds.
    #[serde(default = "checkpoint_every_s")]
    pub checkpoint_every_s: u64,
}

fn confirmations() -> u64 {
    12
}
fn gas_fee_max_gwei() -> u64 {
    100
}
fn gas_max() -> u64 {
    3_000_000
}
fn poll_ms() -> u64 {
    4_000
}
fn raise_after_ms() -> u64 {
    90_000
}
fn checkpoint_every_s() -> u64 {
    3_600
}

/// Addresses of the contracts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contracts {
    pub anchor_log: Address,
    pub registry: Option<Address>,
}

impl EvmConfig {
    /// Checks ranges and reads the addresses.
    pub(super) fn check(&self) -> Result<Contracts, EvmError> {
        let refuse = |field, reason: &str| EvmError::Config { field, reason: reason.to_owned() };
        if !(1..=64).contains(&self.confirmations) {
            return Err(refuse("confirmations", "not 1 to 64"));
        }
        if self.poll_ms == 0 {
            return Err(refuse("poll_ms", "zero"));
        }
        if self.gas_fee_max_gwei == 0 {
            return Err(refuse("gas_fee_max_gwei", "zero"));
        }
        let address = |field, text: &str| {
            let parsed: Result<Address, _> = text.trim().parse();
            parsed.map_err(|_| refuse(field, "not 0x and 40 hexadecimal characters"))
        };
        Ok(Contracts {
            anchor_log: address("anchor_log", &self.anchor_log)?,
            registry: self.registry.as_deref().map(|text| address("registry", text)).transpose()?,
        })
    }
}
