//! From the opened words of the programs on shares to statistics.
//!
//! The words come in the order of [`secure::programs`]; for each program, cell by cell:
//!
//! | program | words |
//! |---|---|
//! | release | a flag for each cell (1: released; with noise all are), then the slots of each block, zero where not released |
//! | quantile | flag, n, points of the lower and upper neighbour (type 7), point of the rank (type 1) |
//! | top-k | k times: code + 1 (0: none), count |
//! | chi-square | twice: flag, number (Pearson; Yates) |
//! | Fisher | flag, number |
//! | t-test | twice: flag, t squared with its sign, degrees of freedom (Welch; Student) |
//! | log-rank | flag, number |
//! | linear regression | flag, n, coefficients, mantissas and exponents of variances: [`linear::Verdict`] reads them |
//! | other regressions | flag, n, iterations, then for each term: coefficient, unit, mantissa and exponent of the variance |
//! | distinct | flag, count |
//!
//! A number is a sign, a mantissa and an exponent ([`decode`]); a coefficient and a unit are the bits of doubles.

use ward_protocols::mpc::fixed::floats::{LEAST_EXPONENT, decode};
use ward_protocols::mpc::programs::regression::linear;
use ward_protocols::mpc::programs::statistics::fisher;

use super::super::answer::{
    Answer, Cell, Chi2, Chi2Pair, Model, ModelKind, ModelTerm, Quantile, Row, TStatistic, TTestAlone, TopK,
    Value,
};
use super::super::ast::{Item, Statistic};
use super::super::catalogue::Column;
use super::super::needs::{Need, design, need};
use super::super::plan::{Content, Plan, Split};
use super::super::scales::scales;
use super::super::secure::{self, Program, Release};
use super::sums::{Result, Sums, count, inconsistent};
use super::{finished, guarantee, key, noisy, tails, undefined};

/// Words that each cell of a program opens; a release opens its own number.
///
/// # Errors
/// [`Inconsistent`](super::super::QueryError::Inconsistent) for a program that is not of the plan.
pub fn words_per_cell(plan: &Plan, program: &Program) -> Result<usize> {
    Ok(match program {
        Program::Release(_) => 0,
        Program::Quantile { .. } => 5,
        Program::TopK { k, .. } => 2 * k,
        Program::Chi2 { .. } => 8,
        Program::Distinct { .. } => 2,
        Program::TTest { .. } => 14,
        Program::Fisher { .. } | Program::LogRank { .. } => 4,
        Program::LinReg { item } => linear::words(terms(plan, *item)?.len()),
        Program::Logit { item } | Program::Cox { item } => 3 + 4 * terms(plan, *item)?.len(),
    })
}

/// Words that a program opens.
///
/// # Errors
/// As [`words_per_cell`].
pub fn words(plan: &Plan, program: &Program) -> Result<usize> {
    if let Program::Release(release) = program {
        let slots = release.blocks.iter().map(|b| plan.blocks.get(*b).map_or(0, |b| b.slots as usize));
        return Ok(release.cells + slots.sum::<usize>());
    }
    Ok(plan.cells() * words_per_cell(plan, program)?)
}

/// Names of a regression's terms, in order, without the constant of a Cox model.
///
/// # Errors
/// As `words_per_cell`.
pub fn terms(plan: &Plan, item: usize) -> Result<Vec<String>> {
    let missing = || inconsistent("a regression is missing");
    let statistic = super::super::planner::statistics(&plan.query).nth(item).ok_or_else(missing)?;
    let (y, xs, skip) = match statistic {
        Statistic::LinReg { y, xs } | Statistic::Logit { y, xs } => (y, xs, 0),
        Statistic::Cox { event, xs, .. } => (event, xs, 1),
        _ => return Err(missing()),
    };
    let (terms, _) = design(y, xs, &plan.columns)?;
    Ok(terms.into_iter().skip(skip).map(|term| term.name).collect())
}

