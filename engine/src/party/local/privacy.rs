//! A hospital's rules for queries with noise: how much one answer may cost, and how much all of them.
//!
//! The budget is of a table. What an answer costs adds up in zero-concentrated differential privacy; the limits are
//! written as (epsilon, delta) and converted.

use serde::{Deserialize, Serialize};
use toml::Spanned;
use ward_protocols::dp;

use super::config::{Checker, ConfigError};
use super::raw::Number;
use crate::query::ast::PrivacyClause;
use crate::query::plan::Plan;
use crate::query::scaled;

/// Nanounits in one.
const NANO: f64 = 1e9;
/// Attounits in one.
const ATTO: f64 = 1e18;

/// Rules of queries with noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PrivacyPolicy {
    /// Queries without noise are refused.
    pub required: bool,
    /// Largest epsilon of one answer, in 10^-9.
    pub epsilon_max_nano: u64,
    /// Largest delta of one answer, in 10^-18.
    pub delta_max_atto: u64,
    /// Epsilon of all answers over a table together, in 10^-9.
    pub budget_epsilon_nano: u64,
    /// Delta of all answers over a table together, in 10^-18.
    pub budget_delta_atto: u64,
    /// Days after which what was spent counts no more; none for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_days: Option<u32>,
    /// Most hospitals whose noise this one counts on, itself among them.
    pub honest_max: u32,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrivacy {
    #[serde(default)]
    required: bool,
    epsilon_max: Option<Number>,
    delta_max: Option<Number>,
    budget_epsilon: Option<Number>,
    budget_delta: Option<Number>,
    period_days: Option<u32>,
    honest_max: Option<u32>,
}

impl PrivacyPolicy {
    /// Checks the section.
    ///
    /// # Errors
    /// [`ConfigError`] for numbers that are none, or budgets that no answer fits.
    pub(super) fn check(here: &Checker<'_>, raw: Spanned<RawPrivacy>) -> Result<Self, ConfigError> {
        let span = raw.span();
        let raw = raw.into_inner();
        let units = |name: &str, number: Option<Number>, (default, places): (&str, i64)| {
            let text = match number {
                None => default.to_owned(),
                Some(Number::Whole(whole)) => whole.to_string(),
                Some(Number::Float(float)) => format!("{float:e}"),
                Some(Number::Text(text)) => text,
            };
            let wrong = || {
                let message = format!("{name} = {text} is not a positive number that can be counted");
                here.invalid(&span, message, "epsilon has at most 9 decimal places, delta at most 18")
            };
            scaled(&text, places).filter(|units| *units > 0).ok_or_else(wrong)
        };
        let policy = Self {
            required: raw.required,
            epsilon_max_nano: units("epsilon_max", raw.epsilon_max, ("1", 9))?,
            delta_max_atto: units("delta_max", raw.delta_max, ("1e-6", 18))?,
            budget_epsilon_nano: units("budget_epsilon", raw.budget_epsilon, ("8", 9))?,
            budget_delta_atto: units("budget_delta", raw.budget_delta, ("1e-5", 18))?,
            period_days: raw.period_days,
            honest_max: raw.honest_max.unwrap_or(1),
        };
        let refuse = |message: &str, hint: &str| Err(here.invalid(&span, message.to_owned(), hint));
        if policy.budget_epsilon_nano < policy.epsilon_max_nano {
            return refuse(
                "budget_epsilon is smaller than epsilon_max",
                "a budget holds at least one answer",
            );
        }
        if policy.delta_max_atto >= 10u64.pow(18) || policy.budget_delta_atto >= 10u64.pow(18) {
            return refuse("a delta of 1 or more promises nothing", "use a delta well below 1 / rows");
        }
        if policy.period_days == Some(0) || policy.honest_max == 0 {
            return refuse(
                "period_days or honest_max is 0",
                "leave period_days out for a budget that is never refilled",
            );
        }
        Ok(policy)
    }

    /// The budget of a table, in 10^-9 of rho.
    #[must_use]
    pub fn budget_rho_nano(&self) -> u64 {
        let rho = dp::rho_of(self.budget_epsilon_nano as f64 / NANO, self.budget_delta_atto as f64 / ATTO);
        (rho * NANO).floor() as u64
    }

    /// The epsilon of so much rho at the budget's delta.
    #[must_use]
    pub fn epsilon_of(&self, rho_nano: u64) -> f64 {
        dp::epsilon_of(rho_nano as f64 / NANO, self.budget_delta_atto as f64 / ATTO)
    }

    /// The time from which what was spent counts, for a refill.
    #[must_use]
    pub fn since_ms(&self, now_ms: u64) -> u64 {
        let period = self.period_days.map(|days| u64::from(days).saturating_mul(86_400_000));
        period.map_or(0, |period| now_ms.saturating_sub(period))
    }

    fn judge(&self, asked: &PrivacyClause) -> Result<String, (String, &'static str)> {
        if asked.epsilon_nano > self.epsilon_max_nano {
            let most = self.epsilon_max_nano as f64 / NANO;
            return Err((
                format!("this hospital allows epsilon up to {most} an answer"),
                "ask with a smaller epsilon",
            ));
        }
        if asked.delta_atto > self.delta_max_atto {
            let most = self.delta_max_atto as f64 / ATTO;
            return Err((
                format!("this hospital allows delta up to {most:e} an answer"),
                "ask with a smaller delta",
            ));
        }
        if asked.honest > self.honest_max {
            return Err((
                format!(
                    "this hospital counts on the noise of {} hospitals, not {}",
                    self.honest_max, asked.honest
                ),
                "leave `honest` out of WITH PRIVACY",
            ));
        }
        Ok("the noise is as this hospital asks".into())
    }
}

/// What the rules say to a plan.
pub(super) fn privacy_rule(
    plan: &Plan,
    policy: Option<&PrivacyPolicy>,
) -> Result<String, (String, &'static str)> {
    match (&plan.privacy, policy) {
        (Some(privacy), Some(policy)) => policy.judge(&privacy.asked),
        (Some(_), None) => Err((
            "this hospital answers no queries with noise".into(),
            "ask without WITH PRIVACY, or ask the hospital for a budget ([policy.privacy])",
        )),
        (None, Some(policy)) if policy.required => Err((
            "this hospital answers with noise alone".into(),
            "add WITH PRIVACY (epsilon = 1, delta = 1e-6) to the query, or --epsilon 1 --delta 1e-6",
        )),
        (None, _) => Ok("there is no noise, and none is asked for".into()),
    }
}
