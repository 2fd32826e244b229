//! A session: all that a protocol can touch.

use std::collections::HashSet;

use rand_core::CryptoRng;
use sha3::{Digest, Sha3_256};
use ward_math::Secret;

use super::channel::Channel;
use super::counters::Counters;
use super::error::{MpcError, Result};
use super::prss::{PairStream, Prss};
use super::role::{Peer, Role};
use super::security::Security;
use super::step::{Step, StepId};

/// A node in one run of one program: it owns what its sessions share.
pub struct Party<S: Security> {
    role: Role,
    pub(super) channel: Box<dyn Channel>,
    prss: Prss,
    pub(super) counters: Counters,
    records: S::Records,
    pub(super) sent: HashSet<(StepId, Peer)>,
    drawn: HashSet<(StepId, Peer)>,
}

/// What a protocol gets: role, step, channel, common randomness, counters.
pub struct Session<'a, S: Security> {
    pub(super) party: &'a mut Party<S>,
    pub(super) step: Step,
}

impl<S: Security> Party<S> {
    /// Meets the other nodes: each pair agrees on a seed to which both gave 32 bytes. `context` is the same at all
    /// three (job, attempt, program, roles) and is bound into the seeds.
    ///
    /// Rounds: 1. Bytes sent: 64.
    ///
    /// # Errors
    /// When the channel fails.
    ///
    /// # Security
    /// The channel is confidential: a seed is known to its pair alone. A fresh `rng` for every attempt.
    pub fn meet<R: CryptoRng + ?Sized>(
        role: Role,
        mut channel: Box<dyn Channel>,
        context: &[u8],
        rng: &mut R,
    ) -> Result<Self> {
        let step = Step::root().narrow("meet");
        let failed = |error| MpcError::Channel { step: step.path().to_owned(), error };
        let mut given = [Secret::new([0u8; 32]), Secret::new([0u8; 32])];
        for (peer, seed) in [Peer::Prev, Peer::Next].into_iter().zip(&mut given) {
            rng.fill_bytes(seed.expose_mut());
            channel.send(role.peer(peer), step.id(), seed.expose().to_vec()).map_err(failed)?;
        }
        let [given_prev, given_next] = given;
        let got_next = channel.receive(role.next(), step.id(), 32).map_err(failed)?;
        let got_prev = channel.receive(role.prev(), step.id(), 32).map_err(failed)?;
        let seed = |lower: &[u8], upper: &[u8]| {
            let digest = Sha3_256::new()
                .chain_update(b"ward/mpc/v1/meet")
                .chain_update((context.len() as u64).to_le_bytes())
                .chain_update(context)
                .chain_update(lower)
                .chain_update(upper);
            Secret::new(digest.finalize().into())
        };
        // The seed of the pair (i, i + 1) is hashed in that order by both.
        let prev = seed(&got_prev, given_prev.expose());
        let next = seed(given_next.expose(), &got_next);
        let mut counters = Counters::default();
        counters.sent(step.path(), 32);
        counters.sent(step.path(), 32);
        counters.waited(step.path());
        Ok(Self {
            role,
            channel,
            prss: Prss::new(prev, next),
            counters,
            records: S::Records::default(),
            sent: HashSet::new(),
            drawn: HashSet::new(),
        })
    }

    /// The root session. A program runs once for each party.
    pub fn session(&mut self) -> Session<'_, S> {
        Session { party: self, step: Step::root() }
    }

    /// What the session has cost so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl<S: Security> Session<'_, S> {
    /// This node.
    #[must_use]
    pub fn role(&self) -> Role {
        self.party.role
    }

    /// The step at work.
    #[must_use]
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// What the session has cost so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.party.counters
    }

    /// A session for a part of this step.
    pub fn narrow(&mut self, name: &str) -> Session<'_, S> {
        Session { step: self.step.narrow(name), party: self.party }
    }

    /// A session for a numbered part of this step.
    pub fn narrow_at(&mut self, name: &str, index: usize) -> Session<'_, S> {
        Session { step: self.step.narrow_at(name, index), party: self.party }
    }

    /// The stream in common with a peer under this step; each is handed out once.
    ///
    /// # Errors
    /// When the step has drawn it before.
    pub fn common(&mut self, peer: Peer) -> Result<PairStream> {
        if !self.party.drawn.insert((self.step.id(), peer)) {
            return Err(MpcError::StepReused(self.step.path().to_owned()));
        }
        Ok(self.party.prss.stream(peer, self.step.id()))
    }

    /// Products that wait to be verified.
    pub fn records(&mut self) -> &mut S::Records {
        &mut self.party.records
    }

    /// The error of a check that failed in this step.
    #[must_use]
    pub fn check_failed(&self, peer: Option<Role>, what: &'static str) -> MpcError {
        MpcError::Check { step: self.step.path().to_owned(), peer, what }
    }

    pub(super) fn failed(&self, error: super::channel::ChannelError) -> MpcError {
        MpcError::Channel { step: self.step.path().to_owned(), error }
    }
}
