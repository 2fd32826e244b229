//! The default ledger: the tree lives in the store, so that a commitment enters the log in the transaction that
//! marks its job done.

use std::sync::Arc;

use super::merkle::{self, Nodes};
use super::note::{Checkpoint, Note};
use super::tile::{Tile, TileKind};
use super::{Ledger, LedgerError, TreeHead, log_origin};
use crate::identity::{Digest, Identity};
use crate::store::Store;

/// A log kept in the engine's store, signed by the engine.
pub struct EmbeddedLedger {
    store: Arc<dyn Store>,
    identity: Arc<Identity>,
    origin: String,
}

struct StoredNodes<'a>(&'a dyn Store);

impl Nodes for StoredNodes<'_> {
    fn node(&self, level: u8, index: u64) -> Result<Digest, LedgerError> {
        let found = self.0.log_nodes(level, index, index + 1).map_err(storage)?;
        found.first().copied().ok_or_else(|| LedgerError::Storage {
            reason: format!("node {index} of level {level} is missing"),
        })
    }
}

fn storage(error: crate::store::StoreError) -> LedgerError {
    LedgerError::Storage { reason: error.to_string() }
}

impl EmbeddedLedger {
    /// The log of a consortium.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, identity: Arc<Identity>, consortium: &str) -> Self {
        Self { store, identity, origin: log_origin(consortium) }
    }

    fn check_size(&self, size: u64) -> Result<(), LedgerError> {
        let present = self.store.log_size().map_err(storage)?;
        if size > present { Err(LedgerError::Range { index: size, size: present }) } else { Ok(()) }
    }
}

impl Ledger for EmbeddedLedger {
    fn append(&self, commitment: &Digest) -> Result<u64, LedgerError> {
        self.store.log_append(commitment).map_err(storage)
    }

    fn checkpoint(&self) -> Result<Note, LedgerError> {
        let size = self.store.log_size().map_err(storage)?;
        let root = merkle::root(&StoredNodes(&*self.store), size)?;
        let head = TreeHead { size, root };
        Checkpoint { origin: self.origin.clone(), head }.sign(&self.identity)
    }

    fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Digest>, LedgerError> {
        self.check_size(size)?;
        merkle::inclusion(&StoredNodes(&*self.store), index, size)
    }

    fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, LedgerError> {
        self.check_size(new)?;
        merkle::consistency(&StoredNodes(&*self.store), old, new)
    }

    fn tile(&self, tile: &Tile) -> Result<Vec<u8>, LedgerError> {
        let absent = || LedgerError::Tile { path: tile.path() };
        let (level, first, end) = tile.range()?;
        let framed = tile.kind == TileKind::Entries;
        let hashes = match tile.kind {
            TileKind::Hashes { .. } => self.store.log_nodes(level, first, end),
            TileKind::Entries => self.store.log_entries(first, end),
        };
        let hashes = hashes.map_err(storage)?;
        if hashes.len() != usize::from(tile.width) {
            return Err(absent());
        }
        let mut bytes = Vec::with_capacity(hashes.len() * 34);
        for hash in hashes {
            if framed {
                bytes.extend_from_slice(&(hash.0.len() as u16).to_be_bytes());
            }
            bytes.extend_from_slice(&hash.0);
        }
        Ok(bytes)
    }
}
