//! Choice by a shared bit.
//!
//! - Parties: three. Inputs: a shared choice, shared alternatives. Outputs: shares of the chosen.
//! - Adversary: as the products that these are made of.
//! - [`select`]: 1 round, 8 bytes a value. [`select_bits`]: 1 round, a conjunction a bit. [`min`] and [`max`]: a comparison,
//!   an injection and a product. [`select_at`]: zero tests of the index at its width against every position, an
//!   injection, and one inner product for each column.

use super::super::error::{MpcError, Result};
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};
use super::boolean::and;
use super::compare::{is_less, is_zero};
use super::convert::inject;
use super::multiply::{expect_len, inner_products, multiply};

/// `if_one` where the choice is 1, `if_zero` where it is 0.
///
/// # Errors
/// When the lengths differ; when the channel fails.
pub fn select<S: Security>(
    session: &mut Session<'_, S>,
    choice: &RingShares,
    if_one: &RingShares,
    if_zero: &RingShares,
) -> Result<RingShares> {
    if_zero.add(&multiply(session, choice, &if_one.sub(if_zero)?)?)
}

/// The same on bits; the choice is of a width of one and rules all planes.
///
/// # Errors
/// When the shapes differ; when the channel fails.
pub fn select_bits<S: Security>(
    session: &mut Session<'_, S>,
    choice: &BitShares,
    if_one: &BitShares,
    if_zero: &BitShares,
) -> Result<BitShares> {
    expect_len("widths", choice.width, 1)?;
    let wide = choice.planes_by(0, 0, if_one.width);
    if_zero.xor(&and(session, &wide, &if_one.xor(if_zero)?)?)
}

/// The smaller of two values with `|x - y| < 2^(width-1)`.
///
/// # Errors
/// When the lengths differ; when `width` is not in `1..=64`; when the channel fails.
pub fn min<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    y: &RingShares,
    width: usize,
) -> Result<RingShares> {
    let is_x = is_less(&mut session.narrow("less"), x, y, width)?;
    let is_x = inject(&mut session.narrow("inject"), &is_x)?;
    select(&mut session.narrow("select"), &is_x, x, y)
}

/// The larger of two values with `|x - y| < 2^(width-1)`.
///
/// # Errors
/// When the lengths differ; when `width` is not in `1..=64`; when the channel fails.
pub fn max<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    y: &RingShares,
    width: usize,
) -> Result<RingShares> {
    let is_x = is_less(&mut session.narrow("less"), y, x, width)?;
    let is_x = inject(&mut session.narrow("inject"), &is_x)?;
    select(&mut session.narrow("select"), &is_x, x, y)
}

/// The value of each column at one shared index, zero where the index is past the end; all columns are of one length.
///
/// # Errors
/// When the lengths differ or the index is not one value; when the channel fails.
pub fn select_at<S: Security>(
    session: &mut Session<'_, S>,
    columns: &[&RingShares],
    index: &RingShares,
) -> Result<RingShares> {
    let role = session.role();
    expect_len("an index and one", index.len(), 1)?;
    let len = columns.first().map_or(0, |column| column.len());
    if columns.iter().any(|column| column.len() != len) {
        return Err(MpcError::Lengths { what: "columns", left: len, right: columns.len() });
    }
    let width = 64;
    let places: Vec<u64> = (0..len as u64).collect();
    let distance = index.gather(&vec![0; len]).sub(&RingShares::public(role, &places))?;
    let is_it = is_zero(&mut session.narrow("at"), &distance, width)?;
    let is_it = inject(&mut session.narrow("inject"), &is_it)?;
    let mask: Vec<&RingShares> = vec![&is_it; columns.len()];
    let (mask, all) = (RingShares::concat(&mask), RingShares::concat(columns));
    if len == 0 {
        return Ok(RingShares::zeros(columns.len()));
    }
    inner_products(&mut session.narrow("pick"), &mask, &all, len)
}
