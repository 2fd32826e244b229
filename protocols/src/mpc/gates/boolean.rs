//! Gates on bitsliced bits. Exclusive or and negation are local (see [`BitShares`]); a conjunction is a product.
//!
//! - Parties: three. Inputs and outputs: shares of bits, 64 to a word.
//! - Adversary: one node. Semi-honest: as it stands. Malicious: conjunctions are recorded, and verified before anything
//!   is opened.
//! - Rounds: 1. Bytes: 8 a node for each word of 64 conjunctions.
//! - Source: Araki, Furukawa, Lindell, Nof, Ohara, CCS 2016, section 2.2, modulo 2; with verification in place of their
//!   semi-honest setting as in Furukawa, Lindell, Nof, Weinstein, Eurocrypt 2017, but by other means.

use super::super::error::Result;
use super::super::group::Xor;
use super::super::security::{BitProducts, Records, Security};
use super::super::session::Session;
use super::super::shares::BitShares;
use super::super::verify;
use super::multiply::expect_len;
use super::reshare::{Terms, bit_term, reshare};

/// `x & y`.
///
/// # Errors
/// When the shapes differ; when the channel fails.
pub fn and<S: Security>(session: &mut Session<'_, S>, x: &BitShares, y: &BitShares) -> Result<BitShares> {
    expect_len("widths", x.width, y.width)?;
    expect_len("bits", x.len, y.len)?;
    let z = reshare::<S, Xor>(session, x.own.len(), Terms::All, |start, block| {
        let range = start..start + block.len();
        let (xs, ys) =
            ((&x.own[range.clone()], &x.next[range.clone()]), (&y.own[range.clone()], &y.next[range]));
        for (k, out) in block.iter_mut().enumerate() {
            *out = bit_term((xs.0[k], xs.1[k]), (ys.0[k], ys.1[k]));
        }
    })?;
    let out = BitShares { width: x.width, len: x.len, own: z.own.into(), next: z.next.into() };
    session.records().bits(|| BitProducts {
        x: x.clone(),
        y: y.clone(),
        z: out.clone(),
        mask_prev: z.mask_prev,
        mask_next: z.mask_next,
    });
    verify::flush_if_full(&mut session.narrow("verify"))?;
    Ok(out)
}

/// `x | y`.
///
/// # Errors
/// When the shapes differ; when the channel fails.
pub fn or<S: Security>(session: &mut Session<'_, S>, x: &BitShares, y: &BitShares) -> Result<BitShares> {
    let role = session.role();
    Ok(and(session, &x.not(role), &y.not(role))?.not(role))
}

/// The conjunction of all `width` bits of a value: one bit each.
///
/// Rounds: `ceil(log2(width))`. Conjunctions: `width - 1` a value.
///
/// # Errors
/// When the channel fails.
pub fn all_of<S: Security>(session: &mut Session<'_, S>, x: &BitShares) -> Result<BitShares> {
    let mut left = x.clone();
    if left.width == 0 {
        return Ok(BitShares::zeros(1, x.len).not(session.role()));
    }
    for level in 0.. {
        let half = left.width / 2;
        if half == 0 {
            break;
        }
        let product =
            and(&mut session.narrow_at("all", level), &left.planes(0..half), &left.planes(half..2 * half))?;
        left = BitShares::concat(&[&product, &left.planes(2 * half..left.width)])?;
    }
    Ok(left)
}

/// Plane `b` of the output says whether one of the planes `0..=b` is set.
///
/// Rounds: `ceil(log2(width))`. Conjunctions: about `width / 2` a round.
///
/// # Errors
/// When the channel fails.
pub fn prefix_or<S: Security>(session: &mut Session<'_, S>, x: &BitShares) -> Result<BitShares> {
    let mut out = x.clone();
    let mut span = 1;
    while span < x.width {
        let uppers: Vec<usize> = (0..x.width).filter(|b| b & span != 0).collect();
        let lowers: Vec<usize> = uppers.iter().map(|b| (b & !(span - 1)) - 1).collect();
        let (upper, lower) = (out.pick(&uppers), out.pick(&lowers));
        out.put(&uppers, &or(&mut session.narrow_at("or", span), &upper, &lower)?)?;
        span *= 2;
    }
    Ok(out)
}
