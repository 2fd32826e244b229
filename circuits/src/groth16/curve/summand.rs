//! What [`super::super::sum`] needs of a group: its coordinates, sums in Jacobian coordinates, and the endomorphism by
//! which scalars fall into short parts.

use std::sync::LazyLock;

use ark_bls12_381::g1::BETA;
use ark_bls12_381::{Fq, Fq2, Fq6Config};
use ark_ff::{Field, Fp6Config, One, PrimeField};
use blst::{
    blst_fp, blst_fp_add, blst_fp_inverse, blst_fp_mul, blst_fp_sqr, blst_fp_sub, blst_fp2, blst_fp2_add,
    blst_fp2_inverse, blst_fp2_mul, blst_fp2_sqr, blst_fp2_sub, blst_p1, blst_p1_add_or_double,
    blst_p1_add_or_double_affine, blst_p1_double, blst_p1_to_affine, blst_p2, blst_p2_add_or_double,
    blst_p2_add_or_double_affine, blst_p2_double, blst_p2_to_affine,
};

use super::{G1, G2, Group, fp};

/// An element of the field that a group's coordinates are of.
pub(in super::super) trait Coordinate:
    Copy + Default + PartialEq + Send + Sync + 'static
{
    fn one() -> Self;
    fn is_zero(&self) -> bool;
    fn plus(&self, other: &Self) -> Self;
    fn minus(&self, other: &Self) -> Self;
    fn times(&self, other: &Self) -> Self;
    fn square(&self) -> Self;
    /// The inverse; zero of zero.
    fn inverse(&self) -> Self;
}

/// A group whose points are summed.
pub(in super::super) trait Summand: Group {
    type Coordinate: Coordinate;
    /// A point in Jacobian coordinates; the default is infinity.
    type Sum: Copy + Default + Send + Sync;
    /// Parts of a scalar: its digits to the base |z|^(4 / PARTS), z being the parameter of the curve.
    const PARTS: usize;
    /// Bits of a part at most.
    const PART_BITS: usize;

    fn x(&self) -> &Self::Coordinate;
    fn y(&self) -> &Self::Coordinate;
    fn from_coordinates(x: Self::Coordinate, y: Self::Coordinate) -> Self;
    /// The point times the base of the parts.
    fn image(&self) -> Self;
    fn double(sum: &mut Self::Sum);
    fn join(sum: &mut Self::Sum, other: &Self::Sum);
    fn join_point(sum: &mut Self::Sum, point: &Self);
    fn settle(sum: &Self::Sum) -> Self;
}

macro_rules! coordinate {
    ($field:ident, $one:expr, $limbs:expr, $add:ident, $sub:ident, $mul:ident, $sqr:ident, $inverse:ident) => {
        impl Coordinate for $field {
            fn one() -> Self {
                $one
            }

            #[inline]
            fn is_zero(&self) -> bool {
                $limbs(self) == 0
            }

            #[inline]
            fn plus(&self, other: &Self) -> Self {
                let mut result = Self::default();
                // SAFETY: every argument is one element behind a valid reference.
                unsafe { $add(&mut result, self, other) };
                result
            }

            #[inline]
            fn minus(&self, other: &Self) -> Self {
                let mut result = Self::default();
                // SAFETY: as above.
                unsafe { $sub(&mut result, self, other) };
                result
            }

            #[inline]
            fn times(&self, other: &Self) -> Self {
                let mut result = Self::default();
                // SAFETY: as above.
                unsafe { $mul(&mut result, self, other) };
                result
            }

            #[inline]
            fn square(&self) -> Self {
                let mut result = Self::default();
                // SAFETY: as above.
                unsafe { $sqr(&mut result, self) };
                result
            }

            fn inverse(&self) -> Self {
                let mut result = Self::default();
                // SAFETY: as above.
                unsafe { $inverse(&mut result, self) };
                result
            }
        }
    };
}

