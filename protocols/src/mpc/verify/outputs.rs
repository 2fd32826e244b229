//! Recorded ring products as parts of one arity, and what each node knows of their outputs.

use core::ops::Range;

use rayon::prelude::*;
use ward_math::lanes::LANES;
use ward_math::prime::Prime;

use super::columns::{Column, View};
use super::wide::Wide;
use crate::mpc::security::RingProducts;

/// Outputs of a share of work.
pub(super) const TILE: usize = 4096;

/// Terms that are looked at together.
const STRIP: usize = 256;

/// Terms of a share of work within a long sum.
const TERMS: usize = 4096;

/// Outputs of one arity.
pub(super) struct Part<'a> {
    /// Terms of an output.
    pub arity: usize,
    x: Column<'a>,
    y: Column<'a>,
    z: Column<'a>,
    /// `mask_prev` (`own`) and `mask_next` (`next`).
    masks: Column<'a>,
}

/// Neighbours of one arity taken together.
pub(super) fn parts<'a>(records: &[(&'a RingProducts, Range<usize>)]) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    for (record, range) in records {
        if parts.last().is_none_or(|part| part.arity != record.arity) {
            let [x, y, z, masks] = [(); 4].map(|()| Column::default());
            parts.push(Part { arity: record.arity, x, y, z, masks });
        }
        if let Some(part) = parts.last_mut() {
            part.push(record, range.clone());
        }
    }
    parts
}

impl<'a> Part<'a> {
    fn push(&mut self, record: &'a RingProducts, range: Range<usize>) {
        let terms = range.start * record.arity..range.end * record.arity;
        self.x.push(&record.x.own[terms.clone()], &record.x.next[terms.clone()]);
        self.y.push(&record.y.own[terms.clone()], &record.y.next[terms]);
        self.z.push(&record.z.own[range.clone()], &record.z.next[range.clone()]);
        self.masks.push(&record.mask_prev[range.clone()], &record.mask_next[range]);
    }

    /// Number of outputs.
    pub(super) fn outputs(&self) -> usize {
        self.z.len()
    }

    /// Number of classes of outputs.
    pub(super) fn classes(&self) -> usize {
        self.outputs().div_ceil(LANES)
    }

    /// The right-hand sides that a verifier knows, of the outputs from `first` on.
    pub(super) fn known(&self, view: View, first: usize, out: &mut [u64]) {
        let mut room = [0; STRIP];
        for (strip, out) in out.chunks_mut(STRIP).enumerate() {
            let first = first + strip * STRIP;
            let room = &mut room[..out.len()];
            match view {
                // z_i + mask_prev of the prover, which is mask_next here.
                View::First | View::Prover => {
                    self.z.gather(View::First, first, out);
                    let masks = self.masks.component(View::First, first, room);
                    out.iter_mut().zip(masks).for_each(|(out, mask)| *out = out.wrapping_add(*mask));
                }
                // sum(x_{i+1} y_{i+1}) - mask_next of the prover, which is mask_prev here.
                View::Second => {
                    self.own_products(View::Second, first, out);
                    let masks = self.masks.component(View::Second, first, room);
                    out.iter_mut().zip(masks).for_each(|(out, mask)| *out = out.wrapping_sub(*mask));
                }
            }
        }
    }

    /// `sum(x y)` of one component modulo 2^64, of the outputs from `first` on, at most a strip.
    fn own_products(&self, view: View, first: usize, out: &mut [u64]) {
        if self.arity == 1 {
            let mut y = [0; STRIP];
            self.x.gather(view, first, out);
            let y = self.y.component(view, first, &mut y[..out.len()]);
            return out.iter_mut().zip(y).for_each(|(out, y)| *out = out.wrapping_mul(*y));
        }
        for (at, out) in out.iter_mut().enumerate() {
            let terms = |from: usize, count: usize| {
                let (mut x, mut y) = ([0; STRIP], [0; STRIP]);
                let mut sum = 0u64;
                for start in (from..from + count).step_by(STRIP) {
                    let count = (from + count - start).min(STRIP);
                    let x = self.x.component(view, start, &mut x[..count]);
                    let y = self.y.component(view, start, &mut y[..count]);
                    let products = x.iter().zip(y).map(|(x, y)| x.wrapping_mul(*y));
                    sum = products.fold(sum, u64::wrapping_add);
                }
                sum
            };
            *out = self.sum(first + at, terms, || 0, u64::wrapping_add);
        }
    }

    /// The sum over the terms of an output, of which `terms` adds up some: the first of them and their number.
    fn sum<T: Send>(
        &self,
        output: usize,
        terms: impl Fn(usize, usize) -> T + Sync,
        zero: impl Fn() -> T + Sync + Send,
        add: impl Fn(T, T) -> T + Sync + Send,
    ) -> T {
        let first = output * self.arity;
        if self.arity <= TERMS {
            return terms(first, self.arity);
        }
        let starts: Vec<usize> = (0..self.arity).step_by(TERMS).collect();
        let share = |start: usize| terms(first + start, (self.arity - start).min(TERMS));
        starts.into_par_iter().map(share).reduce(zero, add)
    }

