//! Randomness of tests: everything from one printed seed.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

/// A generator from a seed.
pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}
