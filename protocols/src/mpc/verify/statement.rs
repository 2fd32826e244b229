//! What is proved, and the first message of its proof, over base values.

use chacha20::ChaCha20Rng;

use super::columns::View;
use super::extension::Extension;
use super::plan::Plan;

/// A batch of products and the first step of their proof.
///
/// For the prover `P_i` let `X = x_i + x_{i+1}`, `Y = y_i + y_{i+1}`. `P_i` multiplied honestly if for every output
/// `sum(X Y) = (z_i + mask_prev) + (sum(x_{i+1} y_{i+1}) - mask_next)`: the first summand is known to `P_{i-1}`, the
/// second to `P_{i+1}`, and so are the first and the second summands of `X` and `Y`. Values stand in rows of `m`.
/// Weights, random, make one claim of all outputs; the first message has the sums of products of every pair of
/// columns; with it, `m` columns become one, with points as their coefficients, and what is left is the inner product
/// of two vectors over the extension.
pub(super) trait Statement: Sync {
    /// Where the proof works.
    type Ext: Extension;
    /// Random weights of the outputs.
    type Weights: Send + Sync;

    /// Separates challenges of different kinds of statement.
    const LABEL: &'static [u8];

    fn plan(&self) -> &Plan;

    /// Draws the weights.
    fn weights(&self, rng: &mut ChaCha20Rng) -> Self::Weights;

    /// A verifier's share of the weighted sum of the right-hand sides.
    fn claim(&self, view: View, weights: &Self::Weights) -> Element<Self>;

    /// The prover's first message, as words.
    fn cross(&self, weights: &Self::Weights) -> Vec<u64>;

    /// A verifier's share of the claim about the combined columns, from its share of the first message.
    fn combined_claim(
        &self,
        weights: &Self::Weights,
        claim: Element<Self>,
        message: &[u64],
        points: &[Point<Self>],
    ) -> Element<Self>;

    /// The combined columns as this node has them, the right one with the weights in it.
    fn combine(&self, view: View, weights: &Self::Weights, points: &[Point<Self>]) -> [Vector<Self>; 2];
}

pub(super) type Element<S> = <<S as Statement>::Ext as Extension>::Element;
pub(super) type Point<S> = <<S as Statement>::Ext as Extension>::Point;
pub(super) type Vector<S> = <<S as Statement>::Ext as Extension>::Vector;
