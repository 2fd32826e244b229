//! What a statistic is made of: one stratum and the sums taken in it. The planner turns needs into blocks, the
//! finish finds the blocks again by the same needs.
//!
//! | statistic | split by | products |
//! |---|---|---|
//! | COUNT | | 1 |
//! | SUM, AVG | | 1, x |
//! | VAR, STDDEV | | 1, x, xx |
//! | MIN, MAX | | random masks over the column's domain |
//! | HISTOGRAM | bins | 1 |
//! | CROSSTAB, CHI2, ODDS_RATIO | codes of a, codes of b | 1 |
//! | TTEST | codes of g | 1, x, xx |
//! | CORR | | 1, x, y, xx, yy, xy |
//! | OLS | | all pairs of (1, terms, y) |
//! | KAPLAN_MEIER | time | 1, event |
//! | LOG_RANK | codes of g, time | 1, event |
//! | MEDIAN, QUANTILE | grid of values | 1 |
//! | TOPK | codes | 1 |
//! | FISHER | codes of a, codes of b | 1 |
//! | LINREG, LOGIT, COX | | 1; sums over scaled rows are given besides, those of LOGIT and COX anew for the coefficients of
//! every iteration |
//! | COUNT(DISTINCT) | | rows as shares |

use super::ast::{HOSPITAL, Statistic};
use super::catalogue::{Column, ColumnKind};
use super::decimal::Decimal;
use super::error::QueryError;
use super::plan::{Factor, Split, Stratum};
use super::planner::DOMAIN_MAX;

type Result<T> = std::result::Result<T, QueryError>;

/// What a statistic is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Need {
    /// Where its floor applies.
    pub stratum: Stratum,
    /// The time grid, which splits further than the stratum.
    pub grid: Option<Split>,
    /// The products summed, each in the normal form of [`product`].
    pub products: Vec<Vec<Factor>>,
    /// Instead of products: the extremum of this column; true for the maximum.
    pub extremum: Option<(String, bool)>,
}

/// A column of a regression's design matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct DesignTerm {
    /// `const`, the column, or `column=code`.
    pub name: String,
    /// The factor; none for the constant.
    pub factor: Option<Factor>,
    /// Decimal places of its fixed point.
    pub digits: u8,
}

impl Need {
    /// All splits of its measures.
    pub fn by(&self) -> Vec<Split> {
        self.stratum.by.iter().chain(&self.grid).cloned().collect()
    }
}

/// The columns a statistic names.
pub(crate) fn columns_of(statistic: &Statistic) -> Vec<&str> {
    match statistic {
        Statistic::CountRows => vec![],
        Statistic::Count(x)
        | Statistic::Sum(x)
        | Statistic::Avg(x)
        | Statistic::Var(x)
        | Statistic::Stddev(x)
        | Statistic::Min(x)
        | Statistic::Max(x) => vec![x],
        Statistic::Histogram { column, .. } => vec![column],
        Statistic::Crosstab { a, b }
        | Statistic::Chi2 { a, b }
        | Statistic::Fisher { a, b }
        | Statistic::OddsRatio { a, b } => vec![a, b],
        Statistic::TTest { value, group } => vec![value, group],
        Statistic::Corr { x, y } => vec![x, y],
        Statistic::Ols { y, xs } | Statistic::LinReg { y, xs } | Statistic::Logit { y, xs } => {
            std::iter::once(y).chain(xs).map(String::as_str).collect()
        }
        Statistic::Cox { time, event, xs } => {
            [time, event].into_iter().chain(xs).map(String::as_str).collect()
        }
        Statistic::Quantile { column, .. } | Statistic::TopK { column, .. } => vec![column],
        Statistic::CountDistinct(x) => vec![x],
        Statistic::KaplanMeier { time, event, .. } => vec![time, event],
        Statistic::LogRank { time, event, group, .. } => vec![time, event, group],
    }
}

