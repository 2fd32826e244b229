//! How much noise a query with the clause WITH PRIVACY takes, from the bounds of the catalogue.
//!
//! A patient is in the rows of one hospital, in at most `rows_per_patient` of them, and each row falls into at most one
//! slot of a block: so one patient moves a block by at most `rows_per_patient` times the largest value, in L1 and in L2.
//! The guarantee is shared out evenly among the blocks. Every hospital draws its own noise for every slot; that of
//! `honest` hospitals alone suffices.

use ward_protocols::dp;

use super::super::ast::{HOSPITAL, PrivacyClause, Query, Statistic};
use super::super::error::QueryError;
use super::super::plan::{Mechanism, Noise, Participation, Privacy};
use super::{Result, statistics};

/// Most slots of a query with noise: every one is drawn by an exact sampler.
pub(super) const NOISY_SLOTS_MAX: u64 = 1 << 16;
/// Largest scale of noise, in 1/1024 of a unit.
const SCALE_MAX: f64 = (1u64 << 62) as f64;
/// Gaussian noise beyond this many deviations has a probability below 2^-120.
const DEVIATIONS: u64 = 13;
/// Laplace noise beyond this many scales has a probability below 2^-114.
const SCALES: u64 = 80;

fn refuse<T>(construct: impl Into<String>, hint: &str) -> Result<T> {
    Err(QueryError::Unsupported { construct: construct.into(), hint: hint.into(), place: None })
}

/// The guarantee of a query, before its blocks are known.
pub(super) struct Guarantee {
    asked: PrivacyClause,
    mechanism: Mechanism,
    rho_nano: u64,
    rows_per_patient: u32,
}

impl Guarantee {
    /// The guarantee that a query asks for.
    ///
    /// # Errors
    /// For statistics that have no form with noise, and for hospitals counted on that may not be there.
    pub fn of(query: &Query, participation: Participation, rows_per_patient: u32) -> Result<Option<Self>> {
        let Some(asked) = query.privacy else { return Ok(None) };
        if let Some(other) = statistics(query).find(|s| !has_noisy_form(s)) {
            let hint = "with noise there are COUNT, SUM, AVG, VAR, STDDEV, HISTOGRAM and CROSSTAB";
            return refuse(format!("{} WITH PRIVACY", other.canonical()), hint);
        }
        let is_apart = participation != Participation::All || query.group_by.iter().any(|g| g == HOSPITAL);
        if asked.honest > 1 && is_apart {
            let hint =
                "hospitals can be told apart in it: leave `honest` out, and each adds all the noise itself";
            return refuse("counting on several hospitals' noise in this query", hint);
        }
        let epsilon = asked.epsilon_nano as f64 / 1e9;
        let (mechanism, rho) = match asked.delta_atto {
            0 if asked.honest > 1 => {
                return refuse(
                    "Laplace noise in parts",
                    "give a delta for Gaussian noise, which adds up, or leave `honest` out",
                );
            }
            0 => (Mechanism::Laplace, (dp::rho_of_pure(epsilon) * 1e9).ceil()),
            atto => (Mechanism::Gaussian, (dp::rho_of(epsilon, atto as f64 / 1e18) * 1e9).floor()),
        };
        if rho < 1.0 {
            return refuse("a guarantee this strong", "raise epsilon or delta");
        }
        Ok(Some(Self { asked, mechanism, rho_nano: rho as u64, rows_per_patient }))
    }

    /// The noise of one of `blocks` blocks in which a row counts for up to `value_max`.
    ///
    /// # Errors
    /// When the noise would not fit into a slot.
    pub fn noise(&self, value_max: u128, blocks: usize) -> Result<Noise> {
        let too_much = || QueryError::Limit {
            what: "noise, in fixed point".into(),
            count: u64::MAX,
            limit: SCALE_MAX as u64 / 1024,
            hint: "raise epsilon, or publish the column with tighter bounds or fewer digits".into(),
        };
        let sensitivity = value_max.max(1).checked_mul(u128::from(self.rows_per_patient.max(1)));
        let sensitivity = sensitivity.and_then(|s| u64::try_from(s).ok()).ok_or_else(too_much)?;
        let (far, parts) = (sensitivity as f64, blocks.max(1) as f64);
        let (scale, factor) = match self.mechanism {
            Mechanism::Gaussian => {
                let rho = self.rho_nano as f64 / 1e9 / parts;
                (dp::gaussian_share(rho, far, self.asked.honest), DEVIATIONS)
            }
            Mechanism::Laplace => {
                (dp::laplace_scale(self.asked.epsilon_nano as f64 / 1e9 / parts, far), SCALES)
            }
        };
        let scale_1024 = (scale * 1024.0 * (1.0 + 1e-9)).ceil();
        if scale_1024 >= SCALE_MAX {
            return Err(too_much());
        }
        let scale_1024 = scale_1024 as u64;
        let bound = (scale_1024 / 1024 + 1).checked_mul(factor).ok_or_else(too_much)?;
        Ok(Noise { sensitivity, scale_1024, bound })
    }

    /// The guarantee with the noise of its blocks.
    pub fn with(self, noise: Vec<Noise>) -> Privacy {
        let Self { asked, mechanism, rho_nano, rows_per_patient } = self;
        Privacy { asked, mechanism, rho_nano, rows_per_patient, noise }
    }
}

fn has_noisy_form(statistic: &Statistic) -> bool {
    matches!(
        statistic,
        Statistic::CountRows
            | Statistic::Count(_)
            | Statistic::Sum(_)
            | Statistic::Avg(_)
            | Statistic::Var(_)
            | Statistic::Stddev(_)
            | Statistic::Histogram { .. }
            | Statistic::Crosstab { .. }
    )
}
