//! Phase 2: delta, for one relation; then the keys.
//!
//! Parties: contributors one after the other, anybody as verifier. Input: a finished [`Phase1`] and a
//! [`Relation`]. Outputs: `[delta]_1`, `[delta]_2`, and the queries of the witness and of the quotient divided by
//! delta. Adversary: malicious, all contributors but one. Rounds: one message for each contributor. Bytes: 96 for
//! each variable of the witness and each point of the domain, and about 0.4 KiB for a contribution.
//! Source: Bowe, Gabizon, Miers (eprint 2017/1050), section 6; Kohlweiss, Maller, Siim, Volkhov, "Snarky
//! Ceremonies" (eprint 2021/219), section 5.2, figures 6 and 7. As there, the state is checked against the
//! prepared queries (delta = 1) and the contributions by their proofs, so no earlier state is kept.

use std::sync::Arc;

use ark_bls12_381::Fr;
use rand_core::CryptoRng;
use rayon::prelude::*;
use ward_math::Secret;
use ward_math::codec::{Reader, Writer};

use super::beacon::Beacon;
use super::chain::{self, Step};
use super::coins::{COIN_BITS, Coins, Entropy, invert};
use super::curve::{Curve, G1, G2, pairings_agree};
use super::error::{Error, Result};
use super::phase1::Phase1;
use super::points::{Infinity, check_subgroup, decode, encode};
use super::prepared::Prepared;
use super::progress::{Progress, Report};
use super::queries::{PRIVATE, QUOTIENT, Queries};
use super::relation::Relation;
use super::scale::scale;
use super::transcript::{
    Contributor, FileKind, Hasher, Phase, SECRETS_2, Source, Transcript, read_header, write_header,
};
use crate::groth16::KeyParts;

const DELTA_G1: &str = "delta in G1";
const DELTA_G2: &str = "delta in G2";

/// What contributions change.
struct State {
    delta_g1: G1,
    delta_g2: G2,
    /// The query of the witness over delta.
    private: Vec<G1>,
    /// The query of the quotient over delta.
    quotient: Vec<G1>,
}

impl State {
    /// Delta is one.
    fn initial(queries: &Queries) -> Self {
        Self {
            delta_g1: G1::generator(),
            delta_g2: G2::generator(),
            private: queries.private.clone(),
            quotient: queries.quotient.clone(),
        }
    }

    fn count(&self) -> usize {
        self.private.len() + self.quotient.len()
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        write_header(&mut writer, FileKind::State, Phase::Two);
        let mut out = writer.finish();
        out.reserve_exact((self.count() + 3) * G1::BYTES);
        encode(&[self.delta_g1], &mut out);
        encode(&[self.delta_g2], &mut out);
        encode(&self.private, &mut out);
        encode(&self.quotient, &mut out);
        out
    }

    /// Reads the state of a key with these queries.
    fn decode(bytes: &[u8], queries: &Queries) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        read_header(&mut reader, FileKind::State, Phase::Two)?;
        let state = Self {
            delta_g1: decode(&mut reader, 1, DELTA_G1, Infinity::Refused)?[0],
            delta_g2: decode(&mut reader, 1, DELTA_G2, Infinity::Refused)?[0],
            private: decode(&mut reader, queries.private.len(), PRIVATE, Infinity::Allowed)?,
            quotient: decode(&mut reader, queries.quotient.len(), QUOTIENT, Infinity::Refused)?,
        };
        reader.finish()?;
        Ok(state)
    }

    /// Multiplies delta by the factor.
    fn multiply(&self, delta: &Secret<Fr>, progress: &Progress<'_>) -> Self {
        let inverse = invert(delta);
        Self {
            delta_g1: G1::normalise(&[self.delta_g1.mult(delta.expose())])[0],
            delta_g2: G2::normalise(&[self.delta_g2.mult(delta.expose())])[0],
            private: scale(&self.private, &inverse, progress),
            quotient: scale(&self.quotient, &inverse, progress),
        }
    }

    /// Checks the state against the queries with delta one (eprint 2021/219, figure 7, step on phase 2).
    fn check(&self, queries: &Queries, coins: &Coins, progress: &Progress<'_>) -> Result<()> {
        check_subgroup(&[self.delta_g1], DELTA_G1, coins, progress)?;
        check_subgroup(&[self.delta_g2], DELTA_G2, coins, progress)?;
        check_subgroup(&self.private, PRIVATE, coins, progress)?;
        check_subgroup(&self.quotient, QUOTIENT, coins, progress)?;
        let (one_g1, one_g2) = (G1::generator(), G2::generator());
        if !pairings_agree((&self.delta_g1, &one_g2), (&one_g1, &self.delta_g2)) {
            return Err(Error::Groups("delta"));
        }
        let pairs =
            [(PRIVATE, &self.private, &queries.private), (QUOTIENT, &self.quotient, &queries.quotient)];
        for (name, divided, whole) in pairs {
            let coefficients = coins.coefficients(name, whole.len());
            let divided = G1::msm_vartime(divided, &coefficients, COIN_BITS);
            let whole = G1::msm_vartime(whole, &coefficients, COIN_BITS);
            progress.add(coefficients.len() / (COIN_BITS / 8));
            if !pairings_agree((&divided, &self.delta_g2), (&whole, &one_g2)) {
                return Err(Error::Quotient(name));
            }
        }
        Ok(())
    }
}