    /// For the prover: of each of `count` outputs from `first` on, its place among them, the sum of its products as an
    /// integer, and what the second verifier knows of it.
    pub(super) fn products(&self, first: usize, count: usize, mut each: impl FnMut(usize, Wide, u64)) {
        let mut known = [0; STRIP];
        let mut masks = [0; STRIP];
        for start in (0..count).step_by(STRIP) {
            let count = (count - start).min(STRIP);
            let known = &mut known[..count];
            self.own_products(View::First, first + start, known);
            let masks = self.masks.component(View::First, first + start, &mut masks[..count]);
            known.iter_mut().zip(masks).for_each(|(known, mask)| *known = known.wrapping_sub(*mask));
            if self.arity == 1 {
                self.each_product(first + start, count, |at, product| each(start + at, product, known[at]));
                continue;
            }
            for (at, known) in known.iter().enumerate() {
                let terms = |from: usize, count: usize| {
                    let mut sum = Wide::default();
                    for start in (from..from + count).step_by(STRIP) {
                        let count = (from + count - start).min(STRIP);
                        self.each_product(start, count, |_, product| sum = sum.plus(&product));
                    }
                    sum
                };
                let sum = self.sum(first + start + at, terms, Wide::default, |a, b| a.plus(&b));
                each(start + at, sum, *known);
            }
        }
    }

    /// The products of at most a strip of terms.
    fn each_product(&self, first: usize, count: usize, mut each: impl FnMut(usize, Wide)) {
        let mut rooms = [[0; STRIP]; 4];
        let [a, b, c, d] = rooms.each_mut().map(|room| &mut room[..count]);
        let x = [self.x.component(View::Second, first, a), self.x.component(View::First, first, b)];
        let y = [self.y.component(View::Second, first, c), self.y.component(View::First, first, d)];
        let (x, y) = (x[0].iter().zip(x[1]), y[0].iter().zip(y[1]));
        for (at, ((a, b), (c, d))) in x.zip(y).enumerate() {
            each(at, Wide::product([*a, *b], [*c, *d]));
        }
    }

    /// Left and right entries of the terms from `first` on, of outputs whose weights are below 2^56: each divided by
    /// 2^64 modulo the prime, short.
    pub(super) fn terms(
        &self,
        view: View,
        first: usize,
        outputs: &Outputs<'_>,
        prime: Prime,
        (u, v): (&mut [u64], &mut [u64]),
    ) {
        let left = Entries { column: &self.x, view };
        let right = Entries { column: &self.y, view };
        let mut at = 0;
        while at < u.len() {
            let output = (first + at) / self.arity;
            // A strip of terms of one weight, or of many.
            let until = if self.arity == 1 { u.len() } else { (output + 1) * self.arity - first };
            let count = (until - at).min(u.len() - at).min(STRIP);
            left.each(first + at, &mut u[at..at + count], |_, value| prime.shrink(value));
            let weights = outputs.from(output);
            let v = &mut v[at..at + count];
            if self.arity == 1 {
                let weights = &weights[..count.min(weights.len())];
                right.each(first + at, v, |k, value| {
                    prime.shrink(u128::from(weights.get(k).copied().unwrap_or(0)) * value)
                });
            } else {
                let weight = u128::from(weights.first().copied().unwrap_or(0));
                right.each(first + at, v, |_, value| prime.shrink(weight * value));
            }
            at += count;
        }
    }
}

/// Weights of outputs that follow one another.
pub(super) struct Outputs<'w> {
    /// The first output.
    pub first: usize,
    pub weights: &'w [u64],
}

impl Outputs<'_> {
    fn from(&self, output: usize) -> &[u64] {
        self.weights.get(output.saturating_sub(self.first)..).unwrap_or(&[])
    }
}

/// A column as a node has it.
struct Entries<'p, 'a> {
    column: &'p Column<'a>,
    view: View,
}

impl Entries<'_, '_> {
    /// `out = of(k, value)` for the values from `first` on, at most a strip, as this node has them: the prover's are sums of
    /// two words.
    #[inline(always)]
    fn each(&self, first: usize, out: &mut [u64], of: impl Fn(usize, u128) -> u64) {
        let Self { column, view } = self;
        let mut rooms = [[0; STRIP]; 2];
        let [room, other] = rooms.each_mut().map(|room| &mut room[..out.len()]);
        if *view != View::Prover {
            let values = column.component(*view, first, room);
            for (k, (out, value)) in out.iter_mut().zip(values).enumerate() {
                *out = of(k, u128::from(*value));
            }
            return;
        }
        let values = column.component(View::Second, first, room).iter();
        let values = values.zip(column.component(View::First, first, other));
        for (k, (out, (value, other))) in out.iter_mut().zip(values).enumerate() {
            *out = of(k, u128::from(*value) + u128::from(*other));
        }
    }
}
