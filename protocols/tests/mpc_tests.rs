//! Test statistics against the oracle and against `f64` over random tables.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by where they panic")]

mod oracle;

use std::collections::BTreeMap;

use oracle::{breast, number, table};
use rand_core::Rng;
use ward_protocols::mpc::programs::statistics::contingency::{Correction, chi_square, chi_square_2x2};
use ward_protocols::mpc::programs::statistics::fisher::fisher_exact;
use ward_protocols::mpc::programs::statistics::means::{Group, Variances, t_of, t_test};
use ward_protocols::mpc::programs::statistics::survival::{RiskTable, log_rank};
use ward_protocols::mpc::programs::statistics::{Released, Statistics};
use ward_protocols::mpc::shares::RingShares;
use ward_protocols::mpc::{Malicious, Result, Security, SemiHonest, Session};
use ward_protocols::sim::{World, share_ring};

/// Shares columns among three hospitals' sums, runs a program and opens its statistics.
fn run<S: Security>(
    columns: &[Vec<u64>],
    program: impl Fn(&mut Session<'_, S>, Vec<RingShares>) -> Result<Statistics> + Sync,
) -> Vec<Released> {
    let world = World::new(5);
    let mut rng = world.rng();
    let mut inputs = [Vec::new(), Vec::new(), Vec::new()];
    for column in columns {
        for (node, share) in inputs.iter_mut().zip(share_ring(column, &mut rng)) {
            node.push(share);
        }
    }
    let outcome = world.run::<S, _, _>(inputs, |session, columns| {
        let statistics = program(session, columns)?;
        statistics.open(&mut session.narrow("open"))
    });
    let cost = outcome.counters[0].total();
    println!("{} rounds, {} bytes", cost.rounds, cost.bytes_sent);
    let [a, b, c] = outcome.all();
    assert!(a == b && b == c);
    a
}

fn only(released: &Released) -> f64 {
    match released {
        Released::Values(values) => values[0],
        other => panic!("{other:?}"),
    }
}

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found / expected - 1.0).abs();
    println!("{what}: {found} {expected} {error:.1e}");
    assert!(error < tolerance, "{what}: {found}, expected {expected}");
}

fn two_by_two<S: Security>(tables: &[[u64; 4]], correction: Correction, floor: u64) -> Vec<Released> {
    let columns: Vec<Vec<u64>> = (0..4).map(|k| tables.iter().map(|table| table[k]).collect()).collect();
    run::<S>(&columns, |session, columns| {
        chi_square_2x2(session, &<[_; 4]>::try_from(columns).ok().unwrap(), correction, floor)
    })
}

fn cells_of(set: &str, path: &str) -> Vec<u64> {
    let table = oracle::answer(set, &[path, "table"]);
    let rows = table.as_object().unwrap();
    rows.values()
        .flat_map(|row| row.as_object().unwrap().values().map(|cell| cell.as_u64().unwrap()))
        .collect()
}

#[test]
fn chi_square_of_two_by_two_tables_equals_the_oracle() {
    let sets = [
        ("rct", "crosstab_rx_outcome"),
        ("breast", "crosstab_hormon_death"),
        ("nafld", "crosstab_male_status"),
        ("nafld", "crosstab_dm_htn"),
        ("nafld", "crosstab_nafld_dm"),
    ];
    let tables: Vec<[u64; 4]> = sets.iter().map(|(s, p)| cells_of(s, p).try_into().unwrap()).collect();
    for (correction, key) in [(Correction::None, "pearson"), (Correction::Yates, "yates")] {
        let found = two_by_two::<SemiHonest>(&tables, correction, 10);
        for ((set, path), found) in sets.iter().zip(&found) {
            close(only(found), number(set, &[path, key, "chi2"]), 1e-7, path);
        }
        assert_eq!(two_by_two::<Malicious>(&tables, correction, 10).len(), found.len());
    }
}

