//! Messages of delegation: sealed to a house (second level), turned over by a proxy (first level), opened.
//!
//! Source: as [`super`]: algorithms Enc2, ReEnc, Dec1 and Dec2.

use ark_bls12_381::{Bls12_381, G1Affine, G2Affine, G2Projective};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::Field;
use chacha20poly1305::aead::{Aead, Payload};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use ward_math::codec::{Reader, Writer};
use zeroize::Zeroizing;

use super::super::error::{Result, SharingError};
use super::super::group::{Element, Framed, Target, bytes_of, hash_to_g2, random_scalar, times_secret};
use super::super::sealed::{
    ABOUT_BYTES_MAX, MESSAGE_BYTES_MAX, body_cipher, check_limit, expect_magic, read_bytes, truncated,
    write_text,
};
use super::keys::{Grant, PublicKey, SecretKey, pairings_cancel};

const SECOND: [u8; 5] = *b"WSD2\x01";
const FIRST: [u8; 5] = *b"WSD1\x01";

/// What both levels have: C1, C3, C4, the signature, and what it covers beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Core {
    /// The house it was sealed to.
    delegator: [u8; 32],
    about: Vec<u8>,
    /// C1.
    verification_key: [u8; 32],
    /// C4.
    tag: G2Affine,
    /// C3.
    body: Vec<u8>,
    signature: [u8; 64],
}

/// A message to a house, which the house opens, or a proxy with a grant of it turns over. A value of this type that was
/// decoded has a valid signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Second {
    core: Core,
    /// C2.
    c2: G1Affine,
}

/// A message that a proxy turned over: its delegatee opens it, and it cannot be turned again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    core: Core,
    /// The house it was turned over to.
    delegatee: [u8; 32],
    /// C2', C2'', C2'''.
    turned: (G1Affine, G2Affine, G1Affine),
}

/// `u^C1 v` in `G2`, C1 hashed to a scalar.
fn tag_base(verification_key: &[u8; 32]) -> Result<G2Projective> {
    let exponent = Framed::new("one-time key").field(verification_key).scalar();
    Ok(hash_to_g2(b"delegation u")? * *exponent + hash_to_g2(b"delegation v")?)
}

impl Core {
    /// Everything that is signed, apart from C3: also the associated data of C3.
    fn head(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(&self.delegator);
        write_text(&mut out, &self.about);
        out.bytes(&self.verification_key);
        self.tag.write(&mut out);
        out.finish()
    }

    fn signed(&self) -> Vec<u8> {
        Framed::new("delegated message").field(&self.head()).field(&self.body).wide().to_vec()
    }

    /// The key of C3 from `e(g,g^)^r`.
    fn key(&self, mask: &Target) -> Zeroizing<[u8; 32]> {
        let bytes = Zeroizing::new(bytes_of(mask));
        Framed::new("delegation key of message").field(&bytes).field(&self.head()).key()
    }

    fn open(&self, mask: &Target) -> Result<Zeroizing<Vec<u8>>> {
        let (cipher, nonce) = body_cipher(&self.key(mask));
        let payload = Payload { msg: &self.body, aad: &self.head() };
        cipher.decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| SharingError::Changed)
    }

    fn verify(&self) -> Result<()> {
        let key = VerifyingKey::from_bytes(&self.verification_key).map_err(|_| SharingError::Changed)?;
        let signature = Signature::from_bytes(&self.signature);
        key.verify_strict(&self.signed(), &signature).map_err(|_| SharingError::Changed)
    }

    fn write(&self, out: &mut Writer) {
        out.bytes(&self.head());
        write_text(out, &self.body);
        out.bytes(&self.signature);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        const WHAT: &str = "a delegated message";
        let delegator = reader.array().map_err(truncated(WHAT))?;
        let about = read_bytes(reader, ABOUT_BYTES_MAX, WHAT)?.to_vec();
        let verification_key = reader.array().map_err(truncated(WHAT))?;
        let tag = G2Affine::read(reader)?;
        let body = read_bytes(reader, MESSAGE_BYTES_MAX + 16, WHAT)?.to_vec();
        let signature = reader.array().map_err(truncated(WHAT))?;
        let core = Self { delegator, about, verification_key, tag, body, signature };
        core.verify()?;
        Ok(core)
    }
}

impl Second {
    /// Enc2: seals a message to a house. `about` is public and bound.
    ///
    /// # Errors
    /// [`SharingError::Limit`] for a message or an `about` that is too long.
    pub fn seal<R: CryptoRng + ?Sized>(
        to: &PublicKey,
        about: &[u8],
        message: &[u8],
        rng: &mut R,
    ) -> Result<Self> {
        check_limit("bytes of a sealed message", message.len(), MESSAGE_BYTES_MAX)?;
        check_limit("bytes said about a sealed message", about.len(), ABOUT_BYTES_MAX)?;
        // Step 1: a one-time signature key.
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        let signing = SigningKey::from_bytes(&seed);
        let verification_key = signing.verifying_key().to_bytes();
        // Step 2: r, C2, C4.
        let r = random_scalar(rng);
        let c2 = (to.x1 * *r).into_affine();
        let tag = (tag_base(&verification_key)? * *r).into_affine();
        let mut core = Core {
            delegator: to.id(),
            about: about.to_vec(),
            verification_key,
            tag,
            body: Vec::new(),
            signature: [0; 64],
        };
        // Step 3: C3 under e(g,g^)^r, and the signature over it all.
        let mask = Zeroizing::new(Target::generator() * *r);
        let (cipher, nonce) = body_cipher(&core.key(&mask));
        let payload = Payload { msg: message, aad: &core.head() };
        core.body = cipher.encrypt(&nonce, payload).map_err(|_| SharingError::Changed)?;
        core.signature = signing.sign(&core.signed()).to_bytes();
        Ok(Self { core, c2 })
    }

