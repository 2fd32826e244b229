//! Points of Jubjub as constraints.
//!
//! Source: complete addition on twisted Edwards curves, Bernstein et al., "Twisted Edwards Curves", AFRICACRYPT 2008,
//! section 6; as six constraints in the Zcash protocol specification, section A.3.3.5. With a = -1 and d no square
//! no denominator is zero at points of the curve, so that every quotient is fixed.

use std::sync::LazyLock;

use ark_ec::twisted_edwards::TECurveConfig;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ed_on_bls12_381::{EdwardsAffine, EdwardsConfig, EdwardsProjective};
use ark_ff::{AdditiveGroup, One};

use crate::field::Element;
use crate::r1cs::{Bit, Builder, Num};

/// Bits of a scalar that multiplies the generator.
pub const SCALAR_BITS: usize = 252;

/// Bits in a window of the fixed-base table.
const WINDOW_BITS: usize = 3;

/// A point: its coordinates.
#[derive(Clone)]
pub struct PointVar {
    /// The first coordinate.
    pub x: Num,
    /// The second coordinate.
    pub y: Num,
}

impl PointVar {
    /// New variables for a point, held to the curve equation -x^2 + y^2 = 1 + d x^2 y^2. Three constraints.
    pub fn witness(builder: &mut Builder, point: &EdwardsAffine) -> Self {
        let (x, y) = (builder.witness(point.x), builder.witness(point.y));
        let (xx, yy) = (builder.mul(&x, &x), builder.mul(&y, &y));
        let right = &(&yy - &xx) - &builder.constant(Element::one());
        builder.enforce(&(&xx * EdwardsConfig::COEFF_D), &yy, &right);
        Self { x, y }
    }

    fn neutral(builder: &Builder) -> Self {
        Self { x: Num::zero(), y: builder.constant(Element::one()) }
    }

    /// The sum. Six constraints.
    #[must_use]
    pub fn add(&self, builder: &mut Builder, other: &Self) -> Self {
        let all = builder.mul(&(&self.x + &self.y), &(&other.x + &other.y));
        let a = builder.mul(&self.x, &other.y);
        let b = builder.mul(&self.y, &other.x);
        let cross = builder.mul(&(&a * EdwardsConfig::COEFF_D), &b);
        let one = builder.constant(Element::one());
        let sum = &a + &b;
        Self {
            x: builder.quotient(&sum, &(&one + &cross)),
            y: builder.quotient(&(&all - &sum), &(&one - &cross)),
        }
    }

    /// Twice the point. Five constraints: x' = 2xy / (y^2 - x^2), y' = (y^2 + x^2) / (2 - (y^2 - x^2)).
    #[must_use]
    pub fn double(&self, builder: &mut Builder) -> Self {
        let product = builder.mul(&self.x, &self.y);
        let difference = builder.mul(&(&self.y - &self.x), &(&self.y + &self.x));
        let xx = builder.mul(&self.x, &self.x);
        let two = builder.constant(Element::from(2u64));
        let squares = &difference + &(&xx * Element::from(2u64));
        Self {
            x: builder.quotient(&(&product * Element::from(2u64)), &difference),
            y: builder.quotient(&squares, &(&two - &difference)),
        }
    }

    fn select(builder: &mut Builder, bit: &Bit, zero: &Self, one: &Self) -> Self {
        Self { x: builder.select(bit, &zero.x, &one.x), y: builder.select(bit, &zero.y, &one.y) }
    }

    /// The point times the number with these bits, lowest first: windows of two bits from the top, each two
    /// doublings, a choice of (0, P, 2P, 3P) and an addition. Eleven constraints a bit.
    #[must_use]
    pub fn times(&self, builder: &mut Builder, bits: &[Bit]) -> Self {
        let neutral = Self::neutral(builder);
        let double = self.double(builder);
        let triple = double.add(builder, self);
        let mut sum: Option<Self> = None;
        for window in bits.chunks(2).rev() {
            let low = Self::select(builder, &window[0], &neutral, self);
            let chosen = match window.get(1) {
                Some(high) => {
                    let upper = Self::select(builder, &window[0], &double, &triple);
                    Self::select(builder, high, &low, &upper)
                }
                None => low,
            };
            sum = Some(match sum {
                None => chosen,
                Some(sum) => {
                    let shifted = sum.double(builder).double(builder);
                    shifted.add(builder, &chosen)
                }
            });
        }
        sum.unwrap_or(neutral)
    }

    /// Requires the two points to be one. Two constraints.
    pub fn enforce_equal(&self, builder: &mut Builder, other: &Self) {
        builder.enforce_equal(&self.x, &other.x);
        builder.enforce_equal(&self.y, &other.y);
    }
}

/// A point that is multiplied in a circuit: for each window of three bits the eight multiples that it chooses among.
pub struct FixedBase(Vec<[EdwardsAffine; 8]>);

impl FixedBase {
    /// The table of a point.
    #[must_use]
    pub fn new(point: &EdwardsAffine) -> Self {
        let mut base = EdwardsProjective::from(*point);
        let mut table = Vec::with_capacity(SCALAR_BITS / WINDOW_BITS);
        for _ in 0..SCALAR_BITS / WINDOW_BITS {
            let mut multiple = EdwardsProjective::ZERO;
            table.push(std::array::from_fn(|_| {
                let entry = multiple.into_affine();
                multiple += base;
                entry
            }));
            base = multiple;
        }
        Self(table)
    }