#[test]
fn chi_square_of_random_tables_of_every_size_equals_the_formula() {
    let mut rng = World::new(9).rng();
    let mut tables = Vec::new();
    for bits in 1..=22 {
        for _ in 0..20 {
            tables.push([0; 4].map(|_| rng.next_u64() >> (64 - 1 - rng.next_u64() % bits)));
        }
    }
    tables.push([1 << 22; 4]);
    tables.push([(1 << 23) - 1, 1, 1, (1 << 23) - 1]);
    for correction in [Correction::None, Correction::Yates] {
        let found = two_by_two::<SemiHonest>(&tables, correction, 0);
        let mut worst: f64 = 0.0;
        for (table, found) in tables.iter().zip(found) {
            let [a, b, c, d] = table.map(|x| x as f64);
            let n = a + b + c + d;
            let yates = if correction == Correction::Yates { n / 2.0 } else { 0.0 };
            let denominator = (a + b) * (c + d) * (a + c) * (b + d);
            if denominator == 0.0 {
                assert_eq!(found, Released::Suppressed, "{table:?}");
                continue;
            }
            let expected = n * ((a * d - b * c).abs() - yates).max(0.0).powi(2) / denominator;
            let error =
                if expected == 0.0 { only(&found).abs() } else { (only(&found) / expected - 1.0).abs() };
            assert!(error < 1e-7, "{table:?}: {found:?}, expected {expected}");
            worst = worst.max(error);
        }
        println!("{correction:?}: worst relative error {worst:.1e}");
    }
}

#[test]
fn chi_square_of_larger_tables_equals_the_oracle() {
    for (set, path, shape, tolerance) in
        [("breast", "crosstab_size_grade", (3, 2), 1e-7), ("synth_10k", "crosstab_hospital_dx", (5, 6), 1e-7)]
    {
        let cells = cells_of(set, path);
        assert_eq!(cells.len(), shape.0 * shape.1, "{path}");
        let found = run::<SemiHonest>(&[cells], |s, c| chi_square(s, &c[0], shape, 5));
        close(only(&found[0]), number(set, &[path, "pearson", "chi2"]), tolerance, path);
    }
}

#[test]
fn a_margin_below_the_floor_suppresses_a_table_and_no_other() {
    let tables = [[20, 30, 25, 4], [9, 0, 30, 40], [10, 0, 30, 40], [0, 0, 30, 40]];
    let found = two_by_two::<SemiHonest>(&tables, Correction::None, 10);
    assert!(matches!(
        found[..],
        [Released::Values(_), Released::Suppressed, Released::Values(_), Released::Suppressed]
    ));
    let found = run::<SemiHonest>(&[vec![5, 5, 5, 5, 5, 4]], |s, c| chi_square(s, &c[0], (3, 2), 10));
    assert_eq!(found, [Released::Suppressed]);
}

#[test]
fn a_suppressed_statistic_opens_as_zeros() {
    let world = World::new(6);
    let mut rng = world.rng();
    let [a, b, c, d] = [3u64, 4, 5, 6].map(|x| share_ring(&[x], &mut rng));
    let inputs = [0, 1, 2].map(|k| [&a, &b, &c, &d].map(|cell| cell[k].clone()));
    let outcome = world.run::<SemiHonest, _, _>(inputs, |session, cells| {
        Ok(chi_square_2x2(session, &cells, Correction::None, 10)?.shares)
    });
    assert_eq!(ward_protocols::sim::reconstruct_ring(&outcome.all()), [0, 0, 0, 0]);
}

/// Count, sum and sum of squares.
fn sums(values: &[i64]) -> [u64; 3] {
    let squares: i64 = values.iter().map(|x| x * x).sum();
    [values.len() as u64, values.iter().sum::<i64>().cast_unsigned(), squares.cast_unsigned()]
}

fn t_tests(pairs: &[[Vec<i64>; 2]], how: Variances, bits: u32, floor: u64) -> Vec<Released> {
    let mut columns = vec![Vec::new(); 6];
    for pair in pairs {
        for (column, x) in columns.iter_mut().zip(pair.iter().flat_map(|values| sums(values))) {
            column.push(x);
        }
    }
    run::<SemiHonest>(&columns, |session, c| {
        let group = |k: usize| Group { n: c[k].clone(), sum: c[k + 1].clone(), squares: c[k + 2].clone() };
        t_test(session, &[group(0), group(3)], (how, bits), floor)
    })
}

