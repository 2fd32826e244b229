//! The canonical text of a query: what is signed, hashed and shown. Parsing it gives the same query again.

use std::fmt::Write as _;

use super::ast::{Comparison, Item, Literal, Predicate, PrivacyClause, Query, Statistic};

/// Words that do not stand as bare names. Fixed here, so that the canonical text of a query never changes with
/// the version of the SQL reader; sorted.
const RESERVED: &[&str] = &[
    "all",
    "analyze",
    "and",
    "anti",
    "any",
    "array",
    "as",
    "asc",
    "asof",
    "between",
    "by",
    "case",
    "cast",
    "ceil",
    "check",
    "cluster",
    "collate",
    "column",
    "connect",
    "constraint",
    "convert",
    "create",
    "cross",
    "current",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "delete",
    "desc",
    "describe",
    "distinct",
    "distribute",
    "drop",
    "else",
    "end",
    "except",
    "exists",
    "explain",
    "extract",
    "false",
    "fetch",
    "final",
    "floor",
    "for",
    "format",
    "from",
    "full",
    "global",
    "group",
    "having",
    "if",
    "in",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "lambda",
    "lateral",
    "left",
    "like",
    "limit",
    "listagg",
    "localtime",
    "localtimestamp",
    "match",
    "match_recognize",
    "minus",
    "natural",
    "new",
    "not",
    "null",
    "of",
    "offset",
    "on",
    "open",
    "or",
    "order",
    "outer",
    "overlay",
    "partition",
    "pivot",
    "position",
    "prewhere",
    "primary",
    "prior",
    "qualify",
    "references",
    "returning",
    "right",
    "sample",
    "select",
    "semi",
    "session_user",
    "set",
    "settings",
    "some",
    "sort",
    "start",
    "struct",
    "substr",
    "substring",
    "table",
    "tablesample",
    "then",
    "to",
    "top",
    "trim",
    "true",
    "try_cast",
    "try_convert",
    "union",
    "unique",
    "unnest",
    "unpivot",
    "update",
    "use",
    "user",
    "using",
    "values",
    "view",
    "when",
    "where",
    "window",
    "with",
];

impl Query {
    /// The canonical text: upper-case keywords, lower-case names, one space, literals in their shortest form,
    /// an alias only where it is not the canonical heading.
    #[must_use]
    pub fn canonical(&self) -> String {
        let items = self.items.iter().map(item).collect::<Vec<_>>().join(", ");
        let mut text = format!("SELECT {items} FROM {}", name(&self.table));
        if let Some(filter) = &self.filter {
            let _ = write!(text, " WHERE {}", filter.canonical());
        }
        if !self.group_by.is_empty() {
            let names = self.group_by.iter().map(|g| name(g)).collect::<Vec<_>>().join(", ");
            let _ = write!(text, " GROUP BY {names}");
        }
        if let Some(privacy) = &self.privacy {
            let _ = write!(text, " WITH PRIVACY ({})", privacy.canonical());
        }
        if self.is_rounded {
            text.push_str(" WITH ROUNDING");
        }
        if self.is_proved {
            text.push_str(" WITH PROOFS");
        }
        text
    }
}

impl PrivacyClause {
    /// The settings that are not their defaults: `epsilon = 1, delta = 0.000001`.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = format!("epsilon = {}", decimal(self.epsilon_nano, 9));
        if self.delta_atto > 0 {
            let _ = write!(text, ", delta = {}", decimal(self.delta_atto, 18));
        }
        if self.honest != 1 {
            let _ = write!(text, ", honest = {}", self.honest);
        }
        text
    }
}

