//! Pseudorandom secret sharing: each pair of nodes has a seed that the third does not know (Cramer, Damgard, Ishai,
//! TCC 2005), and expands it under the step at work.

use chacha20::variants::Legacy;
use chacha20::{ChaChaCore, R20};
use rand_core::SeedableRng;
use rand_core::block::Generator;
use sha3::{Digest, Sha3_256};
use ward_math::Secret;

use super::role::Peer;
use super::step::StepId;

/// The seeds that this node has in common with each peer.
pub struct Prss {
    prev: Secret<[u8; 32]>,
    next: Secret<[u8; 32]>,
}

/// The stream that this node and one peer have in common under one step: ChaCha20, nonce zero, by four blocks, of which
/// what is left is wiped on drop.
pub struct PairStream {
    core: ChaChaCore<R20, Legacy>,
    blocks: [u32; BLOCKS_WORDS],
    used: usize,
}

/// 32-bit words that the generator gives at a time.
const BLOCKS_WORDS: usize = 64;

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
        let core = ChaChaCore::from_seed(key);
        let stream = PairStream { core, blocks: [0; BLOCKS_WORDS], used: BLOCKS_WORDS };
        zeroize::Zeroize::zeroize(&mut key);
        stream
    }
}

impl PairStream {
    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        if self.used == BLOCKS_WORDS {
            self.core.generate(&mut self.blocks);
            self.used = 0;
        }
        let word = join(&self.blocks[self.used..self.used + 2]);
        self.used += 2;
        word
    }

    /// Fills `out` with the next words.
    pub fn fill(&mut self, out: &mut [u64]) {
        let started = ((BLOCKS_WORDS - self.used) / 2).min(out.len());
        let (first, rest) = out.split_at_mut(started);
        first.iter_mut().for_each(|word| *word = self.word());
        let (whole, last) = rest.as_chunks_mut::<{ BLOCKS_WORDS / 2 }>();
        for words in whole {
            self.core.generate(&mut self.blocks);
            for (word, halves) in words.iter_mut().zip(self.blocks.as_chunks::<2>().0) {
                *word = join(halves);
            }
        }
        last.iter_mut().for_each(|word| *word = self.word());
    }

    /// `count` words.
    #[must_use]
    pub fn words(&mut self, count: usize) -> Vec<u64> {
        let mut out = vec![0; count];
        self.fill(&mut out);
        out
    }
}

/// The lower half comes first.
#[inline(always)]
fn join(halves: &[u32]) -> u64 {
    u64::from(halves[0]) | (u64::from(halves[1]) << 32)
}

impl Drop for PairStream {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.blocks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mpc::step::Step;
    use chacha20::ChaCha20Rng;
    use rand_core::Rng;

    fn stream() -> PairStream {
        let prss = Prss::new(Secret::new([1; 32]), Secret::new([2; 32]));
        prss.stream(Peer::Next, Step::root().id())
    }

    /// The stream is ChaCha20 under a hash of domain, seed and step: a change would break peers of another version.
    #[test]
    fn the_stream_is_chacha20_of_its_key() {
        let key = Sha3_256::new()
            .chain_update(b"ward/mpc/v1/prss")
            .chain_update([2; 32])
            .chain_update(Step::root().id().0)
            .finalize();
        let mut reference = ChaCha20Rng::from_seed(key.into());
        let expected: Vec<u64> = (0..200).map(|_| reference.next_u64()).collect();
        assert_eq!(stream().words(200), expected);
    }

    #[test]
    fn words_come_in_the_same_order_in_any_portions() {
        let expected = stream().words(500);
        for portions in [vec![1, 2, 3, 30, 31, 32, 33, 64, 65, 100, 0, 139], vec![500], vec![1; 500]] {
            let mut stream = stream();
            let got: Vec<u64> = portions.iter().flat_map(|count| stream.words(*count)).collect();
            assert_eq!(got, expected);
        }
        let mut stream = stream();
        assert!(expected.iter().all(|word| stream.word() == *word));
    }
}
