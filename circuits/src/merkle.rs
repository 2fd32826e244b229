//! Trees of Poseidon hashes with eight children to a node.
//!
//! A tree has a fixed depth; leaves that are not there are [`Tree`]'s padding. An inner node is the hash of its
//! eight children under [`Domain::Node`]; a leaf is what its use says.

use crate::field::Element;
use crate::poseidon::{self, Domain};

/// Children of a node.
pub const ARITY: usize = 8;

/// Bits of an index that one level resolves.
pub const ARITY_BITS: usize = 3;

/// The hash of eight children.
#[must_use]
pub fn node(children: &[Element; ARITY]) -> Element {
    poseidon::hash(Domain::Node, children)
}

/// The children of every node on the way from a leaf to the root, lowest level first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    index: usize,
    levels: Vec<[Element; ARITY]>,
}

impl Path {
    /// A path from its parts.
    #[must_use]
    pub fn from_parts(index: usize, levels: Vec<[Element; ARITY]>) -> Self {
        Self { index, levels }
    }

    /// The index of the leaf.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The children at each level.
    #[must_use]
    pub fn levels(&self) -> &[[Element; ARITY]] {
        &self.levels
    }

    /// The root to which the path leads from `leaf`, or nothing when it does not contain it, or when a level is not
    /// the hash of the one below, or the index is beyond the tree.
    #[must_use]
    pub fn root(&self, leaf: &Element) -> Option<Element> {
        let mut current = *leaf;
        let mut index = self.index;
        for children in &self.levels {
            if children[index % ARITY] != current {
                return None;
            }
            current = node(children);
            index /= ARITY;
        }
        (index == 0).then_some(current)
    }
}

/// A tree with all its nodes.
#[derive(Clone, Debug)]
pub struct Tree {
    depth: usize,
    padding: Vec<Element>,
    /// Level 0 holds the leaves; each level without the padding at its end.
    levels: Vec<Vec<Element>>,
}

impl Tree {
    /// The tree over `leaves`, filled up with `padding` to `8^depth`.
    ///
    /// # Errors
    /// The number of leaves for which there is room, when there are more.
    pub fn new(leaves: Vec<Element>, depth: usize, padding: Element) -> Result<Self, usize> {
        let room = ARITY.pow(u32::try_from(depth).unwrap_or(u32::MAX).min(20));
        if leaves.len() > room {
            return Err(room);
        }
        let mut paddings = vec![padding];
        let mut levels = vec![leaves];
        for level in 0..depth {
            let filler = paddings[level];
            let nodes = levels[level].chunks(ARITY).map(|chunk| node(&Self::filled(chunk, filler))).collect();
            levels.push(nodes);
            paddings.push(node(&[filler; ARITY]));
        }
        Ok(Self { depth, padding: paddings, levels })
    }

