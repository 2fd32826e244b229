//! From decrypted sums to statistics: public arithmetic at the researcher. Integers stay exact; a real number is
//! rounded once, after all differences have been taken among integers.

mod exact;
mod moments;
mod multi_party;
mod noisy;
mod regression;
mod sums;
mod survival;
mod tables;
mod tails;

use self::sums::{Result, Sums, View, inconsistent};
use super::answer::{Answer, Cell, Quality, Row, Value};
use super::ast::{Item, Statistic};
use super::catalogue::{Column, OutOfBounds};
use super::needs::{Need, need};
use super::plan::{Content, Plan};
use super::rounding::BASE;

pub use self::multi_party::{finish_shares, terms};
pub(super) use self::noisy::guarantee;

/// Finishes a query.
///
/// `slots` are the decrypted sums in the plan's order; a modular slot is 1 when it is not zero, else 0.
/// `participants` are the hospitals whose contributions were summed.
///
/// # Errors
/// [`Inconsistent`](super::QueryError::Inconsistent) when the slots are not what honest hospitals give: a wrong
/// number of slots, a negative count, more events than patients, a bit of a hospital that did not take part.
pub fn finish(plan: &Plan, slots: &[i128], participants: &[String]) -> Result<Answer> {
    let sums = Sums::new(plan, slots, participants)?;
    let mut headings = Vec::new();
    let mut needs: Vec<(&Statistic, Need)> = Vec::new();
    for item in &plan.query.items {
        if let Item::Aggregate { statistic, label } = item {
            headings.push(label.clone());
            needs.push((statistic, need(statistic, &plan.columns)?));
        }
    }
    let noisy = noisy::Noisy::of(&sums, participants.len());
    let mut rows = Vec::with_capacity(plan.cells());
    for cell in 0..plan.cells() {
        let values = needs.iter().map(|(statistic, need)| match &noisy {
            Some(noisy) => Ok(Cell { value: noisy.value(statistic, need, cell)?, withheld_by: Vec::new() }),
            None => value(&sums, statistic, need, cell),
        });
        rows.push(Row { key: key(plan, cell), values: values.collect::<Result<_>>()? });
    }
    let privacy = guarantee(plan, participants.len())?;
    let has_ungrouped = plan.blocks.iter().any(|block| block.content == Content::Ungrouped);
    let mut participants = participants.to_vec();
    participants.sort();
    Ok(Answer {
        query: plan.canonical.clone(),
        group_columns: plan.groups.iter().map(|g| g.column.clone()).collect(),
        headings,
        rows,
        participants,
        quality: quality(&sums)?,
        ungrouped: if has_ungrouped { sums.total(|c| *c == Content::Ungrouped)? } else { 0 },
        pooled_floor: None,
        privacy,
        rounding: rounding_of(plan),
    })
}

/// What counts are rounded to; 0 for exact ones.
fn rounding_of(plan: &Plan) -> u32 {
    if plan.rounding { BASE } else { 0 }
}

/// The codes of a cell.
fn key(plan: &Plan, cell: usize) -> Vec<String> {
    let mut rest = cell;
    let mut key: Vec<String> = Vec::with_capacity(plan.groups.len());
    for group in plan.groups.iter().rev() {
        let codes = group.codes.len().max(1);
        key.push(group.codes.get(rest % codes).cloned().unwrap_or_default());
        rest /= codes;
    }
    key.reverse();
    key
}

fn quality(sums: &Sums<'_>) -> Result<Vec<Quality>> {
    let counted = |c: &&Column| {
        sums.plan
            .blocks
            .iter()
            .any(|b| matches!(&b.content, Content::Missing { column } if *column == c.name))
    };
    let one = |c: &Column| {
        Ok(Quality {
            column: c.name.clone(),
            missing: sums.total(|b| matches!(b, Content::Missing { column } if *column == c.name))?,
            out_of_bounds: sums
                .total(|b| matches!(b, Content::OutOfBounds { column } if *column == c.name))?,
            treatment: match c.out_of_bounds {
                OutOfBounds::Reject => "rejected".into(),
                OutOfBounds::Clamp => "clamped".into(),
            },
        })
    };
    sums.plan.columns.iter().filter(counted).map(one).collect()
}

fn value(sums: &Sums<'_>, statistic: &Statistic, need: &Need, cell: usize) -> Result<Cell> {
    let view = sums.view(need, cell)?;
    let withheld_by = view.withheld_by();
    let value = if view.relevant == 0 {
        Value::Failed { reason: "the hospital did not take part".to_owned() }
    } else if view.all_suppressed() {
        Value::Suppressed
    } else {
        finished(sums.plan, statistic, &view)?
    };
    Ok(Cell { value, withheld_by })
}

fn undefined(reason: &str) -> Value {
    Value::Undefined { reason: reason.to_owned() }
}

fn finished(plan: &Plan, statistic: &Statistic, view: &View<'_>) -> Result<Value> {
    let column = |name: &String| plan.column(name).ok_or_else(|| inconsistent("a column is missing"));
    match statistic {
        Statistic::CountRows | Statistic::Count(_) => moments::count_rows(view),
        Statistic::Sum(x) => moments::sum(view, column(x)?),
        Statistic::Avg(x) => moments::mean(view, column(x)?),
        Statistic::Var(x) => moments::variance(view, column(x)?),
        Statistic::Stddev(x) => moments::deviation(view, column(x)?),
        Statistic::Min(x) | Statistic::Max(x) => {
            moments::extremum(view, column(x)?, matches!(statistic, Statistic::Max(_)))
        }
        Statistic::TTest { value, .. } => moments::t_test(view, column(value)?),
        Statistic::Corr { x, y } => moments::correlation(view, column(x)?, column(y)?),
        Statistic::Histogram { column: x, .. } => tables::histogram(view, column(x)?),
        Statistic::Crosstab { .. } => tables::crosstab(view),
        Statistic::Chi2 { .. } => tables::chi2(view),
        Statistic::OddsRatio { .. } => tables::odds_ratio(view),
        Statistic::Ols { y, xs } => regression::ols(view, y, xs, &plan.columns),
        Statistic::KaplanMeier { time, event, .. } => survival::kaplan_meier(view, column(time)?, event),
        Statistic::LogRank { event, .. } => survival::log_rank(view, event),
        other => Err(inconsistent(format!("{} is not made of sums", other.canonical()))),
    }
}
