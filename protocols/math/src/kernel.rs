//! Bodies of the vector kernels, written once over [`Lanes`].
//!
//! Every body is `inline(always)`: [`crate::simd`] instantiates it for the baseline, AVX2 and AVX-512, and picks
//! one at run time. Bounds of lazy values are stated at each function; `q < 2^27`, so `32q < 2^32`.

use crate::modulus::Modulus;
use crate::ntt::NttTable;

/// Eight `u32` lanes.
///
/// `Proof` shows that the CPU has the instructions an implementation uses; only detection makes one.
pub(crate) trait Lanes: Copy {
    /// Evidence that the instructions exist.
    type Proof: Copy;
    fn load(proof: Self::Proof, source: &[u32; 8]) -> Self;
    fn store(self, target: &mut [u32; 8]);
    fn splat(proof: Self::Proof, value: u32) -> Self;
    /// Wrapping sum.
    fn add(self, other: Self) -> Self;
    /// Wrapping difference.
    fn sub(self, other: Self) -> Self;
    /// Unsigned minimum.
    fn min(self, other: Self) -> Self;
    /// Low half of the product.
    fn mul_lo(self, other: Self) -> Self;
    /// High half of the product.
    fn mul_hi(self, other: Self) -> Self;
    /// Rows become columns.
    fn transpose(rows: [Self; 8]) -> [Self; 8];
}

/// Portable lanes; the compiler turns them into whatever the target has.
#[derive(Clone, Copy)]
pub(crate) struct Portable([u32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(u32, u32) -> u32) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Portable {
    type Proof = ();
    #[inline(always)]
    fn load((): (), source: &[u32; 8]) -> Self {
        Self(*source)
    }
    #[inline(always)]
    fn store(self, target: &mut [u32; 8]) {
        *target = self.0;
    }
    #[inline(always)]
    fn splat((): (), value: u32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_add)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_sub)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, Ord::min)
    }
    #[inline(always)]
    fn mul_lo(self, other: Self) -> Self {
        self.zip(other, u32::wrapping_mul)
    }
    #[inline(always)]
    fn mul_hi(self, other: Self) -> Self {
        self.zip(other, |a, b| ((u64::from(a) * u64::from(b)) >> 32) as u32)
    }
    #[inline(always)]
    fn transpose(rows: [Self; 8]) -> [Self; 8] {
        core::array::from_fn(|c| Self(core::array::from_fn(|r| rows[r].0[c])))
    }
}

/// A prime and its constants in every lane.
#[derive(Clone, Copy)]
pub(crate) struct Prime<V> {
    q: V,
    two_q: V,
    barrett: V,
}

impl<V: Lanes> Prime<V> {
    #[inline(always)]
    pub(crate) fn new(proof: V::Proof, m: &Modulus) -> Self {
        Self { q: V::splat(proof, m.q), two_q: V::splat(proof, 2 * m.q), barrett: V::splat(proof, m.barrett) }
    }
    /// Any `x` to `[0, q)`.
    #[inline(always)]
    fn reduce(self, x: V) -> V {
        self.once(x.sub(x.mul_hi(self.barrett).mul_lo(self.q)))
    }
    /// `[0, 2q)` to `[0, q)`.
    #[inline(always)]
    fn once(self, x: V) -> V {
        x.min(x.sub(self.q))
    }
    /// `x * w` in `[0, 2q)`, any `x`.
    #[inline(always)]
    fn mul_shoup(self, x: V, (w, quotient): (V, V)) -> V {
        x.mul_lo(w).sub(x.mul_hi(quotient).mul_lo(self.q))
    }
    /// Cooley-Tukey: both outputs are at most `2q` above the larger of `x` and 0.
    #[inline(always)]
    fn forward(self, x: V, y: V, w: (V, V)) -> (V, V) {
        let t = self.mul_shoup(y, w);
        (x.add(t), x.add(self.two_q.sub(t)))
    }
    /// Gentleman-Sande: inputs and outputs in `[0, 2q)`.
    #[inline(always)]
    fn inverse(self, x: V, y: V, w: (V, V)) -> (V, V) {
        let s = x.add(y);
        (s.min(s.sub(self.two_q)), self.mul_shoup(x.add(self.two_q.sub(y)), w))
    }
}

