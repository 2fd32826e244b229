//! Counts rounded to a multiple of five: every hospital rounds its own before they leave it, on both routes, so a released
//! count is a multiple of five that lies within two of the truth for each hospital, and nobody ever holds the exact one.
//!
//! What is made of counts is made of the rounded ones. What is made of anything else is refused: a mean over a rounded
//! count would not be the mean, and an exact sum would give the count back.

use super::ast::{Query, Statistic};
use super::catalogue::Catalogue;
use super::error::QueryError;
use super::plan::{Content, Plan};
use super::planner::statistics;

/// Released counts are multiples of this.
pub const BASE: u32 = 5;
/// How far one hospital's rounded count is from its count, at most.
pub const ERROR_MAX: u32 = 2;

/// Whether the counts of a query are rounded: where the query asks for it, the consortium has it so, or one of the
/// hospitals that answer.
///
/// # Errors
/// For statistics that are not made of counts alone, and for noise, which needs no rounding.
pub(super) fn of(query: &Query, catalogue: &Catalogue, hospitals: &[String]) -> Result<bool, QueryError> {
    let mut publications = hospitals.iter().filter_map(|name| catalogue.hospitals.get(name));
    let is_asked = query.is_rounded;
    // Noise hides more than rounding does, and would be biased by it: where a rule asks for rounding, noise is as good.
    if query.privacy.is_some() {
        let refuse = QueryError::Unsupported {
            construct: "WITH ROUNDING beside WITH PRIVACY".into(),
            hint: "noise does what rounding is for: leave one of them out".into(),
            place: None,
        };
        return if is_asked { Err(refuse) } else { Ok(false) };
    }
    if !is_asked && !catalogue.rounding && !publications.any(|p| p.rounding) {
        return Ok(false);
    }
    match statistics(query).find(|statistic| !is_of_counts(statistic)) {
        None => Ok(true),
        Some(other) => Err(QueryError::Unsupported {
            construct: format!("{} where counts are rounded to {BASE}", other.canonical()),
            hint: "with rounded counts there are COUNT, HISTOGRAM, CROSSTAB, CHI2 and ODDS_RATIO; WITH PRIVACY gives \
                   sums and means with noise"
                .into(),
            place: None,
        }),
    }
}

fn is_of_counts(statistic: &Statistic) -> bool {
    matches!(
        statistic,
        Statistic::CountRows
            | Statistic::Count(_)
            | Statistic::Histogram { .. }
            | Statistic::Crosstab { .. }
            | Statistic::Chi2 { .. }
            | Statistic::OddsRatio { .. }
    )
}

/// The nearest multiple of [`BASE`]; counts are never negative.
#[must_use]
pub fn round(count: i128) -> i128 {
    let base = i128::from(BASE);
    (count + i128::from(ERROR_MAX)) / base * base
}

/// Rounds the slots of a block, where they are counts; masks are none.
pub fn round_block(content: &Content, slots: &mut [i128]) {
    let is_count = match content {
        Content::Measure(measure) => measure.product.is_empty(),
        Content::Ungrouped | Content::Missing { .. } | Content::OutOfBounds { .. } => true,
        Content::Withheld { .. } | Content::Extremum { .. } | Content::Blinding => false,
    };
    if is_count {
        slots.iter_mut().for_each(|slot| *slot = round(*slot));
    }
}

/// The floor of a plan's cohorts, before it was raised for the rounding on shares.
#[must_use]
pub fn floor_of_cohorts(plan: &Plan) -> u32 {
    let is_raised = plan.rounding && plan.multi_party.is_some() && plan.floor > 1;
    if is_raised { plan.floor.saturating_sub(slack(plan.hospitals.len())).max(1) } else { plan.floor }
}

/// How far the sum of so many hospitals' rounded counts is from the truth, at most.
fn slack(hospitals: usize) -> u32 {
    u32::try_from(hospitals).unwrap_or(u32::MAX).saturating_mul(ERROR_MAX)
}

/// The floor on shares, where the counts that are added up are rounded: what reaches it is not under `floor` in truth.
#[must_use]
pub(super) fn floor_on_shares(floor: u32, hospitals: usize) -> u32 {
    if floor <= 1 { floor } else { floor.saturating_add(slack(hospitals)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_to_the_nearest_multiple_of_five() {
        let rounded: Vec<i128> = (0..13).map(round).collect();
        assert_eq!(rounded, [0, 0, 0, 5, 5, 5, 5, 5, 10, 10, 10, 10, 10]);
        assert!((0..1000).all(|n| (round(n) - n).abs() <= i128::from(ERROR_MAX)));
    }

    #[test]
    fn what_reaches_the_floor_on_shares_reaches_it_in_truth() {
        for (floor, hospitals) in [(5u32, 3usize), (10, 2), (2, 5)] {
            let raised = floor_on_shares(floor, hospitals);
            // The worst case: every hospital rounds up by two.
            let truth = i128::from(raised) - i128::from(ERROR_MAX) * hospitals as i128;
            assert!(truth >= i128::from(floor));
        }
        assert_eq!(floor_on_shares(1, 9), 1);
    }
}
