//! The demo's questions, and the answers computed in the clear (numpy, scipy, statsmodels, lifelines) to hold them to:
//! integers exactly, reals to 1e-9 relative, what was computed on shares to 1e-6.

use serde_json::Value as Json;

use crate::problem::{Problem, ProblemKind};
use crate::query::answer::{Answer, KaplanMeier, Value};

const ORACLE: &str = include_str!("../../../../examples/oracle/breast.json");
const TOLERANCE: f64 = 1e-9;
const TOLERANCE_SHARES: f64 = 1e-6;

/// Takes the numbers of an answer and where the oracle keeps them.
type Check = fn(&Answer, &mut Compared, &Json);

/// The questions.
pub const QUESTIONS: [(&str, Check); 6] = [
    ("SELECT COUNT(*), AVG(age), STDDEV(age) FROM breast", describe),
    ("SELECT KAPLAN_MEIER(rtime, recur), LOG_RANK(rtime, recur, hormon) FROM breast", survive),
    ("SELECT CROSSTAB(hormon, death) FROM breast", cross),
    // On shares: as a sum, each hospital would withhold it for the grade that none of its patients has.
    ("SELECT LINREG(nodes, age, grade, size) FROM breast", regress),
    ("SELECT MEDIAN(age), QUANTILE(age, 0.95) FROM breast", rank),
    ("SELECT LOGIT(death, age, nodes, hormon, chemo, grade) FROM breast", fit),
];

/// What a comparison found.
#[derive(Default)]
pub struct Compared {
    /// Numbers compared.
    pub numbers: usize,
    /// Those that differ, in words.
    pub wrong: Vec<String>,
}

impl Compared {
    fn real(&mut self, what: &str, got: f64, oracle: &Json) {
        self.close(what, got, (oracle, TOLERANCE));
    }

    fn close(&mut self, what: &str, got: f64, (oracle, tolerance): (&Json, f64)) {
        self.numbers += 1;
        let wanted = oracle.as_f64().unwrap_or(f64::NAN);
        let close = got == wanted || ((got - wanted) / wanted).abs() <= tolerance;
        if !close {
            self.wrong.push(format!("{what} is {got}, in the clear {wanted}"));
        }
    }

    fn count(&mut self, what: &str, got: u64, oracle: &Json) {
        self.numbers += 1;
        let wanted = oracle.as_u64();
        if wanted != Some(got) {
            self.wrong.push(format!("{what} is {got}, in the clear {wanted:?}"));
        }
    }

    fn absent(&mut self, what: &str) {
        self.wrong.push(format!("there is no {what}"));
    }
}

/// Compares an answer.
///
/// # Errors
/// When the embedded oracle does not parse.
pub fn compare(answer: &Answer, check: Check) -> Result<Compared, Problem> {
    let oracle: Json = serde_json::from_str(ORACLE)
        .map_err(|e| Problem::new(ProblemKind::Internal, "demo.oracle", e.to_string()))?;
    let mut compared = Compared::default();
    check(answer, &mut compared, &oracle);
    Ok(compared)
}

fn value(answer: &Answer, index: usize) -> Option<&Value> {
    answer.rows.first()?.values.get(index).map(|cell| &cell.value)
}

fn describe(answer: &Answer, compared: &mut Compared, oracle: &Json) {
    let age = &oracle["pooled_4_hospitals"]["desc_age"];
    match value(answer, 0) {
        Some(Value::Count { value }) => compared.count("n", *value, &age["n"]),
        _ => compared.absent("count"),
    }
    for (index, name) in [(1, "mean"), (2, "sd_sample")] {
        match value(answer, index) {
            Some(Value::Real { value }) => compared.real(name, *value, &age[name]),
            _ => compared.absent(name),
        }
    }
}

fn survive(answer: &Answer, compared: &mut Compared, oracle: &Json) {
    let pooled = &oracle["pooled_4_hospitals"];
    match value(answer, 0) {
        Some(Value::KaplanMeier(km)) => curve(km, compared, &pooled["km"]),
        _ => compared.absent("survival curve"),
    }
    match value(answer, 1) {
        Some(Value::LogRank(test)) => {
            let oracle = &pooled["logrank_hormon"];
            compared.real("chi2", test.test.chi2, &oracle["chi2"]);
            compared.real("p", test.test.p, &oracle["p"]);
            for (i, group) in test.groups.iter().enumerate() {
                compared.count("observed", test.observed[i], &oracle["observed"][group]);
                compared.real("expected", test.expected[i], &oracle["expected"][group]);
            }
        }
        _ => compared.absent("log-rank test"),
    }
}

