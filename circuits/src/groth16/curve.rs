//! The bridge to `blst`: its points, their encodings, sums over them, pairings. All unsafe code of proofs is here.
//!
//! Coordinates of arkworks and of `blst` are the same six limbs in Montgomery form (R = 2^384); only arkworks' flag
//! for infinity differs, which `blst` writes as two zero coordinates. A test holds them to it.

use std::borrow::Cow;

use ark_bls12_381::{Fq, Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, PrimeField};
use blst::{
    BLST_ERROR, MultiPoint, blst_fp, blst_fp2, blst_fp12, blst_p1, blst_p1_add_or_double, blst_p1_affine,
    blst_p1_affine_compress, blst_p1_affine_in_g1, blst_p1_affine_on_curve, blst_p1_from_affine,
    blst_p1_mult, blst_p1_to_affine, blst_p1_uncompress, blst_p2, blst_p2_add_or_double, blst_p2_affine,
    blst_p2_affine_compress, blst_p2_affine_in_g2, blst_p2_affine_on_curve, blst_p2_from_affine,
    blst_p2_mult, blst_p2_to_affine, blst_p2_uncompress, p1_affines,
};
use zeroize::Zeroize;

use crate::error::DecodeError;
use crate::field::Element;

mod summand;

pub(super) use self::summand::{Coordinate, Summand, prefetch};
pub(super) use blst::{blst_fp12 as Target, blst_p1_affine as G1, blst_p2_affine as G2};

/// A group of points as `blst` has it: G1 or G2.
pub(super) trait Group: Copy + Default + PartialEq + Send + Sync + 'static {
    /// Limbs of a point in memory, 64 bits each.
    const LIMBS: usize;
    /// The point of arkworks.
    type Ark: AffineRepr<ScalarField = Element>;

    fn from_ark(point: &Self::Ark) -> Self;
    fn to_ark(&self) -> Self::Ark;
    fn is_infinity(&self) -> bool;
    /// On its curve, in the subgroup, not at infinity.
    fn check(&self) -> Result<(), DecodeError>;
    fn compress(&self) -> Vec<u8>;
    fn from_limbs(limbs: &[u64]) -> Self;
    fn limbs(&self) -> Vec<u64>;
    /// The sum of points, each times its scalar (32 bytes, little-endian), on this thread.
    fn sum_serial(points: &[Self], scalars: &[u8]) -> Self;
    fn add(&self, other: &Self) -> Self;
    fn times(&self, scalar: &Element) -> Self;
}

fn fp(value: &Fq) -> blst_fp {
    blst_fp { l: value.0.0 }
}

fn fq(value: &blst_fp) -> Fq {
    Fq::new_unchecked(BigInt(value.l))
}

fn fault(error: BLST_ERROR) -> Result<(), DecodeError> {
    match error {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => Err(DecodeError::NotOnCurve),
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Err(DecodeError::NotInSubgroup),
        _ => Err(DecodeError::NotCanonical),
    }
}

/// A scalar as `blst` takes it.
pub(super) fn scalar_bytes(scalar: &Element) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, limb) in bytes.chunks_exact_mut(8).zip(scalar.into_bigint().0) {
        chunk.copy_from_slice(&limb.to_le_bytes());
    }
    bytes
}

