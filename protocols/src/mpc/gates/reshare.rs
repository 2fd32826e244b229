//! Resharing: each node has a term, the value is the sum of the terms, and all get replicated shares of it.
//!
//! - Parties: three. Inputs: `t_i` at `P_i`. Outputs: shares of `t_0 + t_1 + t_2`.
//! - `P_i` sends `z_i = t_i + m_{i,i+1} - m_{i-1,i}` to `P_{i-1}`, where `m` is common to the two nodes named.
//! - Adversary: one node, semi-honest; a malicious one can add an error of its choice and nothing else.
//! - Rounds: 1. Bytes: 8 for each word, from each node that has a term.
//! - Source: Araki, Furukawa, Lindell, Nof, Ohara, CCS 2016, section 2.1 (their correlated randomness).
//! - Deviation: where it is public that a node has no term (see [`Terms`]), only the masks that hide the other terms
//!   are drawn, and what a node could send but both holders know already is not sent. This is the same protocol with
//!   the other masks zero: each term that travels is still hidden from its receiver by a mask that the receiver does not know.

use super::super::error::Result;
use super::super::exchange::Route;
use super::super::group::Group;
use super::super::prss::PairStream;
use super::super::role::{Peer, Role};
use super::super::security::Security;
use super::super::session::Session;

/// Who has a term; public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Every node.
    All,
    /// This node alone.
    Only(Role),
    /// The two others.
    Without(Role),
}

/// Components after resharing, and the masks, where they are kept.
pub(crate) struct Reshared {
    pub own: Vec<u64>,
    pub next: Vec<u64>,
    /// Common with `P_{i-1}`; empty unless the session is malicious.
    pub mask_prev: Vec<u64>,
    /// Common with `P_{i+1}`; empty unless the session is malicious.
    pub mask_next: Vec<u64>,
}

/// Words that are masked at a time, within the first cache.
const BLOCK: usize = 512;

impl Terms {
    fn has(self, role: Role) -> bool {
        match self {
            Self::All => true,
            Self::Only(holder) => role == holder,
            Self::Without(absent) => role != absent,
        }
    }

    /// Whether `m_{role,role+1}` is drawn: where `role` has a term, to hide it from `role - 1`, who receives it.
    fn draws_next(self, role: Role) -> bool {
        self.has(role)
    }
}

/// A mask of which each word is used once, and kept if the session needs it later.
struct Mask {
    stream: Option<PairStream>,
    kept: Vec<u64>,
    is_kept: bool,
}

impl Mask {
    fn new(stream: Option<PairStream>, is_kept: bool, len: usize) -> Self {
        let kept = Vec::with_capacity(if is_kept { len } else { 0 });
        Self { stream, kept, is_kept }
    }

    fn apply(&mut self, block: &mut [u64], combine: impl Fn(u64, u64) -> u64) {
        let Some(stream) = &mut self.stream else {
            if self.is_kept {
                self.kept.resize(self.kept.len() + block.len(), 0);
            }
            return;
        };
        let mut words = [0; BLOCK];
        let words = &mut words[..block.len()];
        stream.fill(words);
        for (word, mask) in block.iter_mut().zip(&*words) {
            *word = combine(*word, *mask);
        }
        if self.is_kept {
            self.kept.extend_from_slice(words);
        }
    }
}

/// Reshares `len` words; `terms(start, block)` writes this node's terms from word `start` on.
pub(crate) fn reshare<S: Security, G: Group>(
    session: &mut Session<'_, S>,
    len: usize,
    whose: Terms,
    mut terms: impl FnMut(usize, &mut [u64]),
) -> Result<Reshared> {
    let role = session.role();
    let (is_sender, is_receiver) = (whose.has(role), whose.has(role.next()));
    let prev = if whose.draws_next(role.prev()) { Some(session.common(Peer::Prev)?) } else { None };
    let next = if whose.draws_next(role) { Some(session.common(Peer::Next)?) } else { None };
    let mut mask_prev = Mask::new(prev, S::IS_MALICIOUS, len);
    let mut mask_next = Mask::new(next, S::IS_MALICIOUS || !is_receiver, len);

    let mut own = vec![0; len];
    let mut z_next = vec![0; if is_receiver { len } else { 0 }];
    let route = Route { to: is_sender.then_some(Peer::Prev), from: is_receiver.then_some(Peer::Next) };
    session.exchange_filled(route, &mut own, &mut z_next, |start, frame| {
        for (k, block) in frame.chunks_mut(BLOCK).enumerate() {
            if is_sender {
                terms(start + k * BLOCK, block);
            }
            mask_next.apply(block, G::add);
            mask_prev.apply(block, G::sub);
        }
    })?;
    if !is_receiver {
        // P_{i+1} has no term, and z_{i+1} is the one mask it has in common with this node, or nothing.
        z_next = mask_next.kept.iter().map(|mask| G::sub(0, *mask)).collect();
    }
    if !S::IS_MALICIOUS {
        mask_next.kept = Vec::new();
    }
    Ok(Reshared { own, next: z_next, mask_prev: mask_prev.kept, mask_next: mask_next.kept })
}

/// `x_i y_i + x_i y_{i+1} + x_{i+1} y_i` are this node's terms of a product.
#[inline(always)]
pub(crate) fn ring_term(x: (u64, u64), y: (u64, u64)) -> u64 {
    x.0.wrapping_mul(y.0.wrapping_add(y.1)).wrapping_add(x.1.wrapping_mul(y.0))
}

/// `x_i y_i ^ x_i y_{i+1} ^ x_{i+1} y_i`, bit by bit.
#[inline(always)]
pub(crate) fn bit_term(x: (u64, u64), y: (u64, u64)) -> u64 {
    (x.0 & (y.0 ^ y.1)) ^ (x.1 & y.0)
}
