//! Products modulo 2^64, proved over GR(2^64, 48).

use chacha20::ChaCha20Rng;
use rayon::prelude::*;
use ward_math::galois::{self, Block, Galois, Horner, Point, ZEROS};
use ward_math::lanes::{self, LANES, Lane, Tables};

use super::columns::View;
use super::extension::{Extension, Gr48, read_all};
use super::layout::{Layout, Part, Shape, batches};
use super::plan::Plan;
use super::statement::Statement;
use super::weigh::Weigher;
use crate::mpc::security::RingProducts;

/// Classes of a share of work.
const CLASSES: usize = 64;

/// Many products as one statement.
pub(super) struct RingStatement<'a> {
    parts: Vec<Part<'a>>,
    shape: Shape,
}

/// Weights of a row's places, and of the classes.
pub(super) struct RingWeights {
    places: Vec<Point>,
    classes: Vec<Point>,
}

/// Of the classes of short sums, and of those of long ones.
struct Sums<T> {
    short: T,
    long: T,
}

impl<'a> RingStatement<'a> {
    /// Outputs of records; neighbours of one arity are taken together.
    pub(super) fn new(records: &[(&'a RingProducts, core::ops::Range<usize>)]) -> Self {
        let shape = Shape::new(&batches(records.iter().map(|(record, range)| (record.arity, range.len()))));
        let row = shape.plan.row;
        let mut records = records.iter();
        let part = |layout: &Layout| {
            let mut part = Part::new(*layout, row);
            while part.z.len() < layout.batch.outputs {
                let Some((record, range)) = records.next() else { break };
                part.push(record, range.clone());
            }
            part
        };
        Self { parts: shape.layouts.iter().map(part).collect(), shape }
    }

    fn row(&self) -> usize {
        self.shape.plan.row
    }

    /// Every class, with its number.
    fn classes(&self) -> Vec<(&Part<'a>, usize)> {
        self.parts.iter().flat_map(|part| (0..part.layout.classes).map(move |class| (part, class))).collect()
    }

    /// Weighted sums of rows of `width` entries that `fill` adds to: eight for a class of short sums, else one.
    fn weigh(
        &self,
        width: usize,
        weights: &RingWeights,
        fill: impl Fn(&Part<'a>, usize, &mut [u64]) + Sync,
    ) -> Sums<Vec<Galois>> {
        let new = || Sums { short: Weigher::new(width, LANES), long: Weigher::new(width, 1) };
        let classes = self.classes();
        let sums = classes
            .par_chunks(CLASSES)
            .zip(weights.classes.par_chunks(CLASSES))
            .fold(new, |mut sums, (classes, weights)| {
                for ((part, class), weight) in classes.iter().zip(weights) {
                    let sum = if part.layout.is_long { &mut sums.long } else { &mut sums.short };
                    sum.push(*weight, |rows| fill(part, *class, rows));
                }
                sums
            })
            .reduce(new, |a, b| Sums { short: a.short.join(b.short), long: a.long.join(b.long) });
        Sums { short: sums.short.finish(), long: sums.long.finish() }
    }

    fn add_pairs(&self, part: &Part<'_>, class: usize, rows: &mut [u64]) {
        let width = lanes::pairs(self.row());
        part.each_row(View::Prover, class, |lane, x, y| {
            lanes::add_pair_products(&mut rows[lane * width..(lane + 1) * width], x, y);
        });
    }

    /// The products of the long sums, none weighted: for each class, all entries but the first.
    fn single(&self) -> Vec<u64> {
        let m = self.row();
        let products = |(part, class): &(&Part<'a>, usize)| {
            let mut sums = vec![0u64; lanes::pairs(m)];
            self.add_pairs(part, *class, &mut sums);
            let (squares, cross) = sums.split_at_mut(m);
            for (sum, (h, k)) in cross.iter_mut().zip(lanes::cross_pairs(m)) {
                *sum = sum.wrapping_sub(squares[h]).wrapping_sub(squares[k]);
            }
            sums.remove(0);
            sums
        };
        self.classes().par_iter().map(products).collect::<Vec<_>>().concat()
    }

    /// The entries of a first message.
    fn entries(&self, weights: &RingWeights, message: &[u64]) -> Vec<Galois> {
        if !self.shape.is_single {
            return read_all::<Gr48>(message);
        }
        let mut weigher = Weigher::new(self.shape.entries, 1);
        for (words, weight) in message.chunks(self.shape.entries.max(1)).zip(&weights.classes) {
            weigher.push(*weight, |row| row.copy_from_slice(words));
        }
        weigher.finish()
    }

    /// Every tile: its part, class, place in the class, and weight.
    fn tiles<'s>(&'s self, weights: &RingWeights) -> Vec<(&'s Part<'a>, usize, usize, Point)> {
        let classes = self.classes().into_iter().zip(&weights.classes);
        classes
            .flat_map(|((part, class), w)| (0..part.layout.tiles).map(move |tile| (part, class, tile, *w)))
            .collect()
    }
}

/// Room for a tile: its rows, its columns, and tables.
struct Room {
    rows: Vec<u64>,
    columns: Vec<Lane>,
    tables: Box<Tables>,
    horner: Horner,
}

impl Room {
    fn new(row: usize) -> Self {
        Self {
            rows: vec![0; LANES * row],
            columns: vec![[0; LANES]; row.next_multiple_of(4)],
            tables: Box::default(),
            horner: Horner::default(),
        }
    }

    /// Combines the columns of the rows into `block`, which is zero.
    fn combine(&mut self, picks: &[u8], block: &mut Block) {
        let m = self.rows.len() / LANES;
        for (h, column) in self.columns.iter_mut().take(m).enumerate() {
            *column = core::array::from_fn(|lane| self.rows[lane * m + h]);
        }
        lanes::add_subset_sums(&mut self.tables, &mut block.0, &self.columns, picks);
    }
}

impl Statement for RingStatement<'_> {
    type Ext = Gr48;
    type Weights = RingWeights;

    const LABEL: &'static [u8] = b"ring";

    fn plan(&self) -> &Plan {
        &self.shape.plan
    }

    fn weights(&self, rng: &mut ChaCha20Rng) -> RingWeights {
        let places = (1..self.row()).map(|_| Gr48::point(rng)).collect::<Vec<_>>();
        let places = core::iter::once(Point::ONE).chain(places).collect();
        RingWeights { places, classes: (0..self.shape.classes).map(|_| Gr48::point(rng)).collect() }
    }

    fn claim(&self, view: View, weights: &RingWeights) -> Galois {
        let sums = self.weigh(self.row(), weights, |part, class, rows| part.add_known(view, class, rows));
        let short = sums.short.iter().zip(&weights.places);
        let short = short.fold(Galois::ZERO, |sum, (place, weight)| sum.add(&place.mul_point(*weight)));
        sums.long.iter().fold(short, |sum, long| sum.add(long))
    }

    fn cross(&self, weights: &RingWeights) -> Vec<u64> {
        if self.shape.is_single {
            return self.single();
        }
        let m = self.row();
        let width = lanes::pairs(m);
        let sums = self.weigh(width, weights, |part, class, rows| self.add_pairs(part, class, rows));
        let mut entries = Vec::with_capacity(self.shape.entries + 1);
        if self.shape.has_short {
            entries.extend_from_slice(&sums.short[..m]);
        }
        if self.shape.has_long {
            entries.extend_from_slice(&sums.long[..m]);
        }
        let all: Vec<Galois> = sums.short.iter().zip(&sums.long).map(|(a, b)| a.add(b)).collect();
        let (squares, cross) = all.split_at(m);
        for (sum, (h, k)) in cross.iter().zip(lanes::cross_pairs(m)) {
            entries.push(sum.sub(&squares[h]).sub(&squares[k]));
        }
        let mut words = Vec::with_capacity(self.shape.plan.cross_words);
        entries[1..].iter().for_each(|entry| Gr48::write(entry, &mut words));
        words
    }

    fn combined_claim(
        &self,
        weights: &RingWeights,
        claim: Galois,
        message: &[u64],
        points: &[Point],
    ) -> Galois {
        let m = self.row();
        // The first square is what the claim leaves over: short sums have the weights of places, long ones none.
        let mut entries = vec![Galois::ZERO];
        entries.extend(self.entries(weights, message));
        let (short, rest) = entries.split_at(if self.shape.has_short { m } else { 0 });
        let (long, cross) = rest.split_at(if self.shape.has_long { m } else { 0 });
        let weighted = short.iter().zip(&weights.places).map(|(square, weight)| square.mul_point(*weight));
        let first = weighted.chain(long.iter().copied()).fold(claim, |left, part| left.sub(&part));
        let mut sum = first;
        for squares in [short, long] {
            for (square, y) in squares.iter().zip(points) {
                sum = sum.add(&square.mul_point(*y).mul_point(*y));
            }
        }
        for (product, (h, k)) in cross.iter().zip(lanes::cross_pairs(m)) {
            sum = sum.add(&product.mul_point(points[h]).mul_point(points[k]));
        }
        sum
    }

    fn combine(&self, view: View, weights: &RingWeights, points: &[Point]) -> [Vec<Block>; 2] {
        let picks = lanes::picks(&points.iter().map(|y| y.bits()).collect::<Vec<_>>(), galois::DEGREE);
        let tiles = self.tiles(weights);
        let [mut left, mut right] = [(); 2].map(|()| vec![ZEROS; tiles.len()]);
        let blocks = left.par_iter_mut().zip(&mut right).zip(tiles).with_min_len(16);
        blocks.for_each_init(
            || Room::new(self.row()),
            |room, ((left, right), (part, class, tile, weight))| {
                part.tile(&part.x, view, class, tile, &mut room.rows);
                room.combine(&picks, left);
                part.tile(&part.y, view, class, tile, &mut room.rows);
                room.combine(&picks, right);
                room.horner.turn(weight);
                room.horner.step(right, &ZEROS);
                if !part.layout.is_long {
                    galois::shift_lanes(right);
                }
            },
        );
        [left, right]
    }
}
