//! Profiles and parameters.
//!
//! Source: Homomorphic Encryption Standard (2018), table 1, ternary secrets, classical.

use core::fmt;
use std::sync::{Arc, OnceLock};

use ward_math::Ring;
use ward_math::digits::{DigitMap, digits_for};

use super::noise::NoiseBounds;
use super::transcript::Transcript;
use crate::error::{Error, Result};

/// Degree and modulus. Security is that of ternary secrets by the Homomorphic Encryption Standard (2018).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profile {
    /// `N = 4096`, 4 limbs, 108 bits (limit 109): short-lived keys of one study. About ten plaintext bits at full
    /// smudging: counts, flags.
    Study4096,
    /// `N = 8192`, 8 limbs, 216 bits (limit 218): the default.
    Default8192,
    /// `N = 16384`, 16 limbs, 432 bits (limit 438): the densest packing.
    Bulk16384,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Study4096, Self::Default8192, Self::Bulk16384];

    /// The name that is written to files and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Study4096 => "study-4096",
            Self::Default8192 => "default-8192",
            Self::Bulk16384 => "bulk-16384",
        }
    }

    /// The profile of a name.
    ///
    /// # Errors
    /// [`Error::UnknownProfile`].
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name).ok_or(Error::UnknownProfile)
    }

    /// The code of the profile on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Study4096 => 1,
            Self::Default8192 => 2,
            Self::Bulk16384 => 3,
        }
    }

    /// The ring degree `N`.
    #[must_use]
    pub fn degree(self) -> usize {
        match self {
            Self::Study4096 => 4096,
            Self::Default8192 => 8192,
            Self::Bulk16384 => 16384,
        }
    }

    /// The number of limbs `L`.
    #[must_use]
    pub fn limbs(self) -> usize {
        self.degree() / 1024
    }

    /// Hash of what every object of this profile shares: degree and primes.
    #[must_use]
    pub fn digest(self) -> [u8; 32] {
        let transcript =
            Transcript::new("profile").field(self.name().as_bytes()).integer(self.degree() as u64);
        ward_math::modulus::PRIMES[..self.limbs()]
            .iter()
            .fold(transcript, |t, &q| t.integer(q.into()))
            .finish()
    }

    /// The ring, whose tables are made once in a process.
    fn ring(self) -> Result<Arc<Ring>> {
        static RINGS: [OnceLock<Arc<Ring>>; 3] = [const { OnceLock::new() }; 3];
        let cell = &RINGS[self as usize];
        if let Some(ring) = cell.get() {
            return Ok(Arc::clone(ring));
        }
        let ring = Arc::new(Ring::new(self.degree(), self.limbs())?);
        Ok(Arc::clone(cell.get_or_init(|| ring)))
    }
}

/// A profile with the number of parties and what follows from it: the plaintext modulus `t = 2^log2_t`, the noise
/// bounds, the constants of encoding and decoding. Cheap to clone.
#[derive(Clone)]
pub struct Parameters(Arc<Inner>);

struct Inner {
    profile: Profile,
    parties: u32,
    lambda: u32,
    log2_t: u32,
    ring: Arc<Ring>,
    noise: NoiseBounds,
    digest: [u8; 32],
    encoding: Encoding,
    decoding: Decoding,
    smudging: DigitMap,
}

/// Constants of `m -> round(Q m / t)`.
pub(crate) struct Encoding {
    /// `Q mod t` and `t / 2`, little-endian words.
    pub(crate) q_mod_t: Vec<u64>,
    pub(crate) half_t: Vec<u64>,
    /// `r -> -r / t + 1/2 mod q_l` on `r = (Q m + t/2) mod t`.
    pub(crate) map: DigitMap,
}

/// Constants of `x -> round(t x / Q)`.
pub(crate) struct Decoding {
    /// `(Q / q_l)^-1 mod q_l`.
    pub(crate) cofactor_inverses: Vec<u32>,
    /// `floor(2^(64 W) / q_l)`, `[L][W]` little-endian words.
    pub(crate) fractions: Vec<Vec<u64>>,
}

