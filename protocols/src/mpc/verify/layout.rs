//! How ring products lie in tiles of eight rows.
//!
//! Outputs go into classes. Of products and short sums a class has `8 m` outputs, and a tile of eight rows of `m` for
//! each term: the weight of an output is that of the class times a power of `X` for the row times that of the place.
//! Of long sums a class is one output, whose terms fill tile after tile, and all have the weight of the class.

use core::ops::Range;

use ward_math::lanes::{self, LANES};

use super::columns::{Column, Modulo, View};
use super::extension::{Extension, Gr48};
use super::plan::Plan;
use crate::mpc::security::RingProducts;

/// Most sums whose products are sent one by one instead of as a weighted sum of 48 words.
const SINGLE_MAX: usize = 47;

/// Outputs of one arity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Terms of an output, at least one.
    pub arity: usize,
    /// Number of outputs.
    pub outputs: usize,
}

/// How a batch lies in tiles.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub batch: Batch,
    pub is_long: bool,
    pub classes: usize,
    /// Of each class.
    pub tiles: usize,
}

/// A batch's columns.
pub(super) struct Part<'a> {
    pub layout: Layout,
    pub row: usize,
    pub x: Column<'a>,
    pub y: Column<'a>,
    pub z: Column<'a>,
    /// `mask_prev` (`own`) and `mask_next` (`next`).
    pub masks: Column<'a>,
}

/// The public size of a statement.
pub(super) struct Shape {
    pub layouts: Vec<Layout>,
    pub plan: Plan,
    pub has_short: bool,
    pub has_long: bool,
    /// True when the first message has a word for each class and entry, not an element for each entry.
    pub is_single: bool,
    pub classes: usize,
    /// Entries of the first message.
    pub entries: usize,
}

/// Values of a row: more fold harder at once, and cost more bytes.
fn row_values(terms: usize) -> usize {
    match terms {
        0..=256 => 1,
        257..=1024 => 4,
        1025..=0x2_0000 => 16,
        0x2_0001..=0x40_0000 => 32,
        _ => 64,
    }
}

/// How these batches are folded.
pub(super) fn plan(batches: &[Batch]) -> Plan {
    Shape::new(batches).plan
}

/// Neighbours of one arity taken together.
pub(super) fn batches(records: impl Iterator<Item = (usize, usize)>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (arity, outputs) in records {
        match batches.last_mut().filter(|batch| batch.arity == arity) {
            Some(batch) => batch.outputs += outputs,
            None => batches.push(Batch { arity, outputs }),
        }
    }
    batches
}

impl Layout {
    fn new(batch: Batch, row: usize) -> Self {
        let tile = LANES * row;
        let short = batch.outputs.div_ceil(tile) * batch.arity;
        let long = batch.outputs * batch.arity.div_ceil(tile);
        if long < short {
            Self { batch, is_long: true, classes: batch.outputs, tiles: batch.arity.div_ceil(tile) }
        } else {
            Self { batch, is_long: false, classes: batch.outputs.div_ceil(tile), tiles: batch.arity }
        }
    }
}

impl Shape {
    pub(super) fn new(batches: &[Batch]) -> Self {
        let row = row_values(batches.iter().map(|b| b.outputs * b.arity).sum());
        let layouts: Vec<Layout> = batches.iter().map(|batch| Layout::new(*batch, row)).collect();
        let has_short = layouts.iter().any(|l| !l.is_long);
        let has_long = layouts.iter().any(|l| l.is_long);
        let classes = layouts.iter().map(|l| l.classes).sum();
        let is_single = !has_short && classes <= SINGLE_MAX;
        let kinds = usize::from(has_short) + usize::from(has_long);
        let entries = (kinds * row + lanes::pairs(row) - row).saturating_sub(1);
        let words = entries * if is_single { classes } else { Gr48::WORDS };
        let tiles: usize = layouts.iter().map(|l| l.classes * l.tiles).sum();
        let elements = match layouts[..] {
            // A single tile: only its rows that hold anything.
            [one] if tiles == 1 && !one.is_long => one.batch.outputs.div_ceil(row),
            _ => tiles * LANES,
        };
        let plan = Plan::new::<Gr48>(row, words, elements);
        Self { layouts, plan, has_short, has_long, is_single, classes, entries }
    }
}

