//! How a statement is folded: a function of its public size alone, the same at all nodes.

use super::extension::Extension;

/// The folds of one proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Values that the first message combines, a power of two; 1 when there is no such message.
    pub row: usize,
    /// Words of the first message.
    pub cross_words: usize,
    /// Factors of the folds in the extension, each a power of two.
    pub factors: Vec<usize>,
    /// Elements left for the last fold.
    pub last: usize,
}

/// What a message of a proof is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Products of base values, pair by pair.
    Cross,
    /// Coefficients of a fold by this factor.
    Fold(usize),
    /// Coefficients of the last fold, with masks.
    Last,
    /// Nothing: the proof is over.
    Done,
}

impl Plan {
    /// Folds `elements` elements of an extension after a first message over rows of `row`.
    pub(super) fn new<E: Extension>(row: usize, cross_words: usize, elements: usize) -> Self {
        let pieces = elements.div_ceil(E::LANES);
        let excess = elements.div_ceil(E::LAST).max(1);
        let mut bits = excess.next_power_of_two().trailing_zeros();
        let mut factors = Vec::new();
        while bits > 0 {
            let take = bits.min(E::FACTOR_BITS);
            factors.insert(0, 1usize << take);
            bits -= take;
        }
        let left = factors.iter().fold(pieces, |pieces, factor| pieces.div_ceil(*factor));
        let last = if factors.is_empty() { elements } else { left * E::LANES };
        Self { row, cross_words: if row > 1 { cross_words } else { 0 }, factors, last }
    }

    /// Messages of the prover.
    pub(super) fn messages(&self) -> usize {
        usize::from(self.row > 1) + self.factors.len() + 1
    }

    /// What message `index` is.
    pub(super) fn stage(&self, index: usize) -> Stage {
        let folds = usize::from(self.row > 1);
        match index {
            0 if self.row > 1 => Stage::Cross,
            _ if index - folds < self.factors.len() => Stage::Fold(self.factors[index - folds]),
            _ if index - folds == self.factors.len() => Stage::Last,
            _ => Stage::Done,
        }
    }

    /// Words of message `index`.
    pub(super) fn words<E: Extension>(&self, index: usize) -> usize {
        match self.stage(index) {
            Stage::Cross => self.cross_words,
            Stage::Fold(factor) => (2 * factor - 2) * E::WORDS,
            Stage::Last => 2 * self.last * E::WORDS,
            Stage::Done => 0,
        }
    }

    /// The sum of the degrees of all polynomials of which a random point must be no root: the soundness error is at
    /// most this over the size of the exceptional set, less one.
    #[cfg(test)]
    pub(super) fn degree(&self) -> usize {
        let weights = 2;
        let cross = if self.row > 1 { 2 } else { 0 };
        weights + cross + self.factors.iter().map(|k| 2 * k - 2).sum::<usize>() + 2 * self.last
    }
}
