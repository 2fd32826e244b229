//! Errors of the protocols.

/// What went wrong in a protocol. No variant carries a secret value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The arithmetic layer refused its input; mostly bytes that do not decode.
    #[error(transparent)]
    Math(#[from] ward_math::Error),
    /// The number of parties is not in `1..=128`.
    #[error("{0} parties, expected 1 to 128")]
    Parties(u32),
    /// The statistical security parameter is not in `40..=96`.
    #[error("smudging of {0} bits, expected 40 to 96")]
    Lambda(u32),
    /// The profile has no room for a plaintext modulus of the size asked for.
    #[error(
        "profile {profile} has room for {available} plaintext bits with these parties, {needed} are needed"
    )]
    PlaintextSpace {
        /// Name of the profile.
        profile: &'static str,
        /// Bits needed.
        needed: u32,
        /// Bits available.
        available: u32,
    },
    /// A profile name that does not exist.
    #[error("unknown profile")]
    UnknownProfile,
    /// An encoded object is of another kind, version, profile or parameter set than expected.
    #[error("encoded object has another {0} than expected")]
    Header(&'static str),
    /// Another number of items than expected.
    #[error("{found} {what}, expected {expected}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// The number found.
        found: usize,
        /// The number expected.
        expected: usize,
    },
    /// More ciphertexts added than the noise bound allows for.
    #[error("sum of {terms} ciphertexts, the parameters allow {limit}")]
    TooManyTerms {
        /// The number of terms.
        terms: usize,
        /// The largest number.
        limit: usize,
    },
    /// The threshold is not in `1..=n`, or `n` exceeds the parties of the parameters.
    #[error("threshold {threshold} of {parties} is not possible")]
    Threshold {
        /// Shares needed.
        threshold: u32,
        /// Shares dealt.
        parties: u32,
    },
    /// A set of party indices has a repeated, unknown or missing member, or is smaller than the threshold.
    #[error("active set is not a set of at least {threshold} of {parties} parties that contains this one")]
    ActiveSet {
        /// Shares needed.
        threshold: u32,
        /// Shares dealt.
        parties: u32,
    },
    /// Shares of different dealings, recipients or thresholds were mixed.
    #[error("key shares of different dealings were mixed")]
    MixedShares,
    /// A commitment does not open to the value shown.
    #[error("commitment of party {0} does not open to its value")]
    Commitment(String),
    /// A slot width is not in `2..=127` and is not the plaintext modulus.
    #[error("slot width {width} bits, expected 2 to {limit} or exactly {modulus}")]
    SlotWidth {
        /// The width asked for.
        width: u32,
        /// The widest ordinary slot.
        limit: u32,
        /// Bits of the plaintext modulus.
        modulus: u32,
    },
    /// A value does not fit its slot. The value itself is not told.
    #[error("value of slot {slot} does not fit {width} bits")]
    SlotRange {
        /// Index of the slot.
        slot: usize,
        /// Its width in bits.
        width: u32,
    },
    /// A decrypted ciphertext is not one that the parameters account for: a share is missing, wrong or of another
    /// ciphertext, or the key is another.
    #[error("ciphertext {0} does not decrypt: a share is missing or wrong, or the key is another")]
    Undecryptable(usize),
}

/// Result of the protocols.
pub type Result<T> = core::result::Result<T, Error>;
