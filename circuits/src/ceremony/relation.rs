//! The relation that keys are made for, as matrices.

use ark_bls12_381::Fr;
use ark_ff::Zero;

use super::coins::as_scalars;
use super::curve::scalar_bytes;
use super::error::{Error, Result};
use super::phase1::SIZE_LOG2_MAX;
use super::transcript::Hasher;

/// Rows of a sparse matrix: `(coefficient, column)`.
pub type Rows = [Vec<(Fr, usize)>];

/// Variables of a relation at most.
pub(crate) const VARIABLES_MAX: u32 = 1 << 19;

/// Constraints `(A z) * (B z) = C z` row by row over `z = (1, public inputs, witness)`.
#[derive(Clone, Copy)]
pub struct Relation<'a> {
    instance: usize,
    variables: usize,
    matrices: [&'a Rows; 3],
}

impl<'a> Relation<'a> {
    /// `instance`: variables that the verifier knows, the constant one among them. `witness`: the others.
    /// `matrices`: A, B and C with a row for each constraint.
    ///
    /// # Errors
    /// [`Error::Relation`] when the matrices have different numbers of rows, or a column that is not there, or
    /// there is no constant; [`Error::Size`] when the domain would be too large.
    pub fn new(instance: usize, witness: usize, matrices: [&'a Rows; 3]) -> Result<Self> {
        let variables = instance.saturating_add(witness);
        if instance == 0 || variables > VARIABLES_MAX as usize {
            return Err(Error::Relation("number of variables"));
        }
        let rows = matrices[0].len();
        if rows == 0 || matrices.iter().any(|matrix| matrix.len() != rows) {
            return Err(Error::Relation("number of rows"));
        }
        if matrices.iter().any(|matrix| matrix.iter().flatten().any(|&(_, column)| column >= variables)) {
            return Err(Error::Relation("column of a coefficient"));
        }
        let relation = Self { instance, variables, matrices };
        let log2 = relation.domain().trailing_zeros() as u8;
        if log2 > SIZE_LOG2_MAX { Err(Error::Size(log2)) } else { Ok(relation) }
    }

    /// Variables that the verifier knows, with the constant one.
    #[must_use]
    pub fn instance(&self) -> usize {
        self.instance
    }

    /// All variables.
    #[must_use]
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// Constraints.
    #[must_use]
    pub fn constraints(&self) -> usize {
        self.matrices[0].len()
    }

    /// Points of the evaluation domain: one for each constraint and each variable that the verifier knows (which
    /// keeps the public inputs' polynomials independent), rounded up to a power of two.
    #[must_use]
    pub fn domain(&self) -> usize {
        self.constraints().saturating_add(self.instance).next_power_of_two().max(2)
    }

    /// Hash of the relation: of the counts and of every coefficient in its place.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = Vec::new();
        for matrix in self.matrices {
            for row in matrix {
                bytes.extend_from_slice(&(row.len() as u64).to_le_bytes());
                for (coefficient, column) in row {
                    bytes.extend_from_slice(&*scalar_bytes(coefficient));
                    bytes.extend_from_slice(&(*column as u64).to_le_bytes());
                }
            }
        }
        Hasher::new("relation")
            .field(&(self.instance as u64).to_le_bytes())
            .field(&(self.variables as u64).to_le_bytes())
            .field(&(self.constraints() as u64).to_le_bytes())
            .field(&bytes)
            .finish()
    }

    /// The matrices by columns, `(row, coefficient)` in each. A has one row more for each variable that the
    /// verifier knows, with a one in its column (the libsnark reduction, as arkworks has it).
    pub(crate) fn columns(&self) -> [Vec<Vec<(usize, Fr)>>; 3] {
        let mut columns = self.matrices.map(|matrix| {
            let mut columns = vec![Vec::new(); self.variables];
            for (index, row) in matrix.iter().enumerate() {
                for &(coefficient, column) in row.iter().filter(|(coefficient, _)| !coefficient.is_zero()) {
                    columns[column].push((index, coefficient));
                }
            }
            columns
        });
        for (index, column) in columns[0].iter_mut().enumerate().take(self.instance) {
            column.push((self.constraints() + index, Fr::from(1u8)));
        }
        columns
    }

    /// The products of the matrices with a vector of coefficients for the variables, on the whole domain.
    pub(crate) fn products(&self, coefficients: &[u8]) -> [Vec<Fr>; 3] {
        let weights = as_scalars(coefficients);
        let mut products = self.matrices.map(|matrix| {
            let mut product: Vec<Fr> =
                matrix.iter().map(|row| row.iter().map(|(c, column)| *c * weights[*column]).sum()).collect();
            product.resize(self.domain(), Fr::zero());
            product
        });
        let inputs = self.constraints()..self.constraints() + self.instance;
        products[0][inputs].copy_from_slice(&weights[..self.instance]);
        products
    }
}
