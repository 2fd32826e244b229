//! A ring `Z_Q[X]/(X^N + 1)` in RNS form: degree, primes and transform tables.

use crate::error::{Error, Result};
use crate::modulus::{Modulus, PRIMES};
use crate::ntt::NttTable;

/// Smallest degree: one block of the narrow layers.
pub const DEGREE_MIN: usize = 64;
/// Largest degree the primes have roots for.
pub const DEGREE_MAX: usize = 1 << 14;

/// Degree `N` and the first `L` of the fixed primes, with their tables.
pub struct Ring {
    degree: usize,
    tables: Vec<NttTable>,
}

impl Ring {
    /// The ring of degree `degree` over the first `limbs` primes.
    ///
    /// # Errors
    /// [`Error::Degree`] unless `degree` is a power of two in `64..=16384`; [`Error::Limbs`] unless `limbs` is
    /// in `1..=16`.
    pub fn new(degree: usize, limbs: usize) -> Result<Self> {
        if !degree.is_power_of_two() || !(DEGREE_MIN..=DEGREE_MAX).contains(&degree) {
            return Err(Error::Degree(degree));
        }
        if limbs == 0 || limbs > PRIMES.len() {
            return Err(Error::Limbs(limbs));
        }
        let tables = (0..limbs).filter_map(Modulus::for_limb).map(|m| NttTable::new(m, degree)).collect();
        Ok(Self { degree, tables })
    }

    /// `N`.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// `L`.
    #[must_use]
    pub fn limbs(&self) -> usize {
        self.tables.len()
    }

    /// `L * N`, the number of residues of a polynomial.
    #[must_use]
    pub fn residues(&self) -> usize {
        self.degree * self.tables.len()
    }

    /// The tables, one for each limb.
    #[must_use]
    pub fn tables(&self) -> &[NttTable] {
        &self.tables
    }

    /// The primes in limb order.
    pub fn moduli(&self) -> impl Iterator<Item = &Modulus> {
        self.tables.iter().map(NttTable::modulus)
    }
}
