//! Truncation: a shared integer divided by a power of two, and products of fixed-point numbers.
//!
//! - Parties: three. Inputs: shares of `x` with `-2^62 <= x < 2^62`. Outputs: shares of `y`.
//! - Error: `|y - x / 2^d| <= 2` always, without a probability of failure; it is a sum of four roundings, each
//!   uniform in [-1/2, 1/2], so its standard deviation is 0.58. [`truncate_exactly`] gives the floor.
//! - `x + r` is opened, `r` a uniform mask: uniform whatever `x` is. With `c = x + 2^62 + r mod 2^64` the wraps around
//!   2^64 are those of the mask's components and one more exactly when `r >= 2^63 > c`, because `x + 2^62 < 2^63`.
//!   So the quotient is linear in what the mask carries along: no comparison.
//! - Adversary: one node, semi-honest, or malicious with abort. What is opened is masked; an error in the mask's carries
//!   is found when its conjunctions and products are verified.
//! - Rounds: 1, and 11 once for a batch of masks. Bytes: 8 a value, and those of a mask.
//! - Source: Dalskov, Escudero, Keller, "Fantastic Four" (USENIX Security 2021), section 4.3 (probabilistic truncation
//!   with one bit of slack, by the top bits of the opened value and of the mask); Mohassel and Rindal (CCS 2018),
//!   section 5.1.2, for opening under a truncated mask.
//! - Deviation: the mask's low carries are not computed; the components are rounded one by one, which costs one unit
//!   more of error and saves the adder its lower outputs.

use crate::mpc::error::{MpcError, Result};
use crate::mpc::gates::compare::is_negative;
use crate::mpc::gates::convert::inject;
use crate::mpc::gates::multiply::multiply;
use crate::mpc::gates::open::open_masked;
use crate::mpc::role::Role;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::masks::Masks;

/// `x / 2^bits`, off by at most 2.
///
/// # Errors
/// When `bits` is over 62; when a gate fails.
pub fn truncate<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    x: &RingShares,
    bits: u32,
) -> Result<RingShares> {
    truncate_each(session, masks, x, &vec![bits; x.len()])
}

/// `x[j] / 2^bits[j]`, off by at most 2.
///
/// # Errors
/// When there are not as many `bits` as values; when one of them is over 62; when a gate fails.
pub fn truncate_each<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    x: &RingShares,
    bits: &[u32],
) -> Result<RingShares> {
    if bits.len() != x.len() {
        return Err(MpcError::Lengths { what: "values and shifts", left: x.len(), right: bits.len() });
    }
    if let Some(found) = bits.iter().find(|d| **d > 62) {
        return Err(MpcError::Parameter {
            what: "a shift",
            found: u64::from(*found),
            expected: "at most 62",
        });
    }
    if x.is_empty() {
        return Ok(RingShares::zeros(0));
    }
    // Step 1. c = x + 2^62 + r.
    let made = masks.take(session, x.len())?;
    let role = session.role();
    let masked = x.add(&made.mask)?.add_public(role, 1 << 62);
    let c = open_masked(&mut session.narrow("open"), &masked)?;

    // Step 2. y = c / 2^d - sum of r_i / 2^d + 2^(64 - d) (wraps + [r >= 2^63 > c]) - 2^(62 - d).
    let (mut own, mut next) = (Vec::with_capacity(x.len()), Vec::with_capacity(x.len()));
    for (j, (c, d)) in c.iter().zip(bits).enumerate() {
        let known = rounded(*c, *d).wrapping_sub(1 << (62 - d));
        let [at_own, at_next] = match role {
            Role::P0 => [known, 0],
            Role::P1 => [0, 0],
            Role::P2 => [0, known],
        };
        let is_low = (c >> 63) ^ 1;
        let part = |mask: u64, wraps: u64, top: u64| {
            let wraps = wraps.wrapping_add(top.wrapping_mul(is_low));
            wraps.checked_shl(64 - d).unwrap_or(0).wrapping_sub(rounded(mask, *d))
        };
        own.push(part(made.mask.own[j], made.wraps.own[j], made.top.own[j]).wrapping_add(at_own));
        next.push(part(made.mask.next[j], made.wraps.next[j], made.top.next[j]).wrapping_add(at_next));
    }
    Ok(RingShares { own: own.into(), next: next.into() })
}

/// `floor(x / 2^bits)`, exactly: the remainder of the near quotient is compared with four multiples.
///
/// Rounds: those of [`truncate`] and of one comparison. Bytes: those of [`truncate`] and of four comparisons.
///
/// # Errors
/// When `bits` is over 59, or `x` not below 2^62 in magnitude; when a gate fails.
pub fn truncate_exactly<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    x: &RingShares,
    bits: u32,
) -> Result<RingShares> {
    if bits > 59 {
        return Err(MpcError::Parameter { what: "a shift", found: u64::from(bits), expected: "at most 59" });
    }
    let near = truncate(&mut session.narrow("near"), masks, x, bits)?;
    // x - 2^bits (near - 2) is in [0, 5 * 2^bits): the floor is near - 2 plus how many of 1..4 multiples it reaches.
    let role = session.role();
    let base = near.add_public(role, 2u64.wrapping_neg());
    let rest = x.sub(&base.scale(1 << bits))?;
    let columns: Vec<RingShares> =
        (1..=4u64).map(|k| rest.add_public(role, (k << bits).wrapping_neg())).collect();
    let columns = RingShares::concat(&columns.iter().collect::<Vec<_>>());
    let below = is_negative(&mut session.narrow("rest"), &columns, bits as usize + 4)?;
    let below = inject(&mut session.narrow("below"), &below)?;
    let mut out = base.add_public(role, 4);
    for k in 0..4 {
        out = out.sub(&below.range(k * x.len()..(k + 1) * x.len()))?;
    }
    Ok(out)
}

/// `x * y / 2^bits`, off by at most 2, where the product is below 2^62 in magnitude.
///
/// Rounds: 2. Bytes: 16 a value, and those of a mask.
///
/// # Errors
/// As [`truncate`].
pub fn multiply_scaled<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    (x, y): (&RingShares, &RingShares),
    bits: u32,
) -> Result<RingShares> {
    let product = multiply(&mut session.narrow("product"), x, y)?;
    truncate(&mut session.narrow("truncate"), masks, &product, bits)
}

/// `value / 2^bits` to the nearest integer, halves up.
fn rounded(value: u64, bits: u32) -> u64 {
    match bits {
        0 => value,
        _ => (value >> bits) + ((value >> (bits - 1)) & 1),
    }
}
