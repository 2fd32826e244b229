//! From a post to a settlement, one step at a time.
//!
//! Never twice: the signed transaction is kept before it is sent, and every form of it has the same nonce, of which a
//! chain takes one. A step after a crash, a lost connection or a reorganisation begins with what the chain says. Should
//! the outbox itself be lost, the contracts hold the same content once.

use std::sync::Arc;

use alloy_primitives::{Address, B256};

use super::chain::{Chain, Standing};
use super::fees::{self, Offer};
use super::key::ChainKey;
use super::rpc::{At, Block, Mined};
use super::tx::Unsigned;
use super::{Attempt, End, EvmConfig, EvmError, Intent, Mode, Outbox, Post, Settlement, abi};
use crate::clock::now_ms;
use crate::encoding::HexBytes;
use crate::identity::Digest;

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Nothing waits.
    Idle,
    /// A transaction was signed, kept and sent.
    Sent {
        /// Its hash.
        transaction: Digest,
    },
    /// It is not deep enough yet.
    Waiting {
        /// Blocks on top, its own included; 0 while it is in none.
        confirmations: u64,
    },
    /// Its nonce went to another transaction, or the chain forgot earlier ones: it begins again.
    Again,
    /// It is done.
    Settled(Settlement),
}

pub(super) struct Driver {
    pub chain: Chain,
    pub key: ChainKey,
    pub config: EvmConfig,
    pub outbox: Arc<dyn Outbox>,
}

impl Driver {
    /// Does the next thing for the oldest post.
    pub(super) async fn step(&self, mode: Mode) -> Result<Step, EvmError> {
        let Some(queued) = self.outbox.next()? else { return Ok(Step::Idle) };
        let post = as_posted(&queued, mode);
        match self.outbox.intent()? {
            Some(intent) if intent.post == queued.id() => self.pursue(&queued, &post, intent).await,
            // An intent of a post that is gone: its nonce is spent, or free again.
            Some(_) => {
                self.outbox.keep_intent(None)?;
                Ok(Step::Again)
            }
            None => self.begin(&queued, &post).await,
        }
    }

    async fn begin(&self, queued: &Post, post: &Post) -> Result<Step, EvmError> {
        let latest = self.chain.rpc.latest().await?;
        let missing = match self.chain.standing(post).await? {
            Standing::There { block } => return self.found(queued, post, End::Anchored, block, &latest),
            Standing::Superseded { block } => {
                return self.found(queued, post, End::Superseded, block, &latest);
            }
            Standing::Other => return self.refused(queued, &latest, "AlreadyRegistered".to_owned()),
            Standing::Missing(missing) => missing,
        };
        let call = abi::to_post(post, &missing);
        let ours = self.key.address();
        let target = self.chain.target(post)?;
        let gas = match self.chain.rpc.estimate_gas(call.name, ours, target, &call.data).await {
            Ok(gas) => gas,
            Err(EvmError::Reverted { reason, .. }) if matches!(post, Post::Attestation(_)) => {
                return self.refused(queued, &latest, reason);
            }
            Err(error) => return Err(error),
        };
        // The estimate is of the present state; a margin for the state that the transaction will find.
        let gas = gas.saturating_add(gas / 4);
        if gas > self.config.gas_max {
            return Err(EvmError::GasCap { call: call.name, gas, cap: self.config.gas_max });
        }
        let price = self.chain.rpc.gas_price_wei().await?;
        let offer = fees::first(&latest, price, self.config.gas_fee_max_gwei)?;
        let cost_wei = u128::from(gas) * u128::from(offer.fee_wei);
        let balance_wei = self.chain.rpc.balance_wei(ours).await?;
        if balance_wei < cost_wei {
            return Err(EvmError::Funds { address: ours, balance_wei, cost_wei });
        }
        let nonce = self.chain.rpc.transaction_count(ours, At::Latest).await?;
        let attempt = self.sign(nonce, gas, offer, &latest, (target, call.data))?;
        self.send(Intent { post: queued.id(), nonce, attempts: vec![attempt] }).await
    }

    async fn pursue(&self, queued: &Post, post: &Post, intent: Intent) -> Result<Step, EvmError> {
        let latest = self.chain.rpc.latest().await?;
        for attempt in &intent.attempts {
            if let Some(mined) = self.chain.rpc.mined(B256::from(attempt.hash.0)).await? {
                return self.confirm(queued, post, attempt, mined, &latest).await;
            }
        }
        let ours = self.key.address();
        let count = self.chain.rpc.transaction_count(ours, At::Latest).await?;
        if count > intent.nonce {
            // Another transaction has the nonce. When it is deep, ours can no longer be mined.
            let deep = (latest.number + 1).checked_sub(self.config.confirmations);
            let spent = match deep {
                Some(deep) => self.chain.rpc.transaction_count(ours, At::Block(deep)).await? > intent.nonce,
                None => false,
            };
            return self.again_if(spent);
        }
        if count < intent.nonce {
            // The chain forgot transactions that were there: ours would wait for nonces that nobody fills.
            return self.again_if(true);
        }
        self.offer_again(post, intent, &latest).await
    }

