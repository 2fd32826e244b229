//! Columns of recorded products: many short records as one long vector.

/// Which node looks at a statement, and so what of its operands it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// The prover `P_i`: the sum of both components.
    Prover,
    /// `P_{i-1}`: component `i`, its `next`.
    First,
    /// `P_{i+1}`: component `i + 1`, its `own`.
    Second,
}

/// How components add up.
pub(super) trait Addition {
    fn add(a: u64, b: u64) -> u64;
}

/// Modulo 2^64.
pub(super) struct Modulo;

/// Bit by bit modulo 2.
pub(super) struct Bitwise;

impl Addition for Modulo {
    fn add(a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }
}

impl Addition for Bitwise {
    fn add(a: u64, b: u64) -> u64 {
        a ^ b
    }
}

/// Pieces that follow one another, each with its two components.
#[derive(Default)]
pub(super) struct Column<'a> {
    pieces: Vec<(usize, &'a [u64], &'a [u64])>,
    len: usize,
}

impl<'a> Column<'a> {
    /// Appends a piece; both components are equally long.
    pub(super) fn push(&mut self, own: &'a [u64], next: &'a [u64]) {
        self.pieces.push((self.len, own, next));
        self.len += own.len();
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Fills `out` with the values at `start`, `start + stride` and so on, below `end`; then with zeros.
    pub(super) fn gather<A: Addition>(
        &self,
        view: View,
        (start, end): (usize, usize),
        stride: usize,
        out: &mut [u64],
    ) {
        let end = end.min(self.len);
        let mut at = start;
        let mut filled = 0;
        let mut piece = self.pieces.partition_point(|(from, _, _)| *from <= at).saturating_sub(1);
        while filled < out.len() && at < end {
            let Some((from, own, next)) = self.pieces.get(piece) else { break };
            let count =
                (end.min(from + own.len()).saturating_sub(at)).div_ceil(stride).min(out.len() - filled);
            let target = &mut out[filled..filled + count];
            let offset = at - from;
            copy::<A>(
                view,
                own.get(offset..).unwrap_or(&[]),
                next.get(offset..).unwrap_or(&[]),
                stride,
                target,
            );
            filled += count;
            at += count * stride;
            piece += 1;
        }
        out[filled..].fill(0);
    }
}

fn copy<A: Addition>(view: View, own: &[u64], next: &[u64], stride: usize, out: &mut [u64]) {
    let (own, next) = (own.iter().step_by(stride), next.iter().step_by(stride));
    match view {
        View::Prover => {
            for (out, (a, b)) in out.iter_mut().zip(own.zip(next)) {
                *out = A::add(*a, *b);
            }
        }
        View::First => out.iter_mut().zip(next).for_each(|(out, b)| *out = *b),
        View::Second => out.iter_mut().zip(own).for_each(|(out, a)| *out = *a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gathering_equals_indexing(lens in prop::collection::vec(0usize..9, 1..5), start in 0usize..20, stride in 1usize..5, cut in 0usize..30) {
            let total: usize = lens.iter().sum();
            let own: Vec<u64> = (0..total as u64).collect();
            let next: Vec<u64> = (0..total as u64).map(|x| x * 100).collect();
            let mut column = Column::default();
            let mut at = 0;
            for len in lens {
                column.push(&own[at..at + len], &next[at..at + len]);
                at += len;
            }
            let mut out = [7; 8];
            column.gather::<Modulo>(View::Prover, (start, cut), stride, &mut out);
            for (i, value) in out.iter().enumerate() {
                let index = start + i * stride;
                prop_assert_eq!(*value, if index < total.min(cut) { 101 * index as u64 } else { 0 });
            }
        }
    }
}
