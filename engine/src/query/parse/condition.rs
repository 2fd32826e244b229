//! WHERE: comparisons of a column with literals, joined by AND, OR and NOT.

use sqlparser::ast::{BinaryOperator, Expr, Spanned, UnaryOperator, Value};

use super::super::ast::{Comparison, Literal, Predicate};
use super::super::decimal::{DIGITS_MAX, Decimal};
use super::super::error::QueryError;
use super::{DEPTH_MAX, LIST_MAX, Result, column, limit, too_deep, unsupported};

/// Longest text literal, in bytes.
const TEXT_MAX: usize = 256;

const CONDITION_HINT: &str = "conditions compare a column with a literal: =, <>, <, <=, >, >=, BETWEEN, IN, IS NULL, with AND, OR, NOT";

pub(super) fn predicate(expr: &Expr) -> Result<Predicate> {
    nested(expr, 1)
}

fn nested(expr: &Expr, depth: usize) -> Result<Predicate> {
    if depth > DEPTH_MAX {
        return Err(too_deep(depth, DEPTH_MAX));
    }
    match unwrapped(expr) {
        Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => chain(expr, op, depth),
        Expr::BinaryOp { left, op, right } => compare(left, op, right, expr),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(not(nested(expr, depth + 1)?)),
        Expr::IsNull(inner) => Ok(Predicate::IsNull { column: column(unwrapped(inner))? }),
        Expr::IsNotNull(inner) => Ok(not(Predicate::IsNull { column: column(unwrapped(inner))? })),
        Expr::Between { expr, negated, low, high } => {
            let (low, high) = (literal(low)?, literal(high)?);
            Ok(negate(*negated, Predicate::Between { column: column(unwrapped(expr))?, low, high }))
        }
        Expr::InList { expr, list, negated } => {
            limit("values of one IN", list.len(), LIST_MAX, "use BETWEEN, or ask in several queries")?;
            let values = list.iter().map(literal).collect::<Result<Vec<_>>>()?;
            if values.is_empty() {
                return Err(unsupported("an empty IN", "give at least one value", expr.span()));
            }
            Ok(negate(*negated, Predicate::In { column: column(unwrapped(expr))?, values }))
        }
        Expr::Identifier(ident) => {
            let hint = format!("write {} = 1", ident.value);
            Err(unsupported("a column alone as a condition", &hint, ident.span))
        }
        Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Subquery(_) => {
            Err(unsupported("a subquery", CONDITION_HINT, expr.span()))
        }
        other => Err(unsupported("this condition", CONDITION_HINT, other.span())),
    }
}

/// The expression inside its parentheses.
fn unwrapped(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

/// The operands of a chain of one operator, in order, whatever its parentheses.
fn chain(expr: &Expr, op: &BinaryOperator, depth: usize) -> Result<Predicate> {
    let mut parts = Vec::new();
    let mut pending = vec![expr];
    while let Some(next) = pending.pop() {
        match unwrapped(next) {
            Expr::BinaryOp { left, op: inner, right } if inner == op => pending.extend([&**right, &**left]),
            other => parts.push(nested(other, depth + 1)?),
        }
        limit("conditions joined by one AND or OR", parts.len(), LIST_MAX, "use IN or BETWEEN")?;
    }
    Ok(if *op == BinaryOperator::And { Predicate::And(parts) } else { Predicate::Or(parts) })
}

fn not(inner: Predicate) -> Predicate {
    Predicate::Not(Box::new(inner))
}

fn negate(negated: bool, inner: Predicate) -> Predicate {
    if negated { not(inner) } else { inner }
}

fn compare(left: &Expr, op: &BinaryOperator, right: &Expr, whole: &Expr) -> Result<Predicate> {
    let op = match op {
        BinaryOperator::Eq => Comparison::Eq,
        BinaryOperator::NotEq => Comparison::Ne,
        BinaryOperator::Lt => Comparison::Lt,
        BinaryOperator::LtEq => Comparison::Le,
        BinaryOperator::Gt => Comparison::Gt,
        BinaryOperator::GtEq => Comparison::Ge,
        _ => return Err(unsupported("this operator", CONDITION_HINT, whole.span())),
    };
    let (left, right) = (unwrapped(left), unwrapped(right));
    match (is_column(left), is_column(right)) {
        (true, true) => {
            Err(unsupported("comparing two columns", "compare a column with a literal", whole.span()))
        }
        (false, true) => {
            Ok(Predicate::Compare { column: column(right)?, op: op.flipped(), value: literal(left)? })
        }
        _ => Ok(Predicate::Compare { column: column(left)?, op, value: literal(right)? }),
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// A literal: a number with its sign, a text, TRUE or FALSE.
fn literal(expr: &Expr) -> Result<Literal> {
    let expr = unwrapped(expr);
    if let Some(number) = decimal(expr)? {
        return Ok(Literal::Number(number.canonical()));
    }
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => {
                limit("a text literal, in bytes", text.len(), TEXT_MAX, "shorten it")?;
                Ok(Literal::Text(text.clone()))
            }
            Value::Boolean(value) => Ok(Literal::Boolean(*value)),
            Value::Null => {
                Err(unsupported("comparing with NULL", "write IS NULL or IS NOT NULL", value.span))
            }
            _ => Err(unsupported("this literal", "write a number, 'a text', TRUE or FALSE", value.span)),
        },
        other => Err(unsupported("an expression in place of a literal", CONDITION_HINT, other.span())),
    }
}

/// The decimal an expression writes, `None` when it is no number.
pub(super) fn decimal(expr: &Expr) -> Result<Option<Decimal>> {
    let (expr, negative) = match unwrapped(expr) {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => (unwrapped(expr), true),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => (unwrapped(expr), false),
        other => (other, false),
    };
    let Expr::Value(value) = expr else { return Ok(None) };
    let Value::Number(text, long) = &value.value else { return Ok(None) };
    let signed = if negative { format!("-{text}") } else { text.clone() };
    match Decimal::parse(&signed) {
        Some(number) if !long => Ok(Some(number)),
        _ => Err(QueryError::Unsupported {
            construct: format!("the number {}", text.chars().take(60).collect::<String>()),
            hint: format!("write a plain decimal of at most {DIGITS_MAX} digits"),
            place: super::place(value.span),
        }),
    }
}
