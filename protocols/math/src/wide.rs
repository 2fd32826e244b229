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
use crate::lanes::{self, Bits, Integers, LANES, Lane, Tables};

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
vectors!(transpose_bits = lanes::transpose_bits, (words: &mut [Lane; 64]));
products!(gf64_scale(values: &mut [u64], weights: &[u64]));
products!(gf64_add_scaled(sums: &mut [u128], weights: &[u64], rows: &[u64]));
products!(gf64_add_pair_products(sums: &mut [u128], weights: &[u64], u: &[u64], v: &[u64]));
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
    type Sums = [Register; LANES];
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
    fn zeros(_: ClmulProof) -> [Register; LANES] {
        [Register(unsafe { _mm_setzero_si128() }); LANES]
    }
    #[inline(always)]
    fn add_scaled(proof: ClmulProof, sums: &mut [Register; LANES], weight: u64, lanes: &Lane) {
        for l in 0..LANES {
            sums[l] = Self::xor(sums[l], Self::mul(proof, weight, lanes[l]));
        }
    }
    #[inline(always)]
    fn sums(sums: [Register; LANES]) -> [Register; LANES] {
        sums
    }
    #[inline(always)]
    fn reduced(sums: [Register; LANES]) -> Lane {
        let mut out = [0; LANES];
        for l in 0..LANES {
            out[l] = reduce(sums[l]);
        }
        out
    }
    #[inline(always)]
    fn products(proof: ClmulProof, a: &Lane, b: &Lane) -> Lane {
        let mut out = [0; LANES];
        for l in 0..LANES {
            out[l] = reduce(Self::mul(proof, a[l], b[l]));
        }
        out
    }
}

/// Modulo `X^64 + X^4 + X^3 + X + 1`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn reduce(wide: Register) -> u64 {
    // SAFETY: as above.
    unsafe {
        // high * (X^4 + X^3 + X + 1), then what went over the top again, at most four bits.
        let tail = _mm_cvtsi64_si128(0x1b);
        let once = _mm_clmulepi64_si128::<0x01>(wide.0, tail);
        let twice = _mm_clmulepi64_si128::<0x01>(once, tail);
        _mm_cvtsi128_si64(_mm_xor_si128(_mm_xor_si128(wide.0, once), twice)) as u64
    }
}

/// The same, two at a time where that helps.
#[cfg(target_arch = "x86_64")]
pub(crate) struct WideClmul;

/// Two registers side by side. Made only by [`WideClmul`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Pair(__m256i);

// SAFETY: as above; the kernels over `WideClmul` run where VPCLMULQDQ and AVX2 were detected too.
#[cfg(target_arch = "x86_64")]
impl Clmul for WideClmul {
    type Proof = ClmulProof;
    type Wide = Register;
    /// Lanes 0 and 2, 1 and 3, 4 and 6, 5 and 7.
    type Sums = [Pair; LANES / 2];
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
    fn zeros(_: ClmulProof) -> Self::Sums {
        [Pair(unsafe { _mm256_setzero_si256() }); LANES / 2]
    }
    #[inline(always)]
    fn add_scaled(_: ClmulProof, sums: &mut Self::Sums, weight: u64, lanes: &Lane) {
        unsafe {
            let weight = _mm256_set1_epi64x(weight as i64);
            for at in [0, 1] {
                let lanes = _mm256_loadu_si256(lanes.as_ptr().add(4 * at).cast());
                let even = _mm256_clmulepi64_epi128::<0x00>(lanes, weight);
                let odd = _mm256_clmulepi64_epi128::<0x01>(lanes, weight);
                sums[2 * at].0 = _mm256_xor_si256(sums[2 * at].0, even);
                sums[2 * at + 1].0 = _mm256_xor_si256(sums[2 * at + 1].0, odd);
            }
        }
    }
    #[inline(always)]
    fn sums(sums: Self::Sums) -> [Register; LANES] {
        unsafe {
            let low = |at: usize| Register(_mm256_castsi256_si128(sums[at].0));
            let high = |at: usize| Register(_mm256_extracti128_si256::<1>(sums[at].0));
            [low(0), low(1), high(0), high(1), low(2), low(3), high(2), high(3)]
        }
    }
    #[inline(always)]
    fn reduced(sums: Self::Sums) -> Lane {
        let mut out = [0; LANES];
        for at in [0, 1] {
            let words = reduce_pairs(sums[2 * at], sums[2 * at + 1]);
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(4 * at).cast(), words.0) };
        }
        out
    }
    #[inline(always)]
    fn products(_: ClmulProof, a: &Lane, b: &Lane) -> Lane {
        let mut out = [0; LANES];
        for at in [0, 4] {
            unsafe {
                let a = _mm256_loadu_si256(a.as_ptr().add(at).cast());
                let b = _mm256_loadu_si256(b.as_ptr().add(at).cast());
                let even = Pair(_mm256_clmulepi64_epi128::<0x00>(a, b));
                let odd = Pair(_mm256_clmulepi64_epi128::<0x11>(a, b));
                _mm256_storeu_si256(out.as_mut_ptr().add(at).cast(), reduce_pairs(even, odd).0);
            }
        }
        out
    }
}

