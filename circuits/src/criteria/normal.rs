//! From any tree to an AND of ORs.
//!
//! `not` moves inward by De Morgan's laws until it meets a clause, and every clause has a negation that is a clause; then
//! OR is distributed over AND. Distribution can grow without bound, so it stops at [`CLAUSES_MAX`].

use super::error::{At, Fault};
use super::parse::{RawClause, Tree};
use super::schema::Schema;
use super::{Clause, lower, resolve};
use crate::eligibility;

/// Most clauses of the normal form that are written out before the text is refused.
const CLAUSES_MAX: usize = 256;

type Groups = Vec<Vec<Clause>>;

/// The AND of ORs of a tree.
pub(super) fn groups(schema: &Schema, tree: &Tree<RawClause<'_>>, whole: usize) -> Result<Groups, At> {
    let groups = normal(schema, tree, false).map_err(|failed| match failed {
        Failed::At(at) => at,
        Failed::TooLarge => {
            let what = "clauses of the circuit, once the text is an AND of ORs".to_owned();
            At::new(Fault::Limit { what, count: CLAUSES_MAX + 1, limit: eligibility::CLAUSES_MAX }, 0..whole).hint(
                "an OR of ANDs multiplies out: `(a and b) or (c and d)` becomes four groups; factor out what the \
                 alternatives share, or make each alternative criteria of its own",
            )
        }
    })?;
    Ok(absorbed(groups))
}

enum Failed {
    At(At),
    TooLarge,
}

fn normal(schema: &Schema, tree: &Tree<RawClause<'_>>, negated: bool) -> Result<Groups, Failed> {
    match (tree, negated) {
        (Tree::Clause(raw), _) => {
            let clause = resolve::clause(schema, raw).map_err(Failed::At)?;
            let clause = if negated { clause.negated() } else { clause };
            meetable(schema, &clause).map_err(|message| {
                let at = At::new(Fault::Empty { message }, raw.span.clone());
                Failed::At(at.hint("the bounds of every attribute are in the schema: `ward criteria schema`"))
            })?;
            Ok(vec![vec![clause]])
        }
        (Tree::Not(inner), _) => normal(schema, inner, !negated),
        (Tree::All(parts), false) | (Tree::Any(parts), true) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(normal(schema, part, negated)?);
                bounded(&all)?;
            }
            Ok(all)
        }
        (Tree::Any(parts), false) | (Tree::All(parts), true) => {
            let mut any: Groups = vec![Vec::new()];
            for part in parts {
                let part = normal(schema, part, negated)?;
                let mut product = Vec::new();
                for group in &any {
                    for other in &part {
                        product.push(joined(group, other));
                        bounded(&product)?;
                    }
                }
                any = product;
            }
            Ok(any)
        }
    }
}

/// Refuses a clause that no recorded value meets.
fn meetable(schema: &Schema, clause: &Clause) -> Result<(), String> {
    let attribute = &schema.attributes()[clause.attribute];
    if lower::is_empty(&attribute.kind, &clause.test) {
        return Err(format!("no value of `{}` meets this", attribute.name));
    }
    Ok(())
}

fn bounded(groups: &Groups) -> Result<(), Failed> {
    let clauses: usize = groups.iter().map(Vec::len).sum();
    if clauses > CLAUSES_MAX { Err(Failed::TooLarge) } else { Ok(()) }
}

/// Both groups, each clause once.
fn joined(group: &[Clause], other: &[Clause]) -> Vec<Clause> {
    let mut joined: Vec<Clause> = Vec::new();
    for clause in group.iter().chain(other) {
        if !joined.contains(clause) {
            joined.push(clause.clone());
        }
    }
    joined
}

/// Without the groups that another group implies: `a and (a or b)` is `a`.
fn absorbed(groups: Groups) -> Groups {
    let implies =
        |strong: &Vec<Clause>, weak: &Vec<Clause>| strong.iter().all(|clause| weak.contains(clause));
    let mut kept: Groups = Vec::new();
    for group in groups {
        if !kept.iter().any(|other| implies(other, &group)) {
            kept.retain(|other| !implies(&group, other));
            kept.push(group);
        }
    }
    kept
}
