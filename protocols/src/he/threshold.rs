//! `t` of `n`: Shamir sharing of every party's key share over each RNS prime.
//!
//! Parties: `n` dealers who are also the recipients, at points `1..=n`. Input: `s_i`. Output: to party `j` the
//! value at `j` of the sum of all dealers' polynomials, whose value at 0 is the collective secret.
//! Rounds: one, pairwise private. Bytes: one encoded polynomial to each other party.
//! Adversary: semi-honest, `t - 1` corrupted. A dealer who deals inconsistent shares makes decryption fail
//! ([`Error::Undecryptable`]); it does not open anything.
//! Source: Mouchet, Bertrand, Hubaux, "An efficient threshold access-structure for RLWE-based multiparty
//! homomorphic encryption" (2022/780), protocols Thresholdize and Combine.

use rand_core::CryptoRng;
use ward_math::codec::{Reader, Writer};
use ward_math::sampling::{child_seed, expand, uniform_poly};
use ward_math::{Backend, CpuBackend, Evaluations, FixedPoly, Modulus, Poly, Secret};

use super::keys::{ActiveKeyShare, SecretKeyShare};
use super::params::{PARTIES_MAX, Parameters};
use super::wire::{self, Kind};
use crate::error::{Error, Result};

const CPU: &dyn Backend = &CpuBackend::PARALLEL;

/// Who a share belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Access {
    threshold: u32,
    parties: u32,
    /// The holder's point, `1..=parties`.
    holder: u32,
}

impl Access {
    const LEN: usize = 12;

    fn check(self, params: &Parameters) -> Result<Self> {
        let Self { threshold, parties, holder } = self;
        if threshold == 0 || threshold > parties || parties > params.parties().min(PARTIES_MAX) {
            return Err(Error::Threshold { threshold, parties });
        }
        if holder == 0 || holder > parties {
            return Err(Error::ActiveSet { threshold, parties });
        }
        Ok(self)
    }

    fn write(self, w: &mut Writer) {
        [self.threshold, self.parties, self.holder].into_iter().for_each(|x| w.u32(x));
    }

    fn read(params: &Parameters, r: &mut Reader<'_>) -> Result<Self> {
        Self { threshold: r.u32()?, parties: r.u32()?, holder: r.u32()? }.check(params)
    }
}

/// One dealer's share for one recipient. Secret; to be sealed to that recipient.
pub struct ShamirShare {
    access: Access,
    value: Secret<Poly<Evaluations>>,
}

/// A party's sum of the shares dealt to it: its share of the collective secret.
pub struct ThresholdKeyShare {
    access: Access,
    value: Secret<Poly<Evaluations>>,
}

/// Deals `secret` to parties `1..=n` so that any `t` of them can use it: share `j - 1` is for party `j`.
///
/// # Errors
/// [`Error::Threshold`] unless `1 <= t <= n <= params.parties()`.
pub fn shamir_split<R: CryptoRng + ?Sized>(
    params: &Parameters,
    secret: &SecretKeyShare,
    t: u32,
    n: u32,
    rng: &mut R,
) -> Result<Vec<ShamirShare>> {
    let ring = params.ring();
    Access { threshold: t, parties: n, holder: 1 }.check(params)?;
    // f(X) = s + r_1 X + ... + r_(t-1) X^(t-1), r_k uniform.
    let seed = child_seed(rng);
    let random: Vec<Secret<Poly<Evaluations>>> =
        (1..t).map(|k| Secret::new(uniform_poly(&mut expand(&seed, k.into()), ring))).collect();
    let share = |holder: u32| {
        let scalars = vec![holder; params.limbs()];
        let mut value = Poly::zero(ring);
        for coefficient in random.iter().rev() {
            value.add_assign(ring, CPU, coefficient.expose());
            value.mul_scalars(ring, &scalars);
        }
        value.add_assign(ring, CPU, secret.s.expose().values());
        ShamirShare { access: Access { threshold: t, parties: n, holder }, value: Secret::new(value) }
    };
    Ok((1..=n).map(share).collect())
}

