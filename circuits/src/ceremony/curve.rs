//! Points of BLS12-381 on the functions of `blst`: the one file of the ceremony that calls foreign code.
//!
//! Every function here checks the lengths that its C counterpart takes on trust. Encodings are those of
//! the Zcash specification (uncompressed 96 and 192 bytes, compressed 48 and 96, big-endian).

use std::ptr;

use ark_bls12_381::{Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ff::{BigInt, PrimeField};
use blst::*;
use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use super::error::PointFault;

/// Points below which a multi-scalar multiplication is not split among threads.
const MSM_SPLIT: usize = 2048;

/// A group of the pairing, seen as affine points.
pub(crate) trait Curve: Copy + Eq + Send + Sync + 'static {
    /// A point between additions: projective, unnormalised.
    type Sum: Copy + Send + Sync;
    /// Bytes of an uncompressed encoding.
    const BYTES: usize;
    /// Bytes of a compressed encoding.
    const COMPRESSED: usize;

    fn generator() -> Self;
    fn is_infinity(&self) -> bool;
    fn negate(&self) -> Self;
    /// `scalar * self` with the sequence of operations independent of the scalar.
    fn mult(&self, scalar: &Fr) -> Self::Sum;
    /// The same from a sum.
    fn mult_sum(point: &Self::Sum, scalar: &Fr) -> Self::Sum;
    fn zero() -> Self::Sum;
    fn to_sum(&self) -> Self::Sum;
    fn add(a: &Self::Sum, b: &Self::Sum) -> Self::Sum;
    fn subtract(a: &Self::Sum, b: &Self::Sum) -> Self::Sum;
    /// Affine forms, with one inversion for all.
    fn normalise(sums: &[Self::Sum]) -> Vec<Self>;
    /// Sum of points picked out of a vector, by affine additions that share inversions.
    fn add_all(points: &[&Self]) -> Self::Sum;
    /// `sum_i scalars[i] * points[i]` in time that depends on the scalars, which are public; `bits` of each,
    /// little-endian in `ceil(bits / 8)` bytes. Points at infinity count as nothing.
    fn msm_vartime(points: &[Self], scalars: &[u8], bits: usize) -> Self;
    fn in_subgroup(&self) -> bool;
    /// Writes `BYTES` bytes.
    fn write(&self, out: &mut [u8]);
    /// Reads `BYTES` bytes: canonical, on the curve. Not yet known to be in the subgroup.
    fn read(bytes: &[u8]) -> Result<Self, PointFault>;
    /// Writes `COMPRESSED` bytes.
    fn compress(&self) -> Vec<u8>;
    /// Reads `COMPRESSED` bytes: canonical, on the curve. Not yet known to be in the subgroup.
    fn uncompress(bytes: &[u8]) -> Result<Self, PointFault>;
}

/// A point of `G1`'s curve.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct G1(blst_p1_affine);

/// A point of `G2`'s curve.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct G2(blst_p2_affine);

/// Little-endian bytes of a scalar.
pub(crate) fn scalar_bytes(scalar: &Fr) -> Zeroizing<[u8; 32]> {
    let mut integer = scalar.into_bigint();
    let mut out = Zeroizing::new([0u8; 32]);
    for (bytes, limb) in out.as_chunks_mut::<8>().0.iter_mut().zip(integer.0) {
        *bytes = limb.to_le_bytes();
    }
    integer.zeroize();
    out
}