macro_rules! group {
    ($affine:ident, $point:ident, $ark:ident, $limbs:expr, $bytes:expr,
     $from_ark:expr, $to_ark:expr, $limbs_of:expr, $of_limbs:expr,
     $on_curve:ident, $in_group:ident, $compress:ident, $uncompress:ident,
     $from_affine:ident, $to_affine:ident, $mult:ident, $add:ident, $decode:ident) => {
        impl Group for $affine {
            const LIMBS: usize = $limbs;
            type Ark = $ark;

            fn from_ark(point: &$ark) -> Self {
                if point.is_zero() { Self::default() } else { $from_ark(point) }
            }

            fn to_ark(&self) -> $ark {
                if self.is_infinity() { $ark::zero() } else { $to_ark(self) }
            }

            fn is_infinity(&self) -> bool {
                *self == Self::default()
            }

            fn check(&self) -> Result<(), DecodeError> {
                if self.is_infinity() {
                    return Err(DecodeError::Infinity);
                }
                // SAFETY: both read one point behind a valid reference.
                let (on_curve, in_group) = unsafe { ($on_curve(self), $in_group(self)) };
                match (on_curve, in_group) {
                    (true, true) => Ok(()),
                    (true, false) => Err(DecodeError::NotInSubgroup),
                    (false, _) => Err(DecodeError::NotOnCurve),
                }
            }

            fn compress(&self) -> Vec<u8> {
                let mut bytes = vec![0; $bytes];
                // SAFETY: the function writes as many bytes as there are.
                unsafe { $compress(bytes.as_mut_ptr(), self) };
                bytes
            }

            fn limbs(&self) -> Vec<u64> {
                $limbs_of(self)
            }

            fn from_limbs(limbs: &[u64]) -> Self {
                $of_limbs(limbs)
            }

            fn sum_serial(points: &[Self], scalars: &[u8]) -> Self {
                let count = points.len().min(scalars.len() / 32);
                if count == 0 {
                    return Self::default();
                }
                let sum: $point = points[..count].mult(&scalars[..32 * count], 255);
                let mut affine = Self::default();
                // SAFETY: reads one point, writes one point.
                unsafe { $to_affine(&mut affine, &sum) };
                affine
            }

            fn add(&self, other: &Self) -> Self {
                let (mut a, mut b) = ($point::default(), $point::default());
                let mut affine = Self::default();
                // SAFETY: every argument is one point behind a valid reference.
                unsafe {
                    $from_affine(&mut a, self);
                    $from_affine(&mut b, other);
                    let mut sum = $point::default();
                    $add(&mut sum, &a, &b);
                    $to_affine(&mut affine, &sum);
                }
                affine
            }

            fn times(&self, scalar: &Element) -> Self {
                let (mut point, mut product) = ($point::default(), $point::default());
                let mut affine = Self::default();
                let mut bytes = scalar_bytes(scalar);
                // SAFETY: points behind valid references; the scalar has the 32 bytes that 255 bits take.
                unsafe {
                    $from_affine(&mut point, self);
                    $mult(&mut product, &point, bytes.as_ptr(), 255);
                    $to_affine(&mut affine, &product);
                }
                bytes.zeroize();
                affine
            }
        }

        /// Reads a compressed point: canonical, on its curve, in the subgroup, not at infinity.
        pub(super) fn $decode(bytes: &[u8; $bytes]) -> Result<$affine, DecodeError> {
            let mut point = $affine::default();
            // SAFETY: reads as many bytes as the array has, and writes one point.
            fault(unsafe { $uncompress(&mut point, bytes.as_ptr()) })?;
            point.check()?;
            Ok(point)
        }
    };
}

group!(
    blst_p1_affine,
    blst_p1,
    G1Affine,
    12,
    48,
    |p: &G1Affine| blst_p1_affine { x: fp(&p.x), y: fp(&p.y) },
    |p: &blst_p1_affine| G1Affine::new_unchecked(fq(&p.x), fq(&p.y)),
    |p: &blst_p1_affine| [p.x.l, p.y.l].concat(),
    |l: &[u64]| {
        let [x, y] = fps(l);
        blst_p1_affine { x, y }
    },
    blst_p1_affine_on_curve,
    blst_p1_affine_in_g1,
    blst_p1_affine_compress,
    blst_p1_uncompress,
    blst_p1_from_affine,
    blst_p1_to_affine,
    blst_p1_mult,
    blst_p1_add_or_double,
    decode_g1
);

