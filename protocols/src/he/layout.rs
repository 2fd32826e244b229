//! Packing of signed slots into coefficients.
//!
//! Slot `i` has a width `W_i` in bits; the sum over all parties stays in `[-2^(W_i - 1), 2^(W_i - 1))`. Slots fill
//! coefficients from the low bits; a slot never straddles two. A coefficient is the integer `sum_i v_i 2^(offset_i)`
//! modulo `t`, so sums of coefficients are sums of slots, with borrows that unpacking takes back.
//! A slot as wide as the plaintext modulus is *modular*: it owns its coefficient and wraps modulo `t`.

use rand_core::{CryptoRng, Rng};
use ward_math::sampling::{child_seed, expand};
use zeroize::Zeroizing;

use super::params::Parameters;
use super::plaintext::Plaintext;
use crate::error::{Error, Result};

/// Widest ordinary slot: its values and carries fit an `i128`.
const WIDTH_MAX: u32 = 127;

/// Where every slot lies. Described by runs of equal width, so ten million slots take a few bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    params: Parameters,
    runs: Vec<(u32, usize)>,
    slots: usize,
    coefficients: usize,
}

/// What goes into a slot.
#[derive(Clone, Copy)]
pub enum SlotValue {
    /// An integer.
    Int(i128),
    /// A fresh uniform value modulo `t`, for modular slots: a sum with one of them is uniform.
    UniformModT,
}

impl Layout {
    /// The layout of slots of the given widths.
    ///
    /// # Errors
    /// [`Error::SlotWidth`] for a width that is neither in `2..=127` and below the plaintext modulus nor equal to
    /// it.
    pub fn new(params: &Parameters, widths: &[u32]) -> Result<Self> {
        let runs: Vec<(u32, usize)> = widths.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
        Self::runs(params, &runs)
    }

    /// The layout of runs of `(width, count)`.
    ///
    /// # Errors
    /// As [`Layout::new`].
    pub fn runs(params: &Parameters, runs: &[(u32, usize)]) -> Result<Self> {
        let modulus = params.log2_t();
        let (mut coefficients, mut used) = (0usize, modulus); // the coefficient before the first one is full
        let mut slots = 0usize;
        for &(width, count) in runs {
            if !((2..=WIDTH_MAX.min(modulus)).contains(&width) || width == modulus) {
                return Err(Error::SlotWidth { width, limit: WIDTH_MAX.min(modulus - 1), modulus });
            }
            slots = slots.saturating_add(count);
            let here = count.min(((modulus - used) / width) as usize);
            used += here as u32 * width;
            let (rest, each) = (count - here, (modulus / width) as usize);
            if rest > 0 {
                coefficients = coefficients.saturating_add(rest.div_ceil(each));
                used = ((rest - 1) % each + 1) as u32 * width;
            }
        }
        let runs = runs.iter().copied().filter(|&(_, count)| count > 0).collect();
        Ok(Self { params: params.clone(), runs, slots, coefficients })
    }

    /// The runs of `(width, count)`.
    #[must_use]
    pub fn as_runs(&self) -> &[(u32, usize)] {
        &self.runs
    }

    /// Number of ciphertexts.
    #[must_use]
    pub fn ciphertexts(&self) -> usize {
        self.coefficients.div_ceil(self.params.degree())
    }

    /// Number of slots.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Calls `f(slot, coefficient, offset, width)` for every slot in order.
    #[inline(always)]
    fn walk(&self, mut f: impl FnMut(usize, usize, u32, u32) -> Result<()>) -> Result<()> {
        let modulus = self.params.log2_t();
        let (mut slot, mut coefficient, mut offset) = (0, 0, 0);
        for &(width, count) in &self.runs {
            for _ in 0..count {
                if offset + width > modulus {
                    (coefficient, offset) = (coefficient + 1, 0);
                }
                f(slot, coefficient, offset, width)?;
                slot += 1;
                offset += width;
            }
        }
        Ok(())
    }

    fn check_count(&self, what: &'static str, found: usize, expected: usize) -> Result<()> {
        if found == expected { Ok(()) } else { Err(Error::Count { what, found, expected }) }
    }

    /// Packs one integer to a slot. In a modular slot it is reduced modulo `t`.
    ///
    /// # Errors
    /// [`Error::Count`] for another number of values than slots; [`Error::SlotRange`] for a value outside
    /// `(-2^(W-1), 2^(W-1))`.
    pub fn pack(&self, values: &[i128]) -> Result<Vec<Plaintext>> {
        self.check_count("slot values", values.len(), self.slots)?;
        self.pack_from(|slot| values[slot], |_, _| ())
    }

