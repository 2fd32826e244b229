//! Between ring shares and bit shares.
//!
//! **Two addends** ([`addends`]): a ring value is `x_0 + x_1 + x_2`; `P_0` knows the first two and shares the bits of
//! `A = x_0 + x_1`; the bits of `B = x_2`, which `P_1` and `P_2` hold, are a sharing as they are. `x = A + B`.
//! - Rounds: 1. Bytes: `P0` sends `width - 1` bits a value, the others nothing.
//! - Malicious: that `A` is the sum is a relation of degree 2 of what the nodes hold. With the carries `c = A ^ x_0 ^ x_1`,
//!   `(x_0 ^ c)(x_1 ^ c) = c' ^ c`, where `c'` are the carries one place up: a conjunction that is recorded like any other
//!   (mask: what the two holders of component 1 both compute), so that the same verification covers it.
//! - Source: local share splitting, Araki et al., CCS 2016, section 3; adding two components in the clear, Mohassel and
//!   Rindal, CCS 2018, section 5.3. Deviation: they take `P_0`'s bits on trust or run a full adder on all three
//!   components; here they are proved.
//!
//! **Bit injection** ([`inject`]): `b = b_0 ^ b_1 ^ b_2` to ring shares of 0 or 1. `u = b_0 ^ b_1` is known to `P_0`,
//! `v = b_2` to the others: `u = b_0 + b_1 - 2 b_0 b_1`, and `b = v + u (1 - 2 v)`.
//! - Rounds: 2. Bytes: 8 a bit and node.
//! - Malicious: both products are recorded.
//! - Source: Araki et al. 2016 and Mohassel and Rindal 2018, section 5.4.2; the products with the masks and messages that
//!   are needed (see [`super::reshare`]).
//!
//! **Words** ([`ring_of`]): bits of a value to its ring shares. `r_0` and `r_1` are common to two nodes each, and the bits
//! of `x - r_0 - r_1` are opened to `P_1` and `P_2`, as component 2.
//! - Rounds: 9. Bytes: 62.5 a value from `P_0`, 54.6 from `P_1`, 46.6 from `P_2`, and 32 in a malicious session from `P_2`
//!   and `P_0`; up to 8 bits, [`inject`] instead.
//! - Malicious: the opened word is the difference's `r`-masked bits: whatever errors the carries have, each bit has one of `r`
//!   added last, so it says nothing, and is opened before verification.
//! - Source: Mohassel and Rindal, CCS 2018, section 5.4.1.

use super::super::error::{MpcError, Result};
use super::super::group::Xor;
use super::super::planes::{planes_of, values_of};
use super::super::role::Role;
use super::super::security::{BitProducts, Records, Security};
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};
use super::adder;
use super::multiply::sums_of_products;
use super::open::open_words_to;
use super::random;
use super::reshare::{Terms, reshare};

/// Shares of the bits of two numbers whose sum modulo `2^width` is the value.
pub struct Addends {
    /// `x_0 + x_1`: component 2 is zero.
    pub a: BitShares,
    /// `x_2`: components 0 and 1 are zero.
    pub b: BitShares,
}

/// Widest value whose bits are injected one by one.
const INJECTED_WIDTH_MAX: usize = 8;

/// Splits each value, modulo `2^width`, into two addends of shared bits.
///
/// # Errors
/// When `width` is not in `1..=64`; when the channel fails.
pub fn addends<S: Security>(session: &mut Session<'_, S>, x: &RingShares, width: usize) -> Result<Addends> {
    expect_width(width)?;
    let role = session.role();
    let len = x.len();
    let words = len.div_ceil(64);
    let planes = |values: &[u64]| planes_of(values, width);
    let sum = match role {
        Role::P0 => planes(&x.own.iter().zip(&x.next).map(|(a, b)| a.wrapping_add(*b)).collect::<Vec<_>>()),
        _ => Vec::new(),
    };
    // The lowest bit of the sum is x_0 ^ x_1: only the planes above it are sent.
    let shared = reshare::<S, Xor>(session, (width - 1) * words, Terms::Only(Role::P0), |start, block| {
        block.copy_from_slice(&sum[words + start..words + start + block.len()]);
    })?;
    let lowest = x.lowest_bits();
    let (low_0, low_1) = (lowest.component(role, 0), lowest.component(role, 1));
    let high = BitShares { width: width - 1, len, own: shared.own.into(), next: shared.next.into() };
    let a = BitShares::concat(&[&low_0.xor(&low_1)?, &high])?;
    let bits = |component: usize| {
        let kept = |values: &[u64], held: Role| match held.index() == component {
            true => planes(values).into(),
            false => vec![0; width * words].into(),
        };
        BitShares { width, len, own: kept(&x.own, role), next: kept(&x.next, role.next()) }
    };
    let b = bits(2);
    if S::IS_MALICIOUS && width > 1 {
        let products = addition(role, &a, &bits(0), &bits(1))?;
        session.records().bits(|| products);
    }
    Ok(Addends { a, b })
}

