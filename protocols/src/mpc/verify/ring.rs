//! Products modulo 2^64, proved over the integers modulo a random prime.
//!
//! Outputs go into classes of eight. A class has a random weight `w` of 48 bits, and claim `k` adds up, with
//! coefficients 0 and 1, what the polynomial `w(X) * sum over l of X^l * output_l` has at `X^k`: 55 claims of all
//! classes. Over the integers claim `k` says that `S_k - A_k - B_k` is a multiple of 2^64; the first message has the
//! multiples `q_k`. Then a prime is drawn, and with random multipliers the 55 equations make one, modulo the prime.

use chacha20::ChaCha20Rng;
use rand_core::Rng;
use rayon::prelude::*;
use ward_math::lanes::{self, LANES, Lane, Tables};
use ward_math::prime::Prime;

use super::columns::View;
use super::extension::Fp;
use super::outputs::{Outputs, Part, TILE, parts};
use super::plan::Plan;
use super::statement::{Drawn, Statement};
use super::wide::Wide;
use crate::mpc::security::RingProducts;

/// Bits of a class's weight.
pub(super) const WEIGHT_BITS: usize = 48;

/// Claims: coefficients of a weight times eight outputs.
pub(super) const CLAIMS: usize = WEIGHT_BITS + LANES - 1;

/// Bits of the multipliers of the claims: sums of 48 of them are below 2^56.
pub(super) const MULTIPLIER_BITS: u32 = 50;

/// Classes whose outputs are added up from one set of tables.
const BLOCK: usize = lanes::ROW_MAX;

/// Fours of rows of the tables.
const FOURS: usize = BLOCK / 4;

/// Columns of integers to be added up: limbs of the sums of products, and what the second verifier knows.
const COLUMNS: usize = Wide::LIMBS + 1;

/// Many products as one statement.
pub(super) struct RingStatement<'a> {
    parts: Vec<Part<'a>>,
    plan: Plan,
}

/// The weights of the classes, 48 bits each.
pub(super) struct RingWeights(Vec<u64>);

/// The field, and the multipliers of the claims.
pub(super) struct RingTurn {
    prime: Prime,
    multipliers: [u64; CLAIMS],
    /// By bits of a weight, the multipliers of the claims that the eight outputs of a class are in.
    rows: [Lane; WEIGHT_BITS],
}

/// How `terms` products are folded.
pub(super) fn plan(terms: usize) -> Plan {
    Plan::new::<Fp>(Wide::WORDS * CLAIMS, terms)
}

/// Coefficients of the classes' weights for each lane, columns of integers one by one.
type Sums<const N: usize> = [[Lane; WEIGHT_BITS]; N];

