//! A hospital's release rules at work: noise that is drawn once and paid for once, cohorts that are not told apart, the
//! floor that outlasts a restart.

use std::collections::HashMap;

use super::aggregate::TakenIn;
use super::ceremony::refuse;
use super::consent::{View, data_version};
use super::local::across::{Sorted, Versions};
use super::local::cohort::{Partition, Patients, is_too_close};
use super::local::noise;
use super::local::privacy::PrivacyPolicy;
use super::local::step::{self, Contribution, SlotValue};
use super::node::Node;
use crate::audit::Context;
use crate::encoding::{Digest, canonical_json, separated};
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::{Plan, Privacy};
use crate::query::rounding::floor_of_cohorts;
use crate::records::version::RowTags;
use crate::store::{Charge, CohortScope, FLOOR_ROW, StoreError, VersionRows};
use crate::study::StudyRef;

/// Most cohorts that are kept for one researcher and one version of a table.
pub const COHORTS_MAX: u32 = 4096;

/// Newest versions of a table whose answers are held against those over a later one.
const VERSIONS_MAX: usize = 32;

/// The part of a table's budget that a study may spend.
#[derive(Default)]
struct Purse {
    /// The study; empty for none.
    study: String,
    /// All that its answers over the table may cost, in 10^-9 of rho; none where the table's budget alone counts.
    limit_rho_nano: Option<u64>,
}

fn rho(nano: u64) -> f64 {
    nano as f64 / 1e9
}

/// What an answer with noise is an answer to: the same again is not drawn again, and not paid for again.
fn answer_of(plan: &Plan, privacy: &Privacy, version: &str) -> Digest {
    let blocks: Vec<_> = plan.blocks.iter().map(|block| (&block.content, block.slots)).collect();
    let rule = canonical_json(&(privacy, &plan.columns, &plan.hospitals, plan.participation, blocks));
    separated("ward/v1/answer", &[plan.canonical.as_bytes(), version.as_bytes(), &rule])
}

impl Node {
    /// What a job contributes: the sums of the local step under the rules of release. With noise they are paid for,
    /// drawn once, stored, and replayed for the same question over the same data, whoever asks; without, their cohorts
    /// are held against those answered before.
    pub(super) fn released(&self, taken: &TakenIn, view: &View, floor: u32) -> Result<Contribution, Problem> {
        match &taken.plan.privacy {
            Some(privacy) => self.with_noise(taken, view, (privacy, floor)),
            None => {
                let local = step::run(&taken.plan, &view.data, self.name(), floor).map_err(Problem::from)?;
                self.check_version(taken, &local.dataset_version)?;
                self.admit(taken, view, &local, floor)?;
                Ok(local)
            }
        }
    }

    fn with_noise(
        &self,
        taken: &TakenIn,
        view: &View,
        (privacy, floor): (&Privacy, u32),
    ) -> Result<Contribution, Problem> {
        let (plan, data) = (&taken.plan, &view.data);
        let dataset_version = data.dataset_version(&plan.query.table).map_err(Problem::from)?;
        self.check_version(taken, &dataset_version)?;
        // Under other consents it is another answer.
        let answer = answer_of(plan, privacy, &view.version_of(&dataset_version));
        let cell = answer.to_string();
        if let Some(kept) = self.recall("noised", &cell)? {
            return Ok(Contribution {
                slots: read(&kept)?,
                dataset_version,
                rows_in_filter: 0,
                cohorts: vec![],
            });
        }
        // Paid before it is drawn: a crash in between costs budget, never privacy.
        self.pay(taken, privacy, answer)?;
        let mut local = step::run(plan, data, self.name(), floor).map_err(Problem::from)?;
        self.check_version(taken, &local.dataset_version)?;
        noise::add(plan, &mut local.slots).map_err(|e| Problem::internal(&e))?;
        self.once("noised", &cell, answer, &write(&local.slots)?)?;
        // Of two draws at once the stored one counts.
        let kept = self.recall("noised", &cell)?.unwrap_or_default();
        Ok(Contribution { slots: read(&kept)?, ..local })
    }