/// Adds the shares that all `n` dealers, this party included, dealt to this party.
///
/// # Errors
/// [`Error::Count`] unless there is one share of each dealer; [`Error::MixedShares`] when they are not of one
/// access structure and recipient.
pub fn shamir_combine(params: &Parameters, shares: &[ShamirShare]) -> Result<ThresholdKeyShare> {
    let Some(first) = shares.first() else {
        return Err(Error::Count { what: "dealt shares", found: 0, expected: params.parties() as usize });
    };
    let access = first.access;
    if shares.len() != access.parties as usize {
        let expected = access.parties as usize;
        return Err(Error::Count { what: "dealt shares", found: shares.len(), expected });
    }
    let mut value = Secret::new(Poly::zero(params.ring()));
    for share in shares {
        if share.access != access {
            return Err(Error::MixedShares);
        }
        value.expose_mut().add_assign(params.ring(), CPU, share.value.expose());
    }
    Ok(ThresholdKeyShare { access, value })
}

impl ThresholdKeyShare {
    /// This party's share for the active set `active`, weighted so that the set's shares add up to the secret.
    ///
    /// # Errors
    /// [`Error::ActiveSet`] unless `active` has at least `t` distinct members of `1..=n`, `me` among them, and `me`
    /// is the holder of this share.
    pub fn active(&self, params: &Parameters, me: u32, active: &[u32]) -> Result<ActiveKeyShare> {
        let Access { threshold, parties, holder } = self.access;
        let mut set = active.to_vec();
        set.sort_unstable();
        set.dedup();
        let in_range = set.iter().all(|x| (1..=parties).contains(x));
        let complete = set.len() == active.len() && set.len() >= threshold as usize;
        if me != holder || !in_range || !complete || !set.contains(&me) {
            return Err(Error::ActiveSet { threshold, parties });
        }
        let weights: Vec<u32> = params.ring().moduli().map(|m| lagrange_at_zero(m, me, &set)).collect();
        let mut s = self.value.expose().clone();
        s.mul_scalars(params.ring(), &weights);
        Ok(ActiveKeyShare { s: Secret::new(FixedPoly::new(params.ring(), s)) })
    }

    /// The encoded share, for the holder's sealed store.
    #[must_use]
    pub fn encode(&self, params: &Parameters) -> Secret<Vec<u8>> {
        encode(params, Kind::ThresholdKeyShare, self.access, &self.value)
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// A malformed header, length, access structure or residue.
    pub fn decode(params: &Parameters, bytes: &[u8]) -> Result<Self> {
        let (access, value) = decode(params, Kind::ThresholdKeyShare, bytes)?;
        Ok(Self { access, value })
    }
}

impl ShamirShare {
    /// The point of the recipient, `1..=n`.
    #[must_use]
    pub fn recipient(&self) -> u32 {
        self.access.holder
    }

    /// The encoded share, to be sealed to its recipient.
    #[must_use]
    pub fn encode(&self, params: &Parameters) -> Secret<Vec<u8>> {
        encode(params, Kind::ShamirShare, self.access, &self.value)
    }

    /// Decodes what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// A malformed header, length, access structure or residue.
    pub fn decode(params: &Parameters, bytes: &[u8]) -> Result<Self> {
        let (access, value) = decode(params, Kind::ShamirShare, bytes)?;
        Ok(Self { access, value })
    }
}

fn encode(
    params: &Parameters,
    kind: Kind,
    access: Access,
    value: &Secret<Poly<Evaluations>>,
) -> Secret<Vec<u8>> {
    let mut w = wire::start(params, kind, 1, Access::LEN + wire::poly_len(params));
    access.write(&mut w);
    value.expose().write(&mut w);
    Secret::new(w.finish())
}

fn decode(params: &Parameters, kind: Kind, bytes: &[u8]) -> Result<(Access, Secret<Poly<Evaluations>>)> {
    let mut r = wire::open_one(params, kind, Access::LEN + wire::poly_len(params), bytes)?;
    let access = Access::read(params, &mut r)?;
    Ok((access, Secret::new(wire::read_poly(params, &mut r)?)))
}

/// `prod_{j in set, j != me} j / (j - me) mod q`; points are distinct and far below `q`.
fn lagrange_at_zero(m: &Modulus, me: u32, set: &[u32]) -> u32 {
    let others = || set.iter().copied().filter(|&j| j != me);
    let numerator = others().fold(1, |acc, j| m.mul(acc, j));
    let denominator = others().fold(1, |acc, j| m.mul(acc, m.sub(j, me)));
    m.mul(numerator, m.inv(denominator).unwrap_or_default())
}
