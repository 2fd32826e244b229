//! Tables of the negacyclic number-theoretic transform.
//!
//! The transform evaluates a polynomial of `Z_q[X]/(X^N + 1)` at the odd powers of a primitive `2N`-th root `psi`:
//! output `i` is the value at `psi^(2 * bitrev(i) + 1)`. Pointwise products of outputs are negacyclic products.
//! Layers and lazy bounds after D. Harvey, "Faster arithmetic for number-theoretic transforms" (2014); merged
//! powers of `psi` in bit-reversed tables after Longa and Naehrig (2016).

use crate::kernel::NarrowRoots;
use crate::modulus::Modulus;

/// Tables of one limb: powers of the `2N`-th root in bit-reversed order with their Shoup quotients.
pub struct NttTable {
    pub(crate) modulus: Modulus,
    /// `[N]` pairs: `psi^bitrev(i)` and its quotient.
    roots: Vec<(u32, u32)>,
    /// `[N]` pairs: the inverses of `roots`.
    inverse_roots: Vec<(u32, u32)>,
    /// `[N/64]` blocks: roots of the three narrow layers, laid out by lane.
    pub(crate) narrow: Vec<NarrowRoots>,
    pub(crate) narrow_inverse: Vec<NarrowRoots>,
    /// `N^-1` and its quotient.
    pub(crate) degree_inverse: (u32, u32),
}

impl NttTable {
    /// Tables for degree `n`, a power of two in `64..=16384`, checked by [`crate::Ring::new`].
    pub(crate) fn new(modulus: Modulus, n: usize) -> Self {
        let psi = modulus.primitive_root(n);
        let psi_inverse = modulus.pow_vartime(psi, 2 * n as u64 - 1);
        let roots = bit_reversed_powers(&modulus, psi, n);
        let inverse_roots = bit_reversed_powers(&modulus, psi_inverse, n);
        let degree_inverse = modulus.pow_vartime(n as u32, u64::from(modulus.q) - 2);
        Self {
            narrow: narrow_layout(&roots),
            narrow_inverse: narrow_layout(&inverse_roots),
            roots,
            inverse_roots,
            degree_inverse: (degree_inverse, modulus.shoup(degree_inverse)),
            modulus,
        }
    }

    /// The prime of this table.
    #[must_use]
    pub fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// `psi^bitrev(i)` and its Shoup quotient, `i < N`: entry `m + g` is the twiddle of group `g` in the
    /// layer with `m` groups.
    #[must_use]
    #[inline(always)]
    pub fn root(&self, i: usize) -> (u32, u32) {
        self.roots[i]
    }

    /// The inverse of [`NttTable::root`].
    #[must_use]
    #[inline(always)]
    pub fn inverse_root(&self, i: usize) -> (u32, u32) {
        self.inverse_roots[i]
    }

    /// `N^-1 mod q` and its Shoup quotient, the factor that ends the inverse transform.
    #[must_use]
    pub fn degree_inverse(&self) -> (u32, u32) {
        self.degree_inverse
    }
}

fn bit_reversed_powers(m: &Modulus, base: u32, n: usize) -> Vec<(u32, u32)> {
    let mut table = vec![(0, 0); n];
    let shift = usize::BITS - n.ilog2();
    let mut power = 1;
    for i in 0..n {
        table[i.reverse_bits() >> shift] = (power, m.shoup(power));
        power = m.mul(power, base);
    }
    table
}

/// Roots of the layers with strides 4, 2 and 1 for blocks of eight rows of eight.
fn narrow_layout(roots: &[(u32, u32)]) -> Vec<NarrowRoots> {
    let n = roots.len();
    let at = |i: usize, row: usize| match i {
        0 => roots[n / 8 + row],
        1 | 2 => roots[n / 4 + 2 * row + (i - 1)],
        _ => roots[n / 2 + 4 * row + (i - 3)],
    };
    (0..n / 64)
        .map(|block| {
            core::array::from_fn(|i| {
                [
                    core::array::from_fn(|lane| at(i, 8 * block + lane).0),
                    core::array::from_fn(|lane| at(i, 8 * block + lane).1),
                ]
            })
        })
        .collect()
}
