//! Tables of the statistics that are more than a number: tests, regressions, contingency tables.

use super::{Notes, entry, key, keyed, plain, tone};
use crate::cli::output::number::{fixed, p_value};
use crate::cli::output::table::{Align, Entry, Grid};
use crate::cli::output::terminal::{Style, Tone};
use crate::cli::output::text;
use crate::cli::plot::{group_label, term};
use crate::query::answer::{
    Answer, Cell, Chi2, Chi2Pair, Corr, Crosstab, LogRank, Model, ModelKind, OddsRatio, Ols, Quantile, Row,
    TStatistic, TTest, TopK, Value,
};

/// One statistic over all group cells.
pub(super) struct Section<'a> {
    /// The answer.
    pub(super) answer: &'a Answer,
    /// The cleaned heading.
    pub(super) title: String,
    /// The cells, with their rows.
    pub(super) cells: Vec<(&'a Row, &'a Cell)>,
}

impl Section<'_> {
    /// One table with a line per group cell.
    pub(super) fn tabulated(&self, style: &Style, notes: &mut Notes) -> String {
        let facts: Vec<Vec<(&str, String)>> =
            self.cells.iter().map(|(_, c)| facts(&c.value, style)).collect();
        let columns: Vec<&str> =
            facts.iter().find(|f| !f.is_empty()).map_or(Vec::new(), |f| f.iter().map(|c| c.0).collect());
        let mut grid = columns.iter().fold(keyed(self.answer), |grid, c| grid.column(c, Align::Number));
        let marks: Vec<String> = self.cells.iter().map(|(_, cell)| notes.marks(cell)).collect();
        let marked = marks.iter().any(|m| !m.is_empty());
        if marked {
            grid = grid.column("", Align::Name);
        }
        for (((row, cell), facts), mark) in self.cells.iter().zip(&facts).zip(&marks) {
            let mut entries = key(self.answer, row);
            let word = plain(&cell.value, style);
            let tone = tone(&cell.value);
            match word {
                Some(word) => {
                    entries.push(entry(word, tone));
                    entries.extend(columns.iter().skip(1).map(|_| Entry::default()));
                }
                None => entries.extend(
                    columns
                        .iter()
                        .map(|c| Entry::from(facts.iter().find(|f| f.0 == *c).map_or("", |f| &f.1))),
                ),
            }
            entries.push(Entry::from(mark.trim_start()));
            grid.row(entries);
        }
        format!("{}\n{}", style.paint(Tone::Strong, &self.title), grid.render(style))
    }

    /// A block per group cell.
    pub(super) fn one_by_one(&self, style: &Style, notes: &mut Notes) -> String {
        let mut blocks = Vec::new();
        for (row, cell) in &self.cells {
            let group = group_label(&self.answer.group_columns, row);
            let title =
                if group.is_empty() { self.title.clone() } else { format!("{}, {group}", self.title) };
            let title = format!("{}{}", style.paint(Tone::Strong, &title), notes.marks(cell));
            blocks.push(format!("{title}\n{}", block(&cell.value, style)));
        }
        blocks.join("\n")
    }
}

/// A value on its own.
fn block(value: &Value, style: &Style) -> String {
    match value {
        Value::Histogram(histogram) => term::histogram(histogram, "", style),
        Value::Crosstab(table) => crosstab(table, style),
        Value::TTest(test) => t_test(test, style),
        Value::Ols(fit) => ols(fit, style),
        Value::LogRank(test) => log_rank(test, style),
        Value::TopK(top) => top_k(top, style),
        Value::TTestAlone(test) => t_forms(&test.welch, &test.student, style),
        Value::Model(fit) => model(fit, style),
        Value::Chi2(_)
        | Value::OddsRatio(_)
        | Value::Corr(_)
        | Value::Quantile(_)
        | Value::Test(_)
        | Value::PValue { .. } => one_line(&facts(value, style), style),
        Value::KaplanMeier(km) => format!("{} steps\n", km.steps.len()),
        _ => format!("{}\n", plain(value, style).unwrap_or_default()),
    }
}

/// Headings and texts of a statistic of a few numbers.
fn facts(value: &Value, style: &Style) -> Vec<(&'static str, String)> {
    match value {
        Value::Chi2(pair) => chi2_facts(pair, style),
        Value::OddsRatio(ratio) => odds_facts(ratio, style),
        Value::Corr(Corr { n, r, p }) => {
            vec![("n", style.numbers.count(*n)), ("r", fixed(*r, 4)), ("p", p_value(*p))]
        }
        Value::Quantile(quantile) => quantile_facts(quantile, style),
        Value::Test(Chi2 { chi2, df, p }) => {
            vec![("chi2", style.numbers.real(*chi2)), ("df", df.to_string()), ("p", p_value(*p))]
        }
        Value::PValue { p } => vec![("p", p_value(*p))],
        _ => Vec::new(),
    }
}

