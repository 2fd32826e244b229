//! What can be wrong with bytes, keys and proofs.

/// Why bytes are not the value that they should be. Nothing of a secret is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More or fewer bytes than the value has.
    #[error("{found} bytes where {expected} are due")]
    Length {
        /// Bytes due.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A number at or above its modulus, or a second encoding of the same value.
    #[error("a number is at or above its modulus")]
    NotCanonical,
    /// Coordinates that satisfy no curve equation.
    #[error("a point is not on its curve")]
    NotOnCurve,
    /// A point of the curve outside the subgroup of prime order.
    #[error("a point is outside the subgroup of prime order")]
    NotInSubgroup,
    /// The point at infinity, where it would void the value.
    #[error("a point is the point at infinity")]
    Infinity,
    /// Another kind of file, or another version.
    #[error("not a {expected}")]
    Kind {
        /// What was due.
        expected: &'static str,
    },
    /// A size in the head that the limits forbid.
    #[error("a size of {found} in the head, {max} at most")]
    TooLarge {
        /// The largest that is read.
        max: u64,
        /// The size given.
        found: u64,
    },
    /// Bytes whose hash is not their id.
    #[error("the bytes do not have the id that they carry")]
    Id,
}
