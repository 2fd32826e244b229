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
        let mut masks = [0; STRIP];
        for (strip, out) in out.chunks_mut(STRIP).enumerate() {
            let first = first + strip * STRIP;
            let masks = &mut masks[..out.len()];
            match view {
                // z_i + mask_prev of the prover, which is mask_next here.
                View::First | View::Prover => {
                    self.z.gather(View::First, first, out);
                    self.masks.gather(View::First, first, masks);
                    out.iter_mut().zip(masks).for_each(|(out, mask)| *out = out.wrapping_add(*mask));
                }
                // sum(x_{i+1} y_{i+1}) - mask_next of the prover, which is mask_prev here.
                View::Second => {
                    self.own_products(View::Second, first, out);
                    self.masks.gather(View::Second, first, masks);
                    out.iter_mut().zip(masks).for_each(|(out, mask)| *out = out.wrapping_sub(*mask));
                }
            }
        }
    }

    /// `sum(x y)` of one component modulo 2^64, of the outputs from `first` on, at most a strip.
    fn own_products(&self, view: View, first: usize, out: &mut [u64]) {
        if self.arity == 1 {
            let mut y = [0; STRIP];
            let y = &mut y[..out.len()];
            self.x.gather(view, first, out);
            self.y.gather(view, first, y);
            return out.iter_mut().zip(y).for_each(|(out, y)| *out = out.wrapping_mul(*y));
        }
        for (at, out) in out.iter_mut().enumerate() {
            let terms = |from: usize, count: usize| {
                let (mut x, mut y) = ([0; STRIP], [0; STRIP]);
                let mut sum = 0u64;
                for start in (from..from + count).step_by(STRIP) {
                    let count = (from + count - start).min(STRIP);
                    self.x.gather(view, start, &mut x[..count]);
                    self.y.gather(view, start, &mut y[..count]);
                    let products = x[..count].iter().zip(&y[..count]).map(|(x, y)| x.wrapping_mul(*y));
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
            let (known, masks) = (&mut known[..count], &mut masks[..count]);
            self.own_products(View::First, first + start, known);
            self.masks.gather(View::First, first + start, masks);
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
        let mut columns = [[0; STRIP]; 4];
        let views = [
            (&self.x, View::Second),
            (&self.x, View::First),
            (&self.y, View::Second),
            (&self.y, View::First),
        ];
        for (out, (column, view)) in columns.iter_mut().zip(views) {
            column.gather(view, first, &mut out[..count]);
        }
        let [a, b, c, d] = &columns;
        for at in 0..count {
            each(at, Wide::product([a[at], b[at]], [c[at], d[at]]));
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
        let left = Entries { column: &self.x, view, prime };
        let right = Entries { column: &self.y, view, prime };
        let mut at = 0;
        while at < u.len() {
            let output = (first + at) / self.arity;
            // A strip of terms of one weight, or of many.
            let until = if self.arity == 1 { u.len() } else { (output + 1) * self.arity - first };
            let count = (until - at).min(u.len() - at).min(STRIP);
            left.shrink(first + at, &mut u[at..at + count], &[1; STRIP]);
            let v = &mut v[at..at + count];
            match self.arity {
                1 => right.shrink(first + at, v, outputs.from(output)),
                _ => {
                    right.shrink(first + at, v, &[outputs.from(output).first().copied().unwrap_or(0); STRIP])
                }
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

/// A column as a node has it, modulo a prime.
struct Entries<'p, 'a> {
    column: &'p Column<'a>,
    view: View,
    prime: Prime,
}

impl Entries<'_, '_> {
    /// `out = weight * value / 2^64` for the values from `first` on, at most a strip, as this node has them.
    fn shrink(&self, first: usize, out: &mut [u64], weights: &[u64]) {
        let Self { column, view, prime } = self;
        if *view != View::Prover {
            column.gather(*view, first, out);
            for (out, weight) in out.iter_mut().zip(weights) {
                *out = prime.shrink(u128::from(*weight) * u128::from(*out));
            }
            return;
        }
        let mut other = [0; STRIP];
        let other = &mut other[..out.len()];
        column.gather(View::Second, first, out);
        column.gather(View::First, first, other);
        for ((out, other), weight) in out.iter_mut().zip(other).zip(weights) {
            let value = u128::from(*out) + u128::from(*other);
            *out = prime.shrink(u128::from(*weight) * value);
        }
    }
}