    /// In no block yet: sent again, with a better offer when the last one is old.
    async fn offer_again(&self, post: &Post, mut intent: Intent, latest: &Block) -> Result<Step, EvmError> {
        let Some(last) = intent.attempts.last().cloned() else { return self.again_if(true) };
        if now_ms().saturating_sub(last.at_ms) >= self.config.raise_after_ms {
            let price = self.chain.rpc.gas_price_wei().await?;
            let cap = self.config.gas_fee_max_gwei;
            let now = fees::first(latest, price, cap)?;
            if let Some(offer) = fees::raised(&last, now, cap)
                && let Standing::Missing(missing) = self.chain.standing(post).await?
            {
                let data = abi::to_post(post, &missing).data;
                let target = self.chain.target(post)?;
                intent.attempts.push(self.sign(intent.nonce, last.gas, offer, latest, (target, data))?);
                return self.send(intent).await;
            }
        }
        self.chain.rpc.send(&last.raw.0).await?;
        Ok(Step::Waiting { confirmations: 0 })
    }

    async fn confirm(
        &self,
        queued: &Post,
        post: &Post,
        attempt: &Attempt,
        mined: Mined,
        latest: &Block,
    ) -> Result<Step, EvmError> {
        let confirmations = (latest.number + 1).saturating_sub(mined.block);
        if confirmations < self.config.confirmations {
            return Ok(Step::Waiting { confirmations });
        }
        let block = self.chain.rpc.block(At::Block(mined.block)).await?;
        if block.map(|block| block.hash) != Some(mined.block_hash) {
            return Ok(Step::Waiting { confirmations: 0 });
        }
        // The contracts have the last word: a reverted transaction may have lost against one with the same content.
        match self.chain.standing(post).await? {
            Standing::There { .. } | Standing::Superseded { .. } if mined.succeeded => {
                let mut ended = self.ended(queued, as_end(queued, post), mined.block, Some(attempt.hash));
                ended.gas_used = Some(mined.gas_used);
                self.settle(ended)
            }
            _ => self.again_if(true),
        }
    }

    /// It is on the chain though nothing is under way: sent by an outbox that was lost, or covered by a larger checkpoint.
    fn found(
        &self,
        queued: &Post,
        post: &Post,
        end: End,
        block: u64,
        latest: &Block,
    ) -> Result<Step, EvmError> {
        let confirmations = (latest.number + 1).saturating_sub(block);
        if confirmations < self.config.confirmations {
            return Ok(Step::Waiting { confirmations });
        }
        let end = if end == End::Anchored { as_end(queued, post) } else { end };
        self.settle(self.ended(queued, end, block, None))
    }

    fn ended(&self, queued: &Post, end: End, block: u64, transaction: Option<Digest>) -> Settlement {
        Settlement { post: queued.id(), end, block, transaction, gas_used: None, reason: None }
    }

    /// The registry refuses an attestation; it would refuse it again.
    fn refused(&self, queued: &Post, latest: &Block, reason: String) -> Result<Step, EvmError> {
        let ended = self.ended(queued, End::Refused, latest.number, None);
        self.settle(Settlement { reason: Some(reason), ..ended })
    }

    fn settle(&self, settlement: Settlement) -> Result<Step, EvmError> {
        self.outbox.settle(&settlement)?;
        Ok(Step::Settled(settlement))
    }

    fn again_if(&self, spent: bool) -> Result<Step, EvmError> {
        if !spent {
            return Ok(Step::Waiting { confirmations: 0 });
        }
        self.outbox.keep_intent(None)?;
        Ok(Step::Again)
    }

    async fn send(&self, intent: Intent) -> Result<Step, EvmError> {
        self.outbox.keep_intent(Some(&intent))?;
        let Some(last) = intent.attempts.last() else { return Ok(Step::Again) };
        self.chain.rpc.send(&last.raw.0).await?;
        Ok(Step::Sent { transaction: last.hash })
    }

    fn sign(
        &self,
        nonce: u64,
        gas: u64,
        offer: Offer,
        latest: &Block,
        (to, data): (Address, Vec<u8>),
    ) -> Result<Attempt, EvmError> {
        let (chain_id, fee_market) = (self.chain.id, latest.base_fee_wei.is_some());
        let unsigned = Unsigned { chain_id, nonce, gas, offer, fee_market, to, data };
        let (raw, hash) = self.key.sign(&unsigned)?;
        let Offer { fee_wei, tip_wei } = offer;
        Ok(Attempt { raw: HexBytes(raw), hash: Digest(hash.0), fee_wei, tip_wei, gas, at_ms: now_ms() })
    }
}

/// What a queued post becomes on this chain.
fn as_posted(queued: &Post, mode: Mode) -> Post {
    match (queued, mode) {
        (Post::Attestation(attestation), Mode::AnchorsOnly) => {
            Post::Commitments { digests: vec![attestation.commitment] }
        }
        _ => queued.clone(),
    }
}

fn as_end(queued: &Post, post: &Post) -> End {
    match (queued, post) {
        (Post::Attestation(_), Post::Attestation(_)) => End::Registered,
        (Post::Attestation(_), _) => End::CommitmentOnly,
        _ => End::Anchored,
    }
}
