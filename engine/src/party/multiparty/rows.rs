//! Rows that a hospital gives as shares: identifiers with a bit that says whether the row counts.

use crate::party::local::data::LocalData;
use crate::party::local::step;
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::{Plan, RowInput};

fn rows_of(plan: &Plan, input: &RowInput, hospital: &str) -> Result<usize, Problem> {
    let index = plan.hospitals.iter().position(|name| name == hospital);
    let rows = index.and_then(|index| input.rows.get(index)).and_then(|rows| usize::try_from(*rows).ok());
    rows.ok_or_else(|| Problem::internal(&"a hospital without a bound on its rows"))
}

fn inputs(plan: &Plan) -> &[RowInput] {
    plan.multi_party.as_ref().map_or(&[], |shares| &shares.rows)
}

/// Words that a hospital gives: for each row input an identifier and a bit per row.
pub(super) fn count(plan: &Plan, hospital: &str) -> Result<usize, Problem> {
    inputs(plan).iter().try_fold(0usize, |sum, input| {
        let words = rows_of(plan, input, hospital)?.checked_mul(2);
        words.and_then(|words| sum.checked_add(words)).ok_or_else(|| Problem::internal(&"too many rows"))
    })
}

/// The words: for each row input all identifiers, then all bits; filled up with rows that do not count.
pub(super) fn words(plan: &Plan, data: &LocalData, hospital: &str) -> Result<Vec<u64>, Problem> {
    let mut words = Vec::new();
    for input in inputs(plan) {
        let rows = rows_of(plan, input, hospital)?;
        let mut columns = step::columns(plan, data, hospital, &[&input.column]).map_err(Problem::from)?;
        let mut values: Vec<u64> =
            columns.pop().unwrap_or_default().into_iter().flatten().map(|value| value as u64).collect();
        if values.len() > rows {
            let message = format!("there are more rows than the {rows} that this hospital publishes at most");
            return Err(Problem::new(ProblemKind::Conflict, "data.rows_max", message)
                .hint("raise rows_max in the table's configuration"));
        }
        let valid = values.len();
        values.resize(rows, 0);
        words.extend(values);
        words.extend((0..rows).map(|row| u64::from(row < valid)));
    }
    Ok(words)
}
