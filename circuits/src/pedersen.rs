//! Commitments to a count and a sum that add up: C = n N + s S + b H on Jubjub.
//!
//! Source: Pedersen, "Non-Interactive and Information-Theoretic Secure Verifiable Secret Sharing", CRYPTO 1991, section
//! 3, over two values with a generator for each. The generators are hashed to the curve: the y coordinate is
//! [`hash_bytes`] of the generator's name and a counter, the first for which there is an x, times the cofactor (as
//! GroupHash of the Zcash protocol specification, section 5.4.9.5, with SHA-256 for BLAKE2s). Nobody knows a relation
//! between them.
//!
//! # Security
//! Perfectly hiding for a blinding factor uniform modulo q; binding while discrete logarithms on Jubjub are hard.
//! The sum of commitments is the commitment to the sums, with the sum of the blinding factors.

use std::sync::LazyLock;

use ark_ec::{AffineRepr, CurveGroup};
use ark_ed_on_bls12_381::{EdwardsAffine, EdwardsProjective, Fr as Scalar};
use ark_ff::{AdditiveGroup, BigInteger, PrimeField};
use rand_core::CryptoRng;
use ward_math::Secret;
use zeroize::Zeroize;

use crate::error::DecodeError;
use crate::field::{ELEMENT_BYTES, Element, hash_bytes, to_bytes};

/// Bytes of a commitment: its two coordinates.
pub const COMMITMENT_BYTES: usize = 2 * ELEMENT_BYTES;

/// Pieces in which a blinding factor travels: b = sum of piece j times 2^(8 j), modulo q.
pub const PIECES: usize = 40;

/// Bits by which neighbouring pieces are apart.
const PIECE_STEP_BITS: usize = 8;

/// What a generator commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Count,
    Sum,
    Blinding,
}

/// The generator.
pub(crate) fn generator(base: Base) -> EdwardsAffine {
    static GENERATORS: LazyLock<[EdwardsAffine; 3]> =
        LazyLock::new(|| ["count", "sum", "blinding"].map(hash_to_curve));
    GENERATORS[base as usize]
}

fn hash_to_curve(name: &str) -> EdwardsAffine {
    let found = (0u64..).find_map(|counter| {
        let y = hash_bytes("ward/pedersen/1", &[name.as_bytes(), &counter.to_be_bytes()]);
        let point = EdwardsAffine::get_point_from_y_unchecked(y, false)?.clear_cofactor();
        (!point.is_zero()).then_some(point)
    });
    found.expect("every second number is a coordinate of a point")
}

/// A blinding factor. It travels as [`PIECES`] numbers of 64 bits, and sums of those of several contributors tell the
/// sum of the factors and nothing else of each: a piece has 56 bits more than it adds to the factor, so that what a sum
/// of pieces tells of one leaves the factor within 2^-44 of uniform modulo q. Wiped when dropped.
pub struct Blinding(Secret<[u64; PIECES]>);

impl Blinding {
    /// Draws one.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Secret::new(std::array::from_fn(|_| rng.next_u64())))
    }

    /// The factor zero, which blinds nothing: for recording constraints.
    pub(crate) fn zero() -> Self {
        Self(Secret::new([0; PIECES]))
    }

    /// The pieces.
    #[must_use]
    pub fn pieces(&self) -> &[u64; PIECES] {
        self.0.expose()
    }

    pub(crate) fn factor(&self) -> Secret<Scalar> {
        let pieces = self.0.expose().iter().map(|&piece| u128::from(piece));
        Secret::new(factor_of(pieces))
    }
}

/// The number with these pieces, lowest first.
fn factor_of(pieces: impl DoubleEndedIterator<Item = u128>) -> Scalar {
    let step = Scalar::from(1u64 << PIECE_STEP_BITS);
    pieces.rev().fold(Scalar::ZERO, |sum, piece| sum * step + Scalar::from(piece))
}

/// A commitment: a point of the subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment(EdwardsAffine);

impl Commitment {
    /// Commits to a count and a sum.
    #[must_use]
    pub fn new(count: u64, sum: u64, blinding: &Blinding) -> Self {
        Self::of(count, sum, blinding.factor().expose())
    }

    fn of(count: u64, sum: u64, factor: &Scalar) -> Self {
        let values = generator(Base::Count) * Scalar::from(count) + generator(Base::Sum) * Scalar::from(sum);
        Self((values + generator(Base::Blinding) * factor).into_affine())
    }

    /// The commitment to the sums of what these commit to.
    #[must_use]
    pub fn total(commitments: &[Self]) -> Self {
        Self(
            commitments.iter().map(|c| EdwardsProjective::from(c.0)).sum::<EdwardsProjective>().into_affine(),
        )
    }

