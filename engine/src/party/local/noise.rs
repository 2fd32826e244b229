//! The noise that a hospital adds to its own sums, before they are encrypted or shared: nobody knows the sum of all
//! noise, and each hospital only its own.
//!
//! Drawn by opendp's exact samplers, whose output has the discrete distribution itself and not an approximation in
//! floating point (Canonne, Kamath and Steinke, NeurIPS 2020, algorithms 1 to 3). They draw their bits themselves, from
//! the operating system through the thread's cryptographic generator: no seed makes the noise again.

use opendp::traits::samplers::{sample_discrete_gaussian, sample_discrete_laplace};

use super::step::SlotValue;
use crate::query::plan::{Mechanism, Noise, Plan};

/// Why there is no noise, and so no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// The plan's noise is not of its blocks.
    #[error("the noise of the plan does not fit its slots")]
    Shape,
    /// The sampler failed.
    #[error("no noise could be drawn: {0}")]
    Sampler(String),
}

/// Adds fresh noise to the slots of a plan that asks for it; leaves others as they are.
///
/// # Errors
/// [`NoiseError`]; the slots must not be sent then.
///
/// # Security
/// Once for each set of slots: a second draw for the same sums halves the noise.
pub fn add(plan: &Plan, slots: &mut [SlotValue]) -> Result<(), NoiseError> {
    let Some(privacy) = &plan.privacy else { return Ok(()) };
    if privacy.noise.len() != plan.blocks.len() || slots.len() != plan.slots() {
        return Err(NoiseError::Shape);
    }
    let mut rest = slots;
    for (block, noise) in plan.blocks.iter().zip(&privacy.noise) {
        let (own, tail) = rest.split_at_mut_checked(block.slots as usize).ok_or(NoiseError::Shape)?;
        for slot in own {
            let SlotValue::Int(value) = slot else { return Err(NoiseError::Shape) };
            *value = value.checked_add(draw(privacy.mechanism, noise)?).ok_or(NoiseError::Shape)?;
        }
        rest = tail;
    }
    Ok(())
}

/// One draw, within the noise's bound.
///
/// # Errors
/// [`NoiseError::Sampler`].
pub fn draw(mechanism: Mechanism, noise: &Noise) -> Result<i128, NoiseError> {
    let failed = |error: opendp::error::Error| NoiseError::Sampler(error.to_string());
    let scale = ratio(noise.scale_1024, 1024);
    let drawn = match mechanism {
        Mechanism::Gaussian => sample_discrete_gaussian(scale),
        Mechanism::Laplace => sample_discrete_laplace(scale),
    };
    let bound = i128::from(noise.bound);
    let drawn = drawn.map_err(failed)?;
    // Beyond 128 bits it is beyond the bound too.
    Ok(i128::try_from(drawn).map_or(bound, |drawn| drawn.clamp(-bound, bound)))
}

/// A rational number, of the type that the samplers take.
fn ratio<T: From<u64> + std::ops::Div<Output = T>>(numerator: u64, denominator: u64) -> T {
    T::from(numerator) / T::from(denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mechanism: Mechanism, scale_1024: u64) -> (f64, f64) {
        let noise = Noise { sensitivity: 1, scale_1024, bound: 1 << 40 };
        let drawn: Vec<f64> = (0..4000).map(|_| draw(mechanism, &noise).unwrap() as f64).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        (mean, drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / drawn.len() as f64)
    }

    #[test]
    fn draws_have_the_deviation_that_the_plan_says() {
        for (mechanism, scale_1024) in [
            (Mechanism::Gaussian, 3 * 1024),
            (Mechanism::Gaussian, 700 * 1024 + 512),
            (Mechanism::Laplace, 5 * 1024),
            (Mechanism::Laplace, 900 * 1024),
        ] {
            let noise = Noise { sensitivity: 1, scale_1024, bound: 1 };
            let sd = noise.deviation(mechanism);
            let (mean, variance) = moments(mechanism, scale_1024);
            // Six standard errors; the kurtosis of Laplace noise is 6.
            assert!(mean.abs() < 6.0 * sd / 4000f64.sqrt(), "{mechanism:?} {mean}");
            assert!(
                (variance / (sd * sd) - 1.0).abs() < 6.0 * (5.0f64 / 4000.0).sqrt(),
                "{mechanism:?} {variance}"
            );
        }
    }

    #[test]
    fn no_draw_exceeds_its_bound() {
        let noise = Noise { sensitivity: 1, scale_1024: 50 * 1024, bound: 10 };
        for mechanism in [Mechanism::Gaussian, Mechanism::Laplace] {
            assert!((0..500).all(|_| draw(mechanism, &noise).unwrap().abs() <= 10));
        }
    }
}