    /// The point times the number with these bits, lowest first, at most [`SCALAR_BITS`]. Nine constraints for three
    /// bits.
    #[must_use]
    pub fn times(&self, builder: &mut Builder, bits: &[Bit]) -> PointVar {
        let mut sum: Option<PointVar> = None;
        for (window, entries) in bits.chunks(WINDOW_BITS).zip(&self.0) {
            let point = window_choice(builder, window, entries);
            sum = Some(match sum {
                None => point,
                Some(sum) => sum.add(builder, &point),
            });
        }
        sum.unwrap_or_else(|| PointVar::neutral(builder))
    }
}

/// The generator times the number with these bits, as [`FixedBase::times`].
pub fn generator_times(builder: &mut Builder, bits: &[Bit]) -> PointVar {
    static GENERATOR: LazyLock<FixedBase> = LazyLock::new(|| FixedBase::new(&EdwardsAffine::generator()));
    GENERATOR.times(builder, bits)
}

/// Entry `b0 + 2 b1 + 4 b2` of a table of constants: linear in b0, b1 and their product, once for each value of b2.
fn window_choice(builder: &mut Builder, window: &[Bit], entries: &[EdwardsAffine; 8]) -> PointVar {
    let zero = || Num::zero();
    let [b0, b1, b2] = [0, 1, 2].map(|at| window.get(at).map_or_else(zero, |bit| bit.num().clone()));
    let both = builder.mul(&b0, &b1);
    let mut coordinate = |of: fn(&EdwardsAffine) -> Element| {
        let [low, high] = [0, 4].map(|half| {
            let entry = |at: usize| of(&entries[half + at]);
            let linear = Num::combination([
                (&b0, entry(1) - entry(0)),
                (&b1, entry(2) - entry(0)),
                (&both, entry(3) - entry(2) - entry(1) + entry(0)),
            ]);
            &linear + &builder.constant(entry(0))
        });
        let difference = &high - &low;
        &builder.mul(&difference, &b2) + &low
    };
    PointVar { x: coordinate(|point| point.x), y: coordinate(|point| point.y) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gadgets::numbers::index_bits;
    use ark_ed_on_bls12_381::Fr as Scalar;
    use proptest::prelude::*;

    fn point(multiple: u64) -> EdwardsAffine {
        (EdwardsAffine::generator() * Scalar::from(multiple)).into_affine()
    }

    fn value(point: &PointVar) -> EdwardsAffine {
        EdwardsAffine::new_unchecked(point.x.value(), point.y.value())
    }

    /// Pins the outputs and asserts that nothing in between is free.
    fn assert_is(mut builder: Builder, found: &PointVar, expected: &EdwardsAffine) {
        assert_eq!(value(found), *expected);
        for coordinate in [&found.x, &found.y] {
            let output = builder.witness(coordinate.value());
            builder.enforce_equal(&output, coordinate);
        }
        let (matrices, variables) = builder.finish();
        assert_eq!(matrices.first_unsatisfied(variables.expose()), None);
    }

    #[test]
    fn a_point_off_the_curve_satisfies_nothing() {
        let (mut builder, _) = Builder::shape(&[]);
        let off = EdwardsAffine::new_unchecked(Element::from(1u64), Element::from(1u64));
        PointVar::witness(&mut builder, &off);
        let (matrices, variables) = builder.finish();
        assert!(matrices.first_unsatisfied(variables.expose()).is_some());
    }

    #[test]
    fn no_variable_of_a_sum_a_double_or_a_multiple_is_free() {
        let (mut builder, _) = Builder::shape(&[]);
        let (p, q) = (PointVar::witness(&mut builder, &point(5)), PointVar::witness(&mut builder, &point(9)));
        let bits = index_bits(&mut builder, 0b1_0110, 5);
        let sum = p.add(&mut builder, &q).double(&mut builder).times(&mut builder, &bits);
        let fixed = generator_times(&mut builder, &bits);
        for coordinate in [&sum.x, &sum.y, &fixed.x, &fixed.y] {
            let output = builder.witness(coordinate.value());
            builder.enforce_equal(&output, coordinate);
        }
        crate::testing::assert_bound(builder);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn sums_and_multiples_are_those_of_the_curve(a in 0u64..9, b in 0u64..9, k: u16) {
            let (mut builder, _) = Builder::shape(&[]);
            let (p, q) = (PointVar::witness(&mut builder, &point(a)), PointVar::witness(&mut builder, &point(b)));
            let sum = p.add(&mut builder, &q);
            let double = p.double(&mut builder);
            prop_assert_eq!(value(&sum), point(a + b));
            prop_assert_eq!(value(&double), point(2 * a));
            let bits = index_bits(&mut builder, usize::from(k), 17);
            let multiple = p.times(&mut builder, &bits);
            prop_assert_eq!(value(&multiple), point(a * u64::from(k)));
            let fixed = generator_times(&mut builder, &bits);
            assert_is(builder, &fixed, &point(u64::from(k)));
        }
    }
}
