//! Ward's own small syntax tree: everything a query can say, and nothing else.

use serde::{Deserialize, Serialize};

/// Most columns after GROUP BY.
pub const GROUPS_MAX: usize = 3;

/// The virtual column of GROUP BY that holds the hospital's own name.
pub const HOSPITAL: &str = "hospital";

/// A parsed query, names resolved against nothing yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The SELECT list, in order.
    pub items: Vec<Item>,
    /// The table after FROM.
    pub table: String,
    /// The condition after WHERE.
    pub filter: Option<Predicate>,
    /// The columns after GROUP BY, at most three; `hospital` is a virtual column.
    pub group_by: Vec<String>,
    /// The clause WITH PRIVACY: noise, and how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<PrivacyClause>,
    /// The clause WITH ROUNDING: counts are rounded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_rounded: bool,
    /// The clause WITH PROOFS: every hospital proves its contribution.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_proved: bool,
}

/// `WITH PRIVACY (epsilon = E, delta = D, honest = H)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivacyClause {
    /// Epsilon, in units of 10^-9; at least 1.
    pub epsilon_nano: u64,
    /// Delta, in units of 10^-18; 0 asks for Laplace noise and a pure guarantee.
    pub delta_atto: u64,
    /// Hospitals whose noise alone must suffice; 1 where none of the others is trusted with its noise.
    pub honest: u32,
}

/// One entry of the SELECT list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// A column that also stands in GROUP BY.
    Group {
        /// The column.
        column: String,
    },
    /// A statistic.
    Aggregate {
        /// The statistic.
        statistic: Statistic,
        /// Heading of the result column: the alias, or the canonical text.
        label: String,
    },
}

/// The statistics Ward knows. Columns are catalogue names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// `COUNT(*)`: rows.
    CountRows,
    /// `COUNT(x)`: rows in which x is not missing.
    Count(String),
    /// `SUM(x)`.
    Sum(String),
    /// `AVG(x)`.
    Avg(String),
    /// `VAR(x)`: sample variance (n - 1).
    Var(String),
    /// `STDDEV(x)`: sample standard deviation (n - 1).
    Stddev(String),
    /// `MIN(x)`, where the hospital's policy allows it.
    Min(String),
    /// `MAX(x)`, where the hospital's policy allows it.
    Max(String),
    /// `HISTOGRAM(x, lo, hi, bins)` or `HISTOGRAM(x, [e0, e1, ...])`: bins [a, b), the last [a, b].
    Histogram {
        /// The column.
        column: String,
        /// Edges as decimal texts, ascending.
        edges: Vec<String>,
    },
    /// `CROSSTAB(a, b)`: the table with chi-square; for 2 x 2 also odds and risk ratio.
    Crosstab {
        /// Rows.
        a: String,
        /// Columns.
        b: String,
    },
    /// `CHI2(a, b)`: Pearson's and Yates's chi-square of the table.
    Chi2 {
        /// Rows.
        a: String,
        /// Columns.
        b: String,
    },
    /// `ODDS_RATIO(a, b)`: of a 2 x 2 table, with Woolf's 95% interval; with the risk ratio.
    OddsRatio {
        /// Rows.
        a: String,
        /// Columns.
        b: String,
    },
    /// `TTEST(x, g)`: Welch's and Student's test of x between the two codes of g.
    TTest {
        /// The value.
        value: String,
        /// The grouping column, exactly two codes.
        group: String,
    },
    /// `CORR(x, y)`: Pearson's correlation over complete pairs.
    Corr {
        /// First column.
        x: String,
        /// Second column.
        y: String,
    },
    /// `OLS(y, x1, x2, ...)`: least squares with intercept; a category enters as indicators of all codes but
    /// the first.
    Ols {
        /// The outcome.
        y: String,
        /// The predictors.
        xs: Vec<String>,
    },
    /// `KAPLAN_MEIER(time, event [, step])`: survival on a public grid of `step` units (1 by default).
    KaplanMeier {
        /// Time to event or censoring, a non-negative integer column.
        time: String,
        /// 1 for an event, 0 for censoring.
        event: String,
        /// Width of the grid in units of `time`.
        step: u32,
    },
    /// `LOG_RANK(time, event, g [, step])`.
    LogRank {
        /// Time to event or censoring.
        time: String,
        /// 1 for an event, 0 for censoring.
        event: String,
        /// The grouping column.
        group: String,
        /// Width of the grid in units of `time`.
        step: u32,
    },
    /// `MEDIAN(x)` or `QUANTILE(x, q [, width])`: the value of that rank, exact, or on a grid of `width`.
    Quantile {
        /// The column.
        column: String,
        /// The quantile, a decimal text between 0 and 1 (`0.5`).
        q: String,
        /// Width of the grid as a decimal text; none for exact values.
        width: Option<String>,
    },
    /// `COUNT(DISTINCT x)`: different values of an identifier, over all hospitals.
    CountDistinct(String),
    /// `TOPK(x, k)`: the k most frequent codes with their counts.
    TopK {
        /// The column.
        column: String,
        /// How many.
        k: u32,
    },
    /// `FISHER(a, b)`: Fisher's exact test of a 2 x 2 table; the p-value alone.
    Fisher {
        /// Rows.
        a: String,
        /// Columns.
        b: String,
    },
    /// `LINREG(y, x1, x2, ...)`: least squares with intercept; coefficients and standard errors alone.
    LinReg {
        /// The outcome.
        y: String,
        /// The predictors.
        xs: Vec<String>,
    },
    /// `LOGIT(y, x1, x2, ...)`: logistic regression with intercept.
    Logit {
        /// The outcome, 0 or 1.
        y: String,
        /// The predictors.
        xs: Vec<String>,
    },
    /// `COX(time, event, x1, x2, ...)`: proportional hazards, ties by Efron.
    Cox {
        /// Time to event or censoring, a non-negative integer column.
        time: String,
        /// 1 for an event, 0 for censoring.
        event: String,
        /// The predictors.
        xs: Vec<String>,
    },
}

