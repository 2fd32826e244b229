//! The part of a proving key that no contribution of phase 2 changes, from the powers of phase 1.
//!
//! Parties: whoever prepares, without secrets; anybody as verifier. Output: for every variable `i` the points
//! `[A_i(tau)]_1`, `[B_i(tau)]_1`, `[B_i(tau)]_2`, `[K_i]_1 = [beta A_i + alpha B_i + C_i]_1`, and
//! `[tau^i (tau^n - 1)]_1`, with delta and gamma one.
//! Source: Bowe, Gabizon, Miers (eprint 2017/1050), section 6: Groth16 with gamma = 1 from linear combinations of
//! the powers; the polynomials are those of arkworks' (libsnark's) reduction of constraints. The verifier does
//! not repeat the transforms: with random weights `r` it checks `sum_i r_i [A_i(tau)] = [p(tau)]`, where `p`
//! interpolates `A r` on the domain, and so on. The three identities in G1 are one, by random ratios between them, and
//! take one multi-scalar multiplication over the powers; the query in G2 is held against the one in G1 by a pairing. A
//! wrong query passes with `2^-126`.

use ark_bls12_381::Fr;
use rayon::prelude::*;

use super::coins::{COIN_BITS, Coins};
use super::curve::{Curve, G1, G2, pairings_agree, scalar_bytes};
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
        Self { a, b_g1, b_g2, public, private, quotient: quotient(powers, n) }
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
        if self.quotient != quotient(powers, n) {
            return Err(Error::Query(QUOTIENT));
        }
        let weights = coins.coefficients("queries", variables);
        let weighed = Weighed::of(self, &weights, instance);
        let [a, b, c] = relation.products(&weights).map(|product| interpolate(&product));
        let (ratio_b, ratio_k) = (coins.scalar("query B"), coins.scalar("query K"));
        if !weighed.hold_together(powers, [&a, &b, &c], (ratio_b, ratio_k)) {
            return Err(Error::Query(weighed.first_wrong(powers, &a, &b)));
        }
        if pairings_agree((&weighed.b, &G2::generator()), (&G1::generator(), &weighed.b_g2)) {
            return Ok(());
        }
        Err(Error::Query(B_G2))
    }
}

/// `[tau^i (tau^n - 1)]_1` for `i < n - 1`: exact, so a verifier compares instead of combining.
fn quotient(powers: &Powers, n: usize) -> Vec<G1> {
    let sums: Vec<_> = (0..n - 1)
        .into_par_iter()
        .with_min_len(CHUNK)
        .map(|i| G1::subtract(&powers.tau_g1[n + i].to_sum(), &powers.tau_g1[i].to_sum()))
        .collect();
    let chunks: Vec<Vec<G1>> = sums.par_chunks(CHUNK).map(G1::normalise).collect();
    chunks.concat()
}

/// The queries, each summed with the verifier's weights.
struct Weighed {
    a: G1,
    b: G1,
    b_g2: G2,
    /// Of the public inputs and the witness.
    k: G1,
}

impl Weighed {
    fn of(queries: &Queries, weights: &[u8], instance: usize) -> Self {
        let sum = |points: &[G1], weights: &[u8]| G1::msm_vartime(points, weights, COIN_BITS);
        let (of_public, of_private) = weights.split_at(instance * COIN_BITS / 8);
        let public = sum(&queries.public, of_public).to_sum();
        let k = G1::add(&public, &sum(&queries.private, of_private).to_sum());
        Self {
            a: sum(&queries.a, weights),
            b: sum(&queries.b_g1, weights),
            b_g2: G2::msm_vartime(&queries.b_g2, weights, COIN_BITS),
            k: G1::normalise(&[k])[0],
        }
    }

    /// Whether `a + ratio_b b + ratio_k k` is what the polynomials say: one sum over the powers for all three. Each of
    /// them holds then, but for `2^-127`.
    fn hold_together(&self, powers: &Powers, [a, b, c]: [&[Fr]; 3], (ratio_b, ratio_k): (Fr, Fr)) -> bool {
        let n = a.len();
        let points = [&powers.tau_g1[..n], &powers.beta_g1[..n], &powers.alpha_g1[..n]].concat();
        let of_tau = (0..n).map(|i| a[i] + ratio_b * b[i] + ratio_k * c[i]);
        let scalars: Vec<u8> = of_tau
            .chain(a.iter().map(|a| ratio_k * a))
            .chain(b.iter().map(|b| ratio_k * b))
            .flat_map(|scalar| *scalar_bytes(&scalar))
            .collect();
        let expected = G1::msm_vartime(&points, &scalars, SCALAR_BITS);
        let found = G1::add(&self.a.to_sum(), &self.b.mult(&ratio_b));
        G1::normalise(&[G1::add(&found, &self.k.mult(&ratio_k))])[0] == expected
    }

    /// Which of the three does not hold, when they do not hold together.
    fn first_wrong(&self, powers: &Powers, a: &[Fr], b: &[Fr]) -> &'static str {
        let at = |points: &[G1], p: &[Fr]| {
            let scalars: Vec<u8> = p.iter().flat_map(|scalar| *scalar_bytes(scalar)).collect();
            G1::msm_vartime(&points[..p.len()], &scalars, SCALAR_BITS)
        };
        if self.a != at(&powers.tau_g1, a) {
            return A;
        }
        if self.b != at(&powers.tau_g1, b) {
            return B_G1;
        }
        COMBINED
    }
}
