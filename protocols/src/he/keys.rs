//! Collective key generation (EncKeyGen) and the receiver's key.
//!
//! Source: Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux (PoPETs 2021), protocol EncKeyGen. Deviation: the common reference
//! comes from committed nonces.

use core::fmt;

use rand_core::CryptoRng;
use ward_math::sampling::{binomial, child_seed, expand, ternary, uniform_poly};
use ward_math::{Backend, CpuBackend, Evaluations, FixedPoly, Poly, Secret};
use zeroize::Zeroizing;

use super::params::Parameters;
use super::transcript::Transcript;
use super::wire::{self, Kind};
use crate::error::{Error, Result};

const CPU: &dyn Backend = &CpuBackend::PARALLEL;

/// Commitment of `party` to its nonce for `study`. The nonce is 32 uniform bytes, which hide it.
#[must_use]
pub fn commit_nonce(params: &Parameters, study: &[u8], party: &str, nonce: &[u8; 32]) -> [u8; 32] {
    Transcript::new("nonce commitment")
        .field(&params.digest())
        .field(study)
        .field(party.as_bytes())
        .field(nonce)
        .finish()
}

/// Checks an opened nonce against its commitment.
///
/// # Errors
/// [`Error::Commitment`] with the party's name.
pub fn check_nonce(
    params: &Parameters,
    study: &[u8],
    party: &str,
    nonce: &[u8; 32],
    commitment: &[u8; 32],
) -> Result<()> {
    if commit_nonce(params, study, party, nonce) == *commitment {
        Ok(())
    } else {
        Err(Error::Commitment(party.to_owned()))
    }
}

/// The common reference polynomial `a`, uniform, by a 32-byte public seed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommonReference {
    seed: [u8; 32],
}

impl CommonReference {
    /// The reference of a study from all parties' opened nonces, in any order.
    ///
    /// # Security
    /// Uniform when one nonce is, provided that all were committed to before any was opened.
    #[must_use]
    pub fn derive(params: &Parameters, nonces: &[(&str, [u8; 32])], study: &[u8]) -> Self {
        let mut sorted = nonces.to_vec();
        sorted.sort_unstable();
        let transcript = Transcript::new("common reference")
            .field(&params.digest())
            .field(study)
            .integer(sorted.len() as u64);
        let transcript =
            sorted.iter().fold(transcript, |t, (party, nonce)| t.field(party.as_bytes()).field(nonce));
        Self { seed: transcript.finish() }
    }

    /// The public seed, for logs and receipts.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

/// `a` from a public seed: uniform residues from ChaCha20.
fn expand_reference(params: &Parameters, seed: &[u8; 32]) -> Poly<Evaluations> {
    let key = Transcript::new("reference polynomial").field(&params.profile().digest()).field(seed).finish();
    uniform_poly(&mut expand(&key, 0), params.ring())
}

/// A ternary secret from a seed, by its values.
fn expand_secret(params: &Parameters, label: &str, seed: &Secret<[u8; 32]>) -> Poly<Evaluations> {
    let key = Zeroizing::new(
        Transcript::new(label).field(&params.profile().digest()).field(seed.expose()).finish(),
    );
    let mut small = Zeroizing::new(vec![0i8; params.degree()]);
    ternary(&mut expand(&key, 0), &mut small);
    Poly::from_small(params.ring(), &small).into_evaluations(params.ring(), CPU)
}

/// `-a s + e` with `e` from `rng`.
fn mask_secret<R: CryptoRng + ?Sized>(
    params: &Parameters,
    a: &Poly<Evaluations>,
    s: &FixedPoly,
    rng: &mut R,
) -> Poly<Evaluations> {
    let ring = params.ring();
    let mut small = Zeroizing::new(vec![0i8; params.degree()]);
    binomial(rng, &mut small);
    let mut b = a.clone();
    b.mul_fixed(ring, CPU, s);
    b.negate(ring, CPU);
    let e = Poly::from_small(ring, &small).into_evaluations(ring, CPU);
    let e = Secret::new(e);
    b.add_assign(ring, CPU, e.expose());
    b
}

/// A party's share `s_i` of the collective secret key: uniform ternary, `[L][N]` by values.
pub struct SecretKeyShare {
    pub(crate) s: Secret<FixedPoly>,
}

impl SecretKeyShare {
    /// The share of a 32-byte seed, which is all that a node stores.
    #[must_use]
    pub fn from_seed(params: &Parameters, seed: &Secret<[u8; 32]>) -> Self {
        let s = expand_secret(params, "secret key share", seed);
        Self { s: Secret::new(FixedPoly::new(params.ring(), s)) }
    }

    /// This share as it enters a key switch of all `n` parties.
    #[must_use]
    pub fn active_all(&self, params: &Parameters) -> ActiveKeyShare {
        let s = self.s.expose().values().clone();
        ActiveKeyShare { s: Secret::new(FixedPoly::new(params.ring(), s)) }
    }
}

/// A key share as it enters one key switch: `s_i`, or the Lagrange-weighted Shamir share of an active set. The
/// shares of the set add up to the collective secret.
pub struct ActiveKeyShare {
    pub(crate) s: Secret<FixedPoly>,
}

/// A party's share `b_i = -a s_i + e_i` of the collective public key.
///
/// Noise: `e_i` has standard deviation 3.24.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKeyShare {
    b: Poly<Evaluations>,
}

