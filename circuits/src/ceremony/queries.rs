//! The part of a proving key that no contribution of phase 2 changes, from the powers of phase 1.
//!
//! Parties: whoever prepares, without secrets; anybody as verifier. Output: for every variable `i` the points
//! `[A_i(tau)]_1`, `[B_i(tau)]_1`, `[B_i(tau)]_2`, `[K_i]_1 = [beta A_i + alpha B_i + C_i]_1`, and
//! `[tau^i (tau^n - 1)]_1`, with delta and gamma one.
//! Source: Bowe, Gabizon, Miers (eprint 2017/1050), section 6: Groth16 with gamma = 1 from linear combinations of
//! the powers; the polynomials are those of arkworks' (libsnark's) reduction of constraints. The verifier does
//! not repeat the transforms: with random weights `r` it checks `sum_i r_i [A_i(tau)] = [p(tau)]`, where `p`
//! interpolates `A r` on the domain, and so on: an identity of polynomials that are evaluated by one multi-scalar
//! multiplication over the powers. A wrong query passes with `2^-128`.

use rayon::prelude::*;

use super::coins::{COIN_BITS, Coins};
use super::curve::{Curve, G1, G2};
use super::error::{Error, Result};
use super::lagrange::{SCALAR_BITS, combine, interpolate, lagrange};
use super::phase1::Powers;
use super::points::CHUNK;
use super::progress::Progress;
use super::relation::Relation;

/// The queries with delta = gamma = 1. `n` is the size of the domain.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Queries {
    /// `[A_i(tau)]_1` for every variable.
    pub(crate) a: Vec<G1>,
    /// `[B_i(tau)]_1`.
    pub(crate) b_g1: Vec<G1>,
    /// `[B_i(tau)]_2`.
    pub(crate) b_g2: Vec<G2>,
    /// `[K_i]_1` of the variables that the verifier knows.
    pub(crate) public: Vec<G1>,
    /// `[K_i]_1` of the others.
    pub(crate) private: Vec<G1>,
    /// `[tau^i (tau^n - 1)]_1` for `i < n - 1`.
    pub(crate) quotient: Vec<G1>,
}

pub(crate) const A: &str = "query A in G1";
pub(crate) const B_G1: &str = "query B in G1";
pub(crate) const B_G2: &str = "query B in G2";
pub(crate) const PUBLIC: &str = "query of the public inputs";
pub(crate) const PRIVATE: &str = "query of the witness";
const COMBINED: &str = "query of the public inputs and the witness";
pub(crate) const QUOTIENT: &str = "query of the quotient";

impl Queries {
    /// Work of [`Queries::prepare`] in units of progress: about one for each multiplication in G1.
    pub(crate) fn work(relation: &Relation<'_>) -> usize {
        let n = relation.domain();
        5 * (n / 2) * (n.trailing_zeros() as usize + 2) + 5 * relation.variables()
    }

    /// Computes the queries of `relation` from the powers, which reach up to its domain.
    pub(crate) fn prepare(powers: &Powers, relation: &Relation<'_>, progress: &Progress<'_>) -> Self {
        let n = relation.domain();
        let columns = relation.columns();
        let basis = lagrange(&powers.tau_g1[..n], progress);
        let a = combine(&[(&columns[0], &basis)], progress);
        let b_g1 = combine(&[(&columns[1], &basis)], progress);
        let beta = lagrange(&powers.beta_g1[..n], progress);
        let alpha = lagrange(&powers.alpha_g1[..n], progress);
        let mut public =
            combine(&[(&columns[0], &beta), (&columns[1], &alpha), (&columns[2], &basis)], progress);
        let private = public.split_off(relation.instance());
        drop((basis, beta, alpha));
        let basis_g2 = lagrange(&powers.tau_g2[..n], progress);
        let b_g2 = combine(&[(&columns[1], &basis_g2)], progress);
        let sums: Vec<_> = (0..n - 1)
            .into_par_iter()
            .with_min_len(CHUNK)
            .map(|i| G1::subtract(&powers.tau_g1[n + i].to_sum(), &powers.tau_g1[i].to_sum()))
            .collect();
        Self { a, b_g1, b_g2, public, private, quotient: G1::normalise(&sums) }
    }

    /// Checks that the queries, whose points are in their subgroups, are those of `relation` at the powers.
    ///
    /// # Errors
    /// [`Error::Relation`] when there are other numbers of points, [`Error::Query`] with the first wrong query.
    pub(crate) fn check(&self, powers: &Powers, relation: &Relation<'_>, coins: &Coins) -> Result<()> {
        let n = relation.domain();
        let (variables, instance) = (relation.variables(), relation.instance());
        let counts = [self.a.len(), self.b_g1.len(), self.b_g2.len(), self.public.len() + self.private.len()];
        if counts != [variables; 4] || self.public.len() != instance || self.quotient.len() != n - 1 {
            return Err(Error::Relation("number of points in a query"));
        }
        let weights = coins.coefficients("queries", variables);
        let [a, b, c] = relation.products(&weights).map(|product| interpolate(&product));
        let at = |points: &[G1], p: &[u8]| G1::msm_vartime(&points[..n], p, SCALAR_BITS).to_sum();
        let weighed = |points: &[G1], weights: &[u8]| G1::msm_vartime(points, weights, COIN_BITS);
        let equal = |name, left: G1, right: &_| match left == G1::normalise(&[*right])[0] {
            true => Ok(()),
            false => Err(Error::Query(name)),
        };
        equal(A, weighed(&self.a, &weights), &at(&powers.tau_g1, &a))?;
        equal(B_G1, weighed(&self.b_g1, &weights), &at(&powers.tau_g1, &b))?;
        let b_g2 = G2::msm_vartime(&powers.tau_g2[..n], &b, SCALAR_BITS);
        if G2::msm_vartime(&self.b_g2, &weights, COIN_BITS) != b_g2 {
            return Err(Error::Query(B_G2));
        }
        let expected =
            G1::add(&G1::add(&at(&powers.beta_g1, &a), &at(&powers.alpha_g1, &b)), &at(&powers.tau_g1, &c));
        let (of_public, of_private) = weights.split_at(instance * COIN_BITS / 8);
        let public = weighed(&self.public, of_public).to_sum();
        let found = G1::add(&public, &weighed(&self.private, of_private).to_sum());
        equal(COMBINED, G1::normalise(&[found])[0], &expected)?;

        let weights = coins.coefficients(QUOTIENT, n - 1);
        let high = weighed(&powers.tau_g1[n..2 * n - 1], &weights).to_sum();
        let low = weighed(&powers.tau_g1[..n - 1], &weights).to_sum();
        equal(QUOTIENT, weighed(&self.quotient, &weights), &G1::subtract(&high, &low))
    }
}