fn expected_t(pair: &[Vec<i64>; 2], how: Variances) -> (f64, f64) {
    let [a, b] = pair.each_ref().map(|values| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<i64>() as f64 / n;
        (n, mean, values.iter().map(|x| (*x as f64 - mean).powi(2)).sum::<f64>())
    });
    let difference = a.1 - b.1;
    match how {
        Variances::Unequal => {
            let (v, w) = (a.2 / (a.0 - 1.0) / a.0, b.2 / (b.0 - 1.0) / b.0);
            (difference / (v + w).sqrt(), (v + w).powi(2) / (v * v / (a.0 - 1.0) + w * w / (b.0 - 1.0)))
        }
        Variances::Equal => {
            let df = a.0 + b.0 - 2.0;
            (difference / ((a.2 + b.2) / df * (1.0 / a.0 + 1.0 / b.0)).sqrt(), df)
        }
    }
}

#[test]
fn t_tests_equal_the_oracle() {
    let column = |name: &str, by: &str, value: &str| -> Vec<i64> {
        breast().iter().filter(|row| row[by] == value).map(|row| row[name].parse().unwrap()).collect()
    };
    let risk = |arm: &str| -> Vec<i64> {
        let rows = table(&["rct/indo_rct.csv"]);
        let rows = rows.iter().filter(|row| row["rx"] == arm);
        rows.map(|row| (2.0 * row["risk"].parse::<f64>().unwrap()) as i64).collect()
    };
    let pairs = [
        [column("age", "hormon", "0"), column("age", "hormon", "1")],
        [column("nodes", "death", "0"), column("nodes", "death", "1")],
        [risk("placebo"), risk("indomethacin")],
    ];
    let names =
        [("breast", "ttest_age_by_hormon"), ("breast", "ttest_nodes_by_death"), ("rct", "ttest_risk_by_rx")];
    for (how, key) in [(Variances::Unequal, "welch"), (Variances::Equal, "student")] {
        for ((set, path), found) in names.iter().zip(t_tests(&pairs, how, 7, 10)) {
            let (t, df) = t_of(&found).unwrap();
            close(t.abs(), number(set, &[path, key, "t"]).abs(), 1e-7, path);
            assert_eq!(t < 0.0, number(set, &[path, key, "t"]) < 0.0);
            close(df, number(set, &[path, key, "df"]), 1e-7, path);
        }
    }
}

#[test]
fn t_tests_of_random_groups_equal_the_formula() {
    let mut rng = World::new(77).rng();
    for bits in [1, 4, 10, 17] {
        let mut pairs = Vec::new();
        for size in [2, 3, 10, 200, 3000] {
            for shift in 0..3 {
                let mut group = |centre: i64| -> Vec<i64> {
                    let half = 1i64 << (bits - 1);
                    (0..size)
                        .map(|_| (rng.next_u64() % (2 * half as u64)).cast_signed() - half + centre)
                        .collect()
                };
                let centre = [0, 1i64 << bits >> 2, -(1i64 << bits >> 2)][shift];
                pairs.push([group(centre), group(-centre / 2)]);
            }
        }
        for how in [Variances::Unequal, Variances::Equal] {
            let mut worst: f64 = 0.0;
            for (pair, found) in pairs.iter().zip(t_tests(&pairs, how, bits, 2)) {
                let (t, df) = expected_t(pair, how);
                if !t.is_finite() {
                    assert_eq!(found, Released::Suppressed);
                    continue;
                }
                let (found_t, found_df) = t_of(&found).unwrap();
                let error = ((found_t - t) / t.abs().max(0.1)).abs().max((found_df / df - 1.0).abs());
                assert!(error < 1e-6, "{bits} bits, {} rows: {found_t} {t}, {found_df} {df}", pair[0].len());
                worst = worst.max(error);
            }
            println!("t, {bits} bits, {how:?}: worst {worst:.1e}");
        }
    }
}

