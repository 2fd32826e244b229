//! Multiplying vectors of points by secrets.

use ark_bls12_381::Fr;
use ark_ff::{Field, One};
use rayon::prelude::*;
use ward_math::Secret;

use super::curve::Curve;
use super::points::CHUNK;
use super::progress::Progress;

/// `points[i] * first * ratio^i`.
pub(crate) fn scale_powers<C: Curve>(
    points: &[C],
    first: &Secret<Fr>,
    ratio: &Secret<Fr>,
    progress: &Progress<'_>,
) -> Vec<C> {
    let chunks: Vec<Vec<C>> = points
        .par_chunks(CHUNK)
        .enumerate()
        .map(|(chunk, points)| {
            let start = Secret::new(ratio.expose().pow([(chunk * CHUNK) as u64]));
            let mut scalar = Secret::new(*first.expose() * start.expose());
            let sums: Vec<C::Sum> = points
                .iter()
                .map(|point| {
                    let sum = point.mult(scalar.expose());
                    *scalar.expose_mut() *= ratio.expose();
                    sum
                })
                .collect();
            progress.add(points.len());
            C::normalise(&sums)
        })
        .collect();
    chunks.concat()
}

/// `points[i] * scalar`.
pub(crate) fn scale<C: Curve>(points: &[C], scalar: &Secret<Fr>, progress: &Progress<'_>) -> Vec<C> {
    scale_powers(points, scalar, &Secret::new(Fr::one()), progress)
}