    fn privacy_policy(&self) -> Result<&PrivacyPolicy, Problem> {
        self.policy().privacy.as_ref().ok_or_else(|| {
            refuse("policy.privacy", "this hospital answers no queries with noise")
                .hint("ask without WITH PRIVACY, or ask the hospital for a budget")
        })
    }

    fn pay(&self, taken: &TakenIn, privacy: &Privacy, answer: Digest) -> Result<(), Problem> {
        let (policy, now) = (self.privacy_policy()?, self.now_ms());
        let purse = self.purse(taken.request.study.as_ref())?;
        let charge = Charge {
            answer,
            dataset: taken.plan.query.table.clone(),
            study: purse.study,
            job: taken.prepare.job.clone(),
            rho_nano: privacy.rho_nano,
            epsilon_nano: privacy.asked.epsilon_nano,
            delta_atto: privacy.asked.delta_atto,
            at_ms: now,
        };
        let detail =
            format!("{}, rho {}, for {}", charge.dataset, rho(charge.rho_nano), taken.request.researcher);
        let audit = self.audit_event("budget.spend", &charge.job, &detail).within(taken.circumstances(self));
        let charged = self.store().charge(
            &charge,
            (policy.budget_rho_nano(), purse.limit_rho_nano),
            policy.since_ms(now),
            &audit,
        );
        charged.map(drop).map_err(|error| self.unpaid(policy, error))
    }

    fn unpaid(&self, policy: &PrivacyPolicy, error: StoreError) -> Problem {
        let StoreError::BudgetSpent { dataset, study, left_rho_nano, asked_rho_nano } = &error else {
            return error.into();
        };
        if !study.is_empty() {
            let message = format!(
                "the privacy budget of study {study} for {dataset} has {} of rho left, the answer costs {}",
                rho(*left_rho_nano),
                rho(*asked_rho_nano),
            );
            return refuse("budget.spent", message)
                .hint("ask with a smaller epsilon, or draft a study with a larger budget");
        }
        let message = format!(
            "the privacy budget of {dataset} has {} of rho left, the answer costs {} (together epsilon {:.3} at delta {:e})",
            rho(*left_rho_nano),
            rho(*asked_rho_nano),
            policy.epsilon_of(policy.budget_rho_nano()),
            policy.budget_delta_atto as f64 / 1e18,
        );
        let hint = match policy.period_days {
            Some(days) => format!("ask with a smaller epsilon; what was spent counts for {days} days"),
            None => "ask with a smaller epsilon; this hospital's budget is not refilled".to_owned(),
        };
        refuse("budget.spent", message).hint(hint)
    }

