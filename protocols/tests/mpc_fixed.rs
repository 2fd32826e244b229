//! Fixed-point gates against arithmetic in the clear: accuracy over the whole input range, costs against the counters.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by where they panic")]

use proptest::prelude::*;
use rand_core::Rng;
use ward_protocols::mpc::fixed::floats::{LEAST_EXPONENT, decode};
use ward_protocols::mpc::fixed::normalise::normalise;
use ward_protocols::mpc::fixed::power::{Powers, powers_of_half};
use ward_protocols::mpc::fixed::reciprocal::reciprocal;
use ward_protocols::mpc::fixed::root::{roots, square_root};
use ward_protocols::mpc::fixed::truncate::{truncate, truncate_each, truncate_exactly};
use ward_protocols::mpc::fixed::{Floats, Masks};
use ward_protocols::mpc::shares::RingShares;
use ward_protocols::mpc::{Malicious, MpcError, Result, Security, SemiHonest, Session};
use ward_protocols::sim::{Outcome, World, reconstruct_ring, share_ring};

/// Runs a column through a program and opens what comes out.
fn run<S: Security>(
    seed: u64,
    values: &[u64],
    program: impl Fn(&mut Session<'_, S>, &mut Masks, RingShares) -> Result<RingShares> + Sync,
) -> Vec<u64> {
    let world = World::new(seed);
    let inputs = share_ring(values, &mut world.rng());
    let outcome = world.run::<S, _, _>(inputs, |session, x| program(session, &mut Masks::new(0), x));
    reconstruct_ring(&outcome.all())
}

fn signed(words: &[u64]) -> Vec<i64> {
    words.iter().map(|word| word.cast_signed()).collect()
}

/// Zero, the ends of the range, powers of two and their neighbours, and random values of every size, of both signs.
fn whole_range(seed: u64, bits: u32) -> Vec<i64> {
    let mut rng = World::new(seed).rng();
    let mut values = vec![0, 1, -1];
    for b in 0..=bits {
        let power = 1i64 << b;
        values.extend([power - 1, 1 - power]);
        if b < bits {
            values.extend([power, -power]);
        }
        for _ in 0..8 {
            let random = (rng.next_u64() >> (63 - b.min(62))).cast_signed();
            values.extend([random.min((1 << bits) - 1), -random.min((1 << bits) - 1)]);
        }
    }
    values
}

fn words(values: &[i64]) -> Vec<u64> {
    values.iter().map(|value| value.cast_unsigned()).collect()
}

#[test]
fn truncation_is_off_by_at_most_two_units_over_the_whole_range() {
    let mut squares = 0.0;
    let mut count = 0.0;
    for bits in [0, 1, 2, 13, 30, 31, 61, 62] {
        let values = whole_range(u64::from(bits), 62);
        let found = run::<SemiHonest>(7, &words(&values), |s, m, x| truncate(s, m, &x, bits));
        for (value, found) in values.iter().zip(signed(&found)) {
            let exact = i128::from(*value);
            let error = i128::from(found) * (1 << bits) - exact;
            assert!(error.abs() <= 2 << bits, "{value} / 2^{bits} gave {found}");
            squares += (error as f64 / f64::from(bits).exp2()).powi(2);
            count += 1.0;
        }
    }
    let deviation = (squares / count).sqrt();
    assert!(deviation < 0.62, "standard deviation {deviation}");
}

#[test]
fn truncation_by_shifts_of_its_own_for_each_value() {
    let values = [1000i64 << 40, -(3 << 30), 77];
    let found = run::<SemiHonest>(8, &words(&values), |s, m, x| truncate_each(s, m, &x, &[40, 30, 0]));
    for (found, expected) in signed(&found).into_iter().zip([1000, -3, 77]) {
        assert!((found - expected).abs() <= 2, "{found} {expected}");
    }
}

#[test]
fn exact_truncation_is_the_floor() {
    for bits in [1, 2, 17, 30, 59] {
        let values = whole_range(u64::from(bits) + 50, 62);
        let found = run::<SemiHonest>(9, &words(&values), |s, m, x| truncate_exactly(s, m, &x, bits));
        for (value, found) in values.iter().zip(signed(&found)) {
            assert_eq!(found, value >> bits, "{value} / 2^{bits}");
        }
    }
}

#[test]
fn truncation_in_a_malicious_session_gives_the_same() {
    let values = whole_range(3, 62);
    let found = run::<Malicious>(7, &words(&values), |s, m, x| truncate(s, m, &x, 31));
    for (value, found) in values.iter().zip(signed(&found)) {
        assert!((found - (value >> 31)).abs() <= 3, "{value}");
    }
}

#[test]
fn normalisation_brings_the_top_bit_to_the_top_and_leaves_zero() {
    for width in [1, 2, 5, 31, 60, 63] {
        let mut values: Vec<i64> = whole_range(4, width.min(62)).into_iter().filter(|v| *v >= 0).collect();
        values.push(((1u64 << width) - 1).cast_signed());
        let found = run::<SemiHonest>(10, &words(&values), |s, _, x| {
            let n = normalise(s, &x, width)?;
            Ok(RingShares::concat(&[&n.value, &n.factor, &n.exponent, &n.is_positive]))
        });
        let len = values.len();
        for (j, value) in values.iter().enumerate() {
            let (scaled, factor, exponent) = (found[j], found[len + j], found[2 * len + j]);
            assert_eq!(factor, 1 << exponent);
            assert_eq!(found[3 * len + j], u64::from(*value > 0));
            assert_eq!(scaled, (*value as u64) << exponent);
            assert!(
                if *value == 0 { exponent == 0 } else { scaled >> (width - 1) == 1 },
                "{value} at {width}"
            );
        }
    }
}

#[test]
fn reciprocals_of_all_mantissas_are_accurate_to_two_to_the_minus_27() {
    let mut rng = World::new(1).rng();
    let mut mantissas: Vec<u64> = (0..4096).map(|k| (1 << 29) + (k << 17)).collect();
    mantissas.extend([(1 << 29) - 2, (1 << 30) - 1, 1 << 30]);
    mantissas.extend((0..4096).map(|_| (1 << 29) + (rng.next_u64() >> 35)));
    let found = run::<SemiHonest>(11, &mantissas, |s, m, x| reciprocal(s, m, &x));
    let mut worst: f64 = 0.0;
    for (m, w) in mantissas.iter().zip(found) {
        worst = worst.max((*m as f64 * w as f64 / 59f64.exp2() - 1.0).abs());
    }
    println!("reciprocal: worst relative error 2^{:.2}", worst.log2());
    assert!(worst < (-27f64).exp2(), "2^{}", worst.log2());
}

#[test]
fn roots_over_the_whole_range_are_accurate_to_two_to_the_minus_26() {
    let mut b: Vec<u64> = (0..4096).map(|k| (1 << 27) + k * (3 << 15)).collect();
    b.extend([(1 << 27) - 2, (1 << 29) - 1, 1 << 29]);
    let found = run::<SemiHonest>(12, &b, |s, m, x| {
        let r = roots(s, m, &x)?;
        Ok(RingShares::concat(&[&r.root, &r.inverse]))
    });
    let mut worst: f64 = 0.0;
    for (j, b) in b.iter().enumerate() {
        let exact = (*b as f64 / 29f64.exp2()).sqrt();
        let (root, inverse) =
            (found[j] as f64 / 29f64.exp2(), found[found.len() / 2 + j] as f64 / 29f64.exp2());
        worst = worst.max((root / exact - 1.0).abs()).max((inverse * exact - 1.0).abs());
    }
    println!("roots: worst relative error 2^{:.2}", worst.log2());
    assert!(worst < (-26f64).exp2(), "2^{}", worst.log2());
}

#[test]
fn square_roots_of_integers_of_every_size() {
    for (width, digits) in [(60, 0), (60, 28), (31, 40), (2, 20), (1, 30), (17, 51)] {
        let values: Vec<i64> = whole_range(5, width).into_iter().filter(|v| *v >= 0).collect();
        let found = run::<SemiHonest>(13, &words(&values), |s, m, x| square_root(s, m, &x, (width, digits)));
        for (value, found) in values.iter().zip(signed(&found)) {
            let exact = (*value as f64).sqrt() * f64::from(digits).exp2();
            let allowed = exact * (-26f64).exp2() + 3.0;
            assert!((found as f64 - exact).abs() <= allowed, "sqrt {value}: {found}, expected {exact}");
        }
    }
}

#[test]
fn costs_are_those_of_the_documentation() {
    let world = World::new(2);
    let inputs = share_ring(&vec![5; 640], &mut world.rng());
    let outcome: Outcome<()> = world.run::<SemiHonest, _, _>(inputs, |session, x| {
        let mut masks = Masks::new(0);
        masks.reserve(&mut session.narrow("reserve"), x.len())?;
        truncate(&mut session.narrow("truncate"), &mut masks, &x, 20)?;
        Ok(())
    });
    for (role, counters) in outcome.counters.iter().enumerate() {
        let (reserve, truncate) = (counters.steps()["reserve"], counters.steps()["truncate"]);
        assert_eq!(reserve.rounds, 11);
        let bytes = if role == 0 { 51 } else { 43 };
        assert_eq!(reserve.bytes_sent.div_ceil(640), bytes, "P{role}");
        assert_eq!((truncate.rounds, truncate.bytes_sent), (1, 8 * 640));
    }
}

#[test]
fn shifts_out_of_range_are_refused() {
    let world = World::new(3);
    let inputs = share_ring(&[1], &mut world.rng());
    let outcome =
        world.run::<SemiHonest, _, _>(inputs, |s, x| truncate(s, &mut Masks::new(0), &x, 63).map(|_| ()));
    for result in outcome.results {
        assert!(matches!(result, Err(MpcError::Parameter { found: 63, .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn truncation_of_random_columns(values in prop::collection::vec(-(1i64 << 62)..(1 << 62), 1..70), bits in 0u32..=62, seed: u64) {
        let found = run::<SemiHonest>(seed, &words(&values), |s, m, x| truncate(s, m, &x, bits));
        for (value, found) in values.iter().zip(signed(&found)) {
            let error = (i128::from(found) << bits) - i128::from(*value);
            prop_assert!(error.abs() <= 2 << bits);
        }
    }
}

/// Runs two columns of integers through float arithmetic and gives the opened numbers.
fn float_run(
    x: &[u64],
    y: &[u64],
    program: impl Fn(&mut Session<'_, SemiHonest>, &mut Masks, Floats, Floats) -> Result<Floats> + Sync,
) -> Vec<f64> {
    let n = x.len();
    let found = run::<SemiHonest>(21, &[x, y].concat(), |s, m, both| {
        let f = Floats::from_integers(&mut s.narrow("from"), m, &both, 62)?;
        let out = program(&mut s.narrow("compute"), m, f.range(0..n), f.range(n..2 * n))?;
        Ok(RingShares::concat(&[&out.mantissa, &out.exponent]))
    });
    (0..n).map(|j| decode(found[j], found[n + j], LEAST_EXPONENT).unwrap()).collect()
}

#[test]
fn float_arithmetic_over_62_binary_orders_is_accurate_to_two_to_the_minus_26() {
    let x: Vec<u64> = words(&whole_range(30, 61)).into_iter().filter(|v| v.cast_signed() > 0).collect();
    let y: Vec<u64> = x.iter().rev().map(|v| (v / 3).max(1)).collect();
    let close = |found: Vec<f64>, what: &str, exact: fn(f64, f64) -> f64| {
        let mut worst: f64 = 0.0;
        for ((found, x), y) in found.iter().zip(&x).zip(&y) {
            worst = worst.max((found / exact(*x as f64, *y as f64) - 1.0).abs());
        }
        println!("{what}: worst relative error 2^{:.2}", worst.log2());
        assert!(worst < (-26f64).exp2(), "{what}: 2^{}", worst.log2());
    };
    close(float_run(&x, &y, |s, m, x, y| x.multiply(s, m, &y)), "product", |x, y| x * y);
    close(float_run(&x, &y, |s, m, x, y| x.add(s, m, &y)), "sum", |x, y| x + y);
    let quotient = |s: &mut Session<'_, SemiHonest>, m: &mut Masks, x: Floats, y: Floats| {
        let inverse = y.reciprocal(&mut s.narrow("inverse"), m)?;
        let product = x.multiply(&mut s.narrow("product"), m, &inverse)?;
        product.normalised(&mut s.narrow("normalise"), m)
    };
    close(float_run(&x, &y, quotient), "quotient", |x, y| x / y);
}

#[test]
fn a_normalised_number_has_one_form() {
    let found = run::<SemiHonest>(22, &[6, 3], |s, m, x| {
        let x = Floats::from_integers(&mut s.narrow("from"), m, &x, 10)?;
        let doubled = x.range(1..2).times_power(s, 1);
        let both = Floats::concat(&[&x.range(0..1), &doubled]);
        let both = both.normalised(&mut s.narrow("normalise"), m)?;
        Ok(RingShares::concat(&[&both.mantissa, &both.exponent]))
    });
    assert_eq!(found[2], found[3], "exponents");
    assert!((found[0].cast_signed() - found[1].cast_signed()).abs() <= 4, "mantissas up to rounding");
}

#[test]
fn powers_of_one_half_are_accurate_to_two_to_the_minus_26() {
    let mut rng = World::new(31).rng();
    let mut y: Vec<u64> = (0..4096).map(|k| k << 28).collect();
    y.extend((0..62).map(|b| 1 << b.min(61)));
    y.extend((0..1000).map(|_| rng.next_u64() >> (2 + rng.next_u64() % 30)));
    let found = run::<SemiHonest>(32, &y, |s, m, y| {
        let p = powers_of_half(s, m, &y, 38)?;
        let low = p
            .bits
            .iter()
            .enumerate()
            .try_fold(RingShares::zeros(y.len()), |sum, (k, b)| sum.add(&b.scale(1 << k)))?;
        Ok(RingShares::concat(&[&p.fraction, &p.whole, &low, &p.is_far]))
    });
    let n = y.len();
    let mut worst: f64 = 0.0;
    for (j, y) in y.iter().enumerate() {
        let (fraction, whole) = (found[j] as f64 / f64::from(Powers::DIGITS).exp2(), found[n + j]);
        let exact = *y as f64 / 38f64.exp2();
        worst = worst.max((fraction * (exact - whole as f64).exp2() - 1.0).abs());
        assert_eq!(found[2 * n + j], whole % 64);
        assert_eq!(found[3 * n + j], u64::from(whole >= 64));
    }
    println!("powers: worst relative error 2^{:.2}", worst.log2());
    assert!(worst < (-26f64).exp2(), "2^{}", worst.log2());
}
