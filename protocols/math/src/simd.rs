//! Run-time choice of the instruction set.
//!
//! This is the one file of the package with `unsafe`: a function compiled with `#[target_feature]` may only be
//! called where the CPU has that feature, and vector loads and stores go through pointers. Each call is guarded
//! by [`tier`], detected once; a [`Avx2Proof`] exists only where AVX2 was detected.

use std::sync::OnceLock;

use crate::kernel::{self, Lanes, Portable};
use crate::modulus::Modulus;
use crate::ntt::NttTable;

/// What the CPU offers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tier {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2Proof),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx2Proof),
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Tier {
    if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")) {
        return Tier::Baseline;
    }
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    if wide { Tier::Avx512(Avx2Proof(())) } else { Tier::Avx2(Avx2Proof(())) }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Tier {
    Tier::Baseline
}

#[inline]
fn tier() -> Tier {
    static TIER: OnceLock<Tier> = OnceLock::new();
    *TIER.get_or_init(detect)
}

/// Name of the instruction set the kernels use on this machine: `baseline`, `avx2` or `avx512`.
#[must_use]
pub fn cpu_tier() -> &'static str {
    match tier() {
        Tier::Baseline => "baseline",
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2(_) => "avx2",
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512(_) => "avx512",
    }
}

/// Instantiates a kernel body for each tier and dispatches to one of them.
///
/// `lanes` bodies are generic over [`Lanes`]; `plain` bodies are loops that the compiler vectorizes.
macro_rules! dispatch {
    ($kind:ident $(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?)) => {
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,popcnt")]
            fn avx2(_proof: Avx2Proof, $($arg: $ty),*) {
                dispatch!(@body $kind Avx2, _proof, $name($($arg),*));
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,popcnt")]
            fn avx512(_proof: Avx2Proof, $($arg: $ty),*) {
                dispatch!(@body $kind Avx2, _proof, $name($($arg),*));
            }
            match tier() {
                Tier::Baseline => { dispatch!(@body $kind Portable, (), $name($($arg),*)); }
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the tier says that AVX2 and POPCNT were detected.
                Tier::Avx2(proof) => unsafe { avx2(proof, $($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the tier says that AVX-512 F, DQ, BW, VL, AVX2 and POPCNT were detected.
                Tier::Avx512(proof) => unsafe { avx512(proof, $($arg),*) },
            }
        }
    };
    (@body lanes $lanes:ident, $proof:expr, $name:ident($($arg:ident),*)) => {
        kernel::$name::<$lanes>($proof, $($arg),*)
    };
    (@body plain $lanes:ident, $proof:expr, $name:ident($($arg:ident),*)) => {
        kernel::$name($($arg),*)
    };
}

dispatch!(lanes fn ntt_forward(table: &NttTable, data: &mut [u32]));
dispatch!(lanes fn ntt_inverse(table: &NttTable, data: &mut [u32]));
dispatch!(lanes fn mul_fixed_add(m: &Modulus, acc: &mut [u32], x: &[u32], fixed: (&[u32], &[u32])));
dispatch!(lanes fn mul_fixed(m: &Modulus, x: &mut [u32], fixed: (&[u32], &[u32])));
dispatch!(lanes fn mul_scalar(m: &Modulus, x: &mut [u32], w: (u32, u32)));
dispatch!(plain fn add(m: &Modulus, acc: &mut [u32], x: &[u32]));
dispatch!(plain fn sub(m: &Modulus, acc: &mut [u32], x: &[u32]));
dispatch!(plain fn neg(m: &Modulus, x: &mut [u32]));
dispatch!(plain fn mul(m: &Modulus, acc: &mut [u32], x: &[u32]));
dispatch!(plain fn reduce(m: &Modulus, x: &mut [u32]));
dispatch!(plain fn shoup(m: &Modulus, w: &[u32], quotients: &mut [u32]));
dispatch!(plain fn add_lazy(acc: &mut [u32], x: &[u32]));
dispatch!(plain fn add_lazy4(acc: &mut [u32], x: [&[u32]; 4]));
dispatch!(plain fn add_small(m: &Modulus, acc: &mut [u32], s: &[i8]));
dispatch!(plain fn set_small(m: &Modulus, out: &mut [u32], s: &[i8]));
dispatch!(plain fn digits_add(m: &Modulus, acc: &mut [u32], planes: &[u32], constants: (&[u32], u32)));
dispatch!(plain fn binomial(bytes: &[u8], out: &mut [i8]));

/// Evidence that AVX2 was detected.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2Proof(());

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use core::arch::x86_64::*;

    use super::{Avx2Proof, Lanes};

    /// Eight lanes in a 256-bit register. Made only by `load` and `splat`, which take an [`Avx2Proof`].
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256i);

    // SAFETY of every block below: an `Avx2` or an `Avx2Proof` at hand means AVX2 was detected; loads and stores
    // are unaligned ones on arrays of exactly 32 bytes.
    impl Lanes for Avx2 {
        type Proof = Avx2Proof;
        #[inline(always)]
        fn load(_: Avx2Proof, source: &[u32; 8]) -> Self {
            Self(unsafe { _mm256_loadu_si256(source.as_ptr().cast()) })
        }
        #[inline(always)]
        fn store(self, target: &mut [u32; 8]) {
            unsafe { _mm256_storeu_si256(target.as_mut_ptr().cast(), self.0) }
        }
        #[inline(always)]
        fn splat(_: Avx2Proof, value: u32) -> Self {
            Self(unsafe { _mm256_set1_epi32(value as i32) })
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(unsafe { _mm256_add_epi32(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm256_sub_epi32(self.0, other.0) })
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            Self(unsafe { _mm256_min_epu32(self.0, other.0) })
        }
        #[inline(always)]
        fn mul_lo(self, other: Self) -> Self {
            Self(unsafe { _mm256_mullo_epi32(self.0, other.0) })
        }
        #[inline(always)]
        fn mul_hi(self, other: Self) -> Self {
            // Even and odd lanes apart: 32 x 32 -> 64, the high halves put back in place.
            unsafe {
                let even = _mm256_mul_epu32(self.0, other.0);
                let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(self.0), _mm256_srli_epi64::<32>(other.0));
                Self(_mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd))
            }
        }
        #[inline(always)]
        fn transpose(rows: [Self; 8]) -> [Self; 8] {
            let [a, b, c, d, e, f, g, h] = rows.map(|r| r.0);
            unsafe {
                // Pairs of 32-bit, then of 64-bit, then of 128-bit halves.
                let (ab0, ab1) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
                let (cd0, cd1) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
                let (ef0, ef1) = (_mm256_unpacklo_epi32(e, f), _mm256_unpackhi_epi32(e, f));
                let (gh0, gh1) = (_mm256_unpacklo_epi32(g, h), _mm256_unpackhi_epi32(g, h));
                let top = [
                    _mm256_unpacklo_epi64(ab0, cd0),
                    _mm256_unpackhi_epi64(ab0, cd0),
                    _mm256_unpacklo_epi64(ab1, cd1),
                    _mm256_unpackhi_epi64(ab1, cd1),
                ];
                let bottom = [
                    _mm256_unpacklo_epi64(ef0, gh0),
                    _mm256_unpackhi_epi64(ef0, gh0),
                    _mm256_unpacklo_epi64(ef1, gh1),
                    _mm256_unpackhi_epi64(ef1, gh1),
                ];
                core::array::from_fn(|i| {
                    let (t, u) = (top[i % 4], bottom[i % 4]);
                    Self(if i < 4 {
                        _mm256_permute2x128_si256::<0x20>(t, u)
                    } else {
                        _mm256_permute2x128_si256::<0x31>(t, u)
                    })
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bodies over portable lanes, which a CPU without AVX2 runs, give what the dispatched ones give.
    #[test]
    fn portable_transforms_equal_the_dispatched_ones() {
        for log_degree in 6..=14 {
            let m = Modulus::for_limb(log_degree).expect("limb");
            let n = 1 << log_degree;
            let table = NttTable::new(m, n);
            let mut x: Vec<u32> = (0..n as u32).map(|i| m.reduce(i.wrapping_mul(0x9e37_79b9))).collect();
            let (start, mut y) = (x.clone(), x.clone());
            kernel::ntt_forward::<Portable>((), &table, &mut x);
            ntt_forward(&table, &mut y);
            assert_eq!(x, y);
            let quotients: Vec<u32> = y.iter().map(|&w| m.shoup(w)).collect();
            let (mut a, mut b) = (start.clone(), start.clone());
            kernel::mul_fixed_add::<Portable>((), &m, &mut a, &start, (&y, &quotients));
            mul_fixed_add(&m, &mut b, &start, (&y, &quotients));
            assert_eq!(a, b);
            kernel::ntt_inverse::<Portable>((), &table, &mut x);
            ntt_inverse(&table, &mut y);
            assert_eq!(x, y);
            assert_eq!(x, start);
        }
    }

    /// Every lane operation of AVX2 equals the portable one, which defines it.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn avx2_lanes_equal_portable_lanes() {
        let (Tier::Avx2(proof) | Tier::Avx512(proof)) = tier() else { return };
        fn results<V: Lanes>(proof: V::Proof, a: &[u32; 8], b: &[u32; 8]) -> Vec<[u32; 8]> {
            let (x, y, s) = (V::load(proof, a), V::load(proof, b), V::splat(proof, b[0]));
            let mut all = vec![x.add(y), x.sub(y), x.min(y), x.mul_lo(y), x.mul_hi(y), s];
            all.extend(V::transpose([x, y, s, x.add(s), y.add(s), x.mul_lo(s), y.mul_hi(s), x.sub(y)]));
            let store = |v: V| {
                let mut out = [0; 8];
                v.store(&mut out);
                out
            };
            all.into_iter().map(store).collect()
        }
        let mut state = 0x9e37_79b9u32;
        let mut next = || {
            state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
            state ^ (state >> 15)
        };
        for _ in 0..1000 {
            let (a, b) = (core::array::from_fn(|_| next()), core::array::from_fn(|_| next()));
            assert_eq!(results::<Avx2>(proof, &a, &b), results::<Portable>((), &a, &b));
        }
    }
}