macro_rules! curve {
    ($name:ident, $affine:ident, $sum:ident, $bytes:literal, $compressed:literal, $generator:ident, $is_inf:ident,
     $from_affine:ident, $to_affine:ident, $mult:ident, $cneg:ident, $add:ident, $to_affines:ident, $adds:ident,
     $msm:ident, $scratch:ident, $in_group:ident, $serialize:ident, $deserialize:ident, $compress:ident,
     $uncompress:ident) => {
        impl Curve for $name {
            type Sum = $sum;
            const BYTES: usize = $bytes;
            const COMPRESSED: usize = $compressed;

            fn generator() -> Self {
                // SAFETY: the generator is a constant of the library.
                Self(unsafe { *$generator() })
            }

            fn is_infinity(&self) -> bool {
                // SAFETY: the argument lives through the call.
                unsafe { $is_inf(&self.0) }
            }

            fn negate(&self) -> Self {
                let mut sum = self.to_sum();
                let mut out = $affine::default();
                // SAFETY: all arguments live through the calls.
                unsafe {
                    $cneg(&mut sum, true);
                    $to_affine(&mut out, &sum);
                }
                Self(out)
            }

            fn mult(&self, scalar: &Fr) -> $sum {
                Self::mult_sum(&self.to_sum(), scalar)
            }

            fn mult_sum(point: &$sum, scalar: &Fr) -> $sum {
                let scalar = scalar_bytes(scalar);
                let mut out = $sum::default();
                // SAFETY: 255 bits are read of the 32 bytes; all arguments live through the call.
                unsafe { $mult(&mut out, point, scalar.as_ptr(), 255) };
                out
            }

            fn zero() -> $sum {
                $sum::default()
            }

            fn to_sum(&self) -> $sum {
                let mut out = $sum::default();
                // SAFETY: both arguments live through the call.
                unsafe { $from_affine(&mut out, &self.0) };
                out
            }

            fn add(a: &$sum, b: &$sum) -> $sum {
                let mut out = $sum::default();
                // SAFETY: all arguments live through the call.
                unsafe { $add(&mut out, a, b) };
                out
            }

            fn subtract(a: &$sum, b: &$sum) -> $sum {
                let mut negated = *b;
                // SAFETY: the argument lives through the call.
                unsafe { $cneg(&mut negated, true) };
                Self::add(a, &negated)
            }

            fn normalise(sums: &[$sum]) -> Vec<Self> {
                let mut out = vec![Self($affine::default()); sums.len()];
                if !sums.is_empty() {
                    let points = [sums.as_ptr(), ptr::null()];
                    // SAFETY: `out` has the layout of as many affine points as there are sums; a null ends the
                    // list of pointers and says that the points follow each other.
                    unsafe { $to_affines(out.as_mut_ptr().cast(), points.as_ptr(), sums.len()) };
                }
                out
            }

            fn add_all(points: &[&Self]) -> $sum {
                let mut out = $sum::default();
                if !points.is_empty() {
                    // SAFETY: a reference to the transparent wrapper is a pointer to the point, never null, and
                    // there are as many as the call is told.
                    unsafe { $adds(&mut out, points.as_ptr().cast(), points.len()) };
                }
                out
            }

            fn msm_vartime(points: &[Self], scalars: &[u8], bits: usize) -> Self {
                let width = bits.div_ceil(8);
                let threads = rayon::current_num_threads().max(1);
                let chunk = points.len().div_ceil(threads).max(MSM_SPLIT);
                let parts: Vec<$sum> = points
                    .par_chunks(chunk)
                    .zip(scalars.par_chunks(chunk * width))
                    .map(|(points, scalars)| Self::msm_part(points, scalars, bits))
                    .collect();
                let sum = parts.iter().fold(Self::zero(), |sum, part| Self::add(&sum, part));
                Self::normalise(&[sum])[0]
            }

            fn in_subgroup(&self) -> bool {
                // SAFETY: the argument lives through the call.
                unsafe { $in_group(&self.0) }
            }

            fn write(&self, out: &mut [u8]) {
                let mut bytes = [0u8; $bytes];
                // SAFETY: the array has the length of an uncompressed point.
                unsafe { $serialize(bytes.as_mut_ptr(), &self.0) };
                out.copy_from_slice(&bytes);
            }

            fn read(bytes: &[u8]) -> Result<Self, PointFault> {
                let bytes: &[u8; $bytes] = bytes.try_into().map_err(|_| PointFault::Encoding)?;
                if bytes[0] & 0x80 != 0 {
                    return Err(PointFault::Encoding); // a compressed point, which has half the length
                }
                let mut out = $affine::default();
                // SAFETY: the array has the length of an uncompressed point, and is not marked compressed.
                fault(unsafe { $deserialize(&mut out, bytes.as_ptr()) })?;
                Ok(Self(out))
            }

            fn compress(&self) -> Vec<u8> {
                let mut bytes = [0u8; $compressed];
                // SAFETY: the array has the length of a compressed point.
                unsafe { $compress(bytes.as_mut_ptr(), &self.0) };
                bytes.to_vec()
            }

            fn uncompress(bytes: &[u8]) -> Result<Self, PointFault> {
                let bytes: &[u8; $compressed] = bytes.try_into().map_err(|_| PointFault::Encoding)?;
                let mut out = $affine::default();
                // SAFETY: the array has the length of a compressed point.
                fault(unsafe { $uncompress(&mut out, bytes.as_ptr()) })?;
                Ok(Self(out))
            }
        }

        impl $name {
            /// One thread's part of a multi-scalar multiplication.
            fn msm_part(points: &[Self], scalars: &[u8], bits: usize) -> $sum {
                let width = bits.div_ceil(8);
                let (points, scalars): (Vec<&Self>, Vec<*const u8>) = points
                    .iter()
                    .zip(scalars.chunks_exact(width))
                    .filter(|(point, _)| !point.is_infinity())
                    .map(|(point, scalar)| (point, scalar.as_ptr()))
                    .unzip();
                let mut out = $sum::default();
                if points.is_empty() {
                    return out;
                }
                // SAFETY: the size is the library's own; both lists have as many entries as the call is told, each
                // pointing at a point or at the `width` bytes of a scalar; the scratch space has the size asked for.
                unsafe {
                    let mut scratch = vec![0u64; $scratch(points.len()).div_ceil(8)];
                    $msm(
                        &mut out,
                        points.as_ptr().cast(),
                        points.len(),
                        scalars.as_ptr(),
                        bits,
                        scratch.as_mut_ptr(),
                    );
                }
                out
            }
        }
    };
}

