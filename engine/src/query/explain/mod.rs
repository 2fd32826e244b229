//! What a plan means, in words, before anybody computes: what runs where, who learns what, what it costs.

mod text;
mod words;

use serde::{Deserialize, Serialize};

use super::answer::Guarantee;
use super::plan::{MultiParty, Plan, SecurityLevel};
use super::secure;
use crate::consent::Purpose;
use crate::study::{Budget, Study};

/// A plan explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Canonical text of the query.
    pub query: String,
    /// What the answer is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// The study that it is asked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<InStudy>,
    /// What each hospital computes over its rows.
    pub local: LocalStep,
    /// Hospitals that publish the table but cannot answer.
    pub left_out: Vec<LeftOut>,
    /// What happens under encryption; nothing where it is computed on shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure: Option<SecureStep>,
    /// What happens on shares; nothing where it is summed under encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<SharesStep>,
    /// What is withheld, and how.
    pub release: Release,
    /// What the researcher's machine computes from the sums, by heading.
    pub finish: Vec<String>,
    /// Who learns what.
    pub learns: Vec<Learns>,
    /// Against whom the secrecy holds, and against whom it does not.
    pub threat_model: Vec<String>,
    /// Differential privacy spent; `None`: no noise is added.
    pub epsilon: Option<f64>,
    /// The noise, and what it costs every hospital.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Guarantee>,
    /// What the hospitals' policies say; filled in by the caller.
    pub verdicts: Vec<Verdict>,
}

/// A study, as far as it binds a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InStudy {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// Its floor.
    pub floor: u32,
    /// What its answers over a table may cost in privacy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// First moment at which it runs no more (unix milliseconds).
    pub ends_unix_ms: u64,
}

/// The local step, the same at every hospital.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalStep {
    /// Hospitals that compute it.
    pub hospitals: Vec<String>,
    /// Condition on rows.
    pub filter: Option<String>,
    /// Group columns with the number of their codes.
    pub groups: Vec<String>,
    /// The sums, in words.
    pub measures: Vec<String>,
}

/// A hospital that is not asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The hospital.
    pub hospital: String,
    /// Why.
    pub reason: String,
}

/// The encrypted sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecureStep {
    /// Encryption profile.
    pub profile: String,
    /// Hospitals holding a share of the key.
    pub key_holders: Vec<String>,
    /// How many of them a release takes.
    pub threshold: u32,
    /// Numbers each hospital contributes.
    pub slots: u64,
    /// Ciphertexts they fill.
    pub ciphertexts: u32,
    /// Bytes that a hospital with a share of the key sends: its contribution and its key-switch share, or its masked share
    /// and its masks.
    pub bytes_up: u64,
    /// Bytes that it receives: the researcher's public key, and the c1 half of every contribution, because it adds the
    /// sum up itself before it gives a share; a compute node of sums that go on as shares also the other halves.
    pub bytes_down: u64,
    /// The rounds between the engine and the hospitals.
    pub rounds: Vec<String>,
    /// Predicted seconds, by `cost_model`.
    pub seconds: f64,
    /// The model behind `seconds`.
    pub cost_model: CostModel,
}

/// The computation on shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharesStep {
    /// The compute nodes, in the order of their roles.
    pub nodes: Vec<String>,
    /// Against whom it holds.
    pub security: SecurityLevel,
    /// The programs, in words.
    pub programs: Vec<String>,
    /// Numbers and bits that each hospital gives as shares, in words of 64 bits; none where the sums arrive under encryption.
    pub words: u64,
    /// Bytes that a hospital sends.
    pub bytes_up: u64,
    /// Bytes that a compute node sends to the others, predicted.
    pub bytes_node: u64,
    /// Rounds between the compute nodes, predicted.
    pub rounds: u64,
    /// Predicted seconds, by `cost_model`.
    pub seconds: f64,
    /// The model behind `seconds`.
    pub cost_model: CostModel,
}

/// The rules of release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Floor of the consortium.
    pub floor: u32,
    /// The rules, in words.
    pub rules: Vec<String>,
}

/// What somebody learns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learns {
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
}

/// What a hospital's policy says to the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The hospital.
    pub hospital: String,
    /// What it says.
    pub verdict: String,
    /// The rule behind it.
    pub rule: String,
}

/// A simple model of time: a constant for the local step, work per ciphertext, bytes over the slowest link, and
/// round trips. The hospitals work at the same time; the engine adds up one contribution after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostModel {
    /// Reading, filtering and adding up a hospital's rows.
    pub local_seconds: f64,
    /// Encrypting one ciphertext.
    pub encrypt_seconds: f64,
    /// Adding one ciphertext to a sum.
    pub add_seconds: f64,
    /// A key-switch share of one ciphertext.
    pub switch_seconds: f64,
    /// Bytes a second over the slowest hospital's link.
    pub link_bytes_per_second: f64,
    /// One message there and back.
    pub round_trip_seconds: f64,
}

impl Default for CostModel {
    /// One core a party; 100 Mbit/s; 30 ms.
    fn default() -> Self {
        Self {
            local_seconds: 0.1,
            encrypt_seconds: 1e-3,
            add_seconds: 1e-4,
            switch_seconds: 1e-3,
            link_bytes_per_second: 12.5e6,
            round_trip_seconds: 0.03,
        }
    }
}