impl<'a> Part<'a> {
    /// Without records yet.
    pub(super) fn new(layout: Layout, row: usize) -> Self {
        let [x, y, z, masks] = [(); 4].map(|()| Column::default());
        Self { layout, row, x, y, z, masks }
    }

    /// Appends the outputs `range` of a record.
    pub(super) fn push(&mut self, record: &'a RingProducts, range: Range<usize>) {
        let terms = range.start * record.arity..range.end * record.arity;
        self.x.push(&record.x.own[terms.clone()], &record.x.next[terms.clone()]);
        self.y.push(&record.y.own[terms.clone()], &record.y.next[terms]);
        self.z.push(&record.z.own[range.clone()], &record.z.next[range.clone()]);
        self.masks.push(&record.mask_prev[range.clone()], &record.mask_next[range]);
    }

    /// The terms of a tile: eight rows.
    pub(super) fn tile(&self, column: &Column<'a>, view: View, class: usize, tile: usize, out: &mut [u64]) {
        let Layout { batch: Batch { arity, .. }, is_long, .. } = self.layout;
        let size = LANES * self.row;
        if is_long {
            let start = class * arity + tile * size;
            column.gather::<Modulo>(view, (start, (class + 1) * arity), 1, out);
        } else {
            column.gather::<Modulo>(view, (class * size * arity + tile, usize::MAX), arity, out);
        }
    }

    /// Hands over each row of a class, left and right, with its lane among the weights.
    pub(super) fn each_row(&self, view: View, class: usize, mut add: impl FnMut(usize, &[u64], &[u64])) {
        let (mut x, mut y) = (vec![0; LANES * self.row], vec![0; LANES * self.row]);
        for tile in 0..self.layout.tiles {
            self.tile(&self.x, view, class, tile, &mut x);
            self.tile(&self.y, view, class, tile, &mut y);
            for (row, (x, y)) in x.chunks(self.row).zip(y.chunks(self.row)).enumerate() {
                add(if self.layout.is_long { 0 } else { row }, x, y);
            }
        }
    }

    /// Adds the right-hand sides that a verifier knows: of a class of long sums, one; else one for each output.
    pub(super) fn add_known(&self, view: View, class: usize, out: &mut [u64]) {
        let (first, count) =
            if self.layout.is_long { (class, 1) } else { (class * LANES * self.row, LANES * self.row) };
        let mut buffer = vec![0; count];
        let mut add = |column: &Column<'_>, view: View, is_negative: bool| {
            column.gather::<Modulo>(view, (first, first + count), 1, &mut buffer);
            for (out, value) in out.iter_mut().zip(&buffer) {
                *out = if is_negative { out.wrapping_sub(*value) } else { out.wrapping_add(*value) };
            }
        };
        match view {
            // z_i + mask_prev of the prover, which is mask_next here.
            View::First | View::Prover => {
                add(&self.z, View::First, false);
                add(&self.masks, View::First, false);
            }
            // sum(x_{i+1} y_{i+1}) - mask_next of the prover, which is mask_prev here.
            View::Second => {
                add(&self.masks, View::Second, true);
                self.each_row(View::Second, class, |lane, x, y| {
                    let products = x.iter().zip(y).map(|(x, y)| x.wrapping_mul(*y));
                    if self.layout.is_long {
                        out[0] = products.fold(out[0], u64::wrapping_add);
                    } else {
                        let row = &mut out[lane * self.row..(lane + 1) * self.row];
                        row.iter_mut().zip(products).for_each(|(out, p)| *out = out.wrapping_add(p));
                    }
                });
            }
        }
    }
}