group!(
    blst_p2_affine,
    blst_p2,
    G2Affine,
    24,
    96,
    |p: &G2Affine| blst_p2_affine {
        x: blst_fp2 { fp: [fp(&p.x.c0), fp(&p.x.c1)] },
        y: blst_fp2 { fp: [fp(&p.y.c0), fp(&p.y.c1)] },
    },
    |p: &blst_p2_affine| G2Affine::new_unchecked(
        Fq2::new(fq(&p.x.fp[0]), fq(&p.x.fp[1])),
        Fq2::new(fq(&p.y.fp[0]), fq(&p.y.fp[1])),
    ),
    |p: &blst_p2_affine| [p.x.fp[0].l, p.x.fp[1].l, p.y.fp[0].l, p.y.fp[1].l].concat(),
    |l: &[u64]| {
        let [a, b, c, d] = fps(l);
        blst_p2_affine { x: blst_fp2 { fp: [a, b] }, y: blst_fp2 { fp: [c, d] } }
    },
    blst_p2_affine_on_curve,
    blst_p2_affine_in_g2,
    blst_p2_affine_compress,
    blst_p2_uncompress,
    blst_p2_from_affine,
    blst_p2_to_affine,
    blst_p2_mult,
    blst_p2_add_or_double,
    decode_g2
);

fn fps<const N: usize>(limbs: &[u64]) -> [blst_fp; N] {
    std::array::from_fn(|at| {
        let mut l = [0; 6];
        for (limb, value) in l.iter_mut().zip(limbs.iter().skip(6 * at)) {
            *limb = *value;
        }
        blst_fp { l }
    })
}

/// Points that lie in a file as `blst` has them in memory: borrowed where the bytes are aligned and little-endian is
/// the order of the machine, copied elsewhere. `bytes` holds whole points. Says nothing of their validity.
pub(super) fn points_in<P: Group>(bytes: &[u8]) -> Cow<'_, [P]> {
    if cfg!(target_endian = "little") {
        // SAFETY: P is `repr(C)` of u64 limbs without padding, for which every bit pattern is a value; align_to
        // returns only whole, aligned elements inside `bytes`.
        let (before, points, after) = unsafe { bytes.align_to::<P>() };
        if before.is_empty() && after.is_empty() {
            return Cow::Borrowed(points);
        }
    }
    let limb = |chunk: &[u8]| chunk.iter().rev().fold(0u64, |limb, &byte| limb << 8 | u64::from(byte));
    let point = |bytes: &[u8]| P::from_limbs(&bytes.chunks_exact(8).map(limb).collect::<Vec<_>>());
    Cow::Owned(bytes.chunks_exact(8 * P::LIMBS).map(point).collect())
}

/// A number of 128 bits, little-endian.
pub(super) type Weight = [u8; 16];

/// Points, each times its weight. Weights are public. One inversion for all of them (Montgomery's trick).
pub(super) fn weighted(points: &[G1], weights: &[Weight]) -> Vec<G1> {
    let times = |(point, weight): (&G1, &Weight)| {
        let (mut from, mut product) = (blst_p1::default(), blst_p1::default());
        // SAFETY: points behind valid references; the weight has the 16 bytes that 128 bits take.
        unsafe {
            blst_p1_from_affine(&mut from, point);
            blst_p1_mult(&mut product, &from, weight.as_ptr(), 128);
        }
        product
    };
    let products: Vec<blst_p1> = points.iter().zip(weights).map(times).collect();
    if products.is_empty() { Vec::new() } else { p1_affines::from(&products).as_slice().to_vec() }
}

/// The sum of points, each times its weight, on this thread. Weights are public.
pub(super) fn weighted_sum(points: &[G1], weights: &[Weight]) -> G1 {
    let count = points.len().min(weights.len());
    let mut affine = G1::default();
    if count > 0 {
        let sum: blst_p1 = points[..count].mult(weights[..count].as_flattened(), 128);
        // SAFETY: reads one point, writes one point.
        unsafe { blst_p1_to_affine(&mut affine, &sum) };
    }
    affine
}

/// Pairs that `blst` takes through one chain of squarings.
pub(super) const LOOP_PAIRS_MAX: usize = 16;

/// The product of the pairings of the pairs, before the final exponentiation. Pairs with a point at infinity
/// contribute one, which `blst`'s loop does not see to.
pub(super) fn miller_loop(pairs: &[(G1, G2)]) -> blst_fp12 {
    let (ps, qs): (Vec<G1>, Vec<G2>) =
        pairs.iter().filter(|(p, q)| !p.is_infinity() && !q.is_infinity()).copied().unzip();
    if ps.is_empty() { blst_fp12::default() } else { blst_fp12::miller_loop_n(&qs, &ps) }
}