/// The normal form of a product of two factors lists: sorted, indicators and levels not squared; `None` when it
/// is zero in every row (two codes of one column).
pub(crate) fn product(factors: Vec<Factor>, columns: &[Column]) -> Option<Vec<Factor>> {
    let mut factors = factors;
    factors.sort();
    let idempotent = |factor: &Factor| match factor {
        Factor::Value(name) => columns.iter().any(|c| c.name == *name && c.is_indicator()),
        Factor::Level { .. } => true,
    };
    factors.dedup_by(|a, b| a == b && idempotent(a));
    let excludes = |pair: &[Factor]| match pair {
        [Factor::Level { column: a, code: i }, Factor::Level { column: b, code: j }] => a == b && i != j,
        _ => false,
    };
    (!factors.windows(2).any(excludes)).then_some(factors)
}

/// The need of a statistic over these resolved columns.
pub(crate) fn need(statistic: &Statistic, columns: &[Column]) -> Result<Need> {
    Reader { statistic, columns }.need()
}

/// The design of a regression: its terms and its outcome.
///
/// # Errors
/// [`QueryError`] for columns that a regression does not take.
pub fn design(y: &str, xs: &[String], columns: &[Column]) -> Result<(Vec<DesignTerm>, DesignTerm)> {
    let statistic = Statistic::Ols { y: y.to_owned(), xs: xs.to_vec() };
    let reader = Reader { statistic: &statistic, columns };
    let value = |c: &Column| DesignTerm {
        name: c.name.clone(),
        factor: Some(Factor::Value(c.name.clone())),
        digits: c.digits,
    };
    let outcome = value(reader.numeric(y)?);
    let mut terms = vec![DesignTerm { name: "const".into(), factor: None, digits: 0 }];
    for (i, x) in xs.iter().enumerate() {
        let column = reader.column(x)?;
        if x == y || xs[..i].contains(x) {
            return Err(reader.wrong(column, "each column once", "named twice", "name every column once"));
        }
        if column.kind != ColumnKind::Category {
            terms.push(value(column));
            continue;
        }
        if column.codes.len() < 2 {
            return Err(reader.wrong(
                column,
                "at least two codes",
                "a category with one code",
                "leave it out",
            ));
        }
        terms.extend(column.codes.iter().zip(0u32..).skip(1).map(|(code, index)| DesignTerm {
            name: format!("{x}={code}"),
            factor: Some(Factor::Level { column: x.clone(), code: index }),
            digits: 0,
        }));
    }
    Ok((terms, outcome))
}

struct Reader<'a> {
    statistic: &'a Statistic,
    columns: &'a [Column],
}

impl<'a> Reader<'a> {
    fn need(&self) -> Result<Need> {
        let one = Vec::new;
        match self.statistic {
            Statistic::CountRows => self.sums(vec![], vec![one()]),
            Statistic::Count(x) => {
                self.column(x)?;
                let stratum = Stratum { cases: vec![x.clone()], by: vec![], levels: vec![] };
                Ok(Need { stratum, grid: None, products: vec![one()], extremum: None })
            }
            Statistic::Sum(x) | Statistic::Avg(x) => {
                self.numeric(x)?;
                self.sums(vec![], vec![one(), value(&[x])])
            }
            Statistic::Var(x) | Statistic::Stddev(x) => {
                self.numeric(x)?;
                self.sums(vec![], vec![one(), value(&[x]), value(&[x, x])])
            }
            Statistic::Min(x) | Statistic::Max(x) => {
                self.numeric(x)?;
                let maximum = matches!(self.statistic, Statistic::Max(_));
                Ok(Need { extremum: Some((x.clone(), maximum)), ..self.sums(vec![], vec![])? })
            }
            Statistic::Histogram { column, edges } => {
                let edges = self.edges(column, edges)?;
                self.counts(vec![Split::Bins { column: column.clone(), edges }])
            }
            Statistic::Crosstab { a, b } | Statistic::Chi2 { a, b } => {
                self.distinct(a, b)?;
                self.counts(vec![self.codes(a, None)?, self.codes(b, None)?])
            }
            Statistic::OddsRatio { a, b } => self.two_by_two(a, b),
            Statistic::TTest { value: x, group } => {
                self.distinct(x, group)?;
                self.numeric(x)?;
                let by = vec![self.codes(group, Some(2))?];
                self.sums(by, vec![one(), value(&[x]), value(&[x, x])])
            }
            Statistic::Corr { x, y } => {
                self.numeric(x)?;
                self.numeric(y)?;
                let pairs = [value(&[x]), value(&[y]), value(&[x, x]), value(&[y, y]), value(&[x, y])];
                self.sums(vec![], std::iter::once(one()).chain(pairs).collect())
            }
            Statistic::Ols { y, xs } => self.regression(y, xs),
            Statistic::KaplanMeier { time, event, step } => self.survival(time, event, *step, vec![]),
            Statistic::LogRank { time, event, group, step } => {
                self.distinct(group, time)?;
                self.distinct(group, event)?;
                self.survival(time, event, *step, vec![self.codes(group, None)?])
            }
            _ => self.on_shares(),
        }
    }

