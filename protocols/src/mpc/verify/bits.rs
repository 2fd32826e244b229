//! Conjunctions: statements about words of 64 bits, proved over GF(2^64).
//!
//! The 64 errors of a word are the coefficients of one element, which is zero only if all are: a word needs one weight.

use chacha20::ChaCha20Rng;
use rand_core::Rng;
use rayon::prelude::*;
use ward_math::gf64;
use ward_math::lanes::{self, LANES, Lane, Tables};

use super::columns::{Column, View};
use super::extension::{Extension, Gf64};
use super::plan::Plan;
use super::statement::{Drawn, Statement};
use crate::mpc::security::BitProducts;

/// Rows of a share of work, and rows that are looked at together.
const ROWS: usize = 256;
const BATCH: usize = 8;

/// Many conjunctions as one.
pub(super) struct BitStatement<'a> {
    x: Column<'a>,
    y: Column<'a>,
    /// `mask_prev` (`own`) and `mask_next` (`next`).
    masks: Column<'a>,
    z: Column<'a>,
    /// Words of a row, a power of two.
    row: usize,
    rows: usize,
    plan: Plan,
}

/// Weights of a row's places, and of the rows.
pub(super) struct BitWeights {
    places: Vec<u64>,
    rows: Vec<u64>,
}

/// The points that combine the places of a row, the first of them one; and as picks.
pub(super) struct BitTurn {
    points: Vec<u64>,
    picks: Vec<u8>,
}

/// Elements of eight rows.
const TILE: usize = 64 * LANES;

/// Room for a tile: its rows, its columns, of which those that a row lacks stay zero, and tables.
pub(super) struct Room {
    rows: [u64; LANES * lanes::ROW_MAX],
    columns: [Lane; lanes::ROW_MAX],
    tables: Tables,
}

impl Default for Room {
    fn default() -> Self {
        let columns = [[0; LANES]; lanes::ROW_MAX];
        Self { rows: [0; LANES * lanes::ROW_MAX], columns, tables: Tables::default() }
    }
}

/// Words of a row: more fold harder at once, and cost more bytes.
fn row_words(words: usize) -> usize {
    match words {
        0..=64 => 1,
        65..=512 => 8,
        513..=1024 => 16,
        1025..=2048 => 32,
        _ => 64,
    }
}

/// How `words` words are folded.
pub(super) fn plan(words: usize) -> Plan {
    let row = row_words(words);
    Plan::new::<Gf64>(lanes::pairs(row) - 1, 64 * words.div_ceil(row))
}

