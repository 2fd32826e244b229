//! What [`super::super::sum`] needs of a group: its coordinates, sums in Jacobian coordinates, and the endomorphism by
//! which scalars fall into short parts.

use std::sync::LazyLock;

use ark_bls12_381::g1::BETA;
use ark_bls12_381::{Fq, Fq2, Fq6Config};
use ark_ff::{Field, Fp6Config, One, PrimeField};
use blst::{
    blst_fp, blst_fp_add, blst_fp_inverse, blst_fp_mul, blst_fp_sqr, blst_fp2, blst_fp2_add,
    blst_fp2_inverse, blst_fp2_mul, blst_fp2_sqr, blst_p1, blst_p1_add_or_double,
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
    fn set_difference(&mut self, a: &Self, b: &Self);
    fn set_product(&mut self, a: &Self, b: &Self);
    fn set_square(&mut self, a: &Self);
    fn multiply(&mut self, other: &Self);
    fn doubled(&self) -> Self;
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
    fn coordinates(&mut self) -> (&mut Self::Coordinate, &mut Self::Coordinate);
    /// The point times the base of the parts.
    fn image(&self) -> Self;
    fn double(sum: &mut Self::Sum);
    fn join(sum: &mut Self::Sum, other: &Self::Sum);
    fn join_point(sum: &mut Self::Sum, point: &Self);
    fn settle(sum: &Self::Sum) -> Self;
}

/// Asks for the point's memory ahead of its use.
#[inline]
pub(in super::super) fn prefetch<P>(point: &P) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..size_of::<P>()).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: an address inside the point, and a hint, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(point).cast::<i8>().add(line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = point;
}

macro_rules! coordinate {
    ($field:ident, $one:expr, $limbs:expr, $difference:expr, $add:ident, $mul:ident, $square:ident, $inverse:ident) => {
        impl Coordinate for $field {
            fn one() -> Self {
                $one
            }

            #[inline]
            fn is_zero(&self) -> bool {
                $limbs(self) == 0
            }

            #[inline]
            fn set_difference(&mut self, a: &Self, b: &Self) {
                $difference(self, a, b);
            }

            #[inline]
            fn set_product(&mut self, a: &Self, b: &Self) {
                // SAFETY: every argument is one element behind a valid reference.
                unsafe { $mul(self, a, b) };
            }

            #[inline]
            fn set_square(&mut self, a: &Self) {
                // SAFETY: as above.
                unsafe { $square(self, a) };
            }

            #[inline]
            fn multiply(&mut self, other: &Self) {
                let place: *mut Self = self;
                // SAFETY: as above; the function reads its arguments before it writes, as `blst` itself uses it.
                unsafe { $mul(place, place, other) };
            }

            fn doubled(&self) -> Self {
                let mut result = Self::default();
                // SAFETY: as above.
                unsafe { $add(&mut result, self, self) };
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
#[inline]
fn any(value: &blst_fp) -> u64 {
    value.l.iter().fold(0, |any, limb| any | limb)
}

/// `a - b`, in line: as a call it is a third of a product.
#[inline]
fn difference(result: &mut blst_fp, a: &blst_fp, b: &blst_fp) {
    let (mut limbs, mut borrow) = ([0; 6], false);
    for ((limb, a), b) in limbs.iter_mut().zip(a.l).zip(b.l) {
        (*limb, borrow) = a.borrowing_sub(b, borrow);
    }
    let (mask, mut carry) = (0u64.wrapping_sub(u64::from(borrow)), false);
    for ((result, limb), modulus) in result.l.iter_mut().zip(limbs).zip(Fq::MODULUS.0) {
        (*result, carry) = limb.carrying_add(modulus & mask, carry);
    }
}

coordinate!(blst_fp, fp(&Fq::one()), any, difference, blst_fp_add, blst_fp_mul, blst_fp_sqr, blst_fp_inverse);
coordinate!(
    blst_fp2,
    blst_fp2 { fp: [fp(&Fq::one()), blst_fp::default()] },
    |value: &blst_fp2| any(&value.fp[0]) | any(&value.fp[1]),
    |result: &mut blst_fp2, a: &blst_fp2, b: &blst_fp2| {
        difference(&mut result.fp[0], &a.fp[0], &b.fp[0]);
        difference(&mut result.fp[1], &a.fp[1], &b.fp[1]);
    },
    blst_fp2_add,
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
            fn coordinates(&mut self) -> (&mut $field, &mut $field) {
                (&mut self.x, &mut self.y)
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
    |point: &G1| {
        let mut image = G1::default();
        image.x.set_product(&point.x, &fp(&BETA));
        image.y.set_difference(&blst_fp::default(), &point.y);
        image
    },
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
        let ([of_x, of_y], mut image) = (&*PSI, G2::default());
        image.x.set_product(&conjugate(&point.x), of_x);
        image.y.set_product(&conjugate(&point.y), of_y);
        image
    },
    blst_p2_double,
    blst_p2_add_or_double,
    blst_p2_add_or_double_affine,
    blst_p2_to_affine
);

fn conjugate(value: &blst_fp2) -> blst_fp2 {
    let mut conjugate = *value;
    difference(&mut conjugate.fp[1], &blst_fp::default(), &value.fp[1]);
    conjugate
}

/// The factors of -psi.
static PSI: LazyLock<[blst_fp2; 2]> = LazyLock::new(|| {
    let third = Fq6Config::FROBENIUS_COEFF_FP6_C1[1];
    let half = Fq2::new(Fq::one(), Fq::one()).pow(Fq::MODULUS_MINUS_ONE_DIV_TWO);
    [third, -half].map(|power| {
        let factor = power.inverse().unwrap_or_default();
        blst_fp2 { fp: [fp(&factor.c0), fp(&factor.c1)] }
    })
});
