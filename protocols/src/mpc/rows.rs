//! Shared bits by row, to be moved about: the transpose of [`BitShares`].

use super::error::{MpcError, Result};
use super::planes::{planes_of, values_of};
use super::shares::BitShares;

/// `len` rows of `stride` words each, column by column: word `c` of row `j` at `c * len + j`; `x = x_0 ^ x_1 ^ x_2`.
#[derive(Clone, Default)]
pub struct Rows {
    /// Words of a row.
    pub stride: usize,
    /// Number of rows.
    pub len: usize,
    /// `x_i`.
    pub own: Vec<u64>,
    /// `x_{i+1}`.
    pub next: Vec<u64>,
}

/// Where a column of bits lies in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its first word.
    pub word: usize,
    /// Its bits; it begins at the word's lowest and takes whole words.
    pub width: usize,
}

impl Rows {
    /// Columns of bits side by side, and where each lies.
    ///
    /// # Errors
    /// When the columns have different numbers of values.
    pub fn of(columns: &[&BitShares]) -> Result<(Self, Vec<Field>)> {
        let len = columns.first().map_or(0, |column| column.len);
        let mut rows = Self { stride: 0, len, own: Vec::new(), next: Vec::new() };
        let mut fields = Vec::with_capacity(columns.len());
        for column in columns {
            if column.len != len {
                return Err(MpcError::Lengths { what: "columns of rows", left: len, right: column.len });
            }
            fields.push(Field { word: rows.stride, width: column.width });
            for first in (0..column.width).step_by(64) {
                let width = (column.width - first).min(64);
                let planes = column.planes(first..first + width);
                rows.own.extend(values_of(&planes.own, width, len));
                rows.next.extend(values_of(&planes.next, width, len));
                rows.stride += 1;
            }
        }
        Ok((rows, fields))
    }

    /// A field of these rows, in this order.
    ///
    /// # Panics
    /// When a row or the field is past the end, as for slices.
    #[must_use]
    pub fn gather(&self, field: Field, rows: &[u32]) -> BitShares {
        let mut out = BitShares { width: field.width, len: rows.len(), ..BitShares::default() };
        let mut values = Vec::with_capacity(rows.len());
        for (component, planes) in [(&self.own, &mut out.own), (&self.next, &mut out.next)] {
            for (k, first) in (0..field.width).step_by(64).enumerate() {
                let column = &component[(field.word + k) * self.len..(field.word + k + 1) * self.len];
                values.clear();
                values.extend(rows.iter().map(|row| column[*row as usize]));
                planes.extend(planes_of(&values, (field.width - first).min(64)));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{World, reconstruct_bits, share_bits};

    #[test]
    fn columns_go_in_and_come_out_in_any_order() {
        let mut rng = World::new(1).rng();
        let (a, b): (Vec<u64>, Vec<u64>) = (0..70).map(|k| (k * 1_000_003, k)).unzip();
        let (a_shares, b_shares) = (share_bits(&a, 64, &mut rng), share_bits(&b, 7, &mut rng));
        let order: Vec<u32> = (0..70).rev().chain([3, 3]).collect();
        let out: [(BitShares, BitShares); 3] = std::array::from_fn(|i| {
            let wide = BitShares::concat(&[&b_shares[i], &a_shares[i]]).unwrap();
            let (rows, fields) = Rows::of(&[&wide, &b_shares[i]]).unwrap();
            assert_eq!((rows.stride, rows.own.len()), (3, 210));
            let wide = rows.gather(fields[0], &order);
            (wide.planes(7..71), rows.gather(fields[1], &order))
        });
        let at = |values: &[u64]| order.iter().map(|k| values[*k as usize]).collect::<Vec<_>>();
        let [x, y, z] = out;
        assert_eq!(reconstruct_bits(&[x.0.trimmed(), y.0.trimmed(), z.0.trimmed()]), at(&a));
        assert_eq!(reconstruct_bits(&[x.1.trimmed(), y.1.trimmed(), z.1.trimmed()]), at(&b));
    }
}
