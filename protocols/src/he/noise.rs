//! Bounds on noise, in integers, so that every machine computes the same parameters.
//!
//! Secrets are uniform ternary (variance 2/3), errors centred binomial (variance 21/2). Both are strictly
//! sub-Gaussian: their moment generating function is at most that of a normal variable of the same variance. Given
//! the keys, a coefficient of a sum is a fixed linear form of such variables, so `P(|x| > k sqrt(V)) <=
//! 2 exp(-k^2 / 2)` with `V` its variance; the norms of the keys are bounded by the tail of a sub-Gaussian norm
//! (below). Derivation
//! and measurements: `docs/internals/he.md`.
//!
//! Source: Hsu, Kakade, Zhang, "A tail inequality for quadratic forms of subgaussian random vectors" (2012).

/// Bits of head room between the noise bound and the point where decryption fails. Decryption uses them to tell a
/// wrong share from noise.
pub(crate) const MARGIN_BITS: u32 = 1;

/// Ciphertexts over which the failure probability is a union: 2^24 of one key.
const LOG2_CIPHERTEXTS: u64 = 24;

/// Bounds for a sum of `parties` fresh ciphertexts under a key of `parties` shares, each coefficient, all with
/// failure probability below 2^-128 over a whole study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseBounds {
    /// Noise of the sum before the key switch, `B_ct`.
    pub sum: u128,
    /// Noise of all key-switch shares other than the smudging.
    pub switch: u128,
    /// Smudging of a share is uniform on `[-2^smudging_bits, 2^smudging_bits)`.
    pub smudging_bits: u32,
    /// Noise of the switched sum.
    pub switched: u128,
}

impl NoiseBounds {
    /// Bounds for degree `degree`, `parties` parties and statistical security `lambda`.
    pub(crate) fn new(degree: usize, parties: u32, lambda: u32) -> Self {
        let (n, degree) = (u128::from(parties), degree as u128);
        // ||e||^2 <= N n 21/2 f and ||s||^2 <= N n 2/3 f, each failing with probability e^-91 < 2^-131,
        // f = 1 + 2 sqrt(91 / N) + 2 * 91 / N in units of 2^-16.
        let factor = (1 << 16) + 2 * ((91u128 << 32) / degree).isqrt() + 2 + (182 << 16) / degree + 1;
        // Variance of e u + s e1 for one ciphertext: (2/3) ||e||^2 + (21/2) ||s||^2 <= 14 N n f.
        let product = ((14 * degree * n * factor) >> 16) + 1;
        let k2 = tail_squared(degree);
        // n ciphertexts add their variances; e0 adds 21/2 each; rounding of the encoding at most 1 each.
        let sum = bound(n * (product + 11), k2) + n;
        // u p0 + u-free e1 s_r of every share, under a receiver key of one share.
        let receiver = ((14 * degree * factor) >> 16) + 1;
        let switch = bound(n * receiver, k2);
        let smudging_bits = ceil_log2(sum) + lambda;
        Self { sum, switch, smudging_bits, switched: sum + switch + (n << smudging_bits) }
    }

    /// Largest `log2 t` for a modulus `Q` of `modulus_bits` bits whose top 128 bits are `top`.
    pub(crate) fn plaintext_bits(&self, modulus_bits: u32, top: u128) -> u32 {
        // switched * 2^(log2 t + 1 + margin) <= Q.
        let zeros = self.switched.leading_zeros();
        let fits = u32::from(self.switched << zeros <= top);
        (modulus_bits + zeros + fits).saturating_sub(128 + 1 + 1 + MARGIN_BITS)
    }
}

/// `k^2` with `2 exp(-k^2 / 2) * N * 2^24 <= 2^-129`, rounded up.
fn tail_squared(degree: u128) -> u128 {
    let bits = 129 + 1 + LOG2_CIPHERTEXTS + u64::from(ceil_log2(degree));
    u128::from(bits) * 13_863 / 10_000 + 1 // 2 ln 2 = 1.38629...
}

/// `sqrt(variance * k2)`, rounded up.
fn bound(variance: u128, k2: u128) -> u128 {
    (variance * k2).isqrt() + 1
}