fn curve(km: &KaplanMeier, compared: &mut Compared, oracle: &Json) {
    compared.count("n", km.n, &oracle["n"]);
    compared.count("events", km.events, &oracle["events"]);
    compared.real("median", km.median.unwrap_or(f64::INFINITY), &oracle["median"]);
    let Some(at) = oracle["at"].as_object() else { return compared.absent("oracle") };
    for (time, wanted) in at {
        let time: f64 = time.parse().unwrap_or(f64::NAN);
        let Some(step) = km.steps.iter().rev().find(|step| step.time <= time) else {
            compared.absent("step");
            continue;
        };
        compared.real("S", step.survival, &wanted["S"]);
        compared.real("lower", step.ci95[0], &wanted["ci95_loglog"][0]);
        compared.real("upper", step.ci95[1], &wanted["ci95_loglog"][1]);
    }
}

fn cross(answer: &Answer, compared: &mut Compared, oracle: &Json) {
    let oracle = &oracle["crosstab_hormon_death"];
    let Some(Value::Crosstab(table)) = value(answer, 0) else { return compared.absent("table") };
    for (row, counts) in table.rows.iter().zip(&table.table) {
        for (column, count) in table.columns.iter().zip(counts) {
            compared.count("cell", count.unwrap_or(0), &oracle["table"][row][column]);
        }
    }
    if let Some(pair) = &table.chi2 {
        compared.real("chi2", pair.pearson.chi2, &oracle["pearson"]["chi2"]);
        compared.real("p", pair.pearson.p, &oracle["pearson"]["p"]);
        compared.real("Yates", pair.yates.chi2, &oracle["yates"]["chi2"]);
    } else {
        compared.absent("test");
    }
    if let Some(ratio) = &table.odds_ratio {
        compared.real("odds ratio", ratio.odds_ratio, &oracle["odds_ratio"]["or_"]);
        compared.real("risk ratio", ratio.risk_ratio, &oracle["risk_ratio"]["rr"]);
    } else {
        compared.absent("odds ratio");
    }
}

fn rank(answer: &Answer, compared: &mut Compared, oracle: &Json) {
    let age = &oracle["pooled_4_hospitals"]["desc_age"];
    for (index, q) in [(0, "0.5"), (1, "0.95")] {
        let Some(Value::Quantile(found)) = value(answer, index) else { return compared.absent("quantile") };
        compared.count("n", found.n, &age["n"]);
        compared.real("type 7", found.linear, &age["quantiles_linear_type7"][q]);
        compared.real("type 1", found.inverted, &age["quantiles_inverted_cdf_type1"][q]);
    }
}

fn fit(answer: &Answer, compared: &mut Compared, oracle: &Json) {
    let oracle = &oracle["logit_death"];
    let Some(Value::Model(model)) = value(answer, 0) else { return compared.absent("model") };
    compared.count("n", model.n, &oracle["n"]);
    for term in &model.terms {
        compared.close(&term.name, term.coef, (&oracle["coef"][&term.name], TOLERANCE_SHARES));
        compared.close(&term.name, term.se, (&oracle["se"][&term.name], TOLERANCE_SHARES));
    }
}

fn regress(answer: &Answer, compared: &mut Compared, oracle: &Json) {
    let oracle = &oracle["ols_nodes"];
    let Some(Value::Model(model)) = value(answer, 0) else { return compared.absent("regression") };
    compared.count("n", model.n, &oracle["n"]);
    for term in &model.terms {
        let name = match term.name.as_str() {
            "size=20-50" => "size_20_50",
            "size=>50" => "size_gt50",
            name => name,
        };
        compared.close(&term.name, term.coef, (&oracle["coef"][name], TOLERANCE_SHARES));
        compared.close(&term.name, term.se, (&oracle["se"][name], TOLERANCE_SHARES));
    }
}