    fn filled(chunk: &[Element], filler: Element) -> [Element; ARITY] {
        std::array::from_fn(|at| chunk.get(at).copied().unwrap_or(filler))
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Element {
        self.levels[self.depth].first().copied().unwrap_or(self.padding[self.depth])
    }

    /// Puts leaves in their places, where the old ones were or beyond the last; makes only the nodes above them anew.
    /// The last of two leaves for one place counts.
    ///
    /// # Errors
    /// The number of leaves for which there is room, when a place is beyond it; nothing has changed then.
    pub fn update(&mut self, leaves: &[(usize, Element)]) -> Result<(), usize> {
        let room = ARITY.pow(u32::try_from(self.depth).unwrap_or(u32::MAX).min(20));
        if leaves.iter().any(|(place, _)| *place >= room) {
            return Err(room);
        }
        for (place, leaf) in leaves {
            if *place >= self.levels[0].len() {
                self.levels[0].resize(place + 1, self.padding[0]);
            }
            self.levels[0][*place] = *leaf;
        }
        let mut touched: Vec<usize> = leaves.iter().map(|(place, _)| place / ARITY).collect();
        for level in 0..self.depth {
            touched.sort_unstable();
            touched.dedup();
            let count = self.levels[level].len().div_ceil(ARITY);
            // Between the old end and the new one there are nodes over nothing but padding.
            self.levels[level + 1].resize(count, self.padding[level + 1]);
            for at in &mut touched {
                let start = *at * ARITY;
                let end = self.levels[level].len().min(start + ARITY);
                let children = Self::filled(&self.levels[level][start..end], self.padding[level]);
                self.levels[level + 1][*at] = node(&children);
                *at /= ARITY;
            }
        }
        Ok(())
    }

    /// The leaf at `index`: one that was given, or the padding.
    #[must_use]
    pub fn leaf(&self, index: usize) -> Element {
        self.levels[0].get(index).copied().unwrap_or(self.padding[0])
    }

    /// The path of the leaf at `index`, or nothing beyond the tree.
    #[must_use]
    pub fn path(&self, index: usize) -> Option<Path> {
        let mut at = index;
        let mut levels = Vec::with_capacity(self.depth);
        for (level, filler) in self.levels[..self.depth].iter().zip(&self.padding) {
            let start = at / ARITY * ARITY;
            let chunk = level.get(start..).unwrap_or_default();
            levels.push(Self::filled(&chunk[..chunk.len().min(ARITY)], *filler));
            at /= ARITY;
        }
        (at == 0).then_some(Path { index, levels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: usize) -> Vec<Element> {
        (0..count as u64).map(|value| Element::from(value + 100)).collect()
    }

    #[test]
    fn a_tree_of_depth_one_is_one_hash() {
        let tree = Tree::new(leaves(8), 1, Element::from(0u64)).unwrap();
        assert_eq!(tree.root(), poseidon::hash(Domain::Node, &leaves(8)));
    }

    #[test]
    fn more_leaves_than_room_are_refused_and_no_leaf_lies_beyond() {
        assert_eq!(Tree::new(leaves(65), 2, Element::from(0u64)).err(), Some(64));
        assert!(Tree::new(leaves(3), 2, Element::from(0u64)).unwrap().path(64).is_none());
    }

    #[test]
    fn an_update_beyond_the_tree_is_refused_and_changes_nothing() {
        let mut tree = Tree::new(leaves(3), 2, Element::from(0u64)).unwrap();
        let root = tree.root();
        assert_eq!(tree.update(&[(0, Element::from(1u64)), (64, Element::from(1u64))]), Err(64));
        assert_eq!(tree.root(), root);
    }

    proptest! {
        #[test]
        fn an_updated_tree_is_the_tree_of_the_new_leaves(
            count in 0usize..70, changes in proptest::collection::vec((0usize..200, 0u64..1000), 0..12),
        ) {
            let padding = Element::from(7u64);
            let mut tree = Tree::new(leaves(count), 3, padding).unwrap();
            let mut expected = leaves(count);
            let changes: Vec<_> = changes.into_iter().map(|(at, value)| (at, Element::from(value))).collect();
            for (at, leaf) in &changes {
                expected.resize(expected.len().max(at + 1), padding);
                expected[*at] = *leaf;
            }
            tree.update(&changes).unwrap();
            let anew = Tree::new(expected, 3, padding).unwrap();
            prop_assert_eq!(tree.root(), anew.root());
            for (at, _) in changes {
                prop_assert_eq!(tree.path(at), anew.path(at));
            }
        }

        #[test]
        fn every_path_leads_from_its_leaf_to_the_root_and_from_no_other(
            count in 0usize..70, depth in 3usize..5, index in 0usize..80,
        ) {
            let tree = Tree::new(leaves(count), depth, Element::from(7u64)).unwrap();
            let path = tree.path(index).unwrap();
            prop_assert_eq!(path.root(&tree.leaf(index)), Some(tree.root()));
            prop_assert_eq!(path.root(&Element::from(1u64)), None);
            let beyond = Path::from_parts(index + ARITY.pow(depth as u32), path.levels().to_vec());
            prop_assert_eq!(beyond.root(&tree.leaf(index)), None);
        }
    }
}
