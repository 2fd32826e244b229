//! Replicated shares, by column. `P_i` holds component `i` (`own`) and component `i + 1` (`next`).
//!
//! Shares have no `Debug`, do not cross the wire, and add and scale locally.

/// `len` values modulo 2^64: `x = x_0 + x_1 + x_2`.
#[derive(Clone, Default)]
pub struct RingShares {
    /// `x_i`, one for each value.
    pub own: Vec<u64>,
    /// `x_{i+1}`, one for each value.
    pub next: Vec<u64>,
}

/// `len` values of `width` bits, bitsliced: `x = x_0 ^ x_1 ^ x_2`. Plane `b` holds bit `b` of every value in
/// `words() = ceil(len / 64)` words, value `j` at bit `j % 64` of word `j / 64`; planes follow one another. The bits
/// beyond `len` in a plane's last word mean nothing, and are cleared before anything is opened.
#[derive(Clone, Default)]
pub struct BitShares {
    /// Bits of a value.
    pub width: usize,
    /// Number of values.
    pub len: usize,
    /// `x_i`: `width * words()` words.
    pub own: Vec<u64>,
    /// `x_{i+1}`: `width * words()` words.
    pub next: Vec<u64>,
}

impl RingShares {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// True when there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }
}

impl BitShares {
    /// Words of a plane.
    #[must_use]
    pub fn words(&self) -> usize {
        self.len.div_ceil(64)
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
