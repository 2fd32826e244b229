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
use super::extension::{self, Extension, Kept, Pair, evaluate};
use super::plan::{Plan, Stage};
use super::statement::{Drawn, Statement};

/// What a challenge is expanded from.
pub(super) type Seed = [u8; 32];

/// Elements that mask what is opened at the end, for one verifier's share: of the left value and of the right one.
pub(super) const MASKS: usize = 2;

/// Random words of which a verifier's masks are made, two for each.
pub(super) type MaskWords = [[u64; 2]; MASKS];

/// Elements that a verifier opens: shares of the left value, the right value and the product.
pub(super) const OPENED: usize = 3;

/// The prover's side of a proof.
pub(super) trait Prove {
    /// Number of messages.
    fn messages(&self) -> usize;
    /// Learns the weights.
    fn weigh(&mut self, seed: &Seed);
    /// Message `index`, less the first verifier's share of it, which is made of [`Prove::share_words`].
    fn message(&mut self, index: usize, share: &[u64]) -> Vec<u64>;
    /// Words of message `index`.
    fn words(&self, index: usize) -> usize;
    /// Random words of which the first verifier's share of message `index` is made.
    fn share_words(&self, index: usize) -> usize;
    /// Learns the challenge that follows message `index`.
    fn challenge(&mut self, index: usize, seed: &Seed);
}

/// A verifier's side of a proof.
pub(super) trait Verify {
    /// Learns the weights.
    fn weigh(&mut self, seed: &Seed);
    /// Words that it takes as its share of message `index`: random ones as first verifier, the prover's as second.
    fn words(&self, index: usize) -> usize;
    /// Takes its share of message `index` and the challenge that follows.
    fn challenge(&mut self, index: usize, message: &[u64], seed: &Seed);
    /// Shares of the left value, the right value and the product.
    fn opening(&self) -> Vec<u64>;
    /// True when the other verifier's shares complete a true product.
    fn accepts(&self, opening: &[u64]) -> bool;
}

/// What a node has once there is one claim over a field.
struct Fold<'a, S: Statement> {
    field: S::Ext,
    vectors: Vectors<'a, S>,
    /// The vectors' entries, if the last message had to compute them.
    kept: Option<Kept>,
}

/// The vectors of the claim: computed from the products when they are read, until they are folded.
enum Vectors<'a, S: Statement> {
    Base(&'a S, Drawn<S::Weights, S::Turn>),
    Folded([Vec<u64>; 2]),
}

impl<S: Statement> Pair for Vectors<'_, S> {
    type Room = S::Room;

    fn len(&self) -> usize {
        match self {
            Self::Base(statement, _) => statement.elements(),
            Self::Folded([u, _]) => u.len(),
        }
    }

    fn read(&self, start: usize, (u, v): (&mut [u64], &mut [u64]), room: &mut S::Room) {
        match self {
            Self::Base(statement, drawn) => statement.entries(drawn, start, (u, v), room),
            Self::Folded(vectors) => {
                for (vector, out) in vectors.iter().zip([u, v]) {
                    let values = vector.get(start..).unwrap_or(&[]);
                    let (filled, rest) = out.split_at_mut(values.len().min(out.len()));
                    filled.copy_from_slice(&values[..filled.len()]);
                    rest.fill(0);
                }
            }
        }
    }

    fn vectors(&self) -> Option<&[Vec<u64>; 2]> {
        match self {
            Self::Base(..) => None,
            Self::Folded(vectors) => Some(vectors),
        }
    }
}

/// Prover of `statement`.
pub(super) struct Prover<'a, S: Statement> {
    statement: &'a S,
    masks: [MaskWords; 2],
    weights: Option<S::Weights>,
    fold: Option<Fold<'a, S>>,
}

/// Verifier of `statement`.
pub(super) struct Verifier<'a, S: Statement> {
    statement: &'a S,
    view: View,
    masks: MaskWords,
    weights: Option<S::Weights>,
    claims: S::Claim,
    fold: Option<Fold<'a, S>>,
    claim: u64,
    opening: [u64; OPENED],
}

pub(super) fn generator<S: Statement>(seed: &Seed) -> ChaCha20Rng {
    let digest =
        Sha3_256::new().chain_update(b"ward/mpc/v2/verify/").chain_update(S::LABEL).chain_update(seed);
    ChaCha20Rng::from_seed(digest.finalize().into())
}

