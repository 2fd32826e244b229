//! What the two phases share: making a contribution, and verifying a chain of them.
//!
//! Source: the contributor's and the verifier's side of eprint 2021/219, section 5.2, figures 6 and 7.

use ark_bls12_381::Fr;
use ward_math::Secret;

use super::beacon::Beacon;
use super::coins::Entropy;
use super::curve::{Curve, G1};
use super::error::{Error, Result};
use super::knowledge::{Place, Update};
use super::progress::Progress;
use super::transcript::{Contribution, Hasher, Source, Transcript};

/// A contribution whose factors are drawn and proven, and whose state is still to be computed.
pub(crate) struct Step<'a, const SECRETS: usize> {
    transcript: &'a Transcript,
    source: Source,
    updates: Vec<Update>,
    factors: [Secret<Fr>; SECRETS],
}

impl<'a, const SECRETS: usize> Step<'a, SECRETS> {
    /// Derives a factor for every secret of the phase and proves it.
    pub(crate) fn new(
        transcript: &'a Transcript,
        source: Source,
        entropy: &Entropy,
        secrets: [&'static str; SECRETS],
    ) -> Self {
        let previous = transcript.head();
        let place =
            Place { previous: &previous, source: &source, number: transcript.contributions().len() + 1 };
        let before = values(transcript, transcript.contributions().len());
        let factors = secrets.map(|secret| entropy.factor(secret));
        let updates = secrets
            .iter()
            .zip(&before)
            .zip(&factors)
            .map(|((secret, before), factor)| Update::prove(&place, secret, before, factor))
            .collect();
        Self { transcript, source, updates, factors }
    }

    /// The factors, in the order of the phase's secrets.
    pub(crate) fn factors(&self) -> &[Secret<Fr>; SECRETS] {
        &self.factors
    }

    /// The transcript with this contribution, which left `state`.
    pub(crate) fn finish(self, state: &[u8]) -> Transcript {
        self.transcript.with(Contribution {
            source: self.source,
            previous: self.transcript.head(),
            state: state_hash(state),
            updates: self.updates,
        })
    }
}

/// Hash of a state file.
pub(crate) fn state_hash(state: &[u8]) -> [u8; 32] {
    Hasher::new("state").field(state).finish()
}

/// `[s]_1` of every secret after `count` contributions. Before the first all secrets are one.
fn values(transcript: &Transcript, count: usize) -> Vec<G1> {
    match count.checked_sub(1).and_then(|last| transcript.contributions().get(last)) {
        Some(contribution) => contribution.updates.iter().map(|update| update.value).collect(),
        None => vec![G1::generator(); transcript.phase().secrets().len()],
    }
}

/// Work of [`verify`] in units of progress.
pub(crate) fn work(transcript: &Transcript, known: usize) -> usize {
    let beacon = if transcript.beacon().is_some() { Beacon::WORK } else { 0 };
    128 * transcript.contributions().len().saturating_sub(known) + beacon
}

/// Verifies the contributions after the first `known`: each stands behind the history it names, nothing follows
/// a beacon, the factors of a beacon are the beacon's, every factor is proven and multiplies the value before.
pub(crate) fn verify(transcript: &Transcript, known: usize, progress: &Progress<'_>) -> Result<()> {
    let secrets = transcript.phase().secrets();
    let contributions = transcript.contributions();
    for (index, contribution) in contributions.iter().enumerate().skip(known) {
        let number = index + 1;
        let before = index.checked_sub(1).and_then(|last| contributions.get(last));
        if before.is_some_and(|before| matches!(before.source, Source::Beacon(_))) {
            return Err(Error::Closed);
        }
        let head = before.map_or_else(|| transcript.start(), Contribution::hash);
        if contribution.previous != head {
            return Err(Error::History(number));
        }
        if let Source::Beacon(beacon) = &contribution.source {
            verify_beacon(beacon, &head, contribution, number, secrets, progress)?;
        }
        let place = Place { previous: &head, source: &contribution.source, number };
        let values = values(transcript, index);
        for ((update, secret), value) in contribution.updates.iter().zip(secrets).zip(&values) {
            update.verify(&place, secret, value)?;
        }
        progress.add(128);
    }
    Ok(())
}

/// Checks that the factors of a closing contribution are the ones of its beacon.
fn verify_beacon(
    beacon: &Beacon,
    head: &[u8; 32],
    contribution: &Contribution,
    number: usize,
    secrets: &[&str],
    progress: &Progress<'_>,
) -> Result<()> {
    let entropy = beacon.entropy(head, progress);
    for (update, secret) in contribution.updates.iter().zip(secrets) {
        let factor = G1::generator().mult(entropy.factor(secret).expose());
        if G1::normalise(&[factor])[0] != update.factor_g1 {
            return Err(Error::Beacon(number));
        }
    }
    Ok(())
}

/// Checks that a state is the one that the transcript ends with: by its hash, and by the values of the secrets.
pub(crate) fn check_end(transcript: &Transcript, state_values: &[G1], state: &[u8]) -> Result<()> {
    if let Some(last) = transcript.contributions().last()
        && last.state != state_hash(state)
    {
        return Err(Error::StateHash);
    }
    let expected = values(transcript, transcript.contributions().len());
    for ((expected, found), secret) in expected.iter().zip(state_values).zip(transcript.phase().secrets()) {
        if expected != found {
            return Err(Error::StateValue(secret));
        }
    }
    Ok(())
}
