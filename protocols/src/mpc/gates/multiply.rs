//! Products of ring values.
//!
//! - Parties: three. Inputs: shares of `x` and `y`. Outputs: shares of the products, or of sums of products.
//! - Adversary: one node. Semi-honest: as it stands. Malicious: products are recorded, and verified before anything is
//!   opened, or when much waits.
//! - Rounds: 1. Bytes: 8 a node and output, however many products are summed in it.
//! - Source: Araki, Furukawa, Lindell, Nof, Ohara, CCS 2016, section 2.2; sums before resharing as in Mohassel and
//!   Rindal, CCS 2018, section 5.1.

use super::super::error::{MpcError, Result};
use super::super::group::Sum;
use super::super::security::{Records, RingProducts, Security};
use super::super::session::Session;
use super::super::shares::RingShares;
use super::super::verify;
use super::reshare::{Terms, reshare, ring_term};

/// Products, element by element.
///
/// # Errors
/// When the lengths differ; when the channel fails.
pub fn multiply<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    y: &RingShares,
) -> Result<RingShares> {
    sums_of_products(session, x, y, 1, Terms::All)
}

/// `out[j]` is the sum over `p < arity` of `x[j * arity + p] * y[j * arity + p]`.
///
/// # Errors
/// When the lengths differ or are no multiple of `arity`; when the channel fails.
pub fn inner_products<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    y: &RingShares,
    arity: usize,
) -> Result<RingShares> {
    sums_of_products(session, x, y, arity, Terms::All)
}

/// A matrix's rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

/// The product of two matrices, row by row.
///
/// # Errors
/// When a matrix is not of its shape or the shapes do not fit; when the channel fails.
pub fn matrix_product<S: Security>(
    session: &mut Session<'_, S>,
    (x, x_shape): (&RingShares, Shape),
    (y, y_shape): (&RingShares, Shape),
) -> Result<RingShares> {
    let (rows, inner, columns) = (x_shape.rows, x_shape.columns, y_shape.columns);
    expect_len("a matrix and its shape", x.len(), rows * inner)?;
    expect_len("matrices", inner, y_shape.rows)?;
    expect_len("a matrix and its shape", y.len(), inner * columns)?;
    let left: Vec<usize> =
        (0..rows * columns).flat_map(|j| (0..inner).map(move |p| (j / columns.max(1)) * inner + p)).collect();
    let right: Vec<usize> =
        (0..rows * columns).flat_map(|j| (0..inner).map(move |p| p * columns + j % columns.max(1))).collect();
    if inner == 0 {
        return Ok(RingShares::zeros(rows * columns));
    }
    sums_of_products(session, &x.gather(&left), &y.gather(&right), inner, Terms::All)
}

/// As [`inner_products`], where it is public who has terms: `whose` is what the zero components of `x` and `y` leave.
pub(crate) fn sums_of_products<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    y: &RingShares,
    arity: usize,
    whose: Terms,
) -> Result<RingShares> {
    expect_len("factors", x.len(), y.len())?;
    if arity == 0 || !x.len().is_multiple_of(arity) {
        return Err(MpcError::Lengths { what: "factors and terms of a sum", left: x.len(), right: arity });
    }
    let z = reshare::<S, Sum>(session, x.len() / arity, whose, |start, block| {
        let range = start * arity..(start + block.len()) * arity;
        let (xs, ys) = (x.slices(range.clone()), y.slices(range));
        if arity == 1 {
            for (k, out) in block.iter_mut().enumerate() {
                *out = ring_term((xs.0[k], xs.1[k]), (ys.0[k], ys.1[k]));
            }
            return;
        }
        for (j, out) in block.iter_mut().enumerate() {
            *out = (j * arity..(j + 1) * arity)
                .fold(0, |sum: u64, k| sum.wrapping_add(ring_term((xs.0[k], xs.1[k]), (ys.0[k], ys.1[k]))));
        }
    })?;
    let out = RingShares { own: z.own.into(), next: z.next.into() };
    session.records().ring(|| RingProducts {
        x: x.clone(),
        y: y.clone(),
        arity,
        z: out.clone(),
        mask_prev: z.mask_prev,
        mask_next: z.mask_next,
    });
    verify::flush_if_full(&mut session.narrow("verify"))?;
    Ok(out)
}

pub(crate) fn expect_len(what: &'static str, left: usize, right: usize) -> Result<()> {
    if left == right { Ok(()) } else { Err(MpcError::Lengths { what, left, right }) }
}
