//! Plaintexts and their scaling to `Q`.
//!
//! Source: Fan, Vercauteren (2012/144), with round(Q m / t) in place of floor(Q / t) m after Kim, Polyakov, Zucca (2021/204).

use zeroize::{Zeroize, Zeroizing};

use super::params::{Encoding, Parameters, mask_top};

/// `N` coefficients modulo `t = 2^log2_t`: `[N][W]` little-endian 64-bit words, `W = ceil(log2_t / 64)`. Wiped on
/// drop.
pub struct Plaintext {
    pub(crate) words: Zeroizing<Vec<u64>>,
}

impl Plaintext {
    /// The plaintext of zeros.
    #[must_use]
    pub fn zero(params: &Parameters) -> Self {
        Self { words: Zeroizing::new(vec![0; params.degree() * params.words()]) }
    }

    /// A plaintext from `[N][W]` words; bits from `log2_t` on are dropped, missing words are zero.
    #[must_use]
    pub fn from_words(params: &Parameters, mut words: Vec<u64>) -> Self {
        words.resize(params.degree() * params.words(), 0);
        for coefficient in words.chunks_exact_mut(params.words()) {
            mask_top(coefficient, params.log2_t());
        }
        Self { words: Zeroizing::new(words) }
    }

    /// The words `[N][W]`.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

/// `(Q m + t/2) mod t` of every coefficient, as planes of 27-bit digits `[D][N]`; [`Encoding::map`] takes it to
/// `round(Q m / t)` in every limb.
///
/// `round(Q m / t) = (Q m - r) / t` with `r` the centred remainder, so modulo `q_l` it is `-r / t`; with
/// `r' = (Q m + t/2) mod t = r + t/2` it is `-r' / t + 1/2`. Multiplying by `floor(Q / t)` instead is off by up to
/// `t` for each ciphertext, which breaks sums at large `t`.
pub(crate) fn scaled_digits(params: &Parameters, plaintext: &Plaintext, planes: &mut [u32]) {
    let encoding = params.encoding();
    match params.words() {
        1 => scale::<1>(params, encoding, &plaintext.words, planes),
        2 => scale::<2>(params, encoding, &plaintext.words, planes),
        3 => scale::<3>(params, encoding, &plaintext.words, planes),
        4 => scale::<4>(params, encoding, &plaintext.words, planes),
        5 => scale::<5>(params, encoding, &plaintext.words, planes),
        _ => scale::<6>(params, encoding, &plaintext.words, planes),
    }
}

fn scale<const W: usize>(params: &Parameters, encoding: &Encoding, words: &[u64], planes: &mut [u32]) {
    const MASK: u64 = (1 << 27) - 1;
    let n = params.degree();
    let load = |words: &[u64]| core::array::from_fn::<u64, W, _>(|i| words.get(i).copied().unwrap_or(0));
    let (q, half) = (load(&encoding.q_mod_t), load(&encoding.half_t));
    for (k, m) in words.as_chunks::<W>().0.iter().enumerate() {
        let mut r = multiply_add(m, &q, &half);
        mask_top(&mut r, params.log2_t());
        for (j, plane) in planes.chunks_exact_mut(n).enumerate() {
            let (word, shift) = (27 * j / 64, 27 * j % 64);
            let low = r[word] >> shift;
            let high = if shift > 37 && word + 1 < W { r[word + 1] << (64 - shift) } else { 0 };
            plane[k] = ((low | high) & MASK) as u32;
        }
        r.zeroize();
    }
}

/// `a * b + c mod 2^(64 W)`.
#[inline(always)]
fn multiply_add<const W: usize>(a: &[u64; W], b: &[u64; W], c: &[u64; W]) -> [u64; W] {
    let mut out = *c;
    for i in 0..W {
        let mut carry = 0u128;
        for j in 0..W - i {
            let sum = u128::from(a[i]) * u128::from(b[j]) + u128::from(out[i + j]) + carry;
            out[i + j] = sum as u64;
            carry = sum >> 64;
        }
    }
    out
}
