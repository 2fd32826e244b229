//! The proving key: a file that is used where it lies.
//!
//! ```text
//! 0    magic "WARDPK" 0 1                          8
//! 8    id of the verifying key                    32
//! 40   witnesses, constraints, coefficients,      40   five u64, little-endian
//!      entries of A, entries of B
//! 80   verifying key, filled up to 8 bytes
//!      alpha, beta, delta in G1                   96 each
//!      beta, delta in G2                         192 each
//!      a_g1, b_g1: one point for each variable    96 each
//!      b_g2: the same                            192 each
//!      witnesses_g1                               96 each
//!      quotient_g1: domain - 1 points             96 each
//!      coefficients                               32 each, big-endian
//!      A, then B: ends, columns, coefficients      4 each, little-endian, each list filled up to 8 bytes
//! ```
//! A point is its coordinates as six little-endian u64 in Montgomery form, (0, 0) at infinity: `blst` computes on the
//! mapped file. Reading it so takes two steps. [`ProvingKey::validate`] looks at every point once and gives the
//! file's hash; [`ProvingKey::open`] compares the hash, which takes milliseconds.

use std::borrow::Cow;
use std::marker::PhantomData;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::curve::{G1, G2, Group, points_in};
use super::key::{KeyId, VerifyingKey};
use super::parts::KeyParts;
use crate::error::DecodeError;
use crate::field::{Element, from_bytes, to_bytes};
use crate::r1cs::{Matrices, SparseMatrix};
use crate::statement::{ConstrainedStatement, constraints};

const MAGIC: &[u8; 8] = b"WARDPK\x00\x01";
const HEAD_BYTES: usize = 80;

/// Variables, constraints and entries of a matrix at most: 2^27.
const SIZE_MAX: u64 = 1 << 27;

/// SHA-256 of a proving key's file, which only [`ProvingKey::validate`] and who wrote the file give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileHash(pub [u8; 32]);

impl FileHash {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Bytes that are no key.
    #[error("no proving key: {0}")]
    Decode(#[from] DecodeError),
    /// A file that was not validated, or was changed since.
    #[error("the file is not the one that was validated")]
    Hash,
    /// A key for other constraints than those of the statement.
    #[error("the key is for other constraints")]
    Circuit,
    /// As many points as the constraints have no use for.
    #[error("{found} points in a part of the key where {expected} are due")]
    Points {
        /// Points due.
        expected: usize,
        /// Points given.
        found: usize,
    },
}

/// A proving key of the statement `S` over the bytes of its file.
pub struct ProvingKey<'a, S> {
    pub(super) verifying: VerifyingKey<S>,
    pub(super) alpha_g1: G1,
    pub(super) beta_g1: G1,
    pub(super) delta_g1: G1,
    pub(super) beta_g2: G2,
    pub(super) delta_g2: G2,
    pub(super) a_g1: Cow<'a, [G1]>,
    pub(super) b_g1: Cow<'a, [G1]>,
    pub(super) b_g2: Cow<'a, [G2]>,
    pub(super) witnesses_g1: Cow<'a, [G1]>,
    pub(super) quotient_g1: Cow<'a, [G1]>,
    /// A and B; the prover has no use for C.
    pub(super) matrices: Matrices,
    statement: PhantomData<fn() -> S>,
}

/// The sizes in the head of a file.
struct Sizes {
    witnesses: usize,
    constraints: usize,
    coefficients: usize,
    entries: [usize; 2],
}