    /// What is computed on shares alone.
    fn on_shares(&self) -> Result<Need> {
        match self.statistic {
            Statistic::Quantile { column, width, .. } => self.quantile(column, width.as_deref()),
            Statistic::TopK { column, .. } => self.counts(vec![self.codes(column, None)?]),
            Statistic::Fisher { a, b } => self.two_by_two(a, b),
            Statistic::LinReg { y, xs } => {
                design(y, xs, self.columns)?;
                self.counts(vec![])
            }
            Statistic::Logit { y, xs } => {
                self.indicator(y, "the outcome as 1 and 0")?;
                design(y, xs, self.columns)?;
                self.counts(vec![])
            }
            Statistic::Cox { time, event, xs } => {
                self.time_and_event(time, event)?;
                design(event, xs, self.columns)?;
                self.counts(vec![])
            }
            Statistic::CountDistinct(x) => self.identifiers(x),
            other => Err(QueryError::Unsupported {
                construct: other.canonical(),
                hint: "it is made of sums".into(),
                place: None,
            }),
        }
    }

    fn two_by_two(&self, a: &str, b: &str) -> Result<Need> {
        self.distinct(a, b)?;
        self.counts(vec![self.codes(a, Some(2))?, self.codes(b, Some(2))?])
    }

    /// Sums of products over complete rows; columns of few values are levels, for sums of them count people.
    fn sums(&self, by: Vec<Split>, products: Vec<Vec<Factor>>) -> Result<Need> {
        let cases = self.cases();
        let split = |name: &String| by.iter().any(|s| s.column() == name);
        let powers = products.iter().map(Vec::len).max().unwrap_or(0);
        // Sums of so many powers of a column count the people at each of one value more.
        let is_leveled = |c: &Column| c.few_values().is_some_and(|values| values <= powers + 1);
        let leveled = |name: &&String| {
            let in_regression = matches!(self.statistic, Statistic::Ols { .. });
            self.columns.iter().any(|c| {
                c.name == **name && (is_leveled(c) || (in_regression && c.kind == ColumnKind::Category))
            })
        };
        let summed = products.iter().any(|p| !p.is_empty());
        let levels = cases.iter().filter(|n| summed && !split(n)).filter(leveled).cloned().collect();
        let mut normal: Vec<Vec<Factor>> = Vec::new();
        for factors in products.into_iter().filter_map(|p| product(p, self.columns)) {
            if !normal.contains(&factors) {
                normal.push(factors);
            }
        }
        Ok(Need { stratum: Stratum { cases, by, levels }, grid: None, products: normal, extremum: None })
    }

    fn counts(&self, by: Vec<Split>) -> Result<Need> {
        self.sums(by, vec![vec![]])
    }