    /// Refuses a plan that the budget has no room for; says what it would cost.
    pub(super) fn judge_budget(
        &self,
        plan: &Plan,
        (researcher, study): (&str, Option<&StudyRef>),
    ) -> Result<Option<String>, Problem> {
        let Some(privacy) = &plan.privacy else { return Ok(None) };
        if !plan.hospitals.iter().any(|name| name == self.name()) {
            return Ok(None);
        }
        let (policy, now) = (self.privacy_policy()?, self.now_ms());
        let table = &plan.query.table;
        let version = self.data().dataset_version(table).map_err(Problem::from)?;
        let read = self.version_read(plan, researcher, &version)?;
        if let Some(read) = read
            && self.store().is_charged(&answer_of(plan, privacy, &read))?
        {
            return Ok(Some("answered before: costs nothing more".to_owned()));
        }
        let since = policy.since_ms(now);
        let (limit, spent) = (policy.budget_rho_nano(), self.store().spent(table, since)?);
        let left_rho_nano = limit.saturating_sub(spent);
        let purse = self.purse(study)?;
        let of_study = match purse.limit_rho_nano {
            Some(limit) => Some(limit.saturating_sub(self.store().spent_by(&purse.study, table, since)?)),
            None => None,
        };
        for (study, left) in [(String::new(), Some(left_rho_nano)), (purse.study.clone(), of_study)] {
            if let Some(left_rho_nano) = left.filter(|left| privacy.rho_nano > *left) {
                let (dataset, asked_rho_nano) = (table.clone(), privacy.rho_nano);
                let spent = StoreError::BudgetSpent { dataset, study, left_rho_nano, asked_rho_nano };
                return Err(self.unpaid(policy, spent));
            }
        }
        let of_study = of_study.map_or_else(String::new, |left| {
            format!("; study {} has rho {} left for {table}", purse.study, rho(left))
        });
        Ok(Some(format!(
            "costs rho {} of {} left; with it, all answers over {table} make epsilon {:.3} of {:.3}{of_study}",
            rho(privacy.rho_nano),
            rho(left_rho_nano),
            policy.epsilon_of(spent.saturating_add(privacy.rho_nano)),
            policy.epsilon_of(limit),
        )))
    }

    /// From what an answer with noise is paid besides the table's budget: the study's, by this hospital's own copy. A
    /// study that it keeps no copy of (broken glass) has no budget of its own here; the table's holds all the same.
    fn purse(&self, named: Option<&StudyRef>) -> Result<Purse, Problem> {
        let Some(named) = named else { return Ok(Purse::default()) };
        let study = named.id.clone();
        let Some(copy) = self.own_copy(named)? else { return Ok(Purse { study, limit_rho_nano: None }) };
        let budget = copy.budget.ok_or_else(|| {
            refuse("study.budget", format!("study {study} has no privacy budget"))
                .hint("ask without noise, or draft a study with --epsilon")
        })?;
        Ok(Purse { study, limit_rho_nano: Some(budget.rho_nano()) })
    }

    /// Holds what an answer shows against what was shown before to the same researcher, and keeps it.
    pub(super) fn admit(
        &self,
        taken: &TakenIn,
        view: &View,
        local: &Contribution,
        floor: u32,
    ) -> Result<(), Problem> {
        let floor = u64::from(floor.max(floor_of_cohorts(&taken.plan)));
        if floor <= 1 || local.cohorts.is_empty() {
            return Ok(());
        }
        // On shares a cell that is small here is shown where it is not small over all hospitals; it is not compared.
        let cohorts: Vec<Partition> =
            local.cohorts.iter().map(|c| c.at_least(floor)).filter(|c| !c.is_empty()).collect();
        let table = &taken.plan.query.table;
        let patients = self.data().patients(table, &local.dataset_version).map_err(Problem::from)?;
        let patients = patients.map(Patients::new);
        let earlier = self.earlier(table, &taken.request.researcher, &local.dataset_version)?;
        let tags = self.data().tags(table, &local.dataset_version).map_err(Problem::from)?;
        let now = Sorted::new(&tags);
        let beside = earlier.iter().map(|(version, rows)| {
            let versions = rows.as_ref().map(|rows| Versions::new(rows, &now));
            (version.as_str(), versions)
        });
        let earlier: HashMap<&str, Option<Versions<'_>>> = beside.collect();
        let judge = |version: &str, kept: &[u8]| {
            let corrupt = || StoreError::Corrupt { what: "cohort", reason: "it does not parse".to_owned() };
            let kept = Partition::decode(kept).ok_or_else(corrupt)?;
            let version = data_version(version);
            let is_close = |new: &Partition| match earlier.get(version) {
                _ if version == local.dataset_version => is_too_close(&kept, new, patients.as_ref(), floor),
                Some(Some(versions)) => versions.is_too_close(&kept, new, floor),
                Some(None) => false,
                // Shown by another job since the versions were read.
                None => true,
            };
            if cohorts.iter().any(is_close) { Err(StoreError::CohortTooClose) } else { Ok(()) }
        };
        let new: Vec<Vec<u8>> = cohorts.iter().map(Partition::encode).collect();
        let rows = VersionRows { version: &local.dataset_version, rows: &tags.encode() };
        // Other consents are, like other data, another version.
        let version = view.version_of(&local.dataset_version);
        let scope = CohortScope { dataset: table, version: &version, who: &taken.request.researcher };
        let audit = self.audit_event("cohort.show", &taken.prepare.job, &format!("{table} to {}", scope.who));
        let about = Context { recipient: scope.who.to_owned(), ..taken.circumstances(self) };
        let audit = audit.within(about.clone());
        self.store().admit_cohorts(scope, (&new, rows), COHORTS_MAX, &judge, &audit).map_err(|error| {
            let refusal = match &error {
                StoreError::CohortTooClose => refuse(
                    "release.differencing",
                    "the patients of this query differ from those of an answered one by fewer than the floor",
                )
                .hint("ask for the answered query again, or for patients who differ by more; noise (--epsilon) is not compared"),
                StoreError::CohortsFull { kept_max } => refuse(
                    "release.cohorts",
                    format!("this hospital has answered {kept_max} different cohorts of {table} to you"),
                )
                .hint("repeat answered queries, or ask with noise (--epsilon); a new version of the data has room for as many"),
                _ => return error.into(),
            };
            if let Err(error) = self.audit_refusal("cohort.show", &taken.prepare.job, &refusal.code, about.clone()) {
                tracing::error!(%error, "a refusal could not be audited");
            }
            refusal
        })
    }