impl PublicKeyShare {
    /// This party's share. Round 1 of EncKeyGen.
    ///
    /// # Security
    /// Draw it once, store it, then commit to its [`digest`](Self::digest), open it, and replay those bytes: two
    /// shares of one secret differ by errors alone, and their average reveals the secret.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(
        params: &Parameters,
        crs: &CommonReference,
        secret: &SecretKeyShare,
        rng: &mut R,
    ) -> Self {
        let a = expand_reference(params, &crs.seed);
        let seed = child_seed(rng);
        Self { b: mask_secret(params, &a, secret.s.expose(), &mut expand(&seed, 0)) }
    }

    /// Hash to commit to, and to sign.
    #[must_use]
    pub fn digest(&self, params: &Parameters) -> [u8; 32] {
        Transcript::new("public key share").field(&self.encode(params)).finish()
    }

    /// The encoded share.
    #[must_use]
    pub fn encode(&self, params: &Parameters) -> Vec<u8> {
        let mut w = wire::start(params, Kind::PublicKeyShare, 1, wire::poly_len(params));
        self.b.write(&mut w);
        w.finish()
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// A header of another kind, version, profile or parameter set; a wrong length; a residue that is not reduced.
    pub fn decode(params: &Parameters, bytes: &[u8]) -> Result<Self> {
        let mut r = wire::open_one(params, Kind::PublicKeyShare, wire::poly_len(params), bytes)?;
        Ok(Self { b: wire::read_poly(params, &mut r)? })
    }
}

/// A public key `(b, a)` with `b = -a s + e`: the hospitals' collective key, or the receiver's own. `a` is given by
/// its seed, so the key is half as long on the wire and `a` cannot be chosen.
pub struct PublicKey {
    pub(crate) b: FixedPoly,
    pub(crate) a: FixedPoly,
    a_seed: [u8; 32],
}

impl PublicKey {
    fn from_parts(params: &Parameters, b: Poly<Evaluations>, a_seed: [u8; 32]) -> Self {
        let a = expand_reference(params, &a_seed);
        Self { b: FixedPoly::new(params.ring(), b), a: FixedPoly::new(params.ring(), a), a_seed }
    }

    /// The collective key from the shares of all parties.
    ///
    /// # Errors
    /// [`Error::Count`] unless there is one share of each party.
    pub fn aggregate(params: &Parameters, crs: &CommonReference, shares: &[PublicKeyShare]) -> Result<Self> {
        let expected = params.parties() as usize;
        if shares.len() != expected {
            return Err(Error::Count { what: "public key shares", found: shares.len(), expected });
        }
        let mut b = Poly::zero(params.ring());
        for share in shares {
            b.add_assign(params.ring(), CPU, &share.b);
        }
        Ok(Self::from_parts(params, b, crs.seed))
    }

    /// Hash of the key, to pin it.
    #[must_use]
    pub fn digest(&self, params: &Parameters) -> [u8; 32] {
        Transcript::new("public key").field(&self.encode(params)).finish()
    }

    /// The encoded key.
    #[must_use]
    pub fn encode(&self, params: &Parameters) -> Vec<u8> {
        let mut w = wire::start(params, Kind::PublicKey, 1, 32 + wire::poly_len(params));
        w.bytes(&self.a_seed);
        self.b.values().write(&mut w);
        w.finish()
    }

    /// Decodes what [`encode`](Self::encode) wrote. A key belongs to a profile, not to a number of parties.
    ///
    /// # Errors
    /// A header of another kind, version or profile; a wrong length; a residue that is not reduced.
    pub fn decode(params: &Parameters, bytes: &[u8]) -> Result<Self> {
        let mut r = wire::open_one(params, Kind::PublicKey, 32 + wire::poly_len(params), bytes)?;
        let a_seed = r.array()?;
        Ok(Self::from_parts(params, wire::read_poly(params, &mut r)?, a_seed))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("a_seed", &self.a_seed).finish_non_exhaustive()
    }
}

impl fmt::Debug for PublicKeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKeyShare").finish_non_exhaustive()
    }
}

/// The receiver's secret key, ternary, from a seed that is all it stores.
pub struct ReceiverSecret {
    pub(crate) s: Secret<FixedPoly>,
    seed: Secret<[u8; 32]>,
}

impl ReceiverSecret {
    /// The key of a 32-byte seed.
    #[must_use]
    pub fn from_seed(params: &Parameters, seed: &Secret<[u8; 32]>) -> Self {
        let s = expand_secret(params, "receiver secret", seed);
        Self { s: Secret::new(FixedPoly::new(params.ring(), s)), seed: Secret::new(*seed.expose()) }
    }

    /// The public key, the same at every call: `a` and `e` follow from the seed by separate hashes.
    #[must_use]
    pub fn public_key(&self, params: &Parameters) -> PublicKey {
        let derive = |label| {
            Transcript::new(label).field(&params.profile().digest()).field(self.seed.expose()).finish()
        };
        let a_seed = derive("receiver reference");
        let a = expand_reference(params, &a_seed);
        let error_seed = Zeroizing::new(derive("receiver error"));
        let b = mask_secret(params, &a, self.s.expose(), &mut expand(&error_seed, 0));
        PublicKey::from_parts(params, b, a_seed)
    }
}