#[test]
fn groups_that_are_small_or_constant_are_suppressed() {
    let many: Vec<i64> = (0..50).collect();
    let pairs = [[vec![1, 2, 3], many.clone()], [vec![7; 40], vec![9; 40]], [many.clone(), many]];
    let found = t_tests(&pairs, Variances::Unequal, 7, 10);
    assert_eq!(found[..2], [Released::Suppressed, Released::Suppressed]);
    assert!(t_of(&found[2]).unwrap().0.abs() < 1e-6);
}

/// A risk table on the grid of days on which anything ends.
fn risk_table(rows: &[(u32, bool, String)]) -> (Vec<Vec<u64>>, usize) {
    let groups: Vec<&String> =
        rows.iter().map(|row| &row.2).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let mut days: BTreeMap<u32, (Vec<u64>, Vec<u64>)> = BTreeMap::new();
    for (day, event, group) in rows {
        let g = groups.iter().position(|other| *other == group).unwrap();
        let zero = || (vec![0; groups.len()], vec![0; groups.len()]);
        let at = days.entry(*day).or_insert_with(zero);
        at.0[g] += 1;
        at.1[g] += u64::from(*event);
    }
    let mut columns = vec![Vec::new(); 2 * groups.len()];
    let mut left = vec![0; groups.len()];
    for (ended, events) in days.values().rev() {
        for g in 0..groups.len() {
            left[g] += ended[g];
            columns[g].push(left[g]);
            columns[groups.len() + g].push(events[g]);
        }
    }
    for column in &mut columns {
        column.reverse();
    }
    (columns, groups.len())
}

fn log_rank_of<S: Security>(rows: &[(u32, bool, String)], floor: u64) -> Released {
    let (columns, groups) = risk_table(rows);
    run::<S>(&columns, |session, mut columns| {
        let events = columns.split_off(groups);
        log_rank(session, &RiskTable { at_risk: columns, events }, floor)
    })[0]
        .clone()
}

fn survival(time: &str, event: &str, group: &str) -> Vec<(u32, bool, String)> {
    breast().iter().map(|row| (row[time].parse().unwrap(), row[event] == "1", row[group].clone())).collect()
}

#[test]
fn log_rank_tests_equal_the_oracle() {
    for (name, rows) in [
        ("logrank_hormon", survival("dtime", "death", "hormon")),
        ("logrank_grade", survival("dtime", "death", "grade")),
        ("logrank_size3", survival("dtime", "death", "size")),
        ("logrank_recur_hormon", survival("rtime", "recur", "hormon")),
    ] {
        let found = log_rank_of::<SemiHonest>(&rows, 10);
        close(only(&found), number("breast", &[name, "chi2"]), 1e-6, name);
    }
}

#[test]
fn log_rank_tests_of_few_people_and_many_ties() {
    let mut rng = World::new(78).rng();
    for groups in [2, 3, 5] {
        let rows: Vec<(u32, bool, String)> = (0..60)
            .map(|k| {
                ((rng.next_u64() % 7) as u32, !rng.next_u64().is_multiple_of(3), (k % groups).to_string())
            })
            .collect();
        let (columns, g) = risk_table(&rows);
        close(only(&log_rank_of::<Malicious>(&rows, 3)), plain_log_rank(&columns, g), 1e-6, "ties");
        assert_eq!(log_rank_of::<SemiHonest>(&rows, 61), Released::Suppressed);
    }
    let nothing: Vec<(u32, bool, String)> = (0..40).map(|k| (k, false, (k % 2).to_string())).collect();
    assert_eq!(log_rank_of::<SemiHonest>(&nothing, 0), Released::Suppressed);
}