/// The point with the sign of its second coordinate changed.
pub(super) fn negated_g2(point: &G2) -> G2 {
    G2::from_ark(&-point.to_ark())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bls12_381::{Bls12_381, G1Projective, G2Projective};
    use ark_ec::pairing::Pairing;
    use ark_ec::{CurveGroup, PrimeGroup};
    use ark_serialize::CanonicalSerialize;

    fn g1(value: u64) -> G1Affine {
        (G1Projective::generator() * Element::from(value)).into_affine()
    }

    fn g2(value: u64) -> G2Affine {
        (G2Projective::generator() * Element::from(value)).into_affine()
    }

    #[test]
    fn points_of_arkworks_and_blst_are_the_same_limbs() {
        for value in [0, 1, 5, 77] {
            let (p, q) = (G1::from_ark(&g1(value)), G2::from_ark(&g2(value)));
            assert_eq!((p.to_ark(), q.to_ark()), (g1(value), g2(value)));
            assert_eq!(G1::from_limbs(&p.limbs()), p);
            assert_eq!(G2::from_limbs(&q.limbs()), q);
            let mut bytes = Vec::new();
            g1(value).serialize_compressed(&mut bytes).unwrap();
            assert_eq!(p.compress(), bytes, "both write the encoding of Zcash");
            assert_eq!(p.add(&p).to_ark(), g1(2 * value));
            assert_eq!(q.times(&Element::from(3u64)).to_ark(), g2(3 * value));
        }
        assert_eq!((size_of::<G1>(), size_of::<G2>(), align_of::<G2>()), (96, 192, 8));
    }

    #[test]
    fn points_times_weights_are_those_of_arkworks_infinity_and_zero_among_them() {
        let points: Vec<G1> = (0..40).map(|value| G1::from_ark(&g1(value % 9))).collect();
        let weights: Vec<u128> = (0..40).map(|at| u128::MAX / 41 * at).collect();
        let bytes: Vec<Weight> = weights.iter().map(|weight| weight.to_le_bytes()).collect();
        let expected: Vec<G1Affine> = points
            .iter()
            .zip(&weights)
            .map(|(point, weight)| (point.to_ark() * Element::from(*weight)).into_affine())
            .collect();
        let found: Vec<G1Affine> = weighted(&points, &bytes).iter().map(Group::to_ark).collect();
        assert_eq!(found, expected);
        let sum: G1Projective = expected.iter().sum();
        assert_eq!(weighted_sum(&points, &bytes).to_ark(), sum.into_affine());
        assert!(weighted(&[], &[]).is_empty() && weighted_sum(&[], &[]).is_infinity());
    }

    #[test]
    fn points_in_a_file_are_the_same_at_every_alignment() {
        let points: Vec<G2> = (1..4).map(|value| G2::from_ark(&g2(value))).collect();
        let bytes: Vec<u8> = points.iter().flat_map(|p| p.limbs()).flat_map(u64::to_le_bytes).collect();
        for shift in 0..9 {
            let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(bytes.iter().copied()).collect();
            assert_eq!(points_in::<G2>(&shifted[shift..]).as_ref(), points);
        }
    }

    #[test]
    fn pairings_agree_with_arkworks_and_infinity_is_one() {
        let pair = |a, b| (G1::from_ark(&g1(a)), G2::from_ark(&g2(b)));
        let left = miller_loop(&[pair(2, 3), pair(0, 5), pair(5, 0)]).final_exp();
        let right = miller_loop(&[pair(1, 5), pair(1, 1)]).final_exp();
        assert!(left == right);
        assert!(miller_loop(&[pair(0, 1)]).final_exp() == blst_fp12::default());
        assert_eq!(Bls12_381::pairing(g1(2), g2(3)), Bls12_381::pairing(g1(6), g2(1)));
    }
}
