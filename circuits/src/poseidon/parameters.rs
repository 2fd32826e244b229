//! Round constants and matrices, generated as the authors' script does.
//!
//! Source: Grassi et al., eprint 2019/458, appendix F ("Initialization of the Grain LFSR") and the reference
//! script `generate_parameters_grain.sage` of the hadeshash repository: an 80-bit LFSR in self-shrinking mode;
//! round constants are 255-bit draws below the modulus; the matrix is the Cauchy matrix of the next draws.
//! The numbers of partial rounds are those of the paper's instances: the fewest that its section 5.5 allows with the
//! security margin of 7.5 percent, rounded up to a multiple of the width (57 at width 3, 63 at width 9).

use std::sync::LazyLock;

use ark_ff::{BigInt, Field, PrimeField};

use crate::field::Element;

/// The width for one and two inputs.
pub const WIDTH_NARROW: usize = 3;

/// The width for three inputs and more.
pub const WIDTH_WIDE: usize = 9;

const ROUNDS_FULL: usize = 8;
const ROUNDS_PARTIAL_NARROW: usize = 57;
const ROUNDS_PARTIAL_WIDE: usize = 63;

/// One instance of the permutation.
#[derive(Debug)]
pub struct Parameters {
    width: usize,
    pub(super) rounds_partial: usize,
    constants: Vec<Element>,
    matrix: Vec<Element>,
}

/// The instance of width 3.
#[must_use]
pub fn narrow() -> &'static Parameters {
    static NARROW: LazyLock<Parameters> =
        LazyLock::new(|| Parameters::generate(WIDTH_NARROW, ROUNDS_PARTIAL_NARROW));
    &NARROW
}

/// The instance of width 9.
#[must_use]
pub fn wide() -> &'static Parameters {
    static WIDE: LazyLock<Parameters> =
        LazyLock::new(|| Parameters::generate(WIDTH_WIDE, ROUNDS_PARTIAL_WIDE));
    &WIDE
}

impl Parameters {
    /// Generates the instance of `width` lanes and `rounds_partial` partial rounds. Takes milliseconds.
    #[must_use]
    pub fn generate(width: usize, rounds_partial: usize) -> Self {
        let mut grain = Grain::new(width, rounds_partial);
        let rounds = ROUNDS_FULL + rounds_partial;
        let constants = (0..rounds * width).map(|_| grain.below_modulus()).collect();
        Self { width, rounds_partial, constants, matrix: grain.cauchy(width) }
    }

    /// Lanes of the state.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The constants, round after round.
    pub fn rounds(&self) -> impl Iterator<Item = &[Element]> {
        self.constants.chunks_exact(self.width)
    }

    /// The rows of the matrix.
    pub fn matrix(&self) -> impl Iterator<Item = &[Element]> {
        self.matrix.chunks_exact(self.width)
    }

    /// Whether every lane passes the S-box in this round, not only the first.
    #[must_use]
    pub fn is_full(&self, round: usize) -> bool {
        let first = ROUNDS_FULL / 2;
        !(first..first + self.rounds_partial).contains(&round)
    }
}

/// The Grain LFSR in self-shrinking mode.
struct Grain {
    state: [bool; 80],
    at: usize,
}

impl Grain {
    fn new(width: usize, rounds_partial: usize) -> Self {
        // Prime field, S-box x^alpha, bits of the field, width, full rounds, partial rounds, thirty ones.
        let fields: [(usize, usize); 6] = [
            (1, 2),
            (0, 4),
            (Element::MODULUS_BIT_SIZE as usize, 12),
            (width, 12),
            (ROUNDS_FULL, 10),
            (rounds_partial, 10),
        ];
        let mut state = [true; 80];
        let bits =
            fields.iter().flat_map(|&(value, len)| (0..len).rev().map(move |bit| value >> bit & 1 == 1));
        for (cell, bit) in state.iter_mut().zip(bits) {
            *cell = bit;
        }
        let mut grain = Self { state, at: 0 };
        for _ in 0..160 {
            grain.step();
        }
        grain
    }

    fn step(&mut self) -> bool {
        let tap = |offset: usize| self.state[(self.at + offset) % 80];
        let bit = tap(62) ^ tap(51) ^ tap(38) ^ tap(23) ^ tap(13) ^ tap(0);
        self.state[self.at] = bit;
        self.at = (self.at + 1) % 80;
        bit
    }

    fn bit(&mut self) -> bool {
        while !self.step() {
            self.step();
        }
        self.step()
    }

    /// As many bits as the modulus has, highest first.
    fn draw(&mut self) -> BigInt<4> {
        let mut limbs = [0u64; 4];
        for place in (0..Element::MODULUS_BIT_SIZE as usize).rev() {
            limbs[place / 64] |= u64::from(self.bit()) << (place % 64);
        }
        BigInt(limbs)
    }

    /// A draw, repeated until it is below the modulus.
    fn below_modulus(&mut self) -> Element {
        loop {
            if let Some(element) = Element::from_bigint(self.draw()) {
                return element;
            }
        }
    }

    /// A draw, reduced.
    fn reduced(&mut self) -> Element {
        let bytes: Vec<u8> = self.draw().0.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        Element::from_le_bytes_mod_order(&bytes)
    }

    /// The Cauchy matrix `1 / (x_i + y_j)`, row by row.
    fn cauchy(&mut self, width: usize) -> Vec<Element> {
        loop {
            let points: Vec<Element> = (0..2 * width).map(|_| self.reduced()).collect();
            let distinct = points.iter().enumerate().all(|(i, point)| !points[..i].contains(point));
            let (xs, ys) = points.split_at(width);
            let entries: Option<Vec<Element>> =
                xs.iter().flat_map(|x| ys.iter().map(move |y| (*x + y).inverse())).collect();
            if let (true, Some(entries)) = (distinct, entries) {
                return entries;
            }
        }
    }
}
