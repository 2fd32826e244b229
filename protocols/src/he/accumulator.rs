//! Sums of ciphertexts.
//!
//! Additions are lazy: a lane holds up to 32 residues before it is reduced. Lists that arrive together are added in
//! one pass, which reads each input once and is bound by memory.

use rayon::prelude::*;
use ward_math::{Backend, CpuBackend, Evaluations, Poly};

use super::ciphertext::{C0, C1, Ciphertext};
use super::params::Parameters;
use crate::error::{Error, Result};

/// A sum of lists of ciphertexts, one list of each party.
pub struct Accumulator {
    terms: Terms,
    c0: LazySums,
    c1: LazySums,
}

impl Accumulator {
    /// An empty sum.
    #[must_use]
    pub fn new(params: &Parameters) -> Self {
        Self::recycle(params, Vec::new())
    }

    /// An empty sum in the memory of ciphertexts that are no longer needed: fresh memory costs a third as much as
    /// adding ten lists.
    #[must_use]
    pub fn recycle(params: &Parameters, spent: Vec<Ciphertext>) -> Self {
        let (c0, c1) = spent.into_iter().map(|c| (c.c0.0, c.c1.0)).unzip();
        Self { terms: Terms::new(params), c0: LazySums::new(c0), c1: LazySums::new(c1) }
    }

    /// Adds one party's list. The first list fixes the length.
    ///
    /// # Errors
    /// [`Error::Count`] for a list of another length; [`Error::TooManyTerms`] when there are more lists than parties,
    /// for which the noise bound does not hold. The sum stays as it was.
    pub fn add(&mut self, list: &[Ciphertext]) -> Result<()> {
        self.add_lists(&[list])
    }

    /// Adds the lists of several parties in one pass over memory.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_lists(&mut self, lists: &[&[Ciphertext]]) -> Result<()> {
        let count = self.terms.admit(lists)?;
        self.c0.add(&self.terms.params, count, lists, |c| &c.c0.0);
        self.c1.add(&self.terms.params, count, lists, |c| &c.c1.0);
        Ok(())
    }

    /// Number of lists added.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.terms.terms
    }

    /// The sums, reduced; empty when nothing was added.
    #[must_use]
    pub fn finish(self) -> Vec<Ciphertext> {
        let (c0, c1) = (self.c0.finish(&self.terms.params), self.c1.finish(&self.terms.params));
        c0.into_iter().zip(c1).map(|(c0, c1)| Ciphertext { c0: C0(c0), c1: C1(c1) }).collect()
    }
}

macro_rules! half_accumulator {
    ($(#[$doc:meta])* $name:ident of $half:ident) => {
        $(#[$doc])*
        pub struct $name {
            terms: Terms,
            sums: LazySums,
        }

        impl $name {
            /// An empty sum.
            #[must_use]
            pub fn new(params: &Parameters) -> Self {
                Self::recycle(params, Vec::new())
            }

            /// An empty sum in the memory of halves that are no longer needed.
            #[must_use]
            pub fn recycle(params: &Parameters, spent: Vec<$half>) -> Self {
                Self { terms: Terms::new(params), sums: LazySums::new(spent.into_iter().map(|c| c.0).collect()) }
            }

            /// Adds one party's list. The first list fixes the length.
            ///
            /// # Errors
            /// As [`Accumulator::add`].
            pub fn add(&mut self, list: &[$half]) -> Result<()> {
                self.add_lists(&[list])
            }

            /// Adds the lists of several parties in one pass over memory.
            ///
            /// # Errors
            /// As [`Accumulator::add`].
            pub fn add_lists(&mut self, lists: &[&[$half]]) -> Result<()> {
                let count = self.terms.admit(lists)?;
                self.sums.add(&self.terms.params, count, lists, |c| &c.0);
                Ok(())
            }

            /// Number of lists added.
            #[must_use]
            pub fn terms(&self) -> usize {
                self.terms.terms
            }

            /// The sums, reduced; empty when nothing was added.
            #[must_use]
            pub fn finish(self) -> Vec<$half> {
                self.sums.finish(&self.terms.params).into_iter().map($half).collect()
            }
        }
    };
}

half_accumulator! {
    /// A sum of lists of `c0` halves: what a release is made of.
    C0Accumulator of C0
}

half_accumulator! {
    /// A sum of lists of `c1` halves: what a party recomputes before it makes its key-switch share.
    C1Accumulator of C1
}

/// What all accumulators check: equal lengths, and no more terms than the noise bound allows.
struct Terms {
    params: Parameters,
    count: Option<usize>,
    terms: usize,
}

impl Terms {
    fn new(params: &Parameters) -> Self {
        Self { params: params.clone(), count: None, terms: 0 }
    }

    /// Admits `lists` and returns their common length.
    fn admit<T>(&mut self, lists: &[&[T]]) -> Result<usize> {
        let Some(first) = lists.first() else { return Ok(self.count.unwrap_or(0)) };
        let expected = self.count.unwrap_or(first.len());
        if let Some(list) = lists.iter().find(|list| list.len() != expected) {
            return Err(Error::Count { what: "ciphertexts", found: list.len(), expected });
        }
        let (terms, limit) = (self.terms + lists.len(), self.params.parties() as usize);
        if terms > limit {
            return Err(Error::TooManyTerms { terms, limit });
        }
        (self.count, self.terms) = (Some(expected), terms);
        Ok(expected)
    }
}

/// One column of running sums.
struct LazySums {
    /// Memory to use again.
    spent: Vec<Poly<Evaluations>>,
    sums: Vec<Poly<Evaluations>>,
    /// Reduced residues that a lane is a sum of at most.
    pending: usize,
}

impl LazySums {
    fn new(spent: Vec<Poly<Evaluations>>) -> Self {
        Self { spent, sums: Vec::new(), pending: 0 }
    }

    /// Adds `inputs[k]` item by item; `poly` shows the polynomial of an item.
    fn add<T: Sync>(
        &mut self,
        params: &Parameters,
        count: usize,
        inputs: &[&[T]],
        poly: fn(&T) -> &Poly<Evaluations>,
    ) {
        let ring = params.ring();
        while self.sums.len() < count {
            let sum = self.spent.pop().filter(|poly| poly.residues().len() == ring.residues());
            self.sums.push(sum.map_or_else(|| Poly::zero(ring), Poly::cleared));
        }
        let pending = self.pending;
        let add = |(j, sum): (usize, &mut Poly<Evaluations>)| {
            let columns: Vec<&[u32]> = inputs.iter().map(|list| poly(&list[j]).residues()).collect();
            CpuBackend::SERIAL.accumulate(ring, sum.residues_mut(), pending, &columns)
        };
        let terms = self.sums.par_iter_mut().enumerate().map(add).max();
        self.pending = terms.unwrap_or(pending);
    }

    fn finish(mut self, params: &Parameters) -> Vec<Poly<Evaluations>> {
        let reduce =
            |sum: &mut Poly<Evaluations>| CpuBackend::SERIAL.reduce(params.ring(), sum.residues_mut());
        self.sums.par_iter_mut().for_each(reduce);
        self.sums
    }
}
