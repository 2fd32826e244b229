//! Polynomials in RNS form, typed by representation.

use core::marker::PhantomData;

use zeroize::Zeroize;

use crate::backend::Backend;
use crate::codec::{Reader, Writer, packed_len};
use crate::error::Result;
use crate::ring::Ring;
use crate::simd;

/// Representation: coefficients of `X^0 .. X^(N-1)`.
pub enum Coefficients {}
/// Representation: values at the `2N`-th roots, in the order of [`crate::ntt`].
pub enum Evaluations {}

/// Which representation a polynomial is in: [`Coefficients`] or [`Evaluations`], nothing else.
pub trait Form: sealed::Sealed + Send + Sync + 'static {}
impl Form for Coefficients {}
impl Form for Evaluations {}
mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Coefficients {}
    impl Sealed for super::Evaluations {}
}

/// A polynomial: `[L][N]` residues, limb after limb, each in `[0, q_l)`.
pub struct Poly<F: Form> {
    residues: Vec<u32>,
    form: PhantomData<F>,
}

impl<F: Form> Clone for Poly<F> {
    fn clone(&self) -> Self {
        Self { residues: self.residues.clone(), form: PhantomData }
    }
}

impl<F: Form> PartialEq for Poly<F> {
    fn eq(&self, other: &Self) -> bool {
        self.residues == other.residues
    }
}
impl<F: Form> Eq for Poly<F> {}

impl<F: Form> Zeroize for Poly<F> {
    fn zeroize(&mut self) {
        self.residues.zeroize();
    }
}

impl<F: Form> Poly<F> {
    /// The zero polynomial.
    #[must_use]
    pub fn zero(ring: &Ring) -> Self {
        Self { residues: vec![0; ring.residues()], form: PhantomData }
    }

    /// Zero in the same memory.
    #[must_use]
    pub fn cleared(mut self) -> Self {
        self.residues.fill(0);
        self
    }

    /// A polynomial from `[L][N]` residues, reduced here; missing residues are zero, excess ones are dropped.
    #[must_use]
    pub fn from_residues(ring: &Ring, mut residues: Vec<u32>) -> Self {
        residues.resize(ring.residues(), 0);
        for (m, limb) in ring.moduli().zip(residues.chunks_exact_mut(ring.degree())) {
            simd::reduce(m, limb);
        }
        Self { residues, form: PhantomData }
    }

    /// A polynomial from small signed coefficients or values `[N]`, the same in every limb.
    #[must_use]
    pub fn from_small(ring: &Ring, small: &[i8]) -> Self {
        let mut poly = Self::zero(ring);
        poly.set_small(ring, small);
        poly
    }

    /// Becomes the polynomial of small signed coefficients or values `[N]`.
    fn set_small(&mut self, ring: &Ring, small: &[i8]) {
        for (m, limb) in ring.moduli().zip(self.residues.chunks_exact_mut(ring.degree())) {
            simd::set_small(m, limb, small);
        }
    }

    /// The residues `[L][N]`.
    #[must_use]
    pub fn residues(&self) -> &[u32] {
        &self.residues
    }

    /// The residues `[L][N]`, to be changed in place; they stay below their primes.
    #[must_use]
    pub fn residues_mut(&mut self) -> &mut [u32] {
        &mut self.residues
    }

    /// `self += other`.
    pub fn add_assign(&mut self, ring: &Ring, backend: &dyn Backend, other: &Self) {
        backend.add(ring, &mut self.residues, &other.residues);
    }

    /// Adds small signed coefficients `[N]` to every limb.
    pub fn add_small(&mut self, ring: &Ring, small: &[i8]) {
        for (m, limb) in ring.moduli().zip(self.residues.chunks_exact_mut(ring.degree())) {
            simd::add_small(m, limb, small);
        }
    }

