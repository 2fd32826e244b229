//! Run-time choice of the instruction set for the kernels of [`crate::lanes`].
//!
//! Beside [`crate::simd`] this is the one file of the package with `unsafe`: a function compiled with
//! `#[target_feature]` may only be called where the CPU has that feature. Each call is guarded by detection, done
//! once.

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;
use std::sync::OnceLock;

use crate::clmul::{self, Clmul};
use crate::karatsuba::Tree;
use crate::lanes::{self, Bits, Integers, Lane, Tables};

/// What the CPU offers: vectors of 256 or 512 bits, carry-less multiplication.
#[derive(Clone, Copy, Default)]
struct Features {
    avx2: bool,
    avx512: bool,
    clmul: bool,
    wide_clmul: bool,
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Features {
    let avx2 = is_x86_feature_detected!("avx2");
    Features {
        avx2,
        avx512: avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl"),
        clmul: is_x86_feature_detected!("pclmulqdq") && is_x86_feature_detected!("sse4.1"),
        wide_clmul: avx2 && is_x86_feature_detected!("vpclmulqdq") && is_x86_feature_detected!("pclmulqdq"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Features {
    Features::default()
}

fn features() -> Features {
    static FEATURES: OnceLock<Features> = OnceLock::new();
    *FEATURES.get_or_init(detect)
}

/// A kernel whose body is made of loops that the compiler turns into vectors.
macro_rules! vectors {
    ($name:ident = $body:path, ($($arg:ident: $ty:ty),* $(,)?)) => {
        #[inline]
        pub(crate) fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $ty),*) {
                $body($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2")]
            fn avx512($($arg: $ty),*) {
                $body($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            if features().avx512 {
                // SAFETY: AVX-512 F, DQ, BW, VL and AVX2 were detected.
                return unsafe { avx512($($arg),*) };
            } else if features().avx2 {
                // SAFETY: AVX2 was detected.
                return unsafe { avx2($($arg),*) };
            }
            $body($($arg),*);
        }
    };
}

/// A kernel whose body is generic over carry-less multiplication.
macro_rules! products {
    ($name:ident($($arg:ident: $ty:ty),* $(,)?)) => {
        #[inline]
        pub(crate) fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "pclmulqdq,sse4.1")]
            fn native(proof: ClmulProof, $($arg: $ty),*) {
                clmul::$name::<Pclmul>(proof, $($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "vpclmulqdq,pclmulqdq,avx2,sse4.1")]
            fn wide(proof: ClmulProof, $($arg: $ty),*) {
                clmul::$name::<WideClmul>(proof, $($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            if features().wide_clmul {
                // SAFETY: VPCLMULQDQ, PCLMULQDQ and AVX2, which has SSE4.1, were detected.
                return unsafe { wide(ClmulProof(()), $($arg),*) };
            } else if features().clmul {
                // SAFETY: PCLMULQDQ and SSE4.1 were detected.
                return unsafe { native(ClmulProof(()), $($arg),*) };
            }
            clmul::$name::<clmul::Portable>((), $($arg),*);
        }
    };
}

vectors!(subset_sums = lanes::subset_sums::<Integers>,
    (tables: &mut Tables, out: &mut [Lane], rows: &[Lane], picks: &[u8]));
vectors!(subset_xors = lanes::subset_sums::<Bits>,
    (tables: &mut Tables, out: &mut [Lane], rows: &[Lane], picks: &[u8]));
vectors!(pair_conjunctions = lanes::pair_conjunctions, (out: &mut [u64], u: &[u64], v: &[u64]));
vectors!(transpose_bits = lanes::transpose_bits, (words: &mut [Lane; 64]));
products!(gf64_scale(values: &mut [u64], weights: &[u64]));
products!(gf64_add_scaled(sums: &mut [u128], weight: u64, values: &[u64]));
products!(gf64_combine(out: &mut [u64], weights: &[u64], rows: &[&[u64]]));
products!(gf64_add_products(sums: &mut [u128], tree: &Tree, u: &[&[u64]], v: &[&[u64]]));

/// Evidence that PCLMULQDQ and SSE4.1 were detected.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct ClmulProof(());

/// The CPU's carry-less multiplication.
#[cfg(target_arch = "x86_64")]
pub(crate) struct Pclmul;

/// A 128-bit register. Made only by functions that take a [`ClmulProof`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Register(__m128i);

// SAFETY of every block below: a `ClmulProof` or a `Register` at hand means that PCLMULQDQ and SSE4.1 were detected.
#[cfg(target_arch = "x86_64")]
impl Clmul for Pclmul {
    type Proof = ClmulProof;
    type Wide = Register;
    #[inline(always)]
    fn wide(_: ClmulProof, value: u128) -> Register {
        Register(unsafe { core::mem::transmute::<u128, __m128i>(value) })
    }
    #[inline(always)]
    fn narrow(wide: Register) -> u128 {
        // Both are 128 bits without padding, lowest bit first.
        unsafe { core::mem::transmute(wide.0) }
    }
    #[inline(always)]
    fn mul(_: ClmulProof, a: u64, b: u64) -> Register {
        unsafe {
            let (a, b) = (_mm_cvtsi64_si128(a as i64), _mm_cvtsi64_si128(b as i64));
            Register(_mm_clmulepi64_si128::<0>(a, b))
        }
    }
    #[inline(always)]
    fn xor(a: Register, b: Register) -> Register {
        Register(unsafe { _mm_xor_si128(a.0, b.0) })
    }
    #[inline(always)]
    fn dot(_: ClmulProof, a: &Lane, b: &Lane) -> Register {
        unsafe {
            let mut sum = _mm_setzero_si128();
            for at in [0, 2, 4, 6] {
                let a = _mm_set_epi64x(a[at + 1] as i64, a[at] as i64);
                let b = _mm_set_epi64x(b[at + 1] as i64, b[at] as i64);
                let (low, high) = (_mm_clmulepi64_si128::<0x00>(a, b), _mm_clmulepi64_si128::<0x11>(a, b));
                sum = _mm_xor_si128(sum, _mm_xor_si128(low, high));
            }
            Register(sum)
        }
    }
    #[inline(always)]
    fn reduce(wide: Register) -> u64 {
        unsafe {
            // high * (X^4 + X^3 + X + 1), then what went over the top again, at most four bits.
            let tail = _mm_cvtsi64_si128(0x1b);
            let once = _mm_clmulepi64_si128::<0x01>(wide.0, tail);
            let twice = _mm_clmulepi64_si128::<0x01>(once, tail);
            _mm_cvtsi128_si64(_mm_xor_si128(_mm_xor_si128(wide.0, once), twice)) as u64
        }
    }
}

/// The same, two at a time where that helps.
#[cfg(target_arch = "x86_64")]
pub(crate) struct WideClmul;

// SAFETY: as above; the kernels over `WideClmul` run where VPCLMULQDQ and AVX2 were detected too.
#[cfg(target_arch = "x86_64")]
impl Clmul for WideClmul {
    type Proof = ClmulProof;
    type Wide = Register;
    #[inline(always)]
    fn wide(proof: ClmulProof, value: u128) -> Register {
        Pclmul::wide(proof, value)
    }
    #[inline(always)]
    fn narrow(wide: Register) -> u128 {
        Pclmul::narrow(wide)
    }
    #[inline(always)]
    fn mul(proof: ClmulProof, a: u64, b: u64) -> Register {
        Pclmul::mul(proof, a, b)
    }
    #[inline(always)]
    fn xor(a: Register, b: Register) -> Register {
        Pclmul::xor(a, b)
    }
    #[inline(always)]
    fn dot(_: ClmulProof, a: &Lane, b: &Lane) -> Register {
        unsafe {
            let mut sum = _mm256_setzero_si256();
            for at in [0, 4] {
                let a = _mm256_loadu_si256(a.as_ptr().add(at).cast());
                let b = _mm256_loadu_si256(b.as_ptr().add(at).cast());
                let low = _mm256_clmulepi64_epi128::<0x00>(a, b);
                let high = _mm256_clmulepi64_epi128::<0x11>(a, b);
                sum = _mm256_xor_si256(sum, _mm256_xor_si256(low, high));
            }
            Register(_mm_xor_si128(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum)))
        }
    }
    #[inline(always)]
    fn reduce(wide: Register) -> u64 {
        Pclmul::reduce(wide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::LANES;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_instruction_equals_the_portable_product(u: [[u64; 3]; 4], v: [[u64; 3]; 4]) {
            let rows = |x: &[[u64; 3]; 4]| x.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
            let (u, v) = (rows(&u), rows(&v));
            let u: Vec<&[u64]> = u.iter().map(|row| &row[..]).collect();
            let v: Vec<&[u64]> = v.iter().map(|row| &row[..]).collect();
            let (mut native, mut portable) = ([7u128; 9], [7u128; 9]);
            let tree = Tree::new(4, 1);
            gf64_add_products(&mut native, &tree, &u, &v);
            clmul::gf64_add_products::<clmul::Portable>((), &mut portable, &tree, &u, &v);
            prop_assert_eq!(native, portable);
            let (mut native, mut portable) = (u[0].to_vec(), u[0].to_vec());
            gf64_scale(&mut native, v[0]);
            clmul::gf64_scale::<clmul::Portable>((), &mut portable, v[0]);
            prop_assert_eq!(native, portable);
        }
    }

    #[test]
    fn bits_are_transposed() {
        let mut words: [[u64; LANES]; 64] = core::array::from_fn(|c| {
            core::array::from_fn(|l| {
                0x9e37_79b9_7f4a_7c15u64.rotate_left((c * 5 + l) as u32) ^ (c * l) as u64
            })
        });
        let start = words;
        transpose_bits(&mut words);
        for (c, row) in start.iter().enumerate() {
            for (lane, word) in row.iter().enumerate() {
                for (a, turned) in words.iter().enumerate().take(64) {
                    assert_eq!((turned[lane] >> c) & 1, (word >> a) & 1);
                }
            }
        }
    }

    #[test]
    fn subset_sums_equal_masked_sums() {
        let word = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let rows: Vec<Lane> = (0..8).map(|i| core::array::from_fn(|l| word(8 * i + l))).collect();
        let points: Vec<u64> = (100..108).map(word).collect();
        let (mut sums, mut xors) = ([[1; LANES]; 10], [[1; LANES]; 10]);
        let mut tables = Tables::default();
        subset_sums(&mut tables, &mut sums, &rows, &lanes::picks(&points, 10));
        subset_xors(&mut tables, &mut xors, &rows, &lanes::picks(&points, 10));
        for k in 0..10 {
            for l in 0..LANES {
                let picked =
                    || rows.iter().zip(&points).filter(|(_, p)| (*p >> k) & 1 == 1).map(|(row, _)| row[l]);
                assert_eq!(sums[k][l], picked().fold(1, u64::wrapping_add));
                assert_eq!(xors[k][l], picked().fold(1, |a, b| a ^ b));
            }
        }
    }
}
