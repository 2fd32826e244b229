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

    /// Both components of `count` values from `start` on, where they lie in one piece.
    pub(super) fn slices(&self, start: usize, count: usize) -> Option<(&'a [u64], &'a [u64])> {
        let piece = self.pieces.partition_point(|(from, _, _)| *from <= start).checked_sub(1)?;
        let (from, own, next) = self.pieces.get(piece)?;
        let range = start - from..start - from + count;
        Some((own.get(range.clone())?, next.get(range)?))
    }

    /// One component of as many values as there is `room` for, from `start` on, where they lie, else gathered in `room`.
    pub(super) fn component<'r>(&self, view: View, start: usize, room: &'r mut [u64]) -> &'r [u64]
    where
        'a: 'r,
    {
        match (self.slices(start, room.len()), view) {
            (Some((_, next)), View::First) => next,
            (Some((own, _)), View::Second) => own,
            _ => {
                self.gather(view, start, room);
                room
            }
        }
    }

    /// Fills `out` with the values from `start` on; beyond the end with zeros. Components add up bit by bit modulo 2.
    pub(super) fn gather(&self, view: View, start: usize, out: &mut [u64]) {
        let (mut at, mut filled) = (start, 0);
        let mut piece = self.pieces.partition_point(|(from, _, _)| *from <= at).saturating_sub(1);
        while filled < out.len() && at < self.len {
            let Some((from, own, next)) = self.pieces.get(piece) else { break };
            let count = (from + own.len()).saturating_sub(at).min(out.len() - filled);
            let range = at - from..at - from + count;
            let target = &mut out[filled..filled + count];
            if let (Some(own), Some(next)) = (own.get(range.clone()), next.get(range)) {
                copy(view, own, next, target);
            }
            filled += count;
            at += count;
            piece += 1;
        }
        out[filled..].fill(0);
    }
}

fn copy(view: View, own: &[u64], next: &[u64], out: &mut [u64]) {
    match view {
        View::Prover => {
            for (out, (a, b)) in out.iter_mut().zip(own.iter().zip(next)) {
                *out = a ^ b;
            }
        }
        View::First => out.copy_from_slice(next),
        View::Second => out.copy_from_slice(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gathering_equals_indexing(lens in prop::collection::vec(0usize..9, 1..5), start in 0usize..20) {
            let total: usize = lens.iter().sum();
            let own: Vec<u64> = (1..=total as u64).collect();
            let next: Vec<u64> = own.iter().map(|x| x << 32).collect();
            let mut column = Column::default();
            let mut at = 0;
            for len in lens {
                column.push(&own[at..at + len], &next[at..at + len]);
                at += len;
            }
            for (view, factor) in [(View::Prover, (1 << 32) + 1), (View::First, 1 << 32), (View::Second, 1)] {
                let (mut out, mut room) = ([7; 8], [7; 3]);
                column.gather(view, start, &mut out);
                prop_assert_eq!(column.component(view, start, &mut room), &out[..3]);
                for (i, value) in out.iter().enumerate() {
                    let index = start + i;
                    prop_assert_eq!(*value, if index < total { factor * (index as u64 + 1) } else { 0 });
                }
            }
        }
    }
}
