//! Pseudorandom secret sharing: each pair of nodes has a seed that the third does not know (Cramer, Damgard, Ishai,
//! TCC 2005), and expands it under the step at work.

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sha3::{Digest, Sha3_256};
use ward_math::Secret;

use super::role::Peer;
use super::step::StepId;

/// The seeds that this node has in common with each peer.
pub struct Prss {
    prev: Secret<[u8; 32]>,
    next: Secret<[u8; 32]>,
}

/// The stream that this node and one peer have in common under one step. Wiped on drop.
pub struct PairStream(ChaCha20Rng);

impl Prss {
    /// From the seeds in common with `P_{i-1}` and `P_{i+1}`.
    #[must_use]
    pub fn new(prev: Secret<[u8; 32]>, next: Secret<[u8; 32]>) -> Self {
        Self { prev, next }
    }

    /// The stream in common with `peer` under `step`. Sessions hand it out once for each step.
    pub(crate) fn stream(&self, peer: Peer, step: StepId) -> PairStream {
        let seed = match peer {
            Peer::Prev => &self.prev,
            Peer::Next => &self.next,
        };
        let mut key: [u8; 32] = Sha3_256::new()
            .chain_update(b"ward/mpc/v1/prss")
            .chain_update(seed.expose())
            .chain_update(step.0)
            .finalize()
            .into();
        let stream = PairStream(ChaCha20Rng::from_seed(key));
        zeroize::Zeroize::zeroize(&mut key);
        stream
    }
}

impl PairStream {
    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `out` with the next words.
    pub fn fill(&mut self, out: &mut [u64]) {
        let mut bytes = [0u8; 4096];
        for chunk in out.chunks_mut(512) {
            let bytes = &mut bytes[..8 * chunk.len()];
            self.0.fill_bytes(bytes);
            for (word, le) in chunk.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*le);
            }
        }
        zeroize::Zeroize::zeroize(&mut bytes);
    }

    /// `count` words.
    #[must_use]
    pub fn words(&mut self, count: usize) -> Vec<u64> {
        let mut out = vec![0; count];
        self.fill(&mut out);
        out
    }
}