impl<'a, S: ConstrainedStatement> ProvingKey<'a, S> {
    /// Writes the file of a key, which is trusted to be right: a ceremony verifies its own.
    ///
    /// # Errors
    /// [`KeyError::Points`] when the parts are not of these constraints; what makes a verifying key no key.
    pub fn write(matrices: &Matrices, parts: &KeyParts) -> Result<(VerifyingKey<S>, Vec<u8>), KeyError> {
        let variables = matrices.variables();
        let counts = [
            (S::INPUTS + 1, parts.inputs_g1.len()),
            (variables, parts.a_g1.len()),
            (variables, parts.b_g1.len()),
            (variables, parts.b_g2.len()),
            (matrices.witnesses, parts.witnesses_g1.len()),
            (matrices.domain_size() - 1, parts.quotient_g1.len()),
        ];
        if let Some(&(expected, found)) = counts.iter().find(|(expected, found)| expected != found) {
            return Err(KeyError::Points { expected, found });
        }
        let verifying = VerifyingKey::from_parts(parts, matrices.digest())?;
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&verifying.id().0);
        let sizes = [
            matrices.witnesses,
            matrices.constraints,
            matrices.coefficients.len(),
            matrices.a.entries(),
            matrices.b.entries(),
        ];
        bytes.extend(sizes.iter().flat_map(|&size| (size as u64).to_le_bytes()));
        bytes.extend(verifying.to_bytes());
        fill(&mut bytes);
        write_points::<G1>(&mut bytes, &[parts.alpha_g1, parts.beta_g1, parts.delta_g1]);
        write_points::<G2>(&mut bytes, &[parts.beta_g2, parts.delta_g2]);
        write_points::<G1>(&mut bytes, &parts.a_g1);
        write_points::<G1>(&mut bytes, &parts.b_g1);
        write_points::<G2>(&mut bytes, &parts.b_g2);
        write_points::<G1>(&mut bytes, &parts.witnesses_g1);
        write_points::<G1>(&mut bytes, &parts.quotient_g1);
        bytes.extend(matrices.coefficients.iter().flat_map(to_bytes));
        for matrix in [&matrices.a, &matrices.b] {
            for list in [&matrix.ends, &matrix.columns, &matrix.coefficients] {
                bytes.extend(list.iter().flat_map(|entry| entry.to_le_bytes()));
                fill(&mut bytes);
            }
        }
        Ok((verifying, bytes))
    }

    /// Checks a file whole: every point on its curve and in its subgroup, the matrices those of the statement. Takes
    /// seconds, once for a file; its hash is what [`ProvingKey::open`] asks for ever after.
    ///
    /// # Security
    /// Says that the file can be computed on, not that it is the key of an honest setup: that is the ceremony's
    /// verification, and the id.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(bytes: &[u8]) -> Result<FileHash, KeyError> {
        let key = ProvingKey::<S>::parse(bytes)?;
        let (matrices, _) = constraints::<S>();
        let same = matrices.digest() == *key.verifying.circuit()
            && matrices.witnesses == key.matrices.witnesses
            && matrices.constraints == key.matrices.constraints
            && matrices.coefficients == key.matrices.coefficients
            && matrices.a == key.matrices.a
            && matrices.b == key.matrices.b;
        if !same {
            return Err(KeyError::Circuit);
        }
        fn all<P: Group>(points: &[P]) -> Result<(), DecodeError> {
            points.par_iter().filter(|point| !point.is_infinity()).try_for_each(P::check)
        }
        [key.alpha_g1, key.beta_g1, key.delta_g1].iter().try_for_each(G1::check)?;
        if [key.beta_g2, key.delta_g2] != [key.verifying.beta, key.verifying.delta]
            || key.alpha_g1 != key.verifying.alpha
        {
            return Err(DecodeError::Id.into());
        }
        [&key.a_g1, &key.b_g1, &key.witnesses_g1, &key.quotient_g1]
            .iter()
            .try_for_each(|points| all(points))?;
        all(&key.b_g2)?;
        Ok(FileHash::of(bytes))
    }

    /// Opens a file that was validated. Maps of files are aligned; bytes that are not are copied.
    ///
    /// # Errors
    /// [`KeyError::Hash`] for any other file.
    pub fn open(bytes: &'a [u8], hash: FileHash) -> Result<Self, KeyError> {
        if FileHash::of(bytes) != hash {
            return Err(KeyError::Hash);
        }
        Self::parse(bytes)
    }

    /// The verifying key.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey<S> {
        &self.verifying
    }

    fn parse(bytes: &'a [u8]) -> Result<Self, KeyError> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(DecodeError::Kind { expected: "proving key" }.into());
        }
        let mut id = [0; 32];
        id.copy_from_slice(reader.take(32)?);
        let sizes = Sizes {
            witnesses: reader.size()?,
            constraints: reader.size()?,
            coefficients: reader.size()?,
            entries: [reader.size()?, reader.size()?],
        };
        debug_assert_eq!(reader.at, HEAD_BYTES);
        let encoded = reader.take(VerifyingKey::<S>::encoded_bytes())?;
        let verifying = VerifyingKey::from_bytes_pinned(encoded, KeyId(id))?;
        reader.fill()?;
        let variables = 1 + S::INPUTS + sizes.witnesses;
        let domain = (sizes.constraints + S::INPUTS + 1).next_power_of_two();
        let singles = reader.points::<G1>(3)?;
        let doubles = reader.points::<G2>(2)?;
        let key = Self {
            verifying,
            alpha_g1: singles[0],
            beta_g1: singles[1],
            delta_g1: singles[2],
            beta_g2: doubles[0],
            delta_g2: doubles[1],
            a_g1: reader.points(variables)?,
            b_g1: reader.points(variables)?,
            b_g2: reader.points(variables)?,
            witnesses_g1: reader.points(sizes.witnesses)?,
            quotient_g1: reader.points(domain - 1)?,
            matrices: reader.matrices(&sizes, S::INPUTS)?,
            statement: PhantomData,
        };
        let rest = bytes.len() - reader.at;
        if rest != 0 {
            return Err(DecodeError::Length { expected: reader.at, found: bytes.len() }.into());
        }
        Ok(key)
    }
}