/// The files of a second phase.
#[derive(Clone, Copy)]
pub struct Phase2Files<'a> {
    /// What [`Phase2::encode_prepared`] gave.
    pub prepared: &'a [u8],
    /// The transcript.
    pub transcript: &'a [u8],
    /// The state.
    pub state: &'a [u8],
}

/// A second phase that was verified, down to the first phase and the relation.
///
/// Only [`Phase2::begin`], [`Phase2::verify`] and the steps from there make one.
pub struct Phase2 {
    prepared: Arc<Prepared>,
    transcript: Transcript,
    state: State,
}

impl Phase2 {
    /// Prepares the keys of `relation`, called `name`, from a first phase that at least `contributors_min` people
    /// took part in. Takes minutes for tens of thousands of constraints; needs no secret.
    ///
    /// # Errors
    /// [`Error::NotClosed`], [`Error::Contributors`], [`Error::Capacity`], [`Error::Name`].
    pub fn begin(
        name: &str,
        phase1: &Phase1,
        relation: &Relation<'_>,
        contributors_min: usize,
        report: Report<'_>,
    ) -> Result<Self> {
        check_first(phase1, relation, contributors_min)?;
        let progress = Progress::new(report, Queries::work(relation));
        let queries = Queries::prepare(phase1.powers(), relation, &progress);
        let prepared = Prepared::new(phase1, relation, queries);
        let transcript = Transcript::new(Phase::Two, name, origin(&prepared.encode()))?;
        progress.finish();
        let state = State::initial(&prepared.queries);
        Ok(Self { prepared: Arc::new(prepared), transcript, state })
    }

    /// Verifies the files of a second phase: that the queries are those of `relation` at the powers of `phase1`,
    /// that the contributions follow from each other, and that the state is theirs.
    ///
    /// # Errors
    /// What is wrong; see [`Error`].
    ///
    /// # Security
    /// As [`Phase1::verify`].
    pub fn verify<R: CryptoRng + ?Sized>(
        phase1: &Phase1,
        (relation, contributors_min): (&Relation<'_>, usize),
        files: Phase2Files<'_>,
        rng: &mut R,
        report: Report<'_>,
    ) -> Result<Self> {
        check_first(phase1, relation, contributors_min)?;
        let transcript = Transcript::decode(Phase::Two, files.transcript)?;
        let prepared = Prepared::decode(files.prepared)?;
        let work = 2 * prepared.count() + Self::work(&prepared.queries, &transcript, 0);
        let progress = Progress::new(report, work);
        if *transcript.origin() != origin(files.prepared) {
            return Err(Error::Header("prepared key"));
        }
        prepared.check(phase1, relation, &Coins::draw(rng), &progress)?;
        Self::verify_from(0, Arc::new(prepared), transcript, (files.state, rng), &progress)
    }

    /// Verifies that `transcript` is this one with one more contribution, and that `state` is what it left.
    ///
    /// # Errors
    /// [`Error::Continuation`], and those of [`Phase2::verify`].
    pub fn verify_next<R: CryptoRng + ?Sized>(
        &self,
        transcript: &[u8],
        state: &[u8],
        rng: &mut R,
        report: Report<'_>,
    ) -> Result<Self> {
        let next = Transcript::decode(Phase::Two, transcript)?;
        if !next.continues(&self.transcript) {
            return Err(Error::Continuation);
        }
        let known = self.transcript.contributions().len();
        let progress = Progress::new(report, Self::work(&self.prepared.queries, &next, known));
        Self::verify_from(known, self.prepared.clone(), next, (state, rng), &progress)
    }

    fn work(queries: &Queries, transcript: &Transcript, known: usize) -> usize {
        2 * (queries.private.len() + queries.quotient.len() + 1) + chain::work(transcript, known)
    }

    fn verify_from<R: CryptoRng + ?Sized>(
        known: usize,
        prepared: Arc<Prepared>,
        transcript: Transcript,
        (state_bytes, rng): (&[u8], &mut R),
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let state = State::decode(state_bytes, &prepared.queries)?;
        chain::verify(&transcript, known, progress)?;
        chain::check_end(&transcript, &[state.delta_g1], state_bytes)?;
        state.check(&prepared.queries, &Coins::draw(rng), progress)?;
        progress.finish();
        Ok(Self { prepared, transcript, state })
    }

    /// Multiplies delta by a factor drawn from `rng` and `extra`; see [`Phase1::contribute`].
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
        let progress = Progress::new(report, self.state.count());
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
        let progress = Progress::new(report, self.state.count() + Beacon::WORK);
        let entropy = beacon.entropy(&self.transcript.head(), &progress);
        Ok(self.step(Source::Beacon(beacon.clone()), &entropy, &progress))
    }

