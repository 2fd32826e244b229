//! The two groups of which components are elements, word by word.

/// A group whose elements are words.
pub trait Group {
    /// `a + b`.
    fn add(a: u64, b: u64) -> u64;
    /// `a - b`.
    fn sub(a: u64, b: u64) -> u64;
}

/// Integers modulo 2^64.
pub struct Sum;

/// Words of 64 bits, each modulo 2.
pub struct Xor;

impl Group for Sum {
    #[inline(always)]
    fn add(a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn sub(a: u64, b: u64) -> u64 {
        a.wrapping_sub(b)
    }
}

impl Group for Xor {
    #[inline(always)]
    fn add(a: u64, b: u64) -> u64 {
        a ^ b
    }

    #[inline(always)]
    fn sub(a: u64, b: u64) -> u64 {
        a ^ b
    }
}
