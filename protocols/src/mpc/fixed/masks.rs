//! Masks for truncation, made in advance and in bulk.
//!
//! A mask is a uniform `r` of the ring in shares, together with what opening `x + r` loses: how often the three
//! components of `r` wrap around 2^64 when they are added, and the top bit of `r`. Each component of `r` is known to
//! the two nodes that hold it; their sums are carried in bits, and only three bits are converted to numbers.
//!
//! - Parties: three. Inputs: none. Outputs: masks in shares.
//! - Adversary: one node, semi-honest, or malicious with abort (all conjunctions and products are recorded).
//! - Rounds and bytes: [`Masks::reserve`].
//! - Source: Escudero, Ghosh, Keller, Rachuri, Scholl, "Improved primitives for MPC over mixed arithmetic-binary
//!   circuits" (CRYPTO 2020), section 4: random values with their bits, as the sum of values that are each known to
//!   somebody, added by a Boolean adder.
//! - Deviation: a component is known to two nodes instead of one, whose shares of it are right by construction, so that
//!   their consistency check (cut and choose) is not needed; and only carries are converted, not 64 bits.

use crate::mpc::error::Result;
use crate::mpc::gates::adder::carry;
use crate::mpc::gates::boolean::and;
use crate::mpc::gates::convert::{Addends, addends, inject};
use crate::mpc::planes::planes_of;
use crate::mpc::role::Peer;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::{BitShares, RingShares};

/// Masks that wait to be used, each once.
pub struct Masks {
    ready: Made,
    used: usize,
    refill: usize,
}

/// Masks, value by value.
#[derive(Default)]
pub(super) struct Made {
    /// Uniform `r`.
    pub mask: RingShares,
    /// `(r_0 + r_1 + r_2 - r) / 2^64`: 0, 1 or 2.
    pub wraps: RingShares,
    /// Bit 63 of `r`.
    pub top: RingShares,
}

impl Masks {
    /// An empty store, which makes at least `refill` masks when it runs out.
    #[must_use]
    pub fn new(refill: usize) -> Self {
        Self { ready: Made::default(), used: 0, refill }
    }

    /// Masks that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.ready.mask.len() - self.used
    }

    /// Makes masks until `count` are left; nothing when there are that many.
    ///
    /// Rounds: 11. Bytes a mask, for multiples of 64 masks: 51 from `P0`, 43 from the others.
    ///
    /// # Errors
    /// When a gate fails.
    pub fn reserve<S: Security>(&mut self, session: &mut Session<'_, S>, count: usize) -> Result<()> {
        if self.left() >= count {
            return Ok(());
        }
        let made = make(&mut session.narrow("masks"), (count - self.left()).max(self.refill))?;
        let kept = self.ready.range(self.used..self.ready.mask.len());
        self.ready = Made {
            mask: RingShares::concat(&[&kept.mask, &made.mask]),
            wraps: RingShares::concat(&[&kept.wraps, &made.wraps]),
            top: RingShares::concat(&[&kept.top, &made.top]),
        };
        self.used = 0;
        Ok(())
    }

    /// Takes `count` masks, making them first if need be.
    pub(super) fn take<S: Security>(&mut self, session: &mut Session<'_, S>, count: usize) -> Result<Made> {
        self.reserve(session, count)?;
        self.used += count;
        Ok(self.ready.range(self.used - count..self.used))
    }
}

impl Made {
    fn range(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            mask: self.mask.range(range.clone()),
            wraps: self.wraps.range(range.clone()),
            top: self.top.range(range),
        }
    }
}

fn make<S: Security>(session: &mut Session<'_, S>, count: usize) -> Result<Made> {
    // Step 1. Both holders of a component draw it.
    let mut draw = session.narrow("draw");
    let own = draw.common(Peer::Prev)?.words(count);
    let next = draw.common(Peer::Next)?.words(count);
    let mask = RingShares { own: own.into(), next: next.into() };

    // Step 2. r = a + b modulo 2^64 with a = r_0 + r_1 and b = r_2, in bits.
    let Addends { a, b } = addends(&mut session.narrow("addends"), &mask, 64)?;
    let into_top = carry(&mut session.narrow("carry"), &a.planes(0..63), &b.planes(0..63))?;

    // Step 3. The carries out of r_0 + r_1 and of a + b: of three top bits x, y, c it is (x ^ c)(y ^ c) ^ c.
    let top_of = |x: &BitShares| x.planes(63..64);
    let (x0, x1) = (top_component(session, &mask, 0), top_component(session, &mask, 1));
    let into_first = top_of(&a).xor(&x0)?.xor(&x1)?;
    let x = BitShares::concat(&[&x0.xor(&into_first)?, &top_of(&a).xor(&into_top)?])?;
    let y = BitShares::concat(&[&x1.xor(&into_first)?, &top_of(&b).xor(&into_top)?])?;
    let both = and(&mut session.narrow("out"), &x, &y)?;
    let out = both.xor(&BitShares::concat(&[&into_first, &into_top])?)?;
    let top = top_of(&a).xor(&top_of(&b))?.xor(&into_top)?;

    // Step 4. Three bits become numbers.
    let numbers = inject(&mut session.narrow("inject"), &BitShares::concat(&[&out, &top])?)?;
    let [first, second, top] = [0, 1, 2].map(|k| numbers.range(k * count..(k + 1) * count));
    Ok(Made { mask, wraps: first.add(&second)?, top })
}

/// Bit 63 of component `k` of each value: shared as it is.
fn top_component<S: Security>(session: &Session<'_, S>, x: &RingShares, k: usize) -> BitShares {
    let part = x.component(session.role(), k);
    let top = |words: &[u64]| planes_of(&words.iter().map(|word| word >> 63).collect::<Vec<_>>(), 1);
    BitShares { width: 1, len: x.len(), own: top(&part.own).into(), next: top(&part.next).into() }
}