    /// Versions but that of now over which a researcher was answered, with what tells the rows of the newest of them apart.
    fn earlier(
        &self,
        table: &str,
        who: &str,
        now: &str,
    ) -> Result<HashMap<String, Option<RowTags>>, Problem> {
        let mut earlier = HashMap::new();
        for version in self.store().cohort_versions(table, who)? {
            let version = data_version(&version);
            if version == now || earlier.contains_key(version) {
                continue;
            }
            let is_compared = earlier.len() < VERSIONS_MAX;
            let kept = if is_compared { self.store().version_rows(table, version)? } else { None };
            let damaged = || Problem::internal(&"the kept tags of a version are damaged");
            let rows = kept.map(|kept| RowTags::decode(&kept).ok_or_else(damaged)).transpose()?;
            earlier.insert(version.to_owned(), rows);
        }
        Ok(earlier)
    }

    /// Keeps the consortium's floor, where it rose; true when it did.
    pub(super) fn hear_floor(&self, floor: u32) -> Result<bool, Problem> {
        let audit = self.audit_event("floor.raise", "consortium", &floor.to_string());
        Ok(self.store().raise_floor(floor, &audit)?)
    }
}

/// Why the stored floor is not believed.
pub(super) fn unread_floor(error: StoreError) -> Problem {
    let StoreError::Corrupt { what: FLOOR_ROW, .. } = &error else { return error.into() };
    Problem::new(ProblemKind::Compliance, "floor.tampered", error.to_string()).hint(
        "somebody changed the consortium's floor in this node's database: restore a backup, and look into it",
    )
}

fn write(slots: &[SlotValue]) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(16 * slots.len());
    for slot in slots {
        let SlotValue::Int(value) = slot else {
            return Err(Problem::new(ProblemKind::Compliance, "plan.inconsistent", "noise on a masked slot"));
        };
        bytes.extend_from_slice(&value.to_be_bytes());
    }
    Ok(bytes)
}

fn read(bytes: &[u8]) -> Result<Vec<SlotValue>, Problem> {
    let (words, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Problem::internal(&"kept sums are damaged"));
    }
    Ok(words.iter().map(|word| SlotValue::Int(i128::from_be_bytes(*word))).collect())
}
