//! Takes commitments and checkpoints over from the embedded log into the outbox.
//!
//! The log is the outbox's source of truth: a commitment enters it in the transaction that ends its job, so what
//! the log has can neither be forgotten here nor be posted for a job that was not done.

use std::sync::Arc;

use super::outbox::Followed;
use super::post::POST_COMMITMENTS_MAX;
use super::{EvmError, FileOutbox, Post, log_id};
use crate::identity::Digest;
use crate::ledger::{Checkpoint, Ledger, LedgerError, TILE_WIDTH, Tile, TileKind};

/// Posts that are queued from the log at a time.
const QUEUED_MAX: usize = 32;

/// What of the log goes on the chain.
#[derive(Clone, Copy, Debug)]
pub struct Follow {
    /// Every commitment by itself; else they are covered by checkpoints alone.
    pub commitments: bool,
    /// Least time between two checkpoints.
    pub checkpoint_every_ms: u64,
}

/// Follows a log.
pub struct Follower {
    ledger: Arc<dyn Ledger>,
    outbox: Arc<FileOutbox>,
    rule: Follow,
}

impl Follower {
    /// Follows `ledger` from where `outbox` says it was.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, outbox: Arc<FileOutbox>, rule: Follow) -> Self {
        Self { ledger, outbox, rule }
    }

    /// Queues what is new in the log, as far as the outbox has room, and says how many posts that are. Blocks on storage.
    ///
    /// # Errors
    /// The log's storage, or the outbox's; the log is shorter than it was.
    pub fn follow(&self, now_ms: u64) -> Result<usize, EvmError> {
        if self.outbox.waiting() >= QUEUED_MAX {
            return Ok(0);
        }
        let checkpoint = Checkpoint::parse(self.ledger.checkpoint()?.text())?;
        let head = checkpoint.head;
        let before = self.outbox.followed();
        if head.size < before.leaves.max(before.checkpoint) {
            let seen = before.leaves.max(before.checkpoint);
            return Err(LedgerError::Rollback { seen, presented: head.size }.into());
        }
        let mut followed = before;
        let mut posts = Vec::new();
        while self.rule.commitments && followed.leaves < head.size && posts.len() < QUEUED_MAX {
            let digests = self.leaves(followed.leaves, head.size)?;
            followed.leaves += digests.len() as u64;
            posts.push(Post::Commitments { digests });
        }
        let caught_up = !self.rule.commitments || followed.leaves == head.size;
        let due = now_ms.saturating_sub(before.at_ms) >= self.rule.checkpoint_every_ms;
        if head.size > before.checkpoint && caught_up && (due || before.checkpoint == 0) {
            let log = log_id(&checkpoint.origin);
            posts.push(Post::Checkpoint { log, size: head.size, root: head.root });
            let (checkpoint, root) = (head.size, Some(head.root));
            followed = Followed { checkpoint, root, at_ms: now_ms, ..followed };
        }
        let queued = posts.len();
        if queued > 0 {
            self.outbox.take_over(posts, followed)?;
        }
        Ok(queued)
    }

    /// The newest checkpoint that was queued, as a post: it must be on the chain once nothing waits.
    #[must_use]
    pub fn newest_checkpoint(&self) -> Option<Post> {
        let followed = self.outbox.followed();
        let origin = Checkpoint::parse(self.ledger.checkpoint().ok()?.text()).ok()?.origin;
        Some(Post::Checkpoint { log: log_id(&origin), size: followed.checkpoint, root: followed.root? })
    }

    /// Begins again at the first leaf: the chain lost what it had. What it still has is passed over there.
    ///
    /// # Errors
    /// The outbox's storage.
    pub fn rewind(&self) -> Result<(), EvmError> {
        self.outbox.take_over(Vec::new(), Followed::default())
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.outbox.waiting() == 0
    }

    /// Leaves from `first` on: at most a post's worth, of one bundle, below `size`.
    fn leaves(&self, first: u64, size: u64) -> Result<Vec<Digest>, EvmError> {
        let width = u64::from(TILE_WIDTH);
        let (index, skip) = (first / width, first % width);
        let filled = (size - index * width).min(width) as u16;
        let bundle = self.ledger.tile(&Tile { kind: TileKind::Entries, index, width: filled })?;
        let malformed =
            || EvmError::Outbox { reason: format!("entry bundle {index} of the log is malformed") };
        // Each entry is framed by its length, which is that of a digest.
        let mut digests = Vec::new();
        for entry in bundle.chunks(34).skip(skip as usize).take(POST_COMMITMENTS_MAX) {
            let digest = entry.strip_prefix(&[0, 32]).and_then(Digest::from_slice).ok_or_else(malformed)?;
            digests.push(digest);
        }
        if digests.is_empty() { Err(malformed()) } else { Ok(digests) }
    }
}
