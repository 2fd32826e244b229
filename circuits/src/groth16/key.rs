//! The verifying key, and the id by which keys are pinned.

use std::marker::PhantomData;

use sha2::{Digest, Sha256};

use super::curve::{G1, G2, Group, Target, decode_g1, decode_g2, miller_loop, negated_g2, scalar_bytes};
use super::parts::KeyParts;
use crate::error::DecodeError;
use crate::field::Element;
use crate::statement::ConstrainedStatement;

/// Public inputs of a statement at most.
pub const VERIFYING_KEY_INPUTS_MAX: usize = 64;

const MAGIC: &[u8; 8] = b"WARDVK\x00\x01";

/// The name of a key: SHA-256 of the statement's name, the digest of its matrices and the verifying key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 32]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What verifies proofs of the statement `S`: points of the right order, none at infinity, and their id.
pub struct VerifyingKey<S> {
    pub(super) alpha: G1,
    pub(super) beta: G2,
    pub(super) gamma: G2,
    pub(super) delta: G2,
    /// One point for the constant one, then one for each input.
    pub(super) inputs: Vec<G1>,
    circuit: [u8; 32],
    id: KeyId,
    /// e(alpha, beta), and -gamma, -delta: what every verification needs.
    pub(super) alpha_beta: Target,
    pub(super) gamma_negated: G2,
    pub(super) delta_negated: G2,
    statement: PhantomData<fn() -> S>,
}

impl<S> std::fmt::Debug for VerifyingKey<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The points of a verifying key.
struct Points {
    alpha: G1,
    beta: G2,
    gamma: G2,
    delta: G2,
    inputs: Vec<G1>,
}

impl<S: ConstrainedStatement> VerifyingKey<S> {
    /// The verifying key among the parts, for constraints with this digest.
    ///
    /// # Errors
    /// Another number of inputs than the statement has, or a point that is none, of another order, or at infinity.
    pub fn from_parts(parts: &KeyParts, circuit: [u8; 32]) -> Result<Self, DecodeError> {
        let inputs: Vec<G1> = parts.inputs_g1.iter().map(G1::from_ark).collect();
        let points = Points {
            alpha: G1::from_ark(&parts.alpha_g1),
            beta: G2::from_ark(&parts.beta_g2),
            gamma: G2::from_ark(&parts.gamma_g2),
            delta: G2::from_ark(&parts.delta_g2),
            inputs,
        };
        points.alpha.check()?;
        [points.beta, points.gamma, points.delta].iter().try_for_each(G2::check)?;
        points.inputs.iter().try_for_each(G1::check)?;
        Self::new(points, circuit)
    }

    fn new(points: Points, circuit: [u8; 32]) -> Result<Self, DecodeError> {
        let (expected, found) = (S::INPUTS + 1, points.inputs.len());
        if expected != found {
            return Err(DecodeError::Length { expected: 48 * expected, found: 48 * found });
        }
        let Points { alpha, beta, gamma, delta, inputs } = points;
        let mut key = Self {
            alpha,
            beta,
            gamma,
            delta,
            inputs,
            circuit,
            id: KeyId([0; 32]),
            alpha_beta: miller_loop(&[(alpha, beta)]).final_exp(),
            gamma_negated: negated_g2(&gamma),
            delta_negated: negated_g2(&delta),
            statement: PhantomData,
        };
        let mut hash = Sha256::new();
        for part in [b"ward/key/1".as_slice(), S::NAME.as_bytes(), &key.to_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        key.id = KeyId(hash.finalize().into());
        Ok(key)
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The digest of the constraints that it is for ([`crate::r1cs::Matrices::digest`]).
    #[must_use]
    pub fn circuit(&self) -> &[u8; 32] {
        &self.circuit
    }

    /// Bytes of the encoding.
    #[must_use]
    pub fn encoded_bytes() -> usize {
        MAGIC.len() + 32 + 2 + 48 + 3 * 96 + 48 * (S::INPUTS + 1)
    }

    /// The key in bytes: magic, digest of the constraints, number of inputs (2 bytes, big-endian), alpha, beta,
    /// gamma, delta, the inputs' points, all compressed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::encoded_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.circuit);
        bytes.extend_from_slice(&(S::INPUTS as u16).to_be_bytes());
        bytes.extend(self.alpha.compress());
        for point in [&self.beta, &self.gamma, &self.delta] {
            bytes.extend(point.compress());
        }
        for point in &self.inputs {
            bytes.extend(point.compress());
        }
        bytes
    }

    /// Reads a key of the statement. The caller compares [`VerifyingKey::id`] with the id that it pinned, or reads
    /// by [`VerifyingKey::from_bytes_pinned`].
    ///
    /// # Errors
    /// Another kind of file, another length or number of inputs, a point that is none, of another order, or at
    /// infinity.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let expected = Self::encoded_bytes();
        if bytes.len() != expected {
            return Err(DecodeError::Length { expected, found: bytes.len() });
        }
        let mut reader = Reader(bytes);
        if reader.take::<8>()? != *MAGIC {
            return Err(DecodeError::Kind { expected: "verifying key" });
        }
        let circuit = reader.take::<32>()?;
        let inputs = u16::from_be_bytes(reader.take::<2>()?);
        if usize::from(inputs) != S::INPUTS {
            return Err(DecodeError::TooLarge { max: S::INPUTS as u64, found: inputs.into() });
        }
        let points = Points {
            alpha: decode_g1(&reader.take()?)?,
            beta: decode_g2(&reader.take()?)?,
            gamma: decode_g2(&reader.take()?)?,
            delta: decode_g2(&reader.take()?)?,
            inputs: (0..=S::INPUTS).map(|_| decode_g1(&reader.take()?)).collect::<Result<_, _>>()?,
        };
        Self::new(points, circuit)
    }

    /// Reads the key that has this id.
    ///
    /// # Errors
    /// As [`VerifyingKey::from_bytes`], and [`DecodeError::Id`] for another key.
    pub fn from_bytes_pinned(bytes: &[u8], id: KeyId) -> Result<Self, DecodeError> {
        let key = Self::from_bytes(bytes)?;
        if key.id == id { Ok(key) } else { Err(DecodeError::Id) }
    }

    /// The inputs' side of the equation: the first point plus each input's point times the input. `inputs` has one
    /// element for each input.
    pub(super) fn input_sum(&self, inputs: &[Element]) -> G1 {
        let scalars: Vec<u8> = inputs.iter().flat_map(scalar_bytes).collect();
        match self.inputs.split_first() {
            Some((constant, points)) => constant.add(&G1::sum_serial(points, &scalars)),
            None => G1::default(),
        }
    }
}

/// The rest of some bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Length { expected: N, found: self.0.len() })?;
        self.0 = rest;
        Ok(*head)
    }
}
