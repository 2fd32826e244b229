//! How a statement is folded: a function of its public size alone, the same at all nodes.

use super::extension::Extension;

/// The folds of one proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Words of the first message; none when there is no such message.
    pub first_words: usize,
    /// Factors of the folds in the extension, each a power of two.
    pub factors: Vec<usize>,
    /// Elements left for the last fold.
    pub last: usize,
}

/// What a message of a proof is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// What makes one statement over a field of many products.
    First,
    /// Coefficients of a fold by this factor.
    Fold(usize),
    /// Coefficients of the last fold, with masks.
    Last,
    /// Nothing: the proof is over.
    Done,
}

impl Plan {
    /// Folds `elements` elements after a first message.
    pub(super) fn new<E: Extension>(first_words: usize, elements: usize) -> Self {
        let excess = elements.div_ceil(E::LAST).max(1);
        let mut bits = excess.next_power_of_two().trailing_zeros();
        let mut factors = Vec::new();
        while bits > 0 {
            let take = bits.min(E::FACTOR_BITS);
            factors.insert(0, 1usize << take);
            bits -= take;
        }
        let last = factors.iter().fold(elements, |left, factor| left.div_ceil(*factor));
        Self { first_words, factors, last }
    }

    /// Messages of the prover.
    pub(super) fn messages(&self) -> usize {
        usize::from(self.first_words > 0) + self.factors.len() + 1
    }

    /// What message `index` is.
    pub(super) fn stage(&self, index: usize) -> Stage {
        let folds = usize::from(self.first_words > 0);
        match index {
            0 if self.first_words > 0 => Stage::First,
            _ if index - folds < self.factors.len() => Stage::Fold(self.factors[index - folds]),
            _ if index - folds == self.factors.len() => Stage::Last,
            _ => Stage::Done,
        }
    }

    /// Words of message `index`.
    pub(super) fn words(&self, index: usize) -> usize {
        match self.stage(index) {
            Stage::First => self.first_words,
            Stage::Fold(factor) => 2 * factor - 2,
            Stage::Last => 2 * self.last,
            Stage::Done => 0,
        }
    }

    /// Words of common randomness that the first verifier's share of message `index` is made of.
    pub(super) fn share_words<E: Extension>(&self, index: usize) -> usize {
        match self.stage(index) {
            Stage::First => self.first_words,
            _ => self.words(index) * E::SHARE_WORDS,
        }
    }

    /// The sum of the degrees of the folds' polynomials, of which a random point must be no root: they add at most this
    /// over the size of the field, less one, to the soundness error.
    #[cfg(test)]
    pub(super) fn degree(&self) -> usize {
        self.factors.iter().map(|k| 2 * k - 2).sum::<usize>() + 2 * self.last
    }
}
