//! Decryption by the receiver.
//!
//! Source: Fan, Vercauteren, "Somewhat practical fully homomorphic encryption" (2012/144), FV.SH.Decrypt; the fixed point in RNS
//! after Halevi, Polyakov, Shoup (2018/117), section 2.

use rayon::prelude::*;
use ward_math::{CpuBackend, Poly, Secret};
use zeroize::Zeroizing;

use super::ciphertext::Ciphertext;
use super::keys::ReceiverSecret;
use super::params::{Parameters, mask_top};
use super::plaintext::Plaintext;
use crate::error::{Error, Result};

/// Decrypts switched ciphertexts: `m = round(t x / Q) mod t` with `x = c0 + c1 s`.
///
/// Exact: `x / Q = sum_l y_l / q_l mod 1` with `y_l = x_l (Q / q_l)^-1 mod q_l`, in fixed point with at least 64 bits
/// below the point of `t x / Q`, whose error is below 2^-33.
///
/// # Errors
/// [`Error::Undecryptable`] with the index of a ciphertext whose noise exceeds what the parameters account for. A
/// missing or wrong share, or another key, is found this way except with probability `2^-N`; a party that
/// shifts the result by a chosen amount is not.
pub fn decrypt(
    params: &Parameters,
    receiver: &ReceiverSecret,
    ciphertexts: &[Ciphertext],
) -> Result<Vec<Plaintext>> {
    ciphertexts
        .par_iter()
        .enumerate()
        .map(|(index, c)| decrypt_one(params, receiver, c).ok_or(Error::Undecryptable(index)))
        .collect()
}

fn decrypt_one(params: &Parameters, receiver: &ReceiverSecret, c: &Ciphertext) -> Option<Plaintext> {
    let (ring, cpu) = (params.ring(), &CpuBackend::SERIAL);
    // x = c0 + c1 s
    let mut x = c.c0.0.clone();
    x.mul_fixed_add(ring, cpu, &c.c1.0, receiver.s.expose());
    // y_l = x_l (Q / q_l)^-1
    let mut y = Secret::new(x.into_coefficients(ring, cpu));
    y.expose_mut().mul_scalars(ring, &params.decoding().cofactor_inverses);
    round(params, y.expose())
}

/// `round(t * sum_l y_l / q_l) mod t`, or `None` where a coefficient is not near an integer.
pub(super) fn round(params: &Parameters, y: &Poly<ward_math::Coefficients>) -> Option<Plaintext> {
    let (n, log2_t) = (params.degree(), params.log2_t());
    let fractions = &params.decoding().fractions;
    let words = fractions[0].len();
    let below = 64 * words - log2_t as usize; // bits below the point, at least 64
    let mut out = Vec::with_capacity(n * params.words());
    let mut acc = Zeroizing::new(vec![0u64; words]);
    let mut excess = 0u64;
    for k in 0..n {
        acc.fill(0);
        for (limb, fraction) in y.residues().chunks_exact(n).zip(fractions) {
            let mut carry = 0u128;
            for (a, f) in acc.iter_mut().zip(fraction) {
                let sum = u128::from(limb[k]) * u128::from(*f) + u128::from(*a) + carry;
                *a = sum as u64;
                carry = sum >> 64;
            }
        }
        // Add one half; the 64 bits below the point then say how far the sum was from an integer.
        add_bit(&mut acc, below - 1);
        let residue = bits_at(&acc, below - 64);
        excess |= u64::from(residue.abs_diff(1 << 63) > NOISE_LIMIT);
        let at = out.len();
        out.extend((0..params.words()).map(|i| bits_at(&acc, below + 64 * i)));
        mask_top(&mut out[at..], log2_t);
    }
    let plaintext = Plaintext::from_words(params, out);
    (excess == 0).then_some(plaintext)
}

/// The bound leaves `t x / Q` within 1/4 of an integer; the slack covers the fixed point.
const NOISE_LIMIT: u64 = (1 << 62) + (1 << 32);

/// Adds `2^bit`, wrapping at the top.
fn add_bit(words: &mut [u64], bit: usize) {
    let mut addend = 1u64 << (bit % 64);
    for word in &mut words[bit / 64..] {
        let (sum, carry) = word.overflowing_add(addend);
        *word = sum;
        addend = u64::from(carry);
    }
}

/// 64 bits from `bit` on, zeros past the end.
fn bits_at(words: &[u64], bit: usize) -> u64 {
    let at = |i: usize| words.get(i).copied().unwrap_or(0);
    let (word, shift) = (bit / 64, bit % 64);
    if shift == 0 { at(word) } else { (at(word) >> shift) | (at(word + 1) << (64 - shift)) }
}
