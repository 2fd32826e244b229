//! The relation that keys are made for, as matrices that were looked through.

use ark_bls12_381::Fr;
use ark_ff::Zero;

use super::coins::as_scalars;
use super::error::{Error, Result};
use super::lagrange::Column;
use super::phase1::SIZE_LOG2_MAX;
use crate::r1cs::Matrices;

/// Variables of a relation at most.
pub(crate) const VARIABLES_MAX: u32 = 1 << 22;

/// The constraints of a statement, known to be within limits and consistent.
#[derive(Clone, Copy)]
pub struct Relation<'a> {
    matrices: &'a Matrices,
}

impl<'a> Relation<'a> {
    /// Looks through the matrices.
    ///
    /// # Errors
    /// [`Error::Relation`] when there are no constraints, too many variables, a number of rows other than the one
    /// stated, or a column that is not there; [`Error::Size`] when the domain would be too large.
    pub fn new(matrices: &'a Matrices) -> Result<Self> {
        let rows = matrices.constraints;
        if rows == 0 {
            return Err(Error::Relation("number of constraints"));
        }
        let points = rows.saturating_add(matrices.inputs).saturating_add(1);
        let log2 = points.checked_next_power_of_two().map_or(u8::MAX, |size| size.trailing_zeros() as u8);
        if log2 > SIZE_LOG2_MAX {
            return Err(Error::Size(log2));
        }
        let variables = matrices.inputs.saturating_add(matrices.witnesses).saturating_add(1);
        if variables > VARIABLES_MAX as usize {
            return Err(Error::Relation("number of variables"));
        }
        for matrix in [&matrices.a, &matrices.b, &matrices.c] {
            if matrix.rows().count() != rows {
                return Err(Error::Relation("number of rows"));
            }
            let inside = |(column, index)| column < variables && index < matrices.coefficients.len();
            if !matrix.rows().flatten().all(inside) {
                return Err(Error::Relation("column or coefficient"));
            }
        }
        Ok(Self { matrices })
    }

    /// Variables that the verifier knows, with the constant one.
    #[must_use]
    pub fn instance(&self) -> usize {
        self.matrices.inputs + 1
    }

    /// All variables.
    #[must_use]
    pub fn variables(&self) -> usize {
        self.matrices.variables()
    }

    /// Constraints.
    #[must_use]
    pub fn constraints(&self) -> usize {
        self.matrices.constraints
    }

    /// Points of the evaluation domain: one for each constraint and each variable that the verifier knows (which
    /// keeps the public inputs' polynomials independent), rounded up to a power of two.
    #[must_use]
    pub fn domain(&self) -> usize {
        self.matrices.domain_size().max(2)
    }

    /// Hash of the relation ([`Matrices::digest`]).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.matrices.digest()
    }

    /// The matrices by columns, `(row, coefficient)` in each. A has one row more for each variable that the
    /// verifier knows, with a one in its column (the libsnark reduction, as arkworks has it).
    pub(crate) fn columns(&self) -> [Vec<Column>; 3] {
        let Matrices { a, b, c, .. } = self.matrices;
        let mut columns = [a, b, c].map(|matrix| {
            let mut columns = vec![Vec::new(); self.variables()];
            for (index, row) in self.matrices.rows(matrix).enumerate() {
                for (column, coefficient) in row.filter(|(_, coefficient)| !coefficient.is_zero()) {
                    columns[column].push((index, coefficient));
                }
            }
            columns
        });
        for (index, column) in columns[0].iter_mut().enumerate().take(self.instance()) {
            column.push((self.constraints() + index, Fr::from(1u8)));
        }
        columns
    }

    /// The products of the matrices with a vector of coefficients for the variables, on the whole domain.
    pub(crate) fn products(&self, coefficients: &[u8]) -> [Vec<Fr>; 3] {
        let weights = as_scalars(coefficients);
        let Matrices { a, b, c, .. } = self.matrices;
        let mut products = [a, b, c].map(|matrix| {
            let mut product = self.matrices.product(matrix, &weights);
            product.resize(self.domain(), Fr::zero());
            product
        });
        let inputs = self.constraints()..self.constraints() + self.instance();
        products[0][inputs].copy_from_slice(&weights[..self.instance()]);
        products
    }
}
