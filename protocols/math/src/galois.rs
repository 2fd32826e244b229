//! The Galois ring GR(2^64, 48) = `(Z / 2^64)[X]` / (X^48 + X^5 + X^3 + X^2 + 1), modulo 2 the field of 2^48 elements.
//!
//! The 2^48 elements whose coefficients are 0 or 1 are an exceptional set: their differences are not zero modulo 2,
//! therefore units, so a polynomial over the ring that is not zero and has total degree `D` vanishes at a random
//! point of the set with probability at most `D / 2^48` (Schwartz-Zippel under Condition (D) of Bishnoi, Clark,
//! Potukuchi, Schmitt, "On zeros of a polynomial in a finite grid", 2018). A [`Point`] is such an element; products
//! with it are sums.

use crate::karatsuba::{self, Tree};
use crate::lanes::{self, HornerRoom, LANES, LEAF, LEAVES, Lane, LeafRoom, LeafSums};
use crate::wide;

/// Coefficients of an element.
pub const DEGREE: usize = 48;

/// An element by its coefficients, from `X^0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Galois(pub [u64; DEGREE]);

/// An element of the exceptional set: bit `j` is the coefficient of `X^j`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point(u64);

/// Eight elements, coefficient by coefficient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Block(pub [Lane; DEGREE]);

/// Eight zeros.
pub const ZEROS: Block = Block([[0; LANES]; DEGREE]);

/// Sums of products of blocks, not yet put together.
pub struct Products {
    sums: Box<LeafSums>,
    room: Box<LeafRoom>,
    tree: Tree,
}

/// Multiplies blocks by a point and adds.
#[derive(Default)]
pub struct Horner {
    room: Box<HornerRoom>,
    powers: Vec<usize>,
    reaching: [(usize, usize); 24],
}

impl Point {
    /// One.
    pub const ONE: Self = Self(1);

    /// The point whose coefficients are the lower 48 bits.
    #[must_use]
    pub fn new(bits: u64) -> Self {
        Self(bits & ((1 << DEGREE) - 1))
    }

    /// The coefficients as bits.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// True when it is zero, the one point that is no unit.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// As an element.
    #[must_use]
    pub fn element(self) -> Galois {
        Galois(core::array::from_fn(|j| (self.0 >> j) & 1))
    }
}

impl Galois {
    /// Zero.
    pub const ZERO: Self = Self([0; DEGREE]);

    /// An integer.
    #[must_use]
    pub fn integer(value: u64) -> Self {
        let mut out = Self::ZERO;
        out.0[0] = value;
        out
    }

    /// The sum.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|j| self.0[j].wrapping_add(other.0[j])))
    }

    /// The difference.
    #[must_use]
    pub fn sub(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|j| self.0[j].wrapping_sub(other.0[j])))
    }

    /// The product.
    #[must_use]
    pub fn mul(&self, other: &Self) -> Self {
        let mut wide = [0u64; 2 * DEGREE - 1];
        for (i, a) in self.0.iter().enumerate() {
            for (sum, b) in wide[i..].iter_mut().zip(&other.0) {
                *sum = sum.wrapping_add(a.wrapping_mul(*b));
            }
        }
        Self::reduce(&mut wide)
    }

    /// The product with a point.
    #[must_use]
    pub fn mul_point(&self, point: Point) -> Self {
        let mut wide = [0u64; 2 * DEGREE - 1];
        for i in 0..DEGREE {
            let mask = ((point.0 >> i) & 1).wrapping_neg();
            for (sum, a) in wide[i..].iter_mut().zip(&self.0) {
                *sum = sum.wrapping_add(a & mask);
            }
        }
        Self::reduce(&mut wide)
    }

    /// The element that a polynomial is; `wide` is left with what it was made from.
    #[must_use]
    pub fn reduce(wide: &mut [u64]) -> Self {
        for c in (DEGREE..wide.len()).rev() {
            for power in [0, 2, 3, 5] {
                wide[c - DEGREE + power] = wide[c - DEGREE + power].wrapping_sub(wide[c]);
            }
        }
        Self(core::array::from_fn(|j| wide.get(j).copied().unwrap_or(0)))
    }
}

impl Horner {
    /// For a point.
    #[must_use]
    pub fn new(point: Point) -> Self {
        let mut horner = Self::default();
        horner.turn(point);
        horner
    }

    /// Turns to another point.
    pub fn turn(&mut self, point: Point) {
        self.powers.clear();
        self.powers.extend((0..DEGREE).filter(|j| (point.0 >> j) & 1 == 1));
        self.reaching = lanes::reaching(&self.powers);
    }

    /// `block = point * block + next`.
    pub fn step(&mut self, block: &mut Block, next: &Block) {
        wide::horner(&mut self.room, &mut block.0, (&self.powers, &self.reaching), &next.0);
    }
}

/// Multiplies the element of lane `l` by `X^l`.
pub fn shift_lanes(block: &mut Block) {
    wide::shift_lanes(&mut block.0);
}

/// `block += other`.
pub fn add_block(block: &mut Block, other: &Block) {
    wide::add_blocks(&mut block.0, &other.0);
}

/// The element in a lane.
#[must_use]
pub fn lane(block: &Block, lane: usize) -> Galois {
    Galois(core::array::from_fn(|c| block.0[c][lane % LANES]))
}

impl Default for Products {
    fn default() -> Self {
        Self {
            sums: Box::new([[[0; 4]; 2 * LEAF - 1]; LEAVES]),
            room: Box::default(),
            tree: Tree::new(DEGREE, LEAF),
        }
    }
}