/// Coefficients of the last fold's product, lowest first: `(sum of Z^h u_h + Z^k mask_u)` times
/// `(sum of Z^(k-1-h) v_h + Z^k mask_v)`, of which coefficient `k - 1` is the inner product.
pub(super) fn last_products<E: Extension>(field: E, u: &[u64], v: &[u64], masks: [u64; MASKS]) -> Vec<u64> {
    let mut sums = vec![0; 2 * u.len() + 1];
    for (i, a) in u.iter().chain([&masks[0]]).enumerate() {
        for (j, b) in v.iter().rev().chain([&masks[1]]).enumerate() {
            sums[i + j] = field.add(sums[i + j], field.mul(*a, *b));
        }
    }
    sums
}

/// A share of the left value, the right value and the product at the last point.
pub(super) fn last_values<E: Extension>(
    field: E,
    (u, v): (&[u64], &[u64]),
    masks: [u64; MASKS],
    product: &[u64],
    point: u64,
) -> [u64; OPENED] {
    let left: Vec<u64> = u.iter().chain([&masks[0]]).copied().collect();
    let right: Vec<u64> = v.iter().rev().chain([&masks[1]]).copied().collect();
    [&left[..], &right, product].map(|coefficients| evaluate(field, coefficients, point))
}

/// The coefficients of a message with the claim in its place.
fn with_claim(mut message: Vec<u64>, place: usize, claim: u64) -> Vec<u64> {
    message.insert(place.min(message.len()), claim);
    message
}

impl<'a, S: Statement> Fold<'a, S> {
    fn new(statement: &'a S, view: View, weights: S::Weights, turn: S::Turn) -> Self {
        let field = statement.field(&turn);
        Self { field, vectors: Vectors::Base(statement, Drawn { view, weights, turn }), kept: None }
    }

    fn fold(&mut self, factor: usize, point: u64) {
        self.vectors = Vectors::Folded(match self.kept.take() {
            Some(kept) => kept.fold(self.field, point),
            None => extension::fold(self.field, &self.vectors, factor, point),
        });
    }

    /// The elements that are left for the last fold.
    fn last(&self, count: usize) -> [Vec<u64>; 2] {
        let [mut u, mut v] = [(); 2].map(|()| vec![0; count]);
        self.vectors.read(0, (&mut u, &mut v), &mut S::Room::default());
        for word in u.iter_mut().chain(&mut v) {
            *word = self.field.read(*word);
        }
        [u, v]
    }

    fn masks(&self, words: &MaskWords) -> [u64; MASKS] {
        words.each_ref().map(|words| self.field.uniform(words))
    }
}

impl<'a, S: Statement> Prover<'a, S> {
    /// With both verifiers' masks.
    pub(super) fn new(statement: &'a S, masks: [MaskWords; 2]) -> Self {
        Self { statement, masks, weights: None, fold: None }
    }

    fn plan(&self) -> &'a Plan {
        self.statement.plan()
    }
}

impl<S: Statement> Fold<'_, S> {
    /// The prover's message at this stage, whole.
    fn coefficients(&mut self, stage: Stage, masks: &[MaskWords; 2], last: usize) -> Vec<u64> {
        let field = self.field;
        let (mut coefficients, place) = match stage {
            Stage::Fold(factor) => {
                let (coefficients, kept) = extension::products(field, &self.vectors, factor);
                self.kept = kept;
                (coefficients, factor - 1)
            }
            Stage::Last => {
                let ([u, v], [first, second]) =
                    (self.last(last), masks.each_ref().map(|words| self.masks(words)));
                let masks = core::array::from_fn(|i| field.add(first[i], second[i]));
                (last_products(field, &u, &v, masks), last.saturating_sub(1))
            }
            Stage::First | Stage::Done => return Vec::new(),
        };
        coefficients.remove(place);
        coefficients
    }
}

