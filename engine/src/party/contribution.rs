//! A hospital's contribution to an encrypted aggregate: computed over the rows of patients who consent, encrypted, signed,
//! kept, and the same bytes ever after.

use std::sync::Arc;

use ward_protocols::he::{self, Ciphertext};

use super::aggregate::{CONTRIBUTION, TakenIn, layout_of};
use super::ceremony::refuse;
use super::consent::View;
use super::local::step::SlotValue;
use super::node::Node;
use super::task::{ContributionHeader, Outcome};
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::problem::Problem;

/// Most runs of the local step while patients take consent back.
const CONSENT_ATTEMPTS_MAX: u32 = 3;

impl Node {
    /// Computes over the hospital's rows, encrypts, signs, keeps; a retry replays.
    pub(super) fn contribute(self: &Arc<Self>, job: &str) -> Result<(Outcome, Vec<u8>), Problem> {
        if let Some(kept) = self.recall("contribution", job)? {
            let (contribution, body) = split_contribution(&kept)?;
            if contribution.consent.is_some() {
                self.contribution_is_consented(job, &self.taken_in(job)?, contribution.consent)?;
            }
            return Ok((Outcome::Contributed { contribution }, body.to_vec()));
        }
        let taken = self.taken_in(job)?;
        if taken.plan.multi_party.is_some() && !taken.plan.is_masked() {
            return Err(refuse("plan.shares", "the job's sums go to the compute nodes as shares"));
        }
        let mut attempts = 1;
        loop {
            let view = self.view(&taken)?;
            let record = self.compute_contribution(job, &taken, &view)?;
            // Consent is asked again at the last moment before the contribution is drawn for good.
            match self.still_consented(&taken, &view) {
                Err(problem) if problem.code == "consent.changed" && attempts < CONSENT_ATTEMPTS_MAX => {
                    attempts += 1;
                    continue;
                }
                checked => checked?,
            }
            self.keep_use(job, &view)?;
            self.once("contribution", job, taken.digest, &record)?;
            let kept = self.recall("contribution", job)?.unwrap_or_default();
            let (contribution, body) = split_contribution(&kept)?;
            return Ok((Outcome::Contributed { contribution }, body.to_vec()));
        }
    }

    /// Header and ciphertexts over the rows of a view; not kept yet.
    fn compute_contribution(&self, job: &str, taken: &TakenIn, view: &View) -> Result<Vec<u8>, Problem> {
        let floor = self.floor().max(taken.catalogue.floor).max(taken.plan.floor);
        let local = self.released(taken, view, floor)?;
        let about = taken.circumstances(self);
        self.audit_within("data.read", job, &self.consent_note(view), about)?;
        let mut slots = local.slots;
        let proof = self.prove_contribution(taken, floor, &mut slots)?;
        let (c0, c1) = self.encrypt(taken, slots)?;
        let mut header = ContributionHeader {
            hospital: self.name().to_owned(),
            certificate: HexBytes(self.certificate().to_vec()),
            c0: Digest::of(&c0),
            c1: Digest::of(&c1),
            c0_bytes: c0.len() as u64,
            c1_bytes: c1.len() as u64,
            dataset_version: local.dataset_version,
            policy: self.policy_digest(),
            consent: view.root(),
            proof,
            signature: HexBytes::default(),
        };
        let parts = taken.prepare.binding().parts(&header);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        header.signature = HexBytes(self.sign(CONTRIBUTION, &parts));
        Ok(join_contribution(&header, &[c0, c1].concat()))
    }

    /// Checks that the data are those that the catalogue names.
    pub(super) fn check_version(&self, taken: &TakenIn, dataset_version: &str) -> Result<(), Problem> {
        let published =
            taken.catalogue.hospitals.get(self.name()).and_then(|p| p.table(&taken.plan.query.table));
        if published.is_some_and(|table| table.dataset_version == dataset_version) {
            return Ok(());
        }
        self.published.notify_one();
        Err(refuse("data.version", "the data changed since the catalogue was published")
            .hint("submit the query again: it will name the new version"))
    }

    fn encrypt(&self, taken: &TakenIn, slots: Vec<SlotValue>) -> Result<(Vec<u8>, Vec<u8>), Problem> {
        let params = &taken.held.params;
        let internal = |e: ward_protocols::Error| Problem::internal(&e);
        let key = self
            .recall("epoch-key", &taken.held.epoch.id.to_string())?
            .ok_or_else(|| Problem::internal(&"the epoch's public key is gone"))?;
        let key = he::PublicKey::decode(params, &key).map_err(internal)?;
        let layout = layout_of(params, &taken.plan).map_err(internal)?;
        let slots: Vec<he::SlotValue> = slots
            .into_iter()
            .map(|slot| match slot {
                SlotValue::Int(value) => he::SlotValue::Int(value),
                SlotValue::UniformModT => he::SlotValue::UniformModT,
            })
            .collect();
        let mut rng = self.fresh_rng()?;
        let plaintexts = layout.pack_with(&slots, &mut rng).map_err(internal)?;
        let ciphertexts = he::encrypt_all(params, &key, &plaintexts, &mut rng);
        Ok((Ciphertext::encode_c0(params, &ciphertexts), Ciphertext::encode_c1(params, &ciphertexts)))
    }
}

/// A contribution as it is kept: length of the header, header, ciphertexts.
fn join_contribution(header: &ContributionHeader, body: &[u8]) -> Vec<u8> {
    let header = canonical_json(header);
    [&(header.len() as u64).to_be_bytes()[..], &header, body].concat()
}

/// Takes a kept contribution apart.
///
/// # Errors
/// When it is damaged.
pub(super) fn split_contribution(kept: &[u8]) -> Result<(ContributionHeader, &[u8]), Problem> {
    let damaged = || Problem::internal(&"a kept contribution is damaged");
    let (length, rest) = kept.split_first_chunk::<8>().ok_or_else(damaged)?;
    let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| damaged())?;
    let (header, body) = rest.split_at_checked(length).ok_or_else(damaged)?;
    let header = serde_json::from_slice(header).map_err(|_| damaged())?;
    Ok((header, body))
}
