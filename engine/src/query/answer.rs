//! What the researcher gets: the finished statistics, cell by cell.

use serde::{Deserialize, Serialize};

use super::plan::Mechanism;

/// A finished answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Canonical text of the query.
    pub query: String,
    /// Headings of the group columns.
    pub group_columns: Vec<String>,
    /// Headings of the statistics.
    pub headings: Vec<String>,
    /// One row per group cell, in the order of the codes.
    pub rows: Vec<Row>,
    /// Hospitals that took part.
    pub participants: Vec<String>,
    /// Missing and out-of-bound values, by column, over all cells that are not withheld.
    pub quality: Vec<Quality>,
    /// Rows left out because a group column was missing.
    pub ungrouped: u64,
    /// Where the floor counted the patients of all hospitals together: the floor. A cell under it is suppressed, and
    /// so is one that would give it back; nobody saw their numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooled_floor: Option<u32>,
    /// The noise in the numbers, and what it promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Guarantee>,
    /// Counts are multiples of this, rounded by every hospital; 0 for exact ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounding: u32,
}

/// Whether a number that is left out when it is zero is.
pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What an answer with noise promises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guarantee {
    /// Which noise.
    pub mechanism: Mechanism,
    /// Epsilon.
    pub epsilon: f64,
    /// Delta; 0 for a pure guarantee.
    pub delta: f64,
    /// Hospitals whose noise alone suffices for it.
    pub honest: u32,
    /// What it cost every hospital (zero-concentrated differential privacy).
    pub rho: f64,
    /// Rows of one patient that count.
    pub rows_per_patient: u32,
    /// The noise behind each statistic.
    pub noise: Vec<NoiseOf>,
}

/// The noise of a sum behind a statistic, in every cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseOf {
    /// Heading of the statistic.
    pub heading: String,
    /// The sum.
    pub what: String,
    /// Standard deviation of the noise of all hospitals together, in the sum's unit.
    pub sd: f64,
}

/// One group cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The codes of the group columns.
    pub key: Vec<String>,
    /// A value per heading.
    pub values: Vec<Cell>,
}

/// One value, with who withheld what is under their floor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The value, or why there is none.
    pub value: Value,
    /// Hospitals whose part of this cell is under their floor and is not in the value.
    pub withheld_by: Vec<String>,
}

/// Counts of values left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// The column.
    pub column: String,
    /// Missing values.
    pub missing: u64,
    /// Values out of bounds.
    pub out_of_bounds: u64,
    /// What happened to them (`rejected` or `clamped`).
    pub treatment: String,
}

/// A value. Reals carry no more than their double.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Value {
    /// Every hospital that took part withheld the cell: nobody, or fewer than a floor, are in it.
    Suppressed,
    /// No rows are in the cell, and the floor is one: the policy allows it to be said.
    Empty,
    /// The statistic could not be computed; the others of the answer stand.
    Failed {
        /// Why.
        reason: String,
    },
    /// There are too few rows for the statistic to be defined; the reason says which.
    Undefined {
        /// Why.
        reason: String,
    },
    /// A count.
    Count {
        /// The count.
        value: u64,
    },
    /// An exact sum in fixed point: `value` times `10^-digits`.
    Exact {
        /// The integer, as decimal text.
        value: String,
        /// Decimal places.
        digits: u8,
    },
    /// A real number.
    Real {
        /// The number.
        value: f64,
    },
    /// A number with noise.
    Noisy {
        /// The estimate.
        value: f64,
        /// Standard deviation of the noise.
        sd: f64,
        /// 95% interval of the noise: the number without noise lies in it.
        ci95: [f64; 2],
    },
    /// A histogram.
    Histogram(Histogram),
    /// A contingency table.
    Crosstab(Box<Crosstab>),
    /// A chi-square test.
    Chi2(Chi2Pair),
    /// Odds and risk ratio.
    OddsRatio(OddsRatio),
    /// A t-test.
    TTest(TTest),
    /// A correlation.
    Corr(Corr),
    /// A regression.
    Ols(Ols),
    /// A survival curve.
    KaplanMeier(KaplanMeier),
    /// A log-rank test.
    LogRank(LogRank),
    /// A quantile.
    Quantile(Quantile),
    /// The most frequent codes.
    TopK(TopK),
    /// A chi-square statistic alone.
    Test(Chi2),
    /// A p-value alone.
    PValue {
        /// Two-sided.
        p: f64,
    },
    /// Both forms of a t-test, without the means behind them.
    TTestAlone(TTestAlone),
    /// A regression, without the sums behind it.
    Model(Model),
}

/// A quantile of the pooled values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// The quantile.
    pub q: f64,
    /// Values.
    pub n: u64,
    /// Linear between the two neighbours (type 7).
    pub linear: f64,
    /// The value of the rank (type 1, inverted distribution).
    pub inverted: f64,
    /// Width of the grid on which the values are known; 0 when they are exact.
    pub width: f64,
}

/// The most frequent codes, by falling count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopK {
    /// Codes with their counts, those under the floor left out.
    pub codes: Vec<(String, u64)>,
}

/// Both forms of a t-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TTestAlone {
    /// Welch's.
    pub welch: TStatistic,
    /// Student's.
    pub student: TStatistic,
}

/// Which regression a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Least squares.
    Linear,
    /// Logistic.
    Logistic,
    /// Proportional hazards, ties by Efron.
    Cox,
}

