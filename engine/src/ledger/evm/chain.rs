//! What the contracts hold: read before anything is sent, and again before it counts as done.

use alloy_primitives::Address;

use super::config::Contracts;
use super::rpc::Rpc;
use super::{EvmError, Mode, Post, abi, probe};
use crate::identity::Digest;

/// The contracts of a chain, through its node.
pub(super) struct Chain {
    pub rpc: Rpc,
    pub id: u64,
    pub contracts: Contracts,
}

/// How a post stands in the contracts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is there, since that block.
    There { block: u64 },
    /// A larger checkpoint is there.
    Superseded { block: u64 },
    /// Another attestation has its nullifier.
    Other,
    /// It is not there, or these of its commitments are not.
    Missing(Vec<Digest>),
}

impl Chain {
    /// Checks that the node is of the configured chain and that the contracts are there, and finds out what the chain can do.
    pub(super) async fn probe(&self, ours: Address) -> Result<Mode, EvmError> {
        let found = self.rpc.chain_id().await?;
        if found != self.id {
            return Err(EvmError::Chain { expected: self.id, found });
        }
        let contract = || EvmError::Contract { contract: "AnchorLog", address: self.contracts.anchor_log };
        if !self.rpc.has_code(self.contracts.anchor_log).await? {
            return Err(contract());
        }
        let answer = self.anchor_log(abi::anchorer()).await.map_err(|error| match error {
            EvmError::Reverted { .. } => contract(),
            other => other,
        })?;
        let words = abi::words(&answer, 1).map_err(|_| contract())?;
        let anchorer = words.first().map(abi::to_address).transpose().map_err(|_| contract())?;
        let anchorer = anchorer.ok_or_else(contract)?;
        if anchorer != ours {
            return Err(EvmError::Anchorer { anchorer, ours });
        }
        let Some(registry) = self.contracts.registry else { return Ok(Mode::AnchorsOnly) };
        if !probe::checks_proofs(&self.rpc).await? {
            return Ok(Mode::AnchorsOnly);
        }
        if !self.rpc.has_code(registry).await? {
            return Err(EvmError::Contract { contract: "AttestationRegistry", address: registry });
        }
        Ok(Mode::Proofs)
    }

    /// How a post stands.
    pub(super) async fn standing(&self, post: &Post) -> Result<Standing, EvmError> {
        match post {
            Post::Commitments { digests } => self.commitments(digests).await,
            Post::Checkpoint { log, size, root } => self.checkpoint(log, *size, root).await,
            Post::Attestation(attestation) => {
                let registry = self.contracts.registry.ok_or(EvmError::Precompiles)?;
                let call = abi::registration(attestation);
                let answer = self.rpc.call(call.name, registry, &call.data).await?;
                let found = abi::words(&answer, 2)?;
                let block = first_number(&found)?;
                Ok(match found.get(1) {
                    _ if block == 0 => Standing::Missing(Vec::new()),
                    Some(tag) if *tag == abi::tag_of(&attestation.inputs) => Standing::There { block },
                    _ => Standing::Other,
                })
            }
        }
    }

    /// Where a post's call goes.
    pub(super) fn target(&self, post: &Post) -> Result<Address, EvmError> {
        match post {
            Post::Attestation(_) => self.contracts.registry.ok_or(EvmError::Precompiles),
            _ => Ok(self.contracts.anchor_log),
        }
    }

    async fn commitments(&self, digests: &[Digest]) -> Result<Standing, EvmError> {
        let answer = self.anchor_log(abi::blocks_of(digests)).await?;
        let blocks = abi::array(&answer, digests.len())?;
        let blocks = blocks.iter().map(abi::to_u64).collect::<Result<Vec<_>, _>>()?;
        let absent = digests.iter().zip(&blocks).filter(|(_, block)| **block == 0);
        let missing: Vec<Digest> = absent.map(|(digest, _)| *digest).collect();
        let block = blocks.into_iter().max().unwrap_or_default();
        Ok(if missing.is_empty() { Standing::There { block } } else { Standing::Missing(missing) })
    }

    async fn checkpoint(&self, log: &Digest, size: u64, root: &Digest) -> Result<Standing, EvmError> {
        let there = abi::words(&self.anchor_log(abi::root_of(log, size)).await?, 1)?;
        let head = abi::words(&self.anchor_log(abi::head_of(log)).await?, 2)?;
        let (head_size, block) = (first_number(&head)?, first_number(&head[1..])?);
        match there.first() {
            // The block of the largest checkpoint: that of this one, or a later one.
            Some(found) if found.0 == root.0 => Ok(Standing::There { block }),
            Some(found) if !found.is_zero() => Err(EvmError::Forked { size }),
            _ if head_size > size => Ok(Standing::Superseded { block }),
            _ => Ok(Standing::Missing(Vec::new())),
        }
    }

    async fn anchor_log(&self, call: abi::Call) -> Result<alloy_primitives::Bytes, EvmError> {
        self.rpc.call(call.name, self.contracts.anchor_log, &call.data).await
    }
}

fn first_number(words: &[alloy_primitives::B256]) -> Result<u64, EvmError> {
    words.first().map_or(Ok(0), abi::to_u64)
}
