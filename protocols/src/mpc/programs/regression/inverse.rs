//! The inverse of a shared positive semidefinite matrix.
//!
//! - Parties: three. Inputs: shares of `A`, `p` by `p`, symmetric, diagonal in [0, 1], [`A_DIGITS`] digits. Outputs: shares
//!   of `X` with `A X = 1`, and one shared bit: whether `A` is well enough conditioned. Nothing is opened.
//! - Newton's (Schulz's) iteration `X' = X + X (1 - A X)`, from `X = 1.9 / p`: the eigenvalues of `A` are in [0, p], those of
//!   `1 - A X` in (-0.9, 1], and each step squares them. [`cold_steps`] steps invert every eigenvalue from `2^-12` on; none can
//!   make `X` exceed `2^14`, whatever `A` is, so nothing overflows. From an earlier inverse of a matrix not much smaller a few
//!   steps do.
//! - Digits: `A` 38, `X` 22, `1 - A X` 60, cut to 25. Only results have to fit the ring.
//! - [`refine`] ends with one step whose residual is kept to 36 digits. With eigenvalues from `2^-k` on, the error is below
//!   `p 2^(k - 37)` of the result.
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - Rounds: 4 a step. Masks: `p^2 + p (p + 1) / 2` a step.
//! - Source: Schulz (1933); convergence: Ben-Israel and Cohen, "On iterative computation of generalized inverses" (1966).

use crate::mpc::error::Result;
use crate::mpc::fixed::Masks;
use crate::mpc::fixed::reciprocal::fixed;
use crate::mpc::fixed::truncate::{truncate, truncate_each};
use crate::mpc::gates::compare::is_negative;
use crate::mpc::gates::convert::inject;
use crate::mpc::gates::multiply::{Shape, inner_products, matrix_product};
use crate::mpc::gates::open::open_bits;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::{BitShares, RingShares};

use super::local::triangle;

/// Digits of the matrix.
pub const A_DIGITS: u32 = 38;
/// Digits of the inverse on the way.
pub const X_DIGITS: u32 = 22;
/// Digits of the refined inverse.
pub const V_DIGITS: u32 = 36;
/// Digits of a residual.
const R_DIGITS: u32 = 25;
/// The sum of the squares of a residual's entries is below `2^-BOUND`, or the matrix is refused.
const BOUND: u32 = 26;
/// Most rows.
pub const ROWS_MAX: usize = 64;

/// A refined inverse.
pub struct Refined {
    /// The whole matrix, [`V_DIGITS`] digits.
    pub inverse: RingShares,
    /// Whether it is one: one bit.
    pub is_good: BitShares,
}

impl Refined {
    /// Opens to all nodes whether it is an inverse.
    ///
    /// # Errors
    /// When a check or the channel fails.
    pub fn open_verdict<S: Security>(&self, session: &mut Session<'_, S>) -> Result<bool> {
        let opened = open_bits(session, &self.is_good)?;
        Ok(opened.first().is_some_and(|word| word & 1 == 1))
    }
}

/// Steps from [`start`] that invert eigenvalues from `2^-12` on.
#[must_use]
pub fn cold_steps(p: usize) -> usize {
    12 + p.next_power_of_two().trailing_zeros() as usize
}

/// Masks that `steps` steps take.
#[must_use]
pub fn masks_of(p: usize, steps: usize) -> usize {
    steps * (p * p + triangle(p))
}

/// `1.9 / p` on the diagonal.
#[must_use]
pub fn start<S: Security>(session: &Session<'_, S>, p: usize) -> RingShares {
    RingShares::public(session.role(), &diagonal(p, fixed(1.9 / p.max(1) as f64, X_DIGITS)))
}

/// The whole matrix of an upper triangle. Local.
#[must_use]
pub fn whole(upper: &RingShares, p: usize) -> RingShares {
    let at = |i: usize, j: usize| i * p - i * (i + 1) / 2 + j;
    let indices: Vec<usize> =
        (0..p * p).map(|k| (k / p, k % p)).map(|(i, j)| at(i.min(j), i.max(j))).collect();
    upper.gather(&indices)
}

