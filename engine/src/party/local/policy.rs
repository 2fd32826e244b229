//! A hospital's own policy: what it lets a plan do before it computes anything.
//!
//! The hospital holds the plan that it made again itself from the signed query; it compares it with what it
//! publishes ([`validate_against`]) and with its rules ([`check`]). Every rule gives a [`Verdict`] under a
//! stable name, so that `explain` can show all of them and a refusal names the one that refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::privacy::{PrivacyPolicy, privacy_rule};
use super::splits_of;
pub use super::statistic::StatisticKind;
use crate::query::ast::{HOSPITAL, Item};
use crate::query::catalogue::Publication;
use crate::query::plan::{Filter, Participation, Plan, Split};

/// A hospital's rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The hospital's own floor; the consortium's applies where it is higher.
    pub floor: u32,
    /// Whether counts that this hospital's rows are in are rounded; the consortium may have it so in any case.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rounding: bool,
    /// Statistics that may be asked.
    pub statistics: BTreeSet<StatisticKind>,
    /// Whether a result may be split by hospital.
    pub by_hospital: bool,
    /// Whether a person looks at every query.
    pub approval: ApprovalMode,
    /// Narrowest time grid of a survival curve, in the unit of the time.
    pub km_step_min: u32,
    /// Fewest hospitals whose numbers are summed in a release.
    pub hospitals_min: u32,
    /// Rules of queries with noise; none refuses them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<PrivacyPolicy>,
    /// Rules per table; a table without one lets all its published columns be used.
    pub tables: BTreeMap<String, TablePolicy>,
    /// Hospitals to whose nodes this one entrusts shares; empty accepts any key holder of the consortium.
    pub compute_nodes: BTreeSet<String>,
    /// Researchers that may ask; empty lets every enrolled one.
    pub users: BTreeMap<String, UserPolicy>,
    /// Rules on studies.
    pub studies: StudyPolicy,
}

/// Rules on studies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StudyPolicy {
    /// Whether only queries of an approved study run.
    pub required: bool,
    /// How many administrators must approve a study before the hospital signs; counts where any is named.
    pub approvals: u32,
    /// The administrators, by name, with their public keys (32 bytes, hexadecimal).
    pub admins: BTreeMap<String, String>,
}

/// Rules of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TablePolicy {
    /// Columns that may be used; `None` for all but the denied.
    pub allow: Option<BTreeSet<String>>,
    /// Columns that may not be used, in conditions and groupings neither.
    pub deny: BTreeSet<String>,
}

/// Rules of one researcher.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UserPolicy {
    /// Fingerprint of the only key that results may be released to, lower-case hexadecimal.
    pub key: Option<String>,
}

/// How queries are approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalMode {
    /// What the rules allow runs.
    #[default]
    Automatic,
    /// What the rules allow waits for a person.
    Manual,
}

/// What the rules say about a plan they do not refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// It may run.
    Automatic,
    /// It waits for a person.
    ByHand,
}

/// What a rule says about a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Stable name of the rule.
    pub rule: String,
    /// Whether the rule lets the plan pass.
    pub allowed: bool,
    /// What it found.
    pub message: String,
    /// What the researcher can do; empty when allowed.
    pub hint: String,
}

/// A hospital's refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {message}")]
pub struct Refusal {
    /// Stable name of the rule that refused.
    pub rule: &'static str,
    /// Why.
    pub message: String,
    /// What the researcher can do.
    pub hint: String,
}

impl Policy {
    /// The pinned key of a researcher, where the policy pins one.
    #[must_use]
    pub fn pinned_key(&self, user: &str) -> Option<&str> {
        self.users.get(user).and_then(|u| u.key.as_deref())
    }
}

/// Checks a plan: `user` is the authenticated researcher, `hospitals` the number of hospitals whose
/// contributions the release sums.
///
/// # Errors
/// The first rule that refuses.
pub fn check(plan: &Plan, policy: &Policy, user: &str, hospitals: usize) -> Result<Approval, Refusal> {
    for finding in findings(plan, policy, user, hospitals) {
        finding.outcome?;
    }
    Ok(match policy.approval {
        ApprovalMode::Automatic => Approval::Automatic,
        ApprovalMode::Manual => Approval::ByHand,
    })
}

