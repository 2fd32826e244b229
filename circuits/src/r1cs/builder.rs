//! Records what a statement's constraints are, or computes the variables of one proof.

use std::collections::HashMap;

use ark_ff::{AdditiveGroup, Field, One};
use ward_math::Secret;

use super::matrices::{Matrices, SparseMatrix};
use super::num::{Bit, Num};
use crate::field::{Element, to_bits};

/// A named part of a circuit, and how many constraints it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What the part is for.
    pub name: &'static str,
    /// Constraints.
    pub constraints: usize,
}

/// The matrices while they grow: coefficients are kept once each.
#[derive(Default)]
struct Rows {
    matrices: [SparseMatrix; 3],
    coefficients: Vec<Element>,
    seen: HashMap<Element, u32>,
}

impl Rows {
    fn push(&mut self, row: [&Num; 3]) {
        for (matrix, num) in self.matrices.iter_mut().zip(row) {
            for &(variable, coefficient) in &num.terms {
                let next = u32::try_from(self.coefficients.len()).unwrap_or(u32::MAX);
                let index = *self.seen.entry(coefficient).or_insert_with(|| {
                    self.coefficients.push(coefficient);
                    next
                });
                matrix.push(variable, index);
            }
            matrix.end_row();
        }
    }
}

/// Takes down a relation as constraints `A z * B z = C z` over the variables z = (1, inputs, witnesses).
pub struct Builder {
    variables: Secret<Vec<Element>>,
    inputs: usize,
    rows: Option<Rows>,
    constraints: usize,
    parts: Vec<Part>,
}

impl Builder {
    /// A builder that records matrices. Returns the inputs as numbers.
    #[must_use]
    pub fn shape(inputs: &[Element]) -> (Self, Vec<Num>) {
        Self::new(inputs, Some(Rows::default()), 0)
    }

    /// A builder that computes variables only, about `capacity` of them. Returns the inputs as numbers.
    #[must_use]
    pub fn assignment(inputs: &[Element], capacity: usize) -> (Self, Vec<Num>) {
        Self::new(inputs, None, capacity)
    }

    fn new(inputs: &[Element], rows: Option<Rows>, capacity: usize) -> (Self, Vec<Num>) {
        let mut variables = Vec::with_capacity(capacity.max(inputs.len() + 1));
        variables.push(Element::one());
        let mut builder = Self {
            variables: Secret::new(variables),
            inputs: inputs.len(),
            rows,
            constraints: 0,
            parts: vec![Part { name: "head", constraints: 0 }],
        };
        let nums = inputs.iter().map(|&input| builder.witness(input)).collect();
        (builder, nums)
    }

    /// Starts a part of the circuit, for the table of constraints.
    pub fn part(&mut self, name: &'static str) {
        self.parts.push(Part { name, constraints: 0 });
    }

    /// A constant.
    #[must_use]
    pub fn constant(&self, value: Element) -> Num {
        let keep = self.rows.is_some() && value != Element::ZERO;
        Num { value, terms: if keep { vec![(0, value)] } else { Vec::new() } }
    }

    /// A new variable that the prover fills.
    pub fn witness(&mut self, value: Element) -> Num {
        let variables = self.variables.expose_mut();
        let index = u32::try_from(variables.len()).unwrap_or(u32::MAX);
        variables.push(value);
        let terms = if self.rows.is_some() { vec![(index, Element::one())] } else { Vec::new() };
        Num { value, terms }
    }

    /// Requires `a * b = c`.
    pub fn enforce(&mut self, a: &Num, b: &Num, c: &Num) {
        self.constraints += 1;
        if let Some(part) = self.parts.last_mut() {
            part.constraints += 1;
        }
        if let Some(rows) = &mut self.rows {
            rows.push([a, b, c]);
        }
    }

    /// Requires `a = b`.
    pub fn enforce_equal(&mut self, a: &Num, b: &Num) {
        let one = self.constant(Element::one());
        self.enforce(a, &one, b);
    }

    /// The product of two numbers. Variables that stand on the right cost the prover most.
    pub fn mul(&mut self, a: &Num, b: &Num) -> Num {
        let product = self.witness(a.value * b.value);
        self.enforce(a, b, &product);
        product
    }

    /// A number `q` with `q * denominator = numerator`. Fixes q only where the denominator cannot be zero, which
    /// the caller knows.
    pub fn quotient(&mut self, numerator: &Num, denominator: &Num) -> Num {
        let inverse = denominator.value.inverse().unwrap_or(Element::ZERO);
        let quotient = self.witness(numerator.value * inverse);
        self.enforce(&quotient, denominator, numerator);
        quotient
    }

    /// A new bit.
    pub fn bit(&mut self, value: bool) -> Bit {
        let bit = self.witness(Element::from(u64::from(value)));
        let less = &bit - &self.constant(Element::one());
        self.enforce(&bit, &less, &Num::zero());
        Bit(bit)
    }

    /// `zero` or `one`, as the bit says.
    pub fn select(&mut self, bit: &Bit, zero: &Num, one: &Num) -> Num {
        let difference = one - zero;
        &self.mul(&difference, bit.num()) + zero
    }

    /// The entry of `table` at the number whose bits, lowest first, these are; entries beyond the table are never
    /// chosen by bits below its length. `2^bits.len()` entries.
    pub fn choose(&mut self, bits: &[Bit], table: &[Num]) -> Num {
        let mut entries = table.to_vec();
        for bit in bits {
            entries = entries
                .chunks(2)
                .map(|pair| match pair {
                    [zero, one] => self.select(bit, zero, one),
                    rest => rest.first().cloned().unwrap_or_else(Num::zero),
                })
                .collect();
        }
        entries.into_iter().next().unwrap_or_else(Num::zero)
    }

    /// The `width` bits of a number, lowest first; holds only of numbers below `2^width`. At most 254 bits, where
    /// no number has two representations.
    pub fn bits(&mut self, num: &Num, width: usize) -> Vec<Bit> {
        let bits: Vec<Bit> = to_bits(&num.value).into_iter().take(width).map(|bit| self.bit(bit)).collect();
        self.enforce_equal(&Num::from_bits(&bits), num);
        bits
    }

    /// The constraints so far, by part.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What was recorded: the matrices (empty ones of a builder that records none) and the variables.
    #[must_use]
    pub fn finish(self) -> (Matrices, Secret<Vec<Element>>) {
        let rows = self.rows.unwrap_or_default();
        let witnesses = self.variables.expose().len() - 1 - self.inputs;
        let [a, b, c] = rows.matrices;
        let matrices = Matrices {
            inputs: self.inputs,
            witnesses,
            constraints: self.constraints,
            a,
            b,
            c,
            coefficients: rows.coefficients,
        };
        (matrices, self.variables)
    }

    /// The variables alone.
    #[must_use]
    pub fn into_variables(self) -> Secret<Vec<Element>> {
        self.variables
    }
}