impl Products {
    /// Adds the eight products of the lanes.
    pub fn add(&mut self, a: &Block, b: &Block) {
        wide::add_leaf_products(&mut self.sums, &mut self.room, &self.tree, (&a.0, &b.0));
    }

    /// The sum of all products added.
    #[must_use]
    pub fn sum(&self) -> Galois {
        let leaves: Vec<[u64; 2 * LEAF - 1]> = self
            .sums
            .iter()
            .map(|leaf| leaf.map(|quad| quad.iter().fold(0u64, |sum, x| sum.wrapping_add(*x))))
            .collect();
        let add = |a: &[u64; 2 * LEAF - 1], b: &[u64; 2 * LEAF - 1]| {
            core::array::from_fn(|i| a[i].wrapping_add(b[i]))
        };
        let sub = |a: &[u64; 2 * LEAF - 1], b: &[u64; 2 * LEAF - 1]| {
            core::array::from_fn(|i| a[i].wrapping_sub(b[i]))
        };
        let mut wide = [0u64; 2 * DEGREE - 1];
        for (i, part) in karatsuba::coefficients(&leaves, DEGREE / LEAF, &add, &sub).iter().enumerate() {
            for (sum, x) in wide[LEAF * i..].iter_mut().zip(part) {
                *sum = sum.wrapping_add(*x);
            }
        }
        Galois::reduce(&mut wide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gf64;
    use proptest::prelude::*;

    fn element(seed: u64) -> Galois {
        let mut state = seed;
        Galois(core::array::from_fn(|_| {
            state = gf64::mul(state ^ 0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9);
            state
        }))
    }

    fn block(seed: u64) -> (Vec<Galois>, Block) {
        let elements: Vec<Galois> = (0..LANES as u64).map(|l| element(seed.wrapping_add(l << 32))).collect();
        let block = core::array::from_fn(|c| core::array::from_fn(|l| elements[l].0[c]));
        (elements, Block(block))
    }

    /// Multiplication modulo 2, by words: X^48 + X^5 + X^3 + X^2 + 1.
    fn mul_mod_2(a: u64, b: u64) -> u64 {
        let (mut sum, mut power) = (0, a);
        for bit in 0..48 {
            sum ^= power & ((b >> bit) & 1u64).wrapping_neg();
            power <<= 1;
            power ^= (power >> 48) * ((1 << 48) | 0b10_1101);
        }
        sum
    }

    #[test]
    fn the_modulus_is_irreducible_modulo_2() {
        // Rabin: X^(2^48) = X, and X^(2^(48/p)) - X is a unit for the primes p = 2 and 3 of 48.
        let mut x = 2;
        let mut at = Vec::new();
        for _ in 0..48 {
            x = mul_mod_2(x, x);
            at.push(x);
        }
        assert_eq!(at[47], 2);
        for exponent in [24, 16] {
            let unit = at[exponent - 1] ^ 2;
            let (mut inverse, mut power) = (1, unit);
            for _ in 1..48 {
                power = mul_mod_2(power, power);
                inverse = mul_mod_2(inverse, power);
            }
            assert_eq!(mul_mod_2(unit, inverse), 1);
        }
    }

    #[test]
    fn known_products() {
        let x = |j: usize| Point::new(1 << j).element();
        let mut expected = Galois::ZERO;
        for power in [0, 2, 3, 5] {
            expected.0[power] = u64::MAX;
        }
        assert_eq!(x(47).mul(&x(1)), expected);
        assert_eq!(Galois::integer(3).mul(&Galois::integer(5)), Galois::integer(15));
    }

    proptest! {
        #[test]
        fn products_are_those_of_the_field_modulo_2(a: u64, b: u64) {
            let (a, b) = (Point::new(a), Point::new(b));
            let product = a.element().mul(&b.element());
            let bits = product.0.iter().enumerate().fold(0, |bits, (j, c)| bits | ((c & 1) << j));
            prop_assert_eq!(bits, mul_mod_2(a.bits(), b.bits()));
            prop_assert_eq!(a.element().mul_point(b), product);
        }

        #[test]
        fn products_distribute_and_associate(a: u64, b: u64, c: u64) {
            let (a, b, c) = (element(a), element(b), element(c));
            prop_assert_eq!(a.mul(&b.add(&c)), a.mul(&b).add(&a.mul(&c)));
            prop_assert_eq!(a.mul(&b).mul(&c), a.mul(&b.mul(&c)));
            prop_assert_eq!(a.add(&b).sub(&b), a);
        }

        #[test]
        fn block_kernels_equal_elements(a: u64, b: u64, point: u64) {
            let ((xs, x), (ys, y), point) = (block(a), block(b), Point::new(point));
            let mut products = Products::default();
            products.add(&x, &y);
            products.add(&x, &x);
            let expected = xs.iter().zip(&ys).fold(Galois::ZERO, |sum, (x, y)| sum.add(&x.mul(y)).add(&x.mul(x)));
            prop_assert_eq!(products.sum(), expected);
            let mut value = x;
            Horner::new(point).step(&mut value, &y);
            let mut shifted = x;
            shift_lanes(&mut shifted);
            let mut sum = x;
            add_block(&mut sum, &y);
            for l in 0..LANES {
                prop_assert_eq!(lane(&value, l), xs[l].mul_point(point).add(&ys[l]));
                prop_assert_eq!(lane(&shifted, l), xs[l].mul_point(Point::new(1 << l)));
                prop_assert_eq!(lane(&sum, l), xs[l].add(&ys[l]));
            }
        }
    }
}