/// [`reduce`] of lanes 0 and 2, and of lanes 1 and 3: four words, in order.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn reduce_pairs(even: Pair, odd: Pair) -> Pair {
    // SAFETY: as above: a `Pair` is made where VPCLMULQDQ and AVX2 were detected.
    unsafe {
        let tail = _mm256_set1_epi64x(0x1b);
        let reduced = |wide: __m256i| {
            let once = _mm256_clmulepi64_epi128::<0x01>(wide, tail);
            let twice = _mm256_clmulepi64_epi128::<0x01>(once, tail);
            _mm256_xor_si256(_mm256_xor_si256(wide, once), twice)
        };
        Pair(_mm256_unpacklo_epi64(reduced(even.0), reduced(odd.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

        #[test]
        fn sums_of_lanes_equal_the_portable_ones(seed: u64, count in 1usize..=8, level in 0u32..=6) {
            let word = |i: usize| (i as u64 + 1).wrapping_mul(seed | 1).rotate_left(i as u32 * 7);
            let m = 1usize << level;
            let words = |from: usize, len: usize| (from..from + len).map(word).collect::<Vec<_>>();
            let (weights, u, v) = (words(0, count), words(99, count * m), words(9999, count * m));
            let (mut native, mut portable) = (vec![7u128; lanes::pairs(m)], vec![7u128; lanes::pairs(m)]);
            gf64_add_pair_products(&mut native, &weights, &u, &v);
            clmul::gf64_add_pair_products::<clmul::Portable>((), &mut portable, &weights, &u, &v);
            prop_assert_eq!(native, portable);
            let (mut native, mut portable) = (vec![7u128; m], vec![7u128; m]);
            gf64_add_scaled(&mut native, &weights, &u);
            clmul::gf64_add_scaled::<clmul::Portable>((), &mut portable, &weights, &u);
            prop_assert_eq!(native, portable);
            let rows: Vec<&[u64]> = u.chunks(m).collect();
            let (mut native, mut portable) = (vec![7; m + 3], vec![7; m + 3]);
            gf64_combine(&mut native, &weights, &rows);
            clmul::gf64_combine::<clmul::Portable>((), &mut portable, &weights, &rows);
            prop_assert_eq!(native, portable);
        }

        #[test]
        fn pairs_are_products_of_sums(seed: u64, level in 0u32..=6) {
            let word = |i: usize| (i as u64 + 1).wrapping_mul(seed | 1).rotate_left(i as u32 * 7);
            let m = 1usize << level;
            let (u, v): (Vec<u64>, Vec<u64>) = (0..2 * m).map(|i| (word(i), word(i + 999))).unzip();
            let mut sums = vec![0u128; lanes::pairs(m)];
            gf64_add_pair_products(&mut sums, &[3, 5], &u, &v);
            let squares = (0..m).map(|h| (u[h] & v[h], u[m + h] & v[m + h]));
            let cross = lanes::cross_pairs(m).into_iter().map(|(h, k)| {
                let pair = |at: usize| (u[at + h] ^ u[at + k]) & (v[at + h] ^ v[at + k]);
                (pair(0), pair(m))
            });
            for (sum, (first, second)) in sums.iter().zip(squares.chain(cross)) {
                prop_assert_eq!(crate::gf64::reduce(*sum), crate::gf64::mul(3, first) ^ crate::gf64::mul(5, second));
            }
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
