//! Against whom a session holds: a type parameter of every program.

use super::shares::{BitShares, RingShares};

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::SemiHonest {}
    impl Sealed for super::Malicious {}
}

/// A security level. One of the three nodes may be corrupted.
pub trait Security: sealed::Sealed + Send + 'static {
    /// As plans and receipts name it.
    const NAME: &'static str;
    /// True when deviations are detected.
    const IS_MALICIOUS: bool;
    /// What a session keeps of its multiplications until they are verified.
    type Records: Records;
}

/// The corrupted node follows the protocol and looks (Araki et al., CCS 2016).
pub struct SemiHonest;

/// The corrupted node does anything; the honest ones abort before anything is opened.
pub struct Malicious;

/// A batch of products as they were computed, with all that its three proofs need.
///
/// Output `j` is the sum over `p < arity` of `x[j * arity + p] * y[j * arity + p]`; this node sent
/// `z_i = sum(x_i y_i + x_i y_{i+1} + x_{i+1} y_i) + mask_next - mask_prev` to `P_{i-1}` and received `z_{i+1}`.
pub struct RingProducts {
    /// Left factors, `outputs * arity`.
    pub x: RingShares,
    /// Right factors, `outputs * arity`.
    pub y: RingShares,
    /// Products in an output.
    pub arity: usize,
    /// `z_i` (`own`) and `z_{i+1}` (`next`), one for each output.
    pub z: RingShares,
    /// Common with `P_{i-1}`, one for each output.
    pub mask_prev: Vec<u64>,
    /// Common with `P_{i+1}`, one for each output.
    pub mask_next: Vec<u64>,
}

/// A batch of conjunctions, word by word: `z_i = x_i y_i ^ x_i y_{i+1} ^ x_{i+1} y_i ^ mask_next ^ mask_prev`.
pub struct BitProducts {
    /// Left factors.
    pub x: BitShares,
    /// Right factors, of the same shape.
    pub y: BitShares,
    /// `z_i` (`own`) and `z_{i+1}` (`next`).
    pub z: BitShares,
    /// Common with `P_{i-1}`, one for each word.
    pub mask_prev: Vec<u64>,
    /// Common with `P_{i+1}`, one for each word.
    pub mask_next: Vec<u64>,
}

/// Products that wait to be verified.
pub trait Records: Default + Send {
    /// Keeps ring products; made only when they are kept.
    fn ring(&mut self, products: impl FnOnce() -> RingProducts);
    /// Keeps conjunctions.
    fn bits(&mut self, products: impl FnOnce() -> BitProducts);
    /// Words that wait, left factors of products and conjunctions.
    fn pending_words(&self) -> usize;
    /// Takes all that waits.
    fn take(&mut self) -> Transcript;
}

/// Keeps nothing.
#[derive(Default)]
pub struct NoRecords;

impl Records for NoRecords {
    fn ring(&mut self, _: impl FnOnce() -> RingProducts) {}
    fn bits(&mut self, _: impl FnOnce() -> BitProducts) {}
    fn pending_words(&self) -> usize {
        0
    }
    fn take(&mut self) -> Transcript {
        Transcript::default()
    }
}

/// Keeps products until they are verified.
#[derive(Default)]
pub struct Transcript {
    /// Ring products, in the order in which they were computed.
    pub ring: Vec<RingProducts>,
    /// Conjunctions, in the order in which they were computed.
    pub bits: Vec<BitProducts>,
}

impl Records for Transcript {
    fn ring(&mut self, products: impl FnOnce() -> RingProducts) {
        self.ring.push(products());
    }

    fn bits(&mut self, products: impl FnOnce() -> BitProducts) {
        self.bits.push(products());
    }

    fn pending_words(&self) -> usize {
        let ring: usize = self.ring.iter().map(|record| record.x.own.len()).sum();
        ring + self.bits.iter().map(|record| record.x.own.len()).sum::<usize>()
    }

    fn take(&mut self) -> Transcript {
        core::mem::take(self)
    }
}

impl Security for SemiHonest {
    const NAME: &'static str = "semi-honest";
    const IS_MALICIOUS: bool = false;
    type Records = NoRecords;
}

impl Security for Malicious {
    const NAME: &'static str = "malicious";
    const IS_MALICIOUS: bool = true;
    type Records = Transcript;
}
