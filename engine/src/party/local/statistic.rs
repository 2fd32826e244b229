//! The statistics as a policy names them.

use std::collections::BTreeSet;

use crate::query::ast::Statistic;

/// The names of statistics in a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatisticKind {
    /// COUNT.
    Count,
    /// SUM.
    Sum,
    /// AVG.
    Avg,
    /// VAR.
    Var,
    /// STDDEV.
    Stddev,
    /// MIN and MAX: the value of one patient.
    MinMax,
    /// HISTOGRAM.
    Histogram,
    /// CROSSTAB.
    Crosstab,
    /// CHI2.
    Chi2,
    /// ODDS_RATIO.
    OddsRatio,
    /// TTEST.
    TTest,
    /// CORR.
    Corr,
    /// OLS.
    Ols,
    /// KAPLAN_MEIER.
    KaplanMeier,
    /// LOG_RANK.
    LogRank,
    /// MEDIAN and QUANTILE.
    Quantile,
    /// COUNT(DISTINCT).
    CountDistinct,
    /// TOPK.
    TopK,
    /// FISHER.
    Fisher,
    /// LINREG.
    LinReg,
    /// LOGIT.
    Logit,
    /// COX.
    Cox,
}

impl StatisticKind {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Count,
        Self::Sum,
        Self::Avg,
        Self::Var,
        Self::Stddev,
        Self::MinMax,
        Self::Histogram,
        Self::Crosstab,
        Self::Chi2,
        Self::OddsRatio,
        Self::TTest,
        Self::Corr,
        Self::Ols,
        Self::KaplanMeier,
        Self::LogRank,
        Self::Quantile,
        Self::CountDistinct,
        Self::TopK,
        Self::Fisher,
        Self::LinReg,
        Self::Logit,
        Self::Cox,
    ];

    /// The kind of a statistic.
    #[must_use]
    pub fn of(statistic: &Statistic) -> Self {
        match statistic {
            Statistic::CountRows | Statistic::Count(_) => Self::Count,
            Statistic::Sum(_) => Self::Sum,
            Statistic::Avg(_) => Self::Avg,
            Statistic::Var(_) => Self::Var,
            Statistic::Stddev(_) => Self::Stddev,
            Statistic::Min(_) | Statistic::Max(_) => Self::MinMax,
            Statistic::Histogram { .. } => Self::Histogram,
            Statistic::Crosstab { .. } => Self::Crosstab,
            Statistic::Chi2 { .. } => Self::Chi2,
            Statistic::OddsRatio { .. } => Self::OddsRatio,
            Statistic::TTest { .. } => Self::TTest,
            Statistic::Corr { .. } => Self::Corr,
            Statistic::Ols { .. } => Self::Ols,
            Statistic::KaplanMeier { .. } => Self::KaplanMeier,
            Statistic::LogRank { .. } => Self::LogRank,
            Statistic::Quantile { .. } => Self::Quantile,
            Statistic::CountDistinct(_) => Self::CountDistinct,
            Statistic::TopK { .. } => Self::TopK,
            Statistic::Fisher { .. } => Self::Fisher,
            Statistic::LinReg { .. } => Self::LinReg,
            Statistic::Logit { .. } => Self::Logit,
            Statistic::Cox { .. } => Self::Cox,
        }
    }

    /// Its name in a policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Var => "var",
            Self::Stddev => "stddev",
            Self::MinMax => "min_max",
            Self::Histogram => "histogram",
            Self::Crosstab => "crosstab",
            Self::Chi2 => "chi2",
            Self::OddsRatio => "odds_ratio",
            Self::TTest => "ttest",
            Self::Corr => "corr",
            Self::Ols => "ols",
            Self::KaplanMeier => "kaplan_meier",
            Self::LogRank => "log_rank",
            Self::Quantile => "quantile",
            Self::CountDistinct => "count_distinct",
            Self::TopK => "topk",
            Self::Fisher => "fisher",
            Self::LinReg => "linreg",
            Self::Logit => "logit",
            Self::Cox => "cox",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What a policy allows that does not say: all but `min_max`, which shows one patient's value.
    #[must_use]
    pub fn defaults() -> BTreeSet<Self> {
        Self::ALL.into_iter().filter(|kind| *kind != Self::MinMax).collect()
    }
}