/// Finishes a query that was computed on shares. `opened` are the words of all programs.
///
/// # Errors
/// [`Inconsistent`](super::super::QueryError::Inconsistent) when the words are not what the programs give.
pub fn finish_shares(plan: &Plan, opened: &[u64], participants: &[String]) -> Result<Answer> {
    let programs = secure::programs(plan)?;
    let mut slots = vec![0i128; plan.slots()];
    let mut rest = opened;
    let mut parts: Vec<(usize, &Program, &[u64])> = Vec::new();
    for program in &programs {
        let (own, tail) = rest
            .split_at_checked(words(plan, program)?)
            .ok_or_else(|| inconsistent("the result is too short"))?;
        rest = tail;
        match program {
            Program::Release(release) => released(plan, release, own, &mut slots, participants)?,
            other => parts.push((item_of(other), other, own)),
        }
    }
    if !rest.is_empty() {
        return Err(inconsistent("the result is too long"));
    }
    let sums = Sums::new(plan, &slots, participants)?;
    let mut headings = Vec::new();
    let mut needs: Vec<(&Statistic, Need)> = Vec::new();
    for item in &plan.query.items {
        if let Item::Aggregate { statistic, label } = item {
            headings.push(label.clone());
            needs.push((statistic, need(statistic, &plan.columns)?));
        }
    }
    let noisy = noisy::Noisy::of(&sums, participants.len());
    let mut rows = Vec::with_capacity(plan.cells());
    for cell in 0..plan.cells() {
        let mut values = Vec::new();
        for (item, (statistic, need)) in needs.iter().enumerate() {
            if let Some(noisy) = &noisy {
                values.push(Cell { value: noisy.value(statistic, need, cell)?, withheld_by: Vec::new() });
                continue;
            }
            let value = match parts.iter().find(|(of, _, _)| *of == item) {
                Some((_, program, own)) => {
                    let each = words_per_cell(plan, program)?;
                    alone(plan, (statistic, need), program, &own[cell * each..(cell + 1) * each])?
                }
                None => {
                    let view = sums.view(need, cell)?;
                    if view.all_suppressed() { Value::Suppressed } else { finished(plan, statistic, &view)? }
                }
            };
            values.push(Cell { value, withheld_by: Vec::new() });
        }
        rows.push(Row { key: key(plan, cell), values });
    }
    let (mut participants, count) = (participants.to_vec(), participants.len());
    participants.sort();
    Ok(Answer {
        query: plan.canonical.clone(),
        group_columns: plan.groups.iter().map(|g| g.column.clone()).collect(),
        headings,
        rows,
        participants,
        quality: Vec::new(),
        ungrouped: 0,
        pooled_floor: plan.privacy.is_none().then_some(plan.floor),
        privacy: guarantee(plan, count)?,
        rounding: super::rounding_of(plan),
    })
}

fn item_of(program: &Program) -> usize {
    match program {
        Program::Release(_) => usize::MAX,
        Program::Quantile { item, .. }
        | Program::TopK { item, .. }
        | Program::Chi2 { item, .. }
        | Program::Fisher { item, .. }
        | Program::TTest { item, .. }
        | Program::LogRank { item, .. }
        | Program::LinReg { item }
        | Program::Logit { item }
        | Program::Cox { item }
        | Program::Distinct { item, .. } => *item,
    }
}

/// Puts released slots where sums under encryption would have them; a suppressed cell is one that all withheld.
fn released(
    plan: &Plan,
    release: &Release,
    words: &[u64],
    slots: &mut [i128],
    participants: &[String],
) -> Result<()> {
    let missing = || inconsistent("a block is missing");
    let (flags, mut values) = words.split_at_checked(release.cells).ok_or_else(missing)?;
    if flags.iter().any(|flag| *flag > 1) {
        return Err(inconsistent("a flag is neither 0 nor 1"));
    }
    let all = participants.iter().try_fold(0i128, |bits, name| {
        let index = plan.hospitals.iter().position(|h| h == name).filter(|index| *index < 60);
        index.map(|index| bits | 1i128 << index).ok_or_else(|| inconsistent("a stranger took part"))
    })?;
    let mask = plan
        .blocks
        .iter()
        .position(|b| matches!(b.content, Content::Withheld { stratum } if stratum == release.stratum));
    let start = |block: usize| plan.blocks[..block].iter().map(|b| b.slots as usize).sum::<usize>();
    match mask.map(start) {
        Some(at) => {
            let masks = slots.get_mut(at..at + release.cells).ok_or_else(missing)?;
            for (slot, flag) in masks.iter_mut().zip(flags) {
                *slot = if *flag == 1 { 0 } else { all };
            }
        }
        // With noise there are no masks: every cell is released.
        None if plan.privacy.is_some() && flags.iter().all(|flag| *flag == 1) => {}
        None => return Err(missing()),
    }
    for block in &release.blocks {
        let length = plan.blocks.get(*block).ok_or_else(missing)?.slots as usize;
        let (own, rest) = values.split_at_checked(length).ok_or_else(missing)?;
        values = rest;
        let each = (length / release.cells.max(1)).max(1);
        let at = start(*block);
        let places = slots.get_mut(at..at + length).ok_or_else(missing)?;
        for (i, (slot, word)) in places.iter_mut().zip(own).enumerate() {
            if flags.get(i / each) != Some(&1) && *word != 0 {
                return Err(inconsistent("a suppressed cell has a value"));
            }
            // Sums are signed 64-bit integers.
            *slot = i128::from(*word as i64);
        }
    }
    Ok(())
}