fn quantile_facts(quantile: &Quantile, style: &Style) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("n", style.numbers.count(quantile.n)),
        ("value", style.numbers.real(quantile.linear)),
        ("value of the rank", style.numbers.real(quantile.inverted)),
    ];
    if quantile.width > 0.0 {
        facts.push(("grid", style.numbers.real(quantile.width)));
    }
    facts
}

fn top_k(top: &TopK, style: &Style) -> String {
    let mut grid = Grid::new().column("code", Align::Name).column("count", Align::Number);
    for (code, count) in &top.codes {
        grid.row(vec![Entry::from(code), Entry::from(style.numbers.count(*count))]);
    }
    grid.render(style)
}

fn model(fit: &Model, style: &Style) -> String {
    let statistic = if fit.kind == ModelKind::Linear { "t" } else { "z" };
    let is_ratio = fit.kind != ModelKind::Linear;
    let ratio = if fit.kind == ModelKind::Cox { "hazard ratio" } else { "odds ratio" };
    let mut grid = Grid::new().column("term", Align::Name);
    for heading in ["coefficient", "std. error", statistic, "p", "95% CI"] {
        grid = grid.column(heading, Align::Number);
    }
    if is_ratio {
        grid = grid.column(ratio, Align::Number);
    }
    let real = |x: f64| style.numbers.significant(x, 4);
    for term in &fit.terms {
        let mut row = vec![
            Entry::from(&term.name),
            Entry::from(style.numbers.real(term.coef)),
            Entry::from(style.numbers.real(term.se)),
            Entry::from(fixed(term.statistic, 3)),
            Entry::from(p_value(term.p)),
            Entry::from(interval(term.ci95, real, style)),
        ];
        if is_ratio {
            row.push(Entry::from(real(term.coef.exp())));
        }
        grid.row(row);
    }
    let facts = [("n", style.numbers.count(fit.n)), ("iterations", fit.iterations.to_string())];
    format!("{}\n{}", grid.render(style), one_line(&facts, style))
}

fn chi2_facts(pair: &Chi2Pair, style: &Style) -> Vec<(&'static str, String)> {
    let Chi2 { chi2, df, p } = pair.pearson;
    vec![
        ("chi2", style.numbers.real(chi2)),
        ("df", df.to_string()),
        ("p", p_value(p)),
        ("chi2 (Yates)", style.numbers.real(pair.yates.chi2)),
        ("p (Yates)", p_value(pair.yates.p)),
    ]
}

fn odds_facts(ratio: &OddsRatio, style: &Style) -> Vec<(&'static str, String)> {
    let real = |x| style.numbers.significant(x, 4);
    vec![
        ("odds ratio", real(ratio.odds_ratio)),
        ("95% CI", interval(ratio.odds_ratio_ci95, real, style)),
        ("risk ratio", real(ratio.risk_ratio)),
        ("95% CI (risk)", interval(ratio.risk_ratio_ci95, real, style)),
    ]
}

/// `0.71 – 1.32`.
pub(super) fn interval(ends: [f64; 2], number: impl Fn(f64) -> String, style: &Style) -> String {
    format!("{} {} {}", number(ends[0]), if style.unicode { "–" } else { "to" }, number(ends[1]))
}

fn one_line(facts: &[(&str, String)], style: &Style) -> String {
    let mut grid = facts.iter().fold(Grid::new(), |grid, (heading, _)| grid.column(heading, Align::Number));
    grid.row(facts.iter().map(|(_, text)| Entry::from(text)).collect());
    grid.render(style)
}

