//! Replicated shares, by column. `P_i` holds component `i` (`own`) and component `i + 1` (`next`).
//!
//! Shares have no `Debug`, do not cross the wire, and add and scale locally, without a message.

use std::ops::Range;

use super::component::Component;
use super::error::{MpcError, Result};
use super::planes::planes_of;
use super::role::Role;

/// `len` values modulo 2^64: `x = x_0 + x_1 + x_2`.
#[derive(Clone, Default)]
pub struct RingShares {
    /// `x_i`, one for each value.
    pub own: Component,
    /// `x_{i+1}`, one for each value.
    pub next: Component,
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
    pub own: Component,
    /// `x_{i+1}`: `width * words()` words.
    pub next: Component,
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

    /// `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        Self { own: vec![0; len].into(), next: vec![0; len].into() }
    }

    /// Values that all know: component 0, which `P0` and `P2` hold.
    #[must_use]
    pub fn public(role: Role, values: &[u64]) -> Self {
        Self::zeros(values.len()).map_component(role, 0, |k, _| values[k])
    }

    /// `x + y`.
    ///
    /// # Errors
    /// When the lengths differ.
    pub fn add(&self, y: &Self) -> Result<Self> {
        self.zip(y, u64::wrapping_add)
    }

    /// `x - y`.
    ///
    /// # Errors
    /// When the lengths differ.
    pub fn sub(&self, y: &Self) -> Result<Self> {
        self.zip(y, u64::wrapping_sub)
    }

    /// `-x`.
    #[must_use]
    pub fn neg(&self) -> Self {
        self.map(u64::wrapping_neg)
    }

    /// `factor * x`.
    #[must_use]
    pub fn scale(&self, factor: u64) -> Self {
        self.map(|word| word.wrapping_mul(factor))
    }

    /// `x[k] * factors[k]`.
    ///
    /// # Errors
    /// When the lengths differ.
    pub fn scale_each(&self, factors: &[u64]) -> Result<Self> {
        expect_len(self.len(), factors.len())?;
        let scaled = |words: &[u64]| words.iter().zip(factors).map(|(x, f)| x.wrapping_mul(*f)).collect();
        Ok(Self { own: scaled(&self.own), next: scaled(&self.next) })
    }

    /// `x + value`, the same for all.
    #[must_use]
    pub fn add_public(&self, role: Role, value: u64) -> Self {
        self.clone().map_component(role, 0, |_, word| word.wrapping_add(value))
    }

    /// The sum of all values.
    #[must_use]
    pub fn sum(&self) -> Self {
        let sum = |words: &[u64]| vec![words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))].into();
        Self { own: sum(&self.own), next: sum(&self.next) }
    }

    /// `out[k] = x[0] + ... + x[k]`.
    #[must_use]
    pub fn prefix_sums(&self) -> Self {
        let sums = |words: &[u64]| {
            words
                .iter()
                .scan(0u64, |sum, word| {
                    *sum = sum.wrapping_add(*word);
                    Some(*sum)
                })
                .collect()
        };
        Self { own: sums(&self.own), next: sums(&self.next) }
    }

    /// The values of these indices, which are public.
    ///
    /// # Panics
    /// When an index is past the end: a fault of the program, as for slices.
    #[must_use]
    pub fn gather(&self, indices: &[usize]) -> Self {
        let gathered = |words: &[u64]| indices.iter().map(|k| words[*k]).collect();
        Self { own: gathered(&self.own), next: gathered(&self.next) }
    }

    /// The values of a range.
    ///
    /// # Panics
    /// When the range goes past the end, as for slices.
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> Self {
        Self { own: self.own[range.clone()].to_vec().into(), next: self.next[range].to_vec().into() }
    }

    /// One column after another.
    #[must_use]
    pub fn concat(columns: &[&Self]) -> Self {
        Self {
            own: joined(columns.iter().map(|column| &column.own)),
            next: joined(columns.iter().map(|column| &column.next)),
        }
    }

    /// Component `component` alone, the others zero: a share of it without a message. It is secret from the one node
    /// that does not hold it.
    pub(crate) fn component(&self, role: Role, component: usize) -> Self {
        let kept = |words: &Component, held: usize| match held == component {
            true => words.clone(),
            false => vec![0; words.len()].into(),
        };
        Self { own: kept(&self.own, role.index()), next: kept(&self.next, role.next().index()) }
    }

    /// `x + value` by adding to one component.
    pub(crate) fn add_to_component(self, role: Role, component: usize, value: u64) -> Self {
        self.map_component(role, component, |_, word| word.wrapping_add(value))
    }

    /// The lowest bit of every component: not of the value, but of `x_0 ^ x_1 ^ x_2`, which is the value's lowest bit.
    pub(crate) fn lowest_bits(&self) -> BitShares {
        BitShares {
            width: 1,
            len: self.len(),
            own: planes_of(&self.own, 1).into(),
            next: planes_of(&self.next, 1).into(),
        }
    }

    pub(crate) fn slices(&self, range: Range<usize>) -> (&[u64], &[u64]) {
        (&self.own[range.clone()], &self.next[range])
    }

    fn map(&self, change: impl Fn(u64) -> u64) -> Self {
        let changed = |words: &[u64]| words.iter().map(|word| change(*word)).collect();
        Self { own: changed(&self.own), next: changed(&self.next) }
    }

    fn zip(&self, y: &Self, combine: impl Fn(u64, u64) -> u64) -> Result<Self> {
        expect_len(self.len(), y.len())?;
        let combined = |x: &[u64], y: &[u64]| x.iter().zip(y).map(|(x, y)| combine(*x, *y)).collect();
        Ok(Self { own: combined(&self.own, &y.own), next: combined(&self.next, &y.next) })
    }

    fn map_component(mut self, role: Role, component: usize, change: impl Fn(usize, u64) -> u64) -> Self {
        for (words, held) in [(&mut self.own, role.index()), (&mut self.next, role.next().index())] {
            if held == component {
                words.iter_mut().enumerate().for_each(|(k, word)| *word = change(k, *word));
            }
        }
        self
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

    /// `len` values of `width` bits, all zero.
    #[must_use]
    pub fn zeros(width: usize, len: usize) -> Self {
        let words = width * len.div_ceil(64);
        Self { width, len, own: vec![0; words].into(), next: vec![0; words].into() }
    }

    /// Values that all know: component 0, which `P0` and `P2` hold. `planes` has the layout of a component.
    ///
    /// # Errors
    /// When `planes` is not of this shape.
    pub fn public(role: Role, width: usize, len: usize, planes: &[u64]) -> Result<Self> {
        expect_len(width * len.div_ceil(64), planes.len())?;
        Ok(Self::zeros(width, len).map_component(role, |k, _| planes[k]))
    }

    /// `x ^ y`.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn xor(&self, y: &Self) -> Result<Self> {
        expect_len(self.width, y.width)?;
        expect_len(self.len, y.len)?;
        let sum = |x: &[u64], y: &[u64]| x.iter().zip(y).map(|(x, y)| x ^ y).collect();
        Ok(Self {
            width: self.width,
            len: self.len,
            own: sum(&self.own, &y.own),
            next: sum(&self.next, &y.next),
        })
    }

    /// Every bit turned.
    #[must_use]
    pub fn not(&self, role: Role) -> Self {
        self.clone().map_component(role, |_, word| !word)
    }

    /// Planes of a range of bits: the values shifted right and cut.
    ///
    /// # Panics
    /// When the range goes past the width, as for slices.
    #[must_use]
    pub fn planes(&self, bits: Range<usize>) -> Self {
        let words = bits.start * self.words()..bits.end * self.words();
        let (own, next) = (self.own[words.clone()].to_vec().into(), self.next[words].to_vec().into());
        Self { width: bits.end - bits.start, len: self.len, own, next }
    }

    /// Every `step`-th plane from `first` on, `count` of them.
    ///
    /// # Panics
    /// When a plane is past the width, as for slices.
    #[must_use]
    pub fn planes_by(&self, first: usize, step: usize, count: usize) -> Self {
        let words = self.words();
        let picked = |component: &[u64]| {
            let mut out = Vec::with_capacity(count * words);
            for b in (0..count).map(|k| first + k * step) {
                out.extend_from_slice(&component[b * words..(b + 1) * words]);
            }
            out.into()
        };
        Self { width: count, len: self.len, own: picked(&self.own), next: picked(&self.next) }
    }

    /// These planes, in this order.
    ///
    /// # Panics
    /// When a plane is past the width, as for slices.
    #[must_use]
    pub fn pick(&self, bits: &[usize]) -> Self {
        let words = self.words();
        let picked = |component: &[u64]| {
            bits.iter().flat_map(|b| &component[b * words..(b + 1) * words]).copied().collect()
        };
        Self { width: bits.len(), len: self.len, own: picked(&self.own), next: picked(&self.next) }
    }

    /// Sets these planes.
    ///
    /// # Errors
    /// When `planes` is not of this many planes, or of another length.
    pub fn put(&mut self, bits: &[usize], planes: &Self) -> Result<()> {
        expect_len(bits.len(), planes.width)?;
        expect_len(self.len, planes.len)?;
        let words = self.words();
        for (k, b) in bits.iter().enumerate() {
            let (from, to) = (k * words..(k + 1) * words, b * words..(b + 1) * words);
            self.own[to.clone()].copy_from_slice(&planes.own[from.clone()]);
            self.next[to].copy_from_slice(&planes.next[from]);
        }
        Ok(())
    }

    /// The values of a range.
    ///
    /// # Panics
    /// When the range goes past the end, as for slices.
    #[must_use]
    pub fn values(&self, range: Range<usize>) -> Self {
        assert!(range.end <= self.len, "values {range:?} of {}", self.len);
        let mut out = Self::zeros(self.width, range.len());
        let (here, there) = (self.words(), out.words());
        let (first, shift) = (range.start / 64, range.start % 64);
        for (from, to) in [(&*self.own, &mut *out.own), (&*self.next, &mut *out.next)] {
            for b in 0..self.width {
                for w in 0..there {
                    let low = from[b * here + first + w] >> shift;
                    let above = if first + w + 1 < here { from[b * here + first + w + 1] } else { 0 };
                    to[b * there + w] = if shift == 0 { low } else { low | above << (64 - shift) };
                }
            }
        }
        out
    }

    /// Bits in another shape: bit `b` of value `j` is bit `from(b, j).0` of value `from(b, j).1`. Public and local.
    ///
    /// # Panics
    /// When a bit or a value is past the end, as for slices.
    #[must_use]
    pub fn rearranged(
        &self,
        width: usize,
        len: usize,
        from: impl Fn(usize, usize) -> (usize, usize),
    ) -> Self {
        let mut out = Self::zeros(width, len);
        let (here, there) = (self.words(), out.words());
        let (own, next) = (&mut *out.own, &mut *out.next);
        for b in 0..width {
            for j in 0..len {
                let (plane, value) = from(b, j);
                let (word, shift) = (plane * here + value / 64, value % 64);
                own[b * there + j / 64] |= ((self.own[word] >> shift) & 1) << (j % 64);
                next[b * there + j / 64] |= ((self.next[word] >> shift) & 1) << (j % 64);
            }
        }
        out
    }

    /// Component `component` alone, the others zero.
    pub(crate) fn component(&self, role: Role, component: usize) -> Self {
        let kept = |words: &Component, held: usize| match held == component {
            true => words.clone(),
            false => vec![0; words.len()].into(),
        };
        let (own, next) = (kept(&self.own, role.index()), kept(&self.next, role.next().index()));
        Self { width: self.width, len: self.len, own, next }
    }

    /// Every bit of every component as a word of its own, plane after plane.
    pub(crate) fn unpacked(&self) -> RingShares {
        let words = self.words().max(1);
        let unpacked = |component: &[u64]| {
            let mut out = Vec::with_capacity(self.width * self.len);
            for plane in component.chunks(words) {
                for (w, word) in plane.iter().enumerate() {
                    out.extend((0..(self.len - 64 * w).min(64)).map(|j| (word >> j) & 1));
                }
            }
            out.into()
        };
        RingShares { own: unpacked(&self.own), next: unpacked(&self.next) }
    }

    /// The planes of one above those of the other: the first has the low bits.
    ///
    /// # Errors
    /// When the numbers of values differ.
    pub fn concat(parts: &[&Self]) -> Result<Self> {
        let len = parts.first().map_or(0, |part| part.len);
        for part in parts {
            expect_len(len, part.len)?;
        }
        Ok(Self {
            width: parts.iter().map(|part| part.width).sum(),
            len,
            own: joined(parts.iter().map(|part| &part.own)),
            next: joined(parts.iter().map(|part| &part.next)),
        })
    }

    /// The same with the bits beyond `len` cleared.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let mut out = self.clone();
        let (words, rest) = (self.words(), self.len % 64);
        if rest > 0 {
            for component in [&mut out.own, &mut out.next] {
                component.chunks_mut(words).for_each(|plane| plane[words - 1] &= (1 << rest) - 1);
            }
        }
        out
    }

    fn map_component(mut self, role: Role, change: impl Fn(usize, u64) -> u64) -> Self {
        for (words, held) in [(&mut self.own, role.index()), (&mut self.next, role.next().index())] {
            if held == 0 {
                words.iter_mut().enumerate().for_each(|(k, word)| *word = change(k, *word));
            }
        }
        self
    }
}

/// One after another.
fn joined<'a>(components: impl Iterator<Item = &'a Component>) -> Component {
    components.map(|words| &words[..]).collect::<Vec<_>>().concat().into()
}

fn expect_len(left: usize, right: usize) -> Result<()> {
    if left == right { Ok(()) } else { Err(MpcError::Lengths { what: "columns", left, right }) }
}
