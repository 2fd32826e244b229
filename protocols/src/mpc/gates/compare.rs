//! Comparison.
//!
//! - Parties: three. Inputs: shares of integers whose width is public. Outputs: a shared bit each, of a width of one;
//!   [`super::convert::inject`] makes a ring value of it (8 bytes, 2 rounds more).
//! - Adversary: as the gates that these are made of.
//! - [`is_negative`] and [`is_less`] at width `w`: 1 round and `w - 1` bits from `P0` ([`super::convert::addends`]), then
//!   the carry into the top bit ([`super::adder::carry`] of `w - 1` bits). For `w = 64`: 8 rounds, 27 bytes from `P0`,
//!   19 from the others.
//! - [`is_zero`] and [`is_equal`] at width `w`: 1 round and `w - 1` bits from `P0`, then `w - 1` conjunctions in `ceil(log2 w)`
//!   rounds. For `w = 64`: 7 rounds, 15.75 bytes from `P0`, 7.9 from the others.
//! - [`bits_less`]: the carry of `w` bits.
//! - Source: sign of a difference by a carry, Mohassel and Rindal, CCS 2018, section 5.3; `A = -B` for zero, folklore.

use super::super::error::{MpcError, Result};
use super::super::planes::planes_of;
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};
use super::adder::carry;
use super::boolean::all_of;
use super::convert::{Addends, addends};

/// Whether `x`, an integer in `-2^(width-1) .. 2^(width-1)`, is negative.
///
/// # Errors
/// When `width` is not in `1..=64`; when the channel fails.
pub fn is_negative<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    width: usize,
) -> Result<BitShares> {
    let Addends { a, b } = addends(&mut session.narrow("addends"), x, width)?;
    let low = 0..width - 1;
    let carried = carry(&mut session.narrow("carry"), &a.planes(low.clone()), &b.planes(low))?;
    let top = width - 1..width;
    a.planes(top.clone()).xor(&b.planes(top))?.xor(&carried)
}

/// Whether `x < y`, where `|x - y| < 2^(width-1)`: two values of `w` bits compare at width `w + 1`.
///
/// # Errors
/// When the lengths differ; when `width` is not in `1..=64`; when the channel fails.
pub fn is_less<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    y: &RingShares,
    width: usize,
) -> Result<BitShares> {
    is_negative(session, &x.sub(y)?, width)
}

/// Whether `x`, an integer in `-2^(width-1) .. 2^width`, is zero: whether its low `width` bits are.
///
/// # Errors
/// When `width` is not in `1..=64`; when the channel fails.
pub fn is_zero<S: Security>(session: &mut Session<'_, S>, x: &RingShares, width: usize) -> Result<BitShares> {
    let role = session.role();
    let a = addends(&mut session.narrow("addends"), x, width)?.a;
    // x = A + x_2 is zero where A is -x_2, bit by bit.
    let minus = x.component(role, 2).neg();
    let (own, next) = (planes_of(&minus.own, width), planes_of(&minus.next, width));
    let minus = BitShares { width, len: x.len(), own: own.into(), next: next.into() };
    all_of(&mut session.narrow("all"), &a.xor(&minus)?.not(role))
}

/// Whether `x = y`, at the width of their difference.
///
/// # Errors
/// When the lengths differ; when `width` is not in `1..=64`; when the channel fails.
pub fn is_equal<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    y: &RingShares,
    width: usize,
) -> Result<BitShares> {
    is_zero(session, &x.sub(y)?, width)
}

/// Whether `x < y`, both unsigned, in shared bits.
///
/// # Errors
/// When the shapes differ; when the channel fails.
pub fn bits_less<S: Security>(
    session: &mut Session<'_, S>,
    x: &BitShares,
    y: &BitShares,
) -> Result<BitShares> {
    // 2^w - 1 - x + y carries where y > x.
    let role = session.role();
    carry(session, &x.not(role), y)
}

/// Whether `x = y`, in shared bits.
///
/// # Errors
/// When the shapes differ; when the channel fails.
pub fn bits_equal<S: Security>(
    session: &mut Session<'_, S>,
    x: &BitShares,
    y: &BitShares,
) -> Result<BitShares> {
    if x.width == 0 {
        return Err(MpcError::Parameter { what: "width", found: 0, expected: "at least 1 bit" });
    }
    let role = session.role();
    all_of(session, &x.xor(y)?.not(role))
}
