//! The criteria as constraints.
//!
//! For each clause the prover points at a slot (and at its upper neighbour), at an interval of an opened set, and says
//! whether the clause holds. If it does, two distances must lie in [0, 2^64):
//!
//! | test | first distance | second distance |
//! |---|---|---|
//! | within [l, h] | v - l | h - v |
//! | none within, v and w neighbours in a complete list | l - 1 - v | w - h - 1 |
//! | outside, below | l - 1 - v | v |
//! | outside, above | v - h - 1 | 2^64 - 1 - v |
//!
//! Numbers of slots lie in [-1, 2^64] by the issuer's signature and bounds in [0, 2^64) by who computes the digest, so
//! that no distance wraps around the field. A clause that does not hold is not shown to be false: criteria are
//! monotone, and a prover gains nothing from it.

use ark_ff::One;

use super::Witness;
use super::encoding::{self, Encoded, HEADER_BITS, SLOT_BITS};
use super::relation::{Choice, choose};
use super::set::{CodeSet, INTERVALS_PER_LEAF, SET_DEPTH};
use super::types::{CLAUSES_MAX, Clause, Criteria, SET_CLAUSES_MAX};
use crate::field::Element;
use crate::gadgets::numbers::{index_bits, or, range_if};
use crate::gadgets::{merkle, poseidon};
use crate::merkle::ARITY_BITS;
use crate::poseidon::Domain;
use crate::r1cs::{Bit, Builder, Num};

/// Bits of the number of an opened set.
const OPENING_BITS: usize = 2;

/// Bits of a slot's number.
const VALUE_BITS: usize = 64;

/// The slots, and for each its upper neighbour in a complete list, or -1 where it has none.
pub(super) struct SlotVars {
    pub slots: Vec<Num>,
    pub neighbours: Vec<Num>,
}

/// An interval opened from the tree of a set.
struct OpenedSet {
    root: Num,
    low: Num,
    high: Num,
}

/// One clause with what the prover points at.
struct Claim {
    encoded: Encoded,
    choice: Option<Choice>,
    /// Which of the opened sets is the clause's.
    opening: usize,
}

fn claims(criteria: &Criteria, witness: &Witness) -> Vec<Claim> {
    let clauses: Vec<&Clause> = criteria.clauses().collect();
    let mut sets = 0;
    encoding::encode(criteria)
        .into_iter()
        .enumerate()
        .map(|(at, encoded)| {
            let opening = sets;
            sets += usize::from(encoded.set.is_some());
            let choice = clauses.get(at).and_then(|clause| choose(clause, witness));
            Claim { encoded, choice, opening: opening.min(SET_CLAUSES_MAX - 1) }
        })
        .collect()
}

/// Requires the criteria to hold, and returns their digest.
pub(super) fn enforce(
    builder: &mut Builder,
    criteria: &Criteria,
    witness: &Witness,
    slots: &SlotVars,
) -> Num {
    let claims = claims(criteria, witness);
    builder.part("sets");
    let openings = open_sets(builder, &claims);
    builder.part("criteria digest");
    let bounds: Vec<Num> =
        claims.iter().flat_map(|claim| claim.encoded.bounds).map(|bound| builder.witness(bound)).collect();
    let headers: Vec<Bit> =
        claims.iter().flat_map(|claim| claim.encoded.header).map(|bit| builder.bit(bit)).collect();
    let mut inputs = bounds.clone();
    inputs.push(Num::from_bits(&headers));
    let digest = poseidon::hash(builder, Domain::Criteria, &inputs);
    builder.part("clauses");
    let mut any = Num::zero();
    for (at, claim) in claims.iter().enumerate() {
        let vars = ClauseVars {
            bounds: &bounds[2 * at..2 * at + 2],
            header: &headers[HEADER_BITS * at..HEADER_BITS * (at + 1)],
        };
        let holds = clause(builder, claim, &vars, slots, &openings);
        any = or(builder, &any, holds.num());
        let ends = vars.header[HEADER_BITS - 1].num();
        let lacking = &builder.constant(Element::one()) - &any;
        builder.enforce(ends, &lacking, &Num::zero());
        // Where a group ends, `any` is one: the difference starts the next group at zero.
        any = &any - ends;
    }
    debug_assert_eq!(claims.len(), CLAUSES_MAX);
    digest
}

fn open_sets(builder: &mut Builder, claims: &[Claim]) -> Vec<OpenedSet> {
    let none = CodeSet::none();
    let mut sets = claims.iter().filter_map(|claim| {
        let set = claim.encoded.set.as_ref()?;
        Some((set.clone(), claim.choice.map_or(0, |choice| choice.interval)))
    });
    (0..SET_CLAUSES_MAX)
        .map(|_| {
            let (set, interval) = sets.next().unwrap_or_else(|| (none.clone(), 0));
            open_set(builder, &set, interval)
        })
        .collect()
}

