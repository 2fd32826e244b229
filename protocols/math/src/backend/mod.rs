//! The operations a CPU or a GPU offers.
//!
//! A batch is `[count][L][N]` residues, polynomial after polynomial, limb after limb. Inputs are reduced and so are
//! outputs: every backend returns the same bits. [`ReferenceBackend`] defines them, in the plainest code there
//! is; [`check_backend`] proves another backend equal to it operation by operation.

mod cpu;
mod reference;
mod suite;

pub use cpu::CpuBackend;
pub use reference::ReferenceBackend;
pub use suite::check_backend;

use crate::digits::DigitMap;
use crate::poly::FixedPoly;
use crate::ring::Ring;

/// Batched operations on polynomials.
///
/// Lengths are whole numbers of polynomials; a backend ignores what is left over.
pub trait Backend: Send + Sync {
    /// A short name for plans and logs.
    fn name(&self) -> &'static str;
    /// Coefficients to values, in the order of [`crate::ntt`].
    fn forward(&self, ring: &Ring, batch: &mut [u32]);
    /// Values to coefficients.
    fn inverse(&self, ring: &Ring, batch: &mut [u32]);
    /// `acc += x`.
    fn add(&self, ring: &Ring, acc: &mut [u32], x: &[u32]);
    /// `acc -= x`.
    fn sub(&self, ring: &Ring, acc: &mut [u32], x: &[u32]);
    /// `x = -x`.
    fn neg(&self, ring: &Ring, x: &mut [u32]);
    /// `acc *= x`, residue by residue.
    fn mul(&self, ring: &Ring, acc: &mut [u32], x: &[u32]);
    /// `x *= fixed` for every polynomial of the batch.
    fn mul_fixed(&self, ring: &Ring, x: &mut [u32], fixed: &FixedPoly);
    /// `acc += x * fixed` for every polynomial of the batch.
    fn mul_fixed_add(&self, ring: &Ring, acc: &mut [u32], x: &[u32], fixed: &FixedPoly);
    /// `acc += inputs[0] + inputs[1] + ...`, lazily: `acc` holds sums of at most `pending` reduced residues, which
    /// is at most 32, and holds sums of at most the returned number afterwards. Lanes are reduced where they could
    /// overflow, so only [`Backend::reduce`] makes the bits of `acc` comparable.
    fn accumulate(&self, ring: &Ring, acc: &mut [u32], pending: usize, inputs: &[&[u32]]) -> usize;
    /// Any 32-bit values to residues.
    fn reduce(&self, ring: &Ring, x: &mut [u32]);
    /// `out = inputs[0] + inputs[1] + ...`, batches of equal length.
    fn sum(&self, ring: &Ring, out: &mut [u32], inputs: &[&[u32]]) {
        out.fill(0);
        self.accumulate(ring, out, 0, inputs);
        self.reduce(ring, out);
    }
    /// `acc += map(integers)`, with `planes: [count][D][N]` digits of `count * N` integers.
    fn digits_add(&self, ring: &Ring, acc: &mut [u32], planes: &[u32], map: &DigitMap);
}