#[inline(always)]
fn twiddle<V: Lanes>(proof: V::Proof, (w, quotient): (u32, u32)) -> (V, V) {
    (V::splat(proof, w), V::splat(proof, quotient))
}

/// Four equal parts of a slice whose length is a multiple of 32, each as groups of eight.
#[inline(always)]
fn quarters(data: &mut [u32]) -> [&mut [[u32; 8]]; 4] {
    let (groups, _) = data.as_chunks_mut::<8>();
    let quarter = groups.len() / 4;
    let (ab, cd) = groups.split_at_mut(2 * quarter);
    let (a, b) = ab.split_at_mut(quarter);
    let (c, d) = cd.split_at_mut(quarter);
    [a, b, c, d]
}

/// Forward negacyclic NTT of one limb, input in `[0, 2q)`, output in `[0, q)` in bit-reversed order.
///
/// Harvey's lazy butterflies without the reduction of `x`: a layer adds at most `2q`, and 14 layers from `2q`
/// end at `30q < 2^32`. Two layers are done at a time in registers; the last three, whose strides are below the
/// vector width, on transposed blocks of 64.
#[inline(always)]
pub(crate) fn ntt_forward<V: Lanes>(proof: V::Proof, table: &NttTable, data: &mut [u32]) {
    let p = Prime::<V>::new(proof, &table.modulus);
    let n = data.len();
    let mut groups = 1;
    if n.ilog2().is_multiple_of(2) {
        // An odd number of wide layers: one alone.
        let w = twiddle::<V>(proof, table.root(1));
        let (xs, ys) = data.split_at_mut(n / 2);
        for (x, y) in xs.as_chunks_mut::<8>().0.iter_mut().zip(ys.as_chunks_mut::<8>().0) {
            let (u, v) = p.forward(V::load(proof, x), V::load(proof, y), w);
            u.store(x);
            v.store(y);
        }
        groups = 2;
    }
    while n / groups > 8 {
        for (i, chunk) in data.chunks_exact_mut(n / groups).enumerate() {
            let w1 = twiddle::<V>(proof, table.root(groups + i));
            let w2 = twiddle::<V>(proof, table.root(2 * (groups + i)));
            let w3 = twiddle::<V>(proof, table.root(2 * (groups + i) + 1));
            let [a, b, c, d] = quarters(chunk);
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let (xa, xc) = p.forward(V::load(proof, a), V::load(proof, c), w1);
                let (xb, xd) = p.forward(V::load(proof, b), V::load(proof, d), w1);
                let (xa, xb) = p.forward(xa, xb, w2);
                let (xc, xd) = p.forward(xc, xd, w3);
                xa.store(a);
                xb.store(b);
                xc.store(c);
                xd.store(d);
            }
        }
        groups *= 4;
    }
    let (blocks, _) = data.as_chunks_mut::<64>();
    for (block, roots) in blocks.iter_mut().zip(&table.narrow) {
        forward_narrow(proof, p, roots, block);
    }
}

/// Twiddles of the three narrow layers for one block of 64: `[7][w, quotient][8 rows]`.
pub(crate) type NarrowRoots = [[[u32; 8]; 2]; 7];