impl<'a> RingStatement<'a> {
    /// Outputs of records.
    pub(super) fn new(records: &[(&'a RingProducts, core::ops::Range<usize>)]) -> Self {
        let parts = parts(records);
        let plan = plan(parts.iter().map(|part| part.outputs() * part.arity).sum());
        Self { parts, plan }
    }

    /// Tiles of all parts: the part, its first output in it, and the weights of its classes.
    fn tiles<'s>(&'s self, weights: &'s RingWeights) -> Vec<(&'s Part<'a>, usize, &'s [u64])> {
        let mut rest = &weights.0[..];
        let mut tiles = Vec::new();
        for part in &self.parts {
            let (own, others) = rest.split_at(part.classes().min(rest.len()));
            rest = others;
            let starts = (0..part.outputs()).step_by(TILE);
            tiles.extend(starts.zip(own.chunks(TILE / LANES)).map(|(start, weights)| (part, start, weights)));
        }
        tiles
    }

    /// The claims' sums of `N` columns of integers, of which `fill` writes those of up to a block of outputs.
    fn weigh<const N: usize>(
        &self,
        weights: &RingWeights,
        fill: impl Fn(&Part<'a>, usize, &mut [[Lane; BLOCK]; N], usize) + Sync,
    ) -> [[u128; CLAIMS]; N] {
        let new = || (Box::new([[[0; LANES]; WEIGHT_BITS]; N]), Room::<N>::default());
        let add = |(mut sums, mut room): (Box<Sums<N>>, Room<N>),
                   (part, start, weights): (&Part<'a>, usize, &[u64])| {
            room.turn(weights);
            for (block, weights) in weights.chunks(BLOCK).enumerate() {
                let first = start + block * BLOCK * LANES;
                let count = (part.outputs() - first).min(BLOCK * LANES);
                room.columns.as_flattened_mut().as_flattened_mut().fill(0);
                fill(part, first, &mut room.columns, count);
                room.add(&mut sums, block, weights.len());
            }
            (sums, room)
        };
        let tiles = self.tiles(weights);
        let (sums, _) = tiles.into_par_iter().fold(new, add).reduce(new, |(mut a, room), (b, _)| {
            let b = b.as_flattened().as_flattened();
            a.as_flattened_mut()
                .as_flattened_mut()
                .iter_mut()
                .zip(b)
                .for_each(|(a, b)| *a = a.wrapping_add(*b));
            (a, room)
        });
        let mut claims = [[0; CLAIMS]; N];
        for (claims, sums) in claims.iter_mut().zip(sums.iter()) {
            for (k, lanes) in sums.iter().enumerate() {
                for (claim, sum) in claims[k..].iter_mut().zip(lanes) {
                    *claim += u128::from(*sum);
                }
            }
        }
        claims
    }

    /// `q_k` for each claim: by how many times 2^64 the sum of products exceeds what the verifiers know.
    fn multiples(&self, weights: &RingWeights) -> [Wide; CLAIMS] {
        let sums = self.weigh::<COLUMNS>(weights, |part, first, columns, count| {
            part.products(first, count, |output, sum, known| {
                let (class, lane) = (output / LANES, output % LANES);
                for (column, limb) in columns.iter_mut().zip(sum.limbs()) {
                    column[class][lane] = limb;
                }
                columns[COLUMNS - 1][class][lane] = known;
            });
        });
        core::array::from_fn(|k| {
            let sum = Wide::from_limbs(core::array::from_fn(|limb| sums[limb][k]));
            sum.less_word(sums[COLUMNS - 1][k] as u64).shifted()
        })
    }
}

impl RingTurn {
    /// The weights of the outputs of up to a block of classes, below 2^56.
    fn output_weights(&self, classes: &[u64], room: &mut WeightRoom) {
        let count = classes.len().min(BLOCK);
        let WeightRoom { tables, picks, outputs } = room;
        for (picks, weight) in picks.iter_mut().zip(classes) {
            for (t, pick) in picks.iter_mut().enumerate() {
                *pick = (16 * t) as u8 | ((weight >> (4 * t)) & 15) as u8;
            }
        }
        outputs[..count].as_flattened_mut().fill(0);
        lanes::add_subset_sums(tables, &mut outputs[..count], &self.rows, picks[..count].as_flattened());
    }
}

/// Room for the weights of a block of outputs.
pub(super) struct WeightRoom {
    tables: Tables,
    picks: [[u8; WEIGHT_BITS / 4]; BLOCK],
    outputs: [Lane; BLOCK],
}

impl Default for WeightRoom {
    fn default() -> Self {
        Self { tables: Tables::default(), picks: [[0; WEIGHT_BITS / 4]; BLOCK], outputs: [[0; LANES]; BLOCK] }
    }
}

/// Room for a block of outputs, and for the weights of a tile bit by bit.
struct Room<const N: usize> {
    columns: Box<[[Lane; BLOCK]; N]>,
    bits: Box<[Lane; 64]>,
    tables: Box<Tables>,
    picks: Vec<u8>,
}

impl<const N: usize> Default for Room<N> {
    fn default() -> Self {
        Self {
            columns: Box::new([[[0; LANES]; BLOCK]; N]),
            bits: Box::new([[0; LANES]; 64]),
            tables: Box::default(),
            picks: Vec::with_capacity(WEIGHT_BITS * FOURS),
        }
    }
}

impl<const N: usize> Room<N> {
    /// Takes the weights of a tile: bit `c` of word `k` of a lane is bit `k` of the weight of class `c` of that block.
    fn turn(&mut self, weights: &[u64]) {
        self.bits.as_flattened_mut().fill(0);
        for (block, weights) in weights.chunks(BLOCK).enumerate() {
            for (word, weight) in self.bits.iter_mut().zip(weights) {
                word[block % LANES] = *weight;
            }
        }
        lanes::transpose(&mut self.bits);
    }

    /// Adds the columns of a block of `classes`, weighted.
    fn add(&mut self, sums: &mut Sums<N>, block: usize, classes: usize) {
        let rows = classes.next_multiple_of(4);
        let fours = rows / 4;
        self.picks.clear();
        for word in self.bits.iter().take(WEIGHT_BITS) {
            let word = word[block % LANES];
            self.picks.extend((0..fours).map(|t| (16 * t) as u8 | ((word >> (4 * t)) & 15) as u8));
        }
        for (sums, column) in sums.iter_mut().zip(self.columns.iter()) {
            lanes::add_subset_sums(&mut self.tables, sums, &column[..rows], &self.picks);
        }
    }
}

impl Statement for RingStatement<'_> {
    type Ext = Fp;
    type Weights = RingWeights;
    type Claim = Vec<u64>;
    type Turn = RingTurn;
    type Room = Box<WeightRoom>;

    const LABEL: &'static [u8] = b"ring";

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn weights(&self, rng: &mut ChaCha20Rng) -> RingWeights {
        let classes = self.parts.iter().map(Part::classes).sum();
        RingWeights((0..classes).map(|_| rng.next_u64() >> (64 - WEIGHT_BITS)).collect())
    }

    fn claim(&self, view: View, weights: &RingWeights) -> Vec<u64> {
        let [sums] = self.weigh::<1>(weights, |part, first, [column], count| {
            part.known(view, first, &mut column.as_flattened_mut()[..count]);
        });
        sums.iter().map(|sum| *sum as u64).collect()
    }

    fn first(&self, weights: &RingWeights, share: &[u64]) -> Vec<u64> {
        let multiples = self.multiples(weights);
        let shares = share.chunks_exact(Wide::WORDS).map(Wide::mask);
        multiples.iter().zip(shares).flat_map(|(multiple, share)| multiple.less(&share).words()).collect()
    }

    fn turn(&self, rng: &mut ChaCha20Rng) -> RingTurn {
        let prime = Prime::draw_vartime(|| rng.next_u64());
        let multipliers: [u64; CLAIMS] = core::array::from_fn(|_| rng.next_u64() >> (64 - MULTIPLIER_BITS));
        let rows = core::array::from_fn(|k| core::array::from_fn(|lane| multipliers[k + lane]));
        RingTurn { prime, multipliers, rows }
    }

    fn field(&self, turn: &RingTurn) -> Fp {
        Fp(turn.prime)
    }

    fn combined_claim(
        &self,
        view: View,
        _: &RingWeights,
        turn: &RingTurn,
        claim: &Vec<u64>,
        message: &[u64],
    ) -> u64 {
        let prime = turn.prime;
        let multiples = message.chunks_exact(Wide::WORDS).map(|words| match view {
            View::First => Wide::mask(words),
            View::Second | View::Prover => Wide::read(words),
        });
        let mut sum = 0;
        for ((known, multiple), multiplier) in claim.iter().zip(multiples).zip(&turn.multipliers) {
            let side = prime.add(prime.canonical(*known), prime.grow(multiple.residue(prime)));
            sum = prime.add(sum, prime.mul(side, *multiplier));
        }
        // The vectors' entries are divided by 2^64, each.
        prime.canonical(prime.shrink(u128::from(prime.canonical(prime.shrink(u128::from(sum))))))
    }

    fn elements(&self) -> usize {
        self.parts.iter().map(|part| part.outputs() * part.arity).sum()
    }

    fn entries(
        &self,
        Drawn { view, weights, turn }: &Drawn<RingWeights, RingTurn>,
        start: usize,
        (u, v): (&mut [u64], &mut [u64]),
        room: &mut Box<WeightRoom>,
    ) {
        // The place in `u` and `v`, and the first term of a part and its first class.
        let (mut at, mut first, mut class) = (0, 0, 0);
        for part in &self.parts {
            let terms = part.outputs() * part.arity;
            while at < u.len() && start + at < first + terms {
                let term = start + at - first;
                let from = term / part.arity / LANES;
                let until = ((from + BLOCK) * LANES * part.arity).min(terms);
                let count = (until - term).min(u.len() - at);
                let to = (term + count).div_ceil(part.arity).div_ceil(LANES);
                turn.output_weights(weights.0.get(class + from..class + to).unwrap_or(&[]), room);
                let outputs = Outputs { first: from * LANES, weights: room.outputs.as_flattened() };
                let vectors = (&mut u[at..at + count], &mut v[at..at + count]);
                part.terms(*view, term, &outputs, turn.prime, vectors);
                at += count;
            }
            first += terms;
            class += part.classes();
        }
        u[at..].fill(0);
        v[at..].fill(0);
    }
}
