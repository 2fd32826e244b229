//! Prover and verifiers of one statement, as plain functions: what to send, what a challenge changes, what to open.
//!
//! Message by message, vectors `u` and `v` with the claim `<u, v> = c` become shorter: the prover sends the
//! coefficients of `(sum of Z^h u_h) (sum of Z^(k-1-h) v_h)`, whose middle one is the claim, and a random point makes
//! one part of `k`. The last fold has a random element more on both sides, so that the values at the last point can
//! be shown. Verifiers hold additive shares of the vectors, of the claim and of every message.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use sha3::{Digest, Sha3_256};

use super::columns::View;
use super::extension::{Extension, Order, evaluate, read_all};
use super::plan::{Plan, Stage};
use super::statement::{Element, Point, Statement, Vector};

/// What a challenge is expanded from.
pub(super) type Seed = [u8; 32];

/// Elements that mask what is opened at the end, for one verifier's share: of the left value and of the right one.
pub(super) const MASKS: usize = 2;

/// Elements that a verifier opens: shares of the left value, the right value and the product.
pub(super) const OPENED: usize = 3;

/// The prover's side of a proof.
pub(super) trait Prove {
    /// Number of messages.
    fn messages(&self) -> usize;
    /// Learns the weights.
    fn weigh(&mut self, seed: &Seed);
    /// Message `index`, less the first verifier's share of it.
    fn message(&self, index: usize, share: &[u64]) -> Vec<u64>;
    /// Words of message `index`.
    fn words(&self, index: usize) -> usize;
    /// Learns the challenge that follows message `index`.
    fn challenge(&mut self, index: usize, seed: &Seed);
}

/// A verifier's side of a proof.
pub(super) trait Verify {
    /// Learns the weights.
    fn weigh(&mut self, seed: &Seed);
    /// Words of message `index`.
    fn words(&self, index: usize) -> usize;
    /// Takes its share of message `index` and the challenge that follows.
    fn challenge(&mut self, index: usize, message: &[u64], seed: &Seed);
    /// Shares of the left value, the right value and the product, as words.
    fn opening(&self) -> Vec<u64>;
    /// True when the other verifier's shares complete a true product.
    fn accepts(&self, opening: &[u64]) -> bool;
}

/// Prover of `statement`.
pub(super) struct Prover<'a, S: Statement> {
    statement: &'a S,
    masks: [Element<S>; MASKS],
    weights: Option<S::Weights>,
    vectors: Option<[Vector<S>; 2]>,
}

/// Verifier of `statement`.
pub(super) struct Verifier<'a, S: Statement> {
    statement: &'a S,
    view: View,
    masks: [Element<S>; MASKS],
    weights: Option<S::Weights>,
    claim: Element<S>,
    vectors: Option<[Vector<S>; 2]>,
    opening: [Element<S>; OPENED],
}

pub(super) fn generator<S: Statement>(seed: &Seed) -> ChaCha20Rng {
    let digest =
        Sha3_256::new().chain_update(b"ward/mpc/v1/verify/").chain_update(S::LABEL).chain_update(seed);
    ChaCha20Rng::from_seed(digest.finalize().into())
}

/// The points that combine the columns of a row; the first is one.
fn row_points<S: Statement>(row: usize, seed: &Seed, one: Point<S>) -> Vec<Point<S>> {
    let mut rng = generator::<S>(seed);
    let rest = (1..row).map(|_| S::Ext::point(&mut rng));
    core::iter::once(one).chain(rest).collect()
}

/// Coefficients of the last fold's product, lowest first: `(sum of Z^h u_h + Z^k mask_u)` times
/// `(sum of Z^(k-1-h) v_h + Z^k mask_v)`, of which coefficient `k - 1` is the inner product.
pub(super) fn last_products<E: Extension>(
    u: &[E::Element],
    v: &[E::Element],
    masks: &[E::Element; MASKS],
) -> Vec<E::Element> {
    let mut sums = vec![E::zero(); 2 * u.len() + 1];
    for (i, a) in u.iter().chain([&masks[0]]).enumerate() {
        for (j, b) in v.iter().rev().chain([&masks[1]]).enumerate() {
            sums[i + j] = E::add(&sums[i + j], &E::mul(a, b));
        }
    }
    sums
}

/// A share of the left value, the right value and the product at the last point.
pub(super) fn last_values<E: Extension>(
    (u, v): (&[E::Element], &[E::Element]),
    masks: &[E::Element; MASKS],
    message: &[E::Element],
    claim: E::Element,
    point: E::Point,
) -> [E::Element; OPENED] {
    let left: Vec<E::Element> = u.iter().chain([&masks[0]]).copied().collect();
    let right: Vec<E::Element> = v.iter().rev().chain([&masks[1]]).copied().collect();
    let product = with_claim(message, u.len().saturating_sub(1), claim);
    [evaluate::<E>(&left, point), evaluate::<E>(&right, point), evaluate::<E>(&product, point)]
}

/// The coefficients of a message with the claim in its place.
fn with_claim<T: Copy>(message: &[T], place: usize, claim: T) -> Vec<T> {
    let (below, above) = message.split_at(place.min(message.len()));
    below.iter().chain([&claim]).chain(above).copied().collect()
}

fn words_but<E: Extension>(elements: &[E::Element], place: usize) -> Vec<u64> {
    let mut words = Vec::with_capacity(elements.len() * E::WORDS);
    for (_, element) in elements.iter().enumerate().filter(|(i, _)| *i != place) {
        E::write(element, &mut words);
    }
    words
}