impl<S: Statement> Prove for Prover<'_, S> {
    fn messages(&self) -> usize {
        self.plan().messages()
    }

    fn weigh(&mut self, seed: &Seed) {
        let mut rng = generator::<S>(seed);
        let weights = self.statement.weights(&mut rng);
        if self.plan().stage(0) != Stage::First {
            let turn = self.statement.turn(&mut rng);
            self.fold = Some(Fold::new(self.statement, View::Prover, weights, turn));
            return;
        }
        self.weights = Some(weights);
    }

    fn message(&mut self, index: usize, share: &[u64]) -> Vec<u64> {
        let (plan, masks) = (self.plan(), &self.masks);
        match (plan.stage(index), &self.weights, &mut self.fold) {
            (Stage::First, Some(weights), _) => self.statement.first(weights, share),
            (stage, _, Some(fold)) => {
                let coefficients = fold.coefficients(stage, masks, plan.last);
                let shares = share.chunks_exact(S::Ext::SHARE_WORDS).map(|words| fold.field.uniform(words));
                coefficients.into_iter().zip(shares).map(|(c, share)| fold.field.sub(c, share)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn words(&self, index: usize) -> usize {
        self.plan().words(index)
    }

    fn share_words(&self, index: usize) -> usize {
        self.plan().share_words::<S::Ext>(index)
    }

    fn challenge(&mut self, index: usize, seed: &Seed) {
        let mut rng = generator::<S>(seed);
        match (self.plan().stage(index), self.weights.take(), &mut self.fold) {
            (Stage::First, Some(weights), _) => {
                let turn = self.statement.turn(&mut rng);
                self.fold = Some(Fold::new(self.statement, View::Prover, weights, turn));
            }
            (Stage::Fold(factor), _, Some(fold)) => fold.fold(factor, fold.field.point(&mut rng)),
            _ => {}
        }
    }
}

impl<'a, S: Statement> Verifier<'a, S> {
    /// With its own masks.
    pub(super) fn new(statement: &'a S, view: View, masks: MaskWords) -> Self {
        let opening = [0; OPENED];
        let claims = S::Claim::default();
        Self { statement, view, masks, weights: None, claims, fold: None, claim: 0, opening }
    }

    /// Makes one claim of all, from the share of the first message.
    fn turn(&mut self, message: &[u64], rng: &mut ChaCha20Rng) {
        if let Some(weights) = self.weights.take() {
            let turn = self.statement.turn(rng);
            self.claim = self.statement.combined_claim(self.view, &weights, &turn, &self.claims, message);
            self.fold = Some(Fold::new(self.statement, self.view, weights, turn));
        }
    }

    /// Its share of a message after the first.
    fn share(&self, field: S::Ext, message: &[u64]) -> Vec<u64> {
        match self.view {
            View::First => {
                message.chunks_exact(S::Ext::SHARE_WORDS).map(|words| field.uniform(words)).collect()
            }
            View::Second | View::Prover => message.iter().map(|word| field.read(*word)).collect(),
        }
    }
}

impl<S: Statement> Verify for Verifier<'_, S> {
    fn weigh(&mut self, seed: &Seed) {
        let mut rng = generator::<S>(seed);
        let weights = self.statement.weights(&mut rng);
        self.claims = self.statement.claim(self.view, &weights);
        self.weights = Some(weights);
        if self.statement.plan().stage(0) != Stage::First {
            self.turn(&[], &mut rng);
        }
    }

    fn words(&self, index: usize) -> usize {
        let plan = self.statement.plan();
        match self.view {
            View::First => plan.share_words::<S::Ext>(index),
            View::Second | View::Prover => plan.words(index),
        }
    }

    fn challenge(&mut self, index: usize, message: &[u64], seed: &Seed) {
        let mut rng = generator::<S>(seed);
        let stage = self.statement.plan().stage(index);
        if stage == Stage::First {
            return self.turn(message, &mut rng);
        }
        let Some(field) = self.fold.as_ref().map(|fold| fold.field) else { return };
        let share = self.share(field, message);
        let Some(fold) = &mut self.fold else { return };
        match stage {
            Stage::Fold(factor) => {
                let point = field.point(&mut rng);
                self.claim = evaluate(field, &with_claim(share, factor - 1, self.claim), point);
                fold.fold(factor, point);
            }
            Stage::Last => {
                let last = self.statement.plan().last;
                let ([u, v], masks) = (fold.last(last), fold.masks(&self.masks));
                let product = with_claim(share, last.saturating_sub(1), self.claim);
                self.opening = last_values(field, (&u, &v), masks, &product, field.unit(&mut rng));
            }
            Stage::First | Stage::Done => {}
        }
    }

    fn opening(&self) -> Vec<u64> {
        self.opening.to_vec()
    }

    fn accepts(&self, opening: &[u64]) -> bool {
        let (Some(fold), Ok(other)) = (&self.fold, <[u64; OPENED]>::try_from(opening)) else { return false };
        let field = fold.field;
        let [left, right, product] =
            core::array::from_fn(|i| field.add(self.opening[i], field.read(other[i])));
        field.mul(left, right) == product
    }
}