#[inline(always)]
fn forward_narrow<V: Lanes>(proof: V::Proof, p: Prime<V>, roots: &NarrowRoots, block: &mut [u32; 64]) {
    let w = |i: usize| (V::load(proof, &roots[i][0]), V::load(proof, &roots[i][1]));
    let (rows, _) = block.as_chunks_mut::<8>();
    let [a, b, c, d, e, f, g, h] = V::transpose(core::array::from_fn(|r| V::load(proof, &rows[r])));
    let ((a, e), (b, f)) = (p.forward(a, e, w(0)), p.forward(b, f, w(0)));
    let ((c, g), (d, h)) = (p.forward(c, g, w(0)), p.forward(d, h, w(0)));
    let ((a, c), (b, d)) = (p.forward(a, c, w(1)), p.forward(b, d, w(1)));
    let ((e, g), (f, h)) = (p.forward(e, g, w(2)), p.forward(f, h, w(2)));
    let ((a, b), (c, d)) = (p.forward(a, b, w(3)), p.forward(c, d, w(4)));
    let ((e, f), (g, h)) = (p.forward(e, f, w(5)), p.forward(g, h, w(6)));
    let ((a, b), (c, d)) = ((p.reduce(a), p.reduce(b)), (p.reduce(c), p.reduce(d)));
    let ((e, f), (g, h)) = ((p.reduce(e), p.reduce(f)), (p.reduce(g), p.reduce(h)));
    let out = V::transpose([a, b, c, d, e, f, g, h]);
    for (x, row) in out.into_iter().zip(rows) {
        x.store(row);
    }
}

/// Inverse negacyclic NTT of one limb, input and output in `[0, q)`, input in bit-reversed order.
#[inline(always)]
pub(crate) fn ntt_inverse<V: Lanes>(proof: V::Proof, table: &NttTable, data: &mut [u32]) {
    let p = Prime::<V>::new(proof, &table.modulus);
    let n = data.len();
    let (blocks, _) = data.as_chunks_mut::<64>();
    for (block, roots) in blocks.iter_mut().zip(&table.narrow_inverse) {
        inverse_narrow(proof, p, roots, block);
    }
    let mut groups = n / 8;
    while groups >= 4 {
        groups /= 4;
        for (i, chunk) in data.chunks_exact_mut(n / groups).enumerate() {
            let w1 = twiddle::<V>(proof, table.inverse_root(groups + i));
            let w2 = twiddle::<V>(proof, table.inverse_root(2 * (groups + i)));
            let w3 = twiddle::<V>(proof, table.inverse_root(2 * (groups + i) + 1));
            let [a, b, c, d] = quarters(chunk);
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let (xa, xb) = p.inverse(V::load(proof, a), V::load(proof, b), w2);
                let (xc, xd) = p.inverse(V::load(proof, c), V::load(proof, d), w3);
                let (xa, xc) = p.inverse(xa, xc, w1);
                let (xb, xd) = p.inverse(xb, xd, w1);
                xa.store(a);
                xb.store(b);
                xc.store(c);
                xd.store(d);
            }
        }
    }
    if groups == 2 {
        let w = twiddle::<V>(proof, table.inverse_root(1));
        let (xs, ys) = data.split_at_mut(n / 2);
        for (x, y) in xs.as_chunks_mut::<8>().0.iter_mut().zip(ys.as_chunks_mut::<8>().0) {
            let (u, v) = p.inverse(V::load(proof, x), V::load(proof, y), w);
            u.store(x);
            v.store(y);
        }
    }
    let scale = twiddle::<V>(proof, table.degree_inverse);
    for x in data.as_chunks_mut::<8>().0 {
        p.once(p.mul_shoup(V::load(proof, x), scale)).store(x);
    }
}

