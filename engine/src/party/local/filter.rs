//! The condition of a plan as a Polars expression, in SQL's three-valued logic: Polars's `and`, `or` and `not`
//! over nullable truth values are Kleene's, and `filter` keeps rows that are true.

use polars::prelude::{DataType, Expr, NULL, lit, when};

use super::LocalError;
use super::scan::named;
use crate::query::ast::Comparison;
use crate::query::plan::Filter;

/// Deepest nesting of a condition.
pub(super) const DEPTH_MAX: usize = 64;
/// Most conditions and values in a condition.
const NODES_MAX: usize = 1 << 14;

/// The expression of a condition.
///
/// # Errors
/// [`LocalError::PlanInconsistent`] when it is nested too deeply or too large.
pub(super) fn expression(filter: &Filter) -> Result<Expr, LocalError> {
    let mut nodes = 0;
    build(filter, 0, &mut nodes)
}

fn build(filter: &Filter, depth: usize, nodes: &mut usize) -> Result<Expr, LocalError> {
    *nodes += 1;
    if depth > DEPTH_MAX || *nodes > NODES_MAX {
        let detail = format!("a condition of more than {DEPTH_MAX} levels or {NODES_MAX} parts");
        return Err(LocalError::PlanInconsistent { detail });
    }
    Ok(match filter {
        Filter::And(parts) => {
            let parts = parts.iter().map(|p| build(p, depth + 1, nodes)).collect::<Result<Vec<_>, _>>()?;
            joined(parts, Expr::and).unwrap_or_else(|| lit(true))
        }
        Filter::Or(parts) => {
            let parts = parts.iter().map(|p| build(p, depth + 1, nodes)).collect::<Result<Vec<_>, _>>()?;
            joined(parts, Expr::or).unwrap_or_else(|| lit(false))
        }
        Filter::Not(part) => build(part, depth + 1, nodes)?.not(),
        Filter::Compare { column, op, value } => compare(column, *op, *value),
        Filter::In { column, values } => {
            *nodes += values.len();
            let equal = values.iter().map(|value| compare(column, Comparison::Eq, *value)).collect();
            joined(equal, Expr::or).unwrap_or_else(|| always(column, false))
        }
        Filter::IsNull { column } => named(column).is_null(),
        Filter::Always { column, holds } => always(column, *holds),
    })
}

/// Joins expressions in a balanced tree, so that a long list is not a deep one.
fn joined<T: Into<Expr>>(mut parts: Vec<Expr>, join: fn(Expr, Expr) -> T) -> Option<Expr> {
    while parts.len() > 1 {
        let mut rest = parts.into_iter();
        let mut next = Vec::new();
        while let Some(left) = rest.next() {
            next.push(match rest.next() {
                Some(right) => join(left, right).into(),
                None => left,
            });
        }
        parts = next;
    }
    parts.pop()
}

fn compare(column: &str, op: Comparison, value: i64) -> Expr {
    let (column, value) = (named(column), lit(value));
    match op {
        Comparison::Eq => column.eq(value),
        Comparison::Ne => column.neq(value),
        Comparison::Lt => column.lt(value),
        Comparison::Le => column.lt_eq(value),
        Comparison::Gt => column.gt(value),
        Comparison::Ge => column.gt_eq(value),
    }
}

fn always(column: &str, holds: bool) -> Expr {
    when(named(column).is_null()).then(lit(NULL).cast(DataType::Boolean)).otherwise(lit(holds))
}
