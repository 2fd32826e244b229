//! From rho-zCDP to (epsilon, delta) and back.
//!
//! Source: Canonne, Kamath and Steinke, The Discrete Gaussian for Differential Privacy, NeurIPS 2020, proposition 7 with
//! lemma 9 of its full version: a rho-zCDP mechanism is (epsilon, delta)-DP for
//! `delta = inf_{a > 1} exp((a - 1)(a rho - epsilon) + a ln(1 - 1/a)) / (a - 1)`.
//! Every `a` gives a valid bound, so that a search which stops early states too little privacy, never too much.

const HALVINGS: u32 = 200;

/// The delta of a rho-zCDP mechanism at this epsilon.
#[must_use]
pub fn delta_of(rho: f64, epsilon: f64) -> f64 {
    if rho <= 0.0 {
        return 0.0;
    }
    // The exponent's derivative changes its sign once.
    let (mut low, mut high) = (1.01f64, (epsilon + 1.0) / (2.0 * rho) + 2.0);
    for _ in 0..HALVINGS {
        let a = f64::midpoint(low, high);
        let slope = (2.0 * a - 1.0) * rho - epsilon + (-1.0 / a).ln_1p();
        if slope < 0.0 { low = a } else { high = a }
    }
    let a = high;
    let exponent = (a - 1.0) * (a * rho - epsilon) + a * (-1.0 / a).ln_1p();
    (exponent.exp() / (a - 1.0)).min(1.0)
}

/// The smallest epsilon, rounded up, at which a rho-zCDP mechanism has this delta.
#[must_use]
pub fn epsilon_of(rho: f64, delta: f64) -> f64 {
    if rho <= 0.0 {
        return 0.0;
    }
    // Bun and Steinke, proposition 1.3.
    let (mut low, mut high) = (0.0f64, rho + 2.0 * (rho * (1.0 / delta).ln()).sqrt());
    for _ in 0..HALVINGS {
        let epsilon = f64::midpoint(low, high);
        if delta_of(rho, epsilon) <= delta { high = epsilon } else { low = epsilon }
    }
    high
}

/// The largest rho, rounded down, that is within (epsilon, delta).
#[must_use]
pub fn rho_of(epsilon: f64, delta: f64) -> f64 {
    let (mut low, mut high) = (0.0f64, epsilon + 1.0);
    for _ in 0..HALVINGS {
        let rho = f64::midpoint(low, high);
        if delta_of(rho, epsilon) <= delta { low = rho } else { high = rho }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers: the infimum over a fine grid of orders, in Python.
    #[test]
    fn conversions_equal_known_answers() {
        for (rho, delta, epsilon) in [(2.56, 1e-10, 17.158_308_712), (0.07, 1e-10, 2.387_275_177)] {
            assert!((epsilon_of(rho, delta) - epsilon).abs() < 1e-6, "{}", epsilon_of(rho, delta));
        }
    }

    #[test]
    fn conversions_are_each_others_inverse() {
        for epsilon in [0.01, 0.1, 1.0, 5.0, 20.0] {
            for delta in [1e-12, 1e-6, 1e-3] {
                let rho = rho_of(epsilon, delta);
                assert!(delta_of(rho, epsilon) <= delta);
                assert!((epsilon_of(rho, delta) / epsilon - 1.0).abs() < 1e-6, "{epsilon} {delta}");
                // Better than the bound of Bun and Steinke.
                assert!(epsilon <= rho + 2.0 * (rho * (1.0 / delta).ln()).sqrt() + 1e-9);
            }
        }
        assert_eq!((delta_of(0.0, 1.0), epsilon_of(0.0, 1e-6)), (0.0, 0.0));
    }
}