/// What every rule says about a plan, in the order in which [`check`] asks them.
#[must_use]
pub fn verdicts(plan: &Plan, policy: &Policy, user: &str, hospitals: usize) -> Vec<Verdict> {
    findings(plan, policy, user, hospitals)
        .into_iter()
        .map(|finding| match finding.outcome {
            Ok(message) => Verdict { rule: finding.rule.into(), allowed: true, message, hint: String::new() },
            Err(refusal) => Verdict {
                rule: finding.rule.into(),
                allowed: false,
                message: refusal.message,
                hint: refusal.hint,
            },
        })
        .collect()
}

struct Finding {
    rule: &'static str,
    outcome: Result<String, Refusal>,
}

fn finding(rule: &'static str, outcome: Result<String, (String, &str)>) -> Finding {
    let outcome = outcome.map_err(|(message, hint)| Refusal { rule, message, hint: hint.into() });
    Finding { rule, outcome }
}

fn findings(plan: &Plan, policy: &Policy, user: &str, hospitals: usize) -> Vec<Finding> {
    vec![
        finding("policy.user", user_rule(policy, user)),
        finding("policy.column", column_rule(plan, policy)),
        finding("policy.statistic", statistic_rule(plan, policy)),
        finding("policy.by_hospital", by_hospital_rule(plan, policy)),
        finding("policy.km_step", km_step_rule(plan, policy)),
        finding("policy.hospitals_min", hospitals_rule(plan, policy, hospitals)),
        finding("policy.rounding", rounding_rule(plan, policy)),
        finding("policy.privacy", privacy_rule(plan, policy.privacy.as_ref())),
    ]
}

fn user_rule<'h>(policy: &Policy, user: &str) -> Result<String, (String, &'h str)> {
    if policy.users.is_empty() {
        return Ok("every enrolled researcher may ask".into());
    }
    if policy.users.contains_key(user) {
        return Ok(format!("`{user}` may ask"));
    }
    Err((
        format!("`{user}` is not among the researchers this hospital serves"),
        "ask the hospital to list you",
    ))
}

fn rounding_rule<'h>(plan: &Plan, policy: &Policy) -> Result<String, (String, &'h str)> {
    match (policy.rounding, plan.rounding, plan.privacy.is_some()) {
        (true, false, false) => Err((
            "this hospital's counts are rounded, and the plan's are not".into(),
            "submit again: this hospital has published its rule",
        )),
        (_, true, _) => Ok("counts are rounded before they leave the house".into()),
        (_, false, _) => Ok("counts need no rounding".into()),
    }
}

fn column_rule<'h>(plan: &Plan, policy: &Policy) -> Result<String, (String, &'h str)> {
    let table = &plan.query.table;
    if let Some(rule) = policy.tables.get(table) {
        let refused =
            |name: &str| rule.deny.contains(name) || rule.allow.as_ref().is_some_and(|a| !a.contains(name));
        if let Some(column) = plan.columns.iter().find(|c| refused(&c.name)) {
            let message = format!("column `{}` of `{table}` may not be used here", column.name);
            return Err((message, "leave the column out, or ask the hospital to allow it"));
        }
    }
    Ok(format!("{} columns of `{table}` may be used", plan.columns.len()))
}

fn statistic_rule<'h>(plan: &Plan, policy: &Policy) -> Result<String, (String, &'h str)> {
    for item in &plan.query.items {
        if let Item::Aggregate { statistic, .. } = item {
            let kind = StatisticKind::of(statistic);
            if !policy.statistics.contains(&kind) {
                let message = format!("the statistic `{}` is not allowed here", kind.name());
                return Err((message, "ask for another statistic, or ask the hospital to allow it"));
            }
        }
    }
    Ok("the statistics are allowed".into())
}

fn by_hospital_rule<'h>(plan: &Plan, policy: &Policy) -> Result<String, (String, &'h str)> {
    let split = plan.groups.iter().any(|g| g.column == HOSPITAL)
        || plan.blocks.iter().any(|b| splits_of(&b.content).iter().any(|s| s.column() == HOSPITAL))
        || plan.strata.iter().any(|s| s.by.iter().any(|s| s.column() == HOSPITAL))
        || plan.filter.as_ref().is_some_and(|f| names_hospital(f, 0));
    match (split, policy.by_hospital) {
        (true, false) => Err((
            "the answer would be split by hospital".into(),
            "leave `hospital` out of GROUP BY, WHERE and the statistics",
        )),
        (true, true) => Ok("the answer may be split by hospital".into()),
        (false, _) => Ok("the answer is not split by hospital".into()),
    }
}