    fn step(&self, source: Source, entropy: &Entropy, progress: &Progress<'_>) -> Self {
        let step = Step::new(&self.transcript, source, entropy, SECRETS_2);
        let [delta] = step.factors();
        let state = self.state.multiply(delta, progress);
        let transcript = step.finish(&state.encode());
        progress.finish();
        Self { prepared: self.prepared.clone(), transcript, state }
    }

    /// The transcript.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// The file of what no contribution changes.
    #[must_use]
    pub fn encode_prepared(&self) -> Vec<u8> {
        self.prepared.encode()
    }

    /// The state file.
    #[must_use]
    pub fn encode_state(&self) -> Vec<u8> {
        self.state.encode()
    }

    /// Hash of the relation.
    #[must_use]
    pub fn relation(&self) -> &[u8; 32] {
        &self.prepared.relation
    }

    /// The points of the keys, when the phase is closed and at least `contributors_min` people took part in it.
    /// Gamma is one.
    ///
    /// # Errors
    /// [`Error::NotClosed`], [`Error::Contributors`].
    pub fn finish(&self, contributors_min: usize) -> Result<KeyParts> {
        self.transcript.check_finished(contributors_min)?;
        let g1 = |points: &[G1]| points.par_iter().map(|point| point.to_ark()).collect();
        let queries = &self.prepared.queries;
        Ok(KeyParts {
            alpha_g1: self.prepared.alpha_g1.to_ark(),
            beta_g1: self.prepared.beta_g1.to_ark(),
            beta_g2: self.prepared.beta_g2.to_ark(),
            gamma_g2: G2::generator().to_ark(),
            delta_g1: self.state.delta_g1.to_ark(),
            delta_g2: self.state.delta_g2.to_ark(),
            inputs_g1: g1(&queries.public),
            a_g1: g1(&queries.a),
            b_g1: g1(&queries.b_g1),
            b_g2: queries.b_g2.par_iter().map(|point| point.to_ark()).collect(),
            witnesses_g1: g1(&self.state.private),
            quotient_g1: g1(&self.state.quotient),
        })
    }
}

/// Checks that a first phase is finished and large enough.
fn check_first(phase1: &Phase1, relation: &Relation<'_>, contributors_min: usize) -> Result<()> {
    phase1.transcript().check_finished(contributors_min)?;
    let (needed, available) = (relation.domain(), phase1.powers().size());
    if needed > available { Err(Error::Capacity { needed, available }) } else { Ok(()) }
}

/// What a second phase starts from.
fn origin(prepared: &[u8]) -> [u8; 32] {
    Hasher::new("prepared key").field(prepared).finish()
}

#[cfg(test)]
impl Phase2 {
    pub(crate) fn prepared_queries(&self) -> &Queries {
        &self.prepared.queries
    }

    /// A phase that somebody began with other queries, with one contribution.
    pub(crate) fn begin_with(
        name: &str,
        phase1: &Phase1,
        relation: &Relation<'_>,
        change: impl FnOnce(&mut Queries),
    ) -> Self {
        let begun = Self::begin(name, phase1, relation, 1, super::SILENT).unwrap();
        let mut queries = begun.prepared.queries.clone();
        change(&mut queries);
        let prepared = Prepared::new(phase1, relation, queries);
        let transcript = Transcript::new(Phase::Two, name, origin(&prepared.encode())).unwrap();
        let state = State::initial(&prepared.queries);
        Self { prepared: Arc::new(prepared), transcript, state }
    }
}