fn open_set(builder: &mut Builder, set: &CodeSet, interval: usize) -> OpenedSet {
    let opening = set.open(interval);
    let ends: Vec<Num> = opening.leaf.iter().map(|&end| builder.witness(end)).collect();
    let leaf = poseidon::hash(builder, Domain::Intervals, &ends);
    let index = index_bits(builder, opening.path.index(), ARITY_BITS * SET_DEPTH);
    let root = merkle::root(builder, &leaf, &index, opening.path.levels());
    let place = index_bits(builder, opening.place, INTERVALS_PER_LEAF.ilog2() as usize);
    let mut of = |end: usize| {
        let choices: Vec<Num> = ends.iter().skip(end).step_by(2).cloned().collect();
        builder.choose(&place, &choices)
    };
    OpenedSet { root, low: of(0), high: of(1) }
}

/// The public side of a clause.
struct ClauseVars<'a> {
    bounds: &'a [Num],
    header: &'a [Bit],
}

/// One clause: returns the bit of whether it holds, which the prover may set only if it does.
fn clause(
    builder: &mut Builder,
    claim: &Claim,
    vars: &ClauseVars<'_>,
    slots: &SlotVars,
    openings: &[OpenedSet],
) -> Bit {
    let choice = claim.choice.unwrap_or(Choice { slot: 0, is_above: false, interval: 0 });
    let holds = builder.bit(claim.choice.is_some());
    let (first, last) = (&vars.header[..SLOT_BITS], &vars.header[SLOT_BITS..2 * SLOT_BITS]);
    let [none, outside, set] = [0, 1, 2].map(|flag| &vars.header[2 * SLOT_BITS + flag]);

    // The slot lies in the run; of a none-of clause, so does the next.
    let index = index_bits(builder, choice.slot, SLOT_BITS);
    let slot = Num::from_bits(&index);
    range_if(builder, holds.num(), &(&slot - &Num::from_bits(first)), SLOT_BITS);
    let room = &(&Num::from_bits(last) - none.num()) - &slot;
    range_if(builder, holds.num(), &room, SLOT_BITS);
    let value = builder.choose(&index, &slots.slots);
    let neighbour = builder.choose(&index, &slots.neighbours);

    let (low, high) = ends(builder, claim.opening, vars, set, openings);
    let is_above = builder.bit(choice.is_above);
    let above = builder.mul(outside.num(), is_above.num());
    let below = outside.num() - &above;
    let one = builder.constant(Element::one());
    let two = Element::from(2u64);
    let max = builder.constant(Element::from(u64::MAX));

    // First distance: v - l, and from there to l - 1 - v or to v - h - 1.
    let reversed = &(&(&low * two) - &one) - &(&value * two);
    let to_reversed = builder.mul(&reversed, &(none.num() + &below));
    let to_above = builder.mul(&(&(&low - &high) - &one), &above);
    let from_low = &(&(&value - &low) + &to_reversed) + &to_above;
    range_if(builder, holds.num(), &from_low, VALUE_BITS);

    // Second distance: h - v, and from there to w - h - 1, to v, or to 2^64 - 1 - v.
    let to_neighbour = builder.mul(&(&(&(&neighbour - &(&high * two)) - &one) + &value), none.num());
    let to_value = builder.mul(&(&(&value * two) - &high), &below);
    let to_max = builder.mul(&(&max - &high), &above);
    let to_high = &(&(&high - &value) + &to_neighbour) + &(&to_value + &to_max);
    range_if(builder, holds.num(), &to_high, VALUE_BITS);
    holds
}

/// The ends of the clause's interval: its bounds, or those of an opened set whose root its first bound is.
fn ends(
    builder: &mut Builder,
    opening: usize,
    vars: &ClauseVars<'_>,
    set: &Bit,
    openings: &[OpenedSet],
) -> (Num, Num) {
    let number = index_bits(builder, opening, OPENING_BITS);
    let mut of = |part: fn(&OpenedSet) -> &Num| {
        let choices: Vec<Num> = openings.iter().map(|opened| part(opened).clone()).collect();
        builder.choose(&number, &choices)
    };
    let (root, low, high) = (of(|set| &set.root), of(|set| &set.low), of(|set| &set.high));
    builder.enforce(&(&root - &vars.bounds[0]), set.num(), &Num::zero());
    (builder.select(set, &vars.bounds[0], &low), builder.select(set, &vars.bounds[1], &high))
}

/// The neighbours of the slots: slot i + 1 where bit i of `complete` is set, -1 elsewhere.
pub(super) fn neighbours(builder: &mut Builder, slots: &[Num], complete: &[Bit]) -> Vec<Num> {
    let before = builder.constant(-Element::one());
    let mut neighbours: Vec<Num> = complete
        .iter()
        .zip(slots.iter().skip(1))
        .map(|(joined, next)| builder.select(joined, &before, next))
        .collect();
    neighbours.push(before);
    debug_assert_eq!(neighbours.len(), slots.len());
    neighbours
}