fn names_hospital(filter: &Filter, depth: usize) -> bool {
    // Deeper than any plan goes: refusing is the safe side.
    if depth > super::filter::DEPTH_MAX {
        return true;
    }
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(|p| names_hospital(p, depth + 1)),
        Filter::Not(part) => names_hospital(part, depth + 1),
        Filter::Compare { column, .. }
        | Filter::In { column, .. }
        | Filter::IsNull { column }
        | Filter::Always { column, .. } => column == HOSPITAL,
    }
}

fn km_step_rule<'h>(plan: &Plan, policy: &Policy) -> Result<String, (String, &'h str)> {
    let narrowest = plan
        .blocks
        .iter()
        .flat_map(|b| splits_of(&b.content))
        .filter_map(|split| match split {
            Split::TimeGrid { step, .. } => Some(*step),
            _ => None,
        })
        .min();
    match narrowest {
        None => Ok("there is no time grid".into()),
        Some(step) if step >= policy.km_step_min => Ok(format!("the time grid has steps of {step}")),
        Some(step) => Err((
            format!(
                "the time grid has steps of {step}, this hospital allows no less than {}",
                policy.km_step_min
            ),
            "give the step as the last argument, e.g. KAPLAN_MEIER(time, event, 30)",
        )),
    }
}

fn hospitals_rule<'h>(plan: &Plan, policy: &Policy, hospitals: usize) -> Result<String, (String, &'h str)> {
    let declared = match plan.participation {
        Participation::All => plan.hospitals.len(),
        Participation::AtLeast(count) => count as usize,
    };
    // A name without a share of the key may be anybody's: it does not count.
    let holders = &plan.protocol.key_holders;
    let others = plan.hospitals.iter().filter(|name| !holders.contains(name)).count();
    let fewest = hospitals.min(declared).saturating_sub(others);
    if fewest >= policy.hospitals_min as usize {
        return Ok(format!("at least {fewest} hospitals with a share of the key are summed"));
    }
    Err((
        format!(
            "{fewest} hospitals with a share of the key would be summed, this hospital asks for {}",
            policy.hospitals_min
        ),
        "ask more hospitals, or raise the participation of the query",
    ))
}

/// Checks that a plan says of this hospital's table what the hospital publishes, so that a false catalogue
/// cannot widen bounds, rename codes or lower the floor.
///
/// # Errors
/// [`Refusal`] under a rule `plan.*`.
pub fn validate_against(plan: &Plan, publication: &Publication) -> Result<(), Refusal> {
    let refuse = |rule: &'static str, message: String| {
        let hint = "the engine's catalogue is not what this hospital publishes; ask the operator";
        Err(Refusal { rule, message, hint: hint.into() })
    };
    if !plan.hospitals.contains(&publication.hospital) {
        return refuse("plan.hospital", format!("the plan has no part for `{}`", publication.hospital));
    }
    let Some(table) = publication.table(&plan.query.table) else {
        return refuse("plan.table", format!("this hospital publishes no table `{}`", plan.query.table));
    };
    for column in &plan.columns {
        match table.column(&column.name) {
            None => {
                return refuse("plan.column", format!("this hospital publishes no column `{}`", column.name));
            }
            Some(own) if !own.agrees_with(column) => {
                return refuse(
                    "plan.column",
                    format!("column `{}` is not as this hospital publishes it", column.name),
                );
            }
            Some(_) => {}
        }
    }
    let splits =
        plan.strata.iter().flat_map(|s| &s.by).chain(plan.blocks.iter().flat_map(|b| splits_of(&b.content)));
    let codes = splits.filter_map(|split| match split {
        Split::Codes { column, codes } => Some((column, codes)),
        _ => None,
    });
    for (name, codes) in plan.groups.iter().map(|g| (&g.column, &g.codes)).chain(codes) {
        let own = match name.as_str() {
            HOSPITAL => Some(plan.hospitals.clone()),
            name => table.column(name).and_then(crate::query::catalogue::Column::group_codes),
        };
        if own.as_ref() != Some(codes) {
            return refuse(
                "plan.codes",
                format!("the codes of `{name}` are not as this hospital publishes them"),
            );
        }
    }
    Ok(())
}