    /// Packs integers and uniform values, the latter from `rng`.
    ///
    /// # Errors
    /// As [`Layout::pack`]; [`Error::SlotRange`] for a uniform value in an ordinary slot.
    pub fn pack_with<R: CryptoRng + ?Sized>(
        &self,
        values: &[SlotValue],
        rng: &mut R,
    ) -> Result<Vec<Plaintext>> {
        self.check_count("slot values", values.len(), self.slots)?;
        let seed = child_seed(rng);
        let mut random = expand(&seed, 0);
        let out_of_range = i128::MIN; // in no ordinary slot
        self.pack_from(
            |slot| match values[slot] {
                SlotValue::Int(value) => value,
                SlotValue::UniformModT => out_of_range,
            },
            |slot, words| {
                if let SlotValue::UniformModT = values[slot] {
                    words.iter_mut().for_each(|w| *w = random.next_u64());
                }
            },
        )
    }

    /// Packs `value(slot)`, then lets `modular(slot, words)` change the coefficient of a modular slot.
    fn pack_from(
        &self,
        value: impl Fn(usize) -> i128,
        mut modular: impl FnMut(usize, &mut [u64]),
    ) -> Result<Vec<Plaintext>> {
        let (params, words) = (&self.params, self.params.words());
        let modulus = params.log2_t();
        let mut out = Zeroizing::new(vec![0u64; self.ciphertexts() * params.degree() * words]);
        self.walk(|slot, coefficient, offset, width| {
            let v = value(slot);
            let target = &mut out[coefficient * words..(coefficient + 1) * words];
            if width == modulus {
                add_shifted(target, v, 0);
                modular(slot, target);
                return Ok(());
            }
            if v.unsigned_abs() >> (width - 1) != 0 {
                return Err(Error::SlotRange { slot, width });
            }
            add_shifted(target, v, offset);
            Ok(())
        })?;
        let size = params.degree() * words;
        Ok(out.chunks_exact(size).map(|part| Plaintext::from_words(params, part.to_vec())).collect())
    }

    /// The slots of (sums of) packed plaintexts. A modular slot gives its value modulo `t`, centred, where that has
    /// at most 127 bits, and otherwise 0 for zero and 1 for anything else.
    ///
    /// # Errors
    /// [`Error::Count`] for another number of plaintexts than [`Layout::ciphertexts`].
    pub fn unpack(&self, plaintexts: &[Plaintext]) -> Result<Vec<i128>> {
        self.check_count("plaintexts", plaintexts.len(), self.ciphertexts())?;
        let (degree, words) = (self.params.degree(), self.params.words());
        let modulus = self.params.log2_t();
        let mut out = Vec::with_capacity(self.slots);
        let mut carry = 0u128;
        self.walk(|_, coefficient, offset, width| {
            let at = coefficient % degree * words;
            let source = &plaintexts[coefficient / degree].words[at..at + words];
            if width == modulus && modulus > WIDTH_MAX {
                out.push(i128::from(source.iter().any(|&w| w != 0)));
                return Ok(());
            }
            carry = if offset == 0 { 0 } else { carry };
            let total = field(source, offset, width) + carry;
            let unused = 128 - width;
            let value = ((total << unused) as i128) >> unused;
            carry = total.wrapping_sub(value as u128) >> width;
            out.push(value);
            Ok(())
        })?;
        Ok(out)
    }
}

/// `target += v * 2^offset` modulo the size of `target`; `v` is sign-extended.
#[inline(always)]
fn add_shifted(target: &mut [u64], v: i128, offset: u32) {
    if let [low, high] = target {
        let sum = (u128::from(*high) << 64 | u128::from(*low)).wrapping_add((v as u128) << offset);
        (*low, *high) = (sum as u64, (sum >> 64) as u64);
        return;
    }
    let (word, shift) = (offset as usize / 64, offset % 64);
    let low = (v as u128) << shift;
    let high = if shift == 0 { v >> 127 } else { v >> (128 - shift) };
    let parts = [low as u64, (low >> 64) as u64, high as u64];
    let sign = (v >> 127) as u64;
    let mut carry = 0u128;
    for (i, t) in target[word..].iter_mut().enumerate() {
        let sum = u128::from(*t) + u128::from(parts.get(i).copied().unwrap_or(sign)) + carry;
        *t = sum as u64;
        carry = sum >> 64;
    }
}

/// Bits `offset .. offset + width` of `words`, `width <= 127`.
#[inline(always)]
fn field(words: &[u64], offset: u32, width: u32) -> u128 {
    let (word, shift) = (offset as usize / 64, offset % 64);
    let at = |i: usize| u128::from(words.get(word + i).copied().unwrap_or(0));
    let low = (at(0) | at(1) << 64) >> shift;
    let high = if shift == 0 { 0 } else { at(2) << (128 - shift) };
    (low | high) & ((1 << width) - 1)
}