/// A statistic that was opened alone.
fn alone(
    plan: &Plan,
    (statistic, need): (&Statistic, &Need),
    program: &Program,
    words: &[u64],
) -> Result<Value> {
    if let Program::TopK { codes, .. } = program {
        return top_k(statistic, plan, words, *codes);
    }
    let [flag, rest @ ..] = words else { return Err(inconsistent("a statistic is missing")) };
    match flag {
        0 => return Ok(Value::Suppressed),
        1 => {}
        2 => return Ok(undefined("the statistic is not defined for these data")),
        _ => return Err(inconsistent("a flag is neither 0, 1 nor 2")),
    }
    let chi2 = |chi2: f64, df: u32| Chi2 { chi2, df, p: tails::chi2_upper(chi2, df) };
    Ok(match program {
        Program::Quantile { q_millionths, .. } => quantile(plan, (statistic, need), *q_millionths, rest)?,
        Program::Chi2 { rows, columns, .. } => {
            let df = (rows - 1) * (columns - 1);
            let [.., second, _, _, _] = words else { return Err(inconsistent("a statistic is missing")) };
            if *second != 1 {
                return Err(inconsistent("one of two statistics is missing"));
            }
            let df = u32::try_from(df).map_err(|_| inconsistent("too many degrees of freedom"))?;
            Value::Chi2(Chi2Pair { pearson: chi2(number(words, 1)?, df), yates: chi2(number(words, 5)?, df) })
        }
        Program::Fisher { .. } => {
            Value::PValue { p: number_down_to(words, 1, fisher::LEAST_EXPONENT)?.clamp(0.0, 1.0) }
        }
        Program::TTest { .. } => {
            let form = |at: usize| {
                let (square, df) = (number(words, at)?, number(words, at + 3)?);
                let t = square.abs().sqrt().copysign(square);
                Ok(TStatistic { t, df, p: tails::t_two_sided(square.abs(), df) })
            };
            let (welch, student) = (form(1)?, form(8)?);
            Value::TTestAlone(TTestAlone { welch, student })
        }
        Program::LogRank { groups, .. } => {
            let df = u32::try_from(groups - 1).map_err(|_| inconsistent("too many groups"))?;
            Value::Test(chi2(number(words, 1)?, df))
        }
        Program::Distinct { .. } => Value::Count { value: rest.first().copied().unwrap_or_default() },
        Program::LinReg { item } => line(plan, (statistic, *item), words)?,
        Program::Logit { item } => model(ModelKind::Logistic, &terms(plan, *item)?, rest)?,
        Program::Cox { item } => model(ModelKind::Cox, &terms(plan, *item)?, rest)?,
        Program::Release(_) | Program::TopK { .. } => return Err(inconsistent("a program out of place")),
    })
}

/// The number at a place: sign, mantissa, exponent.
fn number(words: &[u64], at: usize) -> Result<f64> {
    number_down_to(words, at, LEAST_EXPONENT)
}

/// The same, zero below two to `least`.
fn number_down_to(words: &[u64], at: usize, least: i32) -> Result<f64> {
    let missing = || inconsistent("a number is missing, or not finite");
    let [sign, mantissa, exponent] = words.get(at..at + 3).ok_or_else(missing)? else {
        return Err(missing());
    };
    let size = decode(*mantissa, *exponent, least).filter(|size| size.is_finite()).ok_or_else(missing)?;
    match sign {
        0 => Ok(size),
        1 => Ok(-size),
        _ => Err(inconsistent("a sign is neither 0 nor 1")),
    }
}

fn top_k(statistic: &Statistic, plan: &Plan, words: &[u64], codes: usize) -> Result<Value> {
    let Statistic::TopK { column, .. } = statistic else { return Err(inconsistent("no such top-k")) };
    let names = plan.column(column).and_then(Column::group_codes).unwrap_or_default();
    let mut shown = Vec::new();
    for pair in words.chunks_exact(2) {
        let (code, value) = (pair[0], count(i128::from(pair[1]))?);
        if code == 0 {
            continue;
        }
        let index = usize::try_from(code - 1).ok().filter(|index| *index < codes);
        let name = index.and_then(|index| names.get(index));
        shown.push((name.ok_or_else(|| inconsistent("a code that is not published"))?.clone(), value));
    }
    Ok(if shown.is_empty() { Value::Suppressed } else { Value::TopK(TopK { codes: shown }) })
}

