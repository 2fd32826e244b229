//! Exact arithmetic on the sums: differences are taken among integers, and one division makes the double.

use num_bigint::{BigInt, Sign};

/// A fraction of integers with a positive denominator.
#[derive(Clone, Debug)]
pub(crate) struct Fraction {
    numerator: BigInt,
    denominator: BigInt,
}

/// Bits of a quotient before it is rounded to the 53 of a double.
const QUOTIENT_BITS: u64 = 66;

impl Fraction {
    /// `numerator / denominator`, or `None` when the denominator is zero.
    pub fn new(numerator: BigInt, denominator: BigInt) -> Option<Self> {
        match denominator.sign() {
            Sign::NoSign => None,
            Sign::Plus => Some(Self { numerator, denominator }),
            Sign::Minus => Some(Self { numerator: -numerator, denominator: -denominator }),
        }
    }

    /// The fraction times 10^power.
    pub fn scaled(mut self, power: i32) -> Self {
        let factor = BigInt::from(10).pow(power.unsigned_abs());
        if power >= 0 {
            self.numerator *= factor;
        } else {
            self.denominator *= factor;
        }
        self
    }

    /// The nearest double (0 where it is smaller than the smallest).
    pub fn to_f64(&self) -> f64 {
        let (above, below) = (self.numerator.magnitude().bits(), self.denominator.magnitude().bits());
        if above == 0 {
            return 0.0;
        }
        let shift = i64::try_from(QUOTIENT_BITS + below).unwrap_or(0) - i64::try_from(above).unwrap_or(0);
        let (mut top, mut bottom) =
            (self.numerator.magnitude().clone(), self.denominator.magnitude().clone());
        if shift >= 0 {
            top <<= shift.unsigned_abs();
        } else {
            bottom <<= shift.unsigned_abs();
        }
        let mut quotient = &top / &bottom;
        if &quotient * &bottom != top {
            quotient.set_bit(0, true); // what is cut off breaks the tie
        }
        // The quotient has 66 or 67 bits: its top 64, the lowest of them sticky, round once.
        let cut = quotient.bits().saturating_sub(64);
        let mut high = &quotient >> cut;
        if (&high << cut) != quotient {
            high.set_bit(0, true);
        }
        let head = u64::try_from(&high).unwrap_or(u64::MAX) as f64;
        let magnitude = scale_by_two(head, i64::try_from(cut).unwrap_or(0) - shift);
        if self.numerator.sign() == Sign::Minus { -magnitude } else { magnitude }
    }
}

/// `x * 2^power`, in steps that do not leave the range of doubles early.
fn scale_by_two(mut x: f64, mut power: i64) -> f64 {
    while power != 0 && x != 0.0 && x.is_finite() {
        let step = power.clamp(-1000, 1000);
        x *= 2f64.powi(step as i32);
        power -= step;
    }
    x
}

/// The double of a fraction, or `None` when its denominator is zero.
pub(crate) fn ratio(numerator: impl Into<BigInt>, denominator: impl Into<BigInt>) -> Option<f64> {
    Fraction::new(numerator.into(), denominator.into()).map(|f| f.to_f64())
}

/// `n * sum of products - sum * sum`: n^2 times a covariance.
pub(crate) fn centered(n: u64, products: i128, sum_a: i128, sum_b: i128) -> BigInt {
    BigInt::from(n) * BigInt::from(products) - BigInt::from(sum_a) * BigInt::from(sum_b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_fractions_are_nearest_doubles() {
        assert_eq!(ratio(1, 3), Some(1.0 / 3.0));
        assert_eq!(ratio(-2, -7), Some(2.0 / 7.0));
        assert_eq!(ratio(1, 0), None);
        let tenth = Fraction::new(1.into(), 1.into()).expect("one").scaled(-1);
        assert_eq!(tenth.to_f64(), 0.1);
        let huge = Fraction::new(BigInt::from(10).pow(400), BigInt::from(10).pow(398)).expect("not zero");
        assert_eq!(huge.to_f64(), 100.0);
        // 2^53 + 1 lies between two doubles: to the even one.
        assert_eq!(ratio((1i128 << 53) + 1, 1), Some(9_007_199_254_740_992.0));
    }

    proptest! {
        #[test]
        fn quotients_of_doubles_round_as_the_processor_does(a in any::<i32>(), b in 1i64..i64::from(u32::MAX)) {
            prop_assert_eq!(ratio(a, b), Some(f64::from(a) / b as f64));
        }

        #[test]
        fn sums_of_sixteen_digits_parse_back(v in any::<i64>(), digits in 0i32..18) {
            let text = format!("{v}e-{digits}");
            let exact = Fraction::new(v.into(), 1.into()).expect("one").scaled(-digits).to_f64();
            prop_assert_eq!(exact, text.parse::<f64>().expect("a number"));
        }
    }
}
