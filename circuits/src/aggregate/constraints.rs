//! The statement as constraints.
//!
//! Each row is 65 bits, of which three rows make an element of the tree; each end of an interval is compared with its
//! column by the 17 bits of their difference plus 2^16, whose highest says which is larger; four products join the
//! comparisons with the row's presence, one takes its value.

use super::Aggregate;
use super::relation::{
    COLUMN_BITS, Dataset, Predicate, Public, ROW_BITS, VALUE_BITS, depth, elements, row_bits,
};
use crate::field::Element;
use crate::gadgets::poseidon;
use crate::merkle::{ARITY, Tree};
use crate::poseidon::Domain;
use crate::r1cs::{Bit, Builder, Num};
use crate::statement::ConstrainedStatement;

impl<const ROWS: usize> ConstrainedStatement for Aggregate<ROWS> {
    const INPUTS: usize = 4;

    /// root, digest of the predicate, count, sum.
    fn public_inputs(public: &Public) -> Vec<Element> {
        vec![public.root, public.predicate.digest(), Element::from(public.count), Element::from(public.sum)]
    }

    fn synthesize(builder: &mut Builder, inputs: &[Num], public: &Public, dataset: &Dataset<ROWS>) {
        let [root, predicate, count, sum] = inputs else { return };
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
        builder.enforce_equal(&counted, count);
        builder.enforce_equal(&summed, sum);
        builder.part("tree");
        let found = tree_root(builder, leaves, depth(ROWS));
        builder.enforce_equal(&found, root);
    }

    fn example() -> (Public, Dataset<ROWS>) {
        let dataset = Dataset::new(Vec::new()).expect("no rows are not too many");
        let predicate = Predicate { intervals: [(0, u16::MAX); 2] };
        (Public { root: dataset.root(), predicate, count: 0, sum: 0 }, dataset)
    }
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