#[inline(always)]
fn inverse_narrow<V: Lanes>(proof: V::Proof, p: Prime<V>, roots: &NarrowRoots, block: &mut [u32; 64]) {
    let w = |i: usize| (V::load(proof, &roots[i][0]), V::load(proof, &roots[i][1]));
    let (rows, _) = block.as_chunks_mut::<8>();
    let [a, b, c, d, e, f, g, h] = V::transpose(core::array::from_fn(|r| V::load(proof, &rows[r])));
    let ((a, b), (c, d)) = (p.inverse(a, b, w(3)), p.inverse(c, d, w(4)));
    let ((e, f), (g, h)) = (p.inverse(e, f, w(5)), p.inverse(g, h, w(6)));
    let ((a, c), (b, d)) = (p.inverse(a, c, w(1)), p.inverse(b, d, w(1)));
    let ((e, g), (f, h)) = (p.inverse(e, g, w(2)), p.inverse(f, h, w(2)));
    let ((a, e), (b, f)) = (p.inverse(a, e, w(0)), p.inverse(b, f, w(0)));
    let ((c, g), (d, h)) = (p.inverse(c, g, w(0)), p.inverse(d, h, w(0)));
    let out = V::transpose([a, b, c, d, e, f, g, h]);
    for (x, row) in out.into_iter().zip(rows) {
        x.store(row);
    }
}

/// `acc += x * w mod q`; `acc < q`, any `x`, `(w, quotient)` a fixed operand.
#[inline(always)]
pub(crate) fn mul_fixed_add<V: Lanes>(
    proof: V::Proof,
    m: &Modulus,
    acc: &mut [u32],
    x: &[u32],
    fixed: (&[u32], &[u32]),
) {
    let p = Prime::<V>::new(proof, m);
    let xs = x.as_chunks::<8>().0;
    let (ws, quotients) = (fixed.0.as_chunks::<8>().0, fixed.1.as_chunks::<8>().0);
    for (((a, x), w), k) in acc.as_chunks_mut::<8>().0.iter_mut().zip(xs).zip(ws).zip(quotients) {
        let product = p.mul_shoup(V::load(proof, x), (V::load(proof, w), V::load(proof, k)));
        p.once(p.once(product).add(V::load(proof, a))).store(a);
    }
}

/// `x *= w mod q` with a fixed operand.
#[inline(always)]
pub(crate) fn mul_fixed<V: Lanes>(proof: V::Proof, m: &Modulus, x: &mut [u32], fixed: (&[u32], &[u32])) {
    let p = Prime::<V>::new(proof, m);
    let (ws, quotients) = (fixed.0.as_chunks::<8>().0, fixed.1.as_chunks::<8>().0);
    for ((x, w), k) in x.as_chunks_mut::<8>().0.iter_mut().zip(ws).zip(quotients) {
        p.once(p.mul_shoup(V::load(proof, x), (V::load(proof, w), V::load(proof, k)))).store(x);
    }
}

/// `x *= w mod q` with one scalar.
#[inline(always)]
pub(crate) fn mul_scalar<V: Lanes>(proof: V::Proof, m: &Modulus, x: &mut [u32], w: (u32, u32)) {
    let p = Prime::<V>::new(proof, m);
    let w = twiddle::<V>(proof, w);
    for x in x.as_chunks_mut::<8>().0 {
        p.once(p.mul_shoup(V::load(proof, x), w)).store(x);
    }
}

/// `acc += x mod q`, both `< q`.
#[inline(always)]
pub(crate) fn add(m: &Modulus, acc: &mut [u32], x: &[u32]) {
    for (a, &x) in acc.iter_mut().zip(x) {
        *a = m.add(*a, x);
    }
}

/// `acc -= x mod q`, both `< q`.
#[inline(always)]
pub(crate) fn sub(m: &Modulus, acc: &mut [u32], x: &[u32]) {
    for (a, &x) in acc.iter_mut().zip(x) {
        *a = m.sub(*a, x);
    }
}

/// `x = -x mod q`.
#[inline(always)]
pub(crate) fn neg(m: &Modulus, x: &mut [u32]) {
    for x in x {
        *x = m.neg(*x);
    }
}

/// `acc *= x mod q`, both `< q`.
#[inline(always)]
pub(crate) fn mul(m: &Modulus, acc: &mut [u32], x: &[u32]) {
    for (a, &x) in acc.iter_mut().zip(x) {
        *a = m.mul(*a, x);
    }
}

/// Any values to `[0, q)`.
#[inline(always)]
pub(crate) fn reduce(m: &Modulus, x: &mut [u32]) {
    for x in x {
        *x = m.reduce(*x);
    }
}

