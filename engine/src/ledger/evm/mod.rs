//! Anchors on an EVM chain, beside the embedded log, which stays the primary.
//!
//! A [`Follower`] takes commitments and checkpoints over from the log into an [`Outbox`]; [`EvmLedger`] puts them on
//! the chain, oldest first, one transaction at a time, and waits until each is as deep as configured. Attestations can
//! be queued beside them: the registry contract verifies the proof and takes its nullifier once, where the chain has the
//! precompiles of EIP-2537 ([`Mode::Proofs`]); elsewhere their commitments are anchored.
//!
//! Nothing is posted twice, whoever is killed at whatever moment: see `drive.rs`. Nothing else of Ward waits for a
//! chain: a node that is away delays anchors, not jobs.
//!
//! # Security
//! The node may lie about the chain: it can withhold transactions and claim anchors that are not there, and those who
//! verify ask their own node. It cannot post in the engine's name, and what is posted reveals nothing but digests and
//! times.

mod abi;
mod chain;
mod check;
mod config;
mod drive;
mod error;
mod fees;
mod follow;
mod key;
mod outbox;
mod post;
mod probe;
mod rpc;
mod tx;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy_primitives::Address;

pub use abi::key_hash;
pub use check::{AnchoredLeaf, Found, find_anchor};
pub use config::EvmConfig;
pub use drive::Step;
pub use error::EvmError;
pub use follow::{Follow, Follower};
pub use key::ChainKey;
pub use outbox::{FileOutbox, OUTBOX_POSTS_MAX, Outbox};
pub use post::{
    Attempt, Attestation, End, INPUTS, Intent, POST_COMMITMENTS_MAX, PROOF_BYTES, Post, Settlement, audience,
    log_id,
};

use crate::clock::now_ms;
use crate::identity::random;
use chain::{Chain, Standing};
use drive::Driver;

const BACK_OFF_MIN: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// What the chain does for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It verifies proofs and takes anchors.
    Proofs,
    /// It takes anchors: it has no precompiles of EIP-2537, or no registry is configured.
    AnchorsOnly,
}

/// How anchoring stands.
#[derive(Clone, Debug, Default)]
pub struct EvmStatus {
    /// What the chain does; none before it was reached.
    pub mode: Option<Mode>,
    /// Confirmations of what is under way.
    pub confirmations: u64,
    /// The last settlement.
    pub settled: Option<Settlement>,
    /// Code and sentence of the last failure, until a step succeeds.
    pub failure: Option<(&'static str, String)>,
}

/// The adapter to one chain.
pub struct EvmLedger {
    driver: Driver,
    status: Mutex<EvmStatus>,
}

impl EvmLedger {
    /// The adapter; reaches nobody yet.
    ///
    /// # Errors
    /// [`EvmError::Config`].
    pub fn new(config: EvmConfig, key: ChainKey, outbox: Arc<dyn Outbox>) -> Result<Self, EvmError> {
        let contracts = config.check()?;
        let rpc = rpc::Rpc::new(&config.endpoint, config.plain_http)?;
        let chain = Chain { rpc, id: config.chain_id, contracts };
        let driver = Driver { chain, key, config, outbox };
        Ok(Self { driver, status: Mutex::default() })
    }

    /// The address that pays and signs.
    #[must_use]
    pub fn address(&self) -> Address {
        self.driver.key.address()
    }

    /// How anchoring stands.
    #[must_use]
    pub fn status(&self) -> EvmStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks chain, contracts and key, and finds out what the chain does.
    ///
    /// # Errors
    /// The node is away; chain, contract or anchorer are not those of the configuration.
    pub async fn probe(&self) -> Result<Mode, EvmError> {
        let mode = self.driver.chain.probe(self.address()).await?;
        self.note(|status| status.mode = Some(mode));
        if mode == Mode::AnchorsOnly && self.driver.chain.contracts.registry.is_some() {
            tracing::warn!("the chain does not check proofs: commitments only");
        }
        Ok(mode)
    }

    /// Does the next thing for the oldest post.
    ///
    /// # Errors
    /// Any; the outbox has what is needed to go on.
    pub async fn step(&self) -> Result<Step, EvmError> {
        let known = self.status().mode;
        let mode = match known {
            Some(mode) => mode,
            None => self.probe().await?,
        };
        let step = self.driver.step(mode).await?;
        self.note(|status| {
            status.failure = None;
            match &step {
                Step::Waiting { confirmations } => status.confirmations = *confirmations,
                Step::Settled(settlement) => status.settled = Some(settlement.clone()),
                _ => status.confirmations = 0,
            }
        });
        Ok(step)
    }

    /// Whether the chain has a post now, whatever its depth.
    ///
    /// # Errors
    /// The node is away, or its chain has a fork of the log.
    pub async fn has(&self, post: &Post) -> Result<bool, EvmError> {
        Ok(matches!(self.driver.chain.standing(post).await?, Standing::There { .. }))
    }

    /// Follows and posts until `stop` ends. Failures are logged and tried again, at intervals that grow to a minute.
    pub async fn run(&self, follower: Option<&Follower>, stop: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = stop => {}
            () = self.forever(follower) => {}
        }
    }

    async fn forever(&self, follower: Option<&Follower>) {
        let poll = Duration::from_millis(self.driver.config.poll_ms);
        let mut failures: u32 = 0;
        let mut resumed = false;
        loop {
            match self.turn(follower, &mut resumed).await {
                Ok(Step::Settled(_) | Step::Again) => failures = 0,
                Ok(_) => {
                    failures = 0;
                    tokio::time::sleep(poll).await;
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.failed(&error, failures);
                    tokio::time::sleep(back_off(failures)).await;
                }
            }
        }
    }

    async fn turn(&self, follower: Option<&Follower>, resumed: &mut bool) -> Result<Step, EvmError> {
        if let Some(follower) = follower {
            if !*resumed && follower.is_idle() {
                self.resume(follower).await?;
                *resumed = true;
            }
            tokio::task::block_in_place(|| follower.follow(now_ms()))?;
        }
        self.step().await
    }

    /// A chain that has lost the newest checkpoint (a private chain restored from an old backup) gets everything again; what
    /// it still has stays as it is.
    async fn resume(&self, follower: &Follower) -> Result<(), EvmError> {
        self.probe().await?;
        let Some(newest) = follower.newest_checkpoint() else { return Ok(()) };
        if matches!(self.driver.chain.standing(&newest).await?, Standing::Missing(_)) {
            tracing::warn!("the chain has lost anchors: posting them again");
            follower.rewind()?;
        }
        Ok(())
    }

    fn failed(&self, error: &EvmError, failures: u32) {
        // The first of a row and then every tenth: a node that is down for a night fills no disk.
        if failures % 10 == 1 {
            tracing::warn!(code = error.code(), %error, failures, "anchoring waits");
        }
        self.note(|status| status.failure = Some((error.code(), error.to_string())));
    }

    fn note(&self, change: impl FnOnce(&mut EvmStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Doubles from half a second to a minute, less up to a quarter at random, so that engines do not return all at once.
fn back_off(failures: u32) -> Duration {
    let full = BACK_OFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACK_OFF_MAX);
    let chance = random::<1>().map_or(0, |[byte]| u32::from(byte));
    full - full / 1024 * chance
}
