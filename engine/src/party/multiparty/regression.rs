//! Regressions of a plan: the programs of the protocols crate over the hospitals' sums.

use ward_protocols::mpc::programs::ProgramError;
use ward_protocols::mpc::programs::regression::cox::{self, CoxGrid};
use ward_protocols::mpc::programs::regression::local_cox::CoxLayout;
use ward_protocols::mpc::programs::regression::{Fit, Hospitals, Model, linear, logistic};
use ward_protocols::mpc::shares::RingShares;
use ward_protocols::mpc::{MpcError, Security, Session};

use super::design::{Design, statistic};
use super::program::{Iterate, failed};
use crate::problem::Problem;
use crate::query::ast::Statistic;
use crate::query::plan::Plan;

/// Most people with an event at the same time in a Cox model.
const TIES_MAX: usize = 16;
/// Newton steps after which a model is given up.
const ITERATIONS_MAX: usize = 30;

/// Words of an answer that there is none: suppressed (0) or not defined (2), filled up with zeros.
fn without_answer(session: &Session<'_, impl Security>, flag: u64, words: usize) -> RingShares {
    let mut public = vec![0; words];
    public[0] = flag;
    RingShares::public(session.role(), &public)
}

/// The sums of linear models, one after the other.
pub(super) struct Sums {
    pub(super) linear: RingShares,
    pub(super) at: usize,
}

/// The hospitals of an attempt as a program asks them.
struct Asking<'a> {
    item: usize,
    words: usize,
    iterations: &'a mut dyn Iterate,
    problem: Option<Problem>,
}

impl<S: Security> Hospitals<S> for Asking<'_> {
    fn sums(
        &mut self,
        session: &mut Session<'_, S>,
        _iteration: usize,
        coefficients: &[f64],
    ) -> Result<RingShares, MpcError> {
        match self.iterations.sums(self.item, coefficients, self.words) {
            Ok(held) => Ok(RingShares { own: held.own.ring.into(), next: held.next.ring.into() }),
            Err(problem) => {
                self.problem = Some(problem);
                Err(session.check_failed(None, "sums of the hospitals"))
            }
        }
    }
}

/// Runs a regression; `n` counts its complete rows.
pub(super) fn run<S: Security>(
    session: &mut Session<'_, S>,
    (plan, item): (&Plan, usize),
    n: RingShares,
    (sums, iterations): (&mut Sums, &mut dyn Iterate),
) -> Result<RingShares, Problem> {
    let design = Design::of(plan, item)?;
    let model = Model {
        scalings: design.scalings.clone(),
        rows_max: design.rows_max,
        floor: u64::from(plan.floor),
        iterations_max: ITERATIONS_MAX,
    };
    if matches!(statistic(plan, item)?, Statistic::LinReg { .. }) {
        // What it says, a verdict included, is for the researcher alone.
        let end = sums.at + design.linear_words();
        let own = sums.linear.range(sums.at..end);
        sums.at = end;
        return linear::fit(&mut session.narrow("linear"), &model, &own).map_err(|error| failed(&error));
    }
    let terms = crate::query::terms(plan, item).map_err(Problem::from)?.len();
    let words = 3 + 4 * terms;
    let fitted = match statistic(plan, item)? {
        Statistic::Logit { .. } => {
            let words = design.logit_words();
            let mut asking = Asking { item, words, iterations, problem: None };
            let fitted = logistic::fit(&mut session.narrow("logistic"), &model, &mut asking);
            if let Some(problem) = asking.problem {
                return Err(problem);
            }
            fitted.map(|fit| terms_of(session, &fit))
        }
        Statistic::Cox { .. } => {
            let (points, ties_max) = (design.grid(plan, item)?, TIES_MAX);
            let words = CoxLayout { p: design.columns(), grid: points }.len();
            let mut asking = Asking { item, words, iterations, problem: None };
            let grid = CoxGrid { points, ties_max };
            let fitted = cox::fit(&mut session.narrow("cox"), (&model, grid), &mut asking);
            if let Some(problem) = asking.problem {
                return Err(problem);
            }
            fitted.map(|fit| terms_of(session, &fit))
        }
        _ => return Err(Problem::internal(&"a statistic that is no regression")),
    };
    match fitted {
        Ok((iterations, terms)) => {
            let role = session.role();
            let flag = RingShares::public(role, &[1]);
            let steps = RingShares::public(role, &[iterations as u64]);
            Ok(RingShares::concat(&[&flag, &n, &steps, &terms]))
        }
        Err(ProgramError::Suppressed { .. }) => Ok(without_answer(session, 0, words)),
        Err(
            ProgramError::Singular | ProgramError::NotConverged { .. } | ProgramError::TooManyTies { .. },
        ) => Ok(without_answer(session, 2, words)),
        Err(error) => Err(failed(&error)),
    }
}

type Fitted = (usize, RingShares);

/// Coefficient, unit, mantissa and exponent of the variance, term by term.
fn terms_of<S: Security>(session: &Session<'_, S>, fit: &Fit) -> Fitted {
    let p = fit.coefficients.len();
    let mut out = Vec::new();
    for (j, (coefficient, unit)) in fit.coefficients.iter().zip(fit.variances.units()).enumerate() {
        out.push(RingShares::public(session.role(), &[coefficient.to_bits(), unit.to_bits()]));
        out.push(fit.variances.shares.gather(&[j, p + j]));
    }
    (fit.iterations, RingShares::concat(&out.iter().collect::<Vec<_>>()))
}