/// Statistical security of smudging, in bits for each coefficient.
pub const LAMBDA_DEFAULT: u32 = 80;
/// Most parties.
pub const PARTIES_MAX: u32 = 128;

impl Parameters {
    /// Packed parameters: the largest plaintext modulus that a sum of one fresh ciphertext of each of `parties`
    /// leaves room for, with 80 bits of smudging and decryption failing below 2^-128.
    ///
    /// # Errors
    /// [`Error::Parties`] outside `1..=128`.
    pub fn new(profile: Profile, parties: u32) -> Result<Self> {
        Self::with_lambda(profile, parties, LAMBDA_DEFAULT)
    }

    /// [`Parameters::new`] with `lambda` bits of smudging.
    ///
    /// # Errors
    /// [`Error::Parties`]; [`Error::Lambda`] outside `40..=96`; [`Error::PlaintextSpace`] when fewer than two bits
    /// are left.
    pub fn with_lambda(profile: Profile, parties: u32, lambda: u32) -> Result<Self> {
        Self::build(profile, parties, lambda, None)
    }

    /// Parameters for the ring `Z_2^64` that the other protocols share: one value to a coefficient.
    ///
    /// # Errors
    /// [`Error::Parties`]; [`Error::PlaintextSpace`] where the profile is too small (`Study4096`).
    pub fn ring64(profile: Profile, parties: u32) -> Result<Self> {
        Self::build(profile, parties, LAMBDA_DEFAULT, Some(64))
    }

    fn build(profile: Profile, parties: u32, lambda: u32, log2_t: Option<u32>) -> Result<Self> {
        if !(1..=PARTIES_MAX).contains(&parties) {
            return Err(Error::Parties(parties));
        }
        if !(40..=96).contains(&lambda) {
            return Err(Error::Lambda(lambda));
        }
        let ring = profile.ring()?;
        let noise = NoiseBounds::new(ring.degree(), parties, lambda);
        let q = modulus_words(&ring);
        let (bits, top) = top_bits(&q);
        let available = noise.plaintext_bits(bits, top);
        let log2_t = log2_t.unwrap_or(available);
        if log2_t > available || log2_t < 2 {
            let needed = log2_t.max(2);
            return Err(Error::PlaintextSpace { profile: profile.name(), needed, available });
        }
        let digest = Transcript::new("parameters")
            .field(&profile.digest())
            .integer(parties.into())
            .integer(lambda.into())
            .integer(log2_t.into())
            .integer(noise.smudging_bits.into())
            .finish();
        let smudge_offsets: Vec<(u32, u32)> =
            ring.moduli().map(|m| (1, m.neg(m.pow_vartime(2, noise.smudging_bits.into())))).collect();
        Ok(Self(Arc::new(Inner {
            smudging: DigitMap::new(&ring, digits_for(noise.smudging_bits + 1), &smudge_offsets)?,
            encoding: Encoding::new(&ring, &q, log2_t)?,
            decoding: Decoding::new(&ring, log2_t),
            profile,
            parties,
            lambda,
            log2_t,
            ring,
            noise,
            digest,
        })))
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.0.profile
    }

    /// Number of parties that hold key shares, and most ciphertexts in a sum.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.0.parties
    }

    /// Statistical security of smudging in bits, for each coefficient.
    #[must_use]
    pub fn lambda(&self) -> u32 {
        self.0.lambda
    }

    /// Bits of the plaintext modulus `t = 2^log2_t`.
    #[must_use]
    pub fn log2_t(&self) -> u32 {
        self.0.log2_t
    }

    /// The ring degree `N`, the number of coefficients in a plaintext.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.0.ring.degree()
    }

    /// The number of limbs `L`.
    #[must_use]
    pub fn limbs(&self) -> usize {
        self.0.ring.limbs()
    }

    /// 64-bit words of a plaintext coefficient.
    #[must_use]
    pub fn words(&self) -> usize {
        self.0.log2_t.div_ceil(64) as usize
    }

    /// The noise bounds.
    #[must_use]
    pub fn noise(&self) -> &NoiseBounds {
        &self.0.noise
    }

    /// Hash of everything two parties must agree on.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest
    }

    /// The ring, for code that calls a [`ward_math::Backend`].
    #[must_use]
    pub fn ring(&self) -> &Ring {
        &self.0.ring
    }

    pub(crate) fn encoding(&self) -> &Encoding {
        &self.0.encoding
    }

    pub(crate) fn decoding(&self) -> &Decoding {
        &self.0.decoding
    }

    pub(crate) fn smudging(&self) -> &DigitMap {
        &self.0.smudging
    }
}

impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}
impl Eq for Parameters {}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("profile", &self.profile())
            .field("parties", &self.parties())
            .field("lambda", &self.lambda())
            .field("log2_t", &self.log2_t())
            .finish_non_exhaustive()
    }
}

impl Encoding {
    fn new(ring: &Ring, q: &[u64], log2_t: u32) -> Result<Self> {
        let words = log2_t.div_ceil(64) as usize;
        let mut q_mod_t: Vec<u64> = q.iter().copied().chain(core::iter::repeat(0)).take(words).collect();
        mask_top(&mut q_mod_t, log2_t);
        let mut half_t = vec![0; words];
        half_t[(log2_t as usize - 1) / 64] = 1 << ((log2_t - 1) % 64);
        let affine: Vec<(u32, u32)> = ring
            .moduli()
            .map(|m| {
                let t_inverse = m.inv(m.pow_vartime(2, log2_t.into())).unwrap_or_default(); // t is a unit: q odd
                (m.neg(t_inverse), m.value().div_ceil(2))
            })
            .collect();
        Ok(Self { q_mod_t, half_t, map: DigitMap::new(ring, digits_for(log2_t), &affine)? })
    }
}

impl Decoding {
    fn new(ring: &Ring, log2_t: u32) -> Self {
        // 64 bits and more below the point: the error of L products of 27 bits stays under 2^-33.
        let words = (log2_t + 64).div_ceil(64) as usize;
        let primes: Vec<u32> = ring.moduli().map(ward_math::Modulus::value).collect();
        let cofactor_inverses = ring
            .moduli()
            .map(|m| {
                let others = primes.iter().filter(|&&p| p != m.value());
                m.inv(others.fold(1, |acc, &p| m.mul(acc, m.reduce(p)))).unwrap_or_default()
            })
            .collect();
        let fractions = primes.iter().map(|&q| reciprocal(q, words)).collect();
        Self { cofactor_inverses, fractions }
    }
}

/// `floor(2^(64 words) / q)`.
fn reciprocal(q: u32, words: usize) -> Vec<u64> {
    let mut out = vec![0; words];
    let mut rest = 1u128;
    for word in out.iter_mut().rev() {
        let value = rest << 64;
        *word = (value / u128::from(q)) as u64;
        rest = value % u128::from(q);
    }
    out
}

/// Clears the bits of `words` from `bits` on.
pub(crate) fn mask_top(words: &mut [u64], bits: u32) {
    if let (Some(top), rest @ 1..) = (words.last_mut(), bits % 64) {
        *top &= (1 << rest) - 1;
    }
}

/// `Q` in little-endian words.
fn modulus_words(ring: &Ring) -> Vec<u64> {
    let mut q = vec![1u64];
    for m in ring.moduli() {
        let mut carry = 0u128;
        for word in &mut q {
            let product = u128::from(*word) * u128::from(m.value()) + carry;
            *word = product as u64;
            carry = product >> 64;
        }
        if carry > 0 {
            q.push(carry as u64);
        }
    }
    q
}

/// Number of bits of `q`, and its top 128 bits (from zeros on, where `q` is shorter).
fn top_bits(q: &[u64]) -> (u32, u128) {
    let at = |i: usize| q.len().checked_sub(i).and_then(|i| q.get(i)).copied().unwrap_or_default();
    let zeros = at(1).leading_zeros();
    let high = (u128::from(at(1)) << 64) | u128::from(at(2));
    let next = (u128::from(at(3)) << zeros) >> 64;
    (64 * q.len() as u32 - zeros, (high << zeros) | next)
}