/// `units` times 10^-places, without trailing zeros.
fn decimal(units: u64, places: usize) -> String {
    let text = format!("{units:0width$}", width = places + 1);
    let (whole, fraction) = text.split_at(text.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

impl Statistic {
    /// The canonical text of the statistic, which is also its heading when it has no alias.
    #[must_use]
    pub fn canonical(&self) -> String {
        let call = |function: &str, columns: &[&str], step: u32| {
            let mut arguments: Vec<String> = columns.iter().map(|c| name(c)).collect();
            if step != 1 {
                arguments.push(step.to_string());
            }
            format!("{function}({})", arguments.join(", "))
        };
        match self {
            Self::CountRows => "COUNT(*)".into(),
            Self::Count(x) => call("COUNT", &[x], 1),
            Self::Sum(x) => call("SUM", &[x], 1),
            Self::Avg(x) => call("AVG", &[x], 1),
            Self::Var(x) => call("VAR", &[x], 1),
            Self::Stddev(x) => call("STDDEV", &[x], 1),
            Self::Min(x) => call("MIN", &[x], 1),
            Self::Max(x) => call("MAX", &[x], 1),
            Self::Histogram { column, edges } => {
                format!("HISTOGRAM({}, [{}])", name(column), edges.join(", "))
            }
            Self::Crosstab { a, b } => call("CROSSTAB", &[a, b], 1),
            Self::Chi2 { a, b } => call("CHI2", &[a, b], 1),
            Self::OddsRatio { a, b } => call("ODDS_RATIO", &[a, b], 1),
            Self::TTest { value, group } => call("TTEST", &[value, group], 1),
            Self::Corr { x, y } => call("CORR", &[x, y], 1),
            Self::Ols { y, xs } => call("OLS", &chained(&[y], xs), 1),
            Self::KaplanMeier { time, event, step } => call("KAPLAN_MEIER", &[time, event], *step),
            Self::LogRank { time, event, group, step } => call("LOG_RANK", &[time, event, group], *step),
            Self::Quantile { column, q, width: None } if q == "0.5" => call("MEDIAN", &[column], 1),
            Self::Quantile { column, q, width } => {
                let width = width.as_ref().map(|width| format!(", {width}")).unwrap_or_default();
                format!("QUANTILE({}, {q}{width})", name(column))
            }
            Self::CountDistinct(x) => format!("COUNT(DISTINCT {})", name(x)),
            Self::TopK { column, k } => format!("TOPK({}, {k})", name(column)),
            Self::Fisher { a, b } => call("FISHER", &[a, b], 1),
            Self::LinReg { y, xs } => call("LINREG", &chained(&[y], xs), 1),
            Self::Logit { y, xs } => call("LOGIT", &chained(&[y], xs), 1),
            Self::Cox { time, event, xs } => call("COX", &chained(&[time, event], xs), 1),
        }
    }
}

impl Predicate {
    /// The condition as SQL text.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        predicate(&mut text, self, Level::Whole);
        text
    }
}

impl Comparison {
    /// The operator's sign.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }

    /// The operator with its sides exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            same => same,
        }
    }
}

impl Literal {
    /// The literal as SQL text.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Number(text) => text.clone(),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
            Self::Boolean(true) => "TRUE".into(),
            Self::Boolean(false) => "FALSE".into(),
        }
    }
}

fn chained<'a>(first: &[&'a str], rest: &'a [String]) -> Vec<&'a str> {
    first.iter().copied().chain(rest.iter().map(String::as_str)).collect()
}

/// A name, quoted where it would be read as a keyword.
fn name(text: &str) -> String {
    if RESERVED.binary_search(&text).is_ok() { format!("\"{text}\"") } else { text.to_owned() }
}

fn item(item: &Item) -> String {
    match item {
        Item::Group { column } => name(column),
        Item::Aggregate { statistic, label } => {
            let text = statistic.canonical();
            if *label == text { text } else { format!("{text} AS \"{}\"", label.replace('"', "\"\"")) }
        }
    }
}

/// What stands around a condition, and so which conditions need parentheses.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Whole,
    Operand,
}

fn predicate(text: &mut String, condition: &Predicate, level: Level) {
    match condition {
        Predicate::And(parts) => joined(text, parts, " AND ", level),
        Predicate::Or(parts) => joined(text, parts, " OR ", level),
        Predicate::Not(inner) => match &**inner {
            Predicate::Between { column, low, high } => {
                let _ = write!(text, "{} NOT {}", name(column), between(low, high));
            }
            Predicate::In { column, values } => {
                let _ = write!(text, "{} NOT {}", name(column), within(values));
            }
            Predicate::IsNull { column } => {
                let _ = write!(text, "{} IS NOT NULL", name(column));
            }
            other => {
                text.push_str("NOT (");
                predicate(text, other, Level::Whole);
                text.push(')');
            }
        },
        Predicate::Compare { column, op, value } => {
            let _ = write!(text, "{} {} {}", name(column), op.sign(), value.canonical());
        }
        Predicate::Between { column, low, high } => {
            let _ = write!(text, "{} {}", name(column), between(low, high));
        }
        Predicate::In { column, values } => {
            let _ = write!(text, "{} {}", name(column), within(values));
        }
        Predicate::IsNull { column } => {
            let _ = write!(text, "{} IS NULL", name(column));
        }
    }
}

fn joined(text: &mut String, parts: &[Predicate], operator: &str, level: Level) {
    if level == Level::Operand {
        text.push('(');
    }
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            text.push_str(operator);
        }
        predicate(text, part, Level::Operand);
    }
    if level == Level::Operand {
        text.push(')');
    }
}

fn between(low: &Literal, high: &Literal) -> String {
    format!("BETWEEN {} AND {}", low.canonical(), high.canonical())
}

fn within(values: &[Literal]) -> String {
    format!("IN ({})", values.iter().map(Literal::canonical).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_sorted() {
        assert!(RESERVED.is_sorted());
    }
}