/// A fitted regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Which.
    pub kind: ModelKind,
    /// Complete rows.
    pub n: u64,
    /// Iterations until the estimate stood; 1 for least squares.
    pub iterations: u32,
    /// The terms.
    pub terms: Vec<ModelTerm>,
}

/// A term of a regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelTerm {
    /// Name.
    pub name: String,
    /// Estimate.
    pub coef: f64,
    /// Standard error.
    pub se: f64,
    /// Estimate over standard error: t for a linear model, else z.
    pub statistic: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// 95% interval of the estimate (normal; Student for a linear model).
    pub ci95: [f64; 2],
}

/// A histogram: `counts[i]` is of `[edges[i], edges[i+1])`, the last bin closed. A withheld bin shows only what
/// the other hospitals gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The column.
    pub column: String,
    /// Its unit.
    pub unit: String,
    /// Edges.
    pub edges: Vec<f64>,
    /// Counts; `None` when every hospital withheld the bin.
    pub counts: Vec<Option<u64>>,
    /// Values below the first edge.
    pub below: Option<u64>,
    /// Values above the last edge.
    pub above: Option<u64>,
}

/// A test statistic with its p-value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chi2 {
    /// The statistic.
    pub chi2: f64,
    /// Degrees of freedom.
    pub df: u32,
    /// Upper tail probability.
    pub p: f64,
}

/// Pearson's statistic, and with Yates's correction (equal beyond one degree of freedom).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chi2Pair {
    /// Without correction.
    pub pearson: Chi2,
    /// With correction.
    pub yates: Chi2,
}

/// A contingency table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crosstab {
    /// Row codes.
    pub rows: Vec<String>,
    /// Column codes.
    pub columns: Vec<String>,
    /// Counts; `None` when every hospital withheld the cell.
    pub table: Vec<Vec<Option<u64>>>,
    /// Expected counts, in the shape of `table` (0 in empty rows and columns, which do not enter the test);
    /// empty when a cell is suppressed.
    pub expected: Vec<Vec<f64>>,
    /// The test, when it is defined and no cell is suppressed.
    pub chi2: Option<Chi2Pair>,
    /// Of a 2 x 2 table.
    pub odds_ratio: Option<OddsRatio>,
}

/// Odds and risk ratio of a 2 x 2 table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OddsRatio {
    /// Odds ratio.
    pub odds_ratio: f64,
    /// Woolf's 95% interval.
    pub odds_ratio_ci95: [f64; 2],
    /// Standard error of the logarithm.
    pub log_se: f64,
    /// Risk ratio.
    pub risk_ratio: f64,
    /// 95% interval of the risk ratio (log method).
    pub risk_ratio_ci95: [f64; 2],
}

/// One form of the t-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TStatistic {
    /// The statistic.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided p-value.
    pub p: f64,
}

/// Both forms of the t-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TTest {
    /// The two codes.
    pub groups: [String; 2],
    /// Counts.
    pub n: [u64; 2],
    /// Means.
    pub mean: [f64; 2],
    /// Sample variances.
    pub var: [f64; 2],
    /// Welch's test.
    pub welch: TStatistic,
    /// Student's test.
    pub student: TStatistic,
}

/// A correlation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Corr {
    /// Complete pairs.
    pub n: u64,
    /// Pearson's r.
    pub r: f64,
    /// Two-sided p-value.
    pub p: f64,
}

/// A least-squares fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ols {
    /// Complete rows.
    pub n: u64,
    /// Terms: `const`, the columns, and `column=code` for levels.
    pub terms: Vec<Term>,
    /// Coefficient of determination.
    pub r2: f64,
    /// Adjusted.
    pub adj_r2: f64,
    /// Residual variance.
    pub sigma2: f64,
    /// F statistic of all terms but the constant.
    pub f: f64,
    /// Its p-value.
    pub f_p: f64,
}

/// One term of a regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// Name.
    pub name: String,
    /// Estimate.
    pub coef: f64,
    /// Standard error.
    pub se: f64,
    /// t statistic.
    pub t: f64,
    /// Two-sided p-value.
    pub p: f64,
}

/// A survival curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KaplanMeier {
    /// Patients.
    pub n: u64,
    /// Events.
    pub events: u64,
    /// First time at which S(t) <= 0.5.
    pub median: Option<f64>,
    /// Unit of time.
    pub unit: String,
    /// Steps, at every time with an event or a censoring; right-continuous.
    pub steps: Vec<KmStep>,
}

/// A step of a survival curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KmStep {
    /// Time.
    pub time: f64,
    /// Patients at risk just before this time.
    pub at_risk: u64,
    /// Events at this time.
    pub events: u64,
    /// Censored at this time.
    pub censored: u64,
    /// S(t).
    pub survival: f64,
    /// log(-log) 95% interval.
    pub ci95: [f64; 2],
}

/// A log-rank test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogRank {
    /// Codes of the groups that have patients.
    pub groups: Vec<String>,
    /// Patients per group.
    pub n: Vec<u64>,
    /// Events per group.
    pub observed: Vec<u64>,
    /// Expected events per group.
    pub expected: Vec<f64>,
    /// Covariance of observed minus expected.
    pub covariance: Vec<Vec<f64>>,
    /// The test.
    pub test: Chi2,
}