    /// Whether it opens to a count and a sum, by the sums of the pieces of the blinding factors, lowest first.
    ///
    /// # Errors
    /// [`OpeningError`].
    pub fn open(&self, count: u64, sum: u64, pieces: &[u128; PIECES]) -> Result<(), OpeningError> {
        let mut factor = factor_of(pieces.iter().copied());
        let opened = Self::of(count, sum, &factor);
        factor.zeroize();
        if opened == *self { Ok(()) } else { Err(OpeningError) }
    }

    pub(crate) fn coordinates(&self) -> [Element; 2] {
        [self.0.x, self.0.y]
    }

    /// The two coordinates, x first.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; COMMITMENT_BYTES] {
        let mut bytes = [0; COMMITMENT_BYTES];
        bytes[..ELEMENT_BYTES].copy_from_slice(&to_bytes(&self.0.x));
        bytes[ELEMENT_BYTES..].copy_from_slice(&to_bytes(&self.0.y));
        bytes
    }

    /// Reads a commitment.
    ///
    /// # Errors
    /// [`DecodeError`] for coordinates that are none, a point off the curve, and one outside the subgroup of order q.
    pub fn from_bytes(bytes: &[u8; COMMITMENT_BYTES]) -> Result<Self, DecodeError> {
        let point = crate::schnorr::point_from(bytes)?;
        if point.is_in_correct_subgroup_assuming_on_curve() {
            Ok(Self(point))
        } else {
            Err(DecodeError::NotInSubgroup)
        }
    }
}

/// A commitment that does not open so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the commitment does not open to this count and sum")]
pub struct OpeningError;

/// The bits of a blinding factor, lowest first.
pub(crate) fn factor_bits(factor: &Scalar) -> Vec<bool> {
    let mut bits = factor.into_bigint().to_bits_le();
    bits.truncate(crate::gadgets::jubjub::SCALAR_BITS);
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;
    use proptest::prelude::*;

    fn added(blindings: &[Blinding]) -> [u128; PIECES] {
        std::array::from_fn(|at| blindings.iter().map(|b| u128::from(b.pieces()[at])).sum())
    }

    #[test]
    fn the_generators_are_those_that_their_names_give() {
        let pinned = [Base::Count, Base::Sum, Base::Blinding].map(|base| {
            let point = generator(base);
            assert!(
                point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve() && !point.is_zero()
            );
            hex::encode(&to_bytes(&point.y)[..8])
        });
        assert_eq!(pinned, ["1ab3f66faf90132d", "5d0da59ac88a54a4", "5cbfdb0a32bca01e"]);
    }

    #[test]
    fn a_commitment_of_an_odd_point_is_refused_and_one_survives_its_bytes() {
        let commitment = Commitment::new(3, 4, &Blinding::generate(&mut rng(1)));
        let bytes = commitment.to_bytes();
        assert_eq!(Commitment::from_bytes(&bytes), Ok(commitment));
        let mut off = bytes;
        off[63] ^= 1;
        assert_eq!(Commitment::from_bytes(&off), Err(DecodeError::NotOnCurve));
        // (0, -1) has order two.
        let mut order_two = [0; COMMITMENT_BYTES];
        order_two[ELEMENT_BYTES..].copy_from_slice(&to_bytes(&-Element::from(1u64)));
        assert_eq!(Commitment::from_bytes(&order_two), Err(DecodeError::NotInSubgroup));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn commitments_add_up_to_the_commitment_to_the_sums_and_to_no_other(
            values in proptest::collection::vec((0u64..1 << 13, 0u64..1 << 44), 1..6), seed: u64,
        ) {
            let rng = &mut rng(seed);
            let blindings: Vec<Blinding> = values.iter().map(|_| Blinding::generate(rng)).collect();
            let each: Vec<Commitment> =
                values.iter().zip(&blindings).map(|((n, s), b)| Commitment::new(*n, *s, b)).collect();
            let (count, sum) = values.iter().fold((0, 0), |(n, s), (m, t)| (n + m, s + t));
            let (total, mut pieces) = (Commitment::total(&each), added(&blindings));
            prop_assert_eq!(total.open(count, sum, &pieces), Ok(()));
            prop_assert_eq!(total.open(count + 1, sum, &pieces), Err(OpeningError));
            prop_assert_eq!(total.open(count, sum + 1, &pieces), Err(OpeningError));
            pieces[7] += 1;
            prop_assert_eq!(total.open(count, sum, &pieces), Err(OpeningError));
        }
    }
}
