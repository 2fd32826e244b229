//! Phase 1: powers of tau, for every circuit up to a size.
//!
//! Parties: contributors one after the other, anybody as verifier. Outputs: `[tau^i]_1` for `i <= 2N - 2`,
//! `[alpha tau^i]_1`, `[beta tau^i]_1` and `[tau^i]_2` for `i < N`, `[beta]_2`, with `N = 2^n`. Adversary:
//! malicious, all contributors but one; nobody knows tau, alpha or beta when one contributor forgets its factors.
//! Rounds: one message for each contributor. Bytes: 576 N + 192 for the state, about 0.9 KiB for a contribution.
//! Source: Bowe, Gabizon, Miers, "Scalable Multi-party Computation for zk-SNARK Parameters in the Random Beacon
//! Model" (eprint 2017/1050); Kohlweiss, Maller, Siim, Volkhov, "Snarky Ceremonies" (eprint 2021/219), section
//! 5.2, figures 6 (update) and 7 (verification). As there, the state is checked whole and the contributions by
//! their proofs alone, so no earlier state is kept. Deviation: checks that share a ratio are combined with
//! coefficients of 128 bits that the verifier draws itself.

use ark_bls12_381::Fr;
use ark_ff::One;
use rand_core::CryptoRng;
use ward_math::Secret;
use ward_math::codec::{Reader, Writer};

use super::beacon::Beacon;
use super::chain::{self, Step};
use super::coins::{COIN_BITS, Coins, Entropy};
use super::curve::{Curve, G1, G2, pairings_agree};
use super::error::{Error, Result};
use super::points::{Infinity, check_subgroup, decode, encode};
use super::progress::{Progress, Report};
use super::scale::{scale, scale_powers};
use super::transcript::{
    Contributor, FileKind, Hasher, Phase, SECRETS_1, Source, Transcript, read_header, write_header,
};

/// Logarithm of the largest size.
pub const SIZE_LOG2_MAX: u8 = 20;

const TAU_G1: &str = "powers of tau in G1";
const ALPHA_G1: &str = "powers of tau times alpha in G1";
const BETA_G1: &str = "powers of tau times beta in G1";
const TAU_G2: &str = "powers of tau in G2";
const BETA_G2: &str = "beta in G2";

/// The points of phase 1. Decoded they are on the curve; [`Powers::check`] does the rest.
pub(crate) struct Powers {
    log2: u8,
    /// `[tau^i]_1`, `i <= 2N - 2`.
    pub(crate) tau_g1: Vec<G1>,
    /// `[alpha tau^i]_1`, `i < N`.
    pub(crate) alpha_g1: Vec<G1>,
    /// `[beta tau^i]_1`, `i < N`.
    pub(crate) beta_g1: Vec<G1>,
    /// `[tau^i]_2`, `i < N`.
    pub(crate) tau_g2: Vec<G2>,
    /// `[beta]_2`.
    pub(crate) beta_g2: G2,
}

fn check_size(log2: u8) -> Result<usize> {
    if (1..=SIZE_LOG2_MAX).contains(&log2) { Ok(1 << log2) } else { Err(Error::Size(log2)) }
}

impl Powers {
    /// All secrets one.
    fn initial(log2: u8) -> Result<Self> {
        let n = check_size(log2)?;
        Ok(Self {
            log2,
            tau_g1: vec![G1::generator(); 2 * n - 1],
            alpha_g1: vec![G1::generator(); n],
            beta_g1: vec![G1::generator(); n],
            tau_g2: vec![G2::generator(); n],
            beta_g2: G2::generator(),
        })
    }

    /// `N`: points of the largest domain.
    pub(crate) fn size(&self) -> usize {
        1 << self.log2
    }

    /// Points in all.
    fn count(&self) -> usize {
        5 * self.size()
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        write_header(&mut writer, FileKind::State, Phase::One);
        writer.u8(self.log2);
        let mut out = writer.finish();
        out.reserve_exact(4 * self.size() * G1::BYTES + (self.size() + 1) * G2::BYTES);
        encode(&self.tau_g1, &mut out);
        encode(&self.alpha_g1, &mut out);
        encode(&self.beta_g1, &mut out);
        encode(&self.tau_g2, &mut out);
        encode(&[self.beta_g2], &mut out);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        read_header(&mut reader, FileKind::State, Phase::One)?;
        let log2 = reader.u8()?;
        let n = check_size(log2)?;
        let powers = Self {
            log2,
            tau_g1: decode(&mut reader, 2 * n - 1, TAU_G1, Infinity::Refused)?,
            alpha_g1: decode(&mut reader, n, ALPHA_G1, Infinity::Refused)?,
            beta_g1: decode(&mut reader, n, BETA_G1, Infinity::Refused)?,
            tau_g2: decode(&mut reader, n, TAU_G2, Infinity::Refused)?,
            beta_g2: decode(&mut reader, 1, BETA_G2, Infinity::Refused)?[0],
        };
        reader.finish()?;
        Ok(powers)
    }

