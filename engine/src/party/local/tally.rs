//! Counts by cell and by pair of cells: in a table for the first cells, which are nearly always all, in a map for others.

use std::collections::HashMap;

use super::cohort::{NOWHERE, Partition};

/// Cells whose counts are in a table.
const TABLE_SIDE: usize = 1 << 8;

/// A count for each cell of a partition.
pub(super) struct Cells {
    first: Vec<u64>,
    other: HashMap<u32, u64>,
}

impl Cells {
    /// Zeros.
    pub(super) fn of(cells: &Partition) -> Self {
        let shown = cells.labels.iter().filter(|label| **label != NOWHERE);
        let most = shown.max().map_or(0, |last| (*last as usize).saturating_add(1));
        Self { first: vec![0; most.min(TABLE_SIDE)], other: HashMap::new() }
    }

    /// One more.
    pub(super) fn add(&mut self, cell: u32) {
        match self.first.get_mut(cell as usize) {
            Some(count) => *count += 1,
            None => *self.other.entry(cell).or_default() += 1,
        }
    }

    /// How many.
    pub(super) fn count(&self, cell: u32) -> u64 {
        self.first.get(cell as usize).or_else(|| self.other.get(&cell)).copied().unwrap_or(0)
    }
}

/// Something for each pair of cells of two partitions.
pub(super) struct Pairs<T> {
    rows: usize,
    columns: usize,
    first: Vec<T>,
    other: HashMap<(u32, u32), T>,
}

impl<T: Clone + Default> Pairs<T> {
    /// Nothing, for the cells that are counted there.
    pub(super) fn of(a: &Cells, b: &Cells) -> Self {
        let (rows, columns) = (a.first.len(), b.first.len());
        Self { rows, columns, first: vec![T::default(); rows * columns], other: HashMap::new() }
    }

    /// That of a pair.
    pub(super) fn at(&mut self, a: u32, b: u32) -> &mut T {
        let (x, y) = (a as usize, b as usize);
        if x < self.rows && y < self.columns {
            return &mut self.first[x * self.columns + y];
        }
        self.other.entry((a, b)).or_default()
    }

    /// Whether one pair is such.
    pub(super) fn any(&self, is_such: impl Fn(u32, u32, &T) -> bool) -> bool {
        let columns = self.columns.max(1);
        let in_table = |(at, of): (usize, &T)| is_such((at / columns) as u32, (at % columns) as u32, of);
        self.first.iter().enumerate().any(in_table)
            || self.other.iter().any(|((a, b), of)| is_such(*a, *b, of))
    }
}
