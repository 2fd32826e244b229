//! Curves and histograms for the tests of this folder and of the output.

use proptest::prelude::*;

use crate::query::answer::{Histogram, KaplanMeier, KmStep};

/// The Kaplan-Meier estimate of `(time, events, censored)` triples over `n` patients, with log(-log) bands.
pub(crate) fn kaplan_meier(table: &[(u32, u64, u64)], n: u64) -> KaplanMeier {
    let (mut at_risk, mut survival, mut variance) = (n, 1.0_f64, 0.0_f64);
    let mut steps = Vec::new();
    for &(time, events, censored) in table {
        let (r, d) = (at_risk as f64, events as f64);
        survival *= 1.0 - d / r;
        variance += d / (r * (r - d));
        let half = 1.959_963_984_540_054 * variance.sqrt() / survival.ln().abs();
        let ci95 = if survival < 1.0 {
            [survival.powf(half.exp()), survival.powf((-half).exp())]
        } else {
            [1.0, 1.0]
        };
        steps.push(KmStep { time: f64::from(time), at_risk, events, censored, survival, ci95 });
        at_risk -= events + censored;
    }
    KaplanMeier {
        n,
        events: table.iter().map(|t| t.1).sum(),
        median: steps.iter().find(|s| s.survival <= 0.5).map(|s| s.time),
        unit: "d".to_owned(),
        steps,
    }
}

/// A trial arm of `n` patients whose hazard per 30 days is `hazard` in a thousand; deterministic.
pub(crate) fn arm(n: u64, hazard: u64, seed: u64) -> KaplanMeier {
    let mut state = seed;
    let mut draw = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 1000
    };
    let mut table = Vec::new();
    let mut left = n;
    for month in 1..=80 {
        let events = (0..left).filter(|_| draw() < hazard).count() as u64;
        let losses = if month < 30 { 2 } else { 18 };
        let censored = (0..left - events).filter(|_| draw() < losses).count() as u64;
        let censored = if month == 80 { left - events } else { censored };
        if events + censored > 0 {
            table.push((month * 30, events, censored));
        }
        left -= events + censored;
    }
    kaplan_meier(&table, n)
}

/// Body-mass index in nine bins, one of them withheld by all, one empty.
pub(crate) fn bmi() -> Histogram {
    Histogram {
        column: "bmi".to_owned(),
        unit: "kg/m2".to_owned(),
        edges: vec![15.0, 18.5, 22.0, 25.5, 29.0, 32.5, 36.0, 39.5, 43.0, 46.5],
        counts: [
            Some(41),
            Some(620),
            Some(1824),
            Some(2110),
            Some(1490),
            Some(702),
            Some(233),
            None,
            Some(0),
        ]
        .to_vec(),
        below: Some(0),
        above: None,
    }
}

/// Steps as they might come off a broken wire: any bits, any order.
pub(crate) fn any_kaplan_meier() -> impl Strategy<Value = KaplanMeier> {
    let real = || prop_oneof![4 => -1.0f64..5000.0, 2 => 0.0f64..1.0, 1 => any::<f64>()];
    let step = (real(), any::<u32>(), 0u64..50, 0u64..50, real(), [real(), real()]).prop_map(
        |(time, at_risk, events, censored, survival, ci95)| KmStep {
            time,
            at_risk: u64::from(at_risk),
            events,
            censored,
            survival,
            ci95,
        },
    );
    let median = proptest::option::of(real());
    (proptest::collection::vec(step, 0..40), 0u64..100_000, any::<u64>(), median, "\\PC{0,6}")
        .prop_map(|(steps, n, events, median, unit)| KaplanMeier { n, events, median, unit, steps })
}

/// Histograms as they might come off a broken wire.
pub(crate) fn any_histogram() -> impl Strategy<Value = Histogram> {
    let edge = prop_oneof![6 => -100.0f64..1000.0, 1 => any::<f64>()];
    let count = proptest::option::of(prop_oneof![4 => 0u64..5000, 1 => any::<u64>()]);
    (
        "\\PC{0,8}",
        "\\PC{0,6}",
        proptest::collection::vec(edge, 0..20),
        proptest::collection::vec(count, 0..20),
        proptest::option::of(0u64..100),
    )
        .prop_map(|(column, unit, edges, counts, below)| Histogram {
            column,
            unit,
            edges,
            counts,
            below,
            above: None,
        })
}