curve!(
    G1,
    blst_p1_affine,
    blst_p1,
    96,
    48,
    blst_p1_affine_generator,
    blst_p1_affine_is_inf,
    blst_p1_from_affine,
    blst_p1_to_affine,
    blst_p1_mult,
    blst_p1_cneg,
    blst_p1_add_or_double,
    blst_p1s_to_affine,
    blst_p1s_add,
    blst_p1s_mult_pippenger,
    blst_p1s_mult_pippenger_scratch_sizeof,
    blst_p1_affine_in_g1,
    blst_p1_affine_serialize,
    blst_p1_deserialize,
    blst_p1_affine_compress,
    blst_p1_uncompress
);
curve!(
    G2,
    blst_p2_affine,
    blst_p2,
    192,
    96,
    blst_p2_affine_generator,
    blst_p2_affine_is_inf,
    blst_p2_from_affine,
    blst_p2_to_affine,
    blst_p2_mult,
    blst_p2_cneg,
    blst_p2_add_or_double,
    blst_p2s_to_affine,
    blst_p2s_add,
    blst_p2s_mult_pippenger,
    blst_p2s_mult_pippenger_scratch_sizeof,
    blst_p2_affine_in_g2,
    blst_p2_affine_serialize,
    blst_p2_deserialize,
    blst_p2_affine_compress,
    blst_p2_uncompress
);

fn fault(code: BLST_ERROR) -> Result<(), PointFault> {
    match code {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => Err(PointFault::Curve),
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Err(PointFault::Subgroup),
        _ => Err(PointFault::Encoding),
    }
}

impl G1 {
    /// The point that RFC 9380 gives to `message` under the suite `BLS12381G1_XMD:SHA-256_SSWU_RO_` and the
    /// domain separation tag `tag`: nobody knows its discrete logarithm.
    pub(crate) fn hash(tag: &[u8], message: &[u8]) -> Self {
        let mut sum = blst_p1::default();
        let mut out = blst_p1_affine::default();
        // SAFETY: pointers and lengths belong together; no augmentation.
        unsafe {
            blst_hash_to_g1(
                &mut sum,
                message.as_ptr(),
                message.len(),
                tag.as_ptr(),
                tag.len(),
                ptr::null(),
                0,
            );
            blst_p1_to_affine(&mut out, &sum);
        }
        Self(out)
    }

    /// The point for arkworks. Both libraries keep coordinates in Montgomery form with `R = 2^384`.
    pub(crate) fn to_ark(self) -> G1Affine {
        if self.is_infinity() {
            return G1Affine::identity();
        }
        G1Affine::new_unchecked(coordinate(&self.0.x), coordinate(&self.0.y))
    }
}

impl G2 {
    /// The point for arkworks.
    pub(crate) fn to_ark(self) -> G2Affine {
        if self.is_infinity() {
            return G2Affine::identity();
        }
        let pair = |fp2: &blst_fp2| Fq2::new(coordinate(&fp2.fp[0]), coordinate(&fp2.fp[1]));
        G2Affine::new_unchecked(pair(&self.0.x), pair(&self.0.y))
    }
}

fn coordinate(fp: &blst_fp) -> Fq {
    Fq::new_unchecked(BigInt::new(fp.l))
}

fn miller(p: &G1, q: &G2) -> blst_fp12 {
    let mut out = blst_fp12::default();
    if p.is_infinity() || q.is_infinity() {
        return out; // the library's default is one
    }
    // SAFETY: all arguments live through the call.
    unsafe { blst_miller_loop(&mut out, &q.0, &p.0) };
    out
}

/// Whether `e(a, b) = e(c, d)`. All points are in their subgroups.
pub(crate) fn pairings_agree((a, b): (&G1, &G2), (c, d): (&G1, &G2)) -> bool {
    let (left, right) = (miller(a, b), miller(c, d));
    // SAFETY: both arguments live through the call.
    unsafe { blst_fp12_finalverify(&left, &right) }
}