    fn regression(&self, y: &str, xs: &[String]) -> Result<Need> {
        let (terms, outcome) = design(y, xs, self.columns)?;
        let factors: Vec<_> = terms.iter().chain([&outcome]).map(|t| &t.factor).collect();
        let pairs = (0..factors.len()).flat_map(|i| (i..factors.len()).map(move |j| (i, j)));
        let products = pairs.map(|(i, j)| factors[i].iter().chain(factors[j]).cloned().collect()).collect();
        self.sums(vec![], products)
    }

    /// Counts over a grid of the column's values: every value where they are few, else of the width asked for.
    fn quantile(&self, name: &str, width: Option<&str>) -> Result<Need> {
        let column = self.numeric(name)?;
        let width = match width {
            None => 1,
            Some(text) => {
                let fixed = Decimal::parse(text).map(|d| d.to_fixed(column.digits));
                fixed
                    .filter(|fixed| fixed.exact)
                    .and_then(|fixed| u64::try_from(fixed.floor).ok())
                    .filter(|width| *width > 0)
                    .ok_or_else(|| QueryError::Literal {
                        column: name.to_owned(),
                        literal: text.to_owned(),
                        message: "the width is finer than the column, or too large".into(),
                        hint: format!("a width has at most {} decimal places", column.digits),
                    })?
            }
        };
        let count = column.max.abs_diff(column.min) / width + 1;
        if count > DOMAIN_MAX {
            return Err(QueryError::Limit {
                what: format!("values of `{name}` for a quantile"),
                count,
                limit: DOMAIN_MAX,
                hint: format!("give a width as the last argument: QUANTILE({name}, 0.5, width)"),
            });
        }
        // At most DOMAIN_MAX, which fits.
        let grid = Split::Grid { column: name.to_owned(), low: column.min, width, points: count as u32 };
        let stratum = Stratum { cases: self.cases(), by: vec![], levels: vec![] };
        Ok(Need { stratum, grid: Some(grid), products: vec![vec![]], extremum: None })
    }

    fn identifiers(&self, name: &str) -> Result<Need> {
        let column = self.column(name)?;
        if column.kind != ColumnKind::Identifier {
            let hint = "publish the column that names the patient as kind \"identifier\"";
            return Err(self.wrong(column, "an identifier", &found(column), hint));
        }
        let stratum = Stratum { cases: vec![], by: vec![], levels: vec![] };
        Ok(Need { stratum, grid: None, products: vec![], extremum: None })
    }

    fn indicator(&self, name: &str, publish: &str) -> Result<()> {
        let column = self.column(name)?;
        if column.is_indicator() {
            return Ok(());
        }
        Err(self.wrong(column, "a column of 0 and 1", &found(column), &format!("publish {publish}")))
    }

    fn time_and_event(&self, time: &str, event: &str) -> Result<()> {
        self.distinct(time, event)?;
        let column = self.column(time)?;
        if column.kind != ColumnKind::Integer || column.min < 0 {
            let hint = "publish times as whole numbers of days, weeks or months from zero";
            return Err(self.wrong(column, "a time in whole numbers from 0", &found(column), hint));
        }
        self.indicator(event, "the event as 1, censoring as 0")
    }

    fn survival(&self, time: &str, event: &str, step: u32, by: Vec<Split>) -> Result<Need> {
        self.time_and_event(time, event)?;
        let column = self.column(time)?;
        let points = (column.max.unsigned_abs()).div_ceil(u64::from(step.max(1))) + 1;
        let points = u32::try_from(points).map_err(|_| QueryError::Limit {
            what: format!("points of time of `{time}`"),
            count: points,
            limit: u64::from(u32::MAX),
            hint: "use a wider step".into(),
        })?;
        let grid = Split::TimeGrid { column: time.to_owned(), step: step.max(1), points };
        let stratum = Stratum { cases: self.cases(), by, levels: vec![] };
        Ok(Need { stratum, grid: Some(grid), products: vec![vec![], value(&[event])], extremum: None })
    }