pub(crate) fn ceil_log2(x: u128) -> u32 {
    x.next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use ward_math::sampling::expand;
    use ward_math::{CpuBackend, Evaluations, FixedPoly, Poly, Secret};

    use crate::he::*;

    /// `log2 max |x|` of the centred coefficients of `c0 + c1 s`.
    fn log2_noise(params: &Parameters, c: &Ciphertext, s: &FixedPoly) -> f64 {
        let (ring, n) = (params.ring(), params.degree());
        let mut x = c.c0.0.clone();
        x.mul_fixed_add(ring, &CpuBackend::PARALLEL, &c.c1.0, s);
        let x = x.into_coefficients(ring, &CpuBackend::PARALLEL);
        let primes: Vec<u32> = ring.moduli().map(|m| m.value()).collect();
        let q: BigUint = primes.iter().product();
        let units: Vec<BigUint> = ring
            .moduli()
            .map(|m| {
                let cofactor = &q / m.value();
                let rest = u32::try_from(&cofactor % m.value()).expect("below the prime");
                cofactor * m.inv(rest).expect("unit")
            })
            .collect();
        let magnitude = |k: usize| {
            let x = units.iter().enumerate().map(|(l, u)| u * x.residues()[l * n + k]).sum::<BigUint>() % &q;
            let other = &q - &x;
            x.min(other)
        };
        let largest = (0..n).map(magnitude).max().unwrap_or_default();
        let bits = largest.bits().saturating_sub(60);
        u64::try_from(&largest >> bits).map_or(f64::NAN, |top| (top as f64).log2()) + bits as f64
    }

    /// `(log2 of measured, log2 of bound)` of the sum and of the switched sum.
    fn measure(profile: Profile, parties: u32) -> [(f64, f64); 2] {
        let params = Parameters::new(profile, parties).expect("parameters");
        let mut rng = expand(&[parties as u8; 32], 0);
        let crs = CommonReference::derive(&params, &[], b"noise");
        let secrets: Vec<SecretKeyShare> =
            (0..parties).map(|i| SecretKeyShare::from_seed(&params, &Secret::new([i as u8; 32]))).collect();
        let shares: Vec<_> =
            secrets.iter().map(|s| PublicKeyShare::generate(&params, &crs, s, &mut rng)).collect();
        let key = PublicKey::aggregate(&params, &crs, &shares).expect("key");
        let mut acc = Accumulator::new(&params);
        for _ in 0..parties {
            let fresh = encrypt_all(&params, &key, &[Plaintext::zero(&params)], &mut rng);
            acc.add(&fresh).expect("add");
        }
        let sum = acc.finish();
        let mut s = Poly::<Evaluations>::zero(params.ring());
        for secret in &secrets {
            s.add_assign(params.ring(), &CpuBackend::SERIAL, secret.s.expose().values());
        }
        let at_sum = log2_noise(&params, &sum[0], &FixedPoly::new(params.ring(), s));
        let receiver = ReceiverSecret::from_seed(&params, &Secret::new([200; 32]));
        let target = receiver.public_key(&params);
        let c1s = [sum[0].c1().clone()];
        let switch: Vec<_> = secrets
            .iter()
            .map(|s| key_switch_share(&params, &s.active_all(&params), &c1s, &target, &mut rng))
            .collect();
        let switched = key_switch_combine(&params, &sum, &switch).expect("combine");
        let at_end = log2_noise(&params, &switched[0], receiver.s.expose());
        let bounds = params.noise();
        [(at_sum, (bounds.sum as f64).log2()), (at_end, (bounds.switched as f64).log2())]
    }

    #[test]
    fn measured_noise_is_within_the_bound_and_the_bound_is_tight() {
        for (profile, parties) in [
            (Profile::Study4096, 2),
            (Profile::Default8192, 1),
            (Profile::Default8192, 5),
            (Profile::Default8192, 30),
            (Profile::Bulk16384, 5),
        ] {
            for ((measured, bound), what) in measure(profile, parties).into_iter().zip(["sum", "switched"]) {
                eprintln!(
                    "{} {parties} {what}: measured 2^{measured:.2}, bound 2^{bound:.2}",
                    profile.name()
                );
                assert!(measured <= bound, "{what}: {measured} above {bound}");
                assert!(bound - measured < 3.0, "{what}: bound 2^{bound} is loose, measured 2^{measured}");
            }
        }
    }
}