/// `steps` steps from `x`.
///
/// # Errors
/// When a gate fails.
pub fn improve<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    a: &RingShares,
    mut x: RingShares,
    (p, steps): (usize, usize),
) -> Result<RingShares> {
    for step in 0..steps {
        let mut session = session.narrow_at("step", step);
        let rest = residual(&mut session.narrow("residual"), a, &x, p)?;
        let down = A_DIGITS + X_DIGITS - R_DIGITS;
        let rest = truncate(&mut session.narrow("cut"), masks, &rest, down)?;
        let change = symmetric_product(&mut session.narrow("change"), &x, &rest, p)?;
        let change = truncate(&mut session.narrow("cut change"), masks, &change, R_DIGITS)?;
        x = x.add(&whole(&change, p))?;
    }
    Ok(x)
}

/// The last step, in more digits, and whether the residual before it was small.
///
/// # Errors
/// When a gate fails.
pub fn refine<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    a: &RingShares,
    x: &RingShares,
    p: usize,
) -> Result<Refined> {
    let rest = residual(&mut session.narrow("residual"), a, x, p)?;
    let all = A_DIGITS + X_DIGITS;
    let shifts: Vec<u32> =
        (0..2 * p * p).map(|k| if k < p * p { all - V_DIGITS } else { all - 20 }).collect();
    let both =
        truncate_each(&mut session.narrow("cut"), masks, &RingShares::concat(&[&rest, &rest]), &shifts)?;
    let (fine, coarse) = (both.range(0..p * p), both.range(p * p..2 * p * p));

    let is_good = is_small(&mut session.narrow("small"), &coarse, p)?;

    let change = symmetric_product(&mut session.narrow("change"), x, &fine, p)?;
    let change = truncate(&mut session.narrow("cut change"), masks, &change, X_DIGITS)?;
    let inverse = x.scale(1 << (V_DIGITS - X_DIGITS)).add(&whole(&change, p))?;
    Ok(Refined { inverse, is_good })
}

/// 1 where the residual is small, 0 where it is not: nothing is opened.
///
/// # Errors
/// When a gate fails.
pub fn is_inverse<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    a: &RingShares,
    x: &RingShares,
    p: usize,
) -> Result<RingShares> {
    let rest = residual(&mut session.narrow("residual"), a, x, p)?;
    let coarse = truncate(&mut session.narrow("cut"), masks, &rest, A_DIGITS + X_DIGITS - 20)?;
    let is_small = is_small(&mut session.narrow("small"), &coarse, p)?;
    inject(&mut session.narrow("inject"), &is_small)
}

/// Whether the squares of a residual's entries, 20 digits, sum to less than `2^-BOUND`.
fn is_small<S: Security>(session: &mut Session<'_, S>, rest: &RingShares, p: usize) -> Result<BitShares> {
    let squares = inner_products(&mut session.narrow("squares"), rest, rest, p * p)?;
    let over = squares.add_public(session.role(), (1u64 << (40 - BOUND)).wrapping_neg());
    is_negative(&mut session.narrow("below"), &over, 64)
}

/// `1 - A X`, 60 digits.
fn residual<S: Security>(
    session: &mut Session<'_, S>,
    a: &RingShares,
    x: &RingShares,
    p: usize,
) -> Result<RingShares> {
    let shape = Shape { rows: p, columns: p };
    let one = RingShares::public(session.role(), &diagonal(p, 1 << (A_DIGITS + X_DIGITS)));
    one.sub(&matrix_product(session, (a, shape), (x, shape))?)
}

/// The upper triangle of a product that is symmetric.
fn symmetric_product<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    y: &RingShares,
    p: usize,
) -> Result<RingShares> {
    let pairs = || (0..p).flat_map(|i| (i..p).map(move |j| (i, j)));
    let left: Vec<usize> = pairs().flat_map(|(i, _)| (0..p).map(move |k| i * p + k)).collect();
    let right: Vec<usize> = pairs().flat_map(|(_, j)| (0..p).map(move |k| k * p + j)).collect();
    inner_products(session, &x.gather(&left), &y.gather(&right), p)
}

fn diagonal(p: usize, value: u64) -> Vec<u64> {
    (0..p * p).map(|k| if k / p == k % p { value } else { 0 }).collect()
}
