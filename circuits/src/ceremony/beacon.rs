//! The beacon: the last contribution of a phase, from a public value that nobody could know before.
//!
//! Source: Bowe, Gabizon, Miers, "Scalable Multi-party Computation for zk-SNARK Parameters in the Random Beacon
//! Model" (eprint 2017/1050). The security of the keys does not rest on it: Kohlweiss, Maller,
//! Siim, Volkhov, "Snarky Ceremonies" (eprint 2021/219), prove it without. It settles that the last person to
//! contribute had no choice of the outcome.

use ward_math::codec::{Reader, Writer};

use super::coins::{Entropy, iterate};
use super::error::{Error, Result};
use super::progress::Progress;
use super::transcript::Hasher;

/// A public value, and how often it is hashed so that nobody who could bend the value had time to see what it
/// leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beacon {
    value: Vec<u8>,
    iterations_log2: u8,
}

impl Beacon {
    /// Iterations of a beacon at most, as a power of two: about two minutes.
    pub const ITERATIONS_LOG2_MAX: u8 = 30;

    /// `value`: 16 to 1024 bytes announced beforehand by where and when they will be published (a round of a
    /// randomness beacon, the hash of a block). `2^iterations_log2` hashes.
    ///
    /// # Errors
    /// [`Error::BeaconLength`], [`Error::BeaconIterations`].
    pub fn new(value: &[u8], iterations_log2: u8) -> Result<Self> {
        if !(16..=1024).contains(&value.len()) {
            return Err(Error::BeaconLength(value.len()));
        }
        if iterations_log2 > Self::ITERATIONS_LOG2_MAX {
            return Err(Error::BeaconIterations(iterations_log2));
        }
        Ok(Self { value: value.to_vec(), iterations_log2 })
    }

    /// The public value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Logarithm of the number of hashes.
    #[must_use]
    pub fn iterations_log2(&self) -> u8 {
        self.iterations_log2
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u8(self.iterations_log2);
        writer.u32(self.value.len() as u32); // at most 1024
        writer.bytes(&self.value);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let iterations_log2 = reader.u8()?;
        let len = reader.count(1024)?;
        Self::new(reader.bytes(len)?, iterations_log2)
    }

    /// Work of [`Beacon::entropy`] in units of progress.
    pub(crate) const WORK: usize = 128;

    /// What the factors are derived from: the value behind `head`, hashed `2^iterations_log2` times.
    pub(crate) fn entropy(&self, head: &[u8; 32], progress: &Progress<'_>) -> Entropy {
        let seed =
            Hasher::new("beacon").field(head).field(&[self.iterations_log2]).field(&self.value).finish();
        Entropy::public(iterate(seed, self.iterations_log2, |units| progress.add(units)))
    }
}
