//! The parts of a plan in words.

use super::super::ast::{HOSPITAL, Item, Statistic};
use super::super::plan::{Content, Factor, Measure, Participation, Plan, Split};
use super::{Learns, LocalStep, Release};

pub(super) fn local_step(plan: &Plan) -> LocalStep {
    LocalStep {
        hospitals: plan.hospitals.clone(),
        filter: plan.query.filter.as_ref().map(|f| f.canonical()),
        groups: plan.groups.iter().map(|g| format!("{} ({} codes)", g.column, g.codes.len())).collect(),
        measures: plan.blocks.iter().map(|block| content(plan, &block.content)).collect(),
    }
}

fn content(plan: &Plan, content: &Content) -> String {
    match content {
        Content::Measure(measure) => self::measure(measure),
        Content::Withheld { stratum } => {
            let by = plan.strata.get(*stratum).map(|s| splits(&s.by)).unwrap_or_default();
            format!("which hospital withholds{by}")
        }
        Content::Extremum { column, max, .. } => {
            let which = if *max { "maximum" } else { "minimum" };
            format!("random masks that show the {which} of {column}, and nothing else")
        }
        Content::Ungrouped => "rows with a missing group column".into(),
        Content::Missing { column } => format!("rows with {column} missing"),
        Content::OutOfBounds { column } => format!("rows with {column} out of bounds"),
    }
}

fn measure(measure: &Measure) -> String {
    let factors: Vec<String> = measure
        .product
        .iter()
        .map(|factor| match factor {
            Factor::Value(column) => column.clone(),
            Factor::Level { column, code } => format!("[{column} is code {code}]"),
        })
        .collect();
    let what = if factors.is_empty() { "rows".into() } else { format!("sum of {}", factors.join(" * ")) };
    let present =
        if measure.cases.is_empty() { String::new() } else { format!(" with {}", measure.cases.join(", ")) };
    format!("{what}{present}{}", splits(&measure.by))
}

fn splits(by: &[Split]) -> String {
    let one = |split: &Split| match split {
        Split::Codes { column, codes } => format!("{column} ({} codes)", codes.len()),
        Split::Bins { column, edges } => format!("{column} ({} bins)", edges.len().saturating_sub(1)),
        Split::TimeGrid { column, step, points } => format!("{column} ({points} points, step {step})"),
    };
    let names: Vec<String> = by.iter().map(one).collect();
    if names.is_empty() { String::new() } else { format!(", by {}", names.join(" and ")) }
}

pub(super) fn release(plan: &Plan) -> Release {
    let mut rules = vec![format!(
        "a hospital with fewer than {} rows in a cell withholds its part of the cell (its own floor, if it is higher, \
         counts); zero rows look the same",
        plan.floor
    )];
    for stratum in &plan.strata {
        let each = splits(&stratum.by);
        let cell = if each.is_empty() { "of each group".into() } else { format!("of each group{each}") };
        let levels = match stratum.levels.as_slice() {
            [] => String::new(),
            levels => format!(", and the rows at every level of {}", levels.join(", ")),
        };
        let rows = match stratum.cases.as_slice() {
            [] => "all rows".into(),
            cases => format!("the rows with {}", cases.join(", ")),
        };
        rules.push(format!("the floor counts {rows} {cell}{levels}"));
    }
    let has = |wanted: fn(&Statistic) -> bool| {
        plan.query.items.iter().any(|i| matches!(i, Item::Aggregate { statistic, .. } if wanted(statistic)))
    };
    if has(|s| matches!(s, Statistic::KaplanMeier { .. } | Statistic::LogRank { .. })) {
        rules.push(
            "points of a survival curve have no floor of their own: a wider step shows fewer people each"
                .into(),
        );
    }
    rules.push(
        "the answer names who withheld, without numbers; a cell that all withheld is suppressed".into(),
    );
    rules.push(
        "a total in the same query can give a withheld part back by subtraction: ask for cells or totals"
            .into(),
    );
    Release { floor: plan.floor, rules }
}

pub(super) fn finish(plan: &Plan) -> Vec<String> {
    let step = |item: &Item| match item {
        Item::Group { .. } => None,
        Item::Aggregate { statistic, label } => Some(format!("{label}: {}", arithmetic(statistic))),
    };
    plan.query.items.iter().filter_map(step).collect()
}

fn arithmetic(statistic: &Statistic) -> &'static str {
    match statistic {
        Statistic::CountRows | Statistic::Count(_) | Statistic::Sum(_) => "the sum itself",
        Statistic::Avg(_) => "the mean, from count and sum",
        Statistic::Var(_) => "the sample variance, from count, sum and sum of squares",
        Statistic::Stddev(_) => "the sample deviation, from count, sum and sum of squares",
        Statistic::Min(_) | Statistic::Max(_) => "the end of the masks",
        Statistic::Histogram { .. } => "the counts of the bins",
        Statistic::Crosstab { .. } => {
            "the table, Pearson's and Yates's chi-square, odds and risk ratio of a 2 x 2 table"
        }
        Statistic::Chi2 { .. } => "Pearson's and Yates's chi-square of the table",
        Statistic::OddsRatio { .. } => "odds and risk ratio with 95% intervals",
        Statistic::TTest { .. } => "Welch's and Student's t, from counts, sums and sums of squares",
        Statistic::Corr { .. } => "Pearson's r, from counts, sums and sums of products",
        Statistic::Ols { .. } => "the normal equations, solved exactly from the sums of products",
        Statistic::KaplanMeier { .. } => {
            "the product-limit curve with log-log 95% interval, from the risk table"
        }
        Statistic::LogRank { .. } => "observed, expected and covariance, from the risk tables",
    }
}

pub(super) fn learns(plan: &Plan) -> Vec<Learns> {
    let one = |who: &str, what: &str| Learns { who: who.into(), what: what.into() };
    let mut learns = vec![
        one("the engine", "the query, who takes part, sizes and times; no row, no sum, no share of a key"),
        one("each hospital", "the query and who takes part; nothing of another hospital's rows or sums"),
        one(
            "the researcher",
            "the sums over the hospitals that are named above, and who withheld which cell",
        ),
    ];
    if plan.groups.iter().any(|g| g.column == HOSPITAL) {
        learns.push(one("the researcher", "the statistics of each hospital by itself, as the query asks"));
    }
    if plan.blocks.iter().any(|b| matches!(b.content, Content::Extremum { .. })) {
        learns.push(one("the researcher", "an extreme value, which belongs to somebody"));
    }
    learns
}

pub(super) fn threat_model(plan: &Plan) -> Vec<String> {
    let (threshold, holders) = (plan.protocol.threshold, plan.protocol.key_holders.len());
    let against = match threshold.saturating_sub(1) {
        0 => "holds against the engine alone".to_owned(),
        1 => "holds against the engine and any one key holder together".to_owned(),
        many => format!("holds against the engine and any {many} of {holders} key holders together"),
    };
    let who = match plan.participation {
        Participation::All => "all hospitals named above must take part".to_owned(),
        Participation::AtLeast(least) => {
            format!("at least {least} of {} hospitals must take part", plan.hospitals.len())
        }
    };
    vec![
        against,
        format!("opening takes {threshold} of {holders} key holders, and only to the researcher's key"),
        who,
        "a hospital can lie about its own rows; bounds on every value limit what a lie does".into(),
        "the researcher's machine sees the released sums, and can pass them on".into(),
    ]
}
