//! Sums of ciphertexts.
//!
//! Additions are lazy: a lane holds up to 32 residues before it is reduced. Lists that arrive together are added in
//! one pass, which reads each input once and is bound by memory.

use rayon::prelude::*;
use ward_math::{Backend, CpuBackend, Evaluations, Poly};

use super::ciphertext::{C0, C1, Ciphertext};
use super::params::Parameters;
use crate::error::{Error, Result};

/// One column of running sums.
struct LazySums {
    sums: Vec<Poly<Evaluations>>,
    pending: usize,
}

impl LazySums {
    fn new(params: &Parameters, count: usize) -> Self {
        Self { sums: (0..count).map(|_| Poly::zero(params.ring())).collect(), pending: 0 }
    }

    /// Adds `inputs[k]` item by item; `poly` shows the polynomial of an item.
    fn add<T: Sync>(&mut self, params: &Parameters, inputs: &[&[T]], poly: fn(&T) -> &Poly<Evaluations>) {
        let pending = self.pending;
        let ring = params.ring();
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

/// What both accumulators check: equal lengths, and no more terms than the noise bound allows.
struct Terms {
    params: Parameters,
    count: Option<usize>,
    terms: usize,
}

impl Terms {
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

macro_rules! accumulator {
    ($(#[$doc:meta])* $name:ident of $item:ty: $($column:ident = $poly:expr),+ => $build:expr) => {
        $(#[$doc])*
        pub struct $name {
            terms: Terms,
            $($column: Option<LazySums>,)+
        }

        impl $name {
            /// An empty sum.
            #[must_use]
            pub fn new(params: &Parameters) -> Self {
                Self { terms: Terms { params: params.clone(), count: None, terms: 0 }, $($column: None,)+ }
            }

            /// Adds one party's list. The first list fixes the length.
            ///
            /// # Errors
            /// [`Error::Count`] for a list of another length; [`Error::TooManyTerms`] when there are more lists
            /// than parties, for which the noise bound does not hold. The sum stays as it was.
            pub fn add(&mut self, list: &[$item]) -> Result<()> {
                self.add_lists(&[list])
            }

            /// Adds the lists of several parties in one pass over memory.
            ///
            /// # Errors
            /// As [`Self::add`].
            pub fn add_lists(&mut self, lists: &[&[$item]]) -> Result<()> {
                let count = self.terms.admit(lists)?;
                let params = &self.terms.params;
                $(self.$column
                    .get_or_insert_with(|| LazySums::new(params, count))
                    .add(params, lists, $poly);)+
                Ok(())
            }

            /// Number of lists added.
            #[must_use]
            pub fn terms(&self) -> usize {
                self.terms.terms
            }

            /// The sums, reduced; empty when nothing was added.
            #[must_use]
            pub fn finish(self) -> Vec<$item> {
                let params = self.terms.params;
                $(let $column = self.$column.map(|sums| sums.finish(&params)).unwrap_or_default();)+
                $build($($column),+)
            }
        }
    };
}

accumulator! {
    /// A sum of lists of ciphertexts, one list of each party.
    Accumulator of Ciphertext: c0 = |c| &c.c0.0, c1 = |c| &c.c1.0 => |c0: Vec<_>, c1: Vec<_>| {
        c0.into_iter().zip(c1).map(|(c0, c1)| Ciphertext { c0: C0(c0), c1: C1(c1) }).collect()
    }
}

accumulator! {
    /// A sum of lists of `c1` halves: what a party recomputes before it makes its key-switch share.
    C1Accumulator of C1: c1 = |c| &c.0 => |c1: Vec<_>| c1.into_iter().map(C1).collect()
}
