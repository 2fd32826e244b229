//! What is proved, and the first message of its proof, over base values.

use chacha20::ChaCha20Rng;

use super::columns::View;
use super::extension::Extension;
use super::plan::Plan;

/// Who looks at the entries of a claim's vectors, and what was drawn for them.
pub(super) struct Drawn<W, T> {
    pub view: View,
    pub weights: W,
    pub turn: T,
}

/// A batch of products and the first step of their proof.
///
/// For the prover `P_i` let `X = x_i + x_{i+1}`, `Y = y_i + y_{i+1}`. `P_i` multiplied honestly if for every output
/// `sum(X Y) = (z_i + mask_prev) + (sum(x_{i+1} y_{i+1}) - mask_next)`: the first summand is known to `P_{i-1}`, the
/// second to `P_{i+1}`, and so are the first and the second summands of `X` and `Y`. Weights, random, make few claims
/// of all outputs; after the first message and a random choice they are one claim over a field, about the inner
/// product of two vectors of which the verifiers hold additive shares.
pub(super) trait Statement: Sync {
    /// Where the proof works.
    type Ext: Extension;
    /// Random weights of the outputs.
    type Weights: Send + Sync;
    /// A verifier's share of the weighted right-hand sides.
    type Claim: Default + Send;
    /// What is drawn after the first message, the field with it.
    type Turn: Send + Sync;
    /// Room for the computation of entries, reused.
    type Room: Default + Send;

    /// Separates challenges of different kinds of statement.
    const LABEL: &'static [u8];

    fn plan(&self) -> &Plan;

    /// Draws the weights.
    fn weights(&self, rng: &mut ChaCha20Rng) -> Self::Weights;

    /// A verifier's share of the weighted sums of the right-hand sides.
    fn claim(&self, view: View, weights: &Self::Weights) -> Self::Claim;

    /// The prover's first message, less the first verifier's share of it, which is made of as many random words.
    fn first(&self, weights: &Self::Weights, share: &[u64]) -> Vec<u64>;

    /// Draws what follows the first message; where there is none, draws nothing.
    fn turn(&self, rng: &mut ChaCha20Rng) -> Self::Turn;

    fn field(&self, turn: &Self::Turn) -> Self::Ext;

    /// A verifier's share of the one claim, from its share of the first message.
    fn combined_claim(
        &self,
        view: View,
        weights: &Self::Weights,
        turn: &Self::Turn,
        claim: &Self::Claim,
        message: &[u64],
    ) -> u64;

    /// Elements of each of the two vectors.
    fn elements(&self) -> usize;

    /// Writes the vectors' elements from `start` on as this node has them, the right ones with the weights in them, and
    /// zeros beyond the end.
    fn entries(
        &self,
        drawn: &Drawn<Self::Weights, Self::Turn>,
        start: usize,
        vectors: (&mut [u64], &mut [u64]),
        room: &mut Self::Room,
    );
}
