//! Statistics: aggregate functions with the arguments that each of them takes.

use sqlparser::ast::{
    Array, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned,
};
use sqlparser::tokenizer::Span;

use super::super::ast::Statistic;
use super::super::decimal::Decimal;
use super::super::error::QueryError;
use super::super::suggest;
use super::select::single;
use super::{LIST_MAX, Result, column, condition, limit, place, unsupported};

/// Most predictors of a regression.
pub(super) const PREDICTORS_MAX: usize = 32;

/// Every statistic with its usage.
pub(super) const USAGE: &[(&str, &str)] = &[
    ("COUNT", "COUNT(*) or COUNT(column)"),
    ("SUM", "SUM(column)"),
    ("AVG", "AVG(column)"),
    ("VAR", "VAR(column)"),
    ("VARIANCE", "VARIANCE(column)"),
    ("VAR_SAMP", "VAR_SAMP(column)"),
    ("STDDEV", "STDDEV(column)"),
    ("STDDEV_SAMP", "STDDEV_SAMP(column)"),
    ("MIN", "MIN(column)"),
    ("MAX", "MAX(column)"),
    ("HISTOGRAM", "HISTOGRAM(column, low, high, bins) or HISTOGRAM(column, [e0, e1, ...])"),
    ("CROSSTAB", "CROSSTAB(a, b)"),
    ("CHI2", "CHI2(a, b)"),
    ("ODDS_RATIO", "ODDS_RATIO(a, b)"),
    ("TTEST", "TTEST(value, group)"),
    ("CORR", "CORR(x, y)"),
    ("OLS", "OLS(outcome, predictor, ...)"),
    ("KAPLAN_MEIER", "KAPLAN_MEIER(time, event) or KAPLAN_MEIER(time, event, step)"),
    ("LOG_RANK", "LOG_RANK(time, event, group) or LOG_RANK(time, event, group, step)"),
    ("MEDIAN", "MEDIAN(column)"),
    ("QUANTILE", "QUANTILE(column, q) or QUANTILE(column, q, width)"),
    ("TOPK", "TOPK(column, k)"),
    ("FISHER", "FISHER(a, b)"),
    ("LINREG", "LINREG(outcome, predictor, ...)"),
    ("LOGIT", "LOGIT(outcome, predictor, ...)"),
    ("COX", "COX(time, event, predictor, ...)"),
];

/// Names from elsewhere, and what to use here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("MEAN", "did you mean `AVG`?"),
    ("AVERAGE", "did you mean `AVG`?"),
    ("STD", "did you mean `STDDEV`?"),
    ("SD", "did you mean `STDDEV`?"),
    ("VAR_POP", "Ward gives the sample variance, VAR"),
    ("STDDEV_POP", "Ward gives the sample deviation, STDDEV"),
    ("PERCENTILE_CONT", "did you mean `QUANTILE`?"),
    ("REGRESSION", "did you mean `LINREG` or `OLS`?"),
    ("LOGISTIC", "did you mean `LOGIT`?"),
    ("COXPH", "did you mean `COX`?"),
    ("SURVIVAL", "did you mean `KAPLAN_MEIER`?"),
    ("KM", "did you mean `KAPLAN_MEIER`?"),
];

/// A statistic's call: its name, its arguments and where it stands.
struct Call<'a> {
    name: String,
    arguments: Vec<&'a Expr>,
    span: Span,
}

pub(super) fn statistic(function: &Function) -> Result<Statistic> {
    let span = function.span();
    let name = single(&function.name, span)?.value.to_ascii_uppercase();
    let Some((_, usage)) = USAGE.iter().find(|(known, _)| *known == name) else {
        return Err(unknown(name, span));
    };
    plain(function, span)?;
    let FunctionArguments::List(list) = &function.args else {
        return Err(Call { name, arguments: vec![], span }.wrong("it has no arguments", usage));
    };
    let distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    if list.duplicate_treatment.is_some() && !(distinct && name == "COUNT") {
        let hint = "COUNT(DISTINCT identifier) counts patients; GROUP BY and COUNT(*) count codes";
        return Err(unsupported("DISTINCT or ALL in this statistic", hint, span));
    }
    if !list.clauses.is_empty() {
        return Err(unsupported("a clause in a statistic", usage, span));
    }
    if let (false, "COUNT", [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]) =
        (distinct, name.as_str(), list.args.as_slice())
    {
        return Ok(Statistic::CountRows);
    }
    let expression = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Ok(expr),
        _ => Err(unsupported("this argument", usage, span)),
    };
    let arguments = list.args.iter().map(expression).collect::<Result<Vec<_>>>()?;
    let call = Call { name, arguments, span };
    if distinct {
        return match call.arguments.as_slice() {
            [only] => Ok(Statistic::CountDistinct(column(only)?)),
            _ => Err(call.wrong("it takes one column", "COUNT(DISTINCT identifier)")),
        };
    }
    call.read(usage)
}

