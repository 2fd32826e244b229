//! Checking an anchor without the engine: a node of one's own says what the contract holds.
//!
//! # Security
//! The node and the contract's address are the verifier's. What a receipt says of anchors is only where to look.

use alloy_primitives::Address;

use super::rpc::Rpc;
use super::{EvmError, abi, log_id};
use crate::identity::Digest;
use crate::ledger::merkle;
use crate::ledger::receipt::{ReceiptAnchor, ReceiptAnchorKind};

/// A leaf of a log, whose receipt holds.
#[derive(Clone, Copy, Debug)]
pub struct AnchoredLeaf<'a> {
    /// The log's origin line.
    pub origin: &'a str,
    /// What the leaf is of.
    pub digest: Digest,
    /// Its index.
    pub index: u64,
}

/// Where the chain has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// By itself, since that block.
    Commitment {
        /// The block.
        block: u64,
    },
    /// Under a checkpoint of so many leaves.
    Checkpoint {
        /// Leaves.
        size: u64,
    },
}

/// Asks a node whether the anchor log at `anchor_log` has the leaf: by itself, or under one of the checkpoints that the
/// receipt names. None when it has not.
///
/// # Errors
/// The node is away or makes no sense; `evm.config` for an address that is none; `evm.contract` when nothing is there.
pub async fn find_anchor(
    endpoint: &str,
    anchor_log: &str,
    leaf: AnchoredLeaf<'_>,
    anchors: &[ReceiptAnchor],
) -> Result<Option<Found>, EvmError> {
    let refuse = || EvmError::Config {
        field: "anchor_log",
        reason: "not 0x and 40 hexadecimal characters".to_owned(),
    };
    let contract: Address = anchor_log.trim().parse().map_err(|_| refuse())?;
    let rpc = Rpc::new(endpoint, false)?;
    if !rpc.has_code(contract).await? {
        return Err(EvmError::Contract { contract: "AnchorLog", address: contract });
    }
    let call = abi::blocks_of(&[leaf.digest]);
    let blocks = abi::array(&rpc.call(call.name, contract, &call.data).await?, 1)?;
    if let Some(block) = blocks.first().map(abi::to_u64).transpose()?.filter(|block| *block > 0) {
        return Ok(Some(Found::Commitment { block }));
    }
    let log = log_id(leaf.origin);
    for anchor in anchors.iter().filter(|anchor| anchor.kind == ReceiptAnchorKind::Checkpoint) {
        let call = abi::root_of(&log, anchor.size);
        let roots = abi::words(&rpc.call(call.name, contract, &call.data).await?, 1)?;
        let Some(root) = roots.first().filter(|root| !root.is_zero()) else { continue };
        let hash = merkle::leaf_hash(&leaf.digest.0);
        let proof = &anchor.inclusion_proof;
        if merkle::verify_inclusion(&hash, leaf.index, anchor.size, proof, &Digest(root.0)).is_ok() {
            return Ok(Some(Found::Checkpoint { size: anchor.size }));
        }
    }
    Ok(None)
}