    /// `[tau]_1`, `[alpha]_1`, `[beta]_1`.
    fn values(&self) -> [G1; 3] {
        [self.tau_g1[1], self.alpha_g1[0], self.beta_g1[0]]
    }

    /// Multiplies tau, alpha and beta by the factors.
    fn multiply(&self, [tau, alpha, beta]: &[Secret<Fr>; 3], progress: &Progress<'_>) -> Self {
        let one = Secret::new(Fr::one());
        Self {
            log2: self.log2,
            tau_g1: scale_powers(&self.tau_g1, &one, tau, progress),
            alpha_g1: scale_powers(&self.alpha_g1, alpha, tau, progress),
            beta_g1: scale_powers(&self.beta_g1, beta, tau, progress),
            tau_g2: scale_powers(&self.tau_g2, &one, tau, progress),
            beta_g2: scale(&[self.beta_g2], beta, progress)[0],
        }
    }

    /// Checks everything about the state by itself (eprint 2021/219, figure 7, step on phase 1).
    fn check(&self, coins: &Coins, progress: &Progress<'_>) -> Result<()> {
        check_subgroup(&self.tau_g1, TAU_G1, coins, progress)?;
        check_subgroup(&self.alpha_g1, ALPHA_G1, coins, progress)?;
        check_subgroup(&self.beta_g1, BETA_G1, coins, progress)?;
        check_subgroup(&self.tau_g2, TAU_G2, coins, progress)?;
        check_subgroup(&[self.beta_g2], BETA_G2, coins, progress)?;

        let (one_g1, one_g2) = (G1::generator(), G2::generator());
        if self.tau_g1[0] != one_g1 {
            return Err(Error::Generator(TAU_G1));
        }
        if self.tau_g2[0] != one_g2 {
            return Err(Error::Generator(TAU_G2));
        }
        let ([tau_g1, _, beta_g1], tau_g2) = (self.values(), self.tau_g2[1]);
        if !pairings_agree((&tau_g1, &one_g2), (&one_g1, &tau_g2)) {
            return Err(Error::Groups("tau"));
        }
        if !pairings_agree((&beta_g1, &one_g2), (&one_g1, &self.beta_g2)) {
            return Err(Error::Groups("beta"));
        }
        // Consecutive elements have the ratio tau.
        for (vector, points) in [(TAU_G1, &self.tau_g1), (ALPHA_G1, &self.alpha_g1), (BETA_G1, &self.beta_g1)]
        {
            let (low, high) = shifted(points, &coins.coefficients(vector, points.len() - 1));
            progress.add(points.len());
            if !pairings_agree((&high, &one_g2), (&low, &tau_g2)) {
                return Err(Error::Powers(vector));
            }
        }
        let (low, high) = shifted(&self.tau_g2, &coins.coefficients(TAU_G2, self.tau_g2.len() - 1));
        progress.add(self.tau_g2.len());
        if !pairings_agree((&one_g1, &high), (&tau_g1, &low)) {
            return Err(Error::Powers(TAU_G2));
        }
        Ok(())
    }
}

/// `sum_i c_i p_i` and `sum_i c_i p_(i+1)`.
fn shifted<C: Curve>(points: &[C], coefficients: &[u8]) -> (C, C) {
    let last = points.len() - 1;
    (
        C::msm_vartime(&points[..last], coefficients, COIN_BITS),
        C::msm_vartime(&points[1..], coefficients, COIN_BITS),
    )
}

/// A first phase that was verified: the transcript, and the state it leads to.
///
/// Only [`Phase1::begin`], [`Phase1::verify`] and the steps from there make one.
pub struct Phase1 {
    transcript: Transcript,
    powers: Powers,
}

impl Phase1 {
    /// A ceremony called `ceremony` for circuits whose domain has up to `2^log2` points: at least as many as
    /// constraints and public inputs together. All secrets are one until somebody contributes.
    ///
    /// # Errors
    /// [`Error::Size`], [`Error::Name`].
    pub fn begin(ceremony: &str, log2: u8) -> Result<Self> {
        let powers = Powers::initial(log2)?;
        Ok(Self { transcript: Transcript::new(Phase::One, ceremony, origin(log2))?, powers })
    }

