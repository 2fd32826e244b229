//! The test world: the three nodes of a session in one process, on a thread each, with queues in memory.
//!
//! All randomness comes from one seed, which a panic of a node names. A [`Tamper`] changes one message of one node on its
//! way, as a corrupted node or a broken network would, and there may be several; [`Outcome`] tells what each node ended with, what it cost and
//! what crossed the wire. Not for use outside of tests and benches: the seed is known.

mod channel;
mod tamper;

use std::sync::{Arc, Mutex};
use std::thread;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::mpc::counters::Counters;
use crate::mpc::shares::{BitShares, RingShares};
use crate::mpc::{Party, Result, Role, Security, Session};

pub use channel::Crossing;
pub use tamper::{At, Change, Rewrite, Tamper};

/// Three nodes that are to run a program.
pub struct World {
    seed: u64,
    tampers: Vec<Tamper>,
    records_transcript: bool,
}

/// What became of a run, by role.
pub struct Outcome<T> {
    /// What each node ended with.
    pub results: [Result<T>; 3],
    /// What each node's session cost; of a node that never met the others, nothing.
    pub counters: [Counters; 3],
    /// What crossed the wire, in the order of each sender, if asked for.
    pub transcript: Vec<Crossing>,
    /// True when there was tampering, and all of it found its message.
    pub is_tampered: bool,
}