    /// The columns of the statistic, sorted, each once.
    fn cases(&self) -> Vec<String> {
        let mut cases: Vec<String> = columns_of(self.statistic).into_iter().map(str::to_owned).collect();
        cases.sort();
        cases.dedup();
        cases
    }

    fn column(&self, name: &str) -> Result<&'a Column> {
        self.columns.iter().find(|c| c.name == name).ok_or_else(|| QueryError::UnknownColumn {
            column: name.to_owned(),
            table: String::new(),
            hint: if name == HOSPITAL { "`hospital` stands in GROUP BY only".into() } else { String::new() },
        })
    }

    fn numeric(&self, name: &str) -> Result<&'a Column> {
        let column = self.column(name)?;
        match column.kind {
            ColumnKind::Integer | ColumnKind::Real => Ok(column),
            ColumnKind::Identifier => {
                let hint = "COUNT(DISTINCT identifier) counts patients";
                Err(self.wrong(column, "numbers", &found(column), hint))
            }
            ColumnKind::Category => {
                let hint = "count a category with GROUP BY or CROSSTAB";
                Err(self.wrong(column, "numbers", &found(column), hint))
            }
        }
    }

    fn distinct(&self, a: &str, b: &str) -> Result<()> {
        if a != b {
            return Ok(());
        }
        Err(self.wrong(self.column(a)?, "different columns", "named twice", "name two columns"))
    }

    /// A split by the codes of a column, exactly `count` of them where that is asked.
    fn codes(&self, name: &str, count: Option<usize>) -> Result<Split> {
        let column = self.column(name)?;
        let codes = column.group_codes().unwrap_or_default();
        let wanted = count.map_or("a category, or whole numbers with at most 64 values", |_| "two codes");
        if codes.is_empty() || count.is_some_and(|n| n != codes.len()) {
            let hint = "publish the column as a category with the codes to compare";
            return Err(self.wrong(column, wanted, &found(column), hint));
        }
        Ok(Split::Codes { column: name.to_owned(), codes })
    }

    fn edges(&self, name: &str, edges: &[String]) -> Result<Vec<i64>> {
        let column = self.numeric(name)?;
        let fixed = |text: &String| {
            let refuse = |message: String| QueryError::Literal {
                column: name.to_owned(),
                literal: text.clone(),
                message,
                hint: format!("edges of `{name}` have at most {} decimal places", column.digits),
            };
            let edge = Decimal::parse(text).ok_or_else(|| refuse("it is no decimal".into()))?;
            let fixed = edge.to_fixed(column.digits);
            if !fixed.exact {
                return Err(refuse("it is finer than the column".into()));
            }
            i64::try_from(fixed.floor).map_err(|_| refuse("it is too large".into()))
        };
        let edges = edges.iter().map(fixed).collect::<Result<Vec<_>>>()?;
        if edges.len() < 2 || !edges.is_sorted_by(|a, b| a < b) {
            return Err(self.wrong(column, "two or more ascending edges", "given others", "sort the edges"));
        }
        Ok(edges)
    }

    fn wrong(&self, column: &Column, needed: &str, found: &str, hint: &str) -> QueryError {
        QueryError::WrongKind {
            column: column.name.clone(),
            place_in_query: self.statistic.canonical(),
            needed: needed.to_owned(),
            found: found.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

/// A column's kind in words.
pub(crate) fn found(column: &Column) -> String {
    match column.kind {
        ColumnKind::Integer => format!("whole numbers from {} to {}", column.min, column.max),
        ColumnKind::Real => format!("real numbers with {} decimal places", column.digits),
        ColumnKind::Category => format!("a category with {} codes", column.codes.len()),
        ColumnKind::Identifier => "an identifier".into(),
    }
}

fn value(names: &[&str]) -> Vec<Factor> {
    names.iter().map(|n| Factor::Value((*n).to_owned())).collect()
}