    /// Multiplies limb `l` by `scalars[l]`, reduced.
    pub fn mul_scalars(&mut self, ring: &Ring, scalars: &[u32]) {
        let limbs = self.residues.chunks_exact_mut(ring.degree());
        for ((m, limb), &w) in ring.moduli().zip(limbs).zip(scalars) {
            simd::mul_scalar(m, limb, (w, m.shoup(w)));
        }
    }

    /// Bytes of an encoded polynomial.
    #[must_use]
    pub fn encoded_len(ring: &Ring) -> usize {
        packed_len(ring.residues())
    }

    /// Appends the residues, 27 bits each, limb after limb.
    pub fn write(&self, writer: &mut Writer) {
        writer.residues(&self.residues);
    }

    /// Reads what [`Poly::write`] wrote.
    ///
    /// # Errors
    /// Input that is too short, or a residue that is not below its prime.
    pub fn read(ring: &Ring, reader: &mut Reader<'_>) -> Result<Self> {
        let mut poly = Self::zero(ring);
        let limbs = poly.residues.chunks_exact_mut(ring.degree());
        for (l, (m, limb)) in ring.moduli().zip(limbs).enumerate() {
            reader.residues(l, m, limb)?;
        }
        Ok(poly)
    }
}

impl Poly<Coefficients> {
    /// The same polynomial by its values.
    #[must_use]
    pub fn into_evaluations(mut self, ring: &Ring, backend: &dyn Backend) -> Poly<Evaluations> {
        backend.forward(ring, &mut self.residues);
        Poly { residues: core::mem::take(&mut self.residues), form: PhantomData }
    }
}

impl Poly<Evaluations> {
    /// The same polynomial by its coefficients.
    #[must_use]
    pub fn into_coefficients(mut self, ring: &Ring, backend: &dyn Backend) -> Poly<Coefficients> {
        backend.inverse(ring, &mut self.residues);
        Poly { residues: core::mem::take(&mut self.residues), form: PhantomData }
    }

    /// Becomes the polynomial whose *coefficients* are `small`, without a new allocation.
    pub fn set_from_small(&mut self, ring: &Ring, backend: &dyn Backend, small: &[i8]) {
        self.set_small(ring, small);
        backend.forward(ring, &mut self.residues);
    }

    /// `self = -self`.
    pub fn negate(&mut self, ring: &Ring, backend: &dyn Backend) {
        backend.neg(ring, &mut self.residues);
    }

    /// `self *= fixed`.
    pub fn mul_fixed(&mut self, ring: &Ring, backend: &dyn Backend, fixed: &FixedPoly) {
        backend.mul_fixed(ring, &mut self.residues, fixed);
    }

    /// `self += x * fixed`.
    pub fn mul_fixed_add(&mut self, ring: &Ring, backend: &dyn Backend, x: &Self, fixed: &FixedPoly) {
        backend.mul_fixed_add(ring, &mut self.residues, &x.residues, fixed);
    }
}

/// A polynomial that multiplies many others: its values with Shoup's quotients, `[L][N]` each.
pub struct FixedPoly {
    values: Poly<Evaluations>,
    quotients: Vec<u32>,
}

impl FixedPoly {
    /// Prepares `values` for multiplication.
    #[must_use]
    pub fn new(ring: &Ring, values: Poly<Evaluations>) -> Self {
        let n = ring.degree();
        let mut quotients = vec![0; values.residues.len()];
        let limbs = values.residues.chunks_exact(n).zip(quotients.chunks_exact_mut(n));
        for (m, (w, k)) in ring.moduli().zip(limbs) {
            simd::shoup(m, w, k);
        }
        Self { values, quotients }
    }

    /// The polynomial.
    #[must_use]
    pub fn values(&self) -> &Poly<Evaluations> {
        &self.values
    }

    /// `floor(value * 2^32 / q_l)` of every value.
    #[must_use]
    pub fn quotients(&self) -> &[u32] {
        &self.quotients
    }
}

impl Zeroize for FixedPoly {
    fn zeroize(&mut self) {
        self.values.zeroize();
        self.quotients.zeroize();
    }
}
