//! The parts of a plan in words.

use super::super::ast::{HOSPITAL, Item, Statistic};
use super::super::plan::{Content, Factor, Measure, MultiParty, Participation, Plan, SecurityLevel, Split};
use super::super::secure::{self, Program};
use super::{Learns, LocalStep, Release};
use crate::query::rounding::{BASE, ERROR_MAX};

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
        Content::Blinding => "what blinds the commitment to the count and the sum, in pieces".into(),
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
        Split::Grid { column, points, .. } => format!("{column} ({points} values)"),
    };
    let names: Vec<String> = by.iter().map(one).collect();
    if names.is_empty() { String::new() } else { format!(", by {}", names.join(" and ")) }
}

/// A program on shares in words.
pub(super) fn program(plan: &Plan, program: &Program) -> String {
    let of = |item: &usize| secure::heading(plan, *item).to_owned();
    match program {
        Program::Release(release) => {
            format!(
                "compare {} counts with the floor; the researcher gets those that reach it, and flags",
                release.cells
            )
        }
        Program::Quantile { item, points, .. } => {
            format!("{}: find the rank among counts of {points} values", of(item))
        }
        Program::TopK { item, codes, .. } => format!("{}: order {codes} counts", of(item)),
        Program::Chi2 { item, .. } | Program::Fisher { item, .. } | Program::TTest { item, .. } => {
            format!("{}: the statistic from the sums, nothing else opened", of(item))
        }
        Program::LogRank { item, points, .. } => {
            format!("{}: the statistic from risk tables of {points} times", of(item))
        }
        Program::LinReg { item } => format!("{}: solve the normal equations", of(item)),
        Program::Logit { item } | Program::Cox { item } => {
            format!("{}: Newton steps; the hospitals see the coefficients of every step", of(item))
        }
        Program::Distinct { item, .. } => {
            format!("{}: shuffle and sort the identifiers, count where neighbours differ", of(item))
        }
    }
}

fn release_on_shares(plan: &Plan) -> Release {
    Release {
        floor: plan.floor,
        rules: vec![
            format!(
                "a cell with fewer than {} patients over all hospitals together is suppressed, zero too; nobody sees its \
                 number",
                plan.floor
            ),
            "where one cell of a row or column is suppressed, the smallest of the others is too, so that totals do not give \
             it back; a group that a count suppresses is suppressed in tables, quantiles and rankings of the same query"
                .into(),
            "no node learns which cells are suppressed: the researcher opens flags and values".into(),
            "tests and regressions show their statistic alone, and nothing under the floor".into(),
        ],
    }
}

fn release_with_noise(plan: &Plan) -> Release {
    Release {
        floor: plan.floor,
        rules: vec![
            "every hospital adds its own noise to every number before it encrypts or shares it: no hospital withholds a cell".into(),
            format!("a count under {}, noise and all, is suppressed at the researcher, and what is made of it", plan.floor),
            "the same query over the same data has the same noise, and is paid for once".into(),
        ],
    }
}

pub(super) fn release(plan: &Plan) -> Release {
    let mut release = release_unrounded(plan);
    if let Some(proved) = &plan.proved {
        release.rules.push(format!(
            "every hospital commits to its count and sum over the rows that it published, and proves it ({}); the receipt \
             carries commitments and proofs, and their sum opens to the released numbers: nobody sees a hospital's own",
            proved.statement
        ));
    }
    if plan.rounding {
        release.rules.push(format!(
            "every hospital rounds its counts to multiples of {BASE} before they leave it: a count is within {} of the truth, \
             and tables and ratios are made of the rounded counts",
            ERROR_MAX as usize * plan.hospitals.len()
        ));
        if plan.multi_party.is_some() {
            release.rules.push(
                "the floor on shares is raised by that much, so that no cell under it is released".into(),
            );
        }
    }
    release
}

fn release_unrounded(plan: &Plan) -> Release {
    if plan.privacy.is_some() {
        return release_with_noise(plan);
    }
    if plan.multi_party.is_some() {
        return release_on_shares(plan);
    }
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
        "where the query shows a total of cells, a hospital withholds further cells, so that its total gives none back"
            .into(),
    );
    rules.push(
        "a hospital refuses a query whose patients differ from those of an answered one by fewer than its floor"
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
        Statistic::Quantile { .. } => "the value of that rank, from the two neighbours that the nodes found",
        Statistic::CountDistinct(_) | Statistic::TopK { .. } => "the counts themselves",
        Statistic::Fisher { .. } => "the p-value itself",
        Statistic::LinReg { .. } | Statistic::Logit { .. } | Statistic::Cox { .. } => {
            "coefficients and standard errors themselves; z, p and intervals from them"
        }
    }
}

pub(super) fn learns(plan: &Plan) -> Vec<Learns> {
    let one = |who: &str, what: &str| Learns { who: who.into(), what: what.into() };
    if plan.multi_party.is_some() {
        return vec![
            one("the engine", "the query, who takes part, sizes and times; no share, no number"),
            one("each compute node", computing_nodes_learn(plan)),
            one(
                "each hospital",
                "the query and who takes part; of a LOGIT or COX the coefficients of every step",
            ),
            one("the researcher", "the released cells and statistics, and which cells are suppressed"),
        ];
    }
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

/// Newton steps are shown to whoever sums for the next one.
fn computing_nodes_learn(plan: &Plan) -> &'static str {
    let is_iterated = |item: &Item| match item {
        Item::Aggregate { statistic, .. } => {
            matches!(statistic, Statistic::Logit { .. } | Statistic::Cox { .. })
        }
        Item::Group { .. } => false,
    };
    if plan.query.items.iter().any(is_iterated) {
        "shares, which are random numbers to it; of a LOGIT or COX the coefficients of every step, and whether there are \
         enough rows"
    } else {
        "shares, which are random numbers to it; nothing of the result, nor of what is suppressed"
    }
}

fn threat_model_on_shares((plan, shares): (&Plan, &MultiParty), who: String) -> Vec<String> {
    let against = match shares.security {
        SecurityLevel::SemiHonest => "any one compute node that looks, but follows the protocol",
        SecurityLevel::Malicious => {
            "any one compute node that does what it likes: it can stop the job, not bend it"
        }
    };
    let mut words = vec![
        format!("holds against the engine together with {against}"),
        format!("two of {} together could read the shares", shares.nodes.join(", ")),
    ];
    if plan.is_masked() {
        let (threshold, holders) = (plan.protocol.threshold, plan.protocol.key_holders.len());
        words.push(format!(
            "{threshold} of {holders} key holders together could read what the hospitals sent"
        ));
        words.push(
            "a key holder can lie about its mask, which shifts a sum as a lie about its own rows does".into(),
        );
    }
    words.extend([
        who,
        "a hospital can lie about its own rows; bounds on every value limit what a lie does".into(),
        "the researcher's machine sees the released numbers, and can pass them on".into(),
    ]);
    words
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
    if let Some(shares) = &plan.multi_party {
        return threat_model_on_shares((plan, shares), who);
    }
    vec![
        against,
        format!("opening takes {threshold} of {holders} key holders, and only to the researcher's key"),
        who,
        "a hospital can lie about its own rows; bounds on every value limit what a lie does".into(),
        "the researcher's machine sees the released sums, and can pass them on".into(),
    ]
}
