//! `WITH PROOFS`: whether a query is one of those that hospitals can prove, over rows that all of them published.

use std::collections::BTreeMap;

use ward_circuits::pedersen::PIECES;

use super::super::ast::{Comparison, Statistic};
use super::super::catalogue::{Catalogue, Column, ProvedRows};
use super::super::error::QueryError;
use super::super::plan::{Block, Content, Filter, Plan};
use super::super::proved::{Interval, MISSING_CODE, Proved, Summed};
use super::blocks::signed_bits;
use super::{Result, statistics};

const HINT: &str = "WITH PROOFS goes with COUNT(*), or SUM, AVG and COUNT of one column, ungrouped, under a range or a code \
                    of at most two columns";

fn refuse(construct: impl Into<String>, hint: impl Into<String>) -> QueryError {
    QueryError::Unsupported { construct: construct.into(), hint: hint.into(), place: None }
}

/// Adds to a plan what is proved of its contributions, and the slots that it takes.
pub(super) fn prove(plan: &mut Plan, catalogue: &Catalogue) -> Result<()> {
    if plan.privacy.is_some() || plan.rounding {
        return Err(refuse("WITH PROOFS where counts are rounded or noise is added", HINT));
    }
    if plan.multi_party.is_some() {
        return Err(refuse("WITH PROOFS on shares", "leave out --mpc: proofs are of sums under encryption"));
    }
    let hides_more = plan.strata.len() != 1 || plan.strata.iter().any(|s| !s.levels.is_empty());
    if !plan.groups.is_empty() || hides_more {
        return Err(refuse("WITH PROOFS over groups, or over the sum of a column of few values", HINT));
    }
    let value = value(plan)?;
    let intervals = intervals(plan)?;
    let rows = published(plan, catalogue, (&intervals, value.as_deref()))?;
    let (first, roots) = rows;
    let value =
        value.and_then(|name| plan.column(&name)).map(|c| Summed { column: c.name.clone(), min: c.min });
    let everything = |name: &String| Interval { column: name.clone(), low: 0, high: MISSING_CODE };
    let asked = |name: &String| intervals.iter().find(|i| i.column == *name).cloned();
    plan.proved = Some(Proved {
        statement: first.statement.clone(),
        key: first.key,
        columns: first.columns.iter().map(|name| asked(name).unwrap_or_else(|| everything(name))).collect(),
        value,
        roots,
    });
    let largest = u128::from(u64::MAX) * plan.hospitals.len() as u128;
    let (bits, available) = (signed_bits(largest), plan.protocol.log2_t.saturating_sub(1));
    if bits > available {
        return Err(QueryError::Overflow { what: "what blinds commitments".into(), bits, available });
    }
    plan.blocks.push(Block { content: Content::Blinding, slots: PIECES as u32, width: bits });
    Ok(())
}

/// The column that is summed.
fn value(plan: &Plan) -> Result<Option<String>> {
    let mut value: Option<Option<String>> = None;
    for statistic in statistics(&plan.query) {
        let of = match statistic {
            Statistic::CountRows => None,
            Statistic::Count(x) | Statistic::Sum(x) | Statistic::Avg(x) => Some(x.clone()),
            other => return Err(refuse(format!("{} WITH PROOFS", other.canonical()), HINT)),
        };
        if value.get_or_insert_with(|| of.clone()) != &of {
            let hint = "ask for one column: COUNT(x), SUM(x), AVG(x); or for COUNT(*) alone";
            return Err(refuse("proofs of the rows of two columns", hint));
        }
    }
    let value = value.flatten();
    let is_summed = statistics(&plan.query).any(|s| matches!(s, Statistic::Sum(_) | Statistic::Avg(_)));
    match value {
        Some(name) if !is_summed => {
            Err(refuse(format!("COUNT({name}) alone WITH PROOFS"), format!("ask for SUM({name}) besides")))
        }
        value => Ok(value),
    }
}

