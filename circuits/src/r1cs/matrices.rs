//! The matrices of a statement, in compressed rows.

use ark_ff::{AdditiveGroup, One};
use sha2::{Digest, Sha256};

use crate::field::{Element, to_bytes};

/// A matrix in compressed rows; an entry names its coefficient in the table of [`Matrices`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseMatrix {
    /// Where each row ends in `columns` and `coefficients`.
    pub(crate) ends: Vec<u32>,
    pub(crate) columns: Vec<u32>,
    pub(crate) coefficients: Vec<u32>,
}

impl SparseMatrix {
    pub(super) fn push(&mut self, column: u32, coefficient: u32) {
        self.columns.push(column);
        self.coefficients.push(coefficient);
    }

    pub(super) fn end_row(&mut self) {
        self.ends.push(u32::try_from(self.columns.len()).unwrap_or(u32::MAX));
    }

    /// Entries that are not zero.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.columns.len()
    }

    /// The rows: for each entry its column and the index of its coefficient.
    pub fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = (usize, usize)> + '_> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|&end| end as usize));
        starts.zip(&self.ends).map(|(start, &end)| {
            let range = start..end as usize;
            let columns = self.columns[range.clone()].iter();
            columns.zip(&self.coefficients[range]).map(|(&column, &index)| (column as usize, index as usize))
        })
    }
}

/// A statement as constraints: `A z * B z = C z` row by row, over the variables z = (1, inputs, witnesses).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrices {
    /// Public inputs, without the constant one.
    pub inputs: usize,
    /// Variables that the prover fills.
    pub witnesses: usize,
    /// Rows.
    pub constraints: usize,
    /// The left factors.
    pub a: SparseMatrix,
    /// The right factors.
    pub b: SparseMatrix,
    /// The products.
    pub c: SparseMatrix,
    /// Coefficients that occur, each once.
    pub coefficients: Vec<Element>,
}

impl Matrices {
    /// All variables: the constant one, inputs, witnesses.
    #[must_use]
    pub fn variables(&self) -> usize {
        1 + self.inputs + self.witnesses
    }

    /// The size of the domain over which the rows are interpolated: the power of two that has room for the
    /// constraints and for one row for the constant one and each input (A = the variable, B = C = 0), which keep
    /// the inputs' polynomials independent.
    #[must_use]
    pub fn domain_size(&self) -> usize {
        (self.constraints + self.inputs + 1).next_power_of_two()
    }

    /// The rows of one of the matrices, with the coefficients written out.
    pub fn rows<'a>(
        &'a self,
        matrix: &'a SparseMatrix,
    ) -> impl Iterator<Item = impl Iterator<Item = (usize, Element)> + 'a> + 'a {
        matrix.rows().map(|row| row.map(|(column, index)| (column, self.coefficients[index])))
    }

    /// The product of one of the matrices with the variables.
    #[must_use]
    pub fn product(&self, matrix: &SparseMatrix, variables: &[Element]) -> Vec<Element> {
        self.rows(matrix)
            .map(|row| row.map(|(column, coefficient)| term(coefficient, variables[column])).sum())
            .collect()
    }

    /// Some rows of such a product, from row `first` on.
    pub(crate) fn product_rows(
        &self,
        matrix: &SparseMatrix,
        variables: &[Element],
        first: usize,
        rows: &mut [Element],
    ) {
        let mut start = if first == 0 { 0 } else { matrix.ends[first - 1] as usize };
        for (value, &end) in rows.iter_mut().zip(&matrix.ends[first..]) {
            let range = start..end as usize;
            let entries = matrix.columns[range.clone()].iter().zip(&matrix.coefficients[range]);
            *value = entries
                .map(|(&column, &index)| term(self.coefficients[index as usize], variables[column as usize]))
                .sum();
            start = end as usize;
        }
    }

    /// The first row that the variables do not satisfy.
    #[must_use]
    pub fn first_unsatisfied(&self, variables: &[Element]) -> Option<usize> {
        let (a, b, c) = (
            self.product(&self.a, variables),
            self.product(&self.b, variables),
            self.product(&self.c, variables),
        );
        (0..self.constraints).find(|&row| a[row] * b[row] != c[row])
    }

    /// The name of the constraints: a hash of all that they are. A key is for one digest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"ward/r1cs/1");
        for size in [self.inputs, self.witnesses, self.constraints, self.coefficients.len()] {
            hash.update((size as u64).to_be_bytes());
        }
        for coefficient in &self.coefficients {
            hash.update(to_bytes(coefficient));
        }
        for matrix in [&self.a, &self.b, &self.c] {
            for list in [&matrix.ends, &matrix.columns, &matrix.coefficients] {
                hash.update((list.len() as u64).to_be_bytes());
                for entry in list {
                    hash.update(entry.to_be_bytes());
                }
            }
        }
        hash.finalize().into()
    }
}

/// A product of which one factor is often one, and the other often zero.
pub(crate) fn term(coefficient: Element, variable: Element) -> Element {
    if coefficient.is_one() || variable == Element::ZERO { variable } else { coefficient * variable }
}
