//! From powers of tau to Lagrange polynomials at tau, and to combinations of them. Everything here is public.

use ark_bls12_381::Fr;
use ark_ff::{BigInteger, One, PrimeField};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use rayon::prelude::*;

use super::curve::Curve;
use super::points::CHUNK;
use super::progress::Progress;

/// Bits of a whole scalar.
pub(crate) const SCALAR_BITS: usize = 255;

/// Bits of a coefficient that counts as short, its sign aside.
const SHORT_BITS: usize = 64;

/// Butterflies that one task takes.
const BUTTERFLIES: usize = 32;

/// A column of a matrix: rows and coefficients.
pub(crate) type Column = Vec<(usize, Fr)>;

/// The domain of `n` points, `n` a power of two up to `2^20`.
fn domain(n: usize) -> Radix2EvaluationDomain<Fr> {
    Radix2EvaluationDomain::new(n).expect("the field has roots of unity of order 2^32")
}

/// `[L_j(tau)]` for the `n` points of the domain from `[tau^k]`, `k < n`: an inverse transform over the group,
/// `L_j(tau) = 1/n sum_k w^(-jk) tau^k` (decimation in time).
pub(crate) fn lagrange<C: Curve>(powers: &[C], progress: &Progress<'_>) -> Vec<C> {
    let n = powers.len();
    let log2 = n.trailing_zeros();
    let weight = C::BYTES / 96;
    let domain = domain(n);
    let root = domain.group_gen_inv();
    let twiddles: Vec<Fr> =
        std::iter::successors(Some(Fr::one()), |power| Some(*power * root)).take(n / 2).collect();
    let reversed = |index: usize| index.reverse_bits() >> (usize::BITS - log2);
    let mut values: Vec<C::Sum> = (0..n).map(|index| powers[reversed(index)].to_sum()).collect();
    for stage in 1..=log2 {
        let len = 1usize << stage;
        let stride = n / len;
        values.par_chunks_mut(len).for_each(|chunk| {
            let (low, high) = chunk.split_at_mut(len / 2);
            low.par_iter_mut().zip(high).enumerate().with_min_len(BUTTERFLIES).for_each(
                |(k, (low, high))| {
                    let turned = if k == 0 { *high } else { C::mult_sum(high, &twiddles[k * stride]) };
                    *high = C::subtract(low, &turned);
                    *low = C::add(low, &turned);
                },
            );
            progress.add(len / 2 * weight);
        });
    }
    let scale = domain.size_inv();
    let chunks: Vec<Vec<C>> = values
        .par_chunks(CHUNK)
        .map(|values| {
            let sums: Vec<C::Sum> = values.iter().map(|value| C::mult_sum(value, &scale)).collect();
            progress.add(values.len() * weight);
            C::normalise(&sums)
        })
        .collect();
    chunks.concat()
}

/// For every column `i`: the sum over the parts of `coefficient * points[row]`. All parts have as many columns.
pub(crate) fn combine<C: Curve>(parts: &[(&Vec<Column>, &Vec<C>)], progress: &Progress<'_>) -> Vec<C> {
    let columns = parts.first().map_or(0, |(columns, _)| columns.len());
    let sums: Vec<C::Sum> = (0..columns)
        .into_par_iter()
        .with_min_len(16)
        .map(|index| {
            progress.add(C::BYTES / 96);
            let terms = parts.iter().flat_map(|(columns, points)| {
                columns[index].iter().map(|&(row, coefficient)| (coefficient, points[row]))
            });
            column_sum(terms)
        })
        .collect();
    let chunks: Vec<Vec<C>> = sums.par_chunks(CHUNK).map(C::normalise).collect();
    chunks.concat()
}

/// `sum coefficient * point`, with the short coefficients apart from the long ones.
fn column_sum<C: Curve>(terms: impl Iterator<Item = (Fr, C)>) -> C::Sum {
    let (mut sum, mut short, mut long) = (C::zero(), Terms::default(), Terms::default());
    for (coefficient, point) in terms {
        let negated = (-coefficient).into_bigint();
        let (magnitude, point) = match coefficient.into_bigint() {
            integer if negated < integer => (negated, point.negate()),
            integer => (integer, point),
        };
        match magnitude.num_bits() as usize {
            0..=1 => sum = C::add(&sum, &point.to_sum()),
            2..=SHORT_BITS => short.push(point, &magnitude.0[0].to_le_bytes()),
            _ => long.push(point, &magnitude.to_bytes_le()),
        }
    }
    for (terms, bits) in [(&short, SHORT_BITS), (&long, SCALAR_BITS)] {
        if !terms.points.is_empty() {
            sum = C::add(&sum, &C::msm_vartime(&terms.points, &terms.scalars, bits).to_sum());
        }
    }
    sum
}

/// Points and their scalars.
struct Terms<C> {
    points: Vec<C>,
    scalars: Vec<u8>,
}

impl<C> Default for Terms<C> {
    fn default() -> Self {
        Self { points: Vec::new(), scalars: Vec::new() }
    }
}

impl<C> Terms<C> {
    fn push(&mut self, point: C, scalar: &[u8]) {
        self.points.push(point);
        self.scalars.extend_from_slice(scalar);
    }
}

/// Coefficients of the polynomial with these values on the domain.
pub(crate) fn interpolate(values: &[Fr]) -> Vec<Fr> {
    domain(values.len()).ifft(values)
}