fn quantile(
    plan: &Plan,
    (statistic, need): (&Statistic, &Need),
    q_millionths: u64,
    words: &[u64],
) -> Result<Value> {
    let column = match statistic {
        Statistic::Quantile { column, .. } => plan.column(column),
        _ => None,
    };
    let column = column.ok_or_else(|| inconsistent("a column is missing"))?;
    let (Some(Split::Grid { low, width, points, .. }), [n, lower, upper, rank]) = (&need.grid, words) else {
        return Err(inconsistent("a quantile is missing"));
    };
    let n = count(i128::from(*n))?;
    let scale = 10f64.powi(i32::from(column.digits));
    let value = |point: u64| match point < u64::from(*points) {
        // Within the column's bounds.
        true => Ok((i128::from(*low) + i128::from(point) * i128::from(*width)) as f64 / scale),
        false => Err(inconsistent("a value out of bounds")),
    };
    let q = q_millionths as f64 / 1e6;
    let position = n.saturating_sub(1) as f64 * q;
    let (lower, upper) = (value(*lower)?, value(*upper)?);
    Ok(Value::Quantile(Quantile {
        q,
        n,
        linear: lower + position.fract() * (upper - lower),
        inverted: value(*rank)?,
        width: if *width == 1 { 0.0 } else { *width as f64 / scale },
    }))
}

fn model(kind: ModelKind, names: &[String], words: &[u64]) -> Result<Value> {
    let (Some((head, pairs)), true) = (words.split_first_chunk::<2>(), words.len() == 2 + 4 * names.len())
    else {
        return Err(inconsistent("a regression is missing"));
    };
    let n = count(i128::from(head[0]))?;
    let iterations = u32::try_from(head[1]).map_err(|_| inconsistent("too many iterations"))?;
    let df = n as f64 - names.len() as f64;
    let mut terms = Vec::new();
    for (name, term) in names.iter().zip(pairs.chunks_exact(4)) {
        let (coef, unit) = (f64::from_bits(term[0]), f64::from_bits(term[1]));
        let variance =
            decode(term[2], term[3], LEAST_EXPONENT).ok_or_else(|| inconsistent("a variance is missing"))?;
        terms.push(estimate((kind, df), name, (coef, (variance * unit).sqrt()))?);
    }
    Ok(Value::Model(Model { kind, n, iterations, terms }))
}

/// A linear model, which nobody has seen before.
fn line(plan: &Plan, (statistic, item): (&Statistic, usize), words: &[u64]) -> Result<Value> {
    let names = terms(plan, item)?;
    let missing = || inconsistent("a regression is missing");
    let scales = scales(statistic, &plan.columns)?;
    let outcome = scales.outcome.ok_or_else(missing)?;
    let verdict = linear::Verdict::decode(&scales.covariates, outcome, words).ok_or_else(missing)?;
    let linear::Verdict::Line(line) = verdict else { return Err(missing()) };
    let n = count(i128::from(line.rows))?;
    let freedom = (ModelKind::Linear, n as f64 - names.len() as f64);
    let pairs = line.coefficients.iter().copied().zip(line.standard_errors.iter().copied());
    let estimates = names.iter().zip(pairs).map(|(name, pair)| estimate(freedom, name, pair));
    let terms = estimates.collect::<Result<Vec<_>>>()?;
    Ok(Value::Model(Model { kind: ModelKind::Linear, n, iterations: 1, terms }))
}

/// A term of a model of so many degrees of freedom, from its coefficient and standard error.
fn estimate((kind, df): (ModelKind, f64), name: &str, (coef, se): (f64, f64)) -> Result<ModelTerm> {
    if !(coef.is_finite() && se.is_finite() && se > 0.0) {
        return Err(inconsistent("an estimate is not finite"));
    }
    let statistic = coef / se;
    let (p, reach) = match kind {
        ModelKind::Linear if df > 0.0 => {
            (tails::t_two_sided(statistic * statistic, df), tails::t_quantile_975(df))
        }
        _ => (tails::chi2_upper(statistic * statistic, 1), tails::Z_975),
    };
    let ci95 = [coef - reach * se, coef + reach * se];
    Ok(ModelTerm { name: name.to_owned(), coef, se, statistic, p, ci95 })
}