fn unknown(name: String, span: Span) -> QueryError {
    let elsewhere = ELSEWHERE.iter().find(|(known, _)| *known == name).map(|(_, hint)| (*hint).to_owned());
    let hint = elsewhere.unwrap_or_else(|| suggest::hint(&name, USAGE.iter().map(|(known, _)| *known)));
    QueryError::UnknownFunction { name: name.chars().take(64).collect(), hint, place: place(span) }
}

/// Refuses what a function may carry besides its arguments.
fn plain(function: &Function, span: Span) -> Result<()> {
    let Function {
        name: _,
        uses_odbc_syntax,
        parameters,
        args: _,
        within_group,
        filter,
        null_treatment,
        over,
    } = function;
    if filter.is_some() {
        return Err(unsupported("FILTER", "put the condition after WHERE", span));
    }
    if over.is_some() {
        return Err(unsupported("a window", "use GROUP BY", span));
    }
    let other = *uses_odbc_syntax
        || !matches!(parameters, FunctionArguments::None)
        || !within_group.is_empty()
        || null_treatment.is_some();
    if other {
        return Err(unsupported("a clause of a statistic", "write its name and arguments alone", span));
    }
    Ok(())
}

impl Call<'_> {
    fn wrong(&self, message: impl Into<String>, usage: &str) -> QueryError {
        QueryError::Arguments {
            function: self.name.clone(),
            message: message.into(),
            usage: usage.into(),
            place: place(self.span),
        }
    }

    fn read(&self, usage: &str) -> Result<Statistic> {
        let given = self.arguments.len();
        let least_most = match self.name.as_str() {
            "HISTOGRAM" => 2..=4,
            "KAPLAN_MEIER" => 2..=3,
            "LOG_RANK" => 3..=4,
            "OLS" | "LINREG" | "LOGIT" => 2..=PREDICTORS_MAX + 1,
            "COX" => 3..=PREDICTORS_MAX + 2,
            "QUANTILE" => 2..=3,
            "CROSSTAB" | "CHI2" | "FISHER" | "ODDS_RATIO" | "TTEST" | "CORR" | "TOPK" => 2..=2,
            _ => 1..=1,
        };
        if !least_most.contains(&given) || (self.name == "HISTOGRAM" && given == 3) {
            return Err(self.wrong(format!("it does not take {given} arguments"), usage));
        }
        let name = |i: usize| column(self.arguments[i]);
        Ok(match self.name.as_str() {
            "COUNT" => Statistic::Count(name(0)?),
            "SUM" => Statistic::Sum(name(0)?),
            "AVG" => Statistic::Avg(name(0)?),
            "VAR" | "VARIANCE" | "VAR_SAMP" => Statistic::Var(name(0)?),
            "STDDEV" | "STDDEV_SAMP" => Statistic::Stddev(name(0)?),
            "MIN" => Statistic::Min(name(0)?),
            "MAX" => Statistic::Max(name(0)?),
            "CROSSTAB" => Statistic::Crosstab { a: name(0)?, b: name(1)? },
            "CHI2" => Statistic::Chi2 { a: name(0)?, b: name(1)? },
            "ODDS_RATIO" => Statistic::OddsRatio { a: name(0)?, b: name(1)? },
            "TTEST" => Statistic::TTest { value: name(0)?, group: name(1)? },
            "CORR" => Statistic::Corr { x: name(0)?, y: name(1)? },
            "KAPLAN_MEIER" => {
                Statistic::KaplanMeier { time: name(0)?, event: name(1)?, step: self.step(2, usage)? }
            }
            "LOG_RANK" => Statistic::LogRank {
                time: name(0)?,
                event: name(1)?,
                group: name(2)?,
                step: self.step(3, usage)?,
            },
            "OLS" => Statistic::Ols { y: name(0)?, xs: (1..given).map(name).collect::<Result<_>>()? },
            "MEDIAN" => Statistic::Quantile { column: name(0)?, q: "0.5".into(), width: None },
            "QUANTILE" => self.quantile(usage)?,
            "TOPK" => Statistic::TopK { column: name(0)?, k: self.whole(self.arguments[1], "k", usage)? },
            "FISHER" => Statistic::Fisher { a: name(0)?, b: name(1)? },
            "LINREG" => Statistic::LinReg { y: name(0)?, xs: (1..given).map(name).collect::<Result<_>>()? },
            "LOGIT" => Statistic::Logit { y: name(0)?, xs: (1..given).map(name).collect::<Result<_>>()? },
            "COX" => Statistic::Cox {
                time: name(0)?,
                event: name(1)?,
                xs: (2..given).map(name).collect::<Result<_>>()?,
            },
            _ => Statistic::Histogram { column: name(0)?, edges: self.edges(usage)? },
        })
    }

    /// A positive whole number.
    fn whole(&self, expr: &Expr, what: &str, usage: &str) -> Result<u32> {
        condition::decimal(expr)?
            .and_then(|d| d.canonical().parse::<u32>().ok())
            .filter(|n| (1..=1_000_000).contains(n))
            .ok_or_else(|| self.wrong(format!("{what} is a whole number from 1 to 1000000"), usage))
    }

    fn step(&self, index: usize, usage: &str) -> Result<u32> {
        self.arguments.get(index).map_or(Ok(1), |expr| self.whole(expr, "the step", usage))
    }

    fn quantile(&self, usage: &str) -> Result<Statistic> {
        let number = |i: usize, what: &str| {
            condition::decimal(self.arguments[i])?
                .ok_or_else(|| self.wrong(format!("{what} is not a number"), usage))
        };
        let q = number(1, "the quantile")?.canonical();
        // Canonical decimals without a sign read as numbers.
        let inside = q.parse::<f64>().is_ok_and(|q| q > 0.0 && q < 1.0) && q.len() <= 8;
        if !inside {
            let message = "the quantile is a number above 0 and below 1, with at most 6 decimals";
            return Err(self.wrong(message, usage));
        }
        let width = match self.arguments.len() {
            3 => {
                let width = number(2, "the width")?.canonical();
                if !width.parse::<f64>().is_ok_and(|width| width > 0.0) {
                    return Err(self.wrong("the width is a number above 0", usage));
                }
                Some(width)
            }
            _ => None,
        };
        Ok(Statistic::Quantile { column: column(self.arguments[0])?, q, width })
    }

    fn edges(&self, usage: &str) -> Result<Vec<String>> {
        let number = |expr: &Expr| {
            condition::decimal(expr)?.ok_or_else(|| self.wrong("an edge is not a number", usage))
        };
        let edges = match self.arguments[1..] {
            [Expr::Array(Array { elem, named: _ })] => {
                limit("edges of a histogram", elem.len(), LIST_MAX, "use fewer bins")?;
                elem.iter().map(number).collect::<Result<Vec<_>>>()?
            }
            [low, high, bins] => {
                let bins = self.whole(bins, "the number of bins", usage)?;
                limit("bins of a histogram", bins as usize, LIST_MAX - 1, "use fewer bins")?;
                Decimal::edges(number(low)?, number(high)?, bins).ok_or_else(|| {
                    self.wrong(
                        "the range is empty, or its bins have no exact decimal edges: list them",
                        usage,
                    )
                })?
            }
            _ => return Err(self.wrong("the edges are not a list", usage)),
        };
        if edges.len() < 2 || !edges.is_sorted_by(|a, b| a < b) {
            return Err(self.wrong("edges are two or more numbers in ascending order", usage));
        }
        Ok(edges.into_iter().map(Decimal::canonical).collect())
    }
}
