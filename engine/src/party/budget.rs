//! What a hospital's privacy budgets have left: of every table, and of every study over it.

use serde::Serialize;
use ward_protocols::dp;

use super::node::Node;
use super::study::copy_of;
use crate::problem::Problem;

/// What is left of a table's privacy budget at a hospital.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BudgetLeft {
    /// The table.
    pub dataset: String,
    /// The budget of all answers over it.
    #[serde(flatten)]
    pub spent: Spent,
    /// Days until a charge counts no more; none for ever.
    pub period_days: Option<u32>,
    /// The budgets of the studies over the table that this hospital has decided on.
    pub studies: Vec<StudyLeft>,
}

/// What is left of a study's budget for a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyLeft {
    /// Its id.
    pub study: String,
    /// Its budget.
    #[serde(flatten)]
    pub spent: Spent,
}

/// A budget, and what answers have cost of it in the period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spent {
    /// Epsilon of the whole budget, at its delta.
    pub epsilon: f64,
    /// Delta of the whole budget.
    pub delta: f64,
    /// Rho of the whole budget.
    pub rho: f64,
    /// Rho spent in the period.
    pub rho_spent: f64,
    /// Epsilon that the answers so far make together, at the budget's delta.
    pub epsilon_spent: f64,
}

impl Spent {
    fn of(limit_rho_nano: u64, spent_rho_nano: u64, delta: f64) -> Self {
        let (limit, spent) = (limit_rho_nano as f64 / 1e9, spent_rho_nano as f64 / 1e9);
        Self {
            epsilon: dp::epsilon_of(limit, delta),
            delta,
            rho: limit,
            rho_spent: spent,
            epsilon_spent: dp::epsilon_of(spent, delta),
        }
    }
}

impl Node {
    /// What is left of every table's budget, and of the studies' over it; none where the hospital has no rules for noise.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn budgets(&self) -> Result<Vec<BudgetLeft>, Problem> {
        let Some(policy) = &self.policy().privacy else { return Ok(Vec::new()) };
        let since = policy.since_ms(self.now_ms());
        let own = self.store().own_studies()?;
        let copies = own.iter().map(copy_of).collect::<Result<Vec<_>, _>>()?;
        let mut budgets = Vec::new();
        for table in &self.config().tables {
            let name = &table.name;
            let mut studies = Vec::new();
            for study in copies.iter().filter(|study| study.tables.contains(name)) {
                let Some(budget) = study.budget else { continue };
                let spent = self.store().spent_by(&study.id, name, since)?;
                let spent = Spent::of(budget.rho_nano(), spent, budget.delta_pico as f64 / 1e12);
                studies.push(StudyLeft { study: study.id.clone(), spent });
            }
            let spent = self.store().spent(name, since)?;
            budgets.push(BudgetLeft {
                dataset: name.clone(),
                spent: Spent::of(policy.budget_rho_nano(), spent, policy.budget_delta_atto as f64 / 1e18),
                period_days: policy.period_days,
                studies,
            });
        }
        Ok(budgets)
    }
}
