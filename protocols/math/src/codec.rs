//! Checked reading and writing of bytes. Integers are little-endian; residues are packed at 27 bits.

use crate::error::{Error, Result};
use crate::modulus::{Modulus, PRIME_BITS};

/// Bytes that `count` packed residues take; `count` is a multiple of 8.
#[must_use]
pub const fn packed_len(count: usize) -> usize {
    count / 8 * PRIME_BITS as usize
}

/// Appends fields to a byte vector.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty writer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends raw bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Appends a little-endian `u32`.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    /// Appends residues (`[0, q)`, a multiple of 8 of them) at 27 bits each.
    pub fn residues(&mut self, residues: &[u32]) {
        let (groups, rest) = residues.as_chunks::<8>();
        debug_assert!(rest.is_empty(), "residues come in groups of 8");
        let start = self.0.len();
        self.0.resize(start + packed_len(residues.len()), 0);
        let (out, _) = self.0[start..].as_chunks_mut::<27>();
        for (group, out) in groups.iter().zip(out) {
            *out = pack8(group);
        }
    }

    /// The bytes written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Eight 27-bit values as 216 bits: four from below in a `u128`, four above.
#[inline(always)]
fn pack8(v: &[u32; 8]) -> [u8; 27] {
    let quad = |i: usize| {
        let low = u64::from(v[i]) | (u64::from(v[i + 1]) << 27);
        let high = u64::from(v[i + 2]) | (u64::from(v[i + 3]) << 27);
        u128::from(low) | (u128::from(high) << 54)
    };
    let (low, high) = (quad(0), quad(4));
    let mut out = [0u8; 27];
    out[..16].copy_from_slice(&(low | (high << 108)).to_le_bytes());
    out[16..].copy_from_slice(&(high >> 20).to_le_bytes()[..11]);
    out
}

#[inline(always)]
fn unpack8(bytes: &[u8; 27]) -> [u32; 8] {
    const MASK: u32 = (1 << PRIME_BITS) - 1;
    core::array::from_fn(|i| {
        let bit = i * PRIME_BITS as usize;
        let byte = (bit / 8).min(19); // 8 bytes from here stay inside; the shift stays below 64
        let mut word = [0u8; 8];
        word.copy_from_slice(&bytes[byte..byte + 8]);
        (u64::from_le_bytes(word) >> (bit - 8 * byte)) as u32 & MASK
    })
}

/// Takes fields from a byte slice; every read is checked.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    /// Takes `len` raw bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, tail) =
            self.0.split_at_checked(len).ok_or(Error::Truncated { needed: len, available: self.0.len() })?;
        self.0 = tail;
        Ok(head)
    }

    /// Takes an array.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn array<const K: usize>(&mut self) -> Result<[u8; K]> {
        let mut out = [0; K];
        out.copy_from_slice(self.bytes(K)?);
        Ok(out)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Takes a little-endian `u32`.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Takes a `u32` that counts something, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Truncated`], or [`Error::Limit`] when the count is larger.
    pub fn count(&mut self, limit: u32) -> Result<usize> {
        let declared = self.u32()?;
        if declared > limit {
            return Err(Error::Limit { declared: declared.into(), limit: limit.into() });
        }
        Ok(declared as usize)
    }

    /// Takes `out.len()` residues (a multiple of 8) of limb `limb`, each checked to be below the prime.
    ///
    /// # Errors
    /// [`Error::Truncated`], or [`Error::Residue`] with the first residue that is too large.
    pub fn residues(&mut self, limb: usize, modulus: &Modulus, out: &mut [u32]) -> Result<()> {
        let bytes = self.bytes(packed_len(out.len()))?;
        let (packed, _) = bytes.as_chunks::<27>();
        let (groups, _) = out.as_chunks_mut::<8>();
        let q = modulus.value();
        let mut excess = 0u32;
        for (group, packed) in groups.iter_mut().zip(packed) {
            *group = unpack8(packed);
            for &r in group.iter() {
                excess |= (q - 1).wrapping_sub(r); // top bit set when r >= q
            }
        }
        if excess >> 31 == 0 {
            return Ok(());
        }
        let index = out.iter().position(|&r| r >= q).unwrap_or_default();
        Err(Error::Residue { limb, index })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::TrailingBytes`] when bytes are left.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::TrailingBytes(self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn residues_are_consecutive_27_bit_fields(v in prop::array::uniform8(0u32..1 << 27)) {
            let big = v.iter().rev().fold(BigUint::ZERO, |acc, &x| (acc << 27u32) + x);
            let mut expected = big.to_bytes_le();
            expected.resize(27, 0);
            let mut w = Writer::default();
            w.residues(&v);
            let bytes = w.finish();
            prop_assert_eq!(&bytes, &expected);
            let m = Modulus::for_limb(0).expect("limb");
            let mut back = [0u32; 8];
            let read = Reader::new(&bytes).residues(3, &m, &mut back);
            match v.iter().position(|&x| x >= m.value()) {
                None => prop_assert!(read.is_ok() && back == v),
                Some(index) => prop_assert_eq!(read, Err(Error::Residue { limb: 3, index })),
            }
        }
    }

    #[test]
    fn reader_refuses_truncation_excess_and_trailing_bytes() {
        let mut r = Reader::new(&[1, 0, 0]);
        assert_eq!(r.u32(), Err(Error::Truncated { needed: 4, available: 3 }));
        let mut r = Reader::new(&[9, 0, 0, 0, 1]);
        assert_eq!(r.count(8), Err(Error::Limit { declared: 9, limit: 8 }));
        assert_eq!(r.finish(), Err(Error::TrailingBytes(1)));
    }
}
