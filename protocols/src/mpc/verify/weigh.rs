//! Weighted sums over GR(2^64, 48) of rows of words, four classes of rows at a time.

use ward_math::galois::{DEGREE, Galois, Point};
use ward_math::lanes::{self, LANES, Tables};

/// Coefficients of a sum before reduction: a weight times a power of `X` below the lanes.
const WIDE: usize = DEGREE + LANES - 1;

/// Classes that share tables of subset sums.
const GROUP: usize = 4;

/// The sum over classes and lanes of `weight * X^lane * row`, entry by entry.
pub(super) struct Weigher {
    width: usize,
    lanes: usize,
    /// For each eight entries, their coefficients.
    sums: Vec<[[u64; LANES]; WIDE]>,
    weights: Vec<u64>,
    rows: Vec<u64>,
    tables: Box<Tables>,
}

impl Weigher {
    /// For classes of `lanes` rows of `width` words.
    pub(super) fn new(width: usize, lanes: usize) -> Self {
        let lanes = lanes.min(LANES);
        Self { width, lanes, sums: Vec::new(), weights: Vec::new(), rows: Vec::new(), tables: Box::default() }
    }

    /// Adds a class: `fill` adds to its rows, one after another, all zero.
    pub(super) fn push(&mut self, weight: Point, fill: impl FnOnce(&mut [u64])) {
        let at = self.weights.len() * self.lanes * self.width;
        if self.weights.is_empty() {
            self.rows.clear();
        }
        self.rows.resize(at + self.lanes * self.width, 0);
        fill(&mut self.rows[at..]);
        self.weights.push(weight.bits());
        if self.weights.len() == GROUP {
            self.flush();
        }
    }

    /// With what another has added up.
    pub(super) fn join(mut self, mut other: Self) -> Self {
        self.flush();
        other.flush();
        if self.sums.is_empty() {
            return other;
        }
        for (a, b) in self
            .sums
            .as_flattened_mut()
            .as_flattened_mut()
            .iter_mut()
            .zip(other.sums.as_flattened().as_flattened())
        {
            *a = a.wrapping_add(*b);
        }
        self
    }

    /// The sums.
    pub(super) fn finish(mut self) -> Vec<Galois> {
        self.flush();
        self.sums.resize(self.width.div_ceil(LANES), [[0; LANES]; WIDE]);
        let entry = |e: usize| {
            let mut wide: [u64; WIDE] = core::array::from_fn(|c| self.sums[e / LANES][c][e % LANES]);
            Galois::reduce(&mut wide)
        };
        (0..self.width).map(entry).collect()
    }

    fn flush(&mut self) {
        if self.weights.is_empty() {
            return;
        }
        self.sums.resize(self.width.div_ceil(LANES), [[0; LANES]; WIDE]);
        self.weights.resize(GROUP, 0);
        self.rows.resize(GROUP * self.lanes * self.width, 0);
        // Row `4 lane + class`, times `X^lane`.
        let points: Vec<u64> =
            (0..self.lanes).flat_map(|lane| self.weights.iter().map(move |weight| weight << lane)).collect();
        let picks = lanes::picks(&points, WIDE);
        let mut columns = vec![[0; LANES]; GROUP * self.lanes];
        for (chunk, sums) in self.sums.iter_mut().enumerate() {
            for lane in 0..self.lanes {
                for class in 0..GROUP {
                    let start = (class * self.lanes + lane) * self.width;
                    let row = &self.rows[start..start + self.width];
                    let words = &row[chunk * LANES..self.width.min((chunk + 1) * LANES)];
                    let column = &mut columns[lane * GROUP + class];
                    column[..words.len()].copy_from_slice(words);
                    column[words.len()..].fill(0);
                }
            }
            lanes::add_subset_sums(&mut self.tables, sums, &columns, &picks);
        }
        self.weights.clear();
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn weighing_equals_products(lanes in 1usize..9, width in 1usize..20, classes in 0usize..11, split in 0usize..11, seed: u64) {
            let word = |i: usize| (i as u64 + 1).wrapping_mul(seed | 1).rotate_left(i as u32 * 7);
            let mut expected = vec![Galois::ZERO; width];
            let mut parts = [Weigher::new(width, lanes), Weigher::new(width, lanes)];
            for class in 0..classes {
                let weight = Point::new(word(class + 1000));
                let row = |lane: usize, e: usize| word((class * lanes + lane) * width + e);
                parts[usize::from(class < split)].push(weight, |rows| {
                    for (i, out) in rows.iter_mut().enumerate() {
                        *out += row(i / width, i % width);
                    }
                });
                for (e, sum) in expected.iter_mut().enumerate() {
                    for lane in 0..lanes {
                        let power = Point::new(1 << lane);
                        *sum = sum.add(&Galois::integer(row(lane, e)).mul_point(weight).mul_point(power));
                    }
                }
            }
            let [a, b] = parts;
            prop_assert_eq!(a.join(b).finish(), expected);
        }
    }
}
