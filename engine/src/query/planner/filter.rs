//! Literals to fixed point, without changing what a comparison means.
//!
//! A literal finer than its column lies strictly between two values of it: `x < 2.5` is `x <= 2`, `x >= 2.5` is
//! `x > 2`, and `x = 2.5` holds for no value that is there.

use super::super::ast::{Comparison, Literal, Predicate};
use super::super::catalogue::{Column, ColumnKind};
use super::super::decimal::{Decimal, Fixed};
use super::super::error::QueryError;
use super::super::plan::Filter;
use super::super::suggest;
use super::Result;

pub(super) fn typed(predicate: &Predicate, columns: &[Column]) -> Result<Filter> {
    let all = |parts: &[Predicate]| parts.iter().map(|p| typed(p, columns)).collect::<Result<Vec<_>>>();
    Ok(match predicate {
        Predicate::And(parts) => Filter::And(all(parts)?),
        Predicate::Or(parts) => Filter::Or(all(parts)?),
        Predicate::Not(inner) => Filter::Not(Box::new(typed(inner, columns)?)),
        Predicate::IsNull { column } => Filter::IsNull { column: find(column, columns)?.name.clone() },
        Predicate::Compare { column, op, value } => compare(find(column, columns)?, *op, value)?,
        Predicate::Between { column, low, high } => {
            let column = find(column, columns)?;
            Filter::And(vec![compare(column, Comparison::Ge, low)?, compare(column, Comparison::Le, high)?])
        }
        Predicate::In { column, values } => within(find(column, columns)?, values)?,
    })
}

fn find<'a>(name: &str, columns: &'a [Column]) -> Result<&'a Column> {
    columns.iter().find(|c| c.name == name).ok_or_else(|| QueryError::UnknownColumn {
        column: name.to_owned(),
        table: String::new(),
        hint: String::new(),
    })
}

fn always(column: &Column, holds: bool) -> Filter {
    Filter::Always { column: column.name.clone(), holds }
}

fn compare(column: &Column, op: Comparison, literal: &Literal) -> Result<Filter> {
    let name = column.name.clone();
    if column.kind == ColumnKind::Category {
        if !matches!(op, Comparison::Eq | Comparison::Ne) {
            let hint = "codes have no order: use =, <> or IN";
            return Err(refuse(column, literal, "codes cannot be compared by size", hint));
        }
        return Ok(Filter::Compare { column: name, op, value: code(column, literal)? });
    }
    let Fixed { floor, exact } = fixed(column, literal)?;
    let op = match (op, exact) {
        (Comparison::Eq, false) => return Ok(always(column, false)),
        (Comparison::Ne, false) => return Ok(always(column, true)),
        (Comparison::Lt | Comparison::Le, false) => Comparison::Le,
        (Comparison::Gt | Comparison::Ge, false) => Comparison::Gt,
        (op, true) => op,
    };
    match i64::try_from(floor) {
        Ok(value) => Ok(Filter::Compare { column: name, op, value }),
        Err(_) => {
            // Beyond 64 bits on one side of every value.
            let holds = match op {
                Comparison::Eq => false,
                Comparison::Ne => true,
                Comparison::Lt | Comparison::Le => floor > 0,
                Comparison::Gt | Comparison::Ge => floor < 0,
            };
            Ok(always(column, holds))
        }
    }
}

fn within(column: &Column, literals: &[Literal]) -> Result<Filter> {
    let mut values = Vec::with_capacity(literals.len());
    for literal in literals {
        if column.kind == ColumnKind::Category {
            values.push(code(column, literal)?);
        } else {
            let Fixed { floor, exact } = fixed(column, literal)?;
            values.extend(i64::try_from(floor).ok().filter(|_| exact));
        }
    }
    values.sort_unstable();
    values.dedup();
    if values.is_empty() {
        return Ok(always(column, false));
    }
    Ok(Filter::In { column: column.name.clone(), values })
}

fn fixed(column: &Column, literal: &Literal) -> Result<Fixed> {
    if column.kind == ColumnKind::Identifier {
        let hint = "COUNT(DISTINCT identifier) is all that an identifier is for";
        return Err(refuse(column, literal, "an identifier is not compared with a value", hint));
    }
    let number = match literal {
        Literal::Number(text) => Decimal::parse(text),
        Literal::Boolean(value) if column.is_indicator() => Decimal::parse(if *value { "1" } else { "0" }),
        Literal::Boolean(_) => {
            return Err(refuse(column, literal, "the column is not 0 or 1", "compare it with a number"));
        }
        Literal::Text(_) => {
            return Err(refuse(column, literal, "the column holds numbers", "write a number without quotes"));
        }
    };
    let number = number.ok_or_else(|| refuse(column, literal, "it is no plain decimal", ""))?;
    Ok(number.to_fixed(column.digits))
}

/// The index of a code. A code that reads as a number may be written without quotes.
fn code(column: &Column, literal: &Literal) -> Result<i64> {
    let text = match literal {
        Literal::Text(text) | Literal::Number(text) => text,
        Literal::Boolean(_) => {
            return Err(refuse(column, literal, "the column is a category", "compare it with a code"));
        }
    };
    let index = column.codes.iter().position(|c| c == text).and_then(|i| i64::try_from(i).ok());
    index.ok_or_else(|| {
        let hint = suggest::hint(text, column.codes.iter().map(String::as_str));
        refuse(column, literal, "it is none of the codes", &hint)
    })
}

fn refuse(column: &Column, literal: &Literal, message: &str, hint: &str) -> QueryError {
    QueryError::Literal {
        column: column.name.clone(),
        literal: literal.canonical(),
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}
