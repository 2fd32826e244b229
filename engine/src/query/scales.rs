//! How a regression on shares scales its columns: by the catalogue's bounds, so that every hospital, every node and the researcher
//! take the same scale and no value exceeds one.

use ward_protocols::mpc::programs::regression::scaling::Scaling;

use super::ast::Statistic;
use super::catalogue::Column;
use super::error::QueryError;
use super::needs::{DesignTerm, design};
use super::plan::Factor;

/// A regression's terms and scales.
pub(crate) struct Scales {
    /// The terms but the constant.
    pub terms: Vec<DesignTerm>,
    /// Their scales.
    pub covariates: Vec<Scaling>,
    /// The scale of a linear model's outcome.
    pub outcome: Option<Scaling>,
}

/// The scales of a regression over these resolved columns.
///
/// # Errors
/// [`WrongKind`](QueryError::WrongKind) for bounds that no scale fits; [`Inconsistent`](QueryError::Inconsistent) for a statistic
/// that is no regression.
pub(crate) fn scales(statistic: &Statistic, columns: &[Column]) -> Result<Scales, QueryError> {
    let missing = |what: &str| QueryError::Inconsistent { message: what.into() };
    let (y, xs, is_linear) = match statistic {
        Statistic::LinReg { y, xs } => (y, xs, true),
        Statistic::Logit { y, xs } => (y, xs, false),
        Statistic::Cox { event, xs, .. } => (event, xs, false),
        _ => return Err(missing("a statistic that is no regression")),
    };
    let column = |name: &str| {
        columns.iter().find(|c| c.name == name).ok_or_else(|| missing("a column of a regression is missing"))
    };
    let (terms, _) = design(y, xs, columns)?;
    let terms: Vec<DesignTerm> = terms.into_iter().skip(1).collect();
    let mut covariates = Vec::new();
    for term in &terms {
        covariates.push(match &term.factor {
            Some(Factor::Value(name)) => scaling(column(name)?)?,
            _ => Scaling::from_bounds(0.0, 1.0).ok_or_else(|| missing("a scale of indicators"))?,
        });
    }
    let outcome = if is_linear { Some(scaling(column(y)?)?) } else { None };
    Ok(Scales { terms, covariates, outcome })
}

fn scaling(column: &Column) -> Result<Scaling, QueryError> {
    let unit = 10f64.powi(i32::from(column.digits));
    let (min, max) = (column.min as f64 / unit, column.max as f64 / unit);
    Scaling::from_bounds(min, max).ok_or_else(|| QueryError::WrongKind {
        column: column.name.clone(),
        place_in_query: "a regression on shares".into(),
        needed: "bounds near zero".into(),
        found: format!("between {min} and {max}"),
        hint: "publish the column with an offset, e.g. years since 2000".into(),
    })
}