impl<'a, S: Statement> Prover<'a, S> {
    /// With the sums of both verifiers' masks.
    pub(super) fn new(statement: &'a S, masks: [Element<S>; MASKS]) -> Self {
        Self { statement, masks, weights: None, vectors: None }
    }

    fn plan(&self) -> &Plan {
        self.statement.plan()
    }
}

impl<S: Statement> Prove for Prover<'_, S> {
    fn messages(&self) -> usize {
        self.plan().messages()
    }

    fn weigh(&mut self, seed: &Seed) {
        let weights = self.statement.weights(&mut generator::<S>(seed));
        if self.plan().row == 1 {
            self.vectors = Some(self.statement.combine(View::Prover, &weights, &[S::Ext::one()]));
        }
        self.weights = Some(weights);
    }

    fn message(&self, index: usize, share: &[u64]) -> Vec<u64> {
        let mut words = match (self.plan().stage(index), &self.weights, &self.vectors) {
            (Stage::Cross, Some(weights), _) => self.statement.cross(weights),
            (Stage::Fold(factor), _, Some([u, v])) => {
                words_but::<S::Ext>(&S::Ext::products(u, v, factor), factor - 1)
            }
            (Stage::Last, _, Some([u, v])) => {
                let last = self.plan().last;
                let (u, v) = (S::Ext::elements(u, last), S::Ext::elements(v, last));
                words_but::<S::Ext>(&last_products::<S::Ext>(&u, &v, &self.masks), last - 1)
            }
            _ => Vec::new(),
        };
        words.iter_mut().zip(share).for_each(|(word, share)| *word = S::Ext::sub_words(*word, *share));
        words
    }

    fn words(&self, index: usize) -> usize {
        self.plan().words::<S::Ext>(index)
    }

    fn challenge(&mut self, index: usize, seed: &Seed) {
        match (self.plan().stage(index), &self.weights) {
            (Stage::Cross, Some(weights)) => {
                let points = row_points::<S>(self.plan().row, seed, S::Ext::one());
                self.vectors = Some(self.statement.combine(View::Prover, weights, &points));
            }
            (Stage::Fold(factor), _) => fold::<S>(&mut self.vectors, factor, seed),
            _ => {}
        }
    }
}

fn fold<S: Statement>(vectors: &mut Option<[Vector<S>; 2]>, factor: usize, seed: &Seed) {
    let point = S::Ext::point(&mut generator::<S>(seed));
    if let Some([u, v]) = vectors {
        S::Ext::fold(u, factor, point, Order::Forwards);
        S::Ext::fold(v, factor, point, Order::Backwards);
    }
}

impl<'a, S: Statement> Verifier<'a, S> {
    /// With its own masks.
    pub(super) fn new(statement: &'a S, view: View, masks: [Element<S>; MASKS]) -> Self {
        let zero = S::Ext::zero();
        Self { statement, view, masks, weights: None, claim: zero, vectors: None, opening: [zero; OPENED] }
    }
}

impl<S: Statement> Verify for Verifier<'_, S> {
    fn weigh(&mut self, seed: &Seed) {
        let weights = self.statement.weights(&mut generator::<S>(seed));
        self.claim = self.statement.claim(self.view, &weights);
        if self.statement.plan().row == 1 {
            self.vectors = Some(self.statement.combine(self.view, &weights, &[S::Ext::one()]));
        }
        self.weights = Some(weights);
    }

    fn words(&self, index: usize) -> usize {
        self.statement.plan().words::<S::Ext>(index)
    }

    fn challenge(&mut self, index: usize, message: &[u64], seed: &Seed) {
        let plan = self.statement.plan();
        match (plan.stage(index), &self.weights, &self.vectors) {
            (Stage::Cross, Some(weights), _) => {
                let points = row_points::<S>(plan.row, seed, S::Ext::one());
                self.claim = self.statement.combined_claim(weights, self.claim, message, &points);
                self.vectors = Some(self.statement.combine(self.view, weights, &points));
            }
            (Stage::Fold(factor), ..) => {
                let coefficients = with_claim(&read_all::<S::Ext>(message), factor - 1, self.claim);
                let point = S::Ext::point(&mut generator::<S>(seed));
                self.claim = evaluate::<S::Ext>(&coefficients, point);
                fold::<S>(&mut self.vectors, factor, seed);
            }
            (Stage::Last, _, Some([u, v])) => {
                let (u, v) = (S::Ext::elements(u, plan.last), S::Ext::elements(v, plan.last));
                let point = S::Ext::unit(&mut generator::<S>(seed));
                let message = read_all::<S::Ext>(message);
                self.opening = last_values::<S::Ext>((&u, &v), &self.masks, &message, self.claim, point);
            }
            _ => {}
        }
    }

    fn opening(&self) -> Vec<u64> {
        words_but::<S::Ext>(&self.opening, self.opening.len())
    }

    fn accepts(&self, opening: &[u64]) -> bool {
        let other = read_all::<S::Ext>(opening);
        let [left, right, product] = core::array::from_fn(|i| {
            S::Ext::add(&self.opening[i], &other.get(i).copied().unwrap_or_else(S::Ext::zero))
        });
        S::Ext::mul(&left, &right) == product && other.len() == self.opening.len()
    }
}
