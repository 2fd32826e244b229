//! Regression from sums that hospitals compute over their own rows.
//!
//! Covariates are scaled to [-1, 1] by public bounds ([`scaling`]); hospitals sum ([`local`]); the nodes add, invert and
//! step in shares. Answers are in the units of the covariates again.
//!
//! - [`linear`]: from one round of sums. [`logistic`]: Newton's method, where hospitals sum anew at each iteration's
//!   coefficients, which they get in the clear. [`cox`]: the same for survival, with Efron's ties.
//! - [`inverse`]: the inverse of a shared matrix.

pub mod cox;
pub mod inverse;
pub mod linear;
pub mod local;
pub mod local_cox;
pub mod logistic;
mod newton;
pub mod scaling;
pub mod variance;

use crate::mpc::error::MpcError;
use crate::mpc::gates::boolean::all_of;
use crate::mpc::gates::compare::is_negative;
use crate::mpc::gates::open::open_bits;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::{BitShares, RingShares};

use super::{ProgramError, Result};

pub use scaling::Scaling;
pub use variance::Variances;

/// Those who hold the rows.
pub trait Hospitals<S: Security> {
    /// Has every hospital compute its sums at these coefficients (scaled units) and returns shares of their total, once
    /// for each iteration in order.
    ///
    /// # Errors
    /// When a hospital or the network fails.
    fn sums(
        &mut self,
        session: &mut Session<'_, S>,
        iteration: usize,
        coefficients: &[f64],
    ) -> crate::mpc::Result<RingShares>;
}

/// What is public of a model.
#[derive(Clone, Debug)]
pub struct Model {
    /// One for each covariate.
    pub scalings: Vec<Scaling>,
    /// Most rows of all hospitals together.
    pub rows_max: u64,
    /// Least rows, and least in each class of the outcome, for an answer.
    pub floor: u64,
    /// Iterations after which the program gives up.
    pub iterations_max: usize,
}

/// A fitted model.
pub struct Fit {
    /// In the units of the covariates, the intercept first where there is one. Public.
    pub coefficients: Vec<f64>,
    /// Of the coefficients, in shares.
    pub variances: Variances,
    /// Iterations that were made.
    pub iterations: usize,
}

impl Model {
    /// Columns of the design, with `constants` more than covariates.
    fn columns(&self, constants: usize) -> Result<usize> {
        let covariates = self.scalings.len();
        if covariates == 0 || covariates + constants > inverse::ROWS_MAX {
            let found = covariates as u64;
            return Err(MpcError::Parameter { what: "covariates", found, expected: "1 to 63" }.into());
        }
        Ok(covariates + constants)
    }
}

/// Opens whether all counts reach the floor, and nothing else of them.
///
/// Rounds: those of [`reaches_floor`], and an opening.
fn hold_floor<S: Security>(session: &mut Session<'_, S>, counts: &[&RingShares], floor: u64) -> Result<()> {
    let reached = reaches_floor(&mut session.narrow("reached"), counts, floor)?;
    let opened = open_bits(&mut session.narrow("open"), &reached)?;
    match opened.first() {
        Some(1) => Ok(()),
        _ => Err(ProgramError::Suppressed { floor }),
    }
}

/// Whether all counts reach the floor: one bit.
///
/// Rounds: a comparison of 34 bits, `ceil(log2(counts))`.
fn reaches_floor<S: Security>(
    session: &mut Session<'_, S>,
    counts: &[&RingShares],
    floor: u64,
) -> crate::mpc::Result<BitShares> {
    let role = session.role();
    let all = RingShares::concat(counts).add_public(role, floor.wrapping_neg());
    let enough = is_negative(&mut session.narrow("below"), &all, 34)?.not(role);
    let words: Vec<BitShares> = (0..all.len()).map(|k| bit_of(&enough, k)).collect();
    all_of(&mut session.narrow("all"), &BitShares::concat(&words.iter().collect::<Vec<_>>())?)
}

/// One value's bit of a plane, as a column of one.
fn bit_of(plane: &BitShares, index: usize) -> BitShares {
    let pick = |words: &[u64]| vec![words.get(index / 64).map_or(0, |word| word >> (index % 64) & 1)].into();
    BitShares { width: 1, len: 1, own: pick(&plane.own), next: pick(&plane.next) }
}

fn expect_sums(sums: &RingShares, expected: usize) -> Result<()> {
    if sums.len() == expected {
        return Ok(());
    }
    Err(MpcError::Lengths { what: "sums of hospitals", left: sums.len(), right: expected }.into())
}