/// Zero if and only if all limbs are.
fn any(value: &blst_fp) -> u64 {
    value.l.iter().fold(0, |any, limb| any | limb)
}

coordinate!(
    blst_fp,
    fp(&Fq::one()),
    any,
    blst_fp_add,
    blst_fp_sub,
    blst_fp_mul,
    blst_fp_sqr,
    blst_fp_inverse
);
coordinate!(
    blst_fp2,
    blst_fp2 { fp: [fp(&Fq::one()), blst_fp::default()] },
    |value: &blst_fp2| any(&value.fp[0]) | any(&value.fp[1]),
    blst_fp2_add,
    blst_fp2_sub,
    blst_fp2_mul,
    blst_fp2_sqr,
    blst_fp2_inverse
);

macro_rules! summand {
    ($affine:ident, $sum:ident, $field:ident, $parts:expr, $image:expr,
     $double:ident, $add:ident, $add_affine:ident, $to_affine:ident) => {
        impl Summand for $affine {
            type Coordinate = $field;
            type Sum = $sum;
            const PARTS: usize = $parts;
            const PART_BITS: usize = 256 / $parts;

            #[inline]
            fn x(&self) -> &$field {
                &self.x
            }

            #[inline]
            fn y(&self) -> &$field {
                &self.y
            }

            #[inline]
            fn from_coordinates(x: $field, y: $field) -> Self {
                Self { x, y }
            }

            fn image(&self) -> Self {
                $image(self)
            }

            fn double(sum: &mut $sum) {
                let point = *sum;
                // SAFETY: both arguments are one point behind a valid reference.
                unsafe { $double(sum, &point) };
            }

            fn join(sum: &mut $sum, other: &$sum) {
                let point = *sum;
                // SAFETY: as above.
                unsafe { $add(sum, &point, other) };
            }

            fn join_point(sum: &mut $sum, other: &Self) {
                let point = *sum;
                // SAFETY: as above.
                unsafe { $add_affine(sum, &point, other) };
            }

            fn settle(sum: &$sum) -> Self {
                let mut affine = Self::default();
                // SAFETY: as above.
                unsafe { $to_affine(&mut affine, sum) };
                affine
            }
        }
    };
}

// z^2 P = -phi(P), phi(x, y) = (beta x, y): Gallant, Lambert, Vanstone, CRYPTO 2001.
summand!(
    G1,
    blst_p1,
    blst_fp,
    2,
    |point: &G1| G1 { x: point.x.times(&fp(&BETA)), y: blst_fp::default().minus(&point.y) },
    blst_p1_double,
    blst_p1_add_or_double,
    blst_p1_add_or_double_affine,
    blst_p1_to_affine
);

// |z| P = -psi(P), as z is negative: Galbraith, Lin, Scott, EUROCRYPT 2009. psi(x, y) = (x^p / w^((p - 1) / 3),
// y^p / w^((p - 1) / 2)) with w = 1 + u.
summand!(
    G2,
    blst_p2,
    blst_fp2,
    4,
    |point: &G2| {
        let [of_x, of_y] = &*PSI;
        let conjugate =
            |value: &blst_fp2| blst_fp2 { fp: [value.fp[0], blst_fp::default().minus(&value.fp[1])] };
        G2 { x: conjugate(&point.x).times(of_x), y: conjugate(&point.y).times(of_y) }
    },
    blst_p2_double,
    blst_p2_add_or_double,
    blst_p2_add_or_double_affine,
    blst_p2_to_affine
);

/// The factors of -psi.
static PSI: LazyLock<[blst_fp2; 2]> = LazyLock::new(|| {
    let third = Fq6Config::FROBENIUS_COEFF_FP6_C1[1];
    let half = Fq2::new(Fq::one(), Fq::one()).pow(Fq::MODULUS_MINUS_ONE_DIV_TWO);
    [third, -half].map(|power| {
        let factor = power.inverse().unwrap_or_default();
        blst_fp2 { fp: [fp(&factor.c0), fp(&factor.c1)] }
    })
});