/// The statistic in the clear, its linear system solved by elimination.
#[expect(clippy::needless_range_loop, reason = "matrices are read by row and column")]
fn plain_log_rank(columns: &[Vec<u64>], groups: usize) -> f64 {
    let p = groups - 1;
    let (mut z, mut v) = (vec![0.0; p], vec![vec![0.0; p]; p]);
    for t in 0..columns[0].len() {
        let at = |k: usize| columns[k][t] as f64;
        let n: f64 = (0..groups).map(at).sum();
        let d: f64 = (groups..2 * groups).map(at).sum();
        for g in 0..p {
            z[g] += at(groups + g) - d * at(g) / n;
            for h in 0..p {
                let same = f64::from(u8::from(g == h));
                if n > 1.0 {
                    v[g][h] += d * (n - d) / (n - 1.0) * at(g) / n * (same - at(h) / n);
                }
            }
        }
    }
    let right = z.clone();
    for i in 0..p {
        for k in i + 1..p {
            let f = v[k][i] / v[i][i];
            for j in i..p {
                v[k][j] -= f * v[i][j];
            }
            z[k] -= f * z[i];
        }
    }
    for i in (0..p).rev() {
        for j in i + 1..p {
            z[i] -= v[i][j] * z[j];
        }
        z[i] /= v[i][i];
    }
    z.iter().zip(right).map(|(a, b)| a * b).sum()
}

fn fisher<S: Security>(table: [u64; 4], rows_max: usize, floor: u64) -> Released {
    let columns: Vec<Vec<u64>> = table.iter().map(|cell| vec![*cell]).collect();
    run::<S>(&columns, |session, cells| {
        fisher_exact(session, &<[_; 4]>::try_from(cells).ok().unwrap(), rows_max, floor)
    })[0]
        .clone()
}

/// The p-value by summing probabilities in the clear.
fn plain_fisher([a, b, c, d]: [u64; 4]) -> f64 {
    let log = |k: u64| (1..=k).map(|k| (k as f64).ln()).sum::<f64>();
    let (r, s, n) = (a + b, a + c, a + b + c + d);
    let of = |x: u64| -(log(x) + log(r - x) + log(s - x) + log(n + x - r - s));
    let all: Vec<f64> = ((r + s).saturating_sub(n)..=r.min(s)).map(of).collect();
    let most = all.iter().copied().fold(f64::MIN, f64::max);
    let total: f64 = all.iter().map(|l| (l - most).exp()).sum();
    all.iter().filter(|l| **l <= of(a) + 1e-9).map(|l| (l - most).exp()).sum::<f64>() / total
}

#[test]
fn exact_tests_equal_the_oracle() {
    for (set, path, rows_max) in
        [("rct", "crosstab_rx_outcome", 700), ("breast", "crosstab_hormon_death", 3000)]
    {
        let table = cells_of(set, path).try_into().unwrap();
        close(
            only(&fisher::<SemiHonest>(table, rows_max, 10)),
            number(set, &[path, "fisher", "p"]),
            1e-7,
            path,
        );
    }
}

#[test]
fn exact_tests_of_small_and_lopsided_tables_equal_the_formula() {
    let tables = [
        [1, 0, 0, 1],
        [3, 1, 1, 3],
        [0, 9, 9, 0],
        [9, 0, 0, 9],
        [100, 3, 2, 90],
        [2, 90, 100, 3],
        [1, 99, 99, 1],
        [50, 50, 50, 50],
        [0, 5, 180, 10],
        [199, 1, 0, 0],
    ];
    for table in tables {
        let found = fisher::<SemiHonest>(table, 200, 0);
        if table[2] + table[3] == 0 {
            assert_eq!(found, Released::Suppressed);
        } else {
            close(only(&found), plain_fisher(table), 1e-7, "small");
        }
    }
    close(only(&fisher::<Malicious>([8, 2, 1, 5], 40, 5)), plain_fisher([8, 2, 1, 5]), 1e-7, "malicious");
}

#[test]
fn exact_tests_of_more_rows_than_announced_are_suppressed_or_refused() {
    assert_eq!(fisher::<SemiHonest>([30, 30, 30, 30], 100, 0), Released::Suppressed);
    assert_eq!(fisher::<SemiHonest>([3, 30, 3, 30], 100, 10), Released::Suppressed);
    let world = World::new(5);
    let shares = share_ring(&[1], &mut world.rng());
    let outcome = world.run::<SemiHonest, _, _>(shares, |session, x| {
        fisher_exact(session, &[x.clone(), x.clone(), x.clone(), x], 1 << 16, 0).map(|_| ())
    });
    assert!(
        outcome
            .results
            .iter()
            .all(|result| matches!(result, Err(ward_protocols::mpc::MpcError::Parameter { .. })))
    );
}