/// How a query is to be computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Sums under encryption where they do, computation on shares where they do not.
    #[default]
    Auto,
    /// Computation on shares: floors count the patients of all hospitals together, and tests show their statistic
    /// alone.
    MultiParty,
    /// As [`Route::MultiParty`], of sums that arrive under encryption.
    Encrypted,
}

impl Route {
    /// What the two options ask for.
    #[must_use]
    pub fn of(on_shares: bool, encrypted: bool) -> Self {
        match (on_shares, encrypted) {
            (_, true) => Self::Encrypted,
            (true, false) => Self::MultiParty,
            (false, false) => Self::Auto,
        }
    }

    /// True for the default, which is not written.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// A condition on rows, with SQL's three-valued logic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// All hold.
    And(Vec<Predicate>),
    /// One holds.
    Or(Vec<Predicate>),
    /// It does not hold.
    Not(Box<Predicate>),
    /// `column op literal`.
    Compare {
        /// The column.
        column: String,
        /// The operator.
        op: Comparison,
        /// The value.
        value: Literal,
    },
    /// `column BETWEEN low AND high`, both ends included.
    Between {
        /// The column.
        column: String,
        /// Lower end.
        low: Literal,
        /// Upper end.
        high: Literal,
    },
    /// `column IN (...)`.
    In {
        /// The column.
        column: String,
        /// The values.
        values: Vec<Literal>,
    },
    /// `column IS NULL`.
    IsNull {
        /// The column.
        column: String,
    },
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `=`
    Eq,
    /// `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// A literal as written; typed against the catalogue at planning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Literal {
    /// A number as a decimal text (`40`, `-1.5`).
    Number(String),
    /// A quoted text.
    Text(String),
    /// TRUE or FALSE (1 or 0).
    Boolean(bool),
}

impl Item {
    /// Heading of the result column.
    #[must_use]
    pub fn heading(&self) -> &str {
        match self {
            Self::Group { column } => column,
            Self::Aggregate { label, .. } => label,
        }
    }
}
