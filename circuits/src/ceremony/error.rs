//! Errors of the ceremony.

use std::fmt;

/// What is wrong with the bytes of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PointFault {
    /// The bytes are not the one encoding of a point.
    Encoding,
    /// The coordinates do not satisfy the equation of the curve.
    Curve,
    /// The point is on the curve and outside the subgroup of prime order.
    Subgroup,
    /// The point is the one at infinity, where none may be.
    Infinity,
}

impl fmt::Display for PointFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "is not a canonical encoding",
            Self::Curve => "is not on the curve",
            Self::Subgroup => "is outside the subgroup",
            Self::Infinity => "is the point at infinity",
        })
    }
}

/// Why a ceremony, a contribution or a file of one was refused. No variant carries a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that do not decode: truncated, too long, over a limit.
    #[error(transparent)]
    Codec(#[from] ward_math::Error),
    /// A file of another kind, version or phase than expected.
    #[error("file has another {0} than expected")]
    Header(&'static str),
    /// The size is not in `1..=20`.
    #[error("size 2^{0}, expected 2^1 to 2^20")]
    Size(u8),
    /// A point that may not be there.
    #[error("point {index} of {vector} {fault}")]
    Point {
        /// The vector of points.
        vector: &'static str,
        /// Index in the vector.
        index: usize,
        /// What is wrong with it.
        fault: PointFault,
    },
    /// The zeroth power is not the generator of the group.
    #[error("{0} does not begin with the generator")]
    Generator(&'static str),
    /// The points of a vector are not consecutive powers of one secret.
    #[error("{0} are not consecutive powers")]
    Powers(&'static str),
    /// A value has different exponents in the two groups.
    #[error("{0} differs between the two groups")]
    Groups(&'static str),
    /// The state is not the one that the last contribution left.
    #[error("state is not what the last contribution left")]
    StateHash,
    /// The value of a secret in the state is not the one the contributions lead to.
    #[error("{0} of the state is not the product of the contributions")]
    StateValue(&'static str),
    /// A contribution stands behind another history than the one it was made for.
    #[error("contribution {0} was made for another history")]
    History(usize),
    /// A contributor does not know the factor it claims to have put in.
    #[error("contribution {contribution} does not prove knowledge of its factor of {secret}")]
    Knowledge {
        /// Number of the contribution, from 1.
        contribution: usize,
        /// The secret.
        secret: &'static str,
    },
    /// A contribution replaced a secret instead of multiplying it.
    #[error("contribution {contribution} does not multiply {secret} by its factor")]
    Product {
        /// Number of the contribution, from 1.
        contribution: usize,
        /// The secret.
        secret: &'static str,
    },
    /// A contribution left a secret as it was.
    #[error("contribution {contribution} multiplies {secret} by one")]
    Unchanged {
        /// Number of the contribution, from 1.
        contribution: usize,
        /// The secret.
        secret: &'static str,
    },
    /// The closing contribution is not the one that the beacon's value gives.
    #[error("contribution {0} is not the one of its beacon")]
    Beacon(usize),
    /// The beacon asks for more iterations than a verifier does.
    #[error("beacon of 2^{0} iterations, 2^30 at most")]
    BeaconIterations(u8),
    /// The beacon's value is not of 16 to 1024 bytes.
    #[error("beacon value of {0} bytes, expected 16 to 1024")]
    BeaconLength(usize),
    /// A contribution after the beacon.
    #[error("ceremony was closed by its beacon")]
    Closed,
    /// The beacon is missing.
    #[error("ceremony was not closed by a beacon")]
    NotClosed,
    /// Fewer people contributed than required.
    #[error("{found} contributors, {needed} are required")]
    Contributors {
        /// Distinct contributors.
        found: usize,
        /// The number required.
        needed: usize,
    },
    /// A name is empty, too long, or holds characters that cannot be shown.
    #[error("name of a {0} is not 1 to 128 bytes of printable text")]
    Name(&'static str),
    /// More contributions than a transcript holds.
    #[error("transcript is full at {0} contributions")]
    Full(usize),
    /// A transcript that should continue another by one contribution does not.
    #[error("transcript does not continue the verified one by one contribution")]
    Continuation,
    /// The relation does not fit the powers of the first phase.
    #[error("circuit needs a domain of {needed}, the first phase has {available}")]
    Capacity {
        /// Points the circuit's domain needs.
        needed: usize,
        /// Points the first phase offers.
        available: usize,
    },
    /// The matrices of the relation are malformed.
    #[error("relation is malformed: {0}")]
    Relation(&'static str),
    /// A file belongs to another circuit.
    #[error("file belongs to another circuit")]
    OtherCircuit,
    /// A file belongs to another first phase.
    #[error("file belongs to another first phase")]
    OtherPhase1,
    /// A query of the key is not the one of the circuit at the secret point.
    #[error("{0} is not the circuit's at the powers of the first phase")]
    Query(&'static str),
    /// A query was not divided by the factor that delta was multiplied by.
    #[error("{0} is not divided by delta")]
    Quotient(&'static str),
}

/// Result of the ceremony.
pub type Result<T> = core::result::Result<T, Error>;
