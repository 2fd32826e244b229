//! Errors of the arithmetic layer.

/// What went wrong in the arithmetic layer. No variant carries a secret value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ring's degree is not a power of two in `64..=16384`.
    #[error("ring degree {0} is not a power of two between 64 and 16384")]
    Degree(usize),
    /// The number of limbs is not in `1..=16`.
    #[error("{0} limbs, expected 1 to 16")]
    Limbs(usize),
    /// Input ended before a field was complete.
    #[error("input ends after {available} bytes where {needed} are needed")]
    Truncated {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes that were left.
        available: usize,
    },
    /// Bytes follow the last field.
    #[error("{0} bytes follow the last field")]
    TrailingBytes(usize),
    /// A residue is not reduced modulo its prime.
    #[error("residue {index} of limb {limb} is not below its prime")]
    Residue {
        /// Index of the limb.
        limb: usize,
        /// Index of the residue in the limb.
        index: usize,
    },
    /// A declared length exceeds the limit of its field.
    #[error("declared length {declared} exceeds the limit {limit}")]
    Limit {
        /// The declared length.
        declared: u64,
        /// The largest length accepted.
        limit: u64,
    },
    /// A fixed field has another value than the one expected.
    #[error("unexpected value in field {0}")]
    Field(&'static str),
}

/// Result of the arithmetic layer.
pub type Result<T> = core::result::Result<T, Error>;
