//! How a plan's slots lie in ciphertexts, and the plan as bytes.
//!
//! Layout: first fit in order. A slot that fits in the bits left of the current coefficient goes there, else a
//! new coefficient starts; no slot straddles two. A slot of the full width `log2_t` is modular (it wraps) and
//! takes a whole coefficient; every other slot is a signed integer that cannot overflow and is narrower.

use sha2::{Digest as _, Sha256};

use super::error::QueryError;
use super::plan::Plan;

/// Largest serialized plan that is read, in bytes.
pub const PLAN_BYTES_MAX: usize = 8 << 20;

/// Separates the digest of a plan from every other digest.
const DIGEST_CONTEXT: &[u8] = b"ward/v1/plan\0";

impl Plan {
    /// The slots as runs of (bits per slot, number of slots), in order; neighbours differ in width.
    #[must_use]
    pub fn runs(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for block in self.blocks.iter().filter(|b| b.slots > 0) {
            match runs.last_mut() {
                Some((width, count)) if *width == block.width => *count = count.saturating_add(block.slots),
                _ => runs.push((block.width, block.slots)),
            }
        }
        runs
    }

    /// SHA-256 of the plan's canonical JSON, with domain separation. Two parties that made the plan from the
    /// same signed query, catalogue and protocol hold the same digest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let json = self.to_json();
        let mut hash = Sha256::new();
        hash.update(DIGEST_CONTEXT);
        hash.update((json.len() as u64).to_be_bytes());
        hash.update(json);
        hash.finalize().into()
    }

    /// Canonical JSON: fields in the order of their declaration, no white space.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a plan has text keys and no floats")
    }

    /// Reads [`Plan::to_json`].
    ///
    /// # Errors
    /// [`QueryError::NotAPlan`] for more than [`PLAN_BYTES_MAX`] bytes or anything that is not a plan. A plan
    /// that was read may still be anything: compare its digest with one made from the signed query.
    pub fn from_json(bytes: &[u8]) -> Result<Self, QueryError> {
        if bytes.len() > PLAN_BYTES_MAX {
            let message = format!("{} bytes exceed the limit of {PLAN_BYTES_MAX}", bytes.len());
            return Err(QueryError::NotAPlan { message });
        }
        serde_json::from_slice(bytes).map_err(|e| QueryError::NotAPlan { message: e.to_string() })
    }
}

/// Ciphertexts that runs of slots fill, at least one.
pub(crate) fn ciphertexts(runs: &[(u32, u32)], log2_t: u32, degree: u32) -> u64 {
    let (mut started, mut left) = (0u64, 0u32);
    for &(width, count) in runs.iter().filter(|(width, _)| *width > 0) {
        let here = (left / width).min(count);
        left -= here * width;
        let per_coefficient = (log2_t / width).max(1);
        let rest = count - here;
        if rest > 0 {
            started += u64::from(rest.div_ceil(per_coefficient));
            let last = (rest - 1) % per_coefficient + 1;
            left = log2_t.saturating_sub(last * width);
        }
    }
    started.div_ceil(u64::from(degree.max(1))).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule of the module's head, slot by slot.
    fn slot_by_slot(runs: &[(u32, u32)], log2_t: u32, degree: u32) -> u64 {
        let (mut coefficients, mut left) = (0u64, 0u32);
        for &(width, count) in runs {
            for _ in 0..count {
                if width > left {
                    coefficients += 1;
                    left = log2_t;
                }
                left -= width;
            }
        }
        coefficients.div_ceil(u64::from(degree)).max(1)
    }

    #[test]
    fn no_slots_take_one_ciphertext() {
        assert_eq!(ciphertexts(&[], 64, 4096), 1);
    }

    #[test]
    fn a_slot_never_straddles_coefficients() {
        assert_eq!(ciphertexts(&[(33, 2)], 64, 1), 2);
        assert_eq!(ciphertexts(&[(32, 2)], 64, 1), 1);
        assert_eq!(ciphertexts(&[(40, 1), (24, 1), (64, 2), (1, 1)], 64, 1), 4);
    }

    proptest! {
        #[test]
        fn runs_count_as_slots_do(
            runs in prop::collection::vec((1u32..=100, 0u32..40), 0..12), degree in 1u32..9
        ) {
            prop_assert_eq!(ciphertexts(&runs, 100, degree), slot_by_slot(&runs, 100, degree));
        }
    }
}
