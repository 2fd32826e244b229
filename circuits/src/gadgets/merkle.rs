//! [`crate::merkle`] as constraints: at each level three bits, seven selections, one equality, one hash.

use crate::field::Element;
use crate::gadgets::poseidon;
use crate::merkle::{ARITY, ARITY_BITS};
use crate::poseidon::Domain;
use crate::r1cs::{Bit, Builder, Num};

/// The root of a path from `leaf`, whose index has these bits, lowest first. `levels` are the children on the way,
/// as the prover has them.
pub fn root(builder: &mut Builder, leaf: &Num, index: &[Bit], levels: &[[Element; ARITY]]) -> Num {
    let mut current = leaf.clone();
    for (children, bits) in levels.iter().zip(index.chunks(ARITY_BITS)) {
        let children: Vec<Num> = children.iter().map(|&child| builder.witness(child)).collect();
        let chosen = builder.choose(bits, &children);
        builder.enforce_equal(&chosen, &current);
        current = poseidon::hash(builder, Domain::Node, &children);
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gadgets::numbers;
    use crate::merkle::Tree;

    fn satisfied(leaf: Element, index: usize, claimed: Element, tree: &Tree) -> bool {
        let (mut builder, inputs) = Builder::shape(&[claimed, leaf]);
        let path = tree.path(index).unwrap();
        let bits = numbers::index_bits(&mut builder, index, 6);
        let found = root(&mut builder, &inputs[1], &bits, path.levels());
        builder.enforce_equal(&found, &inputs[0]);
        let (matrices, variables) = builder.finish();
        matrices.first_unsatisfied(variables.expose()).is_none()
    }

    #[test]
    fn a_leaf_at_its_place_is_accepted_and_no_other_leaf_or_root() {
        let leaves: Vec<Element> = (1..40u64).map(Element::from).collect();
        let tree = Tree::new(leaves.clone(), 2, Element::from(0u64)).unwrap();
        for index in [0, 7, 8, 38, 63] {
            assert!(satisfied(tree.leaf(index), index, tree.root(), &tree));
            assert!(!satisfied(Element::from(99u64), index, tree.root(), &tree));
            assert!(!satisfied(tree.leaf(index), index, Element::from(1u64), &tree));
        }
    }
}
