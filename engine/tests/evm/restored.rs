//! A log that is followed, and a chain that forgets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ward_engine::identity::{Digest, Identity};
use ward_engine::ledger::evm::{EvmLedger, FileOutbox, Follow, Follower};
use ward_engine::ledger::{Checkpoint, Ledger, LedgerError, Note, Tile, TreeHead, merkle};

use crate::adapter::{World, key};
use crate::node::{Anvil, is_absent};

/// A log in memory.
struct Log(Mutex<Vec<Digest>>);

struct Leaves(Vec<Digest>);

impl merkle::Nodes for Leaves {
    fn node(&self, level: u8, index: u64) -> Result<Digest, LedgerError> {
        if level == 0 {
            return Ok(merkle::leaf_hash(&self.0[index as usize].0));
        }
        let (left, right) = (self.node(level - 1, 2 * index)?, self.node(level - 1, 2 * index + 1)?);
        Ok(merkle::node_hash(&left, &right))
    }
}

impl Ledger for Log {
    fn append(&self, commitment: &Digest) -> Result<u64, LedgerError> {
        let mut leaves = self.0.lock().unwrap();
        leaves.push(*commitment);
        Ok(leaves.len() as u64 - 1)
    }
    fn checkpoint(&self) -> Result<Note, LedgerError> {
        let leaves = Leaves(self.0.lock().unwrap().clone());
        let size = leaves.0.len() as u64;
        let head = TreeHead { size, root: merkle::root(&leaves, size)? };
        Checkpoint { origin: "ward/valley/log".to_owned(), head }.sign(&Identity::from_seed(&[1; 32]))
    }
    fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Digest>, LedgerError> {
        merkle::inclusion(&Leaves(self.0.lock().unwrap().clone()), index, size)
    }
    fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, LedgerError> {
        merkle::consistency(&Leaves(self.0.lock().unwrap().clone()), old, new)
    }
    fn tile(&self, tile: &Tile) -> Result<Vec<u8>, LedgerError> {
        let (_, first, end) = tile.range()?;
        let leaves = self.0.lock().unwrap();
        Ok(leaves[first as usize..end as usize]
            .iter()
            .flat_map(|leaf| [&[0, 32][..], &leaf.0].concat())
            .collect())
    }
}

/// Runs the loop, on a chain that grows, until the newest checkpoint of the log is there and nothing waits.
async fn anchor(world: &World, log: &Arc<Log>, outbox: &Arc<FileOutbox>) {
    let ledger = EvmLedger::new(world.config(), key(), outbox.clone()).unwrap();
    let rule = Follow { commitments: true, checkpoint_every_ms: 0 };
    let follower = Follower::new(log.clone(), outbox.clone(), rule);
    let anchored = async {
        loop {
            world.anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(newest) = follower.newest_checkpoint()
                && outbox.waiting() == 0
                && ledger.has(&newest).await.unwrap()
            {
                break;
            }
        }
    };
    ledger.run(Some(&follower), tokio_timeout(anchored)).await;
}

async fn tokio_timeout(work: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it is anchored within a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_restored_from_an_old_backup_gets_everything_again() {
    if is_absent() {
        return;
    }
    let arguments = ["--hardfork", "prague"];
    let mut world = World::start(&arguments).await;
    let log = Arc::new(Log(Mutex::new((1..=5).map(|n| Digest([n; 32])).collect())));
    let outbox = world.outbox();
    anchor(&world, &log, &outbox).await;
    world.assert_anchored(&[1, 2, 3, 4, 5]).await;

    // A chain of the same history up to the deployment, and nothing after.
    let port = world.anvil.port;
    let anchor_log = world.anchor_log;
    drop(world.anvil);
    world.anvil = Anvil::start_at(port, &arguments);
    world.deploy().await;
    assert_eq!(world.anchor_log, anchor_log);
    world.assert_anchored(&[]).await;
    anchor(&world, &log, &outbox).await;
    world.assert_anchored(&[1, 2, 3, 4, 5]).await;

    // And a start that finds everything there sends nothing.
    log.append(&Digest([6; 32])).unwrap();
    anchor(&world, &log, &outbox).await;
    world.assert_anchored(&[1, 2, 3, 4, 5, 6]).await;
}
