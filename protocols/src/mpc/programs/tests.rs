//! Programs against the same in the clear, in both securities.

use std::collections::HashSet;

use proptest::prelude::*;
use rand_core::Rng;

use super::floor::Rule;
use super::quantile::Quantile;
use super::top::Top;
use super::*;
use crate::mpc::error::Result;
use crate::mpc::gates::convert::inject;
use crate::mpc::gates::least::least;
use crate::mpc::gates::open::{open, open_bits};
use crate::mpc::security::{Malicious, SemiHonest};
use crate::mpc::shares::{BitShares, RingShares};
use crate::mpc::{Security, Session};
use crate::sim::{World, share_bits, share_ring};

/// What all three nodes learn, who must agree.
fn learn<S: Security, I: Send, T: Send + PartialEq>(
    world: &World,
    inputs: [I; 3],
    program: impl Fn(&mut Session<'_, S>, I) -> Result<T> + Sync,
) -> T {
    let [a, b, c] = world.run::<S, _, _>(inputs, program).all();
    assert!(a == b && b == c, "nodes learn different results");
    a
}

fn run<T: Send + PartialEq + std::fmt::Debug>(
    (seed, values): (u64, &[u64]),
    semi_honest: impl Fn(&mut Session<'_, SemiHonest>, RingShares) -> Result<T> + Sync,
    malicious: impl Fn(&mut Session<'_, Malicious>, RingShares) -> Result<T> + Sync,
) -> T {
    let world = World::new(seed);
    let first = learn(&world, share_ring(values, &mut world.rng()), semi_honest);
    let second = learn(&world, share_ring(values, &mut world.rng()), malicious);
    assert_eq!(first, second);
    first
}

macro_rules! in_both {
    ($input:expr, $program:expr) => {
        run($input, $program, $program)
    };
}

/// The rule, in the clear.
fn pattern(counts: &[u64], rule: &Rule) -> Vec<bool> {
    let (rows, columns) = (rule.rows, rule.columns);
    let mut is_small: Vec<bool> = counts.iter().map(|count| *count < rule.floor).collect();
    let complement =
        |is_small: &mut Vec<bool>, lines: usize, places: usize, at: &dyn Fn(usize, usize) -> usize| {
            let crossed: Vec<bool> = (0..places).map(|p| (0..lines).any(|l| is_small[at(l, p)])).collect();
            let totals: Vec<u64> = (0..places).map(|p| (0..lines).map(|l| counts[at(l, p)]).sum()).collect();
            for line in 0..lines {
                if (0..places).filter(|p| is_small[at(line, *p)]).count() == 1 {
                    let left = (0..places).filter(|p| !is_small[at(line, *p)]);
                    let size = |p: usize| if crossed[p] { counts[at(line, p)] } else { totals[p] };
                    let place = left.min_by_key(|p| (!crossed[*p], size(*p), *p));
                    is_small[at(line, place.unwrap())] = true;
                }
            }
        };
    if rule.has_margins && columns > 1 {
        complement(&mut is_small, rows, columns, &|row, column| row * columns + column);
    }
    if rule.has_margins && rows > 1 {
        complement(&mut is_small, columns, rows, &|column, row| row * columns + column);
    }
    is_small.into_iter().map(|is_small| !is_small).collect()
}

/// The released cells, opened.
fn released<S: Security>(s: &mut Session<'_, S>, counts: &RingShares, rule: &Rule) -> Result<Vec<bool>> {
    let flags = floor::released(&mut s.narrow("floor"), counts, rule)?;
    let words = open_bits(&mut s.narrow("open"), &flags)?;
    Ok((0..counts.len()).map(|cell| words[cell / 64] >> (cell % 64) & 1 == 1).collect())
}

/// Codes counted from 1 and counts, opened.
fn most_frequent<S: Security>(
    s: &mut Session<'_, S>,
    counts: &RingShares,
    top: &Top,
) -> Result<Vec<[u64; 2]>> {
    let found = top::codes(&mut s.narrow("top"), counts, top)?;
    let codes = open(&mut s.narrow("codes"), &found.codes)?;
    let counts = open(&mut s.narrow("counts"), &found.counts)?;
    Ok(codes.into_iter().zip(counts).map(|(code, count)| [code, count]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_floor_suppresses_what_the_rule_says(
        (rows, columns, counts) in (1..13usize, 1..13usize).prop_flat_map(|(rows, columns)| {
            let count = prop_oneof![3 => 0..30u64, 1 => 0..5u64];
            (Just(rows), Just(columns), prop::collection::vec(count, rows * columns))
        }),
        has_margins: bool,
        seed: u64,
    ) {
        let rule = Rule { rows, columns, floor: 5, width: 20, has_margins };
        let released = in_both!((seed, &counts), |s, x| released(s, &x, &rule));
        prop_assert_eq!(&released, &pattern(&counts, &rule));
        prop_assert!(released.iter().zip(&counts).all(|(is_released, count)| !is_released || *count >= 5));
        if has_margins {
            let lines = |outer: usize, inner: usize, at: &dyn Fn(usize, usize) -> usize| {
                (0..outer).all(|o| inner == 1 || (0..inner).filter(|i| !released[at(o, *i)]).count() != 1)
            };
            prop_assert!(lines(rows, columns, &|row, column| row * columns + column));
            prop_assert!(lines(columns, rows, &|column, row| row * columns + column));
        }
    }

    #[test]
    fn the_least_key_of_each_line_is_marked(places in 1..70usize, lines in 1..4usize, seed: u64) {
        let world = World::new(seed);
        let mut rng = world.rng();
        // Distinct in a line: the place is in the low bits.
        let keys: Vec<u64> = (0..places * lines)
            .map(|v| (rng.next_u64() % 16) << 7 | (v / lines) as u64)
            .collect();
        let inputs = share_bits(&keys, 11, &mut rng);
        let marks = learn::<Malicious, _, _>(&world, inputs, |s, keys| {
            let marks = least(&mut s.narrow("least"), &keys, lines)?;
            open_bits(&mut s.narrow("open"), &marks)
        });
        for line in 0..lines {
            let least = (0..places).min_by_key(|place| keys[place * lines + line]);
            let marked: Vec<usize> = (0..places)
                .filter(|place| marks[(place * lines + line) / 64] >> ((place * lines + line) % 64) & 1 == 1)
                .collect();
            prop_assert_eq!(marked, [least.unwrap()]);
        }
    }

    #[test]
    fn quantiles_of_a_histogram_are_those_of_its_values(
        histogram in prop::collection::vec(prop_oneof![Just(0u64), 0..6u64], 1..40),
        numerator in 0..=20u32,
        seed: u64,
    ) {
        let quantile = Quantile { numerator, denominator: 20 };
        let values: Vec<u64> =
            histogram.iter().enumerate().flat_map(|(bin, count)| vec![bin as u64; *count as usize]).collect();
        let bins = in_both!((seed, &histogram), |s, x| {
            let bins = quantile::of_histogram(&mut s.narrow("bins"), &x, &[quantile], 20)?;
            open(&mut s.narrow("open"), &RingShares::concat(&[&bins.inverted, &bins.lower, &bins.upper]))
        });
        if !values.is_empty() {
            prop_assert_eq!(bins[0], values[quantile.rank(values.len())]);
            let (below, weight) = quantile.rank_below(values.len());
            prop_assert_eq!(bins[1], values[below]);
            if weight > 0 {
                prop_assert_eq!(bins[2], values[below + 1]);
            }
        }
    }

    #[test]
    fn quantiles_of_rows_are_exact(
        mut values in prop::collection::vec(prop_oneof![0..10u64, 0..(1u64 << 62)], 1..120),
        seed: u64,
    ) {
        let median = Quantile { numerator: 1, denominator: 2 };
        let ranks = [median.rank(values.len()), values.len() - 1];
        let found = in_both!((seed, &values), |s, x| {
            let found = quantile::of_rows(&mut s.narrow("find"), &x, 62, &ranks)?;
            open(&mut s.narrow("open"), &found)
        });
        values.sort_unstable();
        let mut expected = ranks.map(|rank| values[rank]).to_vec();
        if ranks[0] == ranks[1] {
            expected.pop();
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn different_identifiers_are_counted_once(
        rows in prop::collection::vec((prop_oneof![0..10u64, any::<u64>()], any::<bool>()), 0..150),
        seed: u64,
    ) {
        let (hashes, counts): (Vec<u64>, Vec<u64>) = rows.iter().map(|(hash, is_in)| (*hash, u64::from(*is_in))).unzip();
        let expected = rows.iter().filter(|row| row.1).map(|row| row.0).collect::<HashSet<_>>().len() as u64;
        let world = World::new(seed);
        let inputs = || {
            let mut rng = world.rng();
            let [a, b, c] = share_bits(&hashes, 64, &mut rng);
            let [d, e, f] = share_bits(&counts, 1, &mut rng);
            [(a, d), (b, e), (c, f)]
        };
        fn program<S: Security>(s: &mut Session<'_, S>, (hashes, counts): (BitShares, BitShares)) -> Result<Vec<u64>> {
            let count = distinct::count(&mut s.narrow("count"), &hashes, &counts)?;
            open(&mut s.narrow("open"), &count)
        }
        prop_assert_eq!(learn(&world, inputs(), program::<SemiHonest>), [expected]);
        prop_assert_eq!(learn(&world, inputs(), program::<Malicious>), [expected]);
    }

    #[test]
    fn the_most_frequent_codes_are_named_and_small_ones_are_not(
        counts in prop::collection::vec(0..12u64, 0..40),
        codes in 0..6usize,
        seed: u64,
    ) {
        let top = Top { codes, floor: 5, width: 10 };
        let found = in_both!((seed, &counts), |s, x| most_frequent(s, &x, &top));
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|code| (std::cmp::Reverse(counts[*code]), *code));
        let named = |code: &usize| if counts[*code] >= 5 { [*code as u64 + 1, counts[*code]] } else { [0, 0] };
        let expected: Vec<[u64; 2]> = order.iter().take(codes).map(named).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn released_values_stay_and_others_are_zero() {
    let world = World::new(1);
    let kept = world.run::<SemiHonest, _, _>(share_ring(&[10, 2, 30], &mut world.rng()), |s, x| {
        let rule = Rule { rows: 3, columns: 1, floor: 5, width: 10, has_margins: false };
        let released = floor::released(&mut s.narrow("floor"), &x, &rule)?;
        let flags = inject(&mut s.narrow("inject"), &released)?;
        let kept = floor::keep(&mut s.narrow("keep"), &x, &flags)?;
        open(&mut s.narrow("open"), &kept)
    });
    assert_eq!(kept.all()[0], [10, 0, 30]);
}

#[test]
fn parameters_out_of_range_are_refused() {
    let refused = |program: fn(&mut Session<'_, SemiHonest>) -> Result<()>| {
        let results = World::new(1).run([(); 3], |s, ()| program(s)).results;
        assert!(results.iter().all(std::result::Result::is_err));
    };
    refused(|s| {
        let rule = Rule { rows: 2, columns: 2, floor: 8, width: 3, has_margins: true };
        floor::released(s, &RingShares::zeros(4), &rule).map(drop)
    });
    refused(|s| {
        let rule = Rule { rows: 2, columns: 2, floor: 5, width: 3, has_margins: true };
        floor::released(s, &RingShares::zeros(5), &rule).map(drop)
    });
    refused(|s| {
        let quantile = Quantile { numerator: 3, denominator: 2 };
        quantile::of_histogram(s, &RingShares::zeros(4), &[quantile], 10).map(drop)
    });
    refused(|s| {
        let quantile = Quantile { numerator: 1, denominator: 1 << 30 };
        quantile::of_histogram(s, &RingShares::zeros(4), &[quantile], 40).map(drop)
    });
    refused(|s| quantile::of_rows(s, &RingShares::zeros(4), 10, &[4]).map(drop));
    refused(|s| top::codes(s, &RingShares::zeros(4), &Top { codes: 2, floor: 0, width: 10 }).map(drop));
}
