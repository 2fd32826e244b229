//! What is drawn of a survival curve, in data coordinates. Shared by the tables, the terminal and SVG.

use crate::query::answer::{KaplanMeier, KmStep};

/// A corner of a step curve: S(t) holds from `time` to the next corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corner {
    /// Time.
    pub time: f64,
    /// Survival, in [0, 1].
    pub survival: f64,
    /// Lower end of the band, at most `survival`.
    pub low: f64,
    /// Upper end of the band, at least `survival`.
    pub high: f64,
}

/// The corners: (0, 1) first, then one per step with an event, whatever numbers the steps hold: survival never
/// rises, times never go back, an interval that is no interval closes on the curve.
#[must_use]
pub fn corners(km: &KaplanMeier) -> Vec<Corner> {
    let mut corners = vec![Corner { time: 0.0, survival: 1.0, low: 1.0, high: 1.0 }];
    for step in km.steps.iter().filter(|s| s.events > 0) {
        let last = corners[corners.len() - 1];
        if !step.time.is_finite() || step.time < last.time || !step.survival.is_finite() {
            continue;
        }
        let survival = step.survival.clamp(0.0, last.survival);
        let [low, high] = interval(step).unwrap_or([survival, survival]);
        let corner = Corner {
            time: step.time,
            survival,
            low: low.clamp(0.0, survival),
            high: high.clamp(survival, 1.0),
        };
        if step.time == last.time {
            corners.pop();
        }
        corners.push(corner);
    }
    corners
}

/// The interval of a step, when both ends are numbers.
fn interval(step: &KmStep) -> Option<[f64; 2]> {
    step.ci95.iter().all(|x| x.is_finite()).then_some(step.ci95)
}

/// Last time anybody was observed; 0 when nobody was.
#[must_use]
pub fn end(km: &KaplanMeier) -> f64 {
    km.steps.iter().map(|s| s.time).filter(|t| t.is_finite()).fold(0.0, f64::max)
}

/// Last observed time of all the curves.
#[must_use]
pub fn end_of_all<'a>(curves: impl IntoIterator<Item = &'a KaplanMeier>) -> f64 {
    curves.into_iter().map(end).fold(0.0, f64::max)
}

/// Patients at risk just before `time`.
#[must_use]
pub fn at_risk(km: &KaplanMeier, time: f64) -> u64 {
    if time <= 0.0 {
        return km.n;
    }
    km.steps.iter().find(|s| s.time >= time).map_or(0, |s| s.at_risk)
}

/// Events up to and including `time`.
#[must_use]
pub fn events_until(km: &KaplanMeier, time: f64) -> u64 {
    km.steps.iter().take_while(|s| s.time <= time).fold(0, |sum, s| sum.saturating_add(s.events))
}

/// S(t) with its interval; `None` after the last observation, unless nobody was left.
#[must_use]
pub fn survival(km: &KaplanMeier, time: f64) -> Option<Corner> {
    let last = corners(km).into_iter().rev().find(|c| c.time <= time)?;
    (time <= end(km) || last.survival == 0.0).then_some(last)
}

/// Times and survival at which somebody was censored.
#[must_use]
pub fn censored(km: &KaplanMeier) -> Vec<(f64, f64)> {
    let corners = corners(km);
    let mut next = 0;
    let mut out = Vec::new();
    for step in km.steps.iter().filter(|s| s.censored > 0 && s.time.is_finite()) {
        while next + 1 < corners.len() && corners[next + 1].time <= step.time {
            next += 1;
        }
        out.push((step.time, corners[next].survival));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::plot::samples;

    #[test]
    fn known_curve_has_its_known_values() {
        // Five patients: event at 1, censored at 2, events at 3 and 4, censored at 5.
        let km = samples::kaplan_meier(&[(1, 1, 0), (2, 0, 1), (3, 1, 0), (4, 1, 0), (5, 0, 1)], 5);
        let at = |t| survival(&km, t).map(|c| c.survival);
        assert_eq!(at(0.0), Some(1.0));
        assert_eq!(at(1.0), Some(0.8));
        assert!((at(3.5).unwrap() - 0.8 * 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(at(6.0), None);
        assert_eq!(
            (at_risk(&km, 0.0), at_risk(&km, 3.0), at_risk(&km, 3.5), at_risk(&km, 9.0)),
            (5, 3, 2, 0)
        );
        assert_eq!((events_until(&km, 3.0), events_until(&km, 0.5)), (2, 0));
        assert_eq!(censored(&km).len(), 2);
        assert_eq!(censored(&km)[0], (2.0, 0.8));
    }

    #[test]
    fn after_everybody_died_survival_stays_zero() {
        let km = samples::kaplan_meier(&[(1, 1, 0), (2, 1, 0)], 2);
        assert_eq!(survival(&km, 9.0).map(|c| c.survival), Some(0.0));
    }
}