    /// Equation (1) of the paper: `e(X_i, C4) = e(C2, u^C1 v)`.
    fn check(&self, to: &PublicKey) -> Result<()> {
        if self.core.delegator != to.id() {
            return Err(SharingError::Recipient { what: "the message" });
        }
        let base = tag_base(&self.core.verification_key)?.into_affine();
        let holds = pairings_cancel([to.x1, -self.c2], [self.core.tag, base]);
        if holds { self.core.verify() } else { Err(SharingError::Changed) }
    }

    /// Dec2: opens it with the key it was sealed to.
    ///
    /// # Errors
    /// [`SharingError::Recipient`], [`SharingError::Changed`].
    pub fn open<R: CryptoRng + ?Sized>(&self, key: &SecretKey, rng: &mut R) -> Result<Zeroizing<Vec<u8>>> {
        self.check(key.public())?;
        let paired = Bls12_381::pairing(self.c2, G2Affine::generator());
        let mask = Zeroizing::new(times_secret(paired, &*key.inverse()?, rng));
        self.core.open(&mask)
    }

    /// ReEnc: turns it over, without opening it.
    ///
    /// # Errors
    /// [`SharingError::Recipient`] for a message to another house than the grant's, [`SharingError::Changed`].
    pub fn turn<R: CryptoRng + ?Sized>(&self, grant: &Grant, rng: &mut R) -> Result<First> {
        self.check(grant.delegator())?;
        let t = random_scalar(rng);
        let inverse = t.inverse().map(Zeroizing::new).ok_or(SharingError::Changed)?;
        let turned = (
            (grant.delegator.x1 * *t).into_affine(),
            (grant.r * *inverse).into_affine(),
            (self.c2 * *t).into_affine(),
        );
        Ok(First { core: self.core.clone(), delegatee: grant.delegatee.id(), turned })
    }

    /// What was said about it.
    #[must_use]
    pub fn about(&self) -> &[u8] {
        &self.core.about
    }

    /// The house it was sealed to, by its key's id.
    #[must_use]
    pub fn delegator(&self) -> &[u8; 32] {
        &self.core.delegator
    }

    /// The encoding: magic, C2, the delegator, `about` behind its length, C1, C4, C3 behind its length, the signature.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(&SECOND);
        self.c2.write(&mut out);
        self.core.write(&mut out);
        out.finish()
    }

    /// Decodes a message and checks its points and its signature.
    ///
    /// # Errors
    /// [`SharingError::Encoding`], [`SharingError::Changed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "a message for delegation";
        let mut reader = Reader::new(bytes);
        expect_magic(&mut reader, SECOND, WHAT)?;
        let c2 = G1Affine::read(&mut reader)?;
        let core = Core::read(&mut reader)?;
        reader.finish().map_err(truncated(WHAT))?;
        Ok(Self { core, c2 })
    }
}

impl First {
    /// Dec1: opens it with the delegatee's key.
    ///
    /// # Errors
    /// [`SharingError::Recipient`], [`SharingError::Changed`].
    pub fn open<R: CryptoRng + ?Sized>(&self, key: &SecretKey, rng: &mut R) -> Result<Zeroizing<Vec<u8>>> {
        let wrong = SharingError::Recipient { what: "the message" };
        if self.delegatee != key.public().id() {
            return Err(wrong);
        }
        let (one, two, three) = self.turned;
        // Equations (2) and (3): e(C2', C2'') = e(X_j, g^), and e(C2', C4) = e(C2''', u^C1 v).
        if !pairings_cancel([one, -key.public().x1], [two, G2Affine::generator()]) {
            return Err(wrong);
        }
        let base = tag_base(&self.core.verification_key)?.into_affine();
        if !pairings_cancel([one, -three], [self.core.tag, base]) {
            return Err(SharingError::Changed);
        }
        self.core.verify()?;
        let paired = Bls12_381::pairing(three, two);
        let mask = Zeroizing::new(times_secret(paired, &*key.inverse()?, rng));
        self.core.open(&mask)
    }

    /// What was said about it.
    #[must_use]
    pub fn about(&self) -> &[u8] {
        &self.core.about
    }

    /// The house it had been sealed to, by its key's id. Nothing proves that this house knew of it.
    #[must_use]
    pub fn delegator(&self) -> &[u8; 32] {
        &self.core.delegator
    }

    /// The house it was turned over to, by its key's id.
    #[must_use]
    pub fn delegatee(&self) -> &[u8; 32] {
        &self.delegatee
    }

    /// The encoding: magic, the delegatee, C2', C2'', C2''', then as of the second level behind C2.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(&FIRST);
        out.bytes(&self.delegatee);
        self.turned.0.write(&mut out);
        self.turned.1.write(&mut out);
        self.turned.2.write(&mut out);
        self.core.write(&mut out);
        out.finish()
    }

    /// Decodes a message and checks its points and its signature.
    ///
    /// # Errors
    /// [`SharingError::Encoding`], also for a second-level message; [`SharingError::Changed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "a message that was turned over";
        let mut reader = Reader::new(bytes);
        expect_magic(&mut reader, FIRST, WHAT)?;
        let delegatee = reader.array().map_err(truncated(WHAT))?;
        let turned =
            (G1Affine::read(&mut reader)?, G2Affine::read(&mut reader)?, G1Affine::read(&mut reader)?);
        let core = Core::read(&mut reader)?;
        reader.finish().map_err(truncated(WHAT))?;
        Ok(Self { core, delegatee, turned })
    }
}