    /// Verifies a transcript and the state that it leads to: every contribution by its proofs, the state whole.
    /// `rng` draws the verifier's coins.
    ///
    /// # Errors
    /// What is wrong, first in the transcript, then in the state; see [`Error`].
    ///
    /// # Security
    /// Against malicious contributors and coordinators: a state that is not the product of the contributions of
    /// the transcript passes with a probability below `2^-120`.
    pub fn verify<R: CryptoRng + ?Sized>(
        transcript: &[u8],
        state: &[u8],
        rng: &mut R,
        report: Report<'_>,
    ) -> Result<Self> {
        let transcript = Transcript::decode(Phase::One, transcript)?;
        Self::verify_from(0, transcript, state, rng, report)
    }

    /// Verifies that `transcript` is this one with one more contribution, and that `state` is what it left.
    ///
    /// # Errors
    /// [`Error::Continuation`], and those of [`Phase1::verify`].
    pub fn verify_next<R: CryptoRng + ?Sized>(
        &self,
        transcript: &[u8],
        state: &[u8],
        rng: &mut R,
        report: Report<'_>,
    ) -> Result<Self> {
        let next = Transcript::decode(Phase::One, transcript)?;
        if !next.continues(&self.transcript) {
            return Err(Error::Continuation);
        }
        Self::verify_from(self.transcript.contributions().len(), next, state, rng, report)
    }

    /// Verifies the contributions from number `known` on, and the state.
    fn verify_from<R: CryptoRng + ?Sized>(
        known: usize,
        transcript: Transcript,
        state: &[u8],
        rng: &mut R,
        report: Report<'_>,
    ) -> Result<Self> {
        let powers = Powers::decode(state)?;
        if *transcript.origin() != origin(powers.log2) {
            return Err(Error::Header("size"));
        }
        let work = 2 * powers.count() + chain::work(&transcript, known);
        let progress = Progress::new(report, work);
        chain::verify(&transcript, known, &progress)?;
        chain::check_end(&transcript, &powers.values(), state)?;
        powers.check(&Coins::draw(rng), &progress)?;
        progress.finish();
        Ok(Self { transcript, powers })
    }

    /// Multiplies every secret by a factor drawn from `rng` and `extra`, what the contributor adds to it (may be
    /// empty). The factors are wiped before this returns: there is nothing to destroy but the memory of `extra`.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Full`].
    pub fn contribute<R: CryptoRng + ?Sized>(
        &self,
        contributor: &Contributor,
        rng: &mut R,
        extra: &[u8],
        report: Report<'_>,
    ) -> Result<Self> {
        self.transcript.check_open()?;
        let progress = Progress::new(report, self.powers.count());
        let entropy = Entropy::mix(rng, extra, &self.transcript.head());
        Ok(self.step(Source::Party(contributor.clone()), &entropy, &progress))
    }

    /// Closes the phase by the contribution that everybody can derive from a public value.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Full`], [`Error::Contributors`] when nobody contributed.
    pub fn close(&self, beacon: &Beacon, report: Report<'_>) -> Result<Self> {
        self.transcript.check_open()?;
        if self.transcript.contributors() == 0 {
            return Err(Error::Contributors { found: 0, needed: 1 });
        }
        let progress = Progress::new(report, self.powers.count() + Beacon::WORK);
        let entropy = beacon.entropy(&self.transcript.head(), &progress);
        Ok(self.step(Source::Beacon(beacon.clone()), &entropy, &progress))
    }

    fn step(&self, source: Source, entropy: &Entropy, progress: &Progress<'_>) -> Self {
        let step = Step::new(&self.transcript, source, entropy, SECRETS_1);
        let powers = self.powers.multiply(step.factors(), progress);
        let transcript = step.finish(&powers.encode());
        progress.finish();
        Self { transcript, powers }
    }

    /// The transcript.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// The state file: header, logarithm of the size, uncompressed points.
    #[must_use]
    pub fn encode_state(&self) -> Vec<u8> {
        self.powers.encode()
    }

    /// Logarithm of the size.
    #[must_use]
    pub fn log2(&self) -> u8 {
        self.powers.log2
    }

    pub(crate) fn powers(&self) -> &Powers {
        &self.powers
    }
}

/// What a first phase of a size starts from.
fn origin(log2: u8) -> [u8; 32] {
    Hasher::new("powers of tau over bls12-381").field(&[log2]).finish()
}
