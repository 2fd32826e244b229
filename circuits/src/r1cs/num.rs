//! Numbers in a circuit: a value, and the linear combination of variables that has it.

use std::ops::{Add, Mul, Neg, Sub};

use ark_ff::AdditiveGroup;

use crate::field::Element;

/// A value, and how the variables make it up. The terms are sorted by variable; there are none where only values
/// are computed. Variable 0 is the constant one.
#[derive(Clone)]
pub struct Num {
    pub(super) value: Element,
    pub(super) terms: Vec<(u32, Element)>,
}

/// A number that a constraint holds to 0 or 1.
#[derive(Clone)]
pub struct Bit(pub(super) Num);

impl Num {
    /// The value.
    #[must_use]
    pub fn value(&self) -> Element {
        self.value
    }

    /// Nothing: the empty sum.
    #[must_use]
    pub fn zero() -> Self {
        Self { value: Element::ZERO, terms: Vec::new() }
    }

    /// `self + factor * other`.
    #[must_use]
    pub fn plus(&self, other: &Self, factor: Element) -> Self {
        Self { value: self.value + other.value * factor, terms: merge(&self.terms, &other.terms, factor) }
    }

    /// The sum of numbers, each times a factor.
    #[must_use]
    pub fn combination<'a>(terms: impl IntoIterator<Item = (&'a Self, Element)>) -> Self {
        terms.into_iter().fold(Self::zero(), |sum, (num, factor)| sum.plus(num, factor))
    }

    /// The number whose bits these are, lowest first.
    #[must_use]
    pub fn from_bits(bits: &[Bit]) -> Self {
        let mut place = Element::from(1u64);
        let mut terms = Vec::with_capacity(bits.len());
        for bit in bits {
            terms.push((bit.num(), place));
            place.double_in_place();
        }
        Self::combination(terms)
    }
}

impl Bit {
    /// The number.
    #[must_use]
    pub fn num(&self) -> &Num {
        &self.0
    }

    /// Whether it is one.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.value != Element::ZERO
    }
}

/// `a + factor * b`, without the terms that cancel.
fn merge(a: &[(u32, Element)], b: &[(u32, Element)], factor: Element) -> Vec<(u32, Element)> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    loop {
        let (variable, coefficient) = match (a.peek(), b.peek()) {
            (None, None) => return merged,
            (Some(&term), None) => {
                a.next();
                term
            }
            (None, Some(&(variable, coefficient))) => {
                b.next();
                (variable, coefficient * factor)
            }
            (Some(&(left, of_a)), Some(&(right, of_b))) => {
                if left <= right {
                    a.next();
                }
                if right <= left {
                    b.next();
                }
                match left.cmp(&right) {
                    std::cmp::Ordering::Less => (left, of_a),
                    std::cmp::Ordering::Equal => (left, of_a + of_b * factor),
                    std::cmp::Ordering::Greater => (right, of_b * factor),
                }
            }
        };
        if coefficient != Element::ZERO {
            merged.push((variable, coefficient));
        }
    }
}

impl Add for &Num {
    type Output = Num;
    fn add(self, other: &Num) -> Num {
        self.plus(other, Element::from(1u64))
    }
}

impl Sub for &Num {
    type Output = Num;
    fn sub(self, other: &Num) -> Num {
        self.plus(other, -Element::from(1u64))
    }
}

impl Neg for &Num {
    type Output = Num;
    fn neg(self) -> Num {
        self * -Element::from(1u64)
    }
}

impl Mul<Element> for &Num {
    type Output = Num;
    fn mul(self, factor: Element) -> Num {
        Num::zero().plus(self, factor)
    }
}