/// The counts, with margins when nothing is suppressed (a margin would give a suppressed cell away), then the
/// tests that are defined.
fn crosstab(table: &Crosstab, style: &Style) -> String {
    let complete = table.table.iter().flatten().all(Option::is_some);
    let mut grid = Grid::new().column("", Align::Name);
    for column in &table.columns {
        grid = grid.column(column, Align::Number);
    }
    if complete {
        grid = grid.column("total", Align::Number);
    }
    let sum = |counts: &mut dyn Iterator<Item = Option<u64>>| {
        let total = counts.flatten().fold(0u64, u64::saturating_add);
        Entry::toned(style.numbers.count(total), Tone::Strong)
    };
    for (code, counts) in table.rows.iter().zip(&table.table) {
        let cells = counts.iter().take(table.columns.len()).map(|count| match count {
            Some(n) => Entry::from(style.numbers.count(*n)),
            None => Entry::toned("suppressed", Tone::Faint),
        });
        let mut entries: Vec<Entry> = std::iter::once(Entry::from(code)).chain(cells).collect();
        if complete {
            entries.resize_with(table.columns.len() + 1, Entry::default);
            entries.push(sum(&mut counts.iter().copied()));
        }
        grid.row(entries);
    }
    if complete {
        let mut totals = vec![Entry::toned("total", Tone::Strong)];
        for j in 0..table.columns.len() {
            totals.push(sum(&mut table.table.iter().map(|row| row.get(j).copied().flatten())));
        }
        totals.push(sum(&mut table.table.iter().flatten().copied()));
        grid.row(totals);
    }
    let mut out = grid.render(style);
    if let Some(pair) = &table.chi2 {
        out.push_str(&format!("\n{}", one_line(&chi2_facts(pair, style), style)));
    }
    if let Some(ratio) = &table.odds_ratio {
        out.push_str(&format!("\n{}", one_line(&odds_facts(ratio, style), style)));
    }
    if !complete {
        out.push_str(&text::wrap("no margins and no test: a cell is suppressed", style.width, ""));
    }
    out
}

fn t_test(test: &TTest, style: &Style) -> String {
    let mut groups = Grid::new().column("group", Align::Name);
    for heading in ["n", "mean", "sd"] {
        groups = groups.column(heading, Align::Number);
    }
    for i in 0..2 {
        groups.row(vec![
            Entry::from(&test.groups[i]),
            Entry::from(style.numbers.count(test.n[i])),
            Entry::from(style.numbers.real(test.mean[i])),
            Entry::from(style.numbers.real(test.var[i].sqrt())),
        ]);
    }
    format!("{}\n{}", groups.render(style), t_forms(&test.welch, &test.student, style))
}

fn t_forms(welch: &TStatistic, student: &TStatistic, style: &Style) -> String {
    let mut tests = Grid::new().column("test", Align::Name);
    for heading in ["t", "df", "p"] {
        tests = tests.column(heading, Align::Number);
    }
    for (name, form) in [("Welch", welch), ("Student", student)] {
        tests.row(vec![
            Entry::from(name),
            Entry::from(fixed(form.t, 4)),
            Entry::from(style.numbers.real(form.df)),
            Entry::from(p_value(form.p)),
        ]);
    }
    tests.render(style)
}

fn ols(fit: &Ols, style: &Style) -> String {
    let mut grid = Grid::new().column("term", Align::Name);
    for heading in ["coefficient", "std. error", "t", "p"] {
        grid = grid.column(heading, Align::Number);
    }
    for term in &fit.terms {
        grid.row(vec![
            Entry::from(&term.name),
            Entry::from(style.numbers.real(term.coef)),
            Entry::from(style.numbers.real(term.se)),
            Entry::from(fixed(term.t, 3)),
            Entry::from(p_value(term.p)),
        ]);
    }
    let facts = [
        ("n", style.numbers.count(fit.n)),
        ("R2", fixed(fit.r2, 4)),
        ("adjusted R2", fixed(fit.adj_r2, 4)),
        ("residual sd", style.numbers.real(fit.sigma2.sqrt())),
        ("F", style.numbers.real(fit.f)),
        ("p (F)", p_value(fit.f_p)),
    ];
    format!("{}\n{}", grid.render(style), one_line(&facts, style))
}

fn log_rank(test: &LogRank, style: &Style) -> String {
    let mut grid = Grid::new().column("group", Align::Name);
    for heading in ["n", "events", "expected"] {
        grid = grid.column(heading, Align::Number);
    }
    for (i, group) in test.groups.iter().enumerate() {
        let count = |counts: &[u64]| counts.get(i).map_or(String::new(), |n| style.numbers.count(*n));
        grid.row(vec![
            Entry::from(group),
            Entry::from(count(&test.n)),
            Entry::from(count(&test.observed)),
            Entry::from(test.expected.get(i).map_or(String::new(), |x| fixed(*x, 2))),
        ]);
    }
    let facts = [
        ("chi2", style.numbers.real(test.test.chi2)),
        ("df", test.test.df.to_string()),
        ("p", p_value(test.test.p)),
    ];
    format!("{}\n{}", grid.render(style), one_line(&facts, style))
}