/// The conjunctions that say that `a` is `x_0 + x_1`; component 0 of `x_0`, and 1 of `x_1`, are all there is of them.
fn addition(role: Role, a: &BitShares, x_0: &BitShares, x_1: &BitShares) -> Result<BitProducts> {
    let below = 0..a.width - 1;
    let carries = a.xor(x_0)?.xor(x_1)?;
    let x = x_0.xor(&carries)?.planes(below.clone());
    let y = x_1.xor(&carries)?.planes(below.clone());
    let z = carries.planes(1..a.width).xor(&carries.planes(below))?;
    // The mask of P0 and P1 is what makes z_1 of its formula: z_1 ^ x_1 y_1. The other masks are zero.
    let none = || vec![0; z.own.len()];
    let mask =
        |z: &[u64], x: &[u64], y: &[u64]| z.iter().zip(x).zip(y).map(|((z, x), y)| z ^ (x & y)).collect();
    let (mask_prev, mask_next) = match role {
        Role::P0 => (none(), mask(&z.next, &x.next, &y.next)),
        Role::P1 => (mask(&z.own, &x.own, &y.own), none()),
        Role::P2 => (none(), none()),
    };
    Ok(BitProducts { x, y, z, mask_prev, mask_next })
}

/// The low `width` bits of each value.
///
/// Rounds: `2 + ceil(log2(width - 1))` from a width of 2 on. Bytes: see [`addends`] and [`adder::sum`].
///
/// # Errors
/// When `width` is not in `1..=64`; when the channel fails.
pub fn bits_of<S: Security>(session: &mut Session<'_, S>, x: &RingShares, width: usize) -> Result<BitShares> {
    let Addends { a, b } = addends(&mut session.narrow("addends"), x, width)?;
    adder::sum(&mut session.narrow("sum"), &a, &b)
}

/// Ring shares, 0 or 1, of every bit: plane after plane, `width * len` values.
///
/// # Errors
/// When the channel fails.
pub fn inject<S: Security>(session: &mut Session<'_, S>, bits: &BitShares) -> Result<RingShares> {
    let role = session.role();
    let b = bits.unpacked();
    let (b_0, b_1, v) = (b.component(role, 0), b.component(role, 1), b.component(role, 2));
    // u = b_0 + b_1 - 2 b_0 b_1, of which P0 alone knows the product.
    let both = sums_of_products(&mut session.narrow("both"), &b_0, &b_1, 1, Terms::Only(Role::P0))?;
    let u = b_0.add(&b_1)?.sub(&both.scale(2))?;
    // b = v + u (1 - 2 v); the sign is public's 1 in component 2, where v is.
    let sign = v.scale(2).neg().add_to_component(role, 2, 1);
    let flipped = sums_of_products(&mut session.narrow("flip"), &u, &sign, 1, Terms::Without(Role::P0))?;
    v.add(&flipped)
}

pub(crate) fn expect_width(width: usize) -> Result<()> {
    match width {
        1..=64 => Ok(()),
        _ => Err(MpcError::Parameter { what: "width", found: width as u64, expected: "1 to 64 bits" }),
    }
}

/// Ring shares of the values of bit shares.
///
/// # Errors
/// When the width is not in `1..=64`; when the channel fails.
pub fn ring_of<S: Security>(session: &mut Session<'_, S>, bits: &BitShares) -> Result<RingShares> {
    expect_width(bits.width)?;
    let (role, len) = (session.role(), bits.len);
    if bits.width <= INJECTED_WIDTH_MAX {
        let ones = inject(&mut session.narrow("inject"), bits)?;
        return (0..bits.width).try_fold(RingShares::zeros(len), |sum, b| {
            sum.add(&ones.range(b * len..(b + 1) * len).scale(1 << b))
        });
    }
    // Step 1. r_0 and r_1, and the bits of their sum, which P0 knows.
    let random = random::ring(&mut session.narrow("mask"), len)?;
    let mask = random.component(role, 0).add(&random.component(role, 1))?;
    let Addends { a, .. } = addends(&mut session.narrow("addends"), &mask, 64)?;
    // Step 2. x - r = not (not x + r), on 64 bits.
    let wide = BitShares::concat(&[bits, &BitShares::zeros(64 - bits.width, len)])?;
    let difference = adder::sum(&mut session.narrow("subtract"), &wide.not(role), &a)?.not(role).trimmed();
    // Step 3. Component 2.
    let opened = open_words_to::<S, Xor>(
        &mut session.narrow("open"),
        [false, true, true],
        &difference.own,
        &difference.next,
    )?;
    let rest = values_of(&opened.unwrap_or_else(|| vec![0; difference.own.len()]), 64, len);
    Ok(match role {
        Role::P0 => mask,
        Role::P1 => RingShares { own: mask.own, next: rest.into() },
        Role::P2 => RingShares { own: rest.into(), next: mask.next },
    })
}