impl World {
    /// A world of which `seed` decides all randomness.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, tampers: Vec::new(), records_transcript: false }
    }

    /// Changes a message on its way, besides those that are changed already.
    #[must_use]
    pub fn tampering(mut self, tamper: Tamper) -> Self {
        self.tampers.push(tamper);
        self
    }

    /// Keeps what crosses the wire.
    #[must_use]
    pub fn with_transcript(mut self) -> Self {
        self.records_transcript = true;
        self
    }

    /// A generator of the seed, apart from those of the nodes: for a test's own inputs and shares.
    #[must_use]
    pub fn rng(&self) -> ChaCha20Rng {
        self.node_rng(3)
    }

    /// Runs `program` at the three nodes. A node's failure closes its channel, which ends the others.
    ///
    /// # Panics
    /// When the program panics at a node; the message names the seed.
    pub fn run<S: Security, I: Send, T: Send>(
        &self,
        inputs: [I; 3],
        program: impl Fn(&mut Session<'_, S>, I) -> Result<T> + Sync,
    ) -> Outcome<T> {
        let log = Arc::new(channel::Log::new(self.records_transcript));
        let armed: Vec<_> = self.tampers.iter().cloned().map(tamper::Armed::new).collect();
        let armed = Arc::new(Mutex::new(armed));
        let channels = channel::connect(&log, &armed);
        let program = &program;
        let ended = thread::scope(|scope| {
            let nodes: Vec<_> = Role::ALL
                .into_iter()
                .zip(inputs)
                .zip(channels)
                .map(|((role, input), channel)| {
                    let mut rng = self.node_rng(role.index() as u64);
                    scope.spawn(move || {
                        let mut party = match Party::<S>::meet(role, Box::new(channel), b"sim", &mut rng) {
                            Ok(party) => party,
                            Err(error) => return (Err(error), Counters::default()),
                        };
                        let result = program(&mut party.session(), input);
                        (result, party.counters().clone())
                    })
                })
                .collect();
            nodes.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        let [p0, p1, p2] =
            <[_; 3]>::try_from(ended).unwrap_or_else(|_| unreachable!("three nodes were started"));
        let [(r0, c0), (r1, c1), (r2, c2)] =
            [p0, p1, p2].map(|end| end.unwrap_or_else(|panic| self.panicked(&*panic)));
        Outcome {
            results: [r0, r1, r2],
            counters: [c0, c1, c2],
            transcript: log.take(),
            is_tampered: armed
                .lock()
                .is_ok_and(|armed| !armed.is_empty() && armed.iter().all(tamper::Armed::is_done)),
        }
    }

    fn panicked(&self, panic: &(dyn std::any::Any + Send)) -> ! {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        panic!("a node panicked in the world of seed {}: {text}", self.seed)
    }

    fn node_rng(&self, node: u64) -> ChaCha20Rng {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&node.to_le_bytes());
        ChaCha20Rng::from_seed(seed)
    }
}

impl<T> Outcome<T> {
    /// The results of a run that has to succeed.
    ///
    /// # Panics
    /// When a node failed.
    #[must_use]
    pub fn all(self) -> [T; 3] {
        self.results.map(|result| match result {
            Ok(value) => value,
            Err(error) => panic!("a node failed: {error}"),
        })
    }
}

/// Shares of `values`, from uniform components.
pub fn share_ring(values: &[u64], rng: &mut ChaCha20Rng) -> [RingShares; 3] {
    let [x0, x1] = [0; 2].map(|_| uniform(values.len(), rng));
    let x2 = values.iter().zip(&x0).zip(&x1).map(|((v, a), b)| v.wrapping_sub(*a).wrapping_sub(*b)).collect();
    replicate([x0, x1, x2]).map(|(own, next)| RingShares { own: own.into(), next: next.into() })
}

/// Shares of the low `width` bits of `values`.
pub fn share_bits(values: &[u64], width: usize, rng: &mut ChaCha20Rng) -> [BitShares; 3] {
    let planes = planes_of(values, width);
    let [x0, x1] = [0; 2].map(|_| uniform(planes.len(), rng));
    let x2 = planes.iter().zip(&x0).zip(&x1).map(|((v, a), b)| v ^ a ^ b).collect();
    replicate([x0, x1, x2]).map(|(own, next)| BitShares {
        width,
        len: values.len(),
        own: own.into(),
        next: next.into(),
    })
}

/// The values of three nodes' shares.
///
/// # Panics
/// When two nodes disagree on a component that both hold.
#[must_use]
pub fn reconstruct_ring(shares: &[RingShares; 3]) -> Vec<u64> {
    for role in Role::ALL {
        assert_eq!(
            *shares[role.index()].next,
            *shares[role.next().index()].own,
            "component {}",
            role.next().index()
        );
    }
    let sum = |k: usize| shares.iter().fold(0u64, |sum, share| sum.wrapping_add(share.own[k]));
    (0..shares[0].len()).map(sum).collect()
}

/// The values of three nodes' bit shares.
///
/// # Panics
/// When two nodes disagree on a component that both hold; when values are wider than 64 bits.
#[must_use]
pub fn reconstruct_bits(shares: &[BitShares; 3]) -> Vec<u64> {
    let BitShares { width, len, .. } = shares[0];
    assert!(width <= 64, "values of {width} bits");
    for role in Role::ALL {
        assert_eq!(
            *shares[role.index()].next,
            *shares[role.next().index()].own,
            "component {}",
            role.next().index()
        );
    }
    let words = shares[0].words();
    let bit = |b: usize, j: usize| {
        let word = shares.iter().fold(0, |word, share| word ^ share.own[b * words + j / 64]);
        (word >> (j % 64)) & 1
    };
    (0..len).map(|j| (0..width).fold(0, |value, b| value | (bit(b, j) << b))).collect()
}

fn planes_of(values: &[u64], width: usize) -> Vec<u64> {
    let words = values.len().div_ceil(64);
    let mut planes = vec![0; width * words];
    for (j, value) in values.iter().enumerate() {
        for b in (0..width).filter(|b| *b < 64 && (value >> b) & 1 == 1) {
            planes[b * words + j / 64] |= 1 << (j % 64);
        }
    }
    planes
}

fn uniform(count: usize, rng: &mut ChaCha20Rng) -> Vec<u64> {
    (0..count).map(|_| rand_core::Rng::next_u64(rng)).collect()
}

fn replicate<T: Clone>(components: [T; 3]) -> [(T, T); 3] {
    let [a, b, c] = components;
    [(a.clone(), b.clone()), (b, c.clone()), (c, a)]
}

#[cfg(test)]
mod tests;