impl CostModel {
    /// Seconds for so many ciphertexts of so many hospitals, and so many bytes of one hospital's.
    fn seconds(&self, ciphertexts: u32, hospitals: usize, bytes: u64, rounds: usize) -> f64 {
        let each = self.encrypt_seconds + self.switch_seconds + self.add_seconds * hospitals as f64;
        self.local_seconds
            + f64::from(ciphertexts) * each
            + bytes as f64 / self.link_bytes_per_second
            + rounds as f64 * self.round_trip_seconds
    }
}

/// The rounds of an encrypted aggregate.
const ROUNDS: [&str; 4] = [
    "prepare: every hospital makes the plan again and checks its own policy",
    "contribute: every hospital sends its encrypted sums",
    "switch: the key holders turn the total to the researcher's key",
    "cosign: the hospitals cosign the log that holds the receipt",
];

/// Those of a sum that goes on as shares.
const ROUNDS_MASKED: [&str; 4] = [
    "prepare: every hospital makes the plan again and checks its own policy",
    "contribute: every hospital sends its encrypted sums, once",
    "mask: the key holders mask the total; each compute node adds up what the hospitals signed, and opens the masked total",
    "share: the key holders give the compute nodes their masks as shares, in every attempt anew",
];

/// Explains a plan; the verdicts of the hospitals' policies are the caller's to add.
#[must_use]
pub fn explain(plan: &Plan, cost_model: &CostModel) -> Explanation {
    let contribution = u64::from(plan.ciphertexts).saturating_mul(plan.protocol.ciphertext_bytes);
    // A share has both halves of a ciphertext; a public key has one, its other half is a seed.
    let bytes_up = contribution.saturating_mul(2);
    let halves = (plan.hospitals.len() as u64).saturating_mul(contribution / 2);
    let bytes_down = halves.saturating_add(plan.protocol.ciphertext_bytes / 2);
    let (rounds, bytes_up, bytes_down) = if plan.is_masked() {
        // A masked share has one half; a compute node gets the c0 halves too, and the shares of all.
        let shares = u64::from(plan.protocol.threshold).saturating_mul(contribution / 2);
        let masks = (plan.slots() as u64).saturating_mul(16);
        let up = contribution.saturating_add(contribution / 2).saturating_add(masks);
        (ROUNDS_MASKED, up, halves.saturating_mul(2).saturating_add(shares))
    } else {
        (ROUNDS, bytes_up, bytes_down)
    };
    let bytes = bytes_up.saturating_add(bytes_down);
    let has_sum = plan.multi_party.is_none() || plan.is_masked();
    let secure = has_sum.then(|| SecureStep {
        profile: plan.protocol.profile.clone(),
        key_holders: plan.protocol.key_holders.clone(),
        threshold: plan.protocol.threshold,
        slots: plan.slots() as u64,
        ciphertexts: plan.ciphertexts,
        bytes_up,
        bytes_down,
        rounds: rounds.map(str::to_owned).to_vec(),
        seconds: cost_model.seconds(plan.ciphertexts, plan.hospitals.len(), bytes, rounds.len()),
        cost_model: *cost_model,
    });
    let shares = plan.multi_party.as_ref().map(|shares| shares_step(plan, shares, cost_model));
    let left_out = plan.left_out.iter();
    Explanation {
        query: plan.canonical.clone(),
        purpose: plan.purpose,
        study: None,
        local: words::local_step(plan),
        left_out: left_out.map(|(h, r)| LeftOut { hospital: h.clone(), reason: r.clone() }).collect(),
        secure,
        shares,
        release: words::release(plan),
        finish: words::finish(plan),
        learns: words::learns(plan),
        threat_model: words::threat_model(plan),
        epsilon: plan.privacy.as_ref().map(|privacy| privacy.asked.epsilon_nano as f64 / 1e9),
        privacy: super::finish::guarantee(plan, plan.hospitals.len()).unwrap_or_default(),
        verdicts: Vec::new(),
    }
}

fn shares_step(plan: &Plan, shares: &MultiParty, cost_model: &CostModel) -> SharesStep {
    let estimate = secure::estimate(plan).unwrap_or_default();
    let programs = secure::programs(plan).unwrap_or_default();
    let rows = shares.rows.iter().map(|input| input.rows.iter().max().map_or(0, |rows| 2 * rows));
    let words = if plan.is_masked() { 0 } else { plan.slots() as u64 + rows.sum::<u64>() };
    // Two nodes get the words, the third the seeds of the rest.
    let bytes_up = words.saturating_mul(16);
    let bytes = estimate.bytes.saturating_add(bytes_up) as f64;
    SharesStep {
        nodes: shares.nodes.clone(),
        security: shares.security,
        programs: programs.iter().map(|program| words::program(plan, program)).collect(),
        words,
        bytes_up,
        bytes_node: estimate.bytes,
        rounds: estimate.rounds,
        seconds: cost_model.local_seconds
            + bytes / cost_model.link_bytes_per_second
            + (estimate.rounds + 4) as f64 * cost_model.round_trip_seconds,
        cost_model: *cost_model,
    }
}

impl Explanation {
    /// With the study that it is asked in.
    #[must_use]
    pub fn with_study(mut self, study: Option<&Study>) -> Self {
        self.study = study.map(|study| InStudy {
            id: study.id.clone(),
            title: study.title.clone(),
            floor: study.floor,
            budget: study.budget,
            ends_unix_ms: study.ends_unix_ms,
        });
        self
    }

    /// With the hospitals' verdicts as (hospital, verdict, rule).
    #[must_use]
    pub fn with_verdicts(mut self, verdicts: Vec<(String, String, String)>) -> Self {
        let verdict = |(hospital, verdict, rule)| Verdict { hospital, verdict, rule };
        self.verdicts = verdicts.into_iter().map(verdict).collect();
        self
    }
}
