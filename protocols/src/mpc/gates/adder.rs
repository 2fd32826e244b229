//! Addition of shared bits.
//!
//! - Parties: three. Inputs: bits of `a` and `b`, `n` planes each. Outputs: shared bits.
//! - Adversary: as [`super::boolean`], of which these are circuits.
//! - [`carry`], the carry out of the top: blocks of two bits, then a tree. Rounds: `1 + ceil(log2 n)` from 2 bits on, 1 for one bit.
//!   Conjunctions: 3 for each pair of bits but the lowest, which needs 2, 1 for an odd bit; 2 for each node of the tree above,
//!   but 1 in the lowest of each level: for `n = 63`, 150.
//! - [`sum`], all bits: Sklansky's prefix tree. Rounds: `1 + ceil(log2(n - 1))`. For `n = 64`, 373 conjunctions.
//! - Source: carry of a block as in Harris, "A taxonomy of parallel prefix networks" (2003); the one-conjunction full adder
//!   `c' = c ^ (a ^ c)(b ^ c)` of Boyar, Peralta, Pochuev (2000).

use super::super::error::Result;
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::BitShares;
use super::boolean::and;
use super::multiply::expect_len;

/// The carry out of `a + b`: one bit each; zero for a width of zero.
///
/// # Errors
/// When the shapes differ; when the channel fails.
pub fn carry<S: Security>(session: &mut Session<'_, S>, a: &BitShares, b: &BitShares) -> Result<BitShares> {
    expect_len("widths", a.width, b.width)?;
    expect_len("addends", a.len, b.len)?;
    if a.width == 0 {
        return Ok(BitShares::zeros(1, a.len));
    }
    let (mut g, mut p) = blocks(session, a, b)?;
    // g: carries out of each block; p: whether a block passes a carry on, from the second block on.
    for level in 0.. {
        let pairs = g.width / 2;
        if pairs == 0 {
            break;
        }
        let has_rest = g.width % 2 == 1;
        let (low, high) = (g.planes_by(0, 2, pairs), g.planes_by(1, 2, pairs));
        // p of block k is plane k - 1: the upper of pair j is block 2j + 1, its lower is block 2j.
        let p_high = p.planes_by(0, 2, pairs);
        let p_low = p.planes_by(1, 2, pairs - 1);
        let x = BitShares::concat(&[&p_high, &p_high.planes(1..pairs)])?;
        let y = BitShares::concat(&[&low, &p_low])?;
        let z = and(&mut session.narrow_at("tree", level), &x, &y)?;
        let joined = high.xor(&z.planes(0..pairs))?;
        let passed = z.planes(pairs..2 * pairs - 1);
        if has_rest {
            g = BitShares::concat(&[&joined, &g.planes(g.width - 1..g.width)])?;
            p = BitShares::concat(&[&passed, &p.planes(p.width - 1..p.width)])?;
        } else {
            (g, p) = (joined, passed);
        }
    }
    Ok(g)
}

/// Carries out of blocks of two bits, of which an odd top bit is one, and, but for the lowest block, whether they pass one on.
fn blocks<S: Security>(
    session: &mut Session<'_, S>,
    a: &BitShares,
    b: &BitShares,
) -> Result<(BitShares, BitShares)> {
    let n = a.width;
    let (pairs, is_odd) = (n / 2, n % 2 == 1);
    let lows = n.div_ceil(2);
    let (a_low, b_low) = (a.planes_by(0, 2, lows), b.planes_by(0, 2, lows));
    let (a_high, b_high) = (a.planes_by(1, 2, pairs), b.planes_by(1, 2, pairs));
    let (pass_low, pass_high) = (a_low.xor(&b_low)?, a_high.xor(&b_high)?);
    let upper = 1.min(pairs)..pairs;
    // Step 1. Carries of the low bits; whether both bits of a block pass one on.
    let x = BitShares::concat(&[&a_low, &pass_high.planes(upper.clone())])?;
    let y = BitShares::concat(&[&b_low, &pass_low.planes(upper)])?;
    let z = and(&mut session.narrow("low"), &x, &y)?;
    let c = z.planes(0..lows);
    let mut passes = z.planes(lows..z.width);
    if pairs == 0 {
        return Ok((c, passes));
    }
    // Step 2. Carries of the high bits: c ^ (a ^ c)(b ^ c).
    let c_pairs = c.planes(0..pairs);
    let z = and(&mut session.narrow("high"), &a_high.xor(&c_pairs)?, &b_high.xor(&c_pairs)?)?;
    let mut carries = c_pairs.xor(&z)?;
    if is_odd {
        carries = BitShares::concat(&[&carries, &c.planes(pairs..lows)])?;
        passes = BitShares::concat(&[&passes, &pass_low.planes(pairs..lows)])?;
    }
    Ok((carries, passes))
}

/// `a + b` modulo `2^width`.
///
/// # Errors
/// When the shapes differ; when the channel fails.
pub fn sum<S: Security>(session: &mut Session<'_, S>, a: &BitShares, b: &BitShares) -> Result<BitShares> {
    expect_len("widths", a.width, b.width)?;
    expect_len("addends", a.len, b.len)?;
    let halves = a.xor(b)?;
    if a.width < 2 {
        return Ok(halves);
    }
    let n = a.width - 1;
    let mut g = and(&mut session.narrow("generate"), &a.planes(0..n), &b.planes(0..n))?;
    let mut p = halves.planes(0..n);
    // After level k, plane b has the carry out of the bits from (b >> k+1 << k+1) to b, and p whether they pass one on.
    let mut span = 1;
    while span < n {
        let uppers: Vec<usize> = (0..n).filter(|b| b & span != 0).collect();
        let lowers: Vec<usize> = uppers.iter().map(|b| (b & !(span - 1)) - 1).collect();
        // The groups that reach down to bit 0 need no p.
        let passing: Vec<usize> = (0..uppers.len()).filter(|k| uppers[*k] >= 2 * span).collect();
        let at = |indices: &[usize], picks: &[usize]| picks.iter().map(|k| indices[*k]).collect::<Vec<_>>();
        let p_upper = p.pick(&uppers);
        let x = BitShares::concat(&[&p_upper, &p_upper.pick(&passing)])?;
        let y = BitShares::concat(&[&g.pick(&lowers), &p.pick(&at(&lowers, &passing))])?;
        let z = and(&mut session.narrow_at("prefix", span), &x, &y)?;
        let joined = g.pick(&uppers).xor(&z.planes(0..uppers.len()))?;
        g.put(&uppers, &joined)?;
        p.put(&at(&uppers, &passing), &z.planes(uppers.len()..z.width))?;
        span *= 2;
    }
    let carries = BitShares::concat(&[&BitShares::zeros(1, a.len), &g])?;
    halves.xor(&carries)
}