fn fill(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

fn write_points<P: Group>(bytes: &mut Vec<u8>, points: &[P::Ark]) {
    bytes.reserve(8 * P::LIMBS * points.len());
    for point in points {
        bytes.extend(P::from_ark(point).limbs().iter().flat_map(|limb| limb.to_le_bytes()));
    }
}

/// The bytes of a file, from the front.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.saturating_add(count);
        let length = DecodeError::Length { expected: end, found: self.bytes.len() };
        let taken = self.bytes.get(self.at..end).ok_or(length)?;
        self.at = end;
        Ok(taken)
    }

    /// Zeros up to the next multiple of eight.
    fn fill(&mut self) -> Result<(), DecodeError> {
        let zeros = self.take(self.at.next_multiple_of(8) - self.at)?;
        if zeros.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(DecodeError::NotCanonical) }
    }

    fn size(&mut self) -> Result<usize, DecodeError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        let found = u64::from_le_bytes(word);
        let size = usize::try_from(found).ok().filter(|_| found <= SIZE_MAX);
        size.ok_or(DecodeError::TooLarge { max: SIZE_MAX, found })
    }

    fn points<P: Group>(&mut self, count: usize) -> Result<Cow<'a, [P]>, DecodeError> {
        Ok(points_in(self.take(8 * P::LIMBS * count)?))
    }

    fn list(&mut self, count: usize) -> Result<Vec<u32>, DecodeError> {
        let (words, _) = self.take(4 * count)?.as_chunks::<4>();
        let list = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        self.fill()?;
        Ok(list)
    }

    /// A matrix whose every index is within its bounds.
    fn matrix(
        &mut self,
        sizes: &Sizes,
        entries: usize,
        variables: usize,
    ) -> Result<SparseMatrix, DecodeError> {
        let matrix = SparseMatrix {
            ends: self.list(sizes.constraints)?,
            columns: self.list(entries)?,
            coefficients: self.list(entries)?,
        };
        let below = |list: &[u32], bound: usize| list.iter().all(|&index| (index as usize) < bound);
        let bounded = matrix.ends.is_sorted()
            && matrix.ends.last().map_or(0, |&end| end as usize) == entries
            && below(&matrix.columns, variables)
            && below(&matrix.coefficients, sizes.coefficients);
        if bounded { Ok(matrix) } else { Err(DecodeError::NotCanonical) }
    }

    fn matrices(&mut self, sizes: &Sizes, inputs: usize) -> Result<Matrices, DecodeError> {
        let variables = 1 + inputs + sizes.witnesses;
        let (chunks, _) = self.take(32 * sizes.coefficients)?.as_chunks::<32>();
        let coefficients: Vec<Element> = chunks.iter().map(from_bytes).collect::<Result<_, _>>()?;
        Ok(Matrices {
            inputs,
            witnesses: sizes.witnesses,
            constraints: sizes.constraints,
            a: self.matrix(sizes, sizes.entries[0], variables)?,
            b: self.matrix(sizes, sizes.entries[1], variables)?,
            c: SparseMatrix::default(),
            coefficients,
        })
    }
}
