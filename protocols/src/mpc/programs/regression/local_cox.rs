//! What a hospital computes over its own rows for Cox regression.

use super::local::{LocalError, Rows, add_outer, check_coefficients, round, scale, triangle};

/// Times, events and covariates of a hospital's people.
#[derive(Clone, Copy, Debug)]
pub struct Survival<'a> {
    /// Covariates, scaled, without a constant.
    pub rows: Rows<'a>,
    /// Index on the public grid at which each person's observation ends.
    pub times: &'a [usize],
    /// Whether it ends with the event.
    pub events: &'a [bool],
    /// Points of the grid.
    pub grid: usize,
}

/// Where [`cox_sums`] puts what, for `p` covariates on a grid of `grid` points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoxLayout {
    /// Covariates.
    pub p: usize,
    /// Points of the grid.
    pub grid: usize,
}

impl CoxLayout {
    /// Weighted sums of a time: of 1, of the covariates, of their products.
    #[must_use]
    pub fn kinds(&self) -> usize {
        1 + self.p + triangle(self.p)
    }

    /// Words in all.
    #[must_use]
    pub fn len(&self) -> usize {
        2 + self.p + self.grid + 2 * self.kinds() * self.grid
    }

    /// True when there is nothing to sum.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.p == 0 || self.grid == 0
    }

    /// Where the numbers of events by time begin.
    #[must_use]
    pub fn ties(&self) -> usize {
        2 + self.p
    }

    /// Where the weighted sums over the people at risk begin, kind after kind, each of `grid` words.
    #[must_use]
    pub fn at_risk(&self) -> usize {
        self.ties() + self.grid
    }

    /// Where the weighted sums over the people with an event begin.
    #[must_use]
    pub fn with_event(&self) -> usize {
        self.at_risk() + self.kinds() * self.grid
    }
}

/// Sums for a step of Newton's method for Cox regression at `beta` (scaled units):
/// `[n, events, sum of x over events, events by time, risk sums by kind and time, event sums by kind and time]`.
///
/// Weights are `exp(beta x - sum |beta|)`, at most 1; they say nothing new, for a common factor cancels. Counts are integers;
/// the others have [`scale`] digits.
///
/// # Errors
/// [`LocalError`].
pub fn cox_sums(people: Survival<'_>, beta: &[f64]) -> Result<Vec<u64>, LocalError> {
    let Survival { rows, times, events, grid } = people;
    rows.check("times", times.len())?;
    rows.check("events", events.len())?;
    let layout = CoxLayout { p: rows.columns, grid };
    check_coefficients(beta, layout.p)?;
    if let Some(found) = times.iter().find(|time| **time >= grid) {
        return Err(LocalError::Shape { what: "points of the grid", found: *found, expected: grid });
    }
    let largest: f64 = beta.iter().map(|b| b.abs()).sum();
    let kinds = layout.kinds();
    let mut of_events = vec![0.0; layout.p];
    let mut ties = vec![0u64; grid];
    let (mut ending, mut dying) = (vec![0.0; grid * kinds], vec![0.0; grid * kinds]);
    for ((x, time), event) in rows.iter().zip(times).zip(events) {
        let weight = (x.iter().zip(beta).map(|(x, b)| x * b).sum::<f64>() - largest).exp();
        let at = time * kinds..(time + 1) * kinds;
        add_row(&mut ending[at.clone()], x, weight);
        if *event {
            add_row(&mut dying[at], x, weight);
            ties[*time] += 1;
            of_events.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
        }
    }
    // At risk at a time is whoever ends then or later.
    for time in (1..grid).rev() {
        let (earlier, later) = ending.split_at_mut(time * kinds);
        let before = &mut earlier[(time - 1) * kinds..];
        before.iter_mut().zip(&later[..kinds]).for_each(|(sum, x)| *sum += x);
    }
    let digits = scale(rows.rows_max);
    let mut out = Vec::with_capacity(layout.len());
    out.extend([rows.len() as u64, ties.iter().sum()]);
    out.extend(of_events.iter().map(|sum| round(*sum, digits)));
    out.extend(&ties);
    for sums in [&ending, &dying] {
        for kind in 0..kinds {
            out.extend((0..grid).map(|time| round(sums[time * kinds + kind], digits)));
        }
    }
    Ok(out)
}

fn add_row(sums: &mut [f64], x: &[f64], weight: f64) {
    let Some((zeroth, rest)) = sums.split_first_mut() else { return };
    *zeroth += weight;
    let (first, second) = rest.split_at_mut(x.len());
    first.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
    add_outer(second, x, weight);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn risk_sums_count_who_is_left() {
        let rows = Rows { covariates: &[0.5, -0.5, 1.0], columns: 1, rows_max: 10 };
        let people = Survival { rows, times: &[0, 2, 2], events: &[true, false, true], grid: 3 };
        let found = cox_sums(people, &[0.0]).unwrap();
        let layout = CoxLayout { p: 1, grid: 3 };
        assert_eq!(found.len(), layout.len());
        let real = |word: u64| word.cast_signed() as f64 / f64::from(scale(10)).exp2();
        assert_eq!(found[..2], [3, 2]);
        assert!((real(found[2]) - 1.5).abs() < 1e-12);
        assert_eq!(found[3..6], [1, 0, 1]);
        let column = |start: usize| [0, 1, 2].map(|t| (real(found[start + t]) * 1e6).round() / 1e6);
        assert_eq!(column(layout.at_risk()), [3.0, 2.0, 2.0]);
        assert_eq!(column(layout.at_risk() + 3), [1.0, 0.5, 0.5]);
        assert_eq!(column(layout.at_risk() + 6), [1.5, 1.25, 1.25]);
        assert_eq!(column(layout.with_event()), [1.0, 0.0, 1.0]);
    }

    #[test]
    fn times_past_the_grid_are_refused() {
        let rows = Rows { covariates: &[0.5], columns: 1, rows_max: 10 };
        let people = Survival { rows, times: &[3], events: &[true], grid: 3 };
        assert!(matches!(cox_sums(people, &[0.0]), Err(LocalError::Shape { found: 3, .. })));
    }
}
