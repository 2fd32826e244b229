//! Differential privacy: what noise costs, and how much of it a query needs. Arithmetic only; who draws the noise, and
//! where it is added, is the caller's.
//!
//! Guarantees are kept in zero-concentrated differential privacy (rho-zCDP; Bun and Steinke, TCC 2016), which adds up
//! over answers; they are stated as (epsilon, delta).
//!
//! - Gaussian: adding discrete Gaussian noise of variance `s^2` to integers of L2 sensitivity `D` is `D^2 / (2 s^2)`-zCDP
//!   (Canonne, Kamath and Steinke, NeurIPS 2020, theorem 4 with section 2.2).
//! - Laplace: adding discrete Laplace noise of scale `b` to integers of L1 sensitivity `D` is `D / b`-DP (Ghosh,
//!   Roughgarden and Sundararajan, STOC 2009), which is `epsilon^2 / 2`-zCDP (Bun and Steinke, proposition 1.4).
//! - Shares of noise: the sum of n discrete Gaussians is nearly one of n times the variance ([`sum_slack`]).
//!
//! # Security
//! The adversary sees every answer, and knows all rows but one patient's. Of the hospitals that add a share of noise,
//! `honest` keep theirs to themselves; what the others add counts for nothing.

mod account;

pub use account::{delta_of, epsilon_of, rho_of};

/// The slack of a sum of discrete Gaussians: an answer with L2 sensitivity `D` over `slots` integers, to each of which
/// `parties` add noise of deviation `sigma`, is `e^2 / 2`-zCDP for `e = D / (sqrt(parties) sigma) + slack`.
///
/// Source: Kairouz, Liu and Steinke, The Distributed Discrete Gaussian Mechanism, ICML 2021, theorem 1:
/// `tau = 10 sum_{k=1}^{n-1} exp(-2 pi^2 sigma^2 k / (k + 1))`, and the slack is `tau sqrt(slots)`. It holds for `sigma`
/// of at least one half.
#[must_use]
pub fn sum_slack(parties: u32, sigma: f64, slots: u64) -> f64 {
    let exponent = 2.0 * std::f64::consts::PI.powi(2) * sigma * sigma;
    let terms = (1..parties).map(f64::from).map(|k| (-exponent * k / (k + 1.0)).exp());
    10.0 * terms.sum::<f64>() * (slots as f64).sqrt()
}

/// The deviation of each party's share of Gaussian noise, so that the shares of `honest` parties alone make an answer of
/// L2 sensitivity `sensitivity` over `slots` integers `rho`-zCDP.
///
/// At least 4 where the shares of several are needed, and a millionth more than the formula's: that covers
/// [`sum_slack`], which is below `10^-60` there.
#[must_use]
pub fn gaussian_share(rho: f64, sensitivity: f64, honest: u32) -> f64 {
    let honest = honest.max(1);
    let alone = sensitivity / (2.0 * rho * f64::from(honest)).sqrt() * (1.0 + 1e-6);
    if honest == 1 { alone } else { alone.max(4.0) }
}

/// The scale of discrete Laplace noise that makes an answer of L1 sensitivity `sensitivity` `epsilon`-DP.
#[must_use]
pub fn laplace_scale(epsilon: f64, sensitivity: f64) -> f64 {
    sensitivity / epsilon
}

/// What a pure guarantee costs in zCDP: `epsilon^2 / 2`.
#[must_use]
pub fn rho_of_pure(epsilon: f64) -> f64 {
    epsilon * epsilon / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_honest_alone_suffice() {
        for honest in 1..60u32 {
            for rho in [1e-6, 1e-3, 0.1, 2.0] {
                for sensitivity in [1.0, 17.0, 4e5] {
                    let sigma = gaussian_share(rho, sensitivity, honest);
                    let slack = sum_slack(honest, sigma, 1 << 22);
                    let e = sensitivity / (f64::from(honest).sqrt() * sigma) + slack;
                    assert!(e * e / 2.0 <= rho, "{honest} {rho} {sensitivity}: {}", e * e / 2.0);
                }
            }
        }
    }

    #[test]
    fn small_noise_of_many_has_slack() {
        assert_eq!(sum_slack(1, 0.5, 10), 0.0);
        // 10 exp(-pi^2 / 4) for two parties of deviation one half and one slot.
        assert!((sum_slack(2, 0.5, 1) - 10.0 * (-std::f64::consts::PI.powi(2) / 4.0).exp()).abs() < 1e-12);
        assert!(sum_slack(10, 4.0, 1 << 22) < 1e-60);
    }

    #[test]
    fn pure_guarantees_cost_half_their_square() {
        assert_eq!(rho_of_pure(1.0), 0.5);
        assert_eq!(laplace_scale(0.5, 3.0), 6.0);
    }
}
