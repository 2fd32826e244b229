//! The security estimate of every profile, recomputed.
//!
//! Primal attack by unique-SVP embedding (Alkim, Ducas, Pöppelmann, Schwabe 2016) with the secret scaled to the width
//! of the error, the number of samples chosen for the attacker, and the cost model of the Homomorphic Encryption
//! Standard: BKZ with block size `b` in dimension `d` costs `0.292 b + 16.4 + log2(8 d)` bits (classical sieving).
//! For the standard's own table (109, 218, 438 bits) this gives 127.9, 128.2 and 128.1.

use ward_math::sampling::BINOMIAL_VARIANCE;
use ward_protocols::he::Profile;

const SECRET_VARIANCE: f64 = 2.0 / 3.0;

/// `ln delta` of BKZ with block size `b`.
fn ln_delta(b: f64) -> f64 {
    use core::f64::consts::{E, PI};
    ((b / (2.0 * PI * E)).ln() + (PI * b).ln() / b) / (2.0 * (b - 1.0))
}

/// The smallest dimension in which block size `b` finds the secret, if any.
fn breaks(b: f64, degree: f64, ln_q: f64) -> Option<f64> {
    let (error, secret) = (BINOMIAL_VARIANCE.sqrt(), SECRET_VARIANCE.sqrt());
    (16..128).map(|k| f64::from(k) * degree / 64.0).map(|m| (m, m + degree + 1.0)).find_map(|(m, d)| {
        let ln_volume = m * ln_q + degree * (error / secret).ln();
        let found = (error * b.sqrt()).ln() <= (2.0 * b - d - 1.0) * ln_delta(b) + ln_volume / d;
        found.then_some(d)
    })
}

/// Bits of security of degree `degree` and modulus `2^log2_q`.
fn estimate(degree: usize, log2_q: f64) -> f64 {
    let ln_q = log2_q * core::f64::consts::LN_2;
    (60..2000)
        .map(f64::from)
        .find_map(|b| breaks(b, degree as f64, ln_q).map(|d| 0.292 * b + 16.4 + (8.0 * d).log2()))
        .unwrap_or(f64::INFINITY)
}

#[test]
fn estimate_reproduces_the_table_of_the_standard() {
    for (degree, log2_q) in [(4096, 109.0), (8192, 218.0), (16384, 438.0)] {
        assert!((estimate(degree, log2_q) - 128.0).abs() < 0.5);
    }
}

#[test]
fn every_profile_has_128_bits_and_is_within_the_standard() {
    for (profile, limit) in Profile::ALL.into_iter().zip([109.0, 218.0, 438.0]) {
        let primes = &ward_math::modulus::PRIMES[..profile.limbs()];
        let log2_q: f64 = primes.iter().map(|&q| f64::from(q).log2()).sum();
        let bits = estimate(profile.degree(), log2_q);
        eprintln!("{}: log2 Q = {log2_q:.1}, {bits:.1} bits", profile.name());
        assert!(log2_q <= limit && bits >= 128.0, "{}: {bits}", profile.name());
    }
}