impl<'a> BitStatement<'a> {
    /// The words `range` of each record.
    pub(super) fn new(records: &[(&'a BitProducts, core::ops::Range<usize>)]) -> Self {
        let [mut x, mut y, mut masks, mut z] = [(); 4].map(|()| Column::default());
        for (record, range) in records {
            x.push(&record.x.own[range.clone()], &record.x.next[range.clone()]);
            y.push(&record.y.own[range.clone()], &record.y.next[range.clone()]);
            z.push(&record.z.own[range.clone()], &record.z.next[range.clone()]);
            masks.push(&record.mask_prev[range.clone()], &record.mask_next[range.clone()]);
        }
        let (row, plan) = (row_words(x.len()), plan(x.len()));
        let rows = x.len().div_ceil(row);
        Self { x, y, masks, z, row, rows, plan }
    }

    fn gather(&self, column: &Column<'_>, view: View, row: usize, out: &mut [u64]) {
        column.gather(view, row * self.row, out);
    }

    /// The right-hand sides that a verifier knows, from a row of outputs on, at most a batch.
    fn known(&self, view: View, row: usize, out: &mut [u64]) {
        let mut other = [0; BATCH * lanes::ROW_MAX];
        let other = &mut other[..out.len()];
        match view {
            // z_i ^ mask_prev of the prover, which is mask_next here.
            View::First | View::Prover => {
                self.gather(&self.z, View::First, row, out);
                self.gather(&self.masks, View::First, row, other);
            }
            // x_{i+1} y_{i+1} ^ mask_next of the prover, which is mask_prev here.
            View::Second => {
                self.gather(&self.x, View::Second, row, out);
                self.gather(&self.y, View::Second, row, other);
                out.iter_mut().zip(&*other).for_each(|(a, b)| *a &= b);
                self.gather(&self.masks, View::Second, row, other);
            }
        }
        out.iter_mut().zip(&*other).for_each(|(a, b)| *a ^= b);
    }

    /// `width` sums over the rows: `add(sums, row, weights)` adds those of a batch of rows from `row` on.
    fn weigh(
        &self,
        width: usize,
        weights: &BitWeights,
        add: impl Fn(&mut [u128], usize, &[u64]) + Sync,
    ) -> Vec<u64> {
        let sums = weights
            .rows
            .par_chunks(ROWS)
            .enumerate()
            .map(|(share, weights)| {
                let mut sums = vec![0u128; width];
                for (batch, weights) in weights.chunks(BATCH).enumerate() {
                    add(&mut sums, share * ROWS + batch * BATCH, weights);
                }
                sums
            })
            .reduce(|| vec![0; width], |a, b| a.iter().zip(&b).map(|(a, b)| a ^ b).collect());
        sums.into_iter().map(gf64::reduce).collect()
    }

    /// Eight rows from `first` on, their places combined: 64 elements a row.
    fn combine_tile(
        &self,
        column: &Column<'_>,
        view: View,
        first: usize,
        picks: &[u8],
        room: &mut Room,
        out: &mut [u64; TILE],
    ) {
        let m = self.row;
        let Room { rows, columns, tables } = room;
        self.gather(column, view, first, &mut rows[..LANES * m]);
        for (h, lane) in columns.iter_mut().take(m).enumerate() {
            for (l, word) in lane.iter_mut().enumerate() {
                *word = rows[l * m + h];
            }
        }
        let mut planes = [[0; LANES]; 64];
        lanes::add_subset_xors(tables, &mut planes, &columns[..m.next_multiple_of(4)], picks);
        lanes::transpose(&mut planes);
        for (lane, elements) in out.as_chunks_mut::<64>().0.iter_mut().enumerate() {
            for (element, words) in elements.iter_mut().zip(&planes) {
                *element = words[lane % LANES];
            }
        }
    }
}

impl Statement for BitStatement<'_> {
    type Ext = Gf64;
    type Weights = BitWeights;
    type Claim = u64;
    type Turn = BitTurn;
    type Room = Box<Room>;

    const LABEL: &'static [u8] = b"bits";

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn weights(&self, rng: &mut ChaCha20Rng) -> BitWeights {
        let places = core::iter::once(1).chain((1..self.row).map(|_| rng.next_u64())).collect();
        BitWeights { places, rows: (0..self.rows).map(|_| rng.next_u64()).collect() }
    }

    fn claim(&self, view: View, weights: &BitWeights) -> u64 {
        let places = self.weigh(self.row, weights, |sums, row, weights| {
            let mut known = [0; BATCH * lanes::ROW_MAX];
            let known = &mut known[..weights.len() * self.row];
            self.known(view, row, known);
            gf64::add_scaled(sums, weights, known);
        });
        places.iter().zip(&weights.places).fold(0, |sum, (place, weight)| sum ^ gf64::mul(*place, *weight))
    }

    fn first(&self, weights: &BitWeights, share: &[u64]) -> Vec<u64> {
        let m = self.row;
        let mut sums = self.weigh(lanes::pairs(m), weights, |sums, row, weights| {
            let [mut x, mut y] = [[0; BATCH * lanes::ROW_MAX]; 2];
            let len = weights.len() * m;
            self.gather(&self.x, View::Prover, row, &mut x[..len]);
            self.gather(&self.y, View::Prover, row, &mut y[..len]);
            gf64::add_pair_products(sums, weights, &x[..len], &y[..len]);
        });
        let (squares, cross) = sums.split_at_mut(m);
        for (sum, (h, k)) in cross.iter_mut().zip(lanes::cross_pairs(m)) {
            *sum ^= squares[h] ^ squares[k];
        }
        sums.iter().skip(1).zip(share).map(|(sum, share)| sum ^ share).collect()
    }

    fn turn(&self, rng: &mut ChaCha20Rng) -> BitTurn {
        let points: Vec<u64> = core::iter::once(1).chain((1..self.row).map(|_| Gf64.point(rng))).collect();
        BitTurn { picks: lanes::picks(&points, 64), points }
    }

    fn field(&self, _: &BitTurn) -> Gf64 {
        Gf64
    }

    fn combined_claim(
        &self,
        _: View,
        weights: &BitWeights,
        turn: &BitTurn,
        claim: &u64,
        message: &[u64],
    ) -> u64 {
        let (m, points) = (self.row, &turn.points);
        let (squares, cross) = message.split_at((m - 1).min(message.len()));
        // The first square is what the claim leaves over.
        let rest = squares.iter().zip(&weights.places[1..]);
        let first = rest.fold(*claim, |left, (square, weight)| left ^ gf64::mul(*square, *weight));
        let squares = core::iter::once(&first).chain(squares).zip(points);
        let sum = squares.fold(0, |sum, (square, y)| sum ^ gf64::mul(gf64::mul(*square, *y), *y));
        cross
            .iter()
            .zip(lanes::cross_pairs(m))
            .fold(sum, |sum, (product, (h, k))| sum ^ gf64::mul(gf64::mul(*product, points[h]), points[k]))
    }

    fn elements(&self) -> usize {
        64 * self.rows
    }

    fn entries(
        &self,
        Drawn { view, weights, turn }: &Drawn<BitWeights, BitTurn>,
        start: usize,
        (u, v): (&mut [u64], &mut [u64]),
        room: &mut Box<Room>,
    ) {
        let mut tile = [0; TILE];
        let mut at = 0;
        while at < u.len() {
            let place = start + at;
            let (first, skipped) = (place / TILE * LANES, place % TILE);
            let count = (TILE - skipped).min(u.len() - at);
            self.combine_tile(&self.x, *view, first, &turn.picks, room, &mut tile);
            u[at..at + count].copy_from_slice(&tile[skipped..skipped + count]);
            self.combine_tile(&self.y, *view, first, &turn.picks, room, &mut tile);
            weights.scale(first, &mut tile);
            v[at..at + count].copy_from_slice(&tile[skipped..skipped + count]);
            at += count;
        }
    }
}

impl BitWeights {
    /// Multiplies the elements of eight rows by the rows' weights: those of bit `a` stand for `X^a`.
    fn scale(&self, first: usize, tile: &mut [u64; TILE]) {
        let mut powers = [0; TILE];
        for (row, powers) in powers.as_chunks_mut::<64>().0.iter_mut().enumerate() {
            let mut power = self.rows.get(first + row).copied().unwrap_or(0);
            for out in powers {
                *out = power;
                power = gf64::mul_x(power);
            }
        }
        gf64::scale(tile, &powers);
    }
}
