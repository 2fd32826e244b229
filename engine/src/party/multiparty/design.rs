//! The rows of a regression as a hospital has them: covariates scaled by the catalogue's bounds, so that every hospital
//! and every node uses the same scale and no value exceeds one.

use ward_protocols::mpc::programs::regression::local::{LocalError, Rows, linear_sums, triangle};
use ward_protocols::mpc::programs::regression::local_cox::{Survival, cox_sums};
use ward_protocols::mpc::programs::regression::scaling::Scaling;

use crate::party::local::data::LocalData;
use crate::party::local::step;
use crate::problem::{Problem, ProblemKind};
use crate::query::ast::{Item, Statistic};
use crate::query::needs::DesignTerm;
use crate::query::plan::{Factor, Plan};
use crate::query::scales::{Scales, scales};

/// A regression of a plan.
pub(super) struct Design {
    /// The terms but the constant.
    terms: Vec<DesignTerm>,
    /// Their scales.
    pub(super) scalings: Vec<Scaling>,
    /// Digits and scale of a linear model's outcome.
    outcome: Option<(u8, Scaling)>,
    /// Names of the outcome columns: y, or time and event.
    responses: Vec<String>,
    /// Most rows of all hospitals together.
    pub(super) rows_max: u64,
}

/// One hospital's complete rows.
pub(super) struct Observed {
    /// `rows * columns` scaled covariates.
    pub(super) covariates: Vec<f64>,
    /// Covariates of a row.
    pub(super) columns: usize,
    /// The response columns, in fixed point, row by row.
    pub(super) responses: Vec<Vec<i64>>,
    rows_max: u64,
}

impl Observed {
    /// As the sums take them.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows { covariates: &self.covariates, columns: self.columns, rows_max: self.rows_max }
    }
}

pub(super) fn local(error: &LocalError) -> Problem {
    Problem::new(ProblemKind::Conflict, "data.regression", error.to_string())
}

/// The query's `item`-th statistic.
pub(super) fn statistic(plan: &Plan, item: usize) -> Result<&Statistic, Problem> {
    let mut statistics = plan.query.items.iter().filter_map(|item| match item {
        Item::Aggregate { statistic, .. } => Some(statistic),
        Item::Group { .. } => None,
    });
    statistics.nth(item).ok_or_else(|| Problem::internal(&"a statistic of the plan is missing"))
}

fn unit(digits: u8) -> f64 {
    10f64.powi(i32::from(digits))
}

impl Design {
    /// The design of a plan's statistic.
    pub(super) fn of(plan: &Plan, item: usize) -> Result<Self, Problem> {
        let statistic = statistic(plan, item)?;
        let responses = match statistic {
            Statistic::LinReg { y, .. } | Statistic::Logit { y, .. } => vec![y.clone()],
            Statistic::Cox { time, event, .. } => vec![time.clone(), event.clone()],
            _ => return Err(Problem::internal(&"a statistic that is no regression")),
        };
        let Scales { terms, covariates: scalings, outcome } =
            scales(statistic, &plan.columns).map_err(Problem::from)?;
        let outcome = outcome.zip(responses.first()).map(|(scaling, y)| {
            let digits = plan.column(y).map_or(0, |column| column.digits);
            (digits, scaling)
        });
        let rows_max = plan.multi_party.as_ref().map_or(0, |shares| shares.rows_max);
        Ok(Self { terms, scalings, outcome, responses, rows_max })
    }

    /// Covariates of a row.
    pub(super) fn columns(&self) -> usize {
        self.terms.len()
    }

    /// Words of a linear model's sums.
    pub(super) fn linear_words(&self) -> usize {
        let p = self.columns() + 1;
        triangle(p) + p + 2
    }

    /// Words of a logistic model's sums at one iteration.
    pub(super) fn logit_words(&self) -> usize {
        let p = self.columns() + 1;
        2 + p + triangle(p)
    }

    /// Points of a Cox model's grid of times: every time that the column can hold.
    pub(super) fn grid(&self, plan: &Plan, item: usize) -> Result<usize, Problem> {
        let Statistic::Cox { time, .. } = statistic(plan, item)? else {
            return Err(Problem::internal(&"a model without times"));
        };
        let last = plan.column(time).and_then(|column| usize::try_from(column.max).ok());
        last.map(|last| last + 1).ok_or_else(|| Problem::internal(&"a column of the plan is missing"))
    }

    /// The sums of a Cox model at these coefficients.
    pub(super) fn cox_sums(
        &self,
        grid: usize,
        observed: &Observed,
        coefficients: &[f64],
    ) -> Result<Vec<u64>, Problem> {
        let [times, events] = observed.responses.as_slice() else {
            return Err(Problem::internal(&"a Cox model without time and event"));
        };
        // Bounded from zero by the catalogue.
        let times: Vec<usize> =
            times.iter().map(|time| usize::try_from(*time).unwrap_or(usize::MAX)).collect();
        let events: Vec<bool> = events.iter().map(|event| *event == 1).collect();
        let people = Survival { rows: observed.rows(), times: &times, events: &events, grid };
        cox_sums(people, coefficients).map_err(|e| local(&e))
    }

    /// The hospital's complete rows.
    pub(super) fn observe(&self, plan: &Plan, data: &LocalData, hospital: &str) -> Result<Observed, Problem> {
        let mut names: Vec<&str> = self.responses.iter().map(String::as_str).collect();
        for term in &self.terms {
            if let Some(Factor::Value(name) | Factor::Level { column: name, .. }) = &term.factor
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        let columns = step::columns(plan, data, hospital, &names).map_err(Problem::from)?;
        let rows = columns.first().map_or(0, Vec::len);
        let at = |name: &str| names.iter().position(|known| *known == name).unwrap_or_default();
        let places: Vec<usize> = self
            .terms
            .iter()
            .map(|term| match &term.factor {
                Some(Factor::Value(name) | Factor::Level { column: name, .. }) => at(name),
                None => 0,
            })
            .collect();
        let mut observed = Observed {
            covariates: Vec::new(),
            columns: self.columns(),
            responses: vec![Vec::new(); self.responses.len()],
            rows_max: self.rows_max,
        };
        for row in 0..rows {
            let Some(values) = columns.iter().map(|column| column[row]).collect::<Option<Vec<i64>>>() else {
                continue;
            };
            for ((term, scaling), place) in self.terms.iter().zip(&self.scalings).zip(&places) {
                let value = match &term.factor {
                    Some(Factor::Level { code, .. }) => {
                        f64::from(u8::from(values[*place] == i64::from(*code)))
                    }
                    _ => values[*place] as f64 / unit(term.digits),
                };
                // Bounded by the local step; what rounding leaves outside is on the bound.
                observed.covariates.push(scaling.apply(value).unwrap_or(value.signum()));
            }
            for (column, value) in observed.responses.iter_mut().zip(&values) {
                column.push(*value);
            }
        }
        Ok(observed)
    }

    /// The sums of a linear model over the hospital's rows.
    pub(super) fn linear(&self, observed: &Observed) -> Result<Vec<u64>, Problem> {
        let missing = || Problem::internal(&"a linear model without outcome");
        let (digits, scaling) = self.outcome.as_ref().ok_or_else(missing)?;
        let outcome = observed.responses.first().ok_or_else(missing)?;
        let outcome: Vec<f64> = outcome
            .iter()
            .map(|value| {
                let value = *value as f64 / unit(*digits);
                scaling.apply(value).unwrap_or(value.signum())
            })
            .collect();
        linear_sums(observed.rows(), &outcome).map_err(|e| local(&e))
    }
}