/// The condition as an interval of each column.
fn intervals(plan: &Plan) -> Result<Vec<Interval>> {
    let mut intervals: Vec<Interval> = Vec::new();
    let mut parts: Vec<&Filter> = plan.filter.iter().collect();
    while let Some(part) = parts.pop() {
        let (name, op, value) = match part {
            Filter::And(inner) => {
                parts.extend(inner);
                continue;
            }
            Filter::Compare { column, op, value } => (column, *op, *value),
            _ => return Err(refuse("this condition WITH PROOFS", HINT)),
        };
        let column = plan.column(name).ok_or_else(|| refuse(format!("the column `{name}`"), HINT))?;
        let (low, high) = narrowed(column, op, value)?;
        match intervals.iter_mut().find(|i| i.column == *name) {
            Some(known) => (known.low, known.high) = (known.low.max(low), known.high.min(high)),
            None => intervals.push(Interval { column: name.clone(), low, high }),
        }
    }
    if intervals.len() > 2 {
        return Err(refuse("a condition on more than two columns WITH PROOFS", HINT));
    }
    if let Some(empty) = intervals.iter().find(|i| i.low > i.high) {
        return Err(refuse(format!("a condition that no value of `{}` meets", empty.column), HINT));
    }
    Ok(intervals)
}

/// The values of a column that a comparison leaves, less the smallest.
fn narrowed(column: &Column, op: Comparison, value: i64) -> Result<(u16, u16)> {
    let span = column.max.checked_sub(column.min).and_then(|span| u16::try_from(span).ok());
    let span = span.filter(|span| *span < MISSING_CODE).ok_or_else(|| {
        refuse(format!("`{}` WITH PROOFS: it has more than {MISSING_CODE} values", column.name), HINT)
    })?;
    let (low, high) = match op {
        Comparison::Eq => (value, value),
        Comparison::Ge => (value, column.max),
        Comparison::Gt => (value.saturating_add(1), column.max),
        Comparison::Le => (column.min, value),
        Comparison::Lt => (column.min, value.saturating_sub(1)),
        Comparison::Ne => return Err(refuse("<> WITH PROOFS", HINT)),
    };
    let nobody = || refuse(format!("a condition that no value of `{}` meets", column.name), HINT);
    if low > column.max || high < column.min {
        return Err(nobody());
    }
    let within = |value: i64| u16::try_from(value.clamp(column.min, column.max) - column.min).unwrap_or(span);
    Ok((within(low), within(high)))
}

/// The rows over which every hospital of the plan proves such a question, and their roots.
fn published<'a>(
    plan: &Plan,
    catalogue: &'a Catalogue,
    (intervals, value): (&[Interval], Option<&str>),
) -> Result<(&'a ProvedRows, BTreeMap<String, crate::encoding::Digest>)> {
    let fits = |rows: &&ProvedRows| {
        rows.value.as_deref() == value && intervals.iter().all(|i| rows.columns.contains(&i.column))
    };
    let of = |name: &String| {
        let table = catalogue.hospitals.get(name).and_then(|p| p.table(&plan.query.table));
        table.map_or(&[][..], |table| &table.proofs).iter().filter(fits)
    };
    let lacks = |name: &String| {
        let columns: Vec<&str> = intervals.iter().map(|i| i.column.as_str()).collect();
        let of = value.map_or_else(|| "rows".to_owned(), |value| format!("sums of {value}"));
        let under = if columns.is_empty() {
            String::new()
        } else {
            format!(" under conditions on {}", columns.join(", "))
        };
        refuse(
            format!("WITH PROOFS: {name} proves no {of}{under}, or not as the others do"),
            "`ward --json catalogue` shows what each hospital proves; a hospital adds [[table.proof]] to its configuration",
        )
    };
    let Some(first_name) = plan.hospitals.first() else {
        return Err(refuse("WITH PROOFS without hospitals", HINT));
    };
    for candidate in of(first_name) {
        let alike = |name: &String| {
            of(name).find(|rows| {
                (&rows.statement, rows.key, &rows.columns)
                    == (&candidate.statement, candidate.key, &candidate.columns)
            })
        };
        let roots: Option<BTreeMap<_, _>> =
            plan.hospitals.iter().map(|name| Some((name.clone(), alike(name)?.root))).collect();
        if let Some(roots) = roots {
            return Ok((candidate, roots));
        }
    }
    let missing = plan.hospitals.iter().find(|name| of(name).next().is_none()).unwrap_or(first_name);
    Err(lacks(missing))
}
