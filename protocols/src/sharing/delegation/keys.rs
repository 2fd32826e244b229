//! Keys of delegation: a house's pair, with a proof that it knows the secret, and grants.
//!
//! Source: as [`super`]; the proof of possession is Schnorr's (CRYPTO 1989, section 2), made non-interactive by hashing
//! (Fiat, Shamir, CRYPTO 1986), in `G1`; that `X` and `X^` belong together is an equation of pairings.

use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field};
use rand_core::CryptoRng;
use ward_math::codec::{Reader, Writer};
use zeroize::Zeroizing;

use super::super::error::{Result, SharingError};
use super::super::group::{Element, Framed, Target, bytes_of, random_scalar, times_secret};
use super::super::sealed::{expect_magic, truncated};

const PUBLIC: [u8; 5] = *b"WSDP\x01";
const SECRET: [u8; 5] = *b"WSDS\x01";
const GRANT: [u8; 5] = *b"WSDG\x01";

/// A house's public key. A value of this type was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(super) x1: G1Affine,
    pub(super) x2: G2Affine,
    proof: Proof,
}

/// `A = g^k`, `z = k + c x` with `c = H(X, X^, A)`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Proof {
    commitment: G1Affine,
    response: Fr,
}

/// A house's secret key.
pub struct SecretKey {
    pub(super) x: Zeroizing<Fr>,
    public: PublicKey,
}

/// What a proxy needs to turn messages of one house over to another. A value of this type was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub(super) delegator: PublicKey,
    pub(super) delegatee: PublicKey,
    pub(super) r: G2Affine,
}

/// Whether a product of pairings is one.
pub(super) fn pairings_cancel<const K: usize>(left: [G1Affine; K], right: [G2Affine; K]) -> bool {
    Bls12_381::multi_pairing(left, right) == Target::ZERO
}

fn challenge(x1: &G1Affine, x2: &G2Affine, commitment: &G1Affine) -> Fr {
    let hash = Framed::new("delegation key").field(&bytes_of(x1)).field(&bytes_of(x2));
    *hash.field(&bytes_of(commitment)).scalar()
}

impl SecretKey {
    /// Draws a key.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let (x, k) = (random_scalar(rng), random_scalar(rng));
        let x1 = (G1Affine::generator() * *x).into_affine();
        let x2 = (G2Affine::generator() * *x).into_affine();
        let commitment = (G1Affine::generator() * *k).into_affine();
        let response = *k + challenge(&x1, &x2, &commitment) * *x;
        Self { x, public: PublicKey { x1, x2, proof: Proof { commitment, response } } }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// `1/x`.
    pub(super) fn inverse(&self) -> Result<Zeroizing<Fr>> {
        self.x.inverse().map(Zeroizing::new).ok_or(SharingError::Changed)
    }

    /// Lets a proxy turn messages to this house over to `delegatee`.
    ///
    /// # Errors
    /// [`SharingError::Recipient`] for a grant to oneself.
    pub fn grant<R: CryptoRng + ?Sized>(&self, delegatee: &PublicKey, rng: &mut R) -> Result<Grant> {
        if delegatee.x1 == self.public.x1 {
            return Err(SharingError::Recipient { what: "a grant to oneself: it" });
        }
        let r = times_secret(G2Projective::from(delegatee.x2), &*self.inverse()?, rng).into_affine();
        Ok(Grant { delegator: self.public.clone(), delegatee: delegatee.clone(), r })
    }

    /// The encoding: magic, `x`, the public key's.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(37 + PublicKey::BYTES);
        out.bytes(&SECRET);
        self.x.write(&mut out);
        self.public.write(&mut out);
        Zeroizing::new(out.finish())
    }

    /// Decodes a key.
    ///
    /// # Errors
    /// [`SharingError::Encoding`], [`SharingError::Unproven`] for a public key that is not the secret's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "a delegation key";
        let mut reader = Reader::new(bytes);
        expect_magic(&mut reader, SECRET, WHAT)?;
        let x = Zeroizing::new(Fr::read(&mut reader)?);
        let public = PublicKey::read(&mut reader)?;
        reader.finish().map_err(truncated(WHAT))?;
        if G1Affine::generator() * *x != G1Projective::from(public.x1) {
            return Err(SharingError::Unproven);
        }
        Ok(Self { x, public })
    }
}

impl PublicKey {
    /// Bytes of a key without its magic: `X`, `X^`, `A`, `z`.
    pub(super) const BYTES: usize = 48 + 96 + 48 + 32;

    /// By which the key is known: a hash of `X` and `X^`.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        *Framed::new("delegation id").field(&bytes_of(&self.x1)).field(&bytes_of(&self.x2)).key()
    }

    /// The encoding: magic, `X`, `X^`, `A`, `z`; 229 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(5 + Self::BYTES);
        out.bytes(&PUBLIC);
        self.write(&mut out);
        out.finish()
    }

    fn write(&self, out: &mut Writer) {
        self.x1.write(out);
        self.x2.write(out);
        self.proof.commitment.write(out);
        self.proof.response.write(out);
    }

    /// Decodes a key and checks its proof.
    ///
    /// # Errors
    /// [`SharingError::Encoding`], [`SharingError::Unproven`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "a delegation key";
        let mut reader = Reader::new(bytes);
        expect_magic(&mut reader, PUBLIC, WHAT)?;
        let key = Self::read(&mut reader)?;
        reader.finish().map_err(truncated(WHAT))?;
        Ok(key)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (x1, x2) = (G1Affine::read(reader)?, G2Affine::read(reader)?);
        let proof = Proof { commitment: G1Affine::read(reader)?, response: Fr::read(reader)? };
        let c = challenge(&x1, &x2, &proof.commitment);
        let knows = G1Affine::generator() * proof.response == x1 * c + proof.commitment;
        let together = pairings_cancel([x1, -G1Affine::generator()], [G2Affine::generator(), x2]);
        if knows && together { Ok(Self { x1, x2, proof }) } else { Err(SharingError::Unproven) }
    }
}

impl Grant {
    /// Whose messages it turns.
    #[must_use]
    pub fn delegator(&self) -> &PublicKey {
        &self.delegator
    }

    /// For whom.
    #[must_use]
    pub fn delegatee(&self) -> &PublicKey {
        &self.delegatee
    }

    /// The encoding: magic, the delegator's key, the delegatee's, `R`; 549 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(101 + 2 * PublicKey::BYTES);
        out.bytes(&GRANT);
        self.delegator.write(&mut out);
        self.delegatee.write(&mut out);
        self.r.write(&mut out);
        out.finish()
    }

    /// Decodes a grant and checks that it leads from the one to the other: `e(X_i, R) = e(X_j, g^)`.
    ///
    /// # Errors
    /// [`SharingError::Encoding`], [`SharingError::Unproven`], [`SharingError::Grant`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "a grant";
        let mut reader = Reader::new(bytes);
        expect_magic(&mut reader, GRANT, WHAT)?;
        let (delegator, delegatee) = (PublicKey::read(&mut reader)?, PublicKey::read(&mut reader)?);
        let r = G2Affine::read(&mut reader)?;
        reader.finish().map_err(truncated(WHAT))?;
        if !pairings_cancel([delegator.x1, -delegatee.x1], [r, G2Affine::generator()]) {
            return Err(SharingError::Grant);
        }
        Ok(Self { delegator, delegatee, r })
    }
}
