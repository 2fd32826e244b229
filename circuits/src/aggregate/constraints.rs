//! The statement as constraints.
//!
//! Each row is 65 bits, of which three rows make an element of the tree; each end of an interval is compared with its
//! column by the 17 bits of their difference plus 2^16, whose highest says which is larger; four products join the
//! comparisons with the row's presence, one takes its value. The count is compared with the floor in the same way, and
//! what is shown of count and sum is multiplied with the generators bit by bit.

use std::sync::LazyLock;

use super::Aggregate;
use super::relation::{
    COLUMN_BITS, COUNT_BITS, Dataset, Predicate, Public, ROW_BITS, SUM_BITS, VALUE_BITS, Witness, depth,
    elements, row_bits,
};
use crate::field::Element;
use crate::gadgets::jubjub::{FixedBase, PointVar};
use crate::gadgets::poseidon;
use crate::merkle::{ARITY, Tree};
use crate::pedersen::{Base, Blinding, Commitment, factor_bits, generator};
use crate::poseidon::Domain;
use crate::r1cs::{Bit, Builder, Num};
use crate::statement::ConstrainedStatement;

impl<const ROWS: usize> ConstrainedStatement for Aggregate<ROWS> {
    const INPUTS: usize = 5;

    /// root, digest of the predicate, floor, coordinates of the commitment.
    fn public_inputs(public: &Public) -> Vec<Element> {
        let [x, y] = public.commitment.coordinates();
        vec![public.root, public.predicate.digest(), Element::from(public.floor), x, y]
    }

    fn synthesize(builder: &mut Builder, inputs: &[Num], public: &Public, witness: &Witness<ROWS>) {
        let [root, predicate, floor, x, y] = inputs else { return };
        let dataset = &witness.dataset;
        builder.part("predicate");
        let ends: Vec<Num> = public
            .predicate
            .intervals
            .iter()
            .flat_map(|&(low, high)| [low, high])
            .map(|end| builder.witness(Element::from(end)))
            .collect();
        let digest = poseidon::hash(builder, Domain::Predicate, &ends);
        builder.enforce_equal(&digest, predicate);
        builder.part("rows");
        let (mut counted, mut summed) = (Num::zero(), Num::zero());
        let mut leaves = Vec::with_capacity(elements(ROWS));
        for at in 0..elements(ROWS) {
            let mut bits = Vec::new();
            for row in dataset.places(at) {
                let row = row_bits(row);
                let own: Vec<Bit> = (0..ROW_BITS).map(|place| builder.bit(row >> place & 1 == 1)).collect();
                let (one, value) = counted_row(builder, &own, &ends);
                counted = &counted + &one;
                summed = &summed + &value;
                bits.extend(own);
            }
            leaves.push(Num::from_bits(&bits));
        }
        builder.part("tree");
        let found = tree_root(builder, leaves, depth(ROWS));
        let salt = builder.witness(dataset.salt);
        let found = poseidon::hash(builder, Domain::Dataset, &[found, salt]);
        builder.enforce_equal(&found, root);
        builder.part("floor");
        let above = builder.constant(Element::from(1u64 << COUNT_BITS));
        let enough = builder.bits(&(&(&counted - floor) + &above), COUNT_BITS + 1);
        let enough = enough[COUNT_BITS].num();
        let shown = [&counted, &summed].map(|num| builder.mul(num, enough));
        builder.part("commitment");
        let found = commitment(builder, &shown, &witness.blinding);
        found.enforce_equal(builder, &PointVar { x: x.clone(), y: y.clone() });
    }

    fn example() -> (Public, Witness<ROWS>) {
        let dataset = Dataset::new(Vec::new(), Element::from(0u64)).expect("no rows are not too many");
        let predicate = Predicate { intervals: [(0, u16::MAX); 2] };
        let blinding = Blinding::zero();
        let commitment = Commitment::new(0, 0, &blinding);
        (Public { root: dataset.root(), predicate, floor: 0, commitment }, Witness { dataset, blinding })
    }
}

/// The commitment to a count and a sum.
fn commitment(builder: &mut Builder, [count, sum]: &[Num; 2], blinding: &Blinding) -> PointVar {
    static BASES: LazyLock<[FixedBase; 3]> = LazyLock::new(|| {
        [Base::Count, Base::Sum, Base::Blinding].map(|base| FixedBase::new(&generator(base)))
    });
    let [of_count, of_sum, of_blinding] = &*BASES;
    let count = builder.bits(count, COUNT_BITS);
    let sum = builder.bits(sum, SUM_BITS);
    let factor = blinding.factor();
    let factor: Vec<Bit> = factor_bits(factor.expose()).into_iter().map(|bit| builder.bit(bit)).collect();
    let (count, sum) = (of_count.times(builder, &count), of_sum.times(builder, &sum));
    let values = count.add(builder, &sum);
    let blinding = of_blinding.times(builder, &factor);
    values.add(builder, &blinding)
}

/// Whether the row is counted, and its value if it is.
fn counted_row(builder: &mut Builder, bits: &[Bit], ends: &[Num]) -> (Num, Num) {
    let (columns, rest) = bits.split_at(2 * COLUMN_BITS);
    let (value, present) = rest.split_at(VALUE_BITS);
    let mut counted = Num::from_bits(present);
    let above = builder.constant(Element::from(1u64 << COLUMN_BITS));
    for (column, ends) in columns.chunks(COLUMN_BITS).zip(ends.chunks(2)) {
        let column = Num::from_bits(column);
        for difference in [&column - &ends[0], &ends[1] - &column] {
            let bits = builder.bits(&(&difference + &above), COLUMN_BITS + 1);
            counted = builder.mul(bits[COLUMN_BITS].num(), &counted);
        }
    }
    let value = builder.mul(&Num::from_bits(value), &counted);
    (counted, value)
}

/// The root of the tree over the leaves; subtrees without leaves are constants.
fn tree_root(builder: &mut Builder, leaves: Vec<Num>, depth: usize) -> Num {
    let mut level = leaves;
    for below in 0..depth {
        let empty = Tree::new(Vec::new(), below, Element::from(0u64))
            .map_or_else(|_| Element::from(0u64), |t| t.root());
        let filler = builder.constant(empty);
        level = level
            .chunks(ARITY)
            .map(|chunk| {
                let mut children = chunk.to_vec();
                children.resize(ARITY, filler.clone());
                poseidon::hash(builder, Domain::Node, &children)
            })
            .collect();
    }
    level.into_iter().next().unwrap_or_else(Num::zero)
}