/// Shoup quotients of `w < q`.
#[inline(always)]
pub(crate) fn shoup(m: &Modulus, w: &[u32], quotients: &mut [u32]) {
    for (k, &w) in quotients.iter_mut().zip(w) {
        *k = m.shoup(w);
    }
}

/// `acc += x` without reduction.
#[inline(always)]
pub(crate) fn add_lazy(acc: &mut [u32], x: &[u32]) {
    for (a, &x) in acc.iter_mut().zip(x) {
        *a = a.wrapping_add(x);
    }
}

/// `acc += x0 + x1 + x2 + x3` without reduction.
#[inline(always)]
pub(crate) fn add_lazy4(acc: &mut [u32], x: [&[u32]; 4]) {
    let [x0, x1, x2, x3] = x;
    for ((((a, &x0), &x1), &x2), &x3) in acc.iter_mut().zip(x0).zip(x1).zip(x2).zip(x3) {
        *a = a.wrapping_add(x0.wrapping_add(x1)).wrapping_add(x2.wrapping_add(x3));
    }
}

/// `acc += s mod q` for small signed `s`, `|s| < q`; `acc < q`.
#[inline(always)]
pub(crate) fn add_small(m: &Modulus, acc: &mut [u32], s: &[i8]) {
    for (a, &s) in acc.iter_mut().zip(s) {
        let s = i32::from(s);
        *a = m.add(*a, (s + (m.q as i32 & (s >> 31))) as u32);
    }
}

/// Small signed values to residues.
#[inline(always)]
pub(crate) fn set_small(m: &Modulus, out: &mut [u32], s: &[i8]) {
    for (o, &s) in out.iter_mut().zip(s) {
        let s = i32::from(s);
        *o = (s + (m.q as i32 & (s >> 31))) as u32;
    }
}

/// `acc += sum_j planes[j] * constants[j] * 2^-32 + offset mod q`; `acc < q`, planes of 27-bit digits, at most
/// 32 of them, `constants, offset < q`.
#[inline(always)]
pub(crate) fn digits_add(m: &Modulus, acc: &mut [u32], planes: &[u32], constants: (&[u32], u32)) {
    const BLOCK: usize = 16; // 64-bit sums of a block stay in registers
    let n = acc.len();
    let (constants, offset) = constants;
    for (b, acc) in acc.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
        let mut wide = [0u64; BLOCK];
        for (plane, &c) in planes.chunks_exact(n).zip(constants) {
            let Some(block) = plane.as_chunks::<BLOCK>().0.get(b) else { continue };
            for (w, &d) in wide.iter_mut().zip(block) {
                *w += u64::from(d) * u64::from(c);
            }
        }
        for (a, &w) in acc.iter_mut().zip(&wide) {
            *a = m.reduce(m.redc_lazy(w).wrapping_add(*a).wrapping_add(offset));
        }
    }
}

/// Bits of one half of a centred binomial sample.
pub(crate) const BINOMIAL_ETA: u32 = 21;
/// Bytes one centred binomial sample takes from the generator; the last sample reads two more.
pub(crate) const BINOMIAL_BYTES: usize = 6;

/// Centred binomial samples, constant time: the number of ones among 21 bits less that among 21 others.
/// `bytes.len() >= 6 * out.len() + 2`.
#[inline(always)]
pub(crate) fn binomial(bytes: &[u8], out: &mut [i8]) {
    const MASK: u64 = (1 << BINOMIAL_ETA) - 1;
    for (o, window) in out.iter_mut().zip(bytes.windows(8).step_by(BINOMIAL_BYTES)) {
        let mut word = [0u8; 8];
        word.copy_from_slice(window);
        let x = u64::from_le_bytes(word);
        let (ones, others) = ((x & MASK).count_ones(), ((x >> BINOMIAL_ETA) & MASK).count_ones());
        *o = ones as i8 - others as i8;
    }
}
